// What all vector helpers share: the instruction word taken apart against vtype, the rules that registers must obey,
// and how helpers end.
// Private to vector_*.cpp and to what writes vector instructions as IR (build_lanes.cpp). Promises: the register rules
// are spelled once, here and in vector_lanes.h.
// The rules (V 1.0, sections 31.3.4.2, 31.5.2, 31.5.3): a group starts at a multiple of its size; a destination may
// overlap a source of another width only at the source's lowest part (narrower) or at its own highest part (wider,
// source of at least a whole register); the mask v0 has an element width of one bit; one register cannot be read with
// two element widths.
#pragma once

#include <algorithm>
#include <cstring>

#include "engine/isa/riscv/hart.h"
#include "engine/isa/riscv/vector.h"

namespace viv::riscv::vector {

// funct3: where the second operand comes from.
enum class Form : u8 { vv = 0, fvv = 1, mvv = 2, vi = 3, vx = 4, vf = 5, mvx = 6, configuration = 7 };

constexpr bool second_is_vector(Form form) { return form == Form::vv || form == Form::fvv || form == Form::mvv; }

// Registers in a group; `emul` is log2 of the multiplier, -3 to 3.
constexpr unsigned registers(int emul) { return emul <= 0 ? 1 : 1u << emul; }
constexpr bool aligned(unsigned reg, int emul) { return emul >= -3 && emul <= 3 && (reg & (registers(emul) - 1)) == 0; }
constexpr bool disjoint(unsigned a, unsigned a_count, unsigned b, unsigned b_count) {
    return a + a_count <= b || b + b_count <= a;
}
constexpr bool groups_disjoint(unsigned a, int a_emul, unsigned b, int b_emul) {
    return disjoint(a, registers(a_emul), b, registers(b_emul));
}
// A destination of wider elements than the source's.
constexpr bool wider_overlap_legal(unsigned d, int d_emul, unsigned s, int s_emul) {
    return groups_disjoint(d, d_emul, s, s_emul) || (s_emul >= 0 && s + registers(s_emul) == d + registers(d_emul));
}
// A destination of narrower elements than the source's (a mask too).
constexpr bool narrower_overlap_legal(unsigned d, int d_emul, unsigned s, int s_emul) {
    return d == s || groups_disjoint(d, d_emul, s, s_emul);
}

// Elements and mask bits in register memory, which is little endian like every host that the engine supports.
template <class T>
T get(const u8* base, u64 index) {
    T value;
    std::memcpy(&value, base + index * sizeof(T), sizeof(T));
    return value;
}
template <class T>
void put(u8* base, u64 index, T value) {
    std::memcpy(base + index * sizeof(T), &value, sizeof(T));
}
inline bool get_bit(const u8* mask, u64 index) { return (mask[index >> 3] >> (index & 7) & 1) != 0; }
inline void put_bit(u8* mask, u64 index, bool value) {
    u8& byte = mask[index >> 3];
    byte = static_cast<u8>((byte & ~(1u << (index & 7))) | unsigned{value} << (index & 7));
}

// VLMAX of a vtype value, 0 if we do not support it. With a fractional multiplier SEW is at most that part of ELEN.
constexpr u32 vlmax_of(u64 vtype, unsigned vlen_bytes) {
    if (vtype >> 8 != 0) return 0;
    const unsigned sew = vtype >> 3 & 7;  // log2 of bytes
    const int lmul = static_cast<int>(vtype & 3) - static_cast<int>(vtype & 4);
    if (static_cast<int>(sew) > 3 + std::min(lmul, 0) || lmul == -4) return 0;
    return vlen_bytes << 3 << (lmul + 3) >> (sew + 6);
}

// The vtype that a vsetvli or vsetivli names.
constexpr u64 immediate_vtype(u32 word) { return word >> 31 == 0 ? word >> 20 & 0x7ff : word >> 20 & 0x3ff; }

// A vector instruction taken apart against a legal vtype.
struct Fields {
    const u32 word;
    const u8 vd, vs1, vs2;
    const bool masked;
    const u8 sew;   // log2 of the element width in bytes, 0 to 3
    const i8 lmul;  // log2 of the register multiplier, -3 to 3

