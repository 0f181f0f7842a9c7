// Assembler: writes x86-64 machine code into a growing buffer of bytes, a function call an instruction, and its labels.
// Promises: position-independent code; the shortest form of each instruction for its operands (a jump to a label that
// is not bound yet has 4 bytes of displacement unless Reach::rel8 asks for one); no allocation but growth of flat
// buffers. Checked in every build: immediates, shift counts and bit indices fit their width; an index is not rsp, a
// scale is 1, 2, 4 or 8; labels are ours, bound once, and bound by finish(); rel8 reaches. Not checked: that the host
// has the feature (CpuFeatures), and that an instruction has the width where a comment says which; the wrong width
// gives wrong code. Names are Intel's mnemonics, `to` comes first. Specification: Intel 64 and IA-32 Architectures SDM,
// volume 2.
#pragma once

#include <span>
#include <vector>

#include "engine/jit/x64/operands.h"

namespace viv::jit::x64 {

class Assembler {
public:
    // The longest code an Assembler holds, so that every displacement within it fits.
    static constexpr usize size_limit = usize{1} << 30;

    Assembler() : Assembler(own_) {}
    // Writes from the start of `buffer`, which must outlive the Assembler and is its alone until finish(), when it has
    // the size of the code, and again from clear().
    explicit Assembler(std::vector<u8>& buffer);
    Assembler(const Assembler&) = delete;
    Assembler& operator=(const Assembler&) = delete;

    // Forgets code and labels, keeps the memory.
    void clear();
    // Bytes written so far: the offset of the next instruction.
    usize size() const { return static_cast<usize>(cursor_ - begin_); }
    // Valid until the next instruction is written. Jumps to labels bound later are complete only after finish().
    std::span<const u8> code() const { return {begin_, cursor_}; }
    // Completes the jumps to labels; every label that is used must be bound. More code may follow, and another
    // finish().
    std::span<const u8> finish();

    // --- Labels, padding, data, patching ---

    Label make_label();
    void bind(Label label);  // to here; once
    bool bound(Label label) const;
    usize offset(Label label) const;  // of a bound label

    void nop(usize bytes = 1);  // as few instructions as possible, of up to 9 bytes each
    void align(usize to);       // pads with nops to a multiple of `to`, a power of two
    void db(std::span<const u8> bytes);
    void dd(u32 value);
    void dq(u64 value);

    // Jumps that are given their targets at run time; until then they go on behind. Each returns the offset of its 4
    // displacement bytes, a multiple of 4 (by a nop before), so that patching is atomic if the code lies at such one.
    usize jmp_rel32_placeholder();
    usize jcc_rel32_placeholder(Condition c);
    usize call_rel32_placeholder();
    // `at`: writable address of the displacement; `target_minus_end`: distance from the displacement's end to the
    // target, where they are executed. Threads that run the code meanwhile jump to the old target or the new one.
    static void patch_rel32(u8* at, i64 target_minus_end);

    // --- Control flow ---

    void jmp(Label to, Reach reach = Reach::rel32);
    void jmp(Gpr to) { emit({0xff}, 4, number(to)); }
    void jmp(Mem to) { emit({0xff}, 4, to); }
    void jcc(Condition c, Label to, Reach reach = Reach::rel32);
    void call(Label to);
    void call(Gpr to) { emit({0xff}, 2, number(to)); }
    void call(Mem to) { emit({0xff}, 2, to); }
    // mov rax, address; call rax. Returns the offset of the 8 bytes of the address.
    usize call_absolute(u64 address);

    // --- Moves ---

