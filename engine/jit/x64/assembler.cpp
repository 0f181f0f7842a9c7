// The encoder: prefixes, REX or VEX, opcode, ModRM, SIB, displacement, and the instructions with forms to choose from.
// Promises: the shortest encoding of the operands given; what the header says is checked is checked here.
// Specification: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, chapter 2.
#include "engine/jit/x64/assembler.h"

#include <algorithm>
#include <limits>

#include "engine/lang/bytes.h"
#include "engine/lang/check.h"

namespace viv::jit::x64 {

namespace {

constexpr usize first_size = 4096;

void put(u8*& p, unsigned value) { *p++ = static_cast<u8>(value); }
void put32(u8*& p, i32 value) { store_le(p, value), p += 4; }

bool fits8(i64 value) { return value == static_cast<i8>(value); }
bool fits32(i64 value) { return value == static_cast<i32>(value); }

// `value`, given signed or unsigned, as the sign-extended immediate of an operation of this width.
i32 immediate_of(Width w, i64 value) {
    switch (w) {
        case Width::b8:
            CHECK(value >= -0x80 && value <= 0xff, "immediate beyond 8 bits");
            return static_cast<i8>(value);
        case Width::b16:
            CHECK(value >= -0x8000 && value <= 0xffff, "immediate beyond 16 bits");
            return static_cast<i16>(value);
        case Width::b32:
            CHECK(value >= std::numeric_limits<i32>::min() && value <= i64{0xffffffff}, "immediate beyond 32 bits");
            return static_cast<i32>(value);
        case Width::b64: break;
    }
    CHECK(fits32(value), "64-bit immediate that does not sign-extend from 32");
    return static_cast<i32>(value);
}

unsigned immediate_bytes(Width w) { return w == Width::b8 ? 1 : w == Width::b16 ? 2 : 4; }

constexpr unsigned modrm(unsigned mod, unsigned reg, unsigned rm) { return mod << 6 | (reg & 7) << 3 | (rm & 7); }

// The upper bits of the three registers as in REX: R from reg, X from the index, B from the base.
unsigned rex_bits(unsigned reg, Mem rm) {
    const unsigned base = rm.form == Mem::Form::label ? 0 : number(rm.base) >> 3;
    const unsigned index = rm.form == Mem::Form::indexed ? number(rm.index) >> 3 : 0;
    return (reg >> 3) << 2 | index << 1 | base;
}

// Bytes that may be needed are written in any case and counted if they are: there is room, and no branch to mispredict.
u8* maybe(u8* p, unsigned value, bool needed) {
    *p = static_cast<u8>(value);
    return p + needed;
}

// All up to and without ModRM. `rex`: R, X and B; `empty_rex`: REX is needed even if it has no bits, for spl, bpl, sil
// and dil.
template <class Opcode>
[[gnu::always_inline]] inline u8* put_legacy(u8* p, Opcode op, unsigned w, bool operand16, unsigned rex,
                                             bool empty_rex) {
    constexpr u32 prefixes = 0xf2f36600;  // by number, lowest byte first
    const unsigned map = static_cast<unsigned>(op.map), prefix = static_cast<unsigned>(op.prefix);
    rex |= w << 3;
    p = maybe(p, 0x66, operand16);
    p = maybe(p, prefixes >> 8 * prefix, prefix != 0);
    p = maybe(p, 0x40 | rex, rex != 0 || empty_rex);
    p = maybe(p, 0x0f, map != 0);
    p = maybe(p, 0x34 + 2 * map, map > 1);  // 0x38 or 0x3a
    *p = op.byte;
    return p + 1;
}

template <class Opcode>
[[gnu::always_inline]] inline u8* put_vex(u8* p, Opcode op, unsigned w, unsigned vvvv, unsigned rex) {
    const unsigned map = static_cast<unsigned>(op.map);
    const unsigned low = (~vvvv & 15) << 3 | static_cast<unsigned>(op.prefix);  // L = 0: 128 bits
    const unsigned inverted = ~rex & 7;
    if (map == 1 && w == 0 && (rex & 3) == 0) {
        put(p, 0xc5);
        put(p, (inverted & 4) << 5 | low);
    } else {
        put(p, 0xc4);
        put(p, inverted << 5 | map);
        put(p, w << 7 | low);
    }
    put(p, op.byte);
    return p;
}

}  // namespace

Assembler::Assembler(std::vector<u8>& buffer) : buffer_(&buffer) {}

void Assembler::clear() {
    // A borrowed buffer may have been taken away after finish().
    if (buffer_ != &own_) begin_ = end_ = nullptr;
    cursor_ = begin_;
    labels_.clear();
    fixups32_.clear();
    fixups8_.clear();
}

void Assembler::grow(usize bytes) {
    const usize used = size();
    CHECK(bytes <= size_limit && used <= size_limit - bytes, "more code than an Assembler holds");
    buffer_->resize(std::max({first_size, used + bytes, 2 * static_cast<usize>(end_ - begin_), buffer_->capacity()}));
    begin_ = buffer_->data();
    cursor_ = begin_ + used;
    end_ = begin_ + buffer_->size();
}

// The forms of an instruction

u8* Assembler::put_memory(u8* p, unsigned reg, Mem rm, unsigned trailing) {
    if (rm.form == Mem::Form::label) {
        put(p, modrm(0, reg, 5));
        fixups32_.push_back({static_cast<u32>(p - begin_), static_cast<u32>(rm.disp)});
        put32(p, -static_cast<i32>(trailing));
        return p;
    }
    const unsigned base = number(rm.base) & 7;
    const bool indexed = rm.form == Mem::Form::indexed;
    if (indexed) {
        CHECK(rm.index != Gpr::rsp, "rsp cannot be an index");
        CHECK(rm.scale - 1u < 8 && (rm.scale & (rm.scale - 1)) == 0, "a scale is 1, 2, 4 or 8");
    }
    // No displacement with base rbp or r13 would mean rip or no base at all.
    const unsigned mod = rm.disp == 0 && base != 5 ? 0 : fits8(rm.disp) ? 1 : 2;
    const bool sib = indexed || base == 4;
    put(p, modrm(mod, reg, sib ? 4 : base));
    const unsigned scale = static_cast<unsigned>(std::countr_zero(rm.scale));
    p = maybe(p, modrm(scale, indexed ? number(rm.index) : 4, base), sib);
    store_le(p, rm.disp);
    return p + (mod * mod);  // 0, 1 or 4 bytes
}

void Assembler::emit(Opcode op, unsigned reg, unsigned rm) {
    u8* p = room();
    const bool empty_rex = (op.flags & byte_reg && reg >= 4) || (op.flags & byte_rm && rm >= 4);
    p = put_legacy(p, op, op.flags & rex_w, op.flags & operand16, (reg >> 3) << 2 | rm >> 3, empty_rex);
    put(p, modrm(3, reg, rm));
    cursor_ = p;
}

void Assembler::emit(Opcode op, unsigned reg, Mem rm, unsigned trailing) {
    u8* p = room();
    p = put_legacy(p, op, op.flags & rex_w, op.flags & operand16, rex_bits(reg, rm), op.flags & byte_reg && reg >= 4);
    cursor_ = put_memory(p, reg, rm, trailing);
}

void Assembler::emit_vex(Opcode op, unsigned reg, unsigned vvvv, unsigned rm) {
    u8* p = room();
    p = put_vex(p, op, op.flags & rex_w, vvvv, (reg >> 3) << 2 | rm >> 3);
    put(p, modrm(3, reg, rm));
    cursor_ = p;
}

void Assembler::emit_vex(Opcode op, unsigned reg, unsigned vvvv, Mem rm, unsigned trailing) {
    u8* p = room();
    p = put_vex(p, op, op.flags & rex_w, vvvv, rex_bits(reg, rm));
    cursor_ = put_memory(p, reg, rm, trailing);
}

// The form with `to` in ModRM.rm saves a byte if only `from` needs an upper bit, which VEX has in two bytes for reg
// alone.
void Assembler::vex_move(Opcode load, Opcode store, Xmm to, unsigned vvvv, Xmm from) {
    if (number(from) >= 8 && number(to) < 8)
        emit_vex(store, number(from), vvvv, number(to));
    else
        emit_vex(load, number(to), vvvv, number(from));
}

void Assembler::locked(Opcode op, unsigned reg, Mem rm) {
    room();
    byte(0xf0);
    emit(op, reg, rm);
}

void Assembler::plain(u32 bytes, unsigned length) {
    u8* p = room();
    store_le(p, bytes);
    cursor_ = p + length;
}

// The register is in the low bits of the opcode.
void Assembler::in_opcode(u8 opcode, Gpr r, bool wide) {
    u8* p = room();
    const unsigned rex = (wide ? 8 : 0) | number(r) >> 3;
    if (rex) put(p, 0x40 | rex);
    put(p, opcode | (number(r) & 7));
    cursor_ = p;
}

void Assembler::immediate(Width w, i32 value) {
    store_le(cursor_, value);
    cursor_ += immediate_bytes(w);
}

Assembler::Opcode Assembler::extend(Width to, Width from, u8 byte) {
    if (from == Width::b8) return {byte, Map::x0f, Prefix::none, static_cast<u8>(flags(to) | byte_rm)};
    if (from == Width::b16) return {static_cast<u8>(byte + 1), Map::x0f, Prefix::none, flags(to)};
    // Of 32 bits there is only movsxd; zeros come with any move.
    return {byte == 0xbe ? u8{0x63} : u8{0x8b}, Map::one, Prefix::none, flags(to)};
}

// Instructions with forms to choose from

void Assembler::mov(Width w, Gpr to, i64 value) {
    if (w == Width::b64 && !(value >= 0 && value <= i64{0xffffffff})) {
        if (!fits32(value)) {
            movabs(to, static_cast<u64>(value));
            return;
        }
        emit({0xc7, Map::one, Prefix::none, rex_w}, 0, number(to));
        immediate(w, static_cast<i32>(value));
        return;
    }
    const i32 low = w == Width::b64 ? static_cast<i32>(value) : immediate_of(w, value);
    u8* p = room();
    if (w == Width::b16) put(p, 0x66);
    const unsigned rex = number(to) >> 3;
    if (rex || (w == Width::b8 && number(to) >= 4)) put(p, 0x40 | rex);
    put(p, (w == Width::b8 ? 0xb0 : 0xb8) | (number(to) & 7));
    cursor_ = p;
    immediate(w, low);
}

void Assembler::mov(Width w, Mem to, i64 value) {
    const i32 low = immediate_of(w, value);
    emit(digits(0xc6, w), 0, to, immediate_bytes(w));
    immediate(w, low);
}

usize Assembler::movabs(Gpr to, u64 value) {
    in_opcode(0xb8, to, true);
    store_le(cursor_, value);
    cursor_ += 8;
    return size() - 8;
}

usize Assembler::call_absolute(u64 address) {
    const usize offset = movabs(Gpr::rax, address);
    call(Gpr::rax);
    return offset;
}

void Assembler::bswap(Width w, Gpr to) {
    u8* p = room();
    const unsigned rex = (w == Width::b64 ? 8 : 0) | number(to) >> 3;
    if (rex) put(p, 0x40 | rex);
    put(p, 0x0f);
    put(p, 0xc8 | (number(to) & 7));
    cursor_ = p;
}

void Assembler::xchg(Width w, Gpr a, Gpr b) {
    // rax with itself would be nop, which does not clear the upper half.
    const bool short_form = w != Width::b8 && (a == Gpr::rax) != (b == Gpr::rax);
    if (!short_form) {
        emit(both(0x86, w), number(b), number(a));
        return;
    }
    room();
    if (w == Width::b16) byte(0x66);
    in_opcode(0x90, a == Gpr::rax ? b : a, w == Width::b64);
}

void Assembler::push(Gpr from) { in_opcode(0x50, from, false); }
void Assembler::pop(Gpr to) { in_opcode(0x58, to, false); }

void Assembler::push(i32 value) {
    room();
    byte(fits8(value) ? 0x6a : 0x68);
    immediate(fits8(value) ? Width::b8 : Width::b32, value);
}

void Assembler::alu(Width w, unsigned digit, Gpr to, i64 value) {
    const i32 low = immediate_of(w, value);
    if (w != Width::b8 && fits8(low)) {
        imm({0x83, Map::one, Prefix::none, flags(w)}, digit, number(to), static_cast<u8>(low));
        return;
    }
    if (to == Gpr::rax) {
        u8* p = room();
        if (w == Width::b16) put(p, 0x66);
        if (w == Width::b64) put(p, 0x48);
        put(p, odd_unless_byte(digit << 3 | 4, w));
        cursor_ = p;
    } else {
        emit(digits(0x80, w), digit, number(to));
    }
    immediate(w, low);
}

void Assembler::alu(Width w, unsigned digit, Mem to, i64 value) {
    const i32 low = immediate_of(w, value);
    if (w != Width::b8 && fits8(low)) {
        imm({0x83, Map::one, Prefix::none, flags(w)}, digit, to, static_cast<u8>(low));
        return;
    }
    emit(digits(0x80, w), digit, to, immediate_bytes(w));
    immediate(w, low);
}

void Assembler::test(Width w, Gpr a, i64 value) {
    const i32 low = immediate_of(w, value);
    if (a == Gpr::rax) {
        u8* p = room();
        if (w == Width::b16) put(p, 0x66);
        if (w == Width::b64) put(p, 0x48);
        put(p, odd_unless_byte(0xa8, w));
        cursor_ = p;
    } else {
        emit(digits(0xf6, w), 0, number(a));
    }
    immediate(w, low);
}

void Assembler::test(Width w, Mem a, i64 value) {
    const i32 low = immediate_of(w, value);
    emit(digits(0xf6, w), 0, a, immediate_bytes(w));
    immediate(w, low);
}

void Assembler::imul(Width w, Gpr to, Gpr from, i64 value) {
    const i32 low = immediate_of(w, value);
    emit(wide_only(fits8(low) ? 0x6b : 0x69, w), number(to), number(from));
    immediate(fits8(low) ? Width::b8 : w, low);
}

void Assembler::imul(Width w, Gpr to, Mem from, i64 value) {
    const i32 low = immediate_of(w, value);
    const Width stored = fits8(low) ? Width::b8 : w;
    emit(wide_only(fits8(low) ? 0x6b : 0x69, w), number(to), from, immediate_bytes(stored));
    immediate(stored, low);
}

void Assembler::shift(Width w, unsigned digit, Gpr to, unsigned count) {
    CHECK(count < bits_of(w), "a shift as far as its operand is wide");
    if (count == 1)
        emit(digits(0xd0, w), digit, number(to));
    else
        imm(digits(0xc0, w), digit, number(to), static_cast<u8>(count));
}

void Assembler::shift(Width w, unsigned digit, Mem to, unsigned count) {
    CHECK(count < bits_of(w), "a shift as far as its operand is wide");
    if (count == 1)
        emit(digits(0xd0, w), digit, to);
    else
        imm(digits(0xc0, w), digit, to, static_cast<u8>(count));
}

void Assembler::double_shift(Width w, u8 opcode, Gpr to, Gpr from, unsigned count) {
    CHECK(count < bits_of(w), "a shift as far as its operand is wide");
    imm(wide_only(opcode, w, Map::x0f), number(from), number(to), static_cast<u8>(count));
}

void Assembler::bit_test(Width w, unsigned digit, Gpr of, unsigned index) {
    CHECK(index < bits_of(w), "a bit beyond its operand");
    imm(wide_only(0xba, w, Map::x0f), digit, number(of), static_cast<u8>(index));
}

}  // namespace viv::jit::x64
