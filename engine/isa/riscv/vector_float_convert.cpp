// Vector floating-point comparisons, merges and conversions.
// Specification: RISC-V Unprivileged ISA 20240411, sections 31.13.13 (compare), 31.13.15 (merge), 31.13.16 (move),
// 31.13.17 to 31.13.19 (conversions).
#include "engine/isa/riscv/vector_float_lanes.h"

namespace viv::riscv::vector {

namespace {

using soft::Environment;
using soft::Rounding;

struct Equal {
    template <class T>
    static bool apply(Lanes& l, T a, T b) {
        return soft::equal(l.env, a, b);
    }
};
struct NotEqual {
    template <class T>
    static bool apply(Lanes& l, T a, T b) {
        return !soft::equal(l.env, a, b);
    }
};
struct Less {
    template <class T>
    static bool apply(Lanes& l, T a, T b) {
        return soft::less(l.env, a, b);
    }
};
struct LessEqual {
    template <class T>
    static bool apply(Lanes& l, T a, T b) {
        return soft::less_equal(l.env, a, b);
    }
};
struct Greater {
    template <class T>
    static bool apply(Lanes& l, T a, T b) {
        return soft::less(l.env, b, a);
    }
};
struct GreaterEqual {
    template <class T>
    static bool apply(Lanes& l, T a, T b) {
        return soft::less_equal(l.env, b, a);
    }
};

template <class T>
void merge(Lanes& l) {
    for (u32 i = l.start; i < l.end; i++)
        put(l.d, i, l.mask == nullptr || get_bit(l.mask, i) ? get<T>(l.b, 0) : get<T>(l.a, i));
}
constexpr Kernels merge_kernels = {nullptr, merge<u16>, merge<u32>, merge<u64>};

}  // namespace

bool vmfeq(Hart& h, u32 w) { return floating<Shape::mask>(h, w, float_compare<Equal>); }
bool vmfne(Hart& h, u32 w) { return floating<Shape::mask>(h, w, float_compare<NotEqual>); }
bool vmflt(Hart& h, u32 w) { return floating<Shape::mask>(h, w, float_compare<Less>); }
bool vmfle(Hart& h, u32 w) { return floating<Shape::mask>(h, w, float_compare<LessEqual>); }
bool vmfgt(Hart& h, u32 w) { return floating<Shape::mask>(h, w, float_compare<Greater>); }
bool vmfge(Hart& h, u32 w) { return floating<Shape::mask>(h, w, float_compare<GreaterEqual>); }
bool vfmerge(Hart& h, u32 w) { return floating<Shape::same>(h, w, merge_kernels); }
bool vfmv_v_f(Hart& h, u32 w) { return floating<Shape::same>(h, w, merge_kernels); }

namespace {

// To an integer of D's width, D signed or not, from a format of A's width.
template <class D, class A>
void to_integer(Lanes& l) {
    for (u32 i = l.start; i < l.end; i++)
        if (l.mask == nullptr || get_bit(l.mask, i))
            put(l.d, i, soft::to_integer<D>(l.env, get<A>(l.a, i), l.env.rounding));
}
template <class D, class A>
void from_integer(Lanes& l) {
    for (u32 i = l.start; i < l.end; i++)
        if (l.mask == nullptr || get_bit(l.mask, i)) put(l.d, i, soft::from_integer<D>(l.env, get<A>(l.a, i)));
}
template <class D, class A>
void change_format(Lanes& l) {
    for (u32 i = l.start; i < l.end; i++)
        if (l.mask == nullptr || get_bit(l.mask, i)) put(l.d, i, soft::convert<D>(l.env, get<A>(l.a, i)));
}
constexpr Kernels to_unsigned = {nullptr, to_integer<u16, u16>, to_integer<u32, u32>, to_integer<u64, u64>};
constexpr Kernels to_signed = {nullptr, to_integer<i16, u16>, to_integer<i32, u32>, to_integer<i64, u64>};
constexpr Kernels from_unsigned = {nullptr, from_integer<u16, u16>, from_integer<u32, u32>, from_integer<u64, u64>};
constexpr Kernels from_signed = {nullptr, from_integer<u16, i16>, from_integer<u32, i32>, from_integer<u64, i64>};
constexpr Kernels to_wide_unsigned = {nullptr, to_integer<u32, u16>, to_integer<u64, u32>, nullptr};
constexpr Kernels to_wide_signed = {nullptr, to_integer<i32, u16>, to_integer<i64, u32>, nullptr};
constexpr Kernels wide_from_unsigned = {from_integer<u16, u8>, from_integer<u32, u16>, from_integer<u64, u32>, nullptr};
constexpr Kernels wide_from_signed = {from_integer<u16, i8>, from_integer<u32, i16>, from_integer<u64, i32>, nullptr};
constexpr Kernels to_narrow_unsigned = {to_integer<u8, u16>, to_integer<u16, u32>, to_integer<u32, u64>, nullptr};
constexpr Kernels to_narrow_signed = {to_integer<i8, u16>, to_integer<i16, u32>, to_integer<i32, u64>, nullptr};
constexpr Kernels narrow_from_unsigned = {nullptr, from_integer<u16, u32>, from_integer<u32, u64>, nullptr};
constexpr Kernels narrow_from_signed = {nullptr, from_integer<u16, i32>, from_integer<u32, i64>, nullptr};
constexpr Kernels to_wide_format = {nullptr, change_format<u32, u16>, change_format<u64, u32>, nullptr};
constexpr Kernels to_narrow_format = {nullptr, change_format<u16, u32>, change_format<u32, u64>, nullptr};

template <Shape S>
bool convert(Hart& h, u32 w, const Kernels& kernels, std::optional<Rounding> rounding = {}) {
    return floating<S>(h, w, kernels, Second::none, Old::ignored, rounding);
}
constexpr Rounding rtz = Rounding::toward_zero;

}  // namespace

bool vfcvt_xu_f(Hart& h, u32 w) { return convert<Shape::same>(h, w, to_unsigned); }
bool vfcvt_x_f(Hart& h, u32 w) { return convert<Shape::same>(h, w, to_signed); }
bool vfcvt_f_xu(Hart& h, u32 w) { return convert<Shape::same>(h, w, from_unsigned); }
bool vfcvt_f_x(Hart& h, u32 w) { return convert<Shape::same>(h, w, from_signed); }
bool vfcvt_rtz_xu_f(Hart& h, u32 w) { return convert<Shape::same>(h, w, to_unsigned, rtz); }
bool vfcvt_rtz_x_f(Hart& h, u32 w) { return convert<Shape::same>(h, w, to_signed, rtz); }
bool vfwcvt_xu_f(Hart& h, u32 w) { return convert<Shape::widen>(h, w, to_wide_unsigned); }
bool vfwcvt_x_f(Hart& h, u32 w) { return convert<Shape::widen>(h, w, to_wide_signed); }
bool vfwcvt_f_xu(Hart& h, u32 w) { return convert<Shape::widen>(h, w, wide_from_unsigned); }
bool vfwcvt_f_x(Hart& h, u32 w) { return convert<Shape::widen>(h, w, wide_from_signed); }
bool vfwcvt_f_f(Hart& h, u32 w) { return convert<Shape::widen>(h, w, to_wide_format); }
bool vfwcvt_rtz_xu_f(Hart& h, u32 w) { return convert<Shape::widen>(h, w, to_wide_unsigned, rtz); }
bool vfwcvt_rtz_x_f(Hart& h, u32 w) { return convert<Shape::widen>(h, w, to_wide_signed, rtz); }
bool vfncvt_xu_f(Hart& h, u32 w) { return convert<Shape::narrow>(h, w, to_narrow_unsigned); }
bool vfncvt_x_f(Hart& h, u32 w) { return convert<Shape::narrow>(h, w, to_narrow_signed); }
bool vfncvt_f_xu(Hart& h, u32 w) { return convert<Shape::narrow>(h, w, narrow_from_unsigned); }
bool vfncvt_f_x(Hart& h, u32 w) { return convert<Shape::narrow>(h, w, narrow_from_signed); }
bool vfncvt_f_f(Hart& h, u32 w) { return convert<Shape::narrow>(h, w, to_narrow_format); }
bool vfncvt_rod_f_f(Hart& h, u32 w) { return convert<Shape::narrow>(h, w, to_narrow_format, Rounding::to_odd); }
bool vfncvt_rtz_xu_f(Hart& h, u32 w) { return convert<Shape::narrow>(h, w, to_narrow_unsigned, rtz); }
bool vfncvt_rtz_x_f(Hart& h, u32 w) { return convert<Shape::narrow>(h, w, to_narrow_signed, rtz); }

}  // namespace viv::riscv::vector
