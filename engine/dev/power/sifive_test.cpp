// See sifive_test.h.
#include "engine/dev/power/sifive_test.h"

namespace viv {

namespace {

constexpr u64 finisher_fail = 0x3333, finisher_pass = 0x5555, finisher_reset = 0x7777;

}  // namespace

u64 SifiveTest::read(u64, unsigned) { return 0; }

void SifiveTest::write(u64 offset, unsigned size, u64 value) {
    if (offset == 0 && size >= 2) {
        switch (bits(value, 0, 16)) {
            case finisher_fail: return wire_.finish(static_cast<int>(bits(value, 16, 16)));
            case finisher_pass: return wire_.finish(0);
            case finisher_reset: return wire_.reset();
            default: break;
        }
    }
    wire_.log.guest("write of {:#x} at {:#x} has no effect", value, offset);
}

}  // namespace viv
