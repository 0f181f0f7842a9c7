// The state's slots, guest memory through the TLB, atomics, and calls of helpers. See compiler.h.
#include <cstddef>

#include "engine/jit/wasm/compiler.h"
#include "engine/lang/check.h"
#include "engine/mem/tlb.h"

namespace viv::jit::wasm {

namespace {

using ir::MemoryAccess;
using ir::Op;
using ir::Type;

Code load_of(Type type) {
    switch (type) {
        case Type::i64: return Code::i64_load;
        case Type::i32: return Code::i32_load;
        case Type::i16: return Code::i32_load16_u;
        default: return Code::i32_load8_u;
    }
}

Code store_of(Type type) {
    switch (type) {
        case Type::i64: return Code::i64_store;
        case Type::i32: return Code::i32_store;
        case Type::i16: return Code::i32_store16;
        default: return Code::i32_store8;
    }
}

}  // namespace

u32 Compiler::state_base(i64 offset) {
    w_.get(state_);
    if (offset >= 0) return static_cast<u32>(offset);
    w_.i32_const(static_cast<u32>(offset));
    w_.op(Code::i32_add);
    return 0;
}

void Compiler::load_state(Type type, i64 offset) {
    const u32 displacement = state_base(offset);
    w_.memory(load_of(type), displacement);
}

void Compiler::load_tlb() {
    const u32 offset = state_base(layout_.tlb);
    w_.memory(Code::i32_load, offset);
    w_.set(tlb_);
}

void Compiler::get(const ir::Inst& inst) {
    Value& value = values_[at_];
    if (value.uses == 0) return;
    if (Home* const home = home_of(inst.imm); home != nullptr) {
        value.where = Where::home;
        value.place = static_cast<u32>(home - homes_.data());
        home_readers_.push_back(at_);
        return;
    }
    load_state(inst.type, static_cast<i64>(inst.imm));
    give();
}

void Compiler::set(const ir::Inst& inst) {
    if (Home* const home = home_of(inst.imm); home != nullptr) {
        // The value itself may be one that is read from there.
        peek(inst.a);
        copy_home_readers(home);
        w_.set(home->local);
        return use(inst.a);
    }
    const u32 offset = state_base(static_cast<i64>(inst.imm));
    push(inst.a);
    w_.memory(store_of(inst.type), offset);
}

void Compiler::find_host(ir::ValueId address, unsigned bytes, MemoryAccess access, Aligned aligned) {
    constexpr unsigned entry_bits = 5;
    static_assert(sizeof(TlbEntry) == 1 << entry_bits);
    w_.get(tlb_);
    peek(address);
    w_.i64_const(page_bits - entry_bits);
    w_.op(Code::i64_shr_u);
    w_.op(Code::i32_wrap_i64);
    w_.i32_const((Tlb::size - 1) << entry_bits);
    w_.op(Code::i32_and);
    w_.op(Code::i32_add);
    w_.tee(entry_);
    w_.memory(Code::i64_load, access == MemoryAccess::store ? offsetof(TlbEntry, write) : offsetof(TlbEntry, read));
    peek(address);
    w_.i64_const(~page_mask | (bytes - 1));
    w_.op(Code::i64_and);
    w_.op(Code::i64_eq);
    open(Code::if_);
    w_.get(entry_);
    w_.memory(Code::i32_load, offsetof(TlbEntry, addend));
    peek(address);
    w_.op(Code::i32_wrap_i64);
    w_.op(Code::i32_add);
    w_.set(host_);
    w_.op(Code::else_);
    w_.get(frame_);
    peek(address);
    w_.i32_const(bytes | (access == MemoryAccess::store ? resolve_bits::store : 0) |
                 (aligned == Aligned::yes ? resolve_bits::aligned : 0));
    w_.i32_const(place_of(&resolve));
    w_.call_indirect(type_resolve);
    w_.tee(host_);
    w_.op(Code::i32_eqz);
    open(Code::if_);
    give_up();
    close();
    close();
}

void Compiler::load(const ir::Inst& inst) {
    find_host(inst.a, ir::bytes_of(inst.type), MemoryAccess::load, Aligned::no);
    use(inst.a);
    w_.get(host_);
    w_.memory(load_of(inst.type), 0);
    give();
}

void Compiler::store(const ir::Inst& inst) {
    find_host(inst.a, ir::bytes_of(inst.type), MemoryAccess::store, Aligned::no);
    use(inst.a);
    w_.get(host_);
    push(inst.b);
    w_.memory(store_of(inst.type), 0);
}

// Harts are run in turn, and not in the middle of code: nothing comes between.
void Compiler::atomic(const ir::Inst& inst) {
    const Type type = inst.type;
    find_host(inst.a, ir::bytes_of(type), MemoryAccess::store, Aligned::yes);
    use(inst.a);
    const u32 before = take_local(type);
    w_.get(host_);
    w_.memory(load_of(type), 0);
    w_.set(before);
    w_.get(host_);
    switch (inst.op) {
        case Op::exchange: push(inst.b); break;
        case Op::compare_exchange:
            push(inst.c);
            w_.get(before);
            w_.get(before);
            push(inst.b);
            w_.op(wide(type) ? Code::i64_eq : Code::i32_eq);
            w_.op(Code::select);
            break;
        default: {
            const Op op = static_cast<Op>(inst.imm);
            const auto compared = [&](Code narrow_code, Code wide_code) {
                w_.get(before);
                peek(inst.b);
                w_.get(before);
                push(inst.b);
                w_.op(wide(type) ? wide_code : narrow_code);
                w_.op(Code::select);
            };
            switch (op) {
                case Op::minu: compared(Code::i32_lt_u, Code::i64_lt_u); break;
                case Op::maxu: compared(Code::i32_gt_u, Code::i64_gt_u); break;
                case Op::mins: compared(Code::i32_lt_s, Code::i64_lt_s); break;
                case Op::maxs: compared(Code::i32_gt_s, Code::i64_gt_s); break;
                default:
                    w_.get(before);
                    push(inst.b);
                    operate(op, type);
                    break;
            }
            break;
        }
    }
    w_.memory(store_of(type), 0);
    w_.get(before);
    free_locals_[wide(type)].push_back(before);
    give();
}

void Compiler::physical(const ir::Inst& inst) {
    find_host(inst.a, ir::bytes_of(inst.type), static_cast<MemoryAccess>(inst.imm), Aligned::yes);
    w_.get(entry_);
    w_.memory(Code::i64_load, offsetof(TlbEntry, physical));
    push(inst.a);
    w_.i64_const(page_mask);
    w_.op(Code::i64_and);
    w_.op(Code::i64_or);
    give();
}

void Compiler::call(const ir::Inst& inst) {
    const ir::Call& call = block_->calls[inst.imm];
    const bool writes = (call.effects & ir::effect_writes_state) != 0;
    const bool leaves = (call.effects & ir::effect_may_leave) != 0;
    if (writes) copy_home_readers(nullptr);
    if (writes || leaves || (call.effects & ir::effect_reads_state) != 0) write_back();
    // Helpers ask how many instructions have been executed, and may change the budget.
    const u32 rest = guest_count_ - guest_index_;
    const u32 offset = state_base(layout_.budget);
    w_.get(budget_);
    w_.i64_const(rest);
    w_.op(Code::i64_add);
    w_.memory(Code::i64_store, offset);
    w_.get(state_);
    w_.i32_const(static_cast<u32>(static_cast<u8*>(layout_.cpu) - layout_.state));
    w_.op(Code::i32_add);
    for (const ir::ValueId argument : call.arguments) {
        if (argument != ir::no_value)
            push(argument);
        else
            w_.i64_const(0);
    }
    w_.i32_const(place_of(call.helper.function));
    w_.call_indirect(type_helper);
    w_.set(wide_);
    load_state(Type::i64, layout_.budget);
    w_.i64_const(rest);
    w_.op(Code::i64_sub);
    w_.set(budget_);
    if (leaves) {
        w_.get(wide_);
        w_.op(Code::i64_eqz);
        open(Code::if_);
        leave_by(add_exit(ExitKind::left, 0, rest - 1), Target::plain);
        close();
    }
    // Another address space or mode has another TLB.
    if (writes) {
        load_tlb();
        read_homes();
    }
    w_.get(wide_);
    give();
}

}  // namespace viv::jit::wasm
