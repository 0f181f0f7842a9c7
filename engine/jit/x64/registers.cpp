// Where values are: registers, spill places, or still in the state. See compiler.h.
#include <algorithm>
#include <bit>

#include "engine/ir/effects.h"
#include "engine/ir/op_info.h"
#include "engine/jit/x64/compiler.h"
#include "engine/jit/x64/frame.h"
#include "engine/lang/check.h"

namespace viv::jit::x64 {

namespace {

constexpr u32 bit_of(Gpr gpr) { return 1u << number(gpr); }

// Those that instructions want for themselves (rax, rcx, rdx) are given to values last.
constexpr Gpr order[] = {Gpr::rsi, Gpr::rdi, Gpr::rbx, Gpr::r8,  Gpr::r9,  Gpr::r10,
                         Gpr::r11, Gpr::r13, Gpr::r14, Gpr::rdx, Gpr::rcx, Gpr::rax};
constexpr Gpr caller_saved[] = {Gpr::rax, Gpr::rcx, Gpr::rdx, Gpr::rsi, Gpr::rdi, Gpr::r8, Gpr::r9, Gpr::r10, Gpr::r11};

}  // namespace

Mem Compiler::stack_place(i32 place) const { return at(Gpr::rsp, frame::spills + 8 * place); }

bool Compiler::is_constant(ir::ValueId id, i64& out) const {
    if (id >= block_->code.size()) return false;
    const ir::Inst& inst = block_->code[id];
    if (inst.op != ir::Op::constant || inst.type == ir::Type::i128) return false;
    const unsigned bits = ir::bits_of(inst.type);
    out = bits == 64  ? static_cast<i64>(inst.imm)
          : bits == 1 ? static_cast<i64>(inst.imm & 1)
                      : sign_extend(inst.imm, bits);
    return true;
}

Gpr Compiler::allocate() {
    for (const Gpr gpr : order)
        if (owner_[number(gpr)] == ir::no_value && ((locked_ | reserved_) & bit_of(gpr)) == 0) {
            lock(gpr);
            return gpr;
        }
    Gpr latest = Gpr::rsp;
    ir::ValueId latest_use = 0;
    for (const Gpr gpr : order) {
        if (((locked_ | reserved_) & bit_of(gpr)) != 0) continue;
        const ir::ValueId use = next_use(owner_[number(gpr)]);
        if (latest != Gpr::rsp && use <= latest_use) continue;
        latest = gpr;
        latest_use = use;
    }
    CHECK(latest != Gpr::rsp);
    spill(latest);
    lock(latest);
    return latest;
}

// The instruction behind the one in progress that uses the value next, as far as can be seen in a few dozens.
ir::ValueId Compiler::next_use(ir::ValueId id) const {
    constexpr ir::ValueId horizon = 64;
    const ir::ValueId end = std::min<ir::ValueId>(at_ + horizon, static_cast<ir::ValueId>(block_->code.size()));
    for (ir::ValueId later = at_ + 1; later < end; later++) {
        bool used = false;
        if (const Windowed& windowed = windowed_[later]; windowed.window != no_window) {
            const Window& window = windows_[windowed.window];
            used = window.base == id || window.addend == id;
        }
        ir::for_each_operand(*block_, block_->code[later], [&](ir::ValueId operand) { used = used || operand == id; });
        if (used) return later;
    }
    return end;
}

// Whether an operand can be taken from memory as it is: there is nothing to be gained by a register.
bool Compiler::in_memory(ir::ValueId id) const {
    const Value& v = values_[id];
    return v.where == Where::stack || (v.where == Where::slot && v.uses == 1);
}

Mem Compiler::memory_of(ir::ValueId id) const {
    const Value& v = values_[id];
    return v.where == Where::stack ? stack_place(v.place) : state(v.place);
}

// Whether all that is done with the result is that the next instruction sign-extends it to 64 bits.
bool Compiler::extended_by_next() const {
    if (values_[at_].uses != 1 || at_ + 1 >= block_->code.size()) return false;
    const ir::Inst& next = block_->code[at_ + 1];
    return next.op == ir::Op::sext && next.a == at_ && next.type == ir::Type::i64;
}

void Compiler::take(Gpr gpr) {
    CHECK((locked_ & bit_of(gpr)) == 0);
    lock(gpr);
    const ir::ValueId id = owner_[number(gpr)];
    if (id == ir::no_value) return;
    const Gpr other = allocate();
    a_.mov(Width::b64, other, gpr);
    owner_[number(gpr)] = ir::no_value;
    owner_[number(other)] = id;
    value(id).gpr = other;
    unlock(other);
}

void Compiler::give(ir::ValueId id, Gpr gpr, bool clean) {
    Value& v = value(id);
    if (v.uses == 0) return;
    if ((reserved_ & bit_of(gpr)) != 0) return read_home(id, v.target, clean);
    CHECK(owner_[number(gpr)] == ir::no_value);
    v.where = Where::gpr;
    v.gpr = gpr;
    v.clean = clean;
    owner_[number(gpr)] = id;
}

void Compiler::back(ir::ValueId id, i32 slot) {
    // Operations change the flags without a set.
    if ((value(id).where != Where::xmm && value(id).where != Where::gpr) || slot == layout_.float_flags) return;
    value(id).backing = slot;
    backed_.push_back(id);
}

void Compiler::lose_backing(i32 offset, unsigned size) {
    std::erase_if(backed_, [&](ir::ValueId id) {
        Value& v = value(id);
        const bool written = v.backing < offset + static_cast<i32>(size) && v.backing + 16 > offset;
        if (written) v.backing = no_slot;
        return v.backing == no_slot;
    });
}

void Compiler::hold(ir::ValueId id) {
    if (type_of(id) == ir::Type::i128)
        locked_xmms_ &= ~(1u << number(vector_source(id)));
    else
        unlock(source(id));
    value(id).backing = no_slot;
}

void Compiler::spill(Gpr gpr) {
    const ir::ValueId id = owner_[number(gpr)];
    Value& v = value(id);
    if (v.backing != no_slot) {
        v.where = Where::slot;
        v.place = v.backing;
        in_slots_.push_back(id);
        owner_[number(gpr)] = ir::no_value;
        return;
    }
    unsigned place = static_cast<unsigned>(std::countr_one(spill_places_));
    if (place >= frame::spill_count) {
        failed_ = true;  // what is made from here on is thrown away
        place = 0;
    }
    spill_places_ |= u64{1} << place;
    v.where = Where::stack;
    v.place = static_cast<i32>(place);
    owner_[number(gpr)] = ir::no_value;
    a_.mov(Width::b64, stack_place(v.place), gpr);
}

void Compiler::load_to(Gpr gpr, ir::ValueId id) {
    const Value& v = value(id);
    i64 constant = 0;
    if (is_constant(id, constant)) {
        // Narrow constants are clean like everything else that is made here.
        const unsigned bits = ir::bits_of(type_of(id));
        a_.mov(Width::b64, gpr, bits == 64 ? constant : static_cast<i64>(static_cast<u64>(constant) & low_mask(bits)));
        return;
    }
    switch (v.where) {
        case Where::gpr:
            if (v.gpr != gpr) a_.mov(Width::b64, gpr, v.gpr);
            return;
        case Where::stack: a_.mov(Width::b64, gpr, stack_place(v.place)); return;
        case Where::home: {
            const Home& home = homes_[static_cast<usize>(v.place)];
            if (home.kind == Promotion::Kind::floating)
                a_.movq(gpr, home.xmm);
            else if (home.gpr != gpr)
                a_.mov(Width::b64, gpr, home.gpr);
            return;
        }
        case Where::slot: {
            const Mem from = state(v.place);
            switch (type_of(id)) {
                case ir::Type::i64: a_.mov(Width::b64, gpr, from); return;
                case ir::Type::i32: a_.mov(Width::b32, gpr, from); return;
                case ir::Type::i16: a_.movzx(Width::b16, gpr, from); return;
                default: a_.movzx(Width::b8, gpr, from); return;
            }
        }
        case Where::xmm:
        case Where::nowhere: break;
    }
    CHECK(false);
}

Gpr Compiler::source(ir::ValueId id) {
    Value& v = value(id);
    if (v.where == Where::gpr) {
        lock(v.gpr);
        return v.gpr;
    }
    if (in_home(id, Promotion::Kind::integer)) return homes_[static_cast<usize>(v.place)].gpr;
    return bring(id);
}

Gpr Compiler::bring(ir::ValueId id) {
    Value& v = value(id);
    const Gpr gpr = allocate();
    load_to(gpr, id);
    i64 ignored = 0;
    if (is_constant(id, ignored)) return gpr;
    if (v.where == Where::stack) spill_places_ &= ~(u64{1} << v.place);
    const bool in_slot = v.where == Where::slot;
    v.where = Where::gpr;
    v.gpr = gpr;
    v.clean = v.clean || in_slot;
    owner_[number(gpr)] = id;
    if (in_slot) back(id, v.place);
    return gpr;
}

Gpr Compiler::clean_source(ir::ValueId id) {
    Value& v = value(id);
    i64 ignored = 0;
    if (v.where == Where::slot || v.clean || is_constant(id, ignored)) return source(id);
    const Gpr gpr = v.where == Where::home ? bring(id) : source(id);
    // Nobody minds: what is above the value has no meaning.
    switch (type_of(id)) {
        case ir::Type::i1: a_.and_(Width::b32, gpr, 1); break;
        case ir::Type::i8: a_.movzx(Width::b8, gpr, gpr); break;
        case ir::Type::i16: a_.movzx(Width::b16, gpr, gpr); break;
        default: a_.mov(Width::b32, gpr, gpr); break;
    }
    v.clean = true;
    return gpr;
}

void Compiler::use(ir::ValueId id) {
    Value& v = value(id);
    CHECK(v.uses > 0);
    if (--v.uses != 0) return;
    if (v.where == Where::gpr) owner_[number(v.gpr)] = ir::no_value;
    if (v.where == Where::stack) spill_places_ &= ~(places_of(id) << v.place);
    if (v.where == Where::xmm) xmm_owner_[number(v.xmm)] = ir::no_value;
    v.where = Where::nowhere;
}

Gpr Compiler::copy_for_writing(ir::ValueId id, ir::ValueId other) {
    const Value& v = value(id);
    if (Home* const home = target(at_, Promotion::Kind::integer);
        home != nullptr && (other == ir::no_value || other == id || !lies_in(other, *home))) {
        const bool there = lies_in(id, *home);
        if (there) use(id);
        evict_readers(*home);
        if (!there) {
            load_to(home->gpr, id);
            use(id);
        }
        return home->gpr;
    }
    if (v.where == Where::gpr && v.uses == 1) {
        const Gpr gpr = v.gpr;
        lock(gpr);
        use(id);
        return gpr;
    }
    const Gpr gpr = allocate();
    load_to(gpr, id);
    use(id);
    return gpr;
}

void Compiler::save_across_call() {
    for (const Gpr gpr : caller_saved)
        if (owner_[number(gpr)] != ir::no_value) spill(gpr);
    spill_xmms();
}

void Compiler::read_before_write(i32 offset, unsigned size) {
    lose_backing(offset, size);
    // What is brought to a register may send another vector back to its slot, which then is one of these.
    for (usize i = 0; i < in_slots_.size();) {
        const ir::ValueId id = in_slots_[i];
        const Value& v = value(id);
        const i32 end = v.place + static_cast<i32>(ir::bytes_of(type_of(id)));
        const bool there = v.where == Where::slot;
        if (there && (v.place >= offset + static_cast<i32>(size) || end <= offset)) {
            i++;
            continue;
        }
        in_slots_[i] = in_slots_.back();
        in_slots_.pop_back();
        if (there) hold(id);
    }
}

}  // namespace viv::jit::x64
