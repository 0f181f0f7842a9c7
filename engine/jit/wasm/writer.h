// The binary format of WebAssembly: numbers, instructions and sections, appended to a vector of bytes.
// Promises: nothing is checked here; what is written is what the WebAssembly Core Specification 2.0 (chapter 5) says of
// the function's arguments.
#pragma once

#include <span>
#include <vector>

#include "engine/lang/bits.h"

namespace viv::jit::wasm {

// Instructions without operands of their own, and those that have some, by their opcode.
enum class Code : u8 {
    unreachable = 0x00,
    block = 0x02,
    loop = 0x03,
    if_ = 0x04,
    else_ = 0x05,
    end = 0x0b,
    br = 0x0c,
    br_if = 0x0d,
    br_table = 0x0e,
    return_ = 0x0f,
    call_indirect = 0x11,
    return_call_indirect = 0x13,
    drop = 0x1a,
    select = 0x1b,
    local_get = 0x20,
    local_set = 0x21,
    local_tee = 0x22,
    i32_load = 0x28,
    i64_load = 0x29,
    i32_load8_u = 0x2d,
    i32_load16_u = 0x2f,
    i32_store = 0x36,
    i64_store = 0x37,
    i32_store8 = 0x3a,
    i32_store16 = 0x3b,
    i32_const = 0x41,
    i64_const = 0x42,
    f32_const = 0x43,
    f64_const = 0x44,
    i32_eqz = 0x45,
    i32_eq = 0x46,
    i32_ne = 0x47,
    i32_lt_s = 0x48,
    i32_lt_u = 0x49,
    i32_gt_s = 0x4a,
    i32_gt_u = 0x4b,
    i32_le_s = 0x4c,
    i32_le_u = 0x4d,
    i32_ge_s = 0x4e,
    i32_ge_u = 0x4f,
    i64_eqz = 0x50,
    i64_eq = 0x51,
    i64_ne = 0x52,
    i64_lt_s = 0x53,
    i64_lt_u = 0x54,
    i64_gt_s = 0x55,
    i64_gt_u = 0x56,
    i64_ge_s = 0x59,
    i64_ge_u = 0x5a,
    f32_eq = 0x5b,
    f32_ne = 0x5c,
    f32_lt = 0x5d,
    f32_le = 0x5f,
    f32_ge = 0x60,
    f64_eq = 0x61,
    f64_ne = 0x62,
    f64_lt = 0x63,
    f64_le = 0x65,
    f64_ge = 0x66,
    i32_clz = 0x67,
    i32_ctz = 0x68,
    i32_popcnt = 0x69,
    i32_add = 0x6a,
    i32_sub = 0x6b,
    i32_mul = 0x6c,
    i32_and = 0x71,
    i32_or = 0x72,
    i32_xor = 0x73,
    i32_shl = 0x74,
    i32_shr_s = 0x75,
    i32_shr_u = 0x76,
    i32_rotl = 0x77,
    i32_rotr = 0x78,
    i64_clz = 0x79,
    i64_ctz = 0x7a,
    i64_popcnt = 0x7b,
    i64_add = 0x7c,
    i64_sub = 0x7d,
    i64_mul = 0x7e,
    i64_and = 0x83,
    i64_or = 0x84,
    i64_xor = 0x85,
    i64_shl = 0x86,
    i64_shr_s = 0x87,
    i64_shr_u = 0x88,
    i64_rotl = 0x89,
    i64_rotr = 0x8a,
    f32_ceil = 0x8d,
    f32_floor = 0x8e,
    f32_nearest = 0x90,
    f32_sqrt = 0x91,
    f32_add = 0x92,
    f32_sub = 0x93,
    f32_mul = 0x94,
    f32_div = 0x95,
    f32_min = 0x96,
    f32_max = 0x97,
    f64_ceil = 0x9b,
    f64_floor = 0x9c,
    f64_nearest = 0x9e,
    f64_sqrt = 0x9f,
    f64_add = 0xa0,
    f64_sub = 0xa1,
    f64_mul = 0xa2,
    f64_div = 0xa3,
    f64_min = 0xa4,
    f64_max = 0xa5,
    i32_wrap_i64 = 0xa7,
    i32_trunc_f32_s = 0xa8,
    i32_trunc_f32_u = 0xa9,
    i32_trunc_f64_s = 0xaa,
    i32_trunc_f64_u = 0xab,
    i64_extend_i32_s = 0xac,
    i64_extend_i32_u = 0xad,
    i64_trunc_f32_s = 0xae,
    i64_trunc_f32_u = 0xaf,
    i64_trunc_f64_s = 0xb0,
    i64_trunc_f64_u = 0xb1,
    f32_convert_i32_s = 0xb2,
    f32_convert_i32_u = 0xb3,
    f32_convert_i64_s = 0xb4,
    f32_convert_i64_u = 0xb5,
    f32_demote_f64 = 0xb6,
    f64_convert_i32_s = 0xb7,
    f64_convert_i32_u = 0xb8,
    f64_convert_i64_s = 0xb9,
    f64_convert_i64_u = 0xba,
    f64_promote_f32 = 0xbb,
    i32_reinterpret_f32 = 0xbc,
    i64_reinterpret_f64 = 0xbd,
    f32_reinterpret_i32 = 0xbe,
    f64_reinterpret_i64 = 0xbf,
    i32_extend8_s = 0xc0,
    i32_extend16_s = 0xc1,
    i64_extend8_s = 0xc2,
    i64_extend16_s = 0xc3,
    i64_extend32_s = 0xc4,
};

enum class ValueType : u8 { nothing = 0x40, i32 = 0x7f, i64 = 0x7e, f32 = 0x7d, f64 = 0x7c };

class Writer {
public:
    std::vector<u8>& bytes() { return bytes_; }
    usize size() const { return bytes_.size(); }

