// Constant folding and algebra: the value that stands for an instruction, made of as little as possible.
// Promises: constants come from evaluate.h, that is from the one meaning of each operation; whatever comes out means
// the same for all operands. Of what can be written in several ways one is chosen, so that backends have one pattern
// each: a constant is the right operand; a sum has at most one constant (base + constant, as addresses want it) and a
// difference with a constant is a sum; `x ^ ~0` is not; a mask of 8, 16 or 32 bits is zext(trunc x), and shifts that
// extend are zext or sext of trunc; a product with a power of two is a shift; comparisons with a constant are eq, ne,
// ltu, geu, lts or ges with it on the right. 32-bit operations on halves of registers keep their width:
// sext(add.i32(trunc x, trunc y)).
#pragma once

#include "engine/ir/evaluate.h"
#include "engine/ir/opt/draft.h"
#include "engine/ir/opt/operands.h"
#include "engine/ir/opt/share.h"

namespace viv::ir::opt {

class Fold {
public:
    // With a table, what comes out is shared, too. Both live as long as the folder.
    Fold(Draft& draft, Share* share) : draft_(draft), share_(share) {}

    // The value of an instruction that is_pure(), and whose operands are in the draft.
    ValueId value(const Inst& inst);
    // A branch or jump_indirect that is known to go one way becomes a jump.
    Inst terminator(Inst inst);

private:
    ValueId unary(Op op, Type type, ValueId a);
    ValueId binary(Op op, Type type, ValueId a, ValueId b);
    ValueId compare(Op op, Type type, ValueId a, ValueId b);
    ValueId zext(Type to, ValueId a);
    ValueId sext(Type to, ValueId a);
    ValueId trunc(Type to, ValueId a);
    // `a` made narrower or wider, or left as it is.
    ValueId zext_or_trunc(Type to, ValueId a);
    ValueId sext_or_trunc(Type to, ValueId a);
    ValueId select(Type type, ValueId condition, ValueId yes, ValueId no);

    ValueId add(Type type, ValueId a, ValueId b);
    ValueId sub(Type type, ValueId a, ValueId b);
    ValueId multiply(Op op, Type type, ValueId a, ValueId b);
    ValueId divide(Op op, Type type, ValueId a, ValueId b);
    ValueId mask(Type type, ValueId a, ValueId b);
    ValueId or_or_xor(Op op, Type type, ValueId a, ValueId b);
    ValueId shift(Op op, Type type, ValueId a, ValueId b);
    ValueId shift_by(Op op, Type type, ValueId a, unsigned count);
    ValueId extremum(Op op, Type type, ValueId a, ValueId b);
    ValueId bitwise(Op op, Type type, ValueId a, ValueId b);
    bool is_rotation(Type type, ValueId left, ValueId right) const;
    ValueId compare_constant(Op op, Type type, ValueId a, u128 c);
    ValueId constant_first(Op op, Type type, u128 c, ValueId b);
    ValueId equals_constant(Op op, Type type, ValueId a, u128 c);

    // Emit.
    ValueId make(const Inst& inst);
    ValueId make(Op op, Type type, ValueId a, ValueId b = no_value, ValueId c = no_value) {
        return make({.op = op, .type = type, .a = a, .b = b, .c = c});
    }
    ValueId constant(Type type, u128 value);
    ValueId truth(bool value) { return constant(Type::i1, value); }

    // Ask.
    const Inst& at(ValueId id) const { return draft_[id]; }
    Type type_of_value(ValueId id) const { return draft_.type(id); }
    bool is_constant(ValueId id) const { return at(id).op == Op::constant; }
    u128 number(ValueId id) const { return u128{at(id).imm2} << 64 | at(id).imm; }
    bool is_op(ValueId id, Op op) const { return at(id).op == op; }
    // OP(x, constant)
    bool is_with_constant(ValueId id, Op op) const { return at(id).op == op && is_constant(at(id).b); }
    bool same(ValueId a, ValueId b) const {
        return a == b || (is_constant(a) && is_constant(b) && number(a) == number(b));
    }
    // Bits that can be set, of a type of at most 64 bits.
    u64 ones(ValueId id) const { return draft_.facts(id).ones; }

    Draft& draft_;
    Share* share_;
    ValueId own_[2] = {no_value, no_value};  // operands of the instruction in work
};

}  // namespace viv::ir::opt
