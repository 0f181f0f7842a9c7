// One RISC-V hart: architectural state, address translation, traps, CSRs, and the interpreter's view of all that.
// Promises: executes RV32/RV64 exactly as the specifications cited in state.h and the instruction headers say; run() is
// exact in instructions; a fault leaves the faulting instruction undone. Not thread safe but for request_attention()
// and the interrupt lines.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "engine/dev/pin.h"
#include "engine/exec/exec.h"
#include "engine/exec/translation.h"
#include "engine/float/softfloat.h"
#include "engine/host/threads.h"
#include "engine/isa/cpu.h"
#include "engine/isa/riscv/state.h"
#include "engine/isa/riscv/table.h"
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
    unsigned index = 0;           // mhartid
    unsigned xlen = 64;           // 32 or 64
    unsigned vlen = 128;          // bits, a power of two from 128 to 1024; 0: no V extension
    unsigned maximum_levels = 5;  // page-table levels: 3 Sv39, 4 Sv48, 5 Sv57 (RV32: Sv32 always)
    unsigned code_pages = 512;    // decoded pages the interpreter keeps
};

struct HartWiring {
    GuestMemory& memory;
    Bus& bus;
    TimeSource& time;
    Timers& timers;
    Inlet& inlet;  // the entropy source of Zkr's seed
    LogSink& log;
    host::Mutex* device_lock = nullptr;  // taken around device accesses; null when harts run in turn
    SupervisorCalls* supervisor_calls = nullptr;
    // A physical page is about to hold decoded code: protects it in every hart's TLBs (stops the other harts
    // meanwhile).
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
    void pages_noted() override;
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
    std::vector<exec::TranslatedCode> translated_code(u64 pc) override;
    std::optional<exec::TranslatorReport> translator_report(usize most) const override;

    // ---- For the board and the SBI ----
    const HartConfig& config() const { return config_; }
    // An interrupt line into mip: irq_msi, irq_mti, irq_mei, irq_sei. May be driven from any thread.
    Pin& interrupt_line(Interrupt which);
    // Sets or clears a software-writable bit of mip (SSIP, STIP) from outside the hart.
    void set_pending(Interrupt which, bool level);
    // SBI HSM: starts a halted hart in supervisor mode.
    void start(u64 pc, u64 a1);
    void halt() { s.halted = true; }
    // What machine-mode firmware sets up before it enters a kernel: delegation, counters, Sstc, cache operations, an
    // open PMP.
    void prepare_supervisor();
    void set_timer(u64 ticks);               // stimecmp, as SBI's TIME extension sets it
    void time_changed() { update_timer(); }  // the time source jumped
    bool halted() const { return s.halted; }
    // The bytes [physical, physical + size) of one page have changed. On the thread that runs this hart, or while no
    // hart runs: returns whether decoded code of that page is left. From elsewhere: it is noted, and done before the
    // hart's next fence.i, trap or slice.
    bool code_changed(u64 physical, u64 size) {
        // The slot of the instruction that writes may be forgotten with its page: what its block has not used comes
        // back to the budget now.
        const u16 run = current_ != nullptr ? current_->run : u16{0};
        const bool left = code_written(physical, size);
        if (current_ != nullptr) budget += run - current_->run;
        return left;
    }
    void post_code_changed(u64 physical);
    // sfence.vma as another hart's fence sees it; address ~0 means all, asid ~0 means every one.
    void flush_tlb(u64 address = ~u64{0}, u64 asid = ~u64{0});
    void protect_page(u64 physical_page);  // TLB write tags; see HartWiring::protect_code

    // ---- For instruction bodies (the interpreter's emitter and helpers) ----
    unsigned xlen() const { return config_.xlen; }
    unsigned vlen_bytes() const { return config_.vlen / 8; }
    u8* vector_register(unsigned number) { return s.v + number * vlen_bytes(); }

    TlbEntry* tlb = nullptr;  // entries of the current data context

    // ---- For translators (translation.h) ----
    // Runs code from now on, unless there are debug points; null: the interpreter alone does.
    void set_translator(exec::Translator* translator) {
        translator_ = translator;
        forget_code();
    }
    const exec::JumpTable::Entry* jumps = nullptr;  // entries of the table that jump_table() gave last
    exec::HeatTable heat;                           // for the translator alone
    // Of the current address space and the given mode of translation.
    exec::JumpTable& jump_table(u64 mode);
    // See exec::Translatable.
    void insert_jump(u64 mode, u64 pc, const u8* code);
    // Whether the instruction accesses a CSR in such a way that what follows may go on without a look at interrupts and
    // mode, unless interrupt_wanted() or the mode of translation says otherwise afterwards.
    static bool goes_on(u32 word);
    // Whether take_interrupt() would take one.
    bool interrupt_wanted() const { return interrupts_to_take().any(); }
    void forget_jumps(u64 offset, const u8* first, const u8* last);
    void flush_jump_tables();
    bool fill_tlb(u64 address, unsigned size, AccessKind kind);

