// Clients that offer tunnels and attach to them, say messages of any size, take some and go, in any order.
// Promises: each gets what the other of its stream has said and nobody else, in order and nothing missing; who offers
// is told once, first, that somebody has come; what waits is bounded as long as nobody is read who is held back;
// nothing is left of who has gone.
#include <array>
#include <cstddef>
#include <optional>
#include <utility>

#include "engine/lang/bytes.h"
#include "engine/lang/check.h"
#include "netbridge/tunnel.h"

namespace {

using namespace viv;
using namespace viv::netbridge;
using Side = TunnelService::Side;

struct FuzzWire final : Wire {
    void want_write() override {}
    void end(Ended why) override { ended = why; }
    void hold(Hold hold) override { held = hold; }
    std::optional<Ended> ended;
    Hold held = Hold::off;
};

// A message says who says it and which of his it is.
constexpr usize mark_size = 8;

struct End {
    End(const Relay& relay, const LimitSettings& limits, u32 number, Side on, bool second)
        : usage(limits, 0), client(relay, usage, wire), id(number), side(on), name(second ? "b" : "a") {}

    bool enter(Tunnels& tunnels) {
        auto service = TunnelService::enter(client, tunnels, name, side);
        if (!service) return false;
        client.serve(std::move(service));
        return true;
    }
    // While it is held back, what had been read before comes: one message.
    bool may_speak() {
        if (wire.held == Hold::off)
            spare = true;
        else if (!std::exchange(spare, false))
            return false;
        return true;
    }
    void speak(std::span<const u8> tail, usize fill) {
        std::vector<u8> bytes(mark_size);
        store_le<u32>(bytes.data(), id);
        store_le<u32>(bytes.data() + 4, said);
        bytes.insert(bytes.end(), tail.begin(), tail.end());
        bytes.resize(bytes.size() + fill);
        said++;
        const auto ended = client.receive(bytes, Client::Place::last, Client::Form::binary);
        if (!ended) return;
        CHECK(*ended == (bytes.size() > TunnelService::longest_message ? Ended::oversize : Ended::malformed));
        // Nobody who is in a stream breaks the protocol by what he says.
        CHECK(*ended == Ended::oversize || far == 0);
        wire.ended = ended;
    }
    void take(Tunnels& tunnels) {
        const auto message = client.next();
        const auto bytes = message->bytes();
        if (bytes.empty()) {
            CHECK(side == Side::offer && !told && heard == 0);
            told = true;
            return;
        }
        CHECK(bytes.size() >= mark_size && (side == Side::attach || told));
        const u32 from = load_le<u32>(bytes.data());
        CHECK(from != id && (far == 0 || far == from));
        far = from;
        CHECK(load_le<u32>(bytes.data() + 4) == heard);
        heard++;
        CHECK(tunnels.streams() <= tunnels.size() * Tunnels::most_offers);
    }

    FuzzWire wire;
    AddressTable::Usage usage;
    Client client;
    u32 id, said = 0, heard = 0, far = 0;  // 0: nothing of him yet
    Side side;
    std::string name;
    bool spare = true, told = false;
};

using Ends = std::array<std::unique_ptr<End>, 8>;

// Whoever has been ended goes, which may end another.
void bury(Ends& ends) {
    for (bool again = true; std::exchange(again, false);)
        for (auto& each : ends) {
            if (!each || !each->wire.ended) continue;
            CHECK(*each->wire.ended != Ended::stalled);
            CHECK(*each->wire.ended != Ended::far_end || !each->client.has_output());
            each.reset();
            again = true;
        }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, size_t size) {
    const std::span<const u8> bytes(data, size);
    LimitSettings limits;
    limits.queue_bytes = 128 << 10;  // the least that --queue takes
    Metrics metrics;
    Budget budget;
    u64 now_ns = 0;
    const Relay relay{limits, metrics, budget, now_ns};
    Tunnels tunnels;
    Ends ends;
    u32 last = 0;
    // Each step: what with whom, a length, the bytes.
    for (usize at = 0; at + 2 <= size;) {
        const u8 what = data[at];
        const u8 count = data[at + 1];
        at += 2;
        auto& end = ends[what & 7];
        switch (what >> 3 & 7) {
            case 0:
            case 1:
                end.reset();
                bury(ends);
                end = std::make_unique<End>(relay, limits, ++last, (what & 8) != 0 ? Side::attach : Side::offer,
                                            (what & 0x40) != 0);
                if (!end->enter(tunnels)) end.reset();
                break;
            case 2: end.reset(); break;
            case 3:
                for (u8 i = 0; end && i < count && end->client.has_output() && !end->wire.ended; i++)
                    end->take(tunnels);
                break;
            default: {
                const auto piece = bytes.subspan(at, std::min<usize>(count, size - at));
                at += piece.size();
                // Some of them long, some too long.
                const usize fill = (what & 0x40) != 0 ? usize{count} * 129 : 0;
                if (end && end->may_speak()) end->speak(piece, fill);
                break;
            }
        }
        bury(ends);
        for (const auto& each : ends)
            if (each)
                CHECK(each->client.waiting_bytes() < TunnelService::enough_bytes + 3 * TunnelService::longest_message);
    }
    for (auto& each : ends) {
        each.reset();
        bury(ends);
    }
    CHECK(tunnels.size() == 0);
    CHECK(tunnels.streams() == 0);
    CHECK(budget.used == 0);
    return 0;
}
