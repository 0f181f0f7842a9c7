// What the tiers tell of themselves, with a backend whose code is data: samples, exits, sizes, and what is held.
#include <gtest/gtest.h>

#include "tests/jit/toy_guest.h"

namespace viv::jit {
namespace {

using namespace test;

constexpr Options quick{.highest = Tier::quick, .quick_after = 0};
// 0: on to the loop, which is 4: of three instructions.
constexpr std::initializer_list<u8> one_loop = {0, 0, 0x84, 0, 0, 0, 0x84};

TEST(Report, SamplesGoToTheLoop) {
    Bench bench(one_loop, quick);
    for (int i = 0; i < 11; i++) bench.run(30);
    const auto report = bench.report();
    EXPECT_EQ(report.backend, "walker");
    EXPECT_EQ(report.samples, 11u);
    EXPECT_EQ(Bench::count(report, "budget"), 11u);
    EXPECT_EQ(Bench::count(report, "jump"), 1u);  // of the entry, until it was linked
    EXPECT_EQ(report.entries, 12u);
    EXPECT_EQ(report.interpreted_blocks, 0u);
    EXPECT_EQ(report.cache_capacity, page_size);
    EXPECT_EQ(report.tiers[0].name, "quick");
    EXPECT_EQ(report.tiers[0].made, 2u);
    EXPECT_EQ(report.host_bytes_made, 2 * sizeof(Record));

    ASSERT_EQ(report.hottest.size(), 2u);
    const auto& loop = report.hottest[0];
    EXPECT_EQ(loop.pc, base + 4);
    EXPECT_EQ(loop.mode, 7u);
    EXPECT_EQ(loop.physical_page, physical);
    EXPECT_EQ(loop.tier, "quick");
    EXPECT_EQ(loop.blocks, 1u);
    EXPECT_EQ(loop.guest_bytes, 3u);
    EXPECT_GE(loop.host_bytes, sizeof(Record));
    EXPECT_EQ(loop.samples, 11u);
    EXPECT_EQ(loop.exits, 11u);
    EXPECT_EQ(report.hottest[1].pc, base);
    EXPECT_EQ(report.hottest[1].samples, 0u);
    EXPECT_EQ(report.hottest[1].exits, 1u);
}

TEST(Report, AsManyAsWereAskedFor) {
    Bench bench(one_loop, quick);
    bench.run(30);
    EXPECT_TRUE(bench.report(0).hottest.empty());
    ASSERT_EQ(bench.report(1).hottest.size(), 1u);
    EXPECT_EQ(bench.report(1).hottest[0].pc, base + 4);
}

TEST(Report, NothingHasRun) {
    Bench bench(one_loop, quick);
    const auto report = bench.report();
    EXPECT_EQ(report.entries, 0u);
    EXPECT_EQ(report.cache_used, 0u);
    EXPECT_TRUE(report.hottest.empty());
}

TEST(Report, TheInterpretersShareIsItsBlocks) {
    Bench bench(one_loop, {.highest = Tier::quick, .quick_after = 3});
    bench.run(30);
    EXPECT_EQ(bench.report().interpreted_blocks, 4u);  // the entry once, the loop three times
    EXPECT_EQ(bench.report().tiers[0].made, 1u);
}

TEST(Report, ARegionTakesThePlaceOfItsBlocks) {
    // 0: to 4 | 4: one, to 8 | 8: one, to 4
    Bench bench({0x84, 0, 0, 0, 0, 0x88, 0, 0, 0, 0x84}, {.highest = Tier::full, .quick_after = 0, .full_after = 10});
    bench.run(1 + 400);
    bench.run(8);
    const auto report = bench.report();
    EXPECT_EQ(Bench::count(report, "hot"), 1u);
    EXPECT_EQ(report.samples, 2u);
    EXPECT_EQ(report.tiers[0].made, 3u);
    EXPECT_EQ(report.tiers[0].dropped, 2u);
    EXPECT_EQ(report.tiers[1].name, "full");
    EXPECT_EQ(report.tiers[1].made, 1u);
    EXPECT_EQ(report.tiers[1].held, 1u);
    ASSERT_EQ(report.hottest.size(), 2u);
    EXPECT_EQ(report.hottest[0].tier, "full");
    EXPECT_EQ(report.hottest[0].pc, base + 4);
    EXPECT_EQ(report.hottest[0].blocks, 2u);
    EXPECT_EQ(report.hottest[0].guest_bytes, 4u);
    EXPECT_EQ(report.hottest[0].samples, 2u);
    EXPECT_EQ(report.hottest[0].exits, 2u);
}

TEST(Report, WhatIsGoneIsCountedButNotShown) {
    Bench bench(one_loop, quick);
    bench.run(30);
    EXPECT_TRUE(bench.tiers.code_written(physical + 4, 1));
    auto report = bench.report();
    EXPECT_EQ(report.samples, 1u);
    EXPECT_EQ(report.tiers[0].made, 2u);
    EXPECT_EQ(report.tiers[0].dropped, 1u);
    ASSERT_EQ(report.hottest.size(), 1u);
    EXPECT_EQ(report.hottest[0].pc, base);
    // Made anew, it begins at none; and all may be forgotten.
    bench.run(30);
    report = bench.report();
    EXPECT_EQ(report.samples, 2u);
    EXPECT_EQ(report.hottest[0].pc, base + 4);
    EXPECT_EQ(report.hottest[0].samples, 1u);
    bench.toy.forget_code();
    report = bench.report();
    EXPECT_EQ(report.samples, 2u);
    EXPECT_EQ(report.tiers[0].made, 3u);
    EXPECT_EQ(report.tiers[0].dropped, 3u);
    EXPECT_EQ(report.cache_used, 0u);
}

TEST(Report, AFullCacheDropsAndStaysWithinItsCapacity) {
    // Six blocks in a circle, with room for two beside the thunks: records of 16 bytes and what links need behind.
    Bench bench({0x81, 0x82, 0x83, 0x84, 0x85, 0x80}, quick, 96);
    for (int i = 0; i < 20; i++) {
        bench.run(7);
        EXPECT_LE(bench.report().tiers[0].held, 2u);
    }
    EXPECT_GT(bench.report().tiers[0].dropped, 20u);
}

}  // namespace
}  // namespace viv::jit
