// share, dead, the pipelines and uses in text: what goes, what stays, and what several passes make together.
#include "engine/ir/opt/uses.h"
#include "tests/ir_opt/passes_bench.h"

namespace viv::ir::opt::test {
namespace {

TEST(Share, TheSameAgainIsTheFirst) {
    becomes({&Passes::share}, R"(
%x:i64 = get a
%y:i64 = get b
%s:i64 = add %x, %y
%t:i64 = add %y, %x
%d:i64 = sub %x, %y
%e:i64 = sub %y, %x
%m:i64 = mul %s, %t
set a, %m
set b, %d
set pc, %e
leave
)",
            R"(
%x:i64 = get a
%y:i64 = get b
%s:i64 = add %x, %y
%d:i64 = sub %x, %y
%e:i64 = sub %y, %x
%m:i64 = mul %s, %s
set a, %m
set b, %d
set pc, %e
leave
)");
}

TEST(Share, GetsUpToAWriteOfTheirSlot) {
    becomes({&Passes::share}, R"(
%x:i64 = get a
%y:i64 = get a
set a, %y
%z:i64 = get a
set b, %z
set pc, %x
leave
)",
            R"(
%x:i64 = get a
set a, %x
%z:i64 = get a
set b, %z
set pc, %x
leave
)");
}

TEST(Share, LoadsAndFloatOperationsAreNotShared) {
    const char* text = R"(
%x:i64 = get a
%l:i64 = load %x
%m:i64 = load %x
%f:i64 = float_add %l, %m unit 0 dynamic
%g:i64 = float_add %l, %m unit 0 dynamic
set a, %f
set b, %g
leave
)";
    becomes({&Passes::share}, text, text);
    becomes({&Passes::full}, text, text);
}

TEST(Share, TypesAndConstantsDiffer) {
    const char* text = R"(
%x:i64 = get a
%t:i32 = trunc %x
%u:i16 = trunc %x
%c:i32 = constant 0x1
%d:i16 = constant 0x1
%e:i32 = constant 0x2
%p:i1 = ltu.i32 %t, %c
%q:i1 = ltu.i16 %u, %d
%r:i1 = ltu.i32 %t, %e
%s:i32 = select %p, %t, %c
%v:i32 = select %p, %t, %e
%w:i32 = sub %t, %v
set word_a, %w
set half_a, %u
set bit_a, %p
set bit_b, %q
set word_b, %s
branch %r, 0x2000, 0x3000
)";
    becomes({&Passes::share}, text, text);
}

// Enough that some fall on the same place of the table.
TEST(Share, EveryOperandCounts) {
    std::string text = "%p:i1 = get bit_a\n%q:i1 = get bit_b\n%x:i64 = get a\n%y:i64 = get b\n%t0:i64 = get pc\n";
    for (unsigned i = 0; i < 300; i++) {
        const std::string previous = "%t" + std::to_string(i), next = std::to_string(i + 1);
        text += "%c" + next + ":i64 = select %p, %x, " + previous + "\n%d" + next + ":i64 = select %q, %c" + next +
                ", %y\n%t" + next + ":i64 = sub %c" + next + ", %d" + next + "\n";
    }
    text += "set a, %t300\nleave\n";
    becomes({&Passes::share}, text, text);
    becomes({&Passes::share, &Passes::dead}, text, text);
}

TEST(Dead, WhatNobodyUsesGoes) {
    becomes({&Passes::dead}, R"(
%x:i64 = get a
%y:i64 = not %x
%z:i64 = add %y, %x
%c:i64 = call record(%z) reads_state reads_memory
guest 0x1004
jump 0x2000
)",
            R"(
guest 0x1004
jump 0x2000
)");
}

TEST(Dead, WhatHasEffectsStays) {
    const char* text = R"(
%x:i64 = get a
%l:i64 = load %x
%p:i64 = physical.i64 store %x
%c:i64 = call record() reads_state may_leave
%d:i64 = call vector.sum(%x) writes_memory
%f:i64 = float_add %x, %x unit 0 nearest_even
%e:i64 = fetch_op add %x, %x
fence
jump 0x2000
)";
    // The law's order: fetch_op may leave, so nothing of its instruction comes before.
    const std::string lawful = [&] {
        std::string whole = text;
        whole.insert(whole.find("%e:"), "guest 0x1004\n");
        return whole;
    }();
    becomes({&Passes::dead}, lawful, lawful);
    becomes({&Passes::full}, lawful, lawful);
}

TEST(Dead, CallsThatStayKeepTheirArguments) {
    becomes({&Passes::dead}, R"(
%x:i64 = get a
%c:i64 = call vector.sum(%x) reads_memory
%y:i64 = not %x
%d:i64 = call record(%y, %x) writes_state
leave
)",
            R"(
%x:i64 = get a
%y:i64 = not %x
%d:i64 = call record(%y, %x) writes_state
leave
)");
}

