// virtio-rng through both transports: filled buffers, the allowance a period, saving, and the same bytes from the same
// seed.
#include <gtest/gtest.h>

#include "engine/dev/virtio/entropy.h"
#include "tests/dev/virtio_bench.h"

namespace viv::test {
namespace {

using virtio::Entropy;

constexpr u64 period = 1'000'000;

struct VirtioEntropyTest : ::testing::TestWithParam<Via> {
    ManualClock host;
    ZeroEntropy zero;
    Inlet inlet{Determinism::deterministic, 42, host, zero};  // bytes that can be told from zeroes
    std::unique_ptr<Rig> rig = make_rig(inlet);
    std::unique_ptr<Ring> ring;

    static std::unique_ptr<Rig> make_rig(Inlet& inlet) {
        return std::make_unique<Rig>(GetParam(), [&](const virtio::Wiring& wiring) {
            return std::make_unique<Entropy>(virtio::Wiring{wiring.dma, wiring.timers, inlet, wiring.log},
                                             Entropy::Options{.max_bytes = 100, .period_ns = period});
        });
    }
    void SetUp() override {
        ASSERT_TRUE(rig->negotiate(ring_features));
        ring = std::make_unique<Ring>(*rig, 0, 16);
        rig->go();
    }
    u64 ask(u32 size) {
        const u64 at = rig->allocate(size + 1);
        ring->add({{at, size, Direction::from_device}});
        ring->kick();
        return at;
    }
};

INSTANTIATE_TEST_SUITE_P(Transports, VirtioEntropyTest, ::testing::Values(Via::mmio, Via::pci), via_name);

TEST_P(VirtioEntropyTest, FillsBuffersFromTheInlet) {
    const u64 at = ask(32);
    EXPECT_EQ(ring->take()->length, 32u);
    u8 expected[32];
    Inlet same(Determinism::deterministic, 42, host, zero);
    same.entropy(expected);
    EXPECT_EQ(rig->get_text(at, 32), std::string(expected, expected + 32));
    EXPECT_EQ(rig->get<u8>(at + 32), 0) << "not a byte more";
}

TEST_P(VirtioEntropyTest, GivesNoMoreThanItsAllowance) {
    ask(60);
    ask(60);
    ask(60);
    EXPECT_EQ(ring->take()->length, 60u);
    EXPECT_EQ(ring->take()->length, 40u) << "what is left of the period's 100 bytes";
    EXPECT_FALSE(ring->take());
    rig->advance(period - 1);
    EXPECT_FALSE(ring->take());
    rig->port->set_status(0);
    ASSERT_TRUE(rig->negotiate(ring_features));
    ring = std::make_unique<Ring>(*rig, 0, 16);
    rig->go();
    ask(60);
    EXPECT_FALSE(ring->take()) << "a reset does not bring more";
    rig->advance(1);
    EXPECT_EQ(ring->take()->length, 60u);
    rig->advance(10 * period);
    ask(200);
    EXPECT_EQ(ring->take()->length, 100u) << "allowances do not add up";
}

TEST_P(VirtioEntropyTest, ASavedMachineWaitsForTheSamePeriod) {
    ask(100);
    ask(10);
    EXPECT_TRUE(ring->take());
    const auto saved = rig->save_all();
    auto other = make_rig(inlet);
    other->load_all(saved);
    EXPECT_EQ(other->save_all().device, saved.device);
    Ring again(*other, *ring);
    other->advance(period - 1);
    EXPECT_FALSE(again.take());
    other->advance(1);
    EXPECT_EQ(again.take()->length, 10u);
}

TEST_P(VirtioEntropyTest, BuffersWithoutRoomComeBackEmpty) {
    const u64 at = rig->allocate(8);
    ring->add({{at, 8, Direction::to_device}});
    ring->kick();
    EXPECT_EQ(ring->take()->length, 0u);
    EXPECT_EQ(rig->port->config(0, 4), 0u);
}

}  // namespace
}  // namespace viv::test
