// The verifier: each rule, broken once, is reported with the instruction that breaks it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>

#include "tests/ir/ir_bench.h"

namespace viv::ir::test {
namespace {

constexpr const char* head =
    "block pc 0x10 mode 0x0 size 4\nfloat_unit flags flags rounding none canonical after_rounding\n";
// %1:i64 %2:i32 %3:i1 %4:i8 %5:i16 %6:i128, and what the case adds.
Block block_of(std::string_view lines, std::string_view end = "leave") {
    const std::string text = fmt::format(
        "{}guest 0x10\n%1:i64 = get a\n%2:i32 = get word_a\n%3:i1 = get bit_a\n%4:i8 = get byte_a\n"
        "%5:i16 = get half_a\n%6:i128 = get wide_a\n{}\n{}\n",
        head, lines, end);
    const auto all = helpers();
    auto parsed = parse(text, slots(), all);
    EXPECT_TRUE(parsed.ok()) << parsed.error().message << "\n" << text;
    return parsed ? *parsed : Block{};
}
std::string complaint(const Block& block) {
    const auto result = verify(block, slots());
    return result ? "" : result.error().message;
}

TEST(IrVerify, AcceptsWhatIsRight) {
    for (const char* lines :
         {"", "%7:i1 = not %3", "%7:i1 = and %3, %3", "%7:i1 = ne.i1 %3, %3", "%7:i128 = mul %6, %6",
          "%7:i128 = zext %3", "%7:i8 = float_to_signed %5 unit 0 up",
          "set a, %1\nset a, %1\nguest 0x12\n%8:i64 = load %1", "%7:i128 = load %1", "fence\n%8:i64 = load %1",
          "%7:i32 = float_add %2, %2 unit 0 down\nset word_a, %7", "%7:i16 = float_classify %1\n%8:i64 = load %1"})
        EXPECT_EQ(complaint(block_of(lines)), "") << lines;
}

TEST(IrVerify, RefusesWhatTextCanSay) {
    const struct {
        const char *lines, *message;
    } cases[] = {
        {"%7:i64 = add %1, %2", "IR instruction 7 (%7:i64 = add %1, %2) has an operand that is no i64"},
        {"%7:i32 = not %1", "IR instruction 7 (%7:i32 = not %1) has an operand that is no i32"},
        {"%7:i1 = add %3, %3", "IR instruction 7 (%7:i1 = add %3, %3) has no meaning for this type"},
        {"%7:i1 = clz %3", "IR instruction 7 (%7:i1 = clz %3) has no meaning for this type"},
        {"%7:i1 = ltu.i1 %3, %3", "IR instruction 7 (%7:i1 = ltu.i1 %3, %3) has no meaning for this type"},
        {"%7:i1 = ltu.i64 %1, %2", "IR instruction 7 (%7:i1 = ltu.i64 %1, %2) has an operand that is no i64"},
        {"%7:i128 = mulhu %6, %6", "IR instruction 7 (%7:i128 = mulhu %6, %6) has no meaning for this type"},
        {"%7:i128 = clmulh %6, %6", "IR instruction 7 (%7:i128 = clmulh %6, %6) has no meaning for this type"},
        {"%7:i32 = address 0x100", "IR instruction 7 (%7:i32 = address 0x100) is not an i64"},
        {"%7:i8 = constant 0x100", "IR instruction 7 (%7:i8 = constant 0x100) is too large for its type"},
        {"%7:i1 = constant 0x2", "IR instruction 7 (%7:i1 = constant 0x2) is too large for its type"},
        {"%7:i64 = constant 0x10000000000000000",
         "IR instruction 7 (%7:i64 = constant 0x10000000000000000) is too large for its type"},
        {"%7:i32 = zext %1", "IR instruction 7 (%7:i32 = zext %1) does not widen an integer"},
        {"%7:i64 = zext %1", "IR instruction 7 (%7:i64 = zext %1) does not widen an integer"},
        {"%7:i64 = sext %3", "IR instruction 7 (%7:i64 = sext %3) does not widen an integer"},
        {"%7:i64 = trunc %2", "IR instruction 7 (%7:i64 = trunc %2) does not narrow to 8 bits or more"},
        {"%7:i1 = trunc %2", "IR instruction 7 (%7:i1 = trunc %2) does not narrow to 8 bits or more"},
        {"%7:i64 = select %1, %1, %1", "IR instruction 7 (%7:i64 = select %1, %1, %1) has a condition that is no i1"},
        {"%7:i64 = select %3, %1, %2",
         "IR instruction 7 (%7:i64 = select %3, %1, %2) chooses among values of another type"},
        {"set a, %2", "IR instruction 7 (set a, %2) has an operand that is no i64"},
        {"%7:i64 = load %2", "IR instruction 7 (%7:i64 = load %2) has an address that is no i64"},
        {"%7:i1 = load %1", "IR instruction 7 (%7:i1 = load %1) accesses memory with no integer type"},
        {"store.i64 %1, %2", "IR instruction 7 (store.i64 %1, %2) has a value of another type"},
        {"%7:i64 = compare_exchange %1, %1, %2",
         "IR instruction 7 (%7:i64 = compare_exchange %1, %1, %2) has a value of another type"},
        {"%7:i64 = fetch_op mul %1, %1",
         "IR instruction 7 (%7:i64 = fetch_op mul %1, %1) names no operation that can be atomic"},
        {"%7:i64 = call record(%2)", "IR instruction 7 (%7:i64 = call record(%2)) has an argument that is no i64"},
        {"%7:i128 = float_add %6, %6 unit 0 up",
         "IR instruction 7 (%7:i128 = float_add %6, %6 unit 0 up) has no meaning for this type"},
        {"%7:i64 = float_add %1, %2 unit 0 up",
         "IR instruction 7 (%7:i64 = float_add %1, %2 unit 0 up) has an operand that is no i64"},
        {"%7:i64 = float_add %1, %1 unit 0 dynamic",
         "IR instruction 7 (%7:i64 = float_add %1, %1 unit 0 dynamic) rounds dynamically in a float unit without a "
         "rounding slot"},
        {"%7:i64 = float_convert %1 unit 0 up",
         "IR instruction 7 (%7:i64 = float_convert %1 unit 0 up) does not convert between such types"},
        {"%7:i32 = float_classify %1",
         "IR instruction 7 (%7:i32 = float_classify %1) does not convert between such types"},
        {"%7:i64 = float_to_signed %4 unit 0 up",
         "IR instruction 7 (%7:i64 = float_to_signed %4 unit 0 up) does not convert between such types"},
        {"%7:i8 = float_from_signed %1 unit 0 up",
         "IR instruction 7 (%7:i8 = float_from_signed %1 unit 0 up) does not convert between such types"},
        {"guest 0x10", "IR instruction 7 (guest 0x10) does not lie behind the guest instruction before it"},
        {"guest 0x8", "IR instruction 7 (guest 0x8) does not lie behind the guest instruction before it"},
        {"leave", "IR instruction 7 (leave) is a terminator amid the block"},
        // The first law.
        {"set a, %1\n%8:i64 = load %1",
         "IR instruction 8 (%8:i64 = load %1) may leave the block after its guest instruction has changed something"},
        {"store.i64 %1, %1\n%8:i64 = physical.i64 load %1",
         "IR instruction 8 (%8:i64 = physical.i64 load %1) may leave the block after its guest instruction has changed "
         "something"},
        {"%7:i64 = exchange %1, %1\n%8:i64 = exchange %1, %1",
         "IR instruction 8 (%8:i64 = exchange %1, %1) may leave the block after its guest instruction has changed "
         "something"},
        {"%7:i64 = float_add %1, %1 unit 0 up\nstore.i64 %1, %7",
         "IR instruction 8 (store.i64 %1, %7) may leave the block after its guest instruction has changed something"},
        {"set a, %1\n%8:i64 = call record() may_leave",
         "IR instruction 8 (%8:i64 = call record() may_leave) may leave the block after its guest instruction has "
         "changed something"},
        {"%7:i64 = call record() writes_memory ends_block\nfence",
         "IR instruction 8 (fence) is not 'leave', although the call before it ends the block"},
    };
    for (const auto& [lines, message] : cases) EXPECT_EQ(complaint(block_of(lines)), message);
    EXPECT_EQ(complaint(block_of("", "branch %1, 0x10, 0x20")),
              "IR instruction 7 (branch %1, 0x10, 0x20) has a condition that is no i1");
    EXPECT_EQ(complaint(block_of("", "jump_indirect %2")),
              "IR instruction 7 (jump_indirect %2) has a target that is no i64");
    EXPECT_EQ(complaint(block_of("%7:i64 = call record() may_leave ends_block", "jump 0x14")),
              "IR instruction 8 (jump 0x14) is not 'leave', although the call before it ends the block");
}

TEST(IrVerify, RefusesWhatOnlyABrokenPassCanMake) {
    const Block sound =
        block_of("%7:i64 = add %1, %1\n%8:i64 = call record(%1, %7)\n%9:i64 = float_add %1, %1 unit 0 up");
    ASSERT_EQ(complaint(sound), "");
    const auto broken = [&](const std::function<void(Block&)>& change) {
        Block block = sound;
        change(block);
        return complaint(block);
    };
    EXPECT_EQ(broken([](Block& b) { b.code.clear(); }), "IR block: it has no instruction");
    EXPECT_EQ(broken([](Block& b) { b.code.erase(b.code.begin()); }), "IR block: the first instruction is not 'guest'");
    EXPECT_EQ(broken([](Block& b) { b.code.pop_back(); }),
              "IR instruction 9 (%9:i64 = float_add %1, %1 unit 0 up) ends the block but is no terminator");
    EXPECT_EQ(broken([](Block& b) { b.code[7].a = 7; }),
              "IR instruction 7 (%7:i64 = add %7, %1) uses a value that is not made before it");
    EXPECT_EQ(broken([](Block& b) { b.code[7].a = 0; }),
              "IR instruction 7 (%7:i64 = add %0, %1) uses a value that is not made before it");
    EXPECT_EQ(broken([](Block& b) { b.code[7].b = no_value; }),
              "IR instruction 7 (%7:i64 = add %1, %none) uses a value that is not made before it");
    EXPECT_EQ(broken([](Block& b) { b.code[7].c = 1; }),
              "IR instruction 7 (%7:i64 = add %1, %1) has too many operands");
    EXPECT_EQ(broken([](Block& b) { b.code[1].imm = 4; }), "IR instruction 1 (%1:i64 = get @0x4) names no slot");
    EXPECT_EQ(broken([](Block& b) { b.code[1].type = Type::i32; }),
              "IR instruction 1 (%1:i32 = get a) differs from its slot's type");
    EXPECT_EQ(broken([](Block& b) { b.code[7].op = static_cast<Op>(200); }),
              "IR instruction 7 (? 200) is no operation");
    EXPECT_EQ(broken([](Block& b) { b.code[7].type = static_cast<Type>(9); }),
              "IR instruction 7 (%7:? = add %1, %1) has no type");
    EXPECT_EQ(broken([](Block& b) { b.code[7].hint = JumpHint::call; }),
              "IR instruction 7 (%7:i64 = add %1, %1) has a jump's hint");
    EXPECT_EQ(broken([](Block& b) { b.code[7].rounding = Rounding::up; }),
              "IR instruction 7 (%7:i64 = add %1, %1) has a rounding mode");
    EXPECT_EQ(broken([](Block& b) { b.code[8].imm = 1; }),
              "IR instruction 8 (%8:i64 = call ?1) names no call of the block");
    EXPECT_EQ(broken([](Block& b) { b.calls[0].helper.function = nullptr; }),
              "IR instruction 8 (%8:i64 = call record(%1, %7)) calls nothing");
    EXPECT_EQ(broken([](Block& b) { b.calls[0].effects = 64; }),
              "IR instruction 8 (%8:i64 = call record(%1, %7)) has an unknown effect");
    EXPECT_EQ(broken([](Block& b) { b.calls[0].arguments[0] = no_value; }),
              "IR instruction 8 (%8:i64 = call record(%7)) has a gap among its arguments");
    EXPECT_EQ(broken([](Block& b) { b.code[9].imm = 3; }),
              "IR instruction 9 (%9:i64 = float_add %1, %1 unit 3 up) names no float unit of the block");
    EXPECT_EQ(broken([](Block& b) { b.float_units[0].flags = slot::a; }),
              "IR block: a float unit's flags are not a slot of type i8");
    EXPECT_EQ(broken([](Block& b) { b.float_units[0].rounding = 5; }),
              "IR block: a float unit's rounding mode is not a slot of type i8");
    EXPECT_EQ(broken([](Block& b) { b.float_units[0].nan_rule = static_cast<soft::NanRule>(5); }),
              "IR block: a float unit has an unknown rule");
}

}  // namespace
}  // namespace viv::ir::test
