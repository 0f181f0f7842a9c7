// Hostile clients of the relay: messages in pieces, rooms, WISP, frames on their way out, paths, tokens, rules.
// Promises: a room gives nothing back to who sent it; what waits is within its bounds and is accounted for to the byte;
// what the filter lets out is understood; nothing that is forged is a token.
#include <cstddef>
#include <map>

#include "engine/lang/check.h"
#include "netbridge/client.h"
#include "netbridge/outside_filter.h"
#include "netbridge/request.h"
#include "netbridge/token.h"

namespace {

using namespace viv;
using namespace viv::netbridge;

struct FuzzWire final : Wire {
    void want_write() override {}
    void end(Ended why) override { ended = why; }
    void hold(Hold) override {}
    std::optional<Ended> ended;
};

// Sockets that answer what they are told by the next byte of the input.
struct FuzzOpener final : wisp::StreamOpener {
    struct Socket final : wisp::StreamSocket {
        Socket(FuzzOpener& opener, wisp::StreamEvents& to) : owner(opener), events(to) {
            owner.open_sockets[this] = &events;
        }
        ~Socket() override { owner.open_sockets.erase(this); }
        void send(std::span<const u8>) override {}
        void set_reading(bool) override {}
        FuzzOpener& owner;
        wisp::StreamEvents& events;
    };
    std::unique_ptr<wisp::StreamSocket> open(const wisp::ConnectRequest& request, wisp::StreamEvents& events) override {
        CHECK(request.port != 0 && !request.hostname.empty() && request.hostname.size() <= wisp::longest_hostname);
        return std::make_unique<Socket>(*this, events);
    }
    std::map<Socket*, wisp::StreamEvents*> open_sockets;
};

struct Guest {
    Guest(const Relay& relay, const LimitSettings& limits, u64 now_ns)
        : usage(limits, now_ns), client(relay, usage, wire) {}
    FuzzWire wire;
    AddressTable::Usage usage;
    Client client;
    bool gone = false;
};

void texts(std::span<const u8> bytes) {
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (const auto request = parse_request(text)) CHECK(request->name.empty() || is_name(request->name));
    if (const auto network = Network::parse(text)) CHECK(network->contains(network->base));
    (void)DestinationRule::parse("--allow", text);
    Origins origins;
    if (!origins.add(text).ok()) CHECK(!origins.allow("https://example.org"));
    TokenKeys keys;
    CHECK(keys.add("fuzz", "0123456789abcdef0123456789abcdef").ok());
    CHECK(!keys.check(text, Scope::room, "lab", 0).ok());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, size_t size) {
    const std::span<const u8> bytes(data, size);
    texts(bytes);
    const DestinationRules rules;
    const OutsideFilter filter(rules, OutsideNetwork{});
    (void)filter.judge(bytes);
    (void)wisp::parse_packet(bytes);
    (void)wisp::parse_connect(bytes);

    LimitSettings limits;
    limits.queue_bytes = 256 << 10;
    limits.streams = 8;
    Metrics metrics;
    Budget budget;
    budget.most = 1 << 20;
    u64 now_ns = 0;
    const Relay relay{limits, metrics, budget, now_ns};
    Rooms rooms(SpoofCheck::on, 2);
    FuzzOpener opener;
    {
        Guest guests[4] = {{relay, limits, 0}, {relay, limits, 0}, {relay, limits, 0}, {relay, limits, 0}};
        guests[0].client.serve(RoomService::enter(guests[0].client, rooms, "a"));
        guests[1].client.serve(RoomService::enter(guests[1].client, rooms, "a"));
        guests[2].client.serve(std::make_unique<WispService>(guests[2].client, opener, wisp::Version::one));
        guests[3].client.serve(std::make_unique<WispService>(guests[3].client, opener, wisp::Version::two));
        // Each step: who and how, a length, the bytes.
        for (usize at = 0; at + 2 <= size;) {
            const u8 how = data[at];
            const usize length = std::min<usize>(data[at + 1] * ((how & 0x10) != 0 ? 300u : 1u), size - at - 2);
            const auto piece = bytes.subspan(at + 2, length);
            at += 2 + length;
            now_ns += usize{how} << 20;
            auto& guest = guests[how & 3];
            if ((how & 0x20) != 0 && !opener.open_sockets.empty()) {
                auto* events = opener.open_sockets.begin()->second;
                switch (length % 3) {
                    case 0: events->received(piece); break;
                    case 1: events->sent(length); break;
                    default: events->closed(wisp::CloseReason::network_error); break;
                }
            } else if (!guest.gone) {
                const bool had = guest.client.has_output();
                const auto ended =
                    guest.client.receive(piece, (how & 4) != 0 ? Client::Place::inside : Client::Place::last,
                                         (how & 8) != 0 ? Client::Form::text : Client::Form::binary);
                if ((how & 3) < 2) CHECK(guest.client.has_output() == had);
                guest.gone = ended.has_value();
                (void)guest.client.wait_ns();
            }
            if ((how & 0x40) != 0)
                while (guest.client.has_output()) (void)guest.client.next();
            CHECK(budget.used <= budget.most + 4 * (64u << 10) + wisp::Session::longest_payload);
        }
    }
    CHECK(opener.open_sockets.empty());
    CHECK(budget.used == 0);
    CHECK(rooms.size() == 0);
    return 0;
}
