// From guest code to IR: the blocks that every JIT, the oracle and the code tests start from.
// Promises: a block means what the interpreter does with the same instructions, as long as the mode it was built for
// holds; it passes ir::verify(). Laws and terms: semantics.md. Nothing here touches a hart but block_mode_of() and the
// helpers that blocks call.
#pragma once

#include <bit>
#include <span>
#include <vector>

#include "engine/ir/ir.h"
#include "engine/ir/slots.h"
#include "engine/isa/riscv/hart.h"

namespace viv::riscv {

// Where the instructions come from.
class CodeReader {
public:
    virtual ~CodeReader() = default;
    // Copies the bytes at virtual address `pc` and following as far as they can be fetched for execution, and returns
    // how many; asked for at most 4. The pages of `pc` and of what follows may differ.
    virtual unsigned read(u64 pc, std::span<u8> out) const = 0;
};

// What a block is good for, besides its address. vl, vtype and the privilege are not here: helpers consult them when
// they run, and where a block sets vl and vtype itself, what follows in it knows them.
namespace block_mode {
constexpr u64 rv64 = 1;
constexpr u64 vector = 2;    // the hart has the V extension
constexpr u64 float_on = 4;  // FS is not off
// FS is dirty; without it the block is right for every FS but off, and marks it dirty itself.
constexpr u64 float_dirty = 8;
// Three bits: the dynamic rounding mode, which so is a static one in the block; 0 while FS is off.
constexpr unsigned frm_shift = 4;
constexpr u64 frm = u64{7} << frm_shift;
constexpr u64 vector_on = 128;  // VS is not off; a block marks it dirty itself
// Two bits: log2 of VLEN / 128; 0 without the V extension.
constexpr unsigned vlen_shift = 8;
constexpr u64 of_vlen(unsigned vlen) { return static_cast<u64>(std::countr_zero(vlen / 128)) << vlen_shift; }
constexpr unsigned vlen_of(u64 mode) { return (mode & vector) != 0 ? 128u << (mode >> vlen_shift & 3) : 0; }
}  // namespace block_mode

// The mode that a block must have been built for to run on the hart as it is now.
u64 block_mode_of(const Hart& hart);

class BlockBuilder {
public:
    // As HartConfig's.
    BlockBuilder(unsigned xlen, bool vector) : decoder_(xlen, vector), xlen_(xlen), vector_(vector) {}

    // The instructions from `pc` on, until one ends the block, the page ends, one cannot be fetched, or there are
    // `limit` (at least 1). An instruction that crosses the page's end makes a block of its own. If not even the first
    // can be fetched, the result has no code and size 0: the interpreter raises the fault. The state's pc is written
    // only by helpers and before `leave`; other terminators name the address. `mode` must agree with xlen and vector.
    ir::Block build_block(const CodeReader& code, u64 pc, u64 mode, unsigned limit) const;

private:
    struct Fetched {
        u32 word = 0;         // 0 if it is a 16-bit pattern that is no instruction
        unsigned length = 0;  // 0 if it cannot be fetched
    };
    Fetched fetch(const CodeReader& code, u64 pc) const;

    Decoder decoder_;
    unsigned xlen_;
    bool vector_;
};

// The slots of riscv::State that blocks get and set.
ir::SlotTable state_slots();
// Every helper that blocks may call, for ir::parse(); sorted by name.
std::vector<ir::Helper> block_helpers();

}  // namespace viv::riscv
