// engine/float against the exact model in exact.h: all rounding modes, both tininess rules, results and flags.
// Promises: square roots and conversions of binary16 are checked for every operand, the other operations for all pairs
// of corners, and everything for random operands with related exponents.
#include <gtest/gtest.h>

#include "tests/float/exact.h"
#include "tests/float/patterns.h"

namespace viv {
namespace {

using patterns::Random;
using soft::Environment;
using soft::Exactness;
using soft::Rounding;
using soft::Tininess;

constexpr Rounding roundings[] = {Rounding::nearest_even, Rounding::toward_zero,           Rounding::down,
                                  Rounding::up,           Rounding::nearest_max_magnitude, Rounding::to_odd};

template <class T>
class SoftfloatExact : public testing::Test {
protected:
    // Runs `engine` and `model` in equal environments and compares what they return and raise.
    template <class Engine, class Model>
    void check(Rounding rounding, Tininess tininess, Engine engine, Model model, u64 a, u64 b = 0, u64 c = 0) {
        Environment actual{.rounding = rounding, .tininess = tininess};
        Environment expected = actual;
        const auto result = engine(actual);
        const auto reference = model(expected);
        if (result == reference && actual.flags == expected.flags) return;
        if (++failures_ > 8) return;
        ADD_FAILURE() << std::hex << "operands " << a << " " << b << " " << c << " rounding " << int(rounding)
                      << " tininess " << int(tininess) << ": " << u64(result) << " flags " << int(actual.flags)
                      << ", should be " << u64(reference) << " flags " << int(expected.flags);
    }

    template <class Check>
    void all_modes(Check check_one) {
        for (const Rounding rounding : roundings)
            for (const Tininess tininess : {Tininess::after_rounding, Tininess::before_rounding})
                check_one(rounding, tininess);
    }

