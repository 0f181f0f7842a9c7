// Vector integer instructions whose operands differ in width: widening, narrowing, extension.
// Specification: RISC-V Unprivileged ISA 20240411, sections 31.11.2, 31.11.3, 31.11.7, 31.11.12 and 31.11.14.
#include "engine/ir/meaning.h"
#include "engine/isa/riscv/vector_lanes.h"

namespace viv::riscv::vector {

namespace {

namespace meaning = ir::meaning;

struct Add {
    template <class T>
    static T apply(T a, T b) {
        return meaning::add(a, b);
    }
};
struct Sub {
    template <class T>
    static T apply(T a, T b) {
        return meaning::sub(a, b);
    }
};
struct Mul {
    template <class T>
    static T apply(T a, T b) {
        return meaning::mul(a, b);
    }
};
struct MulAccumulate {
    template <class T>
    static T apply(T old, T a, T b) {
        return meaning::add(old, meaning::mul(a, b));
    }
};
struct ShiftRight {
    template <class T>
    static T apply(T a, T b) {
        return meaning::shr(a, b);
    }
};
struct ShiftRightSigned {
    template <class T>
    static T apply(T a, T b) {
        return meaning::sar(a, b);
    }
};

constexpr auto zero = Extend::zero;
constexpr auto sign = Extend::sign;

}  // namespace

bool vwaddu(Hart& h, u32 w) { return integer<Shape::widen>(h, w, widen_kernels<Add, zero, zero>); }
bool vwadd(Hart& h, u32 w) { return integer<Shape::widen>(h, w, widen_kernels<Add, sign, sign>); }
bool vwsubu(Hart& h, u32 w) { return integer<Shape::widen>(h, w, widen_kernels<Sub, zero, zero>); }
bool vwsub(Hart& h, u32 w) { return integer<Shape::widen>(h, w, widen_kernels<Sub, sign, sign>); }
bool vwaddu_w(Hart& h, u32 w) { return integer<Shape::widen_w>(h, w, widen_w_kernels<Add, zero>); }
bool vwadd_w(Hart& h, u32 w) { return integer<Shape::widen_w>(h, w, widen_w_kernels<Add, sign>); }
bool vwsubu_w(Hart& h, u32 w) { return integer<Shape::widen_w>(h, w, widen_w_kernels<Sub, zero>); }
bool vwsub_w(Hart& h, u32 w) { return integer<Shape::widen_w>(h, w, widen_w_kernels<Sub, sign>); }
bool vwmulu(Hart& h, u32 w) { return integer<Shape::widen>(h, w, widen_kernels<Mul, zero, zero>); }
bool vwmulsu(Hart& h, u32 w) { return integer<Shape::widen>(h, w, widen_kernels<Mul, sign, zero>); }
bool vwmul(Hart& h, u32 w) { return integer<Shape::widen>(h, w, widen_kernels<Mul, sign, sign>); }
bool vwmaccu(Hart& h, u32 w) {
    return integer<Shape::widen>(h, w, widen_kernels<MulAccumulate, zero, zero>, Second::simm5, Old::read);
}
bool vwmacc(Hart& h, u32 w) {
    return integer<Shape::widen>(h, w, widen_kernels<MulAccumulate, sign, sign>, Second::simm5, Old::read);
}
// The first of the two letters is of vs1, the second of vs2.
bool vwmaccus(Hart& h, u32 w) {
    return integer<Shape::widen>(h, w, widen_kernels<MulAccumulate, sign, zero>, Second::simm5, Old::read);
}
bool vwmaccsu(Hart& h, u32 w) {
    return integer<Shape::widen>(h, w, widen_kernels<MulAccumulate, zero, sign>, Second::simm5, Old::read);
}
bool vnsrl(Hart& h, u32 w) { return integer<Shape::narrow>(h, w, narrow_kernels<ShiftRight>, Second::uimm5); }
bool vnsra(Hart& h, u32 w) { return integer<Shape::narrow>(h, w, narrow_kernels<ShiftRightSigned>, Second::uimm5); }

namespace {

// vd has SEW, vs2 SEW / 2^Log2.
struct Identity {
    template <class T>
    static T apply(T a) {
        return a;
    }
};
template <Extend E, class D, class A>
constexpr Kernel extension = elements<Identity, D, D, Extended<E, A>, A>;

template <unsigned Log2>
bool extend(Hart& hart, u32 word, const Kernels& kernels) {
    const Operation o(hart, word);
    const int from = o.lmul - static_cast<int>(Log2);
    if (!o.usable || kernels[o.sew] == nullptr || from < -3 || !aligned(o.vd, o.lmul) || !aligned(o.vs2, from) ||
        !o.clear_of_mask(o.vd) || !o.clear_of_mask(o.vs2) || !wider_overlap_legal(o.vd, o.lmul, o.vs2, from))
        return o.illegal();
    if (!o.nothing_to_do()) {
        Lanes l;
        run_lanes(o, kernels[o.sew], l, Second::none);
    }
    return o.done();
}

template <Extend E>
constexpr Kernels half = {nullptr, extension<E, u16, u8>, extension<E, u32, u16>, extension<E, u64, u32>};
template <Extend E>
constexpr Kernels quarter = {nullptr, nullptr, extension<E, u32, u8>, extension<E, u64, u16>};
template <Extend E>
constexpr Kernels eighth = {nullptr, nullptr, nullptr, extension<E, u64, u8>};

}  // namespace

bool vzext_vf2(Hart& h, u32 w) { return extend<1>(h, w, half<zero>); }
bool vsext_vf2(Hart& h, u32 w) { return extend<1>(h, w, half<sign>); }
bool vzext_vf4(Hart& h, u32 w) { return extend<2>(h, w, quarter<zero>); }
bool vsext_vf4(Hart& h, u32 w) { return extend<2>(h, w, quarter<sign>); }
bool vzext_vf8(Hart& h, u32 w) { return extend<3>(h, w, eighth<zero>); }
bool vsext_vf8(Hart& h, u32 w) { return extend<3>(h, w, eighth<sign>); }

}  // namespace viv::riscv::vector
