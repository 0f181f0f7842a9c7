// Instruction formats: which fields an instruction has, how they are cut from the word, kept in an interpreter slot,
// and printed. Promises: unpack(pack(f)) == f; x-register destinations name discard_x for x0, so no tier tests for it
// at run time. Specification: RISC-V Unprivileged ISA 20240411, chapter 2.2 (base formats), 2.3 (immediates).
#pragma once

#include "engine/isa/pattern.h"
#include "engine/isa/riscv/state.h"

namespace viv::riscv {

using isa::Encoding;
using isa::Text;

// The operand part of an interpreter slot.
struct Packed {
    u8 a = 0;
    u8 b = 0;
    i32 imm = 0;
};

constexpr u8 reg(u32 word, unsigned at) { return static_cast<u8>(word >> at & 31); }
constexpr u8 destination(u32 word) { return reg(word, 7) == 0 ? u8{discard_x} : reg(word, 7); }

// How operands are printed; see disassemble.cpp.
enum class Operands : u8 {
    none,
    r,
    r2,
    i,
    shift,
    load,
    store,
    b,
    u,
    j,
    jalr,
    csr,
    csr_imm,
    amo,
    lr,
    fr,
    fr2,
    r4,
    fload,
    fstore,
    fence,
    vector,
    cbo
};

// rd, rs1, rs2
struct RFields {
    u8 rd, rs1, rs2;
    static constexpr RFields decode(u32 w) { return {destination(w), reg(w, 15), reg(w, 20)}; }
    constexpr Packed pack() const { return {rd, rs1, rs2}; }
    static constexpr RFields unpack(Packed p) { return {p.a, p.b, static_cast<u8>(p.imm)}; }
};
// rd, rs1, sign-extended 12-bit immediate
struct IFields {
    u8 rd, rs1;
    i32 imm;
    static constexpr IFields decode(u32 w) { return {destination(w), reg(w, 15), static_cast<i32>(w) >> 20}; }
    constexpr Packed pack() const { return {rd, rs1, imm}; }
    static constexpr IFields unpack(Packed p) { return {p.a, p.b, p.imm}; }
};
// rd, rs1, 6-bit shift amount (RV32 decodes refuse bit 5)
struct ShiftFields {
    u8 rd, rs1;
    i32 imm;
    static constexpr ShiftFields decode(u32 w) { return {destination(w), reg(w, 15), static_cast<i32>(w >> 20 & 63)}; }
    constexpr Packed pack() const { return {rd, rs1, imm}; }
    static constexpr ShiftFields unpack(Packed p) { return {p.a, p.b, p.imm}; }
};
// rs1, rs2, store immediate
struct SFields {
    u8 rs1, rs2;
    i32 imm;
    static constexpr SFields decode(u32 w) {
        return {reg(w, 15), reg(w, 20), (static_cast<i32>(w) >> 20 & ~31) | static_cast<i32>(w >> 7 & 31)};
    }
    constexpr Packed pack() const { return {rs2, rs1, imm}; }
    static constexpr SFields unpack(Packed p) { return {p.b, p.a, p.imm}; }
};
// rs1, rs2, branch offset
struct BFields {
    u8 rs1, rs2;
    i32 imm;
    static constexpr BFields decode(u32 w) {
        const i32 sign = static_cast<i32>(w) >> 31;
        return {reg(w, 15), reg(w, 20),
                (sign & -4096) | static_cast<i32>((w << 4 & 0x800) | (w >> 20 & 0x7e0) | (w >> 7 & 0x1e))};
    }
    constexpr Packed pack() const { return {rs2, rs1, imm}; }
    static constexpr BFields unpack(Packed p) { return {p.b, p.a, p.imm}; }
};
// rd, upper immediate (already shifted)
struct UFields {
    u8 rd;
    i32 imm;
    static constexpr UFields decode(u32 w) { return {destination(w), static_cast<i32>(w & 0xffff'f000)}; }
    constexpr Packed pack() const { return {rd, 0, imm}; }
    static constexpr UFields unpack(Packed p) { return {p.a, p.imm}; }
};
// rd, jump offset
struct JFields {
    u8 rd;
    i32 imm;
    static constexpr JFields decode(u32 w) {
        const i32 sign = static_cast<i32>(w) >> 31;
        return {destination(w),
                (sign & -0x10'0000) | static_cast<i32>((w & 0xf'f000) | (w >> 9 & 0x800) | (w >> 20 & 0x7fe))};
    }
    constexpr Packed pack() const { return {rd, 0, imm}; }
    static constexpr JFields unpack(Packed p) { return {p.a, p.imm}; }
};
// rd, rs1 (or its number as an immediate), CSR number
struct CsrFields {
    u8 rd, rs1;
    u16 csr;
    static constexpr CsrFields decode(u32 w) { return {destination(w), reg(w, 15), static_cast<u16>(w >> 20)}; }
    constexpr Packed pack() const { return {rd, rs1, csr}; }
    static constexpr CsrFields unpack(Packed p) { return {p.a, p.b, static_cast<u16>(p.imm)}; }
};
// Atomics: rd, rs1, rs2, ordering bits
struct AmoFields {
    u8 rd, rs1, rs2;
    bool acquire, release;
    static constexpr AmoFields decode(u32 w) {
        return {destination(w), reg(w, 15), reg(w, 20), (w >> 26 & 1) != 0, (w >> 25 & 1) != 0};
    }
    constexpr Packed pack() const { return {rd, rs1, rs2 | acquire << 8 | release << 9}; }
    static constexpr AmoFields unpack(Packed p) {
        return {p.a, p.b, static_cast<u8>(p.imm), (p.imm >> 8 & 1) != 0, (p.imm >> 9 & 1) != 0};
    }
};
// Floating point: rd, rs1, rs2, rs3, rounding mode. Instructions with fewer operands ignore the rest. `rd` is the plain
// number; where it names an x register the instruction uses x_rd().
struct FFields {
    u8 rd, rs1, rs2, rs3, rm;
    constexpr u8 x_rd() const { return rd == 0 ? u8{discard_x} : rd; }
    static constexpr FFields decode(u32 w) {
        return {reg(w, 7), reg(w, 15), reg(w, 20), reg(w, 27), static_cast<u8>(w >> 12 & 7)};
    }
    constexpr Packed pack() const { return {rd, rs1, rs2 | rs3 << 8 | rm << 16}; }
    static constexpr FFields unpack(Packed p) {
        return {p.a, p.b, static_cast<u8>(p.imm), static_cast<u8>(p.imm >> 8), static_cast<u8>(p.imm >> 16)};
    }
};
// FP loads: rd (f), rs1, immediate. FP stores use SFields.
struct FLoadFields {
    u8 rd, rs1;
    i32 imm;
    static constexpr FLoadFields decode(u32 w) { return {reg(w, 7), reg(w, 15), static_cast<i32>(w) >> 20}; }
    constexpr Packed pack() const { return {rd, rs1, imm}; }
    static constexpr FLoadFields unpack(Packed p) { return {p.a, p.b, p.imm}; }
};
// The whole word, for instructions that are helpers (system, vector).
struct WordFields {
    u32 word;
    constexpr u8 rd() const { return reg(word, 7); }
    constexpr u8 x_rd() const { return destination(word); }
    constexpr u8 rs1() const { return reg(word, 15); }
    constexpr u8 rs2() const { return reg(word, 20); }
    constexpr bool vm() const { return (word >> 25 & 1) != 0; }
    static constexpr WordFields decode(u32 w) { return {w}; }
    constexpr Packed pack() const { return {0, 0, static_cast<i32>(word)}; }
    static constexpr WordFields unpack(Packed p) { return {static_cast<u32>(p.imm)}; }
};

// What an instruction does to the flow of control, for the decoder (where blocks end) and the region builder.
enum class Flow : u8 {
    next,    // falls through; may trap on a memory access
    branch,  // conditional, relative
    jump,    // unconditional, relative
    indirect,
    system,  // may change mode, translation or interrupts: the successor is found anew
};

// The parent of every instruction: name, 32-bit pattern, fields, how operands are printed, flow.
template <Text Name, Text Pattern, class F, Operands P, Flow C = Flow::next>
struct Instruction {
    using Fields = F;
    static constexpr const char* name = Name.c_str();
    static constexpr Encoding encoding = isa::encoding<32>(Pattern);
    static constexpr Operands operands = P;
    static constexpr Flow flow = C;
};

// A list of instructions, in decoding priority.
template <class...>
struct Group {};

}  // namespace viv::riscv
