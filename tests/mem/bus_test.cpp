// The bus: which device an address reaches, and that an access no range holds whole does nothing.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "engine/mem/bus.h"

namespace viv {
namespace {

struct Probe final : Mmio {
    u64 read(u64 offset, unsigned size) override {
        last_offset = offset;
        last_size = size;
        accesses++;
        return answer;
    }
    void write(u64 offset, unsigned size, u64 value) override {
        last_offset = offset;
        last_size = size;
        last_value = value;
        accesses++;
    }
    u64 last_offset = 0, last_value = 0, answer = ~u64{0};
    unsigned last_size = 0, accesses = 0;
};

TEST(Bus, FindsTheDeviceAndPassesTheOffset) {
    Bus bus;
    Probe low, high;
    ASSERT_TRUE(bus.map(0x2000, 0x100, high, "high").ok());
    ASSERT_TRUE(bus.map(0x1000, 0x1000, low, "low").ok());
    u64 value = 0;
    EXPECT_TRUE(bus.read(0x1ffc, 4, value));
    EXPECT_EQ(value, 0xffff'ffffu) << "a value is cut to the access's size";
    EXPECT_EQ(low.last_offset, 0xffcu);
    EXPECT_TRUE(bus.write(0x2008, 2, 0x1'2345));
    EXPECT_EQ(high.last_offset, 8u);
    EXPECT_EQ(high.last_size, 2u);
    EXPECT_EQ(high.last_value, 0x2345u);
    ASSERT_EQ(bus.ranges().size(), 2u);
    EXPECT_EQ(bus.ranges()[0].name, "low");
}

TEST(Bus, RefusesWhatNoRangeHoldsWhole) {
    Bus bus;
    Probe device;
    ASSERT_TRUE(bus.map(0x1000, 6, device, "odd").ok());
    u64 value = 7;
    EXPECT_FALSE(bus.read(0xfff, 1, value));
    EXPECT_FALSE(bus.read(0x1006, 1, value));
    EXPECT_FALSE(bus.read(0x1004, 4, value)) << "reaches past the end";
    EXPECT_FALSE(bus.read(0x1002, 4, value)) << "not aligned";
    EXPECT_FALSE(bus.write(0x1001, 2, 0));
    EXPECT_FALSE(bus.read(~u64{0}, 1, value));
    EXPECT_EQ(device.accesses, 0u);
    EXPECT_EQ(value, 7u);
    EXPECT_TRUE(bus.read(0x1004, 2, value));
    EXPECT_EQ(bus.find(0x1000, 7), nullptr);
    EXPECT_NE(bus.find(0x1000, 6), nullptr);
}

TEST(Bus, RefusesOverlapsAndNamesBoth) {
    Bus bus;
    Probe a, b;
    ASSERT_TRUE(bus.map(0x1000, 0x100, a, "uart").ok());
    for (const auto& [base, size] : std::vector<std::pair<u64, u64>>{
             {0x1000, 0x100}, {0x10ff, 1}, {0xf00, 0x101}, {0, 0x10000}, {0x1080, 4}, {0x0, ~u64{0}}}) {
        const auto result = bus.map(base, size, b, "rtc");
        ASSERT_FALSE(result.ok()) << base;
        EXPECT_NE(result.error().message.find("uart"), std::string::npos);
        EXPECT_NE(result.error().message.find("rtc"), std::string::npos);
    }
    EXPECT_TRUE(bus.map(0x1100, 1, b, "after").ok());
    EXPECT_TRUE(bus.map(0xfff, 1, b, "before").ok());
    EXPECT_FALSE(bus.map(0x5000, 0, b, "empty").ok());
    EXPECT_FALSE(bus.map(~u64{0}, 2, b, "wraps").ok());
    EXPECT_TRUE(bus.map(~u64{0}, 1, b, "last byte").ok());
    u64 value = 0;
    EXPECT_TRUE(bus.read(~u64{0}, 1, value));
    EXPECT_EQ(b.last_offset, 0u);
}

TEST(Bus, UnmapTakesTheNamedDeviceOnly) {
    Bus bus;
    Probe a, b;
    ASSERT_TRUE(bus.map(0x1000, 0x100, a, "a").ok());
    bus.unmap(0x1000, b);
    bus.unmap(0x1001, a);
    EXPECT_NE(bus.find(0x1000, 1), nullptr);
    bus.unmap(0x1000, a);
    EXPECT_EQ(bus.find(0x1000, 1), nullptr);
    EXPECT_TRUE(bus.map(0x1000, 0x100, b, "b").ok());
}

}  // namespace
}  // namespace viv
