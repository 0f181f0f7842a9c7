// A link's lateness, narrowness and losses, by a clock that the test moves.
#include "engine/net/link.h"

#include <gtest/gtest.h>

#include <deque>

#include "engine/time/replay.h"

namespace viv::net {
namespace {

constexpr u64 ms = 1'000'000;

struct HandClock final : host::Clock {
    u64 now = 0;
    u64 monotonic_ns() override { return now; }
    u64 realtime_ns() override { return now; }
};
struct NoEntropy final : host::Entropy {
    void fill(std::span<u8>) override {}
};

struct Card final : NetDevice {
    struct Frame {
        u64 at;
        u8 mark;
        usize size;
        bool operator==(const Frame&) const = default;
    };
    explicit Card(HandClock& from) : clock(from) {}
    bool receive(std::span<const u8> frame) override {
        frames.push_back({clock.now, frame[0], frame.size()});
        return true;
    }
    HandClock& clock;
    std::vector<Frame> frames;
};

// The other end: what comes is answered, if it says so.
struct Far final : NetBackend {
    explicit Far(std::vector<u8>& heard) : marks(heard) {}
    void send(std::span<const u8> frame) override {
        marks.push_back(frame[0]);
        if (answers) device()->receive(frame);
    }
    void attach(NetDevice*) override {}
    std::vector<u8>& marks;
    bool answers = true;
};

struct LinkTest : ::testing::Test {
    HandClock host;
    NoEntropy entropy;
    Inlet inlet{Determinism::live, 0, host, entropy};
    GuestClock clock{inlet};
    Timers timers{clock};
    Card card{host};
    std::vector<u8> heard;
    std::unique_ptr<Link> link;

    void SetUp() override { clock.resume(); }
    void make(const LinkQuality& quality, u64 seed = 1) {
        link = std::make_unique<Link>(timers, std::make_unique<Far>(heard), quality, seed);
        link->connect(&card);
    }
    void send(u8 mark, usize size = 100) { link->send(std::vector<u8>(size, mark)); }
    void run_to(u64 end) {
        while (timers.next_deadline_ns() <= end) {
            host.now = std::max(host.now, timers.next_deadline_ns());
            timers.run_due();
        }
        host.now = end;
    }
};

TEST_F(LinkTest, WithoutAnythingAFrameIsThereAtOnce) {
    make({});
    send(1);
    EXPECT_EQ(card.frames, (std::vector<Card::Frame>{{0, 1, 100}}));
    link->send(std::vector<u8>(smallest_frame - 1));
    EXPECT_EQ(heard.size(), 1u);
}

TEST_F(LinkTest, LatencyIsPaidEachWay) {
    make({.latency_ns = 20 * ms});
    send(1);
    run_to(5 * ms);
    send(2);
    run_to(20 * ms - 1);
    EXPECT_TRUE(heard.empty());
    run_to(100 * ms);
    EXPECT_EQ(heard, std::vector<u8>({1, 2}));
    EXPECT_EQ(card.frames, (std::vector<Card::Frame>{{40 * ms, 1, 100}, {45 * ms, 2, 100}}));
}

TEST_F(LinkTest, ARateSpreadsFramesAndItsQueueIsBounded) {
    make({.rate = 8'000'000, .queue = 3000});  // a byte a microsecond
    for (u8 mark = 0; mark < 6; mark++) send(mark, 1000);
    run_to(100 * ms);
    EXPECT_EQ(heard, std::vector<u8>({0, 1, 2})) << "one is on the line, two more find room";
    EXPECT_EQ(link->to_far().dropped, 3u);
    EXPECT_EQ(card.frames, (std::vector<Card::Frame>{{2 * ms, 0, 1000}, {3 * ms, 1, 1000}, {4 * ms, 2, 1000}}));
    send(7, 60'000);
    run_to(200 * ms);
    EXPECT_EQ(heard.back(), 7) << "a frame longer than the queue passes when nobody is before it";
}

TEST_F(LinkTest, JitterKeepsTheOrder) {
    make({.latency_ns = 10 * ms, .jitter_ns = 10 * ms});
    for (u8 mark = 0; mark < 100; mark++) {
        send(mark);
        run_to((mark + 1) * ms);
    }
    run_to(1000 * ms);
    ASSERT_EQ(card.frames.size(), 100u);
    bool late = false;
    for (u8 mark = 0; mark < 100; mark++) {
        EXPECT_EQ(card.frames[mark].mark, mark);
        EXPECT_GE(card.frames[mark].at, (mark + 20) * ms);
        EXPECT_LE(card.frames[mark].at, (mark + 40) * ms);
        late = late || card.frames[mark].at > (mark + 25) * ms;
    }
    EXPECT_TRUE(late);
}

TEST_F(LinkTest, LossIsAsOftenAsSaidAndRepeats) {
    std::vector<u8> first;
    for (int turn = 0; turn < 2; turn++) {
        heard.clear();
        make({.loss = 100'000}, 7);
        for (unsigned i = 0; i < 10'000; i++) send(static_cast<u8>(i));
        EXPECT_NEAR(static_cast<double>(link->to_far().lost), 1000, 150);
        EXPECT_EQ(link->to_far().lost + link->to_far().frames, 10'000u);
        if (turn == 0) first = heard;
    }
    EXPECT_EQ(heard, first);
    make({.loss = Link::all_lost});
    heard.clear();
    for (unsigned i = 0; i < 1000; i++) send(1);
    EXPECT_TRUE(heard.empty());
}

TEST_F(LinkTest, DownLetsNothingInAndChangesAreForWhatComes) {
    make({.latency_ns = 10 * ms});
    send(1);
    link->set_quality({});
    link->set_up(false);
    send(2);
    run_to(20 * ms);
    EXPECT_EQ(heard, std::vector<u8>({1}));
    EXPECT_TRUE(card.frames.empty()) << "the answer found the link down";
    link->set_up(true);
    send(3);
    EXPECT_EQ(card.frames, (std::vector<Card::Frame>{{20 * ms, 3, 100}}));
}

TEST_F(LinkTest, WhatIsUnderWayIsBounded) {
    make({.latency_ns = Link::most_latency_ns});
    for (unsigned i = 0; i < Link::most_frames + 10; i++) send(1, smallest_frame);
    EXPECT_EQ(link->to_far().dropped, 10u);
}

}  // namespace
}  // namespace viv::net
