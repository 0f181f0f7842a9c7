// The counters of an 82574: cleared by reading, and staying at their highest value. Datasheet section 10.2.7. Promises:
// every offset within the range is a counter; those that nothing counts stay 0.
#pragma once

#include <array>
#include <span>

#include "engine/state/archive.h"

namespace viv::e1000e {

class Statistics {
public:
    static constexpr u32 first = 0x4000, end = 0x4128;

    enum Counter : u32 {
        prc64 = 0x405c,  // then 65 to 127, to 255, to 511, to 1023, and above
        gprc = 0x4074,
        bprc = 0x4078,
        mprc = 0x407c,
        gptc = 0x4080,
        gorc = 0x4088,  // 64 bits, as those below that count bytes
        gotc = 0x4090,
        roc = 0x40ac,
        tor = 0x40c0,
        tot = 0x40c8,
        tpr = 0x40d0,
        tpt = 0x40d4,
        ptc64 = 0x40d8,
        mptc = 0x40f0,
        bptc = 0x40f4,
        tsctc = 0x40f8,
    };

    // `offset` is a multiple of 4 within the range.
    u32 read(u32 offset);
    void count(Counter counter, u32 times = 1);
    // A frame without its FCS; one that others cut into `segments` repeats its first `header` bytes in each.
    void received(std::span<const u8> frame);
    void sent(std::span<const u8> frame, u32 segments = 1, usize header = 0);

    void reset() { values_ = {}; }
    void state(Archive& a) { a(1, "values", values_); }

private:
    void add_bytes(Counter counter, u64 bytes);
    u32& at(u32 offset) { return values_[(offset - first) / 4]; }

    std::array<u32, (end - first) / 4> values_{};
};

}  // namespace viv::e1000e
