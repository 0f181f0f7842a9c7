// The folder's masks and shifts (fold.h).
#include "engine/ir/opt/fold.h"
#include "engine/mem/guest_memory.h"

namespace viv::ir::opt {

namespace {

// The type with so many bits that a value can be narrowed to, or none.
Type integer_of(unsigned width) {
    switch (width) {
        case 8: return Type::i8;
        case 16: return Type::i16;
        case 32: return Type::i32;
        case 64: return Type::i64;
        default: return Type::none;
    }
}
// The type of which `value` is the mask, or none.
Type type_of_mask(u128 value) {
    if (value == 0xff) return Type::i8;
    if (value == 0xffff) return Type::i16;
    if (value == 0xffff'ffff) return Type::i32;
    return value == ~u64{0} ? Type::i64 : Type::none;
}

}  // namespace

ValueId Fold::mask(Type type, ValueId a, ValueId b) {
    if (is_constant(a)) std::swap(a, b);
    if (a == b) return a;
    if (!is_constant(b)) return bitwise(Op::and_, type, a, b);
    const u128 c = number(b), all = truncate(type, ~u128{0});
    if (c == 0) return b;
    if (c == all) return a;
    if (bits_of(type) <= 64) {
        if ((ones(a) & ~c) == 0) return a;
        if ((ones(a) & c) == 0) return constant(type, 0);
    }
    const Inst from = at(a);
    if (from.op == Op::address && (c | page_mask) == all)
        return make({.op = Op::address, .type = type, .imm = from.imm & static_cast<u64>(c)});
    if (is_with_constant(a, Op::and_)) return mask(type, from.a, constant(type, number(from.b) & c));
    if ((is_with_constant(a, Op::or_) || is_with_constant(a, Op::xor_)) && (number(from.b) & c) == 0)
        return mask(type, from.a, b);
    if (from.op == Op::zext && is_op(from.a, Op::trunc) && type_of_value(at(from.a).a) == type)
        return mask(type, at(from.a).a, constant(type, c & mask_of(type_of_value(from.a))));
    // Of an extension by the sign only copies of it are above the narrow value.
    if (from.op == Op::sext && type_of_value(from.a) == Type::i32 && c >> 32 == 0)
        return zext(type, mask(Type::i32, from.a, constant(Type::i32, c)));
    const Type narrow = type_of_mask(c);
    if (narrow != Type::none && type != Type::i1 && bits_of(narrow) < bits_of(type))
        return zext(type, trunc(narrow, a));
    return make(Op::and_, type, a, b);
}

ValueId Fold::or_or_xor(Op op, Type type, ValueId a, ValueId b) {
    if (same(a, b)) return op == Op::or_ ? a : constant(type, 0);
    const u128 all = truncate(type, ~u128{0});
    if (is_constant(b)) {
        const u128 c = number(b);
        const Inst from = at(a);
        if (c == 0) return a;
        if (op == Op::xor_) {
            if (c == all) return unary(Op::not_, type, a);
            if (from.op == Op::not_) return binary(op, type, from.a, constant(type, ~c));
            if (from.op == Op::zext && type_of_value(from.a) == Type::i1 && c == 1)
                return zext(type, unary(Op::not_, Type::i1, from.a));
        } else if (c == all || (bits_of(type) <= 64 && (ones(a) & ~c) == 0)) {
            return b;
        }
        if (is_with_constant(a, op)) {
            const u128 before = number(from.b);
            return binary(op, type, from.a, constant(type, op == Op::or_ ? before | c : before ^ c));
        }
    } else if (is_op(a, Op::select) && is_op(b, Op::select) && at(a).a == at(b).a) {
        // A choice made of two that give nothing on one side each, as conditional zeroes come.
        const Inst x = at(a), y = at(b);
        const auto zero = [&](ValueId id) { return is_constant(id) && number(id) == 0; };
        if (zero(x.b) && zero(y.c)) return select(type, x.a, y.b, x.c);
        if (zero(x.c) && zero(y.b)) return select(type, x.a, x.b, y.c);
    } else if (is_rotation(type, a, b)) {
        return binary(Op::rotl, type, at(a).a, at(a).b);
    } else if (is_rotation(type, b, a)) {
        return binary(Op::rotl, type, at(b).a, at(b).b);
    }
    return bitwise(op, type, a, b);
}

// Whether what is shifted out of `left` is just what is left of `right`.
bool Fold::is_rotation(Type type, ValueId left, ValueId right) const {
    const unsigned width = bits_of(type);
    if (width < 32 || width > 64 || !is_with_constant(left, Op::shl) || !is_with_constant(right, Op::shr)) return false;
    return at(left).a == at(right).a && number(at(left).b) + number(at(right).b) == width;
}

// What is done to the extensions of two values is done to the values: words are kept sign-extended by some guests, and
// one extension is enough.
ValueId Fold::bitwise(Op op, Type type, ValueId a, ValueId b) {
    const auto has_no_sign = [&](ValueId id) {
        const Type of = type_of_value(id);
        return bits_of(of) <= 64 && (ones(id) & sign_of(of)) == 0;
    };
    const auto is_sext = [&](ValueId id) {
        return is_op(id, Op::sext) || (is_op(id, Op::zext) && has_no_sign(at(id).a));
    };
    const bool zero = is_op(a, Op::zext) && is_op(b, Op::zext);
    if ((!zero && (!is_sext(a) || !is_sext(b))) || type_of_value(at(a).a) != type_of_value(at(b).a))
        return make(op, type, a, b);
    const ValueId narrow = binary(op, type_of_value(at(a).a), at(a).a, at(b).a);
    return zero ? zext(type, narrow) : sext(type, narrow);
}

ValueId Fold::shift(Op op, Type type, ValueId a, ValueId b) {
    const unsigned width = bits_of(type);
    if (is_constant(b)) return shift_by(op, type, a, static_cast<unsigned>(number(b)) & (width - 1));
    if (is_constant(a)) {
        const u128 all = truncate(type, ~u128{0});
        if (number(a) == 0) return a;
        if (number(a) == all && op != Op::shl && op != Op::shr) return a;
    }
    // Only the low bits of the amount count.
    const Inst amount = at(b);
    if (is_with_constant(b, Op::and_) && (number(amount.b) & (width - 1)) == width - 1)
        return shift(op, type, a, amount.a);
    if (amount.op == Op::zext && is_op(amount.a, Op::trunc) && type_of_value(at(amount.a).a) == type)
        return shift(op, type, a, at(amount.a).a);
    return make(op, type, a, b);
}

ValueId Fold::shift_by(Op op, Type type, ValueId a, unsigned count) {
    const unsigned width = bits_of(type);
    if (count == 0) return a;
    if (is_constant(a)) return constant(type, evaluate_binary(op, type, number(a), count));
    const Inst from = at(a);
    if (info_of(from.op).shape == Shape::binary && is_constant(from.b)) {
        const unsigned before = static_cast<unsigned>(at(from.b).imm) & (width - 1);
        const u128 all = truncate(type, ~u128{0});
        if (from.op == op) {
            const unsigned sum = before + count;
            switch (op) {
                case Op::shl:
                case Op::shr: return sum >= width ? constant(type, 0) : shift_by(op, type, from.a, sum);
                case Op::sar: return shift_by(op, type, from.a, sum >= width ? width - 1 : sum);
                case Op::rotl:
                case Op::rotr: return shift_by(op, type, from.a, sum & (width - 1));
                default: break;
            }
        }
        if (op == Op::shl && before == count && (from.op == Op::shr || from.op == Op::sar))
            return mask(type, from.a, constant(type, all << count));
        if (from.op == Op::shl && (op == Op::shr || op == Op::sar) && before >= count) {
            // What the first shift moves to the top is extended, and then moved up by what is left of it.
            const Type narrow = integer_of(width - before);
            if (narrow != Type::none) {
                const ValueId low = trunc(narrow, from.a);
                return shift_by(Op::shl, type, op == Op::shr ? zext(type, low) : sext(type, low), before - count);
            }
            if (op == Op::shr && before == count) return mask(type, from.a, constant(type, all >> count));
        }
    }
    if (op == Op::sar && width <= 64) {
        if ((ones(a) & sign_of(type)) == 0) return shift_by(Op::shr, type, a, count);
        if (draft_.facts(a).signed_width == 1) return a;
    }
    return make(op, type, a, constant(type, count));
}

}  // namespace viv::ir::opt
