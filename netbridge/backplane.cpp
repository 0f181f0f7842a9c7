// What relays say to each other. See backplane.h.
#include "netbridge/backplane.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <vector>

#include "engine/lang/bytes.h"
#include "engine/net/net.h"

namespace viv::netbridge {

namespace {

constexpr std::string_view room_prefix = "netbridge.1.room.";
constexpr usize address_size = sizeof(net::MacAddress);

std::string text_of(u64 relay) { return fmt::format("{:016x}", relay); }

}  // namespace

std::optional<BackplaneMessage> BackplaneMessage::parse(std::span<const u8> bytes) {
    if (bytes.size() < head_size) return std::nullopt;
    BackplaneMessage message{static_cast<Kind>(bytes[0]), load_be<u64>(bytes.data() + 1), bytes.subspan(head_size)};
    if (message.from == 0) return std::nullopt;
    const usize size = message.body.size();
    bool good = false;
    switch (message.kind) {
        case Kind::frame: good = net::good_size(size); break;
        case Kind::left: good = size % address_size == 0 && size <= Room::most_stations_of_client * address_size; break;
        case Kind::alive:
        case Kind::bye: good = size == 0; break;
    }
    if (!good) return std::nullopt;
    return message;
}

SharedMessage BackplaneMessage::make(Kind kind, u64 from, std::span<const u8> body) {
    std::array<u8, head_size> head{static_cast<u8>(kind)};
    store_be<u64>(head.data() + 1, from);
    return std::make_shared<Message>(head, body);
}

std::string subject_of_room(std::string_view room, u64 relay) {
    if (relay == 0) return fmt::format("{}{}", room_prefix, room);
    return fmt::format("{}{}.{}", room_prefix, room, text_of(relay));
}

std::optional<std::string_view> room_of_subject(std::string_view subject) {
    if (!subject.starts_with(room_prefix)) return std::nullopt;
    subject.remove_prefix(room_prefix.size());
    return subject.substr(0, subject.find('.'));
}

// The other relays, as a room sees them.
class Backplane::Uplink final : public Port {
public:
    Uplink(Backplane& backplane, Room& in)
        : Port(PortKind::backplane), room(in), to_all(subject_of_room(in.name(), 0)), backplane_(backplane) {}

    void give(const SharedMessage& frame, u64 behind) override {
        if (behind == 0) return backplane_.say(to_all, BackplaneMessage::Kind::frame, frame->bytes());
        backplane_.say(subject_of_room(room.name(), behind), BackplaneMessage::Kind::frame, frame->bytes());
    }
    void left(std::span<const net::MacAddress> addresses) override {
        std::vector<u8> body;
        for (const auto& address : addresses) body.insert(body.end(), address.begin(), address.end());
        // A client may have taken over more stations of others than it may begin with.
        const std::span<const u8> all(body);
        constexpr usize most = Room::most_stations_of_client * address_size;
        for (usize at = 0; at < all.size(); at += most)
            backplane_.say(to_all, BackplaneMessage::Kind::left, all.subspan(at, std::min(most, all.size() - at)));
    }

    void receive(std::string_view subject, const BackplaneMessage& message) {
        if (message.kind == BackplaneMessage::Kind::bye) return forget(message.from);
        if (others_.insert(message.from).second)
            backplane_.journal_.client("room_shared", {{"room", room.name()}, {"relay", text_of(message.from)}});
        // An answer goes to one relay, and is never answered.
        if (message.kind == BackplaneMessage::Kind::alive && subject == to_all)
            return backplane_.say(subject_of_room(room.name(), message.from), BackplaneMessage::Kind::alive);
        if (message.kind == BackplaneMessage::Kind::alive) return;
        if (message.kind == BackplaneMessage::Kind::frame)
            return count(backplane_.metrics_, room.forward(*this, message.body, backplane_.now_ns_, message.from));
        std::vector<net::MacAddress> addresses(message.body.size() / address_size);
        for (usize i = 0; i < addresses.size(); i++)
            std::copy_n(message.body.begin() + static_cast<std::ptrdiff_t>(i * address_size), address_size,
                        addresses[i].begin());
        room.forget(*this, message.from, addresses);
    }

    void forget(u64 relay) {
        others_.erase(relay);
        room.forget(*this, relay);
    }

