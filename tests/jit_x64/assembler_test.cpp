// The assembler's own decisions: the shortest of several forms, the awkward registers, labels and their reach, padding,
// patching, the buffer, and what it refuses. That every instruction is the one it says is disassembly_test's part.
#include "engine/jit/x64/assembler.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "engine/lang/bytes.h"
#include "tests/jit_x64/listing.h"

namespace viv::jit::x64::test {
namespace {

using enum Gpr;
using enum Xmm;
using enum Width;

std::string hex(std::span<const u8> bytes) {
    std::string out;
    for (const u8 byte : bytes) out += fmt::format("{:02x}", byte);
    return out;
}

template <class Emit>
std::string encoded(Emit emit) {
    Assembler a;
    emit(a);
    return hex(a.finish());
}

#define GOLDEN(bytes, instruction) EXPECT_EQ(encoded([](Assembler& a) { a.instruction; }), bytes) << #instruction

TEST(Encoding, MovTakesTheShortestFormAndLeavesFlags) {
    GOLDEN("b800000000", mov(b64, rax, 0));
    GOLDEN("41b8ffffffff", mov(b64, r8, 0xffffffff));
    GOLDEN("b8ffffffff", mov(b32, rax, -1));
    GOLDEN("48c7c0ffffffff", mov(b64, rax, -1));
    GOLDEN("49c7c700000080", mov(b64, r15, -0x80000000LL));
    GOLDEN("48b80000000001000000", mov(b64, rax, 0x100000000));
    GOLDEN("49bfffffff7fffffffff", mov(b64, r15, -0x80000001LL));
    GOLDEN("49bc0000000000000000", movabs(r12, 0));
    GOLDEN("40b4ff", mov(b8, rsp, 255));
    GOLDEN("66bbfeff", mov(b16, rbx, -2));
    GOLDEN("48c700feffffff", mov(b64, at(rax), -2));
    GOLDEN("c60080", mov(b8, at(rax), 0x80));
}

TEST(Encoding, ByteRegistersNeedAnEmptyRex) {
    GOLDEN("4088c6", mov(b8, rsi, rax));
    GOLDEN("4088f0", mov(b8, rax, rsi));
    GOLDEN("88c8", mov(b8, rax, rcx));
    GOLDEN("408836", mov(b8, at(rsi), rsi));
    GOLDEN("8806", mov(b8, at(rsi), rax));
    GOLDEN("400fb6c4", movzx(b8, rax, rsp));
    GOLDEN("0fb6e0", movzx(b8, rsp, rax));
    GOLDEN("0fb626", movzx(b8, rsp, at(rsi)));
    GOLDEN("400f94c7", setcc(Condition::e, rdi));
    GOLDEN("0f9407", setcc(Condition::e, at(rdi)));
    GOLDEN("f6d8", neg(b8, rax));
    GOLDEN("40f6df", neg(b8, rdi));
    GOLDEN("f0400fc030", lock_xadd(b8, at(rax), rsi));
}

TEST(Encoding, AddressesOfAwkwardRegisters) {
    GOLDEN("488903", mov(b64, at(rbx), rax));
    GOLDEN("48890424", mov(b64, at(rsp), rax));
    GOLDEN("49890424", mov(b64, at(r12), rax));
    GOLDEN("48894500", mov(b64, at(rbp), rax));
    GOLDEN("49894500", mov(b64, at(r13), rax));
    GOLDEN("4989442d00", mov(b64, at(r13, rbp), rax));
    GOLDEN("4889042b", mov(b64, at(rbx, rbp), rax));
    GOLDEN("4a8944e480", mov(b64, at(rsp, r12, 8, -128), rax));
    GOLDEN("4889437f", mov(b64, at(rbx, 127), rax));
    GOLDEN("48898380000000", mov(b64, at(rbx, 128), rax));
    GOLDEN("4889837fffffff", mov(b64, at(rbx, -129), rax));
}

TEST(Encoding, ImmediatesOfEightBitsAndTheAccumulator) {
    GOLDEN("4883c07f", add(b64, rax, 127));
    GOLDEN("480580000000", add(b64, rax, 128));
    GOLDEN("4881c180000000", add(b64, rcx, 128));
    GOLDEN("83c0ff", add(b32, rax, 0xffffffff));
    GOLDEN("6683c8f0", or_(b16, rax, 0xfff0));
    GOLDEN("24f0", and_(b8, rax, 0xf0));
    GOLDEN("80e1f0", and_(b8, rcx, 0xf0));
    GOLDEN("83780880", cmp(b32, at(rax, 8), -128));
    GOLDEN("66817808ff00", cmp(b16, at(rax, 8), 255));
    GOLDEN("a804", test(b8, rax, 4));
    GOLDEN("41f7c104000000", test(b32, r9, 4));
    GOLDEN("48d1e0", shl(b64, rax, 1));
    GOLDEN("48c1e002", shl(b64, rax, 2));
    GOLDEN("6bc1f6", imul(b32, rax, rcx, -10));
    GOLDEN("69c110270000", imul(b32, rax, rcx, 10000));
    GOLDEN("4891", xchg(b64, rax, rcx));
    GOLDEN("4190", xchg(b32, r8, rax));
    GOLDEN("6693", xchg(b16, rbx, rax));
    GOLDEN("87c0", xchg(b32, rax, rax));
    GOLDEN("86c8", xchg(b8, rax, rcx));
    GOLDEN("6aff", push(-1));
    GOLDEN("6880000000", push(128));
    GOLDEN("4154", push(r12));
    GOLDEN("415c", pop(r12));
}

TEST(Encoding, PrefixesInTheirOrder) {
    GOLDEN("66f3450fb801", popcnt(b16, r8, at(r9)));
    GOLDEN("f24d0f2cf9", cvttsd2si(b64, r15, xmm9));
    GOLDEN("f0480fc70e", lock_cmpxchg16b(at(rsi)));
    GOLDEN("664c0f3a161701", pextrq(at(rdi), xmm10, 1));
    GOLDEN("660fc4c807", pinsrw(xmm1, rax, 7));
    GOLDEN("66410f73f03f", psllq(xmm8, 63));
    GOLDEN("41ffe3", jmp(r11));
    GOLDEN("ff5508", call(at(rbp, 8)));
}

TEST(Encoding, VexInTwoBytesWhereItFits) {
    GOLDEN("c57358c2", vaddsd(xmm8, xmm1, xmm2));
    GOLDEN("c4c17358c0", vaddsd(xmm0, xmm1, xmm8));
    GOLDEN("c5ab58442408", vaddsd(xmm0, xmm10, at(rsp, 8)));
    GOLDEN("c4a1735804c8", vaddsd(xmm0, xmm1, at(rax, r9, 8)));
    GOLDEN("c5f828c1", vmovaps(xmm0, xmm1));
    GOLDEN("c4e2f1b9c2", vfmadd231sd(xmm0, xmm1, xmm2));
    GOLDEN("c4e281f70451", shlx(b64, rax, at(rcx, rdx, 2), r15));
    GOLDEN("c442abf6cb", mulx(b64, r9, r10, r11));
    GOLDEN("c4e1f96ec0", vmovq(xmm0, rax));
    GOLDEN("c57829c1", vmovaps(xmm1, xmm8));
    GOLDEN("c57828c1", vmovaps(xmm8, xmm1));
    GOLDEN("c4417828c9", vmovaps(xmm9, xmm9));
    GOLDEN("c57a11c9", vmovss(xmm1, xmm0, xmm9));
    GOLDEN("c579d6c9", vmovq(xmm1, xmm9));
}

TEST(Encoding, AnImmediateBehindALabelsDisplacement) {
    EXPECT_EQ(encoded([](Assembler& a) {
                  const Label here = a.make_label();
                  a.bind(here);
                  a.cmp(b32, at(here), 5);
                  a.cmp(b32, at(here), 0x500);
                  a.cmp(b16, at(here), 0x500);
                  a.lea(b64, rax, at(here));
                  a.roundsd(xmm0, at(here), 4);
              }),
              "833df9ffffff05"
              "813defffffff00050000"
              "66813de6ffffff0005"
              "488d05dfffffff"
              "660f3a0b05d5ffffff04");
}

TEST(Encoding, HostFunctionsAreCalledByAbsoluteAddress) {
    Assembler a;
    a.nop(3);
    const usize at_address = a.call_absolute(0x1122334455667788);
    EXPECT_EQ(hex(a.finish()), "0f1f0048b88877665544332211ffd0");
    EXPECT_EQ(load_le<u64>(a.code().data() + at_address), 0x1122334455667788u);
}

TEST(Operands, InvertedConditions) {
    using enum Condition;
    constexpr std::pair<Condition, Condition> pairs[] = {{o, no}, {b, ae}, {e, ne}, {be, a},
                                                         {s, ns}, {p, np}, {l, ge}, {le, g}};
    for (const auto& [x, y] : pairs) {
        EXPECT_EQ(invert(x), y);
        EXPECT_EQ(invert(y), x);
    }
    static_assert(sizeof(Mem) == 8);
}

// What a jump at `from` bytes behind its bound label becomes.
template <class Jump>
std::string jump_back(usize from, Jump jump) {
    Assembler a;
    const Label label = a.make_label();
    a.bind(label);
    a.nop(from);
    jump(a, label);
    return hex(a.finish().subspan(from));
}

TEST(Labels, JumpsBackAreShortWhereTheyReach) {
    const auto jmp = [](Assembler& a, Label to) { a.jmp(to); };
    EXPECT_EQ(jump_back(0, jmp), "ebfe");
    EXPECT_EQ(jump_back(126, jmp), "eb80");
    EXPECT_EQ(jump_back(127, jmp), "e97cffffff");
    const auto jcc = [](Assembler& a, Label to) { a.jcc(Condition::g, to); };
    EXPECT_EQ(jump_back(126, jcc), "7f80");
    EXPECT_EQ(jump_back(127, jcc), "0f8f7bffffff");
    EXPECT_EQ(jump_back(0, [](Assembler& a, Label to) { a.call(to); }), "e8fbffffff");
}

TEST(Labels, JumpsForwardAreFixedUp) {
    for (const usize between : {0, 1, 127, 128, 70000}) {
        Assembler a;
        const Label label = a.make_label();
        EXPECT_FALSE(a.bound(label));
        a.jmp(label);
        a.jcc(Condition::b, label);
        a.call(label);
        a.lea(b64, rax, at(label));
        a.nop(between);
        a.bind(label);
        EXPECT_TRUE(a.bound(label));
        EXPECT_EQ(a.offset(label), 23 + between);
        const u8* code = a.finish().data();
        EXPECT_EQ(load_le<u32>(code + 1), 18 + between);
        EXPECT_EQ(load_le<u32>(code + 7), 12 + between);
        EXPECT_EQ(load_le<u32>(code + 12), 7 + between);
        EXPECT_EQ(load_le<u32>(code + 19), between);
    }
}

TEST(Labels, ShortJumpsForwardOnRequest) {
    for (const usize between : {0, 1, 127}) {
        Assembler a;
        const Label label = a.make_label();
        a.jcc(Condition::np, label, Reach::rel8);
        a.nop(between);
        a.bind(label);
        a.jmp(label, Reach::rel8);
        EXPECT_EQ(hex(a.finish().first(2)), fmt::format("7b{:02x}", between));
    }
}

TEST(Labels, CodeMayGoOnAfterFinish) {
    Assembler a;
    const Label first = a.make_label(), second = a.make_label();
    a.jmp(first);
    a.bind(first);
    a.finish();
    a.jmp(second);
    a.bind(second);
    EXPECT_EQ(hex(a.finish()), "e900000000e900000000");
    EXPECT_EQ(hex(a.finish()), "e900000000e900000000");
}

// A label in every place, jumps from every place to random ones: the disassembler finds the same targets.
TEST(Labels, ManyAtRandom) {
    std::mt19937_64 random{7};
    Assembler a;
    std::vector<Label> labels(500);
    for (Label& label : labels) label = a.make_label();
    std::vector<Label> targets;
    for (const Label here : labels) {
        a.bind(here);
        targets.push_back(labels[random() % labels.size()]);
        if (random() % 2)
            a.jmp(targets.back());
        else
            a.jcc(static_cast<Condition>(random() % 16), targets.back());
    }
    const auto lines = disassemble(a.finish());
    ASSERT_EQ(lines.size(), labels.size());
    for (usize i = 0; i < lines.size(); ++i) {
        EXPECT_EQ(lines[i].offset, a.offset(labels[i]));
        const std::string& text = lines[i].text;
        EXPECT_EQ(text[0], 'j');
        EXPECT_EQ(text.substr(text.find(' ') + 1), fmt::format("{:#x}", a.offset(targets[i])));
    }
}

TEST(Padding, NopsAreFewAndOfTheRightLength) {
    for (usize bytes = 0; bytes <= 40; ++bytes) {
        Assembler a;
        a.nop(bytes);
        a.ret();
        const auto code = a.finish();
        ASSERT_EQ(code.size(), bytes + 1);
        const auto lines = disassemble(code);
        ASSERT_EQ(lines.size(), (bytes + 8) / 9 + 1);
        for (usize i = 0; i + 1 < lines.size(); ++i) {
            EXPECT_TRUE(lines[i].text.starts_with("nop") || lines[i].text == "xchg ax,ax") << lines[i].text;
        }
        EXPECT_EQ(lines.back().offset, bytes);
    }
}

TEST(Padding, AlignsAndHoldsData) {
    Assembler a;
    a.ret();
    a.align(16);
    EXPECT_EQ(a.size(), 16u);
    a.align(16);
    EXPECT_EQ(a.size(), 16u);
    const u8 bytes[] = {1, 2, 3};
    a.db(bytes);
    a.db({});
    a.dd(0x07060504);
    a.dq(0x0f0e0d0c0b0a0908);
    EXPECT_EQ(hex(a.finish().subspan(16)), "0102030405060708090a0b0c0d0e0f");
}

TEST(Patching, DisplacementsAreAligned) {
    const std::pair<std::function<usize(Assembler&)>, std::string> kinds[] = {
        {[](Assembler& a) { return a.jmp_rel32_placeholder(); }, "e9"},
        {[](Assembler& a) { return a.jcc_rel32_placeholder(Condition::s); }, "0f88"},
        {[](Assembler& a) { return a.call_rel32_placeholder(); }, "e8"},
    };
    for (const auto& [emit, opcode] : kinds) {
        for (usize before = 0; before < 8; ++before) {
            Assembler a;
            for (usize i = 0; i < before; ++i) a.int3();
            const usize offset = emit(a);
            EXPECT_EQ(offset % 4, 0u);
            EXPECT_LT(offset, before + opcode.size() / 2 + 4);
            EXPECT_EQ(a.size(), offset + 4);
            const usize length = opcode.size() / 2;
            EXPECT_EQ(hex(a.finish().subspan(offset - length)), opcode + "00000000");
            // The padding is one nop at most.
            EXPECT_EQ(disassemble(a.code()).size(), before + 1 + (offset - length != before));
        }
    }
}

TEST(Patching, WritesTheDistance) {
    alignas(4) u8 code[8] = {0x90, 0x90, 0x90, 0xe9, 0xff, 0xff, 0xff, 0xff};
    Assembler::patch_rel32(code + 4, -8);
    EXPECT_EQ(hex(code), "909090e9f8ffffff");
    Assembler::patch_rel32(code + 4, 0x7fffffff);
    EXPECT_EQ(hex(code), "909090e9ffffff7f");
}

TEST(Buffer, GrowsAndKeepsWhatItHas) {
    Assembler a;
    const Label end = a.make_label();
    for (u32 i = 0; i < 100000; ++i) a.mov(b32, rax, i);
    a.jmp(end);
    a.bind(end);
    const auto code = a.finish();
    ASSERT_EQ(code.size(), 500005u);
    for (u32 i = 0; i < 100000; ++i) ASSERT_EQ(load_le<u32>(code.data() + 5 * i + 1), i);
}

TEST(Buffer, MayBeBorrowedAndUsedAgain) {
    std::vector<u8> buffer{1, 2, 3};
    Assembler a(buffer);
    a.finish();
    EXPECT_TRUE(buffer.empty());
    a.ret();
    a.finish();
    EXPECT_EQ(hex(buffer), "c3");
    a.int3();
    a.finish();
    EXPECT_EQ(hex(buffer), "c3cc");
    std::vector<u8> taken;
    taken.swap(buffer);
    a.clear();
    EXPECT_EQ(a.size(), 0u);
    a.ud2();
    a.finish();
    EXPECT_EQ(hex(buffer), "0f0b");
    EXPECT_EQ(hex(taken), "c3cc");
}

TEST(Buffer, ClearForgetsLabels) {
    Assembler a;
    const Label old = a.make_label();
    a.jmp(old);  // never bound
    a.clear();
    const Label label = a.make_label();
    a.bind(label);
    a.jmp(label);
    EXPECT_EQ(hex(a.finish()), "ebfe");
}

using RefusesDeathTest = testing::Test;

TEST(RefusesDeathTest, OperandsThatCannotBeEncoded) {
    Assembler a;
    EXPECT_DEATH(a.add(b8, rcx, 256), "beyond 8 bits");
    EXPECT_DEATH(a.mov(b16, rcx, -0x8001), "beyond 16 bits");
    EXPECT_DEATH(a.cmp(b32, rcx, 0x100000000), "beyond 32 bits");
    EXPECT_DEATH(a.and_(b64, rcx, 0x80000000), "sign-extend");
    EXPECT_DEATH(a.mov(b64, at(rax), 0x80000000), "sign-extend");
    EXPECT_DEATH(a.shl(b16, rcx, 16), "as far as");
    EXPECT_DEATH(a.shld(b64, rcx, rax, 64), "as far as");
    EXPECT_DEATH(a.bt(b32, rcx, 32u), "beyond its operand");
    EXPECT_DEATH(a.lea(b64, rax, at(rax, rsp)), "index");
    EXPECT_DEATH(a.lea(b64, rax, at(rax, rcx, 3)), "scale");
    EXPECT_DEATH(a.align(3), "power of two");
}

TEST(RefusesDeathTest, WrongUseOfLabels) {
    Assembler a;
    const Label label = a.make_label();
    EXPECT_DEATH(a.jmp(Label{}), "another Assembler");
    EXPECT_DEATH(a.bind(Label{1}), "another Assembler");
    EXPECT_DEATH(a.offset(label), "not bound");
    EXPECT_DEATH(
        {
            a.lea(b64, rax, at(label));
            a.finish();
        },
        "not bound");
    EXPECT_DEATH(
        {
            a.jmp(label, Reach::rel8);
            a.nop(128);
            a.bind(label);
            a.finish();
        },
        "does not reach");
    a.bind(label);
    EXPECT_DEATH(a.bind(label), "bound twice");
}

TEST(RefusesDeathTest, PatchesThatWouldNotBeAtomicOrDoNotReach) {
    alignas(4) u8 code[8] = {};
    EXPECT_DEATH(Assembler::patch_rel32(code + 1, 0), "atomically");
    EXPECT_DEATH(Assembler::patch_rel32(code, i64{1} << 31), "2 GiB");
}

}  // namespace
}  // namespace viv::jit::x64::test
