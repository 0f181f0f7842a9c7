// Registers and alarm of the Goldfish RTC. See goldfish_rtc.h.
#include "engine/dev/rtc/goldfish_rtc.h"

namespace viv {

GoldfishRtc::GoldfishRtc(Wiring wiring) : wire_(std::move(wiring)), timer_(wire_.timers, [this] { sync(); }) {}

void GoldfishRtc::reset() {
    const u64 time_offset = s_.time_offset;
    s_ = State{};
    s_.time_offset = time_offset;
    sync();
}

void GoldfishRtc::state(Archive& a) {
    a(1, "time_offset", s_.time_offset);
    a(2, "time_high", s_.time_high);
    a(3, "alarm", s_.alarm);
    a(4, "alarm_running", s_.alarm_running);
    a(5, "irq_pending", s_.irq_pending);
    a(6, "irq_enabled", s_.irq_enabled);
}

u32 GoldfishRtc::read_time_low() {
    const u64 time = now();
    s_.time_high = static_cast<u32>(time >> 32);
    return static_cast<u32>(time);
}

const RegisterMap<GoldfishRtc, u32, GoldfishRtc::mmio_size / 4>& GoldfishRtc::registers() {
    using Rtc = GoldfishRtc;
    static constexpr RegisterMap<Rtc, u32, mmio_size / 4> map{
        {0x00, "TIME_LOW", [](Rtc& r) { return r.read_time_low(); },
         [](Rtc& r, u32 value) {
             const u64 time = r.now();
             r.s_.time_offset += deposit(time, 0, 32, value) - time;
         }},
        {0x04, "TIME_HIGH", [](Rtc& r) { return r.s_.time_high; },
         [](Rtc& r, u32 value) {
             const u64 time = r.now();
             r.s_.time_offset += deposit(time, 32, 32, value) - time;
         }},
        {0x08, "ALARM_LOW", [](Rtc& r) { return static_cast<u32>(r.s_.alarm); },
         // Drivers write the high word first: the low word sets the alarm off.
         [](Rtc& r, u32 value) {
             r.s_.alarm = deposit(r.s_.alarm, 0, 32, value);
             r.s_.alarm_running = true;
         }},
        {0x0c, "ALARM_HIGH", [](Rtc& r) { return static_cast<u32>(r.s_.alarm >> 32); },
         [](Rtc& r, u32 value) { r.s_.alarm = deposit(r.s_.alarm, 32, 32, value); }},
        {0x10, "IRQ_ENABLED", [](Rtc& r) { return u32{r.s_.irq_enabled}; },
         [](Rtc& r, u32 value) { r.s_.irq_enabled = value & 1; }},
        {0x14, "CLEAR_ALARM", nullptr, [](Rtc& r, u32) { r.s_.alarm_running = false; }},
        {0x18, "ALARM_STATUS", [](Rtc& r) { return u32{r.s_.alarm_running}; }, nullptr},
        {0x1c, "CLEAR_INTERRUPT", nullptr, [](Rtc& r, u32) { r.s_.irq_pending = false; }},
    };
    return map;
}

u32 GoldfishRtc::read_word(u64 offset) {
    const auto* row = registers().find(offset);
    if (row != nullptr && row->read != nullptr) return row->read(*this);
    wire_.log.guest("read at {:#x} ({})", offset, row ? row->name : "no register");
    return 0;
}

void GoldfishRtc::write_word(u64 offset, u32 value) {
    const auto* row = registers().find(offset);
    if (row == nullptr || row->write == nullptr)
        return wire_.log.guest("write of {:#x} at {:#x} ({}) has no effect", value, offset,
                               row ? row->name : "no register");
    row->write(*this, value);
    sync();
}

u64 GoldfishRtc::read(u64 offset, unsigned size) {
    if (size < 4) return 0;
    const u64 low = read_word(offset);
    return size == 8 ? low | u64{read_word(offset + 4)} << 32 : low;
}

void GoldfishRtc::write(u64 offset, unsigned size, u64 value) {
    if (size < 4) return;
    write_word(offset, static_cast<u32>(value));
    if (size == 8) write_word(offset + 4, static_cast<u32>(value >> 32));
}

void GoldfishRtc::sync() {
    u64 deadline = Timers::never;
    if (s_.alarm_running) {
        // The wall clock can have been set since the timer was armed, so the comparison is always with the time itself.
        const u64 guest_now = wire_.timers.now_ns();
        const u64 time = now();
        if (s_.alarm <= time) {
            s_.alarm_running = false;
            s_.irq_pending = true;
        } else {
            deadline = s_.alarm - time < Timers::never - guest_now ? guest_now + (s_.alarm - time) : Timers::never;
        }
    }
    timer_.arm(deadline);
    wire_.irq.set(s_.irq_pending && s_.irq_enabled);
}

}  // namespace viv
