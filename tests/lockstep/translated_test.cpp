// Translated code against the interpreter: the same random worlds, code and states as in exec_oracle_test.cpp, up to
// some dozens of instructions at a time, so that blocks are linked, left in the middle, given up and overwritten. One
// hart interprets, the other translates everything at once; all state, memory and device accesses are compared.
// VIV_TRANSLATED_INSTRUCTIONS sets how many instructions each test runs, VIV_TRANSLATED_SEED from where.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "engine/isa/riscv/translation.h"
#include "engine/jit/catalog.h"
#include "engine/lang/bytes.h"
#include "native/host_posix.h"
#include "tests/lockstep/exec_oracle_cases.h"

namespace viv::riscv::test {
namespace {

u64 from_environment(const char* name, u64 otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 0);
}

class Comparison {
public:
    Comparison(const HartConfig& config, u64 seed, const jit::Options& options)
        : config_(config),
          options_(options),
          seed_(seed),
          a_(config),
          b_(config),
          cases_(config, seed),
          random_(~seed),
          guest_(b_.hart()) {
        auto made = jit::make_translator(options, b_.hart(), guest_, code_memory_);
        if (made.ok()) translator_ = std::move(*made);
        b_.hart().set_translator(translator_.get());
    }
    ~Comparison() { b_.hart().set_translator(nullptr); }

    bool usable() const { return translator_ != nullptr; }