    void mov(Width w, Gpr to, Gpr from) { emit(both(0x88, w), number(from), number(to)); }
    void mov(Width w, Gpr to, Mem from) { emit(both(0x8a, w), number(to), from); }
    void mov(Width w, Mem to, Gpr from) { emit(both(0x88, w), number(from), to); }
    void mov(Width w, Gpr to, i64 value);  // flags stay; any i64 for b64
    void mov(Width w, Mem to, i64 value);  // b64: sign-extended from 32 bits
    usize movabs(Gpr to, u64 value);       // always 10 bytes; returns the offset of the value's 8
    // Zero-extends to 64 bits. from = b32 is a plain mov.
    void movzx(Width from_width, Gpr to, Gpr from) {
        emit(extend(Width::b32, from_width, 0xb6), number(to), number(from));
    }
    void movzx(Width from_width, Gpr to, Mem from) { emit(extend(Width::b32, from_width, 0xb6), number(to), from); }
    // Sign-extends to `w`, which is wider than `from_width`.
    void movsx(Width w, Width from_width, Gpr to, Gpr from) {
        emit(extend(w, from_width, 0xbe), number(to), number(from));
    }
    void movsx(Width w, Width from_width, Gpr to, Mem from) { emit(extend(w, from_width, 0xbe), number(to), from); }
    void movsxd(Gpr to, Gpr from) { movsx(Width::b64, Width::b32, to, from); }
    void movsxd(Gpr to, Mem from) { movsx(Width::b64, Width::b32, to, from); }
    void movbe(Width w, Gpr to, Mem from) { emit(wide_only(0xf0, w, Map::x0f38), number(to), from); }  // not b8
    void movbe(Width w, Mem to, Gpr from) { emit(wide_only(0xf1, w, Map::x0f38), number(from), to); }  // not b8
    void lea(Width w, Gpr to, Mem from) { emit(wide_only(0x8d, w), number(to), from); }                // not b8
    void bswap(Width w, Gpr to);                                                                       // b32, b64
    void push(Gpr from);
    void push(Mem from) { emit({0xff}, 6, from); }
    void push(i32 value);
    void pop(Gpr to);
    void pop(Mem to) { emit({0x8f}, 0, to); }
    void setcc(Condition c, Gpr to) { emit(condition(0x90, c, byte_rm), 0, number(to)); }
    void setcc(Condition c, Mem to) { emit(condition(0x90, c), 0, to); }
    // Not b8. Of b32, the upper half of `to` is cleared whether or not the condition holds.
    void cmovcc(Condition c, Width w, Gpr to, Gpr from) {
        emit(condition(0x40, c, flags(w)), number(to), number(from));
    }
    void cmovcc(Condition c, Width w, Gpr to, Mem from) { emit(condition(0x40, c, flags(w)), number(to), from); }

    // --- Integer arithmetic; most of it is in the rows below ---

    // Every width unless said. Immediates of b64 are sign-extended from 32 bits; others may be given signed or
    // unsigned.
    void test(Width w, Gpr a, Gpr b) { emit(both(0x84, w), number(b), number(a)); }
    void test(Width w, Mem a, Gpr b) { emit(both(0x84, w), number(b), a); }
    void test(Width w, Gpr a, i64 value);
    void test(Width w, Mem a, i64 value);
    // to *= from, or to = from * value. Not b8. The one-operand form, of rax to rdx:rax, is with mul and div.
    void imul(Width w, Gpr to, Gpr from) { emit(wide_only(0xaf, w, Map::x0f), number(to), number(from)); }
    void imul(Width w, Gpr to, Mem from) { emit(wide_only(0xaf, w, Map::x0f), number(to), from); }
    void imul(Width w, Gpr to, Gpr from, i64 value);
    void imul(Width w, Gpr to, Mem from, i64 value);
    void rorx(Width w, Gpr to, Gpr from, u8 count) {
        vex_imm(bmi(0xf0, w, Prefix::xf2, Map::x0f3a), number(to), 0, number(from), count);
    }
    void rorx(Width w, Gpr to, Mem from, u8 count) {
        vex_imm(bmi(0xf0, w, Prefix::xf2, Map::x0f3a), number(to), 0, from, count);
    }

    // --- Atomic: xchg with memory is locked by itself ---

    void xchg(Width w, Gpr a, Gpr b);
    void xchg(Width w, Mem a, Gpr b) { emit(both(0x86, w), number(b), a); }
    void lock_xadd(Width w, Mem to, Gpr from) { locked(both(0xc0, w, Map::x0f), number(from), to); }
    void lock_cmpxchg(Width w, Mem to, Gpr from) { locked(both(0xb0, w, Map::x0f), number(from), to); }  // expects rax
    void lock_cmpxchg16b(Mem to) { locked({0xc7, Map::x0f, Prefix::none, rex_w}, 1, to); }  // cx16; rdx:rax, rcx:rbx

