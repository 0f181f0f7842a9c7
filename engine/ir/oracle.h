// The oracle: interprets a block, one instruction after another, by the meanings of ops.def. What every backend must
// agree with. Promises: slow and plain; follows the laws: where an access cannot be made the block is left at the start
// of the current guest instruction, with state as the instructions before it left it (verify() has seen to it that
// nothing was written since). Blocks must have passed verify() with slots that lie inside the state.
#pragma once

#include <span>
#include <vector>

#include "engine/ir/ir.h"

namespace viv::ir {

// What surrounds a block: guest memory by virtual address.
class OracleMemory {
public:
    virtual ~OracleMemory() = default;
    // False: it faults, or is not to plain memory; then nothing has happened. Any alignment; 1 to 16 bytes, or
    // all that a load_lanes or store_lanes moves.
    virtual bool load(u64 address, std::span<u8> out) = 0;
    virtual bool store(u64 address, std::span<const u8> in) = 0;
    // The plain memory behind an aligned access of `size` bytes, and its physical address; null if there is none or it
    // may not be had so.
    virtual u8* atomic(u64 address, unsigned size, MemoryAccess access, u64& physical) = 0;
    // A helper is about to be called, after `instructions` whole guest instructions of the block: what generated code
    // tells the vCPU then.
    virtual void calling(unsigned /*instructions*/) {}
};

struct Outcome {
    enum class Why : u8 {
        jump,
        taken,
        not_taken,
        indirect,  // the block ended: the guest goes on at `pc`
        leave,     // the block ended: the pc is in the state
        helper,    // a call returned 0: the pc is in the state
        load,
        store,
        atomic,  // an access could not be made: the guest instruction at `pc` is to be done otherwise
    };
    Why why = Why::leave;
    u64 pc = 0;                 // as above; 0 where it is in the state
    unsigned instructions = 0;  // guest instructions done; with Why::helper the one that called counts
    ValueId at = no_value;      // the IR instruction that ended it

    bool pc_in_state() const { return why == Why::leave || why == Why::helper; }
    bool faulted() const { return why >= Why::load; }
};

class Oracle {
public:
    // `cpu` is what helpers get, `state` the bytes that slots lie in.
    Outcome run(const Block& block, std::span<u8> state, void* cpu, OracleMemory& memory);

private:
    std::vector<u128> values_;
};

}  // namespace viv::ir
