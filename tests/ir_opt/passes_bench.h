// What the tests of the passes share: texts before and after, and each pass by name.
// Promises: texts are written without a header and without their first `guest`, which is at 0x1000, and with any names
// for values; they are compared in print()'s form, and what comes out means what went in: the oracle runs both from
// random states.
#pragma once

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <string_view>

#include "engine/ir/opt/pipeline.h"
#include "engine/lang/bytes.h"
#include "tests/ir/ir_bench.h"

namespace viv::ir::opt::test {

using namespace viv::ir::test;

// As in ir_bench.h, and slots that lie in others: the halves of wide_a, a byte of b.
inline SlotTable overlapping_slots() {
    std::vector<Slot> all = slots().all();
    all.push_back({slot::wide_a + 8, Type::i64, "wide_a_high"});
    all.push_back({slot::b + 1, Type::i8, "b_second"});
    all.push_back({slot::word_a + 2, Type::i16, "word_a_high"});
    return SlotTable(std::move(all));
}

struct Pass {
    const char* name;
    void (Passes::*run)(Block&);
};
inline constexpr Pass all_passes[] = {{"forward_state", &Passes::forward_state},
                                      {"fold", &Passes::fold},
                                      {"share", &Passes::share},
                                      {"dead", &Passes::dead},
                                      {"quick", &Passes::quick},
                                      {"full", &Passes::full}};

// For tests of expressions.
inline constexpr const char* inputs = R"(
%a:i64 = get a
%b:i64 = get b
%w:i32 = get word_a
%v:i32 = get word_b
%h:i16 = get half_a
%y:i8 = get byte_a
%p:i1 = get bit_a
%q:i1 = get bit_b
%wide:i128 = get wide_a
)";

inline Block block_of(std::string_view text, const SlotTable& table) {
    const std::string whole =
        "block pc 0x1000 mode 0 size 64\nfloat_unit flags flags rounding rounding canonical "
        "after_rounding\nguest 0x1000\n" +
        std::string(text);
    const auto all = helpers();
    auto parsed = parse(whole, table, all);
    EXPECT_TRUE(parsed.ok()) << parsed.error().message << "\nin\n" << whole;
    if (!parsed) return {};
    const auto verified = verify(*parsed, table);
    EXPECT_TRUE(verified.ok()) << verified.error().message << "\nin\n" << whole;
    return std::move(*parsed);
}

inline bool same(const Block& x, const Block& y) {
    const auto instruction = [](const Inst& p, const Inst& q) {
        return p.op == q.op && p.type == q.type && p.a == q.a && p.b == q.b && p.c == q.c && p.imm == q.imm &&
               p.imm2 == q.imm2 && p.hint == q.hint && p.rounding == q.rounding;
    };
    const auto call = [](const Call& p, const Call& q) {
        return p.effects == q.effects && p.helper.function == q.helper.function &&
               std::equal(std::begin(p.arguments), std::end(p.arguments), std::begin(q.arguments));
    };
    return std::equal(x.code.begin(), x.code.end(), y.code.begin(), y.code.end(), instruction) &&
           std::equal(x.calls.begin(), x.calls.end(), y.calls.begin(), y.calls.end(), call);
}

// Everything that a run of a block can change. Equal if nobody can tell one run from the other; what helpers were
// called with is compared apart, since a pass may drop calls.
struct End {
    Outcome outcome;
    Cpu cpu;
    Memory memory;

    bool operator==(const End& other) const {
        // A branch that is known becomes a jump.
        const auto kind = [](const Outcome& o) {
            return o.why == Outcome::Why::taken || o.why == Outcome::Why::not_taken || o.why == Outcome::Why::indirect
                       ? Outcome::Why::jump
                       : o.why;
        };
        return kind(outcome) == kind(other.outcome) && outcome.pc == other.outcome.pc &&
               outcome.instructions == other.outcome.instructions && memory.bytes == other.memory.bytes &&
               std::memcmp(cpu.state, other.cpu.state, sizeof cpu.state) == 0;
    }
};

// What helpers see of the state is part of what is compared.
inline u64 observe(void* cpu, u64 a, u64, u64, u64) {
    Cpu& self = *static_cast<Cpu*>(cpu);
    u64 hash = a;
    for (const u8 byte : self.state) hash = (hash ^ byte) * 0x100'0000'01b3;
    self.calls.push_back({hash, 0, 0, 0});
    return hash & 3;
}
inline u64 scramble(void* cpu, u64 a, u64 b, u64, u64) {
    Cpu& self = *static_cast<Cpu*>(cpu);
    self.state[slot::a + a % 8] = static_cast<u8>(b);
    self.state[slot::wide_a + a % 16] = static_cast<u8>(b);
    return a & 1;
}
// Every call is of a helper that does what the call's effects say.
inline Block with_effects(Block block) {
    for (Call& call : block.calls) {
        if ((call.effects & effect_writes_state) != 0)
            call.helper.function = scramble;
        else if ((call.effects & effect_reads_state) != 0)
            call.helper.function = observe;
    }
    return block;
}

// Runs both from the same random states, in some of which accesses hit memory and helpers leave; false if they ever
// end differently.
inline bool mean_the_same(const Block& x, const Block& y) {
    const Block before = with_effects(x), after = with_effects(y);
    std::mt19937_64 random(1);
    // Calls whose result nobody uses may be gone, if all they do is read.
    const bool fewer_calls = after.calls.size() != before.calls.size();
    for (unsigned run = 0; run < 48; run++) {
        End start;
        for (u8& byte : start.cpu.state) byte = static_cast<u8>(random());
        for (u8& byte : start.memory.bytes) byte = static_cast<u8>(random());
        for (const u64 bit : {slot::bit_a, slot::bit_b}) start.cpu.state[bit] &= 1;
        if (run % 2 != 0)
            for (const u64 slot : {slot::a, slot::b})
                store_host(start.cpu.state + slot, Memory::base + (random() & 0xf8));
        start.cpu.answer = run % 3;
        End one = start, two = start;
        one.outcome = ir::test::run(before, one.cpu, one.memory);
        two.outcome = ir::test::run(after, two.cpu, two.memory);
        if (!(one == two) || (!fewer_calls && one.cpu.calls != two.cpu.calls)) return false;
    }
    return true;
}

// Runs a pass (or several, one after another) over a text and compares.
inline void becomes(std::initializer_list<void (Passes::*)(Block&)> run, std::string_view before,
                    std::string_view after) {
    const SlotTable table = overlapping_slots();
    Passes passes({.verify = &table});
    Block block = block_of(before, table);
    if (block.code.empty()) return;
    const Block original = block;
    for (const auto pass : run) (passes.*pass)(block);
    EXPECT_TRUE(mean_the_same(original, block)) << "what it becomes means something else:\n" << before;
    const std::string got = print(block, table);
    EXPECT_EQ(got, print(block_of(after, table), table)) << "from\n" << before;
    for (const auto pass : run) (passes.*pass)(block);
    EXPECT_EQ(print(block, table), got) << "a second time";
}

}  // namespace viv::ir::opt::test
