// The Goldfish RTC: reading and setting the time, the alarm, saving across a change of the wall clock.
#include <gtest/gtest.h>

#include "engine/dev/rtc/goldfish_rtc.h"
#include "tests/dev/device_bench.h"

namespace viv {
namespace {

enum At : u64 {
    TIME_LOW = 0x00,
    TIME_HIGH = 0x04,
    ALARM_LOW = 0x08,
    ALARM_HIGH = 0x0c,
    IRQ_ENABLED = 0x10,
    CLEAR_ALARM = 0x14,
    ALARM_STATUS = 0x18,
    CLEAR_INTERRUPT = 0x1c,
};

struct GoldfishRtcTest : ::testing::Test, test::Bench {
    test::RecordingPin irq;
    GoldfishRtc rtc{{irq, timers, log("rtc")}};

    void SetUp() override { rtc.reset(); }
    u64 time() {
        const u64 low = rtc.read(TIME_LOW, 4);
        return rtc.read(TIME_HIGH, 4) << 32 | low;
    }
    void set_alarm(u64 at) {
        rtc.write(ALARM_HIGH, 4, at >> 32);
        rtc.write(ALARM_LOW, 4, at & 0xffff'ffff);
        rtc.write(IRQ_ENABLED, 4, 1);
    }
};

TEST_F(GoldfishRtcTest, ShowsTheWallClock) {
    EXPECT_EQ(time(), clock.wall_ns());
    advance(5'000'000'123);
    EXPECT_EQ(time(), clock.wall_ns());
    const u64 low = rtc.read(TIME_LOW, 4);
    advance(u64{10} << 32);
    EXPECT_EQ(rtc.read(TIME_HIGH, 4) << 32 | low, clock.wall_ns() - (u64{10} << 32))
        << "TIME_HIGH belongs to the TIME_LOW read before";
    EXPECT_EQ(rtc.read(TIME_LOW, 8), clock.wall_ns());
}

TEST_F(GoldfishRtcTest, CanBeSet) {
    const u64 new_time = u64{946'684'800} * 1'000'000'000;
    rtc.write(TIME_HIGH, 4, new_time >> 32);
    rtc.write(TIME_LOW, 4, new_time & 0xffff'ffff);
    EXPECT_EQ(time(), new_time);
    advance(77);
    EXPECT_EQ(time(), new_time + 77);
    rtc.reset();
    EXPECT_EQ(time(), new_time + 77);
}

TEST_F(GoldfishRtcTest, TheAlarmGoesOffOnce) {
    set_alarm(clock.wall_ns() + 1'000'000);
    EXPECT_EQ(rtc.read(ALARM_STATUS, 4), 1u);
    EXPECT_EQ(rtc.read(ALARM_LOW, 8), clock.wall_ns() + 1'000'000);
    advance(999'999);
    EXPECT_FALSE(irq.level);
    advance(1);
    EXPECT_TRUE(irq.level);
    EXPECT_EQ(rtc.read(ALARM_STATUS, 4), 0u);
    rtc.write(CLEAR_INTERRUPT, 4, 1);
    EXPECT_FALSE(irq.level);
    advance(10'000'000);
    EXPECT_EQ(irq.rises, 1u);
}

TEST_F(GoldfishRtcTest, AnAlarmInThePastGoesOffAtOnceAndAMaskedOneWaits) {
    rtc.write(ALARM_HIGH, 4, 0);
    rtc.write(ALARM_LOW, 4, 5);
    EXPECT_FALSE(irq.level);
    rtc.write(IRQ_ENABLED, 4, 1);
    EXPECT_TRUE(irq.level);
    rtc.write(IRQ_ENABLED, 4, 0);
    EXPECT_FALSE(irq.level);
}

TEST_F(GoldfishRtcTest, AClearedAlarmIsSilent) {
    set_alarm(clock.wall_ns() + 1000);
    rtc.write(CLEAR_ALARM, 4, 1);
    EXPECT_EQ(timers.next_deadline_ns(), Timers::never);
    advance(5000);
    EXPECT_FALSE(irq.level);
}

TEST_F(GoldfishRtcTest, AnAlarmIsKeptAcrossSavingAndFollowsTheWallClock) {
    set_alarm(clock.wall_ns() + 1'000'000'000);
    advance(400'000'000);
    const auto saved = test::save(rtc);
    test::RecordingPin other_irq;
    GoldfishRtc other({other_irq, timers, log()});
    ASSERT_TRUE(test::load(other, saved).ok());
    EXPECT_EQ(test::save(other), saved);
    advance(500'000'000);
    EXPECT_FALSE(other_irq.level);
    advance(100'000'000);
    EXPECT_TRUE(other_irq.level);

    // A machine that slept past its alarm: the wall clock has jumped by the time it is restored.
    test::RecordingPin late_irq;
    GoldfishRtc late({late_irq, timers, log()});
    host.realtime = clock.wall_ns() + 3'600'000'000'000;
    clock.set_wall_clock();
    ASSERT_TRUE(test::load(late, saved).ok());
    EXPECT_TRUE(late_irq.level);
}

TEST_F(GoldfishRtcTest, ResetStopsTheAlarm) {
    const auto fresh = test::save(rtc);
    set_alarm(clock.wall_ns() + 1000);
    rtc.reset();
    EXPECT_EQ(timers.next_deadline_ns(), Timers::never);
    set_alarm(1);
    EXPECT_TRUE(irq.level);
    rtc.reset();
    EXPECT_FALSE(irq.level);
    EXPECT_EQ(test::save(rtc), fresh);
}

TEST_F(GoldfishRtcTest, FarAlarmsAndOtherSizesAreDefined) {
    set_alarm(~u64{0});
    advance(1'000'000);
    EXPECT_FALSE(irq.level);
    EXPECT_EQ(rtc.read(TIME_LOW, 2), 0u);
    rtc.write(ALARM_LOW, 1, 1);
    EXPECT_FALSE(irq.level);
    EXPECT_EQ(rtc.read(0x20, 4), 0u);
    EXPECT_EQ(rtc.read(0x800, 8), 0u);
}

TEST_F(GoldfishRtcTest, SurvivesRandomAccesses) {
    test::random_accesses(rtc, 0x1000, 100'000, [&](auto& random) { advance(random() % 10'000'000'000); });
    rtc.reset();
    EXPECT_FALSE(irq.level);
}

}  // namespace
}  // namespace viv
