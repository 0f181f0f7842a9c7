// Google's Goldfish real-time clock: nanoseconds since 1970 in two words, and one alarm.
// Promises: time follows GuestClock::wall_ns (plus what the guest has set); the alarm goes off at its wall-clock time
// also across save and restore. Registers are 32 bits wide: a doubleword access is two of them (low word first), a
// narrower one has no effect and reads as zero.
// Specification: Android emulator documentation, GOLDFISH-VIRTUAL-HARDWARE, section on the RTC; QEMU's `virt` boards
// carry the same device.
#pragma once

#include <string_view>

#include "engine/dev/device.h"
#include "engine/dev/pin.h"
#include "engine/dev/registers.h"
#include "engine/lang/log.h"
#include "engine/mem/bus.h"
#include "engine/time/timers.h"

namespace viv {

class GoldfishRtc final : public Device, public Mmio {
public:
    static constexpr u64 mmio_size = 0x24;

    struct Wiring {
        Pin& irq;
        Timers& timers;
        Log log;
    };

    explicit GoldfishRtc(Wiring wiring);

    std::string_view kind() const override { return "goldfish-rtc"; }
    void reset() override;  // keeps the time the guest has set, as a battery-backed clock does
    void state(Archive& a) override;
    void restored() override { sync(); }

    u64 read(u64 offset, unsigned size) override;
    void write(u64 offset, unsigned size, u64 value) override;

private:
    struct State {
        u64 time_offset = 0;  // what the guest's settings have added to the wall clock, modulo 2^64
        u32 time_high = 0;    // latched by reading TIME_LOW
        u64 alarm = 0;
        bool alarm_running = false;
        bool irq_pending = false;
        bool irq_enabled = false;
    };

    static const RegisterMap<GoldfishRtc, u32, mmio_size / 4>& registers();
    u64 now() { return wire_.timers.clock().wall_ns() + s_.time_offset; }
    u32 read_time_low();
    u32 read_word(u64 offset);
    void write_word(u64 offset, u32 value);
    void sync();

    Wiring wire_;
    Timer timer_;
    State s_;
};

}  // namespace viv
