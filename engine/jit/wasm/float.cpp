// Floating point: by WebAssembly's own instructions where their results and flags are the guest's, by calls of
// float/softfloat elsewhere. See compiler.h.
// How it is exact: WebAssembly rounds to nearest even and tells nothing of exceptions. So the result itself says
// whether there can have been one other than "inexact": it is neither a NaN nor infinite, and of operations that may
// underflow above the smallest normal number. "Inexact" is left alone where the guest has that flag already, which is
// so soon after a program has begun with such numbers and until somebody clears it. In all other cases softfloat makes
// the result anew, with its flags.
#include "engine/ir/op_info.h"
#include "engine/jit/soft_call.h"
#include "engine/jit/wasm/compiler.h"

namespace viv::jit::wasm {

namespace {

using ir::Op;
using ir::Rounding;
using ir::Shape;
using ir::Type;

struct Format {
    Type type;
    u64 magnitude, infinity, smallest_normal;  // bits
    Code ne, lt, add, sub, mul, div, min, max, sqrt, nearest, floor, ceil, to_float, to_bits;
};
constexpr Format single{Type::i32,
                        0x7fff'ffff,
                        0x7f80'0000,
                        0x0080'0000,
                        Code::f32_ne,
                        Code::f32_lt,
                        Code::f32_add,
                        Code::f32_sub,
                        Code::f32_mul,
                        Code::f32_div,
                        Code::f32_min,
                        Code::f32_max,
                        Code::f32_sqrt,
                        Code::f32_nearest,
                        Code::f32_floor,
                        Code::f32_ceil,
                        Code::f32_reinterpret_i32,
                        Code::i32_reinterpret_f32};
constexpr Format twice{Type::i64,
                       0x7fff'ffff'ffff'ffff,
                       0x7ff0'0000'0000'0000,
                       0x0010'0000'0000'0000,
                       Code::f64_ne,
                       Code::f64_lt,
                       Code::f64_add,
                       Code::f64_sub,
                       Code::f64_mul,
                       Code::f64_div,
                       Code::f64_min,
                       Code::f64_max,
                       Code::f64_sqrt,
                       Code::f64_nearest,
                       Code::f64_floor,
                       Code::f64_ceil,
                       Code::f64_reinterpret_i64,
                       Code::i64_reinterpret_f64};

const Format& format_of(Type type) { return type == Type::i64 ? twice : single; }
bool is_format(Type type) { return type == Type::i32 || type == Type::i64; }

// Of floats to integers: what is truncated has to lie between these two, which are too far themselves.
struct Limits {
    u64 low, high;  // bits of the float's format
};
Limits limits_of(Type from, Type to, bool is_signed) {
    const bool is_double = from == Type::i64, is_long = to == Type::i64;
    if (!is_signed)
        return is_double ? Limits{0xbff0'0000'0000'0000, is_long ? u64{0x43f0'0000'0000'0000} : 0x41f0'0000'0000'0000}
                         : Limits{0xbf80'0000, is_long ? u64{0x5f80'0000} : 0x4f80'0000};
    if (is_double)
        return is_long ? Limits{0xc3e0'0000'0000'0001, 0x43e0'0000'0000'0000}
                       : Limits{0xc1e0'0000'0020'0000, 0x41e0'0000'0000'0000};
    return is_long ? Limits{0xdf00'0001, 0x5f00'0000} : Limits{0xcf00'0001, 0x4f00'0000};
}

Code truncation(Type from, Type to, bool is_signed) {
    if (from == Type::i64) {
        if (to == Type::i64) return is_signed ? Code::i64_trunc_f64_s : Code::i64_trunc_f64_u;
        return is_signed ? Code::i32_trunc_f64_s : Code::i32_trunc_f64_u;
    }
    if (to == Type::i64) return is_signed ? Code::i64_trunc_f32_s : Code::i64_trunc_f32_u;
    return is_signed ? Code::i32_trunc_f32_s : Code::i32_trunc_f32_u;
}

Code conversion(Type from, Type to, bool is_signed) {
    if (to == Type::i64) {
        if (from == Type::i64) return is_signed ? Code::f64_convert_i64_s : Code::f64_convert_i64_u;
        return is_signed ? Code::f64_convert_i32_s : Code::f64_convert_i32_u;
    }
    if (from == Type::i64) return is_signed ? Code::f32_convert_i64_s : Code::f32_convert_i64_u;
    return is_signed ? Code::f32_convert_i32_s : Code::f32_convert_i32_u;
}

}  // namespace

bool Compiler::native_float(const ir::Inst& inst) const {
    const Type from = type_of(inst.a);
    if (inst.op == Op::float_classify || !is_format(from)) return false;
    if (ir::info_of(inst.op).shape == Shape::float_compare) return true;
    if (!is_format(inst.type)) return false;
    switch (inst.op) {
        case Op::float_min:
        case Op::float_max: return true;
        case Op::float_to_signed:
        case Op::float_to_unsigned:
            return inst.rounding == Rounding::toward_zero || inst.rounding == Rounding::nearest_even ||
                   inst.rounding == Rounding::down || inst.rounding == Rounding::up;
        case Op::float_mul_add: return inst.rounding == Rounding::nearest_even && inst.type == Type::i32;
        default: return inst.rounding == Rounding::nearest_even;
    }
}

void Compiler::float_operation(const ir::Inst& inst) {
    const bool native = native_float(inst);
    // Before the operands are let go: softfloat may want them when there is a result already.
    const u32 to = take_local(ir::result_type(inst));
    if (!native) {
        soft_float(inst);
        w_.set(to);
    } else if (inst.op == Op::float_to_signed || inst.op == Op::float_to_unsigned) {
        float_to_integer(inst, to);
    } else {
        plain_float(inst);
        w_.set(to);
        if (doubt(inst, to)) {
            open(Code::if_);
            soft_float(inst);
            w_.set(to);
            close();
        }
    }
    const ir::ValueId operands[] = {inst.a, inst.b, inst.c};
    for (unsigned i = 0; i < ir::info_of(inst.op).operands; i++) use(operands[i]);
    keep(to);
}

void Compiler::push_float(ir::ValueId id) {
    peek(id);
    w_.op(format_of(type_of(id)).to_float);
}

// The result by instructions of the host, as bits.
void Compiler::plain_float(const ir::Inst& inst) {
    const Type from = type_of(inst.a);
    const Format& f = format_of(inst.type);
    switch (inst.op) {
        case Op::float_from_signed:
        case Op::float_from_unsigned:
            peek(inst.a);
            w_.op(conversion(from, inst.type, inst.op == Op::float_from_signed));
            return w_.op(f.to_bits);
        case Op::float_convert:
            push_float(inst.a);
            w_.op(from == Type::i64 ? Code::f32_demote_f64 : Code::f64_promote_f32);
            return w_.op(f.to_bits);
        case Op::float_mul_add:
            // The product of two singles is exact in a double, and the sum is rounded there.
            for (const ir::ValueId id : {inst.a, inst.b}) {
                push_float(id);
                w_.op(Code::f64_promote_f32);
            }
            w_.op(Code::f64_mul);
            push_float(inst.c);
            w_.op(Code::f64_promote_f32);
            w_.op(Code::f64_add);
            w_.op(Code::i64_reinterpret_f64);
            w_.tee(wide_);
            w_.op(Code::f64_reinterpret_i64);
            w_.op(Code::f32_demote_f64);
            return w_.op(f.to_bits);
        default: break;
    }
    push_float(inst.a);
    if (inst.op != Op::float_sqrt) push_float(inst.b);
    const bool wide_operands = from == Type::i64;
    switch (inst.op) {
        case Op::float_eq: return w_.op(wide_operands ? Code::f64_eq : Code::f32_eq);
        case Op::float_lt: return w_.op(wide_operands ? Code::f64_lt : Code::f32_lt);
        case Op::float_le: return w_.op(wide_operands ? Code::f64_le : Code::f32_le);
        case Op::float_sqrt: w_.op(f.sqrt); break;
        case Op::float_add: w_.op(f.add); break;
        case Op::float_sub: w_.op(f.sub); break;
        case Op::float_mul: w_.op(f.mul); break;
        case Op::float_div: w_.op(f.div); break;
        case Op::float_min: w_.op(f.min); break;
        default: w_.op(f.max); break;
    }
    w_.op(f.to_bits);
}

// Pushes whether softfloat has to make it anew, if that can be.
bool Compiler::doubt(const ir::Inst& inst, u32 result) {
    const Type from = type_of(inst.a);
    const auto push_is_nan = [&](const Format& f, auto push_it) {
        push_it();
        push_it();
        w_.op(f.ne);
    };
    const auto push_result = [&] {
        w_.get(result);
        w_.op(format_of(inst.type).to_float);
    };
    switch (inst.op) {
        case Op::float_eq:
        case Op::float_lt:
        case Op::float_le:
            push_is_nan(format_of(from), [&] { push_float(inst.a); });
            push_is_nan(format_of(from), [&] { push_float(inst.b); });
            w_.op(Code::i32_or);
            return true;
        case Op::float_min:
        case Op::float_max: push_is_nan(format_of(inst.type), push_result); return true;
        case Op::float_from_signed:
        case Op::float_from_unsigned:
            if (from == Type::i32 && inst.type == Type::i64) return false;
            push_exact_so_far(inst);
            return true;
        case Op::float_sqrt: push_is_nan(format_of(inst.type), push_result); break;
        case Op::float_convert:
            if (inst.type == Type::i64) {
                push_is_nan(format_of(inst.type), push_result);
                return true;
            }
            push_out_of(inst, result, single.smallest_normal);
            break;
        case Op::float_add:
        case Op::float_sub: push_out_of(inst, result, 0); break;  // what is tiny is exact
        case Op::float_mul_add:
            push_out_of(inst, result, single.smallest_normal);
            // Half-way between two singles: the sum may have been rounded to there.
            w_.get(wide_);
            w_.op(Code::i32_wrap_i64);
            w_.i32_const(0x1fff'ffff);
            w_.op(Code::i32_and);
            w_.i32_const(0x1000'0000);
            w_.op(Code::i32_eq);
            w_.op(Code::i32_or);
            break;
        default: push_out_of(inst, result, format_of(inst.type).smallest_normal); break;
    }
    push_exact_so_far(inst);
    w_.op(Code::i32_or);
    return true;
}

// Whether the magnitude is infinite, a NaN, or, unless `above` is 0, not above that number.
void Compiler::push_out_of(const ir::Inst& inst, u32 result, u64 above) {
    const Format& f = format_of(inst.type);
    const u64 first = above == 0 ? 0 : above + 1;
    w_.get(result);
    if (f.type == Type::i64) {
        w_.i64_const(f.magnitude);
        w_.op(Code::i64_and);
        if (first != 0) {
            w_.i64_const(first);
            w_.op(Code::i64_sub);
        }
        w_.i64_const(f.infinity - first);
        w_.op(Code::i64_ge_u);
    } else {
        w_.i32_const(static_cast<u32>(f.magnitude));
        w_.op(Code::i32_and);
        if (first != 0) {
            w_.i32_const(static_cast<u32>(first));
            w_.op(Code::i32_sub);
        }
        w_.i32_const(static_cast<u32>(f.infinity - first));
        w_.op(Code::i32_ge_u);
    }
}

// Whether the guest's flag "inexact" is not set yet.
void Compiler::push_exact_so_far(const ir::Inst& inst) {
    load_state(Type::i8, static_cast<i64>(block_->float_units[inst.imm].flags));
    w_.i32_const(soft::inexact);
    w_.op(Code::i32_and);
    w_.op(Code::i32_eqz);
}

void Compiler::float_to_integer(const ir::Inst& inst, u32 to) {
    const Type from = type_of(inst.a);
    const bool is_signed = inst.op == Op::float_to_signed, is_double = from == Type::i64;
    const Format& f = format_of(from);
    const u32 rounded = scratch_float(is_double ? ValueType::f64 : ValueType::f32);
    push_float(inst.a);
    if (inst.rounding == Rounding::nearest_even) w_.op(f.nearest);
    if (inst.rounding == Rounding::down) w_.op(f.floor);
    if (inst.rounding == Rounding::up) w_.op(f.ceil);
    w_.set(rounded);
    const auto push_limit = [&](u64 bits) { is_double ? w_.f64_const(bits) : w_.f32_const(static_cast<u32>(bits)); };
    const Limits limits = limits_of(from, inst.type, is_signed);
    push_limit(limits.low);
    w_.get(rounded);
    w_.op(f.lt);
    w_.get(rounded);
    push_limit(limits.high);
    w_.op(f.lt);
    w_.op(Code::i32_and);
    push_exact_so_far(inst);
    w_.op(Code::i32_eqz);
    w_.op(Code::i32_and);
    open(Code::if_);
    w_.get(rounded);
    w_.op(truncation(from, inst.type, is_signed));
    w_.set(to);
    w_.op(Code::else_);
    soft_float(inst);
    w_.set(to);
    close();
}

// The result by softfloat, or by what stands in for it.
void Compiler::soft_float(const ir::Inst& inst) {
    const unsigned operands = ir::info_of(inst.op).operands;
    const ir::ValueId ids[] = {inst.a, inst.b, inst.c};
    for (unsigned i = 0; i < 3; i++) {
        if (i >= operands) {
            w_.i64_const(0);
            continue;
        }
        peek(ids[i]);
        if (!wide(type_of(ids[i]))) w_.op(Code::i64_extend_i32_u);
    }
    SoftCall what{.op = inst.op, .type = inst.type, .from = type_of(inst.a), .rounding = inst.rounding};
    // What raises no flags has no unit.
    const bool flags = ir::uses_float_unit(inst.op);
    if (flags) {
        const ir::FloatUnit& unit = block_->float_units[inst.imm];
        what.nan_rule = unit.nan_rule;
        what.tininess = unit.tininess;
    }
    w_.i32_const(what.pack());
    if (flags) {
        w_.get(state_);
        w_.i32_const(static_cast<u32>(block_->float_units[inst.imm].flags));
        w_.op(Code::i32_add);
    } else {
        w_.i32_const(0);
    }
    const bool fused =
        inst.op == Op::float_mul_add && inst.type == Type::i64 && inst.rounding == Rounding::nearest_even;
    w_.i32_const(fused ? place_of(&compute_fused) : place_of(&compute_float));
    w_.call_indirect(type_compute);
    if (!wide(ir::result_type(inst))) w_.op(Code::i32_wrap_i64);
}

}  // namespace viv::jit::wasm
