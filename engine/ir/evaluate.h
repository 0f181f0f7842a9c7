// Operations by number on values of any type, from the meanings of ops.def: for the oracle, the constant folder and
// backends' fallbacks. Promises: operands and results are zero-extended to 128 bits; callers have checked (verify.h)
// that the operation has a meaning for the type.
#pragma once

#include "engine/float/softfloat.h"
#include "engine/ir/ir.h"

namespace viv::ir {

// `value` cut to the width of `type`.
constexpr u128 truncate(Type type, u128 value) {
    return bits_of(type) >= 128 ? value : value & ((u128{1} << bits_of(type)) - 1);
}

u128 evaluate_unary(Op op, Type type, u128 a);
u128 evaluate_binary(Op op, Type type, u128 a, u128 b);
bool evaluate_compare(Op op, Type operands, u128 a, u128 b);
u128 evaluate_convert(Op op, Type to, Type from, u128 a);  // zext, sext, trunc

// Vectors; `lane` is the type of their lanes.
u128 evaluate_lanes(Op op, Type lane, u128 a, u128 b);
u128 evaluate_splat(Type lane, u128 a);
u128 evaluate_lane_mask(Type lane, u64 first, u64 count);
u128 evaluate_expand_bits(Type lane, u64 first, u128 a);
u128 evaluate_insert_bits(Type lane, u64 first, u128 a, u128 b);

// Flags are ORed into env.flags.
u128 evaluate_float(Op op, Type format, soft::Environment& env, u128 a, u128 b, u128 c);
bool evaluate_float_compare(Op op, Type format, soft::Environment& env, u128 a, u128 b);
u128 evaluate_float_convert(Op op, Type to, Type from, soft::Environment& env, u128 a);

}  // namespace viv::ir
