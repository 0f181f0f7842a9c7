// The fused multiply-add that is made of additions and multiplications, against softfloat's.
#include "engine/jit/fused.h"

#include <gtest/gtest.h>

#include "engine/float/softfloat.h"
#include "tests/float/patterns.h"

namespace viv::jit {
namespace {

using patterns::compose;

struct Operands {
    u64 a, b, c;
};

// What softfloat says, if it raises no more than "inexact".
std::optional<u64> expected(const Operands& o) {
    soft::Environment environment;
    const u64 result = soft::mul_add<u64>(environment, o.a, o.b, o.c);
    if ((environment.flags & ~soft::inexact) != 0) return std::nullopt;
    return result;
}

void compare(const Operands& o) {
    const auto result = fused_mul_add(o.a, o.b, o.c);
    if (!result) return;
    const auto right = expected(o);
    ASSERT_TRUE(right.has_value()) << std::hex << o.a << " " << o.b << " " << o.c;
    ASSERT_EQ(*result, *right) << std::hex << o.a << " " << o.b << " " << o.c;
}

TEST(Fused, EveryThreeCorners) {
    const auto corners = patterns::corners<u64>();
    for (const u64 a : corners)
        for (const u64 b : corners)
            for (const u64 c : corners) compare({a, b, c});
}

// The addend begins anywhere from far above the product to far below it: next to ties, and where nearly all of it is
// taken away by the other.
TEST(Fused, RandomNumbersOfOrdinarySize) {
    patterns::Random random(1);
    unsigned made = 0;
    constexpr unsigned count = 2'000'000;
    for (unsigned i = 0; i < count; i++) {
        const int a = 900 + static_cast<int>(random.below(250)), b = 900 + static_cast<int>(random.below(250));
        const int c = a + b - 1023 - 120 + static_cast<int>(random.below(240));
        const Operands o{compose<u64>(random.below(2) != 0, a, random.fraction()),
                         compose<u64>(random.below(2) != 0, b, random.fraction()),
                         compose<u64>(random.below(2) != 0, c, random.fraction())};
        compare(o);
        if (HasFatalFailure()) return;
        made += fused_mul_add(o.a, o.b, o.c).has_value();
    }
    EXPECT_EQ(made, count);
}

// The addend is the rounded product turned around: what is left is what rounding took.
TEST(Fused, WhatCancels) {
    patterns::Random random(2);
    for (unsigned i = 0; i < 500'000; i++) {
        const u64 a = compose<u64>(false, 600 + static_cast<int>(random.below(800)), random.fraction());
        const u64 b = compose<u64>(random.below(2) != 0, 600 + static_cast<int>(random.below(800)), random.fraction());
        soft::Environment environment;
        const u64 product = soft::mul<u64>(environment, a, b);
        const u64 near = (product ^ u64{1} << 63) + random.below(5) - 2;
        compare({a, b, near});
        if (HasFatalFailure()) return;
    }
}

TEST(Fused, ZeroIsAnAddendOnly) {
    const u64 one = compose<u64>(false, 1023, 0), zero = 0, minus_zero = u64{1} << 63;
    EXPECT_EQ(fused_mul_add(one, one, minus_zero), one);
    EXPECT_EQ(fused_mul_add(one, one, compose<u64>(true, 1023, 0)), zero);
    EXPECT_EQ(fused_mul_add(one, zero, one), std::nullopt);
    EXPECT_EQ(fused_mul_add(compose<u64>(false, 2047, 0), one, one), std::nullopt);
    EXPECT_EQ(fused_mul_add(one, one, compose<u64>(false, 2047, 1)), std::nullopt);
}

}  // namespace
}  // namespace viv::jit
