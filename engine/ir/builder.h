// Appends instructions to a block. Out of line, so that hundreds of instruction bodies stay cheap to compile.
// Promises: the block it makes passes verify() if the semantics laws are kept. Nothing is folded or shared here: the
// passes do that.
#pragma once

#include <initializer_list>

#include "engine/ir/ir.h"

namespace viv::ir {

class Builder {
public:
    explicit Builder(Block& block) : block_(block) {}

    ValueId constant(Type type, u128 value);
    ValueId address(u64 pc);  // of type i64
    ValueId unary(Op op, Type type, ValueId a);
    ValueId binary(Op op, Type type, ValueId a, ValueId b);
    ValueId compare(Op op, Type operands, ValueId a, ValueId b);
    ValueId convert(Op op, Type to, ValueId a);
    ValueId select(Type type, ValueId condition, ValueId yes, ValueId no);

    ValueId lanes(Op op, Type lane, ValueId a, ValueId b);
    ValueId splat(ValueId a);
    ValueId lane_mask(Type lane, u64 first, ValueId count);
    ValueId expand_bits(Type lane, u64 first, ValueId a);
    ValueId insert_bits(Type lane, u64 first, ValueId a, ValueId b);

    // The index of the block's float unit that is like `unit`; it is added if there is none yet.
    unsigned float_unit(const FloatUnit& unit);
    // `format` is the operands' type; for conversions `to` is the result's.
    ValueId float_op(Op op, Type format, unsigned unit, Rounding rounding, ValueId a, ValueId b = no_value,
                     ValueId c = no_value);
    ValueId float_compare(Op op, Type format, unsigned unit, ValueId a, ValueId b);
    ValueId float_convert(Op op, Type to, unsigned unit, Rounding rounding, ValueId a);
    ValueId float_classify(ValueId a);

    ValueId get(Type type, u64 slot);
    void set(Type type, u64 slot, ValueId value);

    // Addresses are i64.
    ValueId load(Type type, ValueId address);
    void store(Type type, ValueId address, ValueId value);
    ValueId load_acquire(Type type, ValueId address);
    void store_release(Type type, ValueId address, ValueId value);
    void load_lanes(Type element, u64 slot, u64 most, ValueId address, ValueId count);
    void store_lanes(Type element, u64 slot, u64 most, ValueId address, ValueId count);
    ValueId exchange(Type type, ValueId address, ValueId value);
    ValueId fetch_op(Op op, Type type, ValueId address, ValueId value);
    ValueId compare_exchange(Type type, ValueId address, ValueId expected, ValueId desired);
    ValueId physical(Type type, ValueId address, MemoryAccess access);
    void fence();

    // The result is an i64 (0 if the helper returns nothing of interest). At most four arguments, i64 all.
    ValueId call(Helper helper, Effects effects, std::initializer_list<ValueId> arguments);

    void guest(u64 pc);
    void jump(u64 pc, JumpHint hint = JumpHint::none);
    void branch(ValueId condition, u64 taken_pc, u64 other_pc);
    void jump_indirect(ValueId pc, JumpHint hint);
    void leave();
    bool terminated() const;

    Block& block() { return block_; }

private:
    ValueId append(Inst inst);
    Block& block_;
};

}  // namespace viv::ir
