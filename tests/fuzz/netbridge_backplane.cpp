// Hostile messages on the backplane, between clients of this relay that come, speak and go.
// Promises: what came from the backplane is not said again, at most one word answers it; what this relay says others
// can read; what is remembered of relays and stations is bounded, and goes with them.
#include <cstddef>

#include "engine/lang/check.h"
#include "netbridge/backplane.h"
#include "netbridge/client.h"

namespace {

using namespace viv;
using namespace viv::netbridge;

constexpr u64 self = 0x0102030405060708;

struct FuzzWire final : Wire {
    void want_write() override {}
    void end(Ended) override {}
    void hold(Hold) override {}
};

struct FuzzBus final : Bus {
    void subscribe(const std::string& subject) override { CHECK(subject.starts_with("netbridge.1.")); }
    void unsubscribe(const std::string&) override {}
    bool publish(const std::string&, SharedMessage message) override {
        const auto read = BackplaneMessage::parse(message->bytes());
        CHECK(read && read->from == self);
        CHECK(!receiving || read->kind == BackplaneMessage::Kind::alive);
        said++;
        return (said & 7) != 0;
    }
    u64 said = 0;
    bool receiving = false;
};

struct Guest {
    Guest(const Relay& relay, const LimitSettings& limits, Rooms& rooms, const char* room)
        : usage(limits, 0), client(relay, usage, wire) {
        client.serve(RoomService::enter(client, rooms, room));
    }
    FuzzWire wire;
    AddressTable::Usage usage;
    Client client;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, size_t size) {
    const std::span<const u8> bytes(data, size);
    LimitSettings limits;
    limits.queue_bytes = 256 << 10;
    Metrics metrics;
    Budget budget;
    u64 now_ns = 0;
    const Relay relay{limits, metrics, budget, now_ns};
    Rooms rooms(size % 2 == 0 ? SpoofCheck::on : SpoofCheck::off, 4);
    FuzzBus bus;
    Journal journal([](std::string_view) { return true; }, [&] { return now_ns; });
    Backplane backplane(self, rooms, bus, journal, metrics, now_ns);
    backplane.connected("fuzz");
    {
        std::unique_ptr<Guest> guests[2];
        const char* const names[2] = {"a", "b"};
        const std::string subjects[] = {subject_of_room("a", 0), subject_of_room("b", self),
                                        std::string(subject_of_relays)};
        // Each step: what, a length, the bytes.
        for (usize at = 0; at + 2 <= size;) {
            const u8 what = data[at];
            const usize length = std::min<usize>(data[at + 1] * ((what & 0x10) != 0 ? 300u : 1u), size - at - 2);
            const auto piece = bytes.subspan(at + 2, length);
            at += 2 + length;
            now_ns += (what & 0x20) != 0 ? 3'000'000'000 : 1000;
            auto& guest = guests[what & 1];
            const u64 said = bus.said;
            bus.receiving = (what >> 1 & 7) >= 5;
            switch (what >> 1 & 7) {
                case 0:
                    guest.reset();
                    guest = std::make_unique<Guest>(relay, limits, rooms, names[what & 1]);
                    break;
                case 1: guest.reset(); break;
                case 2:
                    if (guest) (void)guest->client.receive(piece, Client::Place::last, Client::Form::binary);
                    break;
                case 3: backplane.tick(); break;
                case 4:
                    if (length % 2 == 0)
                        backplane.lost("fuzz");
                    else
                        backplane.connected("fuzz");
                    break;
                case 5:
                    backplane.received({reinterpret_cast<const char*>(piece.data()), piece.size()}, piece);
                    CHECK(bus.said <= said + 1);
                    break;
                default:
                    backplane.received(subjects[length % 3], piece);
                    CHECK(bus.said <= said + 1);
                    break;
            }
            bus.receiving = false;
            CHECK(metrics.backplane_relays <= Backplane::most_relays);
            if ((what & 0x40) != 0)
                for (auto& each : guests)
                    while (each && each->client.has_output()) (void)each->client.next();
        }
    }
    CHECK(rooms.size() == 0);
    CHECK(budget.used == 0);
    backplane.bye();
    return 0;
}
