// The oracle's integer operations at corner values of every width, against a second definition that works bit by bit.
#include <gtest/gtest.h>

#include "engine/ir/builder.h"
#include "engine/ir/evaluate.h"
#include "engine/ir/op_info.h"
#include "tests/ir/ir_bench.h"

namespace viv::ir::test {
namespace {

// A number of `width` bits, and arithmetic on it by the methods of a schoolchild.
struct Word {
    unsigned width;
    u128 v;

    bool bit(unsigned i) const { return (v >> i & 1) != 0; }
    bool negative() const { return bit(width - 1); }
    u128 mask() const { return width == 128 ? ~u128{0} : (u128{1} << width) - 1; }
    Word with(u128 value) const { return {width, value & mask()}; }
    Word twice() const { return with(v << 1); }
    Word half(bool top) const { return with(v >> 1 | (top ? u128{1} << (width - 1) : 0)); }
    Word flipped() const {
        Word result = with(0);
        for (unsigned i = 0; i < width; i++)
            if (!bit(i)) result.v |= u128{1} << i;
        return result;
    }
};

Word plus(Word a, Word b, bool carry = false) {
    Word result = a.with(0);
    for (unsigned i = 0; i < a.width; i++) {
        const unsigned sum = unsigned{a.bit(i)} + unsigned{b.bit(i)} + unsigned{carry};
        if ((sum & 1) != 0) result.v |= u128{1} << i;
        carry = sum > 1;
    }
    return result;
}
Word minus(Word a, Word b) { return plus(a, b.flipped(), true); }
Word negated(Word a) { return minus(a.with(0), a); }
Word magnitude(Word a) { return a.negative() ? negated(a) : a; }
bool below(Word a, Word b) {
    for (unsigned i = a.width; i-- > 0;)
        if (a.bit(i) != b.bit(i)) return b.bit(i);
    return false;
}
bool below_signed(Word a, Word b) { return a.negative() != b.negative() ? a.negative() : below(a, b); }
Word times(Word a, Word b) {
    Word result = a.with(0);
    for (unsigned i = a.width; i-- > 0;) {
        result = result.twice();
        if (b.bit(i)) result = plus(result, a);
    }
    return result;
}
// The high half of a product of up to 64 bits, each operand signed or not.
Word times_high(Word a, Word b, bool a_signed, bool b_signed) {
    const auto widened = [](Word value, bool is_signed) {
        const Word wide{2 * value.width, value.v};
        return is_signed && value.negative() ? wide.with(wide.v | ~value.mask()) : wide;
    };
    const Word product = times(widened(a, a_signed), widened(b, b_signed));
    return a.with(product.v >> a.width);
}
struct Quotient {
    Word quotient, remainder;
};
Quotient divided(Word a, Word b) {
    Quotient result{a.with(0), a.with(0)};
    for (unsigned i = a.width; i-- > 0;) {
        const bool carry = result.remainder.negative();
        result.remainder = result.remainder.twice();
        result.remainder.v |= a.bit(i) ? 1 : 0;
        result.quotient = result.quotient.twice();
        if (carry || !below(result.remainder, b)) {
            result.remainder = minus(result.remainder, b);
            result.quotient.v |= 1;
        }
    }
    return result;
}
Word product_without_carries(Word a, Word b, bool high) {
    Word result = a.with(0);
    for (unsigned i = 0; i < a.width; i++) {
        const unsigned place = i + (high ? a.width : 0);
        bool sum = false;
        for (unsigned j = 0; j < a.width; j++)
            if (place >= j && place - j < a.width) sum ^= a.bit(j) && b.bit(place - j);
        if (sum) result.v |= u128{1} << i;
    }
    return result;
}

Word reference(Op op, Word a, Word b) {
    const bool zero = b.v == 0;
    const unsigned amount = static_cast<unsigned>(b.v % a.width);
    Word result = a;
    switch (op) {
        case Op::not_: return a.flipped();
        case Op::neg: return negated(a);
        case Op::clz:
            result = a.with(0);
            while (result.v < a.width && !a.bit(a.width - 1 - static_cast<unsigned>(result.v))) result.v++;
            return result;
        case Op::ctz:
            result = a.with(0);
            while (result.v < a.width && !a.bit(static_cast<unsigned>(result.v))) result.v++;
            return result;
        case Op::popcount:
            result = a.with(0);
            for (unsigned i = 0; i < a.width; i++) result.v += a.bit(i) ? 1 : 0;
            return result;
        case Op::byte_swap:
            result = a.with(0);
            for (unsigned i = 0; i < a.width; i++)
                if (a.bit(i)) result.v |= u128{1} << (a.width - 8 - i / 8 * 8 + i % 8);
            return result;
        case Op::add: return plus(a, b);
        case Op::sub: return minus(a, b);
        case Op::mul: return times(a, b);
        case Op::mulhu: return times_high(a, b, false, false);
        case Op::mulhs: return times_high(a, b, true, true);
        case Op::mulhsu: return times_high(a, b, true, false);
        case Op::divu: return zero ? a.with(~u128{0}) : divided(a, b).quotient;
        case Op::remu: return zero ? a : divided(a, b).remainder;
        case Op::divs:
            if (zero) return a.with(~u128{0});
            result = divided(magnitude(a), magnitude(b)).quotient;
            return a.negative() != b.negative() ? negated(result) : result;
        case Op::rems:
            if (zero) return a;
            result = divided(magnitude(a), magnitude(b)).remainder;
            return a.negative() ? negated(result) : result;
        case Op::and_: return a.with(a.v - (a.v & b.flipped().v));
        case Op::or_: return a.with(a.v + (b.v & a.flipped().v));
        case Op::xor_: return a.with((a.v & b.flipped().v) + (b.v & a.flipped().v));
        case Op::shl:
            for (unsigned i = 0; i < amount; i++) result = result.twice();
            return result;
        case Op::shr:
            for (unsigned i = 0; i < amount; i++) result = result.half(false);
            return result;
        case Op::sar:
            for (unsigned i = 0; i < amount; i++) result = result.half(result.negative());
            return result;
        case Op::rotr:
            for (unsigned i = 0; i < amount; i++) result = result.half(result.bit(0));
            return result;
        case Op::rotl:
            for (unsigned i = 0; i < amount; i++) result = result.with(result.twice().v | (result.negative() ? 1 : 0));
            return result;
        case Op::minu: return below(b, a) ? b : a;
        case Op::maxu: return below(a, b) ? b : a;
        case Op::mins: return below_signed(b, a) ? b : a;
        case Op::maxs: return below_signed(a, b) ? b : a;
        case Op::clmul: return product_without_carries(a, b, false);
        case Op::clmulh: return product_without_carries(a, b, true);
        case Op::eq: return {1, minus(a, b).v == 0};
        case Op::ne: return {1, minus(a, b).v != 0};
        case Op::ltu: return {1, below(a, b)};
        case Op::lts: return {1, below_signed(a, b)};
        case Op::geu: return {1, !below(a, b)};
        case Op::ges: return {1, !below_signed(a, b)};
        default: break;
    }
    ADD_FAILURE() << "no reference for " << info_of(op).name;
    return a;
}

std::vector<u128> corners(unsigned width) {
    const u128 top = u128{1} << (width - 1);
    std::vector<u128> all{0,
                          1,
                          2,
                          3,
                          7,
                          width,
                          width - 1,
                          width + 1,
                          top,
                          top - 1,
                          top + 1,
                          ~u128{0},
                          ~u128{1},
                          ~u128{width},
                          u128{0x5555'5555'5555'5555} << 64 | 0x5555'5555'5555'5555,
                          u128{0x0123'4567'89ab'cdef} << 64 | 0xfedc'ba98'7654'3210,
                          u128{1} << (width / 2),
                          (u128{1} << (width / 2)) - 1};
    std::mt19937_64 random(width);
    for (unsigned i = 0; i < 4; i++) all.push_back(u128{random()} << 64 | random());
    for (u128& value : all)
        value = truncate(width == 128  ? Type::i128
                         : width == 64 ? Type::i64
                         : width == 32 ? Type::i32
                         : width == 16 ? Type::i16
                                       : Type::i8,
                         value);
    return all;
}

void put(Cpu& cpu, u64 offset, Type type, u128 value) { std::memcpy(cpu.state + offset, &value, bytes_of(type)); }
u128 take(const Cpu& cpu, u64 offset, Type type) {
    u128 value = 0;
    std::memcpy(&value, cpu.state + offset, bytes_of(type));
    return value;
}

// slot 3 of the type := op(first, second)
Block block_for(Op op, Type type) {
    Block block;
    Builder b(block);
    b.guest(0);
    const auto [first, second] = slots_of(type);
    const ValueId x = b.get(type, first), y = b.get(type, second);
    const Shape shape = info_of(op).shape;
    if (shape == Shape::compare)
        b.set(Type::i1, slot::bit_a, b.compare(op, type, x, y));
    else
        b.set(type, first, shape == Shape::unary ? b.unary(op, type, x) : b.binary(op, type, x, y));
    b.leave();
    return block;
}

class OracleInteger : public ::testing::TestWithParam<Type> {};

TEST_P(OracleInteger, MeansWhatTheBitsSay) {
    const Type type = GetParam();
    const unsigned width = bits_of(type);
    const SlotTable table = slots();
    const auto [first, second] = slots_of(type);
    const auto values = corners(width);
    Oracle oracle;
    Memory memory;
    unsigned operations = 0;
    for (usize number = 0; number < op_count; number++) {
        const Op op = static_cast<Op>(number);
        const Shape shape = info_of(op).shape;
        if (shape != Shape::unary && shape != Shape::binary && shape != Shape::compare) continue;
        if (type == Type::i128 && is_high_half(op)) continue;
        const Block block = block_for(op, type);
        ASSERT_TRUE(verify(block, table).ok()) << info_of(op).name;
        operations++;
        const Type result = shape == Shape::compare ? Type::i1 : type;
        const u64 where = shape == Shape::compare ? u64{slot::bit_a} : first;
        for (const u128 a : values) {
            for (const u128 b : values) {
                Cpu cpu;
                put(cpu, first, type, a);
                put(cpu, second, type, b);
                oracle.run(block, cpu.state, &cpu, memory);
                const u128 expected = reference(op, {width, a}, {width, b}).v;
                ASSERT_TRUE(take(cpu, where, result) == expected)
                    << info_of(op).name << '.' << name_of(type) << " of " << std::hex << static_cast<u64>(a >> 64)
                    << ':' << static_cast<u64>(a) << " and " << static_cast<u64>(b >> 64) << ':' << static_cast<u64>(b);
                if (shape == Shape::unary) break;
            }
        }
    }
    EXPECT_EQ(operations, type == Type::i128 ? 32u : 36u);
}
INSTANTIATE_TEST_SUITE_P(Widths, OracleInteger,
                         ::testing::Values(Type::i8, Type::i16, Type::i32, Type::i64, Type::i128),
                         [](const auto& test) { return std::string(name_of(test.param)); });

TEST(OracleInteger, DivisionHasRiscvsCornerCases) {
    EXPECT_TRUE(evaluate_binary(Op::divs, Type::i32, 0x8000'0000, 0xffff'ffff) == 0x8000'0000);
    EXPECT_TRUE(evaluate_binary(Op::rems, Type::i32, 0x8000'0000, 0xffff'ffff) == 0);
    EXPECT_TRUE(evaluate_binary(Op::divs, Type::i8, 7, 0) == 0xff);
    EXPECT_TRUE(evaluate_binary(Op::rems, Type::i8, 7, 0) == 7);
    EXPECT_TRUE(evaluate_binary(Op::divs, Type::i64, u64(-7), 2) == u64(-3));
    EXPECT_TRUE(evaluate_binary(Op::rems, Type::i64, u64(-7), 2) == u64(-1));
}

TEST(OracleInteger, OneBitLogic) {
    Oracle oracle;
    Memory memory;
    const struct {
        Op op;
        unsigned truth;  // bit 2a + b
    } cases[] = {{Op::and_, 0b1000}, {Op::or_, 0b1110}, {Op::xor_, 0b0110},
                 {Op::eq, 0b1001},   {Op::ne, 0b0110},  {Op::not_, 0b0011}};
    for (const auto& [op, truth] : cases) {
        const Block block = block_for(op, Type::i1);
        ASSERT_TRUE(verify(block, slots()).ok());
        for (unsigned inputs = 0; inputs < 4; inputs++) {
            Cpu cpu;
            cpu.state[slot::bit_a] = inputs > 1;
            cpu.state[slot::bit_b] = inputs % 2 != 0;
            oracle.run(block, cpu.state, &cpu, memory);
            EXPECT_EQ(cpu.state[slot::bit_a], truth >> inputs & 1) << info_of(op).name << inputs;
        }
    }
}

TEST(OracleInteger, ConversionsAndSelect) {
    const struct {
        Op op;
        Type from, to;
        u128 value, expected;
    } cases[] = {
        {Op::zext, Type::i8, Type::i32, 0x80, 0x80},
        {Op::sext, Type::i8, Type::i32, 0x80, 0xffff'ff80},
        {Op::sext, Type::i8, Type::i16, 0x7f, 0x7f},
        {Op::zext, Type::i1, Type::i64, 1, 1},
        {Op::sext, Type::i64, Type::i128, u64{1} << 63, ~u128{0} << 63},
        {Op::zext, Type::i64, Type::i128, ~u64{0}, ~u64{0}},
        {Op::sext, Type::i16, Type::i64, 0xabcd, 0xffff'ffff'ffff'abcd},
        {Op::trunc, Type::i128, Type::i64, u128{5} << 64 | 6, 6},
        {Op::trunc, Type::i32, Type::i8, 0x1ff, 0xff},
    };
    Oracle oracle;
    Memory memory;
    for (const auto& [op, from, to, value, expected] : cases) {
        Block block;
        Builder b(block);
        b.guest(0);
        b.set(to, slots_of(to)[1], b.convert(op, to, b.get(from, slots_of(from)[0])));
        b.leave();
        ASSERT_TRUE(verify(block, slots()).ok());
        Cpu cpu;
        put(cpu, slots_of(from)[0], from, value);
        oracle.run(block, cpu.state, &cpu, memory);
        EXPECT_TRUE(take(cpu, slots_of(to)[1], to) == expected) << info_of(op).name << name_of(from) << name_of(to);
    }
    for (const bool condition : {false, true}) {
        Block block;
        Builder b(block);
        b.guest(0);
        b.set(Type::i64, slot::a,
              b.select(Type::i64, b.get(Type::i1, slot::bit_a), b.constant(Type::i64, 10), b.constant(Type::i64, 20)));
        b.leave();
        Cpu cpu;
        cpu.state[slot::bit_a] = condition;
        oracle.run(block, cpu.state, &cpu, memory);
        EXPECT_TRUE(take(cpu, slot::a, Type::i64) == (condition ? 10u : 20u));
    }
}

TEST(OracleInteger, WideConstantsKeepTheirHighHalf) {
    Block block;
    Builder b(block);
    b.guest(0);
    b.set(Type::i128, slot::wide_a, b.constant(Type::i128, u128{0x1122} << 64 | 0x3344));
    b.set(Type::i8, slot::byte_a, b.constant(Type::i8, 0x1ff));
    b.leave();
    ASSERT_TRUE(verify(block, slots()).ok());
    Cpu cpu;
    Memory memory;
    run(block, cpu, memory);
    EXPECT_TRUE(take(cpu, slot::wide_a, Type::i128) == (u128{0x1122} << 64 | 0x3344));
    EXPECT_EQ(cpu.state[slot::byte_a], 0xff);
}

}  // namespace
}  // namespace viv::ir::test
