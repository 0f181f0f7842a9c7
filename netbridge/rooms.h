// Rooms: switches with a name, between clients and whatever else is plugged in (a way out, other relays).
// Promises: a frame for a station that has been heard goes to its port alone, any other to all but the one it came
// from; what is remembered of stations is bounded for a room and for each port; with the check on, a port cannot take
// another port's address while that one is in use; a port that is given a frame never delays another; what came from
// other relays never goes back to them, nor to the way out, which is for this relay's own clients; the stations of a
// LAN leave room for those of clients. A room lives as long as a client is in it. Times are nanoseconds of any
// monotonic clock.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/net/inspect.h"
#include "netbridge/metrics.h"
#include "netbridge/outbox.h"

namespace viv::netbridge {

enum class SpoofCheck : u8 { off, on };
// What plugs into a room: it is there for its clients.
// A LAN's stations are as many as it has.
enum class PortKind : u8 { client, outside, lan, backplane };

class Port {
public:
    explicit Port(PortKind kind) : kind_(kind) {}
    virtual ~Port() = default;
    // `behind` says for whom of those behind the port, as forward() has been told; 0: for all of them. Never calls back
    // into the room.
    virtual void give(const SharedMessage& frame, u64 behind) = 0;
    // Stations of a client that has left. Never calls back into the room.
    virtual void left(std::span<const net::MacAddress>) {}
    PortKind kind() const { return kind_; }

private:
    friend class Room;
    PortKind kind_;
    usize stations_ = 0;
};

class Room {
public:
    static constexpr usize most_stations = 1024, most_stations_of_client = 64, most_stations_of_lan = 512;
    static constexpr u64 station_age_ns = 300'000'000'000;

    enum class Outcome : u8 { forwarded, flooded, nowhere, bad_size, spoofed };

    Room(std::string name, SpoofCheck check) : name_(std::move(name)), check_(check) {}
    Room(const Room&) = delete;
    Room& operator=(const Room&) = delete;

    void plug(Port& port) { ports_.push_back(&port); }
    void unplug(Port& port);
    // `behind` names one of several whose frames come by the same port; 0: there is one alone.
    Outcome forward(Port& from, std::span<const u8> frame, u64 now_ns, u64 behind = 0);
    // All stations of one behind a port, or those of them that are named.
    void forget(Port& port, u64 behind);
    void forget(Port& port, u64 behind, std::span<const net::MacAddress> addresses);

    const std::string& name() const { return name_; }
    usize clients() const { return count(PortKind::client); }
    bool has_lan() const { return count(PortKind::lan) != 0; }
    usize stations() const { return stations_.size(); }

private:
    struct Station {
        Port* port;
        u64 behind;
        u64 heard_ns;
    };
    usize count(PortKind kind) const;
    bool learn(const net::MacAddress& address, Port& port, u64 behind, u64 now_ns);
    void forget_old(u64 now_ns);

    std::string name_;
    SpoofCheck check_;
    std::vector<Port*> ports_;
    std::map<net::MacAddress, Station> stations_;
};

void count(Metrics& metrics, Room::Outcome outcome);

// All rooms of this relay. Whoever opens and closes them is told, to plug in what a room has besides its clients.
class Rooms {
public:
    using Changed = std::function<void(Room&)>;

    Rooms(SpoofCheck check, usize most_rooms) : check_(check), most_rooms_(most_rooms) {}
    void on_opened(Changed call) { opened_.push_back(std::move(call)); }
    void on_closing(Changed call) { closing_.push_back(std::move(call)); }

    // Null if there are too many rooms.
    Room* enter(const std::string& name, Port& port);
    void leave(Room& room, Port& port);
    usize size() const { return rooms_.size(); }

private:
    SpoofCheck check_;
    usize most_rooms_;
    std::map<std::string, std::unique_ptr<Room>> rooms_;
    std::vector<Changed> opened_, closing_;
};

}  // namespace viv::netbridge
