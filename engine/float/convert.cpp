// Conversions: to and from integers of 8 to 64 bits, between formats, and to integral values.
// Promises: out-of-range conversions raise invalid alone, in-range ones inexact when the value changes; nothing wraps.
// Specification: IEEE 754-2019 sections 5.4.1, 5.4.2, 5.8 and 5.9; the saturated results are those of RISC-V's FCVT.
#include <limits>

#include "engine/float/format.h"

namespace viv::soft {

using namespace internal;

namespace {

// True if a magnitude of `lost` / 2^64 beyond the integer part rounds away from zero. `odd`: the integer part is odd.
constexpr bool rounds_up(Rounding rounding, bool sign, bool odd, u64 lost) {
    constexpr u64 half = u64{1} << 63;
    switch (rounding) {
        case Rounding::nearest_even: return lost > half || (lost == half && odd);
        case Rounding::nearest_max_magnitude: return lost >= half;
        case Rounding::down: return sign && lost != 0;
        case Rounding::up: return !sign && lost != 0;
        case Rounding::to_odd: return !odd && lost != 0;
        case Rounding::toward_zero: break;
    }
    return false;
}

}  // namespace

template <class I, class T>
I to_integer(Environment& env, T a, Rounding rounding) {
    using F = Format<T>;
    using Limits = std::numeric_limits<I>;
    const bool sign = sign_of(a) && !is_nan(a);
    const I saturated = sign ? Limits::min() : Limits::max();
    const i32 unbiased = exponent_of(a) - F::bias;
    if (unbiased >= 64) {  // also infinities and NaNs, except in binary16
        raise(env, Flag::invalid);
        return saturated;
    }
    if constexpr (sizeof(T) == 2) {
        if (!is_finite(a)) {
            raise(env, Flag::invalid);
            return saturated;
        }
    }

    const u64 hidden = static_cast<u64>(exponent_of(a) != 0) << F::fraction_bits;
    const u64 significand = (static_cast<u64>(a) & F::fraction_mask) | hidden;
    u64 magnitude = 0;
    u64 lost = 0;
    if (unbiased >= F::fraction_bits) {
        magnitude = significand << (unbiased - F::fraction_bits);
    } else if (unbiased >= -1) {
        const int count = F::fraction_bits - unbiased;
        magnitude = significand >> count;
        lost = significand << (64 - count);
    } else {
        lost = static_cast<u64>(significand != 0);  // less than a half
    }
    if (rounds_up(rounding, sign, magnitude & 1, lost)) ++magnitude;

    // The negative limit is one more than the positive one, or zero.
    const u64 positive_limit = static_cast<u64>(Limits::max());
    const u64 limit = Limits::is_signed ? positive_limit + sign : positive_limit & ~mask_if(sign);
    if (magnitude > limit) [[unlikely]] {
        raise(env, Flag::invalid);
        return saturated;
    }
    raise(env, lost != 0 ? Flag::inexact : 0);
    return static_cast<I>((magnitude ^ mask_if(sign)) - mask_if(sign));
}

template <class T, class I>
T from_integer(Environment& env, I a) {
    if (a == 0) return 0;
    const bool sign = a < 0;
    const u64 magnitude = (static_cast<u64>(a) ^ mask_if(sign)) - mask_if(sign);
    const int leading = std::countl_zero(magnitude);
    return round_and_pack<T>(env, {sign, Format<T>::bias + 63 - leading, magnitude << leading});
}

template <class To, class From>
To convert(Environment& env, From a) {
    const bool sign = sign_of(a);
    if (!is_finite(a)) [[unlikely]] {
        if (!is_nan(a)) return with_sign<To>(sign, Format<To>::infinity);
        if (is_signaling(a)) raise(env, Flag::invalid);
        if (env.nan_rule == NanRule::canonical) return canonical_nan<To>();
        // The payload keeps its most significant bits.
        const u64 payload = static_cast<u64>(a & Format<From>::fraction_mask) << (63 - Format<From>::fraction_bits);
        const u64 fraction = payload >> (63 - Format<To>::fraction_bits);
        return with_sign<To>(sign, static_cast<To>(Format<To>::infinity | Format<To>::quiet_bit | fraction));
    }
    if (is_zero(a)) return with_sign<To>(sign, To{0});
    Parts parts = take_apart(a);
    parts.exponent += Format<To>::bias - Format<From>::bias;
    return round_and_pack<To>(env, parts);
}

template <class T>
T round_to_integral(Environment& env, T a, Rounding rounding, Exactness exactness) {
    using F = Format<T>;
    if (is_nan(a)) return nan_result(env, a);
    const i32 unbiased = exponent_of(a) - F::bias;
    if (unbiased >= F::fraction_bits || is_zero(a)) return a;

    const T magnitude = magnitude_of(a);
    T result;
    bool changed = true;
    if (unbiased < 0) {
        // Of the values below one, only what is compared with a half matters.
        const u64 half = u64{1} << 63;
        const u64 lost = unbiased < -1 ? 1 : (magnitude & F::fraction_mask) == 0 ? half : half + 1;
        result = rounds_up(rounding, sign_of(a), false, lost) ? F::one : T{0};
    } else {
        // In place: a carry out of the fraction gives the next exponent, as it must.
        const int count = F::fraction_bits - unbiased;
        const u64 lost = static_cast<u64>(magnitude) << (64 - count);
        const u64 truncated = static_cast<u64>(magnitude) >> count;
        // Where the last bit kept is the hidden one, the bias stands in its place, and that is odd too.
        const u64 carry = rounds_up(rounding, sign_of(a), truncated & 1, lost) ? 1 : 0;
        result = static_cast<T>((truncated + carry) << count);
        changed = lost != 0;
    }
    if (changed && exactness == Exactness::raise_inexact) raise(env, Flag::inexact);
    return with_sign<T>(sign_of(a), result);
}

template i8 to_integer<i8, u16>(Environment&, u16, Rounding);
template i8 to_integer<i8, u32>(Environment&, u32, Rounding);
template i8 to_integer<i8, u64>(Environment&, u64, Rounding);
template u8 to_integer<u8, u16>(Environment&, u16, Rounding);
template u8 to_integer<u8, u32>(Environment&, u32, Rounding);
template u8 to_integer<u8, u64>(Environment&, u64, Rounding);
template i16 to_integer<i16, u16>(Environment&, u16, Rounding);
template i16 to_integer<i16, u32>(Environment&, u32, Rounding);
template i16 to_integer<i16, u64>(Environment&, u64, Rounding);
template u16 to_integer<u16, u16>(Environment&, u16, Rounding);
template u16 to_integer<u16, u32>(Environment&, u32, Rounding);
template u16 to_integer<u16, u64>(Environment&, u64, Rounding);
template i32 to_integer<i32, u16>(Environment&, u16, Rounding);
template i32 to_integer<i32, u32>(Environment&, u32, Rounding);
template i32 to_integer<i32, u64>(Environment&, u64, Rounding);
template u32 to_integer<u32, u16>(Environment&, u16, Rounding);
template u32 to_integer<u32, u32>(Environment&, u32, Rounding);
template u32 to_integer<u32, u64>(Environment&, u64, Rounding);
template i64 to_integer<i64, u16>(Environment&, u16, Rounding);
template i64 to_integer<i64, u32>(Environment&, u32, Rounding);
template i64 to_integer<i64, u64>(Environment&, u64, Rounding);
template u64 to_integer<u64, u16>(Environment&, u16, Rounding);
template u64 to_integer<u64, u32>(Environment&, u32, Rounding);
template u64 to_integer<u64, u64>(Environment&, u64, Rounding);
template u16 from_integer<u16, i8>(Environment&, i8);
template u32 from_integer<u32, i8>(Environment&, i8);
template u64 from_integer<u64, i8>(Environment&, i8);
template u16 from_integer<u16, u8>(Environment&, u8);
template u32 from_integer<u32, u8>(Environment&, u8);
template u64 from_integer<u64, u8>(Environment&, u8);
template u16 from_integer<u16, i16>(Environment&, i16);
template u32 from_integer<u32, i16>(Environment&, i16);
template u64 from_integer<u64, i16>(Environment&, i16);
template u16 from_integer<u16, u16>(Environment&, u16);
template u32 from_integer<u32, u16>(Environment&, u16);
template u64 from_integer<u64, u16>(Environment&, u16);
template u16 from_integer<u16, i32>(Environment&, i32);
template u32 from_integer<u32, i32>(Environment&, i32);
template u64 from_integer<u64, i32>(Environment&, i32);
template u16 from_integer<u16, u32>(Environment&, u32);
template u32 from_integer<u32, u32>(Environment&, u32);
template u64 from_integer<u64, u32>(Environment&, u32);
template u16 from_integer<u16, i64>(Environment&, i64);
template u32 from_integer<u32, i64>(Environment&, i64);
template u64 from_integer<u64, i64>(Environment&, i64);
template u16 from_integer<u16, u64>(Environment&, u64);
template u32 from_integer<u32, u64>(Environment&, u64);
template u64 from_integer<u64, u64>(Environment&, u64);

template u16 convert<u16, u32>(Environment&, u32);
template u16 convert<u16, u64>(Environment&, u64);
template u32 convert<u32, u16>(Environment&, u16);
template u32 convert<u32, u64>(Environment&, u64);
template u64 convert<u64, u16>(Environment&, u16);
template u64 convert<u64, u32>(Environment&, u32);
template u16 round_to_integral<u16>(Environment&, u16, Rounding, Exactness);
template u32 round_to_integral<u32>(Environment&, u32, Rounding, Exactness);
template u64 round_to_integral<u64>(Environment&, u64, Rounding, Exactness);

}  // namespace viv::soft
