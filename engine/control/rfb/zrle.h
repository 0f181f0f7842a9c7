// ZRLE: rectangles in tiles of 64 by 64 pixels, through one zlib stream a connection (RFC 6143, 7.7.6).
#pragma once

#include <memory>

#include "engine/control/rfb/pixels.h"
#include "engine/dev/display/surface.h"

namespace viv::rfb {

class ZrleEncoder {
public:
    ZrleEncoder();
    ~ZrleEncoder();
    ZrleEncoder(const ZrleEncoder&) = delete;
    ZrleEncoder& operator=(const ZrleEncoder&) = delete;

    // The rectangle's length and data, behind what is in `out`. `area` lies within the surface and is not empty. False:
    // there is no memory, and the stream cannot go on.
    bool encode(const display::Surface& surface, const display::Rectangle& area, const PixelWriter& writer, Bytes& out);

private:
    struct Stream;
    void add_tile(const display::Surface& surface, const display::Rectangle& tile, const PixelWriter& writer);

    std::unique_ptr<Stream> stream_;
    Bytes plain_;
    std::vector<u32> values_;
};

}  // namespace viv::rfb
