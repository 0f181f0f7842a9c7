// The null and loopback back ends: what comes back, in which order, and what happens when the device has no buffers.
#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <vector>

#include "engine/net/net.h"

namespace viv::net {
namespace {

struct Port final : NetDevice {
    bool receive(std::span<const u8> frame) override {
        EXPECT_FALSE(inside) << "receive() was entered twice";
        if (buffers == 0) return false;
        buffers--;
        inside = true;
        frames.emplace_back(frame.begin(), frame.end());
        if (on_receive) on_receive();
        inside = false;
        return true;
    }
    std::vector<std::vector<u8>> frames;
    std::function<void()> on_receive;
    unsigned buffers = 1000;
    bool inside = false;
};

std::vector<u8> frame(u8 mark, usize size = 60) { return std::vector<u8>(size, mark); }

TEST(NullBackend, NothingComesBack) {
    const auto backend = make_null_backend();
    Port port;
    backend->connect(&port);
    backend->send(frame(1));
    backend->receive_ready();
    EXPECT_TRUE(port.frames.empty());
}

TEST(LoopbackBackend, GivesFramesBackInOrder) {
    const auto backend = make_loopback_backend();
    Port port;
    backend->send(frame(9));  // before anybody is attached
    backend->connect(&port);
    for (u8 i = 0; i < 5; i++) backend->send(frame(i));
    ASSERT_EQ(port.frames.size(), 5u);
    for (u8 i = 0; i < 5; i++) EXPECT_EQ(port.frames[i], frame(i));
}

TEST(LoopbackBackend, KeepsFramesForADeviceWithoutBuffersButNotWithoutBound) {
    const auto backend = make_loopback_backend();
    Port port;
    backend->connect(&port);
    port.buffers = 0;
    for (unsigned i = 0; i < 1000; i++) backend->send(frame(static_cast<u8>(i)));
    EXPECT_TRUE(port.frames.empty());
    port.buffers = 3;
    backend->receive_ready();
    EXPECT_EQ(port.frames.size(), 3u);
    port.buffers = 1000;
    backend->receive_ready();
    ASSERT_EQ(port.frames.size(), 256u);
    for (unsigned i = 0; i < 256; i++) EXPECT_EQ(port.frames[i][0], static_cast<u8>(i));
}

TEST(LoopbackBackend, ADeviceThatAnswersEachFrameDoesNotHoldTheMachine) {
    const auto backend = make_loopback_backend();
    Port port;
    backend->connect(&port);
    port.on_receive = [&] { backend->send(frame(7)); };
    backend->send(frame(1));
    EXPECT_EQ(port.frames.size(), 1u);
    backend->receive_ready();
    EXPECT_EQ(port.frames.size(), 2u);
}

TEST(LoopbackBackend, DropsFramesOfImpossibleSizes) {
    const auto backend = make_loopback_backend();
    Port port;
    backend->connect(&port);
    backend->send(frame(1, 13));
    backend->send({});
    backend->send(frame(1, 65'551));
    EXPECT_TRUE(port.frames.empty());
    backend->send(frame(1, 14));
    backend->send(frame(1, 65'550));
    EXPECT_EQ(port.frames.size(), 2u);
    backend->connect(nullptr);
    backend->send(frame(1));
    EXPECT_EQ(port.frames.size(), 2u);
}

}  // namespace
}  // namespace viv::net
