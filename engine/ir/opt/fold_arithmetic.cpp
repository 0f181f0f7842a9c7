// The folder's sums, products, quotients and extrema (fold.h).
#include <bit>

#include "engine/ir/opt/fold.h"

namespace viv::ir::opt {

namespace {

u128 largest(Type type) { return truncate(type, ~u128{0}); }
bool is_power(u128 value) { return value != 0 && (value & (value - 1)) == 0; }
unsigned log_of(u128 power) {
    const u64 high = static_cast<u64>(power >> 64);
    return static_cast<unsigned>(high != 0 ? 64 + std::countr_zero(high) : std::countr_zero(static_cast<u64>(power)));
}

}  // namespace

ValueId Fold::binary(Op op, Type type, ValueId a, ValueId b) {
    if (is_constant(a)) {
        if (is_constant(b)) return constant(type, evaluate_binary(op, type, number(a), number(b)));
        if (commutes(op)) std::swap(a, b);
    }
    switch (op) {
        case Op::add: return add(type, a, b);
        case Op::sub: return sub(type, a, b);
        case Op::mul:
        case Op::mulhu:
        case Op::mulhs:
        case Op::mulhsu:
        case Op::clmul:
        case Op::clmulh: return multiply(op, type, a, b);
        case Op::divu:
        case Op::divs:
        case Op::remu:
        case Op::rems: return divide(op, type, a, b);
        case Op::and_: return mask(type, a, b);
        case Op::or_:
        case Op::xor_: return or_or_xor(op, type, a, b);
        case Op::shl:
        case Op::shr:
        case Op::sar:
        case Op::rotl:
        case Op::rotr: return shift(op, type, a, b);
        default: return extremum(op, type, a, b);
    }
}

ValueId Fold::add(Type type, ValueId a, ValueId b) {
    if (is_constant(a)) std::swap(a, b);
    if (is_constant(b)) {
        if (is_constant(a)) return constant(type, number(a) + number(b));
        const u128 c = number(b);
        if (c == 0) return a;
        const Inst from = at(a);
        if (from.op == Op::address)
            return make({.op = Op::address, .type = type, .imm = from.imm + static_cast<u64>(c)});
        if (is_with_constant(a, Op::add)) return add(type, from.a, constant(type, number(from.b) + c));
        if (from.op == Op::sub && is_constant(from.a)) return sub(type, constant(type, number(from.a) + c), from.b);
    }
    if (is_op(b, Op::neg)) return sub(type, a, at(b).a);
    if (is_op(a, Op::neg)) return sub(type, b, at(a).a);
    return make(Op::add, type, a, b);
}

ValueId Fold::sub(Type type, ValueId a, ValueId b) {
    if (same(a, b)) return constant(type, 0);
    if (is_constant(b)) return add(type, a, constant(type, u128{0} - number(b)));
    const Inst from = at(b);
    if (is_constant(a)) {
        const u128 c = number(a);
        if (c == 0) return unary(Op::neg, type, b);
        if (is_with_constant(b, Op::add)) return sub(type, constant(type, c - number(from.b)), from.a);
        if (from.op == Op::sub && is_constant(from.a)) return add(type, from.b, constant(type, c - number(from.a)));
    }
    if (from.op == Op::neg) return add(type, a, from.a);
    return make(Op::sub, type, a, b);
}

ValueId Fold::multiply(Op op, Type type, ValueId a, ValueId b) {
    // mulhsu has its signed operand on the left.
    if (is_constant(a) && number(a) == 0) return a;
    if (!is_constant(b)) return make(op, type, a, b);
    const u128 c = number(b);
    if (c == 0) return b;
    const unsigned width = bits_of(type);
    switch (op) {
        case Op::mul:
            if (c == largest(type)) return unary(Op::neg, type, a);
            if (is_power(c)) return shift_by(Op::shl, type, a, log_of(c));
            break;
        case Op::clmul:
            if (is_power(c)) return shift_by(Op::shl, type, a, log_of(c));
            break;
        case Op::mulhu:
        case Op::clmulh:
            if (c == 1) return constant(type, 0);
            if (is_power(c)) return shift_by(Op::shr, type, a, width - log_of(c));
            break;
        case Op::mulhs:
            // The power that is the sign bit is negative.
            if (is_power(c) && log_of(c) < width - 1)
                return shift_by(Op::sar, type, a, c == 1 ? width - 1 : width - log_of(c));
            break;
        default:
            if (is_power(c)) return shift_by(Op::sar, type, a, c == 1 ? width - 1 : width - log_of(c));
            break;
    }
    return make(op, type, a, b);
}

ValueId Fold::divide(Op op, Type type, ValueId a, ValueId b) {
    if (!is_constant(b)) return make(op, type, a, b);
    const u128 c = number(b);
    switch (op) {
        case Op::divu:
            if (c == 0) return constant(type, largest(type));
            if (is_power(c)) return shift_by(Op::shr, type, a, log_of(c));
            break;
        case Op::divs:
            if (c == 0) return constant(type, largest(type));
            if (c == 1) return a;
            if (c == largest(type)) return unary(Op::neg, type, a);
            break;
        case Op::remu:
            if (c == 0) return a;
            if (is_power(c)) return binary(Op::and_, type, a, constant(type, c - 1));
            break;
        default:
            if (c == 0) return a;
            if (c == 1 || c == largest(type)) return constant(type, 0);
            break;
    }
    return make(op, type, a, b);
}

ValueId Fold::extremum(Op op, Type type, ValueId a, ValueId b) {
    if (same(a, b)) return a;
    if (is_constant(b)) {
        const u128 sign = u128{1} << (bits_of(type) - 1);
        const bool is_signed = op == Op::mins || op == Op::maxs, minimum = op == Op::minu || op == Op::mins;
        const u128 low = is_signed ? sign : 0, high = is_signed ? sign - 1 : largest(type);
        if (number(b) == low) return minimum ? b : a;
        if (number(b) == high) return minimum ? a : b;
    }
    return make(op, type, a, b);
}

}  // namespace viv::ir::opt
