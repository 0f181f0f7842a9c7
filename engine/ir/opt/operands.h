// Which operations have which algebraic habits: what the passes know of operations beyond their shapes.
// Promises: constexpr tables of nothing but the operation.
#pragma once

#include "engine/ir/op_info.h"

namespace viv::ir::opt {

// OP(a, b) == OP(b, a).
constexpr bool commutes(Op op) {
    switch (op) {
        case Op::add:
        case Op::mul:
        case Op::mulhu:
        case Op::mulhs:
        case Op::and_:
        case Op::or_:
        case Op::xor_:
        case Op::minu:
        case Op::maxu:
        case Op::mins:
        case Op::maxs:
        case Op::clmul:
        case Op::clmulh:
        case Op::eq:
        case Op::ne: return true;
        default: return false;
    }
}

// The comparison that is true where `op` is false.
constexpr Op inverse(Op op) {
    switch (op) {
        case Op::eq: return Op::ne;
        case Op::ne: return Op::eq;
        case Op::ltu: return Op::geu;
        case Op::geu: return Op::ltu;
        case Op::lts: return Op::ges;
        default: return Op::lts;
    }
}

// Depends on its operands only, and does nothing else.
constexpr bool is_pure(Op op) {
    switch (info_of(op).shape) {
        case Shape::unary:
        case Shape::binary:
        case Shape::compare:
        case Shape::constant:
        case Shape::address:
        case Shape::convert:
        case Shape::select:
        case Shape::lanes:
        case Shape::splat:
        case Shape::lane_mask:
        case Shape::expand_bits:
        case Shape::insert_bits: return true;
        default: return op == Op::float_classify;
    }
}

}  // namespace viv::ir::opt
