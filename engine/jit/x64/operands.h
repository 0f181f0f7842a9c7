// The operands of x86-64 instructions by their hardware numbers: registers, widths, conditions, memory, labels.
// Promises: plain values; a Mem is eight bytes and travels in one register. No host is asked anything here.
// Specification: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, chapter 2 and appendix B.
#pragma once

#include "engine/host/cpu_features.h"
#include "engine/lang/bits.h"

namespace viv::jit::x64 {

enum class Gpr : u8 { rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15 };

enum class Xmm : u8 {
    xmm0,
    xmm1,
    xmm2,
    xmm3,
    xmm4,
    xmm5,
    xmm6,
    xmm7,
    xmm8,
    xmm9,
    xmm10,
    xmm11,
    xmm12,
    xmm13,
    xmm14,
    xmm15,
};

// Of an operand in a general register or memory. An operation of 32 bits clears the upper half of its register; those
// of 8 and 16 bits leave the other bits alone. b8 is always the low byte: ah, bh, ch and dh are never meant.
enum class Width : u8 { b8, b16, b32, b64 };

enum class Condition : u8 { o, no, b, ae, e, ne, be, a, s, ns, p, np, l, ge, le, g };

// The relations of cmpss and its kin. Of unordered operands neq, nlt, nle and unord are true, the others false.
enum class Predicate : u8 { eq, lt, le, unord, neq, nlt, nle, ord };

// How far a jump to a label that is not bound yet may go. rel8 saves 3 or 4 bytes; finish() checks that it reaches.
enum class Reach : u8 { rel32, rel8 };

constexpr unsigned number(Gpr r) { return static_cast<unsigned>(r); }
constexpr unsigned number(Xmm r) { return static_cast<unsigned>(r); }
constexpr unsigned bits_of(Width w) { return 8u << static_cast<unsigned>(w); }

// The condition that holds exactly when `c` does not.
constexpr Condition invert(Condition c) { return static_cast<Condition>(static_cast<unsigned>(c) ^ 1); }

// A place in the code of the Assembler that made it.
struct Label {
    u32 id = ~u32{0};
};

// A memory operand: base + index * scale + disp, base + disp, or a label of the same code (by rip). Made by at().
struct Mem {
    enum class Form : u8 { base, indexed, label };
    Gpr base = Gpr::rax;
    Gpr index = Gpr::rax;  // never rsp, which cannot be encoded
    Form form = Form::base;
    u8 scale = 1;  // 1, 2, 4 or 8
    i32 disp = 0;  // of Form::label: the label's id
};

constexpr Mem at(Gpr base, i32 disp = 0) { return {.base = base, .disp = disp}; }
constexpr Mem at(Gpr base, Gpr index, u8 scale = 1, i32 disp = 0) {
    return {.base = base, .index = index, .form = Mem::Form::indexed, .scale = scale, .disp = disp};
}
constexpr Mem at(Label label) { return {.form = Mem::Form::label, .disp = static_cast<i32>(label.id)}; }

// What the host says of its processor; the assembler encodes what it is asked.
using CpuFeatures = host::X64Features;

}  // namespace viv::jit::x64