    // --- SSE: what does not fit a row ---

    void ldmxcsr(Mem from) { emit({0xae, Map::x0f}, 2, from); }
    void stmxcsr(Mem to) { emit({0xae, Map::x0f}, 3, to); }

    // movd and movq between xmm and general registers or memory clear what they do not write.
    void movd(Xmm to, Gpr from) { emit(sse(0x6e), number(to), number(from)); }
    void movd(Xmm to, Mem from) { emit(sse(0x6e), number(to), from); }
    void movd(Gpr to, Xmm from) { emit(sse(0x7e), number(from), number(to)); }
    void movd(Mem to, Xmm from) { emit(sse(0x7e), number(from), to); }
    void movq(Xmm to, Gpr from) { emit(sse(0x6e, rex_w), number(to), number(from)); }
    void movq(Gpr to, Xmm from) { emit(sse(0x7e, rex_w), number(from), number(to)); }
    void movq(Xmm to, Xmm from) { emit({0x7e, Map::x0f, Prefix::xf3}, number(to), number(from)); }
    void movq(Xmm to, Mem from) { emit({0x7e, Map::x0f, Prefix::xf3}, number(to), from); }
    void movq(Mem to, Xmm from) { emit(sse(0xd6), number(from), to); }
    void vmovd(Xmm to, Gpr from) { emit_vex(sse(0x6e), number(to), 0, number(from)); }
    void vmovd(Xmm to, Mem from) { emit_vex(sse(0x6e), number(to), 0, from); }
    void vmovd(Gpr to, Xmm from) { emit_vex(sse(0x7e), number(from), 0, number(to)); }
    void vmovd(Mem to, Xmm from) { emit_vex(sse(0x7e), number(from), 0, to); }
    void vmovq(Xmm to, Gpr from) { emit_vex(sse(0x6e, rex_w), number(to), 0, number(from)); }
    void vmovq(Gpr to, Xmm from) { emit_vex(sse(0x7e, rex_w), number(from), 0, number(to)); }
    void vmovq(Xmm to, Xmm from) { vex_move({0x7e, Map::x0f, Prefix::xf3}, sse(0xd6), to, 0, from); }
    void vmovq(Xmm to, Mem from) { emit_vex({0x7e, Map::x0f, Prefix::xf3}, number(to), 0, from); }
    void vmovq(Mem to, Xmm from) { emit_vex(sse(0xd6), number(from), 0, to); }
    void pextrw(Gpr to, Xmm from, u8 lane) { imm(sse(0xc5), number(to), number(from), lane); }
    void pextrw(Mem to, Xmm from, u8 lane) { imm({0x15, Map::x0f3a, Prefix::x66}, number(from), to, lane); }  // sse41
    void vpextrw(Gpr to, Xmm from, u8 lane) { vex_imm(sse(0xc5), number(to), 0, number(from), lane); }
    void vpextrw(Mem to, Xmm from, u8 lane) { vex_imm({0x15, Map::x0f3a, Prefix::x66}, number(from), 0, to, lane); }
    // f16c. The low halves, four of them; `rounding` as for roundss, without bit 3.
    void vcvtps2ph(Xmm to, Xmm from, u8 rounding) {
        vex_imm({0x1d, Map::x0f3a, Prefix::x66}, number(from), 0, number(to), rounding);
    }
    void vcvtps2ph(Mem to, Xmm from, u8 rounding) {
        vex_imm({0x1d, Map::x0f3a, Prefix::x66}, number(from), 0, to, rounding);
    }

