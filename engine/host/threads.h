// Threads and locks as an injected interface, for harts on parallel threads. A host without threads passes none, and
// the engine then runs every hart in turn on its caller's thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "engine/lang/bits.h"

namespace viv::host {

class Mutex {
public:
    virtual ~Mutex() = default;
    virtual void lock() = 0;
    virtual void unlock() = 0;
};

// Used with the mutex it was made from; spurious wake-ups happen.
class Condition {
public:
    virtual ~Condition() = default;
    virtual void wait(Mutex& held) = 0;
    virtual void wait_for(Mutex& held, u64 nanoseconds) = 0;
    virtual void notify_all() = 0;
};

// Joins on destruction.
class Thread {
public:
    virtual ~Thread() = default;
    // The number by which the host's own tools know it (on Linux its tid), from start() on; 0 if there is none.
    virtual u64 id() const = 0;
};

class Threads {
public:
    virtual ~Threads() = default;
    virtual std::unique_ptr<Mutex> make_mutex() = 0;
    virtual std::unique_ptr<Condition> make_condition() = 0;
    virtual std::unique_ptr<Thread> start(std::string name, std::function<void()> body) = 0;
    virtual unsigned hardware_threads() = 0;
    // The calling thread gives way to others from now on, where the host has such a thing.
    virtual void give_way() {}
    virtual u64 current_id() const = 0;  // Thread::id() of the caller
};

class Lock {
public:
    explicit Lock(Mutex* mutex) : mutex_(mutex) {
        if (mutex_ != nullptr) mutex_->lock();
    }
    ~Lock() {
        if (mutex_ != nullptr) mutex_->unlock();
    }
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;

private:
    Mutex* mutex_;
};

}  // namespace viv::host
