// Harts on parallel threads, one each; the thread that calls run() coordinates timers, idling and the end of the slice.
// Promises: no hart runs between two calls of run(); a hart that waits costs nothing and is woken by its Cpu's wake
// callback; timer callbacks run under the device lock; an exclusive section has the machine to itself.
// Lock order: the device lock before mutex_; nobody waits for anything but mutex_ while holding the device lock.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/host/clock.h"
#include "engine/host/threads.h"
#include "engine/isa/cpu.h"
#include "engine/time/timers.h"

namespace viv {

class Parallel {
public:
    struct Wiring {
        host::Threads& threads;
        host::Clock& clock;
        host::Mutex& device_lock;
        Timers& timers;
        std::atomic<bool>& attention;  // ends a run() soon
    };
    Parallel(std::span<Cpu* const> cpus, const Wiring& wiring);
    ~Parallel();
    Parallel(const Parallel&) = delete;
    Parallel& operator=(const Parallel&) = delete;

    struct Outcome {
        bool idle = false;                   // every hart waits
        u64 deadline_ns = Timers::never;     // guest time of the next timer
        std::optional<unsigned> debug_hart;  // the first that ended with Cpu::Exit::debug
    };
    // Lets the harts run (or only one of them) for about `host_ns`, until all wait, attention is asked for or
    // stop_soon().
    Outcome run(u64 host_ns, std::optional<unsigned> only);

    // Between calls of run(): a CPU's state was changed from outside, so that even those that waited are tried again.
    void try_all();
    // From a hart or a timer callback: the slice ends as soon as each hart has finished its instruction.
    void stop_soon();
    // A nearer deadline was armed.
    void deadline_changed();
    // The host's number of the hart's thread.
    u64 thread_id(unsigned index) const { return harts_[index].thread->id(); }
    // See BoardServices::exclusive.
    void exclusive(const std::function<void()>& section);

private:
    struct Hart {
        Cpu* cpu = nullptr;
        bool runnable = true;  // not known to wait for an interrupt
        bool inside = false;   // within Cpu::run, or on the way in or out
        std::unique_ptr<host::Condition> changed;
        std::unique_ptr<host::Thread> thread;
    };
    void body(unsigned index);
    void wake(unsigned index);
    bool may_run(unsigned index) const;
    bool any_may_run() const;
    void ask_attention();
    void notify_harts();
    u64 run_timers(u64& now);

    Wiring wiring_;
    std::unique_ptr<host::Mutex> mutex_;  // of everything below
    std::unique_ptr<host::Condition> coordinator_;
    std::unique_ptr<host::Condition> exclusive_changed_;
    std::vector<Hart> harts_;
    std::optional<unsigned> only_;
    std::optional<unsigned> debug_hart_;
    unsigned inside_ = 0;     // harts inside
    unsigned standing_ = 0;   // of these, the ones within exclusive()
    bool released_ = false;   // a run() is in progress and has not ended
    bool exclusive_ = false;  // a section runs, or waits for the others to stop
    bool in_timers_ = false;
    bool stop_ = false;
    bool look_again_ = false;  // something changed for the coordinator
    bool quit_ = false;
};

}  // namespace viv
