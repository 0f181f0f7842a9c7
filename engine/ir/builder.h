// Appends instructions to a block. Out of line, so that hundreds of instruction bodies stay cheap to compile.
// Promises: the block it makes passes verify() if the semantics laws are kept.
#pragma once

#include <initializer_list>

#include "engine/ir/ir.h"

namespace viv::ir {

class Builder {
public:
    explicit Builder(Block& block) : block_(block) {}

    ValueId constant(Type type, u128 value);
    ValueId unary(Op op, Type type, ValueId a);
    ValueId binary(Op op, Type type, ValueId a, ValueId b);
    ValueId compare(Op op, Type operands, ValueId a, ValueId b);
    ValueId convert(Op op, Type to, ValueId a);
    ValueId select(Type type, ValueId condition, ValueId yes, ValueId no);

    ValueId get(Type type, u64 slot);
    void set(Type type, u64 slot, ValueId value);
    ValueId load(Type type, ValueId address);
    void store(Type type, ValueId address, ValueId value);
    void fence();
    // The result is an i64 (0 if the helper returns nothing of interest).
    ValueId call(const char* name, HelperFunction function, u8 effects, std::initializer_list<ValueId> arguments);

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
