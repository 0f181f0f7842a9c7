// See parallel.h. Everything here happens under one mutex, held for a few instructions at a time; harts execute, timer
// callbacks and exclusive sections run without it.
#include "engine/control/parallel.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/lang/check.h"

namespace viv {

namespace {

// Attention ends a hart's stay in Cpu::run, in translated code at the end of this only: some 0.1 ms.
constexpr u64 instructions_at_once = 100'000;

}  // namespace

Parallel::Parallel(std::span<Cpu* const> cpus, const Wiring& wiring)
    : wiring_(wiring),
      mutex_(wiring.threads.make_mutex()),
      coordinator_(wiring.threads.make_condition()),
      exclusive_changed_(wiring.threads.make_condition()),
      harts_(cpus.size()) {
    for (unsigned i = 0; i < harts_.size(); i++) {
        harts_[i].cpu = cpus[i];
        harts_[i].changed = wiring_.threads.make_condition();
        cpus[i]->set_wake([this, i] { wake(i); });
    }
    for (unsigned i = 0; i < harts_.size(); i++)
        harts_[i].thread = wiring_.threads.start(fmt::format("hart {}", i), [this, i] { body(i); });
}

Parallel::~Parallel() {
    {
        host::Lock held(mutex_.get());
        CHECK(inside_ == 0, "a machine must not end within run()");
        quit_ = true;
        for (Hart& hart : harts_) hart.changed->notify_all();
    }
    for (Hart& hart : harts_) hart.thread.reset();
    for (Hart& hart : harts_) hart.cpu->set_wake({});
}

bool Parallel::may_run(unsigned index) const {
    return released_ && harts_[index].runnable && (!only_ || *only_ == index);
}

bool Parallel::any_may_run() const {
    for (unsigned i = 0; i < harts_.size(); i++)
        if (may_run(i)) return true;
    return false;
}

void Parallel::notify_harts() {
    for (unsigned i = 0; i < harts_.size(); i++)
        if (may_run(i)) harts_[i].changed->notify_all();
}

void Parallel::ask_attention() {
    for (Hart& hart : harts_)
        if (hart.inside) hart.cpu->request_attention();
}

void Parallel::body(unsigned index) {
    Hart& hart = harts_[index];
    host::Lock held(mutex_.get());
    for (;;) {
        while (!quit_ && (exclusive_ || !may_run(index))) hart.changed->wait(*mutex_);
        if (quit_) return;
        hart.inside = true;
        inside_++;
        hart.runnable = false;  // a wake-up from here on is seen below
        mutex_->unlock();
        const Cpu::Exit exit = hart.cpu->run(instructions_at_once);
        mutex_->lock();
        hart.inside = false;
        inside_--;
        if (exit == Cpu::Exit::budget || exit == Cpu::Exit::debug) hart.runnable = true;
        if (exit == Cpu::Exit::debug) {
            if (!debug_hart_) debug_hart_ = index;
            stop_ = true;
            released_ = false;
        }
        if (exclusive_) exclusive_changed_->notify_all();
        if (inside_ == 0 || stop_ || wiring_.attention.load(std::memory_order_relaxed)) {
            look_again_ = true;
            coordinator_->notify_all();
        }
    }
}

void Parallel::wake(unsigned index) {
    host::Lock held(mutex_.get());
    harts_[index].runnable = true;
    harts_[index].changed->notify_all();
}

void Parallel::try_all() {
    host::Lock held(mutex_.get());
    for (Hart& hart : harts_) hart.runnable = true;
}

void Parallel::stop_soon() {
    host::Lock held(mutex_.get());
    stop_ = true;
    look_again_ = true;
    released_ = false;
    ask_attention();
    coordinator_->notify_all();
}

void Parallel::deadline_changed() {
    host::Lock held(mutex_.get());
    look_again_ = true;
    coordinator_->notify_all();
}

void Parallel::exclusive(const std::function<void()>& section) {
    host::Lock held(mutex_.get());
    if (inside_ == 0) {  // called between two slices: nobody else runs anyway
        mutex_->unlock();
        section();
        mutex_->lock();
        return;
    }
    standing_++;
    exclusive_changed_->notify_all();
    while (exclusive_) exclusive_changed_->wait(*mutex_);
    exclusive_ = true;
    ask_attention();
    while (standing_ != inside_ || in_timers_) exclusive_changed_->wait(*mutex_);
    mutex_->unlock();
    section();
    mutex_->lock();
    exclusive_ = false;
    standing_--;
    exclusive_changed_->notify_all();
    notify_harts();
    coordinator_->notify_all();
}

u64 Parallel::run_timers(u64& now) {
    while (exclusive_) coordinator_->wait(*mutex_);
    in_timers_ = true;
    mutex_->unlock();
    u64 deadline = Timers::never;
    {
        host::Lock held(&wiring_.device_lock);
        wiring_.timers.run_due();
        deadline = wiring_.timers.next_deadline_ns();
        now = wiring_.timers.now_ns();
    }
    mutex_->lock();
    in_timers_ = false;
    if (exclusive_) exclusive_changed_->notify_all();
    return deadline;
}

Parallel::Outcome Parallel::run(u64 host_ns, std::optional<unsigned> only) {
    const u64 started = wiring_.clock.monotonic_ns();
    Outcome outcome;
    host::Lock held(mutex_.get());
    stop_ = false;
    debug_hart_.reset();
    only_ = only;
    released_ = true;
    notify_harts();
    for (;;) {
        look_again_ = false;
        u64 now = 0;
        outcome.deadline_ns = run_timers(now);
        const u64 spent = wiring_.clock.monotonic_ns() - started;
        if (stop_ || spent >= host_ns || wiring_.attention.load(std::memory_order_relaxed)) break;
        if (look_again_) continue;
        const bool due = outcome.deadline_ns <= now;
        if (inside_ == 0 && !any_may_run() && !due) {
            outcome.idle = true;
            break;
        }
        u64 wait_ns = host_ns - spent;
        if (outcome.deadline_ns != Timers::never) wait_ns = std::min(wait_ns, due ? 0 : outcome.deadline_ns - now);
        // A callback may have armed a time already past: the harts have their chance before it is its turn again.
        if (wait_ns != 0) coordinator_->wait_for(*mutex_, wait_ns);
    }
    released_ = false;
    ask_attention();
    while (inside_ != 0) coordinator_->wait(*mutex_);
    outcome.debug_hart = debug_hart_;
    return outcome;
}

}  // namespace viv
