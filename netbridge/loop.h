// libuv's loop and its handles as C++ owns things. The relay has one loop, which libwebsockets shares.
// Promises: a handle is closed once, when its owner goes; its memory lives until libuv lets go of it; no callback comes
// after that.
#pragma once

#include <uv.h>

#include <functional>
#include <memory>
#include <utility>

#include "engine/lang/bits.h"

namespace viv::netbridge {

// A handle of type Raw with one callback. The functions of libuv that start it are given raw().
template <class Raw, class... Arguments>
class Handle {
public:
    using Callback = std::function<void(Arguments...)>;

    // `start` initialises raw(): uv_timer_init and its like.
    template <class Start>
    Handle(Start start, Callback callback) : box_(new Box{{}, std::move(callback)}) {
        start(&box_->raw);
        box_->raw.data = box_;
    }
    ~Handle() {
        box_->callback = nullptr;
        uv_close(reinterpret_cast<uv_handle_t*>(&box_->raw),
                 [](uv_handle_t* handle) { delete static_cast<Box*>(handle->data); });
    }
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;

    Raw* raw() { return &box_->raw; }
    // What libuv is to call.
    static void call(Raw* raw, Arguments... arguments) {
        // A copy: the callback may end its handle.
        const auto callback = static_cast<Box*>(raw->data)->callback;
        if (callback) callback(arguments...);
    }

private:
    struct Box {
        Raw raw;
        Callback callback;
    };
    Box* box_;
};

class Timer : private Handle<uv_timer_t> {
public:
    Timer(uv_loop_t* loop, Callback callback)
        : Handle([loop](uv_timer_t* raw) { uv_timer_init(loop, raw); }, std::move(callback)) {}
    void arm(u64 milliseconds, u64 repeat = 0) { uv_timer_start(raw(), &Handle::call, milliseconds, repeat); }
    void cancel() { uv_timer_stop(raw()); }
};

// By how much the loop, or the whole process, comes too late: everything that is served waits for as long.
class Watchdog {
public:
    static constexpr u64 every_ms = 100;

    Watchdog(uv_loop_t* loop, std::function<void(u64 late_ns)> report)
        : loop_(loop), report_(std::move(report)), timer_(loop, [this] { look(); }) {
        wind();
    }

private:
    void look() {
        const u64 now_ns = uv_hrtime();
        report_(now_ns > due_ns_ ? now_ns - due_ns_ : 0);
        wind();
    }
    void wind() {
        // A timer begins at the time that the loop has last looked up, which may be long ago.
        uv_update_time(loop_);
        due_ns_ = uv_hrtime() + every_ms * 1'000'000;
        timer_.arm(every_ms);
    }

    uv_loop_t* loop_;
    std::function<void(u64)> report_;
    u64 due_ns_ = 0;
    Timer timer_;
};

// Before the loop waits, and after.
class Prepare : private Handle<uv_prepare_t> {
public:
    Prepare(uv_loop_t* loop, Callback callback)
        : Handle([loop](uv_prepare_t* raw) { uv_prepare_init(loop, raw); }, std::move(callback)) {
        uv_prepare_start(raw(), &Handle::call);
    }
};
class Check : private Handle<uv_check_t> {
public:
    Check(uv_loop_t* loop, Callback callback)
        : Handle([loop](uv_check_t* raw) { uv_check_init(loop, raw); }, std::move(callback)) {
        uv_check_start(raw(), &Handle::call);
    }
};

// Called some time after send(), once for one or more of them. Only send() may be called by any thread.
class Wake : private Handle<uv_async_t> {
public:
    Wake(uv_loop_t* loop, Callback callback)
        : Handle([loop](uv_async_t* raw) { uv_async_init(loop, raw, &Handle::call); }, std::move(callback)) {}
    void send() { uv_async_send(raw()); }
};

class SignalWatch : private Handle<uv_signal_t, int> {
public:
    SignalWatch(uv_loop_t* loop, int number, Callback callback)
        : Handle([loop](uv_signal_t* raw) { uv_signal_init(loop, raw); }, std::move(callback)) {
        uv_signal_start(raw(), &Handle::call, number);
    }
};

// A descriptor that somebody else owns, and closes only after this has gone.
class DescriptorWatch : private Handle<uv_poll_t, int, int> {
public:
    // status (0 or negative), events (UV_READABLE, UV_WRITABLE)
    DescriptorWatch(uv_loop_t* loop, int descriptor, Callback callback)
        : Handle([&](uv_poll_t* raw) { uv_poll_init(loop, raw, descriptor); }, std::move(callback)) {}
    void want(int events) {
        if (events == events_) return;
        events_ = events;
        if (events == 0)
            uv_poll_stop(raw());
        else
            uv_poll_start(raw(), events, &Handle::call);
    }

private:
    int events_ = 0;
};

}  // namespace viv::netbridge
