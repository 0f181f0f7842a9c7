// See gdb_packets.h.
#include "engine/control/gdb_packets.h"

#include <algorithm>
#include <utility>

namespace viv::gdb {

namespace {

constexpr u8 control_c = 3;
constexpr u8 escape_mask = 0x20;
constexpr char digits[] = "0123456789abcdef";

}  // namespace

std::optional<unsigned> hex_digit(char c) {
    if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
    if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
    if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A' + 10);
    return std::nullopt;
}

Framing::Event Framing::take(u8 byte) {
    switch (place_) {
        case Place::between:
            if (byte == '+') return Event::acknowledged;
            if (byte == '-') return Event::refused;
            if (byte == control_c) return Event::interrupt;
            if (byte != '$') return Event::nothing;
            break;
        case Place::body:
        case Place::escape:
            if (byte == '$') break;  // the packet before was cut off
            if (byte == '#') {
                place_ = Place::first_digit;
                return Event::nothing;
            }
            sum_ = static_cast<u8>(sum_ + byte);
            if (place_ == Place::body && byte == '}') {
                place_ = Place::escape;
                return Event::nothing;
            }
            if (std::exchange(place_, Place::body) == Place::escape) byte ^= escape_mask;
            if (payload_.size() < packet_size)
                payload_ += static_cast<char>(byte);
            else
                too_large_ = true;
            return Event::nothing;
        case Place::first_digit:
        case Place::second_digit: {
            // A digit that is none makes a sum that cannot fit.
            const auto digit = hex_digit(static_cast<char>(byte));
            const bool first = place_ == Place::first_digit;
            place_ = first && digit ? Place::second_digit : Place::between;
            if (!digit) return Event::bad_checksum;
            given_sum_ = static_cast<u8>(given_sum_ << 4 | *digit);
            if (first) return Event::nothing;
            if (given_sum_ != sum_) return Event::bad_checksum;
            return too_large_ ? Event::too_large : Event::packet;
        }
    }
    place_ = Place::body;
    payload_.clear();
    too_large_ = false;
    sum_ = given_sum_ = 0;
    return Event::nothing;
}

std::string packet(std::string_view payload) {
    std::string out = "$";
    u8 sum = 0;
    const auto put = [&](char c) {
        out += c;
        sum = static_cast<u8>(sum + static_cast<u8>(c));
    };
    for (const char c : payload) {
        const bool special = c == '#' || c == '$' || c == '}' || c == '*';
        if (special) put('}');
        put(special ? static_cast<char>(c ^ static_cast<char>(escape_mask)) : c);
    }
    out += '#';
    out += digits[sum >> 4];
    out += digits[sum & 15];
    return out;
}

std::string to_hex(std::span<const u8> bytes) {
    std::string out;
    out.reserve(bytes.size() * 2);
    for (const u8 byte : bytes) {
        out += digits[byte >> 4];
        out += digits[byte & 15];
    }
    return out;
}

std::string to_hex(std::string_view text) {
    return to_hex(std::span(reinterpret_cast<const u8*>(text.data()), text.size()));
}

std::optional<std::vector<u8>> from_hex(std::string_view text) {
    if (text.size() % 2 != 0) return std::nullopt;
    std::vector<u8> bytes;
    bytes.reserve(text.size() / 2);
    for (usize i = 0; i < text.size(); i += 2) {
        const auto high = hex_digit(text[i]), low = hex_digit(text[i + 1]);
        if (!high || !low) return std::nullopt;
        bytes.push_back(static_cast<u8>(*high << 4 | *low));
    }
    return bytes;
}

std::optional<u64> take_hex(std::string_view& text) {
    u64 value = 0;
    usize count = 0;
    while (count < text.size()) {
        const auto digit = hex_digit(text[count]);
        if (!digit) break;
        if (count == 16) return std::nullopt;
        value = value << 4 | *digit;
        count++;
    }
    if (count == 0) return std::nullopt;
    text.remove_prefix(count);
    return value;
}

bool take_char(std::string_view& text, char c) {
    if (text.empty() || text.front() != c) return false;
    text.remove_prefix(1);
    return true;
}

}  // namespace viv::gdb
