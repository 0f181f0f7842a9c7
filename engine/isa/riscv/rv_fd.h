// F, D and Zfh: floating point in binary32, binary64 and binary16, one template for the three formats.
// Specification: RISC-V Unprivileged ISA 20240411, chapters 20 (F), 21 (D), 22.1 (Zfh). The fmt field is 00 for S, 01
// for D, 10 for H.
#pragma once

#include "engine/isa/riscv/float_exec.h"
#include "engine/isa/riscv/formats.h"

namespace viv::riscv {

// T: the format. XT: its integer register image (u32 for S and H moves are sign-extended).
#define RISCV_FLOAT_MEMORY(suffix, letter, T, width)                                                             \
    struct fl##suffix                                                                                            \
        : Instruction<"fl" letter, "............ ..... " width " ..... 0000111", FLoadFields, Operands::fload> { \
        static void run(auto& e, Fields f) {                                                                     \
            if (!e.float_ready()) return;                                                                        \
            auto value = e.template load<T>(e.x(f.rs1) + e.imm(f.imm));                                          \
            if (!value) return;                                                                                  \
            e.f(f.rd, *value);                                                                                   \
        }                                                                                                        \
    };                                                                                                           \
    struct fs##suffix                                                                                            \
        : Instruction<"fs" letter, "....... ..... ..... " width " ..... 0100111", SFields, Operands::fstore> {   \
        static void run(auto& e, Fields f) {                                                                     \
            if (!e.float_ready()) return;                                                                        \
            e.store(e.x(f.rs1) + e.imm(f.imm), e.template f_raw<T>(f.rs2));                                      \
        }                                                                                                        \
    };
RISCV_FLOAT_MEMORY(h, "h", u16, "001")
RISCV_FLOAT_MEMORY(w, "w", u32, "010")
RISCV_FLOAT_MEMORY(d, "d", u64, "011")
#undef RISCV_FLOAT_MEMORY

#define RISCV_FUSED(name, suffix, letter, fmt, opcode, T, product_sign, addend_sign)                            \
    struct name##_##suffix                                                                                      \
        : Instruction<#name "." letter, "..... " fmt " ..... ..... ... ..... " opcode, FFields, Operands::r4> { \
        static void run(auto& e, Fields f) {                                                                    \
            if (!e.float_ready(f.rm)) return;                                                                   \
            constexpr u64 sign = u64{1} << (sizeof(T) * 8 - 1);                                                 \
            auto a = e.template f<T>(f.rs1) ^ (product_sign ? sign : 0);                                        \
            auto c = e.template f<T>(f.rs3) ^ (addend_sign ? sign : 0);                                         \
            e.f(f.rd, e.template float_op<FloatOp::mul_add>(f.rm, a, e.template f<T>(f.rs2), c));               \
        }                                                                                                       \
    };
#define RISCV_FLOAT_2(name, suffix, letter, funct5, fmt, T, op)                                                \
    struct name##_##suffix                                                                                     \
        : Instruction<#name "." letter, funct5 fmt " ..... ..... ... ..... 1010011", FFields, Operands::fr> {  \
        static void run(auto& e, Fields f) {                                                                   \
            if (!e.float_ready(f.rm)) return;                                                                  \
            e.f(f.rd, e.template float_op<FloatOp::op>(f.rm, e.template f<T>(f.rs1), e.template f<T>(f.rs2))); \
        }                                                                                                      \
    };
// rm is part of the encoding here.
#define RISCV_FLOAT_MINMAX(name, suffix, letter, fmt, rm, T, op)                                                  \
    struct name##_##suffix                                                                                        \
        : Instruction<#name "." letter, "00101" fmt " ..... ..... " rm " ..... 1010011", FFields, Operands::fr> { \
        static void run(auto& e, Fields f) {                                                                      \
            if (!e.float_ready()) return;                                                                         \
            e.f(f.rd, e.template float_op<FloatOp::op>(0, e.template f<T>(f.rs1), e.template f<T>(f.rs2)));       \
        }                                                                                                         \
    };
#define RISCV_FLOAT_SIGN(name, suffix, letter, fmt, rm, T, expression)                                            \
    struct name##_##suffix                                                                                        \
        : Instruction<#name "." letter, "00100" fmt " ..... ..... " rm " ..... 1010011", FFields, Operands::fr> { \
        static void run(auto& e, Fields f) {                                                                      \
            if (!e.float_ready()) return;                                                                         \
            constexpr T sign = T(T(1) << (sizeof(T) * 8 - 1));                                                    \
            auto a = e.template f<T>(f.rs1), b = e.template f<T>(f.rs2);                                          \
            e.f(f.rd, (a & T(~sign)) | ((expression)&sign));                                                      \
        }                                                                                                         \
    };
