// Our side of the fuzzer: runs a case on a Hart in user mode, interpreted or translated, and describes the outcome as
// the guest program does.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "engine/isa/riscv/hart.h"
#include "engine/isa/riscv/translation.h"
#include "engine/jit/tiers.h"
#include "native/host_posix.h"
#include "tests/dev/device_bench.h"
#include "tests/lockstep/qemu_user/protocol.h"

namespace viv::lockstep {

class Ours {
public:
    Ours(unsigned xlen, unsigned vlen);
    ~Ours();
    // What runs from now on is translated. False: this host has no backend. An error if there is no memory for it.
    Result<bool> translate(const jit::Options& options);
    // Null: nothing is translated.
    const jit::Tiers* tiers() const { return static_cast<const jit::Tiers*>(translator_.get()); }

    // The code of a whole batch, and what the window holds before each case.
    void load(std::span<const u8> code, std::span<const u64> window);
    struct Outcome {
        u64 instructions = 0;    // executed, those that trapped included
        u64 interpreted = 0;     // of these, at most, not by generated code
        bool region = false;     // there was a region at the case's start
        bool comparable = true;  // false: it met what the other side cannot show, see run()
    };
    // Runs a case, whose exit goes to `exit_stub`. Not comparable are what the guest program counts as lost, misaligned
    // atomic accesses, which QEMU's user mode does not deliver, accesses to what only the guest program has mapped, and
    // vector loads and stores of whole registers or masks whose vstart is behind their last element, at which QEMU 11.1
    // stops with an assertion; and whole registers that meet a trap elsewhere than at a multiple of 8 bytes, the unit
    // in which QEMU moves them.
    Outcome run(const test_case& test, u64 exit_stub, test_result& result);

private:
    class Time final : public riscv::TimeSource {
    public:
        u64 ticks() override { return 0; }
        u64 deadline_ns(u64) override { return Timers::never; }
    };

    // Steps up to the next trap while vstart is set; false if an instruction is one that QEMU cannot do.
    bool step_with_vstart(usize block, Outcome& outcome);
    bool region_at(u64 code) const;
    u64 interpreted() const;
    bool looks_far_without_a_trap(u64 code, const test_case& test) const;
    u32 word_at(u64 pc) const;
    void set_state(const test_case& test);
    void get_state(machine_state& state) const;

    test::Bench bench_;
    test::HeapMemory heap_;
    GuestMemory memory_{heap_};
    Bus bus_;
    Time time_;
    std::unique_ptr<riscv::Hart> hart_;
    native::PosixCodeMemory code_memory_;
    std::unique_ptr<riscv::HartTranslation> guest_;
    std::unique_ptr<exec::Translator> translator_;
    u64* window_ = nullptr;
    std::vector<u64> pristine_;
    std::vector<bool> whole_with_vstart_;  // by block: see step_with_vstart()
};

}  // namespace viv::lockstep
