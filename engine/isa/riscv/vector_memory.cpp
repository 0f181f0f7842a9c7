// Vector loads and stores: unit-stride, strided, indexed, segments, whole registers, masks, fault-only-first.
// Promises: elements are accessed in order; a trap leaves vstart at the faulting element (or segment) with all before
// it done, so the instruction resumes there. A fault-only-first load that meets a fault, or anything but plain memory,
// beyond element 0 shortens vl instead.
// Specification: RISC-V Unprivileged ISA 20240411, section 31.7 and chapter 31.17 (exception handling).
#include "engine/isa/riscv/vector_unit.h"

namespace viv::riscv::vector {

namespace {

// Moves `size` bytes between guest memory at `address`, which lies in one page that may be accessed directly, and a
// register.
// Naturally aligned words are moved at once: another hart never sees half an element.
template <Direction D>
void copy(u8* host, u8* reg, usize size) {
    const auto move = [&]<class T>() {
        T* at = reinterpret_cast<T*>(host);
        if constexpr (D == Direction::load)
            put(reg, 0, __atomic_load_n(at, __ATOMIC_RELAXED));
        else
            __atomic_store_n(at, get<T>(reg, 0), __ATOMIC_RELAXED);
        host += sizeof(T);
        reg += sizeof(T);
        size -= sizeof(T);
    };
    const auto odd = [&](usize bit) { return (reinterpret_cast<std::uintptr_t>(host) & bit) != 0 && size >= bit; };
    if (odd(1)) move.template operator()<u8>();
    if (odd(2)) move.template operator()<u16>();
    if (odd(4)) move.template operator()<u32>();
    if ((reinterpret_cast<std::uintptr_t>(host) & 7) == 0)
        while (size >= 8) move.template operator()<u64>();
    if ((reinterpret_cast<std::uintptr_t>(host) & 3) == 0 && size >= 4) move.template operator()<u32>();
    if ((reinterpret_cast<std::uintptr_t>(host) & 1) == 0)
        while (size >= 2) move.template operator()<u16>();
    while (size > 0) move.template operator()<u8>();
}

template <Direction D, class T>
bool access(Hart& hart, u64 address, u8* element) {
    if constexpr (D == Direction::load) {
        T value{};
        if (!hart.load(address, value)) return false;
        put(element, 0, value);
        return true;
    } else
        return hart.store(address, get<T>(element, 0));
}

// Elements [start, count) of T, one after another in memory and in registers from `reg` on. A trap leaves vstart.
template <Direction D, class T>
bool run_consecutive(const Operation& o, u64 base, u8* reg, u64 start, u64 count) {
    for (u64 i = start; i < count;) {
        const u64 address = o.wrapped(base + i * sizeof(T));
        const u64 room = (page_size - (address & page_mask)) / sizeof(T);
        const TlbEntry& entry = Tlb::at(o.hart.tlb, address);
        if (room != 0 && (D == Direction::load ? entry.read : entry.write) == (address & ~page_mask)) {
            const u64 run = std::min(room, count - i);
            copy<D>(reinterpret_cast<u8*>(address + entry.addend), reg + i * sizeof(T), run * sizeof(T));
            i += run;
            continue;
        }
        if (!access<D, T>(o.hart, address, reg + i * sizeof(T))) {
            o.hart.s.vstart = i;
            return false;
        }
        i++;
    }
    return true;
}

// Segments [vstart, vl) of `fields` elements of T; segment i is at address_of(i), field f in the register group that
// starts at vd + f * group.
template <Direction D, class T, class Address>
bool run_segments(const Operation& o, unsigned fields, unsigned group, Address address_of) {
    const usize field_bytes = usize{group} * o.hart.vlen_bytes();
    u8* const first = o.reg(o.vd);
    for (u32 i = o.start; i < o.vl; i++) {
        if (!o.active(i)) continue;
        u64 address = address_of(i);
        for (unsigned f = 0; f < fields; f++, address += sizeof(T))
            if (!access<D, T>(o.hart, o.wrapped(address), first + f * field_bytes + i * sizeof(T))) {
                o.hart.s.vstart = i;
                return false;
            }
    }
    return true;
}

// Calls body.operator()<T>() with the unsigned type of `width`.
template <class Body>
bool with_element(unsigned width, Body body) {
    switch (width) {
        case 0: return body.template operator()<u8>();
        case 1: return body.template operator()<u16>();
        case 2: return body.template operator()<u32>();
        default: return body.template operator()<u64>();
    }
}

u64 base_of(const Operation& o) { return o.x_unsigned(o.vs1); }

template <Direction D>
bool unit(Hart& hart, u32 word) {
    const Operation o(hart, word);
    const unsigned eew = width_of(o), fields = o.fields();
    const int emul = effective_multiplier(o, eew);
    if (!o.usable || !data_registers_legal(o, D, emul, fields)) return o.illegal();
    const bool ok = with_element(eew, [&]<class T>() {
        if (fields == 1 && !o.masked) return run_consecutive<D, T>(o, base_of(o), o.reg(o.vd), o.start, o.vl);
        return run_segments<D, T>(o, fields, registers(emul),
                                  [&](u32 i) { return base_of(o) + u64{i} * fields * sizeof(T); });
    });
    return ok && o.done();
}

template <Direction D>
bool strided(Hart& hart, u32 word) {
    const Operation o(hart, word);
    const unsigned eew = width_of(o), fields = o.fields();
    const int emul = effective_multiplier(o, eew);
    if (!o.usable || !data_registers_legal(o, D, emul, fields)) return o.illegal();
    const u64 stride = static_cast<u64>(o.x_signed(o.vs2));
    const bool ok = with_element(eew, [&]<class T>() {
        return run_segments<D, T>(o, fields, registers(emul), [&](u32 i) { return base_of(o) + i * stride; });
    });
    return ok && o.done();
}

// The width field is that of the indices, in vs2; the data has SEW.
template <Direction D>
bool indexed(Hart& hart, u32 word) {
    const Operation o(hart, word);
    const unsigned eew = width_of(o), fields = o.fields();
    const int emul = effective_multiplier(o, eew);
    if (!o.usable || !data_registers_legal(o, D, o.lmul, fields) || !aligned(o.vs2, emul) || !o.clear_of_mask(o.vs2) ||
        !o.clear_of_mask(o.vd) || (eew == 3 && hart.xlen() == 32))
        return o.illegal();
    if (D == Direction::load) {
        // A segment cannot be restarted once its own indices are overwritten.
        if (fields > 1 && !disjoint(o.vd, fields * registers(o.lmul), o.vs2, registers(emul))) return o.illegal();
        if (eew < o.sew && !wider_overlap_legal(o.vd, o.lmul, o.vs2, emul)) return o.illegal();
        if (eew > o.sew && !narrower_overlap_legal(o.vd, o.lmul, o.vs2, emul)) return o.illegal();
    } else if (eew != o.sew && !groups_disjoint(o.vd, o.lmul, o.vs2, emul))
        return o.illegal();
    const u8* const indices = o.reg(o.vs2);
    const auto address_of = [&](u32 i) {
        switch (eew) {
            case 0: return base_of(o) + get<u8>(indices, i);
            case 1: return base_of(o) + get<u16>(indices, i);
            case 2: return base_of(o) + get<u32>(indices, i);
            default: return base_of(o) + get<u64>(indices, i);
        }
    };
    const bool ok =
        with_element(o.sew, [&]<class T>() { return run_segments<D, T>(o, fields, registers(o.lmul), address_of); });
    return ok && o.done();
}

// A mask is as many bytes as hold vl bits.
template <Direction D>
bool mask_transfer(Hart& hart, u32 word) {
    const Operation o(hart, word);
    if (!o.usable) return o.illegal();
    return run_consecutive<D, u8>(o, base_of(o), o.reg(o.vd), o.start, (u64{o.vl} + 7) / 8) && o.done();
}

// Independent of vtype and vl.
template <Direction D>
bool whole(Hart& hart, u32 word) {
    const Operation o(hart, word);
    const unsigned count = o.fields();
    if (!hart.vector_on() || !whole_registers_legal(o.vd, count)) return o.illegal();
    const bool ok = with_element(width_of(o), [&]<class T>() {
        return run_consecutive<D, T>(o, base_of(o), o.reg(o.vd), o.start, usize{count} * hart.vlen_bytes() / sizeof(T));
    });
    return ok && o.done();
}

// A segment is loaded whole before any of it is written.
template <class T>
bool load_first(const Operation& o, unsigned fields, unsigned group) {
    const usize field_bytes = usize{group} * o.hart.vlen_bytes();
    u8* const first = o.reg(o.vd);
    for (u32 i = o.start; i < o.vl; i++) {
        if (!o.active(i)) continue;
        const u64 address = base_of(o) + u64{i} * fields * sizeof(T);
        if (fields == 1 && !o.masked) {
            const u64 from = o.wrapped(address), room = (page_size - (from & page_mask)) / sizeof(T);
            const TlbEntry& entry = Tlb::at(o.hart.tlb, from);
            if (room != 0 && entry.read == (from & ~page_mask)) {
                const u32 run = static_cast<u32>(std::min<u64>(room, o.vl - i));
                copy<Direction::load>(reinterpret_cast<u8*>(from + entry.addend), first + i * sizeof(T),
                                      run * sizeof(T));
                i += run - 1;
                continue;
            }
        }
        T values[8] = {};
        for (unsigned f = 0; f < fields; f++) {
            const u64 at = o.wrapped(address + f * sizeof(T));
            const TlbEntry& entry = Tlb::at(o.hart.tlb, at);
            const bool direct = (at & (~page_mask | (sizeof(T) - 1))) == entry.read;
            if (i != 0 && !direct && !o.hart.readable(at, sizeof(T))) {
                o.hart.s.vl = i;
                return true;
            }
            if (!o.hart.load(at, values[f])) {
                o.hart.s.vstart = i;
                return false;
            }
        }
        for (unsigned f = 0; f < fields; f++) put(first + f * field_bytes, i, values[f]);
    }
    return true;
}

}  // namespace

bool load_unit(Hart& h, u32 w) { return unit<Direction::load>(h, w); }
bool store_unit(Hart& h, u32 w) { return unit<Direction::store>(h, w); }
bool load_strided(Hart& h, u32 w) { return strided<Direction::load>(h, w); }
bool store_strided(Hart& h, u32 w) { return strided<Direction::store>(h, w); }
bool load_indexed(Hart& h, u32 w) { return indexed<Direction::load>(h, w); }
bool store_indexed(Hart& h, u32 w) { return indexed<Direction::store>(h, w); }
bool load_mask(Hart& h, u32 w) { return mask_transfer<Direction::load>(h, w); }
bool store_mask(Hart& h, u32 w) { return mask_transfer<Direction::store>(h, w); }
bool load_whole(Hart& h, u32 w) { return whole<Direction::load>(h, w); }
bool store_whole(Hart& h, u32 w) { return whole<Direction::store>(h, w); }

bool load_fault_first(Hart& hart, u32 word) {
    const Operation o(hart, word);
    const unsigned eew = width_of(o), fields = o.fields();
    const int emul = effective_multiplier(o, eew);
    if (!o.usable || !data_registers_legal(o, Direction::load, emul, fields)) return o.illegal();
    const bool ok = with_element(eew, [&]<class T>() { return load_first<T>(o, fields, registers(emul)); });
    return ok && o.done();
}

}  // namespace viv::riscv::vector
