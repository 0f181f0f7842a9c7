// What is known of each operation besides its meaning: its name in text, its shape (which operands and immediates it
// has), and the types it has. Promises: one row an operation, in the order of Op; print, parse, verify, the oracle and
// the passes all go by it.
#pragma once

#include <array>
#include <string_view>

#include "engine/ir/ir.h"

namespace viv::ir {

enum class Shape : u8 {
    unary,
    binary,
    compare,
    float_unary,
    float_binary,
    float_ternary,
    float_compare,
    float_convert,
    constant,
    address,
    convert,
    select,
    lanes,
    splat,
    lane_mask,
    expand_bits,
    insert_bits,
    get,
    set,
    load,
    store,
    transfer_lanes,
    exchange,
    fetch_op,
    compare_exchange,
    physical,
    fence,
    call,
    guest,
    jump,
    branch,
    jump_indirect,
    leave,
};

struct OpInfo {
    std::string_view name;
    Shape shape = Shape::leave;
    u8 operands = 0;  // of a, b, c; calls have theirs in Block::calls
};

namespace detail {
// C++ keywords among the names (and_) are written without their underscore.
constexpr std::string_view text_name(std::string_view name) {
    if (name.ends_with('_')) name.remove_suffix(1);
    return name;
}
}  // namespace detail

inline constexpr std::array<OpInfo, op_count> op_table{{
#define IR_UNARY(name, meaning) {detail::text_name(#name), Shape::unary, 1},
#define IR_BINARY(name, meaning) {detail::text_name(#name), Shape::binary, 2},
#define IR_COMPARE(name, meaning) {detail::text_name(#name), Shape::compare, 2},
#define IR_FLOAT_UNARY(name, meaning) {#name, Shape::float_unary, 1},
#define IR_FLOAT_BINARY(name, meaning) {#name, Shape::float_binary, 2},
#define IR_FLOAT_TERNARY(name, meaning) {#name, Shape::float_ternary, 3},
#define IR_FLOAT_COMPARE(name, meaning) {#name, Shape::float_compare, 2},
#define IR_FLOAT_CONVERT(name, meaning) {#name, Shape::float_convert, 1},
#include "engine/ir/ops.def"
    {"constant", Shape::constant, 0},
    {"address", Shape::address, 0},
    {"zext", Shape::convert, 1},
    {"sext", Shape::convert, 1},
    {"trunc", Shape::convert, 1},
    {"select", Shape::select, 3},
    {"lanes", Shape::lanes, 2},
    {"splat", Shape::splat, 1},
    {"lane_mask", Shape::lane_mask, 1},
    {"expand_bits", Shape::expand_bits, 1},
    {"insert_bits", Shape::insert_bits, 2},
    {"get", Shape::get, 0},
    {"set", Shape::set, 1},
    {"load", Shape::load, 1},
    {"store", Shape::store, 2},
    {"load_acquire", Shape::load, 1},
    {"store_release", Shape::store, 2},
    {"load_lanes", Shape::transfer_lanes, 2},
    {"store_lanes", Shape::transfer_lanes, 2},
    {"exchange", Shape::exchange, 2},
    {"fetch_op", Shape::fetch_op, 2},
    {"compare_exchange", Shape::compare_exchange, 3},
    {"physical", Shape::physical, 1},
    {"fence", Shape::fence, 0},
    {"call", Shape::call, 0},
    {"guest", Shape::guest, 0},
    {"jump", Shape::jump, 0},
    {"branch", Shape::branch, 1},
    {"jump_indirect", Shape::jump_indirect, 1},
    {"leave", Shape::leave, 0},
}};
static_assert(op_table[static_cast<usize>(Op::leave)].name == "leave");

constexpr const OpInfo& info_of(Op op) { return op_table[static_cast<usize>(op)]; }

inline constexpr std::array<std::string_view, 7> type_names{"none", "i1", "i8", "i16", "i32", "i64", "i128"};
constexpr std::string_view name_of(Type type) { return type_names[static_cast<usize>(type)]; }

inline constexpr std::array<std::string_view, 7> rounding_names{"nearest_even",          "toward_zero", "down",   "up",
                                                                "nearest_max_magnitude", "to_odd",      "dynamic"};
inline constexpr std::array<std::string_view, 3> nan_rule_names{"canonical", "first_operand", "signaling_first"};
inline constexpr std::array<std::string_view, 2> tininess_names{"after_rounding", "before_rounding"};
inline constexpr std::array<std::string_view, 6> effect_names{"reads_state",   "writes_state", "reads_memory",
                                                              "writes_memory", "may_leave",    "ends_block"};

constexpr bool is_terminator(Op op) { return op >= Op::jump; }
constexpr bool is_float(Op op) {
    const Shape shape = info_of(op).shape;
    return shape >= Shape::float_unary && shape <= Shape::float_convert;
}
// Accumulates flags into a float unit.
constexpr bool uses_float_unit(Op op) { return is_float(op) && op != Op::float_classify; }
constexpr bool rounds(Op op) {
    if (!uses_float_unit(op) || info_of(op).shape == Shape::float_compare) return false;
    return op != Op::float_min && op != Op::float_max;
}
// Needs the high half of a product: not for i128.
constexpr bool is_high_half(Op op) {
    return op == Op::mulhu || op == Op::mulhs || op == Op::mulhsu || op == Op::clmulh;
}
// Has a meaning for i1.
constexpr bool is_logical(Op op) {
    return op == Op::not_ || op == Op::and_ || op == Op::or_ || op == Op::xor_ || op == Op::eq || op == Op::ne;
}
// What fetch_op can do atomically.
constexpr bool is_fetch_operation(Op op) {
    return op == Op::add || op == Op::sub || op == Op::and_ || op == Op::or_ || op == Op::xor_ || op == Op::minu ||
           op == Op::maxu || op == Op::mins || op == Op::maxs;
}

constexpr bool is_shift(Op op) { return op == Op::shl || op == Op::shr || op == Op::sar; }
// What lanes can do: what the vector units of all hosts can, in few instructions at most. (Operations on bits are those
// of i128.)
constexpr bool is_lane_operation(Op op) {
    return op == Op::add || op == Op::sub || op == Op::mul || op == Op::minu || op == Op::maxu || op == Op::mins ||
           op == Op::maxs || is_shift(op) || info_of(op).shape == Shape::compare;
}
constexpr bool is_lane_type(Type type) { return type >= Type::i8 && type <= Type::i64; }
// The lanes' type of lanes, lane_mask, expand_bits and insert_bits.
constexpr Type lane_type(const Inst& inst) { return static_cast<Type>(inst.imm2); }
constexpr unsigned lane_count(Type lane) { return 128 / bits_of(lane); }
// Bytes of the state, or memory, that load_lanes or store_lanes touches at most.
constexpr u64 transferred(const Inst& inst) { return inst.imm2 * bytes_of(inst.type); }

constexpr bool makes_value(Op op) {
    switch (info_of(op).shape) {
        case Shape::set:
        case Shape::store:
        case Shape::transfer_lanes:
        case Shape::fence:
        case Shape::guest:
        case Shape::jump:
        case Shape::branch:
        case Shape::jump_indirect:
        case Shape::leave: return false;
        default: return true;
    }
}
// The type of the value an instruction makes, or none.
constexpr Type result_type(const Inst& inst) {
    if (!makes_value(inst.op)) return Type::none;
    switch (info_of(inst.op).shape) {
        case Shape::compare:
        case Shape::float_compare: return Type::i1;
        case Shape::physical:
        case Shape::call: return Type::i64;
        default: return inst.type;
    }
}

}  // namespace viv::ir
