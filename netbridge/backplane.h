// Rooms of several relays joined into one: what relays say to each other, over any bus that carries messages by
// subject. Promises: a relay's own message, or one that it has had from another relay, is never said again; a frame for
// a station behind one relay is said to that relay alone; stations of a relay that leaves, falls silent or cannot be
// heard any more are forgotten, so that they may come back elsewhere; any bytes are a legal message, and what is
// remembered of other relays is bounded; a room with a LAN is not shared. Nothing here knows of sockets or clocks.
// Whoever may write to the bus is trusted as a relay is: tokens, rates and rules were the business of the relay that a
// client came to.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "netbridge/journal.h"
#include "netbridge/metrics.h"
#include "netbridge/rooms.h"

namespace viv::netbridge {

// Kind (1 byte), the relay that says it (8 bytes, big-endian), the body.
struct BackplaneMessage {
    enum class Kind : u8 {
        frame = 1,  // an Ethernet frame
        left,       // addresses of stations, 6 bytes each
        alive,      // nothing: to all relays every second; to a room by who comes in, and as the answer to that
        bye,        // nothing: to a room by who leaves it, to all relays by who ends
    };
    static constexpr usize head_size = 9;

    Kind kind = Kind::alive;
    u64 from = 0;
    std::span<const u8> body;

    static std::optional<BackplaneMessage> parse(std::span<const u8> bytes);
    static SharedMessage make(Kind kind, u64 from, std::span<const u8> body = {});
};

// Subjects are `netbridge.1.relays` for all relays, `netbridge.1.room.NAME` for those with a client in the room, and
// `netbridge.1.room.NAME.RELAY` for one of them.
std::string subject_of_room(std::string_view room, u64 relay);  // relay 0: all
// None if it is no room's subject.
std::optional<std::string_view> room_of_subject(std::string_view subject);
inline constexpr std::string_view subject_of_relays = "netbridge.1.relays";

// What carries messages, to all others that have subscribed to their subject. Those that it cannot carry now are lost.
class Bus {
public:
    virtual ~Bus() = default;
    virtual void subscribe(const std::string& subject) = 0;
    virtual void unsubscribe(const std::string& subject) = 0;
    // False if it is lost.
    virtual bool publish(const std::string& subject, SharedMessage message) = 0;
};

// What a bus has to say, from the loop.
class BusEvents {
public:
    virtual ~BusEvents() = default;
    virtual void connected(std::string_view server) = 0;
    virtual void lost(std::string_view why) = 0;
    virtual void trouble(std::string_view what) = 0;
    virtual void overrun(u64 messages) = 0;
    virtual void received(std::string_view subject, std::span<const u8> bytes) = 0;
};

class Backplane final : public BusEvents {
public:
    static constexpr u64 silence_ns = 5'000'000'000;
    static constexpr usize most_relays = 1024;

    // `self` is not 0 and no other relay's: random. All others outlive it, and it outlives the rooms' clients.
    Backplane(u64 self, Rooms& rooms, Bus& bus, Journal& journal, Metrics& metrics, const u64& now_ns);
    ~Backplane() override;
    Backplane(const Backplane&) = delete;
    Backplane& operator=(const Backplane&) = delete;

    void connected(std::string_view server) override;
    void lost(std::string_view why) override;
    void trouble(std::string_view what) override;
    void overrun(u64 messages) override;
    void received(std::string_view subject, std::span<const u8> bytes) override;
    // Once a second.
    void tick();
    // The last word.
    void bye();

private:
    class Uplink;
    void say(const std::string& subject, BackplaneMessage::Kind kind, std::span<const u8> body = {});
    void forget(u64 relay, std::string_view why);
    void opened(Room& room);
    void closing(Room& room);

    u64 self_;
    Bus& bus_;
    Journal& journal_;
    Metrics& metrics_;
    const u64& now_ns_;
    std::map<std::string, std::unique_ptr<Uplink>, std::less<>> uplinks_;
    std::map<u64, u64> relays_;  // when each was heard last
};

}  // namespace viv::netbridge
