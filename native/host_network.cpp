// The list of back ends, and how each is opened. See host_network.h.
#include "native/host_network.h"

#include "engine/lang/check.h"
#include "native/net_capture.h"
#include "native/net_datagram.h"
#include "native/net_stream.h"
#include "native/net_vde.h"
#include "native/net_websocket.h"
#include "native/slirp.h"
#include "native/tap.h"

namespace viv::native {

HostNetwork::HostNetwork(Networks& networks) : networks_(networks), intake_([this] { flow_changed(); }) {
    networks_.open_.push_back(this);
}
HostNetwork::~HostNetwork() { std::erase(networks_.open_, this); }

// Only from here on flow_changed() can be called: the whole object is there.
void HostNetwork::attach(net::NetDevice* device) {
    intake_.attach(device);
    intake_.set_running(networks_.running());
}

void HostNetwork::receive_ready() { intake_.device_ready(); }

void Networks::flush() {
    for (HostNetwork* each : open_) each->flush();
}

void Networks::follow(Machine& machine) {
    machine.add_listener(*this);
    if (machine.state() == RunState::running) resumed();
}

void Networks::stopped(StopReason) {
    running_ = false;
    for (HostNetwork* each : open_) each->intake_.set_running(false);
}

void Networks::resumed() {
    running_ = true;
    for (HostNetwork* each : open_) each->intake_.set_running(true);
}

Result<std::unique_ptr<net::NetBackend>> Networks::open(const NetOption& option) {
    if (const auto* user = std::get_if<UserNet>(&option.back_end)) return open_user_network(*this, option.where, *user);
    if (const auto* stream = std::get_if<StreamNet>(&option.back_end))
        return open_stream_network(*this, option.where, *stream);
    if (const auto* datagram = std::get_if<DatagramNet>(&option.back_end))
        return open_datagram_network(*this, option.where, *datagram);
    if (const auto* tap = std::get_if<TapNet>(&option.back_end)) return open_tap_network(*this, option.where, *tap);
    if (const auto* vde = std::get_if<VdeNet>(&option.back_end)) return open_vde_network(*this, option.where, *vde);
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
