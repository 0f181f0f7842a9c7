// engine/float against the floating-point unit of the host: binary32 and binary64, the four rounding modes of hosts.
// Promises: NaN results are compared as canonical NaNs; the host's own tininess rule is found out, not assumed.
// Operands pass through volatile objects, so that no operation is done at translation time or moved across a change of
// mode.
#include <cfenv>
#include <cmath>
#include <cstring>
#include <limits>

#include <gtest/gtest.h>

#include "engine/float/softfloat.h"
#include "tests/float/patterns.h"

namespace viv {
namespace {

using patterns::Random;
using soft::Environment;
using soft::Rounding;
using soft::Tininess;

template <class T>
using Float = std::conditional_t<sizeof(T) == 4, float, double>;

template <class T>
Float<T> to_host(T bits) {
    Float<T> value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}
u32 to_bits(float value) {
    u32 bits;
    std::memcpy(&bits, &value, sizeof bits);
    return value != value ? soft::canonical_nan<u32>() : bits;
}
u64 to_bits(double value) {
    u64 bits;
    std::memcpy(&bits, &value, sizeof bits);
    return value != value ? soft::canonical_nan<u64>() : bits;
}

int host_mode(Rounding rounding) {
    switch (rounding) {
        case Rounding::toward_zero: return FE_TOWARDZERO;
        case Rounding::down: return FE_DOWNWARD;
        case Rounding::up: return FE_UPWARD;
        default: return FE_TONEAREST;
    }
}

u8 host_flags() {
    const int raised = std::fetestexcept(FE_ALL_EXCEPT);
    return static_cast<u8>(
        ((raised & FE_INEXACT) != 0 ? soft::inexact : 0) | ((raised & FE_UNDERFLOW) != 0 ? soft::underflow : 0) |
        ((raised & FE_OVERFLOW) != 0 ? soft::overflow : 0) | ((raised & FE_DIVBYZERO) != 0 ? soft::divide_by_zero : 0) |
        ((raised & FE_INVALID) != 0 ? soft::invalid : 0));
}

// 2^-126 - 2^-151 is tiny, but not once it is rounded to 24 bits.
Tininess host_tininess() {
    volatile float a = -0x1p-75f, b = 0x1p-76f, c = 0x1p-126f;
    std::feclearexcept(FE_ALL_EXCEPT);
    volatile float result = std::fma(a, b, c);
    static_cast<void>(result);
    return std::fetestexcept(FE_UNDERFLOW) != 0 ? Tininess::before_rounding : Tininess::after_rounding;
}

template <class T>
class SoftfloatHost : public testing::Test {
protected:
    using F = Float<T>;
    SoftfloatHost() : tininess_(host_tininess()) {}
    ~SoftfloatHost() override { std::fesetround(FE_TONEAREST); }

    void use(Rounding rounding) {
        rounding_ = rounding;
        std::fesetround(host_mode(rounding));
    }

    template <class Engine, class Host>
    void check(const char* name, Engine engine, Host host, T a, T b, T c) {
        volatile F x = to_host(a), y = to_host(b), z = to_host(c);
        std::feclearexcept(FE_ALL_EXCEPT);
        const F hx = x, hy = y, hz = z;
        const volatile auto result = host(hx, hy, hz);
        const u8 expected_flags = host_flags();
        u64 expected;
        if constexpr (std::is_floating_point_v<decltype(host(hx, hy, hz))>)
            expected = to_bits(result);
        else
            expected = static_cast<u64>(result);

        Environment env{.rounding = rounding_, .tininess = tininess_};
        const u64 actual = static_cast<u64>(engine(env));
        if (actual == expected && env.flags == expected_flags) return;
        if (++failures_ > 8) return;
        ADD_FAILURE() << name << std::hex << " of " << a << " " << b << " " << c << " rounding " << int(rounding_)
                      << ": " << actual << " flags " << int(env.flags) << ", the host says " << expected << " flags "
                      << int(expected_flags);
    }

