// Translated code against the interpreter, and against the oracle: the same random worlds, code and states as in
// exec_oracle_test.cpp, up to some dozens of instructions at a time, so that blocks are linked, left in the middle,
// given up and overwritten. VIV_TRANSLATED_INSTRUCTIONS sets how many instructions each test runs, those that trap not
// counted, VIV_TRANSLATED_SEED from where; then each says what it did.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "engine/jit/catalog.h"
#include "engine/lang/bytes.h"
#include "native/host_posix.h"
#include "tests/lockstep/translated_comparison.h"

namespace viv::riscv::test {
namespace {

void compare(TranslatedSetup setup, u64 instructions) {
    setup.seed = from_environment("VIV_TRANSLATED_SEED", 1) * 4 + setup.config.xlen + setup.config.vlen;
    native::PosixCodeMemory code_memory;
    TranslatedComparison comparison(setup, code_memory);
    if (!comparison.usable()) return;
    comparison.run(from_environment("VIV_TRANSLATED_INSTRUCTIONS", instructions));
    if (std::getenv("VIV_TRANSLATED_INSTRUCTIONS") != nullptr) fmt::print("{}\n", comparison.summary());
    ASSERT_EQ(comparison.failure(), "");
    if (setup.config.vlen != 0) {
        EXPECT_GT(comparison.vectors(), comparison.executed() / 20'000) << "few blocks have vectors as IR";
    }
    const jit::Statistics& statistics = comparison.tiers().statistics();
    EXPECT_GT(statistics.translations, 1000u);
    if (setup.options.highest == jit::Tier::full) {
        EXPECT_GT(statistics.regions, setup.runs > 1 ? 1000u : 50u);
    }
    for (const jit::ExitKind kind : {jit::ExitKind::jump, jit::ExitKind::budget, jit::ExitKind::interpret,
                                     jit::ExitKind::dispatch, jit::ExitKind::left})
        EXPECT_GT(statistics.exits[static_cast<usize>(kind)], 10u) << static_cast<unsigned>(kind);
}

constexpr u64 mebi = u64{1} << 20;
const jit::Options quick{.cache_bytes = 16 * mebi, .highest = jit::Tier::quick, .quick_after = 0};
// Everything that is executed a third time is part of a region.
const jit::Options full{.cache_bytes = 16 * mebi, .highest = jit::Tier::full, .quick_after = 0, .full_after = 1};
constexpr HartConfig rv64{.xlen = 64, .vlen = 128, .code_pages = 8}, rv32{.xlen = 32, .vlen = 128, .code_pages = 8},
    rv64_scalar{.xlen = 64, .vlen = 0, .code_pages = 8};

TEST(Translated, EveryInstruction64) { compare({.config = rv64, .options = quick}, 60'000); }
TEST(Translated, EveryInstruction32) { compare({.config = rv32, .options = quick}, 20'000); }
TEST(Translated, WiderVectors64) {
    compare({.config = {.xlen = 64, .vlen = 256, .code_pages = 8}, .options = quick}, 30'000);
}
TEST(Translated, WidestVectors64) {
    compare({.config = {.xlen = 64, .vlen = 1024, .code_pages = 8}, .options = full}, 20'000);
}
TEST(Translated, WiderVectors32) {
    compare({.config = {.xlen = 32, .vlen = 512, .code_pages = 8}, .options = full}, 20'000);
}
TEST(Translated, WithoutVectors) { compare({.config = rv64_scalar, .options = quick}, 30'000); }
TEST(Translated, Regions64) { compare({.config = rv64, .options = full}, 60'000); }
TEST(Translated, Regions32) { compare({.config = rv32, .options = full}, 20'000); }
TEST(Translated, RegionsWithoutVectors) { compare({.config = rv64_scalar, .options = full}, 60'000); }
// Regions come when they are ready, and guest code may have changed by then.
TEST(Translated, RegionsCompiledBesideTheHart) {
    native::PosixThreads threads;
    jit::CompileQueue queue(threads);
    jit::Options beside = full;
    beside.queue = &queue;
    compare({.config = rv64, .options = beside}, 60'000);
}
// An instruction across a page boundary is translated, too, and known by both pages.
TEST(Translated, ALoopOverAPageBoundary) {
    Machine machine({.xlen = 64, .vlen = 0, .code_pages = 8});
    HartTranslation guest(machine.hart());
    native::PosixCodeMemory code_memory;
    auto made = jit::make_translator(quick, machine.hart(), guest, code_memory);
    if (!made.ok() || *made == nullptr) GTEST_SKIP() << "this host has no backend";
    machine.hart().set_translator(made->get());
    u8 code[10];
    store_le(code, u16{0x0085});           // addi x1, x1, 1, in its short form
    store_le(code + 2, u32{0x0011'0113});  // addi x2, x2, 1
    store_le(code + 6, u32{0xffbf'f06f});  // j .-6
    const u64 start = ram_base + page_size - 4;
    machine.memory().write(start, code);
    State s;
    s.pc = start;
    machine.set_state(s);
    machine.hart().run(3000, Cpu::Step::run);
    EXPECT_EQ(machine.hart().s.x[1], 1000u);
    EXPECT_EQ(machine.hart().s.x[2], 1000u);
    const jit::Statistics& statistics = static_cast<jit::Tiers&>(**made).statistics();
    EXPECT_LT(statistics.entries, 50u);
    EXPECT_LT(statistics.interpreted_blocks, 50u);
    // The half of it on the second page becomes that of addi x2, x2, 2.
    store_le(code, u16{0x0021});
    machine.memory().write(ram_base + page_size, std::span(code, 2));
    EXPECT_TRUE(machine.hart().code_changed(ram_base + page_size, 2));
    machine.hart().run(3000, Cpu::Step::run);
    EXPECT_EQ(machine.hart().s.x[1], 2000u);
    EXPECT_EQ(machine.hart().s.x[2], 3000u);
    machine.hart().set_translator(nullptr);
}
// The ring is full all the time.
TEST(Translated, ACacheOfFewPages) {
    jit::Options small = full;
    small.cache_bytes = 32 << 10;
    compare({.config = rv64, .options = small}, 20'000);
}

// What is compared with the oracle loops, and gets into regions, since it runs eight times from the same instruction.
void compare_with_oracle(const HartConfig& config, const jit::Options& options, u64 instructions) {
    compare(
        {.config = config, .options = options, .reference = Reference::oracle, .behaviour = Behaviour::tame, .runs = 8},
        instructions);
}
TEST(TranslatedOracle, Quick64) { compare_with_oracle(rv64, quick, 100'000); }
TEST(TranslatedOracle, Quick32) { compare_with_oracle(rv32, quick, 50'000); }
TEST(TranslatedOracle, Regions64) { compare_with_oracle(rv64, full, 150'000); }
TEST(TranslatedOracle, Regions32) { compare_with_oracle(rv32, full, 50'000); }
TEST(TranslatedOracle, RegionsWithoutVectors) { compare_with_oracle(rv64_scalar, full, 100'000); }

}  // namespace
}  // namespace viv::riscv::test
