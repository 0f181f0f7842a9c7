// Pieces from afar: fetched once, the wanted ones first, held within bounds, errors told and forgotten; and the chunks
// that are kept.
#include "native/feed.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <semaphore>

#include "native/chunk_cache.h"
#include "native/chunk_folder.h"

namespace viv::native {
namespace {

using Bytes = Feed::Bytes;

// Fetches that wait until they are let go, and say in which order they began.
struct Pieces {
    std::mutex mutex;
    std::vector<std::string> begun;
    std::counting_semaphore<> go{0}, running{0};
    bool waits = false;
    std::map<std::string, std::string> problems;

    Feed::Fetch of(const std::string& key, usize size = 3) {
        return [this, key, size](HttpClient&) -> Result<Bytes> {
            {
                const std::lock_guard lock(mutex);
                begun.push_back(key);
            }
            running.release();
            if (waits) go.acquire();
            const std::lock_guard lock(mutex);
            if (problems.contains(key)) return Error{problems[key]};
            return Bytes(size, static_cast<u8>(key.back()));
        };
    }
    usize count() {
        const std::lock_guard lock(mutex);
        return begun.size();
    }
};

struct Lines final : LogSink {
    std::mutex mutex;
    std::vector<std::string> lines;
    void write(LogLevel, std::string_view component, std::string_view line) override {
        const std::lock_guard lock(mutex);
        lines.push_back(fmt::format("{}: {}", component, line));
    }
};

std::string text_of(Feed& feed, Pieces& pieces, const std::string& key, usize size = 3) {
    std::string text;
    const auto read = feed.read(key, pieces.of(key, size), [&](std::span<const u8> bytes) -> Result<void> {
        text.assign(bytes.begin(), bytes.end());
        return {};
    });
    return read.ok() ? text : "error: " + read.error().message;
}

TEST(FeedTest, APatientReadWaitsAndTheSecondOneFindsIt) {
    Pieces pieces;
    Feed feed(nullptr);
    EXPECT_EQ(text_of(feed, pieces, "a"), "aaa");
    EXPECT_EQ(text_of(feed, pieces, "a"), "aaa");
    EXPECT_EQ(text_of(feed, pieces, "b"), "bbb");
    EXPECT_EQ(pieces.count(), 2U);
    EXPECT_FALSE(feed.take_missed());
}

TEST(FeedTest, AnImpatientReadIsToldWhenItIsThere) {
    Pieces pieces;
    EventLoop events;
    Feed feed(nullptr);
    feed.watch(events);
    unsigned arrivals = 0;
    feed.on_arrival([&] { arrivals++; });
    feed.set_patience(block::Far::Patience::fails);
    EXPECT_EQ(text_of(feed, pieces, "a"), "error: a: is on its way");
    EXPECT_TRUE(feed.take_missed());
    EXPECT_FALSE(feed.take_missed());
    while (arrivals == 0) events.poll(EventLoop::for_ever);
    EXPECT_EQ(text_of(feed, pieces, "a"), "aaa");
    EXPECT_FALSE(feed.take_missed());
    EXPECT_EQ(pieces.count(), 1U);
}

TEST(FeedTest, SeveralAreFetchedAtATimeAndTheWantedOnesFirst) {
    Pieces pieces;
    pieces.waits = true;
    EventLoop events;
    Feed feed(nullptr);
    feed.watch(events);
    unsigned arrivals = 0;
    feed.on_arrival([&] { arrivals++; });
    feed.set_patience(block::Far::Patience::fails);
    for (unsigned i = 0; i < Feed::connections; i++) feed.expect(fmt::format("busy{}", i), pieces.of("busy"));
    for (unsigned i = 0; i < Feed::connections; i++) pieces.running.acquire();
    for (unsigned i = 0; i < 10; i++)
        feed.expect(fmt::format("expected{}", i), pieces.of(fmt::format("expected{}", i)));
    EXPECT_EQ(text_of(feed, pieces, "wanted"), "error: wanted: is on its way");
    EXPECT_EQ(text_of(feed, pieces, "expected7"), "error: expected7: is on its way");
    EXPECT_EQ(pieces.count(), Feed::connections);
    for (unsigned i = 0; i < 2; i++) {
        pieces.go.release();
        pieces.running.acquire();
    }
    {
        const std::lock_guard lock(pieces.mutex);
        EXPECT_EQ(pieces.begun[Feed::connections], "wanted");
        EXPECT_EQ(pieces.begun[Feed::connections + 1], "expected7");
    }
    pieces.go.release(64);
    while (arrivals == 0) events.poll(EventLoop::for_ever);
}

TEST(FeedTest, OnlyTheNewestExpectationsAreKept) {
    Pieces pieces;
    pieces.waits = true;
    Feed feed(nullptr);
    for (unsigned i = 0; i < Feed::connections; i++) feed.expect(fmt::format("busy{}", i), pieces.of("busy"));
    for (unsigned i = 0; i < Feed::connections; i++) pieces.running.acquire();
    const usize all = 3 * Feed::most_expected;
    for (usize i = 0; i < all; i++) feed.expect(fmt::format("{}", i), pieces.of(fmt::format("{}", i)));
    pieces.go.release(static_cast<std::ptrdiff_t>(all + Feed::connections));
    for (usize i = 0; i < Feed::most_expected; i++) pieces.running.acquire();
    EXPECT_EQ(text_of(feed, pieces, "last", 1), "t");
    const std::lock_guard lock(pieces.mutex);
    EXPECT_EQ(pieces.begun.size(), Feed::connections + Feed::most_expected + 1);
    EXPECT_EQ(std::count(pieces.begun.begin(), pieces.begun.end(), "0"), 0);
}

TEST(FeedTest, WhatIsHeldIsBounded) {
    Pieces pieces;
    Feed feed(nullptr);
    constexpr usize size = Feed::most_bytes / 4;
    for (const char* key : {"a", "b", "c", "d", "a", "e"}) EXPECT_EQ(text_of(feed, pieces, key, size).size(), size);
    EXPECT_EQ(pieces.count(), 5U) << "a was still there";
    text_of(feed, pieces, "a", size);
    EXPECT_EQ(pieces.count(), 5U) << "it was used after b";
    text_of(feed, pieces, "b", size);
    EXPECT_EQ(pieces.count(), 6U);
    EXPECT_EQ(text_of(feed, pieces, "large", 2 * Feed::most_bytes).size(), 2 * Feed::most_bytes);
}

TEST(FeedTest, AFailureIsToldAndTheNextReadAsksAgain) {
    Pieces pieces;
    pieces.problems["a"] = "http://h/a: the server answers 404";
    Lines log;
    EventLoop events;
    Feed feed(&log);
    feed.watch(events);
    unsigned arrivals = 0;
    feed.on_arrival([&] { arrivals++; });
    EXPECT_EQ(text_of(feed, pieces, "a"), "error: http://h/a: the server answers 404");
    EXPECT_EQ(text_of(feed, pieces, "a"), "error: http://h/a: the server answers 404");
    EXPECT_EQ(pieces.count(), 2U);
    events.poll(0);
    arrivals = 0;

    feed.set_patience(block::Far::Patience::fails);
    text_of(feed, pieces, "a");
    EXPECT_TRUE(feed.take_missed());
    while (arrivals == 0) events.poll(EventLoop::for_ever);
    for (unsigned i = 0; i < 2; i++) {
        EXPECT_EQ(text_of(feed, pieces, "a"), "error: http://h/a: the server answers 404") << "all that waited for it";
        EXPECT_FALSE(feed.take_missed());
    }
    EXPECT_EQ(pieces.count(), 3U);
    feed.forget_failures();
    {
        const std::lock_guard lock(pieces.mutex);
        pieces.problems.clear();
    }
    text_of(feed, pieces, "a");
    EXPECT_TRUE(feed.take_missed());
    feed.set_patience(block::Far::Patience::waits);
    EXPECT_EQ(text_of(feed, pieces, "a"), "aaa");
    const std::lock_guard lock(log.mutex);
    EXPECT_EQ(log.lines, std::vector<std::string>(3,
                                                  "disk: http://h/a: the server answers 404; the guest gets an I/O "
                                                  "error"));
}

TEST(FeedTest, AFailureThatNobodyHasSeenIsNotForgotten) {
    Pieces pieces;
    pieces.problems["a"] = "gone";
    EventLoop events;
    Feed feed(nullptr);
    feed.watch(events);
    unsigned arrivals = 0;
    feed.on_arrival([&] { arrivals++; });
    feed.set_patience(block::Far::Patience::fails);
    text_of(feed, pieces, "a");
    while (arrivals == 0) events.poll(EventLoop::for_ever);
    feed.forget_failures();
    EXPECT_EQ(text_of(feed, pieces, "a"), "error: gone");
}

TEST(FeedTest, ItsEndStopsWhatIsExpected) {
    Pieces pieces;
    {
        Feed feed(nullptr);
        for (unsigned i = 0; i < 200; i++) feed.expect(fmt::format("{}", i), pieces.of("x"));
    }
    EXPECT_LE(pieces.count(), 200U);
}

struct ChunkCacheTest : ::testing::Test {
    void SetUp() override {
        char name[] = "/tmp/viv-feed-test-XXXXXX";
        ASSERT_NE(mkdtemp(name), nullptr);
        scratch = name;
        cache = scratch + "/cache";
    }
    void TearDown() override { std::filesystem::remove_all(scratch); }
    std::string scratch, cache;
    static Bytes chunk(u8 fill, usize size = 1000) { return Bytes(size, fill); }
    static usize files(const std::string& in) {
        usize count = 0;
        for (const auto& entry : std::filesystem::recursive_directory_iterator(in))
            if (entry.is_regular_file() && entry.path().filename() != "url") count++;
        return count;
    }
    static std::string file_of(const std::string& in, const Hash128& hash) {
        for (const auto& entry : std::filesystem::recursive_directory_iterator(in))
            if (entry.path().filename() == hash.hex()) return entry.path();
        return "";
    }
};

TEST_F(ChunkCacheTest, WhatIsKeptIsFoundAgainForTheSameFolderOnly) {
    const auto hash = hash128(chunk(1));
    {
        ChunkCache first(cache, "http://h/");
        EXPECT_FALSE(first.find(hash, 1000));
        first.keep(hash, chunk(1));
        EXPECT_EQ(first.find(hash, 1000), chunk(1));
        EXPECT_FALSE(first.find(hash, 999));
        EXPECT_FALSE(first.find(hash, 1001));
    }
    EXPECT_EQ(ChunkCache(cache, "http://h/").find(hash, 1000), chunk(1));
    EXPECT_FALSE(ChunkCache(cache, "http://other/").find(hash, 1000));
    EXPECT_FALSE(ChunkCache("", "http://h/").find(hash, 1000));
}

TEST_F(ChunkCacheTest, OneWithAnotherUrlInItsFolderIsNotUsed) {
    const auto hash = hash128(chunk(1));
    ChunkCache(cache, "http://h/").keep(hash, chunk(1));
    for (const auto& entry : std::filesystem::recursive_directory_iterator(cache))
        if (entry.path().filename() == "url") std::filesystem::resize_file(entry.path(), 4);
    ChunkCache changed(cache, "http://h/");
    EXPECT_FALSE(changed.find(hash, 1000));
    changed.keep(hash128(chunk(2)), chunk(2));
    EXPECT_EQ(files(cache), 1U);
}

TEST_F(ChunkCacheTest, WhatDoesNotFitItsHashIsNotThere) {
    ChunkCache kept(cache, "http://h/");
    kept.keep(hash128(chunk(1)), chunk(2));
    EXPECT_FALSE(kept.find(hash128(chunk(1)), 1000));
}

TEST_F(ChunkCacheTest, WhatWasUsedLastStays) {
    constexpr u64 limit = 16'000;
    const auto old = std::filesystem::file_time_type::clock::now() - std::chrono::hours(10);
    {
        ChunkCache kept(cache, "http://h/", limit);
        for (u8 i = 0; i < 14; i++) {
            kept.keep(hash128(chunk(i)), chunk(i));
            std::filesystem::last_write_time(file_of(cache, hash128(chunk(i))), old + std::chrono::minutes(i));
        }
        EXPECT_EQ(files(cache), 14U);
        EXPECT_TRUE(kept.find(hash128(chunk(0)), 1000)) << "used now";
        ChunkCache(cache, "http://other/", limit).keep(hash128(chunk(50, 3000)), chunk(50, 3000));
    }
    const ChunkCache again(cache, "http://h/", limit);
    EXPECT_EQ(files(cache), 12U) << "fourteen kilobytes";
    EXPECT_TRUE(again.find(hash128(chunk(0)), 1000));
    EXPECT_FALSE(again.find(hash128(chunk(1)), 1000));
    EXPECT_TRUE(again.find(hash128(chunk(13)), 1000));
}

}  // namespace
}  // namespace viv::native