    // Stops at the first difference.
    void run(u64 instructions) {
        u64 executed = 0;
        for (u64 step = 0; executed < instructions; step++) {
            // Also without new code: what has been translated is then found at another address.
            if (step % 128 == 0) cases_.new_world(a_, b_);
            if (step % 256 == 0) cases_.new_code(a_, b_);
            const u64 count = 1 + random_.below(random_.percent(50) ? 4 : 60);
            if (!compare(step, count)) return;
            executed += count;
        }
        if (config_.vlen != 0) {
            EXPECT_GT(vectors_, instructions / 20'000) << "few blocks have vectors as IR";
        }
        const jit::Statistics& statistics = static_cast<jit::Tiers&>(*translator_).statistics();
        EXPECT_GT(statistics.translations, 1000u);
        if (options_.highest == jit::Tier::full) {
            EXPECT_GT(statistics.regions, 50u);
        }
        for (const jit::ExitKind kind : {jit::ExitKind::jump, jit::ExitKind::budget, jit::ExitKind::interpret,
                                         jit::ExitKind::dispatch, jit::ExitKind::left})
            EXPECT_GT(statistics.exits[static_cast<usize>(kind)], 10u) << static_cast<unsigned>(kind);
    }

private:
    bool compare(u64 step, u64 count) {
        const State start = cases_.new_state(a_);
        a_.set_state(start);
        b_.set_state(start);
        const u64 before_a = a_.hart().instructions(), before_b = b_.hart().instructions();
        a_.hart().s.cycle_offset += before_a, a_.hart().s.instret_offset += before_a;
        b_.hart().s.cycle_offset += before_b, b_.hart().s.instret_offset += before_b;
        const Cpu::Exit exit_a = a_.hart().run(count, Cpu::Step::run), exit_b = b_.hart().run(count, Cpu::Step::run);

        std::string wrong;
        if (exit_a != exit_b) wrong += "  the exits differ\n";
        if (a_.hart().instructions() - before_a != b_.hart().instructions() - before_b)
            wrong += fmt::format("  the interpreter executed {} instructions, the translator {}\n",
                                 a_.hart().instructions() - before_a, b_.hart().instructions() - before_b);
        State end_a, end_b;
        std::memcpy(static_cast<void*>(&end_a), &a_.hart().s, sizeof end_a);
        std::memcpy(static_cast<void*>(&end_b), &b_.hart().s, sizeof end_b);
        normalize(end_a, before_a);
        normalize(end_b, before_b);
        if (std::memcmp(&end_a, &end_b, sizeof end_a) != 0)
            wrong += differences(end_a, "interpreted", end_b, "translated");
        if (std::memcmp(a_.ram(), b_.ram(), ram_pages * page_size) != 0) wrong += "  the RAM differs\n";
        if (a_.device_hash() != b_.device_hash()) wrong += "  the device saw other accesses\n";
        if (step % 16 == 0) count_vectors(start.pc);
        if (wrong.empty()) return true;
        ADD_FAILURE() << "xlen " << config_.xlen << ", seed " << seed_ << ", step " << step << ", " << count
                      << " instructions from pc "
                      << fmt::format("{:#x}, mstatus {:#x}, privilege {}", start.pc, start.mstatus,
                                     static_cast<unsigned>(start.privilege))
                      << ":\n"
                      << wrong << listing(start, count);
        return false;
    }

    // Blocks with vector arithmetic among those that have been translated.
    void count_vectors(u64 pc) {
        for (const exec::TranslatedCode& code : b_.hart().translated_code(pc))
            if (code.ir_after.find("= lanes.") != std::string::npos) vectors_++;
    }

    // The course of the interpreter, once more from the start.
    std::string listing(const State& start, u64 count) {
        std::string text;
        a_.set_state(start);
        for (u64 i = 0; i < count; i++) {
            const u64 pc = a_.hart().s.pc;
            text += fmt::format("  {:#x}: {}\n", pc, a_.hart().disassemble(pc).text);
            a_.hart().run(1, Cpu::Step::run);
        }
        return text;
    }

    HartConfig config_;
    jit::Options options_;
    u64 seed_, vectors_ = 0;
    Machine a_, b_;
    Cases cases_;
    Random random_;
    native::PosixCodeMemory code_memory_;
    HartTranslation guest_;
    std::unique_ptr<exec::Translator> translator_;
};

void compare(const HartConfig& config, u64 instructions, const jit::Options& options) {
    Comparison comparison(config, from_environment("VIV_TRANSLATED_SEED", 1) * 4 + config.xlen + config.vlen, options);
    // A host without a backend has nothing to compare.
    if (comparison.usable()) comparison.run(from_environment("VIV_TRANSLATED_INSTRUCTIONS", instructions));
}

constexpr u64 mebi = u64{1} << 20;
const jit::Options quick{.cache_bytes = 16 * mebi, .highest = jit::Tier::quick, .quick_after = 0};
// Everything that is executed a third time is part of a region.
const jit::Options full{.cache_bytes = 16 * mebi, .highest = jit::Tier::full, .quick_after = 0, .full_after = 1};

TEST(Translated, EveryInstruction64) { compare({.xlen = 64, .vlen = 128, .code_pages = 8}, 600'000, quick); }
TEST(Translated, EveryInstruction32) { compare({.xlen = 32, .vlen = 128, .code_pages = 8}, 200'000, quick); }
TEST(Translated, WiderVectors64) { compare({.xlen = 64, .vlen = 256, .code_pages = 8}, 300'000, quick); }
TEST(Translated, WidestVectors64) { compare({.xlen = 64, .vlen = 1024, .code_pages = 8}, 200'000, full); }
TEST(Translated, WiderVectors32) { compare({.xlen = 32, .vlen = 512, .code_pages = 8}, 200'000, full); }
TEST(Translated, WithoutVectors) { compare({.xlen = 64, .vlen = 0, .code_pages = 8}, 300'000, quick); }
TEST(Translated, Regions64) { compare({.xlen = 64, .vlen = 128, .code_pages = 8}, 600'000, full); }
TEST(Translated, Regions32) { compare({.xlen = 32, .vlen = 128, .code_pages = 8}, 200'000, full); }
TEST(Translated, RegionsWithoutVectors) { compare({.xlen = 64, .vlen = 0, .code_pages = 8}, 600'000, full); }
// Regions come when they are ready, and guest code may have changed by then.
TEST(Translated, RegionsCompiledBesideTheHart) {
    native::PosixThreads threads;
    jit::CompileQueue queue(threads);
    jit::Options beside = full;
    beside.queue = &queue;
    compare({.xlen = 64, .vlen = 128, .code_pages = 8}, 600'000, beside);
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
    compare({.xlen = 64, .vlen = 128, .code_pages = 8}, 300'000, small);
}

}  // namespace
}  // namespace viv::riscv::test
