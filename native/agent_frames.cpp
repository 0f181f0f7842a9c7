// Little-endian encoding and its checks. See agent_frames.h.
#include "native/agent_frames.h"

#include <algorithm>

#include "engine/lang/bytes.h"
#include "engine/lang/check.h"

namespace viv::native {

void FrameParser::add(std::span<const u8> bytes) {
    if (start_ > 0) {
        buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(start_));
        start_ = 0;
    }
    if (!broken_) buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
}

std::optional<Frame> FrameParser::next() {
    const usize available = buffer_.size() - start_;
    if (broken_ || available < frame_header_size) return std::nullopt;
    const u8* header = buffer_.data() + start_;
    const u32 length = load_le<u32>(header);
    if (length > frame_payload_limit) {
        broken_ = true;
        buffer_.clear();
        start_ = 0;
        return std::nullopt;
    }
    if (available - frame_header_size < length) return std::nullopt;
    start_ += frame_header_size + length;
    return Frame{
        static_cast<FrameType>(header[4]), header[5], load_le<u16>(header + 6), {header + frame_header_size, length}};
}

u64 PayloadReader::integer(usize size) {
    if (!good_ || rest_.size() < size) {
        good_ = false;
        return 0;
    }
    u64 value = 0;
    for (usize i = 0; i < size; i++) value |= u64{rest_[i]} << (8 * i);
    rest_ = rest_.subspan(size);
    return value;
}

std::string PayloadReader::read_string(usize limit) {
    const u32 length = read_u32();
    if (!good_ || length > limit || length > rest_.size()) {
        good_ = false;
        return {};
    }
    const auto bytes = rest_.first(length);
    rest_ = rest_.subspan(length);
    if (std::find(bytes.begin(), bytes.end(), u8{0}) != bytes.end()) {
        good_ = false;
        return {};
    }
    return {bytes.begin(), bytes.end()};
}

PayloadWriter& PayloadWriter::integer(u64 value, usize size) {
    for (usize i = 0; i < size; i++) bytes_.push_back(static_cast<u8>(value >> (8 * i)));
    return *this;
}

PayloadWriter& PayloadWriter::put_string(std::string_view text) {
    put_u32(static_cast<u32>(text.size()));
    bytes_.insert(bytes_.end(), text.begin(), text.end());
    return *this;
}

void append_frame(std::vector<u8>& to, FrameType type, u8 flags, u16 channel, std::span<const u8> payload) {
    CHECK(payload.size() <= frame_payload_limit);
    PayloadWriter header;
    header.put_u32(static_cast<u32>(payload.size())).put_u8(static_cast<u8>(type)).put_u8(flags).put_u16(channel);
    to.insert(to.end(), header.bytes().begin(), header.bytes().end());
    to.insert(to.end(), payload.begin(), payload.end());
}

bool is_safe_relative_path(std::string_view path) {
    if (path.empty()) return true;
    if (path.size() > agent_name_limit || path.find('\0') != std::string_view::npos) return false;
    while (true) {
        const auto slash = path.find('/');
        const auto part = path.substr(0, slash);
        if (part.empty() || part == "." || part == ".." || part.size() > 255) return false;
        if (slash == std::string_view::npos) return true;
        path.remove_prefix(slash + 1);
    }
}

std::string printable(std::string_view text) {
    std::string line;
    for (const char letter : text.substr(0, 400)) {
        const u8 byte = static_cast<u8>(letter);
        line += byte < 0x20 || byte == 0x7f ? '?' : letter;
    }
    return line;
}

}  // namespace viv::native