    // Data accesses by virtual address, for slow paths and helpers: exact semantics including misaligned and
    // page-crossing ones. False: a trap has been delivered (or a watchpoint hit) and the instruction must return at
    // once.
    bool load(u64 address, unsigned size, u64& value);
    bool store(u64 address, unsigned size, u64 value);
    template <class T>
    bool load(u64 address, T& value) {
        const TlbEntry& entry = Tlb::at(tlb, address);
        if ((address & (~page_mask | (sizeof(T) - 1))) == entry.read) [[likely]] {
            value = __atomic_load_n(reinterpret_cast<const T*>(address + entry.addend), __ATOMIC_RELAXED);
            return true;
        }
        u64 wide = 0;
        if (!load(address, sizeof(T), wide)) return false;
        value = static_cast<T>(wide);
        return true;
    }
    template <class T>
    bool store(u64 address, T value) {
        const TlbEntry& entry = Tlb::at(tlb, address);
        if ((address & (~page_mask | (sizeof(T) - 1))) == entry.write) [[likely]] {
            __atomic_store_n(reinterpret_cast<T*>(address + entry.addend), value, __ATOMIC_RELAXED);
            return true;
        }
        return store(address, sizeof(T), static_cast<u64>(value));
    }
    // For atomics and zeroing: a host pointer to `size` naturally aligned bytes of RAM that may be read and written, or
    // null after a trap. The caller reports the write with wrote_atomically().
    // `accesses` are what triggers see of it: an atomic operation loads and stores.
    u8* atomic_pointer(u64 address, unsigned size, AccessKind kind, u64 accesses, u64& physical);
    void wrote_atomically(u64 physical, unsigned size);
    // Faults as a load/store would, without accessing: false after a trap. For helpers that must not write partially.
    bool probe(u64 address, unsigned size, AccessKind kind);
    // Whether a load would reach plain memory without a trap; nothing changes. For loads that may stop early instead of
    // trapping.
    bool readable(u64 address, unsigned size);

    // Delivers a synchronous exception at the current instruction: CSRs, mode and s.pc change. Always returns false,
    // for helpers' convenience.
    bool raise(Cause cause, u64 tval);
    bool raise_illegal();  // tval is the instruction's bits

    // A device access or the like happened: interrupts are looked at after this instruction.
    bool leave_wanted = false;

    const exec::Slot* leave_after(const exec::Slot* slot, unsigned length, bool trapped);

    // The interpreter notes the slot before anything that may ask for pc or instruction counts.
    void at(const exec::Slot* slot) { current_ = slot; }
    u64 current_pc() const { return pc_of(current_); }

    bool fp_on() const { return (s.mstatus & mstatus::fs) != 0; }
    bool vector_on() const { return (s.mstatus & mstatus::vs) != 0; }
    // SD is not kept: reading mstatus makes it up.
    void fp_dirty() { s.mstatus |= mstatus::fs; }
    void vector_dirty() { s.mstatus |= mstatus::vs; }

    // CSR access by the Zicsr instructions: false after a trap. `writes`: the instruction will write it too.
    bool read_csr(u16 number, u64& value, bool writes);
    bool write_csr(u16 number, u64 value);
    // What CSRRS and CSRRC change of a value that was read: mip.SEIP reads as the wire or the software's bit, and only
    // the latter may come back by the write (Privileged ISA, section 3.1.9).
    u64 writable_part(u16 number, u64 value) const;

    // System instructions; each sets s.pc and returns false on a trap.
    bool environment_call();
    bool environment_break();
    bool return_from_trap(Privilege from);  // SRET, MRET
    bool wait_for_interrupt();
    bool fence_translation(u64 address, bool has_address, u64 asid, bool has_asid);
    void end_slice();  // Zihintpause: gives the turn to another hart

    u64 pending() const;
    struct Interrupts {
        u64 for_machine = 0, for_supervisor = 0;
        bool any() const { return (for_machine | for_supervisor) != 0; }
    };
    Interrupts interrupts_to_take() const;  // mip as read

private:
    struct Context;  // TLB and fetch table of one address space and mode
    class JumpTables;
    // The result of a page walk and the PMP, for the 4 KiB page around the address.
    struct Translation {
        u64 physical = 0;
        bool readable = false, writable = false;  // besides the access asked for
        u64 reach = page_size;                    // bytes that the leaf maps: more for superpages and NAPOT ranges
        bool whole_page = true;                   // no PMP boundary inside the page
        bool global = false;
    };

    u64 dirty_bit() const { return config_.xlen == 64 ? mstatus::sd : u64{1} << 31; }

