// The queue in front of a device. See frame_queue.h.
#include "engine/net/frame_queue.h"

#include "engine/net/segments.h"

namespace viv::net {

void FrameQueue::attach(NetDevice* device) {
    device_ = device;
    if (device != nullptr) return;
    waiting_.clear();
    bytes_ = 0;
}

// False: there is no room now.
bool FrameQueue::hand_over(std::span<const u8> frame, const Offload& offload) {
    const auto takes = device_->takes();
    if (!is_taken(takes, frame, offload)) return true;  // lost: it did when the frame came
    return takes.checked ? device_->receive_offloaded(frame, offload) : device_->receive(frame);
}

bool FrameQueue::put(std::span<const u8> frame, const Offload& offload) {
    if (device_ == nullptr || !good_size(frame.size())) return false;
    if (waiting_.empty() && !delivering_) {
        delivering_ = true;
        const bool taken = hand_over(frame, offload);
        delivering_ = false;
        if (taken) return true;
    }
    return keep(frame, offload);
}

bool FrameQueue::keep(std::span<const u8> frame, const Offload& offload) {
    if (device_ == nullptr || !good_size(frame.size())) return false;
    if (waiting_.size() >= most_frames || bytes_ + frame.size() > most_bytes) {
        dropped_++;
        return false;
    }
    waiting_.push_back({{frame.begin(), frame.end()}, offload});
    bytes_ += frame.size();
    return true;
}

void FrameQueue::deliver() {
    if (delivering_) return;
    delivering_ = true;
    for (usize left = waiting_.size(); left != 0 && !waiting_.empty() && device_ != nullptr; left--) {
        if (!hand_over(waiting_.front().bytes, waiting_.front().offload)) break;
        if (waiting_.empty()) break;  // it was detached meanwhile
        bytes_ -= waiting_.front().bytes.size();
        waiting_.pop_front();
    }
    delivering_ = false;
}

}  // namespace viv::net
