// Zvbb, its subset Zvkb, and Zvbc: bit manipulation and carry-less multiplication on vectors.
// Specification: RISC-V Unprivileged ISA 20240411, chapter 32 (vector cryptography), sections 32.2.1 (Zvbb) and 32.2.2
// (Zvbc).
#include "engine/ir/meaning.h"
#include "engine/isa/riscv/vector_lanes.h"

namespace viv::riscv::vector {

namespace {

namespace meaning = ir::meaning;

// Reverses the bits of each byte.
template <class T>
constexpr T reverse_in_bytes(T a) {
    constexpr T ones = static_cast<T>(static_cast<T>(~T{0}) / 255);  // 1 in each byte
    a = static_cast<T>((a & T(0x55 * ones)) << 1 | (a >> 1 & T(0x55 * ones)));
    a = static_cast<T>((a & T(0x33 * ones)) << 2 | (a >> 2 & T(0x33 * ones)));
    return static_cast<T>((a & T(0x0f * ones)) << 4 | (a >> 4 & T(0x0f * ones)));
}
template <class T>
constexpr T swap_bytes(T a) {
    if constexpr (sizeof(T) == 1)
        return a;
    else
        return meaning::byte_swap(a);
}

struct AndNot {
    template <class T>
    static T apply(T a, T b) {
        return static_cast<T>(a & ~b);
    }
};
struct ReverseBits {
    template <class T>
    static T apply(T a) {
        return swap_bytes(reverse_in_bytes(a));
    }
};
struct ReverseInBytes {
    template <class T>
    static T apply(T a) {
        return reverse_in_bytes(a);
    }
};
struct ReverseBytes {
    template <class T>
    static T apply(T a) {
        return swap_bytes(a);
    }
};
struct LeadingZeros {
    template <class T>
    static T apply(T a) {
        return meaning::clz(a);
    }
};
struct TrailingZeros {
    template <class T>
    static T apply(T a) {
        return meaning::ctz(a);
    }
};
struct CountOnes {
    template <class T>
    static T apply(T a) {
        return meaning::popcount(a);
    }
};
struct RotateLeft {
    template <class T>
    static T apply(T a, T b) {
        return meaning::rotl(a, b);
    }
};
struct RotateRight {
    template <class T>
    static T apply(T a, T b) {
        return meaning::rotr(a, b);
    }
};
struct ShiftLeft {
    template <class T>
    static T apply(T a, T b) {
        return meaning::shl(a, b);
    }
};

void carryless_low(Lanes& l) {
    for (u32 i = l.start; i < l.end; i++)
        if (l.mask == nullptr || get_bit(l.mask, i))
            put(l.d, i, meaning::clmul(get<u64>(l.a, i), get<u64>(l.b, u64{i} * l.b_step)));
}
void carryless_high(Lanes& l) {
    for (u32 i = l.start; i < l.end; i++)
        if (l.mask == nullptr || get_bit(l.mask, i))
            put(l.d, i, meaning::clmulh(get<u64>(l.a, i), get<u64>(l.b, u64{i} * l.b_step)));
}
constexpr Kernels carryless_low_kernels = {nullptr, nullptr, nullptr, carryless_low};
constexpr Kernels carryless_high_kernels = {nullptr, nullptr, nullptr, carryless_high};

}  // namespace

bool vandn(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<AndNot>); }
bool vbrev(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<ReverseBits>, Second::none); }
bool vbrev8(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<ReverseInBytes>, Second::none); }
bool vrev8(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<ReverseBytes>, Second::none); }
bool vclz(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<LeadingZeros>, Second::none); }
bool vctz(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<TrailingZeros>, Second::none); }
bool vcpop_v(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<CountOnes>, Second::none); }
bool vrol(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<RotateLeft>); }
bool vror(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<RotateRight>); }
// Bit 26, elsewhere part of funct6, is bit 5 of the amount.
bool vror_i(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<RotateRight>, Second::uimm6); }
bool vwsll(Hart& h, u32 w) {
    return integer<Shape::widen>(h, w, widen_kernels<ShiftLeft, Extend::zero, Extend::zero>, Second::uimm5);
}
bool vclmul(Hart& h, u32 w) { return integer<Shape::same>(h, w, carryless_low_kernels); }
bool vclmulh(Hart& h, u32 w) { return integer<Shape::same>(h, w, carryless_high_kernels); }

}  // namespace viv::riscv::vector
