// Switching. See rooms.h.
#include "netbridge/rooms.h"

#include <algorithm>

#include "engine/net/net.h"

namespace viv::netbridge {

namespace {

// The NATs of all relays have the same addresses, and each answers DHCP: each is for its own relay's clients.
bool may_pass(const Port& from, const Port& to) {
    return from.kind() == PortKind::client || to.kind() == PortKind::client;
}

bool is_outside(const Port& port) { return port.kind() == PortKind::outside || port.kind() == PortKind::lan; }

}  // namespace

void Room::unplug(Port& port) {
    std::erase(ports_, &port);
    std::vector<net::MacAddress> gone;
    std::erase_if(stations_, [&](const auto& station) {
        if (station.second.port != &port) return false;
        if (port.kind() == PortKind::client) gone.push_back(station.first);
        return true;
    });
    port.stations_ = 0;
    if (gone.empty()) return;
    for (Port* other : ports_) other->left(gone);
}

void Room::forget(Port& port, u64 behind) {
    port.stations_ -= std::erase_if(stations_, [&](const auto& station) {
        return station.second.port == &port && station.second.behind == behind;
    });
}

void Room::forget(Port& port, u64 behind, std::span<const net::MacAddress> addresses) {
    for (const auto& address : addresses) {
        const auto known = stations_.find(address);
        if (known == stations_.end() || known->second.port != &port || known->second.behind != behind) continue;
        stations_.erase(known);
        port.stations_--;
    }
}

usize Room::count(PortKind kind) const {
    return static_cast<usize>(
        std::count_if(ports_.begin(), ports_.end(), [kind](const Port* port) { return port->kind() == kind; }));
}

void Room::forget_old(u64 now_ns) {
    std::erase_if(stations_, [now_ns](const auto& entry) {
        if (now_ns - entry.second.heard_ns < station_age_ns) return false;
        entry.second.port->stations_--;
        return true;
    });
}

// False if the address may not be this port's.
bool Room::learn(const net::MacAddress& address, Port& port, u64 behind, u64 now_ns) {
    const auto known = stations_.find(address);
    // Who is outside is the administrator's business, and there no client has a say.
    const bool believed = check_ == SpoofCheck::off || is_outside(port);
    if (known != stations_.end()) {
        auto& station = known->second;
        if (station.port != &port || station.behind != behind) {
            const bool held = now_ns - station.heard_ns < station_age_ns;
            if (held && !believed) return false;
            station.port->stations_--;
            port.stations_++;
            station.port = &port;
            station.behind = behind;
        }
        station.heard_ns = now_ns;
        return true;
    }
    if (port.kind() == PortKind::client && port.stations_ >= most_stations_of_client) return believed;
    const auto full = [&] {
        return stations_.size() >= most_stations ||
               (port.kind() == PortKind::lan && port.stations_ >= most_stations_of_lan);
    };
    if (full()) forget_old(now_ns);
    if (full()) return believed;
    stations_.emplace(address, Station{&port, behind, now_ns});
    port.stations_++;
    return true;
}

Room::Outcome Room::forward(Port& from, std::span<const u8> frame, u64 now_ns, u64 behind) {
    if (!net::good_size(frame.size())) return Outcome::bad_size;
    const auto source = net::source_of(frame), destination = net::destination_of(frame);
    if (net::is_group(source)) return Outcome::spoofed;  // nobody is a group
    if (!learn(source, from, behind, now_ns)) return Outcome::spoofed;
    if (!net::is_group(destination)) {
        const auto station = stations_.find(destination);
        if (station != stations_.end() && now_ns - station->second.heard_ns < station_age_ns) {
            Port& to = *station->second.port;
            if (&to == &from || !may_pass(from, to)) return Outcome::nowhere;
            to.give(std::make_shared<Message>(frame), station->second.behind);
            return Outcome::forwarded;
        }
    }
    if (ports_.size() < 2) return Outcome::nowhere;
    const auto message = std::make_shared<Message>(frame);
    for (Port* port : ports_)
        if (port != &from && may_pass(from, *port)) port->give(message, 0);
    return Outcome::flooded;
}

void count(Metrics& metrics, Room::Outcome outcome) {
    switch (outcome) {
        case Room::Outcome::forwarded: metrics.forwarded++; break;
        case Room::Outcome::flooded: metrics.flooded++; break;
        case Room::Outcome::nowhere: break;
        case Room::Outcome::spoofed: metrics.drop(Dropped::spoofed); break;
        // Some cards do not pad: what is too short for an Ethernet head is dropped, and no more is made of it.
        case Room::Outcome::bad_size: metrics.drop(Dropped::bad_size); break;
    }
}

Room* Rooms::enter(const std::string& name, Port& port) {
    auto found = rooms_.find(name);
    if (found == rooms_.end()) {
        if (rooms_.size() >= most_rooms_) return nullptr;
        found = rooms_.emplace(name, std::make_unique<Room>(name, check_)).first;
        for (const auto& call : opened_) call(*found->second);
    }
    found->second->plug(port);
    return found->second.get();
}

void Rooms::leave(Room& room, Port& port) {
    room.unplug(port);
    if (room.clients() != 0) return;
    for (const auto& call : closing_) call(room);
    rooms_.erase(std::string(room.name()));
}

}  // namespace viv::netbridge
