// Operations on values. What WebAssembly has no instruction for is called (frame.h). See compiler.h.
#include "engine/jit/wasm/compiler.h"
#include "engine/lang/check.h"

namespace viv::jit::wasm {

namespace {

using ir::Op;
using ir::Type;

bool word(Type type) { return type == Type::i32 || type == Type::i64; }

u32 integer_operation(Op op, Type type) { return static_cast<u32>(op) | static_cast<u32>(type) << 8; }

Code pick(Type type, Code narrow, Code wide) { return type == Type::i64 ? wide : narrow; }

// The instruction for an operation on two words, if there is one.
std::optional<Code> direct(Op op, Type type) {
    switch (op) {
        case Op::add: return pick(type, Code::i32_add, Code::i64_add);
        case Op::sub: return pick(type, Code::i32_sub, Code::i64_sub);
        case Op::mul: return pick(type, Code::i32_mul, Code::i64_mul);
        case Op::and_: return pick(type, Code::i32_and, Code::i64_and);
        case Op::or_: return pick(type, Code::i32_or, Code::i64_or);
        case Op::xor_: return pick(type, Code::i32_xor, Code::i64_xor);
        case Op::shl: return pick(type, Code::i32_shl, Code::i64_shl);
        case Op::shr: return pick(type, Code::i32_shr_u, Code::i64_shr_u);
        case Op::sar: return pick(type, Code::i32_shr_s, Code::i64_shr_s);
        case Op::rotl: return pick(type, Code::i32_rotl, Code::i64_rotl);
        case Op::rotr: return pick(type, Code::i32_rotr, Code::i64_rotr);
        default: return std::nullopt;
    }
}

bool is_bitwise(Op op) { return op == Op::and_ || op == Op::or_ || op == Op::xor_; }
bool is_extreme(Op op) { return op == Op::minu || op == Op::maxu || op == Op::mins || op == Op::maxs; }

}  // namespace

// Keeps the bits of the type.
void Compiler::narrow(Type type) {
    if (ir::bits_of(type) >= 32) return;
    w_.i32_const((1u << ir::bits_of(type)) - 1);
    w_.op(Code::i32_and);
}

// By the operation's meaning; the operands have been pushed as three i64.
void Compiler::compute(const ir::Inst& inst, u32 what) {
    w_.i32_const(what);
    w_.i32_const(0);
    w_.i32_const(place_of(&compute_integer));
    w_.call_indirect(type_compute);
    if (!wide(ir::result_type(inst))) w_.op(Code::i32_wrap_i64);
    give();
}

void Compiler::unary(const ir::Inst& inst) {
    const Type type = inst.type;
    const bool is_wide = wide(type);
    if (inst.op == Op::not_) {
        push(inst.a);
        if (is_wide) {
            w_.i64_const(~u64{0});
            w_.op(Code::i64_xor);
        } else {
            w_.i32_const(ir::bits_of(type) == 32 ? ~u32{0} : (1u << ir::bits_of(type)) - 1);
            w_.op(Code::i32_xor);
        }
        return give();
    }
    if (word(type) && inst.op == Op::neg) {
        is_wide ? w_.i64_const(0) : w_.i32_const(0);
        push(inst.a);
        w_.op(pick(type, Code::i32_sub, Code::i64_sub));
        return give();
    }
    if (word(type) && (inst.op == Op::clz || inst.op == Op::ctz || inst.op == Op::popcount)) {
        push(inst.a);
        w_.op(inst.op == Op::clz   ? pick(type, Code::i32_clz, Code::i64_clz)
              : inst.op == Op::ctz ? pick(type, Code::i32_ctz, Code::i64_ctz)
                                   : pick(type, Code::i32_popcnt, Code::i64_popcnt));
        return give();
    }
    push_as_i64(inst.a);
    w_.i64_const(0);
    w_.i64_const(0);
    compute(inst, integer_operation(inst.op, type));
}

void Compiler::operate(Op op, Type type) {
    const auto code = direct(op, type);
    CHECK(code.has_value());
    w_.op(*code);
}

// The smaller or larger.
void Compiler::extreme(const ir::Inst& inst) {
    const Type type = inst.type;
    peek(inst.a);
    peek(inst.b);
    push(inst.a);
    push(inst.b);
    switch (inst.op) {
        case Op::minu: w_.op(pick(type, Code::i32_lt_u, Code::i64_lt_u)); break;
        case Op::mins: w_.op(pick(type, Code::i32_lt_s, Code::i64_lt_s)); break;
        case Op::maxu: w_.op(pick(type, Code::i32_gt_u, Code::i64_gt_u)); break;
        default: w_.op(pick(type, Code::i32_gt_s, Code::i64_gt_s)); break;
    }
    w_.op(Code::select);
    give();
}

void Compiler::binary(const ir::Inst& inst) {
    if (word(inst.type) && is_extreme(inst.op)) return extreme(inst);
    // Operations on bits leave what is above them zero.
    if (is_bitwise(inst.op) || (word(inst.type) && direct(inst.op, inst.type))) {
        push(inst.a);
        push(inst.b);
        operate(inst.op, inst.type);
        return give();
    }
    push_as_i64(inst.a);
    push_as_i64(inst.b);
    w_.i64_const(0);
    compute(inst, integer_operation(inst.op, inst.type));
}

void Compiler::push_compared(const ir::Inst& inst, bool is_signed) {
    for (const ir::ValueId id : {inst.a, inst.b}) {
        push(id);
        if (is_signed && inst.type == Type::i8) w_.op(Code::i32_extend8_s);
        if (is_signed && inst.type == Type::i16) w_.op(Code::i32_extend16_s);
    }
}

void Compiler::compare(const ir::Inst& inst) {
    const Type type = inst.type;
    push_compared(inst, inst.op == Op::lts || inst.op == Op::ges);
    switch (inst.op) {
        case Op::eq: w_.op(pick(type, Code::i32_eq, Code::i64_eq)); break;
        case Op::ne: w_.op(pick(type, Code::i32_ne, Code::i64_ne)); break;
        case Op::ltu: w_.op(pick(type, Code::i32_lt_u, Code::i64_lt_u)); break;
        case Op::lts: w_.op(pick(type, Code::i32_lt_s, Code::i64_lt_s)); break;
        case Op::geu: w_.op(pick(type, Code::i32_ge_u, Code::i64_ge_u)); break;
        default: w_.op(pick(type, Code::i32_ge_s, Code::i64_ge_s)); break;
    }
    give();
}

void Compiler::convert(const ir::Inst& inst) {
    const Type from = type_of(inst.a), to = inst.type;
    push(inst.a);
    switch (inst.op) {
        case Op::zext:
            if (wide(to) && !wide(from)) w_.op(Code::i64_extend_i32_u);
            break;
        case Op::trunc:
            if (wide(from)) w_.op(Code::i32_wrap_i64);
            narrow(to);
            break;
        default:
            if (from == Type::i1) {
                // 0 or all ones.
                w_.i32_const(31);
                w_.op(Code::i32_shl);
                w_.i32_const(31);
                w_.op(Code::i32_shr_s);
            } else if (from == Type::i8) {
                w_.op(Code::i32_extend8_s);
            } else if (from == Type::i16) {
                w_.op(Code::i32_extend16_s);
            }
            if (wide(to) && !wide(from))
                w_.op(Code::i64_extend_i32_s);
            else
                narrow(to);
            break;
    }
    give();
}

void Compiler::select(const ir::Inst& inst) {
    push(inst.b);
    push(inst.c);
    push(inst.a);
    w_.op(Code::select);
    give();
}

}  // namespace viv::jit::wasm
