// Loops of regions whose blocks are given as text, and which slots are steady in them.
#include "engine/jit/loops.h"

#include <gtest/gtest.h>

#include <fmt/format.h>

#include <initializer_list>
#include <string>
#include <string_view>

#include "engine/ir/parse.h"

namespace viv::jit {
namespace {

using List = std::vector<u64>;

u64 touch(void*, u64, u64, u64, u64) { return 0; }

// Blocks at 0x10, 0x20 and so on; the slots a to e are at 0, 8 and so on.
Region region_of(std::initializer_list<std::string_view> blocks) {
    std::vector<ir::Slot> slots;
    for (u64 i = 0; i < 5; i++) slots.push_back({8 * i, ir::Type::i64, std::string(1, static_cast<char>('a' + i))});
    slots.push_back({40, ir::Type::i1, "z"});
    const ir::SlotTable table(std::move(slots));
    const ir::Helper helpers[] = {{"touch", &touch}};
    Region region;
    for (const std::string_view lines : blocks) {
        const u64 pc = 0x10 * (region.blocks.size() + 1);
        std::string text = fmt::format("block pc {0:#x} mode 0 size 4\nguest {0:#x}\n", pc);
        for (const char c : lines) text += c == ';' ? '\n' : c;
        Result<ir::Block> block = ir::parse(text + '\n', table, helpers);
        EXPECT_TRUE(block) << block.error().message << text;
        region.blocks.push_back(std::move(*block));
    }
    return region;
}
std::vector<List> steady(const Region& region) { return steady_slots(region, loops_of(region)); }

// A loop of one block.
List steady_in_loop(std::string_view lines) {
    return steady(region_of({std::string(lines) + ";%z:i1 = get z;branch %z, 0x10, 0x20", "leave"}))[0];
}

TEST(Loops, AreNested) {
    const Region region = region_of({"jump 0x20", "jump 0x30", "%z:i1 = get z;branch %z, 0x30, 0x40",
                                     "%z:i1 = get z;branch %z, 0x20, 0x50", "leave"});
    const Loops loops = loops_of(region);
    EXPECT_EQ(loops.depths, (std::vector<unsigned>{0, 1, 2, 1, 0}));
    EXPECT_TRUE(loops.innermost[0].empty());
    EXPECT_EQ(loops.innermost[1].size(), 3u);
    EXPECT_EQ(loops.innermost[2], (std::vector<u32>{2}));
    EXPECT_EQ(loops.innermost[3], loops.innermost[1]);
}

TEST(SteadySlots, AreWhatIsLeftAlone) { EXPECT_EQ(steady_in_loop("%a:i64 = get a;set b, %a"), (List{0})); }

TEST(SteadySlots, AreNoneOutsideOfLoops) {
    EXPECT_EQ(steady(region_of({"%a:i64 = get a;set a, %a;jump 0x20", "leave"})), (std::vector<List>{{}, {}}));
}

TEST(SteadySlots, GoOnBySmallSteps) {
    EXPECT_EQ(steady_in_loop("%a:i64 = get a;%c:i64 = constant 0x8;%s:i64 = add %a, %c;set a, %s"), (List{0}));
    EXPECT_EQ(steady_in_loop("%a:i64 = get a;%c:i64 = constant 0xfffffffffffffff8;%s:i64 = add %a, %c;set a, %s"),
              (List{0}));
    EXPECT_EQ(steady_in_loop("%a:i64 = get a;%c:i64 = constant 0x400;%s:i64 = add %a, %c;set a, %s"), (List{0}));
    EXPECT_EQ(steady_in_loop("%a:i64 = get a;%c:i64 = constant 0x401;%s:i64 = add %a, %c;set a, %s"), (List{}));
    EXPECT_EQ(steady_in_loop("%a:i64 = get a;%b:i64 = get b;%s:i64 = add %a, %b;set a, %s"), (List{8}));
}

// b = a + 8, then a = b, in another block.
TEST(SteadySlots, GoOnByWayOfOthers) {
    const Region region = region_of({"%a:i64 = get a;%c:i64 = constant 0x8;%s:i64 = add %a, %c;set b, %s;jump 0x20",
                                     "%b:i64 = get b;set a, %b;%z:i1 = get z;branch %z, 0x10, 0x30", "leave"});
    EXPECT_EQ(steady(region), (std::vector<List>{{0, 8}, {0, 8}, {}}));
}

TEST(SteadySlots, AreNotWhatComesFromOthers) {
    // b is anything, and a becomes it.
    const Region region =
        region_of({"%a:i64 = get a;%b:i64 = get b;set a, %b;jump 0x20",
                   "%b:i64 = get b;%p:i64 = mul %b, %b;set b, %p;%z:i1 = get z;branch %z, 0x10, 0x30", "leave"});
    EXPECT_EQ(steady(region), (std::vector<List>{{}, {}, {}}));
}

TEST(SteadySlots, AreListsButNotArraysOfPointers) {
    EXPECT_EQ(steady_in_loop("%a:i64 = get a;%n:i64 = load %a;set a, %n"), (List{0}));
    EXPECT_EQ(steady_in_loop("%a:i64 = get a;%b:i64 = get b;%n:i64 = load %a;set b, %n;set a, %b"), (List{0, 8}));
    EXPECT_EQ(steady_in_loop("%a:i64 = get a;%b:i64 = get b;%c:i64 = constant 0x8;%s:i64 = add %a, %c;set a, %s;"
                             "%n:i64 = load %a;set b, %n"),
              (List{0}));
    EXPECT_EQ(steady_in_loop("%a:i64 = get a;%n:i32 = load %a;%w:i64 = zext %n;set a, %w"), (List{}));
}

TEST(SteadySlots, AreNotKnownBehindHelpers) {
    EXPECT_EQ(steady_in_loop("%a:i64 = get a;%x:i64 = call touch() writes_state"), (List{}));
}

}  // namespace
}  // namespace viv::jit
