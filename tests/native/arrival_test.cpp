// Chunks that an opened machine fetched: kept for its next opening, checked, and bounded.
#include "native/arrival.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <chrono>
#include <filesystem>
#include <fstream>

namespace viv::native {
namespace {

namespace fs = std::filesystem;

// Chunk i is a thousand bytes of i, but for what is missing.
class Store final : public state::ChunkStore {
public:
    explicit Store(unsigned& asked) : asked_(asked) {}
    Result<void> fetch(const Hash128& hash, std::span<u8> out) override {
        asked_++;
        for (unsigned i = 0; i < 256; i++) {
            const std::vector<u8> chunk(1000, static_cast<u8>(i));
            if (hash128(chunk) != hash) continue;
            std::copy(chunk.begin(), chunk.end(), out.begin());
            return {};
        }
        return Error{"the server answers 404"};
    }

private:
    unsigned& asked_;
};

class Arrivals : public ::testing::Test {
protected:
    void SetUp() override {
        char name[] = "/tmp/viv-arrival-test-XXXXXX";
        ASSERT_NE(mkdtemp(name), nullptr);
        scratch = name;
    }
    void TearDown() override { fs::remove_all(scratch); }

    std::unique_ptr<Arrival> open(const Hash128& identity = {1, 2}) {
        asked = 0;
        return std::make_unique<Arrival>(std::make_unique<Store>(asked), scratch + "/cache", identity);
    }
    static void expect_chunk(Arrival& arrival, u8 number) {
        const std::vector<u8> chunk(1000, number);
        std::vector<u8> out(chunk.size());
        ASSERT_TRUE(arrival.fetch(hash128(chunk), out).ok());
        EXPECT_EQ(out, chunk);
    }
    std::string file(const Hash128& identity = {1, 2}) const { return scratch + "/cache/arrivals/" + identity.hex(); }
    usize files() const {
        return static_cast<usize>(
            std::distance(fs::directory_iterator(scratch + "/cache/arrivals"), fs::directory_iterator()));
    }

    std::string scratch;
    unsigned asked = 0;
};

TEST_F(Arrivals, WhatHasComeIsAtHandTheNextTime) {
    auto first = open();
    for (u8 i = 0; i < 5; i++) expect_chunk(*first, i);
    EXPECT_EQ(asked, 5U);
    first->keep();
    auto second = open();
    for (u8 i = 2; i < 7; i++) expect_chunk(*second, i);
    EXPECT_EQ(asked, 2U);
    second->keep();
    auto third = open();
    for (u8 i = 0; i < 7; i++) expect_chunk(*third, i);
    EXPECT_EQ(asked, 0U) << "those that the second did not want as well";
    auto other = open({3, 4});
    expect_chunk(*other, 0);
    EXPECT_EQ(asked, 1U);
}

TEST_F(Arrivals, ErrorsPassAndAreNotKept) {
    auto first = open();
    std::vector<u8> out(10);
    const auto done = first->fetch({5, 6}, out);
    ASSERT_FALSE(done.ok());
    EXPECT_EQ(done.error().message, "the server answers 404");
    first->keep();
    EXPECT_FALSE(fs::exists(file()));
}

TEST_F(Arrivals, DamagedRecordsAndThoseBehindThemAreFetched) {
    auto first = open();
    for (u8 i = 0; i < 4; i++) expect_chunk(*first, i);
    first->keep();
    const auto size = fs::file_size(file());
    {
        std::fstream out(file(), std::ios::in | std::ios::out | std::ios::binary);
        out.seekp(8 + 2 * 1020 + 500);
        out.put('\xff');
    }
    auto second = open();
    for (u8 i = 0; i < 4; i++) expect_chunk(*second, i);
    EXPECT_EQ(asked, 2U);
    for (const u64 cut : {size - 1, u64{8 + 1020 + 10}, u64{7}, u64{0}}) {
        fs::resize_file(file(), cut);
        auto third = open();
        for (u8 i = 0; i < 4; i++) expect_chunk(*third, i);
        EXPECT_GE(asked, 2U);
    }
}

TEST_F(Arrivals, ASizeThatIsNotTheOneKeptIsAskedFor) {
    auto first = open();
    expect_chunk(*first, 1);
    first->keep();
    auto second = open();
    std::vector<u8> out(2000);
    ASSERT_TRUE(second->fetch(hash128(std::vector<u8>(1000, 1)), out).ok());
    EXPECT_EQ(asked, 1U);
}

TEST_F(Arrivals, TheMachinesThatWereOpenedLastStay) {
    const auto start = fs::file_time_type::clock::now() - std::chrono::hours(1);
    for (u64 i = 0; i < Arrival::most_machines + 3; i++) {
        auto arrival = open({i, 0});
        expect_chunk(*arrival, 1);
        arrival->keep();
        // In this order, whatever the file system's clock knows.
        fs::last_write_time(file({i, 0}), start + std::chrono::seconds(i));
    }
    auto known = open({2, 0});
    expect_chunk(*known, 1);
    EXPECT_EQ(asked, 1U) << "pushed out";
    auto used = open({3, 0});
    expect_chunk(*used, 1);
    EXPECT_EQ(asked, 0U);
    used->keep();
    for (u64 i = 100; i < 102; i++) {
        auto arrival = open({i, 0});
        expect_chunk(*arrival, 1);
        arrival->keep();
    }
    EXPECT_EQ(files(), Arrival::most_machines);
    EXPECT_TRUE(fs::exists(file({3, 0}))) << "it was used";
    EXPECT_FALSE(fs::exists(file({4, 0})));
}

}  // namespace
}  // namespace viv::native