    // --- The rows of instructions.def: the shapes first, then all of them ---

#define X64_PLAIN(name, length, bytes) \
    void name() { plain(bytes, length); }
// name(w, to, from or value)
#define X64_ALU(name, digit)                                                                       \
    void name(Width w, Gpr to, Gpr from) { emit(both(8 * (digit), w), number(from), number(to)); } \
    void name(Width w, Gpr to, Mem from) { emit(both(8 * (digit) + 2, w), number(to), from); }     \
    void name(Width w, Mem to, Gpr from) { emit(both(8 * (digit), w), number(from), to); }         \
    void name(Width w, Gpr to, i64 value) { alu(w, digit, to, value); }                            \
    void name(Width w, Mem to, i64 value) { alu(w, digit, to, value); }
#define X64_LOCKED(name, digit) \
    void name(Width w, Mem to, Gpr from) { locked(both(8 * (digit), w), number(from), to); }
// name(w, operand); mul, imul, div and idiv work on rdx:rax (of b8, ax).
#define X64_UNARY(name, opcode, digit)                                         \
    void name(Width w, Gpr to) { emit(digits(opcode, w), digit, number(to)); } \
    void name(Width w, Mem to) { emit(digits(opcode, w), digit, to); }
// name(w, to, count), count less than the width in bits; name_cl(w, to)
#define X64_SHIFT(name, digit)                                                    \
    void name(Width w, Gpr to, unsigned count) { shift(w, digit, to, count); }    \
    void name(Width w, Mem to, unsigned count) { shift(w, digit, to, count); }    \
    void name##_cl(Width w, Gpr to) { emit(digits(0xd2, w), digit, number(to)); } \
    void name##_cl(Width w, Mem to) { emit(digits(0xd2, w), digit, to); }
// name(w, to, from, count), name_cl(w, to, from). Not b8.
#define X64_DOUBLE_SHIFT(name, opcode)                                                                 \
    void name(Width w, Gpr to, Gpr from, unsigned count) { double_shift(w, opcode, to, from, count); } \
    void name##_cl(Width w, Gpr to, Gpr from) { emit(wide_only((opcode) + 1, w, Map::x0f), number(from), number(to)); }
// name(w, of, index of a bit); an index in a register counts modulo the width. Not b8.
#define X64_BIT_TEST(name, digit, opcode)                                         \
    void name(Width w, Gpr of, unsigned index) { bit_test(w, digit, of, index); } \
    void name(Width w, Gpr of, Gpr index) { emit(wide_only(opcode, w, Map::x0f), number(index), number(of)); }
// name(w, to, from). Not b8.
#define X64_BIT_COUNT(name, prefix, opcode)                                           \
    void name(Width w, Gpr to, Gpr from) {                                            \
        emit({opcode, Map::x0f, Prefix::prefix, flags(w)}, number(to), number(from)); \
    }                                                                                 \
    void name(Width w, Gpr to, Mem from) { emit({opcode, Map::x0f, Prefix::prefix, flags(w)}, number(to), from); }
// name(w, to, first, second), b32 and b64, as are the next two shapes. mulx(w, high, low, from) multiplies by rdx.
#define X64_BMI_BINARY(name, prefix, opcode)                                                 \
    void name(Width w, Gpr to, Gpr first, Gpr second) {                                      \
        emit_vex(bmi(opcode, w, Prefix::prefix), number(to), number(first), number(second)); \
    }                                                                                        \
    void name(Width w, Gpr to, Gpr first, Mem second) {                                      \
        emit_vex(bmi(opcode, w, Prefix::prefix), number(to), number(first), second);         \
    }
// name(w, to, from, count)
#define X64_BMI_SHIFT(name, prefix, opcode)                                                \
    void name(Width w, Gpr to, Gpr from, Gpr count) {                                      \
        emit_vex(bmi(opcode, w, Prefix::prefix), number(to), number(count), number(from)); \
    }                                                                                      \
    void name(Width w, Gpr to, Mem from, Gpr count) {                                      \
        emit_vex(bmi(opcode, w, Prefix::prefix), number(to), number(count), from);         \
    }
// name(w, to, from)
#define X64_BMI_LOWEST(name, digit)                                                                                 \
    void name(Width w, Gpr to, Gpr from) { emit_vex(bmi(0xf3, w, Prefix::none), digit, number(to), number(from)); } \
    void name(Width w, Gpr to, Mem from) { emit_vex(bmi(0xf3, w, Prefix::none), digit, number(to), from); }
// name(to, from): to = to op from; vname(to, first, second): to = first op second
#define X64_SSE_BINARY(name, prefix, map, opcode, memory)                                               \
    void name(Xmm to, Xmm from) { emit({opcode, Map::map, Prefix::prefix}, number(to), number(from)); } \
    void name(Xmm to, Mem from) { emit({opcode, Map::map, Prefix::prefix}, number(to), from); }         \
    void v##name(Xmm to, Xmm first, Xmm second) {                                                       \
        emit_vex({opcode, Map::map, Prefix::prefix}, number(to), number(first), number(second));        \
    }                                                                                                   \
    void v##name(Xmm to, Xmm first, Mem second) {                                                       \
        emit_vex({opcode, Map::map, Prefix::prefix}, number(to), number(first), second);                \
    }
