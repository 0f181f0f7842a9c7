// The relay's log: one JSON object a line, to a descriptor that the program owns (standard error).
// Promises: a line is valid JSON whatever is in it; lines that clients can cause are limited to a rate, and how many
// were left out is said; so are those that the log's reader has had no room for, who stops nobody by that; no token and
// nothing of a frame's content is ever in it.
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
    // With its newline, at most longest_line bytes. False if it has not been written.
    using Writer = std::function<bool(std::string_view line)>;
    using Clock = std::function<u64()>;  // nanoseconds since 1970

    Journal(Writer writer, Clock clock)
        : writer_(std::move(writer)), clock_(std::move(clock)), bucket_({50, 500}, clock_()) {}

    static constexpr usize longest_line = 4096,
                           longest_text = 512;  // PIPE_BUF; of a field, before it is written as JSON

    // What the relay itself does.
    void event(std::string_view name, Fields fields = {});
    // What a client causes.
    void client(std::string_view name, Fields fields);

private:
    bool write(std::string_view name, Fields fields);

    Writer writer_;
    Clock clock_;
    TokenBucket bucket_;
    u64 suppressed_ = 0;
};

}  // namespace viv::netbridge
