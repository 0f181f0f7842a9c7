// Random blocks of every operation and type, with overlapping slots, helpers that read and write state, accesses that
// fault, and constants where identities bite; each before and after every pass in the oracle, from several states.
// VIV_IR_OPT_BLOCKS sets how many blocks run, VIV_IR_OPT_SEED from where.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "engine/ir/builder.h"
#include "engine/ir/evaluate.h"
#include "engine/lang/bytes.h"
#include "tests/ir_opt/passes_bench.h"

namespace viv::ir::opt::test {
namespace {

u64 from_environment(const char* name, u64 otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 0);
}

class Generator {
public:
    Generator(u64 seed, const SlotTable& slots) : random_(seed), slots_(slots) {}

    Block block() {
        Block made{.pc = 0x1000, .size = 64};
        Builder builder(made);
        b_ = &builder;
        for (auto& all : values_) all.clear();
        builder.float_unit({.flags = slot::flags, .rounding = slot::rounding});
        const unsigned instructions = 1 + below(5);
        for (unsigned i = 0; i < instructions; i++) {
            builder.guest(0x1000 + 4 * i);
            instruction();
        }
        terminate();
        return made;
    }
    u64 next() { return random_(); }
    unsigned below(unsigned limit) { return static_cast<unsigned>(random_() % limit); }
    bool percent(unsigned chance) { return below(100) < chance; }

private:
    static constexpr Type integers[] = {Type::i8, Type::i16, Type::i32, Type::i64, Type::i128};

    // The first law: what may leave first, then what changes something.
    void instruction() {
        for (unsigned i = below(6); i-- > 0;) compute();
        if (percent(20)) leaving();
        for (unsigned i = below(10); i-- > 0;) compute();
        for (unsigned i = below(4); i-- > 0;) change();
    }
    void terminate() {
        switch (below(5)) {
            case 0: b_->jump(0x2000, JumpHint::call); break;
            case 1: b_->jump_indirect(any(Type::i64), percent(50) ? JumpHint::return_ : JumpHint::none); break;
            case 2: b_->leave(); break;
            default: b_->branch(any(Type::i1), 0x3000, percent(90) ? 0x4000 : 0x3000); break;
        }
    }

