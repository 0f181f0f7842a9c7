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

constexpr unsigned entry_bits = 5;
static_assert(sizeof(TlbEntry) == 1 << entry_bits);
constexpr i32 tag_of(MemoryAccess access) {
    return static_cast<i32>(access == MemoryAccess::load ? offsetof(TlbEntry, read) : offsetof(TlbEntry, write));
}
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
    a_.mov(Width::b64, entry, address);
    a_.shr(Width::b64, entry, page_bits - entry_bits);
    a_.and_(Width::b32, entry, i64{(Tlb::size - 1) << entry_bits});
    // Without need of alignment, the last byte must lie in the same page.
    if (aligned == Aligned::no && bytes > 1)
        a_.lea(Width::b64, tag, at(address, static_cast<i32>(bytes) - 1));
    else
        a_.mov(Width::b64, tag, address);
    const i64 kept =
        aligned == Aligned::yes ? static_cast<i64>(~page_mask | (bytes - 1)) : static_cast<i64>(~page_mask);
    a_.and_(Width::b64, tag, kept);
    a_.cmp(Width::b64, tag, at(Gpr::r15, entry, 1, tag_of(access)));
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
    const Mem from = host_memory(inst.a, ir::bytes_of(inst.type), MemoryAccess::load, Aligned::no);
    use(inst.a);
    const Gpr to = from.base;  // the entry's register is not needed any more
    // A load whose value only the sign extension behind it uses.
    if (at_ + 1 < block_->code.size() && value(at_).uses == 1 && w != Width::b64) {
        const ir::Inst& next = block_->code[at_ + 1];
        if (next.op == Op::sext && next.a == at_ && next.type == Type::i64) {
            a_.movsx(Width::b64, w, to, from);
            at_++;
            return give(at_, to, true);
        }
    }
    if (w == Width::b64 || w == Width::b32)
        a_.mov(w, to, from);
    else
        a_.movzx(w, to, from);
    give(at_, to, true);
}

void Compiler::store(const ir::Inst& inst) {
    const Width w = width_of(inst.type);
    i64 constant = 0;
    if (is_constant(inst.b, constant) && constant == static_cast<i32>(constant)) {
        const Mem to = host_memory(inst.a, ir::bytes_of(inst.type), MemoryAccess::store, Aligned::no);
        a_.mov(w, to, constant);
    } else {
        const Gpr datum = source(inst.b);
        const Mem to = host_memory(inst.a, ir::bytes_of(inst.type), MemoryAccess::store, Aligned::no);
        a_.mov(w, to, datum);
    }
    use(inst.a);
    use(inst.b);
}

void Compiler::atomic(const ir::Inst& inst) {
    const Width w = width_of(inst.type);
    const unsigned bytes = ir::bytes_of(inst.type);
    if (inst.op == Op::compare_exchange) {
        take(Gpr::rax);
        load_to(Gpr::rax, inst.b);
        const Gpr desired = source(inst.c);
        const Mem memory = host_memory(inst.a, bytes, MemoryAccess::store, Aligned::yes);
        a_.lock_cmpxchg(w, memory, desired);
        use(inst.a);
        use(inst.b);
        use(inst.c);
        if (w == Width::b32) a_.mov(w, Gpr::rax, Gpr::rax);
        return give(at_, Gpr::rax, true);
    }
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
        for (const ir::ValueId id : in_slots_) {
            if (value(id).where != Where::slot) continue;
            source(id);
            release();
        }
        in_slots_.clear();
    }
    save_across_call();
    if ((call.effects & (ir::effect_reads_state | ir::effect_writes_state)) != 0) merge_float();
    for (usize i = 0; i < std::size(arguments) && call.arguments[i] != ir::no_value; i++) {
        load_to(arguments[i], call.arguments[i]);
        use(call.arguments[i]);
    }
    // Helpers ask how many instructions have been executed, and may change the budget.
    const i32 rest = static_cast<i32>(guest_count_ - guest_index_);
    a_.lea(Width::b64, Gpr::rax, at(Gpr::r12, rest));
    a_.mov(Width::b64, at(Gpr::rbp, layout_.budget), Gpr::rax);
    a_.lea(Width::b64, Gpr::rdi, at(Gpr::rbp, static_cast<i32>(static_cast<u8*>(layout_.cpu) - layout_.state)));
    a_.call_absolute(reinterpret_cast<u64>(call.helper.function));
    a_.mov(Width::b64, Gpr::r12, at(Gpr::rbp, layout_.budget));
    a_.sub(Width::b64, Gpr::r12, i64{rest});
    if ((call.effects & ir::effect_may_leave) != 0) {
        const Label left = a_.make_label();
        pending_exits_.push_back({left, add_exit(ExitKind::left, 0, static_cast<u32>(rest) - 1)});
        a_.test(Width::b64, Gpr::rax, Gpr::rax);
        a_.jcc(Condition::e, left);
    }
    give(at_, Gpr::rax, true);
}

}  // namespace viv::jit::x64
