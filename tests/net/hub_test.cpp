// The switch between the cards and back ends of one machine.
#include "engine/net/hub.h"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

namespace viv::net {
namespace {

struct Card final : NetDevice {
    explicit Card(std::unique_ptr<NetBackend> to) : cable(std::move(to)) { cable->connect(this); }
    bool receive(std::span<const u8> frame) override {
        if (!buffers) return false;
        received.push_back(frame[14]);
        if (on_receive) on_receive();
        return true;
    }
    void send(u8 to, u8 from, u8 mark) {
        std::vector<u8> frame(60);
        frame[5] = to;
        if (to == 0xff) std::fill_n(frame.begin(), 6, 0xff);
        frame[11] = from;
        frame[14] = mark;
        cable->send(frame);
    }
    std::vector<u8> received;
    std::function<void()> on_receive;
    bool buffers = true;
    std::unique_ptr<NetBackend> cable;
};

using Marks = std::vector<u8>;

TEST(Hub, LearnsWhoIsWhere) {
    Hub hub;
    Card a(hub.make_port()), b(hub.make_port()), c(hub.make_port());
    a.send(2, 1, 10);
    EXPECT_EQ(b.received, Marks({10}));
    EXPECT_EQ(c.received, Marks({10})) << "nobody has heard of station 2";
    EXPECT_TRUE(a.received.empty()) << "not back to where it came from";
    b.send(1, 2, 11);
    EXPECT_EQ(a.received, Marks({11}));
    EXPECT_EQ(c.received, Marks({10})) << "station 1 is known";
    a.send(0xff, 1, 12);
    EXPECT_EQ(b.received, Marks({10, 12}));
    EXPECT_EQ(c.received, Marks({10, 12}));
    c.send(0xff, 1, 13);  // station 1 has moved
    b.send(1, 2, 14);
    EXPECT_EQ(c.received, Marks({10, 12, 14}));
    EXPECT_EQ(a.received, Marks({11, 13}));
}

TEST(Hub, APortWithoutBuffersDelaysNoOther) {
    Hub hub;
    Card a(hub.make_port()), b(hub.make_port()), c(hub.make_port());
    b.buffers = false;
    for (u8 mark = 1; mark < 4; mark++) a.send(0xff, 1, mark);
    EXPECT_EQ(c.received, Marks({1, 2, 3}));
    EXPECT_TRUE(b.received.empty());
    b.buffers = true;
    b.cable->receive_ready();
    EXPECT_EQ(b.received, Marks({1, 2, 3}));
}

TEST(Hub, TwoCardsThatAnswerEachOtherDoNotHoldTheMachine) {
    Hub hub;
    Card a(hub.make_port()), b(hub.make_port());
    a.on_receive = [&] { a.send(0xff, 1, 1); };
    b.on_receive = [&] { b.send(0xff, 2, 2); };
    a.send(0xff, 1, 0);
    EXPECT_EQ(b.received.size(), 1u);
    EXPECT_EQ(a.received.size(), 1u) << "its answer, and no more";
}

TEST(Hub, CardsAndBackEndsMayGoInAnyOrder) {
    auto hub = std::make_unique<Hub>();
    auto a = std::make_unique<Card>(hub->make_port());
    auto b = std::make_unique<Card>(hub->make_port());
    hub->plug(make_loopback_backend());
    hub.reset();
    a->send(0xff, 1, 7);
    EXPECT_EQ(b->received, Marks({7, 7})) << "from the card, and back from the loop";
    EXPECT_EQ(a->received, Marks({7}));
    b.reset();
    a->send(0xff, 1, 8);
    EXPECT_EQ(a->received, Marks({7, 8}));
}

TEST(Hub, StationsAreBounded) {
    Hub hub;
    Card a(hub.make_port()), b(hub.make_port()), c(hub.make_port());
    std::vector<u8> frame(60);
    for (u32 station = 0; station < Hub::most_stations * 2; station++) {
        frame[0] = frame[6] = 2;
        frame[10] = static_cast<u8>(station >> 8);
        frame[11] = static_cast<u8>(station);
        a.cable->send(frame);
    }
    const auto before = c.received.size();
    std::copy_n(frame.begin() + 6, 6, frame.begin());  // to the last, which found no room
    frame[11] = frame[10] = 0x77;
    b.cable->send(frame);
    EXPECT_EQ(c.received.size(), before + 1) << "it goes everywhere";
}

TEST(Hub, FramesOfImpossibleSizesGoNowhere) {
    Hub hub;
    Card a(hub.make_port()), b(hub.make_port());
    a.cable->send(std::vector<u8>(13));
    a.cable->send(std::vector<u8>(largest_frame + 1));
    a.cable->send({});
    EXPECT_TRUE(b.received.empty());
}

}  // namespace
}  // namespace viv::net
