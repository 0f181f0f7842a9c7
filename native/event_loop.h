// Waits for descriptors and moments of time on behalf of everything that talks to the outside: one epoll set, one
// thread. Promises: a handler runs only from poll(), never for a watch that was removed before, also within the same
// poll(); descriptors that epoll refuses because they are always ready (regular files, /dev/null) are handled as such;
// time-outs are exact to the kernel's timer slack. While poll() does not run, the rest may be called from any one
// thread at a time: devices do so from their harts' threads.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "engine/lang/bits.h"
#include "native/descriptor.h"

namespace viv::native {

enum class Interest : u8 { none = 0, read = 1, write = 2, read_write = 3 };
constexpr Interest operator|(Interest a, Interest b) {
    return static_cast<Interest>(static_cast<u8>(a) | static_cast<u8>(b));
}
constexpr bool includes(Interest set, Interest one) { return (static_cast<u8>(set) & static_cast<u8>(one)) != 0; }

class WaitTimer;
class WaitHook;

class EventLoop {
public:
    static constexpr u64 for_ever = ~u64{0};

    // What is possible now; a hang-up or an error makes both true, so that the next read or write reports it.
    struct Ready {
        bool read = false;
        bool write = false;
        bool broken = false;  // it is a hang-up or an error
    };
    using Handler = std::function<void(Ready)>;

    EventLoop();
    ~EventLoop();
    EventLoop(const EventLoop&) = delete;
    EventLoop& operator=(const EventLoop&) = delete;

    // The descriptor is borrowed: call remove() before it is closed. One watch a descriptor.
    void add(int descriptor, Interest interest, Handler handler);
    void change(int descriptor, Interest interest);
    void remove(int descriptor);

    // Runs the handlers of all that is ready, waiting for the first at most `timeout_ns`; returns early when a signal
    // arrives.
    void poll(u64 timeout_ns);

    // The clock of WaitTimer: CLOCK_MONOTONIC.
    static u64 now_ns();

private:
    friend class WaitTimer;
    friend class WaitHook;
    struct Watch;
    u64 until_next_timer(u64 at_most_ns) const;
    void run_due_timers();
    void run_always_ready();
    void apply(Watch& watch, Interest interest);
    int wait(void* events, int capacity, u64 timeout_ns);

    Descriptor epoll_;
    std::map<int, std::shared_ptr<Watch>> watches_;
    u32 generation_ = 0;
    usize always_ready_ = 0;  // watches with an interest that epoll cannot hold
    std::set<std::pair<u64, WaitTimer*>> timers_;
    std::vector<WaitHook*> hooks_;
};

// One shot at a moment of the monotonic clock; the callback runs from poll(), and may arm it again.
class WaitTimer {
public:
    WaitTimer(EventLoop& loop, std::function<void()> callback) : loop_(loop), callback_(std::move(callback)) {}
    ~WaitTimer() { cancel(); }
    WaitTimer(const WaitTimer&) = delete;
    WaitTimer& operator=(const WaitTimer&) = delete;

    // Replaces an earlier arming.
    void arm(u64 deadline_ns);
    void cancel();

private:
    friend class EventLoop;
    EventLoop& loop_;
    std::function<void()> callback_;
    u64 deadline_ns_ = 0;
    bool armed_ = false;
};

// For a library that has a loop of its own: called by each poll() before it waits, to say what to wait for, and after
// the handlers have run, to act on it. Neither made nor destroyed within such a call.
class WaitHook {
public:
    WaitHook(EventLoop& loop, std::function<void()> before, std::function<void()> after);
    ~WaitHook();
    WaitHook(const WaitHook&) = delete;
    WaitHook& operator=(const WaitHook&) = delete;

private:
    friend class EventLoop;
    EventLoop& loop_;
    std::function<void()> before_, after_;
};

}  // namespace viv::native