#define RISCV_FLOAT_COMPARE(name, suffix, letter, fmt, rm, T, op)                                                    \
    struct name##_##suffix                                                                                           \
        : Instruction<#name "." letter, "10100" fmt " ..... ..... " rm " ..... 1010011", FFields, Operands::fr> {    \
        static void run(auto& e, Fields f) {                                                                         \
            if (!e.float_ready()) return;                                                                            \
            e.x(f.x_rd(),                                                                                            \
                e.zext(e.template float_compare<FloatCompare::op>(e.template f<T>(f.rs1), e.template f<T>(f.rs2)))); \
        }                                                                                                            \
    };
#define RISCV_FLOAT_TO_INT(name, text, fmt, code, T, I)                                                    \
    struct name : Instruction<text, "11000" fmt code " ..... ... ..... 1010011", FFields, Operands::fr2> { \
        static void run(auto& e, Fields f) {                                                               \
            if (!e.float_ready(f.rm)) return;                                                              \
            e.x(f.x_rd(), e.sext(e.template float_to_integer<I>(f.rm, e.template f<T>(f.rs1))));           \
        }                                                                                                  \
    };
#define RISCV_INT_TO_FLOAT(name, text, fmt, code, T, I)                                                       \
    struct name : Instruction<text, "11010" fmt code " ..... ... ..... 1010011", FFields, Operands::fr2> {    \
        static void run(auto& e, Fields f) {                                                                  \
            if (!e.float_ready(f.rm)) return;                                                                 \
            e.f(f.rd, e.template float_from_integer<T, I>(f.rm, trunc<std::make_unsigned_t<I>>(e.x(f.rs1)))); \
        }                                                                                                     \
    };
#define RISCV_FLOAT_CONVERT(name, text, to_fmt, from_fmt, To, From)                                              \
    struct name                                                                                                  \
        : Instruction<text, "01000" to_fmt " 000" from_fmt " ..... ... ..... 1010011", FFields, Operands::fr2> { \
        static void run(auto& e, Fields f) {                                                                     \
            if (!e.float_ready(f.rm)) return;                                                                    \
            e.f(f.rd, e.template float_convert<To>(f.rm, e.template f<From>(f.rs1)));                            \
        }                                                                                                        \
    };

