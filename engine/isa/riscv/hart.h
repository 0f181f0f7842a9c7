// One RISC-V hart: architectural state, address translation, traps, CSRs, and the interpreter's view of all that.
// Promises: executes RV32/RV64 exactly as the specifications cited in state.h and the instruction headers say; run() is exact in instructions; a fault leaves the
// faulting instruction undone. Not thread safe but for request_attention() and the interrupt lines.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "engine/dev/pin.h"
#include "engine/exec/exec.h"
#include "engine/float/softfloat.h"
#include "engine/host/threads.h"
#include "engine/isa/cpu.h"
#include "engine/isa/riscv/state.h"
#include "engine/lang/log.h"
#include "engine/mem/bus.h"
#include "engine/mem/guest_memory.h"
#include "engine/mem/tlb.h"
#include "engine/time/timers.h"

namespace viv::riscv {

class Hart;

// The platform's mtime.
class TimeSource {
public:
    virtual ~TimeSource() = default;
    virtual u64 ticks() = 0;
    // Guest time at which ticks() reaches `ticks`; Timers::never if it is out of reach.
    virtual u64 deadline_ns(u64 ticks) = 0;
};

// What answers an environment call from supervisor mode when no machine-mode firmware is loaded (see sbi.h).
class SupervisorCalls {
public:
    virtual ~SupervisorCalls() = default;
    // Reads a0..a7 of `hart` and writes a0, a1; may stop the hart.
    virtual void call(Hart& hart) = 0;
};

// Fixed properties of a hart.
struct HartConfig {
    unsigned index = 0;       // mhartid
    unsigned xlen = 64;       // 32 or 64
    unsigned vlen = 128;      // bits, a power of two from 128 to 1024; 0: no V extension
    unsigned maximum_levels = 5;  // page-table levels: 3 Sv39, 4 Sv48, 5 Sv57 (RV32: Sv32 always)
    unsigned code_pages = 512;    // decoded pages the interpreter keeps
};

struct HartWiring {
    GuestMemory& memory;
    Bus& bus;
    TimeSource& time;
    Timers& timers;
    Inlet& inlet;   // the entropy source of Zkr's seed
    LogSink& log;
    host::Mutex* device_lock = nullptr;        // taken around device accesses; null when harts run in turn
    SupervisorCalls* supervisor_calls = nullptr;
    // A physical page is about to hold decoded code: protects it in every hart's TLBs (stops the other harts meanwhile).
    std::function<void(u64 physical_page)> protect_code;
};

enum class AccessKind : u8 { fetch, load, store };

class Hart final : public Cpu, public exec::Engine {
public:
    Hart(const HartConfig& config, HartWiring wiring);
    ~Hart() override;

    State s;  // architectural state; see synchronize() for s.pc

    // ---- Cpu ----
    unsigned index() const override { return config_.index; }
    void reset() override;
    void state(Archive& a) override;
    void restored() override;
    Exit run(u64 instructions, Step step) override;
    u64 instructions() const override;
    void request_attention() override { attention.store(true, std::memory_order_release); }
    u64 pc() const override { return s.pc; }
    std::string_view mode_name() const override;
    void set_debug_points(const DebugPoints* points) override;
    void debug_changed() override;
    const DebugEvent& debug_event() const override { return debug_event_; }
    std::span<const Register> registers() const override;
    std::vector<u8> read_register(unsigned number) override;
    bool write_register(unsigned number, std::span<const u8> value) override;
    std::string_view gdb_architecture() const override { return config_.xlen == 64 ? "riscv:rv64" : "riscv:rv32"; }
    std::optional<u64> translate(u64 virtual_address) override;
    bool read_memory(u64 virtual_address, std::span<u8> out) override;
    bool write_memory(u64 virtual_address, std::span<const u8> in) override;
    Disassembly disassemble(u64 pc) override;

    // ---- For the board and the SBI ----
    const HartConfig& config() const { return config_; }
    // An interrupt line into mip: irq_msi, irq_mti, irq_mei, irq_sei. May be driven from any thread.
    Pin& interrupt_line(Interrupt which);
    // Sets or clears a software-writable bit of mip (SSIP, STIP) from outside the hart.
    void set_pending(Interrupt which, bool level);
    // Called after an interrupt line changed or a halted hart was started, so that a parked thread can wake.
    void set_wake(std::function<void()> wake) { wake_ = std::move(wake); }
    // SBI HSM: starts a halted hart in supervisor mode.
    void start(u64 pc, u64 a1);
    void halt() { s.halted = true; }
    bool halted() const { return s.halted; }
    // sfence.vma as another hart's fence sees it; address ~0 means all, asid ~0 means every one.
    void flush_tlb(u64 address = ~u64{0}, u64 asid = ~u64{0});
    void protect_page(u64 physical_page);  // TLB write tags; see HartWiring::protect_code

    // ---- For instruction bodies (the interpreter's emitter and helpers) ----
    unsigned xlen() const { return config_.xlen; }
    unsigned vlen_bytes() const { return config_.vlen / 8; }
    u8* vector_register(unsigned number) { return s.v + number * vlen_bytes(); }

    TlbEntry* tlb = nullptr;         // entries of the current data context

