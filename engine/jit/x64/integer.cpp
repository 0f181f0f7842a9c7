// Integer operations, conversions, comparisons and the state. See compiler.h.
#include "engine/ir/op_info.h"
#include "engine/jit/x64/compiler.h"
#include "engine/lang/check.h"

namespace viv::jit::x64 {

namespace {

using ir::Op;
using ir::Type;

// Operations of fewer than 32 bits are done in 32.
Width width_of(Type type) { return type == Type::i64 ? Width::b64 : Width::b32; }
Width store_width(Type type) {
    switch (type) {
        case Type::i64: return Width::b64;
        case Type::i32: return Width::b32;
        case Type::i16: return Width::b16;
        default: return Width::b8;
    }
}
bool is_narrow(Type type) { return type == Type::i1 || type == Type::i8 || type == Type::i16; }
bool fits(i64 value) { return value == static_cast<i32>(value); }

Condition condition_for(Op op) {
    switch (op) {
        case Op::eq: return Condition::e;
        case Op::ne: return Condition::ne;
        case Op::ltu: return Condition::b;
        case Op::lts: return Condition::l;
        case Op::geu: return Condition::ae;
        default: return Condition::ge;
    }
}

}  // namespace

void Compiler::unary(const ir::Inst& inst) {
    const Width w = width_of(inst.type);
    switch (inst.op) {
        case Op::not_: {
            const bool clean = value(inst.a).clean && inst.type == Type::i1;
            const Gpr to = copy_for_writing(inst.a);
            if (inst.type == Type::i1)
                a_.xor_(Width::b32, to, 1);
            else
                a_.not_(w, to);
            return give(at_, to, clean || inst.type == Type::i32 || inst.type == Type::i64);
        }
        case Op::neg: {
            const Gpr to = copy_for_writing(inst.a);
            a_.neg(w, to);
            return give(at_, to, !is_narrow(inst.type));
        }
        case Op::byte_swap: {
            const Gpr to = copy_for_writing(inst.a);
            a_.bswap(w, to);
            return give(at_, to, true);
        }
        default: {
            const Gpr from = source(inst.a);
            use(inst.a);
            const Gpr to = result_register();
            if (inst.op == Op::clz)
                a_.lzcnt(w, to, from);
            else if (inst.op == Op::ctz)
                a_.tzcnt(w, to, from);
            else
                a_.popcnt(w, to, from);
            return give(at_, to, true);
        }
    }
}

void Compiler::binary(const ir::Inst& inst) {
    switch (inst.op) {
        case Op::add:
        case Op::sub:
        case Op::and_:
        case Op::or_:
        case Op::xor_: return alu(inst);
        case Op::mul: return multiply(inst);
        case Op::mulhu:
        case Op::mulhs:
        case Op::mulhsu: return multiply_high(inst);
        case Op::divu:
        case Op::divs:
        case Op::remu:
        case Op::rems: return divide(inst);
        case Op::minu:
        case Op::maxu:
        case Op::mins:
        case Op::maxs: return extreme(inst);
        default: return shift(inst);
    }
}

void Compiler::alu(const ir::Inst& inst) {
    const Width w = width_of(inst.type);
    const bool logic = inst.op == Op::and_ || inst.op == Op::or_ || inst.op == Op::xor_;
    bool clean = !is_narrow(inst.type);
    if (!clean && logic) {
        // Logic of clean values is clean, so one cleaning serves the operations that follow.
        clean_source(inst.a);
        clean_source(inst.b);
        release();
        clean = true;
    }
    i64 constant = 0;
    const bool immediate = is_constant(inst.b, constant) && fits(constant);
    // A negative immediate of 32 bits sets what is above a narrow value.
    if (immediate && constant < 0 && inst.op != Op::and_ && is_narrow(inst.type)) clean = false;
    // The operand that is used up, or lies where the result goes, makes room for it.
    const Home* const home = target(at_, Promotion::Kind::integer);
    const auto makes_room = [&](ir::ValueId id) {
        const Value& v = value(id);
        if (home != nullptr) return lies_in(id, *home) && v.uses == 1;
        return v.where == Where::gpr && v.uses == 1;
    };
    ir::ValueId first = inst.a, second = inst.b;
    if (!immediate && inst.op != Op::sub && !makes_room(first) && makes_room(second)) std::swap(first, second);
    const bool in_register = value(first).where == Where::gpr || in_home(first, Promotion::Kind::integer);
    if (inst.op == Op::add && in_register && !makes_room(first)) {
        const Gpr a = source(first);
        const Gpr b = immediate ? a : source(second);
        use(first);
        use(second);
        const Gpr to = result_register();
        a_.lea(w, to, immediate ? at(a, static_cast<i32>(constant)) : at(a, b));
        return give(at_, to, clean);
    }
    const Gpr to = copy_for_writing(first, immediate ? ir::no_value : second);
    const auto apply = [&](auto operand) {
        switch (inst.op) {
            case Op::add: a_.add(w, to, operand); break;
            case Op::sub: a_.sub(w, to, operand); break;
            case Op::and_: a_.and_(w, to, operand); break;
            case Op::or_: a_.or_(w, to, operand); break;
            default: a_.xor_(w, to, operand); break;
        }
    };
    if (immediate)
        apply(constant);
    else if (in_memory(second) && !is_narrow(inst.type))
        apply(memory_of(second));
    else
        apply(source(second));
    use(second);
    give(at_, to, clean);
}

void Compiler::shift(const ir::Inst& inst) {
    const Width w = width_of(inst.type);
    const unsigned bits = ir::bits_of(inst.type);
    i64 constant = 0;
    if (is_constant(inst.b, constant)) {
        const unsigned count = static_cast<unsigned>(constant) & (bits - 1);
        use(inst.b);
        if (features_.bmi2 && (inst.op == Op::rotl || inst.op == Op::rotr)) {
            const Gpr from = source(inst.a);
            use(inst.a);
            const Gpr to = result_register();
            a_.rorx(w, to, from, static_cast<u8>((inst.op == Op::rotl ? bits - count : count) & (bits - 1)));
            return give(at_, to, true);
        }
        const Gpr to = copy_for_writing(inst.a);
        switch (inst.op) {
            case Op::shl: a_.shl(w, to, count); break;
            case Op::shr: a_.shr(w, to, count); break;
            case Op::sar: a_.sar(w, to, count); break;
            case Op::rotl: a_.rol(w, to, count); break;
            default: a_.ror(w, to, count); break;
        }
        if (count == 0 && w == Width::b32) a_.mov(w, to, to);  // nothing was written, so nothing was cleared
        return give(at_, to, true);
    }
    if (features_.bmi2 && inst.op != Op::rotl && inst.op != Op::rotr) {
        const Gpr from = source(inst.a), count = source(inst.b);
        use(inst.a);
        use(inst.b);
        const Gpr to = result_register();
        if (inst.op == Op::shl)
            a_.shlx(w, to, from, count);
        else if (inst.op == Op::shr)
            a_.shrx(w, to, from, count);
        else
            a_.sarx(w, to, from, count);
        return give(at_, to, true);
    }
    take(Gpr::rcx);
    load_to(Gpr::rcx, inst.b);
    use(inst.b);
    const Gpr to = copy_for_writing(inst.a);
    switch (inst.op) {
        case Op::shl: a_.shl_cl(w, to); break;
        case Op::shr: a_.shr_cl(w, to); break;
        case Op::sar: a_.sar_cl(w, to); break;
        case Op::rotl: a_.rol_cl(w, to); break;
        default: a_.ror_cl(w, to); break;
    }
    // A count of 0 writes nothing.
    if (w == Width::b32) a_.mov(w, to, to);
    give(at_, to, true);
}

void Compiler::multiply(const ir::Inst& inst) {
    const Width w = width_of(inst.type);
    i64 constant = 0;
    if (is_constant(inst.b, constant) && fits(constant)) {
        const Gpr from = source(inst.a);
        use(inst.a);
        use(inst.b);
        const Gpr to = result_register();
        a_.imul(w, to, from, constant);
        return give(at_, to, !is_narrow(inst.type));
    }
    ir::ValueId first = inst.a, second = inst.b;
    if (const Home* home = target(at_, Promotion::Kind::integer); home != nullptr && lies_in(second, *home))
        std::swap(first, second);
    const Gpr to = copy_for_writing(first, second);
    a_.imul(w, to, source(second));
    use(second);
    give(at_, to, !is_narrow(inst.type));
}

void Compiler::multiply_high(const ir::Inst& inst) {
    take(Gpr::rax);
    take(Gpr::rdx);
    load_to(Gpr::rax, inst.a);
    const Gpr b = source(inst.b);
    if (inst.op == Op::mulhs)
        a_.imul(Width::b64, b);
    else
        a_.mul(Width::b64, b);
    if (inst.op == Op::mulhsu) {
        // The unsigned product took a negative `a` as 2^64 more than it is.
        load_to(Gpr::rax, inst.a);
        a_.sar(Width::b64, Gpr::rax, 63);
        a_.and_(Width::b64, Gpr::rax, b);
        a_.sub(Width::b64, Gpr::rdx, Gpr::rax);
    }
    use(inst.a);
    use(inst.b);
    give(at_, Gpr::rdx, true);
}

void Compiler::divide(const ir::Inst& inst) {
    const Width w = width_of(inst.type);
    const bool is_signed = inst.op == Op::divs || inst.op == Op::rems;
    const bool remainder = inst.op == Op::remu || inst.op == Op::rems;
    take(Gpr::rax);
    take(Gpr::rdx);
    load_to(Gpr::rax, inst.a);
    const Gpr b = source(inst.b);
    const Label by_zero = a_.make_label(), by_minus_one = a_.make_label(), end = a_.make_label();
    a_.test(w, b, b);
    a_.jcc(Condition::e, by_zero, Reach::rel8);
    if (is_signed) {
        a_.cmp(w, b, -1);
        a_.jcc(Condition::e, by_minus_one, Reach::rel8);
        if (w == Width::b64)
            a_.cqo();
        else
            a_.cdq();
        a_.idiv(w, b);
    } else {
        a_.mov(Width::b32, Gpr::rdx, 0);
        a_.div(w, b);
    }
    a_.jmp(end, Reach::rel8);
    a_.bind(by_zero);
    if (remainder)
        a_.mov(w, Gpr::rdx, Gpr::rax);
    else
        a_.mov(w, Gpr::rax, -1);
    if (is_signed) {
        a_.jmp(end, Reach::rel8);
        a_.bind(by_minus_one);
        if (remainder)
            a_.mov(Width::b32, Gpr::rdx, 0);
        else
            a_.neg(w, Gpr::rax);
    }
    a_.bind(end);
    use(inst.a);
    use(inst.b);
    give(at_, remainder ? Gpr::rdx : Gpr::rax, true);
}

Condition Compiler::takes_second(Op op) {
    switch (op) {
        case Op::minu: return Condition::a;
        case Op::maxu: return Condition::b;
        case Op::mins: return Condition::g;
        default: return Condition::l;
    }
}

void Compiler::extreme(const ir::Inst& inst) {
    const Width w = width_of(inst.type);
    const Gpr to = copy_for_writing(inst.a, inst.b);
    const Gpr b = source(inst.b);
    a_.cmp(w, to, b);
    a_.cmovcc(takes_second(inst.op), w, to, b);
    use(inst.b);
    give(at_, to, true);
}

void Compiler::convert(const ir::Inst& inst) {
    Value& from = value(inst.a);
    const Type from_type = type_of(inst.a);
    if (inst.op == Op::sext) {
        const Width w = width_of(inst.type), narrow = store_width(from_type);
        const bool single = from.uses == 1;
        if (in_memory(inst.a)) {
            // Not used up before it is read: its place could be where the result's register is spilled.
            const Gpr to = result_register();
            a_.movsx(w, narrow, to, memory_of(inst.a));
            use(inst.a);
            return give(at_, to, !is_narrow(inst.type));
        }
        const bool dies = from.where == Where::gpr && single;
        const Gpr gpr = source(inst.a);
        use(inst.a);
        const Gpr to = dies && target(at_, Promotion::Kind::integer) == nullptr ? gpr : result_register();
        a_.movsx(w, narrow, to, gpr);
        return give(at_, to, !is_narrow(inst.type));
    }
    if (inst.op == Op::trunc && (from.where == Where::gpr || from.where == Where::stack) && extended_by_next()) {
        const Width narrow = store_width(inst.type);
        at_++;
        if (from.where == Where::stack) {
            const Gpr to = result_register();
            a_.movsx(Width::b64, narrow, to, memory_of(inst.a));
            use(inst.a);
            return give(at_, to, true);
        }
        const Gpr gpr = source(inst.a);
        use(inst.a);
        const Gpr to = result_register();
        a_.movsx(Width::b64, narrow, to, gpr);
        return give(at_, to, true);
    }
    if (inst.op == Op::trunc && from.where == Where::slot && inst.type != Type::i1) {
        // The low part lies at the same place of the state.
        const i32 place = from.place;
        use(inst.a);
        if (value(at_).uses == 0) return;
        value(at_).where = Where::slot;
        value(at_).place = place;
        in_slots_.push_back(at_);
        return;
    }
    if (inst.op == Op::trunc && from.where == Where::home) {
        const i32 home = from.place;
        use(inst.a);
        return read_home(at_, home, false);
    }
    if (inst.op == Op::zext) {
        const bool in_register = from.where == Where::gpr || in_home(inst.a, Promotion::Kind::integer);
        if (!in_register || from.clean || from_type == Type::i1) {
            clean_source(inst.a);
            release();
            return give_copy(inst.a, true);
        }
        const bool dies = from.where == Where::gpr && from.uses == 1;
        const Gpr gpr = source(inst.a);
        use(inst.a);
        const Gpr to = dies && target(at_, Promotion::Kind::integer) == nullptr ? gpr : result_register();
        if (from_type == Type::i32)
            a_.mov(Width::b32, to, gpr);
        else
            a_.movzx(store_width(from_type), to, gpr);
        return give(at_, to, true);
    }
    const bool clean = inst.type == Type::i32 && !(value(inst.a).where == Where::gpr && value(inst.a).uses == 1);
    if (clean) {
        const Gpr from_gpr = source(inst.a);
        const Gpr to = allocate();
        a_.mov(Width::b32, to, from_gpr);
        use(inst.a);
        return give(at_, to, true);
    }
    give_copy(inst.a, false);
}

void Compiler::give_copy(ir::ValueId from, bool clean) {
    const Gpr to = copy_for_writing(from);
    give(at_, to, clean);
}

Condition Compiler::compare(const ir::Inst& inst) {
    const Width w = width_of(inst.type);
    if (is_narrow(inst.type)) {
        clean_source(inst.a);
        clean_source(inst.b);
        release();
    }
    i64 constant = 0;
    const bool immediate = is_constant(inst.b, constant) && fits(constant) && !is_narrow(inst.type);
    if (immediate && in_memory(inst.a)) {
        a_.cmp(w, memory_of(inst.a), constant);
    } else {
        const Gpr a = source(inst.a);
        if (immediate && constant == 0)
            a_.test(w, a, a);
        else if (immediate)
            a_.cmp(w, a, constant);
        else if (in_memory(inst.b) && !is_narrow(inst.type))
            a_.cmp(w, a, memory_of(inst.b));
        else
            a_.cmp(w, a, source(inst.b));
    }
    use(inst.a);
    use(inst.b);
    return condition_for(inst.op);
}

// Whether the next instruction is the only one that uses the comparison in progress, and wants flags rather than a
// value.
bool Compiler::compared_by_next() const {
    if (values_[at_].uses != 1 || at_ + 1 >= block_->code.size()) return false;
    const ir::Inst& next = block_->code[at_ + 1];
    return (next.op == Op::branch || next.op == Op::select) && next.a == at_;
}

void Compiler::compare_value(const ir::Inst& inst) {
    if (compared_by_next()) return;
    const Condition condition = compare(inst);
    release();
    const Gpr to = result_register();
    a_.setcc(condition, to);
    a_.movzx(Width::b8, to, to);
    give(at_, to, true);
}

Condition Compiler::condition_of(ir::ValueId id) {
    const ir::Inst& inst = block_->code[id];
    if (ir::info_of(inst.op).shape == ir::Shape::compare && value(id).where == Where::nowhere) {
        const Condition condition = compare(inst);
        use(id);
        return condition;
    }
    a_.test(Width::b8, source(id), 1);
    use(id);
    return Condition::ne;
}

void Compiler::select(const ir::Inst& inst) {
    if (is_narrow(inst.type)) {
        clean_source(inst.b);
        clean_source(inst.c);
        release();
    }
    const Condition condition = condition_of(inst.a);
    release();
    const Width w = width_of(inst.type);
    // Moves leave the flags alone.
    const Gpr to = copy_for_writing(inst.c, inst.b);
    a_.cmovcc(condition, w, to, source(inst.b));
    use(inst.b);
    give(at_, to, true);
}

void Compiler::get(const ir::Inst& inst) {
    if (value(at_).uses == 0) return;
    if (const i32 home = home_of(inst.imm); home != no_home) return read_home(at_, home, true);
    const bool flags = static_cast<i32>(inst.imm) == layout_.float_flags;
    if (flags) {
        take(Gpr::rcx);
        take(Gpr::rdx);
        merge_float();
        release();
        if (gathers_throughout_) activate_float();
    }
    value(at_).where = Where::slot;
    value(at_).place = static_cast<i32>(inst.imm);
    // Operations change the flags without a set.
    if (flags)
        bring(at_);
    else
        in_slots_.push_back(at_);
}

void Compiler::set(const ir::Inst& inst) {
    if (const i32 home = home_of(inst.imm); home != no_home) return set_home(home, inst.a);
    const i32 offset = static_cast<i32>(inst.imm);
    read_before_write(offset, ir::bytes_of(inst.type));
    const Width w = store_width(inst.type);
    i64 constant = 0;
    if (is_constant(inst.a, constant) && (w != Width::b64 || fits(constant)))
        a_.mov(w, state(offset), constant);
    else if (inst.type == Type::i1)
        a_.mov(w, state(offset), clean_source(inst.a));
    else if (in_home(inst.a, Promotion::Kind::floating) && w == Width::b64)
        a_.movsd(state(offset), homes_[static_cast<usize>(value(inst.a).place)].xmm);
    else
        a_.mov(w, state(offset), source(inst.a));
    use(inst.a);
    back(inst.a, offset);
}

}  // namespace viv::jit::x64
