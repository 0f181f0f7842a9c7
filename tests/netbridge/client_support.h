// What a client needs in tests: a wire that remembers, and what all clients share.
#pragma once

#include <vector>

#include "netbridge/client.h"

namespace viv::netbridge::test {

struct RememberingWire final : Wire {
    void want_write() override { wanted++; }
    void end(Ended why) override { ended = why; }
    void hold(Hold hold) override { held = hold; }
    Hold held = Hold::off;
    u64 wanted = 0;
    std::optional<Ended> ended;
};

struct World {
    LimitSettings limits;
    Metrics metrics;
    Budget budget;
    u64 now_ns = 1'000'000'000;
    Relay relay{limits, metrics, budget, now_ns};
    Rooms rooms{SpoofCheck::off, 100};
};

struct TestClient {
    explicit TestClient(World& world) : usage(world.limits, world.now_ns), client(world.relay, usage, wire) {}
    TestClient(World& world, const std::string& room) : TestClient(world) {
        client.serve(RoomService::enter(client, world.rooms, room));
    }
    std::optional<Ended> say(std::span<const u8> bytes, Client::Place place = Client::Place::last,
                             Client::Form form = Client::Form::binary) {
        return client.receive(bytes, place, form);
    }
    std::vector<std::vector<u8>> taken() {
        std::vector<std::vector<u8>> all;
        while (client.has_output()) {
            const auto message = client.next();
            all.emplace_back(message->bytes().begin(), message->bytes().end());
        }
        return all;
    }
    RememberingWire wire;
    AddressTable::Usage usage;
    Client client;
};

}  // namespace viv::netbridge::test