// name(to, from), vname(to, from)
#define X64_SSE_UNARY(name, prefix, map, opcode, memory)                                                          \
    void name(Xmm to, Xmm from) { emit({opcode, Map::map, Prefix::prefix}, number(to), number(from)); }           \
    void name(Xmm to, Mem from) { emit({opcode, Map::map, Prefix::prefix}, number(to), from); }                   \
    void v##name(Xmm to, Xmm from) { emit_vex({opcode, Map::map, Prefix::prefix}, number(to), 0, number(from)); } \
    void v##name(Xmm to, Mem from) { emit_vex({opcode, Map::map, Prefix::prefix}, number(to), 0, from); }
// As the two above, with an immediate at the end
#define X64_SSE_BINARY_IMM(name, prefix, map, opcode, memory)                                                   \
    void name(Xmm to, Xmm from, u8 value) {                                                                     \
        imm({opcode, Map::map, Prefix::prefix}, number(to), number(from), value);                               \
    }                                                                                                           \
    void name(Xmm to, Mem from, u8 value) { imm({opcode, Map::map, Prefix::prefix}, number(to), from, value); } \
    void v##name(Xmm to, Xmm first, Xmm second, u8 value) {                                                     \
        vex_imm({opcode, Map::map, Prefix::prefix}, number(to), number(first), number(second), value);          \
    }                                                                                                           \
    void v##name(Xmm to, Xmm first, Mem second, u8 value) {                                                     \
        vex_imm({opcode, Map::map, Prefix::prefix}, number(to), number(first), second, value);                  \
    }
#define X64_SSE_UNARY_IMM(name, prefix, map, opcode, memory)                                                    \
    void name(Xmm to, Xmm from, u8 value) {                                                                     \
        imm({opcode, Map::map, Prefix::prefix}, number(to), number(from), value);                               \
    }                                                                                                           \
    void name(Xmm to, Mem from, u8 value) { imm({opcode, Map::map, Prefix::prefix}, number(to), from, value); } \
    void v##name(Xmm to, Xmm from, u8 value) {                                                                  \
        vex_imm({opcode, Map::map, Prefix::prefix}, number(to), 0, number(from), value);                        \
    }                                                                                                           \
    void v##name(Xmm to, Mem from, u8 value) {                                                                  \
        vex_imm({opcode, Map::map, Prefix::prefix}, number(to), 0, from, value);                                \
    }
// cmpss(to, from, predicate) and so on
#define X64_SSE_COMPARE(name, prefix, memory)                                                                     \
    void cmp##name(Xmm to, Xmm from, Predicate p) {                                                               \
        imm({0xc2, Map::x0f, Prefix::prefix}, number(to), number(from), static_cast<u8>(p));                      \
    }                                                                                                             \
    void cmp##name(Xmm to, Mem from, Predicate p) {                                                               \
        imm({0xc2, Map::x0f, Prefix::prefix}, number(to), from, static_cast<u8>(p));                              \
    }                                                                                                             \
    void vcmp##name(Xmm to, Xmm first, Xmm second, Predicate p) {                                                 \
        vex_imm({0xc2, Map::x0f, Prefix::prefix}, number(to), number(first), number(second), static_cast<u8>(p)); \
    }                                                                                                             \
    void vcmp##name(Xmm to, Xmm first, Mem second, Predicate p) {                                                 \
        vex_imm({0xc2, Map::x0f, Prefix::prefix}, number(to), number(first), second, static_cast<u8>(p));         \
    }
// name(to, count), vname(to, from, count); psrldq and pslldq count bytes.
#define X64_SSE_SHIFT(name, opcode, digit)                                      \
    void name(Xmm to, u8 count) { imm(sse(opcode), digit, number(to), count); } \
    void v##name(Xmm to, Xmm from, u8 count) { vex_imm(sse(opcode), digit, number(to), number(from), count); }
