// The pipelines and uses in text: what several passes make together.
#include <fmt/format.h>
#include "engine/ir/opt/uses.h"

#include "tests/ir_opt/passes_bench.h"

namespace viv::ir::opt::test {
namespace {

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
// A register is set to `first`, 0x678 is added to it, and it is called: what becomes of that.
void call_of_a_sum(std::string_view first, std::string_view sum, std::string_view end) {
    becomes({&Passes::quick},
            fmt::format(R"(
%1:i64 = {}
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
                        first),
            fmt::format("guest 0x1004\n%1:i64 = {}\nset a, %1\nguest 0x1008\n{} call\n", sum, end));
}

TEST(Pipelines, ConstantsGoThroughState) {
    call_of_a_sum("constant 0x12345000", "constant 0x12345678", "jump_indirect %1");
}
TEST(Pipelines, AddressesGoThroughState) { call_of_a_sum("address 0x3000", "address 0x3678", "jump 0x3678"); }

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

// What every text above is run through sees whatever a pass could do wrong.
TEST(Oracle, TellsBlocksApart) {
    const SlotTable table = overlapping_slots();
    const auto same_meaning = [&](std::string_view x, std::string_view y) {
        return mean_the_same(block_of(x, table), block_of(y, table));
    };
    EXPECT_TRUE(same_meaning("%x:i64 = get a\n%y:i64 = add %x, %x\nset b, %y\nleave\n",
                             "%x:i64 = get a\n%c:i64 = constant 0x1\n%y:i64 = shl %x, %c\nset b, %y\nleave\n"));
    EXPECT_FALSE(same_meaning("%x:i64 = get a\nset b, %x\nleave\n", "%x:i64 = get pc\nset b, %x\nleave\n"));
    EXPECT_FALSE(same_meaning("%x:i64 = get a\nstore.i64 %x, %x\nleave\n", "leave\n"));
    // A load that faults sees a set before it.
    EXPECT_FALSE(
        same_meaning("%x:i64 = get a\nset b, %x\nguest 0x1004\n%l:i64 = load %x\nguest 0x1008\nset b, %l\nleave\n",
                     "%x:i64 = get a\nguest 0x1004\n%l:i64 = load %x\nguest 0x1008\nset b, %l\nleave\n"));
    EXPECT_FALSE(same_meaning("%p:i1 = get bit_a\nbranch %p, 0x2000, 0x3000\n",
                              "%p:i1 = get bit_a\nbranch %p, 0x3000, 0x2000\n"));
    // A helper that reads state sees a set before it.
    EXPECT_FALSE(same_meaning("%x:i64 = constant 0x1\nset a, %x\n%c:i64 = call record() reads_state\nleave\n",
                              "%x:i64 = constant 0x1\n%c:i64 = call record() reads_state\nset a, %x\nleave\n"));
    // What is got behind one that writes state is not what was there before.
    EXPECT_FALSE(
        same_meaning("%x:i64 = get a\n%c:i64 = call record(%x) writes_state\n%y:i64 = get a\nset b, %y\nleave\n",
                     "%x:i64 = get a\n%c:i64 = call record(%x) writes_state\nset b, %x\nleave\n"));
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
