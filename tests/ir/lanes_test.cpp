// Vectors: the meaning of lanes, splat and lane_mask lane by lane, transfers between memory and slots in the oracle,
// and what the verifier and the parser say of wrong ones.
#include <gtest/gtest.h>

#include <random>

#include "engine/ir/builder.h"
#include "engine/ir/evaluate.h"
#include "engine/ir/op_info.h"
#include "tests/ir/ir_bench.h"

namespace viv::ir::test {
namespace {

constexpr Type lane_types[] = {Type::i8, Type::i16, Type::i32, Type::i64};

u128 lane(u128 vector, Type type, unsigned index) { return truncate(type, vector >> (index * bits_of(type))); }

TEST(Lanes, AreTheOperationOnEachOfThem) {
    std::mt19937_64 random(1);
    unsigned operations = 0;
    for (usize i = 0; i < op_count; i++) {
        const Op op = static_cast<Op>(i);
        if (!is_lane_operation(op)) continue;
        operations++;
        for (const Type type : lane_types)
            for (unsigned run = 0; run < 100; run++) {
                const u128 a = u128{random()} << 64 | random(), b = u128{random()} << 64 | random();
                const u128 second = is_shift(op) ? truncate(type, b) : b;
                const u128 result = evaluate_lanes(op, type, a, second);
                for (unsigned at = 0; at < 128 / bits_of(type); at++) {
                    const u128 x = lane(a, type, at), y = is_shift(op) ? second : lane(b, type, at);
                    u128 wanted = 0;
                    if (info_of(op).shape == Shape::compare)
                        wanted = evaluate_compare(op, type, x, y) ? truncate(type, ~u128{0}) : 0;
                    else
                        wanted = evaluate_binary(op, type, x, y);
                    ASSERT_TRUE(lane(result, type, at) == wanted) << info_of(op).name << ", lane " << at;
                }
            }
    }
    EXPECT_EQ(operations, 16u);
}

TEST(Lanes, SomeByHand) {
    EXPECT_TRUE(evaluate_lanes(Op::add, Type::i8, 0xff01, 0x0102) == 0x03);
    EXPECT_TRUE(evaluate_lanes(Op::add, Type::i16, 0xff01, 0x0102) == 0x03);
    EXPECT_TRUE(evaluate_lanes(Op::add, Type::i32, 0xff01, 0x0102) == 0x1'0003);
    EXPECT_TRUE(evaluate_lanes(Op::sar, Type::i16, 0x8000'4000, 17) == 0xc000'2000) << "amounts count modulo the width";
    EXPECT_TRUE(evaluate_lanes(Op::lts, Type::i64, ~u128{0}, 0) == ~u128{0});
    EXPECT_TRUE(evaluate_splat(Type::i16, 0x1234) == (u128{0x1234'1234'1234'1234} << 64 | 0x1234'1234'1234'1234));
    EXPECT_TRUE(evaluate_lane_mask(Type::i32, 0, 3) == (u128{0xffff'ffff} << 64 | ~u64{0}));
    EXPECT_TRUE(evaluate_lane_mask(Type::i32, 4, 3) == 0);
    EXPECT_TRUE(evaluate_lane_mask(Type::i8, 16, 17) == 0xff);
    EXPECT_TRUE(evaluate_lane_mask(Type::i64, 2, ~u64{0}) == ~u128{0});
    EXPECT_TRUE(evaluate_lane_mask(Type::i1, 0, 70) == ((u128{1} << 70) - 1));
}

TEST(Lanes, BitsBecomeLanesAndLanesBits) {
    std::mt19937_64 random(2);
    for (const Type type : lane_types)
        for (unsigned first = 0; first < 128; first += lane_count(type))
            for (unsigned run = 0; run < 20; run++) {
                const u128 a = u128{random()} << 64 | random(), b = u128{random()} << 64 | random();
                const u128 lanes = evaluate_expand_bits(type, first, a);
                const u128 inserted = evaluate_insert_bits(type, first, a, b);
                for (unsigned i = 0; i < lane_count(type); i++) {
                    ASSERT_TRUE(lane(lanes, type, i) == ((a >> (first + i) & 1) != 0 ? truncate(type, ~u128{0}) : 0));
                    ASSERT_EQ(static_cast<u64>(inserted >> (first + i) & 1),
                              static_cast<u64>(lane(b, type, i) >> (bits_of(type) - 1)));
                }
                const u128 others = ~(((u128{1} << lane_count(type)) - 1) << first);
                ASSERT_TRUE((inserted & others) == (a & others));
                ASSERT_TRUE(evaluate_insert_bits(type, first, b, lanes) ==
                            evaluate_insert_bits(type, first, b, evaluate_expand_bits(type, first, a)));
            }
    EXPECT_TRUE(evaluate_expand_bits(Type::i32, 4, 0x50) == (u128{0xffff'ffff} << 64 | 0xffff'ffff));
    EXPECT_TRUE(evaluate_insert_bits(Type::i64, 2, 0xff, u128{1} << 63) == 0xf7);
}

// A block of one transfer with these operands, run.
struct Transfer {
    Cpu cpu;
    Memory memory;
    Outcome outcome;

    Transfer(Op op, Type element, u64 most, u64 address, u64 count) {
        for (usize i = 0; i < sizeof cpu.state; i++) cpu.state[i] = static_cast<u8>(i);
        for (usize i = 0; i < Memory::size; i++) memory.bytes[i] = static_cast<u8>(i ^ 0xa5);
        before = cpu;
        memory_before = memory;
        Block block{.pc = 0x10, .size = 8};
        Builder b(block);
        b.guest(0x10);
        const ValueId from = b.constant(Type::i64, address), elements = b.constant(Type::i64, count);
        if (op == Op::load_lanes)
            b.load_lanes(element, slot::wide_a, most, from, elements);
        else
            b.store_lanes(element, slot::wide_a, most, from, elements);
        b.leave();
        const auto verified = verify(block, slots());
        EXPECT_TRUE(verified.ok()) << verified.error().message;
        outcome = run(block, cpu, memory);
    }
    Cpu before;
    Memory memory_before;
};

TEST(Lanes, ATransferMovesSoManyElementsAndNoMore) {
    for (const Type element : lane_types) {
        const unsigned size = bytes_of(element);
        for (u64 count = 0; count <= 32 / size; count++) {
            const Transfer load(Op::load_lanes, element, 32 / size, Memory::base + 3, count);
            EXPECT_EQ(load.outcome.why, Outcome::Why::leave);
            EXPECT_EQ(load.memory.bytes, load.memory_before.bytes);
            for (usize i = 0; i < sizeof load.cpu.state; i++) {
                const bool moved = i >= slot::wide_a && i < slot::wide_a + count * size;
                ASSERT_EQ(load.cpu.state[i], moved ? load.memory.bytes[3 + i - slot::wide_a] : load.before.state[i]);
            }
            const Transfer store(Op::store_lanes, element, 32 / size, Memory::base + 3, count);
            EXPECT_EQ(store.outcome.why, Outcome::Why::leave);
            EXPECT_EQ(std::memcmp(store.cpu.state, store.before.state, sizeof store.cpu.state), 0);
            for (usize i = 0; i < Memory::size; i++) {
                const bool moved = i >= 3 && i < 3 + count * size;
                ASSERT_EQ(store.memory.bytes[i],
                          moved ? store.cpu.state[slot::wide_a + i - 3] : store.memory_before.bytes[i]);
            }
        }
    }
}

TEST(Lanes, ATransferThatCannotBeMadeLeavesAllAsItWas) {
    for (const Op op : {Op::load_lanes, Op::store_lanes}) {
        const Outcome::Why why = op == Op::load_lanes ? Outcome::Why::load : Outcome::Why::store;
        for (const auto& [address, count] :
             {std::pair<u64, u64>{Memory::base + Memory::size - 7, 2}, {Memory::base, 9}, {Memory::base, ~u64{0}}}) {
            const Transfer t(op, Type::i32, 8, address, count);
            EXPECT_EQ(t.outcome.why, why);
            EXPECT_EQ(t.outcome.pc, 0x10u);
            EXPECT_EQ(std::memcmp(t.cpu.state, t.before.state, sizeof t.cpu.state), 0);
            EXPECT_EQ(t.memory.bytes, t.memory_before.bytes);
        }
        EXPECT_EQ(Transfer(op, Type::i32, 8, 0, 0).outcome.why, Outcome::Why::leave) << "nothing is touched";
    }
}

std::string complaint(std::string_view line) {
    const std::string text =
        "block pc 0x10 mode 0 size 4\nguest 0x10\n%1:i64 = get a\n%2:i32 = get word_a\n%3:i128 = get wide_a\n" +
        std::string(line) + "\nleave\n";
    const auto all = helpers();
    const auto block = parse(text, slots(), all);
    if (!block) return block.error().message;
    const auto verified = verify(*block, slots());
    return verified ? "" : verified.error().message;
}

TEST(Lanes, WrongOnesAreRefused) {
    const std::pair<const char*, const char*> cases[] = {
        {"%4:i128 = lanes.i32 add %3, %3", ""},
        {"%4:i128 = lanes.i32 shl %3, %2", ""},
        {"%4:i128 = lanes.i32 divu %3, %3",
         "IR instruction 4 (%4:i128 = lanes.i32 divu %3, %3) names no operation on lanes"},
        {"%4:i128 = lanes.i128 add %3, %3",
         "IR instruction 4 (%4:i128 = lanes.i128 add %3, %3) has no lanes of this type"},
        {"%4:i128 = lanes.i32 add %3, %2",
         "IR instruction 4 (%4:i128 = lanes.i32 add %3, %2) has a second operand of another type"},
        {"%4:i128 = lanes.i32 shl %3, %3",
         "IR instruction 4 (%4:i128 = lanes.i32 shl %3, %3) has a second operand of another type"},
        {"%4:i64 = lanes.i32 add %3, %3", "IR instruction 4 (%4:i64 = lanes.i32 add %3, %3) is no vector"},
        {"%4:i128 = lanes.i32 add %1, %3",
         "IR instruction 4 (%4:i128 = lanes.i32 add %1, %3) has an operand that is no i128"},
        {"%4:i128 = splat %3", "IR instruction 4 (%4:i128 = splat %3) has no lanes of this type"},
        {"%4:i128 = lane_mask.i128 0, %1",
         "IR instruction 4 (%4:i128 = lane_mask.i128 0, %1) has no lanes of this type"},
        {"%4:i128 = lane_mask.i8 0, %2",
         "IR instruction 4 (%4:i128 = lane_mask.i8 0, %2) has an operand that is no i64"},
        {"%4:i128 = lane_mask.i8 4096, %1",
         "IR instruction 4 (%4:i128 = lane_mask.i8 4096, %1) begins beyond all lanes"},
        {"%4:i128 = expand_bits.i32 4, %3", ""},
        {"%4:i128 = expand_bits.i32 5, %3",
         "IR instruction 4 (%4:i128 = expand_bits.i32 5, %3) begins at a bit that is no multiple of the lanes"},
        {"%4:i128 = insert_bits.i8 128, %3, %3",
         "IR instruction 4 (%4:i128 = insert_bits.i8 128, %3, %3) begins at a bit that is no multiple of the lanes"},
        {"%4:i128 = insert_bits.i8 0, %3, %1",
         "IR instruction 4 (%4:i128 = insert_bits.i8 0, %3, %1) has an operand that is no i128"},
        {"load_lanes.i8 wide_a, 32, %1, %1", ""},
        {"load_lanes.i8 wide_a, 33, %1, %1",
         "IR instruction 4 (load_lanes.i8 wide_a, 33, %1, %1) reaches what is no slot of a vector"},
        {"store_lanes.i8 a, 1, %1, %1",
         "IR instruction 4 (store_lanes.i8 a, 1, %1, %1) reaches what is no slot of a vector"},
        {"load_lanes.i8 wide_a, 0, %1, %1",
         "IR instruction 4 (load_lanes.i8 wide_a, 0, %1, %1) moves nothing, or too much"},
        {"load_lanes.i8 wide_a, 4097, %1, %1",
         "IR instruction 4 (load_lanes.i8 wide_a, 4097, %1, %1) moves nothing, or too much"},
        {"load_lanes.i128 wide_a, 1, %1, %1",
         "IR instruction 4 (load_lanes.i128 wide_a, 1, %1, %1) has no elements of this type"},
        {"load_lanes.i8 wide_a, 1, %1, %2",
         "IR instruction 4 (load_lanes.i8 wide_a, 1, %1, %2) has an operand that is no i64"},
        {"load_lanes.i8 wide_a, 1, %1, %1\nstore_lanes.i8 wide_a, 1, %1, %1",
         "IR instruction 5 (store_lanes.i8 wide_a, 1, %1, %1) may leave the block after its guest instruction has "
         "changed something"},
        {"%4:i128 = lanes.i32 plus %3, %3", "line 6: expected a binary operation, but here is 'plus %3, %3'"},
        {"%4:i128 = lanes add %3, %3", "line 6: expected '.' and a type, but here is 'add %3, %3'"},
        {"%4:i128 = lane_mask.i8 %1", "line 6: expected the number of the first lane, but here is '%1'"},
        {"load_lanes.i8 wide_a, %1, %1", "line 6: expected a number of elements, but here is '%1, %1'"},
    };
    for (const auto& [line, message] : cases) EXPECT_EQ(complaint(line), message) << line;
}

}  // namespace
}  // namespace viv::ir::test
