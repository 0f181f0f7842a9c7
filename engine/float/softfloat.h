// The meaning of every floating-point operation in the engine, on raw bit patterns, host independent and bit exact.
// Promises: IEEE 754-2019 results and exception flags for all rounding modes; no host floating point is used.
// Values are the formats' bit patterns: u16 is binary16, u32 binary32, u64 binary64. Specification: IEEE 754-2019
// sections 4 (rounding), 5 (operations), 7 (exceptions); the NaN and tininess rules that it leaves open are in
// `Environment`.
#pragma once

#include "engine/lang/bits.h"

namespace viv::soft {

// The numbering is that of RISC-V's frm; other guests map to it.
enum class Rounding : u8 { nearest_even = 0, toward_zero = 1, down = 2, up = 3, nearest_max_magnitude = 4, to_odd = 5 };

// The numbering is that of RISC-V's fflags.
enum Flag : u8 { inexact = 1, underflow = 2, overflow = 4, divide_by_zero = 8, invalid = 16 };

enum class NanRule : u8 {
    canonical,        // every NaN result is the positive quiet NaN with a zero payload (RISC-V; Arm with FPCR.DN)
    first_operand,    // the first NaN operand, quieted (x86 SSE); invalid operations make the negative quiet NaN
    signaling_first,  // the first signaling NaN operand, else the first quiet one, quieted (Arm); of mul_add, c first
};
enum class Tininess : u8 { after_rounding, before_rounding };

// What an operation consults and what it leaves behind. `flags` accumulates; nothing here clears it.
struct Environment {
    Rounding rounding = Rounding::nearest_even;
    u8 flags = 0;
    NanRule nan_rule = NanRule::canonical;
    Tininess tininess = Tininess::after_rounding;
};

// T is u16, u32 or u64 throughout.
template <class T>
T add(Environment& env, T a, T b);
template <class T>
T sub(Environment& env, T a, T b);
template <class T>
T mul(Environment& env, T a, T b);
template <class T>
T div(Environment& env, T a, T b);
template <class T>
T sqrt(Environment& env, T a);
// a * b + c with one rounding. Infinity times zero plus a quiet NaN is invalid and makes a new NaN (RISC-V, Arm), but
// under NanRule::first_operand the quiet NaN passes in silence (x86).
template <class T>
T mul_add(Environment& env, T a, T b, T c);

// equal is quiet; less and less_equal signal invalid on any NaN; the _quiet forms only on signaling NaNs.
template <class T>
bool equal(Environment& env, T a, T b);
template <class T>
bool less(Environment& env, T a, T b);
template <class T>
bool less_equal(Environment& env, T a, T b);
template <class T>
bool less_quiet(Environment& env, T a, T b);
template <class T>
bool less_equal_quiet(Environment& env, T a, T b);

// IEEE 754-2019 minimumNumber and maximumNumber: a NaN loses to a number; -0 is less than +0; two NaNs give the
// canonical NaN.
template <class T>
T min_number(Environment& env, T a, T b);
template <class T>
T max_number(Environment& env, T a, T b);

// The ten classes of RISC-V's fclass as a one-hot mask (bit 0 -inf ... bit 9 quiet NaN).
template <class T>
u16 classify(T a);

// Conversion to an integer of I = i32, u32, i64 or u64 (also i8, u8, i16, u16 for vectors): out-of-range values and NaN
// are invalid and saturate the RISC-V way (NaN to the largest value).
template <class I, class T>
I to_integer(Environment& env, T a, Rounding rounding);
// From I = i32, u32, i64, u64 (and the narrower ones), rounding by env.
template <class T, class I>
T from_integer(Environment& env, I a);
// Between formats, To and From any two different ones of u16, u32, u64.
template <class To, class From>
To convert(Environment& env, From a);
// To an integral value in the same format; raises inexact when the value changes if `exact` says so.
enum class Exactness : u8 { silent, raise_inexact };
template <class T>
T round_to_integral(Environment& env, T a, Rounding rounding, Exactness exactness);

// The 7-bit estimates of the RISC-V V extension 1.0, sections 13.9 (vfrsqrt7) and 13.10 (vfrec7).
template <class T>
T reciprocal_sqrt_estimate7(Environment& env, T a);
template <class T>
T reciprocal_estimate7(Environment& env, T a);

template <class T>
constexpr T canonical_nan();
template <>
constexpr u16 canonical_nan<u16>() {
    return 0x7e00;
}
template <>
constexpr u32 canonical_nan<u32>() {
    return 0x7fc0'0000;
}
template <>
constexpr u64 canonical_nan<u64>() {
    return 0x7ff8'0000'0000'0000;
}

}  // namespace viv::soft
