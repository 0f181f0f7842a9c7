// Vector integer instructions of one width: addition, logic, minimum and maximum, shifts, carries, merges and moves.
// Specification: RISC-V Unprivileged ISA 20240411, section 31.11.
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
struct ReverseSub {
    template <class T>
    static T apply(T a, T b) {
        return meaning::sub(b, a);
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
struct ShiftLeft {
    template <class T>
    static T apply(T a, T b) {
        return meaning::shl(a, b);
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
struct Move {
    template <class T>
    static T apply(T, T b) {
        return b;
    }
};

}  // namespace

bool vadd(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<Add>); }
bool vsub(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<Sub>); }
bool vrsub(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<ReverseSub>); }
bool vand(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<And>); }
bool vor(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<Or>); }
bool vxor(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<Xor>); }
bool vminu(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<MinU>); }
bool vmin(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<MinS>); }
bool vmaxu(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<MaxU>); }
bool vmax(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<MaxS>); }
bool vsll(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<ShiftLeft>, Second::uimm5); }
bool vsrl(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<ShiftRight>, Second::uimm5); }
bool vsra(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<ShiftRightSigned>, Second::uimm5); }

namespace {

// The mask register is a carry or a choice here, and every element of the body is written.
enum class CarryIn : u8 { none, mask };

template <class T>
void add_with_carry(Lanes& l) {
    for (u32 i = l.start; i < l.end; i++)
        put(l.d, i, static_cast<T>(get<T>(l.a, i) + get<T>(l.b, u64{i} * l.b_step) + get_bit(l.mask, i)));
}
template <class T>
void sub_with_borrow(Lanes& l) {
    for (u32 i = l.start; i < l.end; i++)
        put(l.d, i, static_cast<T>(get<T>(l.a, i) - get<T>(l.b, u64{i} * l.b_step) - get_bit(l.mask, i)));
}
template <class T>
void carry_out(Lanes& l) {
    for (u32 i = l.start; i < l.end; i++) {
        const u128 sum =
            u128{get<T>(l.a, i)} + get<T>(l.b, u64{i} * l.b_step) + (l.mask != nullptr && get_bit(l.mask, i));
        put_bit(l.d, i, (sum >> (8 * sizeof(T))) != 0);
    }
}
template <class T>
void borrow_out(Lanes& l) {
    for (u32 i = l.start; i < l.end; i++) {
        const u128 subtrahend = u128{get<T>(l.b, u64{i} * l.b_step)} + (l.mask != nullptr && get_bit(l.mask, i));
        put_bit(l.d, i, get<T>(l.a, i) < subtrahend);
    }
}
template <class T>
void merge(Lanes& l) {
    for (u32 i = l.start; i < l.end; i++)
        put(l.d, i, get_bit(l.mask, i) ? get<T>(l.b, u64{i} * l.b_step) : get<T>(l.a, i));
}

constexpr Kernels add_with_carry_kernels = {add_with_carry<u8>, add_with_carry<u16>, add_with_carry<u32>,
                                            add_with_carry<u64>};
constexpr Kernels sub_with_borrow_kernels = {sub_with_borrow<u8>, sub_with_borrow<u16>, sub_with_borrow<u32>,
                                             sub_with_borrow<u64>};
constexpr Kernels carry_out_kernels = {carry_out<u8>, carry_out<u16>, carry_out<u32>, carry_out<u64>};
constexpr Kernels borrow_out_kernels = {borrow_out<u8>, borrow_out<u16>, borrow_out<u32>, borrow_out<u64>};
constexpr Kernels merge_kernels = {merge<u8>, merge<u16>, merge<u32>, merge<u64>};

}  // namespace

bool vadc(Hart& h, u32 w) { return integer<Shape::carry>(h, w, add_with_carry_kernels); }
bool vsbc(Hart& h, u32 w) { return integer<Shape::carry>(h, w, sub_with_borrow_kernels); }
bool vmadc(Hart& h, u32 w) { return integer<Shape::mask>(h, w, carry_out_kernels); }
bool vmsbc(Hart& h, u32 w) { return integer<Shape::mask>(h, w, borrow_out_kernels); }
bool vmerge(Hart& h, u32 w) { return integer<Shape::same>(h, w, merge_kernels); }
// The field of vs2 is zero: register 0 is no source, but no rule speaks against a source v0 of an unmasked instruction.
bool vmv_v(Hart& h, u32 w) { return integer<Shape::same>(h, w, same_kernels<Move>); }

}  // namespace viv::riscv::vector
