// Regions: which blocks belong to one, how they are cut, and what is promoted.
#include "engine/jit/region.h"

#include <gtest/gtest.h>

#include <cstring>
#include <initializer_list>
#include <string>

#include "engine/ir/builder.h"

namespace viv::jit {
namespace {

constexpr u64 base = 0x10000;

// A guest of one-byte instructions, each of which sets slot 8 * (its low four bits) to what it was plus that of slot 0;
// 0x80 + n jumps to base + n, 0xc0 + n branches there, 0xf0 is a call of base, 0xf1 a return.
class Toy final : public exec::Translatable {
public:
    exec::CpuLayout layout() override { return {}; }
    ir::SlotTable slots() const override {
        std::vector<ir::Slot> all;
        for (u64 i = 0; i < 16; i++) all.push_back({8 * i, ir::Type::i64, "slot" + std::to_string(i)});
        return ir::SlotTable(std::move(all));
    }
    u64 pc() const override { return base; }
    u64 translation_mode() const override { return 0; }
    const exec::JumpTable& jump_table() override { return jumps_; }
    void insert_jump(u64, const u8*) override {}
    void forget_jumps(u64, const u8*, const u8*) override {}
    void flush_jump_tables() override {}
    bool fill_tlb(u64, unsigned, ir::MemoryAccess) override { return false; }
    ir::Block translate_block(std::span<const u8> page, u64 page_va, u64 pc, u64 mode, unsigned limit) const override {
        ir::Block block{.pc = pc, .mode = mode};
        ir::Builder b(block);
        for (unsigned count = 0; count < limit && !b.terminated(); count++) {
            const u64 at = pc + block.size++;
            const u8 code = page[at - page_va];
            b.guest(at);
            const u64 target = base + (code & 0x3f);
            if (code == 0xf0) {
                b.jump(base, ir::JumpHint::call);
            } else if (code == 0xf1) {
                b.jump_indirect(b.get(ir::Type::i64, 0), ir::JumpHint::return_);
            } else if (code >= 0xc0) {
                const ir::ValueId zero = b.constant(ir::Type::i64, 0);
                b.branch(b.compare(ir::Op::eq, ir::Type::i64, b.get(ir::Type::i64, 0), zero), target, at + 1);
            } else if (code >= 0x80) {
                b.jump(target);
            } else {
                const u64 slot = u64{8} * (code & 15);
                const ir::ValueId sum =
                    b.binary(ir::Op::add, ir::Type::i64, b.get(ir::Type::i64, slot), b.get(ir::Type::i64, 0));
                b.set(ir::Type::i64, slot, sum);
            }
        }
        if (!b.terminated()) b.jump(pc + block.size);
        return block;
    }

private:
    exec::JumpTable jumps_;
};

// Translates everything but the guest instructions that set slot 120.
class Choosy final : public Backend {
public:
    std::string_view name() const override { return "choosy"; }
    std::vector<u8> make_thunks() override { return {}; }
    usize supported(const ir::Block& block) const override {
        usize start = 0;
        for (usize i = 0; i < block.code.size(); i++) {
            if (block.code[i].op == ir::Op::guest) start = i;
            if (block.code[i].op == ir::Op::set && block.code[i].imm == 120) return start;
        }
        return block.code.size();
    }
    bool compile(const Region&, u32, Compiled&) const override { return false; }
    Left enter(const u8*, void*, const u8*, u64) override { return {}; }
    void link(u8*, i64) override {}
};

class RegionTest : public ::testing::Test {
protected:
    Region build(std::initializer_list<u8> code, u64 entry = 0, const RegionLimits& limits = {}) {
        std::vector<u8> page(page_size, 0xf1);
        std::copy(code.begin(), code.end(), page.begin());
        SeenCode seen;
        for (usize i = 0; i < code.size(); i++)
            if (!unseen_[i]) seen.set(i);
        return RegionBuilder(toy_, choosy_).build(page, 0x5000, base, 0, base + entry, seen, limits);
    }
    static std::vector<u64> starts(const Region& region) {
        std::vector<u64> all;
        for (const ir::Block& block : region.blocks) all.push_back(block.pc - base);
        return all;
    }
    using List = std::vector<u64>;

    Toy toy_;
    Choosy choosy_;
    SeenCode unseen_;
};

TEST_F(RegionTest, FollowsJumpsAndBranchesAndCutsWhereTheyGo) {
    // 0: a, 1: a, 2: branch to 1, 3: jump to 5, 4: -, 5: return
    const Region region = build({1, 1, 0xc1, 0x85, 2, 0xf1});
    EXPECT_EQ(starts(region), (List{0, 1, 3, 5}));
    EXPECT_EQ(region.blocks[0].size, 1u);
    EXPECT_EQ(region.blocks[0].code.back().op, ir::Op::jump);
    EXPECT_EQ(region.blocks[0].code.back().imm, base + 1);
    const Successors loop = successors_of(region, 1);
    EXPECT_EQ(loop.target, 1u);
    EXPECT_EQ(loop.other, 2u);
    EXPECT_EQ(loop.returned, Successors::none);
}

TEST_F(RegionTest, LeavesOutWhatHasNotRun) {
    unseen_.set(3);
    EXPECT_EQ(starts(build({1, 1, 0xc1, 0x85, 2, 0xf1})), (List{0, 1}));
}

TEST_F(RegionTest, GoesOnBehindCalls) {
    const Region region = build({1, 0xc4, 0xf0, 2, 0xf1});
    EXPECT_EQ(starts(region), (List{0, 2, 3, 4}));
    EXPECT_EQ(successors_of(region, 1).target, 0u);
    EXPECT_EQ(successors_of(region, 1).returned, 2u);
}

TEST_F(RegionTest, StaysWithinItsLimits) {
    EXPECT_EQ(build({0xc2, 0xf1, 0xc4, 0xf1, 0xc6, 0xf1, 0xf1}, 0, {.blocks = 2}).blocks.size(), 2u);
    EXPECT_EQ(build({1, 1, 1, 1, 1, 1}, 0, {.instructions = 4}).blocks[0].size, 4u);
}

TEST_F(RegionTest, PromotesWhatInnerLoopsUseMost) {
    const Region region = build({3, 1, 2, 0xc2, 0xc1, 0xf1});
    ASSERT_EQ(region.promoted.size(), 4u);
    EXPECT_EQ(region.promoted[0].slot, 16u);
    EXPECT_TRUE(region.promoted[0].written);
    EXPECT_EQ(region.promoted[1].slot, 0u);  // read everywhere, and in the inner loop once
    EXPECT_FALSE(region.promoted[1].written);
    EXPECT_EQ(region.promoted[2].slot, 8u);
    EXPECT_EQ(region.promoted[3].slot, 24u);
    EXPECT_EQ(region.promoted[0].kind, Promotion::Kind::integer);
}

TEST_F(RegionTest, CutsBeforeThePassesWhatTheBackendCannotDo) {
    // Slot 8 is set twice, with an instruction in between that only the interpreter can do.
    const Region region = build({1, 15, 1, 0xf1});
    ASSERT_EQ(region.blocks.size(), 1u);
    EXPECT_EQ(region.blocks[0].size, 1u);
    EXPECT_EQ(region.blocks[0].code.back().imm, base + 1);
    EXPECT_TRUE(std::any_of(region.blocks[0].code.begin(), region.blocks[0].code.end(),
                            [](const ir::Inst& inst) { return inst.op == ir::Op::set && inst.imm == 8; }));
}

}  // namespace
}  // namespace viv::jit
