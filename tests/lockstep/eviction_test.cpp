// The translator with caches of any size, from one that holds hardly a block, and with translations that are taken away
// at any moment: the same results as the interpreter's. Sizes, tiers, thresholds, limits and where regions are compiled
// are drawn for each of many small worlds. VIV_EVICTION_INSTRUCTIONS sets how many instructions are run in all,
// VIV_EVICTION_SEED from where.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "native/host_posix.h"
#include "tests/lockstep/translated_comparison.h"

namespace viv::riscv::test {
namespace {

constexpr u64 smallest_pages = 2;

jit::Options random_options(Random& random) {
    jit::Options options;
    // A few pages, behind those of the code that enters and leaves; any up to 1 MiB; or up to eight times as much.
    switch (random.below(4)) {
        case 0: options.cache_bytes = (smallest_pages + random.below(8)) * page_size; break;
        case 1: options.cache_bytes = (1 + random.below(8)) << 20; break;
        default: options.cache_bytes = (smallest_pages + random.below(257 - smallest_pages)) * page_size;
    }
    options.highest = random.percent(75) ? jit::Tier::full : jit::Tier::quick;
    options.quick_after = random.one_of<u32>({0, 0, 0, 1, 4});
    options.full_after = random.one_of<u32>({1, 1, 2, 8});
    options.block_limit = random.percent(50) ? 64 : 1 + static_cast<unsigned>(random.below(64));
    options.region.blocks = 1 + static_cast<unsigned>(random.below(48));
    options.region.instructions = 1 + static_cast<unsigned>(random.below(400));
    return options;
}

TEST(TranslatedEviction, AnyCacheAndTranslationsThatGoAtAnyMoment) {
    const u64 wanted = from_environment("VIV_EVICTION_INSTRUCTIONS", 100'000);
    Random random(from_environment("VIV_EVICTION_SEED", 1));
    native::PosixThreads threads;
    jit::CompileQueue queue(threads);
    u64 executed = 0, forced = 0, made = 0, regions = 0, dropped = 0;
    while (executed < wanted) {
        TranslatedSetup setup;
        setup.config = {
            .xlen = random.percent(70) ? 64u : 32u, .vlen = random.percent(70) ? 128u : 0u, .code_pages = 8};
        setup.options = random_options(random);
        if (random.percent(30)) setup.options.queue = &queue;
        setup.seed = random.next();
        setup.evictions = random.percent(80) ? Evictions::forced : Evictions::by_the_guest;
        setup.behaviour = random.percent(80) ? Behaviour::tame : Behaviour::wild;
        setup.runs = random.percent(80) ? 8 : 1;
        native::PosixCodeMemory code_memory;
        TranslatedComparison comparison(setup, code_memory);
        if (!comparison.usable()) return;
        comparison.run(10'000);
        if (std::getenv("VIV_EVICTION_INSTRUCTIONS") != nullptr) fmt::print("{}\n", comparison.summary());
        ASSERT_EQ(comparison.failure(), "");
        executed += comparison.executed();
        forced += comparison.forced();
        const exec::TranslatorReport report = comparison.tiers().report(0);
        for (const auto& tier : report.tiers) made += tier.made, dropped += tier.dropped;
        regions += comparison.tiers().statistics().regions;
    }
    if (std::getenv("VIV_EVICTION_INSTRUCTIONS") != nullptr)
        fmt::print("{} instructions, {} translations made, of these regions {}; {} dropped, {} evictions forced\n",
                   executed, made, regions, dropped, forced);
    EXPECT_GT(forced, wanted / 100);
    EXPECT_GT(dropped, wanted / 100);
    EXPECT_GT(regions, wanted / 500);
}

}  // namespace
}  // namespace viv::riscv::test
