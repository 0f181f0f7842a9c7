// The thread and its line of jobs. See compile_queue.h.
#include "engine/jit/compile_queue.h"

#include <algorithm>
#include <utility>

namespace viv::jit {

CompileQueue::CompileQueue(host::Threads& threads)
    : mutex_(threads.make_mutex()),
      changed_(threads.make_condition()),
      thread_(threads.start("compiler", [this] { body(); })) {}

CompileQueue::~CompileQueue() {
    {
        host::Lock held(mutex_.get());
        quit_ = true;
        waiting_.clear();
        changed_->notify_all();
    }
    thread_.reset();
}

void CompileQueue::body() {
    host::Lock held(mutex_.get());
    while (!quit_) {
        if (waiting_.empty()) {
            changed_->wait(*mutex_);
            continue;
        }
        running_ = std::move(waiting_.front());
        waiting_.pop_front();
        mutex_->unlock();
        running_->work();
        running_->finished_.store(true, std::memory_order_release);
        mutex_->lock();
        running_.reset();
        changed_->notify_all();
    }
}

void CompileQueue::post(std::shared_ptr<Job> job) {
    host::Lock held(mutex_.get());
    waiting_.push_back(std::move(job));
    changed_->notify_all();
}

bool CompileQueue::take_back(const Job& job) {
    host::Lock held(mutex_.get());
    return std::erase_if(waiting_, [&](const auto& each) { return each.get() == &job; }) != 0;
}

void CompileQueue::withdraw(const Job& job) {
    if (take_back(job)) return;
    host::Lock held(mutex_.get());
    while (running_.get() == &job) changed_->wait(*mutex_);
}

}  // namespace viv::jit
