// The architectural state of one RISC-V hart, RV32 and RV64: what software can see, and nothing else.
// Promises: plain data with fixed offsets (the IR's slots point into it); x[0] is always 0. RV32 keeps its registers
// zero-extended in 64-bit slots. Specifications: RISC-V Unprivileged and Privileged ISA, versions 20240411; Sstc 1.0;
// Sdtrig 1.0; Smstateen is absent.
#pragma once

#include "engine/lang/bits.h"

namespace viv::riscv {

enum class Privilege : u8 { user = 0, supervisor = 1, machine = 3 };

// Exception codes of mcause/scause.
enum class Cause : u8 {
    fetch_misaligned = 0,
    fetch_access = 1,
    illegal = 2,
    breakpoint = 3,
    load_misaligned = 4,
    load_access = 5,
    store_misaligned = 6,
    store_access = 7,
    ecall_user = 8,
    ecall_supervisor = 9,
    ecall_machine = 11,
    fetch_page = 12,
    load_page = 13,
    store_page = 15,
};

// Interrupt codes, also the bit numbers in mip and mie.
enum Interrupt : u8 {
    irq_ssi = 1,
    irq_msi = 3,
    irq_sti = 5,
    irq_mti = 7,
    irq_sei = 9,
    irq_mei = 11,
};

namespace mstatus {
constexpr u64 sie = 1 << 1, mie = 1 << 3, spie = 1 << 5, ube = 1 << 6, mpie = 1 << 7, spp = 1 << 8, vs = 3 << 9,
              mpp = 3 << 11, fs = 3 << 13, xs = 3 << 15, mprv = 1 << 17, sum = 1 << 18, mxr = 1 << 19, tvm = 1 << 20,
              tw = 1 << 21, tsr = 1 << 22;
constexpr u64 uxl = u64{3} << 32, sxl = u64{3} << 34, sd = u64{1} << 63;
constexpr unsigned vs_shift = 9, mpp_shift = 11, fs_shift = 13;
}  // namespace mstatus

// Bits of tdata1 (mcontrol6) and tcontrol.
namespace trigger {
constexpr u64 load = 1, store = 2, execute = 4;
constexpr u64 mte = 1 << 3, mpte = 1 << 7;
}  // namespace trigger

// FS and VS.
enum class ExtensionStatus : u8 { off = 0, initial = 1, clean = 2, dirty = 3 };

constexpr unsigned maximum_vlen_bytes = 128;  // VLEN up to 1024 bits
constexpr unsigned pmp_entries = 16;
constexpr unsigned trigger_count = 4;
constexpr unsigned discard_x = 32;  // decoders name this register where an instruction writes x0

struct State {
    u64 x[33] = {};  // [discard_x] takes writes to x0
    u64 pc = 0;
    u64 f[32] = {};                                  // NaN-boxed
    alignas(16) u8 v[32 * maximum_vlen_bytes] = {};  // register n starts at n * VLEN / 8

    Privilege privilege = Privilege::machine;
    u8 fflags = 0;
    u8 frm = 0;
    u8 vxsat = 0;
    u8 vxrm = 0;
    u64 vstart = 0;
    u64 vl = 0;
    u64 vtype = u64{1} << 63;  // vill (kept at bit 63 for RV32 too)

    u64 mstatus = 0;
    u64 medeleg = 0, mideleg = 0, mie = 0;
    u64 mip = 0;  // the bits that software writes: SSIP, STIP, SEIP; see Hart::pending() for the whole
    u64 mtvec = 0, mscratch = 0, mepc = 0, mcause = 0, mtval = 0;
    u64 mcounteren = 0, mcountinhibit = 0, menvcfg = 0, mseccfg = 0;
    u64 stvec = 0, sscratch = 0, sepc = 0, scause = 0, stval = 0;
    u64 satp = 0, scounteren = 0, senvcfg = 0, stimecmp = ~u64{0};
    u64 cycle_offset = 0;    // mcycle = executed - cycle_offset
    u64 instret_offset = 0;  // minstret likewise, without trapping instructions
    u64 trapped = 0;         // instructions that ended in a synchronous exception: they do not retire
    u64 cycle_stopped = 0, instret_stopped = 0;  // values held while mcountinhibit stops the counter

    u8 pmpcfg[pmp_entries] = {};
    u64 pmpaddr[pmp_entries] = {};

    // LR/SC: the reservation is on a physical address and the value seen there.
    bool reservation_valid = false;
    u64 reservation_address = 0;
    u64 reservation_value = 0;

    u64 tselect = 0;
    u64 tdata1[trigger_count] = {}, tdata2[trigger_count] = {};  // legal at any time; Hart::reset() disables them
    u64 tcontrol = 0;

    bool waiting = false;  // in WFI
    bool halted = false;   // stopped by SBI HSM
};

}  // namespace viv::riscv
