// What facts_of() says of a value holds for what the operation means: random instructions over values of every width,
// many of them extended, masked or shifted, so that there is something to know. And in text, what is known of some.
#include <gtest/gtest.h>

#include <random>

#include "engine/ir/evaluate.h"
#include "engine/ir/opt/operands.h"
#include "tests/ir_opt/passes_bench.h"

namespace viv::ir::opt::test {
namespace {

class FactsOfValues : public ::testing::Test {
protected:
    static constexpr Type integers[] = {Type::i8, Type::i16, Type::i32, Type::i64};

    unsigned below(unsigned limit) { return static_cast<unsigned>(random_() % limit); }

    ValueId append(const Inst& inst, u128 value) {
        const ValueId id = inst.op == Op::get ? draft_.append(inst) : draft_.append(inst, facts_of(draft_, inst));
        values_.push_back(value);
        return id;
    }
    ValueId any(Type type) {
        for (unsigned tries = 0; tries < 20; tries++) {
            const ValueId id =
                static_cast<ValueId>(values_.size() - 1 - below(std::min<u32>(40, static_cast<u32>(values_.size()))));
            if (draft_.type(id) == type) return id;
        }
        if (type == Type::i1) return append({.op = Op::get, .type = type}, random_() & 1);
        const u128 value = truncate(type, below(3) == 0 ? u64{below(4)} - 2 : u64{random_()});
        if (below(2) == 0) return append({.op = Op::get, .type = type}, value);
        return append({.op = Op::constant, .type = type, .imm = static_cast<u64>(value)}, value);
    }
    ValueId number(Type type, u64 value) {
        return append({.op = Op::constant, .type = type, .imm = value & mask_of(type)}, truncate(type, value));
    }

    void step() {
        const Type type = integers[below(4)];
        const Op op = static_cast<Op>(below(static_cast<unsigned>(Op::select) + 1));
        switch (is_pure(op) ? info_of(op).shape : Shape::leave) {
            case Shape::unary: {
                const ValueId a = any(type);
                append({.op = op, .type = type, .a = a}, evaluate_unary(op, type, values_[a]));
                break;
            }
            case Shape::binary: {
                const ValueId a = any(type);
                const ValueId b =
                    below(3) == 0 ? number(type, below(2) == 0 ? below(64) : low_mask(below(64))) : any(type);
                append({.op = op, .type = type, .a = a, .b = b}, evaluate_binary(op, type, values_[a], values_[b]));
                break;
            }
            case Shape::compare: {
                const ValueId a = any(type), b = any(type);
                append({.op = op, .type = type, .a = a, .b = b}, evaluate_compare(op, type, values_[a], values_[b]));
                break;
            }
            case Shape::convert: {
                const Type other = integers[below(4)];
                if (op != Op::trunc && below(4) == 0) {
                    const ValueId bit = any(Type::i1);
                    append({.op = Op::zext, .type = type, .a = bit}, values_[bit]);
                    break;
                }
                if (other == type) break;
                const Type narrow = std::min(type, other), wide = std::max(type, other);
                const Type to = op == Op::trunc ? narrow : wide, from = op == Op::trunc ? wide : narrow;
                const ValueId a = any(from);
                append({.op = op, .type = to, .a = a}, evaluate_convert(op, to, from, values_[a]));
                break;
            }
            case Shape::select: {
                const ValueId condition = any(Type::i1), a = any(type), b = any(type);
                append({.op = op, .type = type, .a = condition, .b = a, .c = b},
                       values_[condition] != 0 ? values_[a] : values_[b]);
                break;
            }
            default: break;
        }
    }