    // Data accesses by virtual address, for slow paths and helpers: exact semantics including misaligned and page-crossing ones.
    // False: a trap has been delivered (or a watchpoint hit) and the instruction must return at once.
    bool load(u64 address, unsigned size, u64& value);
    bool store(u64 address, unsigned size, u64 value);
    template <class T> bool load(u64 address, T& value) {
        const TlbEntry& entry = tlb[Tlb::index(address)];
        if ((address & (~page_mask | (sizeof(T) - 1))) == entry.read) [[likely]] {
            value = __atomic_load_n(reinterpret_cast<const T*>(address + entry.addend), __ATOMIC_RELAXED);
            return true;
        }
        u64 wide = 0;
        if (!load(address, sizeof(T), wide)) return false;
        value = static_cast<T>(wide);
        return true;
    }
    template <class T> bool store(u64 address, T value) {
        const TlbEntry& entry = tlb[Tlb::index(address)];
        if ((address & (~page_mask | (sizeof(T) - 1))) == entry.write) [[likely]] {
            __atomic_store_n(reinterpret_cast<T*>(address + entry.addend), value, __ATOMIC_RELAXED);
            return true;
        }
        return store(address, sizeof(T), static_cast<u64>(value));
    }
    // For atomics and zeroing: a host pointer to `size` naturally aligned bytes of RAM that may be read and written, or null after a trap.
    // The caller reports the write with wrote_atomically().
    u8* atomic_pointer(u64 address, unsigned size, u64& physical);
    void wrote_atomically(u64 physical, unsigned size);
    // Faults as a load/store would, without accessing: false after a trap. For helpers that must not write partially.
    bool probe(u64 address, unsigned size, AccessKind kind);

    // Delivers a synchronous exception at the current instruction: CSRs, mode and s.pc change. Always returns false, for helpers' convenience.
    bool raise(Cause cause, u64 tval);
    bool raise_illegal();  // tval is the instruction's bits

    // A device access or the like happened: interrupts are looked at after this instruction.
    bool leave_wanted = false;

    // The interpreter notes the slot before anything that may ask for pc or instruction counts.
    void at(const exec::Slot* slot) { current_ = slot; }
    u64 current_pc() const { return pc_of(current_); }

    bool fp_on() const { return (s.mstatus & mstatus::fs) != 0; }
    bool vector_on() const { return (s.mstatus & mstatus::vs) != 0; }
    void fp_dirty() { s.mstatus |= mstatus::fs | dirty_bit(); }
    void vector_dirty() { s.mstatus |= mstatus::vs | dirty_bit(); }

    // CSR access by the Zicsr instructions: false after a trap. `write` says whether the instruction writes at all.
    bool read_csr(u16 number, u64& value);
    bool write_csr(u16 number, u64 value);

    // System instructions; each sets s.pc and returns false on a trap.
    bool environment_call();
    bool environment_break();
    bool return_from_trap(Privilege from);  // SRET, MRET
    bool wait_for_interrupt();
    bool fence_translation(u64 address, bool has_address, u64 asid, bool has_asid);
    void end_slice();  // Zihintpause: gives the turn to another hart

    u64 pending() const;  // mip as read

private:
    struct Context;      // TLB and fetch table of one address space and mode
    struct Translation;  // result of a page walk
    friend class CsrFile;

    u64 dirty_bit() const { return config_.xlen == 64 ? mstatus::sd : u64{1} << 31; }

    // exec::Engine
    void set_pc(u64 pc) override { s.pc = pc; }
    const u8* fetch_page(u64 address, u64 pc, u64& physical_page) override;
    exec::Decoded decode(const u8* bytes, u64 pc, Form form, exec::Slot& slot) override;
    unsigned instruction_length(const u8* bytes) override { return (bytes[0] & 3) == 3 ? 4 : 2; }
    void code_page_made(u64 physical_page) override;
    void code_page_dropped() override;

    // mmu.cpp
    Privilege data_privilege() const;
    bool translate(u64 address, AccessKind kind, Privilege privilege, Translation& out);
    bool walk(u64 address, AccessKind kind, Privilege privilege, Translation& out);
    bool pmp_allows(u64 physical, unsigned size, AccessKind kind, Privilege privilege, bool& whole_page) const;
    Cause access_fault(AccessKind kind) const;
    Cause page_fault(AccessKind kind) const;
    void update_contexts();  // after privilege, mstatus or satp changed
    Context& context_for(Privilege privilege, bool data);
    bool access_once(u64 address, unsigned size, AccessKind kind, u64& value);
    void fill(u64 address, const Translation& translation);
    bool watch_hit(u64 address, unsigned size, AccessKind kind);
    bool page_watched(u64 page) const;

    // trap.cpp
    bool take_interrupt();  // true if one was taken
    void enter_trap(Privilege target, u64 cause, u64 epc, u64 tval);
    u64 legal_vector(u64 tvec, bool interrupt, u64 code) const;

    // csr.cpp
    void set_mstatus(u64 value);
    u64 read_mstatus() const;
    void update_timer();  // stimecmp
    u64 now_ticks();

    HartConfig config_;
    HartWiring wiring_;
    Log log_;
    std::atomic<u64> lines_{0};       // interrupt pins
    std::atomic<u64> soft_pending_{0};  // SSIP and STIP set from outside, folded into s.mip
    std::vector<std::unique_ptr<Pin>> pins_;
    std::unique_ptr<Timer> timer_;    // Sstc
    bool timer_pending_ = false;      // time >= stimecmp
    std::function<void()> wake_;

    std::vector<std::unique_ptr<Context>> contexts_;
    u64 context_clock_ = 0;
    Context* data_context_ = nullptr;

    const exec::Slot* current_ = nullptr;
    u64 executed_ = 0;                // in earlier runs
    const DebugPoints* debug_points_ = nullptr;
    DebugEvent debug_event_;
    bool debug_hit_ = false;
    u64 skip_breakpoint_at_ = ~u64{0};
};

}  // namespace viv::riscv
