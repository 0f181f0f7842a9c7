// The oracle's floating-point operations: their meaning is softfloat's; here is shown that operands, formats, rounding
// modes, NaN rules and flags reach it and come back.
#include <gtest/gtest.h>

#include <functional>

#include "engine/ir/builder.h"
#include "engine/ir/op_info.h"
#include "tests/ir/ir_bench.h"

namespace viv::ir::test {
namespace {

constexpr FloatUnit plain{.flags = slot::flags, .rounding = slot::rounding};

template <class T>
T read(const Cpu& cpu, u64 offset) {
    T value;
    std::memcpy(&value, cpu.state + offset, sizeof value);
    return value;
}
template <class T>
void write(Cpu& cpu, u64 offset, T value) {
    std::memcpy(cpu.state + offset, &value, sizeof value);
}

// Runs what `make` appends with get(format) of three operands, the third one a constant, and sets the first slot of
// `result`.
template <class T>
u64 operate(T a, T b, T c, Type result, Cpu& cpu, const FloatUnit& unit,
            const std::function<ValueId(Builder&, ValueId, ValueId, ValueId, unsigned)>& make) {
    const Type format = type_of<T>;
    Block block;
    Builder builder(block);
    builder.guest(0);
    const ValueId x = builder.get(format, slots_of(format)[0]), y = builder.get(format, slots_of(format)[1]),
                  z = builder.constant(format, c);
    const unsigned number = builder.float_unit(unit);
    const ValueId made = make(builder, x, y, z, number);
    builder.set(result, slots_of(result)[0], made);
    builder.leave();
    const auto verified = verify(block, slots());
    EXPECT_TRUE(verified.ok()) << verified.error().message;
    write(cpu, slots_of(format)[0], a);
    write(cpu, slots_of(format)[1], b);
    Memory memory;
    run(block, cpu, memory);
    u64 value = 0;
    std::memcpy(&value, cpu.state + slots_of(result)[0], bytes_of(result));
    return value;
}

template <class T>
std::vector<T> interesting() {
    const unsigned fraction = sizeof(T) == 2 ? 10 : sizeof(T) == 4 ? 23 : 52;
    const T sign = T(T(1) << (sizeof(T) * 8 - 1)), infinity = T(T(~sign) & ~((T(1) << fraction) - 1)),
            one = T(infinity >> 1 & ~((T(1) << fraction) - 1));
    return {0,
            sign,
            1,
            T(sign | 1),
            T((T(1) << fraction) - 1),
            T(T(1) << fraction),
            one,
            T(one | sign),
            T(one + 1),
            T(infinity - 1),
            infinity,
            T(infinity | sign),
            T(infinity | 1),
            T(infinity | T(1) << (fraction - 1)),
            T(one + (T(5) << fraction) + 3)};
}

template <class T>
struct Binary {
    Op op;
    T (*meaning)(soft::Environment&, T, T);
};

template <class T>
void check_format() {
    constexpr Type format = type_of<T>;
    const Binary<T> binaries[] = {{Op::float_add, soft::add<T>},        {Op::float_sub, soft::sub<T>},
                                  {Op::float_mul, soft::mul<T>},        {Op::float_div, soft::div<T>},
                                  {Op::float_min, soft::min_number<T>}, {Op::float_max, soft::max_number<T>}};
    const struct {
        Op op;
        bool (*meaning)(soft::Environment&, T, T);
    } compares[] = {{Op::float_eq, soft::equal<T>}, {Op::float_lt, soft::less<T>}, {Op::float_le, soft::less_equal<T>}};
    for (const T a : interesting<T>()) {
        for (const T b : interesting<T>()) {
            for (unsigned mode = 0; mode < 6; mode++) {
                for (const auto& [op, meaning] : binaries) {
                    if (mode != 0 && !rounds(op)) continue;
                    soft::Environment env{static_cast<soft::Rounding>(mode)};
                    Cpu cpu;
                    const u64 got =
                        operate<T>(a, b, 0, format, cpu, plain,
                                   [op = op, mode](Builder& builder, ValueId x, ValueId y, ValueId, unsigned unit) {
                                       return builder.float_op(op, format, unit, static_cast<Rounding>(mode), x, y);
                                   });
                    ASSERT_EQ(got, u64{meaning(env, a, b)})
                        << info_of(op).name << ' ' << std::hex << u64{a} << ' ' << u64{b} << " rounding " << mode;
                    ASSERT_EQ(cpu.state[slot::flags], env.flags) << info_of(op).name;
                }
                soft::Environment env{static_cast<soft::Rounding>(mode)};
                Cpu cpu;
                const T c = T(b ^ 3);
                const u64 got = operate<T>(a, b, c, format, cpu, plain,
                                           [mode](Builder& builder, ValueId x, ValueId y, ValueId z, unsigned unit) {
                                               return builder.float_op(Op::float_mul_add, format, unit,
                                                                       static_cast<Rounding>(mode), x, y, z);
                                           });
                ASSERT_EQ(got, u64{soft::mul_add<T>(env, a, b, c)});
                ASSERT_EQ(cpu.state[slot::flags], env.flags);
            }
            for (const auto& [op, meaning] : compares) {
                soft::Environment env;
                Cpu cpu;
                const u64 got = operate<T>(a, b, 0, Type::i1, cpu, plain,
                                           [op = op](Builder& builder, ValueId x, ValueId y, ValueId, unsigned unit) {
                                               return builder.float_compare(op, format, unit, x, y);
                                           });
                ASSERT_EQ(got, meaning(env, a, b) ? 1u : 0u) << info_of(op).name;
                ASSERT_EQ(cpu.state[slot::flags], env.flags);
            }
        }
        Cpu cpu;
        soft::Environment env;
        ASSERT_EQ(operate<T>(a, 0, 0, format, cpu, plain,
                             [](Builder& builder, ValueId x, ValueId, ValueId, unsigned unit) {
                                 return builder.float_op(Op::float_sqrt, format, unit, Rounding::nearest_even, x);
                             }),
                  u64{soft::sqrt<T>(env, a)});
        ASSERT_EQ(cpu.state[slot::flags], env.flags);
        Cpu other;
        ASSERT_EQ(operate<T>(a, 0, 0, Type::i16, other, plain,
                             [](Builder& builder, ValueId x, ValueId, ValueId, unsigned) {
                                 return builder.float_classify(x);
                             }),
                  u64{soft::classify<T>(a)});
        ASSERT_EQ(other.state[slot::flags], 0);
    }
}

TEST(OracleFloat, Binary16) { check_format<u16>(); }
TEST(OracleFloat, Binary32) { check_format<u32>(); }
TEST(OracleFloat, Binary64) { check_format<u64>(); }

template <class T>
u64 convert(Op op, Type to, T value, Rounding rounding, Cpu& cpu) {
    return operate<T>(value, 0, 0, to, cpu, plain, [=](Builder& builder, ValueId x, ValueId, ValueId, unsigned unit) {
        return builder.float_convert(op, to, unit, rounding, x);
    });
}

TEST(OracleFloat, ConversionsBetweenFormatsAndIntegers) {
    Cpu cpu;
    EXPECT_EQ(convert<u64>(Op::float_convert, Type::i32, 0x3ff0'0000'0000'0000, Rounding::nearest_even, cpu),
              0x3f80'0000u);
    EXPECT_EQ(convert<u32>(Op::float_convert, Type::i16, 0x3f80'0000, Rounding::nearest_even, cpu), 0x3c00u);
    EXPECT_EQ(convert<u16>(Op::float_convert, Type::i64, 0xc000, Rounding::nearest_even, cpu), 0xc000'0000'0000'0000u);
    EXPECT_EQ(cpu.state[slot::flags], 0);
    EXPECT_EQ(convert<u64>(Op::float_to_signed, Type::i32, 0xc004'0000'0000'0000, Rounding::toward_zero, cpu),
              u32(-2));  // -2.5
    EXPECT_EQ(cpu.state[slot::flags], soft::inexact);
    EXPECT_EQ(convert<u64>(Op::float_to_signed, Type::i8, 0xc004'0000'0000'0000, Rounding::down, cpu), u8(-3));
    EXPECT_EQ(convert<u64>(Op::float_to_unsigned, Type::i64, 0xc004'0000'0000'0000, Rounding::down, cpu), 0u);
    EXPECT_EQ(cpu.state[slot::flags], soft::inexact | soft::invalid) << "flags add up";
    EXPECT_EQ(convert<u32>(Op::float_to_unsigned, Type::i64, 0x5f80'0000, Rounding::down, cpu), ~u64{0});  // 2^64
    EXPECT_EQ(convert<u32>(Op::float_from_signed, Type::i64, 0xffff'ffff, Rounding::nearest_even, cpu),
              0xbff0'0000'0000'0000u);
    EXPECT_EQ(convert<u32>(Op::float_from_unsigned, Type::i64, 0xffff'ffff, Rounding::nearest_even, cpu),
              0x41ef'ffff'ffe0'0000u);
    EXPECT_EQ(convert<u64>(Op::float_from_unsigned, Type::i32, ~u64{0}, Rounding::toward_zero, cpu), 0x5f7f'ffffu);
    EXPECT_EQ(convert<u64>(Op::float_from_unsigned, Type::i32, ~u64{0}, Rounding::up, cpu), 0x5f80'0000u);
    EXPECT_EQ(convert<u8>(Op::float_from_signed, Type::i16, 0x80, Rounding::up, cpu), 0xd800u);  // -128
}

TEST(OracleFloat, DynamicRoundingComesFromTheSlot) {
    const auto third = [](u8 mode) {
        Cpu cpu;
        cpu.state[slot::rounding] = mode;
        return operate<u32>(0x3f80'0000, 0x4040'0000, 0, Type::i32, cpu, plain,
                            [](Builder& builder, ValueId x, ValueId y, ValueId, unsigned unit) {
                                return builder.float_op(Op::float_div, Type::i32, unit, Rounding::dynamic, x, y);
                            });
    };
    EXPECT_EQ(third(0), 0x3eaa'aaabu);
    EXPECT_EQ(third(1), 0x3eaa'aaaau);
    EXPECT_EQ(third(2), 0x3eaa'aaaau);
    EXPECT_EQ(third(3), 0x3eaa'aaabu);
    EXPECT_EQ(third(4), 0x3eaa'aaabu);
    EXPECT_EQ(third(5), 0x3eaa'aaabu);
    EXPECT_EQ(third(6), 0x3eaa'aaabu) << "what is no mode is nearest_even";
    EXPECT_EQ(third(255), 0x3eaa'aaabu);
}

TEST(OracleFloat, UnitsHaveTheirOwnFlagsAndRules) {
    const FloatUnit first{.flags = slot::byte_b, .nan_rule = soft::NanRule::first_operand};
    const auto add = [](Builder& builder, ValueId x, ValueId y, ValueId, unsigned unit) {
        return builder.float_op(Op::float_add, Type::i32, unit, Rounding::nearest_even, x, y);
    };
    Cpu cpu;
    cpu.state[slot::byte_b] = soft::overflow;
    EXPECT_EQ(operate<u32>(0x7f80'1234, 0x3f80'0000, 0, Type::i32, cpu, first, add), 0x7fc0'1234u);
    EXPECT_EQ(cpu.state[slot::byte_b], soft::overflow | soft::invalid);
    EXPECT_EQ(cpu.state[slot::flags], 0);
    EXPECT_EQ(operate<u32>(0x7f80'1234, 0x3f80'0000, 0, Type::i32, cpu, plain, add), 0x7fc0'0000u);
    EXPECT_EQ(cpu.state[slot::flags], soft::invalid);

    const FloatUnit before{.flags = slot::flags, .tininess = soft::Tininess::before_rounding};
    const auto mul = [](Builder& builder, ValueId x, ValueId y, ValueId, unsigned unit) {
        return builder.float_op(Op::float_mul, Type::i32, unit, Rounding::nearest_even, x, y);
    };
    // Rounds up to the smallest normal number: tiny before rounding, not after it.
    Cpu tiny;
    EXPECT_EQ(operate<u32>(0x0080'0000, 0x3f7f'ffff, 0, Type::i32, tiny, plain, mul), 0x0080'0000u);
    EXPECT_EQ(tiny.state[slot::flags] & soft::inexact, soft::inexact);
    const u8 after_flags = tiny.state[slot::flags];
    Cpu tiny_before;
    operate<u32>(0x0080'0000, 0x3f7f'ffff, 0, Type::i32, tiny_before, before, mul);
    EXPECT_EQ(tiny_before.state[slot::flags], soft::inexact | soft::underflow);
    soft::Environment env;
    soft::mul<u32>(env, 0x0080'0000, 0x3f7f'ffff);
    EXPECT_EQ(after_flags, env.flags);
}

TEST(OracleFloat, LikeUnitsAreOne) {
    Block block;
    Builder builder(block);
    EXPECT_EQ(builder.float_unit(plain), 0u);
    EXPECT_EQ(builder.float_unit({.flags = slot::byte_a}), 1u);
    EXPECT_EQ(builder.float_unit(plain), 0u);
    EXPECT_EQ(block.float_units.size(), 2u);
}

}  // namespace
}  // namespace viv::ir::test
