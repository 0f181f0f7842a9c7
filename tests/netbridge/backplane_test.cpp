// Relays that share rooms over a bus in memory: who gets which frame, what is remembered of whom, what ends it.
#include "netbridge/backplane.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "client_support.h"
#include "engine/lang/bytes.h"

namespace viv::netbridge {
namespace {

using Kind = BackplaneMessage::Kind;
using Mac = net::MacAddress;
constexpr Mac mac(u8 last) { return {0x52, 0x54, 0, 0, 0, last}; }
constexpr Mac everybody = {255, 255, 255, 255, 255, 255};

std::vector<u8> frame(const Mac& to, const Mac& from) {
    std::vector<u8> bytes(60, 0xaa);
    std::copy(to.begin(), to.end(), bytes.begin());
    std::copy(from.begin(), from.end(), bytes.begin() + 6);
    return bytes;
}

std::vector<std::vector<u8>> only(std::vector<u8> bytes) { return {std::move(bytes)}; }

// Subjects and who hears them; a message arrives when it is said. Nobody hears what he says.
struct Switchboard {
    struct Line final : Bus {
        void subscribe(const std::string& subject) override { subjects.insert(subject); }
        void unsubscribe(const std::string& subject) override { subjects.erase(subject); }
        bool publish(const std::string& subject, SharedMessage message) override {
            if (full) return false;
            said.push_back(subject);
            for (Line* other : board->lines)
                if (other != this && other->up && up && other->subjects.contains(subject))
                    other->events->received(subject, message->bytes());
            return true;
        }
        Switchboard* board = nullptr;
        BusEvents* events = nullptr;
        bool up = true, full = false;
        std::set<std::string> subjects;
        std::vector<std::string> said;
    };
    std::vector<Line*> lines;
};

struct TestRelay {
    // `lan` is in its rooms before the backplane hears of them, as in the relay.
    TestRelay(Switchboard& board, u64 self, SpoofCheck check = SpoofCheck::off, Port* lan = nullptr)
        : rooms(rooms_with(check, lan)),
          journal([](std::string_view) { return true; }, [] { return u64{1}; }),
          backplane(self, rooms, line, journal, world.metrics, world.now_ns) {
        line.board = &board;
        line.events = &backplane;
        board.lines.push_back(&line);
        backplane.connected("test");
    }
    static Rooms rooms_with(SpoofCheck check, Port* lan) {
        Rooms rooms(check, 100);
        if (lan == nullptr) return rooms;
        rooms.on_opened([lan](Room& room) { room.plug(*lan); });
        rooms.on_closing([lan](Room& room) { room.unplug(*lan); });
        return rooms;
    }
    std::unique_ptr<test::TestClient> enter(const std::string& room) {
        auto client = std::make_unique<test::TestClient>(world);
        client->client.serve(RoomService::enter(client->client, rooms, room));
        return client;
    }
    u64 dropped(Dropped why) const { return world.metrics.dropped[static_cast<usize>(why)]; }

