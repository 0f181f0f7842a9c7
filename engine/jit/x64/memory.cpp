// Guest memory through the TLB, atomics, and calls of helpers. See compiler.h.
#include <bit>
#include <cstddef>

#include "engine/ir/op_info.h"
#include "engine/jit/x64/compiler.h"
#include "engine/jit/x64/frame.h"
#include "engine/lang/check.h"

namespace viv::jit::x64 {

namespace {

using ir::MemoryAccess;
using ir::Op;
using ir::Type;

constexpr i32 addend = offsetof(TlbEntry, addend), physical_page = offsetof(TlbEntry, physical);

Width width_of(Type type) {
    switch (type) {
        case Type::i64: return Width::b64;
        case Type::i32: return Width::b32;
        case Type::i16: return Width::b16;
        default: return Width::b8;
    }
}

}  // namespace

// The offset of the entry that holds the page of `address`, after the TLB has been asked.
Gpr Compiler::tlb_entry(Gpr address, unsigned bytes, MemoryAccess access, Aligned aligned) {
    const Label slow = a_.make_label(), retry = a_.make_label();
    const Gpr entry = allocate(), tag = allocate();
    a_.bind(retry);
    // Without need of alignment, the last byte must lie in the same page.
    const bool crossing = aligned == Aligned::no;
    ask_tlb(address, 0, crossing ? static_cast<i32>(bytes) - 1 : 0, crossing ? 1 : bytes, access, entry, tag);
    a_.jcc(Condition::ne, slow);
    slow_.push_back({slow, retry, give_up(), address, frame::fill_thunk(bytes, access == MemoryAccess::store),
                     aligned == Aligned::yes ? bytes : 1});
    unlock(tag);
    return entry;
}

Mem Compiler::host_memory(ir::ValueId address, unsigned bytes, MemoryAccess access, Aligned aligned) {
    const Gpr virtual_address = source(address);
    const Gpr entry = tlb_entry(virtual_address, bytes, access, aligned);
    a_.mov(Width::b64, entry, at(Gpr::r15, entry, 1, addend));
    return at(entry, virtual_address);
}

void Compiler::load(const ir::Inst& inst) {
    const Width w = width_of(inst.type);
    const unsigned bytes = ir::bytes_of(inst.type);
    const Place place = find_place(inst.a, bytes, MemoryAccess::load);
    if (Home* const home = target(at_, Promotion::Kind::floating); home != nullptr && w == Width::b64) {
        evict_readers(*home);
        access_place(place, bytes, MemoryAccess::load, none_free,
                     [this, to = home->xmm](Mem from) { a_.movsd(to, from); });
        return read_home(at_, value(at_).target, true);
    }
    // A load whose value only the sign extension behind it uses.
    const bool sign = w != Width::b64 && extended_by_next();
    if (sign) at_++;
    // The entry's register is not needed any more.
    const bool in_home = target(at_, Promotion::Kind::integer) != nullptr;
    const Gpr to = in_home || place.windowed ? result_register() : place.memory.base;
    access_place(place, bytes, MemoryAccess::load, to, [this, w, sign, to](Mem from) {
        if (sign)
            a_.movsx(Width::b64, w, to, from);
        else if (w == Width::b64 || w == Width::b32)
            a_.mov(w, to, from);
        else
            a_.movzx(w, to, from);
    });
    give(at_, to, true);
}

void Compiler::store(const ir::Inst& inst) {
    const Width w = width_of(inst.type);
    const unsigned bytes = ir::bytes_of(inst.type);
    std::function<void(Mem)> access;
    i64 constant = 0;
    if (is_constant(inst.b, constant) && constant == static_cast<i32>(constant)) {
        access = [this, w, constant](Mem to) { a_.mov(w, to, constant); };
    } else if (in_home(inst.b, Promotion::Kind::floating) && (w == Width::b64 || w == Width::b32)) {
        access = [this, w, datum = homes_[static_cast<usize>(value(inst.b).place)].xmm](Mem to) {
            w == Width::b64 ? a_.movsd(to, datum) : a_.movss(to, datum);
        };
    } else {
        access = [this, w, datum = source(inst.b)](Mem to) { a_.mov(w, to, datum); };
    }
    const Place place = find_place(inst.a, bytes, MemoryAccess::store);
    access_place(place, bytes, MemoryAccess::store, none_free, std::move(access));
    use(inst.b);
}

void Compiler::atomic(const ir::Inst& inst) {
    const Width w = width_of(inst.type);
    const unsigned bytes = ir::bytes_of(inst.type);
    if (inst.op == Op::compare_exchange) {
        take(Gpr::rax);
        const Mem memory = host_memory(inst.a, bytes, MemoryAccess::store, Aligned::yes);
        load_to(Gpr::rax, inst.b);
        const Gpr desired = source(inst.c);
        a_.lock_cmpxchg(w, memory, desired);
        use(inst.a);
        use(inst.b);
        use(inst.c);
        if (w == Width::b32) a_.mov(w, Gpr::rax, Gpr::rax);
        return give(at_, Gpr::rax, true);
    }
    if (inst.op == Op::fetch_op && static_cast<Op>(inst.imm) != Op::add) return fetch_by_loop(inst);
    // The operand must outlive the exit that a miss is, so it is copied.
    const Gpr operand = allocate();
    load_to(operand, inst.b);
    const Mem memory = host_memory(inst.a, bytes, MemoryAccess::store, Aligned::yes);
    if (inst.op == Op::exchange)
        a_.xchg(w, memory, operand);
    else
        a_.lock_xadd(w, memory, operand);
    use(inst.a);
    use(inst.b);
    give(at_, operand, true);
}

// What the host has no instruction for that tells what was there: tried until nobody has come between.
void Compiler::fetch_by_loop(const ir::Inst& inst) {
    const Width w = width_of(inst.type);
    const Op op = static_cast<Op>(inst.imm);
    take(Gpr::rax);
    const Mem place = host_memory(inst.a, ir::bytes_of(inst.type), MemoryAccess::store, Aligned::yes);
    const Mem memory = at(place.base);
    a_.add(Width::b64, place.base, place.index);
    use(inst.a);
    unlock(place.index);
    const Gpr operand = source(inst.b);
    const Gpr changed = allocate();
    const Label again = a_.make_label();
    a_.mov(w, Gpr::rax, memory);
    a_.bind(again);
    a_.mov(w, changed, Gpr::rax);
    switch (op) {
        case Op::sub: a_.sub(w, changed, operand); break;
        case Op::and_: a_.and_(w, changed, operand); break;
        case Op::or_: a_.or_(w, changed, operand); break;
        case Op::xor_: a_.xor_(w, changed, operand); break;
        default:
            a_.cmp(w, changed, operand);
            a_.cmovcc(takes_second(op), w, changed, operand);
            break;
    }
    a_.lock_cmpxchg(w, memory, changed);
    a_.jcc(Condition::ne, again, Reach::rel8);
    if (w == Width::b32) a_.mov(w, Gpr::rax, Gpr::rax);
    use(inst.b);
    give(at_, Gpr::rax, true);
}

void Compiler::physical(const ir::Inst& inst) {
    const MemoryAccess access = static_cast<MemoryAccess>(inst.imm);
    const Gpr address = source(inst.a);
    const Gpr entry = tlb_entry(address, ir::bytes_of(inst.type), access, Aligned::yes);
    a_.mov(Width::b64, entry, at(Gpr::r15, entry, 1, physical_page));
    const Gpr offset = allocate();
    a_.mov(Width::b32, offset, address);
    a_.and_(Width::b32, offset, i64{page_mask});
    a_.or_(Width::b64, entry, offset);
    use(inst.a);
    give(at_, entry, true);
}

void Compiler::call(const ir::Inst& inst) {
    static constexpr Gpr arguments[] = {Gpr::rsi, Gpr::rdx, Gpr::rcx, Gpr::r8};
    const ir::Call& call = block_->calls[inst.imm];
    if ((call.effects & ir::effect_writes_state) != 0) {
        for (const ir::ValueId id : backed_) value(id).backing = no_slot;
        backed_.clear();
        for (const ir::ValueId id : in_slots_) {
            if (value(id).where != Where::slot) continue;
            hold(id);
        }
        in_slots_.clear();
    }
    save_homes_across_call(call.effects);
    save_across_call();
    if ((call.effects & (ir::effect_reads_state | ir::effect_writes_state)) != 0) merge_float();
    for (usize i = 0; i < std::size(arguments) && call.arguments[i] != ir::no_value; i++) {
        load_to(arguments[i], call.arguments[i]);
        use(call.arguments[i]);
    }
    // Helpers ask how many instructions have been executed, and may change the budget.
    const i32 rest = static_cast<i32>(guest_count_ - guest_index_);
    a_.lea(Width::b64, Gpr::rax, at(Gpr::r12, rest));
    a_.mov(Width::b64, state(layout_.budget), Gpr::rax);
    a_.lea(Width::b64, Gpr::rdi, state(static_cast<u8*>(layout_.cpu) - layout_.state));
    a_.call_absolute(reinterpret_cast<u64>(call.helper.function));
    a_.mov(Width::b64, Gpr::r12, state(layout_.budget));
    a_.sub(Width::b64, Gpr::r12, i64{rest});
    if ((call.effects & ir::effect_may_leave) != 0) {
        const Label left = a_.make_label();
        pending_exits_.push_back({left, add_exit(ExitKind::left, 0, static_cast<u32>(rest) - 1), Homes::written_back});
        a_.test(Width::b64, Gpr::rax, Gpr::rax);
        a_.jcc(Condition::e, left);
    }
    // Another address space or mode has another TLB.
    if ((call.effects & ir::effect_writes_state) != 0) a_.mov(Width::b64, Gpr::r15, state(layout_.tlb));
    restore_homes_after_call(call.effects);
    if (gathers_throughout_) activate_float();
    give(at_, Gpr::rax, true);
}

}  // namespace viv::jit::x64
