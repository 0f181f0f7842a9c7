// The folder's entry, and what concerns operations of every kind: unary ones, selects, terminators, and how the result
// is made. Arithmetic is in fold_arithmetic.cpp, shifts and masks in fold_bits.cpp, comparisons in fold_compare.cpp,
// changes of width in fold_convert.cpp.
#include "engine/ir/opt/fold.h"

namespace viv::ir::opt {

ValueId Fold::make(const Inst& inst) {
    if (share_ != nullptr) {
        const ValueId found = share_->find(draft_, inst);
        if (found != no_value) return found;
    }
    const Facts facts = facts_of(draft_, inst);
    if (facts.ones == 0 && inst.op != Op::constant) return constant(facts.type, 0);
    const ValueId id = draft_.append(inst, facts);
    if (share_ != nullptr) share_->add(draft_, id);
    return id;
}

ValueId Fold::constant(Type type, u128 value) {
    value = truncate(type, value);
    // What comes back as it was needs no constant but its own.
    for (const ValueId own : own_)
        if (own != no_value && is_constant(own) && at(own).type == type && number(own) == value) return own;
    return make(
        {.op = Op::constant, .type = type, .imm = static_cast<u64>(value), .imm2 = static_cast<u64>(value >> 64)});
}

ValueId Fold::value(const Inst& inst) {
    own_[0] = inst.a;
    own_[1] = inst.b;
    switch (info_of(inst.op).shape) {
        case Shape::unary: return unary(inst.op, inst.type, inst.a);
        case Shape::binary: return binary(inst.op, inst.type, inst.a, inst.b);
        case Shape::compare: return compare(inst.op, inst.type, inst.a, inst.b);
        case Shape::convert:
            if (inst.op == Op::zext) return zext(inst.type, inst.a);
            return inst.op == Op::sext ? sext(inst.type, inst.a) : trunc(inst.type, inst.a);
        case Shape::select: return select(inst.type, inst.a, inst.b, inst.c);
        case Shape::lanes:
            if (is_constant(inst.a) && is_constant(inst.b))
                return constant(inst.type, evaluate_lanes(static_cast<Op>(inst.imm), lane_type(inst), number(inst.a),
                                                          number(inst.b)));
            break;
        case Shape::splat:
            if (is_constant(inst.a)) return constant(inst.type, evaluate_splat(type_of_value(inst.a), number(inst.a)));
            break;
        case Shape::lane_mask:
            if (is_constant(inst.a))
                return constant(inst.type,
                                evaluate_lane_mask(lane_type(inst), inst.imm, static_cast<u64>(number(inst.a))));
            break;
        case Shape::expand_bits:
            if (is_constant(inst.a))
                return constant(inst.type, evaluate_expand_bits(lane_type(inst), inst.imm, number(inst.a)));
            break;
        case Shape::insert_bits:
            if (is_constant(inst.a) && is_constant(inst.b))
                return constant(inst.type,
                                evaluate_insert_bits(lane_type(inst), inst.imm, number(inst.a), number(inst.b)));
            break;
        case Shape::float_convert:
            if (is_constant(inst.a)) {
                soft::Environment none;  // to classify raises no flags
                return constant(
                    inst.type, evaluate_float_convert(inst.op, inst.type, type_of_value(inst.a), none, number(inst.a)));
            }
            break;
        default: break;
    }
    return make(inst);
}

Inst Fold::terminator(Inst inst) {
    if (inst.op == Op::jump_indirect && is_op(inst.a, Op::address))
        return {.op = Op::jump, .hint = inst.hint, .imm = at(inst.a).imm};
    if (inst.op != Op::branch) return inst;
    if (is_constant(inst.a)) return {.op = Op::jump, .imm = at(inst.a).imm != 0 ? inst.imm : inst.imm2};
    if (inst.imm == inst.imm2) return {.op = Op::jump, .imm = inst.imm};
    if (is_op(inst.a, Op::not_)) {
        inst.a = at(inst.a).a;
        std::swap(inst.imm, inst.imm2);
    }
    return inst;
}

ValueId Fold::unary(Op op, Type type, ValueId a) {
    if (is_constant(a)) return constant(type, evaluate_unary(op, type, number(a)));
    const Inst from = at(a);
    switch (op) {
        case Op::not_:
            if (from.op == Op::not_) return from.a;
            if (info_of(from.op).shape == Shape::compare) return compare(inverse(from.op), from.type, from.a, from.b);
            if (is_with_constant(a, Op::xor_)) return binary(Op::xor_, type, from.a, constant(type, ~number(from.b)));
            break;
        case Op::neg:
            if (from.op == Op::neg) return from.a;
            if (from.op == Op::sub) return sub(type, from.b, from.a);
            if (is_with_constant(a, Op::add)) return sub(type, constant(type, u128{0} - number(from.b)), from.a);
            break;
        case Op::byte_swap:
            if (from.op == Op::byte_swap) return from.a;
            if (type == Type::i8) return a;
            break;
        default: break;
    }
    return make(op, type, a);
}

ValueId Fold::select(Type type, ValueId condition, ValueId yes, ValueId no) {
    if (is_constant(condition)) return at(condition).imm != 0 ? yes : no;
    if (is_op(condition, Op::not_)) return select(type, at(condition).a, no, yes);
    // Arms that ask the same again.
    if (is_op(yes, Op::select) && at(yes).a == condition) return select(type, condition, at(yes).b, no);
    if (is_op(no, Op::select) && at(no).a == condition) return select(type, condition, yes, at(no).c);
    if (same(yes, no)) return yes;
    if (type == Type::i1) {
        if (is_constant(yes)) {
            if (at(yes).imm != 0) return binary(Op::or_, type, condition, no);
            return binary(Op::and_, type, unary(Op::not_, type, condition), no);
        }
        if (is_constant(no)) {
            if (at(no).imm == 0) return binary(Op::and_, type, condition, yes);
            return binary(Op::or_, type, unary(Op::not_, type, condition), yes);
        }
    } else if (is_constant(yes) && is_constant(no)) {
        if (number(yes) == 1 && number(no) == 0) return zext(type, condition);
        if (number(yes) == 0 && number(no) == 1) return zext(type, unary(Op::not_, Type::i1, condition));
    }
    return make(Op::select, type, condition, yes, no);
}

}  // namespace viv::ir::opt
