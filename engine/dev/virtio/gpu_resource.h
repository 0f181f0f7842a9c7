// The host's copy of a virtio-gpu 2D resource: pixels in the guest's format, and the guest memory behind them.
// Promises: a transfer copies only what lies inside both the resource and its backing, or nothing; every range is
// checked without wrapping. OASIS virtio 1.2, section 5.7.6.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "engine/dev/display/surface.h"
#include "engine/lang/bits.h"
#include "engine/mem/dma.h"
#include "engine/state/archive.h"

namespace viv::virtio::gpu {

// Memory order of the four bytes of a pixel.
enum class Format : u32 {
    b8g8r8a8 = 1,
    b8g8r8x8 = 2,
    a8r8g8b8 = 3,
    x8r8g8b8 = 4,
    r8g8b8a8 = 67,
    x8b8g8r8 = 68,
    a8b8g8r8 = 121,
    r8g8b8x8 = 134,
};
bool is_known(Format format);
// Whether the fourth byte of a converted pixel is the format's alpha, if it has one, or 255 in any case.
enum class Alpha : u8 { kept, opaque };
// To blue, green, red, alpha. `out` is as long as `in`, a multiple of 4.
void convert(Format format, Alpha alpha, std::span<const u8> in, std::span<u8> out);

constexpr u32 largest_side = 16384;          // pixels, of a resource
constexpr u32 most_backing_entries = 16384;  // of one resource
constexpr usize pixel_size = 4;
constexpr u32 cursor_side = 64;         // pixels: the one size of a pointer's image
constexpr u64 resource_overhead = 256;  // what a resource counts for besides its pixels, bytes
constexpr u64 backing_entry_size = 16;

// Bytes of a picture.
constexpr u64 surface_size(u32 width, u32 height) { return u64{width} * height * pixel_size; }

class Resource {
public:
    Resource() = default;
    // Black (all zero). The caller has checked format and sides.
    Resource(Format format, u32 width, u32 height);

    u32 width() const { return width_; }
    u32 height() const { return height_; }
    Format format() const { return format_; }
    u64 cost() const;  // bytes of host memory
    static u64 cost(u32 width, u32 height) { return surface_size(width, height) + resource_overhead; }

    struct Backing {
        u64 address = 0;
        u32 length = 0;
    };
    bool has_backing() const { return has_backing_; }
    void attach(std::vector<Backing> backing);
    void detach();

    // Copies `area` from the backing, whose byte `offset` is the area's first and whose rows are as long as the
    // resource's. False, and nothing is copied, unless area and bytes exist.
    bool transfer(const Dma& dma, const display::Rectangle& area, u64 offset);
    // `count` pixels from (x, y), which exist.
    std::span<const u8> pixels(u32 x, u32 y, u32 count) const {
        return std::span(pixels_).subspan((usize{y} * width_ + x) * pixel_size, usize{count} * pixel_size);
    }

    // `largest` is the most bytes of pixels that are accepted.
    void state(Archive& a, u64 largest);
    bool valid() const;

private:
    Format format_ = Format::b8g8r8x8;
    u32 width_ = 0, height_ = 0;
    bool has_backing_ = false;
    std::vector<Backing> backing_;
    std::vector<u8> pixels_;
};

}  // namespace viv::virtio::gpu
