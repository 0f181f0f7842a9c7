// The PLIC as Linux and OpenSBI use it: priorities, enables, claim and complete, gateways; and against a slow model
// of the specification.
#include <gtest/gtest.h>

#include "engine/dev/intc/plic.h"
#include "tests/dev/device_bench.h"

namespace viv {
namespace {

struct PlicTest : ::testing::Test, test::Bench {
    std::array<test::RecordingPin, 4> eip;
    Plic plic = make(eip);

    Plic make(std::array<test::RecordingPin, 4>& pins) {
        return Plic({}, {{&pins[0], &pins[1], &pins[2], &pins[3]}, log("plic")});
    }
    static u64 threshold(u64 context) { return 0x20'0000 + 0x1000 * context; }
    static u64 claim_at(u64 context) { return threshold(context) + 4; }
    void priority(u32 source, u32 value) { plic.write(4 * source, 4, value); }
    void enable(u64 context, u32 source) {
        const u64 at = 0x2000 + 0x80 * context + source / 32 * 4;
        plic.write(at, 4, plic.read(at, 4) | 1u << source % 32);
    }
    u32 claim(u64 context) { return static_cast<u32>(plic.read(claim_at(context), 4)); }
    void complete(u64 context, u32 source) { plic.write(claim_at(context), 4, source); }
    bool pending(u32 source) { return plic.read(0x1000 + source / 32 * 4, 4) >> source % 32 & 1; }
};

TEST_F(PlicTest, ALevelIsClaimedOnceAndComesBackWhileItLasts) {
    priority(10, 1);
    enable(1, 10);
    plic.source(10).set(true);
    EXPECT_TRUE(eip[1].level);
    EXPECT_FALSE(eip[0].level);
    EXPECT_TRUE(pending(10));
    EXPECT_EQ(claim(1), 10u);
    EXPECT_FALSE(pending(10));
    EXPECT_FALSE(eip[1].level);
    EXPECT_EQ(claim(1), 0u);
    plic.source(10).set(false);
    plic.source(10).set(true);
    EXPECT_FALSE(pending(10)) << "the gateway is closed until completion";
    complete(1, 10);
    EXPECT_TRUE(eip[1].level) << "still asserted: forwarded again";
    EXPECT_EQ(claim(1), 10u);
    plic.source(10).set(false);
    complete(1, 10);
    EXPECT_FALSE(eip[1].level);
}

TEST_F(PlicTest, ARequestIsNotRetracted) {
    priority(3, 1);
    enable(1, 3);
    plic.source(3).set(true);
    plic.source(3).set(false);
    EXPECT_TRUE(eip[1].level);
    EXPECT_EQ(claim(1), 3u);
    complete(1, 3);
    EXPECT_EQ(claim(1), 0u);
}

TEST_F(PlicTest, HighestPriorityThenLowestNumber) {
    for (const u32 source : {5u, 33u, 64u, 95u}) {
        enable(0, source);
        priority(source, source == 64 ? 7 : 2);
        plic.source(source).set(true);
    }
    EXPECT_EQ(claim(0), 64u);
    EXPECT_EQ(claim(0), 5u);
    EXPECT_EQ(claim(0), 33u);
    EXPECT_EQ(claim(0), 95u);
    EXPECT_EQ(claim(0), 0u);
}

TEST_F(PlicTest, ThresholdMasksTheNotificationNotTheClaim) {
    priority(7, 3);
    enable(2, 7);
    plic.write(threshold(2), 4, 3);
    plic.source(7).set(true);
    EXPECT_FALSE(eip[2].level);
    plic.write(threshold(2), 4, 2);
    EXPECT_TRUE(eip[2].level);
    plic.write(threshold(2), 4, 7);
    EXPECT_FALSE(eip[2].level);
    EXPECT_EQ(claim(2), 7u);
    complete(2, 7);
    priority(7, 0);
    plic.write(threshold(2), 4, 0);
    EXPECT_TRUE(pending(7));
    EXPECT_FALSE(eip[2].level) << "priority 0 never interrupts";
    EXPECT_EQ(claim(2), 0u);
    priority(7, 1);
    EXPECT_TRUE(eip[2].level);
}

TEST_F(PlicTest, EveryEnabledContextIsToldAndOneClaims) {
    priority(20, 1);
    enable(1, 20);
    enable(3, 20);
    plic.source(20).set(true);
    EXPECT_TRUE(eip[1].level);
    EXPECT_TRUE(eip[3].level);
    EXPECT_EQ(claim(3), 20u);
    EXPECT_FALSE(eip[1].level);
    EXPECT_EQ(claim(1), 0u);
    complete(0, 20);
    EXPECT_FALSE(eip[1].level) << "a completion by a context that has not enabled the source is ignored";
    complete(3, 2000);
    complete(3, 0xffff'ffff);
    complete(3, 0);
    complete(1, 20);
    EXPECT_TRUE(eip[3].level);
}

TEST_F(PlicTest, RegistersKeepOnlyTheBitsThatExist) {
    plic.write(4, 4, 0xffff'ffff);
    EXPECT_EQ(plic.read(4, 4), 7u);
    plic.write(0, 4, 7);
    EXPECT_EQ(plic.read(0, 4), 0u);
    plic.write(4 * 96, 4, 7);
    EXPECT_EQ(plic.read(4 * 96, 4), 0u);
    for (u64 word = 0; word < 4; word++) plic.write(0x2000 + 4 * word, 4, 0xffff'ffff);
    EXPECT_EQ(plic.read(0x2000, 4), 0xffff'fffeu) << "source 0 does not exist";
    EXPECT_EQ(plic.read(0x2008, 4), 0xffff'ffffu);
    EXPECT_EQ(plic.read(0x200c, 4), 0u) << "nor does 96";
    plic.write(threshold(1), 4, 0xffff'ffff);
    EXPECT_EQ(plic.read(threshold(1), 4), 7u);
    plic.write(threshold(4), 4, 5);
    EXPECT_EQ(plic.read(threshold(4), 4), 0u);
    plic.write(0x1000, 4, 0xffff'ffff);
    EXPECT_EQ(plic.read(0x1000, 4), 0u);
    EXPECT_EQ(plic.read(threshold(1), 2), 0u);
    plic.write(threshold(1), 1, 0);
    EXPECT_EQ(plic.read(threshold(1), 4), 7u);
    plic.write(0x2000, 8, 0x0000'0002'0000'0004);
    EXPECT_EQ(plic.read(0x2000, 8), 0x0000'0002'0000'0004u);
}

TEST_F(PlicTest, GoesOnAfterSaving) {
    for (const u32 source : {8u, 9u, 10u}) {
        priority(source, source - 7);
        enable(1, source);
        plic.source(source).set(true);
    }
    EXPECT_EQ(claim(1), 10u);
    const auto saved = test::save(plic);
    std::array<test::RecordingPin, 4> pins;
    Plic other = make(pins);
    ASSERT_TRUE(test::load(other, saved).ok());
    EXPECT_EQ(test::save(other), saved);
    EXPECT_TRUE(pins[1].level);
    EXPECT_EQ(other.read(claim_at(1), 4), 9u);
    EXPECT_EQ(other.read(claim_at(1), 4), 8u);
    EXPECT_EQ(other.read(claim_at(1), 4), 0u);
    other.source(10).set(true);
    EXPECT_EQ(other.read(claim_at(1), 4), 0u);
    other.write(claim_at(1), 4, 10);
    EXPECT_EQ(other.read(claim_at(1), 4), 10u) << "the wire's level came along";
}

TEST_F(PlicTest, ASaveOfAnotherShapeIsRefusedAndHarmless) {
    test::RecordingPin one;
    Plic small({4, 2}, {{&one}, log()});
    enable(3, 95);
    plic.source(95).set(true);
    EXPECT_FALSE(test::load(small, test::save(plic)).ok());
    small.restored();
    for (u64 at = 0; at < 0x20'4000; at += 0x80) small.read(at, 4);
    auto saved = test::save(plic);
    std::mt19937 random(5);
    for (unsigned i = 0; i < 500; i++) {
        auto damaged = saved;
        damaged[random() % damaged.size()] ^= static_cast<u8>(1u << (random() % 8));
        (void)test::load(plic, damaged);
        plic.restored();
        claim(3);
    }
}

TEST_F(PlicTest, ResetKeepsOnlyTheWires) {
    const auto fresh = test::save(plic);
    priority(10, 1);
    enable(1, 10);
    plic.source(10).set(true);
    claim(1);
    plic.reset();
    EXPECT_FALSE(eip[1].level);
    EXPECT_TRUE(pending(10));
    priority(10, 1);
    enable(1, 10);
    EXPECT_EQ(claim(1), 10u);
    plic.source(10).set(false);
    plic.reset();
    EXPECT_EQ(test::save(plic), fresh);
}

// One source at a time, as the specification words it.
struct SlowPlic {
    struct Source {
        bool level = false, pending = false, closed = false;
        u32 priority = 0;
        std::array<bool, 4> enabled{};
    };
    std::array<Source, 96> sources{};
    std::array<u32, 4> threshold{};

    void gateway(Source& source) {
        if (source.level && !source.closed) source.pending = source.closed = true;
    }
    u32 best(u32 context) const {
        u32 found = 0;
        for (u32 n = 1; n < 96; n++)
            if (sources[n].pending && sources[n].enabled[context] && sources[n].priority > sources[found].priority)
                found = n;
        return found;
    }
    bool eip(u32 context) const { return sources[best(context)].priority > threshold[context]; }
};

TEST_F(PlicTest, AgreesWithTheSpecificationInRandomUse) {
    SlowPlic model;
    std::mt19937 random(11);
    for (unsigned i = 0; i < 60'000; i++) {
        const u32 n = 1 + static_cast<u32>(random() % 95), context = random() % 4;
        SlowPlic::Source& source = model.sources[n];
        switch (random() % 7) {
            case 0:
            case 1:
                source.level = random() % 2;
                model.gateway(source);
                plic.source(n).set(source.level);
                break;
            case 2:
                source.priority = random() % 8;
                priority(n, source.priority);
                break;
            case 3: {
                source.enabled[context] = random() % 4 != 0;
                const u64 at = 0x2000 + 0x80 * context + n / 32 * 4;
                plic.write(at, 4, deposit(plic.read(at, 4), n % 32, 1, source.enabled[context]));
                break;
            }
            case 4:
                model.threshold[context] = random() % 8;
                plic.write(threshold(context), 4, model.threshold[context]);
                break;
            case 5: {
                const u32 expected = model.best(context);
                if (expected != 0) model.sources[expected].pending = false;
                ASSERT_EQ(claim(context), expected) << i;
                break;
            }
            default:
                if (source.enabled[context] && source.closed && !source.pending) {
                    source.closed = false;
                    model.gateway(source);
                }
                complete(context, n);
                break;
        }
        for (u32 c = 0; c < 4; c++) ASSERT_EQ(eip[c].level, model.eip(c)) << "context " << c << " after step " << i;
        ASSERT_EQ(pending(n), source.pending) << i;
    }
}

TEST_F(PlicTest, SurvivesRandomAccesses) {
    test::random_accesses(plic, 0x400'0000, 100'000, [&](auto& random) {
        plic.source(1 + static_cast<u32>(random() % 95)).set(random() % 2);
        const u64 near = 0x20'0000 + random() % 0x6000;
        plic.write(align_down(near, 4), 4, random() % 128);
        plic.read(align_down(near, 8), 8);
    });
}

}  // namespace
}  // namespace viv
