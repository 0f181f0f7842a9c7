// What the standard leaves open and each guest settles: NaN results, saturation, minima, classes, and RISC-V's
// estimates. Promises: expected values are written out from the guests' manuals or computed from a definition.
// Specification: RISC-V unprivileged F, D, Zfh, and V 1.0 sections 13.9 and 13.10; Arm ARM, pseudocode FPProcessNaNs
// and FPMulAdd; Intel SDM volume 1, section 4.8.3.5 (operating on NaNs) and chapter 14 (FMA).
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include <gtest/gtest.h>

#include "engine/float/softfloat.h"
#include "tests/float/patterns.h"

namespace viv {
namespace {

using soft::Environment;
using soft::NanRule;
using soft::Rounding;

constexpr u64 one = 0x3ff0'0000'0000'0000;
constexpr u64 infinity = 0x7ff0'0000'0000'0000;
constexpr u64 sign = 0x8000'0000'0000'0000;
constexpr u64 canonical = 0x7ff8'0000'0000'0000;
constexpr u64 quiet1 = 0xfff8'0000'0000'0001;
constexpr u64 quiet2 = 0x7ff8'0000'0000'0002;
constexpr u64 signaling3 = 0xfff0'0000'0000'0003;
constexpr u64 signaling4 = 0x7ff0'0000'0000'0004;
constexpr u64 quieted3 = 0xfff8'0000'0000'0003;
constexpr u64 quieted4 = 0x7ff8'0000'0000'0004;

struct Outcome {
    u64 result;
    u8 flags;
    bool operator==(const Outcome&) const = default;
};
void PrintTo(const Outcome& outcome, std::ostream* out) {
    *out << std::hex << outcome.result << " flags " << int(outcome.flags);
}
template <class Operation>
Outcome run(NanRule rule, Operation operation, Rounding rounding = Rounding::nearest_even) {
    Environment env{.rounding = rounding, .nan_rule = rule};
    const u64 result = static_cast<u64>(operation(env));
    return {result, env.flags};
}
Outcome added(NanRule rule, u64 a, u64 b) {
    return run(rule, [&](Environment& env) { return soft::add(env, a, b); });
}
Outcome fused(NanRule rule, u64 a, u64 b, u64 c) {
    return run(rule, [&](Environment& env) { return soft::mul_add(env, a, b, c); });
}

TEST(SoftfloatRules, CanonicalNans) {
    const NanRule rule = NanRule::canonical;
    EXPECT_EQ(added(rule, quiet1, one), (Outcome{canonical, 0}));
    EXPECT_EQ(added(rule, one, signaling3), (Outcome{canonical, soft::invalid}));
    EXPECT_EQ(added(rule, infinity, infinity | sign), (Outcome{canonical, soft::invalid}));
    EXPECT_EQ(fused(rule, infinity, 0, quiet1), (Outcome{canonical, soft::invalid}));
    EXPECT_EQ(fused(rule, 0, infinity | sign, one), (Outcome{canonical, soft::invalid}));
    EXPECT_EQ(fused(rule, one, one, quiet1), (Outcome{canonical, 0}));
    EXPECT_EQ(fused(rule, infinity, one, infinity | sign), (Outcome{canonical, soft::invalid}));
}

TEST(SoftfloatRules, FirstOperandNans) {
    const NanRule rule = NanRule::first_operand;
    EXPECT_EQ(added(rule, quiet1, quiet2), (Outcome{quiet1, 0}));
    EXPECT_EQ(added(rule, quiet1, signaling4), (Outcome{quiet1, soft::invalid}));
    EXPECT_EQ(added(rule, signaling3, quiet2), (Outcome{quieted3, soft::invalid}));
    EXPECT_EQ(added(rule, one, quiet2), (Outcome{quiet2, 0}));
    // A subtraction passes its second operand's NaN on with its own sign.
    EXPECT_EQ(run(rule, [](Environment& env) { return soft::sub(env, one, quiet2); }), (Outcome{quiet2, 0}));
    EXPECT_EQ(run(rule, [](Environment& env) { return soft::sqrt(env, signaling4); }),
              (Outcome{quieted4, soft::invalid}));
    // "Real indefinite".
    EXPECT_EQ(added(rule, infinity, infinity | sign), (Outcome{canonical | sign, soft::invalid}));
    EXPECT_EQ(run(rule, [](Environment& env) { return soft::sqrt(env, one | sign); }),
              (Outcome{canonical | sign, soft::invalid}));
    EXPECT_EQ(fused(rule, one, quiet2, quiet1), (Outcome{quiet2, 0}));
    EXPECT_EQ(fused(rule, quiet1, signaling4, quiet2), (Outcome{quiet1, soft::invalid}));
    EXPECT_EQ(fused(rule, infinity, 0, quiet1), (Outcome{quiet1, 0}));
    EXPECT_EQ(fused(rule, infinity, 0, one), (Outcome{canonical | sign, soft::invalid}));
}

TEST(SoftfloatRules, SignalingFirstNans) {
    const NanRule rule = NanRule::signaling_first;
    EXPECT_EQ(added(rule, quiet1, quiet2), (Outcome{quiet1, 0}));
    EXPECT_EQ(added(rule, quiet1, signaling4), (Outcome{quieted4, soft::invalid}));
    EXPECT_EQ(added(rule, signaling3, signaling4), (Outcome{quieted3, soft::invalid}));
    EXPECT_EQ(added(rule, infinity, infinity | sign), (Outcome{canonical, soft::invalid}));
    // The addend is the first operand.
    EXPECT_EQ(fused(rule, quiet1, one, quiet2), (Outcome{quiet2, 0}));
    EXPECT_EQ(fused(rule, signaling3, signaling4, quiet2), (Outcome{quieted3, soft::invalid}));
    EXPECT_EQ(fused(rule, signaling3, one, signaling4), (Outcome{quieted4, soft::invalid}));
    EXPECT_EQ(fused(rule, infinity, 0, quiet1), (Outcome{canonical, soft::invalid}));
    EXPECT_EQ(fused(rule, infinity, 0, signaling4), (Outcome{quieted4, soft::invalid}));
}

TEST(SoftfloatRules, NansBetweenFormats) {
    const auto narrowed = [](NanRule rule, u64 a) {
        return run(rule, [&](Environment& env) { return soft::convert<u32>(env, a); });
    };
    EXPECT_EQ(narrowed(NanRule::canonical, quiet1), (Outcome{0x7fc0'0000, 0}));
    EXPECT_EQ(narrowed(NanRule::canonical, signaling3), (Outcome{0x7fc0'0000, soft::invalid}));
    EXPECT_EQ(narrowed(NanRule::first_operand, 0xfff4'0000'2000'0000), (Outcome{0xffe0'0001, soft::invalid}));
    const auto widened = [](NanRule rule, u16 a) {
        return run(rule, [&](Environment& env) { return soft::convert<u64>(env, a); });
    };
    EXPECT_EQ(widened(NanRule::signaling_first, 0xfd01), (Outcome{0xfffc'0400'0000'0000, soft::invalid}));
    EXPECT_EQ(widened(NanRule::canonical, 0xfe01), (Outcome{canonical, 0}));
}

TEST(SoftfloatRules, FlagsAccumulate) {
    Environment env{.flags = soft::overflow};
    soft::div<u32>(env, 0x3f80'0000, 0);
    soft::div<u32>(env, 0x3f80'0000, 0x4040'0000);
    EXPECT_EQ(env.flags, soft::overflow | soft::divide_by_zero | soft::inexact);
}

template <class T>
class SoftfloatFormats : public testing::Test {
protected:
    static constexpr int fraction = patterns::fraction_bits<T>;
    static constexpr int top = (1 << (sizeof(T) * 8 - 1 - fraction)) - 1;
    static constexpr int bias = top / 2;
    static T value(bool negative, int field, u64 bits) { return patterns::compose<T>(negative, field, bits); }
    static constexpr u64 quiet_bit = u64{1} << (fraction - 1);
    const T zero = value(false, 0, 0), minus_zero = value(true, 0, 0);
    const T plus_one = value(false, bias, 0), minus_one = value(true, bias, 0);
    const T plus_infinity = value(false, top, 0), minus_infinity = value(true, top, 0);
    const T quiet = value(true, top, quiet_bit | 1), signaling = value(true, top, 1);
    const T nan = value(false, top, quiet_bit);

    static double number(T bits) {
        Environment env;
        u64 wide;
        if constexpr (sizeof(T) == 8)
            wide = bits;
        else
            wide = soft::convert<u64>(env, bits);
        double result;
        std::memcpy(&result, &wide, sizeof result);
        return result;
    }
};
using Formats = testing::Types<u16, u32, u64>;
TYPED_TEST_SUITE(SoftfloatFormats, Formats);

TYPED_TEST(SoftfloatFormats, Classes) {
    EXPECT_EQ(soft::classify(this->minus_infinity), 1 << 0);
    EXPECT_EQ(soft::classify(this->minus_one), 1 << 1);
    EXPECT_EQ(soft::classify(this->value(true, 1, 0)), 1 << 1);
    EXPECT_EQ(soft::classify(this->value(true, 0, ~u64{0})), 1 << 2);
    EXPECT_EQ(soft::classify(this->minus_zero), 1 << 3);
    EXPECT_EQ(soft::classify(this->zero), 1 << 4);
    EXPECT_EQ(soft::classify(this->value(false, 0, 1)), 1 << 5);
    EXPECT_EQ(soft::classify(this->value(false, this->top - 1, ~u64{0})), 1 << 6);
    EXPECT_EQ(soft::classify(this->plus_infinity), 1 << 7);
    EXPECT_EQ(soft::classify(this->signaling), 1 << 8);
    EXPECT_EQ(soft::classify(this->quiet), 1 << 9);
    EXPECT_EQ(soft::classify(this->nan), 1 << 9);
}

TYPED_TEST(SoftfloatFormats, MinimaAndMaxima) {
    using T = TypeParam;
    const auto both = [&](T a, T b, T least, T greatest, int flags) {
        for (const NanRule rule : {NanRule::canonical, NanRule::first_operand, NanRule::signaling_first}) {
            const Outcome low{least, u8(flags)}, high{greatest, u8(flags)};
            EXPECT_EQ(run(rule, [&](Environment& env) { return soft::min_number(env, a, b); }), low);
            EXPECT_EQ(run(rule, [&](Environment& env) { return soft::min_number(env, b, a); }), low);
            EXPECT_EQ(run(rule, [&](Environment& env) { return soft::max_number(env, a, b); }), high);
            EXPECT_EQ(run(rule, [&](Environment& env) { return soft::max_number(env, b, a); }), high);
        }
    };
    both(this->zero, this->minus_zero, this->minus_zero, this->zero, 0);
    both(this->plus_one, this->minus_one, this->minus_one, this->plus_one, 0);
    both(this->minus_one, this->minus_infinity, this->minus_infinity, this->minus_one, 0);
    both(this->plus_infinity, this->quiet, this->plus_infinity, this->plus_infinity, 0);
    both(this->minus_zero, this->signaling, this->minus_zero, this->minus_zero, soft::invalid);
    both(this->quiet, this->quiet, this->nan, this->nan, 0);
    both(this->quiet, this->signaling, this->nan, this->nan, soft::invalid);
}

TYPED_TEST(SoftfloatFormats, ComparisonsOfNans) {
    using T = TypeParam;
    const auto raised = [](auto compare, T a, T b) {
        Environment env;
        EXPECT_FALSE(compare(env, a, b));
        return env.flags;
    };
    for (const T other : {this->zero, this->quiet, this->plus_infinity}) {
        EXPECT_EQ(raised(soft::equal<T>, this->quiet, other), 0);
        EXPECT_EQ(raised(soft::less_quiet<T>, this->quiet, other), 0);
        EXPECT_EQ(raised(soft::less_equal_quiet<T>, other, this->quiet), 0);
        EXPECT_EQ(raised(soft::less<T>, this->quiet, other), soft::invalid);
        EXPECT_EQ(raised(soft::less_equal<T>, other, this->quiet), soft::invalid);
        EXPECT_EQ(raised(soft::equal<T>, this->signaling, other), soft::invalid);
        EXPECT_EQ(raised(soft::less_quiet<T>, other, this->signaling), soft::invalid);
        EXPECT_EQ(raised(soft::less_equal_quiet<T>, this->signaling, other), soft::invalid);
    }
    Environment env;
    EXPECT_TRUE(soft::equal(env, this->zero, this->minus_zero));
    EXPECT_FALSE(soft::less(env, this->minus_zero, this->zero));
    EXPECT_TRUE(soft::less_equal(env, this->zero, this->minus_zero));
    EXPECT_EQ(env.flags, 0);
}

template <class I, class T>
Outcome truncated(T a) {
    return run(NanRule::canonical, [&](Environment& env) {
        return static_cast<std::make_unsigned_t<I>>(soft::to_integer<I>(env, a, Rounding::toward_zero));
    });
}

TYPED_TEST(SoftfloatFormats, SaturatingConversions) {
    const auto all = [&]<class I>(I) {
        using U = std::make_unsigned_t<I>;
        const u64 least = static_cast<U>(std::numeric_limits<I>::min());
        const u64 greatest = static_cast<U>(std::numeric_limits<I>::max());
        EXPECT_EQ(truncated<I>(this->plus_infinity), (Outcome{greatest, soft::invalid}));
        EXPECT_EQ(truncated<I>(this->minus_infinity), (Outcome{least, soft::invalid}));
        EXPECT_EQ(truncated<I>(this->quiet), (Outcome{greatest, soft::invalid}));
        EXPECT_EQ(truncated<I>(this->signaling), (Outcome{greatest, soft::invalid}));
        EXPECT_EQ(truncated<I>(this->value(true, 0, 1)), (Outcome{0, soft::inexact}));
        EXPECT_EQ(truncated<I>(this->value(true, this->bias - 1, 0)), (Outcome{0, soft::inexact}));
        EXPECT_EQ(truncated<I>(this->minus_zero), (Outcome{0, 0}));
        // Two to the number of value bits is one too many; its negative is the least signed integer, exactly.
        const int bits = std::numeric_limits<I>::digits;
        if (this->bias + bits >= this->top) return;
        EXPECT_EQ(truncated<I>(this->value(false, this->bias + bits, 0)), (Outcome{greatest, soft::invalid}));
        const int flags = std::is_signed_v<I> ? 0 : soft::invalid;
        EXPECT_EQ(truncated<I>(this->value(true, this->bias + bits, 0)), (Outcome{least, u8(flags)}));
    };
    all(i8{}), all(u8{}), all(i16{}), all(u16{}), all(i32{}), all(u32{}), all(i64{}), all(u64{});
}

// As the specification prints them: indexed by the leading fraction bits, for vfrsqrt7 below the exponent's last bit.
constexpr std::array<u8, 128> reciprocal_table = {
    127, 125, 123, 121, 119, 117, 116, 114, 112, 110, 109, 107, 105, 104, 102, 100, 99, 97, 96, 94, 93, 91,
    90,  88,  87,  85,  84,  83,  81,  80,  79,  77,  76,  75,  74,  72,  71,  70,  69, 68, 66, 65, 64, 63,
    62,  61,  60,  59,  58,  57,  56,  55,  54,  53,  52,  51,  50,  49,  48,  47,  46, 45, 44, 43, 42, 41,
    40,  40,  39,  38,  37,  36,  35,  35,  34,  33,  32,  31,  31,  30,  29,  28,  28, 27, 26, 25, 25, 24,
    23,  23,  22,  21,  21,  20,  19,  19,  18,  17,  17,  16,  15,  15,  14,  14,  13, 12, 12, 11, 11, 10,
    9,   9,   8,   8,   7,   7,   6,   5,   5,   4,   4,   3,   3,   2,   2,   1,   1,  0};
constexpr std::array<u8, 128> root_table = {
    52,  51,  50,  48,  47,  46,  44,  43,  42,  41,  40,  39,  38,  36,  35,  34, 33, 32, 31, 30, 30,  29,
    28,  27,  26,  25,  24,  23,  23,  22,  21,  20,  19,  19,  18,  17,  16,  16, 15, 14, 14, 13, 12,  12,
    11,  10,  10,  9,   9,   8,   7,   7,   6,   6,   5,   4,   4,   3,   3,   2,  2,  1,  1,  0,  127, 125,
    123, 121, 119, 118, 116, 114, 113, 111, 109, 108, 106, 105, 103, 102, 100, 99, 97, 96, 95, 93, 92,  91,
    90,  88,  87,  86,  85,  84,  83,  82,  80,  79,  78,  77,  76,  75,  74,  73, 72, 71, 70, 70, 69,  68,
    67,  66,  65,  64,  63,  63,  62,  61,  60,  59,  59,  58,  57,  56,  56,  55, 54, 53};

// Every binary16 operand, and many of the others; what is expected is worked out on the host's exact powers of two.
TYPED_TEST(SoftfloatFormats, Estimates) {
    using T = TypeParam;
    patterns::Random random(21);
    std::vector<T> operands = patterns::corners<T>();
    for (int field = 0; field < this->top; field += sizeof(T) == 8 ? 61 : 1)
        for (u64 index = 0; index < 128; ++index)
            operands.push_back(this->value(index & 1, field, index << (this->fraction - 7) | random.below(8)));
    if constexpr (sizeof(T) == 2)
        for (u32 bits = 0; bits < 0x10000; ++bits) operands.push_back(T(bits));

    for (const T a : operands) {
        if (soft::classify(a) & 0b11'1001'1001) continue;  // zeros, infinities, NaNs: below
        int exponent = 0;
        const double magnitude = std::frexp(std::fabs(this->number(a)), &exponent) * 2;  // in [1, 2)
        --exponent;
        const usize leading = static_cast<usize>((magnitude - 1) * 128);
        const double estimate = std::ldexp(128 + reciprocal_table[leading], -exponent - 8);
        Environment env{.rounding = Rounding(random.below(5))};
        const T reciprocal = soft::reciprocal_estimate7(env, a);
        if (-exponent - 1 > this->bias) {
            const bool negative = std::signbit(this->number(a));
            const bool finite =
                env.rounding == Rounding::toward_zero || env.rounding == (negative ? Rounding::up : Rounding::down);
            const T largest = this->value(negative, this->top - 1, ~u64{0});
            EXPECT_EQ(reciprocal, finite ? largest : this->value(negative, this->top, 0)) << std::hex << a;
            EXPECT_EQ(env.flags, soft::overflow | soft::inexact);
        } else {
            EXPECT_EQ(this->number(reciprocal), std::copysign(estimate, this->number(a))) << std::hex << a;
            EXPECT_EQ(env.flags, 0);
        }

        env.flags = 0;
        const T root = soft::reciprocal_sqrt_estimate7(env, a);
        if (std::signbit(this->number(a))) {
            EXPECT_EQ(root, this->nan);
            EXPECT_EQ(env.flags, soft::invalid);
            continue;
        }
        // The biased exponent's last bit is one where the exponent is even.
        const bool even = exponent % 2 == 0;
        const usize index = leading / 2 + (even ? 64 : 0);
        const int halved = even ? -exponent / 2 - 1 : -(exponent + 1) / 2;
        EXPECT_EQ(this->number(root), std::ldexp(128 + root_table[index], halved - 7)) << std::hex << a;
        EXPECT_EQ(env.flags, 0);
    }
}

TYPED_TEST(SoftfloatFormats, EstimatesOfSpecialOperands) {
    using T = TypeParam;
    const auto expect = [](auto operation, T a, T result, int flags) {
        EXPECT_EQ(run(NanRule::canonical, [&](Environment& env) { return operation(env, a); }),
                  (Outcome{result, u8(flags)}));
    };
    const auto reciprocal = soft::reciprocal_estimate7<T>;
    expect(reciprocal, this->zero, this->plus_infinity, soft::divide_by_zero);
    expect(reciprocal, this->minus_zero, this->minus_infinity, soft::divide_by_zero);
    expect(reciprocal, this->plus_infinity, this->zero, 0);
    expect(reciprocal, this->minus_infinity, this->minus_zero, 0);
    expect(reciprocal, this->quiet, this->nan, 0);
    expect(reciprocal, this->signaling, this->nan, soft::invalid);
    const auto root = soft::reciprocal_sqrt_estimate7<T>;
    expect(root, this->zero, this->plus_infinity, soft::divide_by_zero);
    expect(root, this->minus_zero, this->minus_infinity, soft::divide_by_zero);
    expect(root, this->plus_infinity, this->zero, 0);
    expect(root, this->minus_infinity, this->nan, soft::invalid);
    expect(root, this->quiet, this->nan, 0);
    expect(root, this->signaling, this->nan, soft::invalid);
}

}  // namespace
}  // namespace viv
