// Blocks of random RISC-V instructions before and after each pass: the same hart, made twice, runs the one in one copy
// and the other in the other, in the oracle; then state, memory, device accesses, and where the block was left after
// how many instructions are compared. Every pass is also done twice, the second time changing nothing.
// VIV_IR_OPT_INSTRUCTIONS sets how many instructions each test runs, VIV_IR_OPT_SEED from where.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>

#include "engine/ir/effects.h"
#include "engine/ir/opt/uses.h"
#include "tests/ir_opt/passes_bench.h"
#include "tests/lockstep/exec_oracle_cases.h"

namespace viv::ir::opt::test {
namespace {

using riscv::BlockBuilder;
using riscv::State;
using riscv::test::Cases;
using riscv::test::Machine;
using Why = Outcome::Why;

u64 from_environment(const char* name, u64 otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 0);
}

// A branch that is known becomes a jump, and may be turned around.
Why kind_of(Why why) { return why == Why::taken || why == Why::not_taken || why == Why::indirect ? Why::jump : why; }

class Comparison {
public:
    Comparison(const riscv::HartConfig& config, u64 seed)
        : seed_(seed),
          a_(config),
          b_(config),
          cases_(config, seed),
          random_(~seed),
          builder_(config.xlen, config.vlen != 0),
          xlen_(config.xlen) {}

    void run(u64 instructions) {
        for (u64 step = 0; executed_ < instructions; step++) {
            if (step % 1024 == 0) cases_.new_world(a_, b_);
            if (step % 512 == 0) cases_.new_code(a_, b_);
            if (!compare(step)) return;
        }
    }
    void expect_coverage() {
        for (usize why = 0; why < outcomes_.size(); why++)
            EXPECT_GT(outcomes_[why], 0u) << "no block ended for reason " << why;
        const Machine::Accesses& made = b_.accesses();
        for (const u64 count : {made.loads, made.stores, made.atomics}) EXPECT_GT(count, 10u);
        for (usize pass = 0; pass < std::size(all_passes); pass++)
            EXPECT_LT(after_[pass], before_[pass]) << all_passes[pass].name << " made nothing shorter";
    }

private:
    bool compare(u64 step) {
        const State start = cases_.new_state(a_);
        a_.set_state(start);
        b_.set_state(start);
        // The counters are relative to what ran before, which helpers see.
        for (Machine* machine : {&a_, &b_}) {
            machine->hart().s.cycle_offset += machine->hart().instructions();
            machine->hart().s.instret_offset += machine->hart().instructions();
        }
        const u64 before_a = a_.hart().instructions(), before_b = b_.hart().instructions();
        const Block block = a_.build_block(builder_, 1 + static_cast<unsigned>(random_.below(24)));
        if (block.code.empty()) return true;

        // Half of the blocks go through the pipelines, half through single passes.
        const usize index = step % 2 == 0 ? 4 + step / 2 % 2 : step / 2 % 4;
        const Pass& pass = all_passes[index];
        Block changed = block;
        (passes_.*pass.run)(changed);
        before_[index] += block.code.size();
        after_[index] += changed.code.size();
        std::string wrong = check(pass, changed);

        const Machine::Result wanted = a_.run(block), got = b_.run(changed);
        executed_ += wanted.instructions;
        outcomes_[static_cast<usize>(wanted.outcome.why)]++;
        if (kind_of(wanted.outcome.why) != kind_of(got.outcome.why) || wanted.outcome.pc != got.outcome.pc ||
            wanted.instructions != got.instructions)
            wrong += fmt::format("  left for reason {} at {:#x} after {} instructions, not {} at {:#x} after {}\n",
                                 static_cast<int>(got.outcome.why), got.outcome.pc, got.instructions,
                                 static_cast<int>(wanted.outcome.why), wanted.outcome.pc, wanted.instructions);
        State end_a, end_b;
        std::memcpy(static_cast<void*>(&end_a), &a_.hart().s, sizeof end_a);
        std::memcpy(static_cast<void*>(&end_b), &b_.hart().s, sizeof end_b);
        end_a.cycle_offset -= before_a, end_a.instret_offset -= before_a;
        end_b.cycle_offset -= before_b, end_b.instret_offset -= before_b;
        if (std::memcmp(&end_a, &end_b, sizeof end_a) != 0) wrong += differences(end_a, end_b);
        if ((writes_memory(block) || wanted.outcome.faulted() || step % 64 == 0) &&
            std::memcmp(a_.ram(), b_.ram(), riscv::test::ram_pages * page_size) != 0)
            wrong += "  the RAM differs\n";
        if (a_.device_hash() != b_.device_hash()) wrong += "  the device saw other accesses\n";
        if (wrong.empty()) return true;
        ADD_FAILURE() << pass.name << ", xlen " << xlen_ << ", seed " << seed_ << ", step " << step << ":\n"
                      << wrong << print(block, slots_) << "has become\n"
                      << print(changed, slots_);
        return false;
    }

