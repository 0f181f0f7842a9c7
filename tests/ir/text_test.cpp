// The text form: what print() writes parse() reads back unchanged, errors name the line and what was expected, and no
// text does harm.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "engine/ir/op_info.h"
#include "tests/ir/ir_bench.h"

namespace viv::ir::test {
namespace {

std::string error_of(std::string_view text) {
    const SlotTable table = slots();
    const auto all = helpers();
    const auto parsed = parse(text, table, all);
    return parsed ? "" : parsed.error().message;
}
std::string with_line(std::string_view line) {
    return fmt::format("block pc 0x10 mode 0 size 4\nguest 0x10\n%1:i64 = get a\n{}\n", line);
}

TEST(IrText, EveryOperationRoundTrips) {
    const SlotTable table = slots();
    const auto all = helpers();
    const auto parsed = parse(every_operation, table, all);
    ASSERT_TRUE(parsed.ok()) << parsed.error().message;
    EXPECT_EQ(print(*parsed, table), every_operation);
    const auto verified = verify(*parsed, table);
    EXPECT_TRUE(verified.ok()) << verified.error().message;

    std::vector<bool> seen(op_count);
    for (const Inst& inst : (*parsed).code) seen[static_cast<usize>(inst.op)] = true;
    for (const Op elsewhere : {Op::jump, Op::jump_indirect, Op::leave}) seen[static_cast<usize>(elsewhere)] = true;
    for (usize op = 0; op < op_count; op++) EXPECT_TRUE(seen[op]) << op_table[op].name << " is missing from the text";
}

TEST(IrText, TerminatorsRoundTrip) {
    const SlotTable table = slots();
    const auto all = helpers();
    for (const char* end : {"jump 0x20", "jump 0x20 call", "jump_indirect %1", "jump_indirect %1 call",
                            "jump_indirect %1 return", "leave", "branch %2, 0xffffffffffffffff, 0x0"}) {
        const std::string text =
            fmt::format("block pc 0x10 mode 0x0 size 4\nguest 0x10\n%1:i64 = get a\n%2:i1 = get bit_a\n{}\n", end);
        const auto parsed = parse(text, table, all);
        ASSERT_TRUE(parsed.ok()) << parsed.error().message;
        EXPECT_TRUE(verify(*parsed, table).ok()) << end;
        EXPECT_EQ(print(*parsed, table), text);
    }
}

TEST(IrText, FieldsArriveWhereTheyBelong) {
    const SlotTable table = slots();
    const auto all = helpers();
    const auto parsed = parse(every_operation, table, all);
    ASSERT_TRUE(parsed.ok());
    const Block& block = *parsed;
    EXPECT_EQ(block.pc, 0x8000u);
    EXPECT_EQ(block.mode, 5u);
    EXPECT_EQ(block.size, 12u);
    ASSERT_EQ(block.float_units.size(), 2u);
    EXPECT_EQ(block.float_units[1].flags, slot::byte_b);
    EXPECT_EQ(block.float_units[1].rounding, FloatUnit::no_slot);
    EXPECT_EQ(block.float_units[1].nan_rule, soft::NanRule::first_operand);
    EXPECT_EQ(block.float_units[1].tininess, soft::Tininess::before_rounding);
    EXPECT_EQ(block.code[4].imm, 2u);
    EXPECT_EQ(block.code[4].imm2, 1u);
    EXPECT_EQ(block.code[64].op, Op::fetch_op);
    EXPECT_EQ(static_cast<Op>(block.code[64].imm), Op::maxu);
    EXPECT_EQ(block.code[73].rounding, Rounding::toward_zero);
    EXPECT_EQ(block.code[73].imm, 1u);
    EXPECT_EQ(block.code[74].rounding, Rounding::dynamic);
    ASSERT_EQ(block.calls.size(), 2u);
    EXPECT_EQ(block.calls[1].effects, effect_reads_state | effect_reads_memory | effect_may_leave);
    EXPECT_EQ(block.calls[1].helper.function, &record);
    EXPECT_EQ(block.calls[0].arguments[3], 1u);
    EXPECT_EQ(block.calls[1].arguments[0], no_value);
}

TEST(IrText, NamesBlanksAndCommentsAreFree) {
    const SlotTable table = slots();
    const auto parsed = parse(
        "# a comment\n\n  block pc 16 mode 0 size 4 # another\r\nguest 0x10\n%left:i64 = get a\n\t%right : i64=get b\n"
        "%sum:i64 = add %left ,%right\nset a,%sum\nleave",
        table, {});
    ASSERT_TRUE(parsed.ok()) << parsed.error().message;
    EXPECT_EQ(print(*parsed, table),
              "block pc 0x10 mode 0x0 size 4\nguest 0x10\n%1:i64 = get a\n%2:i64 = get b\n%3:i64 = add %1, %2\nset a, "
              "%3\nleave\n");
}

TEST(IrText, ErrorsNameTheLineAndWhatWasExpected) {
    const struct {
        std::string text, message;
    } cases[] = {
        {"", "line 1: expected 'block', but the text ends"},
        {"\n\n", "line 3: expected 'block', but the text ends"},
        {"guest 0x10", "line 1: expected 'block', but here is 'guest 0x10'"},
        {"block pc x mode 0 size 4", "line 1: expected the block's address, but here is 'x mode 0 size 4'"},
        {"block pc 0x10 mode 0 size 4 more", "line 1: expected the end of the line, but here is 'more'"},
        {"block pc 0x10000000000000000 mode 0 size 4",
         "line 1: expected the block's address, but here is '0x10000000000000000 '"},
        {with_line("%2:i64 = frobnicate %1"), "line 4: expected an operation, but here is 'frobnicate %1'"},
        {with_line("%2:i65 = add %1, %1"),
         "line 4: expected a type: i1, i8, i16, i32, i64 or i128, but here is 'i65 = add %1, %1'"},
        {with_line("%2 = add %1, %1"), "line 4: expected ':' and a type, but here is '= add %1, %1'"},
        {with_line("%2:i64 = add %1"), "line 4: expected ',' and a value, but the line ends"},
        {with_line("%2:i64 = add %1, %3"), "line 4: expected the name of an earlier value, but here is '3'"},
        {with_line("%2:i64 = add %2, %1"), "line 4: expected the name of an earlier value, but here is '2, %1'"},
        {with_line("%1:i64 = get b"), "line 4: expected a new name, but %1 is one already"},
        {with_line("add %1, %1"), "line 4: expected '%name:type =' before 'add'"},
        {with_line("%2:i64 = leave"), "line 4: expected no value from 'leave'"},
        {with_line("%2:i64 = eq.i64 %1, %1"), "line 4: expected the type i1 of what 'eq' makes"},
        {with_line("%2:i1 = eq %1, %1"), "line 4: expected '.' and a type, but here is '%1, %1'"},
        {with_line("%2:i32 = get a"), "line 4: expected a slot of type i32, but here is 'a'"},
        {with_line("%2:i64 = get nothing"), "line 4: expected the name of a slot, but here is 'nothing'"},
        {with_line("%2:i64 = call nobody()"), "line 4: expected the name of a helper, but here is 'nobody()'"},
        {with_line("%2:i64 = call record(%1, %1, %1, %1, %1)"),
         "line 4: expected ')': a call has at most four arguments, but here is ', %1)'"},
        {with_line("%2:i64 = call record() sings"),
         "line 4: expected an effect, like reads_state, but here is 'sings'"},
        {with_line("%2:i64 = float_add %1, %1 unit 0 up"),
         "line 4: expected a float unit that the head of the block declares, but here is '0 up'"},
        {with_line("float_unit flags flags rounding none canonical after_rounding"),
         "line 4: expected float units before all instructions, but here is 'flags flags rounding'"},
        {with_line("%2:i64 = fetch_op quickly %1, %1"),
         "line 4: expected a binary operation, but here is 'quickly %1, %1'"},
        {with_line("%2:i64 = constant 0x100000000000000000000000000000000"),
         "line 4: expected a number below 2^128, but here is '0x100000000000000000'"},
        {with_line("jump 0x20 again"), "line 4: expected the end of the line, but here is 'again'"},
        {with_line("branch %1, 0x20"), "line 4: expected ',' and an address, but the line ends"},
        {with_line("\x01"), "line 4: expected an operation, but here is '?'"},
        {std::string(maximum_text + 1, 'x'), "IR text: longer than 1048576 bytes"},
    };
    for (const auto& [text, message] : cases) EXPECT_EQ(error_of(text), message) << text.substr(0, 200);
}

TEST(IrText, BrokenBlocksArePrintedWithoutHarm) {
    Block block;
    block.float_units.push_back(
        {.flags = 7, .nan_rule = static_cast<soft::NanRule>(9), .tininess = static_cast<soft::Tininess>(9)});
    block.code = {{.op = static_cast<Op>(250)},
                  {.op = Op::add, .type = static_cast<Type>(99)},
                  {.op = Op::call, .type = Type::i64, .imm = 5},
                  {.op = Op::get, .type = Type::i64, .imm = 3},
                  {.op = Op::fetch_op, .type = Type::i64, .imm = ~u64{0}},
                  {.op = Op::float_add, .type = Type::i64, .rounding = static_cast<Rounding>(77)}};
    EXPECT_EQ(print(block, slots()),
              "block pc 0x0 mode 0x0 size 0\nfloat_unit flags @0x7 rounding none ? ?\n? 250\n%1:? = add %none, "
              "%none\n%2:i64 = call ?5\n"
              "%3:i64 = get @0x3\n%4:i64 = fetch_op ? %none, %none\n%5:i64 = float_add %none, %none unit 0 ?\n");
}

// ---- Mutations -----------------------------------------------------------------------------------------------------

class Mutator {
public:
    explicit Mutator(u64 seed) : random_(seed) {}
    usize below(usize limit) { return limit == 0 ? 0 : random_() % limit; }

