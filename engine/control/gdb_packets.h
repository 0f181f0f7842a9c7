// Packets of the GDB remote serial protocol (GDB manual, "Remote Serial Protocol", Overview): framing, checksums,
// escapes, hexadecimal. Promises: no byte sequence costs more memory than one packet; nothing is decoded before it is
// whole.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/lang/bits.h"

namespace viv::gdb {

constexpr usize packet_size = 0x4000;  // the most payload bytes of a packet, either way

class Framing {
public:
    enum class Event : u8 {
        nothing,
        packet,  // see payload(); the checksum is right
        bad_checksum,
        too_large,     // a packet beyond packet_size, now over
        interrupt,     // Ctrl-C
        acknowledged,  // '+'
        refused,       // '-': the other side wants the last packet again
    };
    Event take(u8 byte);
    // Unescaped. Valid until the next take().
    const std::string& payload() const { return payload_; }

private:
    enum class Place : u8 { between, body, escape, first_digit, second_digit };
    Place place_ = Place::between;
    std::string payload_;
    bool too_large_ = false;
    u8 sum_ = 0;
    u8 given_sum_ = 0;
};

// "$payload#xx", escaped.
std::string packet(std::string_view payload);

std::string to_hex(std::span<const u8> bytes);
std::string to_hex(std::string_view text);
std::optional<std::vector<u8>> from_hex(std::string_view digits);  // nothing unless all digits come in pairs
std::optional<unsigned> hex_digit(char c);
// Takes a number of up to 16 hexadecimal digits off the front of `text`; nothing if there is none or more.
std::optional<u64> take_hex(std::string_view& text);
// Takes one character off the front if it is `c`.
bool take_char(std::string_view& text, char c);

}  // namespace viv::gdb
