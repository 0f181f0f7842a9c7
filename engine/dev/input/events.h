// Keys, buttons, motion and wheels between a host (window, page, monitor command) and an input device of the guest.
// Promises: nothing blocks and nothing grows: motion is summed and keys are remembered where a guest does not listen
// in time, so that it never ends with a key stuck. Numbers of keys, buttons and axes are Linux's evdev codes, whatever
// the host is. Called between slices, on the thread that runs the machine.
#pragma once

#include "engine/lang/bits.h"

namespace viv::input {

enum EventType : u16 { ev_syn = 0, ev_key = 1, ev_rel = 2, ev_abs = 3, ev_led = 0x11, ev_rep = 0x14 };
enum RelativeAxis : u16 { rel_x = 0, rel_y = 1, rel_hwheel = 6, rel_wheel = 8 };
enum AbsoluteAxis : u16 { abs_x = 0, abs_y = 1 };
enum Button : u16 {  // in the same space as keys
    btn_left = 0x110,
    btn_right = 0x111,
    btn_middle = 0x112,
    btn_side = 0x113,
    btn_extra = 0x114,
};
enum Led : u16 { led_num_lock = 0, led_caps_lock = 1, led_scroll_lock = 2 };

constexpr u32 absolute_maximum = 32767;  // of each axis of a tablet; 0 is left or top
constexpr u16 key_count = 0x300;         // codes are below this

enum class Press : u8 { up, down };
enum class Kind : u8 { keyboard, mouse, tablet };

// The host's end, given to the device as wiring.
class InputBackend {
public:
    virtual ~InputBackend() = default;
    // The guest's keyboard lights, bit by Led number.
    virtual void leds_changed(u32 leds) = 0;
};

// The device's end. What is told between two flushes reaches the guest together, as one evdev packet. The functions
// return false, and nothing happens, if this device has no such key or axis or no driver of the guest listens to it.
class InputDevice {
public:
    virtual ~InputDevice() = default;
    virtual Kind input_kind() const = 0;
    virtual bool listening() const = 0;
    // A key or button. Repeating is the guest's affair: a press of what is pressed already is ignored, as is a release
    // of what is not.
    virtual bool key(u16 code, Press press) = 0;
    virtual bool move(i32 right, i32 down) = 0;   // mouse, in pixels or mickeys
    virtual bool move_to(u32 x, u32 y) = 0;       // tablet, 0 to absolute_maximum; more is taken as the maximum
    virtual bool wheel(i32 away, i32 right) = 0;  // mouse and tablet, in notches
    virtual void flush() = 0;
    // Releases everything that is pressed, for when the host loses the keyboard or restored a machine; flushes.
    virtual void release_all() = 0;
    virtual u32 leds() const = 0;
    virtual void attach(InputBackend* backend) = 0;  // null: nobody
};

}  // namespace viv::input
