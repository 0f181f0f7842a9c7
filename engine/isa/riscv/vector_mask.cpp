// Vector mask instructions: logic, population count, find first, set before/including/only first, iota, index.
// Specification: RISC-V Unprivileged ISA 20240411, section 31.15.
#include <bit>

#include "engine/isa/riscv/vector_unit.h"

namespace viv::riscv::vector {

namespace {

// 64 bits of a mask from bit 64 * word on; masks are VLEN bits, a multiple of that.
u64 mask_word(const u8* mask, u32 word) { return get<u64>(mask, word); }
// The bits of that word within [start, end).
constexpr u64 part_of(u32 word, u32 start, u32 end) {
    const u64 first = u64{word} * 64;
    if (end <= first || start >= first + 64) return 0;
    const u64 from = start > first ? start - first : 0;
    return low_mask(static_cast<unsigned>(std::min<u64>(end - first, 64))) & ~low_mask(static_cast<unsigned>(from));
}

struct And {
    static u64 apply(u64 a, u64 b) { return a & b; }
};
struct Nand {
    static u64 apply(u64 a, u64 b) { return ~(a & b); }
};
struct AndNot {
    static u64 apply(u64 a, u64 b) { return a & ~b; }
};
struct Xor {
    static u64 apply(u64 a, u64 b) { return a ^ b; }
};
struct Or {
    static u64 apply(u64 a, u64 b) { return a | b; }
};
struct Nor {
    static u64 apply(u64 a, u64 b) { return ~(a | b); }
};
struct OrNot {
    static u64 apply(u64 a, u64 b) { return a | ~b; }
};
struct Xnor {
    static u64 apply(u64 a, u64 b) { return ~(a ^ b); }
};

template <class Op>
bool logic(Hart& hart, u32 word) {
    const Operation o(hart, word);
    if (!o.usable) return o.illegal();
    const u8 *a = o.reg(o.vs2), *b = o.reg(o.vs1);
    u8* d = o.reg(o.vd);
    for (u32 i = o.start / 64; u64{i} * 64 < o.vl; i++) {
        const u64 part = part_of(i, o.start, o.vl);
        put(d, i, (get<u64>(d, i) & ~part) | (Op::apply(mask_word(a, i), mask_word(b, i)) & part));
    }
    return o.done();
}

// The active bits of the mask vs2 in word `i`.
u64 active_ones(const Operation& o, u32 i) {
    const u64 active = o.masked ? mask_word(o.reg(0), i) : ~u64{0};
    return mask_word(o.reg(o.vs2), i) & active & part_of(i, 0, o.vl);
}
// The first active one, or vl.
u32 first_one(const Operation& o) {
    for (u32 i = 0; i * 64 < o.vl; i++)
        if (const u64 ones = active_ones(o, i); ones != 0) return i * 64 + static_cast<u32>(std::countr_zero(ones));
    return o.vl;
}

enum class Ones : u8 { before, up_to, only };  // vmsbf, vmsif, vmsof

template <Ones Which>
bool set_by_first(Hart& hart, u32 word) {
    const Operation o(hart, word);
    if (!o.usable || o.start != 0 || o.vd == o.vs2 || !o.clear_of_mask(o.vd)) return o.illegal();
    const u32 first = first_one(o);
    u8* d = o.reg(o.vd);
    for (u32 i = 0; i * 64 < o.vl; i++) {
        u64 ones = part_of(i, 0, first);
        if (Which == Ones::up_to && first < o.vl) ones = part_of(i, 0, first + 1);
        if (Which == Ones::only) ones = part_of(i, first, std::min(first + 1, o.vl));
        const u64 body = part_of(i, 0, o.vl) & (o.masked ? mask_word(o.reg(0), i) : ~u64{0});
        put(d, i, (get<u64>(d, i) & ~body) | (ones & body));
    }
    return o.done();
}

template <class T>
void write_counts(const Operation& o) {
    u8* d = o.reg(o.vd);
    T count = 0;
    for (u32 i = 0; i < o.vl; i++) {
        if (!o.active(i)) continue;
        put(d, i, count);
        count = static_cast<T>(count + get_bit(o.reg(o.vs2), i));
    }
}
template <class T>
void write_indices(const Operation& o) {
    u8* d = o.reg(o.vd);
    for (u32 i = o.start; i < o.vl; i++)
        if (o.active(i)) put(d, i, static_cast<T>(i));
}

}  // namespace

bool vmand(Hart& h, u32 w) { return logic<And>(h, w); }
bool vmnand(Hart& h, u32 w) { return logic<Nand>(h, w); }
bool vmandn(Hart& h, u32 w) { return logic<AndNot>(h, w); }
bool vmxor(Hart& h, u32 w) { return logic<Xor>(h, w); }
bool vmor(Hart& h, u32 w) { return logic<Or>(h, w); }
bool vmnor(Hart& h, u32 w) { return logic<Nor>(h, w); }
bool vmorn(Hart& h, u32 w) { return logic<OrNot>(h, w); }
bool vmxnor(Hart& h, u32 w) { return logic<Xnor>(h, w); }

bool vcpop_m(Hart& hart, u32 word) {
    const Operation o(hart, word);
    if (!o.usable || o.start != 0) return o.illegal();
    u64 count = 0;
    for (u32 i = 0; i * 64 < o.vl; i++) count += static_cast<u64>(std::popcount(active_ones(o, i)));
    o.set_x(count);
    return o.done();
}

bool vfirst(Hart& hart, u32 word) {
    const Operation o(hart, word);
    if (!o.usable || o.start != 0) return o.illegal();
    const u32 first = first_one(o);
    o.set_x(first == o.vl ? ~u64{0} : first);
    return o.done();
}

bool vmsbf(Hart& h, u32 w) { return set_by_first<Ones::before>(h, w); }
bool vmsif(Hart& h, u32 w) { return set_by_first<Ones::up_to>(h, w); }
bool vmsof(Hart& h, u32 w) { return set_by_first<Ones::only>(h, w); }

bool viota(Hart& hart, u32 word) {
    const Operation o(hart, word);
    // vs2 and v0 are both read as masks, so they may be one register.
    if (!o.usable || o.start != 0 || !aligned(o.vd, o.lmul) || !o.clear_of_mask(o.vd) ||
        !groups_disjoint(o.vd, o.lmul, o.vs2, 0))
        return o.illegal();
    switch (o.sew) {
        case 0: write_counts<u8>(o); break;
        case 1: write_counts<u16>(o); break;
        case 2: write_counts<u32>(o); break;
        default: write_counts<u64>(o); break;
    }
    return o.done();
}

bool vid(Hart& hart, u32 word) {
    const Operation o(hart, word);
    if (!o.usable || !aligned(o.vd, o.lmul) || !o.clear_of_mask(o.vd)) return o.illegal();
    switch (o.sew) {
        case 0: write_indices<u8>(o); break;
        case 1: write_indices<u16>(o); break;
        case 2: write_indices<u32>(o); break;
        default: write_indices<u64>(o); break;
    }
    return o.done();
}

}  // namespace viv::riscv::vector
