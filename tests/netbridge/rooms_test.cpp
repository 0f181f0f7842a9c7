// Rooms as switches: who gets which frame, what is remembered, and who may say who it is.
#include "netbridge/rooms.h"

#include <gtest/gtest.h>

#include "engine/net/net.h"

namespace viv::netbridge {
namespace {

struct Plug final : Port {
    explicit Plug(PortKind kind = PortKind::client) : Port(kind) {}
    void give(const SharedMessage& frame, u64) override {
        got.emplace_back(frame->bytes().begin(), frame->bytes().end());
    }
    std::vector<std::vector<u8>> got;
};

using Mac = net::MacAddress;
constexpr Mac mac(u8 last) { return {0x52, 0x54, 0, 0, 0, last}; }
constexpr Mac everybody = {255, 255, 255, 255, 255, 255};

std::vector<u8> frame(const Mac& to, const Mac& from, usize size = 60) {
    std::vector<u8> bytes(size, 0xaa);
    std::copy(to.begin(), to.end(), bytes.begin());
    std::copy(from.begin(), from.end(), bytes.begin() + 6);
    return bytes;
}
using Outcome = Room::Outcome;

TEST(Room, LearnsWhoIsWhere) {
    Room room("r", SpoofCheck::off);
    Plug a, b, c;
    for (auto* plug : {&a, &b, &c}) room.plug(*plug);
    EXPECT_EQ(room.forward(a, frame(mac(2), mac(1)), 0), Outcome::flooded);
    EXPECT_EQ(b.got.size(), 1u);
    EXPECT_EQ(c.got.size(), 1u);
    EXPECT_EQ(a.got.size(), 0u);
    EXPECT_EQ(room.forward(b, frame(mac(1), mac(2)), 0), Outcome::forwarded);
    EXPECT_EQ(a.got.back(), frame(mac(1), mac(2)));
    EXPECT_EQ(c.got.size(), 1u);
    EXPECT_EQ(room.forward(a, frame(everybody, mac(1)), 0), Outcome::flooded);
    EXPECT_EQ(c.got.size(), 2u);
    // To itself: nowhere.
    EXPECT_EQ(room.forward(a, frame(mac(1), mac(1)), 0), Outcome::nowhere);
    EXPECT_EQ(room.stations(), 2u);
}

TEST(Room, SeveralBehindOnePort) {
    struct Far final : Port {
        Far() : Port(PortKind::backplane) {}
        void give(const SharedMessage&, u64 behind) override { given.push_back(behind); }
        void left(std::span<const Mac> addresses) override { gone.assign(addresses.begin(), addresses.end()); }
        std::vector<u64> given;
        std::vector<Mac> gone;
    };
    Room room("r", SpoofCheck::off);
    Far far;
    {
        Plug a;
        room.plug(a), room.plug(far);
        EXPECT_EQ(room.forward(far, frame(everybody, mac(2)), 0, 7), Outcome::flooded);
        EXPECT_EQ(room.forward(far, frame(everybody, mac(3)), 0, 8), Outcome::flooded);
        EXPECT_TRUE(far.given.empty());
        room.forward(a, frame(everybody, mac(1)), 0);
        room.forward(a, frame(mac(2), mac(1)), 0);
        room.forward(a, frame(mac(3), mac(1)), 0);
        EXPECT_EQ(far.given, (std::vector<u64>{0, 7, 8}));
        // From one behind the port to another one: never back.
        EXPECT_EQ(room.forward(far, frame(mac(3), mac(2)), 0, 7), Outcome::nowhere);
        room.forget(far, 7);
        const Mac others[] = {mac(1), mac(2), mac(3)};
        room.forget(far, 7, others);
        EXPECT_EQ(room.stations(), 2u);
        room.forget(far, 8, others);
        EXPECT_EQ(room.stations(), 1u);
        room.unplug(a);
        EXPECT_EQ(far.gone, std::vector<Mac>{mac(1)});
    }
    room.unplug(far);
    EXPECT_EQ(room.stations(), 0u);
}

TEST(Room, FollowsAStationThatMoves) {
    Room room("r", SpoofCheck::off);
    Plug a, b, c;
    for (auto* plug : {&a, &b, &c}) room.plug(*plug);
    room.forward(a, frame(everybody, mac(1)), 0);
    room.forward(b, frame(everybody, mac(1)), 1);
    a.got.clear(), b.got.clear();
    EXPECT_EQ(room.forward(c, frame(mac(1), mac(3)), 2), Outcome::forwarded);
    EXPECT_EQ(a.got.size(), 0u);
    EXPECT_EQ(b.got.size(), 1u);
    room.unplug(b);
    EXPECT_EQ(room.forward(c, frame(mac(1), mac(3)), 2), Outcome::flooded);
}

TEST(Room, AStationIsForgottenInTime) {
    Room room("r", SpoofCheck::off);
    Plug a, b;
    room.plug(a), room.plug(b);
    room.forward(a, frame(everybody, mac(1)), 0);
    EXPECT_EQ(room.forward(b, frame(mac(1), mac(2)), Room::station_age_ns - 1), Outcome::forwarded);
    EXPECT_EQ(room.forward(b, frame(mac(1), mac(2)), Room::station_age_ns), Outcome::flooded);
}

TEST(Room, SizesAndGroupsAreChecked) {
    Room room("r", SpoofCheck::off);
    Plug a, b;
    room.plug(a), room.plug(b);
    EXPECT_EQ(room.forward(a, std::vector<u8>(13), 0), Outcome::bad_size);
    EXPECT_EQ(room.forward(a, {}, 0), Outcome::bad_size);
    EXPECT_EQ(room.forward(a, std::vector<u8>(net::largest_frame + 1), 0), Outcome::bad_size);
    EXPECT_EQ(room.forward(a, frame(mac(2), everybody), 0), Outcome::spoofed);
    EXPECT_TRUE(b.got.empty());
    EXPECT_EQ(room.forward(a, frame(mac(2), mac(1), 14), 0), Outcome::flooded);
    EXPECT_EQ(room.forward(a, frame(mac(2), mac(1), net::largest_frame), 0), Outcome::flooded);
}

TEST(Room, CheckKeepsAnAddressWithItsClient) {
    Room room("r", SpoofCheck::on);
    Plug a, b, outside(PortKind::outside);
    for (auto* plug : {&a, &b, &outside}) room.plug(*plug);
    EXPECT_EQ(room.forward(a, frame(everybody, mac(1)), 0), Outcome::flooded);
    EXPECT_EQ(room.forward(b, frame(everybody, mac(1)), 1), Outcome::spoofed);
    EXPECT_EQ(room.forward(outside, frame(everybody, mac(9)), 1), Outcome::flooded);
    EXPECT_EQ(room.forward(b, frame(everybody, mac(9)), 2), Outcome::spoofed);  // nor may it play the way out
    a.got.clear(), b.got.clear();
    room.forward(outside, frame(mac(1), mac(9)), 3);
    EXPECT_EQ(a.got.size(), 1u);
    EXPECT_EQ(b.got.size(), 0u);
    room.unplug(a);
    EXPECT_EQ(room.forward(b, frame(everybody, mac(1)), 4), Outcome::flooded);
}

TEST(Room, WhatIsRememberedIsBounded) {
    Room room("r", SpoofCheck::off);
    Plug a, b;
    room.plug(a), room.plug(b);
    for (u32 i = 0; i < 5000; i++) {
        Mac source = {2, 0, 0, 0, static_cast<u8>(i >> 8), static_cast<u8>(i)};
        EXPECT_EQ(room.forward(a, frame(everybody, source), i), Outcome::flooded);
    }
    EXPECT_EQ(room.stations(), Room::most_stations_of_client);
    // The other still finds a place.
    room.forward(b, frame(everybody, mac(2)), 5000);
    EXPECT_EQ(room.forward(a, frame(mac(2), mac(1)), 5000), Outcome::forwarded);
    Room strict("s", SpoofCheck::on);
    Plug c, d;
    strict.plug(c), strict.plug(d);
    u32 passed = 0;
    for (u32 i = 0; i < 5000; i++) {
        Mac source = {2, 0, 0, 0, static_cast<u8>(i >> 8), static_cast<u8>(i)};
        passed += strict.forward(c, frame(everybody, source), i) == Outcome::flooded;
    }
    EXPECT_EQ(passed, Room::most_stations_of_client);
    strict.unplug(c), strict.unplug(d);
    EXPECT_EQ(strict.stations(), 0u);
}

TEST(Room, ALansStationsLeaveRoomForClients) {
    Room room("r", SpoofCheck::on);
    Plug a, lan(PortKind::lan);
    room.plug(a), room.plug(lan);
    for (u32 i = 0; i < 5000; i++) {
        Mac source = {2, 0, 0, 0, static_cast<u8>(i >> 8), static_cast<u8>(i)};
        EXPECT_EQ(room.forward(lan, frame(everybody, source), i), Outcome::flooded);
    }
    EXPECT_EQ(room.stations(), Room::most_stations_of_lan);
    EXPECT_EQ(room.forward(a, frame(everybody, mac(1)), 5000), Outcome::flooded);
    EXPECT_EQ(room.forward(lan, frame(mac(1), mac(9)), 5000), Outcome::forwarded);
    // Those of long ago make place for others.
    const u64 later = Room::station_age_ns + 10'000;
    EXPECT_EQ(room.forward(lan, frame(everybody, mac(8)), later), Outcome::flooded);
    lan.got.clear();
    EXPECT_EQ(room.forward(a, frame(mac(8), mac(1)), later), Outcome::forwarded);
    EXPECT_EQ(lan.got.size(), 1u);
    // A client cannot play one of them, one of them may be where a client was.
    EXPECT_EQ(room.forward(a, frame(everybody, mac(8)), later), Outcome::spoofed);
    EXPECT_EQ(room.forward(lan, frame(everybody, mac(1)), later), Outcome::flooded);
}

TEST(Rooms, OpenWithTheFirstAndCloseWithTheLast) {
    Rooms rooms(SpoofCheck::off, 2);
    std::vector<std::string> told;
    Plug outside(PortKind::outside);
    rooms.on_opened([&](Room& room) {
        told.push_back("+" + room.name());
        room.plug(outside);
    });
    rooms.on_closing([&](Room& room) {
        told.push_back("-" + room.name());
        room.unplug(outside);
    });
    Plug a, b, c, d;
    Room* one = rooms.enter("one", a);
    ASSERT_NE(one, nullptr);
    EXPECT_EQ(rooms.enter("one", b), one);
    Room* two = rooms.enter("two", c);
    ASSERT_NE(two, nullptr);
    EXPECT_EQ(rooms.enter("three", d), nullptr);
    EXPECT_EQ(one->clients(), 2u);
    // Rooms do not hear one another.
    one->forward(a, frame(everybody, mac(1)), 0);
    EXPECT_EQ(b.got.size(), 1u);
    EXPECT_EQ(c.got.size(), 0u);
    rooms.leave(*one, a);
    rooms.leave(*one, b);
    EXPECT_EQ(rooms.size(), 1u);
    EXPECT_NE(rooms.enter("three", d), nullptr);
    EXPECT_EQ(told, (std::vector<std::string>{"+one", "+two", "-one", "+three"}));
}

}  // namespace
}  // namespace viv::netbridge
