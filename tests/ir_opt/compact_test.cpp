// compact in text: lines that begin with '-' are taken out, and what follows moves up, operands and arguments included.
#include "engine/ir/opt/compact.h"
#include "tests/ir_opt/passes_bench.h"

namespace viv::ir::opt::test {
namespace {

void closes(std::string_view before, std::string_view after) {
    std::string text;
    std::vector<usize> gaps;  // of the lines in the text, behind the block's first `guest`
    usize line = 1;
    for (usize at = 0; at < before.size(); line++) {
        const usize end = before.find('\n', at);
        std::string_view one = before.substr(at, end - at);
        at = end + 1;
        if (one.starts_with('-')) {
            gaps.push_back(line);
            one.remove_prefix(1);
        }
        text += std::string(one) + "\n";
    }
    const SlotTable table = overlapping_slots();
    Block block = block_of(text, table);
    for (const usize gap : gaps) block.code.at(gap) = tombstone;
    Compact compact;
    compact.run(block);
    EXPECT_EQ(print(block, table), print(block_of(after, table), table)) << "from\n" << before;
    const std::string once = print(block, table);
    compact.run(block);
    EXPECT_EQ(print(block, table), once) << "a second time";
}

TEST(Compact, WithoutGapsNothingMoves) {
    closes("%x:i64 = get a\n%y:i64 = not %x\nset b, %y\nleave\n",
           "%x:i64 = get a\n%y:i64 = not %x\nset b, %y\nleave\n");
}

TEST(Compact, OperandsFollow) {
    closes(
        "-%u:i64 = get b\n"
        "%x:i64 = get a\n"
        "-%v:i64 = not %x\n"
        "%c:i1 = get bit_a\n"
        "-%w:i64 = get pc\n"
        "%s:i64 = select %c, %x, %x\n"
        "%t:i64 = sub %s, %x\n"
        "set b, %t\n"
        "branch %c, 0x2000, 0x3000\n",
        "%x:i64 = get a\n"
        "%c:i1 = get bit_a\n"
        "%s:i64 = select %c, %x, %x\n"
        "%t:i64 = sub %s, %x\n"
        "set b, %t\n"
        "branch %c, 0x2000, 0x3000\n");
}

TEST(Compact, GapsBesideOneAnotherAndBeforeTheEnd) {
    closes(
        "%x:i64 = get a\n"
        "-%u:i64 = get b\n"
        "-%v:i64 = not %u\n"
        "guest 0x1004\n"
        "%y:i64 = neg %x\n"
        "-set b, %y\n"
        "jump_indirect %y\n",
        "%x:i64 = get a\n"
        "guest 0x1004\n"
        "%y:i64 = neg %x\n"
        "jump_indirect %y\n");
}

TEST(Compact, CallsThatAreGoneLeaveTheTable) {
    closes(
        "%x:i64 = get a\n"
        "-%c:i64 = call record(%x) reads_state\n"
        "%y:i64 = not %x\n"
        "%d:i64 = call vector.sum(%x, %y, %x, %y)\n"
        "-%e:i64 = call vector.sum(%d)\n"
        "%f:i64 = call record(%d) writes_state\n"
        "set b, %f\n"
        "leave\n",
        "%x:i64 = get a\n"
        "%y:i64 = not %x\n"
        "%d:i64 = call vector.sum(%x, %y, %x, %y)\n"
        "%f:i64 = call record(%d) writes_state\n"
        "set b, %f\n"
        "leave\n");
}

TEST(Compact, TheTableOfCallsHoldsThoseThatAreLeft) {
    const SlotTable table = overlapping_slots();
    Block block = block_of("%x:i64 = call record()\n%y:i64 = call vector.sum()\nset a, %y\nleave\n", table);
    ASSERT_EQ(block.calls.size(), 2u);
    block.code[1] = tombstone;
    Compact().run(block);
    ASSERT_EQ(block.calls.size(), 1u);
    EXPECT_STREQ(block.calls[0].helper.name, "vector.sum");
}

}  // namespace
}  // namespace viv::ir::opt::test