#define X64_SSE_MOVE(name, prefix, load, store)                                                         \
    void name(Xmm to, Xmm from) { emit({load, Map::x0f, Prefix::prefix}, number(to), number(from)); }   \
    void name(Xmm to, Mem from) { emit({load, Map::x0f, Prefix::prefix}, number(to), from); }           \
    void name(Mem to, Xmm from) { emit({store, Map::x0f, Prefix::prefix}, number(from), to); }          \
    void v##name(Xmm to, Xmm from) {                                                                    \
        vex_move({load, Map::x0f, Prefix::prefix}, {store, Map::x0f, Prefix::prefix}, to, 0, from);     \
    }                                                                                                   \
    void v##name(Xmm to, Mem from) { emit_vex({load, Map::x0f, Prefix::prefix}, number(to), 0, from); } \
    void v##name(Mem to, Xmm from) { emit_vex({store, Map::x0f, Prefix::prefix}, number(from), 0, to); }
// A load clears the bits above the scalar; between registers they stay (vname: come from `first`).
#define X64_SSE_MOVE_SCALAR(name, prefix, memory)                                                                \
    void name(Xmm to, Xmm from) { emit({0x10, Map::x0f, Prefix::prefix}, number(to), number(from)); }            \
    void name(Xmm to, Mem from) { emit({0x10, Map::x0f, Prefix::prefix}, number(to), from); }                    \
    void name(Mem to, Xmm from) { emit({0x11, Map::x0f, Prefix::prefix}, number(from), to); }                    \
    void v##name(Xmm to, Xmm first, Xmm second) {                                                                \
        vex_move({0x10, Map::x0f, Prefix::prefix}, {0x11, Map::x0f, Prefix::prefix}, to, number(first), second); \
    }                                                                                                            \
    void v##name(Xmm to, Mem from) { emit_vex({0x10, Map::x0f, Prefix::prefix}, number(to), 0, from); }          \
    void v##name(Mem to, Xmm from) { emit_vex({0x11, Map::x0f, Prefix::prefix}, number(from), 0, to); }
// name(w, to, from): w is that of the integer, b32 or b64, as in the next shape. The rest of `to` stays (vname: is
// `first`'s).
#define X64_FROM_INTEGER(name, prefix)                                                                           \
    void name(Width w, Xmm to, Gpr from) {                                                                       \
        emit({0x2a, Map::x0f, Prefix::prefix, flags(w)}, number(to), number(from));                              \
    }                                                                                                            \
    void name(Width w, Xmm to, Mem from) { emit({0x2a, Map::x0f, Prefix::prefix, flags(w)}, number(to), from); } \
    void v##name(Width w, Xmm to, Xmm first, Gpr from) {                                                         \
        emit_vex({0x2a, Map::x0f, Prefix::prefix, flags(w)}, number(to), number(first), number(from));           \
    }                                                                                                            \
    void v##name(Width w, Xmm to, Xmm first, Mem from) {                                                         \
        emit_vex({0x2a, Map::x0f, Prefix::prefix, flags(w)}, number(to), number(first), from);                   \
    }
#define X64_TO_INTEGER(name, prefix, opcode, memory)                                                               \
    void name(Width w, Gpr to, Xmm from) {                                                                         \
        emit({opcode, Map::x0f, Prefix::prefix, flags(w)}, number(to), number(from));                              \
    }                                                                                                              \
    void name(Width w, Gpr to, Mem from) { emit({opcode, Map::x0f, Prefix::prefix, flags(w)}, number(to), from); } \
    void v##name(Width w, Gpr to, Xmm from) {                                                                      \
        emit_vex({opcode, Map::x0f, Prefix::prefix, flags(w)}, number(to), 0, number(from));                       \
    }                                                                                                              \
    void v##name(Width w, Gpr to, Mem from) {                                                                      \
        emit_vex({opcode, Map::x0f, Prefix::prefix, flags(w)}, number(to), 0, from);                               \
    }
