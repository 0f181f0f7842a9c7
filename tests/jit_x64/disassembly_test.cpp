// Every instruction of the assembler with random operands, compared with what objdump makes of the bytes: mnemonic,
// operands and length. The rows of instructions.def are expanded here once more, so a new row is tested as soon as it
// is written.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>

#include "tests/jit_x64/listing.h"

namespace viv::jit::x64::test {
namespace {

constexpr std::array widths{Width::b8, Width::b16, Width::b32, Width::b64};
constexpr std::array wide{Width::b16, Width::b32, Width::b64};
constexpr std::array native{Width::b32, Width::b64};
constexpr std::array<const char*, 16> conditions{"o", "no", "b", "ae", "e", "ne", "be", "a",
                                                 "s", "ns", "p", "np", "l", "ge", "le", "g"};
constexpr std::array<const char*, 8> predicates{"eq", "lt", "le", "unord", "neq", "nlt", "nle", "ord"};

// Memory widths as instructions.def writes them.
constexpr unsigned m8 = 8, m16 = 16, m32 = 32, m64 = 64, m128 = 128;

// objdump has names of its own for the halves that pclmulqdq multiplies, and then prints no immediate.
bool named_by_immediate(std::string_view name, u8 value) { return name.ends_with("pclmulqdq") && !(value & ~0x11); }
std::string immediate_name(std::string_view name, u8 value) {
    if (!named_by_immediate(name, value)) return std::string(name);
    const char* v = name[0] == 'v' ? "v" : "";
    return fmt::format("{}pclmul{}q{}qdq", v, value & 1 ? "h" : "l", value & 16 ? "h" : "l");
}

constexpr Immediate byte_of(u8 value) { return {value, Width::b8}; }
Operand shift_count(unsigned count) {
    if (count == 1) return "1";  // the form without an immediate
    return Immediate{count, Width::b8};
}

class Disassembly : public testing::Test {
protected:
    Listing l;
    Assembler& a = l.a;

