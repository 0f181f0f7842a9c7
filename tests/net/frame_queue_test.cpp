// Frames that wait for a device: order, bounds, re-entrance.
#include "engine/net/frame_queue.h"

#include <gtest/gtest.h>

namespace viv::net {
namespace {

struct Port final : NetDevice {
    bool receive(std::span<const u8> frame) override {
        if (buffers == 0) return false;
        buffers--;
        marks.push_back(frame[0]);
        if (queue != nullptr) {
            queue->deliver();  // must not enter again
            queue->put(std::vector<u8>(60, 99));
        }
        return true;
    }
    unsigned buffers = 0;
    std::vector<u8> marks;
    FrameQueue* queue = nullptr;
};

std::vector<u8> frame(u8 mark, usize size = 60) { return std::vector<u8>(size, mark); }

TEST(FrameQueue, KeepsOrderAcrossARefusal) {
    FrameQueue queue;
    Port port;
    EXPECT_FALSE(queue.put(frame(1))) << "nobody is attached";
    queue.attach(&port);
    EXPECT_TRUE(queue.put(frame(1)));
    port.buffers = 1;
    EXPECT_TRUE(queue.put(frame(2))) << "behind the first, although there is a buffer now";
    EXPECT_TRUE(port.marks.empty());
    queue.deliver();
    EXPECT_EQ(port.marks, std::vector<u8>({1}));
    port.buffers = 5;
    queue.deliver();
    EXPECT_EQ(port.marks, std::vector<u8>({1, 2}));
    EXPECT_TRUE(queue.empty());
}

TEST(FrameQueue, IsBoundedInFramesAndBytes) {
    FrameQueue queue;
    Port port;
    queue.attach(&port);
    for (usize i = 0; i < FrameQueue::most_frames; i++) {
        EXPECT_EQ(queue.half_full(), i >= FrameQueue::most_frames / 2);
        EXPECT_TRUE(queue.put(frame(1)));
    }
    EXPECT_FALSE(queue.put(frame(1)));
    EXPECT_EQ(queue.dropped(), 1u);
    queue.attach(nullptr);
    queue.attach(&port);
    EXPECT_TRUE(queue.empty());
    usize taken = 0;
    while (queue.put(frame(1, largest_frame))) taken++;
    EXPECT_EQ(taken, FrameQueue::most_bytes / largest_frame);
    EXPECT_FALSE(queue.put(frame(1, largest_frame + 1)));
    EXPECT_FALSE(queue.put(frame(1, smallest_frame - 1)));
}

TEST(FrameQueue, ADeviceThatAnswersEachFrameDoesNotHoldTheCaller) {
    FrameQueue queue;
    Port port;
    queue.attach(&port);
    port.buffers = 1000;
    port.queue = &queue;
    EXPECT_TRUE(queue.put(frame(1)));
    EXPECT_EQ(port.marks, std::vector<u8>({1}));
    queue.deliver();
    EXPECT_EQ(port.marks, std::vector<u8>({1, 99}));
}

}  // namespace
}  // namespace viv::net
