// Frames on their way to a device that has no buffer for them now.
// Promises: order is kept; memory is bounded (a frame that finds no room is dropped and counted); receive() of the
// device is never entered twice, and a device that answers each frame with another cannot hold the caller; a frame that
// lacks something goes to a device that takes such ones only, and is dropped if it does not any more.
#pragma once

#include <deque>
#include <vector>

#include "engine/net/net.h"

namespace viv::net {

class FrameQueue {
public:
    static constexpr usize most_frames = 256;
    static constexpr usize most_bytes = 4 << 20;

    // Null: everything that waits is dropped, and so is what comes.
    void attach(NetDevice* device);
    // To the device now if nothing waits before it, else later. False if it was dropped.
    bool put(std::span<const u8> frame, const Offload& offload = {});
    // For later in any case.
    bool keep(std::span<const u8> frame, const Offload& offload = {});
    // Hands over what the device takes now, and no more than what waits when this is called.
    void deliver();

    bool empty() const { return waiting_.empty(); }
    // Whoever can make its source wait does so from here on, until the queue is empty again.
    bool half_full() const { return waiting_.size() >= most_frames / 2 || bytes_ >= most_bytes / 2; }
    u64 dropped() const { return dropped_; }

private:
    struct Waiting {
        std::vector<u8> bytes;
        Offload offload;
    };
    bool hand_over(std::span<const u8> frame, const Offload& offload);

    NetDevice* device_ = nullptr;
    std::deque<Waiting> waiting_;
    usize bytes_ = 0;
    u64 dropped_ = 0;
    bool delivering_ = false;
};

}  // namespace viv::net
