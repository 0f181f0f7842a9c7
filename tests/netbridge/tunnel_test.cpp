// Tunnels: who is joined with whom, what waits, and what happens when one goes.
#include "netbridge/tunnel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client_support.h"

namespace viv::netbridge {
namespace {

using test::TestClient;
using test::World;
using Side = TunnelService::Side;
using Bytes = std::vector<u8>;

struct End : TestClient {
    End(World& world, Tunnels& tunnels, Side side, const std::string& name = "m") : TestClient(world) {
        auto service = TunnelService::enter(client, tunnels, name, side);
        entered = service != nullptr;
        if (entered) client.serve(std::move(service));
    }
    bool entered;
};

TEST(Tunnel, BytesGoBothWaysToTheTwoOfAStreamAlone) {
    World world;
    Tunnels tunnels;
    EXPECT_FALSE(End(world, tunnels, Side::attach).entered);
    End one(world, tunnels, Side::offer), two(world, tunnels, Side::offer);
    EXPECT_TRUE(one.taken().empty());
    End a(world, tunnels, Side::attach), b(world, tunnels, Side::attach);
    EXPECT_EQ(tunnels.streams(), 2u);
    EXPECT_THAT(one.taken(), testing::ElementsAre(Bytes{}));
    EXPECT_THAT(two.taken(), testing::ElementsAre(Bytes{}));
    EXPECT_FALSE(a.say(Bytes{1, 2}));
    EXPECT_FALSE(a.say({}));
    EXPECT_FALSE(two.say(Bytes{3}));
    EXPECT_THAT(one.taken(), testing::ElementsAre(Bytes{1, 2}));
    EXPECT_THAT(b.taken(), testing::ElementsAre(Bytes{3}));
    EXPECT_TRUE(two.taken().empty() && a.taken().empty());
    EXPECT_EQ(a.say(Bytes(TunnelService::longest_message + 1)), Ended::oversize);
}

TEST(Tunnel, WhoAttachesEarlyWaitsAndLosesNothing) {
    World world;
    Tunnels tunnels;
    End first(world, tunnels, Side::offer), a(world, tunnels, Side::attach), b(world, tunnels, Side::attach);
    EXPECT_EQ(a.wire.held, Hold::off);
    EXPECT_EQ(b.wire.held, Hold::on);
    EXPECT_FALSE(b.say(Bytes{7}));
    EXPECT_EQ(world.budget.used, 1u);
    End second(world, tunnels, Side::offer);
    EXPECT_EQ(b.wire.held, Hold::off);
    EXPECT_THAT(second.taken(), testing::ElementsAre(Bytes{}, Bytes{7}));
    EXPECT_EQ(world.budget.used, 0u);
    End third(world, tunnels, Side::offer);
    EXPECT_EQ(third.say(Bytes{1}), Ended::malformed);
}

TEST(Tunnel, ASlowReaderHoldsTheOtherBackWithinItsShare) {
    for (const usize size : {usize{1}, usize{1000}, TunnelService::longest_message}) {
        World world;
        world.budget.most = 0;  // all together have too much: the share of each is left
        Tunnels tunnels;
        End machine(world, tunnels, Side::offer), a(world, tunnels, Side::attach);
        machine.taken();
        usize sent = 0;
        for (; machine.wire.held == Hold::off; sent++) ASSERT_FALSE(machine.say(Bytes(size, u8(sent))));
        EXPECT_LE(world.budget.used, 64u << 10);
        EXPECT_FALSE(machine.say(Bytes(size, u8(sent++))));  // had been read by then
        EXPECT_FALSE(a.wire.ended);
        for (usize i = 0; i < sent; i++) EXPECT_EQ(a.client.next()->bytes()[0], u8(i));
        EXPECT_EQ(machine.wire.held, Hold::off);
        EXPECT_EQ(world.budget.used, 0u);
    }
}

TEST(Tunnel, WhenOneGoesTheOtherGetsTheRestAndIsEnded) {
    World world;
    Tunnels tunnels;
    auto machine = std::make_unique<End>(world, tunnels, Side::offer);
    End a(world, tunnels, Side::attach), waiting(world, tunnels, Side::attach);
    EXPECT_FALSE(machine->say(Bytes{5}));
    machine.reset();
    EXPECT_FALSE(a.wire.ended);
    EXPECT_EQ(waiting.wire.ended, Ended::far_end);
    EXPECT_FALSE(a.say(Bytes{6}));
    EXPECT_THAT(a.taken(), testing::ElementsAre(Bytes{5}));
    EXPECT_EQ(a.wire.ended, Ended::far_end);
    EXPECT_EQ(tunnels.size(), 0u);
    EXPECT_EQ(tunnels.streams(), 0u);
    EXPECT_FALSE(End(world, tunnels, Side::attach).entered);
}

TEST(Tunnel, WhatWaitsIsBounded) {
    World world;
    Tunnels tunnels;
    std::vector<std::unique_ptr<End>> ends;
    for (usize i = 0; i <= Tunnels::most_offers; i++)
        ends.push_back(std::make_unique<End>(world, tunnels, Side::offer));
    EXPECT_TRUE(ends[Tunnels::most_offers - 1]->entered);
    EXPECT_FALSE(ends[Tunnels::most_offers]->entered);
    ends.clear();
    End busy(world, tunnels, Side::offer), user(world, tunnels, Side::attach);
    for (usize i = 0; i <= Tunnels::most_waiting; i++)
        ends.push_back(std::make_unique<End>(world, tunnels, Side::attach));
    EXPECT_TRUE(ends[Tunnels::most_waiting - 1]->entered);
    EXPECT_FALSE(ends[Tunnels::most_waiting]->entered);
    EXPECT_EQ(tunnels.streams(), 1u);
}

}  // namespace
}  // namespace viv::netbridge
