// The uncommon half of format.h: rounding at the edges of a format, and the choice of a NaN.
// Promises: exact for every significand, also where a carry overflows or makes a subnormal the least normal number.
// Specification: IEEE 754-2019 sections 6.2 (NaNs), 7.2 (invalid), 7.4 (overflow) and 7.5 (underflow, which under
// default handling is signaled only for a result both tiny and inexact).
#include "engine/float/format.h"

#include <algorithm>

namespace viv::soft::internal {

template <class T>
[[gnu::noinline]] T round_and_pack_edge(Environment& env, Parts value) {
    using F = Format<T>;
    constexpr int discarded = 63 - F::fraction_bits;
    constexpr u64 discarded_mask = (u64{1} << discarded) - 1;

    // What rounding with an unbounded exponent would do: it decides overflow and tininess after rounding.
    const u64 normal_kept = value.significand >> discarded;
    const u64 normal_addend = rounding_addend(env.rounding, value.sign, normal_kept & 1, discarded);
    const u64 normal_lost = value.significand & discarded_mask;
    const u64 unbounded = normal_kept + ((normal_lost + normal_addend) >> discarded);
    const bool carries = (unbounded >> (F::fraction_bits + 1)) != 0;

    if (value.exponent > 0) {
        if (value.exponent + (carries ? 1 : 0) >= F::exponent_max) {
            raise(env, Flag::overflow | Flag::inexact);
            return overflow_result<T>(env.rounding, value.sign);
        }
        const u64 odd = static_cast<u64>(env.rounding == Rounding::to_odd && normal_lost != 0);
        raise(env, normal_lost != 0 ? Flag::inexact : 0);
        const u64 exponent_field = static_cast<u64>(value.exponent - 1) << F::fraction_bits;
        return with_sign<T>(value.sign, static_cast<T>(exponent_field + (unbounded | odd)));
    }

    const bool tiny = env.tininess == Tininess::before_rounding || value.exponent < 0 || !carries;
    const u64 shifted = shift_right_sticky(value.significand, std::min(1 - value.exponent, 63));
    const u64 lost = shifted & discarded_mask;
    u64 kept = shifted >> discarded;
    kept += (lost + rounding_addend(env.rounding, value.sign, kept & 1, discarded)) >> discarded;
    if (lost != 0) {
        if (env.rounding == Rounding::to_odd) kept |= 1;
        raise(env, Flag::inexact | (tiny ? Flag::underflow : 0));
    }
    return with_sign<T>(value.sign, static_cast<T>(kept));
}

template <class T>
[[gnu::noinline]] T invalid_result(Environment& env) {
    raise(env, Flag::invalid);
    return default_nan<T>(env);
}

namespace {

template <class T>
T quieted(T a) {
    return static_cast<T>(a | Format<T>::quiet_bit);
}

// `operands` in the order of precedence.
template <class T, usize Count>
T choose_nan(Environment& env, const T (&operands)[Count]) {
    const T* first = nullptr;
    const T* first_signaling = nullptr;
    for (const T& operand : operands) {
        if (first == nullptr && is_nan(operand)) first = &operand;
        if (first_signaling == nullptr && is_signaling(operand)) first_signaling = &operand;
    }
    if (first_signaling != nullptr) raise(env, Flag::invalid);
    if (env.nan_rule == NanRule::canonical) return canonical_nan<T>();
    if (env.nan_rule == NanRule::signaling_first && first_signaling != nullptr) return quieted(*first_signaling);
    return quieted(*first);
}

}  // namespace

template <class T>
[[gnu::noinline]] T nan_result(Environment& env, T a) {
    return choose_nan(env, {a});
}

template <class T>
[[gnu::noinline]] T nan_result(Environment& env, T a, T b) {
    return choose_nan(env, {a, b});
}

template <class T>
[[gnu::noinline]] T nan_result(Environment& env, T a, T b, T c) {
    // Arm looks at the addend before the factors, x86 after them.
    if (env.nan_rule == NanRule::signaling_first) return choose_nan(env, {c, a, b});
    return choose_nan(env, {a, b, c});
}

template u16 round_and_pack_edge<u16>(Environment&, Parts);
template u32 round_and_pack_edge<u32>(Environment&, Parts);
template u64 round_and_pack_edge<u64>(Environment&, Parts);
template u16 invalid_result<u16>(Environment&);
template u32 invalid_result<u32>(Environment&);
template u64 invalid_result<u64>(Environment&);
template u16 nan_result<u16>(Environment&, u16);
template u32 nan_result<u32>(Environment&, u32);
template u64 nan_result<u64>(Environment&, u64);
template u16 nan_result<u16>(Environment&, u16, u16);
template u32 nan_result<u32>(Environment&, u32, u32);
template u64 nan_result<u64>(Environment&, u64, u64);
template u16 nan_result<u16>(Environment&, u16, u16, u16);
template u32 nan_result<u32>(Environment&, u32, u32, u32);
template u64 nan_result<u64>(Environment&, u64, u64, u64);

}  // namespace viv::soft::internal
