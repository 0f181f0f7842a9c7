// Record locks against a model that knows every byte: what fcntl(2) promises, for random ranges and owners.
#include "engine/dev/virtio/p9_locks.h"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <random>

namespace viv::virtio::p9 {
namespace {

RecordLock lock(LockType type, u64 first, u64 last, u32 process, u64 file = 1, u32 fid = 1) {
    return {type, file, first, last, process, "guest", fid};
}

TEST(P9Locks, ReplaceSplitAndJoin) {
    LockTable table;
    EXPECT_EQ(table.apply(lock(LockType::write, 0, 99, 1)), LockStatus::success);
    EXPECT_EQ(table.apply(lock(LockType::unlock, 40, 59, 1)), LockStatus::success);
    EXPECT_EQ(table.size(), 2u);
    EXPECT_EQ(table.apply(lock(LockType::write, 40, 59, 2)), LockStatus::success);
    EXPECT_EQ(table.apply(lock(LockType::read, 39, 40, 3)), LockStatus::blocked);
    EXPECT_EQ(table.apply(lock(LockType::unlock, 0, ~u64{0}, 2)), LockStatus::success);
    EXPECT_EQ(table.apply(lock(LockType::write, 40, 59, 1)), LockStatus::success);  // joins both sides
    EXPECT_EQ(table.size(), 1u);
    EXPECT_EQ(table.apply(lock(LockType::read, 10, 19, 1)), LockStatus::success);  // a change of kind splits
    EXPECT_EQ(table.size(), 3u);
    EXPECT_EQ(table.apply(lock(LockType::read, 10, 19, 2)), LockStatus::success);
    EXPECT_EQ(table.apply(lock(LockType::write, 10, 19, 1)), LockStatus::blocked);  // now there is another reader
    EXPECT_EQ(table.apply(lock(LockType::read, 5, 1, 1)), LockStatus::error);
}

TEST(P9Locks, OwnersAreClientAndProcessAndFilesAreApart) {
    LockTable table;
    EXPECT_EQ(table.apply(lock(LockType::write, 0, ~u64{0}, 1)), LockStatus::success);
    RecordLock other = lock(LockType::write, 0, ~u64{0}, 1);
    other.client = "another";
    EXPECT_EQ(table.apply(other), LockStatus::blocked);
    other.file = 2;
    EXPECT_EQ(table.apply(other), LockStatus::success);
    ASSERT_NE(table.conflict(lock(LockType::read, 7, 7, 5)), nullptr);
    EXPECT_EQ(table.conflict(lock(LockType::read, 7, 7, 5))->process, 1u);
    EXPECT_EQ(table.conflict(lock(LockType::read, 7, 7, 1)), nullptr);
}

TEST(P9Locks, GoWithTheFidTheyWereMadeThrough) {
    LockTable table;
    EXPECT_EQ(table.apply(lock(LockType::write, 0, 9, 1, 1, 10)), LockStatus::success);
    EXPECT_EQ(table.apply(lock(LockType::write, 20, 29, 1, 1, 11)), LockStatus::success);
    table.release(10);
    EXPECT_EQ(table.size(), 1u);
    EXPECT_EQ(table.apply(lock(LockType::write, 0, 9, 2)), LockStatus::success);
    EXPECT_EQ(table.apply(lock(LockType::write, 20, 20, 2)), LockStatus::blocked);
}

TEST(P9Locks, AreBounded) {
    LockTable table;
    for (u64 i = 0; i < LockTable::maximum_locks; i++)
        ASSERT_EQ(table.apply(lock(LockType::read, 4 * i, 4 * i + 2, 1)), LockStatus::success);
    EXPECT_EQ(table.apply(lock(LockType::read, 1 << 20, 1 << 20, 1)), LockStatus::error);
    EXPECT_EQ(table.apply(lock(LockType::unlock, 1, 1, 1)), LockStatus::error);  // would split one in two
    EXPECT_EQ(table.size(), LockTable::maximum_locks);
    EXPECT_EQ(table.apply(lock(LockType::unlock, 0, 0, 1)), LockStatus::success);
    EXPECT_EQ(table.apply(lock(LockType::read, 0, ~u64{0}, 1)), LockStatus::success);
    EXPECT_EQ(table.size(), 1u);
    RecordLock wordy = lock(LockType::read, 0, 0, 1);
    wordy.client.assign(LockTable::maximum_client + 1, 'c');
    EXPECT_EQ(table.apply(wordy), LockStatus::error);
}

TEST(P9Locks, AgreeWithAModelOfEveryByte) {
    constexpr u32 owners = 3;
    constexpr u64 length = 24;
    std::mt19937 random(7);
    LockTable table;
    std::array<std::array<LockType, length>, owners> model;  // unlock: none
    for (auto& owner : model) owner.fill(LockType::unlock);
    const auto conflicts = [&](u32 owner, LockType type, u64 first, u64 last) {
        for (u32 other = 0; other < owners; other++)
            for (u64 byte = first; byte <= last && other != owner; byte++)
                if (model[other][byte] != LockType::unlock &&
                    (type == LockType::write || model[other][byte] == LockType::write))
                    return true;
        return false;
    };
    for (int step = 0; step < 20'000; step++) {
        const u32 owner = static_cast<u32>(random() % owners);
        const auto type = static_cast<LockType>(random() % 3);
        u64 first = random() % length, last = random() % length;
        if (first > last) std::swap(first, last);
        const bool blocked = type != LockType::unlock && conflicts(owner, type, first, last);
        ASSERT_EQ(table.apply(lock(type, first, last, owner)), blocked ? LockStatus::blocked : LockStatus::success);
        if (!blocked)
            for (u64 byte = first; byte <= last; byte++) model[owner][byte] = type;
        usize runs = 0;
        for (const auto& bytes : model)
            for (u64 byte = 0; byte < length; byte++)
                runs += bytes[byte] != LockType::unlock && (byte == 0 || bytes[byte - 1] != bytes[byte]);
        ASSERT_EQ(table.size(), runs);
        const u64 probe = random() % length;
        ASSERT_EQ(table.conflict(lock(LockType::read, probe, probe, owner)) != nullptr,
                  conflicts(owner, LockType::read, probe, probe));
    }
}

}  // namespace
}  // namespace viv::virtio::p9
