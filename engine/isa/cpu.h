// One virtual CPU, whatever runs it: interpreter, JIT, later KVM. Control, the boards and the gdb stub see only this.
// Promises: run() never blocks and executes at most the instructions it is given; between calls all state is in the
// object and saved by state().
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/exec/translated_code.h"
#include "engine/exec/translator_report.h"
#include "engine/lang/bits.h"
#include "engine/state/archive.h"

namespace viv {

// Break- and watchpoints of a debugger, shared by a machine's CPUs. Changed only while none of them runs, and followed
// by Cpu::debug_changed().
struct DebugPoints {
    enum class Access : u8 { write = 1, read = 2, read_write = 3 };
    struct Watch {
        u64 address = 0;  // virtual
        u64 length = 0;   // bytes, at least 1
        Access access = Access::write;
        bool operator==(const Watch&) const = default;
    };
    std::set<u64> breakpoints;  // virtual addresses of instructions
    std::vector<Watch> watches;
    bool empty() const { return breakpoints.empty() && watches.empty(); }
};

class Cpu {
public:
    enum class Exit : u8 {
        budget,   // the instructions are used up, or attention was requested
        idle,     // waiting for an interrupt (WFI); run() returns this at once until one is pending
        stopped,  // not started or halted by firmware (SBI HSM); run() does nothing
        debug,  // see debug_event(); at a breakpoint the instruction has not been executed, at a watchpoint the access
                // has been made
    };
    struct DebugEvent {
        enum class Kind : u8 { breakpoint, watch, step } kind = Kind::breakpoint;
        u64 address = 0;  // pc, or the data address of a watchpoint hit
        DebugPoints::Access access = DebugPoints::Access::write;
    };
    enum class Step : u8 {
        run,
        single
    };  // single: Exit::debug with Kind::step after one instruction (or one trap taken)

    // A register as gdb sees it. `feature` is the target-description feature ("org.gnu.gdb.riscv.cpu").
    struct Register {
        std::string name;
        std::string feature;
        unsigned bits = 64;
        // gdb's type name: "int", "code_ptr", "data_ptr", "ieee_double", ...; any name that gdb does not have of
        // itself ("riscv_vector") is described to it as a vector of `bits` bits.
        std::string type;
        unsigned number = 0;  // gdb's register number
    };

    virtual ~Cpu() = default;

    virtual unsigned index() const = 0;
    virtual void reset() = 0;
    virtual void state(Archive& a) = 0;
    virtual void restored() = 0;
    // GuestMemory::note_unchanged() has been called: the next write to each of those pages must be seen.
    virtual void pages_noted() = 0;

    // A breakpoint on the very first instruction counts as well: a slice may have ended there. Whoever resumes from a
    // breakpoint takes it out for one step.
    virtual Exit run(u64 instructions, Step step = Step::run) = 0;
    // Executed since reset, counting those of the slice in progress when called from a device it drives.
    virtual u64 instructions() const = 0;
    // Makes a run() in progress, or else the next one, return Exit::budget soon; asked for by a device that this CPU
    // drives, right after the instruction in progress, so that where a slice ends never depends on how it was cut.
    // The only member that another thread may call, and signal handlers too.
    virtual void request_attention() = 0;
    // Harts on parallel threads: `woken` is called, on whichever thread makes it so and possibly under the device
    // lock, when what this CPU waits for may have come: an interrupt line or an IPI was raised, firmware started it.
    void set_wake(std::function<void()> woken) { woken_ = std::move(woken); }

    virtual u64 pc() const = 0;
    virtual std::string_view mode_name() const = 0;  // "machine", "supervisor", "user"

    virtual void set_debug_points(const DebugPoints* points) = 0;  // null: none
    virtual void debug_changed() = 0;
    virtual const DebugEvent& debug_event() const = 0;

    virtual std::span<const Register> registers() const = 0;
    // Little-endian bytes of the register with gdb number `number`; empty/false if there is none (or it cannot be
    // written so).
    virtual std::vector<u8> read_register(unsigned number) = 0;
    virtual bool write_register(unsigned number, std::span<const u8> value) = 0;
    virtual std::string_view gdb_architecture() const = 0;  // "riscv:rv64"

    // A debugger's access through the current translation; no side effect on the guest but the bytes written. False:
    // not mapped.
    virtual std::optional<u64> translate(u64 virtual_address) = 0;
    virtual bool read_memory(u64 virtual_address, std::span<u8> out) = 0;
    virtual bool write_memory(u64 virtual_address, std::span<const u8> in) = 0;

    // Text of the instruction at `pc` as far as it can be read, and its length in bytes (at least 1).
    struct Disassembly {
        std::string text;
        unsigned length = 1;
    };
    virtual Disassembly disassemble(u64 pc) = 0;
    // The translations to host code that are entered at this virtual address, where there are any.
    virtual std::vector<exec::TranslatedCode> translated_code(u64 /*pc*/) { return {}; }
    // What its translator has done, with at most the `most` hottest translations; none: it only interprets.
    virtual std::optional<exec::TranslatorReport> translator_report(usize /*most*/) const { return {}; }

protected:
    void wake() {
        if (woken_) woken_();
    }

private:
    std::function<void()> woken_;
};

}  // namespace viv
