// WISP: packets, streams, flow control, and clients that do not keep to it.
#include "netbridge/wisp.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>

#include "engine/lang/bytes.h"

namespace viv::netbridge::wisp {
namespace {

struct FakeCarrier final : Carrier {
    void send(SharedMessage message) override { sent.emplace_back(message->bytes().begin(), message->bytes().end()); }
    bool choked() const override { return is_choked; }
    std::vector<std::vector<u8>> taken() { return std::exchange(sent, {}); }
    std::vector<std::vector<u8>> sent;
    bool is_choked = false;
};

struct FakeOpener final : StreamOpener {
    struct Socket final : StreamSocket {
        Socket(FakeOpener& opener, std::string where) : owner(opener), name(std::move(where)) {}
        ~Socket() override { owner.sockets.erase(name); }
        void send(std::span<const u8> bytes) override { got.emplace_back(bytes.begin(), bytes.end()); }
        void set_reading(bool on) override { reading = on; }
        FakeOpener& owner;
        std::string name;
        std::vector<std::vector<u8>> got;
        bool reading = true;
    };
    struct Opened {
        Socket* socket;
        StreamEvents* events;
        ConnectRequest request;
    };
    std::unique_ptr<StreamSocket> open(const ConnectRequest& request, StreamEvents& events) override {
        auto socket = std::make_unique<Socket>(*this, request.hostname);
        sockets[request.hostname] = {socket.get(), &events, request};
        return socket;
    }
    std::map<std::string, Opened> sockets;
};

std::vector<u8> packet(u8 type, u32 stream, std::vector<u8> payload = {}) {
    std::vector<u8> bytes(5);
    bytes[0] = type;
    store_le<u32>(&bytes[1], stream);
    bytes.insert(bytes.end(), payload.begin(), payload.end());
    return bytes;
}
std::vector<u8> connect(u32 stream, std::string_view host, u8 kind = 1, u16 port = 80) {
    std::vector<u8> payload = {kind, static_cast<u8>(port), static_cast<u8>(port >> 8)};
    payload.insert(payload.end(), host.begin(), host.end());
    return packet(1, stream, payload);
}
std::vector<u8> closed(u32 stream, CloseReason reason) { return packet(4, stream, {static_cast<u8>(reason)}); }
std::vector<u8> go_on(u32 stream, u8 packets) { return packet(3, stream, {packets, 0, 0, 0}); }
using Packets = std::vector<std::vector<u8>>;

struct Wisp : testing::Test {
    FakeOpener opener;
    FakeCarrier carrier;
    Budget budget;
    Session session{carrier, opener, budget, Version::one, 4};
};

TEST_F(Wisp, VersionOneBeginsWithItsBufferSize) {
    session.start();
    EXPECT_EQ(carrier.taken(), (Packets{go_on(0, Session::buffered_packets)}));
}

TEST_F(Wisp, VersionTwoSaysWhatItCanAndChecksTheAnswer) {
    Session two(carrier, opener, budget, Version::two, 4);
    two.start();
    EXPECT_EQ(carrier.taken(), (Packets{packet(5, 0, {2, 0, 1, 0, 0, 0, 0}), go_on(0, Session::buffered_packets)}));
    EXPECT_TRUE(two.receive(packet(5, 0, {2, 1})));
    EXPECT_FALSE(two.receive(packet(5, 0, {2, 0})));  // once only
    Session other(carrier, opener, budget, Version::two, 4);
    EXPECT_FALSE(other.receive(packet(5, 0, {3, 0})));
    EXPECT_EQ(carrier.taken(), (Packets{closed(0, CloseReason::incompatible)}));
    EXPECT_FALSE(session.receive(packet(5, 0, {2, 0})));  // version 1 has none
}

TEST_F(Wisp, BytesGoBothWays) {
    ASSERT_TRUE(session.receive(connect(7, "example.org", 1, 443)));
    auto& opened = opener.sockets.at("example.org");
    EXPECT_EQ(opened.request.port, 443);
    EXPECT_EQ(opened.request.kind, StreamKind::tcp);
    ASSERT_TRUE(session.receive(packet(2, 7, {'h', 'i'})));
    EXPECT_EQ(opened.socket->got, (Packets{{'h', 'i'}}));
    opened.events->received(std::vector<u8>{'y', 'o'});
    EXPECT_EQ(carrier.taken(), (Packets{packet(2, 7, {'y', 'o'})}));
    opened.events->closed(CloseReason::voluntary);
    EXPECT_EQ(carrier.taken(), (Packets{closed(7, CloseReason::voluntary)}));
    EXPECT_TRUE(opener.sockets.empty());
    EXPECT_TRUE(session.receive(packet(2, 7, {'x'})));  // was under way
    EXPECT_TRUE(session.receive(packet(4, 7, {2})));
    EXPECT_EQ(budget.used, 0u);
}

TEST_F(Wisp, TheClientIsToldToGoOnBeforeItHasToStop) {
    session.receive(connect(1, "h"));
    auto& opened = opener.sockets.at("h");
    const u32 half = Session::buffered_packets / 2;
    for (u32 i = 0; i < half; i++) ASSERT_TRUE(session.receive(packet(2, 1, {1, 2, 3})));
    EXPECT_EQ(carrier.taken(), (Packets{go_on(1, Session::buffered_packets)}));
    for (u32 i = 0; i < 3 * half; i++) ASSERT_TRUE(session.receive(packet(2, 1, {1, 2, 3})));
    EXPECT_EQ(budget.used, 3 * 4 * half);
    EXPECT_TRUE(carrier.taken().empty());  // nothing has left
    opened.events->sent(3 * half - 1);
    EXPECT_TRUE(carrier.taken().empty());
    opened.events->sent(1);
    EXPECT_EQ(carrier.taken(), (Packets{go_on(1, Session::buffered_packets)}));
    opened.events->sent(half);
    EXPECT_TRUE(carrier.taken().empty());  // it may send as many as that still
    EXPECT_EQ(budget.used, 0u);
}

// Whatever is under way in either direction, and for how long: a client that sends all that it may is not stopped.
TEST_F(Wisp, WhoKeepsToWhatItIsToldIsNeverStopped) {
    for (const u32 delay : {0u, 1u, 5u, 40u, 70u, 200u}) {
        session.receive(connect(1, "h"));
        auto* events = opener.sockets.at("h").events;
        std::deque<std::pair<u32, u32>> words;  // when the client reads it, and what it may send then
        std::deque<u32> packets;                // when each is here
        u32 credit = Session::buffered_packets, given = 0, taken = 0;
        for (u32 now = 0; now < 5000; now++) {
            for (; !words.empty() && words.front().first <= now; words.pop_front()) credit = words.front().second;
            // In bursts, as fast as it may.
            if (now % 7 == 0)
                for (; credit > 0; credit--) packets.push_back(now + delay);
            for (; !packets.empty() && packets.front() <= now; packets.pop_front(), given++)
                ASSERT_TRUE(session.receive(packet(2, 1, {1})));
            // A destination that sometimes takes all, and sometimes nothing for long.
            if (now % 300 < 200 && taken < given) {
                events->sent(given - taken);
                taken = given;
            }
            for (const auto& word : carrier.taken()) {
                ASSERT_EQ(word[0], 3) << "after a delay of " << delay;
                words.emplace_back(now + delay, word[5]);
            }
        }
        EXPECT_GT(given, 5000 / (2 * delay + 10) * Session::buffered_packets / 4);
        EXPECT_TRUE(session.receive(packet(4, 1, {2})));
        EXPECT_EQ(budget.used, 0u);
    }
}

TEST_F(Wisp, WhoDoesNotStopIsStopped) {
    session.receive(connect(1, "h"));
    for (u32 i = 0; i < Session::most_in_flight; i++) ASSERT_TRUE(session.receive(packet(2, 1, {1})));
    EXPECT_EQ(carrier.taken(), (Packets{go_on(1, Session::buffered_packets)}));
    EXPECT_TRUE(session.receive(packet(2, 1, {1})));
    EXPECT_EQ(carrier.taken(), (Packets{closed(1, CloseReason::throttled)}));
    EXPECT_EQ(session.streams(), 0u);
    EXPECT_EQ(budget.used, 0u);
}

TEST_F(Wisp, WhatWaitsIsBoundedInBytes) {
    const std::vector<u8> large(Session::longest_payload, 9);
    session.receive(connect(1, "a"));
    session.receive(connect(2, "b"));
    usize given = 0;
    for (int i = 0; i < 400; i++) {
        session.receive(packet(2, i % 2 == 0 ? 1 : 2, large));
        given = std::max(given, static_cast<usize>(budget.used));
    }
    EXPECT_LE(given, Session::most_buffered_bytes);
    EXPECT_GT(given, Session::most_buffered_bytes / 2);
    EXPECT_EQ(session.streams(), 0u);
    EXPECT_EQ(budget.used, 0u);
}

TEST_F(Wisp, DatagramsAreNotCountedButLost) {
    session.receive(connect(1, "h", 2, 53));
    auto& opened = opener.sockets.at("h");
    for (u32 i = 0; i < 3 * Session::buffered_packets; i++) ASSERT_TRUE(session.receive(packet(2, 1, {1})));
    EXPECT_EQ(opened.socket->got.size(), Session::buffered_packets);
    opened.events->sent(Session::buffered_packets);
    EXPECT_TRUE(carrier.taken().empty());  // no CONTINUE for UDP
}

TEST_F(Wisp, ASlowClientMakesStreamsWait) {
    session.receive(connect(1, "a"));
    session.receive(connect(2, "b"));
    carrier.is_choked = true;
    opener.sockets.at("a").events->received(std::vector<u8>(10));
    EXPECT_FALSE(opener.sockets.at("a").socket->reading);
    session.receive(connect(3, "c"));
    EXPECT_FALSE(opener.sockets.at("c").socket->reading);
    carrier.is_choked = false;
    session.drained();
    EXPECT_TRUE(opener.sockets.at("a").socket->reading);
    EXPECT_TRUE(opener.sockets.at("c").socket->reading);
}

TEST_F(Wisp, StreamsAreBounded) {
    for (u32 i = 1; i <= 4; i++) session.receive(connect(i, std::string(1, static_cast<char>('a' + i))));
    EXPECT_TRUE(session.receive(connect(5, "z")));
    EXPECT_EQ(carrier.taken(), (Packets{closed(5, CloseReason::throttled)}));
    session.receive(packet(4, 1, {2}));
    EXPECT_TRUE(session.receive(connect(5, "z")));
    EXPECT_TRUE(carrier.taken().empty());
}

TEST_F(Wisp, BadRequestsCloseTheirStream) {
    const Packets bad = {connect(1, ""),
                         connect(1, "h", 3),
                         connect(1, "h", 1, 0),
                         connect(1, "a b"),
                         connect(1, std::string(254, 'x')),
                         connect(1, std::string("a\0b", 3)),
                         connect(1, "a/b")};
    for (const auto& request : bad) {
        EXPECT_TRUE(session.receive(request));
        EXPECT_EQ(carrier.taken(), (Packets{closed(1, CloseReason::invalid)}));
    }
    EXPECT_TRUE(session.receive(connect(1, "[2001:db8::1]")));
    EXPECT_EQ(opener.sockets.begin()->first, "2001:db8::1");
}

TEST_F(Wisp, WhatIsNoWispEndsTheConnection) {
    EXPECT_FALSE(session.receive({}));
    EXPECT_FALSE(session.receive(std::vector<u8>{1, 0, 0, 0}));
    EXPECT_FALSE(session.receive(packet(0, 1)));
    EXPECT_FALSE(session.receive(packet(6, 1)));
    EXPECT_FALSE(session.receive(connect(0, "h")));
    EXPECT_FALSE(session.receive(packet(2, 0, {1})));
    EXPECT_FALSE(session.receive(packet(4, 0, {2})));
    session.receive(connect(1, "h"));
    EXPECT_FALSE(session.receive(connect(1, "other")));
}

}  // namespace
}  // namespace viv::netbridge::wisp