    void check_pair(Rounding rounding, Tininess tininess, T a, T b) {
        const auto both = [&](auto engine, auto model) {
            check(
                rounding, tininess, [&](Environment& env) { return engine(env, a, b); },
                [&](Environment& env) { return model(env, a, b); }, a, b);
        };
        both(soft::add<T>, exact::add<T>);
        both(soft::sub<T>, exact::sub<T>);
        both(soft::mul<T>, exact::mul<T>);
        both(soft::div<T>, exact::div<T>);
    }
    void check_triple(Rounding rounding, Tininess tininess, T a, T b, T c) {
        check(
            rounding, tininess, [&](Environment& env) { return soft::mul_add(env, a, b, c); },
            [&](Environment& env) { return exact::mul_add(env, a, b, c); }, a, b, c);
    }
    template <class I>
    void check_to_integer(Rounding rounding, T a) {
        check(
            rounding, Tininess::after_rounding, [&](Environment& env) { return soft::to_integer<I>(env, a, rounding); },
            [&](Environment& env) { return exact::to_integer<I>(env, a, rounding); }, a, sizeof(I));
    }
    template <class I>
    void check_from_integer(Rounding rounding, I a) {
        check(
            rounding, Tininess::after_rounding, [&](Environment& env) { return soft::from_integer<T>(env, a); },
            [&](Environment& env) { return exact::from_integer<T>(env, a); }, u64(a), sizeof(I));
    }
    template <class To>
    void check_convert(Rounding rounding, Tininess tininess, T a) {
        if constexpr (!std::is_same_v<T, To>)
            check(
                rounding, tininess, [&](Environment& env) { return soft::convert<To>(env, a); },
                [&](Environment& env) { return exact::convert<To>(env, a); }, a, sizeof(To));
    }
    void check_single(Rounding rounding, Tininess tininess, T a) {
        check(
            rounding, tininess, [&](Environment& env) { return soft::sqrt(env, a); },
            [&](Environment& env) { return exact::sqrt(env, a); }, a);
        check_convert<u16>(rounding, tininess, a);
        check_convert<u32>(rounding, tininess, a);
        check_convert<u64>(rounding, tininess, a);
        if (tininess == Tininess::before_rounding) return;  // the rest never underflows
        for (const Exactness exactness : {Exactness::silent, Exactness::raise_inexact})
            check(
                rounding, tininess,
                [&](Environment& env) { return soft::round_to_integral(env, a, rounding, exactness); },
                [&](Environment& env) { return exact::round_to_integral(env, a, rounding, exactness); }, a);
        check_to_integer<i8>(rounding, a);
        check_to_integer<u8>(rounding, a);
        check_to_integer<i16>(rounding, a);
        check_to_integer<u16>(rounding, a);
        check_to_integer<i32>(rounding, a);
        check_to_integer<u32>(rounding, a);
        check_to_integer<i64>(rounding, a);
        check_to_integer<u64>(rounding, a);
    }
    void check_from_integers(Rounding rounding, u64 a) {
        check_from_integer<i8>(rounding, i8(a));
        check_from_integer<u8>(rounding, u8(a));
        check_from_integer<i16>(rounding, i16(a));
        check_from_integer<u16>(rounding, u16(a));
        check_from_integer<i32>(rounding, i32(a));
        check_from_integer<u32>(rounding, u32(a));
        check_from_integer<i64>(rounding, i64(a));
        check_from_integer<u64>(rounding, a);
    }

private:
    int failures_ = 0;
};

using Formats = testing::Types<u16, u32, u64>;
TYPED_TEST_SUITE(SoftfloatExact, Formats);

TYPED_TEST(SoftfloatExact, PairsOfCorners) {
    const auto corners = patterns::corners<TypeParam>();
    for (const TypeParam a : corners)
        for (const TypeParam b : corners)
            this->all_modes([&](Rounding rounding, Tininess tininess) { this->check_pair(rounding, tininess, a, b); });
}

TYPED_TEST(SoftfloatExact, TriplesOfCorners) {
    const auto corners = patterns::corners<TypeParam>();
    Random random(2);
    for (int count = 0; count < 100'000; ++count) {
        const auto pick = [&] { return corners[random.below(corners.size())]; };
        this->check_triple(roundings[random.below(6)], Tininess(random.below(2)), pick(), pick(), pick());
    }
}

TYPED_TEST(SoftfloatExact, SinglesOfCorners) {
    for (const TypeParam a : patterns::corners<TypeParam>())
        this->all_modes([&](Rounding rounding, Tininess tininess) { this->check_single(rounding, tininess, a); });
}

TYPED_TEST(SoftfloatExact, RandomOperands) {
    Random random(3);
    for (int count = 0; count < 25'000; ++count) {
        const Rounding rounding = roundings[random.below(6)];
        const Tininess tininess = Tininess(random.below(2));
        const int centre = random.exponent<TypeParam>();
        const TypeParam a = random.number<TypeParam>(centre);
        const TypeParam b = random.number<TypeParam>(centre);
        this->check_pair(rounding, tininess, a, b);
        this->check_single(rounding, tininess, a);
        this->check_from_integers(rounding, random.fraction() >> random.below(64));
        // The addend near the product, then anywhere.
        constexpr int bias = (1 << (sizeof(TypeParam) * 8 - 2 - patterns::fraction_bits<TypeParam>)) - 1;
        this->check_triple(rounding, tininess, a, b, random.number<TypeParam>(2 * centre - bias));
        this->check_triple(rounding, tininess, a, b, random.number<TypeParam>(centre));
    }
}

// Products and sums just below the least normal number, where the two tininess rules differ.
TYPED_TEST(SoftfloatExact, Tininess) {
    Random random(4);
    constexpr int bias = (1 << (sizeof(TypeParam) * 8 - 2 - patterns::fraction_bits<TypeParam>)) - 1;
    for (int count = 0; count < 10'000; ++count) {
        const int split = 1 + int(random.below(u64(bias)));
        const TypeParam a = patterns::compose<TypeParam>(random.below(2) != 0, split, ~u64{0} << random.below(12));
        const TypeParam b = patterns::compose<TypeParam>(false, bias - split, ~random.below(64));
        this->all_modes([&](Rounding rounding, Tininess tininess) {
            this->check(
                rounding, tininess, [&](Environment& env) { return soft::mul(env, a, b); },
                [&](Environment& env) { return exact::mul(env, a, b); }, a, b);
        });
    }
}

using SoftfloatExact16 = SoftfloatExact<u16>;

TEST_F(SoftfloatExact16, EveryOperandOfASingleOperation) {
    // Two of the six modes for each operand, others for its neighbours.
    for (u32 a = 0; a < 0x10000; ++a)
        for (const u32 choice : {a + (a >> 10), a + (a >> 10) + 3})
            check_single(roundings[choice % 6], Tininess((a >> 3) & 1), static_cast<u16>(a));
}

}  // namespace
}  // namespace viv
