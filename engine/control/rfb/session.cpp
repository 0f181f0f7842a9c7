// See session.h.
#include "engine/control/rfb/session.h"

#include <algorithm>
#include <array>

#include "engine/control/rfb/keys.h"
#include "engine/control/rfb/wire.h"

namespace viv::rfb {

using display::Rectangle;

namespace {

constexpr std::string_view version = "RFB 003.008\n";
constexpr u32 largest_side = 0xffff;  // as the protocol counts pixels
constexpr u8 security_none = 1;

enum ClientMessage : u8 {
    set_pixel_format = 0,
    set_encodings = 2,
    update_request = 3,
    key_event = 4,
    pointer_event = 5,
    cut_text = 6,
    qemu_message = 255,
};
enum Encoding : i32 { raw = 0, zrle = 16, cursor_shape = -239, desktop_size = -223, qemu_keys = -258 };
constexpr u8 qemu_key_event = 0;

// How long each client message is, of those with one length.
usize length_of(u8 message) {
    switch (message) {
        case set_pixel_format: return 20;
        case set_encodings: return 4;  // and the list
        case update_request: return 10;
        case key_event: return 8;
        case pointer_event: return 6;
        case cut_text: return 8;  // and the text
        case qemu_message: return 12;
        default: return 0;
    }
}

}  // namespace

Session::Session(const Seat& seat, std::string name, Send send)
    : seat_(seat), name_(std::move(name)), send_(std::move(send)) {
    dark_.resize(dark_width, dark_height);
    out_.assign(version.begin(), version.end());
    flush();
}

Session::~Session() {
    for (input::InputDevice* device : seat_.inputs) {
        for (const u16 code : pressed_) device->key(code, input::Press::up);
        device->flush();
    }
}

void Session::flush() {
    if (!out_.empty() && !ended_) send_({reinterpret_cast<const char*>(out_.data()), out_.size()});
    out_.clear();
}

const display::Surface& Session::surface() const {
    if (seat_.displays.empty()) return dark_;
    const display::Surface& first = seat_.displays.front()->surface(0);
    return first.width() == 0 ? dark_ : first;
}

void Session::receive(std::span<const u8> bytes) {
    input_.insert(input_.end(), bytes.begin(), bytes.end());
    usize done = 0;
    while (!ended_ && done < input_.size()) {
        if (skip_ > 0) {
            const usize some = static_cast<usize>(std::min<u64>(skip_, input_.size() - done));
            skip_ -= some;
            done += some;
            continue;
        }
        const usize taken = take(std::span(input_).subspan(done));
        if (taken == 0) break;
        done += taken;
    }
    input_.erase(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(done));
    flush();
}

// The bytes of the first thing in `bytes`, 0 if it is not all there. Nothing is longer than a list of 65535 encodings.
usize Session::take(std::span<const u8> bytes) {
    switch (phase_) {
        case Phase::version: {
            if (bytes.size() < version.size()) return 0;
            const std::string_view text(reinterpret_cast<const char*>(bytes.data()), version.size());
            ended_ = !text.starts_with("RFB 003.") || text.back() != '\n';
            greet(text.substr(8, 3));
            return version.size();
        }
        case Phase::security:
            ended_ = bytes[0] != security_none;
            if (tells_result_) put32(out_, 0);  // it is well
            phase_ = Phase::client_init;
            return 1;
        case Phase::client_init: begin(); return 1;
        case Phase::messages: break;
    }
    return take_message(bytes);
}

// What is neither 3.7 nor 3.8 is taken as 3.3 (7.1.1).
void Session::greet(std::string_view minor) {
    tells_result_ = minor == "008";
    if (minor != "007" && !tells_result_) {
        put32(out_, security_none);
        phase_ = Phase::client_init;
        return;
    }
    out_.insert(out_.end(), {1, security_none});  // one kind
    phase_ = Phase::security;
}

void Session::begin() {
    shown_ = &surface();
    width_ = std::min(shown_->width(), largest_side);
    height_ = std::min(shown_->height(), largest_side);
    put16(out_, width_);
    put16(out_, height_);
    format_.write(out_);
    put32(out_, static_cast<u32>(name_.size()));
    out_.insert(out_.end(), name_.begin(), name_.end());
    phase_ = Phase::messages;
}

usize Session::take_message(std::span<const u8> bytes) {
    const usize length = length_of(bytes[0]);
    if (length == 0) ended_ = true;
    if (length == 0 || bytes.size() < length) return 0;
    switch (bytes[0]) {
        case set_pixel_format: {
            const auto format = PixelFormat::parse(bytes.subspan<4, PixelFormat::wire_size>());
            ended_ = !format;
            if (format) {
                format_ = *format;
                writer_ = PixelWriter(format_);
            }
            return length;
        }
        case set_encodings: {
            const usize list = usize{4} * get16(bytes.subspan(2));
            if (bytes.size() < length + list) return 0;
            take_encodings(bytes.subspan(length, list));
            return length + list;
        }
        case update_request: {
            const Rectangle all{0, 0, width_, height_};
            const Rectangle wanted{get16(bytes.subspan(2)), get16(bytes.subspan(4)), get16(bytes.subspan(6)),
                                   get16(bytes.subspan(8))};
            const bool incremental = bytes[1] != 0;
            if (!incremental) stale_ = bounds(stale_, intersection(all, wanted));
            asked_ = true;
            return length;
        }
        case key_event: take_key(bytes[1] != 0, key_of_keysym(get32(bytes.subspan(4)))); return length;
        case pointer_event: take_pointer(bytes[1], get16(bytes.subspan(2)), get16(bytes.subspan(4))); return length;
        case cut_text: skip_ = get32(bytes.subspan(4)); return length;
        default: break;
    }
    ended_ = bytes[1] != qemu_key_event;
    take_key(get16(bytes.subspan(2)) != 0, key_of_qnum(get32(bytes.subspan(8))));
    return length;
}

void Session::take_encodings(std::span<const u8> list) {
    takes_zrle_ = takes_size_ = takes_cursor_ = takes_qnums_ = false;
    for (usize at = 0; at < list.size(); at += 4) {
        switch (static_cast<i32>(get32(list.subspan(at)))) {
            case zrle: takes_zrle_ = true; break;
            case desktop_size: takes_size_ = true; break;
            case cursor_shape: takes_cursor_ = true; break;
            case qemu_keys: takes_qnums_ = true; break;
            default: break;
        }
    }
    cursor_seen_ = 0;
}

void Session::take_key(bool down, u16 code) {
    if (code == 0) return;
    bool heard = false;
    for (input::InputDevice* device : seat_.inputs) {
        if (device->input_kind() != input::Kind::keyboard) continue;
        heard = device->key(code, down ? input::Press::down : input::Press::up) || heard;
        device->flush();
    }
    if (down && heard)
        pressed_.insert(code);
    else if (!down)
        pressed_.erase(code);
}

// A tablet if a driver listens to one: its pointer is where the viewer's is.
input::InputDevice* Session::pointer() const {
    input::InputDevice* found = nullptr;
    for (input::InputDevice* device : seat_.inputs) {
        if (!device->listening() || device->input_kind() == input::Kind::keyboard) continue;
        if (found == nullptr || device->input_kind() == input::Kind::tablet) found = device;
    }
    return found;
}

void Session::take_pointer(u32 buttons, u32 x, u32 y) {
    input::InputDevice* const device = pointer();
    if (device == nullptr) return;
    if (device->input_kind() == input::Kind::tablet) {
        const auto scale = [](u32 at, u32 size) {
            return size < 2 ? 0 : std::min(at, size - 1) * input::absolute_maximum / (size - 1);
        };
        device->move_to(scale(x, width_), scale(y, height_));
    } else {
        device->move(static_cast<i32>(x) - static_cast<i32>(x_), static_cast<i32>(y) - static_cast<i32>(y_));
    }
    x_ = x;
    y_ = y;
    constexpr std::array<u16, 3> codes{input::btn_left, input::btn_middle, input::btn_right};
    const u32 turned = buttons & ~buttons_;  // a wheel's notch is a press
    for (usize i = 0; i < codes.size(); i++) {
        if (((buttons ^ buttons_) >> i & 1) == 0) continue;
        const bool down = (buttons >> i & 1) != 0;
        const bool heard = device->key(codes[i], down ? input::Press::down : input::Press::up);
        if (down && heard)
            pressed_.insert(codes[i]);
        else
            pressed_.erase(codes[i]);
    }
    constexpr u32 away = 1 << 3, towards = 1 << 4, left = 1 << 5, right = 1 << 6;
    const auto notches = [&](u32 positive, u32 negative) {
        return ((turned & positive) != 0 ? 1 : 0) - ((turned & negative) != 0 ? 1 : 0);
    };
    if ((turned & (away | towards | left | right)) != 0) device->wheel(notches(away, towards), notches(right, left));
    buttons_ = buttons;
    device->flush();
}

void Session::note_changes() {
    const display::Surface& now = surface();
    if (&now != shown_) seen_ = 0;
    shown_ = &now;
    stale_ = bounds(stale_, now.changed_since(seen_));
    seen_ = now.generation();
    // A viewer that cannot follow keeps the size that it was told first.
    const u32 width = std::min(now.width(), largest_side), height = std::min(now.height(), largest_side);
    if ((width == width_ && height == height_) || !takes_size_) return;
    width_ = width;
    height_ = height;
    stale_ = {0, 0, width_, height_};
    add_rectangle(stale_, desktop_size);
}

void Session::service() {
    if (!asked_ || ended_ || phase_ != Phase::messages) return;
    send_update();
    flush();
}

void Session::add_rectangle(const Rectangle& area, i32 encoding) {
    rectangles_++;
    put16(out_, area.x);
    put16(out_, area.y);
    put16(out_, area.width);
    put16(out_, area.height);
    put32(out_, static_cast<u32>(encoding));
}

// FramebufferUpdate, if there is anything to be told.
void Session::send_update() {
    const usize head = out_.size();
    constexpr usize head_size = 4;
    out_.resize(head + head_size);  // the type is 0
    rectangles_ = 0;
    note_changes();
    if (takes_qnums_ && !qnums_told_) {
        add_rectangle({}, qemu_keys);
        qnums_told_ = true;
    }
    add_cursor();
    Rectangle area =
        intersection(stale_, {0, 0, std::min(width_, surface().width()), std::min(height_, surface().height())});
    if (!area.empty()) {
        area.height = std::min(area.height, std::max(most_pixels / area.width, 1u));
        add_pixels(area);
        // What was left out goes with the next one.
        stale_.height -= area.y + area.height - stale_.y;
        stale_.y = area.y + area.height;
        if (stale_.height == 0) stale_ = {};
    } else {
        stale_ = {};
    }
    if (rectangles_ == 0 || ended_) {
        out_.resize(head);
        return;
    }
    out_[head + 3] = rectangles_;
    asked_ = false;
}

void Session::add_pixels(const Rectangle& area) {
    add_rectangle(area, takes_zrle_ ? zrle : raw);
    if (takes_zrle_) {
        if (!zrle_.encode(surface(), area, writer_, out_)) ended_ = true;
        return;
    }
    for (u32 y = area.y; y < area.y + area.height; y++) {
        const u8* pixel = surface().row(y).data() + usize{4} * area.x;
        for (u32 x = 0; x < area.width; x++, pixel += 4) writer_.put(out_, writer_.value(pixel));
    }
}

// The guest's pointer as the viewer's own (7.8.1), which is shown or not, nothing between.
void Session::add_cursor() {
    if (!takes_cursor_ || seat_.displays.empty()) return;
    const display::Cursor& cursor = seat_.displays.front()->surface(0).cursor();
    if (cursor.generation == cursor_seen_) return;
    cursor_seen_ = cursor.generation;
    const bool shown = cursor.visible && cursor.pixels.size() == usize{4} * cursor.width * cursor.height;
    const u32 width = shown ? cursor.width : 0, height = shown ? cursor.height : 0;
    add_rectangle({cursor.hot_x, cursor.hot_y, width, height}, cursor_shape);
    for (usize i = 0; i < usize{width} * height; i++) writer_.put(out_, writer_.value(&cursor.pixels[4 * i]));
    constexpr u8 opaque = 0x80;
    for (u32 y = 0; y < height; y++) {
        for (u32 x = 0; x < width; x += 8) {
            u32 mask = 0;
            for (u32 i = x; i < std::min(x + 8, width); i++)
                if (cursor.pixels[4 * (usize{y} * width + i) + 3] >= opaque) mask |= 0x80u >> (i - x);
            out_.push_back(static_cast<u8>(mask));
        }
    }
}

}  // namespace viv::rfb
