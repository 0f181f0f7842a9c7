// What a backend makes of a region of blocks, and what the dispatcher needs to know of the result.
// Promises: code is position independent but for the exits it names, on the host and on the guest: a page of guest code
// is translated once, wherever it is mapped. It touches the vCPU by CpuLayout only; wherever it stops, the state is
// that of a boundary between two guest instructions, and `rest` of the exit says how many instructions that were taken
// off the budget have not been executed.
#pragma once

#include <algorithm>
#include <memory>
#include <string_view>
#include <vector>

#include "engine/exec/translation.h"
#include "engine/host/code_memory.h"
#include "engine/ir/ir.h"

namespace viv::jit {

// How generated code came to an end.
enum class ExitKind : u8 {
    jump,       // to `offset`: can be linked to the code there
    hot,        // the block at `offset`, none of which has been executed, has run as often as its heat counter allowed
    budget,     // the budget does not suffice for the block at `offset`, none of which has been executed
    interpret,  // the instruction at `offset` is to be done by the interpreter
    dispatch,   // the pc is in the state; code there may be known
    left,       // the pc is in the state; interrupts, mode or code must be looked at
};

constexpr usize exit_kinds = static_cast<usize>(ExitKind::left) + 1;

// For people: a word, and what it stands for.
struct ExitName {
    std::string_view name, meaning;
};
inline constexpr ExitName exit_names[exit_kinds] = {
    {"jump", "to an address to which the jump was not linked"},
    {"hot", "to be translated better"},
    {"budget", "the slice was used up"},
    {"interpret", "an instruction for the interpreter"},
    {"dispatch", "to an address known only then, whose code was not at hand"},
    {"left", "interrupts, mode or code to be looked at"},
};

struct Exit {
    ExitKind kind = ExitKind::left;
    u32 rest = 0;    // instructions to give back to the budget
    u32 offset = 0;  // jump, hot, budget, interpret: within the page that the code runs in
    u32 site = 0;    // jump: offset of the 4 bytes of displacement that linking changes
    u32 stub = 0;    // jump: offset of the code that goes to the dispatcher, where the jump goes while it is not linked
};

// A state slot of type i64 that a backend may keep in a register of its own throughout a region.
struct Promotion {
    enum class Kind : u8 { integer, floating };
    u64 slot = 0;  // byte offset
    Kind kind = Kind::integer;
    bool written = false;  // by the region
    u64 weight = 0;        // about how often it is used, in comparison to others
};

// Guest code to be compiled as one piece: blocks of one page that start at their pc, ordered by it. It can be entered
// at each of them. Between blocks, values are in the state only, promoted slots included.
struct Region {
    u64 physical_page = 0;
    u64 virtual_page = 0;  // where the addresses in `blocks` have it; the code may run in another one
    u64 mode = 0;
    std::vector<ir::Block> blocks;
    std::vector<Promotion> promoted;  // the heaviest first
    // For each block, the slots that hold addresses in the same page most times that the innermost loop around the
    // block goes round, ascending (see steady_slots); empty if that has not been asked for.
    std::vector<std::vector<u64>> steady;
    // The counter in exec::HeatTable of the first block, or none: then nothing is counted.
    static constexpr u32 not_counted = ~u32{0};
    u32 heat = not_counted;
    // A region of one instruction may reach into the next page: into this one, or the interpreter has to do it, since
    // pages that follow each other may be mapped to any.
    const exec::CodePage* next_page = nullptr;

    static constexpr u32 no_block = ~u32{0};
    // The block that starts at `pc`, as an index.
    u32 block_at(u64 pc) const {
        const auto found = std::lower_bound(blocks.begin(), blocks.end(), pc,
                                            [](const ir::Block& block, u64 value) { return block.pc < value; });
        return found != blocks.end() && found->pc == pc ? static_cast<u32>(found - blocks.begin()) : no_block;
    }
};

struct Compiled {
    std::vector<u8> code;
    std::vector<Exit> exits;
    // Where a block can be entered from outside, as offsets into the code.
    struct Entry {
        u32 guest = 0;  // the block's offset within its page
        u32 entry = 0;  // by the jump table and enter(): the guest's pc must be told
        u32 link = 0;   // by a jump from code of the same page, in which the guest already runs
    };
    std::vector<Entry> entries;
};

// What generated code returns to the dispatcher: the number of the translation and of its exit.
namespace exit_word {
constexpr unsigned exit_bits = 12;
constexpr u32 maximum_exits = 1u << exit_bits;
constexpr u32 maximum_translations = 1u << (32 - exit_bits);
constexpr u32 no_code = ~u32{0};  // the pc is in the state, and the jump table has no code for it
constexpr u32 make(u32 translation, u32 exit) { return translation << exit_bits | exit; }
constexpr u32 translation(u32 word) { return word >> exit_bits; }
constexpr u32 exit(u32 word) { return word & (maximum_exits - 1); }
}  // namespace exit_word

// How generated code was left.
struct Left {
    u32 word = exit_word::no_code;
    u64 virtual_page = 0;  // in which it ran, if `word` names an exit
};

class Backend {
public:
    virtual ~Backend() = default;
    virtual std::string_view name() const = 0;
    // The code that enters and leaves generated code, put at the start of the code memory.
    virtual std::vector<u8> make_thunks() = 0;
    // Up to where, as an index into its code, the block can be translated: the start of the first guest instruction
    // that the interpreter has to do, or the end. What follows is not executed, so passes must not take it for certain.
    // May be called on any thread.
    virtual usize supported(const ir::Block& block) const = 0;
    // `first_exit` is added to the number of each exit. False if the region has more exits than maximum_exits. May be
    // called on any thread.
    virtual bool compile(const Region& region, u32 first_exit, Compiled& out) const = 0;
    // Executions by the interpreter that a block is worth being translated after.
    virtual u32 quick_after() const { return 32; }
    // Whether the code, an entry of some translation, can be run now. If not, the interpreter does what is there, and
    // this is asked again: backends whose code is worth compiling only in batches say no for a while.
    virtual bool ready(const u8* /*code*/) { return true; }
    // The memory of a translation, which begins at `code`, is going to be used for others. No code runs, but what has
    // called a helper that has all code forgotten.
    virtual void dropped(const u8* /*code*/) {}
    // Runs code, at its entry for the guest address `pc`, until an exit: the word is first_exit + its number.
    virtual Left enter(const u8* thunks, void* state, const u8* code, u64 pc) = 0;
    // Makes the jump at `site` (writable bytes, of code that will run at another address) go `distance` bytes behind
    // its end.
    virtual void link(u8* site, i64 distance) = 0;
};

}  // namespace viv::jit
