// See intake.h.
#include "engine/net/intake.h"

namespace viv::net {

void Intake::attach(NetDevice* device) {
    device_ = device;
    queue_.attach(device);
    update_flow();
}

void Intake::device_ready() {
    if (running_) queue_.deliver();
    update_flow();
}

void Intake::set_running(bool running) {
    running_ = running;
    device_ready();
}

void Intake::deliver(std::span<const u8> frame) {
    const auto takes = this->takes();
    const auto emit = [this](std::span<const u8> each, const Offload& offload) { hand_on(each, offload); };
    if (takes.checked) return joiner_.add(frame, takes, emit);
    joiner_.flush(emit);
    hand_on(frame, {});
}

void Intake::deliver_offloaded(std::span<u8> frame, const Offload& offload) {
    flush();
    if (is_taken(takes(), frame, offload)) return hand_on(frame, offload);
    finish_frame(frame, offload, [this](std::span<const u8> each) { hand_on(each, {}); });
}

void Intake::flush() {
    if (joiner_.empty()) return;
    joiner_.flush([this](std::span<const u8> frame, const Offload& offload) { hand_on(frame, offload); });
}

void Intake::hand_on(std::span<const u8> frame, const Offload& offload) {
    if (running_)
        queue_.put(frame, offload);
    else
        queue_.keep(frame, offload);
    update_flow();
}

void Intake::update_flow() {
    // Once it has been stopped, it goes on only when the queue is empty.
    const bool now = running_ && (flowing_ ? !queue_.half_full() : queue_.empty());
    if (now == flowing_) return;
    flowing_ = now;
    flow_changed_();
}

}  // namespace viv::net
