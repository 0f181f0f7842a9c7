// Exec against Build and the oracle: random instructions of every extension, RV64 and RV32, from random states, one to
// eight at a time. The same instructions run on an interpreting hart and, as IR, in the oracle; then all state, memory
// and device accesses are compared. VIV_EXEC_ORACLE_INSTRUCTIONS sets how many instructions each test runs (a long run
// for a change of semantics), VIV_EXEC_ORACLE_SEED from where.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>

#include "engine/ir/effects.h"
#include "engine/ir/parse.h"
#include "engine/ir/print.h"
#include "engine/ir/verify.h"
#include "tests/lockstep/exec_oracle_cases.h"

namespace viv::riscv::test {
namespace {

u64 from_environment(const char* name, u64 otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 0);
}

class Comparison {
public:
    Comparison(const HartConfig& config, u64 seed)
        : config_(config),
          seed_(seed),
          a_(config),
          b_(config),
          cases_(config, seed),
          random_(~seed),
          builder_(config.xlen, config.vlen != 0),
          decoder_(config.xlen, config.vlen != 0) {
        executed_of_.resize(instruction_table().size());
    }

    // Stops at the first difference.
    void run(u64 instructions) {
        for (u64 step = 0; executed_ < instructions; step++) {
            if (step % 1024 == 0) cases_.new_world(a_, b_);
            if (step % 512 == 0) cases_.new_code(a_, b_);
            if (!compare(step)) return;
        }
    }

    void expect_coverage() {
        for (usize row = 0; row < instruction_table().size(); row++) {
            const InstructionInfo& info = instruction_table()[row];
            if (info.xlen == (config_.xlen == 64 ? Xlen::only32 : Xlen::only64)) continue;
            if (config_.vlen == 0 && info.operands == Operands::vector) continue;
            EXPECT_GT(executed_of_[row], 0u) << info.name << " was never executed";
        }
        for (usize why = 0; why < outcomes_.size(); why++)
            EXPECT_GT(outcomes_[why], 0u) << "no block ended for reason " << why;
        EXPECT_GT(conditional_stores_, 0u);
        if (config_.vlen != 0) {
            for (usize op = 0; op < ir::op_count; op++)
                for (unsigned lane = 2; lane < 6 && ir::is_lane_operation(static_cast<ir::Op>(op)); lane++)
                    EXPECT_GT(lanes_[op][lane], 5u) << ir::op_table[op].name << " of lane type " << lane;
            for (const ir::Op op : {ir::Op::splat, ir::Op::lane_mask, ir::Op::expand_bits, ir::Op::insert_bits,
                                    ir::Op::load_lanes, ir::Op::store_lanes})
                EXPECT_GT(vectors_[static_cast<usize>(op)], 50u) << ir::info_of(op).name;
        }
        const Machine::Accesses& made = b_.accesses();
        for (const u64 count : {made.loads, made.stores, made.atomics, made.crossing, made.misaligned})
            EXPECT_GT(count, 10u);
    }
    std::string summary() const {
        std::string text = fmt::format("{} instructions in {} blocks; ended by", executed_, blocks_);
        constexpr const char* names[] = {"jump",   "taken", "not taken", "indirect", "leave",
                                         "helper", "load",  "store",     "atomic"};
        for (usize why = 0; why < outcomes_.size(); why++) text += fmt::format(" {} {},", names[why], outcomes_[why]);
        const Machine::Accesses& made = b_.accesses();
        return text + fmt::format(
                          " not built {}; made by the oracle: loads {}, stores {}, atomics {}, of them misaligned {}, "
                          "across pages {}, conditional stores {}",
                          unbuilt_, made.loads, made.stores, made.atomics, made.misaligned, made.crossing,
                          conditional_stores_);
    }

private:
    bool compare(u64 step) {
        const State start = cases_.new_state(a_);
        a_.set_state(start);
        b_.set_state(start);
        const u64 before_a = a_.hart().instructions(), before_b = b_.hart().instructions();
        a_.hart().s.cycle_offset += before_a, a_.hart().s.instret_offset += before_a;
        b_.hart().s.cycle_offset += before_b, b_.hart().s.instret_offset += before_b;

        const Machine::Result result =
            b_.run_block(builder_, random_.percent(60) ? 1 : 1 + static_cast<unsigned>(random_.below(8)));
        a_.hart().run(result.instructions, Cpu::Step::run);

        std::string wrong;
        if (a_.hart().instructions() != before_a + result.instructions)
            wrong += fmt::format("  Exec executed {} instructions, Build {}\n", a_.hart().instructions() - before_a,
                                 result.instructions);
        State end_a, end_b;
        std::memcpy(static_cast<void*>(&end_a), &a_.hart().s, sizeof end_a);
        std::memcpy(static_cast<void*>(&end_b), &b_.hart().s, sizeof end_b);
        normalize(end_a, before_a);
        normalize(end_b, before_b);
        if (std::memcmp(&end_a, &end_b, sizeof end_a) != 0) wrong += differences(end_a, "Exec", end_b, "Build");
        const bool may_write = note(start, end_b, result);
        if ((may_write || step % 64 == 0) && std::memcmp(a_.ram(), b_.ram(), ram_pages * page_size) != 0)
            wrong += "  the RAM differs\n";
        if (a_.device_hash() != b_.device_hash()) wrong += "  the device saw other accesses\n";
        if (result.built) wrong += check_block(step);
        if (wrong.empty()) return true;
        ADD_FAILURE() << "xlen " << config_.xlen << ", seed " << seed_ << ", step " << step << ", "
                      << result.instructions << " instructions from pc "
                      << fmt::format("{:#x}, mstatus {:#x}, privilege {}", start.pc, start.mstatus,
                                     static_cast<unsigned>(start.privilege))
                      << ":\n"
                      << wrong << instructions(start) << (result.built ? ir::print(b_.block(), slots_) : "");
        return false;
    }

