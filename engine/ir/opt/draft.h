// A block's code in the making, as a pass rewrites it from its first instruction to its last, and what is known of the
// values in it. Promises: values are numbered by their place; what was known of a value when it was appended never
// changes, so a rewrite that asks only for facts and operands comes to the same result when it is done again.
#pragma once

#include <vector>

#include "engine/ir/op_info.h"

namespace viv::ir::opt {

// An instruction that has been taken out but still has its place: compact() closes the gap. No valid instruction looks
// like it.
inline constexpr Inst tombstone{.op = Op::constant, .type = Type::none};
constexpr bool is_tombstone(const Inst& inst) { return inst.op == Op::constant && inst.type == Type::none; }

struct Facts {
    u64 ones = ~u64{0};  // bits that may be set, for types of up to 64 bits; all for i128
    Type type = Type::none;
    // The value is the sign extension of its low so many bits; 1 to the type's width.
    u8 signed_width = 128;
};

// A mask of a type's bits; i128 counts as 64 here, as its facts do.
constexpr u64 mask_of(Type type) { return low_mask(bits_of(type)); }
// A bit at the top of a type of at most 64 bits.
constexpr u64 sign_of(Type type) { return u64{1} << (bits_of(type) - 1); }

namespace detail {
// result_type() of each operation, for an instruction whose own type is i128: that stands for any.
constexpr auto make_result_types() {
    std::array<Type, op_count> types{};
    for (usize i = 0; i < op_count; i++) types[i] = result_type({.op = static_cast<Op>(i), .type = Type::i128});
    return types;
}
inline constexpr auto result_types = make_result_types();
}  // namespace detail

// The same as result_type(), faster.
inline Type quick_result_type(const Inst& inst) {
    const Type type = detail::result_types[static_cast<usize>(inst.op)];
    return type == Type::i128 ? inst.type : type;
}

class Draft {
public:
    // Starts anew; buffers are kept. `expected` is about how many instructions there will be.
    void begin(usize expected) {
        code.clear();
        facts_.clear();
        code.reserve(expected);
        facts_.reserve(expected);
    }

    // Nothing is known of the value but its type.
    ValueId append(const Inst& inst) {
        const Type type = quick_result_type(inst);
        return append(inst, {.ones = mask_of(type), .type = type, .signed_width = static_cast<u8>(bits_of(type))});
    }
    ValueId append(const Inst& inst, const Facts& facts) {
        code.push_back(inst);
        facts_.push_back(facts);
        return static_cast<ValueId>(code.size() - 1);
    }

    const Inst& operator[](ValueId id) const { return code[id]; }
    const Facts& facts(ValueId id) const { return facts_[id]; }
    Type type(ValueId id) const { return facts_[id].type; }

    std::vector<Inst> code;

private:
    std::vector<Facts> facts_;
};

// What follows for an instruction without effects from its operands, which are in the draft.
Facts facts_of(const Draft& draft, const Inst& inst);

}  // namespace viv::ir::opt
