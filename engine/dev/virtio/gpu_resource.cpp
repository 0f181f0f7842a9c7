// Scattered guest memory to rows, and eight pixel formats to one. See gpu_resource.h.
#include "engine/dev/virtio/gpu_resource.h"

#include <algorithm>
#include <cstring>

#include "engine/lang/bytes.h"

namespace viv::virtio::gpu {

using display::Rectangle;

bool is_known(Format format) {
    switch (format) {
        case Format::b8g8r8a8:
        case Format::b8g8r8x8:
        case Format::a8r8g8b8:
        case Format::x8r8g8b8:
        case Format::r8g8b8a8:
        case Format::x8b8g8r8:
        case Format::a8b8g8r8:
        case Format::r8g8b8x8: return true;
    }
    return false;
}

namespace {

template <class F>
void each_pixel(std::span<const u8> in, std::span<u8> out, F change) {
    for (usize at = 0; at + pixel_size <= in.size(); at += pixel_size)
        store_le(out.data() + at, change(load_le<u32>(in.data() + at)));
}

// Red, green, blue, x as a little-endian integer: red and blue change places.
u32 swap_red_blue(u32 pixel) { return (pixel & 0xff00'ff00) | (pixel >> 16 & 0xff) | (pixel & 0xff) << 16; }

}  // namespace

void convert(Format format, Alpha alpha, std::span<const u8> in, std::span<u8> out) {
    const bool has_alpha = format == Format::b8g8r8a8 || format == Format::a8r8g8b8 || format == Format::r8g8b8a8 ||
                           format == Format::a8b8g8r8;
    const u32 opaque = has_alpha && alpha == Alpha::kept ? 0 : 0xff00'0000;
    switch (format) {
        case Format::b8g8r8a8:
        case Format::b8g8r8x8: return each_pixel(in, out, [=](u32 p) { return p | opaque; });
        case Format::a8r8g8b8:
        case Format::x8r8g8b8: return each_pixel(in, out, [=](u32 p) { return byte_swap(p) | opaque; });
        case Format::r8g8b8a8:
        case Format::r8g8b8x8: return each_pixel(in, out, [=](u32 p) { return swap_red_blue(p) | opaque; });
        case Format::a8b8g8r8:
        case Format::x8b8g8r8: return each_pixel(in, out, [=](u32 p) { return p >> 8 | p << 24 | opaque; });
    }
}

Resource::Resource(Format format, u32 width, u32 height)
    : format_(format), width_(width), height_(height), pixels_(usize{width} * height * pixel_size) {}

u64 Resource::cost() const { return cost(width_, height_) + backing_.size() * backing_entry_size; }

void Resource::attach(std::vector<Backing> backing) {
    backing_ = std::move(backing);
    has_backing_ = true;
}

void Resource::detach() {
    backing_ = {};
    has_backing_ = false;
}

bool Resource::transfer(const Dma& dma, const Rectangle& area, u64 offset) {
    if (area.empty() || !display::fits(area, width_, height_)) return false;
    const u64 stride = u64{width_} * pixel_size;
    const bool whole_rows = area.width == width_;
    const u64 row_size = whole_rows ? stride * area.height : u64{area.width} * pixel_size;
    const u64 rows = whole_rows ? 1 : area.height;
    u64 total = 0;
    for (const Backing& entry : backing_) total += entry.length;
    if (!range_fits(offset, (rows - 1) * stride + row_size, total)) return false;

    // First see that all of it is RAM, then copy: the second pass cannot fail.
    for (const bool copying : {false, true}) {
        auto entry = backing_.begin();
        u64 start = 0;  // the offset of `entry`
        for (u64 row = 0; row < rows; row++) {
            const u64 from = offset + row * stride;
            for (u64 done = 0; done < row_size;) {
                while (from + done >= start + entry->length) start += entry++->length;
                const u64 inside = from + done - start;
                const u64 part = std::min(row_size - done, entry->length - inside);
                const auto view = dma.view(entry->address + inside, part);
                if (view.empty()) return false;
                const u64 to = ((area.y + row) * width_ + area.x) * pixel_size + done;
                if (copying) std::memcpy(pixels_.data() + to, view.data(), part);
                done += part;
            }
        }
    }
    return true;
}

bool Resource::valid() const {
    return is_known(format_) && width_ != 0 && height_ != 0 && width_ <= largest_side && height_ <= largest_side &&
           pixels_.size() == usize{width_} * height_ * pixel_size && backing_.size() <= most_backing_entries;
}

void Resource::state(Archive& a, u64 largest) {
    a(1, "format", format_);
    a(2, "width", width_, largest_side);
    a(3, "height", height_, largest_side);
    a(4, "has_backing", has_backing_);
    std::vector<u64> backing;
    for (const Backing& entry : backing_) backing.insert(backing.end(), {entry.address, entry.length});
    a.numbers(5, "backing", backing, 2 * most_backing_entries);
    a.bytes(6, "pixels", pixels_, static_cast<usize>(largest));
    if (!a.loading()) return;
    const bool pairs = backing.size() % 2 == 0;
    a.require(pairs, "backing", "has half an entry");
    backing_.clear();
    for (usize i = 0; i + 1 < backing.size(); i += 2) {
        a.require(backing[i + 1] >> 32 == 0, "backing", "has an entry that is too long");
        backing_.push_back({backing[i], static_cast<u32>(backing[i + 1])});
    }
    a.require(valid(), "pixels", "do not fit the resource's format and size");
}

}  // namespace viv::virtio::gpu