    // Every block keeps the rules; some are tried in text, which is slow.
    std::string check_block(u64 step) {
        const auto verified = ir::verify(b_.block(), slots_);
        if (!verified) return "  " + verified.error().message + "\n";
        if (step % 256 != 0) return {};
        const std::string text = ir::print(b_.block(), slots_);
        const auto parsed = ir::parse(text, slots_, helpers_);
        if (!parsed) return "  its text is refused: " + parsed.error().message + "\n";
        return ir::print(*parsed, slots_) == text ? "" : "  its text comes back changed\n";
    }

    u32 word_at(u64 pc) {
        u8 bytes[4] = {};
        if (b_.read(pc, bytes) < 2) return 0;
        return (bytes[0] & 3) == 3 ? load_le<u32>(bytes) : load_le<u16>(bytes);
    }
    std::string instructions(const State& start) {
        std::string text;
        for (const ir::Inst& inst : b_.block().code)
            if (inst.op == ir::Op::guest) text += fmt::format("  {:#x}: {:08x}\n", inst.imm, word_at(inst.imm));
        return text + fmt::format("  (the first is now {:08x})\n", word_at(start.pc));
    }

    // Counts what happened; whether the block may have written to memory.
    // Vector operations that have been executed.
    void note_vectors(const Machine::Result& result) {
        for (ir::ValueId id = 0; id < b_.block().code.size() && id < result.outcome.at; id++) {
            const ir::Inst& inst = b_.block().code[id];
            if (inst.op == ir::Op::lanes) lanes_[inst.imm][inst.imm2]++;
            vectors_[static_cast<usize>(inst.op)]++;
        }
    }
    bool note(const State& start, const State& end, const Machine::Result& result) {
        executed_ += result.instructions;
        blocks_++;
        if (!result.built) {
            unbuilt_++;
            return true;
        }
        outcomes_[static_cast<usize>(result.outcome.why)]++;
        note_vectors(result);
        bool writes = false;
        unsigned count = 0;
        for (const ir::Inst& inst : b_.block().code) {
            writes = writes || (ir::effects_of(b_.block(), inst) & ir::effect_writes_memory) != 0;
            if (inst.op != ir::Op::guest || count++ >= result.instructions) continue;
            const u32 word = word_at(inst.imm);
            const int row = decoder_.find(word);
            if (row < 0) continue;
            executed_of_[static_cast<usize>(row)]++;
            const bool conditional = (word & 0xf800'007f) == 0x1800'002f && reg(word, 7) != 0;
            if (conditional && start.reservation_valid && !end.reservation_valid && end.x[reg(word, 7)] == 0 &&
                count == 1 && !result.outcome.faulted())
                conditional_stores_++;
        }
        return writes;
    }

    HartConfig config_;
    u64 seed_;
    Machine a_, b_;
    Cases cases_;
    Random random_;
    BlockBuilder builder_;
    Decoder decoder_;
    ir::SlotTable slots_ = state_slots();
    std::vector<ir::Helper> helpers_ = block_helpers();
    u64 executed_ = 0, blocks_ = 0, unbuilt_ = 0, conditional_stores_ = 0;
    std::array<u64, 9> outcomes_{};
    std::vector<u64> executed_of_;
    std::array<std::array<u64, 7>, ir::op_count> lanes_{};  // by operation and lane type
    std::array<u64, ir::op_count> vectors_{};
};

void compare(const HartConfig& config, u64 instructions) {
    Comparison comparison(config, from_environment("VIV_EXEC_ORACLE_SEED", 1) * 4 + config.xlen + config.vlen);
    comparison.run(from_environment("VIV_EXEC_ORACLE_INSTRUCTIONS", instructions));
    if (!::testing::Test::HasFailure()) comparison.expect_coverage();
    ::testing::Test::RecordProperty("summary", comparison.summary());
    if (std::getenv("VIV_EXEC_ORACLE_INSTRUCTIONS") != nullptr)
        fmt::print("xlen {}, vlen {}: {}\n", config.xlen, config.vlen, comparison.summary());
}

// Found by the comparison: the slot in execution is forgotten by what it writes.
TEST(ExecOracle, AnInstructionThatOverwritesItsOwnPageCountsOnce) {
    Machine machine({.xlen = 64, .vlen = 0, .code_pages = 8});
    u8 code[4];
    store_le(code, u32{0x0011'2023});  // sw x1, 0(x2), alone in its block at the end of the page
    machine.memory().write(ram_base + page_size - 4, code);
    State s;
    s.pc = ram_base + page_size - 4;
    s.x[2] = ram_base + page_size - 8;
    for (unsigned i = 1; i <= 3; i++) {
        machine.set_state(s);
        machine.hart().run(1, Cpu::Step::run);
        EXPECT_EQ(machine.hart().instructions(), i);
        EXPECT_EQ(machine.hart().s.pc, ram_base + page_size);
    }
}

// What a helper writes may be the code behind it, in the same block.
TEST(ExecOracle, AHelperThatOverwritesCodeLeavesTheBlock) {
    Machine machine({.xlen = 64, .vlen = 0, .code_pages = 8});
    const BlockBuilder builder(64, false);
    u8 code[12];
    store_le(code, u32{0x0041'200f});      // cbo.zero (x2), in the machine's first 64 bytes
    store_le(code + 4, u32{0x0010'8093});  // addi x1, x1, 1, in the 64 bytes that it clears
    store_le(code + 8, u32{0x0010'8093});
    machine.memory().write(ram_base + 60, code);
    machine.set_code(ram_base, 1);
    State s;
    s.pc = ram_base + 60;
    s.x[2] = ram_base + 64;
    s.mtvec = ram_base + 0x100;
    machine.set_state(s);
    Machine::Result result = machine.run_block(builder, 3);
    EXPECT_EQ(result.outcome.why, ir::Outcome::Why::helper);
    EXPECT_EQ(result.instructions, 1u);
    EXPECT_EQ(machine.hart().s.pc, ram_base + 64);
    result = machine.run_block(builder, 3);
    EXPECT_EQ(machine.hart().s.x[1], 0u);
    EXPECT_EQ(machine.hart().s.mcause, static_cast<u64>(Cause::illegal));
    EXPECT_EQ(machine.hart().s.mepc, ram_base + 64);
    EXPECT_EQ(machine.hart().s.pc, ram_base + 0x100);
}

TEST(ExecOracle, Rv64) { compare({.xlen = 64, .vlen = 128, .code_pages = 8}, 500'000); }
TEST(ExecOracle, Rv32) { compare({.xlen = 32, .vlen = 256, .code_pages = 8}, 400'000); }
TEST(ExecOracle, Rv64WithoutVectors) { compare({.xlen = 64, .vlen = 0, .code_pages = 8}, 100'000); }

}  // namespace
}  // namespace viv::riscv::test
