// The order that golden IR is shown in, in text.
#include "tests/golden/operand_order.h"

#include <gtest/gtest.h>

#include "engine/ir/parse.h"
#include "engine/ir/print.h"
#include "engine/ir/verify.h"
#include "engine/isa/riscv/build.h"

namespace viv::golden {
namespace {

void becomes(std::string_view before, std::string_view after) {
    const ir::SlotTable slots = riscv::state_slots();
    const std::vector<ir::Helper> helpers = riscv::block_helpers();
    const auto block_of = [&](std::string_view text) {
        auto parsed = ir::parse("block pc 0x1000 mode 0x1 size 8\nguest 0x1000\n" + std::string(text), slots, helpers);
        EXPECT_TRUE(parsed.ok()) << parsed.error().message;
        return parsed.ok() ? std::move(*parsed) : ir::Block{};
    };
    const ir::Block ordered = in_operand_order(block_of(before));
    EXPECT_TRUE(ir::verify(ordered, slots).ok()) << before;
    EXPECT_EQ(ir::print(ordered, slots), ir::print(block_of(after), slots));
    EXPECT_EQ(ir::print(in_operand_order(ordered), slots), ir::print(ordered, slots)) << "a second time";
}

TEST(OperandOrder, TheFirstOperandComesFirst) {
    const char* ordered = "%x:i64 = get x11\n%c:i64 = constant 0x8\n%s:i64 = add %x, %c\nset x10, %s\njump 0x1004\n";
    becomes("%c:i64 = constant 0x8\n%x:i64 = get x11\n%s:i64 = add %x, %c\nset x10, %s\njump 0x1004\n", ordered);
    becomes(ordered, ordered);
}

TEST(OperandOrder, GetsStayBeforeWhatChangesState) {
    // Registers are exchanged.
    becomes("%y:i64 = get x12\n%x:i64 = get x11\nset x12, %x\nset x11, %y\njump 0x1004\n",
            "%x:i64 = get x11\n%y:i64 = get x12\nset x12, %x\nset x11, %y\njump 0x1004\n");
    becomes("%x:i64 = get x11\nset x11, %x\n%y:i64 = get x11\nset x12, %y\njump 0x1004\n",
            "%x:i64 = get x11\nset x11, %x\n%y:i64 = get x11\nset x12, %y\njump 0x1004\n");
}

TEST(OperandOrder, WhatNothingUsesStaysInItsInstruction) {
    becomes(
        "%d:i64 = constant 0x1004\n%z:i64 = get x2\n%y:i64 = get x1\nguest 0x1004\n%x:i64 = get x3\nset x4, %x\n"
        "jump 0x1008\n",
        "%y:i64 = get x1\n%z:i64 = get x2\n%d:i64 = constant 0x1004\nguest 0x1004\n%x:i64 = get x3\nset x4, %x\n"
        "jump 0x1008\n");
}

TEST(OperandOrder, AccessesAndCallsKeepTheirs) {
    becomes(
        "%v:i64 = get x12\n%a:i64 = get x11\n%l:i64 = load %a\nfence\n%m:i64 = load %v\n%c:i64 = constant 0x1\n"
        "%k:i64 = call csrrs(%v, %c) reads_state writes_state may_leave\nset x10, %l\njump 0x1004\n",
        "%a:i64 = get x11\n%l:i64 = load %a\nfence\n%v:i64 = get x12\n%m:i64 = load %v\n%c:i64 = constant 0x1\n"
        "%k:i64 = call csrrs(%v, %c) reads_state writes_state may_leave\nset x10, %l\njump 0x1004\n");
}

}  // namespace
}  // namespace viv::golden
