// Element-wise instructions: the loops over elements ("kernels"), and what an instruction does before and after its
// loop.
// Private to vector_*.cpp. Promises: elements are done in rising order, reading a chunk before writing it, so every
// overlap that the register rules of vector_unit.h allow has the right result.
// A kernel exists once for each operation and element width; .vv, .vx and .vi share it, the scalar being a vector of
// step zero.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <optional>

#include "engine/isa/riscv/vector_unit.h"

namespace viv::riscv::vector {

// VLEN is a multiple of it, and compilers turn a loop over so much into vector instructions.
constexpr unsigned chunk_bytes = 16;

// One run of a kernel.
struct Lanes {
    u8* d = nullptr;
    const u8* a = nullptr;     // vs2
    const u8* b = nullptr;     // vs1, or the scalar repeated over chunk_bytes
    u32 b_step = 1;            // 0 for a scalar
    const u8* mask = nullptr;  // null: every element is active
    u32 start = 0, end = 0;
    soft::Environment env{};
    u8 vxrm = 0;
    bool saturated = false;
};
using Kernel = void (*)(Lanes&);
// By log2 of SEW in bytes; null where the instruction has no such width.
using Kernels = std::array<Kernel, 4>;

// Operations are structs with a static apply() that takes (a), (a, b), (lanes, a, b) or (old d, a, b).
template <class Op, class C>
constexpr bool takes_old = requires(C v) {
    Op::apply(v, v, v);
};
template <class Op, class C>
constexpr bool takes_two = requires(C v) {
    Op::apply(v, v);
};
template <class Op, class C>
constexpr bool takes_two_and_lanes = requires(Lanes& l, C v) {
    Op::apply(l, v, v);
};
template <class Op, class C>
constexpr bool takes_one = requires(C v) {
    Op::apply(v);
};
// Worth doing a chunk at a time: nothing but arithmetic that vector units have.
template <class Op>
constexpr bool in_chunks = !requires {
    Op::one_by_one;
};

// a and b are converted to C (which sign-extends if they are signed) and the result is converted from C to D.
template <class Op, class C, class D, class A, class B>
D result_of([[maybe_unused]] Lanes& l, [[maybe_unused]] D old, A a, [[maybe_unused]] B b) {
    const C first = static_cast<C>(a);
    if constexpr (takes_one<Op, C>)
        return static_cast<D>(Op::apply(first));
    else {
        const C second = static_cast<C>(b);
        if constexpr (takes_two<Op, C>)
            return static_cast<D>(Op::apply(first, second));
        else if constexpr (takes_two_and_lanes<Op, C>)
            return static_cast<D>(Op::apply(l, first, second));
        else
            return static_cast<D>(Op::apply(static_cast<C>(old), first, second));
    }
}

template <class Op, class C, class D, class A, class B>
void element(Lanes& l, u32 i) {
    put(l.d, i, result_of<Op, C>(l, get<D>(l.d, i), get<A>(l.a, i), get<B>(l.b, u64{i} * l.b_step)));
}
// Elements i to i + count - 1.
template <u32 count, class Op, class C, class D, class A, class B>
void chunk(Lanes& l, u32 i) {
    A a[count];
    B b[count];
    D d[count];
    std::memcpy(a, l.a + usize{i} * sizeof(A), sizeof a);
    std::memcpy(b, l.b + usize{i} * l.b_step * sizeof(B), sizeof b);
    if constexpr (takes_old<Op, C>) std::memcpy(d, l.d + usize{i} * sizeof(D), sizeof d);
    for (u32 k = 0; k < count; k++) {
        if constexpr (takes_old<Op, C>)
            d[k] = result_of<Op, C>(l, d[k], a[k], b[k]);
        else
            d[k] = result_of<Op, C>(l, D{}, a[k], b[k]);
    }
    std::memcpy(l.d + usize{i} * sizeof(D), d, sizeof d);
}

template <class Op, class C, class D, class A, class B>
void elements(Lanes& l) {
    constexpr bool chunks = !takes_two_and_lanes<Op, C> && in_chunks<Op>;
    u32 i = l.start;
    if (l.mask == nullptr) {
        if constexpr (chunks) {
            constexpr u32 count = chunk_bytes / std::min({sizeof(D), sizeof(A), sizeof(B)});
            for (; i + count <= l.end; i += count) chunk<count, Op, C, D, A, B>(l, i);
        }
        for (; i < l.end; i++) element<Op, C, D, A, B>(l, i);
        return;
    }
    for (; i < l.end && (i & 7) != 0; i++)
        if (get_bit(l.mask, i)) element<Op, C, D, A, B>(l, i);
    for (; i + 8 <= l.end; i += 8) {
        unsigned active = l.mask[i >> 3];
        if constexpr (chunks) {
            constexpr u32 count = std::min<u32>(8, chunk_bytes / std::min({sizeof(D), sizeof(A), sizeof(B)}));
            if (active == 0xff) {
                for (u32 k = 0; k < 8; k += count) chunk<count, Op, C, D, A, B>(l, i + k);
                continue;
            }
        }
        for (; active != 0; active &= active - 1)
            element<Op, C, D, A, B>(l, i + static_cast<u32>(std::countr_zero(active)));
    }
    for (; i < l.end; i++)
        if (get_bit(l.mask, i)) element<Op, C, D, A, B>(l, i);
}

// Writes one bit an element.
template <class Op, class T>
void compare(Lanes& l) {
    const auto result = [&l](u32 i) -> bool {
        const T a = get<T>(l.a, i), b = get<T>(l.b, u64{i} * l.b_step);
        if constexpr (takes_two_and_lanes<Op, T>)
            return Op::apply(l, a, b);
        else
            return Op::apply(a, b);
    };
    u32 i = l.start;
    if constexpr (!takes_two_and_lanes<Op, T>)
        if ((i & 7) == 0)
            for (; i + 16 <= l.end; i += 16) {
                T a[16], b[16];
                u8 each[16];
                std::memcpy(a, l.a + usize{i} * sizeof(T), sizeof a);
                // A scalar fills 16 bytes only.
                const u8* from = l.b + usize{i} * l.b_step * sizeof(T);
                for (usize at = 0; at < sizeof b; at += chunk_bytes)
                    std::memcpy(reinterpret_cast<u8*>(b) + at, from + at * l.b_step, chunk_bytes);
#ifdef __clang__
#pragma clang loop unroll(disable)  // unrolled, it would no longer become vector instructions
#endif
                for (u32 k = 0; k < 16; k++) each[k] = Op::apply(a[k], b[k]);
                // Bit 0 of byte k becomes bit k.
                const auto gather = [&](u32 word) {
                    return static_cast<u8>(get<u64>(each, word) * 0x0102'0408'1020'4080 >> 56);
                };
                for (u32 k = 0; k < 2; k++) {
                    u8& d = l.d[(i >> 3) + k];
                    const u8 active = l.mask == nullptr ? 0xff : l.mask[(i >> 3) + k];
                    d = static_cast<u8>((d & ~active) | (gather(k) & active));
                }
            }
    for (; i < l.end; i++)
        if (l.mask == nullptr || get_bit(l.mask, i)) put_bit(l.d, i, result(i));
}

template <unsigned Bytes>
struct Uint;
template <>
struct Uint<1> {
    using type = u8;
};
template <>
struct Uint<2> {
    using type = u16;
};
template <>
struct Uint<4> {
    using type = u32;
};
template <>
struct Uint<8> {
    using type = u64;
};
template <class T>
using Wide = typename Uint<sizeof(T) * 2>::type;
template <class T>
using Signed = std::make_signed_t<T>;

// Kernels of integer operations by shape.
template <class Op>
constexpr Kernels same_kernels = {elements<Op, u8, u8, u8, u8>, elements<Op, u16, u16, u16, u16>,
                                  elements<Op, u32, u32, u32, u32>, elements<Op, u64, u64, u64, u64>};
template <class Op>
constexpr Kernels compare_kernels = {compare<Op, u8>, compare<Op, u16>, compare<Op, u32>, compare<Op, u64>};
enum class Extend : u8 { zero, sign };
template <Extend E, class T>
using Extended = std::conditional_t<E == Extend::sign, Signed<T>, T>;
// vd wide, sources narrow; `A` and `B` say how vs2 and vs1 are extended.
template <class Op, Extend A, Extend B>
constexpr Kernels widen_kernels = {elements<Op, u16, u16, Extended<A, u8>, Extended<B, u8>>,
                                   elements<Op, u32, u32, Extended<A, u16>, Extended<B, u16>>,
                                   elements<Op, u64, u64, Extended<A, u32>, Extended<B, u32>>, nullptr};
// vd and vs2 wide.
template <class Op, Extend B>
constexpr Kernels widen_w_kernels = {elements<Op, u16, u16, u16, Extended<B, u8>>,
                                     elements<Op, u32, u32, u32, Extended<B, u16>>,
                                     elements<Op, u64, u64, u64, Extended<B, u32>>, nullptr};
// vs2 wide, vd and vs1 narrow.
template <class Op>
constexpr Kernels narrow_kernels = {elements<Op, u16, u8, u16, u8>, elements<Op, u32, u16, u32, u16>,
                                    elements<Op, u64, u32, u64, u32>, nullptr};

// Widths of vd, vs2 (vs1 always has SEW).
enum class Shape : u8 {
    same,     // all SEW
    widen,    // vd 2 * SEW
    widen_w,  // vd and vs2 2 * SEW
    narrow,   // vs2 2 * SEW
    mask,     // vd one bit
    carry,    // all SEW, and v0 is a third operand rather than a mask
};
// What the second operand is when it is not vs1; `none`: there is none. simm5, uimm5 and uimm6 take an x register where
// the form says so.
enum class Second : u8 { none, vs1, simm5, uimm5, uimm6, float_ };
enum class Old : u8 { ignored, read };  // whether vd is a source too

// Whether the registers and widths obey the rules. Comparisons and instructions with a carry may read v0 as a source of
// elements too: the specification reserves that, and processors do it.
template <Shape S>
bool registers_legal(const Fields& o, bool has_vs1, Old old) {
    constexpr bool wide = S == Shape::widen || S == Shape::widen_w || S == Shape::narrow;
    const int m = o.lmul;
    if (wide && (o.sew > 2 || m > 2)) return false;
    if (S == Shape::carry) return o.vd != 0 && aligned(o.vd, m) && aligned(o.vs2, m) && (!has_vs1 || aligned(o.vs1, m));
    if (S != Shape::mask && (!o.clear_of_mask(o.vd) || !o.clear_of_mask(o.vs2) || (has_vs1 && !o.clear_of_mask(o.vs1))))
        return false;
    if (has_vs1 && !aligned(o.vs1, m)) return false;
    if constexpr (S == Shape::same)
        return aligned(o.vd, m) && aligned(o.vs2, m);
    else if constexpr (S == Shape::widen) {
        if (!aligned(o.vd, m + 1) || !aligned(o.vs2, m)) return false;
        if (old == Old::read)
            return groups_disjoint(o.vd, m + 1, o.vs2, m) && (!has_vs1 || groups_disjoint(o.vd, m + 1, o.vs1, m));
        return wider_overlap_legal(o.vd, m + 1, o.vs2, m) && (!has_vs1 || wider_overlap_legal(o.vd, m + 1, o.vs1, m));
    } else if constexpr (S == Shape::widen_w) {
        if (!aligned(o.vd, m + 1) || !aligned(o.vs2, m + 1)) return false;
        return !has_vs1 || (wider_overlap_legal(o.vd, m + 1, o.vs1, m) && groups_disjoint(o.vs2, m + 1, o.vs1, m));
    } else if constexpr (S == Shape::narrow) {
        if (!aligned(o.vd, m) || !aligned(o.vs2, m + 1) || !narrower_overlap_legal(o.vd, m, o.vs2, m + 1)) return false;
        return !has_vs1 || groups_disjoint(o.vs2, m + 1, o.vs1, m);
    } else {
        if (!aligned(o.vs2, m) || !narrower_overlap_legal(o.vd, 0, o.vs2, m)) return false;
        return !has_vs1 || narrower_overlap_legal(o.vd, 0, o.vs1, m);
    }
}

// A scalar operand repeated over a chunk.
struct Repeated {
    alignas(chunk_bytes) u8 bytes[chunk_bytes];
    Repeated(u64 value, unsigned size_log2) {
        constexpr u64 spread[4] = {0x0101'0101'0101'0101, 0x0001'0001'0001'0001, 0x0000'0001'0000'0001, 1};
        const u64 pattern = (value & low_mask(8u << size_log2)) * spread[size_log2];
        put(bytes, 0, pattern);
        put(bytes, 1, pattern);
    }
};
// f register `number` as a scalar of SEW: the canonical NaN if it is not properly boxed.
u64 float_scalar(const Operation& o, unsigned number);

// Runs `kernel` over the elements [vstart, vl) with the operands that the word names. False never.
void run_lanes(const Operation& o, Kernel kernel, Lanes& l, Second second);
// Afterwards: accumulates fflags.
void note_float_flags(const Operation& o, const Lanes& l);

// A whole integer instruction.
template <Shape S>
bool integer(Hart& hart, u32 word, const Kernels& kernels, Second second = Second::simm5, Old old = Old::ignored) {
    const Operation o(hart, word);
    const bool has_vs1 = second != Second::none && second_is_vector(o.form());
    if (!o.usable || kernels[o.sew] == nullptr || !registers_legal<S>(o, has_vs1, old)) return o.illegal();
    if (!o.nothing_to_do()) {
        Lanes l;
        l.vxrm = hart.s.vxrm;
        run_lanes(o, kernels[o.sew], l, has_vs1 ? Second::vs1 : second);
        if (l.saturated) hart.s.vxsat = 1;
    }
    return o.done();
}
// A whole floating-point instruction. Unless `second` is none it is vs1 or an f register, as funct3 says. An
// instruction with a rounding mode of its own needs a legal frm all the same.
template <Shape S>
bool floating(Hart& hart, u32 word, const Kernels& kernels, Second second = Second::float_, Old old = Old::ignored,
              std::optional<soft::Rounding> rounding = {}) {
    const Operation o(hart, word);
    const bool has_vs1 = second != Second::none && second_is_vector(o.form());
    if (!o.usable || !float_usable(o) || kernels[o.sew] == nullptr || !registers_legal<S>(o, has_vs1, old))
        return o.illegal();
    if (!o.nothing_to_do()) {
        Lanes l;
        l.env.rounding = rounding.value_or(static_cast<soft::Rounding>(hart.s.frm));
        run_lanes(o, kernels[o.sew], l, has_vs1 ? Second::vs1 : second);
        note_float_flags(o, l);
    }
    return o.done();
}

}  // namespace viv::riscv::vector
