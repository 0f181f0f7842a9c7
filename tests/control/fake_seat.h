// A display and input devices without a machine: what viewers' sessions are tested with.
#pragma once

#include <array>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "engine/control/rfb/session.h"

namespace viv::test {

class FakeDisplay final : public display::DisplayDevice {
public:
    unsigned outputs() const override { return 1; }
    const display::Surface& surface(unsigned) const override { return shown; }
    void prefer_size(unsigned, u32, u32) override {}
    // Every pixel of the area gets this colour.
    void paint(const display::Rectangle& area, u8 red, u8 green, u8 blue) {
        for (u32 y = area.y; y < area.y + area.height; y++)
            for (u32 x = area.x; x < area.x + area.width; x++) {
                u8* const pixel = &shown.writable_row(y)[usize{4} * x];
                pixel[0] = blue;
                pixel[1] = green;
                pixel[2] = red;
            }
        shown.changed(area);
    }
    display::Surface shown;
};

// Writes down what it is told.
class FakeInput final : public input::InputDevice {
public:
    FakeInput(input::Kind kind, std::string& told) : kind_(kind), told_(told) {}
    input::Kind input_kind() const override { return kind_; }
    bool listening() const override { return true; }
    bool key(u16 code, input::Press press) override {
        told_ += fmt::format("{}{} ", press == input::Press::down ? '+' : '-', code);
        return true;
    }
    bool move(i32 right, i32 down) override {
        told_ += fmt::format("by {},{} ", right, down);
        return true;
    }
    bool move_to(u32 x, u32 y) override {
        told_ += fmt::format("to {},{} ", x, y);
        return true;
    }
    bool wheel(i32 away, i32 right) override {
        told_ += fmt::format("wheel {},{} ", away, right);
        return true;
    }
    void flush() override {}
    void release_all() override {}
    u32 leds() const override { return 0; }
    void attach(input::InputBackend*) override {}

private:
    input::Kind kind_;
    std::string& told_;
};

struct FakeSeat {
    FakeDisplay display;
    std::string told;
    FakeInput keyboard{input::Kind::keyboard, told}, mouse{input::Kind::mouse, told}, tablet{input::Kind::tablet, told};
    std::array<display::DisplayDevice*, 1> displays{&display};
    std::vector<input::InputDevice*> inputs{&keyboard, &mouse, &tablet};

    rfb::Session::Seat seat() { return {displays, inputs}; }
};

}  // namespace viv::test
