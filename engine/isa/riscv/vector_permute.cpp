// Vector permutations: scalar moves, slides, gathers, compress, whole-register moves.
// Promises: sources that a destination may not overlap are refused, so elements can be moved in any order.
// Specification: RISC-V Unprivileged ISA 20240411, section 31.16.
#include <algorithm>

#include "engine/isa/riscv/vector_lanes.h"

namespace viv::riscv::vector {

namespace {

// Calls body.operator()<T>() with the unsigned type of the element width.
template <class Body>
void with_element(unsigned sew, Body body) {
    switch (sew) {
        case 0: body.template operator()<u8>(); break;
        case 1: body.template operator()<u16>(); break;
        case 2: body.template operator()<u32>(); break;
        default: body.template operator()<u64>(); break;
    }
}

}  // namespace

bool vmv_x_s(Hart& hart, u32 word) {
    const Operation o(hart, word);
    if (!o.usable) return o.illegal();
    with_element(o.sew, [&]<class T>() {
        o.set_x(static_cast<u64>(static_cast<i64>(static_cast<Signed<T>>(get<T>(o.reg(o.vs2), 0)))));
    });
    return o.done();
}

bool vmv_s_x(Hart& hart, u32 word) {
    const Operation o(hart, word);
    if (!o.usable) return o.illegal();
    if (!o.nothing_to_do())
        with_element(o.sew, [&]<class T>() { put(o.reg(o.vd), 0, static_cast<T>(o.x_signed(o.vs1))); });
    return o.done();
}

bool vfmv_f_s(Hart& hart, u32 word) {
    const Operation o(hart, word);
    if (!o.usable || !float_usable(o) || o.sew == 0) return o.illegal();
    with_element(o.sew, [&]<class T>() {
        const u64 boxes = ~low_mask(8 * sizeof(T));
        hart.s.f[o.vd] = boxes | get<T>(o.reg(o.vs2), 0);
    });
    hart.fp_dirty();
    return o.done();
}

bool vfmv_s_f(Hart& hart, u32 word) {
    const Operation o(hart, word);
    if (!o.usable || !float_usable(o) || o.sew == 0) return o.illegal();
    if (!o.nothing_to_do())
        with_element(o.sew, [&]<class T>() { put(o.reg(o.vd), 0, static_cast<T>(float_scalar(o, o.vs1))); });
    return o.done();
}

namespace {

bool slide_registers_legal(const Operation& o) {
    return aligned(o.vd, o.lmul) && aligned(o.vs2, o.lmul) && o.clear_of_mask(o.vd) && o.clear_of_mask(o.vs2);
}
u64 slide_amount(const Operation& o) { return o.form() == Form::vi ? o.vs1 : o.x_unsigned(o.vs1); }

// vd[i] = vs2[i - 1], and `first` at element 0.
void slide_up_by_one(const Operation& o, u64 first) {
    if (o.nothing_to_do()) return;
    u8* d = o.reg(o.vd);
    const u8* a = o.reg(o.vs2);
    if (!o.masked) {
        const u32 from = std::max(o.start, 1u);
        std::memcpy(d + (usize{from} << o.sew), a + (usize{from - 1} << o.sew), usize{o.vl - from} << o.sew);
        if (o.start == 0) with_element(o.sew, [&]<class T>() { put(d, 0, static_cast<T>(first)); });
        return;
    }
    with_element(o.sew, [&]<class T>() {
        for (u32 i = o.start; i < o.vl; i++)
            if (o.active(i)) put(d, i, i == 0 ? static_cast<T>(first) : get<T>(a, i - 1));
    });
}
// vd[i] = vs2[i + 1], and `last` at element vl - 1.
void slide_down_by_one(const Operation& o, u64 last) {
    if (o.nothing_to_do()) return;
    u8* d = o.reg(o.vd);
    const u8* a = o.reg(o.vs2);
    if (!o.masked) {
        // The source may be the destination.
        std::memmove(d + (usize{o.start} << o.sew), a + (usize{o.start + 1} << o.sew),
                     usize{o.vl - 1 - o.start} << o.sew);
        with_element(o.sew, [&]<class T>() { put(d, o.vl - 1, static_cast<T>(last)); });
        return;
    }
    with_element(o.sew, [&]<class T>() {
        for (u32 i = o.start; i < o.vl; i++)
            if (o.active(i)) put(d, i, i == o.vl - 1 ? static_cast<T>(last) : get<T>(a, i + 1));
    });
}

}  // namespace

bool vslideup(Hart& hart, u32 word) {
    const Operation o(hart, word);
    if (!o.usable || !slide_registers_legal(o) || o.vd == o.vs2) return o.illegal();
    const u64 amount = slide_amount(o), first = std::max<u64>(o.start, amount);
    if (first >= o.vl) return o.done();
    if (!o.masked)
        std::memcpy(o.reg(o.vd) + (first << o.sew), o.reg(o.vs2) + ((first - amount) << o.sew),
                    (o.vl - first) << o.sew);
    else
        with_element(o.sew, [&]<class T>() {
            u8* d = o.reg(o.vd);
            const u8* a = o.reg(o.vs2);
            for (u64 i = first; i < o.vl; i++)
                if (o.active(i)) put(d, i, get<T>(a, i - amount));
        });
    return o.done();
}

bool vslidedown(Hart& hart, u32 word) {
    const Operation o(hart, word);
    if (!o.usable || !slide_registers_legal(o)) return o.illegal();
    const u64 maximum = o.vlmax();
    const u64 amount = std::min(slide_amount(o), maximum);
    if (o.nothing_to_do()) return o.done();
    if (!o.masked) {
        // The source may be the destination.
        const u64 moved = std::clamp<u64>(maximum - amount, o.start, o.vl);
        std::memmove(o.reg(o.vd) + (u64{o.start} << o.sew), o.reg(o.vs2) + ((o.start + amount) << o.sew),
                     (moved - o.start) << o.sew);
        std::memset(o.reg(o.vd) + (moved << o.sew), 0, (o.vl - moved) << o.sew);
        return o.done();
    }
    with_element(o.sew, [&]<class T>() {
        u8* d = o.reg(o.vd);
        const u8* a = o.reg(o.vs2);
        for (u64 i = o.start; i < o.vl; i++)
            if (o.active(i)) put(d, i, i + amount < maximum ? get<T>(a, i + amount) : T{0});
    });
    return o.done();
}

bool vslide1up(Hart& hart, u32 word) {
    const Operation o(hart, word);
    if (!o.usable || !slide_registers_legal(o) || o.vd == o.vs2) return o.illegal();
    slide_up_by_one(o, static_cast<u64>(o.x_signed(o.vs1)));
    return o.done();
}
bool vfslide1up(Hart& hart, u32 word) {
    const Operation o(hart, word);
    if (!o.usable || !float_usable(o) || o.sew == 0 || !slide_registers_legal(o) || o.vd == o.vs2) return o.illegal();
    slide_up_by_one(o, float_scalar(o, o.vs1));
    return o.done();
}
bool vslide1down(Hart& hart, u32 word) {
    const Operation o(hart, word);
    if (!o.usable || !slide_registers_legal(o)) return o.illegal();
    slide_down_by_one(o, static_cast<u64>(o.x_signed(o.vs1)));
    return o.done();
}
bool vfslide1down(Hart& hart, u32 word) {
    const Operation o(hart, word);
    if (!o.usable || !float_usable(o) || o.sew == 0 || !slide_registers_legal(o)) return o.illegal();
    slide_down_by_one(o, float_scalar(o, o.vs1));
    return o.done();
}

namespace {

// vd[i] = vs2[index(i)], zero beyond VLMAX.
template <class T, class Index>
void gather(const Operation& o) {
    u8* d = o.reg(o.vd);
    const u8 *a = o.reg(o.vs2), *indices = o.reg(o.vs1);
    const u64 maximum = o.vlmax();
    for (u32 i = o.start; i < o.vl; i++) {
        if (!o.active(i)) continue;
        const u64 from = get<Index>(indices, i);
        put(d, i, from < maximum ? get<T>(a, from) : T{0});
    }
}

}  // namespace

bool vrgather(Hart& hart, u32 word) {
    const Operation o(hart, word);
    const bool has_indices = o.form() == Form::vv;
    if (!o.usable || !slide_registers_legal(o) || o.vd == o.vs2) return o.illegal();
    if (has_indices && (!aligned(o.vs1, o.lmul) || o.vd == o.vs1 || !o.clear_of_mask(o.vs1))) return o.illegal();
    with_element(o.sew, [&]<class T>() {
        if (has_indices) return gather<T, T>(o);
        const u64 from = slide_amount(o);
        const T value = from < o.vlmax() ? get<T>(o.reg(o.vs2), from) : T{0};
        u8* d = o.reg(o.vd);
        for (u32 i = o.start; i < o.vl; i++)
            if (o.active(i)) put(d, i, value);
    });
    return o.done();
}

bool vrgatherei16(Hart& hart, u32 word) {
    const Operation o(hart, word);
    const int index_emul = o.lmul + 1 - o.sew;
    if (!o.usable || !slide_registers_legal(o) || o.vd == o.vs2 || !aligned(o.vs1, index_emul) ||
        !o.clear_of_mask(o.vs1) || !groups_disjoint(o.vd, o.lmul, o.vs1, index_emul) ||
        (o.sew != 1 && !groups_disjoint(o.vs2, o.lmul, o.vs1, index_emul)))
        return o.illegal();
    with_element(o.sew, [&]<class T>() { gather<T, u16>(o); });
    return o.done();
}

bool vcompress(Hart& hart, u32 word) {
    const Operation o(hart, word);
    if (!o.usable || o.start != 0 || !aligned(o.vd, o.lmul) || !aligned(o.vs2, o.lmul) || o.vd == o.vs2 ||
        !groups_disjoint(o.vd, o.lmul, o.vs1, 0))
        return o.illegal();
    with_element(o.sew, [&]<class T>() {
        u8* d = o.reg(o.vd);
        const u8 *a = o.reg(o.vs2), *chosen = o.reg(o.vs1);
        u32 to = 0;
        for (u32 i = 0; i < o.vl; i++)
            if (get_bit(chosen, i)) put(d, to++, get<T>(a, i));
    });
    return o.done();
}

bool vmv_whole(Hart& hart, u32 word) {
    const Operation o(hart, word);
    const unsigned count = o.vs1 + 1u;  // the encodings are 0, 1, 3 and 7
    if (!o.usable || ((o.vd | o.vs2) & (count - 1)) != 0) return o.illegal();
    const usize from = std::min<usize>(usize{o.start} << o.sew, usize{count} * hart.vlen_bytes());
    std::memmove(o.reg(o.vd) + from, o.reg(o.vs2) + from, usize{count} * hart.vlen_bytes() - from);
    return o.done();
}

}  // namespace viv::riscv::vector
