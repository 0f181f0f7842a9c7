// The main loop's two halves: a slice of the machine, and the wait for what the outside brings, on one thread.
// Promises: a busy machine is interrupted about every millisecond for a poll that costs about a microsecond; an idle
// one sleeps in the kernel until its next timer or the next input.
#pragma once

#include <functional>
#include <vector>

#include "engine/control/machine.h"
#include "native/event_loop.h"

namespace viv::native {

class MachineLoop {
public:
    MachineLoop(Machine& machine, EventLoop& events) : machine_(machine), events_(events) {}

    // Called before each slice and before sleeping: moves bytes between devices and the outside.
    void add(std::function<void()> service) { services_.push_back(std::move(service)); }

    struct Ran {
        u64 guest_now_ns = 0;
        bool idle = false;       // the guest waits; deterministic: it spent most of the time waiting
        bool may_sleep = false;  // nothing will happen without time passing or input
        u64 sleep_ns = 0;        // and this is how long at most
    };
    // One slice; no instruction past `last_instruction` (in total since power-on) is executed.
    Ran run(u64 last_instruction);
    // Polls; sleeps if nothing has happened since `ran`, until guest time `wake_at_ns` and for `longest_ns` at most
    // (~0: no bound).
    void wait(const Ran& ran, u64 wake_at_ns, u64 longest_ns);

private:
    Machine::Ran run_slice(u64 last_instruction);

    Machine& machine_;
    EventLoop& events_;
    std::vector<std::function<void()>> services_;
    u64 last_instruction_ = ~u64{0};
};

}  // namespace viv::native