    Type integer() { return percent(60) ? (percent(60) ? Type::i64 : Type::i32) : integers[below(5)]; }
    u128 number(Type type) {
        const unsigned width = bits_of(type);
        const u128 sign = u128{1} << (width - 1);
        const u128 corners[] = {0,    1,      2,           ~u128{0},     sign,  sign - 1,
                                0xff, 0xffff, 0xffff'ffff, low_mask(63), width, width - 1};
        u128 value = 0;
        switch (below(6)) {
            case 0: value = u128{1} << below(width); break;
            case 1: value = (u128{1} << below(width)) - 1; break;
            case 2: value = ~((u128{1} << below(width)) - 1); break;
            case 3: value = below(70); break;
            case 4: value = u128{next()} << 64 | next(); break;
            default: value = corners[below(12)]; break;
        }
        return truncate(type, value);
    }
    ValueId keep(Type type, ValueId id) {
        values_[static_cast<usize>(type)].push_back(id);
        return id;
    }
    ValueId constant(Type type) { return keep(type, b_->constant(type, number(type))); }
    ValueId get(Type type) {
        // Also those that the type's two slots overlap with.
        std::vector<u64> offsets;
        for (const Slot& slot : slots_.all())
            if (slot.type == type) offsets.push_back(slot.offset);
        return keep(type, b_->get(type, offsets[below(static_cast<unsigned>(offsets.size()))]));
    }
    // A value, mostly one of the last.
    ValueId any(Type type) {
        const auto& all = values_[static_cast<usize>(type)];
        if (all.empty() || percent(15)) return percent(30) ? constant(type) : get(type);
        const unsigned count = static_cast<unsigned>(all.size());
        return all[count - 1 - below(percent(70) ? std::min(count, 3u) : count)];
    }
    ValueId any_or_constant(Type type) { return percent(45) ? constant(type) : any(type); }

    void compute() {
        constexpr Op unary[] = {Op::not_, Op::neg, Op::clz, Op::ctz, Op::popcount, Op::byte_swap};
        constexpr Op compares[] = {Op::eq, Op::ne, Op::ltu, Op::lts, Op::geu, Op::ges};
        constexpr Op logical[] = {Op::and_, Op::or_, Op::xor_};
        const Type type = integer();
        switch (below(18)) {
            case 0: keep(type, b_->unary(unary[below(6)], type, any(type))); break;
            case 1:
            case 2:
                keep(Type::i1, b_->compare(compares[below(6)], type, any_or_constant(type), any_or_constant(type)));
                break;
            case 3:
            case 4: extend(); break;
            case 5: {
                const Type from = integers[1 + below(4)];
                const Type to = integers[below(static_cast<unsigned>(from) - 2)];
                keep(to, b_->convert(Op::trunc, to, any(from)));
                break;
            }
            case 6: {
                const Type of = percent(20) ? Type::i1 : type;
                keep(of, b_->select(of, any(Type::i1), any_or_constant(of), any_or_constant(of)));
                break;
            }
            case 7:
                if (percent(40))
                    keep(Type::i1, b_->unary(Op::not_, Type::i1, any(Type::i1)));
                else if (percent(50))
                    keep(Type::i1, b_->compare(compares[below(2)], Type::i1, any_or_constant(Type::i1), any(Type::i1)));
                else
                    keep(Type::i1, b_->binary(logical[below(3)], Type::i1, any_or_constant(Type::i1), any(Type::i1)));
                break;
            case 8: get(percent(80) ? type : Type::i1); break;
            case 9:
                if (percent(50))
                    keep(Type::i16, b_->float_classify(any(Type::i32)));
                else
                    call(percent(50) ? effect_none : effect_reads_state);
                break;
            case 10: {
                // A pair of conditional zeroes.
                const ValueId condition = any(Type::i1), zero = b_->constant(type, 0);
                const ValueId x = b_->select(type, condition, any(type), zero),
                              y = b_->select(type, condition, zero, any(type));
                keep(type, b_->binary(percent(50) ? Op::or_ : Op::xor_, type, x, y));
                break;
            }
            case 11: {
                constexpr Op shifts[] = {Op::shl, Op::shr, Op::sar};
                const unsigned width = bits_of(type);
                const unsigned counts[] = {width / 2, width - 8, 8, 1, width - 1, below(width)};
                ValueId id = any(type);
                for (unsigned i = 1 + below(2); i-- > 0;)
                    id = b_->binary(shifts[below(3)], type, id, b_->constant(type, counts[below(6)]));
                keep(type, id);
                break;
            }
            case 12: vector(); break;
            default: {
                const Op op =
                    static_cast<Op>(static_cast<unsigned>(Op::add) +
                                    below(static_cast<unsigned>(Op::clmulh) - static_cast<unsigned>(Op::add) + 1));
                if (type == Type::i128 && is_high_half(op)) break;
                const bool constant_left = percent(15);
                const ValueId a = constant_left ? constant(type) : any(type);
                keep(type, b_->binary(op, type, a, constant_left ? any(type) : any_or_constant(type)));
                break;
            }
        }
    }
    void vector() {
        const Type lane = integers[below(4)];
        switch (below(6)) {
            case 4:
            case 5: {
                const unsigned first = below(bits_of(lane)) * lane_count(lane);
                const ValueId a = any_or_constant(Type::i128);
                if (percent(50))
                    keep(Type::i128, b_->expand_bits(lane, first, a));
                else
                    keep(Type::i128, b_->insert_bits(lane, first, a, any_or_constant(Type::i128)));
                break;
            }
            case 0: keep(Type::i128, b_->splat(any_or_constant(lane))); break;
            case 1: {
                const bool bits = percent(20);
                const ValueId count = percent(50) ? b_->constant(Type::i64, below(40)) : any(Type::i64);
                keep(Type::i128, b_->lane_mask(bits ? Type::i1 : lane, below(32), count));
                break;
            }
            default: {
                const Op op = static_cast<Op>(below(static_cast<unsigned>(op_count)));
                if (!is_lane_operation(op)) break;
                const Type second = is_shift(op) ? lane : Type::i128;
                keep(Type::i128, b_->lanes(op, lane, any_or_constant(Type::i128), any_or_constant(second)));
                break;
            }
        }
    }
    void extend() {
        const Type to = integers[1 + below(4)];
        const Type from = percent(30) ? Type::i1 : integers[below(static_cast<unsigned>(to) - 2)];
        keep(to, b_->convert(from == Type::i1 || percent(50) ? Op::zext : Op::sext, to, any(from)));
    }
    ValueId address() {
        if (percent(20)) return any(Type::i64);
        if (percent(50)) return b_->constant(Type::i64, Memory::base + below(256));
        return b_->binary(Op::add, Type::i64, get(Type::i64), b_->constant(Type::i64, below(16)));
    }
    void call(Effects effects) {
        constexpr Helper all[] = {{"observe", observe}, {"scramble", scramble}, {"vector.sum", sum}};
        const Helper helper = (effects & effect_reads_state) != 0    ? all[0]
                              : (effects & effect_writes_state) != 0 ? all[1]
                                                                     : all[2];
        keep(Type::i64, b_->call(helper, effects, {any(Type::i64), any_or_constant(Type::i64)}));
    }
    void leaving() {
        const Type type = integer();
        switch (below(7)) {
            case 5:
            case 6: {
                const Type element = integers[below(4)];
                const u64 most = 1 + below(32 / bytes_of(element));
                const u64 to = percent(50) || most * bytes_of(element) > 16 ? slot::wide_a : slot::wide_b;
                const ValueId count = percent(80) ? b_->constant(Type::i64, below(20)) : any(Type::i64);
                if (percent(50))
                    b_->load_lanes(element, to, most, address(), count);
                else
                    b_->store_lanes(element, to, most, address(), count);
                // It has changed something: another may not follow.
                break;
            }
            case 0: keep(type, b_->load(type, address())); break;
            case 1: keep(type, b_->load_acquire(type, address())); break;
            case 2: keep(Type::i64, b_->physical(type, address(), MemoryAccess::load)); break;
            case 3: call(effect_reads_state | effect_may_leave); break;
            default: call(effect_writes_state | effect_may_leave); break;
        }
    }
    void change() {
        const Type type = integer();
        constexpr Type formats[] = {Type::i16, Type::i32, Type::i64};
        const Type format = formats[below(3)];
        const Rounding rounding = percent(50) ? Rounding::dynamic : Rounding::toward_zero;
        switch (below(12)) {
            case 0: keep(format, b_->float_op(Op::float_add, format, 0, rounding, any(format), any(format))); break;
            case 1: keep(Type::i1, b_->float_compare(Op::float_lt, format, 0, any(format), any(format))); break;
            case 2: call(percent(50) ? effect_reads_state : effect_writes_state); break;
            case 3: {
                // Put back what was there, or the same again.
                const u64 offset = slots_of(type)[below(2)];
                const ValueId before = b_->get(type, offset);
                if (percent(50)) b_->set(type, offset, any(type));
                b_->set(type, offset, before);
                break;
            }
            case 4: b_->set(Type::i1, percent(50) ? slot::bit_a : slot::bit_b, any(Type::i1)); break;
            case 5: b_->set(Type::i8, percent(50) ? slot::flags : slot::rounding, any_or_constant(Type::i8)); break;
            case 6: {
                const Slot& slot = slots_.all()[below(static_cast<unsigned>(slots_.all().size()))];
                b_->set(slot.type, slot.offset, any(slot.type));
                break;
            }
            default: b_->set(type, slots_of(type)[below(2)], any_or_constant(type)); break;
        }
        if (percent(10)) b_->fence();
    }

    std::mt19937_64 random_;
    const SlotTable& slots_;
    Builder* b_ = nullptr;
    std::vector<ValueId> values_[7];
};

TEST(RandomBlocks, MeanTheSameAfterEveryPass) {
    const SlotTable table = overlapping_slots();
    const u64 seed = from_environment("VIV_IR_OPT_SEED", 1);
    const u64 blocks = from_environment("VIV_IR_OPT_BLOCKS", 12'000);
    Generator generator(seed, table);
    Passes passes;
    u64 before_size = 0, after_size = 0;
    for (u64 i = 0; i < blocks; i++) {
        const Block block = generator.block();
        const auto fine = verify(block, table);
        ASSERT_TRUE(fine.ok()) << fine.error().message;
        for (const Pass& pass : all_passes) {
            Block changed = block;
            (passes.*pass.run)(changed);
            const auto report = [&](std::string_view what) {
                return fmt::format("{}, seed {}, block {}: {}\n{}has become\n{}", pass.name, seed, i, what,
                                   print(block, table), print(changed, table));
            };
            const auto verified = verify(changed, table);
            ASSERT_TRUE(verified.ok()) << report(verified.error().message);
            Block again = changed;
            (passes.*pass.run)(again);
            ASSERT_TRUE(same(again, changed)) << report("which becomes\n" + print(again, table) + "from");
            before_size += block.code.size();
            after_size += changed.code.size();
            // Calls whose result nobody uses may be gone, if all they do is read.
            const bool fewer_calls = changed.calls.size() != block.calls.size();
            for (unsigned run = 0; run < 2; run++) {
                End start;
                for (u8& byte : start.cpu.state) byte = static_cast<u8>(generator.next());
                for (u8& byte : start.memory.bytes) byte = static_cast<u8>(generator.next());
                for (const u64 bit : {slot::bit_a, slot::bit_b}) start.cpu.state[bit] &= 1;
                if (run == 1) store_host(start.cpu.state + slot::a, Memory::base + generator.below(256));
                End one = start, two = start;
                one.outcome = ir::test::run(block, one.cpu, one.memory);
                two.outcome = ir::test::run(changed, two.cpu, two.memory);
                ASSERT_TRUE(one == two && (fewer_calls || one.cpu.calls == two.cpu.calls))
                    << report("and means something else");
            }
        }
    }
    EXPECT_LT(after_size * 10, before_size * 9);
}

}  // namespace
}  // namespace viv::ir::opt::test
