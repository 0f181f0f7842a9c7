// What the tests of the passes share: texts before and after, and each pass by name.
// Promises: texts are written without a header and without their first `guest`, which is at 0x1000, and with any names
// for values; they are compared in print()'s form.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "engine/ir/opt/pipeline.h"
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

// Runs a pass (or several, one after another) over a text and compares.
inline void becomes(std::initializer_list<void (Passes::*)(Block&)> run, std::string_view before,
                    std::string_view after) {
    const SlotTable table = overlapping_slots();
    Passes passes({.verify = &table});
    Block block = block_of(before, table);
    if (block.code.empty()) return;
    for (const auto pass : run) (passes.*pass)(block);
    const std::string got = print(block, table);
    EXPECT_EQ(got, print(block_of(after, table), table)) << "from\n" << before;
    for (const auto pass : run) (passes.*pass)(block);
    EXPECT_EQ(print(block, table), got) << "a second time";
}

}  // namespace viv::ir::opt::test
