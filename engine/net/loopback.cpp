// A plug that gives every frame back to its sender, in order.
// Promises: at most queue_limit frames wait for a device without buffers, later ones are dropped; a frame that a
// device sends while it is being handed another waits its turn, so receive() is never entered twice.
#include <deque>
#include <vector>

#include "engine/net/net.h"

namespace viv::net {

namespace {

constexpr usize smallest_frame = 14, largest_frame = 65'550, queue_limit = 256;

class LoopbackBackend final : public NetBackend {
public:
    void attach(NetDevice* device) override {
        device_ = device;
        if (device_ == nullptr) waiting_.clear();
    }
    void send(std::span<const u8> frame) override {
        if (device_ == nullptr || frame.size() < smallest_frame || frame.size() > largest_frame) return;
        if (waiting_.size() < queue_limit) waiting_.emplace_back(frame.begin(), frame.end());
        deliver();
    }
    void receive_ready() override { deliver(); }

private:
    void deliver() {
        if (delivering_) return;
        delivering_ = true;
        // What arrives while these are delivered waits for the next occasion, so that a device that answers each
        // frame cannot keep us here.
        for (usize left = waiting_.size(); left != 0 && !waiting_.empty() && device_ != nullptr; left--) {
            if (!device_->receive(waiting_.front())) break;
            if (!waiting_.empty()) waiting_.pop_front();
        }
        delivering_ = false;
    }

    NetDevice* device_ = nullptr;
    std::deque<std::vector<u8>> waiting_;
    bool delivering_ = false;
};

}  // namespace

std::unique_ptr<NetBackend> make_loopback_backend() { return std::make_unique<LoopbackBackend>(); }

}  // namespace viv::net
