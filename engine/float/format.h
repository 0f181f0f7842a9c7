// What all operations of this room share: the layout of the formats, taking a value apart, rounding and packing it.
// Private to engine/float; everyone else includes softfloat.h.
// Promises: `round_and_pack` is the only place where a significand is rounded to a format, so the rules for rounding,
// overflow, underflow and tininess exist once; `nan_result` is the only place that chooses among NaNs.
// Specification: IEEE 754-2019 sections 3.4 (formats), 4.3 (rounding), 6.2 (NaNs), 7.4 and 7.5 (overflow, underflow).
#pragma once

#include "engine/float/softfloat.h"

namespace viv::soft::internal {

template <class T>
struct Format;

template <class T, int FractionBits>
struct Layout {
    static constexpr int width = static_cast<int>(sizeof(T)) * 8;
    static constexpr int fraction_bits = FractionBits;
    static constexpr int exponent_bits = width - 1 - FractionBits;
    static constexpr i32 exponent_max = (1 << exponent_bits) - 1;  // of infinities and NaNs
    static constexpr i32 bias = exponent_max >> 1;
    static constexpr T sign_mask = static_cast<T>(u64{1} << (width - 1));
    static constexpr T magnitude_mask = static_cast<T>(sign_mask - 1);
    static constexpr T fraction_mask = static_cast<T>((u64{1} << FractionBits) - 1);
    static constexpr T hidden_bit = static_cast<T>(u64{1} << FractionBits);
    static constexpr T quiet_bit = static_cast<T>(u64{1} << (FractionBits - 1));
    static constexpr T infinity = static_cast<T>(static_cast<u64>(exponent_max) << FractionBits);
    static constexpr T largest = static_cast<T>(infinity - 1);
    static constexpr T one = static_cast<T>(static_cast<u64>(bias) << FractionBits);
};
template <>
struct Format<u16> : Layout<u16, 10> {};
template <>
struct Format<u32> : Layout<u32, 23> {};
template <>
struct Format<u64> : Layout<u64, 52> {};

// A finite nonzero number, (-1)^sign * significand * 2^(exponent - bias - 63). Normalized means that bit 63 is set.
struct Parts {
    bool sign;
    i32 exponent;
    u64 significand;
};

template <class T>
constexpr bool sign_of(T a) {
    return (a & Format<T>::sign_mask) != 0;
}
template <class T>
constexpr T magnitude_of(T a) {
    return static_cast<T>(a & Format<T>::magnitude_mask);
}
template <class T>
constexpr i32 exponent_of(T a) {
    return static_cast<i32>(magnitude_of(a) >> Format<T>::fraction_bits);
}
template <class T>
constexpr bool is_nan(T a) {
    return magnitude_of(a) > Format<T>::infinity;
}
template <class T>
constexpr bool is_signaling(T a) {
    return is_nan(a) && (a & Format<T>::quiet_bit) == 0;
}
template <class T>
constexpr bool is_infinite(T a) {
    return magnitude_of(a) == Format<T>::infinity;
}
template <class T>
constexpr bool is_zero(T a) {
    return magnitude_of(a) == 0;
}
template <class T>
constexpr bool is_finite(T a) {
    return magnitude_of(a) < Format<T>::infinity;
}
// Neither zero, subnormal, infinite nor NaN.
template <class T>
constexpr bool is_normal(T a) {
    return static_cast<u32>(exponent_of(a) - 1) < static_cast<u32>(Format<T>::exponent_max - 1);
}
template <class T>
constexpr T with_sign(bool sign, T magnitude) {
    return static_cast<T>(magnitude | static_cast<T>(static_cast<u64>(sign) << (Format<T>::width - 1)));
}

inline void raise(Environment& env, int flags) { env.flags = static_cast<u8>(env.flags | flags); }

// All ones or zero. Choices that follow the data are made by masks, since no branch predictor learns them.
constexpr u64 mask_if(bool condition) { return u64{0} - static_cast<u64>(condition); }

// `value >> count`, with bit 0 also set if a one was lost. count is 0 to the width - 1.
constexpr u64 shift_right_sticky(u64 value, i32 count) {
    const u64 lost = value & ((u64{1} << count) - 1);
    return (value >> count) | static_cast<u64>(lost != 0);
}
constexpr u128 shift_right_sticky(u128 value, i32 count) {
    // In two steps of at most 63, so that the mask of lost bits is one word.
    const u64 far = mask_if(count >= 64);
    const u64 high = static_cast<u64>(value >> 64);
    const u64 low = static_cast<u64>(value);
    const u64 near_high = high & ~far;
    const u64 near_low = low ^ ((low ^ high) & far);
    const u64 lost = (low & far) | (near_low & ((u64{1} << (count & 63)) - 1));
    // Two shifts, for a count of zero.
    const u64 result_low = (near_low >> (count & 63)) | (near_high << 1 << (63 - (count & 63)));
    return (u128{near_high >> (count & 63)} << 64) | result_low | static_cast<u64>(lost != 0);
}

// The normalized parts of a normal number.
template <class T>
constexpr Parts take_apart_normal(T a) {
    using F = Format<T>;
    const u64 significand = (static_cast<u64>(a) & F::fraction_mask) | F::hidden_bit;
    return {sign_of(a), exponent_of(a), significand << (63 - F::fraction_bits)};
}

// The normalized parts of a finite nonzero number; the exponent of a subnormal is zero or less.
template <class T>
constexpr Parts take_apart(T a) {
    if (exponent_of(a) != 0) return take_apart_normal(a);
    const int leading = std::countl_zero(static_cast<u64>(magnitude_of(a)));
    return {sign_of(a), 64 - Format<T>::fraction_bits - leading, static_cast<u64>(magnitude_of(a)) << leading};
}

// What is added below the last kept bit, `discarded` bits further down, to round by carrying. to_odd adds nothing: its
// callers set the last bit afterwards. `odd` is the last kept bit.
constexpr u64 rounding_addend(Rounding rounding, bool sign, u64 odd, int discarded) {
    const u64 half = u64{1} << (discarded - 1);
    if (rounding == Rounding::nearest_even) [[likely]]
        return half - 1 + odd;
    switch (rounding) {
        case Rounding::nearest_max_magnitude: return half;
        case Rounding::down: return sign ? 2 * half - 1 : 0;
        case Rounding::up: return sign ? 0 : 2 * half - 1;
        default: return 0;
    }
}

// What an overflow gives: the infinity or the largest finite number.
template <class T>
constexpr T overflow_result(Rounding rounding, bool sign) {
    const bool to_infinity = rounding == Rounding::nearest_even || rounding == Rounding::nearest_max_magnitude ||
                             rounding == (sign ? Rounding::down : Rounding::up);
    return with_sign<T>(sign, to_infinity ? Format<T>::infinity : Format<T>::largest);
}

// Rounding when the result may be subnormal or may overflow; out of line to keep `round_and_pack` small.
template <class T>
T round_and_pack_edge(Environment& env, Parts value);

// `value`, normalized, rounded by env to the format; its bit 0 may be sticky. Raises inexact, underflow and overflow.
template <class T>
[[gnu::always_inline]] inline T round_and_pack(Environment& env, Parts value) {
    using F = Format<T>;
    constexpr int discarded = 63 - F::fraction_bits;
    // Below exponent_max - 1 a carry out of the significand still gives a finite number.
    if (static_cast<u32>(value.exponent - 1) >= static_cast<u32>(F::exponent_max - 2)) [[unlikely]]
        return round_and_pack_edge<T>(env, value);
    u64 kept = value.significand >> discarded;
    const u64 lost = value.significand & ((u64{1} << discarded) - 1);
    kept += (lost + rounding_addend(env.rounding, value.sign, kept & 1, discarded)) >> discarded;
    if (env.rounding == Rounding::to_odd) [[unlikely]]
        kept |= static_cast<u64>(lost != 0);
    raise(env, lost != 0 ? Flag::inexact : 0);
    // The hidden bit adds one to the exponent field, and so does a carry out of an all-ones fraction.
    return with_sign<T>(value.sign, static_cast<T>((static_cast<u64>(value.exponent - 1) << F::fraction_bits) + kept));
}

// The NaN that an invalid operation makes. x86 calls its negative one "real indefinite".
template <class T>
constexpr T default_nan(const Environment& env) {
    return with_sign<T>(env.nan_rule == NanRule::first_operand, canonical_nan<T>());
}

template <class T>
T invalid_result(Environment& env);

// The result when at least one operand is a NaN, by env.nan_rule; raises invalid if one is signaling.
template <class T>
T nan_result(Environment& env, T a);
template <class T>
T nan_result(Environment& env, T a, T b);
template <class T>
T nan_result(Environment& env, T a, T b, T c);

}  // namespace viv::soft::internal
