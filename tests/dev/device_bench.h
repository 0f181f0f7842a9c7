// What every device test needs around its device: a clock that moves when told to, pins that remember, a byte backend
// that can refuse, guest memory on the heap, and helpers to save, load and poke a device at random.
#pragma once

#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "engine/dev/device.h"
#include "engine/dev/pin.h"
#include "engine/dev/ports.h"
#include "engine/host/clock.h"
#include "engine/host/entropy.h"
#include "engine/host/memory.h"
#include "engine/lang/log.h"
#include "engine/mem/bus.h"
#include "engine/time/timers.h"

namespace viv::test {

class ManualClock final : public host::Clock {
public:
    u64 monotonic_ns() override { return monotonic; }
    u64 realtime_ns() override { return realtime; }
    u64 monotonic = 0;
    u64 realtime = u64{1'700'000'000} * 1'000'000'000;
};

class ZeroEntropy final : public host::Entropy {
public:
    void fill(std::span<u8> out) override { std::fill(out.begin(), out.end(), u8{0}); }
};

// Guest time under the test's control, starting at 0.
struct Bench {
    ManualClock host;
    ZeroEntropy entropy;
    Inlet inlet{Determinism::live, 0, host, entropy};
    GuestClock clock{inlet};
    Timers timers{clock};
    NullLogSink sink;

    Bench() {
        clock.set_wall_clock();
        clock.resume();
    }
    Log log(std::string component = "test") { return Log(sink, std::move(component)); }
    // Moves guest time on, stopping at each deadline as a board does.
    void advance(u64 nanoseconds) {
        const u64 end = host.monotonic + nanoseconds;
        while (timers.next_deadline_ns() <= clock.now_ns() + (end - host.monotonic)) {
            const u64 now = clock.now_ns();
            if (timers.next_deadline_ns() > now) host.monotonic += timers.next_deadline_ns() - now;
            timers.run_due();
        }
        host.monotonic = end;
        timers.run_due();
    }
};

class RecordingPin final : public Pin {
public:
    void set(bool next) override {
        if (next && !level) rises++;
        level = next;
    }
    bool level = false;
    unsigned rises = 0;
};

// Takes at most `room` bytes in total until more room is given.
class RecordingBackend final : public ByteBackend {
public:
    usize put(std::span<const u8> bytes) override {
        puts++;
        const usize count = std::min(room, bytes.size());
        output.append(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
        room -= count;
        return count;
    }
    void input_wanted() override { wanted++; }
    std::string output;
    usize room = ~usize{0};
    unsigned puts = 0;
    unsigned wanted = 0;
};

class HeapMemory final : public host::Memory {
public:
    Result<std::unique_ptr<host::MemoryBlock>> allocate(u64 size) override {
        return Result<std::unique_ptr<host::MemoryBlock>>(std::make_unique<Block>(size));
    }

private:
    class Block final : public host::MemoryBlock {
    public:
        explicit Block(u64 size) : bytes_(size) {}
        std::span<u8> bytes() override { return bytes_; }
        void discard(u64 offset, u64 size) override {
            std::fill_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), size, u8{0});
        }

    private:
        std::vector<u8> bytes_;
    };
};

inline std::vector<u8> save(Device& device) {
    std::vector<u8> out;
    Archive archive = Archive::saver(out);
    device.state(archive);
    return out;
}

inline Result<void> load(Device& device, std::span<const u8> saved) {
    Archive archive = Archive::loader(saved);
    device.state(archive);
    const Result<void> result = archive.finish();
    if (result.ok()) device.restored();
    return result;
}

// `count` aligned accesses at random offsets below `size`, biased towards the start, with `between` called now and
// then.
template <class Between>
void random_accesses(Mmio& device, u64 size, unsigned count, Between&& between) {
    std::mt19937_64 random(1);
    for (unsigned i = 0; i < count; i++) {
        const unsigned width = 1u << (random() % 4);
        const u64 range = random() % 4 == 0 ? size : std::min<u64>(size, 64);
        const u64 offset = random() % range & ~u64{width - 1};
        const u64 value = (random() % 2 == 0 ? random() : random() % 256) & low_mask(width * 8);
        if (random() % 2 == 0)
            device.write(offset, width, value);
        else
            device.read(offset, width);
        if (i % 64 == 0) between(random);
    }
}

}  // namespace viv::test
