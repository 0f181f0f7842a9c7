// See zrle.h.
#include "engine/control/rfb/zrle.h"

#include <zlib.h>

#include <algorithm>

#include "engine/control/rfb/wire.h"

namespace viv::rfb {

namespace {

constexpr u32 tile_size = 64;
constexpr usize largest_palette = 16;
constexpr u8 tile_raw = 0, tile_solid = 1;  // from 2 to 16: a packed palette of so many

}  // namespace

struct ZrleEncoder::Stream {
    z_stream zlib{};
    bool good = false;
};

ZrleEncoder::ZrleEncoder() : stream_(std::make_unique<Stream>()) {
    stream_->good = deflateInit(&stream_->zlib, Z_BEST_SPEED) == Z_OK;
}

ZrleEncoder::~ZrleEncoder() {
    if (stream_->good) deflateEnd(&stream_->zlib);
}

void ZrleEncoder::add_tile(const display::Surface& surface, const display::Rectangle& tile, const PixelWriter& writer) {
    values_.clear();
    std::vector<u32> palette;
    for (u32 y = tile.y; y < tile.y + tile.height; y++) {
        const u8* pixel = surface.row(y).data() + usize{4} * tile.x;
        for (u32 x = 0; x < tile.width; x++, pixel += 4) {
            const u32 value = writer.value(pixel);
            values_.push_back(value);
            if (palette.size() <= largest_palette && std::find(palette.begin(), palette.end(), value) == palette.end())
                palette.push_back(value);
        }
    }
    if (palette.size() > largest_palette) {
        plain_.push_back(tile_raw);
        for (const u32 value : values_) writer.put_compact(plain_, value);
        return;
    }
    plain_.push_back(palette.size() == 1 ? tile_solid : static_cast<u8>(palette.size()));
    for (const u32 value : palette) writer.put_compact(plain_, value);
    if (palette.size() == 1) return;
    const unsigned bits = palette.size() == 2 ? 1 : palette.size() <= 4 ? 2 : 4;
    for (u32 y = 0; y < tile.height; y++) {
        u32 packed = 0, held = 0;
        for (u32 x = 0; x < tile.width; x++) {
            const auto found = std::find(palette.begin(), palette.end(), values_[usize{y} * tile.width + x]);
            packed = packed << bits | static_cast<u32>(found - palette.begin());
            held += bits;
            if (held == 8) {
                plain_.push_back(static_cast<u8>(packed));
                packed = held = 0;
            }
        }
        if (held > 0) plain_.push_back(static_cast<u8>(packed << (8 - held)));
    }
}

bool ZrleEncoder::encode(const display::Surface& surface, const display::Rectangle& area, const PixelWriter& writer,
                         Bytes& out) {
    if (!stream_->good) return false;
    plain_.clear();
    for (u32 y = 0; y < area.height; y += tile_size)
        for (u32 x = 0; x < area.width; x += tile_size)
            add_tile(
                surface,
                {area.x + x, area.y + y, std::min(tile_size, area.width - x), std::min(tile_size, area.height - y)},
                writer);
    z_stream& zlib = stream_->zlib;
    const usize length_at = out.size();
    put32(out, 0);
    const usize begin = out.size();
    zlib.next_in = plain_.data();
    zlib.avail_in = static_cast<uInt>(plain_.size());
    constexpr usize piece = 64 << 10;
    do {
        const usize at = out.size();
        out.resize(at + piece);
        zlib.next_out = out.data() + at;
        zlib.avail_out = piece;
        const int status = deflate(&zlib, Z_SYNC_FLUSH);
        if (status != Z_OK && status != Z_BUF_ERROR) return false;
        out.resize(out.size() - zlib.avail_out);
    } while (zlib.avail_out == 0);
    const usize length = out.size() - begin;
    for (unsigned i = 0; i < 4; i++) out[length_at + i] = static_cast<u8>(length >> (24 - 8 * i));
    return true;
}

}  // namespace viv::rfb
