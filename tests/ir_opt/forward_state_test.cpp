// forward_state in text: what becomes of gets and sets, and what keeps them as they are.
#include "tests/ir_opt/passes_bench.h"

namespace viv::ir::opt::test {
namespace {

void forwarded(std::string_view before, std::string_view after) { becomes({&Passes::forward_state}, before, after); }
void unchanged(std::string_view text) { forwarded(text, text); }

TEST(ForwardState, AGetAfterASetIsTheValue) {
    forwarded(R"(
%x:i64 = get a
%y:i64 = not %x
set b, %y
guest 0x1004
%z:i64 = get b
set pc, %z
leave
)",
              R"(
%x:i64 = get a
%y:i64 = not %x
set b, %y
guest 0x1004
set pc, %y
leave
)");
}

TEST(ForwardState, AGetAfterAGetIsTheFirst) {
    forwarded(R"(
%x:i64 = get a
%y:i64 = get a
%z:i64 = add %x, %y
set b, %z
leave
)",
              R"(
%x:i64 = get a
%z:i64 = add %x, %x
set b, %z
leave
)");
}

TEST(ForwardState, ASetThatIsOverwrittenUnseenGoes) {
    forwarded(R"(
%x:i64 = constant 0x1
set a, %x
guest 0x1004
%y:i64 = constant 0x2
set a, %y
jump 0x2000
)",
              R"(
%x:i64 = constant 0x1
guest 0x1004
%y:i64 = constant 0x2
set a, %y
jump 0x2000
)");
}

TEST(ForwardState, WhatMayLeaveTheBlockSeesAllThatWasSet) {
    for (const char* leaving : {"%l:i32 = load %x", "store.i64 %x, %x", "%l:i64 = physical.i8 load %x",
                                "%l:i64 = exchange %x, %x", "%l:i64 = call record() may_leave"})
        unchanged(std::string("%x:i64 = constant 0x1\nset a, %x\nguest 0x1004\n") + leaving +
                  "\nguest 0x1008\n%y:i64 = constant 0x2\nset a, %y\njump 0x2000\n");
}

TEST(ForwardState, ALeavingInstructionLeavesWhatIsKnown) {
    forwarded(R"(
%x:i64 = get a
set b, %x
guest 0x1004
%l:i64 = load %x
guest 0x1008
%y:i64 = get b
set pc, %y
leave
)",
              R"(
%x:i64 = get a
set b, %x
guest 0x1004
%l:i64 = load %x
guest 0x1008
set pc, %x
leave
)");
}

TEST(ForwardState, AHelperThatReadsStateSeesASet) {
    unchanged(R"(
%x:i64 = constant 0x1
set a, %x
%c:i64 = call record() reads_state
%y:i64 = constant 0x2
set a, %y
leave
)");
}

TEST(ForwardState, AHelperThatTouchesNoStateSeesNothing) {
    forwarded(R"(
%x:i64 = constant 0x1
set a, %x
%c:i64 = call record() reads_memory writes_memory
%y:i64 = constant 0x2
set a, %y
leave
)",
              R"(
%x:i64 = constant 0x1
%c:i64 = call record() reads_memory writes_memory
%y:i64 = constant 0x2
set a, %y
leave
)");
}

TEST(ForwardState, ATransferToVectorSlotsLeavesThemUnknown) {
    unchanged(R"(
%n:i64 = get a
%v:i128 = get wide_b
%c:i128 = get wide_c
guest 0x1004
load_lanes.i8 wide_a, 17, %n, %n
guest 0x1008
%w:i128 = get wide_b
%x:i128 = xor %v, %w
set wide_c, %x
leave
)");
    // Bytes that it does not write stay, so a set before it is not in vain; what it does not reach is known.
    forwarded(R"(
%n:i64 = get a
%c:i128 = get wide_c
set wide_a, %c
guest 0x1004
load_lanes.i64 wide_a, 4, %n, %n
guest 0x1008
%d:i128 = get wide_c
set wide_a, %d
leave
)",
              R"(
%n:i64 = get a
%c:i128 = get wide_c
set wide_a, %c
guest 0x1004
load_lanes.i64 wide_a, 4, %n, %n
guest 0x1008
set wide_a, %c
leave
)");
}

