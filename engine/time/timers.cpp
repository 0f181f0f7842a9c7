// An ordered set is enough: a machine has tens of timers, and the earliest is read once a slice.
#include "engine/time/timers.h"

namespace viv {

u64 Timers::next_deadline_ns() const { return queue_.empty() ? never : queue_.begin()->deadline; }

void Timers::run_due() {
    const u64 now = now_ns();
    const u64 armed_before = armings_;
    // A callback may arm and cancel any timer, so the search starts again after each.
    for (auto at = queue_.begin(); at != queue_.end() && at->deadline <= now;) {
        if (at->timer->arming_ >= armed_before) {
            ++at;
            continue;
        }
        Timer* timer = at->timer;
        timer->cancel();
        timer->callback_();
        at = queue_.begin();
    }
}

void Timer::arm(u64 deadline_ns) {
    if (armed_ && deadline_ == deadline_ns) return;
    cancel();
    if (deadline_ns == Timers::never) return;
    const bool earlier = deadline_ns < timers_.next_deadline_ns();
    deadline_ = deadline_ns;
    arming_ = timers_.armings_++;
    armed_ = true;
    timers_.queue_.insert({deadline_, number_, this});
    if (earlier && timers_.earlier_deadline_) timers_.earlier_deadline_();
}

void Timer::cancel() {
    if (!armed_) return;
    timers_.queue_.erase({deadline_, number_, this});
    armed_ = false;
}

}  // namespace viv