    std::string text(std::string text) {
        static constexpr std::string_view pieces[] = {"%1",
                                                      "%99999",
                                                      "i128",
                                                      "i1",
                                                      "i8",
                                                      "0x",
                                                      "0xffffffffffffffff",
                                                      "unit",
                                                      "dynamic",
                                                      "set",
                                                      "guest 0x9000\n",
                                                      "load",
                                                      "call",
                                                      "(",
                                                      ")",
                                                      ",",
                                                      ".",
                                                      "#",
                                                      "\n",
                                                      "\0",
                                                      "jump",
                                                      "float_unit",
                                                      "get",
                                                      "sext",
                                                      "leave",
                                                      "constant",
                                                      "physical.i64 store",
                                                      "%x:i64 = ",
                                                      "add",
                                                      "record"};
        for (usize edits = 1 + below(4); edits > 0; edits--) {
            const usize at = below(text.size() + 1);
            switch (below(6)) {
                case 0: text.insert(at, pieces[below(std::size(pieces))]); break;
                case 1: text.erase(at, 1 + below(8)); break;
                case 2:
                    if (at < text.size()) text[at] = static_cast<char>(below(256));
                    break;
                case 3:
                    if (at < text.size()) text[at] = "0123456789abcdefi%:.,"[below(21)];
                    break;
                case 4: text.insert(at, text.substr(below(text.size()), below(80))); break;
                default: swap_lines(text); break;
            }
        }
        return text;
    }

