// Our side of the fuzzer: runs a case on a Hart in user mode and describes the outcome as the guest program does.
#pragma once

#include <map>
#include <vector>

#include "engine/isa/riscv/hart.h"
#include "tests/dev/device_bench.h"
#include "tests/lockstep/qemu_user/protocol.h"

namespace viv::lockstep {

class Ours {
public:
    Ours(unsigned xlen, unsigned vlen);

    // The code of a whole batch, and what the window holds before each case.
    void load(std::span<const u8> code, std::span<const u64> window);
    struct Outcome {
        u64 instructions = 0;    // executed, those that trapped included
        bool comparable = true;  // false: it met what the other side cannot show, see run()
    };
    // Runs case `index`, whose exit goes to `exit_stub`. Not comparable are misaligned atomic accesses, which QEMU's
    // user mode does not deliver, accesses to what only the guest program has mapped, and vector loads and stores of
    // whole registers or masks whose vstart is behind their last element, at which QEMU 11.1 stops with an assertion;
    // and whole registers that meet a trap elsewhere than at a multiple of 8 bytes, the unit in which QEMU moves them.
    Outcome run(usize index, const test_case& test, u64 exit_stub, test_result& result);

private:
    class Time final : public riscv::TimeSource {
    public:
        u64 ticks() override { return 0; }
        u64 deadline_ns(u64) override { return Timers::never; }
    };

    // Steps up to the next trap while vstart is set; false if an instruction is one that QEMU cannot do.
    bool step_with_vstart();
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
    u64* window_ = nullptr;
    std::vector<u64> pristine_;
};

}  // namespace viv::lockstep