    // Draws operands anew and calls `emit` for each of these widths, a number of times.
    template <class Widths, class Emit>
    void each(const Widths& list, Emit emit, unsigned times = 8) {
        for (const Width w : list) {
            for (unsigned i = 0; i < times; ++i) emit(w, bits_of(w));
        }
    }
    template <class Emit>
    void repeat(Emit emit, unsigned times = 8) {
        for (unsigned i = 0; i < times; ++i) emit();
    }
    void compare(usize at_least) {
        EXPECT_GE(l.count(), at_least);
        EXPECT_EQ(l.mismatches(), "");
    }
};

TEST_F(Disassembly, EveryAddress) {
    for (unsigned base = 0; base < 16; ++base) {
        for (unsigned index = 0; index < 17; ++index) {
            if (index == number(Gpr::rsp)) continue;
            for (unsigned scale = 1; scale <= (index == 16 ? 1 : 8); scale *= 2) {
                for (const i32 disp : {0, 1, -1, 127, -128, 128, -129, 0x7fffffff}) {
                    const Gpr b = static_cast<Gpr>(base);
                    const Mem m =
                        index == 16 ? at(b, disp) : at(b, static_cast<Gpr>(index), static_cast<u8>(scale), disp);
                    const Gpr r = l.gpr();
                    l.expect("lea", Reg{r, Width::b64}, Sized{m, 0}), a.lea(Width::b64, r, m);
                }
            }
        }
    }
    compare(16 * 61 * 8);
}

TEST_F(Disassembly, IntegerRows) {
#define X64_PLAIN(name, length, bytes) l.expect(#name), a.name();
#define X64_ALU(name, digit)                                                        \
    each(widths, [&](Width w, unsigned size) {                                      \
        const Gpr r = l.gpr(), s = l.gpr();                                         \
        const Mem m = l.mem();                                                      \
        const i64 v = l.value(w);                                                   \
        l.expect(#name, Reg{r, w}, Reg{s, w}), a.name(w, r, s);                     \
        l.expect(#name, Reg{r, w}, Sized{m, size}), a.name(w, r, m);                \
        l.expect(#name, Sized{m, size}, Reg{r, w}), a.name(w, m, r);                \
        l.expect(#name, Reg{r, w}, Immediate{v, w}), a.name(w, r, v);               \
        l.expect(#name, Sized{m, size}, Immediate{v, w}), a.name(w, m, v);          \
        l.expect(#name, Reg{Gpr::rax, w}, Immediate{v, w}), a.name(w, Gpr::rax, v); \
    });
#define X64_LOCKED(name, digit)                                      \
    each(widths, [&](Width w, unsigned size) {                       \
        const Gpr r = l.gpr();                                       \
        const Mem m = l.mem();                                       \
        l.expect(#name, Sized{m, size}, Reg{r, w}), a.name(w, m, r); \
    });
#define X64_UNARY(name, opcode, digit)                 \
    each(widths, [&](Width w, unsigned size) {         \
        const Gpr r = l.gpr();                         \
        const Mem m = l.mem();                         \
        l.expect(#name, Reg{r, w}), a.name(w, r);      \
        l.expect(#name, Sized{m, size}), a.name(w, m); \
    });
#define X64_SHIFT(name, digit)                                         \
    each(widths, [&](Width w, unsigned size) {                         \
        const Gpr r = l.gpr();                                         \
        const Mem m = l.mem();                                         \
        const unsigned count = l.below(4) ? l.below(size) : 1;         \
        const Operand printed = shift_count(count);                    \
        l.expect(#name, Reg{r, w}, printed), a.name(w, r, count);      \
        l.expect(#name, Sized{m, size}, printed), a.name(w, m, count); \
        l.expect(#name, Reg{r, w}, "cl"), a.name##_cl(w, r);           \
        l.expect(#name, Sized{m, size}, "cl"), a.name##_cl(w, m);      \
    });
#define X64_DOUBLE_SHIFT(name, opcode)                                                              \
    each(wide, [&](Width w, unsigned size) {                                                        \
        const Gpr r = l.gpr(), s = l.gpr();                                                         \
        const unsigned count = l.below(size);                                                       \
        l.expect(#name, Reg{r, w}, Reg{s, w}, Immediate{count, Width::b8}), a.name(w, r, s, count); \
        l.expect(#name, Reg{r, w}, Reg{s, w}, "cl"), a.name##_cl(w, r, s);                          \
    });
#define X64_BIT_TEST(name, digit, opcode)                                             \
    each(wide, [&](Width w, unsigned size) {                                          \
        const Gpr r = l.gpr(), s = l.gpr();                                           \
        const unsigned index = l.below(size);                                         \
        l.expect(#name, Reg{r, w}, Immediate{index, Width::b8}), a.name(w, r, index); \
        l.expect(#name, Reg{r, w}, Reg{s, w}), a.name(w, r, s);                       \
    });
#define X64_BIT_COUNT(name, prefix, opcode)                          \
    each(wide, [&](Width w, unsigned size) {                         \
        const Gpr r = l.gpr(), s = l.gpr();                          \
        const Mem m = l.mem();                                       \
        l.expect(#name, Reg{r, w}, Reg{s, w}), a.name(w, r, s);      \
        l.expect(#name, Reg{r, w}, Sized{m, size}), a.name(w, r, m); \
    });
#define X64_BMI_BINARY(name, prefix, opcode)                                       \
    each(native, [&](Width w, unsigned size) {                                     \
        const Gpr r = l.gpr(), s = l.gpr(), t = l.gpr();                           \
        const Mem m = l.mem();                                                     \
        l.expect(#name, Reg{r, w}, Reg{s, w}, Reg{t, w}), a.name(w, r, s, t);      \
        l.expect(#name, Reg{r, w}, Reg{s, w}, Sized{m, size}), a.name(w, r, s, m); \
    });
#define X64_BMI_SHIFT(name, prefix, opcode)                                        \
    each(native, [&](Width w, unsigned size) {                                     \
        const Gpr r = l.gpr(), s = l.gpr(), t = l.gpr();                           \
        const Mem m = l.mem();                                                     \
        l.expect(#name, Reg{r, w}, Reg{s, w}, Reg{t, w}), a.name(w, r, s, t);      \
        l.expect(#name, Reg{r, w}, Sized{m, size}, Reg{t, w}), a.name(w, r, m, t); \
    });
#define X64_BMI_LOWEST(name, digit)                                  \
    each(native, [&](Width w, unsigned size) {                       \
        const Gpr r = l.gpr(), s = l.gpr();                          \
        const Mem m = l.mem();                                       \
        l.expect(#name, Reg{r, w}, Reg{s, w}), a.name(w, r, s);      \
        l.expect(#name, Reg{r, w}, Sized{m, size}), a.name(w, r, m); \
    });
#include "engine/jit/x64/instructions.def"
    compare(2000);
}

TEST_F(Disassembly, MovesAndExtensions) {
    each(
        widths,
        [&](Width w, unsigned size) {
            const Gpr r = l.gpr(), s = l.gpr();
            const Mem m = l.mem();
            const i64 v = l.value(w);
            l.expect("mov", Reg{r, w}, Reg{s, w}), a.mov(w, r, s);
            l.expect("mov", Reg{r, w}, Sized{m, size}), a.mov(w, r, m);
            l.expect("mov", Sized{m, size}, Reg{r, w}), a.mov(w, m, r);
            l.expect("mov", Sized{m, size}, Immediate{v, w}), a.mov(w, m, v);
            // Of 64 bits, what zero-extends is moved as 32.
            l.expect("mov", Reg{r, w == Width::b64 && v >= 0 ? Width::b32 : w}, Immediate{v, w}), a.mov(w, r, v);
            l.expect("test", Reg{r, w}, Reg{s, w}), a.test(w, r, s);
            l.expect("test", Sized{m, size}, Reg{r, w}), a.test(w, m, r);
            l.expect("test", Reg{r, w}, Immediate{v, w}), a.test(w, r, v);
            l.expect("test", Reg{Gpr::rax, w}, Immediate{v, w}), a.test(w, Gpr::rax, v);
            l.expect("test", Sized{m, size}, Immediate{v, w}), a.test(w, m, v);
            // The short form names rax last.
            const bool swapped = w != Width::b8 && r == Gpr::rax;
            l.expect("xchg", Reg{swapped ? s : r, w}, Reg{swapped ? r : s, w}), a.xchg(w, r, s);
            l.expect("xchg", Reg{s, w}, Reg{Gpr::rax, w}), a.xchg(w, s, Gpr::rax);
            l.expect("xchg", Sized{m, size}, Reg{r, w}), a.xchg(w, m, r);
            l.expect("lock xadd", Sized{m, size}, Reg{r, w}), a.lock_xadd(w, m, r);
            l.expect("lock cmpxchg", Sized{m, size}, Reg{r, w}), a.lock_cmpxchg(w, m, r);
            if (w == Width::b8) return;
            l.expect("movbe", Reg{r, w}, Sized{m, size}), a.movbe(w, r, m);
            l.expect("movbe", Sized{m, size}, Reg{r, w}), a.movbe(w, m, r);
            l.expect("lea", Reg{r, w}, Sized{m, 0}), a.lea(w, r, m);
            l.expect("imul", Reg{r, w}, Reg{s, w}), a.imul(w, r, s);
            l.expect("imul", Reg{r, w}, Sized{m, size}), a.imul(w, r, m);
            l.expect("imul", Reg{r, w}, Reg{s, w}, Immediate{v, w}), a.imul(w, r, s, v);
            l.expect("imul", Reg{r, w}, Sized{m, size}, Immediate{v, w}), a.imul(w, r, m, v);
        },
        64);
    for (const Width to : wide) {
        for (const Width from : widths) {
            if (bits_of(from) >= bits_of(to)) continue;
            const std::string mnemonic = from == Width::b32 ? "movsxd" : "movsx";
            repeat(
                [&] {
                    const Gpr r = l.gpr(), s = l.gpr();
                    const Mem m = l.mem();
                    l.expect(mnemonic, Reg{r, to}, Reg{s, from}), a.movsx(to, from, r, s);
                    l.expect(mnemonic, Reg{r, to}, Sized{m, bits_of(from)}), a.movsx(to, from, r, m);
                },
                32);
        }
    }
    repeat(
        [&] {
            const Gpr r = l.gpr(), s = l.gpr();
            const Mem m = l.mem();
            for (const Width from : {Width::b8, Width::b16}) {
                l.expect("movzx", Reg{r, Width::b32}, Reg{s, from}), a.movzx(from, r, s);
                l.expect("movzx", Reg{r, Width::b32}, Sized{m, bits_of(from)}), a.movzx(from, r, m);
            }
            l.expect("mov", Reg{r, Width::b32}, Reg{s, Width::b32}), a.movzx(Width::b32, r, s);
            l.expect("mov", Reg{r, Width::b32}, Sized{m, 32}), a.movzx(Width::b32, r, m);
            l.expect("movsxd", Reg{r, Width::b64}, Reg{s, Width::b32}), a.movsxd(r, s);
            l.expect("movsxd", Reg{r, Width::b64}, Sized{m, 32}), a.movsxd(r, m);
            l.expect("bswap", Reg{r, Width::b32}), a.bswap(Width::b32, r);
            l.expect("bswap", Reg{r, Width::b64}), a.bswap(Width::b64, r);
            const i64 big = static_cast<i64>((l.random() & ~(u64{1} << 41)) | u64{1} << 40);
            l.expect("movabs", Reg{r, Width::b64}, Immediate{big, Width::b64}), a.mov(Width::b64, r, big);
            l.expect("movabs", Reg{r, Width::b64}, Immediate{1, Width::b64}), a.movabs(r, 1);
            l.expect("push", Reg{r, Width::b64}), a.push(r);
            l.expect("push", Sized{m, 64}), a.push(m);
            l.expect("pop", Reg{r, Width::b64}), a.pop(r);
            l.expect("pop", Sized{m, 64}), a.pop(m);
            const i64 v = l.value(Width::b64);
            l.expect("push", Immediate{v, Width::b64}), a.push(static_cast<i32>(v));
            l.expect("jmp", Reg{r, Width::b64}), a.jmp(r);
            l.expect("jmp", Sized{m, 64}), a.jmp(m);
            l.expect("call", Reg{r, Width::b64}), a.call(r);
            l.expect("call", Sized{m, 64}), a.call(m);
            l.expect("lock cmpxchg16b OWORD PTR", Sized{m, 0}), a.lock_cmpxchg16b(m);
            l.expect("ldmxcsr", Sized{m, 32}), a.ldmxcsr(m);
            l.expect("stmxcsr", Sized{m, 32}), a.stmxcsr(m);
            for (const Width w : native) {
                const u8 count = static_cast<u8>(l.below(bits_of(w)));
                l.expect("rorx", Reg{r, w}, Reg{s, w}, byte_of(count)), a.rorx(w, r, s, count);
                l.expect("rorx", Reg{r, w}, Sized{m, bits_of(w)}, byte_of(count)), a.rorx(w, r, m, count);
            }
        },
        64);
    for (unsigned n = 0; n < 16; ++n) {
        const Condition c = static_cast<Condition>(n);
        const std::string suffix = conditions[n];
        repeat([&] {
            const Gpr r = l.gpr(), s = l.gpr();
            const Mem m = l.mem();
            l.expect("set" + suffix, Reg{r, Width::b8}), a.setcc(c, r);
            l.expect("set" + suffix, Sized{m, 8}), a.setcc(c, m);
            for (const Width w : wide) {
                l.expect("cmov" + suffix, Reg{r, w}, Reg{s, w}), a.cmovcc(c, w, r, s);
                l.expect("cmov" + suffix, Reg{r, w}, Sized{m, bits_of(w)}), a.cmovcc(c, w, r, m);
            }
        });
    }
    compare(5000);
}

TEST_F(Disassembly, FloatingPointAndVectorRows) {
#define X64_SSE_BINARY(name, prefix, map, opcode, memory)                \
    repeat([&] {                                                         \
        const Xmm x = l.xmm(), y = l.xmm(), z = l.xmm();                 \
        const Mem m = l.mem();                                           \
        l.expect(#name, x, y), a.name(x, y);                             \
        l.expect(#name, x, Sized{m, memory}), a.name(x, m);              \
        l.expect("v" #name, x, y, z), a.v##name(x, y, z);                \
        l.expect("v" #name, x, y, Sized{m, memory}), a.v##name(x, y, m); \
    });
#define X64_SSE_UNARY(name, prefix, map, opcode, memory)           \
    repeat([&] {                                                   \
        const Xmm x = l.xmm(), y = l.xmm();                        \
        const Mem m = l.mem();                                     \
        l.expect(#name, x, y), a.name(x, y);                       \
        l.expect(#name, x, Sized{m, memory}), a.name(x, m);        \
        l.expect("v" #name, x, y), a.v##name(x, y);                \
        l.expect("v" #name, x, Sized{m, memory}), a.v##name(x, m); \
    });
#define X64_SSE_BINARY_IMM(name, prefix, map, opcode, memory)                                  \
    repeat([&] {                                                                               \
        const Xmm x = l.xmm(), y = l.xmm(), z = l.xmm();                                       \
        const Mem m = l.mem();                                                                 \
        const u8 v = l.below(2) ? l.imm8() : l.imm8() & 0x11;                                  \
        const std::string legacy = immediate_name(#name, v);                                   \
        const std::string vex = immediate_name("v" #name, v);                                  \
        const Operand last = named_by_immediate(#name, v) ? Operand("") : Operand(byte_of(v)); \
        l.expect(legacy, x, y, last), a.name(x, y, v);                                         \
        l.expect(legacy, x, Sized{m, memory}, last), a.name(x, m, v);                          \
        l.expect(vex, x, y, z, last), a.v##name(x, y, z, v);                                   \
        l.expect(vex, x, y, Sized{m, memory}, last), a.v##name(x, y, m, v);                    \
    });
#define X64_SSE_UNARY_IMM(name, prefix, map, opcode, memory)                      \
    repeat([&] {                                                                  \
        const Xmm x = l.xmm(), y = l.xmm();                                       \
        const Mem m = l.mem();                                                    \
        const u8 v = l.imm8();                                                    \
        l.expect(#name, x, y, byte_of(v)), a.name(x, y, v);                       \
        l.expect(#name, x, Sized{m, memory}, byte_of(v)), a.name(x, m, v);        \
        l.expect("v" #name, x, y, byte_of(v)), a.v##name(x, y, v);                \
        l.expect("v" #name, x, Sized{m, memory}, byte_of(v)), a.v##name(x, m, v); \
    });
#define X64_SSE_COMPARE(name, prefix, memory)                                         \
    for (unsigned n = 0; n < 8; ++n) {                                                \
        const Predicate p = static_cast<Predicate>(n);                                \
        const std::string legacy = std::string("cmp") + predicates[n] + #name;        \
        repeat([&] {                                                                  \
            const Xmm x = l.xmm(), y = l.xmm(), z = l.xmm();                          \
            const Mem m = l.mem();                                                    \
            l.expect(legacy, x, y), a.cmp##name(x, y, p);                             \
            l.expect(legacy, x, Sized{m, memory}), a.cmp##name(x, m, p);              \
            l.expect("v" + legacy, x, y, z), a.vcmp##name(x, y, z, p);                \
            l.expect("v" + legacy, x, y, Sized{m, memory}), a.vcmp##name(x, y, m, p); \
        });                                                                           \
    }
#define X64_SSE_SHIFT(name, opcode, digit)                         \
    repeat([&] {                                                   \
        const Xmm x = l.xmm(), y = l.xmm();                        \
        const u8 v = l.imm8();                                     \
        l.expect(#name, x, byte_of(v)), a.name(x, v);              \
        l.expect("v" #name, x, y, byte_of(v)), a.v##name(x, y, v); \
    });
#define X64_SSE_MOVE(name, prefix, load, store)                 \
    repeat([&] {                                                \
        const Xmm x = l.xmm(), y = l.xmm();                     \
        const Mem m = l.mem();                                  \
        l.expect(#name, x, y), a.name(x, y);                    \
        l.expect(#name, x, Sized{m, 128}), a.name(x, m);        \
        l.expect(#name, Sized{m, 128}, x), a.name(m, x);        \
        l.expect("v" #name, x, y), a.v##name(x, y);             \
        l.expect("v" #name, x, Sized{m, 128}), a.v##name(x, m); \
        l.expect("v" #name, Sized{m, 128}, x), a.v##name(m, x); \
    });
#define X64_SSE_MOVE_SCALAR(name, prefix, memory)                  \
    repeat([&] {                                                   \
        const Xmm x = l.xmm(), y = l.xmm(), z = l.xmm();           \
        const Mem m = l.mem();                                     \
        l.expect(#name, x, y), a.name(x, y);                       \
        l.expect(#name, x, Sized{m, memory}), a.name(x, m);        \
        l.expect(#name, Sized{m, memory}, x), a.name(m, x);        \
        l.expect("v" #name, x, y, z), a.v##name(x, y, z);          \
        l.expect("v" #name, x, Sized{m, memory}), a.v##name(x, m); \
        l.expect("v" #name, Sized{m, memory}, x), a.v##name(m, x); \
    });
#define X64_FROM_INTEGER(name, prefix)                                    \
    each(native, [&](Width w, unsigned size) {                            \
        const Xmm x = l.xmm(), y = l.xmm();                               \
        const Gpr r = l.gpr();                                            \
        const Mem m = l.mem();                                            \
        l.expect(#name, x, Reg{r, w}), a.name(w, x, r);                   \
        l.expect(#name, x, Sized{m, size}), a.name(w, x, m);              \
        l.expect("v" #name, x, y, Reg{r, w}), a.v##name(w, x, y, r);      \
        l.expect("v" #name, x, y, Sized{m, size}), a.v##name(w, x, y, m); \
    });
#define X64_TO_INTEGER(name, prefix, opcode, memory)                          \
    each(native, [&](Width w, unsigned) {                                     \
        const Xmm x = l.xmm();                                                \
        const Gpr r = l.gpr();                                                \
        const Mem m = l.mem();                                                \
        l.expect(#name, Reg{r, w}, x), a.name(w, r, x);                       \
        l.expect(#name, Reg{r, w}, Sized{m, memory}), a.name(w, r, m);        \
        l.expect("v" #name, Reg{r, w}, x), a.v##name(w, r, x);                \
        l.expect("v" #name, Reg{r, w}, Sized{m, memory}), a.v##name(w, r, m); \
    });
#define X64_MASK(name, prefix, opcode)                               \
    repeat([&] {                                                     \
        const Xmm x = l.xmm();                                       \
        const Gpr r = l.gpr();                                       \
        l.expect(#name, Reg{r, Width::b32}, x), a.name(r, x);        \
        l.expect("v" #name, Reg{r, Width::b32}, x), a.v##name(r, x); \
    });
#define X64_EXTRACT(name, opcode, wide_lane, memory)                              \
    repeat([&] {                                                                  \
        const Xmm x = l.xmm();                                                    \
        const Reg r{l.gpr(), wide_lane ? Width::b64 : Width::b32};                \
        const Mem m = l.mem();                                                    \
        const u8 v = l.imm8();                                                    \
        l.expect(#name, r, x, byte_of(v)), a.name(r.r, x, v);                     \
        l.expect(#name, Sized{m, memory}, x, byte_of(v)), a.name(m, x, v);        \
        l.expect("v" #name, r, x, byte_of(v)), a.v##name(r.r, x, v);              \
        l.expect("v" #name, Sized{m, memory}, x, byte_of(v)), a.v##name(m, x, v); \
    });
#define X64_INSERT(name, map, opcode, wide_lane, memory)                                \
    repeat([&] {                                                                        \
        const Xmm x = l.xmm(), y = l.xmm();                                             \
        const Reg r{l.gpr(), wide_lane ? Width::b64 : Width::b32};                      \
        const Mem m = l.mem();                                                          \
        const u8 v = l.imm8();                                                          \
        l.expect(#name, x, r, byte_of(v)), a.name(x, r.r, v);                           \
        l.expect(#name, x, Sized{m, memory}, byte_of(v)), a.name(x, m, v);              \
        l.expect("v" #name, x, y, r, byte_of(v)), a.v##name(x, y, r.r, v);              \
        l.expect("v" #name, x, y, Sized{m, memory}, byte_of(v)), a.v##name(x, y, m, v); \
    });
#define X64_VEX_BINARY(name, opcode, wide_lane, memory)           \
    repeat([&] {                                                  \
        const Xmm x = l.xmm(), y = l.xmm(), z = l.xmm();          \
        const Mem m = l.mem();                                    \
        l.expect(#name, x, y, z), a.name(x, y, z);                \
        l.expect(#name, x, y, Sized{m, memory}), a.name(x, y, m); \
    });
#define X64_VEX_UNARY(name, opcode, memory)                 \
    repeat([&] {                                            \
        const Xmm x = l.xmm(), y = l.xmm();                 \
        const Mem m = l.mem();                              \
        l.expect(#name, x, y), a.name(x, y);                \
        l.expect(#name, x, Sized{m, memory}), a.name(x, m); \
    });
#define X64_FMA(name, opcode)                 \
    X64_VEX_BINARY(name##ps, opcode, 0, m128) \
    X64_VEX_BINARY(name##pd, opcode, 1, m128) \
    X64_VEX_BINARY(name##ss, opcode, 0, m32)  \
    X64_VEX_BINARY(name##sd, opcode, 1, m64)
#include "engine/jit/x64/instructions.def"
    compare(6000);
}

TEST_F(Disassembly, VectorMovesOfNoRow) {
    repeat(
        [&] {
            const Xmm x = l.xmm(), y = l.xmm();
            const Gpr r = l.gpr();
            const Reg d{r, Width::b32}, q{r, Width::b64};
            const Mem m = l.mem();
            const u8 v = l.imm8();
            l.expect("movd", x, d), a.movd(x, r);
            l.expect("movd", x, Sized{m, 32}), a.movd(x, m);
            l.expect("movd", d, x), a.movd(r, x);
            l.expect("movd", Sized{m, 32}, x), a.movd(m, x);
            l.expect("movq", x, q), a.movq(x, r);
            l.expect("movq", q, x), a.movq(r, x);
            l.expect("movq", x, y), a.movq(x, y);
            l.expect("movq", x, Sized{m, 64}), a.movq(x, m);
            l.expect("movq", Sized{m, 64}, x), a.movq(m, x);
            l.expect("vmovd", x, d), a.vmovd(x, r);
            l.expect("vmovd", x, Sized{m, 32}), a.vmovd(x, m);
            l.expect("vmovd", d, x), a.vmovd(r, x);
            l.expect("vmovd", Sized{m, 32}, x), a.vmovd(m, x);
            l.expect("vmovq", x, q), a.vmovq(x, r);
            l.expect("vmovq", q, x), a.vmovq(r, x);
            l.expect("vmovq", x, y), a.vmovq(x, y);
            l.expect("vmovq", x, Sized{m, 64}), a.vmovq(x, m);
            l.expect("vmovq", Sized{m, 64}, x), a.vmovq(m, x);
            l.expect("pextrw", d, x, byte_of(v)), a.pextrw(r, x, v);
            l.expect("pextrw", Sized{m, 16}, x, byte_of(v)), a.pextrw(m, x, v);
            l.expect("vpextrw", d, x, byte_of(v)), a.vpextrw(r, x, v);
            l.expect("vpextrw", Sized{m, 16}, x, byte_of(v)), a.vpextrw(m, x, v);
            l.expect("vcvtps2ph", x, y, byte_of(v)), a.vcvtps2ph(x, y, v);
            l.expect("vcvtps2ph", Sized{m, 64}, x, byte_of(v)), a.vcvtps2ph(m, x, v);
        },
        64);
    compare(1500);
}

}  // namespace
}  // namespace viv::jit::x64::test