    constexpr Fields(u32 instruction, u64 vtype)
        : word(instruction),
          vd(instruction >> 7 & 31),
          vs1(instruction >> 15 & 31),
          vs2(instruction >> 20 & 31),
          masked((instruction >> 25 & 1) == 0),
          sew(vtype >> 3 & 3),
          lmul(static_cast<i8>((vtype & 3) - (vtype & 4))) {}

    Form form() const { return static_cast<Form>(word >> 12 & 7); }
    unsigned fields() const { return (word >> 29) + 1; }  // of a segment
    i64 signed_immediate() const { return sign_extend(vs1, 5); }
    // The register holding a data source or destination cannot be the mask as well.
    bool clear_of_mask(unsigned number) const { return !masked || number != 0; }
};

// Loads and stores. The width field: log2 of bytes.
inline unsigned width_of(const Fields& o) {
    const unsigned width = o.word >> 12 & 7;
    return width == 0 ? 0 : width - 4;
}
// log2 of the multiplier of elements of `eew` when there are as many as elements of SEW.
inline int effective_multiplier(const Fields& o, unsigned eew) { return static_cast<int>(eew) - o.sew + o.lmul; }
enum class Direction : u8 { load, store };
// vd, or vs3, and the registers of all fields.
inline bool data_registers_legal(const Fields& o, Direction direction, int emul, unsigned fields) {
    if (!aligned(o.vd, emul) || fields * registers(emul) > 8 || o.vd + fields * registers(emul) > 32) return false;
    return direction == Direction::store || o.clear_of_mask(o.vd);
}
// `count` whole registers.
inline bool whole_registers_legal(unsigned reg, unsigned count) { return (reg & (count - 1)) == 0; }

// One vector instruction about to be executed.
struct Operation : Fields {
    Hart& hart;
    const bool usable;  // VS is on and vtype is legal
    const u32 vl;
    const u32 start;  // vstart

    Operation(Hart& on, u32 instruction)
        : Fields(instruction, on.s.vtype),
          hart(on),
          usable(on.vector_on() && on.s.vtype >> 63 == 0),
          vl(static_cast<u32>(on.s.vl)),
          start(static_cast<u32>(on.s.vstart)) {}

    u8* reg(unsigned number) const { return hart.vector_register(number); }
    const u8* mask() const { return masked ? hart.vector_register(0) : nullptr; }
    bool active(u64 index) const { return !masked || get_bit(hart.vector_register(0), index); }
    // Elements of `bytes_log2` width in a group of the current multiplier.
    u32 vlmax() const { return static_cast<u32>(hart.vlen_bytes() << (lmul + 3) >> (sew + 3)); }
    bool nothing_to_do() const { return start >= vl; }

    // An x register as a number of the guest's width, sign-extended, or zero-extended.
    i64 x_signed(unsigned number) const {
        return hart.xlen() == 64 ? static_cast<i64>(hart.s.x[number]) : static_cast<i32>(hart.s.x[number]);
    }
    u64 x_unsigned(unsigned number) const { return hart.s.x[number]; }
    void set_x(u64 value) const {
        hart.s.x[vd == 0 ? unsigned{discard_x} : vd] = hart.xlen() == 64 ? value : static_cast<u32>(value);
    }
    u64 wrapped(u64 address) const { return hart.xlen() == 64 ? address : static_cast<u32>(address); }

    bool illegal() const { return hart.raise_illegal(); }
    bool done() const {
        hart.s.vstart = 0;
        hart.vector_dirty();
        return true;
    }
};

// The floating-point unit is on, frm is a rounding mode, and elements of this width exist in it.
inline bool float_usable(const Operation& o) { return o.hart.fp_on() && o.hart.s.frm <= 4; }

}  // namespace viv::riscv::vector
