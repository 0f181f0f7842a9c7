// Floating point: by the host's SSE2 and FMA where their results and flags are the guest's, by calls of float/softfloat
// elsewhere. See compiler.h.
// How it is exact: rounding to nearest even, masked exceptions and tininess after rounding are IEEE 754's own on both
// sides. What differs is NaNs: the guest has only one, so a NaN result becomes that one, which the operands do not
// matter for; where flags may differ too (fused operations), it is thrown away and made again by softfloat. Flags
// gather in MXCSR from the first such operation on (frame::float_active) until generated code is left or a helper is
// called.
#include "engine/ir/op_info.h"
#include "engine/jit/x64/compiler.h"
#include "engine/jit/x64/frame.h"
#include "engine/jit/x64/soft_call.h"
#include "engine/lang/check.h"

namespace viv::jit::x64 {

namespace {

using ir::Op;
using ir::Shape;
using ir::Type;

bool is_double(Type type) { return type == Type::i64; }

}  // namespace

// The value's bits, in an xmm register that is free between instructions.
void Compiler::load_float(Xmm to, ir::ValueId id) {
    const bool wide = is_double(type_of(id));
    if (const Value& v = value(id); v.where == Where::slot) {
        if (wide)
            a_.movsd(to, state(v.place));
        else
            a_.movss(to, state(v.place));
    } else if (in_home(id, Promotion::Kind::floating)) {
        a_.movaps(to, homes_[static_cast<usize>(v.place)].xmm);
    } else if (wide) {
        a_.movq(to, source(id));
    } else {
        a_.movd(to, source(id));
    }
}

Xmm Compiler::float_source(ir::ValueId id, Xmm otherwise) {
    if (in_home(id, Promotion::Kind::floating)) return homes_[static_cast<usize>(value(id).place)].xmm;
    load_float(otherwise, id);
    release();
    return otherwise;
}

bool Compiler::native_float(const ir::Inst& inst) const {
    if (inst.op == Op::float_classify) return false;
    const ir::FloatUnit& unit = block_->float_units[inst.imm];
    if (layout_.float_flags == exec::CpuLayout::none || unit.flags != static_cast<u64>(i64{layout_.float_flags}) ||
        unit.nan_rule != soft::NanRule::canonical || unit.tininess != soft::Tininess::after_rounding)
        return false;
    const auto format = [](Type type) { return type == Type::i32 || type == Type::i64; };
    const Type from = type_of(inst.a);
    switch (inst.op) {
        case Op::float_to_signed:
            return format(from) && format(inst.type) &&
                   (inst.rounding == ir::Rounding::toward_zero || inst.rounding == ir::Rounding::nearest_even);
        case Op::float_from_signed: break;
        case Op::float_from_unsigned:
            if (from == Type::i64) return false;
            break;
        case Op::float_to_unsigned:
        case Op::float_min:
        case Op::float_max: return false;
        case Op::float_mul_add:
            if (!features_.fma) return false;
            break;
        default: break;
    }
    const bool exact_compare = ir::info_of(inst.op).shape == Shape::float_compare;
    return format(from) && (exact_compare || (format(inst.type) && inst.rounding == ir::Rounding::nearest_even));
}

// Flags of the host gather from here on.
void Compiler::activate_float() {
    if (float_active_) return;
    float_active_ = true;
    gather_flags();
}

void Compiler::gather_flags() {
    const Label active = a_.make_label();
    a_.cmp(Width::b8, at(Gpr::rsp, frame::float_active), 0);
    a_.jcc(Condition::ne, active, Reach::rel8);
    a_.call(at(Gpr::rsp, frame::activate_float));
    a_.bind(active);
}

// Moves the flags gathered so far to the state, if there are any. Uses rcx and rdx.
void Compiler::merge_float() {
    const Label inactive = a_.make_label();
    a_.cmp(Width::b8, at(Gpr::rsp, frame::float_active), 0);
    a_.jcc(Condition::e, inactive, Reach::rel8);
    a_.call(at(Gpr::rsp, frame::merge_float));
    a_.bind(inactive);
    float_active_ = false;
}

// Whether it is worth it to gather flags from the entry on, wherever the region is entered, and not to ask again.
bool Compiler::gathers_throughout() {
    if (homes_.empty()) return false;
    for (const ir::Block& each : region_->blocks) {
        block_ = &each;
        for (const ir::Inst& inst : each.code)
            if (ir::uses_float_unit(inst.op) && native_float(inst)) return true;
    }
    return false;
}

u32 Compiler::soft_number(const ir::Inst& inst) const {
    const ir::FloatUnit unit = inst.op == Op::float_classify ? ir::FloatUnit{} : block_->float_units[inst.imm];
    return SoftCall{inst.op, inst.type, type_of(inst.a), inst.rounding, unit.nan_rule, unit.tininess}.pack();
}

void Compiler::use_operands(const ir::Inst& inst) {
    const unsigned count = ir::info_of(inst.op).operands;
    use(inst.a);
    if (count > 1) use(inst.b);
    if (count > 2) use(inst.c);
}

void Compiler::soft_operation(const ir::Inst& inst) {
    const ir::ValueId operands[] = {inst.a, inst.b, inst.c};
    for (unsigned i = 0; i < ir::info_of(inst.op).operands; i++) {
        a_.mov(Width::b64, at(Gpr::rsp, frame::soft_values + 8 * static_cast<i32>(i)), clean_source(operands[i]));
        release();
    }
    take(Gpr::rax);
    a_.mov(Width::b32, at(Gpr::rsp, frame::soft_operation), i64{soft_number(inst)});
    // What raises no flags has no unit.
    if (inst.op == Op::float_classify)
        a_.lea(Width::b64, Gpr::rax, at(Gpr::rsp, frame::soft_values + 16));
    else
        a_.lea(Width::b64, Gpr::rax, state(static_cast<i64>(block_->float_units[inst.imm].flags)));
    a_.call(at(Gpr::rsp, frame::soft));
    a_.mov(Width::b64, Gpr::rax, at(Gpr::rsp, frame::soft_values));
    use_operands(inst);
    give(at_, Gpr::rax, true);
}

void Compiler::float_operation(const ir::Inst& inst) {
    if (!native_float(inst)) return soft_operation(inst);
    activate_float();
    switch (ir::info_of(inst.op).shape) {
        case Shape::float_compare: return float_compare(inst);
        case Shape::float_convert: return float_convert(inst);
        default: break;
    }
    const bool wide = is_double(inst.type);
    const Xmm a = float_source(inst.a, Xmm::xmm0);
    if (inst.op == Op::float_sqrt) {
        const Xmm to = begin_result(inst);
        wide ? a_.sqrtsd(to, a) : a_.sqrtss(to, a);
        return finish_result(inst, to);
    }
    const Xmm b = float_source(inst.b, Xmm::xmm2);
    if (inst.op == Op::float_mul_add) {
        const Xmm c = float_source(inst.c, Xmm::xmm3);
        a_.movaps(Xmm::xmm1, a);
        wide ? a_.vfmadd213sd(Xmm::xmm1, b, c) : a_.vfmadd213ss(Xmm::xmm1, b, c);
        return finish_float(inst, wide, {a, b, c});
    }
    const Xmm to = begin_result(inst);
    if (features_.avx) {
        switch (inst.op) {
            case Op::float_add: wide ? a_.vaddsd(to, a, b) : a_.vaddss(to, a, b); break;
            case Op::float_sub: wide ? a_.vsubsd(to, a, b) : a_.vsubss(to, a, b); break;
            case Op::float_mul: wide ? a_.vmulsd(to, a, b) : a_.vmulss(to, a, b); break;
            default: wide ? a_.vdivsd(to, a, b) : a_.vdivss(to, a, b); break;
        }
        return finish_result(inst, to);
    }
    a_.movaps(Xmm::xmm1, a);
    switch (inst.op) {
        case Op::float_add: wide ? a_.addsd(Xmm::xmm1, b) : a_.addss(Xmm::xmm1, b); break;
        case Op::float_sub: wide ? a_.subsd(Xmm::xmm1, b) : a_.subss(Xmm::xmm1, b); break;
        case Op::float_mul: wide ? a_.mulsd(Xmm::xmm1, b) : a_.mulss(Xmm::xmm1, b); break;
        default: wide ? a_.divsd(Xmm::xmm1, b) : a_.divss(Xmm::xmm1, b); break;
    }
    if (to != Xmm::xmm1) a_.movaps(to, Xmm::xmm1);
    finish_result(inst, to);
}

// Where a result is to be made whose NaNs need no operands: its home, or xmm1. The operands, which lie in registers
// now, have been used.
Xmm Compiler::begin_result(const ir::Inst& inst) {
    use_operands(inst);
    Home* const home = is_double(inst.type) ? target(at_, Promotion::Kind::floating) : nullptr;
    if (home == nullptr) return Xmm::xmm1;
    evict_readers(*home);
    return home->xmm;
}

void Compiler::finish_result(const ir::Inst& inst, Xmm from) {
    const bool wide = is_double(inst.type);
    CanonicalNan nan{.begin = a_.make_label(), .end = a_.make_label(), .to = Gpr::rsp, .to_home = from, .wide = wide};
    wide ? a_.ucomisd(from, from) : a_.ucomiss(from, from);
    const bool in_home = wide && target(at_, Promotion::Kind::floating) != nullptr;
    if (!in_home) nan.to = allocate();
    a_.jcc(Condition::p, nan.begin);
    if (!in_home) wide ? a_.movq(nan.to, from) : a_.movd(nan.to, from);
    a_.bind(nan.end);
    canonical_nans_.push_back(nan);
    if (in_home) return read_home(at_, value(at_).target, true);
    give(at_, nan.to, true);
}

// xmm1 is the result of `operands`; a NaN is made anew by softfloat.
void Compiler::finish_float(const ir::Inst& inst, bool wide, std::array<Xmm, 3> operands) {
    const Label nan = a_.make_label(), end = a_.make_label();
    if (wide)
        a_.ucomisd(Xmm::xmm1, Xmm::xmm1);
    else
        a_.ucomiss(Xmm::xmm1, Xmm::xmm1);
    SlowFloat slow{.begin = nan,
                   .end = end,
                   .to = Gpr::rsp,
                   .to_home = Xmm::xmm1,
                   .inst = &inst,
                   .operation = soft_number(inst),
                   .operands = {operands[0], operands[1], operands[2]}};
    // In a home it may lie where an operand does; those are needed up to the jump only.
    if (Home* const home = wide ? target(at_, Promotion::Kind::floating) : nullptr; home != nullptr) {
        use_operands(inst);
        evict_readers(*home);
        a_.jcc(Condition::p, nan);
        a_.movaps(home->xmm, Xmm::xmm1);
        a_.bind(end);
        slow.to_home = home->xmm;
        slow_floats_.push_back(slow);
        return read_home(at_, value(at_).target, true);
    }
    slow.to = allocate();
    a_.jcc(Condition::p, nan);
    if (wide)
        a_.movq(slow.to, Xmm::xmm1);
    else
        a_.movd(slow.to, Xmm::xmm1);
    a_.bind(end);
    slow_floats_.push_back(slow);
    use_operands(inst);
    give(at_, slow.to, true);
}

void Compiler::float_compare(const ir::Inst& inst) {
    const bool wide = is_double(type_of(inst.a));
    const Xmm a = float_source(inst.a, Xmm::xmm0), b = float_source(inst.b, Xmm::xmm1);
    use_operands(inst);
    const Gpr to = allocate();
    if (inst.op == Op::float_eq) {
        const Gpr ordered = allocate();
        if (wide)
            a_.ucomisd(a, b);
        else
            a_.ucomiss(a, b);
        a_.setcc(Condition::np, ordered);
        a_.setcc(Condition::e, to);
        a_.and_(Width::b32, to, ordered);
    } else {
        // Turned around, so that unordered operands fail the test.
        if (wide)
            a_.comisd(b, a);
        else
            a_.comiss(b, a);
        a_.setcc(inst.op == Op::float_lt ? Condition::a : Condition::ae, to);
    }
    a_.movzx(Width::b8, to, to);
    give(at_, to, true);
}

void Compiler::float_convert(const ir::Inst& inst) {
    const Type from = type_of(inst.a);
    const bool wide = is_double(inst.type);
    switch (inst.op) {
        case Op::float_from_signed: {
            const Gpr integer = source(inst.a);
            a_.pxor(Xmm::xmm1, Xmm::xmm1);
            const Width w = from == Type::i64 ? Width::b64 : Width::b32;
            if (wide)
                a_.cvtsi2sd(w, Xmm::xmm1, integer);
            else
                a_.cvtsi2ss(w, Xmm::xmm1, integer);
            break;
        }
        case Op::float_from_unsigned: {
            const Gpr integer = clean_source(inst.a);
            a_.pxor(Xmm::xmm1, Xmm::xmm1);
            if (wide)
                a_.cvtsi2sd(Width::b64, Xmm::xmm1, integer);
            else
                a_.cvtsi2ss(Width::b64, Xmm::xmm1, integer);
            break;
        }
        case Op::float_to_signed: return float_to_signed(inst);
        default: {
            const Xmm a = float_source(inst.a, Xmm::xmm0);
            const Xmm to = begin_result(inst);
            wide ? a_.cvtss2sd(to, a) : a_.cvtsd2ss(to, a);
            return finish_result(inst, to);
        }
    }
    release();
    use_operands(inst);
    if (Home* const home = wide ? target(at_, Promotion::Kind::floating) : nullptr; home != nullptr) {
        evict_readers(*home);
        a_.movaps(home->xmm, Xmm::xmm1);
        return read_home(at_, value(at_).target, true);
    }
    const Gpr to = allocate();
    if (wide)
        a_.movq(to, Xmm::xmm1);
    else
        a_.movd(to, Xmm::xmm1);
    give(at_, to, true);
}

void Compiler::float_to_signed(const ir::Inst& inst) {
    const bool from_double = is_double(type_of(inst.a));
    const Width w = inst.type == Type::i64 ? Width::b64 : Width::b32;
    const Xmm a = float_source(inst.a, Xmm::xmm0);
    const Gpr to = allocate();
    if (inst.rounding == ir::Rounding::toward_zero)
        from_double ? a_.cvttsd2si(w, to, a) : a_.cvttss2si(w, to, a);
    else
        from_double ? a_.cvtsd2si(w, to, a) : a_.cvtss2si(w, to, a);
    // What is out of range comes out as the smallest integer; softfloat tells it from that integer itself.
    const Label odd = a_.make_label(), end = a_.make_label();
    a_.cmp(w, to, 1);
    a_.jcc(Condition::o, odd);
    a_.bind(end);
    slow_floats_.push_back({.begin = odd,
                            .end = end,
                            .to = to,
                            .to_home = a,
                            .inst = &inst,
                            .operation = soft_number(inst),
                            .operands = {a, a, a}});
    use_operands(inst);
    give(at_, to, true);
}

void Compiler::canonical_nans() {
    if (canonical_nans_.empty()) return;
    constexpr u64 double_nan = 0x7ff8'0000'0000'0000, single_nan = 0x7fc0'0000;
    const Label constant = a_.make_label();
    for (const CanonicalNan& nan : canonical_nans_) {
        a_.bind(nan.begin);
        if (nan.to == Gpr::rsp)
            a_.movsd(nan.to_home, at(constant));
        else
            a_.mov(Width::b64, nan.to, static_cast<i64>(nan.wide ? double_nan : single_nan));
        a_.jmp(nan.end);
    }
    a_.align(8);
    a_.bind(constant);
    a_.dq(double_nan);
}

void Compiler::slow_floats() {
    for (const SlowFloat& slow : slow_floats_) {
        const ir::Inst& inst = *slow.inst;
        a_.bind(slow.begin);
        for (unsigned i = 0; i < ir::info_of(inst.op).operands; i++)
            a_.movq(at(Gpr::rsp, frame::soft_values + 8 * static_cast<i32>(i)), slow.operands[i]);
        a_.mov(Width::b64, at(Gpr::rsp, frame::saved_rax), Gpr::rax);
        a_.mov(Width::b32, at(Gpr::rsp, frame::soft_operation), i64{slow.operation});
        a_.lea(Width::b64, Gpr::rax, state(layout_.float_flags));
        a_.call(at(Gpr::rsp, frame::soft));
        a_.mov(Width::b64, Gpr::rax, at(Gpr::rsp, frame::saved_rax));
        if (slow.to == Gpr::rsp)
            a_.movsd(slow.to_home, at(Gpr::rsp, frame::soft_values));
        else
            a_.mov(Width::b64, slow.to, at(Gpr::rsp, frame::soft_values));
        a_.jmp(slow.end);
    }
}

}  // namespace viv::jit::x64
