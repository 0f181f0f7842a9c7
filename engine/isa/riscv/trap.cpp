// Traps: exceptions, interrupts, and the returns from them.
// Specification: RISC-V Privileged ISA 20240411, chapters 3.1.6 to 3.1.9, 3.1.15, 3.1.16, 10.1.
#include <array>

#include "engine/isa/riscv/hart.h"

namespace viv::riscv {

void Hart::enter_trap(Privilege to, u64 cause, u64 epc, u64 tval) {
    const bool interrupt = (cause >> 63) != 0;
    const u64 code = cause & low_mask(63);
    const u64 shown_cause = interrupt ? code | u64{1} << (config_.xlen - 1) : code;
    u64 status = s.mstatus;
    u64 vector = 0;
    if (to == Privilege::supervisor) {
        s.scause = shown_cause;
        s.sepc = epc;
        s.stval = tval;
        vector = s.stvec;
        const u64 enabled = status & mstatus::sie;
        status &= ~(mstatus::sie | mstatus::spie | mstatus::spp);
        if (enabled != 0) status |= mstatus::spie;
        if (s.privilege == Privilege::supervisor) status |= mstatus::spp;
    } else {
        s.mcause = shown_cause;
        s.mepc = epc;
        s.mtval = tval;
        vector = s.mtvec;
        s.tcontrol = (s.tcontrol & trigger::mte) != 0 ? trigger::mpte : 0;
        const u64 enabled = status & mstatus::mie;
        status &= ~(mstatus::mie | mstatus::mpie | mstatus::mpp);
        if (enabled != 0) status |= mstatus::mpie;
        status |= static_cast<u64>(s.privilege) << mstatus::mpp_shift;
    }
    s.mstatus = status;
    s.privilege = to;
    const bool vectored = (vector & 3) == 1;
    s.pc = (vector & ~u64{3}) + (vectored && interrupt ? 4 * code : 0);
    update_contexts();
}

bool Hart::raise(Cause cause, u64 tval) {
    const u64 epc = current_ != nullptr ? current_pc() : s.pc;
    const u64 code = static_cast<u64>(cause);
    const bool delegated = s.privilege != Privilege::machine && (s.medeleg >> code & 1) != 0;
    s.trapped++;
    enter_trap(delegated ? Privilege::supervisor : Privilege::machine, code, epc,
               config_.xlen == 32 ? tval & 0xffff'ffff : tval);
    return false;
}

bool Hart::raise_illegal() {
    // tval shows the instruction; it was fetched a moment ago, so it can be read unless another hart has just unmapped
    // it.
    u8 bytes[4] = {};
    if (read_memory(current_pc(), std::span<u8>(bytes, 2)) && instruction_length(bytes) == 4)
        if (!read_memory(current_pc() + 2, std::span<u8>(bytes + 2, 2))) bytes[2] = bytes[3] = 0;
    const u64 word = bytes[0] | u64{bytes[1]} << 8 | u64{bytes[2]} << 16 | u64{bytes[3]} << 24;
    return raise(Cause::illegal, word);
}

u64 Hart::pending() const {
    // With Sstc for supervisors the bit follows the comparator alone.
    constexpr u64 menvcfg_stce = u64{1} << 63;
    const u64 sti = u64{1} << irq_sti;
    const u64 lines = lines_.load(std::memory_order_acquire);
    u64 result = s.mip | lines | soft_pending_.load(std::memory_order_acquire);
    if ((s.menvcfg & menvcfg_stce) != 0)
        result = (result & ~sti) | (lines & sti);
    else
        result = (result & ~sti) | ((s.mip | soft_pending_.load(std::memory_order_acquire)) & sti);
    return result;
}

Hart::Interrupts Hart::interrupts_to_take() const {
    const u64 ready = pending() & s.mie;
    if (ready == 0) return {};
    const bool machine_enabled = s.privilege != Privilege::machine || (s.mstatus & mstatus::mie) != 0;
    const bool supervisor_enabled =
        s.privilege == Privilege::user || (s.privilege == Privilege::supervisor && (s.mstatus & mstatus::sie) != 0);
    return {machine_enabled ? ready & ~s.mideleg : 0, supervisor_enabled ? ready & s.mideleg : 0};
}

bool Hart::take_interrupt() {
    const auto [for_machine, for_supervisor] = interrupts_to_take();
    const u64 chosen = for_machine != 0 ? for_machine : for_supervisor;
    if (chosen == 0) return false;
    static constexpr std::array<u8, 6> order{irq_mei, irq_msi, irq_mti, irq_sei, irq_ssi, irq_sti};
    for (const u8 code : order) {
        if ((chosen >> code & 1) == 0) continue;
        enter_trap(for_machine != 0 ? Privilege::machine : Privilege::supervisor, u64{1} << 63 | code, s.pc, 0);
        return true;
    }
    return false;
}

bool Hart::return_from_trap(Privilege from) {
    if (s.privilege < from) return raise_illegal();
    if (from == Privilege::supervisor && s.privilege == Privilege::supervisor && (s.mstatus & mstatus::tsr) != 0)
        return raise_illegal();
    u64 status = s.mstatus;
    Privilege to = Privilege::user;
    if (from == Privilege::machine) {
        to = static_cast<Privilege>(status >> mstatus::mpp_shift & 3);
        const bool enable = (status & mstatus::mpie) != 0;
        status &= ~(mstatus::mie | mstatus::mpp);
        status |= mstatus::mpie | (enable ? mstatus::mie : 0);
        s.pc = s.mepc;
        s.tcontrol = (s.tcontrol & trigger::mpte) != 0 ? trigger::mpte | trigger::mte : 0;
    } else {
        to = (status & mstatus::spp) != 0 ? Privilege::supervisor : Privilege::user;
        const bool enable = (status & mstatus::spie) != 0;
        status &= ~(mstatus::sie | mstatus::spp);
        status |= mstatus::spie | (enable ? mstatus::sie : 0);
        s.pc = s.sepc;
    }
    if (to != Privilege::machine) status &= ~mstatus::mprv;
    s.mstatus = status;
    s.privilege = to;
    update_contexts();
    return true;
}

}  // namespace viv::riscv
