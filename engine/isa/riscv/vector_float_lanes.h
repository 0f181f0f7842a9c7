// Loops over elements for floating-point instructions: the operands are bit patterns and change format, not value,
// where widths differ.
// Private to vector_float*.cpp.
#pragma once

#include "engine/isa/riscv/vector_lanes.h"

namespace viv::riscv::vector {

template <class To, class From>
To as_format(soft::Environment& env, From value) {
    if constexpr (std::is_same_v<To, From>)
        return value;
    else
        return soft::convert<To>(env, value);
}

// vd[i] = Op(vs2[i], second[i]) in the format of vd, the operands being converted to it first.
template <class Op, class D, class A, class B>
void float_elements(Lanes& l) {
    for (u32 i = l.start; i < l.end; i++) {
        if (l.mask != nullptr && !get_bit(l.mask, i)) continue;
        const D a = as_format<D>(l.env, get<A>(l.a, i));
        if constexpr (requires(D v) { Op::apply(l.env, v); })
            put(l.d, i, Op::apply(l.env, a));
        else {
            const D b = as_format<D>(l.env, get<B>(l.b, u64{i} * l.b_step));
            if constexpr (requires(D v) { Op::apply(l.env, v, v); })
                put(l.d, i, Op::apply(l.env, a, b));
            else
                put(l.d, i, Op::apply(l.env, get<D>(l.d, i), a, b));
        }
    }
}

template <class Op>
constexpr Kernels float_same = {nullptr, float_elements<Op, u16, u16, u16>, float_elements<Op, u32, u32, u32>,
                                float_elements<Op, u64, u64, u64>};
template <class Op>
constexpr Kernels float_widen = {nullptr, float_elements<Op, u32, u16, u16>, float_elements<Op, u64, u32, u32>,
                                 nullptr};
template <class Op>
constexpr Kernels float_widen_w = {nullptr, float_elements<Op, u32, u32, u16>, float_elements<Op, u64, u64, u32>,
                                   nullptr};
template <class Op>
constexpr Kernels float_compare = {nullptr, compare<Op, u16>, compare<Op, u32>, compare<Op, u64>};

}  // namespace viv::riscv::vector
