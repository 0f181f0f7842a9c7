// Vector fixed-point instructions: saturation (vxsat) and rounding (vxrm).
// Specification: RISC-V Unprivileged ISA 20240411, sections 31.3.8 (vxrm, vxsat) and 31.12.
#include "engine/isa/riscv/vector_lanes.h"

namespace viv::riscv::vector {

namespace {

// Twice the width, for sums and products that must not overflow.
template <class T>
struct Double {
    using type = u64;
};
template <>
struct Double<u64> {
    using type = u128;
};
template <class T>
struct DoubleSigned {
    using type = i64;
};
template <>
struct DoubleSigned<u64> {
    using type = i128;
};

// What rounding adds to value >> shift.
template <class V>
constexpr unsigned increment(V value, unsigned shift, u8 vxrm) {
    if (shift == 0) return 0;
    const unsigned kept = static_cast<unsigned>(value >> shift & 1);
    const unsigned half = static_cast<unsigned>(value >> (shift - 1) & 1);
    const bool below = (value & ((V{1} << (shift - 1)) - 1)) != 0;
    switch (vxrm) {
        case 0: return half;                                    // to nearest, up
        case 1: return half & (unsigned{below} | kept);         // to nearest, even
        case 2: return 0;                                       // down
        default: return (kept ^ 1) & (half | unsigned{below});  // to odd
    }
}
template <class V>
constexpr V rounded_shift(V value, unsigned shift, u8 vxrm) {
    return static_cast<V>((value >> shift) + static_cast<V>(increment(value, shift, vxrm)));
}

template <class T>
T saturate(Lanes& l, T value) {
    l.saturated = true;
    return value;
}
template <class T>
constexpr T most_negative = static_cast<T>(T{1} << (8 * sizeof(T) - 1));
template <class T>
constexpr T most_positive = static_cast<T>(most_negative<T> - 1);
template <class T>
constexpr bool negative(T value) {
    return static_cast<Signed<T>>(value) < 0;
}

struct SaturatingAddU {
    template <class T>
    static T apply(Lanes& l, T a, T b) {
        const T sum = static_cast<T>(a + b);
        return sum < a ? saturate(l, static_cast<T>(~T{0})) : sum;
    }
};
struct SaturatingAdd {
    template <class T>
    static T apply(Lanes& l, T a, T b) {
        const T sum = static_cast<T>(a + b);
        const bool overflow = negative(static_cast<T>((a ^ sum) & (b ^ sum)));
        return overflow ? saturate(l, negative(a) ? most_negative<T> : most_positive<T>) : sum;
    }
};
struct SaturatingSubU {
    template <class T>
    static T apply(Lanes& l, T a, T b) {
        return a < b ? saturate(l, T{0}) : static_cast<T>(a - b);
    }
};
struct SaturatingSub {
    template <class T>
    static T apply(Lanes& l, T a, T b) {
        const T difference = static_cast<T>(a - b);
        const bool overflow = negative(static_cast<T>((a ^ b) & (a ^ difference)));
        return overflow ? saturate(l, negative(a) ? most_negative<T> : most_positive<T>) : difference;
    }
};
struct AverageAddU {
    template <class T>
    static T apply(Lanes& l, T a, T b) {
        using D = typename Double<T>::type;
        return static_cast<T>(rounded_shift(static_cast<D>(D{a} + b), 1, l.vxrm));
    }
};
struct AverageAdd {
    template <class T>
    static T apply(Lanes& l, T a, T b) {
        using D = typename DoubleSigned<T>::type;
        return static_cast<T>(
            rounded_shift(static_cast<D>(D{static_cast<Signed<T>>(a)} + static_cast<Signed<T>>(b)), 1, l.vxrm));
    }
};
struct AverageSubU {
    template <class T>
    static T apply(Lanes& l, T a, T b) {
        using D = typename DoubleSigned<T>::type;  // the difference of unsigned numbers has a sign, and rounds with it
        return static_cast<T>(rounded_shift(static_cast<D>(static_cast<D>(a) - static_cast<D>(b)), 1, l.vxrm));
    }
};
struct AverageSub {
    template <class T>
    static T apply(Lanes& l, T a, T b) {
        using D = typename DoubleSigned<T>::type;
        return static_cast<T>(
            rounded_shift(static_cast<D>(D{static_cast<Signed<T>>(a)} - static_cast<Signed<T>>(b)), 1, l.vxrm));
    }
};
struct FractionalMul {
    template <class T>
    static T apply(Lanes& l, T a, T b) {
        using D = typename DoubleSigned<T>::type;
        if (a == most_negative<T> && b == most_negative<T>) return saturate(l, most_positive<T>);
        const D product = D{static_cast<Signed<T>>(a)} * static_cast<Signed<T>>(b);
        return static_cast<T>(rounded_shift(product, 8 * sizeof(T) - 1, l.vxrm));
    }
};
template <class T>
constexpr unsigned shift_amount(T b) {
    return static_cast<unsigned>(b & (8 * sizeof(T) - 1));
}
struct ScalingShift {
    template <class T>
    static T apply(Lanes& l, T a, T b) {
        return rounded_shift(a, shift_amount(b), l.vxrm);
    }
};
struct ScalingShiftSigned {
    template <class T>
    static T apply(Lanes& l, T a, T b) {
        // In 64 bits or more, since rounding may carry.
        const i64 value = static_cast<Signed<T>>(a);
        return static_cast<T>(rounded_shift(value, shift_amount(b), l.vxrm));
    }
};
// T is the wide type, the result one of half the width.
struct ClipU {
    template <class T>
    static T apply(Lanes& l, T a, T b) {
        constexpr T largest = static_cast<T>((T{1} << (4 * sizeof(T))) - 1);
        const u128 value = rounded_shift(u128{a}, shift_amount(b), l.vxrm);
        return value > largest ? saturate(l, largest) : static_cast<T>(value);
    }
};
struct Clip {
    template <class T>
    static T apply(Lanes& l, T a, T b) {
        constexpr i64 largest = (i64{1} << (4 * sizeof(T) - 1)) - 1;
        const i128 value = rounded_shift(i128{static_cast<Signed<T>>(a)}, shift_amount(b), l.vxrm);
        if (value > largest) return saturate(l, static_cast<T>(largest));
        if (value < -largest - 1) return saturate(l, static_cast<T>(-largest - 1));
        return static_cast<T>(value);
    }
};

}  // namespace

bool vsaddu(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<SaturatingAddU>); }
bool vsadd(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<SaturatingAdd>); }
bool vssubu(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<SaturatingSubU>); }
bool vssub(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<SaturatingSub>); }
bool vaaddu(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<AverageAddU>); }
bool vaadd(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<AverageAdd>); }
bool vasubu(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<AverageSubU>); }
bool vasub(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<AverageSub>); }
bool vsmul(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<FractionalMul>); }
bool vssrl(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<ScalingShift>, Second::uimm5); }
bool vssra(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<ScalingShiftSigned>, Second::uimm5); }
bool vnclipu(Hart& h, u32 w) { return integer<Shape::narrow>(h, w, narrow_kernels<ClipU>, Second::uimm5); }
bool vnclip(Hart& h, u32 w) { return integer<Shape::narrow>(h, w, narrow_kernels<Clip>, Second::uimm5); }

}  // namespace viv::riscv::vector
