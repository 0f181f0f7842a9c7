// The folder's comparisons (fold.h).
#include "engine/ir/opt/fold.h"

namespace viv::ir::opt {

namespace {

// Whether op(x, x) holds.
constexpr bool is_reflexive(Op op) { return op == Op::eq || op == Op::geu || op == Op::ges; }

}  // namespace

ValueId Fold::compare(Op op, Type type, ValueId a, ValueId b) {
    if (same(a, b)) return truth(is_reflexive(op));
    if (is_constant(a)) {
        if (is_constant(b)) return truth(evaluate_compare(op, type, number(a), number(b)));
        if (!commutes(op)) return constant_first(op, type, number(a), b);
        std::swap(a, b);
    }
    if (is_constant(b)) return compare_constant(op, type, a, number(b));
    return make(op, type, a, b);
}

// c < x is x >= c + 1, and c >= x is x < c + 1, unless there is no c + 1.
ValueId Fold::constant_first(Op op, Type type, u128 c, ValueId b) {
    const u128 sign = u128{1} << (bits_of(type) - 1);
    const bool is_signed = op == Op::lts || op == Op::ges, less = op == Op::ltu || op == Op::lts;
    const u128 highest = is_signed ? sign - 1 : truncate(type, ~u128{0});
    if (c == highest) return truth(!less);
    const Op turned = is_signed ? (less ? Op::ges : Op::lts) : (less ? Op::geu : Op::ltu);
    return compare_constant(turned, type, b, c + 1);
}

ValueId Fold::compare_constant(Op op, Type type, ValueId a, u128 c) {
    c = truncate(type, c);
    if (op == Op::eq || op == Op::ne) return equals_constant(op, type, a, c);
    const bool less = op == Op::ltu || op == Op::lts, narrow = bits_of(type) <= 64;
    if (op == Op::lts || op == Op::ges) {
        const u128 sign = u128{1} << (bits_of(type) - 1);
        if (c == sign) return truth(!less);
        // Of two numbers that are not negative the order is the unsigned one.
        if (narrow && (ones(a) & static_cast<u64>(sign)) == 0) {
            if ((c & sign) != 0) return truth(!less);
            return compare_constant(less ? Op::ltu : Op::geu, type, a, c);
        }
        return make(op, type, a, constant(type, c));
    }
    if (c == 0 || (narrow && ones(a) < c)) return truth(less == (c != 0));
    if (c == 1) return equals_constant(less ? Op::eq : Op::ne, type, a, 0);
    return make(op, type, a, constant(type, c));
}

ValueId Fold::equals_constant(Op op, Type type, ValueId a, u128 c) {
    const bool equal = op == Op::eq;
    const auto of_bit = [&](ValueId bit, bool wanted) {
        return wanted == equal ? bit : unary(Op::not_, Type::i1, bit);
    };
    if (type == Type::i1) return of_bit(a, c != 0);
    if (bits_of(type) <= 64 && (c & ~u128{ones(a)}) != 0) return truth(!equal);
    const Inst from = at(a);
    switch (from.op) {
        case Op::zext:
            // Of wider types, too, this is 0 or 1 here, as ones() has not told otherwise; but for i128 it knows
            // nothing.
            if (type_of_value(from.a) == Type::i1) return c > 1 ? truth(!equal) : of_bit(from.a, c != 0);
            break;
        case Op::not_: return equals_constant(op, type, from.a, truncate(type, ~c));
        case Op::neg:
            if (c == 0) return equals_constant(op, type, from.a, 0);
            break;
        case Op::sub:
            if (c == 0) return compare(op, type, from.a, from.b);
            break;
        case Op::xor_:
            if (is_constant(from.b)) return equals_constant(op, type, from.a, number(from.b) ^ c);
            if (c == 0) return compare(op, type, from.a, from.b);
            break;
        default: break;
    }
    return make(op, type, a, constant(type, c));
}

}  // namespace viv::ir::opt
