// The test finisher: what each value asks of the machine, and that nothing else asks anything.
#include <gtest/gtest.h>

#include <vector>

#include "engine/dev/power/sifive_test.h"
#include "tests/dev/device_bench.h"

namespace viv {
namespace {

struct SifiveTestTest : ::testing::Test, test::Bench {
    std::vector<int> finished;
    unsigned resets = 0;
    SifiveTest device{{[this](int code) { finished.push_back(code); }, [this] { resets++; }, log("sifive-test")}};
};

TEST_F(SifiveTestTest, PassesFailsAndResets) {
    device.write(0, 4, 0x5555);
    device.write(0, 4, 0x002a'3333);
    device.write(0, 2, 0x3333);
    device.write(0, 8, 0xffff'ffff'ffff'3333);
    EXPECT_EQ(finished, (std::vector<int>{0, 42, 0, 0xffff}));
    EXPECT_EQ(resets, 0u);
    device.write(0, 4, 0x7777);
    EXPECT_EQ(resets, 1u);
    EXPECT_EQ(device.read(0, 4), 0u);
}

TEST_F(SifiveTestTest, IgnoresEverythingElse) {
    device.write(0, 1, 0x55);
    device.write(4, 4, 0x5555);
    device.write(0, 4, 0x5556);
    device.write(0xff8, 8, 0x7777);
    EXPECT_TRUE(finished.empty());
    EXPECT_EQ(resets, 0u);
    EXPECT_TRUE(test::save(device).empty());
    EXPECT_TRUE(test::load(device, {}).ok());
    device.reset();
}

TEST_F(SifiveTestTest, SurvivesRandomAccesses) {
    test::random_accesses(device, SifiveTest::mmio_size, 100'000, [&](auto&) {});
    for (const int code : finished) ASSERT_TRUE(code >= 0 && code <= 0xffff);
}

}  // namespace
}  // namespace viv