    void byte(u8 value) { bytes_.push_back(value); }
    void append(std::span<const u8> more) { bytes_.insert(bytes_.end(), more.begin(), more.end()); }
    // LEB128.
    void number(u64 value);
    void signed_number(i64 value);

    void op(Code code) { byte(static_cast<u8>(code)); }
    void op(Code code, u64 operand) {
        op(code);
        number(operand);
    }
    void get(u32 local) { op(Code::local_get, local); }
    void set(u32 local) { op(Code::local_set, local); }
    void tee(u32 local) { op(Code::local_tee, local); }
    void i32_const(u32 value) {
        op(Code::i32_const);
        signed_number(static_cast<i32>(value));
    }
    void i64_const(u64 value) {
        op(Code::i64_const);
        signed_number(static_cast<i64>(value));
    }
    void f32_const(u32 bits);
    void f64_const(u64 bits);
    // A load or store at the address on the stack and `offset`; it need not be aligned.
    void memory(Code code, u32 offset) {
        op(code);
        byte(0);
        number(offset);
    }
    void begin(Code code, ValueType result = ValueType::nothing) {
        op(code);
        byte(static_cast<u8>(result));
    }
    // Of table 0.
    void call_indirect(u32 type) {
        op(Code::call_indirect, type);
        byte(0);
    }
    void return_call_indirect(u32 type) {
        op(Code::return_call_indirect, type);
        byte(0);
    }
    // A section, its content's size before it.
    void section(u8 id, const Writer& content);

private:
    std::vector<u8> bytes_;
};

// The types of functions that every module of ours has, by their index.
enum FunctionType : u32 {
    // (state, frame, record, page: i64, budget: i64) -> exit word: what a region is, and what it is left by.
    type_region,
    type_helper,   // (cpu, i64, i64, i64, i64) -> i64: ir::HelperFunction
    type_resolve,  // (frame, address: i64, what: i32) -> i32
    type_compute,  // (i64, i64, i64, what: i32, flags: i32) -> i64
};

// A function of type_region, by its place in the table and its code (locals included, without its size).
struct Function {
    u32 place = 0;
    std::span<const u8> body;
};

// A module of these functions that fills their places.
std::vector<u8> make_module(std::span<const Function> functions);

}  // namespace viv::jit::wasm