    // What holds for the block that comes out, whatever it does.
    std::string check(const Pass& pass, const Block& changed) {
        const auto verified = verify(changed, slots_);
        if (!verified) return "  " + verified.error().message + "\n";
        Block again = changed;
        (passes_.*pass.run)(again);
        if (!same(again, changed)) return "  a second time gives\n" + print(again, slots_);
        uses_.find(changed);
        for (ValueId id = 0; id < changed.code.size(); id++)
            if (uses_.last(id) < id || (uses_.count(id) != 0) != (uses_.last(id) != id)) return "  uses are wrong\n";
        return {};
    }

    static bool writes_memory(const Block& block) {
        return std::any_of(block.code.begin(), block.code.end(),
                           [&](const Inst& inst) { return (effects_of(block, inst) & effect_writes_memory) != 0; });
    }

    std::string differences(const State& a, const State& b) const {
        std::string text;
        const auto* bytes_a = reinterpret_cast<const u8*>(&a);
        const auto* bytes_b = reinterpret_cast<const u8*>(&b);
        for (usize at = 0; at + 8 <= sizeof(State); at += 8) {
            const u64 left = load_host<u64>(bytes_a + at), right = load_host<u64>(bytes_b + at);
            if (left == right) continue;
            std::string name = fmt::format("state+{:#x}", at);
            for (const Slot& slot : slots_.all())
                if (slot.offset >= at && slot.offset < at + 8) name += " " + slot.name;
            text += fmt::format("  {}: before {:#018x}, after {:#018x}\n", name, left, right);
        }
        return text;
    }

    u64 seed_;
    Machine a_, b_;
    Cases cases_;
    riscv::test::Random random_;
    BlockBuilder builder_;
    unsigned xlen_;
    SlotTable slots_ = riscv::state_slots();
    Passes passes_;
    Uses uses_;
    u64 executed_ = 0;
    std::array<u64, 9> outcomes_{};
    std::array<u64, std::size(all_passes)> before_{}, after_{};
};

void compare(const riscv::HartConfig& config, u64 instructions) {
    Comparison comparison(config, from_environment("VIV_IR_OPT_SEED", 1) * 4 + config.xlen + config.vlen);
    comparison.run(from_environment("VIV_IR_OPT_INSTRUCTIONS", instructions));
    if (!::testing::Test::HasFailure()) comparison.expect_coverage();
}

TEST(RiscvBlocks, Rv64MeanTheSameAfterEveryPass) { compare({.xlen = 64, .vlen = 128, .code_pages = 8}, 250'000); }
TEST(RiscvBlocks, Rv32MeanTheSameAfterEveryPass) { compare({.xlen = 32, .vlen = 0, .code_pages = 8}, 150'000); }

}  // namespace
}  // namespace viv::ir::opt::test
