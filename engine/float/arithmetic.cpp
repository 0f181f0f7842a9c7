// Addition, subtraction, multiplication and fused multiply-add.
// Promises: straight-line integer code for ordinary operands; zeros, subnormals, infinities and NaNs are one call away.
// Every intermediate is exact or has its lost bits in bit 0, far below the format's last bit, so rounding happens once.
// Specification: IEEE 754-2019 section 5.4.1; 6.3 for the sign of a zero sum; 7.2 for invalid operations.
#include <type_traits>
#include <utility>

#include "engine/float/format.h"

namespace viv::soft {

using namespace internal;

namespace {

// A sum that is exactly zero, of terms that are not both zeros of one sign.
template <class T>
T zero_sum(const Environment& env) {
    return with_sign<T>(env.rounding == Rounding::down, T{0});
}

// The larger magnitude first. A zero or subnormal term is a number of exponent 1 without a hidden bit.
template <class T>
struct Terms {
    T large;
    T small;
    i32 large_exponent;
    i32 small_exponent;
    u64 large_significand;  // the hidden bit is at bit 62, which leaves bit 63 for the carry
    u64 small_significand;
};

template <class T>
[[gnu::always_inline]] inline T add_terms(Environment& env, const Terms<T>& terms) {
    const i32 distance = terms.large_exponent - terms.small_exponent;
    const u64 aligned = shift_right_sticky(terms.small_significand, distance < 63 ? distance : 63);
    const u64 subtract = u64{0} - static_cast<u64>(sign_of(static_cast<T>(terms.large ^ terms.small)));
    const u64 sum = terms.large_significand + ((aligned ^ subtract) - subtract);
    if (sum == 0) [[unlikely]]
        return subtract == 0 ? terms.large : zero_sum<T>(env);
    const int leading = std::countl_zero(sum);
    return round_and_pack<T>(env, {sign_of(terms.large), terms.large_exponent + 1 - leading, sum << leading});
}

template <class T>
[[gnu::noinline]] T add_unusual(Environment& env, T a, T b, T negate_b) {
    using F = Format<T>;
    if (is_nan(a) || is_nan(b)) return nan_result(env, a, b);  // the sign of a NaN takes no part in a subtraction
    b = static_cast<T>(b ^ negate_b);
    if (is_infinite(a) && is_infinite(b) && a != b) return invalid_result<T>(env);
    if (is_infinite(a)) return a;
    if (is_infinite(b)) return b;
    if (magnitude_of(a) < magnitude_of(b)) std::swap(a, b);
    const auto exponent = [](T value) { return exponent_of(value) == 0 ? 1 : exponent_of(value); };
    const auto significand = [](T value) {
        const u64 hidden = exponent_of(value) == 0 ? 0 : u64{F::hidden_bit};
        return ((value & F::fraction_mask) | hidden) << (62 - F::fraction_bits);
    };
    return add_terms<T>(env, {a, b, exponent(a), exponent(b), significand(a), significand(b)});
}

template <class T>
[[gnu::always_inline]] inline T add_or_subtract(Environment& env, T a, T b, T negate_b) {
    using F = Format<T>;
    const T opposite = static_cast<T>(b ^ negate_b);
    const T exchange = static_cast<T>((a ^ opposite) & mask_if(magnitude_of(a) < magnitude_of(b)));
    const T large = static_cast<T>(a ^ exchange);
    const T small = static_cast<T>(opposite ^ exchange);
    const i32 large_exponent = exponent_of(large);
    const i32 small_exponent = exponent_of(small);
    if (large_exponent == F::exponent_max || small_exponent == 0) [[unlikely]]
        return add_unusual(env, a, b, negate_b);
    const auto significand = [](T value) {
        constexpr int position = 62 - F::fraction_bits;
        return (static_cast<u64>(value) << position & (u64{F::fraction_mask} << position)) | u64{1} << 62;
    };
    return add_terms<T>(env, {large, small, large_exponent, small_exponent, significand(large), significand(small)});
}

// The product of two normalized significands as one normalized or one short of it, the low part sticky.
template <class T>
[[gnu::always_inline]] inline u64 multiply_significands(u64 a, u64 b) {
    if constexpr (sizeof(T) == 8) {
        const u128 product = static_cast<u128>(a) * b;
        return static_cast<u64>(product >> 64) | static_cast<u64>(static_cast<u64>(product) != 0);
    } else {
        return (a >> 32) * (b >> 32);
    }
}

template <class T>
[[gnu::always_inline]] inline T multiply_parts(Environment& env, Parts a, Parts b) {
    const u64 product = multiply_significands<T>(a.significand, b.significand);
    const i32 carry = static_cast<i32>(product >> 63);
    const i32 exponent = a.exponent + b.exponent - Format<T>::bias + carry;
    return round_and_pack<T>(env, {a.sign != b.sign, exponent, product << (1 - carry)});
}

template <class T>
[[gnu::noinline]] T multiply_unusual(Environment& env, T a, T b) {
    if (is_nan(a) || is_nan(b)) return nan_result(env, a, b);
    const bool sign = sign_of(a) != sign_of(b);
    if (is_infinite(a) || is_infinite(b)) {
        if (is_zero(a) || is_zero(b)) return invalid_result<T>(env);
        return with_sign<T>(sign, Format<T>::infinity);
    }
    if (is_zero(a) || is_zero(b)) return with_sign<T>(sign, T{0});
    return multiply_parts<T>(env, take_apart(a), take_apart(b));
}

// A word for a product of two significands and a third one, all exact, with a bit to spare: a normalized addend's
// leading bit is two below the top, a product's two or one below.
template <class T>
struct Fused {
    using Wide = std::conditional_t<sizeof(T) == 8, u128, u64>;
    static constexpr int width = static_cast<int>(sizeof(Wide)) * 8;
    static constexpr int narrowed = 64 - width / 2;
    static Wide product(u64 a, u64 b) { return static_cast<Wide>(a >> narrowed) * (b >> (narrowed + 1)); }
    static Wide addend(u64 c) {
        if constexpr (width == 128)
            return static_cast<Wide>(c) << 62;
        else
            return c >> 2;
    }
};

template <class T>
[[gnu::always_inline]] inline T multiply_add_parts(Environment& env, Parts a, Parts b, Parts c) {
    using Word = Fused<T>;
    using Wide = typename Word::Wide;
    const Wide product = Word::product(a.significand, b.significand);
    const Wide addend = Word::addend(c.significand);
    const i32 product_exponent = a.exponent + b.exponent - Format<T>::bias;
    const u64 product_sign = static_cast<u64>(a.sign != b.sign);
    const u64 addend_sign = static_cast<u64>(c.sign);

    // A shift that loses bits is one of three places or more (both words end in zeros), and then cancellation costs at
    // most two places, so the sticky bit never comes near the format's last bit.
    const u64 exchange = mask_if(product_exponent < c.exponent);
    const Wide exchanged = (product ^ addend) & (Wide{0} - static_cast<Wide>(exchange & 1));
    const Wide large = product ^ exchanged;
    const Wide small = addend ^ exchanged;
    const u64 large_sign = product_sign ^ ((product_sign ^ addend_sign) & exchange);
    const i32 exponent = product_exponent < c.exponent ? c.exponent : product_exponent;
    const i32 distance = 2 * exponent - product_exponent - c.exponent;
    const Wide aligned = shift_right_sticky(small, distance < Word::width ? distance : Word::width - 1);

    // `large` has the greater exponent, not always the greater magnitude: a difference may be negative.
    const u64 subtract = product_sign ^ addend_sign;
    const Wide complement = Wide{0} - subtract;
    Wide sum = large + ((aligned ^ complement) - complement);
    const u64 negative = static_cast<u64>(sum >> (Word::width - 1)) & subtract;
    sum = (sum ^ (Wide{0} - negative)) + negative;
    if (sum == 0) [[unlikely]]
        return zero_sum<T>(env);

    u64 significand;
    i32 leading;
    if constexpr (Word::width == 128) {
        u64 high = static_cast<u64>(sum >> 64);
        u64 low = static_cast<u64>(sum);
        leading = 0;
        if (high == 0) [[unlikely]] {
            leading = 64;
            high = low;
            low = 0;
        }
        const int shift = std::countl_zero(high);
        leading += shift;
        // Two shifts, for a count of zero.
        significand = (high << shift) | (low >> 1 >> (63 - shift)) | static_cast<u64>(low << shift != 0);
    } else {
        leading = std::countl_zero(sum);
        significand = sum << leading;
    }
    return round_and_pack<T>(env, {(large_sign ^ negative) != 0, exponent + 2 - leading, significand});
}

template <class T>
[[gnu::noinline]] T multiply_add_unusual(Environment& env, T a, T b, T c) {
    const bool invalid_product = (is_infinite(a) && is_zero(b)) || (is_zero(a) && is_infinite(b));
    if (is_nan(a) || is_nan(b) || is_nan(c)) {
        // The addend is the only NaN here. x86 passes it on in silence.
        if (invalid_product && env.nan_rule != NanRule::first_operand) {
            raise(env, Flag::invalid);
            if (!is_signaling(c)) return canonical_nan<T>();
        }
        return nan_result(env, a, b, c);
    }
    if (invalid_product) return invalid_result<T>(env);
    const bool product_sign = sign_of(a) != sign_of(b);
    if (is_infinite(a) || is_infinite(b)) {
        if (is_infinite(c) && sign_of(c) != product_sign) return invalid_result<T>(env);
        return with_sign<T>(product_sign, Format<T>::infinity);
    }
    if (is_infinite(c)) return c;
    if (is_zero(a) || is_zero(b)) {
        if (!is_zero(c) || sign_of(c) == product_sign) return c;
        return zero_sum<T>(env);
    }
    if (is_zero(c)) return multiply_parts<T>(env, take_apart(a), take_apart(b));
    return multiply_add_parts<T>(env, take_apart(a), take_apart(b), take_apart(c));
}

}  // namespace

template <class T>
T add(Environment& env, T a, T b) {
    return add_or_subtract<T>(env, a, b, T{0});
}

template <class T>
T sub(Environment& env, T a, T b) {
    return add_or_subtract<T>(env, a, b, Format<T>::sign_mask);
}

template <class T>
T mul(Environment& env, T a, T b) {
    if (!(is_normal(a) && is_normal(b))) [[unlikely]]
        return multiply_unusual(env, a, b);
    return multiply_parts<T>(env, take_apart_normal(a), take_apart_normal(b));
}

template <class T>
T mul_add(Environment& env, T a, T b, T c) {
    if (!(is_normal(a) && is_normal(b) && is_normal(c))) [[unlikely]]
        return multiply_add_unusual(env, a, b, c);
    return multiply_add_parts<T>(env, take_apart_normal(a), take_apart_normal(b), take_apart_normal(c));
}

template u16 add<u16>(Environment&, u16, u16);
template u32 add<u32>(Environment&, u32, u32);
template u64 add<u64>(Environment&, u64, u64);
template u16 sub<u16>(Environment&, u16, u16);
template u32 sub<u32>(Environment&, u32, u32);
template u64 sub<u64>(Environment&, u64, u64);
template u16 mul<u16>(Environment&, u16, u16);
template u32 mul<u32>(Environment&, u32, u32);
template u64 mul<u64>(Environment&, u64, u64);
template u16 mul_add<u16>(Environment&, u16, u16, u16);
template u32 mul_add<u32>(Environment&, u32, u32, u32);
template u64 mul_add<u64>(Environment&, u64, u64, u64);

}  // namespace viv::soft
