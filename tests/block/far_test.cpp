// Disks far away: requests wait for bytes without anybody else, each ends once, and nothing is touched after abandon().
#include "engine/block/far.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "engine/block/image.h"
#include "engine/block/overlay.h"
#include "engine/block/raw.h"

namespace viv::block {
namespace {

constexpr u64 page = 4096, disk_size = 4 << 20;

// Bytes that are there by pages, and counted when they are read.
struct Server final : Far {
    std::set<u64> there, asked, failed;
    bool keeps = true;  // false: what has been read once is gone again
    Patience patience = Patience::waits;
    bool missed = false;
    std::function<void()> arrived;

    void set_patience(Patience wanted) override { patience = wanted; }
    bool take_missed() override { return std::exchange(missed, false); }
    void on_arrival(std::function<void()> wanted) override { arrived = std::move(wanted); }
    void forget_failures() override { failed.clear(); }
    void bring_all() {
        there.merge(asked);
        asked.clear();
        arrived();
    }
};

struct FarFile final : host::File {
    explicit FarFile(Server& from) : server(from) {}
    u64 size() override { return disk_size; }
    Result<void> read_at(u64 offset, std::span<u8> out) override {
        for (u64 at = offset / page; at <= (offset + out.size() - 1) / page; at++) {
            if (server.failed.contains(at)) return Error{"cannot be had"};
            if (server.there.contains(at) || server.patience == Far::Patience::waits) continue;
            server.asked.insert(at);
            server.missed = true;
            return Error{"on its way"};
        }
        for (usize i = 0; i < out.size(); i++) out[i] = byte_at(offset + i);
        if (!server.keeps) server.there.clear();
        return {};
    }
    Result<void> write_at(u64, std::span<const u8>) override { return Error{"can only be read"}; }
    Result<void> flush() override { return {}; }
    bool punch_hole(u64, u64) override { return false; }
    static u8 byte_at(u64 offset) { return static_cast<u8>(offset / 512 * 7 + offset / page + 1); }
    Server& server;
};

struct FarTest : ::testing::Test {
    std::shared_ptr<Server> server = std::make_shared<Server>();
    std::unique_ptr<Disk> disk = make_far_disk(
        make_disk(open_raw_image(std::make_unique<FarFile>(*server), "far", Access::read_only, NamedBy::user)), server);