    Draft draft_;
    std::vector<u128> values_;
    std::mt19937_64 random_{1};
};

TEST_F(FactsOfValues, HoldForWhatTheOperationMeans) {
    u64 known = 0, total = 0;
    for (unsigned round = 0; round < 1000; round++) {
        draft_.begin(400);
        values_.clear();
        number(Type::i64, 1);
        while (values_.size() < 300) step();
        for (ValueId id = 0; id < values_.size(); id++) {
            const Facts& facts = draft_.facts(id);
            const u64 value = static_cast<u64>(values_[id]);
            const std::string text = std::string(info_of(draft_[id].op).name) + " " + std::string(name_of(facts.type));
            ASSERT_EQ(value & ~facts.ones, 0u) << text << " is " << value << ", bits that can be set " << facts.ones;
            if (facts.type == Type::i1) continue;
            ASSERT_GE(facts.signed_width, 1u);
            ASSERT_LE(facts.signed_width, bits_of(facts.type));
            ASSERT_EQ(static_cast<u64>(sign_extend(value, facts.signed_width)) & mask_of(facts.type), value)
                << text << " has a signed width of " << unsigned{facts.signed_width};
            total++;
            known += facts.ones != mask_of(facts.type) || facts.signed_width < bits_of(facts.type);
        }
    }
    EXPECT_GT(known * 3, total);
}

// Lines are separated by ';', and the last makes %r, of which `ones` can be set, and of which the low `signed_width`
// bits say all.
void known(std::string_view lines, u64 ones, unsigned signed_width) {
    std::string text = inputs;
    for (const char c : lines) text += c == ';' ? '\n' : c;
    const Block block = block_of(text + "\nleave\n", overlapping_slots());
    Draft draft;
    draft.begin(block.code.size());
    for (const Inst& inst : block.code) {
        if (is_pure(inst.op))
            draft.append(inst, facts_of(draft, inst));
        else
            draft.append(inst);
    }
    ASSERT_GE(block.code.size(), 2u);
    const Facts& facts = draft.facts(static_cast<ValueId>(block.code.size() - 2));
    EXPECT_EQ(facts.ones, ones) << lines;
    EXPECT_EQ(facts.signed_width, signed_width) << lines;
}
constexpr u64 all = ~u64{0};

TEST(Facts, OfConstantsAndExtensions) {
    known("%r:i64 = constant 0x7f", 0x7f, 8);
    known("%r:i64 = constant 0xffffffffffffff80", ~u64{0x7f}, 8);
    known("%r:i32 = constant 0x0", 0, 1);
    known("%r:i64 = zext %w", 0xffff'ffff, 33);
    known("%r:i64 = sext %w", all, 32);
    known("%r:i64 = zext %p", 1, 2);
    known("%x:i32 = zext %y;%r:i64 = sext %x", 0xff, 9);
    known("%x:i64 = zext %h;%r:i32 = trunc %x", 0xffff, 17);
    known("%x:i64 = zext %h;%r:i8 = trunc %x", 0xff, 8);
}

TEST(Facts, OfMasksAndShifts) {
    known("%c:i64 = constant 0xff0;%r:i64 = and %a, %c", 0xff0, 13);
    known("%x:i64 = zext %y;%z:i64 = zext %h;%r:i64 = or %x, %z", 0xffff, 17);
    known("%x:i64 = sext %w;%z:i64 = sext %h;%r:i64 = xor %x, %z", all, 32);
    known("%x:i64 = zext %y;%c:i64 = constant 0x4;%r:i64 = shl %x, %c", 0xff0, 13);
    known("%c:i64 = constant 0x30;%r:i64 = shr %a, %c", 0xffff, 17);
    known("%c:i64 = constant 0x30;%r:i64 = sar %a, %c", all, 16);
    known("%x:i64 = zext %w;%r:i64 = shr %x, %b", 0xffff'ffff, 33);
    known("%x:i64 = sext %h;%r:i64 = not %x", all, 16);
}

TEST(Facts, OfArithmetic) {
    known("%x:i64 = zext %y;%z:i64 = zext %h;%r:i64 = add %x, %z", 0x1'ffff, 18);
    known("%x:i64 = sext %w;%z:i64 = sext %v;%r:i64 = sub %x, %z", all, 33);
    known("%x:i64 = zext %y;%z:i64 = zext %h;%r:i64 = mul %x, %z", 0xff'ffff, 25);
    known("%x:i64 = zext %y;%r:i64 = remu %x, %a", 0xff, 9);
    known("%x:i64 = zext %y;%z:i64 = zext %h;%r:i64 = select %p, %x, %z", 0xffff, 17);
    known("%x:i64 = zext %y;%z:i64 = zext %h;%r:i64 = maxu %x, %z", 0xffff, 17);
    known("%r:i64 = popcount %a", 0x7f, 8);
    known("%r:i64 = add %a, %b", all, 64);
}

}  // namespace
}  // namespace viv::ir::opt::test
