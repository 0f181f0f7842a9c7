// Comparisons, minimum and maximum, and classification: nothing here rounds.
// Promises: no result depends on a NaN's payload; minima and maxima of two NaNs are canonical whatever the NaN rule.
// Specification: IEEE 754-2019 sections 5.11 (comparisons) and 9.6 (minimumNumber, maximumNumber); RISC-V's FCLASS.
#include "engine/float/format.h"

namespace viv::soft {

using namespace internal;

namespace {

enum class NanSignal : u8 { signaling_only, any };

// True if there is a NaN; raises invalid as asked for.
template <class T>
[[gnu::always_inline]] inline bool unordered(Environment& env, T a, T b, NanSignal signal) {
    if (!(is_nan(a) || is_nan(b))) [[likely]]
        return false;
    if (signal == NanSignal::any || is_signaling(a) || is_signaling(b)) raise(env, Flag::invalid);
    return true;
}

// Orders all numbers, -0 just below +0. Here and below without branches: signs and orders of data are hard to predict.
template <class T>
constexpr i64 rank(T a) {
    const i64 extended = sign_extend(a, Format<T>::width);
    return extended ^ static_cast<i64>(static_cast<u64>(extended >> 63) >> 1);
}

template <class T>
constexpr int both_zero(T a, T b) {
    return magnitude_of(static_cast<T>(a | b)) == 0;
}
template <class T>
constexpr bool number_equal(T a, T b) {
    return (static_cast<int>(a == b) | both_zero(a, b)) != 0;
}
template <class T>
constexpr bool number_less(T a, T b) {
    return (static_cast<int>(rank(a) < rank(b)) & ~both_zero(a, b)) != 0;
}

}  // namespace

template <class T>
bool equal(Environment& env, T a, T b) {
    return !unordered(env, a, b, NanSignal::signaling_only) && number_equal(a, b);
}
template <class T>
bool less(Environment& env, T a, T b) {
    return !unordered(env, a, b, NanSignal::any) && number_less(a, b);
}
template <class T>
bool less_equal(Environment& env, T a, T b) {
    return !unordered(env, a, b, NanSignal::any) && !number_less(b, a);
}
template <class T>
bool less_quiet(Environment& env, T a, T b) {
    return !unordered(env, a, b, NanSignal::signaling_only) && number_less(a, b);
}
template <class T>
bool less_equal_quiet(Environment& env, T a, T b) {
    return !unordered(env, a, b, NanSignal::signaling_only) && !number_less(b, a);
}

template <class T>
T min_number(Environment& env, T a, T b) {
    if (unordered(env, a, b, NanSignal::signaling_only)) {
        if (!is_nan(a)) return a;
        return is_nan(b) ? canonical_nan<T>() : b;
    }
    return rank(b) < rank(a) ? b : a;
}
template <class T>
T max_number(Environment& env, T a, T b) {
    if (unordered(env, a, b, NanSignal::signaling_only)) {
        if (!is_nan(a)) return a;
        return is_nan(b) ? canonical_nan<T>() : b;
    }
    return rank(a) < rank(b) ? b : a;
}

template <class T>
u16 classify(T a) {
    if (is_nan(a)) return is_signaling(a) ? 1 << 8 : 1 << 9;
    // Positive: +0 is class 4, then subnormal, normal, infinity; the negative ones mirror them, -0 being 3.
    const int kind = is_zero(a) ? 0 : exponent_of(a) == 0 ? 1 : is_infinite(a) ? 3 : 2;
    return static_cast<u16>(1 << (sign_of(a) ? 3 - kind : 4 + kind));
}

template bool equal<u16>(Environment&, u16, u16);
template bool equal<u32>(Environment&, u32, u32);
template bool equal<u64>(Environment&, u64, u64);
template bool less<u16>(Environment&, u16, u16);
template bool less<u32>(Environment&, u32, u32);
template bool less<u64>(Environment&, u64, u64);
template bool less_equal<u16>(Environment&, u16, u16);
template bool less_equal<u32>(Environment&, u32, u32);
template bool less_equal<u64>(Environment&, u64, u64);
template bool less_quiet<u16>(Environment&, u16, u16);
template bool less_quiet<u32>(Environment&, u32, u32);
template bool less_quiet<u64>(Environment&, u64, u64);
template bool less_equal_quiet<u16>(Environment&, u16, u16);
template bool less_equal_quiet<u32>(Environment&, u32, u32);
template bool less_equal_quiet<u64>(Environment&, u64, u64);
template u16 min_number<u16>(Environment&, u16, u16);
template u32 min_number<u32>(Environment&, u32, u32);
template u64 min_number<u64>(Environment&, u64, u64);
template u16 max_number<u16>(Environment&, u16, u16);
template u32 max_number<u32>(Environment&, u32, u32);
template u64 max_number<u64>(Environment&, u64, u64);
template u16 classify<u16>(u16);
template u16 classify<u32>(u32);
template u16 classify<u64>(u64);

}  // namespace viv::soft
