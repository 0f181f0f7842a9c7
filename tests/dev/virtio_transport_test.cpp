// Both virtio transports with a small device of the test's own: probing, negotiation and its failures, interrupts and
// their suppression, configuration space, broken rings, resets with work in flight, bus mastering, saving and
// restoring, and random register accesses.
#include <gtest/gtest.h>

#include <random>

#include "tests/dev/virtio_bench.h"

namespace viv::test {
namespace {

using virtio::Chain;
using virtio::Wiring;

// Queue 0 answers at once with its input reversed; queue 1 keeps one chain until told to finish it; feature 1 needs
// feature 0.
class Echo final : public virtio::Function {
public:
    explicit Echo(const Wiring& wiring)
        : Function(wiring, {virtio::DeviceId::entropy, "virtio-test", feature(0) | feature(1), {64, 8}}) {
        for (u8 i = 0; i < 6; i++) bytes_[i] = static_cast<u8>(0x10 + i);
    }
    bool finish() {
        if (!held_) return false;
        held_ = false;
        virtio::ChainWriter writer(chain_);
        writer.store<u32>(0x600d'f00d);
        push(1, chain_, writer.written());
        return true;
    }
    void change_config(u8 value) {
        bytes_[0] = value;
        config_changed();
    }
    unsigned resets = 0, notifications = 0, drops = 0, ready = 0;
    bool held_ = false;
    unsigned batch = 1000;

protected:
    void notify(u16 queue) override {
        notifications++;
        if (queue == 1) {
            if (!held_) held_ = pop(1, chain_);
            return;
        }
        Chain chain;
        for (unsigned i = 0; i < batch; i++) {
            if (!pop(0, chain)) return;
            std::vector<u8> in(chain.readable_size());
            virtio::ChainReader(chain).read(in);
            virtio::ChainWriter writer(chain);
            writer.write(std::vector<u8>(in.rbegin(), in.rend()));
            push(0, chain, writer.written());
        }
        later(0);
    }
    std::span<const u8> config() const override { return bytes_; }
    void config_written(u32 offset, std::span<const u8> bytes) override {
        std::copy(bytes.begin(), bytes.end(), bytes_.begin() + offset);
    }
    bool features_acceptable(u64 features) const override { return bit(features, 0) || !bit(features, 1); }
    void driver_ready() override { ready++; }
    void drop_chains() override {
        drops++;
        held_ = false;
    }
    void device_reset() override { resets++; }
    void device_state(Archive& a) override { a(1, "bytes", bytes_); }

private:
    std::array<u8, 6> bytes_{};
    Chain chain_;
};

struct VirtioTransportTest : ::testing::TestWithParam<Via> {
    static std::unique_ptr<virtio::Function> make(const Wiring& wiring) { return std::make_unique<Echo>(wiring); }
    Rig rig{GetParam(), make};
    Echo& device() { return static_cast<Echo&>(*rig.function); }

