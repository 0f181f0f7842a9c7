// Waits for descriptors on behalf of everything that talks to the outside: one epoll set, one thread.
// Promises: a handler runs only from poll(), never for a watch that was removed before, also within the same poll();
// descriptors that epoll refuses because they are always ready (regular files, /dev/null) are handled as such;
// time-outs are exact to the kernel's timer slack.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "engine/lang/bits.h"
#include "native/descriptor.h"

namespace viv::native {

enum class Interest : u8 { none = 0, read = 1, write = 2, read_write = 3 };
constexpr Interest operator|(Interest a, Interest b) {
    return static_cast<Interest>(static_cast<u8>(a) | static_cast<u8>(b));
}
constexpr bool includes(Interest set, Interest one) { return (static_cast<u8>(set) & static_cast<u8>(one)) != 0; }

class EventLoop {
public:
    static constexpr u64 for_ever = ~u64{0};

    // What is possible now; a hang-up or an error makes both true, so that the next read or write reports it.
    struct Ready {
        bool read = false;
        bool write = false;
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

private:
    struct Watch;
    void apply(Watch& watch, Interest interest);
    int wait(void* events, int capacity, u64 timeout_ns);

    Descriptor epoll_;
    std::map<int, std::shared_ptr<Watch>> watches_;
    u32 generation_ = 0;
    usize always_ready_ = 0;  // watches with an interest that epoll cannot hold
};

}  // namespace viv::native