#define RISCV_FLOAT_FORMAT(s, letter, fmt, T)                                                                        \
    RISCV_FUSED(fmadd, s, letter, fmt, "1000011", T, false, false)                                                   \
    RISCV_FUSED(fmsub, s, letter, fmt, "1000111", T, false, true)                                                    \
    RISCV_FUSED(fnmsub, s, letter, fmt, "1001011", T, true, false)                                                   \
    RISCV_FUSED(fnmadd, s, letter, fmt, "1001111", T, true, true)                                                    \
    RISCV_FLOAT_2(fadd, s, letter, "00000", fmt, T, add)                                                             \
    RISCV_FLOAT_2(fsub, s, letter, "00001", fmt, T, sub)                                                             \
    RISCV_FLOAT_2(fmul, s, letter, "00010", fmt, T, mul)                                                             \
    RISCV_FLOAT_2(fdiv, s, letter, "00011", fmt, T, div)                                                             \
    struct fsqrt_##s                                                                                                 \
        : Instruction<"fsqrt." letter, "01011" fmt " 00000 ..... ... ..... 1010011", FFields, Operands::fr2> {       \
        static void run(auto& e, Fields f) {                                                                         \
            if (!e.float_ready(f.rm)) return;                                                                        \
            e.f(f.rd, e.template float_op<FloatOp::sqrt>(f.rm, e.template f<T>(f.rs1)));                             \
        }                                                                                                            \
    };                                                                                                               \
    RISCV_FLOAT_MINMAX(fmin, s, letter, fmt, "000", T, min)                                                          \
    RISCV_FLOAT_MINMAX(fmax, s, letter, fmt, "001", T, max)                                                          \
    RISCV_FLOAT_SIGN(fsgnj, s, letter, fmt, "000", T, b)                                                             \
    RISCV_FLOAT_SIGN(fsgnjn, s, letter, fmt, "001", T, ~b)                                                           \
    RISCV_FLOAT_SIGN(fsgnjx, s, letter, fmt, "010", T, a ^ b)                                                        \
    RISCV_FLOAT_COMPARE(feq, s, letter, fmt, "010", T, eq)                                                           \
    RISCV_FLOAT_COMPARE(flt, s, letter, fmt, "001", T, lt)                                                           \
    RISCV_FLOAT_COMPARE(fle, s, letter, fmt, "000", T, le)                                                           \
    struct fclass_##s                                                                                                \
        : Instruction<"fclass." letter, "11100" fmt " 00000 ..... 001 ..... 1010011", FFields, Operands::fr2> {      \
        static void run(auto& e, Fields f) {                                                                         \
            if (!e.float_ready()) return;                                                                            \
            e.x(f.x_rd(), e.zext(e.float_class(e.template f<T>(f.rs1))));                                            \
        }                                                                                                            \
    };                                                                                                               \
    RISCV_FLOAT_TO_INT(fcvt_w_##s, "fcvt.w." letter, fmt, "00000", T, i32)                                           \
    RISCV_FLOAT_TO_INT(fcvt_wu_##s, "fcvt.wu." letter, fmt, "00001", T, u32)                                         \
    RISCV_FLOAT_TO_INT(fcvt_l_##s, "fcvt.l." letter, fmt, "00010", T, i64)                                           \
    RISCV_FLOAT_TO_INT(fcvt_lu_##s, "fcvt.lu." letter, fmt, "00011", T, u64)                                         \
    RISCV_INT_TO_FLOAT(fcvt_##s##_w, "fcvt." letter ".w", fmt, "00000", T, i32)                                      \
    RISCV_INT_TO_FLOAT(fcvt_##s##_wu, "fcvt." letter ".wu", fmt, "00001", T, u32)                                    \
    RISCV_INT_TO_FLOAT(fcvt_##s##_l, "fcvt." letter ".l", fmt, "00010", T, i64)                                      \
    RISCV_INT_TO_FLOAT(fcvt_##s##_lu, "fcvt." letter ".lu", fmt, "00011", T, u64)                                    \
    using Rv##s##Float = Group<fmadd_##s, fmsub_##s, fnmsub_##s, fnmadd_##s, fadd_##s, fsub_##s, fmul_##s, fdiv_##s, \
                               fsqrt_##s, fmin_##s, fmax_##s, fsgnj_##s, fsgnjn_##s, fsgnjx_##s, feq_##s, flt_##s,   \
                               fle_##s, fclass_##s, fcvt_w_##s, fcvt_wu_##s, fcvt_##s##_w, fcvt_##s##_wu>;           \
    using Rv64##s##Float = Group<fcvt_l_##s, fcvt_lu_##s, fcvt_##s##_l, fcvt_##s##_lu>;

RISCV_FLOAT_FORMAT(s, "s", "00", u32)
RISCV_FLOAT_FORMAT(d, "d", "01", u64)
RISCV_FLOAT_FORMAT(h, "h", "10", u16)

RISCV_FLOAT_CONVERT(fcvt_s_d, "fcvt.s.d", "00", "01", u32, u64)
RISCV_FLOAT_CONVERT(fcvt_d_s, "fcvt.d.s", "01", "00", u64, u32)
RISCV_FLOAT_CONVERT(fcvt_s_h, "fcvt.s.h", "00", "10", u32, u16)
RISCV_FLOAT_CONVERT(fcvt_h_s, "fcvt.h.s", "10", "00", u16, u32)
RISCV_FLOAT_CONVERT(fcvt_d_h, "fcvt.d.h", "01", "10", u64, u16)
RISCV_FLOAT_CONVERT(fcvt_h_d, "fcvt.h.d", "10", "01", u16, u64)

// Bit moves between the register files.
#define RISCV_MOVE_TO_X(name, text, fmt, T)                                                                 \
    struct name : Instruction<text, "11100" fmt " 00000 ..... 000 ..... 1010011", FFields, Operands::fr2> { \
        static void run(auto& e, Fields f) {                                                                \
            if (!e.float_ready()) return;                                                                   \
            e.x(f.x_rd(), e.sext(e.template f_raw<T>(f.rs1)));                                              \
        }                                                                                                   \
    };
#define RISCV_MOVE_FROM_X(name, text, fmt, T)                                                               \
    struct name : Instruction<text, "11110" fmt " 00000 ..... 000 ..... 1010011", FFields, Operands::fr2> { \
        static void run(auto& e, Fields f) {                                                                \
            if (!e.float_ready()) return;                                                                   \
            e.f(f.rd, trunc<T>(e.x(f.rs1)));                                                                \
        }                                                                                                   \
    };
RISCV_MOVE_TO_X(fmv_x_h, "fmv.x.h", "10", u16)
RISCV_MOVE_TO_X(fmv_x_w, "fmv.x.w", "00", u32)
RISCV_MOVE_TO_X(fmv_x_d, "fmv.x.d", "01", u64)
RISCV_MOVE_FROM_X(fmv_h_x, "fmv.h.x", "10", u16)
RISCV_MOVE_FROM_X(fmv_w_x, "fmv.w.x", "00", u32)
RISCV_MOVE_FROM_X(fmv_d_x, "fmv.d.x", "01", u64)

using RvFloatMemory = Group<flh, flw, fld, fsh, fsw, fsd>;
using RvFloatMoves =
    Group<fcvt_s_d, fcvt_d_s, fcvt_s_h, fcvt_h_s, fcvt_d_h, fcvt_h_d, fmv_x_h, fmv_x_w, fmv_h_x, fmv_w_x>;
using Rv64FloatMoves = Group<fmv_x_d, fmv_d_x>;

}  // namespace viv::riscv
