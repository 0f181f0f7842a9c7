// Plugging ways out into rooms. See ways_out.h.
#include "netbridge/ways_out.h"

namespace viv::netbridge {

Result<void> WaysOut::open_taps() {
    for (const auto& [room, interface] : settings_.taps) {
        TRY_SET(taps_[room], Tap::open(loop_, room, interface, journal_, metrics_, now_ns_));
    }
    return {};
}

void WaysOut::opened(Room& room) {
    const auto tap = taps_.find(room.name());
    if (tap != taps_.end()) return tap->second->enter(room);
    if (!settings_.has_nat(room.name())) return;
    auto nat = Outside::open(loop_, room, settings_.rules, settings_.outside, metrics_, now_ns_);
    if (!nat) return journal_.event("nat_failed", {{"room", room.name()}});
    room.plug(*nat);
    nats_.emplace(&room, std::move(nat));
}

void WaysOut::closing(Room& room) {
    const auto tap = taps_.find(room.name());
    if (tap != taps_.end()) return tap->second->leave();
    const auto nat = nats_.find(&room);
    if (nat == nats_.end()) return;
    room.unplug(*nat->second);
    nats_.erase(nat);
}

}  // namespace viv::netbridge
