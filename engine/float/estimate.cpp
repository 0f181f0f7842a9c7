// The 7-bit estimates of 1/x and 1/sqrt(x).
// Promises: the tables, computed here from their definition (the value at the middle of each interval, rounded to
// 7 bits), are those that the specification prints; results other than overflows ignore the rounding mode.
// Specification: RISC-V V extension 1.0, sections 13.9 (vfrsqrt7) and 13.10 (vfrec7).
#include <array>

#include "engine/float/format.h"

namespace viv::soft {

using namespace internal;

namespace {

// 2 / x - 1 in 128ths for x = 1 + (index + 1/2) / 128.
constexpr std::array<u8, 128> reciprocal_table = [] {
    std::array<u8, 128> table{};
    for (u32 index = 0; index < 128; ++index) {
        const u32 middle = 257 + 2 * index;
        table[index] = static_cast<u8>((2 * 65536 + middle) / (2 * middle) - 128);
    }
    return table;
}();

// 2 / sqrt(x) - 1 in 128ths. The index is the exponent's last bit and six of the fraction; x is in [2, 4) where the bit
// is 0, since a bias is odd, and in [1, 2) where it is 1.
constexpr std::array<u8, 128> root_table = [] {
    std::array<u8, 128> table{};
    for (u32 index = 0; index < 128; ++index) {
        const u32 middle = (129 + 2 * (index & 63)) * (index < 64 ? 2 : 1);  // x in 128ths
        // The greatest y for which y - 1/2 <= 256 / sqrt(middle / 128).
        u32 y = 128;
        while ((2 * y + 1) * (2 * y + 1) * middle <= 4 * 65536 * 128) ++y;
        table[index] = static_cast<u8>(y - 128);
    }
    return table;
}();

// `estimate` has 7 bits and is placed below the leading bit.
template <class T>
T place(bool sign, i32 exponent, u64 estimate) {
    using F = Format<T>;
    u64 significand = (128 | estimate) << (F::fraction_bits - 7);
    if (exponent <= 0) {
        significand >>= 1 - exponent;  // exact: at most two places, and there are three bits to spare
        return with_sign<T>(sign, static_cast<T>(significand));
    }
    return with_sign<T>(sign, static_cast<T>((static_cast<u64>(exponent - 1) << F::fraction_bits) + significand));
}

template <class T>
T infinity_by_zero(Environment& env, bool sign) {
    raise(env, Flag::divide_by_zero);
    return with_sign<T>(sign, Format<T>::infinity);
}

}  // namespace

template <class T>
T reciprocal_sqrt_estimate7(Environment& env, T a) {
    if (is_nan(a)) return nan_result(env, a);
    if (is_zero(a)) return infinity_by_zero<T>(env, sign_of(a));
    if (sign_of(a)) return invalid_result<T>(env);
    if (is_infinite(a)) return 0;
    const Parts parts = take_apart(a);
    const usize index = ((static_cast<usize>(parts.exponent) & 1) << 6) | ((parts.significand >> 57) & 63);
    return place<T>(false, (3 * Format<T>::bias - 1 - parts.exponent) >> 1, root_table[index]);
}

template <class T>
T reciprocal_estimate7(Environment& env, T a) {
    const bool sign = sign_of(a);
    if (is_nan(a)) return nan_result(env, a);
    if (is_zero(a)) return infinity_by_zero<T>(env, sign);
    if (is_infinite(a)) return with_sign<T>(sign, T{0});
    const Parts parts = take_apart(a);
    const i32 exponent = 2 * Format<T>::bias - 1 - parts.exponent;
    if (exponent >= Format<T>::exponent_max) {  // the two leading fraction bits of a subnormal are zero
        raise(env, Flag::overflow | Flag::inexact);
        return overflow_result<T>(env.rounding, sign);
    }
    return place<T>(sign, exponent, reciprocal_table[(parts.significand >> 56) & 127]);
}

template u16 reciprocal_sqrt_estimate7<u16>(Environment&, u16);
template u32 reciprocal_sqrt_estimate7<u32>(Environment&, u32);
template u64 reciprocal_sqrt_estimate7<u64>(Environment&, u64);
template u16 reciprocal_estimate7<u16>(Environment&, u16);
template u32 reciprocal_estimate7<u32>(Environment&, u32);
template u64 reciprocal_estimate7<u64>(Environment&, u64);

}  // namespace viv::soft