// name(to, from): the sign bits of the lanes
#define X64_MASK(name, prefix, opcode)                                                                  \
    void name(Gpr to, Xmm from) { emit({opcode, Map::x0f, Prefix::prefix}, number(to), number(from)); } \
    void v##name(Gpr to, Xmm from) { emit_vex({opcode, Map::x0f, Prefix::prefix}, number(to), 0, number(from)); }
#define X64_EXTRACT(name, opcode, wide, memory)                                                                    \
    void name(Gpr to, Xmm from, u8 lane) { imm(lanes(Map::x0f3a, opcode, wide), number(from), number(to), lane); } \
    void name(Mem to, Xmm from, u8 lane) { imm(lanes(Map::x0f3a, opcode, wide), number(from), to, lane); }         \
    void v##name(Gpr to, Xmm from, u8 lane) {                                                                      \
        vex_imm(lanes(Map::x0f3a, opcode, wide), number(from), 0, number(to), lane);                               \
    }                                                                                                              \
    void v##name(Mem to, Xmm from, u8 lane) { vex_imm(lanes(Map::x0f3a, opcode, wide), number(from), 0, to, lane); }
#define X64_INSERT(name, map, opcode, wide, memory)                                                              \
    void name(Xmm to, Gpr from, u8 lane) { imm(lanes(Map::map, opcode, wide), number(to), number(from), lane); } \
    void name(Xmm to, Mem from, u8 lane) { imm(lanes(Map::map, opcode, wide), number(to), from, lane); }         \
    void v##name(Xmm to, Xmm first, Gpr from, u8 lane) {                                                         \
        vex_imm(lanes(Map::map, opcode, wide), number(to), number(first), number(from), lane);                   \
    }                                                                                                            \
    void v##name(Xmm to, Xmm first, Mem from, u8 lane) {                                                         \
        vex_imm(lanes(Map::map, opcode, wide), number(to), number(first), from, lane);                           \
    }
#define X64_VEX_BINARY(name, opcode, wide, memory)                                            \
    void name(Xmm to, Xmm first, Xmm second) {                                                \
        emit_vex(lanes(Map::x0f38, opcode, wide), number(to), number(first), number(second)); \
    }                                                                                         \
    void name(Xmm to, Xmm first, Mem second) {                                                \
        emit_vex(lanes(Map::x0f38, opcode, wide), number(to), number(first), second);         \
    }
#define X64_VEX_UNARY(name, opcode, memory)                                                              \
    void name(Xmm to, Xmm from) { emit_vex(lanes(Map::x0f38, opcode, 0), number(to), 0, number(from)); } \
    void name(Xmm to, Mem from) { emit_vex(lanes(Map::x0f38, opcode, 0), number(to), 0, from); }
