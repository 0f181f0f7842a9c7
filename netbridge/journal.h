// The relay's log: one JSON object a line, to a descriptor that the program owns (standard error).
// Promises: a line is valid JSON whatever is in it; lines that clients can cause are limited to a rate, and how many
// were left out is said; no token and nothing of a frame's content is ever in it.
#pragma once

#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "netbridge/limits.h"

namespace viv::netbridge {

class Journal {
public:
    using Value = std::variant<std::string_view, u64>;
    using Field = std::pair<std::string_view, Value>;
    using Fields = std::initializer_list<Field>;
    using Writer = std::function<void(std::string_view line)>;  // with its newline
    using Clock = std::function<u64()>;                         // nanoseconds since 1970

    Journal(Writer writer, Clock clock)
        : writer_(std::move(writer)), clock_(std::move(clock)), bucket_({50, 500}, clock_()) {}

    // What the relay itself does.
    void event(std::string_view name, Fields fields = {});
    // What a client causes.
    void client(std::string_view name, Fields fields);

private:
    Writer writer_;
    Clock clock_;
    TokenBucket bucket_;
    u64 suppressed_ = 0;
};

}  // namespace viv::netbridge
