// Random test cases from the decode table: a starting state and a short block of instructions that never jumps
// backwards.
// Promises: everything follows from the seed; most instructions are legal and most memory accesses hit the window, some
// do not.
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
    unsigned longest = 16;             // instructions in a block
    unsigned reserved_percent = 2;     // words with a fixed bit flipped
};

// One instruction of a block. Branches and jumps name the piece they go to; their offsets are filled in by assemble().
struct Piece {
    u32 word = 0;
    unsigned length = 4;
    int target = -1;       // index of a piece, or the number of pieces for the end; -1: none
    int target_base = -1;  // the offset counts from that piece (an auipc); -1: from this one
    bool bound = false;    // only makes sense behind the piece before it: nothing jumps here
};

struct Block {
    std::vector<Piece> pieces;
    unsigned link = 1;
};

// The block's code and exit sequence for case `index`; `exit_stub` is that of the block's link register.
void assemble(const Block& block, unsigned xlen, usize index, u64 exit_stub, u8 (&code)[CODE_STRIDE]);
// Replaces a piece by an instruction of the same length that does nothing.
void make_nop(Piece& piece);

class Generator {
public:
    Generator(GeneratorOptions options, u64 seed);

    // `index`: where in the batch it will be. All of `test` is written but the padding.
    Block make(usize index, test_case& test);
    // The name of an instruction, for reports.
    std::string name_of(const Piece& piece) const;

private:
    struct Choice {
        std::string extension;
        std::vector<u16> rows;  // of the table
    };

    void make_state(usize index, test_case& test);
    u64 random_x();
    u64 random_f();
    void fill_vector(test_case& test);
    void add_instruction(Block& block);
    void add_word(Block& block, usize row);
    void add_compressed(Block& block);
    void add_indirect_jump(Block& block);
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
    bool compressed_ = false;

    // Of the case being made.
    unsigned link_ = 1;
    std::vector<unsigned> pointers_, smalls_;
    unsigned vtype_register_ = 0;
    u32 reserved_width_ = 2;   // funct3 of lr and sc
    u64 vtype_ = 0;            // as far as it is known
    u8 index_width_[32] = {};  // log2 of bytes of small numbers in a vector register; 255: other contents
};

}  // namespace viv::lockstep
