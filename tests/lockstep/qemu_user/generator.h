// Random test cases from the decode table: short blocks of instructions, and states to start each of them in.
// Promises: everything follows from the seed; most instructions are legal and most memory accesses hit the window, some
// do not; a block comes to its end: each jump backwards first takes one off a counter that nothing else writes, and is
// made only while that is positive.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "engine/isa/riscv/table.h"
#include "tests/lockstep/qemu_user/protocol.h"
#include "tests/lockstep/qemu_user/random.h"

namespace viv::lockstep {

struct GeneratorOptions {
    unsigned xlen = 64;
    unsigned vlen = 128;               // 0: no vector instructions or state
    std::set<std::string> extensions;  // as instruction_table() names them, and "C"; empty: all
    std::string only;                  // names of instructions must start with this
    unsigned longest = 24;             // instructions in a block
    unsigned reserved_percent = 2;     // words with a fixed bit flipped
};

// Where a branch or jump goes.
enum class Way : u8 { none, forward, backward, over };  // over: behind the pieces that are bound to it

// One instruction of a block. Branches and jumps name the piece they go to; their offsets are filled in by assemble().
struct Piece {
    u32 word = 0;
    unsigned length = 4;
    Way way = Way::none;
    bool bound = false;    // only makes sense behind the piece before it: nothing jumps here
    int target_base = -1;  // the offset counts from that piece (an auipc); -1: from this one
    int target = -1;       // index of a piece, or the number of pieces for the end; -1: none
};

struct Block {
    std::vector<Piece> pieces;
    unsigned link = 1;
    // Registers that only their own instructions write: what is left of the jumps backwards, and where a call returns
    // to, which is always the address of a piece or the end. 0: none.
    unsigned counter = 0, returns = 0;

    // Byte offsets of the pieces that may be jumped to, and of the end.
    std::vector<u32> places() const;
};

// The block's code and exit sequence; `exit_stub` is that of the block's link register.
void assemble(const Block& block, unsigned xlen, u64 exit_stub, u8 (&code)[CODE_STRIDE]);
// Makes the case run its block as number `number`: the registers that hold addresses of its code follow it there.
void place(test_case& test, const Block& block, usize number);
// Replaces a piece by an instruction of the same length that does nothing.
void make_nop(Piece& piece);

class Generator {
public:
    Generator(GeneratorOptions options, u64 seed);

    Block make();
    // A state in which the block that was made last starts, as number `number`. All of `test` is written but the
    // padding.
    void make_state(const Block& block, usize number, test_case& test);
    // The name of an instruction, for reports.
    std::string name_of(const Piece& piece) const;

private:
    struct Choice {
        std::string extension;
        std::vector<u16> rows;  // of the table
    };

    void choose_roles();
    u64 random_x();
    u64 random_f();
    void fill_vector(test_case& test);
    void add_instruction(Block& block);
    void add_word(Block& block, usize row);
    void add_compressed(Block& block);
    void add_indirect_jump(Block& block);
    void add_loop(Block& block);
    void aim(Block& block);
    bool writes_reserved(const Piece& piece) const;
    u32 steer(usize row, u32 word);
    u32 steer_vector(usize row, u32 word);
    u32 steer_vector_memory(usize row, u32 word);
    u32 steer_configuration(usize row, u32 word);
    // Sets a field unless the encoding fixes one of its bits.
    u32 with_field(usize row, u32 word, unsigned low, unsigned width, u32 value) const;
    unsigned pointer();
    unsigned aligned_pointer();
    unsigned plain_register();  // neither a pointer nor a small number, mostly
    u64 random_vtype();

    GeneratorOptions options_;
    Random random_;
    riscv::Decoder decoder_;
    std::vector<Choice> choices_;
    bool compressed_ = false, loops_ = false;

    // Of the block being made, and the states for it.
    unsigned link_ = 1, counter_ = 0, returns_ = 0;
    std::vector<unsigned> pointers_, smalls_;
    unsigned vtype_register_ = 0;
    u32 reserved_width_ = 2;  // funct3 of lr and sc
    u64 first_vtype_ = 0;
    u64 rounding_ = 0;
    u64 vtype_ = 0;  // as far as it is known
    // What four vector registers hold, in elements of 1 << width bytes.
    struct Contents {
        enum class Kind : u8 { random, ones, zero, float_, small, edges } kind = Kind::random;
        u8 width = 0;
    };
    Contents contents_[8] = {};
};

}  // namespace viv::lockstep
