// epoll(7) behind EventLoop. See event_loop.h.
#include "native/event_loop.h"

#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <limits>

#include "engine/lang/check.h"

namespace viv::native {

struct EventLoop::Watch {
    int descriptor = -1;
    u32 generation = 0;
    Interest interest = Interest::none;
    enum class Kind : u8 { unknown, polled, always_ready } kind = Kind::unknown;
    Handler handler;
};

EventLoop::EventLoop() : epoll_(epoll_create1(EPOLL_CLOEXEC)) { CHECK(static_cast<bool>(epoll_), "epoll_create1"); }
EventLoop::~EventLoop() = default;

void EventLoop::add(int descriptor, Interest interest, Handler handler) {
    CHECK(descriptor >= 0 && !watches_.contains(descriptor));
    auto watch = std::make_shared<Watch>();
    watch->descriptor = descriptor;
    watch->generation = ++generation_;
    watch->handler = std::move(handler);
    watches_.emplace(descriptor, watch);
    apply(*watch, interest);
}

void EventLoop::change(int descriptor, Interest interest) {
    const auto found = watches_.find(descriptor);
    CHECK(found != watches_.end());
    if (found->second->interest != interest) apply(*found->second, interest);
}

void EventLoop::remove(int descriptor) {
    const auto found = watches_.find(descriptor);
    if (found == watches_.end()) return;
    if (found->second->interest != Interest::none) apply(*found->second, Interest::none);
    watches_.erase(found);
}

void EventLoop::apply(Watch& watch, Interest interest) {
    const Interest before = watch.interest;
    watch.interest = interest;
    if (watch.kind == Watch::Kind::always_ready) {
        always_ready_ += interest != Interest::none;
        always_ready_ -= before != Interest::none;
        return;
    }
    epoll_event event{};
    event.events =
        (includes(interest, Interest::read) ? EPOLLIN : 0u) | (includes(interest, Interest::write) ? EPOLLOUT : 0u);
    event.data.u64 = u64{watch.generation} << 32 | static_cast<u32>(watch.descriptor);
    // Nothing wanted means not in the set: epoll would report a hang-up for ever.
    int operation = EPOLL_CTL_MOD;
    if (interest == Interest::none)
        operation = EPOLL_CTL_DEL;
    else if (before == Interest::none)
        operation = EPOLL_CTL_ADD;
    if (before == Interest::none && interest == Interest::none) return;
    const bool done = epoll_ctl(epoll_.number(), operation, watch.descriptor, &event) == 0;
    if (operation == EPOLL_CTL_DEL) return;  // a descriptor that was closed has left the set by itself
    if (done) {
        watch.kind = Watch::Kind::polled;
        return;
    }
    CHECK(errno == EPERM && operation == EPOLL_CTL_ADD, "a watched descriptor was closed");
    watch.kind = Watch::Kind::always_ready;
    always_ready_++;
}

int EventLoop::wait(void* events, int capacity, u64 timeout_ns) {
    auto* list = static_cast<epoll_event*>(events);
    if (timeout_ns == 0) return epoll_wait(epoll_.number(), list, capacity, 0);
    constexpr u64 second = 1'000'000'000;
    timespec limit{};
    limit.tv_sec = static_cast<time_t>(timeout_ns / second);
    limit.tv_nsec = static_cast<long>(timeout_ns % second);
    const int count = epoll_pwait2(epoll_.number(), list, capacity, timeout_ns == for_ever ? nullptr : &limit, nullptr);
    if (count >= 0 || errno != ENOSYS) return count;
    // Kernels before 5.11: whole milliseconds, rounded up so that nobody spins.
    constexpr u64 millisecond = 1'000'000;
    const u64 wanted = timeout_ns / millisecond + (timeout_ns % millisecond != 0);
    const int milliseconds = timeout_ns == for_ever ? -1
                                                    : static_cast<int>(wanted < u64{std::numeric_limits<int>::max()}
                                                                           ? wanted
                                                                           : u64{std::numeric_limits<int>::max()});
    return epoll_wait(epoll_.number(), list, capacity, milliseconds);
}

u64 EventLoop::now_ns() {
    timespec now{};
    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return static_cast<u64>(now.tv_sec) * 1'000'000'000 + static_cast<u64>(now.tv_nsec);
}

u64 EventLoop::until_next_timer(u64 at_most_ns) const {
    if (timers_.empty() || at_most_ns == 0) return at_most_ns;
    const u64 now = now_ns(), deadline = timers_.begin()->first;
    return std::min(at_most_ns, deadline > now ? deadline - now : 0);
}

void EventLoop::run_due_timers() {
    if (timers_.empty()) return;
    const u64 now = now_ns();
    // So many and no more: a callback that arms its timer for a moment that is over cannot keep us here.
    for (usize left = timers_.size(); left != 0 && !timers_.empty() && timers_.begin()->first <= now; left--) {
        WaitTimer* timer = timers_.begin()->second;
        timer->cancel();
        timer->callback_();
    }
}

void WaitTimer::arm(u64 deadline_ns) {
    if (armed_ && deadline_ns == deadline_ns_) return;
    cancel();
    deadline_ns_ = deadline_ns;
    armed_ = true;
    loop_.timers_.emplace(deadline_ns, this);
}

void WaitTimer::cancel() {
    if (!armed_) return;
    armed_ = false;
    loop_.timers_.erase({deadline_ns_, this});
}

WaitHook::WaitHook(EventLoop& loop, std::function<void()> before, std::function<void()> after)
    : loop_(loop), before_(std::move(before)), after_(std::move(after)) {
    loop_.hooks_.push_back(this);
}
WaitHook::~WaitHook() { std::erase(loop_.hooks_, this); }

void EventLoop::poll(u64 timeout_ns) {
    constexpr int capacity = 32;
    epoll_event events[capacity];
    for (WaitHook* hook : hooks_) hook->before_();
    timeout_ns = until_next_timer(timeout_ns);
    const int count = wait(events, capacity, always_ready_ > 0 ? 0 : timeout_ns);
    CHECK(count >= 0 || errno == EINTR, "epoll_wait");
    for (int i = 0; i < count; i++) {
        const auto found = watches_.find(static_cast<int>(static_cast<u32>(events[i].data.u64)));
        if (found == watches_.end() || found->second->generation != static_cast<u32>(events[i].data.u64 >> 32))
            continue;
        const auto watch = found->second;  // the handler may remove it
        const bool broken = (events[i].events & (EPOLLERR | EPOLLHUP)) != 0;
        watch->handler(
            {(events[i].events & EPOLLIN) != 0 || broken, (events[i].events & EPOLLOUT) != 0 || broken, broken});
    }
    if (always_ready_ != 0) run_always_ready();
    run_due_timers();
    for (WaitHook* hook : hooks_) hook->after_();
}

void EventLoop::run_always_ready() {
    std::vector<std::shared_ptr<Watch>> ready;
    for (const auto& [descriptor, watch] : watches_)
        if (watch->kind == Watch::Kind::always_ready && watch->interest != Interest::none) ready.push_back(watch);
    for (const auto& watch : ready) {
        const auto found = watches_.find(watch->descriptor);
        if (found == watches_.end() || found->second != watch || watch->interest == Interest::none) continue;
        watch->handler({includes(watch->interest, Interest::read), includes(watch->interest, Interest::write), false});
    }
}

}  // namespace viv::native
