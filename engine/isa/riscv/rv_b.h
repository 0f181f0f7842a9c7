// Zba, Zbb, Zbs, Zbc and Zicond. Specification: RISC-V Unprivileged ISA 20240411, chapters 28 (B) and 16 (Zicond).
#pragma once

#include "engine/isa/riscv/rv_i.h"

namespace viv::riscv {

#define RISCV_UNARY(name, text, pattern, expression)                  \
    struct name : Instruction<text, pattern, RFields, Operands::r2> { \
        static void run(auto& e, Fields f) {                          \
            auto a = e.x(f.rs1);                                      \
            e.x(f.rd, expression);                                    \
        }                                                             \
    };

// Zba
RISCV_R(sh1add, "sh1add", "0010000 ..... ..... 010 ..... 0110011", (a << 1) + b)
RISCV_R(sh2add, "sh2add", "0010000 ..... ..... 100 ..... 0110011", (a << 2) + b)
RISCV_R(sh3add, "sh3add", "0010000 ..... ..... 110 ..... 0110011", (a << 3) + b)
RISCV_R(add_uw, "add.uw", "0000100 ..... ..... 000 ..... 0111011", e.zext(trunc<u32>(a)) + b)
RISCV_R(sh1add_uw, "sh1add.uw", "0010000 ..... ..... 010 ..... 0111011", (e.zext(trunc<u32>(a)) << 1) + b)
RISCV_R(sh2add_uw, "sh2add.uw", "0010000 ..... ..... 100 ..... 0111011", (e.zext(trunc<u32>(a)) << 2) + b)
RISCV_R(sh3add_uw, "sh3add.uw", "0010000 ..... ..... 110 ..... 0111011", (e.zext(trunc<u32>(a)) << 3) + b)
RISCV_SHIFT(slli_uw, "slli.uw", "000010. ..... ..... 001 ..... 0011011", shl(e.zext(trunc<u32>(a)), b))

// Zbb
RISCV_R(andn, "andn", "0100000 ..... ..... 111 ..... 0110011", a & ~b)
RISCV_R(orn, "orn", "0100000 ..... ..... 110 ..... 0110011", a | ~b)
RISCV_R(xnor, "xnor", "0100000 ..... ..... 100 ..... 0110011", ~(a ^ b))
RISCV_UNARY(clz_, "clz", "0110000 00000 ..... 001 ..... 0010011", clz(a))
RISCV_UNARY(ctz_, "ctz", "0110000 00001 ..... 001 ..... 0010011", ctz(a))
RISCV_UNARY(cpop, "cpop", "0110000 00010 ..... 001 ..... 0010011", popcount(a))
RISCV_UNARY(clzw, "clzw", "0110000 00000 ..... 001 ..... 0011011", e.zext(clz(trunc<u32>(a))))
RISCV_UNARY(ctzw, "ctzw", "0110000 00001 ..... 001 ..... 0011011", e.zext(ctz(trunc<u32>(a))))
RISCV_UNARY(cpopw, "cpopw", "0110000 00010 ..... 001 ..... 0011011", e.zext(popcount(trunc<u32>(a))))
RISCV_R(max_, "max", "0000101 ..... ..... 110 ..... 0110011", maxs(a, b))
RISCV_R(maxu_, "maxu", "0000101 ..... ..... 111 ..... 0110011", maxu(a, b))
RISCV_R(min_, "min", "0000101 ..... ..... 100 ..... 0110011", mins(a, b))
RISCV_R(minu_, "minu", "0000101 ..... ..... 101 ..... 0110011", minu(a, b))
RISCV_UNARY(sext_b, "sext.b", "0110000 00100 ..... 001 ..... 0010011", e.sext(trunc<u8>(a)))
RISCV_UNARY(sext_h, "sext.h", "0110000 00101 ..... 001 ..... 0010011", e.sext(trunc<u16>(a)))
RISCV_UNARY(zext_h_32, "zext.h", "0000100 00000 ..... 100 ..... 0110011", e.zext(trunc<u16>(a)))
RISCV_UNARY(zext_h_64, "zext.h", "0000100 00000 ..... 100 ..... 0111011", e.zext(trunc<u16>(a)))
RISCV_R(rol, "rol", "0110000 ..... ..... 001 ..... 0110011", rotl(a, b))
RISCV_R(ror, "ror", "0110000 ..... ..... 101 ..... 0110011", rotr(a, b))
RISCV_SHIFT(rori, "rori", "011000. ..... ..... 101 ..... 0010011", rotr(a, b))
RISCV_RW(rolw, "rolw", "0110000 ..... ..... 001 ..... 0111011", rotl(a, b))
RISCV_RW(rorw, "rorw", "0110000 ..... ..... 101 ..... 0111011", rotr(a, b))
RISCV_SHIFTW(roriw, "roriw", "0110000 ..... ..... 101 ..... 0011011", rotr(a, b))
// Each byte becomes all ones if it has any bit set: gather the bits down to bit 0 of the byte, then spread them.
struct orc_b : Instruction<"orc.b", "001010000111 ..... 101 ..... 0010011", RFields, Operands::r2> {
    static void run(auto& e, Fields f) {
        auto a = e.x(f.rs1);
        a = a | (a >> 4);
        a = a | (a >> 2);
        a = (a | (a >> 1)) & e.imm(0x0101'0101'0101'0101);
        e.x(f.rd, a * e.imm(0xff));
    }
};
RISCV_UNARY(rev8_32, "rev8", "011010011000 ..... 101 ..... 0010011", byte_swap(a))
RISCV_UNARY(rev8_64, "rev8", "011010111000 ..... 101 ..... 0010011", byte_swap(a))

// Zbs
RISCV_R(bclr, "bclr", "0100100 ..... ..... 001 ..... 0110011", a & ~shl(e.imm(1), b))
RISCV_R(bext, "bext", "0100100 ..... ..... 101 ..... 0110011", shr(a, b) & 1)
RISCV_R(binv, "binv", "0110100 ..... ..... 001 ..... 0110011", a ^ shl(e.imm(1), b))
RISCV_R(bset, "bset", "0010100 ..... ..... 001 ..... 0110011", a | shl(e.imm(1), b))
RISCV_SHIFT(bclri, "bclri", "010010. ..... ..... 001 ..... 0010011", a & ~shl(e.imm(1), b))
RISCV_SHIFT(bexti, "bexti", "010010. ..... ..... 101 ..... 0010011", shr(a, b) & 1)
RISCV_SHIFT(binvi, "binvi", "011010. ..... ..... 001 ..... 0010011", a ^ shl(e.imm(1), b))
RISCV_SHIFT(bseti, "bseti", "001010. ..... ..... 001 ..... 0010011", a | shl(e.imm(1), b))

// Zbc. The reversed product is the high half of the product of twice the first operand, whose top bit is accounted for
// apart.
RISCV_R(clmul_, "clmul", "0000101 ..... ..... 001 ..... 0110011", clmul(a, b))
RISCV_R(clmulh_, "clmulh", "0000101 ..... ..... 011 ..... 0110011", clmulh(a, b))
struct clmulr : Instruction<"clmulr", "0000101 ..... ..... 010 ..... 0110011", RFields, Operands::r> {
    static void run(auto& e, Fields f) {
        auto a = e.x(f.rs1), b = e.x(f.rs2);
        e.x(f.rd, (clmulh(a, b) << 1) | shr(clmul(a, b), e.imm(-1)));
    }
};

// Zicond
RISCV_R(czero_eqz, "czero.eqz", "0000111 ..... ..... 101 ..... 0110011", select(eq(b, e.imm(0)), e.imm(0), a))
RISCV_R(czero_nez, "czero.nez", "0000111 ..... ..... 111 ..... 0110011", select(eq(b, e.imm(0)), a, e.imm(0)))

using RvB = Group<sh1add, sh2add, sh3add, andn, orn, xnor, clz_, ctz_, cpop, max_, maxu_, min_, minu_, sext_b, sext_h,
                  rol, ror, rori, orc_b, bclr, bext, binv, bset, bclri, bexti, binvi, bseti, clmul_, clmulh_, clmulr,
                  czero_eqz, czero_nez>;
using Rv32B = Group<zext_h_32, rev8_32>;
using Rv64B =
    Group<add_uw, sh1add_uw, sh2add_uw, sh3add_uw, slli_uw, clzw, ctzw, cpopw, zext_h_64, rolw, rorw, roriw, rev8_64>;

}  // namespace viv::riscv
