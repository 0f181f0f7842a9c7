// Vector reductions, integer and floating point. The sums are done in element order, which both kinds of sums allow.
// Promises: with no active element the scalar is copied as it is; with vl zero nothing is written; vstart must be zero.
// Specification: RISC-V Unprivileged ISA 20240411, section 31.14.
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
struct And {
    template <class T>
    static T apply(T a, T b) {
        return meaning::and_(a, b);
    }
};
struct Or {
    template <class T>
    static T apply(T a, T b) {
        return meaning::or_(a, b);
    }
};
struct Xor {
    template <class T>
    static T apply(T a, T b) {
        return meaning::xor_(a, b);
    }
};
struct MinU {
    template <class T>
    static T apply(T a, T b) {
        return meaning::minu(a, b);
    }
};
struct MinS {
    template <class T>
    static T apply(T a, T b) {
        return meaning::mins(a, b);
    }
};
struct MaxU {
    template <class T>
    static T apply(T a, T b) {
        return meaning::maxu(a, b);
    }
};
struct MaxS {
    template <class T>
    static T apply(T a, T b) {
        return meaning::maxs(a, b);
    }
};
struct FloatAdd {
    template <class T>
    static T apply(Lanes& l, T a, T b) {
        return soft::add(l.env, a, b);
    }
};
struct FloatMin {
    template <class T>
    static T apply(Lanes& l, T a, T b) {
        return soft::min_number(l.env, a, b);
    }
};
struct FloatMax {
    template <class T>
    static T apply(Lanes& l, T a, T b) {
        return soft::max_number(l.env, a, b);
    }
};

// d[0] = Op over b[0] and the active elements of a; `D` is the width of the sum and of b.
template <class Op, class D, class A>
void reduce(Lanes& l) {
    D result = get<D>(l.b, 0);
    for (u32 i = 0; i < l.end; i++) {
        if (l.mask != nullptr && !get_bit(l.mask, i)) continue;
        if constexpr (takes_two_and_lanes<Op, D>) {
            if constexpr (sizeof(A) == sizeof(D))
                result = Op::apply(l, result, get<A>(l.a, i));
            else
                result = Op::apply(l, result, soft::convert<D>(l.env, get<A>(l.a, i)));
        } else
            result = Op::apply(result, static_cast<D>(get<A>(l.a, i)));
    }
    put(l.d, 0, result);
}

template <class Op>
constexpr Kernels reduce_kernels = {reduce<Op, u8, u8>, reduce<Op, u16, u16>, reduce<Op, u32, u32>,
                                    reduce<Op, u64, u64>};
template <class Op, Extend E>
constexpr Kernels reduce_wide_kernels = {reduce<Op, u16, Extended<E, u8>>, reduce<Op, u32, Extended<E, u16>>,
                                         reduce<Op, u64, Extended<E, u32>>, nullptr};
template <class Op>
constexpr Kernels float_kernels = {nullptr, reduce<Op, u16, u16>, reduce<Op, u32, u32>, reduce<Op, u64, u64>};
constexpr Kernels float_wide_kernels = {nullptr, reduce<FloatAdd, u32, u16>, reduce<FloatAdd, u64, u32>, nullptr};

enum class Unit : u8 { integer, floating };
enum class Sum : u8 { same, wide };

// vd and vs1 are single registers whatever the multiplier; vd may be the mask register.
template <Unit U, Sum W>
bool reduction(Hart& hart, u32 word, const Kernels& kernels) {
    const Operation o(hart, word);
    if (!o.usable || (U == Unit::floating && !float_usable(o)) || kernels[o.sew] == nullptr || o.start != 0)
        return o.illegal();
    if (!aligned(o.vs2, o.lmul) || !o.clear_of_mask(o.vs2) || !o.clear_of_mask(o.vs1)) return o.illegal();
    if (W == Sum::wide && !groups_disjoint(o.vs2, o.lmul, o.vs1, 0)) return o.illegal();
    if (o.vl != 0) {
        Lanes l;
        l.env.rounding = static_cast<soft::Rounding>(hart.s.frm);
        run_lanes(o, kernels[o.sew], l, Second::vs1);
        note_float_flags(o, l);
    }
    return o.done();
}

}  // namespace

bool vredsum(Hart& h, u32 w) { return reduction<Unit::integer, Sum::same>(h, w, reduce_kernels<Add>); }
bool vredand(Hart& h, u32 w) { return reduction<Unit::integer, Sum::same>(h, w, reduce_kernels<And>); }
bool vredor(Hart& h, u32 w) { return reduction<Unit::integer, Sum::same>(h, w, reduce_kernels<Or>); }
bool vredxor(Hart& h, u32 w) { return reduction<Unit::integer, Sum::same>(h, w, reduce_kernels<Xor>); }
bool vredminu(Hart& h, u32 w) { return reduction<Unit::integer, Sum::same>(h, w, reduce_kernels<MinU>); }
bool vredmin(Hart& h, u32 w) { return reduction<Unit::integer, Sum::same>(h, w, reduce_kernels<MinS>); }
bool vredmaxu(Hart& h, u32 w) { return reduction<Unit::integer, Sum::same>(h, w, reduce_kernels<MaxU>); }
bool vredmax(Hart& h, u32 w) { return reduction<Unit::integer, Sum::same>(h, w, reduce_kernels<MaxS>); }
bool vwredsumu(Hart& h, u32 w) {
    return reduction<Unit::integer, Sum::wide>(h, w, reduce_wide_kernels<Add, Extend::zero>);
}
bool vwredsum(Hart& h, u32 w) {
    return reduction<Unit::integer, Sum::wide>(h, w, reduce_wide_kernels<Add, Extend::sign>);
}
bool vfredsum(Hart& h, u32 w) { return reduction<Unit::floating, Sum::same>(h, w, float_kernels<FloatAdd>); }
bool vfredmin(Hart& h, u32 w) { return reduction<Unit::floating, Sum::same>(h, w, float_kernels<FloatMin>); }
bool vfredmax(Hart& h, u32 w) { return reduction<Unit::floating, Sum::same>(h, w, float_kernels<FloatMax>); }
bool vfwredsum(Hart& h, u32 w) { return reduction<Unit::floating, Sum::wide>(h, w, float_wide_kernels); }

}  // namespace viv::riscv::vector
