// The way of frames from whoever carries them into a card: what every back end with a source of its own does the same.
// Promises: frames for a guest that has no buffers wait in a bounded queue, and the source is asked to slow down; what
// is handed over while the machine is paused waits, so that its memory stays as it is; TCP segments may be joined on
// their way, for a card that takes them so.
#pragma once

#include <functional>

#include "engine/net/frame_queue.h"
#include "engine/net/net.h"
#include "engine/net/segments.h"

namespace viv::net {

class Intake {
public:
    // `flow_changed` is called when flowing() has changed.
    explicit Intake(std::function<void()> flow_changed) : flow_changed_(std::move(flow_changed)) {}

    // Null: nothing is connected any more.
    void attach(NetDevice* device);
    // NetBackend::receive_ready().
    void device_ready();
    // Whether the machine runs; it does not, until this says so.
    void set_running(bool running);

    // A frame for the guest; it is dropped if the queue is full. TCP segments wait until flush() for more of their
    // connection, if the card takes them joined.
    void deliver(std::span<const u8> frame);
    // The same of one that lacks something; it is the caller's own memory, and may be changed.
    void deliver_offloaded(std::span<u8> frame, const Offload& offload);
    void flush();

    // Whether more frames are welcome now.
    bool flowing() const { return flowing_; }

private:
    NetDevice::Takes takes() const { return device_ != nullptr ? device_->takes() : NetDevice::Takes{}; }
    void hand_on(std::span<const u8> frame, const Offload& offload);
    void update_flow();

    std::function<void()> flow_changed_;
    NetDevice* device_ = nullptr;
    FrameQueue queue_;
    SegmentJoiner joiner_;
    bool running_ = false, flowing_ = false;
};

}  // namespace viv::net
