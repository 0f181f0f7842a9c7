// A slow, plain model of IEEE 754 arithmetic to test engine/float against: every finite value is one big integer on a
// fixed-point scale that holds all sums and products of the three formats, and rounding follows the standard's words.
// Promises: shares nothing with the engine but its enums; covers all rounding modes and both tininess rules; NaNs are
// canonical.
// Specification: IEEE 754-2019 sections 4.3, 5.4.1, 6.1, 6.3 and 7.
#pragma once

#include <array>
#include <initializer_list>
#include <limits>

#include "engine/float/softfloat.h"

namespace viv::exact {

using soft::Environment;
using soft::Rounding;

// The limbs cover 2^-2304 to 2^2176: products are multiples of 2^-2148 below 2^2048, quotients with their 64 extra bits
// multiples of 2^-2161 below 2^2098.
class Magnitude {
public:
    static constexpr int point = 2304;
    static constexpr int limb_count = 70;

    // value * 2^exponent
    static Magnitude of(u128 value, int exponent) {
        Magnitude result;
        const int low = exponent + point;
        for (int index = 0; index < 128; index += 32) {
            const u64 part = static_cast<u64>(value >> index) & 0xffff'ffff;
            result.add_at(low + index, part);
        }
        return result;
    }

    bool is_zero() const { return top() < 0; }
    // The index of the leading one, or -1.
    int top() const {
        for (int index = limb_count - 1; index >= 0; --index)
            if (limbs_[usize(index)] != 0) return index * 64 + 63 - std::countl_zero(limbs_[usize(index)]);
        return -1;
    }
    bool bit(int index) const {
        return index >= 0 && index < limb_count * 64 && ((limbs_[usize(index / 64)] >> (index % 64)) & 1) != 0;
    }
    bool any_below(int index) const {
        for (int limb = 0; limb < index / 64; ++limb)
            if (limbs_[usize(limb)] != 0) return true;
        return index > 0 && (limbs_[usize(index / 64)] & ((u64{1} << (index % 64)) - 1)) != 0;
    }
    // Bits [low, low + 128).
    u128 bits_from(int low) const {
        u128 result = 0;
        for (int index = 0; index <= 128; index += 64) {
            const int limb = low / 64 + index / 64;
            const int up = index - low % 64;
            const u128 part = limb < limb_count ? limbs_[usize(limb)] : 0;
            if (up < 128) result |= up >= 0 ? part << up : part >> -up;
        }
        return result;
    }
    int compare(const Magnitude& other) const {
        for (usize index = limb_count; index-- > 0;)
            if (limbs_[index] != other.limbs_[index]) return limbs_[index] < other.limbs_[index] ? -1 : 1;
        return 0;
    }
    Magnitude plus(const Magnitude& other) const {
        Magnitude result;
        u128 carry = 0;
        for (usize index = 0; index < limb_count; ++index) {
            carry += u128{limbs_[index]} + other.limbs_[index];
            result.limbs_[index] = static_cast<u64>(carry);
            carry >>= 64;
        }
        return result;
    }
    // other is at most this.
    Magnitude minus(const Magnitude& other) const {
        Magnitude result;
        u64 borrow = 0;
        for (usize index = 0; index < limb_count; ++index) {
            const u128 difference = u128{limbs_[index]} - other.limbs_[index] - borrow;
            result.limbs_[index] = static_cast<u64>(difference);
            borrow = (difference >> 64) != 0;
        }
        return result;
    }

private:
    void add_at(int index, u64 value) {
        u128 carry = u128{value} << (index % 64);
        for (usize limb = usize(index / 64); carry != 0; ++limb) {
            carry += limbs_[limb];
            limbs_[limb] = static_cast<u64>(carry);
            carry >>= 64;
        }
    }
    std::array<u64, limb_count> limbs_{};
};

// A real number; `more` says that the true magnitude is a little above (by less than any bit that matters).
struct Real {
    bool negative = false;
    Magnitude magnitude;
    bool more = false;
};

template <class T>
struct Shape {
    static constexpr int precision = sizeof(T) == 2 ? 11 : sizeof(T) == 4 ? 24 : 53;
    static constexpr int width = int(sizeof(T)) * 8;
    static constexpr int emax = (1 << (width - precision - 1)) - 1;
    static constexpr int emin = 1 - emax;
    static constexpr T sign = T(u64{1} << (width - 1));
    static constexpr T infinity = T(((u64{1} << (width - precision)) - 1) << (precision - 1));
};

template <class T>
bool is_nan(T a) {
    return T(a & ~Shape<T>::sign) > Shape<T>::infinity;
}
template <class T>
bool is_signaling(T a) {
    return is_nan(a) && (a >> (Shape<T>::precision - 2) & 1) == 0;
}
template <class T>
bool is_infinite(T a) {
    return T(a & ~Shape<T>::sign) == Shape<T>::infinity;
}
template <class T>
bool is_zero(T a) {
    return T(a & ~Shape<T>::sign) == 0;
}
template <class T>
bool negative(T a) {
    return (a & Shape<T>::sign) != 0;
}
template <class T>
T with_sign(bool sign, T magnitude) {
    return sign ? T(magnitude | Shape<T>::sign) : magnitude;
}

// A finite number as an integer times a power of two.
struct Scaled {
    u64 integer;
    int exponent;
};
template <class T>
Scaled scaled(T a) {
    const u64 fraction = a & ((u64{1} << (Shape<T>::precision - 1)) - 1);
    const int field = int(T(a & ~Shape<T>::sign) >> (Shape<T>::precision - 1));
    const int last = Shape<T>::emin - (Shape<T>::precision - 1);
    if (field == 0) return {fraction, last};
    return {fraction | u64{1} << (Shape<T>::precision - 1), last + field - 1};
}
template <class T>
Real real(T a) {
    return {negative(a), Magnitude::of(scaled(a).integer, scaled(a).exponent), false};
}

inline Real sum(const Real& a, const Real& b) {
    if (a.negative == b.negative) return {a.negative, a.magnitude.plus(b.magnitude), false};
    if (a.magnitude.compare(b.magnitude) >= 0) return {a.negative, a.magnitude.minus(b.magnitude), false};
    return {b.negative, b.magnitude.minus(a.magnitude), false};
}
template <class T>
Real product(T a, T b) {
    const Scaled x = scaled(a);
    const Scaled y = scaled(b);
    return {negative(a) != negative(b), Magnitude::of(u128{x.integer} * y.integer, x.exponent + y.exponent), false};
}

// `value` as a multiple of 2^exponent, below 2^127. Sets `changed` if it is not one.
inline u128 to_multiple(const Real& value, int exponent, Rounding rounding, bool& changed) {
    const int low = exponent + Magnitude::point;
    const u128 below = value.magnitude.bits_from(low);
    const bool half = value.magnitude.bit(low - 1);
    const bool rest = value.more || value.magnitude.any_below(low - 1 > 0 ? low - 1 : 0);
    changed = half || rest;
    if (!changed) return below;
    const u128 above = below + 1;
    switch (rounding) {
        case Rounding::nearest_even: return half && (rest || (below & 1) != 0) ? above : below;
        case Rounding::nearest_max_magnitude: return half ? above : below;
        case Rounding::toward_zero: return below;
        case Rounding::down: return value.negative ? above : below;
        case Rounding::up: return value.negative ? below : above;
        case Rounding::to_odd: return (below & 1) != 0 ? below : above;
    }
    return below;
}

// A nonzero value rounded to the format.
template <class T>
T rounded(Environment& env, const Real& value) {
    using S = Shape<T>;
    const int exponent = value.magnitude.top() - Magnitude::point;
    const int last = (exponent < S::emin ? S::emin : exponent) - (S::precision - 1);
    bool changed = false;
    const u128 multiple = exponent > S::emax ? 0 : to_multiple(value, last, env.rounding, changed);
    if (exponent > S::emax || (exponent == S::emax && (multiple >> S::precision) != 0)) {
        env.flags |= soft::overflow | soft::inexact;
        const bool away = env.rounding == Rounding::nearest_even || env.rounding == Rounding::nearest_max_magnitude ||
                          (env.rounding == Rounding::up && !value.negative) ||
                          (env.rounding == Rounding::down && value.negative);
        return with_sign<T>(value.negative, away ? S::infinity : T(S::infinity - 1));
    }
    bool tiny = exponent < S::emin;
    if (exponent == S::emin - 1 && env.tininess == soft::Tininess::after_rounding) {
        bool ignored = false;
        tiny = (to_multiple(value, last - 1, env.rounding, ignored) >> S::precision) == 0;
    }
    if (changed) env.flags |= tiny ? soft::inexact | soft::underflow : soft::inexact;
    // Counting up through the encodings: a multiple of the subnormal spacing is its own encoding.
    const T field = T(T(exponent < S::emin ? 0 : exponent - S::emin) << (S::precision - 1));
    return with_sign<T>(value.negative, T(field + T(multiple)));
}

template <class T>
T invalid(Environment& env) {
    env.flags |= soft::invalid;
    return soft::canonical_nan<T>();
}
template <class T>
T quiet(Environment& env, std::initializer_list<T> operands) {
    for (const T operand : operands)
        if (is_signaling(operand)) env.flags |= soft::invalid;
    return soft::canonical_nan<T>();
}
template <class T>
T rounded_or_zero(Environment& env, const Real& value, bool zero_sign) {
    return value.magnitude.is_zero() ? with_sign<T>(zero_sign, T{0}) : rounded<T>(env, value);
}

template <class T>
T add(Environment& env, T a, T b) {
    if (is_nan(a) || is_nan(b)) return quiet(env, {a, b});
    if (is_infinite(a) && is_infinite(b)) return a == b ? a : invalid<T>(env);
    if (is_infinite(a) || is_infinite(b)) return is_infinite(a) ? a : b;
    const bool both = is_zero(a) && is_zero(b) && negative(a) == negative(b);
    return rounded_or_zero<T>(env, sum(real(a), real(b)), both ? negative(a) : env.rounding == Rounding::down);
}
template <class T>
T sub(Environment& env, T a, T b) {
    return exact::add(env, a, is_nan(b) ? b : T(b ^ Shape<T>::sign));
}

template <class T>
T mul(Environment& env, T a, T b) {
    if (is_nan(a) || is_nan(b)) return quiet(env, {a, b});
    const bool sign = negative(a) != negative(b);
    if ((is_infinite(a) && is_zero(b)) || (is_zero(a) && is_infinite(b))) return invalid<T>(env);
    if (is_infinite(a) || is_infinite(b)) return with_sign<T>(sign, Shape<T>::infinity);
    return rounded_or_zero<T>(env, product(a, b), sign);
}

template <class T>
T mul_add(Environment& env, T a, T b, T c) {
    const bool undefined = (is_infinite(a) && is_zero(b)) || (is_zero(a) && is_infinite(b));
    if (undefined) env.flags |= soft::invalid;
    if (is_nan(a) || is_nan(b) || is_nan(c)) return quiet(env, {a, b, c});
    if (undefined) return soft::canonical_nan<T>();
    const bool sign = negative(a) != negative(b);
    if (is_infinite(a) || is_infinite(b)) {
        if (is_infinite(c) && negative(c) != sign) return invalid<T>(env);
        return with_sign<T>(sign, Shape<T>::infinity);
    }
    if (is_infinite(c)) return c;
    const bool both = (is_zero(a) || is_zero(b)) && is_zero(c) && negative(c) == sign;
    return rounded_or_zero<T>(env, sum(product(a, b), real(c)), both ? sign : env.rounding == Rounding::down);
}

template <class T>
T div(Environment& env, T a, T b) {
    if (is_nan(a) || is_nan(b)) return quiet(env, {a, b});
    const bool sign = negative(a) != negative(b);
    if ((is_infinite(a) && is_infinite(b)) || (is_zero(a) && is_zero(b))) return invalid<T>(env);
    if (is_infinite(a)) return with_sign<T>(sign, Shape<T>::infinity);
    if (is_infinite(b) || is_zero(a)) return with_sign<T>(sign, T{0});
    if (is_zero(b)) {
        env.flags |= soft::divide_by_zero;
        return with_sign<T>(sign, Shape<T>::infinity);
    }
    Scaled x = scaled(a);
    const Scaled y = scaled(b);
    while (x.integer >> 53 == 0) x = {x.integer << 1, x.exponent - 1};
    const u128 dividend = u128{x.integer} << 64;
    const Magnitude quotient = Magnitude::of(dividend / y.integer, x.exponent - y.exponent - 64);
    return rounded<T>(env, {sign, quotient, dividend % y.integer != 0});
}

template <class T>
T sqrt(Environment& env, T a) {
    if (is_nan(a)) return quiet(env, {a});
    if (is_zero(a)) return a;
    if (negative(a)) return invalid<T>(env);
    if (is_infinite(a)) return a;
    Scaled x = scaled(a);
    u128 radicand = x.integer;
    while (radicand >> 123 == 0 || x.exponent % 2 != 0) {
        radicand <<= 1;
        --x.exponent;
    }
    u128 root = 0;
    for (int index = 62; index >= 0; --index) {
        const u128 candidate = root | u128{1} << index;
        if (candidate * candidate <= radicand) root = candidate;
    }
    return rounded<T>(env, {false, Magnitude::of(root, x.exponent / 2), root * root != radicand});
}

template <class To, class From>
To convert(Environment& env, From a) {
    if (is_nan(a)) {
        if (is_signaling(a)) env.flags |= soft::invalid;
        return soft::canonical_nan<To>();
    }
    if (is_infinite(a)) return with_sign<To>(negative(a), Shape<To>::infinity);
    return rounded_or_zero<To>(env, real(a), negative(a));
}

template <class I, class T>
I to_integer(Environment& env, T a, Rounding rounding) {
    using Limits = std::numeric_limits<I>;
    const auto saturated = [&](bool low) {
        env.flags |= soft::invalid;
        return low ? Limits::min() : Limits::max();
    };
    if (is_nan(a)) return saturated(false);
    if (is_infinite(a) || real(a).magnitude.top() > Magnitude::point + 100) return saturated(negative(a));
    bool changed = false;
    const i128 magnitude = static_cast<i128>(to_multiple(real(a), 0, rounding, changed));
    const i128 value = negative(a) ? -magnitude : magnitude;
    if (value < i128{Limits::min()}) return saturated(true);
    if (value > i128{Limits::max()}) return saturated(false);
    if (changed) env.flags |= soft::inexact;
    return static_cast<I>(value);
}

template <class T, class I>
T from_integer(Environment& env, I a) {
    const i128 value = a;
    const u128 magnitude = static_cast<u128>(value < 0 ? -value : value);
    return rounded_or_zero<T>(env, {value < 0, Magnitude::of(magnitude, 0), false}, false);
}

template <class T>
T round_to_integral(Environment& env, T a, Rounding rounding, soft::Exactness exactness) {
    if (is_nan(a)) return quiet(env, {a});
    if (is_infinite(a) || real(a).magnitude.top() > Magnitude::point + 100) return a;
    bool changed = false;
    const Magnitude integral = Magnitude::of(to_multiple(real(a), 0, rounding, changed), 0);
    if (changed && exactness == soft::Exactness::raise_inexact) env.flags |= soft::inexact;
    Environment ignored;
    return rounded_or_zero<T>(ignored, {negative(a), integral, false}, negative(a));
}

}  // namespace viv::exact
