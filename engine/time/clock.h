// Guest time in nanoseconds since the machine's power-on: the only clock that devices and CPUs may read.
// Promises: never goes backwards; stops while the machine is paused; survives saving and restoring. Live: follows the
// host's monotonic clock. Deterministic: one nanosecond an instruction, summed over the harts and divided by their
// number, plus the idle time skipped over.
#pragma once

#include <functional>

#include "engine/lang/bits.h"
#include "engine/state/archive.h"
#include "engine/time/replay.h"

namespace viv {

class GuestClock {
public:
    explicit GuestClock(Inlet& inlet) : inlet_(inlet) {}

    u64 now_ns();
    // Wall-clock time as the guest's RTC should show it, nanoseconds since 1970.
    u64 wall_ns() { return wall_offset_ns_ + now_ns(); }
    // Sets the wall clock from the inlet: at power-on and after a restore.
    void set_wall_clock();

    void pause();
    void resume();

    bool deterministic() const { return inlet_.mode() == Determinism::deterministic; }
    // Deterministic mode: the instructions executed so far by all harts, including the slice in progress.
    void set_instruction_source(std::function<u64()> total, unsigned harts);
    // Deterministic mode: lets idle time pass at once.
    void skip_to(u64 deadline_ns);

    void state(Archive& a);

private:
    Inlet& inlet_;
    std::function<u64()> instructions_;
    unsigned harts_ = 1;
    u64 skipped_ns_ = 0;     // deterministic: idle time passed over
    u64 offset_ns_ = 0;      // live: guest time at the last resume
    u64 resumed_at_ns_ = 0;  // live: host time at the last resume
    u64 wall_offset_ns_ = 0;
    bool running_ = false;
};

}  // namespace viv
