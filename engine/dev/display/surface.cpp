// Rectangles and the short memory of changes. See surface.h.
#include "engine/dev/display/surface.h"

#include <algorithm>

namespace viv::display {

Rectangle intersection(const Rectangle& a, const Rectangle& b) {
    const u64 left = std::max(a.x, b.x), right = std::min(u64{a.x} + a.width, u64{b.x} + b.width);
    const u64 top = std::max(a.y, b.y), bottom = std::min(u64{a.y} + a.height, u64{b.y} + b.height);
    if (left >= right || top >= bottom) return {};
    return {static_cast<u32>(left), static_cast<u32>(top), static_cast<u32>(right - left),
            static_cast<u32>(bottom - top)};
}

Rectangle bounds(const Rectangle& a, const Rectangle& b) {
    if (a.empty()) return b;
    if (b.empty()) return a;
    const u32 left = std::min(a.x, b.x), top = std::min(a.y, b.y);
    const u64 right = std::max(u64{a.x} + a.width, u64{b.x} + b.width);
    const u64 bottom = std::max(u64{a.y} + a.height, u64{b.y} + b.height);
    return {left, top, static_cast<u32>(right - left), static_cast<u32>(bottom - top)};
}

bool fits(const Rectangle& inner, u32 width, u32 height) {
    return range_fits(inner.x, inner.width, width) && range_fits(inner.y, inner.height, height);
}

Rectangle Surface::changed_since(u64 generation) const {
    if (generation >= generation_) return {};
    const Rectangle whole{0, 0, width_, height_};
    if (generation < resized_ || generation_ - generation > changes_.size()) return whole;
    Rectangle area;
    for (u64 at = generation + 1; at <= generation_; at++) area = bounds(area, changes_[at % changes_.size()].area);
    return area;
}

void Surface::resize(u32 width, u32 height) {
    if (width == width_ && height == height_) return;
    width_ = width;
    height_ = height;
    std::vector<u8>(usize{width} * height * 4).swap(pixels_);
    for (usize alpha = 3; alpha < pixels_.size(); alpha += 4) pixels_[alpha] = 0xff;
    resized_ = generation_ + 1;
    generation_++;
    changes_[generation_ % changes_.size()] = {generation_, {0, 0, width_, height_}};
}

void Surface::changed(const Rectangle& area) {
    const Rectangle inside = intersection(area, {0, 0, width_, height_});
    if (inside.empty()) return;
    generation_++;
    changes_[generation_ % changes_.size()] = {generation_, inside};
}

}  // namespace viv::display
