// RV32I and RV64I: integer computation, loads and stores, control transfer, fences.
// Specification: RISC-V Unprivileged ISA 20240411, chapters 2 and 4. C is always present, so jump targets are never
// misaligned.
#pragma once

#include "engine/ir/values.h"
#include "engine/isa/riscv/formats.h"

namespace viv::riscv {

using namespace viv::ir;

// rd := Operation(rs1, rs2) on whole registers, on immediates, and on the low words (sign-extended), the three shapes
// of most instructions.
#define RISCV_R(name, text, pattern, expression)                     \
    struct name : Instruction<text, pattern, RFields, Operands::r> { \
        static void run(auto& e, Fields f) {                         \
            auto a = e.x(f.rs1), b = e.x(f.rs2);                     \
            e.x(f.rd, expression);                                   \
        }                                                            \
    };
#define RISCV_I(name, text, pattern, expression)                     \
    struct name : Instruction<text, pattern, IFields, Operands::i> { \
        static void run(auto& e, Fields f) {                         \
            auto a = e.x(f.rs1), b = e.imm(f.imm);                   \
            e.x(f.rd, expression);                                   \
        }                                                            \
    };
#define RISCV_SHIFT(name, text, pattern, expression)                         \
    struct name : Instruction<text, pattern, ShiftFields, Operands::shift> { \
        static void run(auto& e, Fields f) {                                 \
            auto a = e.x(f.rs1), b = e.imm(f.imm);                           \
            e.x(f.rd, expression);                                           \
        }                                                                    \
    };
#define RISCV_RW(name, text, pattern, expression)                    \
    struct name : Instruction<text, pattern, RFields, Operands::r> { \
        static void run(auto& e, Fields f) {                         \
            auto a = e.w(f.rs1), b = e.w(f.rs2);                     \
            e.x(f.rd, e.sext(expression));                           \
        }                                                            \
    };
#define RISCV_SHIFTW(name, text, pattern, expression)                                   \
    struct name : Instruction<text, pattern, ShiftFields, Operands::shift> {            \
        static void run(auto& e, Fields f) {                                            \
            auto a = e.w(f.rs1), b = e.template constant<u32>(static_cast<u32>(f.imm)); \
            e.x(f.rd, e.sext(expression));                                              \
        }                                                                               \
    };

struct lui : Instruction<"lui", "........ ........ .... ..... 0110111", UFields, Operands::u> {
    static void run(auto& e, Fields f) { e.x(f.rd, e.imm(f.imm)); }
};
struct auipc : Instruction<"auipc", "........ ........ .... ..... 0010111", UFields, Operands::u> {
    static void run(auto& e, Fields f) { e.x(f.rd, e.pc() + e.imm(f.imm)); }
};
struct jal : Instruction<"jal", "........ ........ .... ..... 1101111", JFields, Operands::j, Flow::jump> {
    static void run(auto& e, Fields f) {
        e.x(f.rd, e.next_pc());
        e.jump(f.imm, f.rd);
    }
};
struct jalr : Instruction<"jalr", "............ ..... 000 ..... 1100111", IFields, Operands::jalr, Flow::indirect> {
    static void run(auto& e, Fields f) {
        auto target = (e.x(f.rs1) + e.imm(f.imm)) & e.imm(-2);
        e.x(f.rd, e.next_pc());
        e.jump_indirect(target, f.rd, f.rs1);
    }
};

#define RISCV_BRANCH(name, text, pattern, operation)                                               \
    struct name : Instruction<text, pattern, BFields, Operands::b, Flow::branch> {                 \
        static void run(auto& e, Fields f) { e.branch(operation(e.x(f.rs1), e.x(f.rs2)), f.imm); } \
    };
RISCV_BRANCH(beq, "beq", "....... ..... ..... 000 ..... 1100011", eq)
RISCV_BRANCH(bne, "bne", "....... ..... ..... 001 ..... 1100011", ne)
RISCV_BRANCH(blt, "blt", "....... ..... ..... 100 ..... 1100011", lts)
RISCV_BRANCH(bge, "bge", "....... ..... ..... 101 ..... 1100011", ges)
RISCV_BRANCH(bltu, "bltu", "....... ..... ..... 110 ..... 1100011", ltu)
RISCV_BRANCH(bgeu, "bgeu", "....... ..... ..... 111 ..... 1100011", geu)
#undef RISCV_BRANCH

#define RISCV_LOAD(name, text, pattern, type, extend)                      \
    struct name : Instruction<text, pattern, IFields, Operands::load> {    \
        static void run(auto& e, Fields f) {                               \
            auto value = e.template load<type>(e.x(f.rs1) + e.imm(f.imm)); \
            if (!value) return;                                            \
            e.x(f.rd, e.extend(*value));                                   \
        }                                                                  \
    };
RISCV_LOAD(lb, "lb", "............ ..... 000 ..... 0000011", u8, sext)
RISCV_LOAD(lh, "lh", "............ ..... 001 ..... 0000011", u16, sext)
RISCV_LOAD(lw, "lw", "............ ..... 010 ..... 0000011", u32, sext)
RISCV_LOAD(ld, "ld", "............ ..... 011 ..... 0000011", u64, sext)
RISCV_LOAD(lbu, "lbu", "............ ..... 100 ..... 0000011", u8, zext)
RISCV_LOAD(lhu, "lhu", "............ ..... 101 ..... 0000011", u16, zext)
RISCV_LOAD(lwu, "lwu", "............ ..... 110 ..... 0000011", u32, zext)
#undef RISCV_LOAD

#define RISCV_STORE(name, text, pattern, type)                                                              \
    struct name : Instruction<text, pattern, SFields, Operands::store> {                                    \
        static void run(auto& e, Fields f) { e.store(e.x(f.rs1) + e.imm(f.imm), trunc<type>(e.x(f.rs2))); } \
    };
RISCV_STORE(sb, "sb", "....... ..... ..... 000 ..... 0100011", u8)
RISCV_STORE(sh, "sh", "....... ..... ..... 001 ..... 0100011", u16)
RISCV_STORE(sw, "sw", "....... ..... ..... 010 ..... 0100011", u32)
RISCV_STORE(sd, "sd", "....... ..... ..... 011 ..... 0100011", u64)
#undef RISCV_STORE

RISCV_I(addi, "addi", "............ ..... 000 ..... 0010011", a + b)
RISCV_I(slti, "slti", "............ ..... 010 ..... 0010011", e.zext(lts(a, b)))
RISCV_I(sltiu, "sltiu", "............ ..... 011 ..... 0010011", e.zext(ltu(a, b)))
RISCV_I(xori, "xori", "............ ..... 100 ..... 0010011", a ^ b)
RISCV_I(ori, "ori", "............ ..... 110 ..... 0010011", a | b)
RISCV_I(andi, "andi", "............ ..... 111 ..... 0010011", a& b)
RISCV_SHIFT(slli, "slli", "000000. ..... ..... 001 ..... 0010011", shl(a, b))
RISCV_SHIFT(srli, "srli", "000000. ..... ..... 101 ..... 0010011", shr(a, b))
RISCV_SHIFT(srai, "srai", "010000. ..... ..... 101 ..... 0010011", sar(a, b))

RISCV_R(add_, "add", "0000000 ..... ..... 000 ..... 0110011", a + b)
RISCV_R(sub_, "sub", "0100000 ..... ..... 000 ..... 0110011", a - b)
RISCV_R(sll, "sll", "0000000 ..... ..... 001 ..... 0110011", shl(a, b))
RISCV_R(slt, "slt", "0000000 ..... ..... 010 ..... 0110011", e.zext(lts(a, b)))
RISCV_R(sltu, "sltu", "0000000 ..... ..... 011 ..... 0110011", e.zext(ltu(a, b)))
RISCV_R(xor_op, "xor", "0000000 ..... ..... 100 ..... 0110011", a ^ b)
RISCV_R(srl, "srl", "0000000 ..... ..... 101 ..... 0110011", shr(a, b))
RISCV_R(sra, "sra", "0100000 ..... ..... 101 ..... 0110011", sar(a, b))
RISCV_R(or_op, "or", "0000000 ..... ..... 110 ..... 0110011", a | b)
RISCV_R(and_op, "and", "0000000 ..... ..... 111 ..... 0110011", a& b)

struct addiw : Instruction<"addiw", "............ ..... 000 ..... 0011011", IFields, Operands::i> {
    static void run(auto& e, Fields f) {
        e.x(f.rd, e.sext(e.w(f.rs1) + e.template constant<u32>(static_cast<u32>(f.imm))));
    }
};
RISCV_SHIFTW(slliw, "slliw", "0000000 ..... ..... 001 ..... 0011011", shl(a, b))
RISCV_SHIFTW(srliw, "srliw", "0000000 ..... ..... 101 ..... 0011011", shr(a, b))
RISCV_SHIFTW(sraiw, "sraiw", "0100000 ..... ..... 101 ..... 0011011", sar(a, b))
RISCV_RW(addw, "addw", "0000000 ..... ..... 000 ..... 0111011", a + b)
RISCV_RW(subw, "subw", "0100000 ..... ..... 000 ..... 0111011", a - b)
RISCV_RW(sllw, "sllw", "0000000 ..... ..... 001 ..... 0111011", shl(a, b))
RISCV_RW(srlw, "srlw", "0000000 ..... ..... 101 ..... 0111011", shr(a, b))
RISCV_RW(sraw, "sraw", "0100000 ..... ..... 101 ..... 0111011", sar(a, b))

// Zihintpause: a FENCE with pred=W, succ=0, rd=rs1=x0. The interpreter gives the turn to another hart.
struct pause
    : Instruction<"pause", "0000 0001 0000 00000 000 00000 0001111", WordFields, Operands::none, Flow::system> {
    static void run(auto& e, Fields) { e.pause(); }
};
struct fence : Instruction<"fence", ".... .... .... ..... 000 ..... 0001111", WordFields, Operands::fence> {
    static void run(auto& e, Fields) { e.fence(); }
};
// Zifencei. Decoded code is kept coherent with stores at all times, so only the block ends here.
struct fence_i
    : Instruction<"fence.i", "............ ..... 001 ..... 0001111", WordFields, Operands::none, Flow::system> {
    static void run(auto& e, Fields) { e.fence(); }
};

using RvI = Group<lui, auipc, jal, jalr, beq, bne, blt, bge, bltu, bgeu, lb, lh, lw, lbu, lhu, sb, sh, sw, addi, slti,
                  sltiu, xori, ori, andi, slli, srli, srai, add_, sub_, sll, slt, sltu, xor_op, srl, sra, or_op, and_op,
                  pause, fence, fence_i>;
using Rv64I = Group<ld, lwu, sd, addiw, slliw, srliw, sraiw, addw, subw, sllw, srlw, sraw>;

}  // namespace viv::riscv
