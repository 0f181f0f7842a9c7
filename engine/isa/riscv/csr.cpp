// Control and status registers: access rights, WARL fields, side effects.
// Specification: RISC-V Privileged ISA 20240411, chapters 2, 3.1, 10.1; Sstc 1.0; Zkr (seed); Sdtrig 1.0. What is not
// named here is an illegal instruction.
#include <algorithm>

#include "engine/isa/riscv/hart.h"

namespace viv::riscv {

namespace {

enum Csr : u16 {
    csr_fflags = 0x001,
    csr_frm = 0x002,
    csr_fcsr = 0x003,
    csr_vstart = 0x008,
    csr_vxsat = 0x009,
    csr_vxrm = 0x00a,
    csr_vcsr = 0x00f,
    csr_seed = 0x015,
    csr_sstatus = 0x100,
    csr_sie = 0x104,
    csr_stvec = 0x105,
    csr_scounteren = 0x106,
    csr_senvcfg = 0x10a,
    csr_sscratch = 0x140,
    csr_sepc = 0x141,
    csr_scause = 0x142,
    csr_stval = 0x143,
    csr_sip = 0x144,
    csr_stimecmp = 0x14d,
    csr_stimecmph = 0x15d,
    csr_satp = 0x180,
    csr_mstatus = 0x300,
    csr_misa = 0x301,
    csr_medeleg = 0x302,
    csr_mideleg = 0x303,
    csr_mie = 0x304,
    csr_mtvec = 0x305,
    csr_mcounteren = 0x306,
    csr_menvcfg = 0x30a,
    csr_mstatush = 0x310,
    csr_medelegh = 0x312,
    csr_menvcfgh = 0x31a,
    csr_mcountinhibit = 0x320,
    csr_mhpmevent3 = 0x323,
    csr_mhpmevent31 = 0x33f,
    csr_mscratch = 0x340,
    csr_mepc = 0x341,
    csr_mcause = 0x342,
    csr_mtval = 0x343,
    csr_mip = 0x344,
    csr_pmpcfg0 = 0x3a0,
    csr_pmpcfg15 = 0x3af,
    csr_pmpaddr0 = 0x3b0,
    csr_pmpaddr63 = 0x3ef,
    csr_mseccfg = 0x747,
    csr_mseccfgh = 0x757,
    csr_tselect = 0x7a0,
    csr_tdata1 = 0x7a1,
    csr_tdata2 = 0x7a2,
    csr_tdata3 = 0x7a3,
    csr_tinfo = 0x7a4,
    csr_tcontrol = 0x7a5,
    csr_mcycle = 0xb00,
    csr_minstret = 0xb02,
    csr_mhpmcounter31 = 0xb1f,
    csr_mcycleh = 0xb80,
    csr_minstreth = 0xb82,
    csr_mhpmcounter31h = 0xb9f,
    csr_cycle = 0xc00,
    csr_time = 0xc01,
    csr_instret = 0xc02,
    csr_hpmcounter31 = 0xc1f,
    csr_vl = 0xc20,
    csr_vtype = 0xc21,
    csr_vlenb = 0xc22,
    csr_cycleh = 0xc80,
    csr_timeh = 0xc81,
    csr_instreth = 0xc82,
    csr_hpmcounter31h = 0xc9f,
    csr_mvendorid = 0xf11,
    csr_marchid = 0xf12,
    csr_mimpid = 0xf13,
    csr_mhartid = 0xf14,
    csr_mconfigptr = 0xf15,
};

constexpr u64 supervisor_interrupts = u64{1} << irq_ssi | u64{1} << irq_sti | u64{1} << irq_sei;
constexpr u64 machine_interrupts = u64{1} << irq_msi | u64{1} << irq_mti | u64{1} << irq_mei;
constexpr u64 delegable_exceptions = 0xb3ff;  // all but environment calls from machine mode and reserved codes
constexpr u64 sstatus_mask =
    mstatus::sie | mstatus::spie | mstatus::spp | mstatus::vs | mstatus::fs | mstatus::sum | mstatus::mxr;
constexpr u64 mstatus_mask = sstatus_mask | mstatus::mie | mstatus::mpie | mstatus::mpp | mstatus::mprv | mstatus::tvm |
                             mstatus::tw | mstatus::tsr;
constexpr u64 menvcfg_stce = u64{1} << 63, menvcfg_pbmte = u64{1} << 62;
constexpr u64 senvcfg_mask = 1 | 0x30 | 0x40 | 0x80;  // FIOM, CBIE, CBCFE, CBZE
constexpr u64 menvcfg_mask = senvcfg_mask | menvcfg_stce | menvcfg_pbmte;
constexpr u64 mseccfg_useed = 1 << 8, mseccfg_sseed = 1 << 9;
constexpr u64 counter_inhibit_mask = 5;  // cycle and instret
constexpr u64 pmpaddr_mask = low_mask(54);
constexpr u64 tinfo = 1 << 24 | 1 << 15 | 1 << 6;  // version 1.0; types mcontrol6 and disabled

constexpr u64 misa_extensions(bool vector) {
    u64 bits = 0;
    for (const char letter : {'A', 'B', 'C', 'D', 'F', 'I', 'M', 'S', 'U'}) bits |= u64{1} << (letter - 'A');
    return bits | (vector ? u64{1} << ('V' - 'A') : 0);
}

// CBIE = 2 is reserved.
u64 legal_envcfg(u64 value, u64 old) { return (value & 0x30) == 0x20 ? (value & ~u64{0x30}) | (old & 0x30) : value; }

u64 write_half(u64 old, u64 half, bool high) {
    return high ? (old & 0xffff'ffff) | half << 32 : (old & ~u64{0xffff'ffff}) | (half & 0xffff'ffff);
}

}  // namespace

u64 Hart::status_for(u64 mask) const {
    u64 value = s.mstatus & mask;
    if ((value & mstatus::fs) == mstatus::fs || (value & mstatus::vs) == mstatus::vs) value |= dirty_bit();
    if (config_.xlen == 64) value |= mask == mstatus_mask ? (u64{2} << 32 | u64{2} << 34) : u64{2} << 32;
    return value;
}

void Hart::set_mstatus(u64 value, u64 mask) {
    u64 updated = (s.mstatus & ~mask) | (value & mask);
    if ((updated & mstatus::mpp) == u64{2} << mstatus::mpp_shift)
        updated = (updated & ~mstatus::mpp) | (s.mstatus & mstatus::mpp);
    if (config_.vlen == 0) updated &= ~mstatus::vs;
    constexpr u64 of_contexts = mstatus::sum | mstatus::mxr | mstatus::mprv | mstatus::mpp;
    const bool same = ((updated ^ s.mstatus) & of_contexts) == 0;
    s.mstatus = updated;
    if (!same) update_contexts();
}

bool Hart::counter_visible(unsigned number) const {
    if (s.privilege == Privilege::machine) return true;
    if ((s.mcounteren >> number & 1) == 0) return false;
    return s.privilege == Privilege::supervisor || (s.scounteren >> number & 1) != 0;
}

u64 Hart::legal_satp(u64 value) const {
    if (config_.xlen == 32) return value & 0xffff'ffff;
    const u64 mode = value >> 60;
    if (mode == 0) return value & ~(u64{15} << 60);
    const bool supported = mode >= 8 && mode <= 5 + config_.maximum_levels;
    return supported ? value : s.satp;
}

void Hart::update_timer() {
    if ((s.menvcfg & menvcfg_stce) == 0) {
        timer_->cancel();
        lines_.fetch_and(~(u64{1} << irq_sti));
        return;
    }
    if (wiring_.time.ticks() >= s.stimecmp) {
        timer_->cancel();
        lines_.fetch_or(u64{1} << irq_sti);
    } else {
        lines_.fetch_and(~(u64{1} << irq_sti));
        timer_->arm(wiring_.time.deadline_ns(s.stimecmp));
    }
}

void Hart::write_pmpcfg(unsigned first, u64 value, unsigned count) {
    for (unsigned i = 0; i < count && first + i < pmp_entries; i++) {
        const u8 wanted = static_cast<u8>(value >> (8 * i)) & 0x9f;
        u8& entry = s.pmpcfg[first + i];
        if ((entry & 0x80) != 0) continue;  // locked
        if ((wanted & 3) == 2) continue;    // W without R is reserved
        entry = wanted;
    }
    update_pmp();
}

bool Hart::read_csr(u16 number, u64& value, bool writes) {
    if (static_cast<u16>(s.privilege) < (number >> 8 & 3)) return raise_illegal();
    const bool rv32 = config_.xlen == 32;
    const auto cycle = [&] { return (s.mcountinhibit & 1) != 0 ? s.cycle_stopped : instructions() - s.cycle_offset; };
    const auto instret = [&] {
        return (s.mcountinhibit & 4) != 0 ? s.instret_stopped : instructions() - s.trapped - s.instret_offset;
    };
    const auto narrow = [&](u64 wide) { return rv32 ? wide & 0xffff'ffff : wide; };
    // The high halves exist in RV32 only.
    if (!rv32) {
        switch (number) {
            case csr_mstatush:
            case csr_medelegh:
            case csr_menvcfgh:
            case csr_mseccfgh:
            case csr_stimecmph: return raise_illegal();
            default: break;
        }
        if ((number >= csr_mcycleh && number <= csr_mhpmcounter31h) ||
            (number >= csr_cycleh && number <= csr_hpmcounter31h))
            return raise_illegal();
    }
    if ((number >= csr_cycle && number <= csr_hpmcounter31) || (number >= csr_cycleh && number <= csr_hpmcounter31h)) {
        if (!counter_visible(number & 31)) return raise_illegal();
    }
    switch (number) {
        case csr_fflags:
        case csr_frm:
        case csr_fcsr:
            if (!fp_on()) return raise_illegal();
            value = number == csr_fflags ? s.fflags : number == csr_frm ? s.frm : u64{s.frm} << 5 | s.fflags;
            return true;
        case csr_vstart:
        case csr_vxsat:
        case csr_vxrm:
        case csr_vcsr:
        case csr_vl:
        case csr_vtype:
        case csr_vlenb:
            if (!vector_on()) return raise_illegal();
            switch (number) {
                case csr_vstart: value = s.vstart; break;
                case csr_vxsat: value = s.vxsat; break;
                case csr_vxrm: value = s.vxrm; break;
                case csr_vcsr: value = u64{s.vxrm} << 1 | s.vxsat; break;
                case csr_vl: value = s.vl; break;
                case csr_vtype: value = rv32 && (s.vtype >> 63) != 0 ? u64{1} << 31 : s.vtype; break;
                default: value = vlen_bytes(); break;
            }
            return true;
        case csr_seed: {
            // Only an access that writes is legal, and below machine mode only where mseccfg allows it.
            const bool allowed = s.privilege == Privilege::machine ||
                                 (s.privilege == Privilege::supervisor && (s.mseccfg & mseccfg_sseed) != 0) ||
                                 (s.privilege == Privilege::user && (s.mseccfg & mseccfg_useed) != 0);
            if (!writes || !allowed) return raise_illegal();
            u8 random[2];
            host::Lock lock(wiring_.device_lock);
            wiring_.inlet.entropy(random);
            value = u64{2} << 30 | u64{random[1]} << 8 | random[0];  // OPST = ES16
            return true;
        }
        case csr_sstatus: value = status_for(sstatus_mask); return true;
        case csr_sie: value = s.mie & s.mideleg & supervisor_interrupts; return true;
        case csr_stvec: value = s.stvec; return true;
        case csr_scounteren: value = s.scounteren; return true;
        case csr_senvcfg: value = s.senvcfg; return true;
        case csr_sscratch: value = s.sscratch; return true;
        case csr_sepc: value = s.sepc; return true;
        case csr_scause: value = s.scause; return true;
        case csr_stval: value = s.stval; return true;
        case csr_sip: value = pending() & s.mideleg & supervisor_interrupts; return true;
        case csr_stimecmp:
        case csr_stimecmph:
            if (s.privilege != Privilege::machine && ((s.menvcfg & menvcfg_stce) == 0 || (s.mcounteren & 2) == 0))
                return raise_illegal();
            value = number == csr_stimecmph ? s.stimecmp >> 32 : narrow(s.stimecmp);
            return true;
        case csr_satp:
            if (s.privilege == Privilege::supervisor && (s.mstatus & mstatus::tvm) != 0) return raise_illegal();
            value = s.satp;
            return true;
        case csr_mstatus: value = status_for(mstatus_mask); return true;
        case csr_misa: value = misa_extensions(config_.vlen != 0) | (rv32 ? u64{1} << 30 : u64{2} << 62); return true;
        case csr_medeleg: value = s.medeleg; return true;
        case csr_mideleg: value = s.mideleg; return true;
        case csr_mie: value = s.mie; return true;
        case csr_mtvec: value = s.mtvec; return true;
        case csr_mcounteren: value = s.mcounteren; return true;
        case csr_menvcfg: value = narrow(s.menvcfg); return true;
        case csr_menvcfgh: value = s.menvcfg >> 32; return true;
        case csr_mcountinhibit: value = s.mcountinhibit; return true;
        case csr_mscratch: value = s.mscratch; return true;
        case csr_mepc: value = s.mepc; return true;
        case csr_mcause: value = s.mcause; return true;
        case csr_mtval: value = s.mtval; return true;
        case csr_mip: value = pending(); return true;
        case csr_mseccfg: value = s.mseccfg; return true;
        case csr_mstatush:
        case csr_medelegh:
        case csr_mseccfgh: value = 0; return true;
        case csr_tselect: value = s.tselect; return true;
        case csr_tdata1: value = s.tdata1[s.tselect]; return true;
        case csr_tdata2: value = s.tdata2[s.tselect]; return true;
        case csr_tdata3: value = 0; return true;
        case csr_tinfo: value = tinfo; return true;
        case csr_tcontrol: value = s.tcontrol; return true;
        case csr_mcycle:
        case csr_cycle: value = narrow(cycle()); return true;
        case csr_mcycleh:
        case csr_cycleh: value = cycle() >> 32; return true;
        case csr_minstret:
        case csr_instret: value = narrow(instret()); return true;
        case csr_minstreth:
        case csr_instreth: value = instret() >> 32; return true;
        case csr_time: value = narrow(wiring_.time.ticks()); return true;
        case csr_timeh: value = wiring_.time.ticks() >> 32; return true;
        case csr_mvendorid:
        case csr_marchid:
        case csr_mimpid:
        case csr_mconfigptr: value = 0; return true;
        case csr_mhartid: value = config_.index; return true;
        default: break;
    }
    if (number >= csr_pmpcfg0 && number <= csr_pmpcfg15) {
        if (!rv32 && (number & 1) != 0) return raise_illegal();
        const unsigned first = (number - csr_pmpcfg0) * 4;
        value = 0;
        for (unsigned i = 0; i < (rv32 ? 4u : 8u) && first + i < pmp_entries; i++)
            value |= u64{s.pmpcfg[first + i]} << (8 * i);
        return true;
    }
    if (number >= csr_pmpaddr0 && number <= csr_pmpaddr63) {
        const unsigned index = number - csr_pmpaddr0;
        value = index < pmp_entries ? narrow(s.pmpaddr[index]) : 0;
        return true;
    }
    // Event counters exist and count nothing.
    const bool event_counter = (number >= csr_mhpmevent3 && number <= csr_mhpmevent31) ||
                               (number > csr_minstret && number <= csr_mhpmcounter31) ||
                               (number > csr_instret && number <= csr_hpmcounter31) ||
                               (number > csr_minstreth && number <= csr_mhpmcounter31h) ||
                               (number > csr_instreth && number <= csr_hpmcounter31h);
    if (event_counter) {
        value = 0;
        return true;
    }
    return raise_illegal();
}

bool Hart::goes_on(u32 word) {
    constexpr u32 system_opcode = 0x73;
    const u32 funct3 = word >> 12 & 7;
    if ((word & 0x7f) != system_opcode || funct3 == 0 || funct3 == 4) return false;
    switch (static_cast<u16>(word >> 20)) {
        case csr_fflags:
        case csr_sstatus:
        case csr_sie:
        case csr_sscratch:
        case csr_sepc:
        case csr_scause:
        case csr_stval:
        case csr_mscratch:
        case csr_mepc:
        case csr_mcause:
        case csr_mtval: return true;
        default: return false;
    }
}

u64 Hart::writable_part(u16 number, u64 value) const {
    constexpr u64 seip = u64{1} << irq_sei;
    return number == csr_mip ? (value & ~seip) | (s.mip & seip) : value;
}

bool Hart::write_csr(u16 number, u64 value) {
    // Access rights that reading checks too; an instruction that only writes comes straight here.
    u64 ignored = 0;
    if (number != csr_seed && !read_csr(number, ignored, true)) return false;
    if (number == csr_seed) return true;
    const bool rv32 = config_.xlen == 32;
    // Counters are written after the instruction that writes them.
    const auto executed = [&] { return instructions() + 1; };
    const auto merged = [&](u64 old) { return rv32 ? write_half(old, value, false) : value; };
    switch (number) {
        case csr_fflags:
            s.fflags = value & 31;
            fp_dirty();
            return true;
        case csr_frm:
            s.frm = value & 7;
            fp_dirty();
            return true;
        case csr_fcsr:
            s.fflags = value & 31;
            s.frm = value >> 5 & 7;
            fp_dirty();
            return true;
        case csr_vstart:
            s.vstart = value & (config_.vlen - 1);
            vector_dirty();
            return true;
        case csr_vxsat:
            s.vxsat = value & 1;
            vector_dirty();
            return true;
        case csr_vxrm:
            s.vxrm = value & 3;
            vector_dirty();
            return true;
        case csr_vcsr:
            s.vxsat = value & 1;
            s.vxrm = value >> 1 & 3;
            vector_dirty();
            return true;
        case csr_sstatus: set_mstatus(value, sstatus_mask); return true;
        case csr_sie: {
            const u64 mask = s.mideleg & supervisor_interrupts;
            s.mie = (s.mie & ~mask) | (value & mask);
            return true;
        }
        case csr_stvec:
            if ((value & 3) < 2) s.stvec = value;
            return true;
        case csr_scounteren: s.scounteren = value & 0xffff'ffff; return true;
        case csr_senvcfg: s.senvcfg = legal_envcfg(value, s.senvcfg) & senvcfg_mask; return true;
        case csr_sscratch: s.sscratch = value; return true;
        case csr_sepc: s.sepc = value & ~u64{1}; return true;
        case csr_scause: s.scause = value; return true;
        case csr_stval: s.stval = value; return true;
        case csr_sip: {
            const u64 mask = u64{1} << irq_ssi & s.mideleg;
            s.mip = ((s.mip | soft_pending_.exchange(0)) & ~mask) | (value & mask);
            return true;
        }
        case csr_stimecmp:
        case csr_stimecmph: {
            s.stimecmp = number == csr_stimecmph ? write_half(s.stimecmp, value, true) : merged(s.stimecmp);
            host::Lock lock(wiring_.device_lock);
            update_timer();
            return true;
        }
        case csr_satp:
            s.satp = legal_satp(value);
            update_contexts();
            return true;
        case csr_mstatus: set_mstatus(value, mstatus_mask); return true;
        case csr_medeleg: s.medeleg = value & delegable_exceptions; return true;
        case csr_mideleg: s.mideleg = value & supervisor_interrupts; return true;
        case csr_mie: s.mie = value & (supervisor_interrupts | machine_interrupts); return true;
        case csr_mtvec:
            if ((value & 3) < 2) s.mtvec = value;
            return true;
        case csr_mcounteren: s.mcounteren = value & 0xffff'ffff; return true;
        case csr_menvcfg:
        case csr_menvcfgh: {
            const u64 wide = number == csr_menvcfgh ? write_half(s.menvcfg, value, true) : merged(s.menvcfg);
            s.menvcfg = legal_envcfg(wide, s.menvcfg) & menvcfg_mask;
            host::Lock lock(wiring_.device_lock);
            update_timer();
            return true;
        }
        case csr_mcountinhibit: {
            const u64 wanted = value & counter_inhibit_mask;
            const u64 changed = wanted ^ s.mcountinhibit;
            if ((changed & 1) != 0)
                ((wanted & 1) != 0 ? s.cycle_stopped : s.cycle_offset) =
                    (wanted & 1) != 0 ? executed() - s.cycle_offset : executed() - s.cycle_stopped;
            const u64 retired = executed() - s.trapped;
            if ((changed & 4) != 0)
                ((wanted & 4) != 0 ? s.instret_stopped : s.instret_offset) =
                    (wanted & 4) != 0 ? retired - s.instret_offset : retired - s.instret_stopped;
            s.mcountinhibit = wanted;
            return true;
        }
        case csr_tselect:
            if (value < trigger_count) s.tselect = value;
            return true;
        case csr_tdata1: write_trigger(value, s.tdata2[s.tselect]); return true;
        case csr_tdata2: write_trigger(s.tdata1[s.tselect], value); return true;
        case csr_tcontrol: s.tcontrol = value & (trigger::mte | trigger::mpte); return true;
        case csr_mscratch: s.mscratch = value; return true;
        case csr_mepc: s.mepc = value & ~u64{1}; return true;
        case csr_mcause: s.mcause = value; return true;
        case csr_mtval: s.mtval = value; return true;
        case csr_mip: {
            u64 mask = supervisor_interrupts;
            if ((s.menvcfg & menvcfg_stce) != 0) mask &= ~(u64{1} << irq_sti);
            s.mip = ((s.mip | soft_pending_.exchange(0)) & ~mask) | (value & mask);
            return true;
        }
        case csr_mseccfg: s.mseccfg = value & (mseccfg_useed | mseccfg_sseed); return true;
        case csr_mcycle:
        case csr_mcycleh: {
            const u64 old = (s.mcountinhibit & 1) != 0 ? s.cycle_stopped : executed() - s.cycle_offset;
            const u64 wanted = number == csr_mcycleh ? write_half(old, value, true) : merged(old);
            if ((s.mcountinhibit & 1) != 0)
                s.cycle_stopped = wanted;
            else
                s.cycle_offset = executed() - wanted;
            return true;
        }
        case csr_minstret:
        case csr_minstreth: {
            const u64 retired = executed() - s.trapped;
            const u64 old = (s.mcountinhibit & 4) != 0 ? s.instret_stopped : retired - s.instret_offset;
            const u64 wanted = number == csr_minstreth ? write_half(old, value, true) : merged(old);
            if ((s.mcountinhibit & 4) != 0)
                s.instret_stopped = wanted;
            else
                s.instret_offset = retired - wanted;
            return true;
        }
        default: break;
    }
    if (number >= csr_pmpcfg0 && number <= csr_pmpcfg15) {
        write_pmpcfg((number - csr_pmpcfg0) * 4, value, rv32 ? 4 : 8);
    } else if (number >= csr_pmpaddr0 && number < csr_pmpaddr0 + pmp_entries) {
        const unsigned index = number - csr_pmpaddr0;
        const bool locked = (s.pmpcfg[index] & 0x80) != 0;
        // A locked TOR entry also locks the address below it.
        const bool locked_above = index + 1 < pmp_entries && (s.pmpcfg[index + 1] & 0x98) == 0x88;
        if (!locked && !locked_above) {
            s.pmpaddr[index] = value & (rv32 ? 0xffff'ffff : pmpaddr_mask);
            update_pmp();
        }
    }
    // The rest is read-only zero.
    return true;
}

}  // namespace viv::riscv
