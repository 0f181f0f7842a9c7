// The register table: lookup by offset, and holes.
#include <gtest/gtest.h>

#include "engine/dev/registers.h"

namespace viv {
namespace {

struct Counter {
    u32 count = 5;
};

constexpr RegisterMap<Counter, u32, 4> counter_map{
    {0x0, "COUNT", [](Counter& c) { return c.count; }, [](Counter& c, u32 value) { c.count = value; }},
    {0xc, "CLEAR", nullptr, [](Counter& c, u32) { c.count = 0; }},
};

TEST(RegisterMap, FindsRowsByOffset) {
    Counter counter;
    ASSERT_NE(counter_map.find(0), nullptr);
    EXPECT_STREQ(counter_map.find(0)->name, "COUNT");
    EXPECT_EQ(counter_map.find(0)->read(counter), 5u);
    counter_map.find(0xc)->write(counter, 1);
    EXPECT_EQ(counter.count, 0u);
    EXPECT_EQ(counter_map.find(0xc)->read, nullptr);
}

TEST(RegisterMap, HasNothingInHolesBetweenOrBehind) {
    for (const u64 offset : {u64{1}, u64{2}, u64{4}, u64{8}, u64{0xd}, u64{0x10}, ~u64{0}, ~u64{3}})
        EXPECT_EQ(counter_map.find(offset), nullptr) << offset;
}

constexpr SparseRegisterMap sparse_map{std::to_array<Register<Counter, u32>>({
    {0x8, "COUNT", [](Counter& c) { return c.count; }, nullptr},
    {0x400, "CLEAR", nullptr, [](Counter& c, u32) { c.count = 0; }},
    {0x10000, "LAST", nullptr, nullptr},
})};

TEST(SparseRegisterMap, FindsItsRowsAndNothingElse) {
    EXPECT_STREQ(sparse_map.find(0x8)->name, "COUNT");
    EXPECT_STREQ(sparse_map.find(0x400)->name, "CLEAR");
    EXPECT_STREQ(sparse_map.find(0x10000)->name, "LAST");
    for (const u64 offset : {u64{0}, u64{4}, u64{9}, u64{0x3fc}, u64{0x404}, u64{0x10004}, ~u64{0}})
        EXPECT_EQ(sparse_map.find(offset), nullptr) << offset;
}

}  // namespace
}  // namespace viv