    void block(Block& block) {
        for (usize edits = 1 + below(3); edits > 0; edits--) {
            Inst& inst = block.code[below(block.code.size())];
            switch (below(12)) {
                case 0: inst.op = static_cast<Op>(below(op_count + 3)); break;
                case 1: inst.type = static_cast<Type>(below(9)); break;
                case 2: inst.a = value(block); break;
                case 3: inst.b = value(block); break;
                case 4: inst.c = value(block); break;
                case 5: inst.imm = number(); break;
                case 6: inst.imm2 = number(); break;
                case 7: inst.rounding = static_cast<Rounding>(below(9)); break;
                case 8: inst.hint = static_cast<JumpHint>(below(5)); break;
                case 9: block.calls[below(block.calls.size())].arguments[below(4)] = value(block); break;
                case 10: block.calls[below(block.calls.size())].effects = static_cast<Effects>(below(256)); break;
                default: block.float_units[below(block.float_units.size())].rounding = number(); break;
            }
        }
    }

private:
    void swap_lines(std::string& text) {
        std::vector<std::string> lines;
        for (usize at = 0; at < text.size();) {
            const usize end = std::min(text.find('\n', at), text.size() - 1);
            lines.push_back(text.substr(at, end + 1 - at));
            at = end + 1;
        }
        if (lines.size() < 2) return;
        std::swap(lines[below(lines.size())], lines[below(lines.size())]);
        text.clear();
        for (const std::string& line : lines) text += line;
    }
    ValueId value(const Block& block) {
        return below(10) == 0 ? no_value : static_cast<ValueId>(below(block.code.size() + 2));
    }
    u64 number() {
        switch (below(4)) {
            case 0: return below(100);
            case 1: return below(0x9000);
            case 2: return ~u64{0} - below(3);
            default: return random_();
        }
    }
    std::mt19937_64 random_;
};

// What parses is printed and parsed again to the same text; what is verified runs.
void expect_sound(const Block& block, const SlotTable& table, const std::vector<Helper>& all, unsigned& verified) {
    if (!verify(block, table).ok()) return;
    verified++;
    const std::string text = print(block, table);
    const auto again = parse(text, table, all);
    ASSERT_TRUE(again.ok()) << again.error().message << "\n" << text;
    ASSERT_EQ(print(*again, table), text);
    Cpu cpu;
    Memory memory;
    for (usize i = 0; i < sizeof cpu.state; i++) cpu.state[i] = static_cast<u8>(i * 37);
    cpu.state[slot::bit_a] = 1;
    cpu.state[slot::bit_b] = 0;
    run(block, cpu, memory);
}

TEST(IrText, MutatedTextDoesNoHarm) {
    const SlotTable table = slots();
    const auto all = helpers();
    Mutator mutator(1);
    unsigned parsed = 0, verified = 0;
    for (unsigned i = 0; i < 4'000; i++) {
        const std::string text = mutator.text(every_operation);
        const auto block = parse(text, table, all);
        if (!block) {
            ASSERT_FALSE(block.error().message.empty());
            continue;
        }
        parsed++;
        const std::string printed = print(*block, table);
        const auto again = parse(printed, table, all);
        ASSERT_TRUE(again.ok()) << again.error().message << "\n" << printed;
        ASSERT_EQ(print(*again, table), printed);
        ASSERT_NO_FATAL_FAILURE(expect_sound(*block, table, all, verified));
    }
    EXPECT_GT(parsed, 50u);
    EXPECT_GT(verified, 20u);
}

TEST(IrText, MutatedBlocksAreRefusedOrRun) {
    const SlotTable table = slots();
    const auto all = helpers();
    const auto original = parse(every_operation, table, all);
    ASSERT_TRUE(original.ok());
    Mutator mutator(2);
    unsigned verified = 0, refused = 0;
    for (unsigned i = 0; i < 4'000; i++) {
        Block block = *original;
        mutator.block(block);
        const auto result = verify(block, table);
        if (!result) {
            refused++;
            ASSERT_FALSE(result.error().message.empty());
            ASSERT_FALSE(print(block, table).empty());
        }
        ASSERT_NO_FATAL_FAILURE(expect_sound(block, table, all, verified));
    }
    EXPECT_GT(refused, 500u);
    EXPECT_GT(verified, 50u);
}

}  // namespace
}  // namespace viv::ir::test
