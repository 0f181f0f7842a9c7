// Logging through an injected sink, rate limited where a guest can cause it.
// Promises: no global state; a guest that misbehaves in a loop costs a bounded number of lines.
#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>

#include "engine/lang/bits.h"

namespace viv {

enum class LogLevel : u8 { error, warning, info, debug };

// Where lines go. Implemented by the host; called from any hart's thread.
class LogSink {
public:
    virtual ~LogSink() = default;
    // `component` is a device or room name ("plic", "virtio-blk"); `line` has no newline.
    virtual void write(LogLevel level, std::string_view component, std::string_view line) = 0;
};

// One component's handle on the sink. Guest-caused lines stop after `guest_line_limit`, with a last line that says so.
// One Log belongs to one component; calls are serialised by whoever serialises that component.
class Log {
public:
    static constexpr u32 guest_line_limit = 16;

    Log(LogSink& sink, std::string component) : sink_(&sink), component_(std::move(component)) {}

    template <class... Args>
    void error(fmt::format_string<Args...> format, Args&&... args) {
        sink_->write(LogLevel::error, component_, fmt::format(format, std::forward<Args>(args)...));
    }
    template <class... Args>
    void info(fmt::format_string<Args...> format, Args&&... args) {
        sink_->write(LogLevel::info, component_, fmt::format(format, std::forward<Args>(args)...));
    }
    // Something the guest did wrong: a warning, rate limited.
    template <class... Args>
    void guest(fmt::format_string<Args...> format, Args&&... args) {
        if (guest_lines_ > guest_line_limit) return;
        if (guest_lines_++ == guest_line_limit) {
            sink_->write(LogLevel::warning, component_, "further messages about this guest are suppressed");
            return;
        }
        sink_->write(LogLevel::warning, component_, fmt::format(format, std::forward<Args>(args)...));
    }

    LogSink& sink() const { return *sink_; }

private:
    LogSink* sink_;
    std::string component_;
    u32 guest_lines_ = 0;
};

// A sink that drops everything, for tests and fuzzers.
class NullLogSink final : public LogSink {
public:
    void write(LogLevel, std::string_view, std::string_view) override {}
};

}  // namespace viv
