// A thread beside the vCPUs that compiles for them, one job after another, in the order in which they were posted.
// Promises: may be called from any thread; a job's owner can always get it back, so it need not outlive what its work
// refers to. Without jobs the thread sleeps.
#pragma once

#include <atomic>
#include <deque>
#include <memory>

#include "engine/host/threads.h"

namespace viv::jit {

class CompileQueue {
public:
    class Job {
    public:
        virtual ~Job() = default;
        // On the queue's thread, once.
        virtual void work() = 0;
        // Whether work() has returned; what it has written can then be read.
        bool finished() const { return finished_.load(std::memory_order_acquire); }

    private:
        friend class CompileQueue;
        std::atomic<bool> finished_ = false;
    };

    explicit CompileQueue(host::Threads& threads);
    // Waits for the job in progress; those that wait are dropped.
    ~CompileQueue();
    CompileQueue(const CompileQueue&) = delete;
    CompileQueue& operator=(const CompileQueue&) = delete;

    void post(std::shared_ptr<Job> job);
    // The job, if it has not begun, never will. Returns whether that is so.
    bool take_back(const Job& job);
    // take_back(), or waits until the job has ended.
    void withdraw(const Job& job);

private:
    void body();

    std::unique_ptr<host::Mutex> mutex_;
    std::unique_ptr<host::Condition> changed_;  // of what follows
    std::deque<std::shared_ptr<Job>> waiting_;
    std::shared_ptr<Job> running_;
    bool quit_ = false;
    std::unique_ptr<host::Thread> thread_;  // the last, which begins when all is there
};

}  // namespace viv::jit
