// The generation's number: read in any size, new at each restore of a live machine, and only then.
#include "engine/dev/identity/vm_generation_id.h"

#include <gtest/gtest.h>

#include "tests/dev/device_bench.h"

namespace viv {
namespace {

class CountingEntropy final : public host::Entropy {
public:
    void fill(std::span<u8> out) override {
        for (u8& byte : out) byte = next_++;
    }

private:
    u8 next_ = 1;
};

struct Machine {
    explicit Machine(Determinism mode) : inlet(mode, 5, clock, entropy), device({irq, inlet}) {}
    std::pair<u64, u64> id() { return {device.read(0, 8), device.read(8, 8)}; }

    test::ManualClock clock;
    CountingEntropy entropy;
    Inlet inlet;
    test::RecordingPin irq;
    VmGenerationId device;
};

TEST(VmGenerationId, IsReadInAnySize) {
    Machine machine(Determinism::live);
    EXPECT_EQ(machine.id(), std::pair(u64{0x0807'0605'0403'0201}, u64{0x100f'0e0d'0c0b'0a09}));
    EXPECT_EQ(machine.device.read(4, 4), 0x0807'0605U);
    EXPECT_EQ(machine.device.read(6, 2), 0x0807U);
    EXPECT_EQ(machine.device.read(15, 1), 0x10U);
    EXPECT_EQ(machine.device.read(14, 4), 0x100fU);
    EXPECT_EQ(machine.device.read(16, 8), 0U);
    machine.device.write(0, 8, ~u64{0});
    machine.device.reset();
    EXPECT_EQ(machine.device.read(0, 8), 0x0807'0605'0403'0201U);
}

TEST(VmGenerationId, IsAnotherOneInEachMachineThatGoesOn) {
    Machine first(Determinism::live), second(Determinism::live);
    const auto saved = test::save(first.device);
    const auto before = first.id();
    ASSERT_TRUE(test::load(second.device, saved).ok());
    EXPECT_NE(second.id(), before);
    EXPECT_EQ(second.irq.rises, 1U);
    EXPECT_FALSE(second.irq.level) << "a pulse";
    EXPECT_EQ(first.irq.rises, 0U);
}

TEST(VmGenerationId, StaysInADeterministicMachine) {
    Machine first(Determinism::deterministic), second(Determinism::deterministic);
    EXPECT_EQ(first.id(), second.id());
    ASSERT_TRUE(test::load(second.device, test::save(first.device)).ok());
    EXPECT_EQ(first.id(), second.id());
    EXPECT_EQ(second.irq.rises, 0U);
}

}  // namespace
}  // namespace viv
