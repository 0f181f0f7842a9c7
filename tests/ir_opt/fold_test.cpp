// fold in text, one line a rule: an expression over a:i64, b:i64, w:i32, v:i32, h:i16, y:i8, p:i1, q:i1 and wide:i128,
// and what it becomes. Superfluous instructions are dropped on both sides.
#include <fmt/format.h>

#include "tests/ir_opt/passes_bench.h"

namespace viv::ir::opt::test {
namespace {

std::string slot_of(std::string_view lines) {
    const usize last = lines.rfind("%r:");
    const std::string_view type = lines.substr(last + 3, lines.find(' ', last) - last - 3);
    if (type == "i1") return "bit_b";
    if (type == "i8") return "byte_b";
    if (type == "i16") return "half_b";
    if (type == "i32") return "word_b";
    return type == "i64" ? "b" : "wide_b";
}

// Lines are separated by ';', and the last makes %r, which the state keeps.
void folds(std::string_view before, std::string_view after) {
    const auto whole = [](std::string_view lines) {
        std::string text = inputs;
        for (const char c : lines) text += c == ';' ? '\n' : c;
        return text + fmt::format("\nset {}, %r\nleave\n", slot_of(lines));
    };
    const SlotTable table = overlapping_slots();
    Passes passes({.verify = &table});
    const Block original = block_of(whole(before), table);
    Block block = original, wanted = block_of(whole(after), table);
    passes.fold(block);
    passes.dead(block);
    EXPECT_TRUE(mean_the_same(original, block)) << before;
    passes.dead(wanted);
    EXPECT_EQ(print(block, table), print(wanted, table)) << before;
}
// To one of the inputs.
void folds_to(std::string_view before, std::string_view input) {
    std::string text = inputs;
    for (const char c : before) text += c == ';' ? '\n' : c;
    const std::string slot = slot_of(before);
    const SlotTable table = overlapping_slots();
    Passes passes({.verify = &table});
    const Block original = block_of(text + fmt::format("\nset {}, %r\nleave\n", slot), table);
    Block block = original;
    Block wanted = block_of(std::string(inputs) + fmt::format("set {}, {}\nleave\n", slot, input), table);
    passes.fold(block);
    passes.dead(block);
    EXPECT_TRUE(mean_the_same(original, block)) << before;
    passes.dead(wanted);
    EXPECT_EQ(print(block, table), print(wanted, table)) << before;
}

TEST(Fold, ConstantsAreComputed) {
    folds("%x:i32 = constant 0x7fffffff;%z:i32 = constant 0x1;%r:i32 = add %x, %z", "%r:i32 = constant 0x80000000");
    folds("%x:i64 = constant 0x10;%z:i64 = constant 0x0;%r:i64 = divu %x, %z", "%r:i64 = constant 0xffffffffffffffff");
    folds("%x:i128 = constant 0x10000000000000000;%z:i128 = constant 0x1;%r:i128 = sub %x, %z",
          "%r:i128 = constant 0xffffffffffffffff");
    folds("%x:i128 = constant 0xff00000001;%z:i128 = constant 0x100000001;%r:i128 = lanes.i32 add %x, %z",
          "%r:i128 = constant 0x10000000002");
    folds("%x:i16 = constant 0x1234;%r:i128 = splat %x", "%r:i128 = constant 0x12341234123412341234123412341234");
    folds("%x:i128 = constant 0x50;%r:i128 = expand_bits.i32 4, %x", "%r:i128 = constant 0xffffffff00000000ffffffff");
    folds("%x:i128 = constant 0xff;%z:i128 = constant 0x8000000000000000;%r:i128 = insert_bits.i64 2, %x, %z",
          "%r:i128 = constant 0xf7");
    folds("%x:i64 = constant 0x9;%r:i128 = lane_mask.i16 7, %x", "%r:i128 = constant 0xffffffff");
    folds("%x:i8 = constant 0x80;%r:i64 = sext %x", "%r:i64 = constant 0xffffffffffffff80");
    folds("%x:i16 = constant 0x8001;%r:i16 = clz %x", "%r:i16 = constant 0x0");
    folds("%x:i32 = constant 0xffffffff;%z:i32 = constant 0x0;%r:i1 = lts.i32 %x, %z", "%r:i1 = constant 0x1");
    folds("%x:i32 = constant 0x7fc00000;%r:i16 = float_classify %x", "%r:i16 = constant 0x200");
}

TEST(Fold, ConstantsGoToTheRight) {
    folds("%x:i64 = constant 0x5;%r:i64 = add %x, %a", "%x:i64 = constant 0x5;%r:i64 = add %a, %x");
    folds("%x:i64 = constant 0x5;%r:i1 = eq.i64 %x, %a", "%x:i64 = constant 0x5;%r:i1 = eq.i64 %a, %x");
    folds("%x:i64 = constant 0x5;%r:i1 = ltu.i64 %x, %a", "%x:i64 = constant 0x6;%r:i1 = geu.i64 %a, %x");
    folds("%x:i64 = constant 0x5;%r:i1 = ges.i64 %x, %a", "%x:i64 = constant 0x6;%r:i1 = lts.i64 %a, %x");
    folds("%x:i64 = constant 0xffffffffffffffff;%r:i1 = ltu.i64 %x, %a", "%r:i1 = constant 0x0");
    folds("%x:i64 = constant 0x7fffffffffffffff;%r:i1 = ges.i64 %x, %a", "%r:i1 = constant 0x1");
}

TEST(Fold, SumsHaveOneConstant) {
    folds("%c:i64 = constant 0x10;%x:i64 = add %a, %c;%d:i64 = constant 0xfffffffffffffff8;%r:i64 = add %x, %d",
          "%c:i64 = constant 0x8;%r:i64 = add %a, %c");
    folds_to("%c:i64 = constant 0x10;%x:i64 = add %a, %c;%r:i64 = sub %x, %c", "%a");
    folds("%c:i64 = constant 0x10;%r:i64 = sub %a, %c", "%c:i64 = constant 0xfffffffffffffff0;%r:i64 = add %a, %c");
    folds_to("%c:i64 = constant 0x10;%x:i64 = sub %c, %a;%r:i64 = sub %c, %x", "%a");
}

TEST(Fold, NeutralElements) {
    folds_to("%c:i64 = constant 0x0;%r:i64 = add %a, %c", "%a");
    folds_to("%c:i64 = constant 0xffffffffffffffff;%r:i64 = and %a, %c", "%a");
    folds_to("%c:i64 = constant 0x0;%r:i64 = or %a, %c", "%a");
    folds_to("%c:i64 = constant 0x40;%r:i64 = shl %a, %c", "%a");
    folds_to("%c:i64 = constant 0x1;%r:i64 = mul %c, %a", "%a");
    folds_to("%c:i64 = constant 0x0;%r:i64 = remu %a, %c", "%a");
    folds_to("%c:i32 = constant 0x7fffffff;%r:i32 = mins %w, %c", "%w");
    folds_to("%r:i64 = and %a, %a", "%a");
    folds_to("%x:i64 = not %a;%r:i64 = not %x", "%a");
    folds_to("%x:i64 = neg %a;%r:i64 = neg %x", "%a");
}

TEST(Fold, AbsorbingElements) {
    folds("%r:i64 = xor %a, %a", "%r:i64 = constant 0x0");
    folds("%r:i64 = sub %a, %a", "%r:i64 = constant 0x0");
    folds("%c:i64 = constant 0x0;%r:i64 = mul %a, %c", "%r:i64 = constant 0x0");
    folds("%c:i64 = constant 0x1;%r:i64 = mulhu %a, %c", "%r:i64 = constant 0x0");
    folds("%c:i64 = constant 0x1;%r:i64 = rems %a, %c", "%r:i64 = constant 0x0");
    folds("%c:i32 = constant 0xffffffff;%r:i32 = maxu %w, %c", "%r:i32 = constant 0xffffffff");
    folds("%r:i1 = geu.i64 %a, %a", "%r:i1 = constant 0x1");
    folds("%c:i64 = constant 0x0;%r:i1 = ltu.i64 %a, %c", "%r:i1 = constant 0x0");
}

TEST(Fold, PowersOfTwoAreShifts) {
    folds("%c:i64 = constant 0x8;%r:i64 = mul %a, %c", "%c:i64 = constant 0x3;%r:i64 = shl %a, %c");
    folds("%c:i64 = constant 0x8;%r:i64 = divu %a, %c", "%c:i64 = constant 0x3;%r:i64 = shr %a, %c");
    folds("%c:i64 = constant 0x8;%r:i64 = remu %a, %c", "%c:i64 = constant 0x7;%r:i64 = and %a, %c");
    folds("%c:i64 = constant 0x8;%r:i64 = mulhu %a, %c", "%c:i64 = constant 0x3d;%r:i64 = shr %a, %c");
    folds("%c:i64 = constant 0x1;%r:i64 = mulhs %a, %c", "%c:i64 = constant 0x3f;%r:i64 = sar %a, %c");
    // As a signed number it is negative.
    folds("%c:i64 = constant 0x8000000000000000;%r:i64 = mulhs %a, %c",
          "%c:i64 = constant 0x8000000000000000;%r:i64 = mulhs %a, %c");
}

TEST(Fold, ChainsOfExtensions) {
    folds_to("%x:i64 = sext %w;%r:i32 = trunc %x", "%w");
    folds("%x:i64 = sext %w;%r:i16 = trunc %x", "%r:i16 = trunc %w");
    // The low part of what has been extended is there for nothing.
    folds("%x:i64 = zext %y;%r:i32 = trunc %x", "%x:i64 = zext %y;%r:i32 = trunc %x");
    folds("%x:i64 = sext %y;%r:i32 = trunc %x", "%x:i64 = sext %y;%r:i32 = trunc %x");
    folds("%x:i64 = zext %p;%r:i8 = trunc %x", "%x:i64 = zext %p;%r:i8 = trunc %x");
    folds("%x:i32 = sext %y;%r:i64 = sext %x", "%r:i64 = sext %y");
    folds("%x:i32 = zext %y;%r:i64 = sext %x", "%r:i64 = zext %y");
    folds("%x:i64 = sext %w;%t:i32 = trunc %x;%r:i64 = sext %t", "%r:i64 = sext %w");
    folds("%x:i64 = zext %h;%t:i32 = trunc %x;%r:i64 = zext %t", "%r:i64 = zext %h");
}

TEST(Fold, ExtensionsOfWhatIsExtendedAlready) {
    folds("%c:i64 = constant 0x7f;%x:i64 = and %a, %c;%t:i8 = trunc %x;%r:i64 = zext %t",
          "%c:i64 = constant 0x7f;%r:i64 = and %a, %c");
    folds("%c:i64 = constant 0x7f;%x:i64 = and %a, %c;%t:i8 = trunc %x;%r:i64 = sext %t",
          "%c:i64 = constant 0x7f;%r:i64 = and %a, %c");
    folds("%x:i64 = sext %w;%z:i64 = sext %v;%s:i64 = xor %x, %z;%t:i32 = trunc %s;%r:i64 = sext %t",
          "%x:i32 = xor %w, %v;%r:i64 = sext %x");
    folds("%x:i64 = zext %y;%c:i64 = constant 0xff;%r:i64 = and %x, %c", "%r:i64 = zext %y");
}

TEST(Fold, MasksAndShiftsThatExtend) {
    folds("%c:i64 = constant 0xffffffff;%r:i64 = and %a, %c", "%t:i32 = trunc %a;%r:i64 = zext %t");
    folds("%c:i64 = constant 0x20;%x:i64 = shl %a, %c;%r:i64 = shr %x, %c", "%t:i32 = trunc %a;%r:i64 = zext %t");
    folds("%c:i64 = constant 0x38;%x:i64 = shl %a, %c;%r:i64 = sar %x, %c", "%t:i8 = trunc %a;%r:i64 = sext %t");
    folds("%c:i64 = constant 0x20;%d:i64 = constant 0x1d;%x:i64 = shl %a, %c;%r:i64 = shr %x, %d",
          "%t:i32 = trunc %a;%e:i64 = zext %t;%c:i64 = constant 0x3;%r:i64 = shl %e, %c");
    folds("%c:i64 = constant 0x3;%x:i64 = shr %a, %c;%r:i64 = shl %x, %c",
          "%c:i64 = constant 0xfffffffffffffff8;%r:i64 = and %a, %c");
    folds("%c:i64 = constant 0x3;%d:i64 = constant 0x4;%x:i64 = shr %a, %c;%r:i64 = shr %x, %d",
          "%c:i64 = constant 0x7;%r:i64 = shr %a, %c");
    folds("%c:i64 = constant 0x3f;%x:i64 = and %b, %c;%r:i64 = sar %a, %x", "%r:i64 = sar %a, %b");
    // What is above the word is masked away.
    folds("%x:i64 = sext %w;%c:i64 = constant 0xf;%r:i64 = and %x, %c",
          "%c:i32 = constant 0xf;%s:i32 = and %w, %c;%r:i64 = zext %s");
    folds("%x:i64 = sext %w;%c:i64 = constant 0xffffffff;%r:i64 = and %x, %c", "%r:i64 = zext %w");
    const char* sign = "%x:i64 = sext %w;%c:i64 = constant 0x1ffffffff;%r:i64 = and %x, %c";
    folds(sign, sign);
}

TEST(Fold, ExtensionsThatAreNeededStay) {
    // A sum of two words has 33 bits.
    const char* sum = "%x:i64 = sext %w;%z:i64 = sext %v;%s:i64 = add %x, %z;%t:i32 = trunc %s;%r:i64 = sext %t";
    folds(sum, sum);
    const char* nine = "%c:i64 = constant 0x1ff;%x:i64 = and %a, %c;%t:i8 = trunc %x;%r:i64 = zext %t";
    folds(nine, "%t:i8 = trunc %a;%r:i64 = zext %t");
    const char* eight = "%x:i64 = zext %y;%t:i8 = trunc %x;%r:i64 = sext %t";
    folds(eight, "%r:i64 = sext %y");
}

// The patterns of 32-bit instructions on 64-bit registers: one addition, one extension.
TEST(Fold, WordsStayWords) {
    folds("%x:i32 = trunc %a;%z:i32 = trunc %b;%s:i32 = add %x, %z;%r:i64 = sext %s",
          "%x:i32 = trunc %a;%z:i32 = trunc %b;%s:i32 = add %x, %z;%r:i64 = sext %s");
    folds(
        "%x:i32 = trunc %a;%c:i32 = constant 0x1;%s:i32 = add %x, %c;%e:i64 = sext %s;%t:i32 = trunc %e;%u:i32 = add "
        "%t, "
        "%c;%r:i64 = sext %u",
        "%x:i32 = trunc %a;%c:i32 = constant 0x2;%s:i32 = add %x, %c;%r:i64 = sext %s");
    // sext.w
    folds("%x:i32 = trunc %a;%c:i32 = constant 0x0;%s:i32 = add %x, %c;%r:i64 = sext %s",
          "%x:i32 = trunc %a;%r:i64 = sext %x");
}

TEST(Fold, Comparisons) {
    folds_to("%x:i64 = zext %p;%c:i64 = constant 0x0;%r:i1 = ne.i64 %x, %c", "%p");
    folds("%x:i64 = zext %p;%c:i64 = constant 0x0;%r:i1 = eq.i64 %x, %c", "%r:i1 = not %p");
    folds("%x:i64 = zext %p;%c:i64 = constant 0x2;%r:i1 = eq.i64 %x, %c", "%r:i1 = constant 0x0");
    folds("%l:i1 = lts.i64 %a, %b;%x:i64 = zext %l;%c:i64 = constant 0x1;%r:i64 = xor %x, %c",
          "%l:i1 = ges.i64 %a, %b;%r:i64 = zext %l");
    folds("%c:i64 = constant 0x1;%r:i1 = ltu.i64 %a, %c", "%c:i64 = constant 0x0;%r:i1 = eq.i64 %a, %c");
    folds("%c:i64 = constant 0x0;%r:i1 = ltu.i64 %c, %a", "%c:i64 = constant 0x0;%r:i1 = ne.i64 %a, %c");
    folds("%x:i64 = xor %a, %b;%c:i64 = constant 0x0;%r:i1 = eq.i64 %x, %c", "%r:i1 = eq.i64 %a, %b");
    folds("%x:i64 = zext %y;%c:i64 = constant 0x100;%r:i1 = ltu.i64 %x, %c", "%r:i1 = constant 0x1");
    folds("%x:i64 = zext %y;%c:i64 = constant 0x41;%r:i1 = lts.i64 %x, %c",
          "%x:i64 = zext %y;%c:i64 = constant 0x41;%r:i1 = ltu.i64 %x, %c");
    folds("%l:i1 = eq.i64 %a, %b;%r:i1 = not %l", "%r:i1 = ne.i64 %a, %b");
}

TEST(Fold, Selects) {
    folds_to("%c:i1 = constant 0x1;%r:i64 = select %c, %a, %b", "%a");
    folds_to("%r:i64 = select %p, %a, %a", "%a");
    folds("%n:i1 = not %p;%r:i64 = select %n, %a, %b", "%r:i64 = select %p, %b, %a");
    folds("%c:i64 = constant 0x1;%d:i64 = constant 0x0;%r:i64 = select %p, %c, %d", "%r:i64 = zext %p");
    folds("%c:i1 = constant 0x1;%r:i1 = select %p, %c, %q", "%r:i1 = or %p, %q");
    folds("%x:i64 = select %p, %a, %b;%r:i64 = select %p, %x, %b", "%r:i64 = select %p, %a, %b");
    // A conditional move made of two conditional zeroes.
    folds("%c:i64 = constant 0x0;%x:i64 = select %p, %a, %c;%z:i64 = select %p, %c, %b;%r:i64 = or %x, %z",
          "%r:i64 = select %p, %a, %b");
}

// A binary32 in a binary64's register: whether it is boxed is known if it has just been made.
TEST(Fold, ABoxIsOpened) {
    folds_to(
        "%e:i64 = zext %w;%c:i64 = constant 0xffffffff00000000;%box:i64 = or %e, %c;%m:i64 = constant 0xffffffff;"
        "%o:i64 = or %box, %m;%all:i64 = constant 0xffffffffffffffff;%is:i1 = eq.i64 %o, %all;%t:i32 = trunc %box;"
        "%nan:i32 = constant 0x7fc00000;%r:i32 = select %is, %t, %nan",
        "%w");
}

TEST(Fold, ShiftsThatMeetAreARotation) {
    const char* const rotation = "%c:i32 = constant 0xf;%r:i32 = rotl %w, %c";
    folds("%c:i32 = constant 0xf;%d:i32 = constant 0x11;%x:i32 = shl %w, %c;%z:i32 = shr %w, %d;%r:i32 = or %x, %z",
          rotation);
    folds("%c:i32 = constant 0xf;%d:i32 = constant 0x11;%x:i32 = shl %w, %c;%z:i32 = shr %w, %d;%r:i32 = xor %z, %x",
          rotation);
    const char* const other =
        "%c:i32 = constant 0xf;%d:i32 = constant 0x10;%x:i32 = shl %w, %c;%z:i32 = shr %w, %d;"
        "%r:i32 = or %x, %z";
    folds(other, other);
    // As a guest that keeps words sign-extended does it.
    folds(
        "%c:i32 = constant 0xf;%d:i32 = constant 0x11;%x:i32 = shl %w, %c;%e:i64 = sext %x;%z:i32 = shr %w, %d;"
        "%f:i64 = sext %z;%r:i64 = or %e, %f",
        "%c:i32 = constant 0xf;%x:i32 = rotl %w, %c;%r:i64 = sext %x");
}

TEST(Fold, ExtensionsMoveOut) {
    folds("%x:i64 = sext %w;%z:i64 = sext %v;%r:i64 = and %x, %z", "%x:i32 = and %w, %v;%r:i64 = sext %x");
    folds("%x:i64 = zext %w;%z:i64 = zext %v;%r:i64 = xor %x, %z", "%x:i32 = xor %w, %v;%r:i64 = zext %x");
    const char* const mixed = "%x:i64 = zext %w;%z:i64 = sext %v;%r:i64 = or %x, %z";
    folds(mixed, mixed);
    const char* const widths = "%x:i64 = zext %w;%z:i64 = zext %h;%r:i64 = or %x, %z";
    folds(widths, widths);
}

TEST(Fold, KnownBranchesAreJumps) {
    becomes({&Passes::quick}, "%p:i1 = constant 0x1\nbranch %p, 0x2000, 0x3000\n", "jump 0x2000\n");
    becomes({&Passes::quick}, "%p:i1 = constant 0x0\nbranch %p, 0x2000, 0x3000\n", "jump 0x3000\n");
    becomes({&Passes::quick}, "%p:i1 = get bit_a\nbranch %p, 0x2000, 0x2000\n", "jump 0x2000\n");
    becomes({&Passes::quick}, "%p:i1 = get bit_a\n%n:i1 = not %p\nbranch %n, 0x2000, 0x3000\n",
            "%p:i1 = get bit_a\nbranch %p, 0x3000, 0x2000\n");
    becomes({&Passes::quick}, "%x:i64 = address 0x2000\njump_indirect %x return\n", "jump 0x2000 return\n");
    // Where the code runs does not move what a constant says.
    becomes({&Passes::quick}, "%x:i64 = constant 0x2000\njump_indirect %x return\n",
            "%x:i64 = constant 0x2000\njump_indirect %x return\n");
}

TEST(Fold, Addresses) {
    folds("%x:i64 = address 0x1f00;%c:i64 = constant 0x101;%r:i64 = add %x, %c", "%r:i64 = address 0x2001");
    // The low bits are the same wherever the page is mapped.
    folds("%x:i64 = address 0x2001;%c:i64 = constant 0xfffffffffffffffe;%r:i64 = and %x, %c",
          "%r:i64 = address 0x2000");
    folds("%x:i64 = address 0x2ff8;%c:i64 = constant 0x7;%r:i64 = and %x, %c", "%r:i64 = constant 0x0");
    folds("%x:i64 = address 0x2ff8;%c:i64 = constant 0xffff00000000;%r:i64 = and %x, %c",
          "%x:i64 = address 0x2ff8;%c:i64 = constant 0xffff00000000;%r:i64 = and %x, %c");
}

}  // namespace
}  // namespace viv::ir::opt::test
