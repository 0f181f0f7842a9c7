// The meanings of ops.def as constexpr functions: the single definition that every tier uses or is tested against.
// Promises: total functions, no undefined behaviour for any operands of u8, u16, u32, u64 (and u128 where no high half
// is asked for). Floating point means what float/softfloat.h says; those functions are not constexpr.
#pragma once

#include <type_traits>

#include "engine/float/softfloat.h"
#include "engine/lang/bits.h"
#include "engine/lang/bytes.h"

namespace viv::ir::meaning {

template <class T>
struct SignedOf {
    using type = std::make_signed_t<T>;
};
template <>
struct SignedOf<u128> {
    using type = i128;
};
// bool takes part in and_, or_, xor_, not_, eq and ne.
template <>
struct SignedOf<bool> {
    using type = bool;
};
template <class T>
inline constexpr unsigned width_of = std::is_same_v<T, bool> ? 1 : unsigned(sizeof(T) * 8);

template <class T>
constexpr unsigned count_leading_zeros(T a) {
    if constexpr (sizeof(T) == 16) {
        const u64 high = u64(a >> 64);
        return high != 0 ? unsigned(std::countl_zero(high)) : 64 + unsigned(std::countl_zero(u64(a)));
    } else
        return unsigned(std::countl_zero(std::conditional_t<std::is_same_v<T, bool>, u8, T>(a)));
}
template <class T>
constexpr unsigned count_trailing_zeros(T a) {
    if constexpr (sizeof(T) == 16)
        return u64(a) != 0 ? unsigned(std::countr_zero(u64(a))) : 64 + unsigned(std::countr_zero(u64(a >> 64)));
    else
        return unsigned(std::countr_zero(std::conditional_t<std::is_same_v<T, bool>, u8, T>(a)));
}
template <class T>
constexpr unsigned count_ones(T a) {
    if constexpr (sizeof(T) == 16)
        return unsigned(std::popcount(u64(a)) + std::popcount(u64(a >> 64)));
    else
        return unsigned(std::popcount(std::conditional_t<std::is_same_v<T, bool>, u8, T>(a)));
}
template <class T>
constexpr T reverse_bytes(T a) {
    if constexpr (sizeof(T) == 16)
        return (T(byte_swap(u64(a))) << 64) | byte_swap(u64(a >> 64));
    else
        return byte_swap(a);
}

// Small types would be promoted to int, whose overflow is undefined: multiply in 64 bits or more.
template <class T>
constexpr T multiply_low(T a, T b) {
    if constexpr (sizeof(T) < 8)
        return T(u64(a) * u64(b));
    else
        return T(a * b);
}
template <class T>
constexpr T multiply_high_unsigned(T a, T b) {
    static_assert(sizeof(T) <= 8);
    return T((u128(a) * u128(b)) >> width_of<T>);
}
template <class T>
constexpr T multiply_high_signed(T a, T b) {
    static_assert(sizeof(T) <= 8);
    using S = typename SignedOf<T>::type;
    // From wider products g++ 12 makes an unsigned multiplication of 16 bits when it vectorizes.
    if constexpr (sizeof(T) <= 2)
        return T(i32(S(a)) * i32(S(b)) >> width_of<T>);
    else
        return T(u128(i128(S(a)) * i128(S(b))) >> width_of<T>);
}
template <class T>
constexpr T multiply_high_signed_unsigned(T a, T b) {
    static_assert(sizeof(T) <= 8);
    using S = typename SignedOf<T>::type;
    return T(u128(i128(S(a)) * i128(b)) >> width_of<T>);
}

template <class T>
constexpr u128 carryless(T a, T b) {
    u128 result = 0;
    for (unsigned i = 0; i < width_of<T>; i++)
        if ((b >> i) & 1) result ^= u128(a) << i;
    return result;
}
template <class T>
constexpr T carryless_low(T a, T b) {
    return T(carryless(a, b));
}
template <class T>
constexpr T carryless_high(T a, T b) {
    return T(carryless(a, b) >> width_of<T>);
}

#define IR_UNARY(name, meaning)                              \
    template <class T>                                       \
    constexpr T name(T a) {                                  \
        [[maybe_unused]] constexpr unsigned W = width_of<T>; \
        return meaning;                                      \
    }
#define IR_BINARY(name, meaning)                               \
    template <class T>                                         \
    constexpr T name(T a, T b) {                               \
        using S [[maybe_unused]] = typename SignedOf<T>::type; \
        [[maybe_unused]] constexpr T W = T(width_of<T>);       \
        return meaning;                                        \
    }
#define IR_COMPARE(name, meaning)                              \
    template <class T>                                         \
    constexpr bool name(T a, T b) {                            \
        using S [[maybe_unused]] = typename SignedOf<T>::type; \
        return meaning;                                        \
    }
#define IR_FLOAT_UNARY(name, meaning)                      \
    template <class T>                                     \
    T name([[maybe_unused]] soft::Environment& env, T a) { \
        return meaning;                                    \
    }
#define IR_FLOAT_BINARY(name, meaning)                          \
    template <class T>                                          \
    T name([[maybe_unused]] soft::Environment& env, T a, T b) { \
        return meaning;                                         \
    }
#define IR_FLOAT_TERNARY(name, meaning)                              \
    template <class T>                                               \
    T name([[maybe_unused]] soft::Environment& env, T a, T b, T c) { \
        return meaning;                                              \
    }
#define IR_FLOAT_COMPARE(name, meaning)                            \
    template <class T>                                             \
    bool name([[maybe_unused]] soft::Environment& env, T a, T b) { \
        return meaning;                                            \
    }
#define IR_FLOAT_CONVERT(name, meaning)                         \
    template <class R, class T>                                 \
    R name([[maybe_unused]] soft::Environment& env, T a) {      \
        using S [[maybe_unused]] = typename SignedOf<T>::type;  \
        using SR [[maybe_unused]] = typename SignedOf<R>::type; \
        return meaning;                                         \
    }
#include "engine/ir/ops.def"

}  // namespace viv::ir::meaning
