// libuv's handles as the relay owns them.
#include "netbridge/loop.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

namespace viv::netbridge {
namespace {

constexpr u64 millisecond = 1'000'000;

TEST(Watchdog, SeesALoopThatIsHeldUp) {
    uv_loop_t loop;
    ASSERT_EQ(uv_loop_init(&loop), 0);
    u64 looked = 0, longest_ns = 0;
    auto watchdog = std::make_unique<Watchdog>(&loop, [&](u64 late_ns) {
        looked++;
        longest_ns = std::max(longest_ns, late_ns);
    });
    // It is due for the first time in the midst of this.
    const u64 until_ns = uv_hrtime() + (Watchdog::every_ms + 50) * millisecond;
    while (uv_hrtime() < until_ns) continue;
    while (looked == 0) uv_run(&loop, UV_RUN_ONCE);
    EXPECT_GE(longest_ns, 50 * millisecond);
    // And goes on.
    while (looked < 3) uv_run(&loop, UV_RUN_ONCE);
    watchdog.reset();
    uv_run(&loop, UV_RUN_DEFAULT);
    EXPECT_EQ(uv_loop_close(&loop), 0);
}

}  // namespace
}  // namespace viv::netbridge