    // One round trip through queue 0.
    std::string echo(Ring& ring, std::string_view text, Table table = Table::direct) {
        const u64 in = rig.allocate(text.size() + 1), out = rig.allocate(text.size() + 1);
        rig.put_text(in, text);
        ring.add({{in, static_cast<u32>(text.size()), Direction::to_device},
                  {out, static_cast<u32>(text.size()), Direction::from_device}},
                 table);
        ring.kick();
        const auto used = ring.take();
        EXPECT_TRUE(used.has_value());
        return used ? rig.get_text(out, used->length) : "";
    }
};

INSTANTIATE_TEST_SUITE_P(Transports, VirtioTransportTest, ::testing::Values(Via::mmio, Via::pci), via_name);

TEST_P(VirtioTransportTest, RunsChainsOfEveryShape) {
    ASSERT_TRUE(rig.negotiate(ring_features));
    Ring ring(rig, 0, 16);
    Ring held(rig, 1, 8);
    rig.go();
    EXPECT_EQ(device().ready, 1u);
    for (int i = 0; i < 100; i++) {
        EXPECT_EQ(echo(ring, "abcd"), "dcba");
        EXPECT_EQ(echo(ring, "0123456789", Table::indirect), "9876543210");
    }
    EXPECT_FALSE(rig.needs_reset());
}

TEST_P(VirtioTransportTest, RefusesFeaturesItDidNotOffer) {
    EXPECT_EQ(rig.port->offered(), ring_features | 3);
    EXPECT_FALSE(rig.negotiate(ring_features | feature(5))) << "not offered";
    EXPECT_FALSE(rig.negotiate(ring_features | feature(40)));
    EXPECT_FALSE(rig.negotiate(feature(0))) << "without VERSION_1";
    EXPECT_FALSE(rig.negotiate(ring_features | feature(1))) << "feature 1 without feature 0";
    rig.port->set_status(15);
    EXPECT_EQ(rig.port->status() & 12, 0) << "neither FEATURES_OK nor DRIVER_OK";
    EXPECT_TRUE(rig.negotiate(ring_features | 3));
    rig.port->choose(feature(0));
    EXPECT_EQ(rig.function->chosen(), ring_features | 3) << "frozen after FEATURES_OK";
}

TEST_P(VirtioTransportTest, KicksBeforeDriverOkWaitForIt) {
    ASSERT_TRUE(rig.negotiate(ring_features));
    Ring ring(rig, 0, 16);
    const u64 in = rig.allocate(4), out = rig.allocate(4);
    ring.add({{in, 4, Direction::to_device}, {out, 4, Direction::from_device}});
    ring.notify();
    EXPECT_FALSE(ring.take());
    EXPECT_EQ(device().notifications, 0u);
    rig.go();
    EXPECT_TRUE(ring.take());
    rig.port->notify(1);
    rig.port->notify(2);
    rig.port->notify(63);
    EXPECT_FALSE(rig.needs_reset());
}

TEST_P(VirtioTransportTest, InterruptsOnceAndUntilAcknowledged) {
    ASSERT_TRUE(rig.negotiate(ring_features));
    Ring ring(rig, 0, 16);
    rig.go();
    EXPECT_FALSE(rig.port->interrupt());
    echo(ring, "a");
    EXPECT_TRUE(rig.port->interrupt());
    echo(ring, "b");
    EXPECT_TRUE(rig.port->interrupt());
    EXPECT_EQ(rig.port->take_interrupts(), 1u);
    EXPECT_FALSE(rig.port->interrupt());
    EXPECT_EQ(rig.port->take_interrupts(), 0u);
    ring.interrupt_after(2);
    echo(ring, "c");
    EXPECT_FALSE(rig.port->interrupt()) << "the driver asked for a later one";
    echo(ring, "d");
    EXPECT_FALSE(rig.port->interrupt());
    echo(ring, "e");
    EXPECT_TRUE(rig.port->interrupt());
}

TEST_P(VirtioTransportTest, ConfigurationSpaceReadsWritesAndCounts) {
    EXPECT_EQ(rig.port->config(0, 4), 0x1312'1110u);
    EXPECT_EQ(rig.port->config(4, 2), 0x1514u);
    EXPECT_EQ(rig.port->config(4, 4), 0x1514u) << "bytes past the end read 0";
    EXPECT_EQ(rig.port->config(0x100, 4), 0u);
    rig.port->set_config(2, 2, 0xbeef);
    EXPECT_EQ(rig.port->config(0, 4), 0xbeef'1110u);
    rig.port->set_config(4, 4, 0x1234'5678);
    EXPECT_EQ(rig.port->config(4, 2), 0x1514u) << "a write that crosses the end is ignored";
    const u32 generation = rig.port->generation();
    device().change_config(0x77);
    EXPECT_NE(rig.port->generation(), generation);
    EXPECT_FALSE(rig.port->interrupt()) << "no interrupt before DRIVER_OK";
    ASSERT_TRUE(rig.negotiate(ring_features));
    rig.go();
    device().change_config(0x78);
    EXPECT_TRUE(rig.port->interrupt());
    EXPECT_EQ(rig.port->take_interrupts(), 2u);
}

TEST_P(VirtioTransportTest, ABrokenRingNeedsAResetAndNothingElse) {
    ASSERT_TRUE(rig.negotiate(ring_features));
    Ring ring(rig, 0, 16);
    Ring held(rig, 1, 8);
    rig.go();
    const u64 room = rig.allocate(4);
    held.add({{room, 4, Direction::from_device}});
    held.notify();
    ring.write_descriptor(ring.descriptors, 2, 0x10, 4, 0, 0);
    ring.offer(2);
    ring.notify();
    EXPECT_TRUE(rig.needs_reset());
    EXPECT_EQ(rig.port->take_interrupts(), 2u) << "a configuration change says so";
    ASSERT_EQ(rig.sink.lines.size(), 1u);
    EXPECT_EQ(rig.sink.lines[0],
              "virtio-test: the device needs a reset: a buffer is outside RAM or crosses the end of a region");
    EXPECT_TRUE(device().finish());
    EXPECT_FALSE(held.take()) << "no queue is touched now";
    for (int i = 0; i < 100; i++) ring.notify();
    EXPECT_EQ(rig.sink.lines.size(), 1u);
    ASSERT_TRUE(rig.negotiate(ring_features));
    Ring fresh(rig, 0, 16);
    rig.go();
    EXPECT_EQ(echo(fresh, "xy"), "yx");
    for (int i = 0; i < 200; i++) {
        ASSERT_TRUE(rig.negotiate(ring_features));
        Ring bad(rig, 0, 16);
        rig.go();
        bad.offer(1000);
        bad.notify();
        EXPECT_TRUE(rig.needs_reset());
        rig.release_to(room);
    }
    EXPECT_LE(rig.sink.lines.size(), Log::guest_line_limit + 1) << "log lines are rate limited";
}

TEST_P(VirtioTransportTest, WorkFinishedAfterAResetTouchesNothing) {
    ASSERT_TRUE(rig.negotiate(ring_features));
    Ring held(rig, 1, 8);
    rig.go();
    const u64 room = rig.allocate(4);
    held.add({{room, 4, Direction::from_device}});
    held.notify();
    EXPECT_TRUE(device().held_);
    rig.port->set_status(0);
    EXPECT_EQ(rig.port->status(), 0);
    EXPECT_GE(device().resets, 1u);
    EXPECT_FALSE(device().finish());
    EXPECT_EQ(rig.get<u16>(held.used + 2), 0);
    EXPECT_FALSE(rig.port->interrupt());
    EXPECT_EQ(rig.port->queue_maximum(0), 64);
    EXPECT_EQ(rig.port->queue_maximum(2), 0) << "there is no third queue";
}

TEST_P(VirtioTransportTest, LaterRunsFromTheTimersAndSurvivesARestore) {
    ASSERT_TRUE(rig.negotiate(ring_features));
    Ring ring(rig, 0, 16);
    rig.go();
    device().batch = 2;
    const u64 out = rig.allocate(16);
    for (int i = 0; i < 7; i++) ring.add({{out, 1, Direction::to_device}, {out + 8, 1, Direction::from_device}});
    ring.kick();
    EXPECT_EQ(ring.used_index(), 2);
    const auto saved = rig.save_all();
    rig.advance(2000);
    EXPECT_EQ(ring.used_index(), 6);
    rig.advance(10'000);
    EXPECT_EQ(ring.used_index(), 7);

    Rig other(GetParam(), make);
    other.load_all(saved);
    static_cast<Echo&>(*other.function).batch = 2;
    EXPECT_EQ(other.get<u16>(ring.used + 2), 2);
    other.advance(10'000);
    EXPECT_EQ(other.get<u16>(ring.used + 2), 7);
}

TEST_P(VirtioTransportTest, ASavedMachineGoesOnWithChainsInFlight) {
    ASSERT_TRUE(rig.negotiate(ring_features | 1));
    Ring ring(rig, 0, 16), held(rig, 1, 8);
    rig.go();
    const u64 room = rig.allocate(4);
    held.add({{room, 4, Direction::from_device}});
    held.kick();
    echo(ring, "one");
    ASSERT_TRUE(rig.port->interrupt());
    const auto saved = rig.save_all();

    Rig other(GetParam(), make);
    other.load_all(saved);
    EXPECT_EQ(other.pins[GetParam() == Via::mmio ? 0 : 3].level, true) << "the interrupt is still pending";
    EXPECT_EQ(other.save_all().device, saved.device);
    EXPECT_EQ(other.save_all().ram, saved.ram);
    EXPECT_FALSE(static_cast<Echo&>(*other.function).finish());
    other.advance(virtio::Function::later_ns);
    EXPECT_TRUE(static_cast<Echo&>(*other.function).finish());
    EXPECT_EQ(other.get<u32>(room), 0x600d'f00du);
    EXPECT_EQ(other.get<u16>(held.used + 2), 1);
    EXPECT_EQ(rig.get<u32>(room), 0u);
    Ring again(other, ring);
    const u64 in = other.allocate(2), out = other.allocate(2);
    other.put_text(in, "pq");
    again.add({{in, 2, Direction::to_device}, {out, 2, Direction::from_device}});
    again.kick();
    EXPECT_EQ(other.get_text(out, 2), "qp");
}

TEST_P(VirtioTransportTest, AnotherDevicesStateIsRefused) {
    class Other final : public virtio::Function {
    public:
        Other(const Wiring& wiring, virtio::DeviceId id, u64 features, std::vector<u16> queues)
            : Function(wiring, {id, "virtio-other", features, std::move(queues)}) {}

    protected:
        void notify(u16) override {}
        std::span<const u8> config() const override { return {}; }
        void device_reset() override {}
        void device_state(Archive&) override {}
    };
    ASSERT_TRUE(rig.negotiate(ring_features | 1));
    const auto saved = save(rig.transport());
    const auto refusal = [&](virtio::DeviceId id, u64 features, std::vector<u16> queues) {
        Rig other(GetParam(), [&](const Wiring& w) { return std::make_unique<Other>(w, id, features, queues); });
        const auto result = load(other.transport(), saved);
        return result.ok() ? "" : result.error().message;
    };
    EXPECT_EQ(refusal(virtio::DeviceId::entropy, 3, {64, 8}), "");
    EXPECT_NE(refusal(virtio::DeviceId::gpu, 3, {64, 8}), "");
    EXPECT_NE(refusal(virtio::DeviceId::entropy, 2, {64, 8}), "") << "a negotiated feature that is not offered";
    EXPECT_NE(refusal(virtio::DeviceId::entropy, 3, {64, 8, 8}), "");
    EXPECT_NE(refusal(virtio::DeviceId::entropy, 3, {8, 8}), "");
}

TEST_P(VirtioTransportTest, RandomArchivesAreRefusedOrHarmless) {
    ASSERT_TRUE(rig.negotiate(ring_features));
    Ring ring(rig, 0, 16), held(rig, 1, 8);
    rig.go();
    echo(ring, "abc");
    held.add({{rig.allocate(4), 4, Direction::from_device}});
    held.kick();
    const auto good = save(rig.transport());
    std::mt19937_64 random(3);
    for (int i = 0; i < 3000; i++) {
        auto bad = good;
        for (u64 n = 1 + random() % 4; n > 0; n--) bad[random() % bad.size()] = static_cast<u8>(random());
        if (random() % 8 == 0) bad.resize(random() % bad.size());
        (void)load(rig.transport(), bad);
        rig.function->kick(0);
        rig.function->kick(1);
        rig.advance(2000);
        device().finish();
    }
    ASSERT_TRUE(load(rig.transport(), good).ok());
    EXPECT_EQ(save(rig.transport()), good);
}

TEST_P(VirtioTransportTest, RandomAccessesNeverEscape) {
    std::mt19937_64 random(11);
    ASSERT_TRUE(rig.negotiate(ring_features));
    Ring ring(rig, 0, 16);
    rig.go();
    Mmio& registers = rig.mmio ? static_cast<Mmio&>(*rig.mmio) : *rig.pci;
    random_accesses(registers, rig.mmio ? 0x1000 : 0x4000, 100'000, [&](auto&) {
        rig.advance(100);
        rig.function->kick(0);
        device().finish();
    });
    if (rig.bridge) random_accesses(*rig.bridge, u64{4} << 15, 100'000, [&](auto&) { rig.advance(100); });
    rig.transport().reset();
    EXPECT_EQ(rig.pins[0].level, false);
    EXPECT_EQ(rig.pins[3].level, false);
}

struct VirtioMmioTest : ::testing::Test {
    Rig rig{Via::mmio, VirtioTransportTest::make};
    MmioPort& port() { return static_cast<MmioPort&>(*rig.port); }
};

TEST_F(VirtioMmioTest, AnEmptySlotHasDeviceIdZero) {
    RecordingPin pin;
    virtio::MmioTransport slot(nullptr, pin);
    slot.reset();
    EXPECT_EQ(slot.read(0, 4), 0x7472'6976u);
    EXPECT_EQ(slot.read(4, 4), 2u);
    EXPECT_EQ(slot.read(8, 4), 0u);
    slot.write(0x70, 4, 1);
    EXPECT_EQ(slot.read(0x70, 4), 0u);
    EXPECT_EQ(slot.read(0x100, 8), 0u);
    EXPECT_TRUE(load(slot, save(slot)).ok());
    EXPECT_FALSE(load(slot, save(rig.transport())).ok());
}

TEST_F(VirtioMmioTest, RegistersTakeOnlyWords) {
    u64 value = 1;
    EXPECT_TRUE(rig.bus.read(mmio_base, 1, value));
    EXPECT_EQ(value, 0u);
    EXPECT_TRUE(rig.bus.read(mmio_base, 8, value));
    EXPECT_EQ(value, 0u);
    EXPECT_TRUE(rig.bus.write(mmio_base + 0x70, 1, 1));
    EXPECT_EQ(port().status(), 0);
    EXPECT_EQ(port().get(0x0b0), ~u32{0}) << "no shared memory";
    EXPECT_EQ(port().get(0x00c), 0x4156'4956u);
}

TEST_F(VirtioMmioTest, ADisabledQueueGivesItsChainsUpAndTheOthersTheirsAgain) {
    ASSERT_TRUE(rig.negotiate(ring_features));
    Ring ring(rig, 0, 16), held(rig, 1, 8);
    rig.go();
    const u64 room = rig.allocate(4);
    held.add({{room, 4, Direction::from_device}});
    held.kick();
    auto& device = static_cast<Echo&>(*rig.function);
    ASSERT_TRUE(device.held_);
    port().put(0x030, 0);
    port().put(0x044, 0);
    EXPECT_EQ(port().get(0x044), 0u);
    EXPECT_FALSE(device.held_);
    rig.advance(2000);
    EXPECT_TRUE(device.finish()) << "queue 1 lives on: its chain came again";
    EXPECT_TRUE(held.take());
    ring.notify();
    port().put(0x030, 1);
    port().put(0x038, 4);
    port().put(0x080, 0x10);
    EXPECT_EQ(rig.function->queue(1).size(), 8) << "ready queues cannot be changed";
    EXPECT_EQ(rig.function->queue(1).descriptor_table(), held.descriptors);
}

struct VirtioPciTest : ::testing::Test {
    Rig rig{Via::pci, VirtioTransportTest::make};
    PciPort& port() { return static_cast<PciPort&>(*rig.port); }
    std::string echo(Ring& ring) {
        const u64 in = rig.allocate(2), out = rig.allocate(2);
        rig.put_text(in, "ab");
        ring.add({{in, 2, Direction::to_device}, {out, 2, Direction::from_device}});
        ring.kick();
        return rig.get_text(out, 2);
    }
};

TEST_F(VirtioPciTest, WithoutBusMasteringNothingIsTouched) {
    ASSERT_TRUE(rig.negotiate(ring_features));
    Ring ring(rig, 0, 16), held(rig, 1, 8);
    rig.go();
    held.add({{rig.allocate(4), 4, Direction::from_device}});
    held.kick();
    auto& device = static_cast<Echo&>(*rig.function);
    EXPECT_TRUE(device.held_);
    port().config_write(0x04, 2, 0x0002);
    EXPECT_FALSE(device.held_) << "the chain was taken away";
    EXPECT_EQ(echo(ring), std::string(2, '\0'));
    rig.advance(10'000);
    EXPECT_EQ(ring.used_index(), 0);
    port().config_write(0x04, 2, 0x0006);
    rig.advance(10'000);
    EXPECT_EQ(ring.used_index(), 1) << "what waited is done now";
    EXPECT_TRUE(device.finish());
    EXPECT_TRUE(held.take());
}

TEST_F(VirtioPciTest, TheAccessCapabilityReachesTheBar) {
    const u32 cap = port().access_capability();
    const auto window = [&](u32 offset, u32 length) {
        port().config_write(cap + 4, 1, 4);
        port().config_write(cap + 8, 4, offset);
        port().config_write(cap + 12, 4, length);
    };
    window(0x14, 1);
    port().config_write(cap + 16, 4, 0xffff'ff01);
    EXPECT_EQ(port().status(), 1);
    EXPECT_EQ(port().config_read(cap + 16, 4), 1u);
    window(0x12, 2);
    EXPECT_EQ(port().config_read(cap + 16, 4), 2u) << "num_queues";
    window(0x2000, 4);
    EXPECT_EQ(port().config_read(cap + 16, 4), 0x1312'1110u);
    for (const auto& [offset, length] :
         {std::pair<u32, u32>{0x4000, 4}, {0x3ffe, 4}, {0x15, 2}, {0, 3}, {0, 8}, {0xffff'fffc, 4}}) {
        window(offset, length);
        port().config_write(cap + 16, 4, 0xdead'beef);
        EXPECT_EQ(port().config_read(cap + 16, 4), 0xdead'beefu) << "nothing but the stored bytes";
    }
    port().config_write(cap + 4, 1, 1);
    EXPECT_EQ(port().config_read(cap + 4, 1), 1u);
}

TEST_F(VirtioPciTest, CommonFieldsHaveTheirWidths) {
    EXPECT_EQ(port().get(port().bar() + 0x10, 2), 0xffffu) << "no MSI-X";
    EXPECT_EQ(port().get(port().bar() + 0x14, 4), 0u) << "a width that no field has";
    EXPECT_EQ(port().get(port().bar() + 0x20, 8), 0u);
    port().put(port().bar() + 0x20, 8, 0x1'2345'6780);
    EXPECT_EQ(port().get(port().bar() + 0x20, 8), 0x1'2345'6780u);
    EXPECT_EQ(port().get(port().bar() + 0x24, 4), 1u);
    port().put(port().bar() + 0x1c, 2, 0);
    EXPECT_EQ(port().get(port().bar() + 0x1000, 4), 0u) << "ISR";
    EXPECT_EQ(port().get(port().bar() + 0x3ff8, 8), 0u);
}

}  // namespace
}  // namespace viv::test
