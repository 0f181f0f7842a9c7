// See clock.h. State is saved while paused or between slices, so offset_ns_ alone carries live time.
#include "engine/time/clock.h"

namespace viv {

u64 GuestClock::now_ns() {
    if (deterministic()) return skipped_ns_ + (instructions_ ? instructions_() / harts_ : 0);
    return running_ ? offset_ns_ + (inlet_.monotonic_ns() - resumed_at_ns_) : offset_ns_;
}

void GuestClock::set_wall_clock() {
    const u64 now = now_ns();
    const u64 wall = inlet_.realtime_ns();
    wall_offset_ns_ = deterministic() ? wall : wall - now;
}

void GuestClock::pause() {
    if (!running_) return;
    if (!deterministic()) offset_ns_ = now_ns();
    running_ = false;
}

void GuestClock::resume() {
    if (running_) return;
    if (!deterministic()) resumed_at_ns_ = inlet_.monotonic_ns();
    running_ = true;
}

void GuestClock::set_instruction_source(std::function<u64()> total, unsigned harts) {
    instructions_ = std::move(total);
    harts_ = harts;
}

void GuestClock::skip_to(u64 deadline_ns) {
    const u64 now = now_ns();
    if (deadline_ns > now) skipped_ns_ += deadline_ns - now;
}

void GuestClock::state(Archive& a) {
    u64 now = a.saving() ? now_ns() : 0;
    u64 wall = wall_offset_ns_;
    a(1, "now_ns", now);
    a(2, "wall_offset_ns", wall);
    a(3, "skipped_ns", skipped_ns_);
    if (!a.loading()) return;
    wall_offset_ns_ = wall;
    offset_ns_ = now;
    if (running_ && !deterministic()) resumed_at_ns_ = inlet_.monotonic_ns();
}

}  // namespace viv
