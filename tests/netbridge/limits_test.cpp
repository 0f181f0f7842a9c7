// Buckets, the table of addresses and the queue of a client.
#include "netbridge/limits.h"

#include <gtest/gtest.h>

#include "netbridge/outbox.h"

namespace viv::netbridge {
namespace {

constexpr u64 second = 1'000'000'000;

TEST(TokenBucket, GivesItsBurstAndThenItsRate) {
    TokenBucket bucket({10, 30}, 0);
    for (int i = 0; i < 30; i++) EXPECT_TRUE(bucket.try_take(1, 0));
    EXPECT_FALSE(bucket.try_take(1, 0));
    EXPECT_FALSE(bucket.try_take(1, second / 20));
    EXPECT_TRUE(bucket.try_take(1, second / 10));
    EXPECT_FALSE(bucket.try_take(1, second / 10));
    // An hour is worth no more than the burst.
    EXPECT_TRUE(bucket.try_take(30, 3600 * second));
    EXPECT_FALSE(bucket.try_take(1, 3600 * second));
}

TEST(TokenBucket, MayBeOverdrawnAndThenHasToWait) {
    TokenBucket bucket({1000, 1000}, 0);
    EXPECT_EQ(bucket.wait_ns(0), 0u);
    bucket.take(3000, 0);
    EXPECT_EQ(bucket.wait_ns(0), 2 * second);
    EXPECT_EQ(bucket.wait_ns(second), second);
    EXPECT_EQ(bucket.wait_ns(2 * second), 0u);
    // A clock that stands still, or goes back, gives nothing.
    bucket.take(10, 2 * second);
    EXPECT_GT(bucket.wait_ns(second), 0u);
}

TEST(TokenBucket, NoRateIsNoLimit) {
    TokenBucket bucket({0, 0}, 0);
    bucket.take(~u64{0}, 0);
    EXPECT_TRUE(bucket.try_take(1 << 30, 0));
    EXPECT_EQ(bucket.wait_ns(0), 0u);
    EXPECT_TRUE(bucket.full(0));
}

Address numbered(u32 number) {
    const std::array<u8, 4> bytes = {static_cast<u8>(number >> 24), static_cast<u8>(number >> 16),
                                     static_cast<u8>(number >> 8), static_cast<u8>(number)};
    return Address::ipv4(bytes);
}

TEST(AddressTable, CountsAndForgets) {
    LimitSettings limits;
    limits.connections = 5;
    limits.connections_per_address = 2;
    limits.attempts_per_address = {1, 3};
    AddressTable table(limits);
    AddressTable::Usage* usage = nullptr;
    using Answer = AddressTable::Answer;
    EXPECT_EQ(table.enter(numbered(1), 0, usage), Answer::welcome);
    EXPECT_EQ(table.enter(numbered(1), 0, usage), Answer::welcome);
    EXPECT_EQ(usage->connections, 2u);
    EXPECT_EQ(table.enter(numbered(1), 0, usage), Answer::too_many_here);
    table.leave(numbered(1));
    EXPECT_EQ(table.enter(numbered(1), 0, usage), Answer::welcome);
    table.leave(numbered(1));
    EXPECT_EQ(table.enter(numbered(1), 0, usage), Answer::too_often);
    for (u32 i = 2; i < 6; i++) EXPECT_EQ(table.enter(numbered(i), 0, usage), Answer::welcome) << i;
    EXPECT_EQ(table.enter(numbered(9), 0, usage), Answer::too_many);
    EXPECT_EQ(table.connections(), 5u);
    for (u32 i = 1; i < 6; i++) table.leave(numbered(i));
    EXPECT_EQ(table.addresses(), 5u);
    table.tidy(0);
    EXPECT_EQ(table.addresses(), 5u);  // their buckets are not full yet
    table.tidy(10 * second);
    EXPECT_EQ(table.addresses(), 0u);
}

TEST(AddressTable, IsBoundedWhateverComes) {
    LimitSettings limits;
    limits.attempts_per_address = {1, 2};
    AddressTable table(limits);
    AddressTable::Usage* usage = nullptr;
    u32 refused = 0;
    for (u32 i = 0; i < AddressTable::most_addresses + 100; i++) {
        if (table.enter(numbered(i), 0, usage) == AddressTable::Answer::welcome)
            table.leave(numbered(i));
        else
            refused++;
    }
    EXPECT_EQ(table.addresses(), AddressTable::most_addresses);
    EXPECT_EQ(refused, 100u);
    EXPECT_EQ(table.enter(numbered(~0u), 10 * second, usage), AddressTable::Answer::welcome);
    EXPECT_EQ(table.addresses(), 1u);
}

TEST(Outbox, IsBoundedInBytesAndMessages) {
    const std::vector<u8> bytes(100, 7);
    Outbox box(1000, 20);
    for (int i = 0; i < 10; i++) EXPECT_TRUE(box.put(std::make_shared<Message>(bytes)));
    EXPECT_FALSE(box.put(std::make_shared<Message>(bytes)));
    EXPECT_TRUE(box.half_full());
    EXPECT_EQ(box.bytes(), 1000u);
    while (!box.empty()) EXPECT_EQ(box.take()->size(), 100u);
    EXPECT_EQ(box.bytes(), 0u);
    EXPECT_TRUE(box.nearly_empty());
    for (int i = 0; i < 20; i++) EXPECT_TRUE(box.put(std::make_shared<Message>(std::span<const u8>{})));
    EXPECT_FALSE(box.put(std::make_shared<Message>(std::span<const u8>{})));
    // What is longer than the box goes alone.
    Outbox small(10, 2);
    EXPECT_TRUE(small.put(std::make_shared<Message>(bytes)));
    EXPECT_FALSE(small.put(std::make_shared<Message>(bytes)));
}

}  // namespace
}  // namespace viv::netbridge
