// What an instruction does besides making its value: for the verifier, for dead-code elimination, and for whatever
// moves instructions. Promises: effects_of() names every effect an instruction can have; without any, it may be
// dropped, duplicated or moved anywhere its operands are known.
#pragma once

#include "engine/ir/op_info.h"

namespace viv::ir {

// The effects of one instruction. Reading or writing a slot counts as reading or writing state, a fence as both for
// memory. `guest` and the terminators have none of them: they stay where they are by what they are.
inline Effects effects_of(const Block& block, const Inst& inst) {
    switch (info_of(inst.op).shape) {
        case Shape::get: return effect_reads_state;
        case Shape::set: return effect_writes_state;
        case Shape::load: return effect_reads_memory | effect_may_leave;
        case Shape::store: return effect_writes_memory | effect_may_leave;
        case Shape::transfer_lanes:
            if (inst.op == Op::load_lanes) return effect_reads_memory | effect_writes_state | effect_may_leave;
            return effect_reads_state | effect_writes_memory | effect_may_leave;
        case Shape::exchange:
        case Shape::fetch_op:
        case Shape::compare_exchange: return effect_reads_memory | effect_writes_memory | effect_may_leave;
        case Shape::physical: return effect_may_leave;
        case Shape::fence: return effect_reads_memory | effect_writes_memory;
        case Shape::call: return block.calls[inst.imm].effects;
        default: return uses_float_unit(inst.op) ? effect_reads_state | effect_writes_state : effect_none;
    }
}

// Whether an instruction whose value nobody uses can be dropped.
inline bool removable(const Block& block, const Inst& inst) {
    if (inst.op == Op::guest || is_terminator(inst.op)) return false;
    return (effects_of(block, inst) & ~(effect_reads_state | effect_reads_memory)) == 0;
}

// Calls visit(ValueId&) (or const) for every operand, arguments of calls included.
template <class BlockType, class InstType, class Visit>
void for_each_operand(BlockType& block, InstType& inst, Visit&& visit) {
    if (inst.op == Op::call) {
        for (auto& argument : block.calls[inst.imm].arguments)
            if (argument != no_value) visit(argument);
        return;
    }
    const unsigned count = info_of(inst.op).operands;
    if (count > 0) visit(inst.a);
    if (count > 1) visit(inst.b);
    if (count > 2) visit(inst.c);
}

}  // namespace viv::ir
