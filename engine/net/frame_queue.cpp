// The queue in front of a device. See frame_queue.h.
#include "engine/net/frame_queue.h"

namespace viv::net {

void FrameQueue::attach(NetDevice* device) {
    device_ = device;
    if (device != nullptr) return;
    waiting_.clear();
    bytes_ = 0;
}

bool FrameQueue::put(std::span<const u8> frame) {
    if (device_ == nullptr || !good_size(frame.size())) return false;
    if (waiting_.empty() && !delivering_) {
        delivering_ = true;
        const bool taken = device_->receive(frame);
        delivering_ = false;
        if (taken) return true;
    }
    return keep(frame);
}

bool FrameQueue::keep(std::span<const u8> frame) {
    if (device_ == nullptr || !good_size(frame.size())) return false;
    if (waiting_.size() >= most_frames || bytes_ + frame.size() > most_bytes) {
        dropped_++;
        return false;
    }
    waiting_.emplace_back(frame.begin(), frame.end());
    bytes_ += frame.size();
    return true;
}

void FrameQueue::deliver() {
    if (delivering_) return;
    delivering_ = true;
    for (usize left = waiting_.size(); left != 0 && !waiting_.empty() && device_ != nullptr; left--) {
        if (!device_->receive(waiting_.front())) break;
        if (waiting_.empty()) break;  // it was detached meanwhile
        bytes_ -= waiting_.front().size();
        waiting_.pop_front();
    }
    delivering_ = false;
}

}  // namespace viv::net
