// The folder's changes of width (fold.h).
#include "engine/ir/opt/fold.h"

namespace viv::ir::opt {

ValueId Fold::zext_or_trunc(Type to, ValueId a) {
    const Type from = type_of_value(a);
    if (from == to) return a;
    return bits_of(from) < bits_of(to) ? zext(to, a) : trunc(to, a);
}
ValueId Fold::sext_or_trunc(Type to, ValueId a) {
    const Type from = type_of_value(a);
    if (from == to) return a;
    return bits_of(from) < bits_of(to) ? sext(to, a) : trunc(to, a);
}

ValueId Fold::zext(Type to, ValueId a) {
    const Inst from = at(a);
    switch (from.op) {
        case Op::constant: return constant(to, number(a));
        case Op::zext: return zext(to, from.a);
        case Op::trunc: {
            // The bits that trunc takes away are none.
            const Type wide = type_of_value(from.a);
            if (bits_of(wide) <= 64 && (ones(from.a) & ~mask_of(from.type)) == 0) return zext_or_trunc(to, from.a);
            break;
        }
        default: break;
    }
    return make(Op::zext, to, a);
}

ValueId Fold::sext(Type to, ValueId a) {
    const Inst from = at(a);
    const Type type = type_of_value(a);
    switch (from.op) {
        case Op::constant: return constant(to, evaluate_convert(Op::sext, to, type, number(a)));
        case Op::sext: return sext(to, from.a);
        case Op::trunc: {
            // The bits that trunc takes away are copies of the sign.
            const Type wide = type_of_value(from.a);
            if (bits_of(wide) <= 64 && draft_.facts(from.a).signed_width <= bits_of(type))
                return sext_or_trunc(to, from.a);
            break;
        }
        default: break;
    }
    if (bits_of(type) <= 64 && (ones(a) & sign_of(type)) == 0) return zext(to, a);
    return make(Op::sext, to, a);
}

ValueId Fold::trunc(Type to, ValueId a) {
    const Inst from = at(a);
    const u128 low = truncate(to, ~u128{0});
    switch (from.op) {
        case Op::constant: return constant(to, number(a));
        case Op::trunc: return trunc(to, from.a);
        case Op::zext:
        case Op::sext:
            // What was narrower still would have to be extended anew, and hosts have the low part for nothing.
            if (bits_of(type_of_value(from.a)) < bits_of(to)) break;
            return zext_or_trunc(to, from.a);
        case Op::and_:
            if (is_constant(from.b) && (number(from.b) & low) == low) return trunc(to, from.a);
            break;
        case Op::or_:
            if (is_constant(from.b) && (number(from.b) & low) == low) return constant(to, low);
            [[fallthrough]];
        case Op::add:
        case Op::xor_:
            if (is_constant(from.b) && (number(from.b) & low) == 0) return trunc(to, from.a);
            break;
        default: break;
    }
    return make(Op::trunc, to, a);
}

}  // namespace viv::ir::opt
