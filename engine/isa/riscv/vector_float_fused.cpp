// Vector floating-point multiply-add, of one width and widening. Specification: RISC-V Unprivileged ISA 20240411,
// sections 31.13.6 and 31.13.7.
#include "engine/isa/riscv/vector_float_lanes.h"

namespace viv::riscv::vector {

namespace {

using soft::Environment;

template <class T>
constexpr T negated(T a) {
    return static_cast<T>(a ^ static_cast<T>(T{1} << (8 * sizeof(T) - 1)));
}

// a is vs2, b is vs1 or the scalar, old is vd. "Accumulate" adds to vd, "add" overwrites a factor.
struct MulAccumulate {
    template <class T>
    static T apply(Environment& e, T old, T a, T b) {
        return soft::mul_add(e, b, a, old);
    }
};
struct NegMulAccumulate {
    template <class T>
    static T apply(Environment& e, T old, T a, T b) {
        return soft::mul_add(e, negated(b), a, negated(old));
    }
};
struct MulSubtract {
    template <class T>
    static T apply(Environment& e, T old, T a, T b) {
        return soft::mul_add(e, b, a, negated(old));
    }
};
struct NegMulSubtract {
    template <class T>
    static T apply(Environment& e, T old, T a, T b) {
        return soft::mul_add(e, negated(b), a, old);
    }
};
struct MulAdd {
    template <class T>
    static T apply(Environment& e, T old, T a, T b) {
        return soft::mul_add(e, b, old, a);
    }
};
struct NegMulAdd {
    template <class T>
    static T apply(Environment& e, T old, T a, T b) {
        return soft::mul_add(e, negated(b), old, negated(a));
    }
};
struct MulSub {
    template <class T>
    static T apply(Environment& e, T old, T a, T b) {
        return soft::mul_add(e, b, old, negated(a));
    }
};
struct NegMulSub {
    template <class T>
    static T apply(Environment& e, T old, T a, T b) {
        return soft::mul_add(e, negated(b), old, a);
    }
};

template <class Op>
bool fused(Hart& h, u32 w) {
    return floating<Shape::same>(h, w, float_same<Op>, Second::float_, Old::read);
}
template <class Op>
bool fused_widen(Hart& h, u32 w) {
    return floating<Shape::widen>(h, w, float_widen<Op>, Second::float_, Old::read);
}

}  // namespace

bool vfmacc(Hart& h, u32 w) { return fused<MulAccumulate>(h, w); }
bool vfnmacc(Hart& h, u32 w) { return fused<NegMulAccumulate>(h, w); }
bool vfmsac(Hart& h, u32 w) { return fused<MulSubtract>(h, w); }
bool vfnmsac(Hart& h, u32 w) { return fused<NegMulSubtract>(h, w); }
bool vfmadd(Hart& h, u32 w) { return fused<MulAdd>(h, w); }
bool vfnmadd(Hart& h, u32 w) { return fused<NegMulAdd>(h, w); }
bool vfmsub(Hart& h, u32 w) { return fused<MulSub>(h, w); }
bool vfnmsub(Hart& h, u32 w) { return fused<NegMulSub>(h, w); }
bool vfwmacc(Hart& h, u32 w) { return fused_widen<MulAccumulate>(h, w); }
bool vfwnmacc(Hart& h, u32 w) { return fused_widen<NegMulAccumulate>(h, w); }
bool vfwmsac(Hart& h, u32 w) { return fused_widen<MulSubtract>(h, w); }
bool vfwnmsac(Hart& h, u32 w) { return fused_widen<NegMulSubtract>(h, w); }

}  // namespace viv::riscv::vector
