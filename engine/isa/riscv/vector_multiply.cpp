// Vector integer multiplication, division and multiply-add of one width.
// Specification: RISC-V Unprivileged ISA 20240411, sections 31.11.10 to 31.11.13.
#include "engine/ir/meaning.h"
#include "engine/isa/riscv/vector_lanes.h"

namespace viv::riscv::vector {

namespace {

namespace meaning = ir::meaning;

struct Mul {
    template <class T>
    static T apply(T a, T b) {
        return meaning::mul(a, b);
    }
};
struct MulHigh {
    template <class T>
    static T apply(T a, T b) {
        return meaning::mulhs(a, b);
    }
};
struct MulHighU {
    template <class T>
    static T apply(T a, T b) {
        return meaning::mulhu(a, b);
    }
};
struct MulHighSU {
    template <class T>
    static T apply(T a, T b) {
        return meaning::mulhsu(a, b);
    }
};
struct OneByOne {
    static constexpr bool one_by_one = true;
};
struct DivU : OneByOne {
    template <class T>
    static T apply(T a, T b) {
        return meaning::divu(a, b);
    }
};
struct DivS : OneByOne {
    template <class T>
    static T apply(T a, T b) {
        return meaning::divs(a, b);
    }
};
struct RemU : OneByOne {
    template <class T>
    static T apply(T a, T b) {
        return meaning::remu(a, b);
    }
};
struct RemS : OneByOne {
    template <class T>
    static T apply(T a, T b) {
        return meaning::rems(a, b);
    }
};
// a is vs2, b is vs1 or the scalar, old is vd.
struct MulAccumulate {
    template <class T>
    static T apply(T old, T a, T b) {
        return meaning::add(old, meaning::mul(b, a));
    }
};
struct NegMulAccumulate {
    template <class T>
    static T apply(T old, T a, T b) {
        return meaning::sub(old, meaning::mul(b, a));
    }
};
struct MulAdd {
    template <class T>
    static T apply(T old, T a, T b) {
        return meaning::add(meaning::mul(b, old), a);
    }
};
struct NegMulAdd {
    template <class T>
    static T apply(T old, T a, T b) {
        return meaning::sub(a, meaning::mul(b, old));
    }
};

}  // namespace

bool vmul(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<Mul>); }
bool vmulh(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<MulHigh>); }
bool vmulhu(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<MulHighU>); }
bool vmulhsu(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<MulHighSU>); }
bool vdivu(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<DivU>); }
bool vdiv(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<DivS>); }
bool vremu(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<RemU>); }
bool vrem(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<RemS>); }
bool vmacc(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<MulAccumulate>, Second::simm5, Old::read); }
bool vnmsac(Hart& h, u32 w) {
    return integer<Shape::same>(h, w, same_kernels<NegMulAccumulate>, Second::simm5, Old::read);
}
bool vmadd(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<MulAdd>, Second::simm5, Old::read); }
bool vnmsub(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<NegMulAdd>, Second::simm5, Old::read); }

}  // namespace viv::riscv::vector