// addi sp, sp, -32; sd ra, 24(sp); sd s0, 16(sp); addi s0, sp, 32
TEST(Pipelines, AddressesAreBaseAndConstant) {
    const char* before = R"(
%1:i64 = get a
%2:i64 = constant 0xffffffffffffffe0
%3:i64 = add %1, %2
set a, %3
guest 0x1004
%4:i64 = get a
%5:i64 = constant 0x18
%6:i64 = add %4, %5
%7:i64 = get pc
store.i64 %6, %7
guest 0x1008
%8:i64 = get a
%9:i64 = constant 0x10
%10:i64 = add %8, %9
%11:i64 = get b
store.i64 %10, %11
guest 0x100c
%12:i64 = get a
%13:i64 = constant 0x20
%14:i64 = add %12, %13
set b, %14
jump 0x1010
)";
    const char* after = R"(
%1:i64 = get a
%2:i64 = constant 0xffffffffffffffe0
%3:i64 = add %1, %2
set a, %3
guest 0x1004
%5:i64 = constant 0xfffffffffffffff8
%6:i64 = add %1, %5
%7:i64 = get pc
store.i64 %6, %7
guest 0x1008
%9:i64 = constant 0xfffffffffffffff0
%10:i64 = add %1, %9
%11:i64 = get b
store.i64 %10, %11
guest 0x100c
set b, %1
jump 0x1010
)";
    becomes({&Passes::quick}, before, after);
    becomes({&Passes::full}, before, after);
}

// lui and addi of an address, then a jump through it.
TEST(Pipelines, ConstantsGoThroughState) {
    becomes({&Passes::quick}, R"(
%1:i64 = constant 0x12345000
set a, %1
guest 0x1004
%2:i64 = get a
%3:i64 = constant 0x678
%4:i64 = add %2, %3
set a, %4
guest 0x1008
%5:i64 = get a
%6:i64 = constant 0xfffffffffffffffe
%7:i64 = and %5, %6
jump_indirect %7 call
)",
            R"(
guest 0x1004
%1:i64 = constant 0x12345678
set a, %1
guest 0x1008
jump 0x12345678 call
)");
}

TEST(Pipelines, OnlyFullShares) {
    const char* before = R"(
%x:i64 = get a
%y:i64 = get b
%s:i64 = mul %x, %y
set a, %s
guest 0x1004
%t:i64 = mul %x, %y
set b, %t
leave
)";
    becomes({&Passes::quick}, before, before);
    becomes({&Passes::full}, before, R"(
%x:i64 = get a
%y:i64 = get b
%s:i64 = mul %x, %y
set a, %s
guest 0x1004
set b, %s
leave
)");
}

// What only a call reads whose result nobody wants is not seen.
TEST(Pipelines, ADeadReaderSeesNothing) {
    becomes({&Passes::quick}, R"(
%x:i64 = constant 0x1
set a, %x
%c:i64 = call record() reads_state
%y:i64 = constant 0x2
set a, %y
leave
)",
            R"(
%y:i64 = constant 0x2
set a, %y
leave
)");
}

TEST(Pipelines, BuffersCarryNothingFromBlockToBlock) {
    const SlotTable table = overlapping_slots();
    Passes used({.verify = &table});
    const char* const texts[] = {"%x:i64 = constant 0x1\nset a, %x\nleave\n", "%x:i64 = get a\nset b, %x\nleave\n",
                                 "%x:i64 = get b\nset a, %x\n%y:i64 = call vector.sum(%x)\nset b, %y\nleave\n"};
    for (unsigned i = 0; i < 300; i++) {
        Block one = block_of(texts[i % 3], table), two = one;
        Passes fresh;
        const Pass& pass = all_passes[i % std::size(all_passes)];
        (used.*pass.run)(one);
        (fresh.*pass.run)(two);
        EXPECT_EQ(print(one, table), print(two, table)) << pass.name;
    }
}

TEST(Uses, CountsAndLastUses) {
    const SlotTable table = slots();
    const Block block = block_of(R"(
%x:i64 = get a
%y:i64 = add %x, %x
%c:i64 = call vector.sum(%x, %y)
%z:i64 = not %y
set a, %z
leave
)",
                                 table);
    Uses uses;
    uses.find(block);
    EXPECT_EQ(uses.count(1), 3u);
    EXPECT_EQ(uses.last(1), 3u);
    EXPECT_EQ(uses.count(2), 2u);
    EXPECT_EQ(uses.last(2), 4u);
    EXPECT_EQ(uses.count(3), 0u);
    EXPECT_EQ(uses.last(3), 3u);
    EXPECT_EQ(uses.count(4), 1u);
    EXPECT_EQ(uses.last(4), 5u);
}

}  // namespace
}  // namespace viv::ir::opt::test