    // exec::Engine
    void set_pc(u64 pc) override { s.pc = pc; }
    exec::FetchedPage fetch_page(u64 address, u64 pc) override;
    bool intercept(u64 pc, exec::Slot& slot) override;
    exec::Decoded decode(const u8* bytes, u64 pc, Form form, exec::Slot& slot) override;
    unsigned instruction_length(const u8* bytes) override { return (bytes[0] & 3) == 3 ? 4 : 2; }
    void code_page_made(u64 physical_page) override;

    // mmu.cpp
    Privilege data_privilege() const;
    enum class Fault : u8 { none, page, access };
    Fault translate(u64 address, unsigned size, AccessKind kind, Privilege privilege, Translation& out);
    Fault walk(u64 address, AccessKind kind, Privilege privilege, Translation& out);
    bool pmp_allows(u64 physical, unsigned size, AccessKind kind, Privilege privilege, bool& whole_page) const;
    void update_contexts();  // after privilege, mstatus or satp changed
    Context& context_for(Privilege privilege, u64 data_bits);
    bool access(u64 address, unsigned size, AccessKind kind, u64& value);
    bool access_device(u64 physical, unsigned size, AccessKind kind, u64& value);
    bool fault(Fault what, u64 address, AccessKind kind);
    void fill(u64 address, const Translation& translation, AccessKind kind);
    void note_reach(u64 address, u64 reach);
    void note_watch(u64 address, unsigned size, AccessKind kind);

    // triggers.cpp
    u64 disabled_trigger() const;
    u64 legal_tdata1(u64 value) const;
    u64 legal_tdata2(u64 tdata1, u64 value) const;
    void write_trigger(u64 tdata1, u64 tdata2);  // the selected one; from the next instruction on
    void arm_triggers();                         // while no slot is being executed
    bool triggers_may_fire() const;
    u64 triggers_that_match(u64 address, unsigned size, u64 accesses) const;
    // `accesses`: bits of tdata1. True: a breakpoint exception has been delivered.
    bool fire_triggers(u64 address, unsigned size, u64 accesses);
    bool fire_fetch_triggers();  // at s.pc
    bool page_triggered(u64 page) const;
    bool trigger_near(u64 pc) const;
    void check_triggers();

    bool page_watched(u64 address) const;

    // trap.cpp
    bool take_interrupt();  // true if one was taken
    void enter_trap(Privilege to, u64 cause, u64 epc, u64 tval);

    // csr.cpp
    void set_mstatus(u64 value, u64 mask);
    u64 status_for(u64 mask) const;
    bool counter_visible(unsigned number) const;
    void update_timer();  // stimecmp
    u64 legal_satp(u64 value) const;
    void write_pmpcfg(unsigned first, u64 value, unsigned count);
    void update_pmp();

    // hart.cpp
    void interrupt_raised();
    std::span<u8> vector_bytes(unsigned number);
    bool debug_csr(const std::function<bool()>& access);
    void check_vector_type(Archive& a);
    void drain_posted();
    bool interrupt_ready() const { return (pending() & s.mie) != 0; }
    Exit finish_run(Exit exit);
    friend struct Handlers;

    HartConfig config_;
    HartWiring wiring_;
    Decoder decoder_;
    Log log_;
    std::atomic<u64> lines_{0};         // interrupt pins
    std::atomic<u64> soft_pending_{0};  // SSIP and STIP set from outside, folded into s.mip
    std::atomic_flag posted_lock_;
    std::atomic<bool> posted_any_{false};
    std::vector<u64> posted_;  // pages whose code another thread has changed
    std::vector<std::unique_ptr<Pin>> pins_;
    std::unique_ptr<Timer> timer_;  // Sstc

    mutable std::vector<Register> register_list_;

    std::vector<std::unique_ptr<Context>> contexts_;
    u64 context_clock_ = 0;
    Context* data_context_ = nullptr;
    Context* code_context_ = nullptr;  // the one `fetch` belongs to
    // Where a supervisor's code is in all address spaces: kernels run in each of them, and a process that is new should
    // not have to look for everything again.
    std::unique_ptr<JumpTables> global_jumps_;
    JumpTables* jump_tables_ = nullptr;  // the current ones

    const exec::Slot* current_ = nullptr;
    u64 executed_ = 0;  // in earlier runs
    const DebugPoints* shared_debug_points_ = nullptr;
    const DebugPoints* debug_points_ = nullptr;  // null while there are none
    DebugEvent debug_event_;
    bool debug_hit_ = false;
    bool debug_step_ = false;  // a breakpoint's slot belongs to another address: execute its instruction alone
    bool triggers_written_ = false;
    u8 fetch_triggers_ = 0, data_triggers_ = 0;  // a bit for each trigger that is armed for such accesses
    bool pmp_open_ = false;                      // PMP entry 0 lets supervisor and user do everything
    u64 large_low_ = ~u64{0},
        large_high_ = 0;  // the virtual range in which superpages have been cached since the last full flush
};

}  // namespace viv::riscv