    test::World world;
    Rooms rooms;
    Journal journal;
    Switchboard::Line line;
    Backplane backplane;
};

TEST(Backplane, OneRoomOnThreeRelays) {
    Switchboard board;
    TestRelay one(board, 1), two(board, 2), three(board, 3);
    const auto a = one.enter("lab"), b = two.enter("lab"), c = three.enter("lab"), neighbour = one.enter("lab"),
               stranger = two.enter("other");
    a->say(frame(everybody, mac(1)));
    for (auto* each : {b.get(), c.get(), neighbour.get()}) EXPECT_EQ(each->taken(), only(frame(everybody, mac(1))));
    EXPECT_TRUE(a->taken().empty());
    EXPECT_TRUE(stranger->taken().empty());
    // To whom is known: to that relay alone.
    one.line.said.clear(), two.line.said.clear(), three.line.said.clear();
    b->say(frame(mac(1), mac(2)));
    EXPECT_EQ(a->taken(), only(frame(mac(1), mac(2))));
    EXPECT_TRUE(c->taken().empty());
    EXPECT_TRUE(neighbour->taken().empty());
    EXPECT_EQ(two.line.said, std::vector{subject_of_room("lab", 1)});
    // What came by the backplane is never said again.
    EXPECT_TRUE(one.line.said.empty());
    EXPECT_TRUE(three.line.said.empty());
    a->say(frame(mac(2), mac(1)));
    EXPECT_EQ(b->taken(), only(frame(mac(2), mac(1))));
    EXPECT_TRUE(c->taken().empty());
    // Between a relay's own clients: nobody else hears of it.
    neighbour->say(frame(everybody, mac(9)));
    a->taken();
    one.line.said.clear();
    a->say(frame(mac(9), mac(1)));
    EXPECT_EQ(neighbour->taken().size(), 1u);
    EXPECT_TRUE(one.line.said.empty());
}

TEST(Backplane, WhoeverIsAloneHearsOfNothing) {
    Switchboard board;
    TestRelay one(board, 1), two(board, 2);
    const auto subjects = one.line.subjects;
    {
        const auto a = one.enter("lab");
        EXPECT_EQ(one.line.subjects.size(), subjects.size() + 2);
    }
    EXPECT_EQ(one.line.subjects, subjects);
    const auto b = two.enter("lab");
    b->say(frame(everybody, mac(2)));
    EXPECT_EQ(one.rooms.size(), 0u);
    EXPECT_EQ(one.world.metrics.backplane_received, 1u);  // that the other is there
    EXPECT_EQ(two.line.said.back(), subject_of_room("lab", 0));
}

TEST(Backplane, AStationMovesWithItsClient) {
    for (const auto check : {SpoofCheck::off, SpoofCheck::on}) {
        Switchboard board;
        TestRelay one(board, 1, check), two(board, 2, check), three(board, 3, check);
        const auto c = three.enter("lab"), stays = two.enter("lab");
        {
            const auto a = one.enter("lab");
            a->say(frame(everybody, mac(1)));
        }
        // It has left the first, and says so: the second takes it.
        const auto again = two.enter("lab");
        again->say(frame(everybody, mac(1)));
        EXPECT_EQ(c->taken().size(), 2u);
        c->say(frame(mac(1), mac(3)));
        EXPECT_EQ(again->taken().size(), 1u);
        EXPECT_EQ(two.dropped(Dropped::spoofed) + three.dropped(Dropped::spoofed), 0u);
    }
}

TEST(Backplane, NobodySpeaksForAnotherRelaysStation) {
    Switchboard board;
    TestRelay one(board, 1, SpoofCheck::on), two(board, 2, SpoofCheck::on);
    const auto a = one.enter("lab"), thief = two.enter("lab"), victim = two.enter("lab");
    a->say(frame(everybody, mac(1)));
    thief->taken(), victim->taken();
    thief->say(frame(everybody, mac(1)));
    EXPECT_EQ(two.dropped(Dropped::spoofed), 1u);
    EXPECT_TRUE(victim->taken().empty());
    EXPECT_TRUE(a->taken().empty());
    // A relay that does not look is no way around.
    two.backplane.received(subject_of_room("lab", 0),
                           BackplaneMessage::make(Kind::frame, 7, frame(everybody, mac(1)))->bytes());
    EXPECT_EQ(two.dropped(Dropped::spoofed), 2u);
}

TEST(Backplane, ARelayThatFallsSilentIsForgotten) {
    Switchboard board;
    TestRelay one(board, 1, SpoofCheck::on), two(board, 2, SpoofCheck::on);
    const auto a = one.enter("lab"), b = two.enter("lab");
    a->say(frame(everybody, mac(1)));
    EXPECT_EQ(two.world.metrics.backplane_relays, 1u);
    one.line.up = false;  // killed
    const auto again = two.enter("lab");
    again->say(frame(everybody, mac(1)));
    EXPECT_EQ(two.dropped(Dropped::spoofed), 1u);
    two.world.now_ns += Backplane::silence_ns;
    two.backplane.tick();
    EXPECT_EQ(two.world.metrics.backplane_relays, 1u);
    two.world.now_ns += 1;
    two.backplane.tick();
    EXPECT_EQ(two.world.metrics.backplane_relays, 0u);
    b->taken();
    again->say(frame(everybody, mac(1)));
    EXPECT_EQ(b->taken().size(), 1u);
}

TEST(Backplane, WithoutTheBusRoomsGoOn) {
    Switchboard board;
    TestRelay one(board, 1), two(board, 2);
    const auto a = one.enter("lab"), b = one.enter("lab"), c = two.enter("lab");
    c->say(frame(everybody, mac(3)));
    a->taken(), b->taken();
    one.backplane.lost("gone");
    one.line.said.clear();
    EXPECT_EQ(one.world.metrics.backplane_relays, 0u);
    a->say(frame(everybody, mac(1)));
    a->say(frame(mac(3), mac(1)));  // nobody knows any more where that is
    EXPECT_EQ(b->taken().size(), 2u);
    EXPECT_TRUE(one.line.said.empty());
    one.backplane.connected("test");
    a->say(frame(everybody, mac(1)));
    EXPECT_EQ(c->taken().size(), 1u);
    one.line.full = true;
    a->say(frame(everybody, mac(1)));
    EXPECT_EQ(one.dropped(Dropped::backplane_full), 1u);
    EXPECT_EQ(b->taken().size(), 2u);
}

TEST(Backplane, ByeIsTheEndOfItsStations) {
    Switchboard board;
    TestRelay one(board, 1), two(board, 2);
    const auto a = one.enter("lab"), b = two.enter("lab");
    a->say(frame(everybody, mac(1)));
    one.backplane.bye();
    EXPECT_EQ(two.world.metrics.backplane_relays, 0u);
    two.line.said.clear();
    b->say(frame(mac(1), mac(2)));
    EXPECT_EQ(two.line.said, std::vector{subject_of_room("lab", 0)});
}

TEST(Backplane, ARoomWithALanIsNotShared) {
    struct Lan final : Port {
        Lan() : Port(PortKind::lan) {}
        void give(const SharedMessage&, u64) override { got++; }
        usize got = 0;
    } lan;
    Switchboard board;
    TestRelay one(board, 1, SpoofCheck::off, &lan), two(board, 2);
    one.line.said.clear(), two.line.said.clear();
    auto a = one.enter("lab");
    const auto b = two.enter("lab");
    a->say(frame(everybody, mac(1)));
    EXPECT_EQ(lan.got, 1u);
    b->say(frame(everybody, mac(2)));
    EXPECT_EQ(lan.got, 1u);
    EXPECT_TRUE(a->taken().empty());
    EXPECT_TRUE(b->taken().empty());
    a.reset();
    EXPECT_TRUE(one.line.said.empty());
}

TEST(Backplane, AWayOutIsForItsOwnRelaysClients) {
    struct Way final : Port {
        Way() : Port(PortKind::outside) {}
        void give(const SharedMessage&, u64) override { got++; }
        usize got = 0;
    };
    Switchboard board;
    TestRelay one(board, 1), two(board, 2);
    Way way;
    Room* room = nullptr;
    one.rooms.on_opened([&](Room& opened) {
        room = &opened;
        opened.plug(way);
    });
    one.rooms.on_closing([&](Room& closing) { closing.unplug(way); });
    const auto a = one.enter("lab"), b = two.enter("lab");
    b->say(frame(everybody, mac(2)));
    EXPECT_EQ(way.got, 0u);
    a->say(frame(everybody, mac(1)));
    EXPECT_EQ(way.got, 1u);
    a->taken(), b->taken();
    room->forward(way, frame(everybody, mac(99)), 0);
    EXPECT_EQ(a->taken().size(), 1u);
    EXPECT_TRUE(b->taken().empty());
    // Nor is it reached by its address.
    b->say(frame(mac(99), mac(2)));
    EXPECT_EQ(way.got, 1u);
    room->forward(way, frame(mac(2), mac(99)), 0);
    EXPECT_TRUE(b->taken().empty());
}

TEST(Backplane, WhatIsNoMessageIsDropped) {
    Switchboard board;
    TestRelay one(board, 1);
    const auto a = one.enter("lab");
    const auto subject = subject_of_room("lab", 0);
    const auto bytes = [](Kind kind, u64 from, usize size) {
        std::vector<u8> all(BackplaneMessage::head_size + size, 1);
        all[0] = static_cast<u8>(kind);
        store_be<u64>(all.data() + 1, from);
        return all;
    };
    const std::vector<std::vector<u8>> wrong = {
        {},
        {1},
        bytes(static_cast<Kind>(0), 2, 60),
        bytes(static_cast<Kind>(5), 2, 0),
        bytes(Kind::frame, 0, 60),
        bytes(Kind::frame, 2, 13),
        bytes(Kind::frame, 2, 70000),
        bytes(Kind::left, 2, 7),
        bytes(Kind::left, 2, 65 * 6),
        bytes(Kind::alive, 2, 1),
        bytes(Kind::bye, 2, 1),
    };
    for (const auto& each : wrong) one.backplane.received(subject, each);
    EXPECT_EQ(one.dropped(Dropped::backplane_malformed), wrong.size());
    EXPECT_EQ(one.world.metrics.backplane_relays, 0u);
    // What this relay has said itself, however it came back, is nothing new.
    one.backplane.received(subject, BackplaneMessage::make(Kind::frame, 1, frame(everybody, mac(5)))->bytes());
    for (const auto* place : {"", "netbridge.1.room.", "netbridge.1.room.elsewhere", "netbridge.1.room..", "x"})
        one.backplane.received(place, BackplaneMessage::make(Kind::frame, 2, frame(everybody, mac(5)))->bytes());
    EXPECT_TRUE(a->taken().empty());
    // Of relays that nobody needs no more than a number are remembered.
    for (u64 relay = 2; relay < 2 + 2 * Backplane::most_relays; relay++)
        one.backplane.received(subject_of_relays, BackplaneMessage::make(Kind::alive, relay)->bytes());
    EXPECT_EQ(one.world.metrics.backplane_relays, Backplane::most_relays);
}

}  // namespace
}  // namespace viv::netbridge