TEST(ForwardState, ATransferFromVectorSlotsSeesASet) {
    unchanged(R"(
%n:i64 = get a
%c:i128 = get wide_c
set wide_a, %c
guest 0x1004
store_lanes.i64 wide_a, 2, %n, %n
guest 0x1008
%d:i128 = constant 0x1
set wide_a, %d
leave
)");
}

TEST(ForwardState, AfterAHelperThatWritesStateNothingIsKnown) {
    unchanged(R"(
%x:i64 = get a
%c:i64 = call record() writes_state
%y:i64 = get a
%z:i64 = add %x, %y
set b, %z
leave
)");
}

TEST(ForwardState, ASetOfWhatIsThereGoes) {
    forwarded(R"(
%x:i64 = get a
%l:i64 = load %x
set a, %x
set b, %l
guest 0x1004
set b, %l
leave
)",
              R"(
%x:i64 = get a
%l:i64 = load %x
set b, %l
guest 0x1004
leave
)");
}

TEST(ForwardState, TwoSetsThatUndoEachOtherGo) {
    forwarded(R"(
%x:i64 = get a
%y:i64 = not %x
set a, %y
guest 0x1004
set a, %x
leave
)",
              R"(
%x:i64 = get a
%y:i64 = not %x
guest 0x1004
leave
)");
    unchanged(R"(
%x:i64 = get a
%y:i64 = not %x
set a, %y
guest 0x1004
%l:i64 = load %x
set a, %x
leave
)");
}

TEST(ForwardState, AFloatOperationWritesItsFlags) {
    unchanged(R"(
%x:i32 = get word_a
%before:i8 = get flags
%y:i32 = float_add %x, %x unit 0 nearest_even
%after:i8 = get flags
%same:i1 = eq.i8 %before, %after
set bit_a, %same
leave
)");
}

TEST(ForwardState, AFloatOperationReadsFlagsAndADynamicRoundingMode) {
    unchanged(R"(
%x:i32 = get word_a
%m:i8 = constant 0x1
set flags, %m
set rounding, %m
%y:i32 = float_add %x, %x unit 0 dynamic
%n:i8 = constant 0x2
set flags, %n
set rounding, %n
leave
)");
    // A static one is none of the slot's business.
    forwarded(R"(
%x:i32 = get word_a
%m:i8 = constant 0x1
set rounding, %m
%y:i32 = float_add %x, %x unit 0 down
%n:i8 = constant 0x2
set rounding, %n
leave
)",
              R"(
%x:i32 = get word_a
%m:i8 = constant 0x1
%y:i32 = float_add %x, %x unit 0 down
%n:i8 = constant 0x2
set rounding, %n
leave
)");
}

TEST(ForwardState, SlotsThatOverlapAreNotForwarded) {
    unchanged(R"(
%x:i128 = get wide_a
%y:i64 = get a
set wide_a_high, %y
%z:i128 = get wide_a
set wide_b, %z
leave
)");
    // The wide set is seen through its half; the other half's neighbour is not concerned.
    unchanged(R"(
%x:i128 = constant 0x1
set wide_a, %x
%y:i64 = get wide_a_high
set a, %y
%z:i128 = constant 0x2
set wide_a, %z
leave
)");
}

TEST(ForwardState, FencesAndLoadsOfMemoryDoNotConcernState) {
    forwarded(R"(
%x:i64 = get a
fence
%y:i64 = get a
set b, %y
leave
)",
              R"(
%x:i64 = get a
fence
set b, %x
leave
)");
}

TEST(ForwardState, ArgumentsOfCallsFollow) {
    forwarded(R"(
%x:i64 = constant 0x7
set a, %x
%y:i64 = get a
%c:i64 = call vector.sum(%y, %x, %y)
set b, %c
leave
)",
              R"(
%x:i64 = constant 0x7
set a, %x
%c:i64 = call vector.sum(%x, %x, %x)
set b, %c
leave
)");
}

}  // namespace
}  // namespace viv::ir::opt::test
