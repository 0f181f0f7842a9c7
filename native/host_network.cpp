// Queue, pausing and the list of back ends. See host_network.h.
#include "native/host_network.h"

#include "engine/lang/check.h"
#include "native/net_capture.h"
#include "native/net_datagram.h"
#include "native/net_stream.h"
#include "native/net_websocket.h"
#include "native/slirp.h"
#include "native/tap.h"

namespace viv::native {

HostNetwork::HostNetwork(Networks& networks) : networks_(networks) { networks_.open_.push_back(this); }
HostNetwork::~HostNetwork() { std::erase(networks_.open_, this); }

void HostNetwork::attach(net::NetDevice* device) {
    queue_.attach(device);
    update_flow();
}

void HostNetwork::receive_ready() {
    if (networks_.running()) queue_.deliver();
    update_flow();
}

void HostNetwork::hand_on(std::span<const u8> frame, const net::Offload& offload) {
    if (networks_.running())
        queue_.put(frame, offload);
    else
        queue_.keep(frame, offload);
    update_flow();
}

void HostNetwork::deliver(std::span<const u8> frame) {
    const auto takes = device() != nullptr ? device()->takes() : net::NetDevice::Takes{};
    const auto emit = [this](std::span<const u8> each, const net::Offload& offload) { hand_on(each, offload); };
    if (takes.checked) return joiner_.add(frame, takes, emit);
    joiner_.flush(emit);
    hand_on(frame, {});
}

void HostNetwork::deliver_offloaded(std::span<u8> frame, const net::Offload& offload) {
    flush();
    const auto takes = device() != nullptr ? device()->takes() : net::NetDevice::Takes{};
    if (net::is_taken(takes, frame, offload)) return hand_on(frame, offload);
    net::finish_frame(frame, offload, [this](std::span<const u8> each) { hand_on(each, {}); });
}

void HostNetwork::flush() {
    if (joiner_.empty()) return;
    joiner_.flush([this](std::span<const u8> frame, const net::Offload& offload) { hand_on(frame, offload); });
}

void HostNetwork::update_flow() {
    // Once it has been stopped, it goes on only when the queue is empty.
    const bool now = networks_.running() && (flowing_ ? !queue_.half_full() : queue_.empty());
    if (now == flowing_) return;
    flowing_ = now;
    flow_changed();
}

void Networks::flush() {
    for (HostNetwork* each : open_) each->flush();
}

void Networks::follow(Machine& machine) {
    machine.add_listener(*this);
    if (machine.state() == RunState::running) resumed();
}

void Networks::stopped(StopReason) {
    running_ = false;
    for (HostNetwork* each : open_) each->update_flow();
}

void Networks::resumed() {
    running_ = true;
    for (HostNetwork* each : open_) each->receive_ready();
}

Result<std::unique_ptr<net::NetBackend>> Networks::open(const NetOption& option) {
    if (const auto* user = std::get_if<UserNet>(&option.back_end)) return open_user_network(*this, option.where, *user);
    if (const auto* stream = std::get_if<StreamNet>(&option.back_end))
        return open_stream_network(*this, option.where, *stream);
    if (const auto* datagram = std::get_if<DatagramNet>(&option.back_end))
        return open_datagram_network(*this, option.where, *datagram);
    if (const auto* tap = std::get_if<TapNet>(&option.back_end)) return open_tap_network(*this, option.where, *tap);
    if (const auto* websocket = std::get_if<WebsocketNet>(&option.back_end))
        return open_websocket_network(*this, option.where, *websocket);
    return open_repeatable(option);
}

Result<std::unique_ptr<net::NetBackend>> Networks::capture(const NetOption& option,
                                                           std::unique_ptr<net::NetBackend> cable) {
    if (option.capture.empty()) return cable;
    TRY_SET(auto recorder, open_capture(*this, option.where, option.capture));
    return net::make_captured(std::move(cable), std::move(recorder));
}

std::unique_ptr<net::NetBackend> Networks::open_repeatable(const NetOption& option) {
    CHECK(option.repeatable());
    if (std::holds_alternative<LoopbackNet>(option.back_end)) return net::make_loopback_backend();
    return net::make_null_backend();
}

}  // namespace viv::native
