// The node constructors behind builder.h.
#include "engine/ir/builder.h"

#include <algorithm>

#include "engine/ir/op_info.h"
#include "engine/lang/check.h"

namespace viv::ir {

ValueId Builder::append(Inst inst) {
    block_.code.push_back(inst);
    return static_cast<ValueId>(block_.code.size() - 1);
}

ValueId Builder::constant(Type type, u128 value) {
    if (bits_of(type) < 128) value &= (u128{1} << bits_of(type)) - 1;
    return append(
        {.op = Op::constant, .type = type, .imm = static_cast<u64>(value), .imm2 = static_cast<u64>(value >> 64)});
}
ValueId Builder::address(u64 pc) { return append({.op = Op::address, .type = Type::i64, .imm = pc}); }
ValueId Builder::unary(Op op, Type type, ValueId a) { return append({.op = op, .type = type, .a = a}); }
ValueId Builder::binary(Op op, Type type, ValueId a, ValueId b) {
    return append({.op = op, .type = type, .a = a, .b = b});
}
ValueId Builder::compare(Op op, Type operands, ValueId a, ValueId b) {
    return append({.op = op, .type = operands, .a = a, .b = b});
}
ValueId Builder::convert(Op op, Type to, ValueId a) { return append({.op = op, .type = to, .a = a}); }
ValueId Builder::select(Type type, ValueId condition, ValueId yes, ValueId no) {
    return append({.op = Op::select, .type = type, .a = condition, .b = yes, .c = no});
}

ValueId Builder::lanes(Op op, Type lane, ValueId a, ValueId b) {
    return append({.op = Op::lanes,
                   .type = Type::i128,
                   .a = a,
                   .b = b,
                   .imm = static_cast<u64>(op),
                   .imm2 = static_cast<u64>(lane)});
}
ValueId Builder::splat(ValueId a) { return append({.op = Op::splat, .type = Type::i128, .a = a}); }
ValueId Builder::lane_mask(Type lane, u64 first, ValueId count) {
    return append({.op = Op::lane_mask, .type = Type::i128, .a = count, .imm = first, .imm2 = static_cast<u64>(lane)});
}

ValueId Builder::expand_bits(Type lane, u64 first, ValueId a) {
    return append({.op = Op::expand_bits, .type = Type::i128, .a = a, .imm = first, .imm2 = static_cast<u64>(lane)});
}
ValueId Builder::insert_bits(Type lane, u64 first, ValueId a, ValueId b) {
    return append(
        {.op = Op::insert_bits, .type = Type::i128, .a = a, .b = b, .imm = first, .imm2 = static_cast<u64>(lane)});
}

unsigned Builder::float_unit(const FloatUnit& unit) {
    auto& units = block_.float_units;
    const auto found = std::find(units.begin(), units.end(), unit);
    if (found != units.end()) return static_cast<unsigned>(found - units.begin());
    units.push_back(unit);
    return static_cast<unsigned>(units.size() - 1);
}
ValueId Builder::float_op(Op op, Type format, unsigned unit, Rounding rounding, ValueId a, ValueId b, ValueId c) {
    return append({.op = op, .type = format, .rounding = rounding, .a = a, .b = b, .c = c, .imm = unit});
}
ValueId Builder::float_compare(Op op, Type format, unsigned unit, ValueId a, ValueId b) {
    return append({.op = op, .type = format, .a = a, .b = b, .imm = unit});
}
ValueId Builder::float_convert(Op op, Type to, unsigned unit, Rounding rounding, ValueId a) {
    return append({.op = op, .type = to, .rounding = rounding, .a = a, .imm = unit});
}
ValueId Builder::float_classify(ValueId a) { return append({.op = Op::float_classify, .type = Type::i16, .a = a}); }

ValueId Builder::get(Type type, u64 slot) { return append({.op = Op::get, .type = type, .imm = slot}); }
void Builder::set(Type type, u64 slot, ValueId value) {
    append({.op = Op::set, .type = type, .a = value, .imm = slot});
}

ValueId Builder::load(Type type, ValueId address) { return append({.op = Op::load, .type = type, .a = address}); }
void Builder::store(Type type, ValueId address, ValueId value) {
    append({.op = Op::store, .type = type, .a = address, .b = value});
}
ValueId Builder::load_acquire(Type type, ValueId address) {
    return append({.op = Op::load_acquire, .type = type, .a = address});
}
void Builder::store_release(Type type, ValueId address, ValueId value) {
    append({.op = Op::store_release, .type = type, .a = address, .b = value});
}
void Builder::load_lanes(Type element, u64 slot, u64 most, ValueId address, ValueId count) {
    append({.op = Op::load_lanes, .type = element, .a = address, .b = count, .imm = slot, .imm2 = most});
}
void Builder::store_lanes(Type element, u64 slot, u64 most, ValueId address, ValueId count) {
    append({.op = Op::store_lanes, .type = element, .a = address, .b = count, .imm = slot, .imm2 = most});
}
ValueId Builder::exchange(Type type, ValueId address, ValueId value) {
    return append({.op = Op::exchange, .type = type, .a = address, .b = value});
}
ValueId Builder::fetch_op(Op op, Type type, ValueId address, ValueId value) {
    return append({.op = Op::fetch_op, .type = type, .a = address, .b = value, .imm = static_cast<u64>(op)});
}
ValueId Builder::compare_exchange(Type type, ValueId address, ValueId expected, ValueId desired) {
    return append({.op = Op::compare_exchange, .type = type, .a = address, .b = expected, .c = desired});
}
ValueId Builder::physical(Type type, ValueId address, MemoryAccess access) {
    return append({.op = Op::physical, .type = type, .a = address, .imm = static_cast<u64>(access)});
}
void Builder::fence() { append({.op = Op::fence}); }

ValueId Builder::call(Helper helper, Effects effects, std::initializer_list<ValueId> arguments) {
    Call call{.helper = helper, .effects = effects};
    CHECK(arguments.size() <= std::size(call.arguments));
    std::copy(arguments.begin(), arguments.end(), call.arguments);
    block_.calls.push_back(call);
    return append({.op = Op::call, .type = Type::i64, .imm = block_.calls.size() - 1});
}

void Builder::guest(u64 pc) { append({.op = Op::guest, .imm = pc}); }
void Builder::jump(u64 pc, JumpHint hint) { append({.op = Op::jump, .hint = hint, .imm = pc}); }
void Builder::branch(ValueId condition, u64 taken_pc, u64 other_pc) {
    append({.op = Op::branch, .a = condition, .imm = taken_pc, .imm2 = other_pc});
}
void Builder::jump_indirect(ValueId pc, JumpHint hint) { append({.op = Op::jump_indirect, .hint = hint, .a = pc}); }
void Builder::leave() { append({.op = Op::leave}); }
bool Builder::terminated() const { return !block_.code.empty() && is_terminator(block_.code.back().op); }

}  // namespace viv::ir
