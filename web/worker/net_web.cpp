// See net_web.h.
#include "web/worker/net_web.h"

namespace viv::web {

class WebNetwork::Plug final : public net::NetBackend {
public:
    explicit Plug(WebNetwork& network) : network_(network) {}
    void send(std::span<const u8> frame) override { network_.send(frame); }
    void receive_ready() override { network_.intake_.device_ready(); }

private:
    void attach(net::NetDevice* device) override { network_.intake_.attach(device); }

    WebNetwork& network_;
};

std::unique_ptr<net::NetBackend> WebNetwork::make_plug() { return std::make_unique<Plug>(*this); }

void WebNetwork::follow(Machine& machine) {
    machine.add_listener(*this);
    if (machine.state() == RunState::running) resumed();
}

void WebNetwork::give(std::span<const u8> frame) {
    if (net::good_size(frame.size())) intake_.deliver(frame);
}

void WebNetwork::send(std::span<const u8> frame) {
    if (!net::good_size(frame.size()) || sent_.size() + frame.size() > most_waiting_bytes) return;
    for (unsigned shift = 0; shift < 32; shift += 8) sent_.push_back(static_cast<u8>(frame.size() >> shift));
    sent_.insert(sent_.end(), frame.begin(), frame.end());
}

std::span<const u8> WebNetwork::take_frames() {
    taken_.clear();
    taken_.swap(sent_);
    return taken_;
}

}  // namespace viv::web
