// Vector integer comparisons, which write masks. Specification: RISC-V Unprivileged ISA 20240411, section 31.11.8.
#include "engine/ir/meaning.h"
#include "engine/isa/riscv/vector_lanes.h"

namespace viv::riscv::vector {

namespace {

namespace meaning = ir::meaning;

struct Equal {
    template <class T>
    static bool apply(T a, T b) {
        return meaning::eq(a, b);
    }
};
struct NotEqual {
    template <class T>
    static bool apply(T a, T b) {
        return meaning::ne(a, b);
    }
};
struct LessU {
    template <class T>
    static bool apply(T a, T b) {
        return meaning::ltu(a, b);
    }
};
struct LessS {
    template <class T>
    static bool apply(T a, T b) {
        return meaning::lts(a, b);
    }
};
struct LessEqualU {
    template <class T>
    static bool apply(T a, T b) {
        return meaning::geu(b, a);
    }
};
struct LessEqualS {
    template <class T>
    static bool apply(T a, T b) {
        return meaning::ges(b, a);
    }
};
struct GreaterU {
    template <class T>
    static bool apply(T a, T b) {
        return meaning::ltu(b, a);
    }
};
struct GreaterS {
    template <class T>
    static bool apply(T a, T b) {
        return meaning::lts(b, a);
    }
};

}  // namespace

bool vmseq(Hart& h, u32 w) { return integer<Shape::mask>(h, w, compare_kernels<Equal>); }
bool vmsne(Hart& h, u32 w) { return integer<Shape::mask>(h, w, compare_kernels<NotEqual>); }
bool vmsltu(Hart& h, u32 w) { return integer<Shape::mask>(h, w, compare_kernels<LessU>); }
bool vmslt(Hart& h, u32 w) { return integer<Shape::mask>(h, w, compare_kernels<LessS>); }
bool vmsleu(Hart& h, u32 w) { return integer<Shape::mask>(h, w, compare_kernels<LessEqualU>); }
bool vmsle(Hart& h, u32 w) { return integer<Shape::mask>(h, w, compare_kernels<LessEqualS>); }
bool vmsgtu(Hart& h, u32 w) { return integer<Shape::mask>(h, w, compare_kernels<GreaterU>); }
bool vmsgt(Hart& h, u32 w) { return integer<Shape::mask>(h, w, compare_kernels<GreaterS>); }

}  // namespace viv::riscv::vector
