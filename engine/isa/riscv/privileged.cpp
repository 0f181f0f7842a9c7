// Bodies of the system instructions. See privileged.h.
#include "engine/isa/riscv/privileged.h"

#include <cstring>

namespace viv::riscv {

bool Hart::environment_call() {
    switch (s.privilege) {
        case Privilege::user: return raise(Cause::ecall_user, 0);
        case Privilege::supervisor:
            if (wiring_.supervisor_calls == nullptr) return raise(Cause::ecall_supervisor, 0);
            wiring_.supervisor_calls->call(*this);
            return true;
        case Privilege::machine: break;
    }
    return raise(Cause::ecall_machine, 0);
}

bool Hart::environment_break() { return raise(Cause::breakpoint, current_pc()); }

bool Hart::wait_for_interrupt() {
    if (s.privilege != Privilege::machine && (s.mstatus & mstatus::tw) != 0) return raise_illegal();
    s.waiting = !interrupt_ready();
    return true;
}

bool Hart::fence_translation(u64 address, bool has_address, u64 asid, bool has_asid) {
    if (s.privilege == Privilege::user) return raise_illegal();
    if (s.privilege == Privilege::supervisor && (s.mstatus & mstatus::tvm) != 0) return raise_illegal();
    flush_tlb(has_address ? address : ~u64{0}, has_asid ? asid & (config_.xlen == 64 ? 0xffff : 0x1ff) : ~u64{0});
    return true;
}

void Hart::end_slice() { attention.store(true, std::memory_order_relaxed); }

namespace system {

namespace {

// Cache-block size of Zicbom and Zicboz, as the device tree says.
constexpr u64 cache_block = 64;

constexpr u64 envcfg_cbie = 3 << 4, envcfg_cbcfe = 1 << 6, envcfg_cbze = 1 << 7;

bool enabled(const Hart& hart, u64 field) {
    if (hart.s.privilege == Privilege::machine) return true;
    if ((hart.s.menvcfg & field) == 0) return false;
    return hart.s.privilege == Privilege::supervisor || (hart.s.senvcfg & field) != 0;
}

// There are no caches: the operation only checks that the block may be accessed at all.
bool manage_block(Hart& hart, u32 word, u64 field) {
    if (!enabled(hart, field)) return hart.raise_illegal();
    return hart.probe(hart.s.x[reg(word, 15)] & ~(cache_block - 1), 1, AccessKind::load);
}

enum class CsrOperation : u8 { write, set, clear };

bool csr(Hart& hart, u32 word, CsrOperation operation, u64 operand, bool writes, bool reads) {
    const WordFields f{word};
    const u16 number = static_cast<u16>(word >> 20);
    // The top bits say which numbers are read-only.
    if (writes && number >> 10 == 3) return hart.raise_illegal();
    u64 old = 0;
    if (reads || operation != CsrOperation::write) {
        if (!hart.read_csr(number, old, writes)) return false;
    }
    if (writes) {
        const u64 base = hart.writable_part(number, old);
        const u64 value = operation == CsrOperation::write ? operand
                          : operation == CsrOperation::set ? base | operand
                                                           : base & ~operand;
        if (!hart.write_csr(number, value)) return false;
    }
    hart.s.x[f.x_rd()] = old;
    return true;
}

}  // namespace

bool ecall(Hart& hart, u32) { return hart.environment_call(); }
bool ebreak(Hart& hart, u32) { return hart.environment_break(); }
bool sret(Hart& hart, u32) { return hart.return_from_trap(Privilege::supervisor); }
bool mret(Hart& hart, u32) { return hart.return_from_trap(Privilege::machine); }
bool wfi(Hart& hart, u32) { return hart.wait_for_interrupt(); }
bool sfence_vma(Hart& hart, u32 word) {
    const WordFields f{word};
    return hart.fence_translation(hart.s.x[f.rs1()], f.rs1() != 0, hart.s.x[f.rs2()], f.rs2() != 0);
}
bool sfence_ordering(Hart& hart, u32) { return hart.s.privilege == Privilege::user ? hart.raise_illegal() : true; }

bool csrrw(Hart& hart, u32 word) {
    return csr(hart, word, CsrOperation::write, hart.s.x[reg(word, 15)], true, reg(word, 7) != 0);
}
bool csrrs(Hart& hart, u32 word) {
    return csr(hart, word, CsrOperation::set, hart.s.x[reg(word, 15)], reg(word, 15) != 0, true);
}
bool csrrc(Hart& hart, u32 word) {
    return csr(hart, word, CsrOperation::clear, hart.s.x[reg(word, 15)], reg(word, 15) != 0, true);
}
bool csrrwi(Hart& hart, u32 word) {
    return csr(hart, word, CsrOperation::write, reg(word, 15), true, reg(word, 7) != 0);
}
bool csrrsi(Hart& hart, u32 word) {
    return csr(hart, word, CsrOperation::set, reg(word, 15), reg(word, 15) != 0, true);
}
bool csrrci(Hart& hart, u32 word) {
    return csr(hart, word, CsrOperation::clear, reg(word, 15), reg(word, 15) != 0, true);
}

bool cbo_inval(Hart& hart, u32 word) { return manage_block(hart, word, envcfg_cbie); }
bool cbo_clean(Hart& hart, u32 word) { return manage_block(hart, word, envcfg_cbcfe); }
bool cbo_flush(Hart& hart, u32 word) { return manage_block(hart, word, envcfg_cbcfe); }
bool cbo_zero(Hart& hart, u32 word) {
    if (!enabled(hart, envcfg_cbze)) return hart.raise_illegal();
    const u64 address = hart.s.x[reg(word, 15)] & ~(cache_block - 1);
    u64 physical = 0;
    u8* block = hart.atomic_pointer(address, cache_block, AccessKind::store, trigger::store, physical);
    if (block == nullptr) return false;
    std::memset(block, 0, cache_block);
    hart.wrote_atomically(physical, cache_block);
    return true;
}

}  // namespace system

}  // namespace viv::riscv
