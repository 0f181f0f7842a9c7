// What a guest shows: the picture of one output and its pointer, as consoles, screenshots and remote displays read it.
// Promises: pixels are 32-bit BGRX in memory order blue, green, red, 255, rows top to bottom without gaps, whatever the
// adapter's own format; every change of them counts the generation up, and any number of readers can ask what changed
// since the one they know. Read between slices, on the thread that runs the machine.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "engine/lang/bits.h"

namespace viv::display {

struct Rectangle {
    u32 x = 0, y = 0, width = 0, height = 0;  // pixels; x + width and y + height are below 2^32
    bool empty() const { return width == 0 || height == 0; }
    bool operator==(const Rectangle&) const = default;
};
Rectangle intersection(const Rectangle& a, const Rectangle& b);
Rectangle bounds(const Rectangle& a, const Rectangle& b);  // the smallest that holds both
// True if `inner` lies inside width x height, computed without wrapping.
bool fits(const Rectangle& inner, u32 width, u32 height);

// The adapter's pointer, to be drawn over the picture; it points with the pixel (hot_x, hot_y) of its image.
struct Cursor {
    bool visible = false;
    i32 x = 0, y = 0;  // of the image's upper left corner; may lie outside the picture
    u32 hot_x = 0, hot_y = 0;
    u32 width = 0, height = 0;
    std::vector<u8> pixels;  // blue, green, red, alpha as the guest made them: Linux premultiplies
    u64 generation = 0;      // counts every change, moves included
};

class Surface {
public:
    // Zero by zero while the output is off.
    u32 width() const { return width_; }
    u32 height() const { return height_; }
    usize stride() const { return usize{width_} * 4; }  // bytes
    std::span<const u8> pixels() const { return pixels_; }
    std::span<const u8> row(u32 y) const { return pixels().subspan(y * stride(), stride()); }
    u64 generation() const { return generation_; }
    // Bounds of what changed after `generation`: the whole picture if the size changed too or it is too long ago,
    // empty if nothing did.
    Rectangle changed_since(u64 generation) const;
    const Cursor& cursor() const { return cursor_; }

    // The adapter's side.
    void resize(u32 width, u32 height);  // to black; nothing happens if it has that size already
    std::span<u8> writable_row(u32 y) { return std::span(pixels_).subspan(y * stride(), stride()); }
    void changed(const Rectangle& area);  // after writing; parts outside the picture are ignored
    Cursor& change_cursor() {
        cursor_.generation++;
        return cursor_;
    }

private:
    struct Change {
        u64 generation = 0;
        Rectangle area;
    };
    u32 width_ = 0, height_ = 0;
    std::vector<u8> pixels_;
    u64 generation_ = 0;
    u64 resized_ = 0;                 // the generation of the last change of size
    std::array<Change, 32> changes_;  // the latest, by generation modulo their number
    Cursor cursor_;
};

// An adapter as hosts see it.
class DisplayDevice {
public:
    virtual ~DisplayDevice() = default;
    virtual unsigned outputs() const = 0;
    virtual const Surface& surface(unsigned output) const = 0;  // output < outputs()
    // The size that the host's window would like, as a monitor's native mode; zero by zero unplugs the monitor. The
    // adapter rounds it to what it can describe; the guest follows or not.
    virtual void prefer_size(unsigned output, u32 width, u32 height) = 0;
};

}  // namespace viv::display