#define X64_FMA(name, opcode)                      \
    X64_VEX_BINARY(name##ps, opcode, 0, m128)      \
    X64_VEX_BINARY(name##pd, opcode, 1, m128)      \
    X64_VEX_BINARY(name##ss, (opcode) + 1, 0, m32) \
    X64_VEX_BINARY(name##sd, (opcode) + 1, 1, m64)
#include "engine/jit/x64/instructions.def"

private:
    enum class Map : u8 { one, x0f, x0f38, x0f3a };  // numbered as in VEX.mmmmm
    enum class Prefix : u8 { none, x66, xf3, xf2 };  // numbered as in VEX.pp
    enum Flag : u8 { rex_w = 1, operand16 = 2, byte_reg = 4, byte_rm = 8 };
    struct Opcode {
        u8 byte;
        Map map = Map::one;
        Prefix prefix = Prefix::none;
        u8 flags = 0;
    };
    struct Fixup {
        u32 at;  // offset of the displacement, which holds what is to be added
        u32 label;
    };
    static constexpr u32 unbound = ~u32{0};
    static constexpr usize longest = 32;  // more than any instruction's 15 bytes

    static constexpr u8 flags(Width w) { return w == Width::b64 ? rex_w : w == Width::b16 ? operand16 : 0; }
    static constexpr u8 odd_unless_byte(unsigned byte, Width w) { return static_cast<u8>(byte | (w != Width::b8)); }
    // An opcode whose low bit tells bytes from the other widths: both ModRM operands, or only rm, are of that width.
    static constexpr Opcode both(unsigned byte, Width w, Map map = Map::one) {
        return {odd_unless_byte(byte, w), map, Prefix::none, w == Width::b8 ? u8{byte_reg | byte_rm} : flags(w)};
    }
    static constexpr Opcode digits(unsigned byte, Width w) {
        return {odd_unless_byte(byte, w), Map::one, Prefix::none, w == Width::b8 ? u8{byte_rm} : flags(w)};
    }
    static constexpr Opcode wide_only(u8 byte, Width w, Map map = Map::one) {
        return {byte, map, Prefix::none, flags(w)};
    }
    static constexpr Opcode condition(unsigned byte, Condition c, u8 flags = 0) {
        return {static_cast<u8>(byte | static_cast<unsigned>(c)), Map::x0f, Prefix::none, flags};
    }
    static constexpr Opcode bmi(u8 byte, Width w, Prefix prefix, Map map = Map::x0f38) {
        return {byte, map, prefix, flags(w)};
    }
    static constexpr Opcode sse(u8 byte, u8 flags = 0) { return {byte, Map::x0f, Prefix::x66, flags}; }
    static constexpr Opcode lanes(Map map, u8 byte, u8 wide) { return {byte, map, Prefix::x66, wide}; }
    static Opcode extend(Width to, Width from, u8 byte);

    u8* room(usize bytes = longest) {
        if (static_cast<usize>(end_ - cursor_) < bytes) [[unlikely]]
            grow(bytes);
        return cursor_;
    }
    void grow(usize bytes);
    void byte(u8 value) { *cursor_++ = value; }  // after an emit, which leaves room for immediates
    void immediate(Width w, i32 value);          // at most 4 bytes

    // The four forms of an instruction: legacy or VEX, rm a register or memory. `trailing`: bytes of immediate that
    // follow.
    void emit(Opcode op, unsigned reg, unsigned rm);
    void emit(Opcode op, unsigned reg, Mem rm, unsigned trailing = 0);
    void emit_vex(Opcode op, unsigned reg, unsigned vvvv, unsigned rm);
    void emit_vex(Opcode op, unsigned reg, unsigned vvvv, Mem rm, unsigned trailing = 0);
    void imm(Opcode op, unsigned reg, unsigned rm, u8 value) { emit(op, reg, rm), byte(value); }
    void imm(Opcode op, unsigned reg, Mem rm, u8 value) { emit(op, reg, rm, 1), byte(value); }
    void vex_imm(Opcode op, unsigned reg, unsigned vvvv, unsigned rm, u8 value) {
        emit_vex(op, reg, vvvv, rm), byte(value);
    }
    void vex_imm(Opcode op, unsigned reg, unsigned vvvv, Mem rm, u8 value) {
        emit_vex(op, reg, vvvv, rm, 1), byte(value);
    }
    void vex_move(Opcode load, Opcode store, Xmm to, unsigned vvvv, Xmm from);
    void locked(Opcode op, unsigned reg, Mem rm);
    u8* put_memory(u8* p, unsigned reg, Mem rm, unsigned trailing);

    void plain(u32 bytes, unsigned length);
    void in_opcode(u8 byte, Gpr r, bool wide);
    void alu(Width w, unsigned digit, Gpr to, i64 value);
    void alu(Width w, unsigned digit, Mem to, i64 value);
    void shift(Width w, unsigned digit, Gpr to, unsigned count);
    void shift(Width w, unsigned digit, Mem to, unsigned count);
    void double_shift(Width w, u8 opcode, Gpr to, Gpr from, unsigned count);
    void bit_test(Width w, unsigned digit, Gpr of, unsigned index);

    void jump(u32 opcode8, u32 opcode32, unsigned length32, Label to, Reach reach);
    usize placeholder(u32 opcode, unsigned length);

    std::vector<u8> own_;
    std::vector<u8>* buffer_;
    u8* begin_ = nullptr;
    u8* cursor_ = nullptr;
    u8* end_ = nullptr;
    std::vector<u32> labels_;  // offsets by id
    std::vector<Fixup> fixups32_;
    std::vector<Fixup> fixups8_;
};

}  // namespace viv::jit::x64
