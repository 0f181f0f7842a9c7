// Software interrupts and the machine timer: comparison, setting the counter, wrapping, saving, any access size.
#include <gtest/gtest.h>

#include "engine/dev/intc/aclint.h"
#include "tests/dev/device_bench.h"

namespace viv {
namespace {

struct AclintTest : ::testing::Test, test::Bench {
    std::array<test::RecordingPin, 8> msip, mtip;
    unsigned changes = 0;
    Aclint aclint = make(msip, mtip);

    Aclint make(std::array<test::RecordingPin, 8>& software, std::array<test::RecordingPin, 8>& timer) {
        std::vector<Aclint::Hart> harts;
        for (usize i = 0; i < 3; i++) harts.push_back({software[i], timer[i]});
        return Aclint({harts, timers, log("aclint"), [this] { changes++; }});
    }
    static constexpr u64 cmp(u64 hart) { return 0x4000 + 8 * hart; }
    static constexpr u64 mtime = 0xbff8;
    void SetUp() override {
        advance(12'345);
        aclint.reset();
    }
};

TEST_F(AclintTest, SoftwareInterruptsAreOneBitAHart) {
    aclint.write(0, 4, 1);
    aclint.write(8, 4, 0xffff'ffff);
    EXPECT_TRUE(msip[0].level);
    EXPECT_FALSE(msip[1].level);
    EXPECT_TRUE(msip[2].level);
    EXPECT_EQ(aclint.read(0, 4), 1u);
    EXPECT_EQ(aclint.read(4, 4), 0u);
    EXPECT_EQ(aclint.read(8, 4), 1u);
    EXPECT_EQ(aclint.read(0, 8), 1u);
    aclint.write(0, 8, 0x1'0000'0000);
    EXPECT_FALSE(msip[0].level);
    EXPECT_TRUE(msip[1].level);
    aclint.write(12, 4, 1);
    EXPECT_EQ(aclint.read(12, 4), 0u) << "there is no fourth hart";
    aclint.write(9, 1, 0);
    EXPECT_TRUE(msip[2].level) << "a byte write elsewhere in the register leaves bit 0 alone";
    aclint.write(8, 1, 0);
    EXPECT_FALSE(msip[2].level);
}

TEST_F(AclintTest, MtimeCountsTenMegahertzFromReset) {
    EXPECT_EQ(aclint.read(mtime, 8), 0u);
    advance(1'000'000'000);
    EXPECT_EQ(aclint.read(mtime, 8), 10'000'000u);
    EXPECT_EQ(aclint.mtime(), 10'000'000u);
    EXPECT_EQ(aclint.read(mtime, 4), 10'000'000u);
    EXPECT_EQ(aclint.read(mtime + 4, 4), 0u);
    const u64 before = aclint.read(mtime, 8);
    advance(100 - 45 - 1);
    EXPECT_EQ(aclint.read(mtime, 8), before);
    advance(1);
    EXPECT_EQ(aclint.read(mtime, 8), before + 1);
}

TEST_F(AclintTest, TheTimerFiresWhenTheCountIsReached) {
    aclint.write(cmp(1), 8, 1000);
    EXPECT_FALSE(mtip[1].level);
    EXPECT_EQ(aclint.deadline_ns(1000), timers.next_deadline_ns());
    advance(99'900 - 45);
    EXPECT_FALSE(mtip[1].level);
    advance(200);
    EXPECT_TRUE(mtip[1].level);
    EXPECT_FALSE(mtip[0].level);
    aclint.write(cmp(1), 8, ~u64{0});
    EXPECT_FALSE(mtip[1].level);
    aclint.write(cmp(1), 8, 5);
    EXPECT_TRUE(mtip[1].level) << "a time already past fires at once";
    // The 32-bit sequence of RV32 firmware.
    aclint.write(cmp(2), 4, 0xffff'ffff);
    aclint.write(cmp(2) + 4, 4, 0);
    aclint.write(cmp(2), 4, 2000);
    EXPECT_EQ(aclint.read(cmp(2), 8), 2000u);
    EXPECT_EQ(mtip[2].rises, 0u);
    advance(200'000);
    EXPECT_EQ(mtip[2].rises, 1u);
}

TEST_F(AclintTest, SettingMtimeMovesEveryDeadline) {
    aclint.write(cmp(0), 8, 1000);
    changes = 0;
    aclint.write(mtime, 8, 999);
    EXPECT_EQ(changes, 1u);
    EXPECT_FALSE(mtip[0].level);
    advance(100);
    EXPECT_TRUE(mtip[0].level);
    aclint.write(mtime, 8, 0);
    EXPECT_FALSE(mtip[0].level);
    aclint.write(mtime + 4, 4, 1);
    EXPECT_EQ(aclint.read(mtime, 8) >> 32, 1u);
    EXPECT_TRUE(mtip[0].level);
}

TEST_F(AclintTest, TheComparisonFollowsTheCountThroughItsWrap) {
    aclint.write(cmp(0), 8, ~u64{0} - 1);
    aclint.write(mtime, 8, ~u64{0} - 3);
    EXPECT_FALSE(mtip[0].level);
    advance(200);
    EXPECT_TRUE(mtip[0].level);
    advance(200);
    EXPECT_FALSE(mtip[0].level);
    EXPECT_LT(aclint.mtime(), 4u);
    aclint.write(cmp(0), 8, 0);
    aclint.write(mtime, 8, ~u64{0});
    advance(200);
    EXPECT_TRUE(mtip[0].level);
}

TEST_F(AclintTest, FarDeadlinesDoNotOverflow) {
    aclint.write(cmp(0), 8, ~u64{0});
    EXPECT_EQ(timers.next_deadline_ns(), Timers::never);
    EXPECT_EQ(aclint.deadline_ns(~u64{0}), Timers::never);
    aclint.write(cmp(0), 8, ~u64{0} / 100);
    advance(1'000'000);
    EXPECT_FALSE(mtip[0].level);
}

TEST_F(AclintTest, GoesOnAfterSaving) {
    aclint.write(4, 4, 1);
    aclint.write(mtime, 8, 5'000'000);
    aclint.write(cmp(0), 8, 5'000'100);
    const auto saved = test::save(aclint);
    std::array<test::RecordingPin, 8> other_msip, other_mtip;
    Aclint other = make(other_msip, other_mtip);
    ASSERT_TRUE(test::load(other, saved).ok());
    EXPECT_EQ(test::save(other), saved);
    EXPECT_TRUE(other_msip[1].level);
    EXPECT_FALSE(other_mtip[0].level);
    EXPECT_EQ(other.mtime(), aclint.mtime());
    advance(10'100);
    EXPECT_TRUE(other_mtip[0].level);
}

TEST_F(AclintTest, ResetClearsAll) {
    aclint.write(0, 4, 1);
    aclint.write(cmp(0), 8, 0);
    EXPECT_TRUE(mtip[0].level);
    advance(100'000);
    aclint.reset();
    EXPECT_FALSE(msip[0].level);
    EXPECT_FALSE(mtip[0].level);
    EXPECT_EQ(aclint.mtime(), 0u);
    EXPECT_EQ(aclint.read(cmp(0), 8), ~u64{0});
}

TEST_F(AclintTest, SurvivesRandomAccesses) {
    test::random_accesses(aclint, Aclint::mmio_size, 50'000, [&](auto& random) { advance(random() % 100'000); });
    std::mt19937_64 random(2);
    for (unsigned i = 0; i < 50'000; i++) {
        const unsigned size = 1u << (random() % 4);
        const u64 base = random() % 2 == 0 ? cmp(0) : align_down(mtime, 64);
        const u64 offset = base + (random() % 64 & ~u64{size - 1});
        aclint.write(offset, size, random() >> (random() % 64));
        aclint.read(offset, size);
        if (i % 64 == 0) advance(random() % 1000);
        for (u64 hart = 0; hart < 3; hart++)
            ASSERT_EQ(mtip[hart].level, aclint.read(mtime, 8) >= aclint.read(cmp(hart), 8)) << i;
    }
}

}  // namespace
}  // namespace viv
