// See fabric.h.
#include "native/lab/fabric.h"

#include <fmt/format.h>

namespace viv::native::lab {

namespace {

std::string socket_of(const MachinePlan& machine, usize card, const std::string& folder) {
    return fmt::format("{}/{}.{}", folder, machine.name, card);
}

std::string stream_option(const std::string& path) { return fmt::format("stream,addr.type=unix,addr.path={}", path); }

std::string link_name(const MachinePlan& machine, usize card) {
    return machine.cards.size() == 1 ? machine.name : fmt::format("{}.{}", machine.name, card);
}

}  // namespace

Fabric::Fabric(EventLoop& events, LogSink& log) : networks_(events, log) {
    time_.resume();
    networks_.resumed();
}

// Switches that are joined hold ports of each other.
Fabric::~Fabric() { hubs_.clear(); }

std::string Fabric::card_option(const MachinePlan& machine, usize card, const std::string& folder) {
    return fmt::format("{},mac={}", stream_option(socket_of(machine, card, folder)), machine.cards[card].mac);
}

Result<void> Fabric::build(const Plan& plan, const std::string& folder) {
    seed_ = plan.seed;
    for (const auto& one : plan.switches) hubs_.emplace(one.name, std::make_unique<net::Hub>());
    const auto open = [this](const std::string& text) -> Result<std::unique_ptr<net::NetBackend>> {
        TRY_SET(const auto option, parse_net("outside", text));
        TRY_SET(auto cable, networks_.open(*option));
        return networks_.capture(*option, std::move(cable));
    };
    for (const auto& one : plan.switches)
        for (const auto& outside : one.outside) {
            TRY_SET(auto cable, open(outside));
            hub(one.name).plug(std::move(cable));
        }
    for (const auto& machine : plan.machines)
        for (usize card = 0; card < machine.cards.size(); card++) {
            TRY_SET(auto cable, open(stream_option(socket_of(machine, card, folder)) + ",server=on"));
            const auto& to = machine.cards[card].to;
            plug(hub(to), std::move(cable), machine.cards[card].quality,
                 {link_name(machine, card), fmt::format("{} - {}", machine.name, to), nullptr});
        }
    for (const auto& trunk : plan.trunks)
        plug(hub(trunk.from), hub(trunk.to).make_port(), trunk.quality,
             {trunk.name, fmt::format("{} - {}", trunk.from, trunk.to), nullptr});
    return {};
}

void Fabric::plug(net::Hub& into, std::unique_ptr<net::NetBackend> far, const net::LinkQuality& quality, Named named) {
    auto link = std::make_unique<net::Link>(timers_, std::move(far), quality, seed_ + links_.size());
    named.link = link.get();
    links_.push_back(std::move(named));
    into.plug(std::move(link));
}

void Fabric::turn() {
    timers_.run_due();
    networks_.flush();
}

u64 Fabric::until_next_ns() {
    const u64 next = timers_.next_deadline_ns(), now = timers_.now_ns();
    return next == Timers::never ? EventLoop::for_ever : next > now ? next - now : 0;
}

}  // namespace viv::native::lab
