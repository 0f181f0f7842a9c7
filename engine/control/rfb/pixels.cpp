// See pixels.h.
#include "engine/control/rfb/pixels.h"

#include <bit>

#include "engine/control/rfb/wire.h"

namespace viv::rfb {

std::optional<PixelFormat> PixelFormat::parse(std::span<const u8, wire_size> wire) {
    PixelFormat format;
    format.bits = wire[0];
    format.depth = wire[1];
    format.big_endian = wire[2] != 0;
    const bool true_colours = wire[3] != 0;
    if (!true_colours || (format.bits != 8 && format.bits != 16 && format.bits != 32)) return std::nullopt;
    for (usize i = 0; i < 3; i++) {
        format.most[i] = static_cast<u16>(get16(wire.subspan(4 + 2 * i)));
        format.shift[i] = wire[10 + i];
        // 2^n - 1, and within the pixel.
        const u32 most = format.most[i];
        if (most == 0 || (most & (most + 1)) != 0) return std::nullopt;
        if (format.shift[i] + static_cast<unsigned>(std::bit_width(most)) > format.bits) return std::nullopt;
    }
    return format;
}

void PixelFormat::write(Bytes& out) const {
    const u8 endian = big_endian ? 1 : 0, true_colours = 1;
    out.insert(out.end(), {bits, depth, endian, true_colours});
    for (const u16 each : most) put16(out, each);
    out.insert(out.end(), shift.begin(), shift.end());
    out.insert(out.end(), 3, 0);
}

PixelWriter::PixelWriter(const PixelFormat& format)
    : big_endian_(format.big_endian), bytes_(format.bits / 8u), compact_first_(0), compact_bytes_(bytes_) {
    u32 used = 0;
    for (usize channel = 0; channel < 3; channel++) {
        const u32 most = format.most[channel];
        for (u32 v = 0; v < 256; v++) tables_[channel][v] = (v * most + 127) / 255 << format.shift[channel];
        used |= most << format.shift[channel];
    }
    if (format.bits != 32 || format.depth > 24) return;
    if ((used & 0xff000000) == 0) {
        compact_bytes_ = 3;
    } else if ((used & 0xff) == 0) {
        compact_first_ = 1;
        compact_bytes_ = 3;
    }
}

void PixelWriter::put(Bytes& out, u32 value, unsigned first, unsigned count) const {
    for (unsigned i = 0; i < count; i++) {
        const unsigned which = first + (big_endian_ ? count - 1 - i : i);
        out.push_back(static_cast<u8>(value >> 8 * which));
    }
}

}  // namespace viv::rfb
