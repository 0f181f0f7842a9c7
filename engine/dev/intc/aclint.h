// The machine-level software interrupts and timer of a RISC-V machine, in the layout of SiFive's CLINT (and of
// ACLINT's MSWI and MTIMER side by side).
// Promises: mtime counts 10 MHz of guest time from reset; MTIP is the comparison mtime >= mtimecmp at every moment,
// also when the counter wraps; accesses of 1 to 8 bytes reach exactly the bytes they name; unimplemented offsets read
// as zero.
// Specification: RISC-V ACLINT 1.0-rc4, chapters 2 and 3; memory map: MSIP at 0x0, MTIMECMP at 0x4000, MTIME at
// 0xbff8.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "engine/dev/device.h"
#include "engine/dev/pin.h"
#include "engine/lang/log.h"
#include "engine/mem/bus.h"
#include "engine/time/timers.h"

namespace viv {

class Aclint final : public Device, public Mmio {
public:
    static constexpr u64 mmio_size = 0x10000;
    static constexpr usize maximum_harts = 8;
    static constexpr u64 frequency_hz = 10'000'000;

    struct Hart {
        Pin& msip;
        Pin& mtip;
    };
    struct Wiring {
        std::vector<Hart> harts;  // 1 to maximum_harts, hart 0 first
        Timers& timers;
        Log log;
        // Called after the guest has set mtime (or a reset or restore has), for CPUs whose stimecmp waits on the same
        // counter.
        std::function<void()> mtime_changed;
    };

    explicit Aclint(Wiring wiring);

    std::string_view kind() const override { return "riscv-aclint"; }
    void reset() override;
    void state(Archive& a) override;
    void restored() override;

    u64 read(u64 offset, unsigned size) override;
    void write(u64 offset, unsigned size, u64 value) override;

    // The counter, as the `time` CSR shows it.
    u64 mtime() { return ticks() + s_.mtime_offset; }
    // The guest time at which mtime next reaches `compare`, for a CPU's own comparator (Sstc); `Timers::never` if
    // that is beyond the clock's range. Now or earlier if mtime >= compare already.
    u64 deadline_ns(u64 compare);

private:
    static constexpr u64 tick_ns = 1'000'000'000 / frequency_hz;
    struct Context {
        Timer timer;
        bool msip = false;
        u64 mtimecmp = ~u64{0};
        Context(Timers& timers, std::function<void()> expired) : timer(timers, std::move(expired)) {}
        void state(Archive& a);
    };
    struct State {
        u64 mtime_offset = 0;  // mtime minus the clock's ticks, modulo 2^64
    };

    u64 ticks() { return wire_.timers.now_ns() / tick_ns; }
    u64 read_doubleword(u64 offset);
    void write_doubleword(u64 offset, u64 mask, u64 value);
    void sync(usize hart);
    void sync_all();

    Wiring wire_;
    std::vector<std::unique_ptr<Context>> harts_;
    State s_;
};

}  // namespace viv
