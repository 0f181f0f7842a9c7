// Guest time and its deadlines: the order of callbacks, arming and cancelling from inside them, pausing, restoring.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "engine/host/clock.h"
#include "engine/host/entropy.h"
#include "engine/time/timers.h"

namespace viv {
namespace {

class StepClock final : public host::Clock {
public:
    u64 monotonic_ns() override { return monotonic; }
    u64 realtime_ns() override { return realtime; }
    u64 monotonic = 1'000'000;
    u64 realtime = 5'000'000'000;
};

class CountingEntropy final : public host::Entropy {
public:
    void fill(std::span<u8> out) override {
        for (u8& byte : out) byte = next++;
    }
    u8 next = 1;
};

struct TimersTest : ::testing::Test {
    StepClock host;
    CountingEntropy entropy;
    Inlet inlet{Determinism::live, 0, host, entropy};
    GuestClock clock{inlet};
    Timers timers{clock};
    std::string order;

    void SetUp() override { clock.resume(); }
    std::unique_ptr<Timer> timer(char name) {
        return std::make_unique<Timer>(timers, [this, name] { order += name; });
    }
};

TEST_F(TimersTest, RunsByDeadlineThenByOrderOfCreation) {
    const auto a = timer('a'), b = timer('b'), c = timer('c'), d = timer('d');
    c->arm(300);
    b->arm(100);
    a->arm(300);
    d->arm(200);
    EXPECT_EQ(timers.next_deadline_ns(), 100u);
    host.monotonic += 99;
    timers.run_due();
    EXPECT_EQ(order, "");
    host.monotonic += 1;
    timers.run_due();
    EXPECT_EQ(order, "b");
    EXPECT_FALSE(b->armed());
    host.monotonic += 1000;
    timers.run_due();
    EXPECT_EQ(order, "bdac");
    EXPECT_EQ(timers.next_deadline_ns(), Timers::never);
}

TEST_F(TimersTest, ArmingAgainReplacesAndKeepsThePlaceInATie) {
    const auto a = timer('a'), b = timer('b');
    a->arm(100);
    b->arm(100);
    a->arm(50);
    EXPECT_EQ(a->deadline_ns(), 50u);
    a->arm(100);
    host.monotonic += 100;
    timers.run_due();
    EXPECT_EQ(order, "ab");
    a->arm(500);
    a->arm(Timers::never);
    EXPECT_FALSE(a->armed());
    EXPECT_EQ(a->deadline_ns(), Timers::never);
}

// What a restored machine knows is the deadlines; it arms in the order of its devices, whatever the order was before.
TEST_F(TimersTest, TheOrderOfArmingIsForgotten) {
    std::string expected;
    for (const std::string arming : {"abc", "acb", "bac", "bca", "cab", "cba"}) {
        const auto a = timer('a'), b = timer('b'), c = timer('c');
        for (const char name : arming) (name == 'a' ? a : name == 'b' ? b : c)->arm(40);
        host.monotonic += 50;
        timers.run_due();
        expected += "abc";
        EXPECT_EQ(order, expected) << "armed as " << arming;
    }
}

TEST_F(TimersTest, WhatACallbackArmsForThePastWaitsEvenIfItsTurnInTheTieIsStillToCome) {
    std::unique_ptr<Timer> last;
    Timer first(timers, [&] {
        order += 'f';
        last->arm(10);
    });
    const auto middle = timer('m');
    last = timer('l');
    first.arm(10);
    middle->arm(10);
    host.monotonic += 20;
    timers.run_due();
    EXPECT_EQ(order, "fm");
    timers.run_due();
    EXPECT_EQ(order, "fml");
}

TEST_F(TimersTest, ACallbackMayCancelAndArmOthers) {
    const auto later = timer('l'), victim = timer('v');
    Timer first(timers, [&] {
        order += 'f';
        victim->cancel();
        later->arm(40);
    });
    first.arm(10);
    victim->arm(20);
    host.monotonic += 30;
    timers.run_due();
    EXPECT_EQ(order, "f");
    EXPECT_FALSE(victim->armed());
    host.monotonic += 10;
    timers.run_due();
    EXPECT_EQ(order, "fl");
}

TEST_F(TimersTest, ATimerThatArmsItselfInThePastRunsOnceACall) {
    unsigned runs = 0;
    const auto other = timer('o');
    std::unique_ptr<Timer> again;
    again = std::make_unique<Timer>(timers, [&] {
        runs++;
        again->arm(1);
    });
    again->arm(1);
    other->arm(5);
    host.monotonic += 10;
    timers.run_due();
    EXPECT_EQ(runs, 1u);
    EXPECT_EQ(order, "o") << "a timer that asks for the past must not keep later ones waiting";
    timers.run_due();
    EXPECT_EQ(runs, 2u);
}

TEST_F(TimersTest, TheListenerHearsOfEarlierDeadlinesOnly) {
    unsigned heard = 0;
    timers.set_deadline_listener([&] { heard++; });
    const auto a = timer('a'), b = timer('b');
    a->arm(100);
    EXPECT_EQ(heard, 1u);
    b->arm(200);
    EXPECT_EQ(heard, 1u);
    b->arm(50);
    EXPECT_EQ(heard, 2u);
    a->arm(100);
    EXPECT_EQ(heard, 2u);
}

TEST_F(TimersTest, ADestroyedTimerIsForgotten) {
    timer('x')->arm(5);
    EXPECT_EQ(timers.next_deadline_ns(), Timers::never);
    host.monotonic += 10;
    timers.run_due();
    EXPECT_EQ(order, "");
}

TEST_F(TimersTest, TimeStopsWhilePausedAndGoesOnAfterARestore) {
    host.monotonic += 100;
    EXPECT_EQ(clock.now_ns(), 100u);
    clock.pause();
    host.monotonic += 1000;
    EXPECT_EQ(clock.now_ns(), 100u);
    std::vector<u8> saved;
    Archive saver = Archive::saver(saved);
    clock.state(saver);

    StepClock elsewhere;
    elsewhere.monotonic = 77;
    Inlet other_inlet(Determinism::live, 0, elsewhere, entropy);
    GuestClock restored(other_inlet);
    Archive loader = Archive::loader(saved);
    restored.state(loader);
    ASSERT_TRUE(loader.finish().ok());
    EXPECT_EQ(restored.now_ns(), 100u);
    restored.resume();
    elsewhere.monotonic += 11;
    EXPECT_EQ(restored.now_ns(), 111u);
}

TEST_F(TimersTest, TheWallClockRunsWithGuestTime) {
    clock.set_wall_clock();
    EXPECT_EQ(clock.wall_ns(), host.realtime);
    host.monotonic += 42;
    EXPECT_EQ(clock.wall_ns(), host.realtime + 42);
}

TEST(DeterministicTime, FollowsInstructionsAndNeverTheHost) {
    StepClock host;
    CountingEntropy entropy;
    Inlet inlet(Determinism::deterministic, 7, host, entropy);
    GuestClock clock(inlet);
    u64 instructions = 0;
    clock.set_instruction_source([&] { return instructions; }, 2);
    clock.resume();
    clock.set_wall_clock();
    const u64 start = clock.wall_ns();
    EXPECT_EQ(start, u64{946'684'800} * 1'000'000'000);
    host.monotonic += 1'000'000;
    host.realtime += 1'000'000;
    EXPECT_EQ(clock.now_ns(), 0u);
    instructions = 100;
    EXPECT_EQ(clock.now_ns(), 50u);
    clock.skip_to(500);
    EXPECT_EQ(clock.now_ns(), 500u);
    clock.skip_to(10);
    EXPECT_EQ(clock.now_ns(), 500u);
    instructions = 200;
    EXPECT_EQ(clock.now_ns(), 550u);
    EXPECT_EQ(clock.wall_ns(), start + 550);

    u8 first[12], second[12], third[12];
    inlet.entropy(first);
    std::vector<u8> saved;
    Archive saver = Archive::saver(saved);
    inlet.state(saver);
    inlet.entropy(second);
    Archive loader = Archive::loader(saved);
    inlet.state(loader);
    inlet.entropy(third);
    EXPECT_EQ(entropy.next, 1) << "the host's entropy was used";
    EXPECT_NE(std::vector<u8>(first, first + 12), std::vector<u8>(second, second + 12));
    EXPECT_EQ(std::vector<u8>(second, second + 12), std::vector<u8>(third, third + 12));
}

}  // namespace
}  // namespace viv