    void check_all(T a, T b, T c) {
        using E = Environment;
        check(
            "add", [&](E& env) { return soft::add(env, a, b); }, [](F x, F y, F) { return x + y; }, a, b, c);
        check(
            "sub", [&](E& env) { return soft::sub(env, a, b); }, [](F x, F y, F) { return x - y; }, a, b, c);
        check(
            "mul", [&](E& env) { return soft::mul(env, a, b); }, [](F x, F y, F) { return x * y; }, a, b, c);
        check(
            "div", [&](E& env) { return soft::div(env, a, b); }, [](F x, F y, F) { return x / y; }, a, b, c);
        check(
            "sqrt", [&](E& env) { return soft::sqrt(env, a); }, [](F x, F, F) { return std::sqrt(x); }, a, b, c);
        // Hosts differ on infinity times zero plus a NaN.
        if (!std::isnan(to_host(c)))
            check(
                "fma", [&](E& env) { return soft::mul_add(env, a, b, c); },
                [](F x, F y, F z) { return std::fma(x, y, z); }, a, b, c);
    }
    void check_orders(T a, T b) {
        using E = Environment;
        check(
            "==", [&](E& env) { return soft::equal(env, a, b); }, [](F x, F y, F) { return x == y; }, a, b, T{0});
        // Compilers may use a quiet comparison for these two, so a NaN's flag is added by hand.
        const auto signal = [](F x, F y) {
            if (x != x || y != y) std::feraiseexcept(FE_INVALID);
        };
        check(
            "<", [&](E& env) { return soft::less(env, a, b); }, [&](F x, F y, F) { return signal(x, y), x < y; }, a, b,
            T{0});
        check(
            "<=", [&](E& env) { return soft::less_equal(env, a, b); },
            [&](F x, F y, F) { return signal(x, y), x <= y; }, a, b, T{0});
        check(
            "isless", [&](E& env) { return soft::less_quiet(env, a, b); },
            [](F x, F y, F) { return std::isless(x, y); }, a, b, T{0});
        check(
            "islessequal", [&](E& env) { return soft::less_equal_quiet(env, a, b); },
            [](F x, F y, F) { return std::islessequal(x, y); }, a, b, T{0});
    }
    void check_conversions(T a) {
        using E = Environment;
        using Other = std::conditional_t<sizeof(T) == 4, u64, u32>;
        check(
            "convert", [&](E& env) { return soft::convert<Other>(env, a); },
            [](F x, F, F) { return static_cast<Float<Other>>(x); }, a, T{0}, T{0});
        // Written out in line, a compiler's rint may assume rounding to nearest.
        F (*volatile rint)(F);
        if constexpr (sizeof(T) == 4)
            rint = ::rintf;
        else
            rint = ::rint;
        check(
            "rint",
            [&](E& env) { return soft::round_to_integral(env, a, env.rounding, soft::Exactness::raise_inexact); },
            [&](F x, F, F) { return rint(x); }, a, T{0}, T{0});
        if (std::fabs(to_host(a)) < F(0x1p62))  // out of range, hosts differ
            check(
                "llrint", [&](E& env) { return soft::to_integer<i64>(env, a, env.rounding); },
                [](F x, F, F) { return std::llrint(x); }, a, T{0}, T{0});
    }

private:
    const Tininess tininess_;
    Rounding rounding_ = Rounding::nearest_even;
    int failures_ = 0;
};

using Formats = testing::Types<u32, u64>;
TYPED_TEST_SUITE(SoftfloatHost, Formats);

constexpr Rounding host_roundings[] = {Rounding::nearest_even, Rounding::toward_zero, Rounding::down, Rounding::up};

TYPED_TEST(SoftfloatHost, PairsOfCorners) {
    const auto corners = patterns::corners<TypeParam>();
    Random random(11);
    for (const Rounding rounding : host_roundings) {
        this->use(rounding);
        for (const TypeParam a : corners) {
            this->check_conversions(a);
            for (const TypeParam b : corners) {
                this->check_all(a, b, corners[random.below(corners.size())]);
                this->check_orders(a, b);
            }
        }
    }
}

TYPED_TEST(SoftfloatHost, RandomOperands) {
    Random random(12);
    for (const Rounding rounding : host_roundings) {
        this->use(rounding);
        for (int count = 0; count < 30'000; ++count) {
            const int centre = random.exponent<TypeParam>();
            const TypeParam a = random.number<TypeParam>(centre);
            const TypeParam b = random.number<TypeParam>(centre);
            constexpr int bias = (1 << (sizeof(TypeParam) * 8 - 2 - patterns::fraction_bits<TypeParam>)) - 1;
            const TypeParam c = random.number<TypeParam>((count & 1) != 0 ? 2 * centre - bias : centre);
            this->check_all(a, b, c);
            this->check_orders(a, b);
            this->check_conversions(a);
        }
    }
}

TYPED_TEST(SoftfloatHost, FromIntegers) {
    Random random(13);
    for (const Rounding rounding : host_roundings) {
        this->use(rounding);
        for (int count = 0; count < 30'000; ++count) {
            const u64 bits = random.fraction() >> random.below(64);
            const auto one = [&]<class I>(I integer) {
                volatile I operand = integer;
                this->check(
                    "from integer", [&](Environment& env) { return soft::from_integer<TypeParam>(env, integer); },
                    [&](auto, auto, auto) { return static_cast<Float<TypeParam>>(operand); }, TypeParam(integer), 0, 0);
            };
            one(static_cast<i64>(bits));
            one(static_cast<i32>(bits));
            one(static_cast<u32>(bits));
        }
    }
}

}  // namespace
}  // namespace viv
