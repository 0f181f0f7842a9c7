// Division and square root, by digits: an estimate of the reciprocal (or reciprocal root) good to 29 bits gives the
// leading digit, the exact remainder times the same estimate the next, and one exact comparison the floor.
// Promises: the quotient or root is exact to its last bit with the remainder sticky, so rounding happens once. No
// divide instruction is used. The two estimates' error bounds were checked for each of their possible arguments.
// Specification: IEEE 754-2019 section 5.4.1; 7.2 (invalid), 7.3 (division by zero).
#include <array>

#include "engine/float/format.h"

namespace viv::soft {

using namespace internal;

namespace {

// The greatest integer whose square is at most `value`, which is below 2^126.
constexpr u64 integer_root(u128 value) {
    u64 root = 0;
    for (int index = 62; index >= 0; --index) {
        const u64 candidate = root | (u64{1} << index);
        if (static_cast<u128>(candidate) * candidate <= value) root = candidate;
    }
    return root;
}

constexpr u32 fit32(u64 value) { return value >> 32 != 0 ? ~u32{0} : static_cast<u32>(value); }

// 2^32 / x at the ends of the 128 equal parts of [1, 2).
constexpr std::array<u32, 129> reciprocals = [] {
    std::array<u32, 129> table{};
    for (u64 index = 0; index < table.size(); ++index) table[index] = fit32((u64{1} << 39) / (128 + index));
    return table;
}();

// 2^32 / sqrt(x) at the ends of the 192 equal parts of [1, 4).
constexpr std::array<u32, 193> reciprocal_roots = [] {
    std::array<u32, 193> table{};
    for (u64 index = 0; index < table.size(); ++index)
        table[index] = fit32(integer_root((static_cast<u128>(1) << 70) / (64 + index)));
    return table;
}();

// For 2^31 <= d < 2^32: a chord of 1/d (16 bits), then one Newton step. At most 2^63 / D for every D in [d, d + 1), and
// short of it by at most 4.
[[gnu::always_inline]] inline u64 reciprocal(u64 d) {
    const usize index = (d >> 24) & 127;
    const u64 offset = d & 0xff'ffff;
    const u64 start = reciprocals[index];
    const u64 chord = start - (((start - reciprocals[index + 1]) * offset) >> 24);
    const i64 error = static_cast<i64>((u64{1} << 63) - d * chord);
    return chord + static_cast<u64>((static_cast<i64>(chord) * (error >> 17)) >> 46) - 2;
}

// For 2^30 <= x < 2^32, x standing for [1, 4): 2^47 / sqrt(X) for every X in [x, x + 1), with a relative error of
// -2^-29.8 to 2^-30.6. A chord (15 bits), then one Newton step.
[[gnu::always_inline]] inline u64 reciprocal_root(u64 x) {
    const usize index = (x >> 24) - 64;
    const u64 offset = x & 0xff'ffff;
    const u64 start = reciprocal_roots[index];
    const u64 chord = start - (((start - reciprocal_roots[index + 1]) * offset) >> 24);
    const i64 error = static_cast<i64>((u64{1} << 62) - x * ((chord * chord) >> 32));
    return chord + static_cast<u64>((static_cast<i64>(chord) * (error >> 18)) >> 45);
}

template <class T>
[[gnu::always_inline]] inline T divide_parts(Environment& env, Parts a, Parts b) {
    // a * 2^shorter / b is in [1, 2), both as 53-bit integers.
    const u64 shorter = static_cast<u64>(a.significand < b.significand);
    const u64 dividend = (a.significand >> 11) << shorter;
    const u64 divisor = b.significand >> 11;
    const u64 inverse = reciprocal(divisor >> 21);

    // 28 bits of quotient, short by less than 1.8; remainders are exact although their terms wrap.
    u64 quotient = ((dividend >> 22) * inverse) >> 35;
    u64 remainder = (dividend << 27) - quotient * divisor;
    constexpr int second_digit = sizeof(T) == 8 ? 27 : 0;
    if constexpr (second_digit != 0) {
        // 27 more, again short by less than 1.8.
        const u64 digit = ((remainder >> 22) * inverse) >> 35;
        quotient = (quotient << second_digit) + digit;
        remainder = (remainder << second_digit) - digit * divisor;
    }
    const u64 increment = static_cast<u64>(remainder >= divisor);
    quotient += increment;
    remainder -= divisor & (u64{0} - increment);
    const u64 significand = (quotient << (36 - second_digit)) | static_cast<u64>(remainder != 0);
    const i32 exponent = a.exponent - b.exponent + Format<T>::bias - static_cast<i32>(shorter);
    return round_and_pack<T>(env, {a.sign != b.sign, exponent, significand});
}

template <class T>
[[gnu::noinline]] T divide_unusual(Environment& env, T a, T b) {
    if (is_nan(a) || is_nan(b)) return nan_result(env, a, b);
    const bool sign = sign_of(a) != sign_of(b);
    if ((is_infinite(a) && is_infinite(b)) || (is_zero(a) && is_zero(b))) return invalid_result<T>(env);
    if (is_infinite(a)) return with_sign<T>(sign, Format<T>::infinity);
    if (is_infinite(b) || is_zero(a)) return with_sign<T>(sign, T{0});
    if (is_zero(b)) {
        raise(env, Flag::divide_by_zero);
        return with_sign<T>(sign, Format<T>::infinity);
    }
    return divide_parts<T>(env, take_apart(a), take_apart(b));
}

template <class T>
[[gnu::always_inline]] inline T root_parts(Environment& env, Parts a) {
    // x = radicand * 2^-62 is in [1, 4), the exponent that is left is even.
    const i32 unbiased = a.exponent - Format<T>::bias;
    const u64 radicand = a.significand >> (~unbiased & 1);
    const u64 high = radicand >> 32;
    const u64 inverse = reciprocal_root(high);

    u64 root;
    u64 remainder;  // the radicand less root^2, exact although its terms wrap
    int position;
    if constexpr (sizeof(T) == 8) {
        // sqrt(x) * 2^30 with an error of -1.7 to 4.4; its remainder may be negative.
        const u64 digit = (high * inverse) >> 32;
        const i64 rest = static_cast<i64>((radicand >> 2) - digit * digit);
        // sqrt(x) * 2^55, short by 0 to 1.9: the constant keeps the estimate from exceeding the root.
        const i64 next = ((rest >> 4) * static_cast<i64>(inverse) - (i64{1} << 31)) >> 34;
        root = (digit << 25) + static_cast<u64>(next);
        remainder = (radicand << 48) - root * root;
        position = 8;
    } else {
        // sqrt(x) * 2^27, short by 0 to 1.6.
        root = (high * inverse - (u64{1} << 33)) >> 35;
        remainder = (radicand >> 8) - root * root;
        position = 36;
    }
    const u64 step = 2 * root + 1;
    const u64 increment = static_cast<u64>(remainder >= step);
    root += increment;
    remainder -= step & (u64{0} - increment);
    const u64 significand = (root << position) | static_cast<u64>(remainder != 0);
    return round_and_pack<T>(env, {false, (unbiased >> 1) + Format<T>::bias, significand});
}

template <class T>
[[gnu::noinline]] T root_unusual(Environment& env, T a) {
    if (is_nan(a)) return nan_result(env, a);
    if (is_zero(a)) return a;
    if (sign_of(a)) return invalid_result<T>(env);
    if (is_infinite(a)) return a;
    return root_parts<T>(env, take_apart(a));
}

}  // namespace

template <class T>
T div(Environment& env, T a, T b) {
    if (!(is_normal(a) && is_normal(b))) [[unlikely]]
        return divide_unusual(env, a, b);
    return divide_parts<T>(env, take_apart_normal(a), take_apart_normal(b));
}

template <class T>
T sqrt(Environment& env, T a) {
    if (!(is_normal(a) && !sign_of(a))) [[unlikely]]
        return root_unusual(env, a);
    return root_parts<T>(env, take_apart_normal(a));
}

template u16 div<u16>(Environment&, u16, u16);
template u32 div<u32>(Environment&, u32, u32);
template u64 div<u64>(Environment&, u64, u64);
template u16 sqrt<u16>(Environment&, u16);
template u32 sqrt<u32>(Environment&, u32);
template u64 sqrt<u64>(Environment&, u64);

}  // namespace viv::soft
