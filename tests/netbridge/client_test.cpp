// A client between its wire and its room: fragments, limits, and slow ones beside quick ones.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client_support.h"
#include "engine/net/net.h"

namespace viv::netbridge {
namespace {

using test::TestClient;
using test::World;
using Place = Client::Place;

std::vector<u8> frame(u8 from, usize size = 60) {
    std::vector<u8> bytes(size, 0x11);
    std::fill_n(bytes.begin(), 6, u8{0xff});
    const u8 source[6] = {2, 0, 0, 0, 0, from};
    std::copy(std::begin(source), std::end(source), bytes.begin() + 6);
    return bytes;
}

TEST(Client, MessagesInPiecesAreWhole) {
    World world;
    TestClient a(world, "r"), b(world, "r");
    const auto whole = frame(1, 5000);
    const std::span<const u8> bytes(whole);
    EXPECT_FALSE(a.say(bytes.first(1000), Place::inside));
    EXPECT_FALSE(a.say(bytes.subspan(1000, 0), Place::inside));
    EXPECT_FALSE(a.say(bytes.subspan(1000, 3000), Place::inside));
    EXPECT_TRUE(b.taken().empty());
    EXPECT_FALSE(a.say(bytes.subspan(4000)));
    EXPECT_THAT(b.taken(), testing::ElementsAre(whole));
    EXPECT_EQ(world.metrics.frames_in, 1u);
    // And the next one begins anew.
    EXPECT_FALSE(a.say(frame(1)));
    EXPECT_THAT(b.taken(), testing::ElementsAre(frame(1)));
}

TEST(Client, OversizeEndsItWholeOrInPieces) {
    World world;
    TestClient a(world, "r"), b(world, "r"), c(world, "r");
    EXPECT_EQ(a.say(std::vector<u8>(net::largest_frame + 1)), Ended::oversize);
    for (usize sent = 0; sent + 1000 <= net::largest_frame; sent += 1000)
        ASSERT_FALSE(b.say(std::vector<u8>(1000), Place::inside));
    EXPECT_EQ(b.say(std::vector<u8>(1000), Place::inside), Ended::oversize);
    EXPECT_TRUE(c.taken().empty());
}

TEST(Client, TextIsNoFrame) {
    World world;
    TestClient a(world, "r");
    EXPECT_EQ(a.say(frame(1), Place::last, Client::Form::text), Ended::malformed);
}

TEST(Client, ShortFramesAreDroppedAndNothingElseHappens) {
    World world;
    TestClient a(world, "r"), b(world, "r");
    EXPECT_FALSE(a.say(std::vector<u8>(13)));
    EXPECT_FALSE(a.say({}));
    EXPECT_TRUE(b.taken().empty());
    EXPECT_EQ(world.metrics.dropped[static_cast<usize>(Dropped::bad_size)], 2u);
}

TEST(Client, WhoIsTooFastWaits) {
    World world;
    world.limits.frames = {100, 100};
    world.limits.bytes = {1'000'000, 1'000'000};
    TestClient a(world, "r"), b(world, "r");
    for (int i = 0; i < 200; i++) EXPECT_FALSE(a.say(frame(1)));
    EXPECT_EQ(a.client.wait_ns(), 1'000'000'000u);
    EXPECT_EQ(b.client.wait_ns(), 0u);
    EXPECT_EQ(b.taken().size(), 200u);  // nothing is lost of what was read
    world.now_ns += 1'000'000'000;
    EXPECT_EQ(a.client.wait_ns(), 0u);
    for (int i = 0; i < 40; i++) EXPECT_FALSE(b.say(frame(2, 60'000)));
    EXPECT_GT(b.client.wait_ns(), 1'000'000'000u);
}

TEST(Client, CrumbsCountAsMessages) {
    World world;
    world.limits.frames = {100, 100};
    TestClient a(world, "r");
    for (int i = 0; i < 150; i++) EXPECT_FALSE(a.say(std::vector<u8>(1), Place::inside));
    EXPECT_GT(a.client.wait_ns(), 0u);
}

TEST(Client, ASlowOneDelaysNobodyAndIsBounded) {
    World world;
    world.limits.queue_bytes = 100'000;
    TestClient sender(world, "r"), slow(world, "r"), quick(world, "r");
    usize received = 0;
    for (int i = 0; i < 1000; i++) {
        EXPECT_FALSE(sender.say(frame(1, 1500)));
        received += quick.taken().size();
    }
    EXPECT_EQ(received, 1000u);
    EXPECT_LE(world.budget.used, 100'000u);
    EXPECT_EQ(world.metrics.dropped[static_cast<usize>(Dropped::queue_full)], 1000u - 66u);
    EXPECT_EQ(slow.taken().size(), 66u);
    EXPECT_EQ(world.budget.used, 0u);
}

TEST(Client, StallIsSeenAndQuietIsNone) {
    World world;
    TestClient a(world, "r"), b(world, "r");
    world.now_ns += 100;
    EXPECT_EQ(b.client.stalled_since_ns(), world.now_ns);
    a.say(frame(1));
    const u64 given = world.now_ns;
    world.now_ns += 1000;
    a.say(frame(1));
    EXPECT_EQ(b.client.stalled_since_ns(), given);
    b.client.next();
    EXPECT_EQ(b.client.stalled_since_ns(), world.now_ns);
}

TEST(Client, AllTogetherAreBounded) {
    World world;
    world.budget.most = 1 << 20;
    TestClient sender(world, "r");
    std::vector<std::unique_ptr<TestClient>> slow;
    for (int i = 0; i < 10; i++) slow.push_back(std::make_unique<TestClient>(world, "r"));
    for (int i = 0; i < 2000; i++) EXPECT_FALSE(sender.say(frame(1, 1500)));
    EXPECT_LE(world.budget.used, (1u << 20) + 10 * (64u << 10));
    for (auto& each : slow) EXPECT_GE(each->client.has_output() ? each->taken().size() : 0u, 40u);
    EXPECT_EQ(world.budget.used, 0u);
}

TEST(Client, LeavesItsRoomWhenItGoes) {
    World world;
    TestClient a(world, "r");
    {
        TestClient b(world, "r");
        a.say(frame(1));
        EXPECT_GT(world.budget.used, 0u);
    }
    EXPECT_EQ(world.budget.used, 0u);
    EXPECT_EQ(world.rooms.size(), 1u);
    EXPECT_FALSE(a.say(frame(1)));
}

}  // namespace
}  // namespace viv::netbridge
