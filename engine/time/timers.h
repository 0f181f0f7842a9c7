// Deadlines on guest time. A device owns Timer objects and saves its deadlines in its own state; the queue itself is
// not saved. Promises: callbacks run in order of deadline, ties in the order in which the Timer objects were made
// (which a restored machine repeats, unlike that of arming), from Timers::run_due and never from arm(); arming is O(log
// n).
#pragma once

#include <functional>
#include <set>
#include <utility>

#include "engine/lang/bits.h"
#include "engine/time/clock.h"

namespace viv {

class Timer;

class Timers {
public:
    static constexpr u64 never = ~u64{0};

    explicit Timers(GuestClock& clock) : clock_(clock) {}
    Timers(const Timers&) = delete;
    Timers& operator=(const Timers&) = delete;

    u64 now_ns() { return clock_.now_ns(); }
    GuestClock& clock() { return clock_; }
    // The earliest armed deadline, or `never`.
    u64 next_deadline_ns() const;
    // Runs every callback whose deadline has passed. A timer that a callback arms for a time already past waits for the
    // next call, so that a guest which keeps asking for such a time cannot hold the machine here. A callback must not
    // destroy its own timer.
    void run_due();
    // Called when an earlier deadline than before is armed, so that a running slice can be shortened.
    void set_deadline_listener(std::function<void()> listener) { earlier_deadline_ = std::move(listener); }

private:
    friend class Timer;
    struct Entry {
        u64 deadline;
        u64 number;
        Timer* timer;
        bool operator<(const Entry& other) const {
            return deadline != other.deadline ? deadline < other.deadline : number < other.number;
        }
    };

    GuestClock& clock_;
    std::set<Entry> queue_;
    u64 timers_made_ = 0;
    u64 armings_ = 0;  // so far: tells what a callback armed from what was armed before
    std::function<void()> earlier_deadline_;
};

// Made and destroyed with its device: the order in which a machine makes them follows from its configuration.
class Timer {
public:
    Timer(Timers& timers, std::function<void()> callback)
        : timers_(timers), callback_(std::move(callback)), number_(timers.timers_made_++) {}
    ~Timer() { cancel(); }
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;

    // One shot at guest time `deadline_ns`; replaces an earlier arming. `Timers::never` cancels.
    void arm(u64 deadline_ns);
    void cancel();
    bool armed() const { return armed_; }
    u64 deadline_ns() const { return armed_ ? deadline_ : Timers::never; }

private:
    friend class Timers;
    Timers& timers_;
    std::function<void()> callback_;
    const u64 number_;
    u64 deadline_ = 0;
    u64 arming_ = 0;
    bool armed_ = false;
};

}  // namespace viv
