// Vector instructions as IR: what is known of vl, vtype and vstart at translation time, and the instructions that can
// be written with it. Everything else stays a call of its helper (vector.h). Promises: what is written means what the
// helper does, register rules included; where an instruction would be illegal, nothing is written. What is known holds
// within one block only.
#pragma once

#include "engine/isa/riscv/vector.h"

namespace viv::riscv {

struct Translation;

// Of a block, at the instruction in translation.
struct VectorTranslation {
    static constexpr u64 unknown = ~u64{0};
    unsigned vlen_bytes = 0;  // of a register; 0: the hart has none
    bool on = false;          // VS is not off
    bool dirty = false;       // VS is known to be dirty
    bool from_start = false;  // vstart is known to be 0
    u64 vtype = unknown;      // legal if known
    bool full = false;        // vl is known to be VLMAX
};

// Writes the instruction whose helper is `body`. False, and nothing has been written, if it has to be called.
bool build_lanes(Translation& t, unsigned xlen, vector::Helper* body, u32 word);
// It has been called instead, and the block goes on.
void note_vector_call(Translation& t, vector::Helper* body);

}  // namespace viv::riscv