    struct Read {
        std::vector<std::vector<u8>> buffers;
        std::vector<Status> ended;
        u64 offset = 0;
        bool good() const {
            u64 at = offset;
            for (const auto& buffer : buffers)
                for (const u8 byte : buffer)
                    if (byte != FarFile::byte_at(at++)) return false;
            return ended == std::vector{Status::ok};
        }
    };
    // Of segments of these sizes.
    std::unique_ptr<Read> read(u64 offset, const std::vector<usize>& sizes, Disk* from = nullptr) {
        auto made = std::make_unique<Read>();
        Request request{Operation::read, offset, 0, {}, {}};
        made->offset = offset;
        for (const usize size : sizes) made->buffers.emplace_back(size, 0xee);
        for (auto& buffer : made->buffers) {
            request.segments.emplace_back(buffer);
            request.length += buffer.size();
        }
        request.done = [to = made.get()](Status status) { to->ended.push_back(status); };
        (from != nullptr ? from : disk.get())->submit(std::move(request));
        return made;
    }
};

TEST_F(FarTest, ARequestWaitsAndOthersOvertakeIt) {
    const auto first = read(page, {512, page, 512});
    EXPECT_TRUE(first->ended.empty());
    server->there.insert(9);
    const auto second = read(9 * page, {page});
    EXPECT_TRUE(second->good()) << "it need not wait";
    while (!server->asked.empty()) server->bring_all();
    EXPECT_TRUE(first->good());
    server->bring_all();
    EXPECT_EQ(first->ended.size(), 1U);
    EXPECT_EQ(server->patience, Far::Patience::waits);
}

TEST_F(FarTest, ALongRequestEndsHoweverLittleIsKept) {
    server->keeps = false;
    const auto all = read(512, {512, 1 << 20, 513 * 512, 700 << 10, 512});
    for (unsigned rounds = 0; all->ended.empty(); rounds++) {
        ASSERT_LT(rounds, 5000U);
        // The part in work is there as a whole, and gone when it has been read.
        std::set<u64> more;
        for (const u64 at : server->asked)
            for (u64 i = 0; i < 65; i++) more.insert(at + i);
        for (u64 i = 1; i < 65 && !more.empty() && *more.begin() >= i; i++) more.insert(*more.begin() - 1);
        server->asked.clear();
        server->there = more;
        server->arrived();
    }
    EXPECT_TRUE(all->good());
}

TEST_F(FarTest, WhatCannotBeHadIsAnErrorOnceAndAskedForAgain) {
    const auto first = read(3 * page, {page}), other = read(5 * page, {page});
    server->failed.insert(3);
    server->bring_all();
    EXPECT_EQ(first->ended, std::vector{Status::io_error});
    EXPECT_TRUE(other->good());
    EXPECT_TRUE(server->failed.empty()) << "forgotten";
    server->there.erase(3);
    const auto again = read(3 * page, {page});
    EXPECT_TRUE(again->ended.empty());
    server->bring_all();
    EXPECT_TRUE(again->good());
}

TEST_F(FarTest, BadRequestsEndAtOnce) {
    EXPECT_EQ(read(disk_size, {512})->ended, std::vector{Status::io_error});
    EXPECT_EQ(read(100, {512})->ended, std::vector{Status::io_error});
    EXPECT_EQ(read(~u64{0} - 511, {512})->ended, std::vector{Status::io_error});
    Request wrong{Operation::read, 0, 1 << 20, {}, {}};
    std::vector<Status> ended;
    wrong.done = [&](Status status) { ended.push_back(status); };
    disk->submit(std::move(wrong));
    while (ended.empty() && !server->asked.empty()) server->bring_all();
    EXPECT_EQ(ended, std::vector{Status::io_error}) << "its segments do not add up";
    Request write{Operation::write, 0, 0, {}, {}};
    std::vector<u8> bytes(512, 1);
    write.segments.emplace_back(bytes);
    write.length = 512;
    write.done = [&](Status status) { ended.push_back(status); };
    disk->submit(std::move(write));
    EXPECT_EQ(ended, (std::vector{Status::io_error, Status::io_error}));
}

TEST_F(FarTest, NothingIsTouchedAfterAbandonAndEachEndsOnce) {
    const auto first = read(page, {page});
    const auto second = read(2 * page, {page});
    disk->abandon();
    EXPECT_TRUE(first->ended.empty()) << "whoever resets the device is not called back from there";
    server->bring_all();
    EXPECT_EQ(first->ended, std::vector{Status::io_error});
    EXPECT_EQ(second->ended.size(), 1U);
    EXPECT_EQ(first->buffers[0], std::vector<u8>(page, 0xee));
    server->bring_all();
    EXPECT_EQ(first->ended.size(), 1U);
    const auto third = read(disk_size - page, {page});
    disk.reset();
    EXPECT_EQ(third->ended, std::vector{Status::io_error});
    EXPECT_EQ(server->arrived, nullptr);
}

TEST_F(FarTest, ACompletionMaySubmitAndAbandon) {
    std::vector<u8> one(page), two(page);
    std::vector<Status> ended;
    Request first{Operation::read, page, page, {std::span(one)}, {}};
    first.done = [&](Status) {
        Request second{Operation::read, 7 * page, page, {std::span(two)}, {}};
        second.done = [&](Status status) { ended.push_back(status); };
        disk->submit(std::move(second));
    };
    disk->submit(std::move(first));
    const auto behind = read(3 * page, {page});
    server->there.insert(1);
    server->asked.clear();
    server->arrived();
    EXPECT_TRUE(behind->ended.empty());
    EXPECT_TRUE(server->asked.contains(3)) << "it still waits";
    server->bring_all();
    EXPECT_TRUE(behind->good());
    EXPECT_EQ(ended, std::vector{Status::ok});

    std::vector<u8> last(page);
    Request resets{Operation::read, 11 * page, page, {std::span(last)}, [&](Status) { disk->abandon(); }};
    disk->submit(std::move(resets));
    const auto left = read(13 * page, {page});
    server->bring_all();
    EXPECT_EQ(left->buffers[0], std::vector<u8>(page, 0xee));
    server->arrived();
    EXPECT_EQ(left->ended, std::vector{Status::io_error});
}

TEST_F(FarTest, ATemporaryOverlayMixesItsOwnWithWhatComesLater) {
    auto overlay = make_temporary_overlay(std::move(disk));
    std::vector<u8> own(512, 0x11);
    unsigned written = 0;
    overlay->submit({Operation::write, page + 512, 512, {std::span(own)}, [&](Status) { written++; }});
    EXPECT_EQ(written, 1U);
    const auto mixed = read(page, {page}, overlay.get());
    EXPECT_TRUE(mixed->ended.empty());
    while (!server->asked.empty()) server->bring_all();
    ASSERT_EQ(mixed->ended, std::vector{Status::ok});
    for (u64 i = 0; i < page; i++)
        ASSERT_EQ(mixed->buffers[0][i], i / 512 == 1 ? 0x11 : FarFile::byte_at(page + i)) << i;
}

}  // namespace
}  // namespace viv::block
