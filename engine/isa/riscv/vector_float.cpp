// Vector floating-point arithmetic, minimum and maximum, sign injection, estimates, classification.
// Promises: the results and flags are those of engine/float for binary16, binary32 and binary64.
// Specification: RISC-V Unprivileged ISA 20240411, section 31.13; Zvfh for binary16.
#include "engine/isa/riscv/vector_float_lanes.h"

namespace viv::riscv::vector {

namespace {

using soft::Environment;

struct Add {
    template <class T>
    static T apply(Environment& e, T a, T b) {
        return soft::add(e, a, b);
    }
};
struct Sub {
    template <class T>
    static T apply(Environment& e, T a, T b) {
        return soft::sub(e, a, b);
    }
};
struct ReverseSub {
    template <class T>
    static T apply(Environment& e, T a, T b) {
        return soft::sub(e, b, a);
    }
};
struct Mul {
    template <class T>
    static T apply(Environment& e, T a, T b) {
        return soft::mul(e, a, b);
    }
};
struct Div {
    template <class T>
    static T apply(Environment& e, T a, T b) {
        return soft::div(e, a, b);
    }
};
struct ReverseDiv {
    template <class T>
    static T apply(Environment& e, T a, T b) {
        return soft::div(e, b, a);
    }
};
struct Min {
    template <class T>
    static T apply(Environment& e, T a, T b) {
        return soft::min_number(e, a, b);
    }
};
struct Max {
    template <class T>
    static T apply(Environment& e, T a, T b) {
        return soft::max_number(e, a, b);
    }
};
struct Sqrt {
    template <class T>
    static T apply(Environment& e, T a) {
        return soft::sqrt(e, a);
    }
};
struct ReciprocalSqrt {
    template <class T>
    static T apply(Environment& e, T a) {
        return soft::reciprocal_sqrt_estimate7(e, a);
    }
};
struct Reciprocal {
    template <class T>
    static T apply(Environment& e, T a) {
        return soft::reciprocal_estimate7(e, a);
    }
};
struct Classify {
    template <class T>
    static T apply(Environment&, T a) {
        return static_cast<T>(soft::classify(a));
    }
};

template <class T>
constexpr T sign_bit = static_cast<T>(T{1} << (8 * sizeof(T) - 1));
struct Sign {
    template <class T>
    static T apply(Environment&, T a, T b) {
        return static_cast<T>((a & ~sign_bit<T>) | (b & sign_bit<T>));
    }
};
struct SignNot {
    template <class T>
    static T apply(Environment&, T a, T b) {
        return static_cast<T>((a & ~sign_bit<T>) | (~b & sign_bit<T>));
    }
};
struct SignXor {
    template <class T>
    static T apply(Environment&, T a, T b) {
        return static_cast<T>(a ^ (b & sign_bit<T>));
    }
};

}  // namespace

bool vfadd(Hart& h, u32 w) { return floating<Shape::same>(h, w, float_same<Add>); }
bool vfsub(Hart& h, u32 w) { return floating<Shape::same>(h, w, float_same<Sub>); }
bool vfrsub(Hart& h, u32 w) { return floating<Shape::same>(h, w, float_same<ReverseSub>); }
bool vfmul(Hart& h, u32 w) { return floating<Shape::same>(h, w, float_same<Mul>); }
bool vfdiv(Hart& h, u32 w) { return floating<Shape::same>(h, w, float_same<Div>); }
bool vfrdiv(Hart& h, u32 w) { return floating<Shape::same>(h, w, float_same<ReverseDiv>); }
bool vfmin(Hart& h, u32 w) { return floating<Shape::same>(h, w, float_same<Min>); }
bool vfmax(Hart& h, u32 w) { return floating<Shape::same>(h, w, float_same<Max>); }
bool vfsgnj(Hart& h, u32 w) { return floating<Shape::same>(h, w, float_same<Sign>); }
bool vfsgnjn(Hart& h, u32 w) { return floating<Shape::same>(h, w, float_same<SignNot>); }
bool vfsgnjx(Hart& h, u32 w) { return floating<Shape::same>(h, w, float_same<SignXor>); }
bool vfsqrt(Hart& h, u32 w) { return floating<Shape::same>(h, w, float_same<Sqrt>, Second::none); }
bool vfrsqrt7(Hart& h, u32 w) { return floating<Shape::same>(h, w, float_same<ReciprocalSqrt>, Second::none); }
bool vfrec7(Hart& h, u32 w) { return floating<Shape::same>(h, w, float_same<Reciprocal>, Second::none); }
bool vfclass(Hart& h, u32 w) { return floating<Shape::same>(h, w, float_same<Classify>, Second::none); }
bool vfwadd(Hart& h, u32 w) { return floating<Shape::widen>(h, w, float_widen<Add>); }
bool vfwsub(Hart& h, u32 w) { return floating<Shape::widen>(h, w, float_widen<Sub>); }
bool vfwmul(Hart& h, u32 w) { return floating<Shape::widen>(h, w, float_widen<Mul>); }
bool vfwadd_w(Hart& h, u32 w) { return floating<Shape::widen_w>(h, w, float_widen_w<Add>); }
bool vfwsub_w(Hart& h, u32 w) { return floating<Shape::widen_w>(h, w, float_widen_w<Sub>); }

}  // namespace viv::riscv::vector
