// Switching. See rooms.h.
#include "netbridge/rooms.h"

#include <algorithm>

#include "engine/net/net.h"

namespace viv::netbridge {

void Room::unplug(Port& port) {
    std::erase(ports_, &port);
    std::erase_if(stations_, [&port](const auto& station) { return station.second.port == &port; });
    port.stations_ = 0;
}

usize Room::clients() const {
    return static_cast<usize>(
        std::count_if(ports_.begin(), ports_.end(), [](const Port* port) { return port->kind() == PortKind::client; }));
}

void Room::forget_old(u64 now_ns) {
    std::erase_if(stations_, [now_ns](const auto& entry) {
        if (now_ns - entry.second.heard_ns < station_age_ns) return false;
        entry.second.port->stations_--;
        return true;
    });
}

// False if the address may not be this port's.
bool Room::learn(const net::MacAddress& address, Port& port, u64 now_ns) {
    const auto known = stations_.find(address);
    if (known != stations_.end()) {
        auto& station = known->second;
        if (station.port != &port) {
            const bool held = now_ns - station.heard_ns < station_age_ns;
            if (check_ == SpoofCheck::on && held && port.kind() == PortKind::client) return false;
            station.port->stations_--;
            port.stations_++;
            station.port = &port;
        }
        station.heard_ns = now_ns;
        return true;
    }
    if (port.kind() == PortKind::client && port.stations_ >= most_stations_of_client) return check_ == SpoofCheck::off;
    if (stations_.size() >= most_stations) forget_old(now_ns);
    if (stations_.size() >= most_stations) return check_ == SpoofCheck::off;
    stations_.emplace(address, Station{&port, now_ns});
    port.stations_++;
    return true;
}

Room::Outcome Room::forward(Port& from, std::span<const u8> frame, u64 now_ns) {
    if (!net::good_size(frame.size())) return Outcome::bad_size;
    const auto source = net::source_of(frame), destination = net::destination_of(frame);
    if (net::is_group(source)) return Outcome::spoofed;  // nobody is a group
    if (!learn(source, from, now_ns)) return Outcome::spoofed;
    if (!net::is_group(destination)) {
        const auto station = stations_.find(destination);
        if (station != stations_.end() && now_ns - station->second.heard_ns < station_age_ns) {
            if (station->second.port == &from) return Outcome::nowhere;
            station->second.port->give(std::make_shared<Message>(frame));
            return Outcome::forwarded;
        }
    }
    if (ports_.size() < 2) return Outcome::nowhere;
    const auto message = std::make_shared<Message>(frame);
    for (Port* port : ports_)
        if (port != &from) port->give(message);
    return Outcome::flooded;
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
