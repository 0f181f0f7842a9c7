// Writing JSON lines. See journal.h; RFC 8259.
#include "netbridge/journal.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <iterator>

namespace viv::netbridge {

namespace {

// What is not ASCII is written as a question mark: log readers disagree about broken UTF-8.
void append_text(std::string& line, std::string_view text) {
    line += '"';
    for (const char c : text.substr(0, Journal::longest_text)) {
        if (c == '"' || c == '\\') {
            line += '\\';
            line += c;
        } else if (c >= 0 && c < 0x20) {
            fmt::format_to(std::back_inserter(line), "\\u{:04x}", static_cast<unsigned>(c));
        } else {
            line += c >= 0x20 && c < 0x7f ? c : '?';
        }
    }
    line += '"';
}

}  // namespace

bool Journal::write(std::string_view name, Fields fields) {
    constexpr u64 second = 1'000'000'000, microsecond = 1'000;
    const u64 now = clock_();
    std::string line = fmt::format("{{\"time\":\"{:%Y-%m-%dT%H:%M:%S}.{:06}Z\",\"event\":",
                                   fmt::gmtime(static_cast<std::time_t>(now / second)), now % second / microsecond);
    append_text(line, name);
    for (const auto& [key, value] : fields) {
        line += ',';
        append_text(line, key);
        line += ':';
        if (const auto* number = std::get_if<u64>(&value))
            line += std::to_string(*number);
        else
            append_text(line, *std::get_if<std::string_view>(&value));
    }
    line += "}\n";
    return line.size() <= longest_line && writer_(line);
}

void Journal::event(std::string_view name, Fields fields) {
    if (suppressed_ > 0 && write("suppressed", {{"lines", suppressed_}})) suppressed_ = 0;
    if (!write(name, fields)) suppressed_++;
}

void Journal::client(std::string_view name, Fields fields) {
    if (!bucket_.try_take(1, clock_())) {
        suppressed_++;
        return;
    }
    event(name, fields);
}

}  // namespace viv::netbridge
