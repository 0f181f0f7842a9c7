// Pixels as a client of RFB wants them (RFC 6143, 7.4 and 7.7.5).
// Promises: a format from a client is checked before it is used.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <vector>

#include "engine/lang/bits.h"

namespace viv::rfb {

using Bytes = std::vector<u8>;

// PIXEL_FORMAT with true colours.
struct PixelFormat {
    static constexpr usize wire_size = 16;

    u8 bits = 32, depth = 24;  // bits: 8, 16 or 32
    bool big_endian = false;
    std::array<u16, 3> most{255, 255, 255};  // red, green, blue
    std::array<u8, 3> shift{16, 8, 0};

    // Nothing: there is no such format, or it has a colour map.
    static std::optional<PixelFormat> parse(std::span<const u8, wire_size> wire);
    void write(Bytes& out) const;
};

class PixelWriter {
public:
    explicit PixelWriter(const PixelFormat& format);

    // `bgrx`: four bytes a pixel, as a surface has them.
    u32 value(const u8* bgrx) const { return tables_[0][bgrx[2]] | tables_[1][bgrx[1]] | tables_[2][bgrx[0]]; }
    // PIXEL, and the shorter CPIXEL of compressed encodings.
    void put(Bytes& out, u32 value) const { put(out, value, 0, bytes_); }
    void put_compact(Bytes& out, u32 value) const { put(out, value, compact_first_, compact_bytes_); }

private:
    void put(Bytes& out, u32 value, unsigned first, unsigned count) const;

    std::array<std::array<u32, 256>, 3> tables_;  // of each channel's value what it adds to a pixel's
    bool big_endian_;
    unsigned bytes_;
    unsigned compact_first_, compact_bytes_;  // which of its bytes, the lowest being 0
};

}  // namespace viv::rfb
