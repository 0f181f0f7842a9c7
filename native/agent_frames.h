// Frames of the guest agent's protocol, version 1: guests/agent/PROTOCOL.md.
// Promises: the guest is not trusted: a length is checked before anything is decoded, a payload that is too short reads
// as zeroes and is marked bad.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/lang/bits.h"

namespace viv::native {

enum class FrameType : u8 {
    hello = 0x01,
    power_off = 0x02,
    exec = 0x10,
    stdin_end = 0x11,
    signal = 0x12,
    resize = 0x13,
    cancel = 0x14,
    put = 0x20,
    get = 0x21,
    end = 0x22,
    window = 0x30,
    exited = 0x31,
    error = 0x32,
    stdin_bytes = 0x40,
    stdout_bytes = 0x41,
    stderr_bytes = 0x42,
    entry = 0x43,
    data = 0x44,
};

constexpr usize frame_header_size = 8;
constexpr usize frame_payload_limit = 65536;
constexpr usize agent_name_limit = 4095;

struct Frame {
    FrameType type = FrameType::hello;
    u8 flags = 0;
    u16 channel = 0;
    std::span<const u8> payload;
};

// Cuts a byte stream into frames.
class FrameParser {
public:
    void add(std::span<const u8> bytes);
    // The next complete frame; its payload is valid until the next call of a member that is not const.
    std::optional<Frame> next();
    // The stream holds something that is no frame; next() returns nothing any more.
    bool broken() const { return broken_; }

private:
    std::vector<u8> buffer_;
    usize start_ = 0;
    bool broken_ = false;
};

class PayloadReader {
public:
    explicit PayloadReader(std::span<const u8> payload) : rest_(payload) {}
    u8 read_u8() { return static_cast<u8>(integer(1)); }
    u16 read_u16() { return static_cast<u16>(integer(2)); }
    u32 read_u32() { return static_cast<u32>(integer(4)); }
    u64 read_u64() { return integer(8); }
    // Bad if it is longer than `limit` or holds a zero byte.
    std::string read_string(usize limit);
    bool good() const { return good_; }

private:
    u64 integer(usize size);
    std::span<const u8> rest_;
    bool good_ = true;
};

class PayloadWriter {
public:
    PayloadWriter& put_u8(u8 value) { return integer(value, 1); }
    PayloadWriter& put_u16(u16 value) { return integer(value, 2); }
    PayloadWriter& put_u32(u32 value) { return integer(value, 4); }
    PayloadWriter& put_u64(u64 value) { return integer(value, 8); }
    PayloadWriter& put_string(std::string_view text);
    std::span<const u8> bytes() const { return bytes_; }

private:
    PayloadWriter& integer(u64 value, usize size);
    std::vector<u8> bytes_;
};

void append_frame(std::vector<u8>& to, FrameType type, u8 flags, u16 channel, std::span<const u8> payload);

// A relative path whose parts are names: no empty part, no ".", no "..". The empty path is one too.
bool is_safe_relative_path(std::string_view path);

// Text from a guest as one line that is safe to show on a terminal.
std::string printable(std::string_view text);

}  // namespace viv::native