    Room& room;
    const std::string to_all;

private:
    Backplane& backplane_;
    std::set<u64> others_;  // relays that have been heard in this room
};

Backplane::Backplane(u64 self, Rooms& rooms, Bus& bus, Journal& journal, Metrics& metrics, const u64& now_ns)
    : self_(self), bus_(bus), journal_(journal), metrics_(metrics), now_ns_(now_ns) {
    rooms.on_opened([this](Room& room) { opened(room); });
    rooms.on_closing([this](Room& room) { closing(room); });
    bus_.subscribe(std::string(subject_of_relays));
}

Backplane::~Backplane() = default;

void Backplane::opened(Room& room) {
    // Two relays with the same LAN would be a loop, or everything twice.
    if (room.has_lan()) return;
    auto uplink = std::make_unique<Uplink>(*this, room);
    room.plug(*uplink);
    bus_.subscribe(uplink->to_all);
    bus_.subscribe(subject_of_room(room.name(), self_));
    say(uplink->to_all, BackplaneMessage::Kind::alive);
    uplinks_.emplace(room.name(), std::move(uplink));
}

void Backplane::closing(Room& room) {
    const auto found = uplinks_.find(room.name());
    if (found == uplinks_.end()) return;
    say(found->second->to_all, BackplaneMessage::Kind::bye);
    bus_.unsubscribe(found->second->to_all);
    bus_.unsubscribe(subject_of_room(room.name(), self_));
    room.unplug(*found->second);
    uplinks_.erase(found);
}

void Backplane::say(const std::string& subject, BackplaneMessage::Kind kind, std::span<const u8> body) {
    // While there is nobody to say it to, that is no loss.
    if (metrics_.backplane_connected == 0) return;
    if (bus_.publish(subject, BackplaneMessage::make(kind, self_, body)))
        metrics_.backplane_sent++;
    else
        metrics_.drop(Dropped::backplane_full);
}

void Backplane::connected(std::string_view server) {
    metrics_.backplane_connected = 1;
    journal_.client("backplane_connected", {{"server", server}, {"relay", text_of(self_)}});
    tick();
    for (const auto& [name, uplink] : uplinks_) say(uplink->to_all, BackplaneMessage::Kind::alive);
}

void Backplane::lost(std::string_view why) {
    metrics_.backplane_connected = 0;
    journal_.client("backplane_lost", {{"reason", why}});
    while (!relays_.empty()) forget(relays_.begin()->first, "backplane_lost");
}

void Backplane::trouble(std::string_view what) { journal_.client("backplane_trouble", {{"reason", what}}); }

void Backplane::overrun(u64 messages) { metrics_.dropped[static_cast<usize>(Dropped::backplane_full)] += messages; }

void Backplane::forget(u64 relay, std::string_view why) {
    relays_.erase(relay);
    metrics_.backplane_relays = relays_.size();
    for (const auto& [name, uplink] : uplinks_) uplink->forget(relay);
    journal_.client("relay_gone", {{"relay", text_of(relay)}, {"reason", why}});
}

void Backplane::received(std::string_view subject, std::span<const u8> bytes) {
    const auto message = BackplaneMessage::parse(bytes);
    if (!message) return metrics_.drop(Dropped::backplane_malformed);
    if (message->from == self_) return;
    metrics_.backplane_received++;
    const auto room = room_of_subject(subject);
    if (message->kind == BackplaneMessage::Kind::bye && !room) {
        if (relays_.contains(message->from)) forget(message->from, "bye");
        return;
    }
    const auto known = relays_.find(message->from);
    if (known != relays_.end()) {
        known->second = now_ns_;
    } else {
        if (relays_.size() >= most_relays) return metrics_.drop(Dropped::backplane_full);
        relays_.emplace(message->from, now_ns_);
        metrics_.backplane_relays = relays_.size();
        journal_.client("relay_heard", {{"relay", text_of(message->from)}});
    }
    if (!room) return;
    const auto uplink = uplinks_.find(*room);
    if (uplink == uplinks_.end()) return;  // it has been left meanwhile
    uplink->second->receive(subject, *message);
}

void Backplane::tick() {
    say(std::string(subject_of_relays), BackplaneMessage::Kind::alive);
    for (auto each = relays_.begin(); each != relays_.end();) {
        const auto [relay, heard_ns] = *each++;
        if (now_ns_ - heard_ns > silence_ns) forget(relay, "silent");
    }
}

void Backplane::bye() { say(std::string(subject_of_relays), BackplaneMessage::Kind::bye); }

}  // namespace viv::netbridge
