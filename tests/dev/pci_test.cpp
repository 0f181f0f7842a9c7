// PCI functions and the ECAM host bridge: configuration space rules, BAR sizing and mapping, overlaps and windows, INTx
// rotation and its status and disable bits, slots, saving, and random configuration writes.
#include <gtest/gtest.h>

#include <random>

#include "engine/dev/pci/host_bridge.h"
#include "tests/dev/device_bench.h"

namespace viv::pci {
namespace {

using test::load;
using test::save;

class Window final : public Mmio {
public:
    explicit Window(u64 tag) : tag_(tag) {}
    u64 read(u64 offset, unsigned) override { return tag_ + offset; }
    void write(u64 offset, unsigned, u64 value) override { last = offset << 32 | value; }
    u64 last = 0;

private:
    u64 tag_;
};

class Card final : public Function {
public:
    explicit Card(u8 pin = 1, u64 tag = 0x100)
        : Function(Identity{0x1234, 0x5678, 0x1111, 0x2222, 0x02'00'01, 7, pin}),
          memory32(tag),
          memory64(2 * tag),
          io(3 * tag) {
        add_bar(0, BarKind::memory32, 0x1000, memory32);
        add_bar(1, BarKind::io, 0x20, io);
        add_bar(2, BarKind::memory64, u64{1} << 33, memory64);
        const u8 body[4] = {1, 2, 3, 4};
        const u8 mask[3] = {0, 0xf0, 0};
        capability = add_capability(0x09, body, mask);
        add_capability(0x05, std::span(body).first(1));
    }
    std::string_view kind() const override { return "card"; }
    void interrupt(bool level) { set_interrupt(level); }
    Window memory32, memory64, io;
    u16 capability = 0;

protected:
    void device_reset() override { set_interrupt(false); }
    void device_state(Archive&) override {}
    void device_restored() override {}
};

struct PciTest : ::testing::Test {
    test::Bench bench;
    Bus bus;
    test::RecordingPin pins[4];
    HostBridge bridge{
        HostBridge::Windows{{0x4000'0000, 0x4000'0000}, {0x4'0000'0000, 0x4'0000'0000}, {0x300'0000, 0x1'0000}},
        HostBridge::Wiring{bus, {&pins[0], &pins[1], &pins[2], &pins[3]}, bench.sink}};

    Card& plug(u8 slot, u8 pin = 1, u64 tag = 0x100) {
        auto card = std::make_unique<Card>(pin, tag);
        Card& result = *card;
        EXPECT_EQ(bridge.plug(std::move(card), slot).value(), slot);
        return result;
    }
    u32 get(unsigned slot, u32 offset, unsigned size = 4) {
        return static_cast<u32>(bridge.read((u64{slot} << 15) + offset, size));
    }
    void put(unsigned slot, u32 offset, u32 value, unsigned size = 4) {
        bridge.write((u64{slot} << 15) + offset, size, value);
    }
    bool mapped(u64 address, u64 expected) {
        u64 value = 0;
        return bus.read(address, 4, value) && value == expected;
    }
    bool absent(u64 address) {
        u64 value = 0;
        return !bus.read(address, 4, value);
    }
};

TEST_F(PciTest, TheBridgeAndAbsentFunctions) {
    EXPECT_EQ(get(0, 0), 0x0008'1b36u);
    EXPECT_EQ(get(0, 8), 0x0600'0000u);
    EXPECT_EQ(get(0, 0x0e, 1), 0u);
    EXPECT_EQ(get(5, 0), 0xffff'ffffu);
    EXPECT_EQ(get(5, 2, 2), 0xffffu);
    EXPECT_EQ(get(5, 3, 1), 0xffu);
    plug(5);
    EXPECT_EQ(get(5, 0), 0x5678'1234u);
    EXPECT_EQ(bridge.read((u64{5} << 15) + (1 << 12), 4), 0xffff'ffffu) << "function 1";
    EXPECT_EQ(bridge.read((u64{1} << 20) + (u64{5} << 15), 4), 0xffff'ffffu) << "bus 1";
    EXPECT_EQ(bridge.read(u64{5} << 15, 8), 0x0010'0000'5678'1234u);
    EXPECT_EQ(get(5, 0x100), 0u) << "no extended space";
    EXPECT_EQ(get(5, 0xffc), 0u);
    put(5, 0x100, ~u32{0});
    put(6, 4, ~u32{0});
}

TEST_F(PciTest, HeaderFieldsKeepWhatTheyMust) {
    Card& card = plug(1);
    for (u32 offset = 0; offset < 0x40; offset += 4) put(1, offset, ~u32{0});
    EXPECT_EQ(get(1, 0x00), 0x5678'1234u);
    EXPECT_EQ(get(1, 0x04), 0x0010'0547u) << "command bits that exist, capability list, no interrupt";
    EXPECT_EQ(get(1, 0x08), 0x0200'0107u);
    EXPECT_EQ(get(1, 0x0c), 0u);
    EXPECT_EQ(get(1, 0x10), 0xffff'f000u);
    EXPECT_EQ(get(1, 0x14), 0xffff'ffe1u);
    EXPECT_EQ(get(1, 0x18), 0x0000'0004u);
    EXPECT_EQ(get(1, 0x1c), 0xffff'fffeu);
    EXPECT_EQ(get(1, 0x20), 0u);
    EXPECT_EQ(get(1, 0x2c), 0x2222'1111u);
    EXPECT_EQ(get(1, 0x30), 0u) << "no ROM";
    EXPECT_EQ(get(1, 0x34), 0x40u);
    EXPECT_EQ(get(1, 0x3c), 0x01ffu);
    EXPECT_EQ(card.capability, 0x40);
    EXPECT_EQ(get(1, 0x40), 0x0201'4809u);
    put(1, 0x40, ~u32{0});
    put(1, 0x44, ~u32{0});
    EXPECT_EQ(get(1, 0x40), 0xf201'4809u);
    EXPECT_EQ(get(1, 0x44), 0x0403u);
    EXPECT_EQ(get(1, 0x48), 0x0001'0005u) << "the last capability";
    put(1, 0x06, 0, 2);
    EXPECT_EQ(get(1, 0x06, 2), 0x0010u);
    put(1, 0x3c, 0x2a, 1);
    EXPECT_EQ(get(1, 0x3c, 1), 0x2au);
}

TEST_F(PciTest, BarsAppearWhereTheyAreEnabled) {
    Card& card = plug(1);
    put(1, 0x10, 0x4001'0000);
    put(1, 0x14, 0x1000);
    put(1, 0x18, 0);
    put(1, 0x1c, 0x4 + 2);
    EXPECT_TRUE(absent(0x4001'0000)) << "memory space is off";
    put(1, 4, 2, 2);
    EXPECT_TRUE(mapped(0x4001'0000, 0x100));
    EXPECT_TRUE(mapped(0x4001'0ffc, 0x10fc));
    EXPECT_TRUE(absent(0x4001'1000));
    EXPECT_TRUE(mapped(0x6'0000'0010, 0x210));
    EXPECT_TRUE(absent(0x300'1000)) << "I/O space is off";
    put(1, 4, 3, 2);
    EXPECT_TRUE(mapped(0x300'1010, 0x310));
    EXPECT_TRUE(bus.write(0x4001'0008, 4, 0x55));
    EXPECT_EQ(card.memory32.last, u64{8} << 32 | 0x55);
    put(1, 0x10, 0x5000'0000);
    EXPECT_TRUE(absent(0x4001'0000));
    EXPECT_TRUE(mapped(0x5000'0004, 0x104));
    put(1, 4, 0, 2);
    EXPECT_TRUE(absent(0x5000'0000));
    EXPECT_TRUE(bus.ranges().empty());
}

TEST_F(PciTest, BarsOutsideTheirWindowsAreNotDecoded) {
    plug(1);
    put(1, 4, 3, 2);
    for (const u32 address : {0u, 0x1000u, 0x3fff'f000u, 0x8000'0000u, 0xffff'f000u}) {
        put(1, 0x10, address);
        EXPECT_TRUE(bus.ranges().size() <= 1) << "I/O at most";
    }
    put(1, 0x10, 0x7fff'f000);
    EXPECT_TRUE(mapped(0x7fff'f000, 0x100));
    put(1, 0x14, 0xffff'ffe0);
    EXPECT_EQ(bus.ranges().size(), 1u);
    put(1, 0x14, 0xffe0);
    EXPECT_TRUE(mapped(0x300'ffe0, 0x300));
    put(1, 0x1c, ~u32{0});
    EXPECT_EQ(bus.ranges().size(), 2u);
}

TEST_F(PciTest, OverlapsHaveADefinedWinner) {
    plug(1, 1, 0x100);
    plug(2, 1, 0x1'0000);
    put(2, 0x10, 0x4000'0000);
    put(2, 4, 2, 2);
    EXPECT_TRUE(mapped(0x4000'0000, 0x1'0000));
    put(1, 0x10, 0x4000'0000);
    put(1, 4, 2, 2);
    EXPECT_TRUE(mapped(0x4000'0000, 0x100)) << "the lower slot, whoever came first";
    put(1, 0x10, 0x4000'1000);
    EXPECT_TRUE(mapped(0x4000'0000, 0x1'0000)) << "and the other is back when it goes";
    EXPECT_TRUE(mapped(0x4000'1000, 0x100));
    class Fixed final : public Mmio {
        u64 read(u64, unsigned) override { return 0xf1; }
        void write(u64, unsigned, u64) override {}
    } fixed;
    ASSERT_TRUE(bus.map(0x4100'0000, 0x1000, fixed, "fixed").ok());
    put(1, 0x10, 0x4100'0000);
    EXPECT_TRUE(mapped(0x4100'0000, 0xf1)) << "what the board put there stays";
}

TEST_F(PciTest, InterruptLinesRotateAndAreShared) {
    Card& one = plug(1);
    Card& two = plug(2);
    Card& five = plug(5);
    Card& third_pin = plug(3, 3);
    one.interrupt(true);
    EXPECT_TRUE(pins[1].level);
    five.interrupt(true);
    one.interrupt(false);
    EXPECT_TRUE(pins[1].level) << "slot 5 holds it";
    EXPECT_FALSE(bit(get(1, 6, 2), 3));
    EXPECT_TRUE(bit(get(5, 6, 2), 3));
    put(5, 4, 0x400, 2);
    EXPECT_FALSE(pins[1].level) << "interrupt disable";
    EXPECT_TRUE(bit(get(5, 6, 2), 3)) << "the status bit shows it all the same";
    put(5, 4, 0, 2);
    EXPECT_TRUE(pins[1].level);
    five.reset();
    EXPECT_FALSE(pins[1].level);
    two.interrupt(true);
    EXPECT_TRUE(pins[2].level);
    third_pin.interrupt(true);
    EXPECT_TRUE(pins[1].level) << "(3 + 3 - 1) mod 4";
}

TEST_F(PciTest, SlotsAreTakenOnceAndRunOut) {
    plug(4);
    EXPECT_EQ(bridge.plug(std::make_unique<Card>(), 4).error().message, "card: PCI slot 0x4 already holds card");
    EXPECT_EQ(bridge.plug(std::make_unique<Card>(), 0).error().message,
              "card: PCI slot 0x0 does not exist; use 0x1 to 0x1f");
    EXPECT_FALSE(bridge.plug(std::make_unique<Card>(), 32).ok());
    for (u8 i = 1; i < 32; i++)
        if (i != 4) {
            EXPECT_EQ(bridge.plug(std::make_unique<Card>(), std::nullopt).value(), i);
        }
    EXPECT_EQ(bridge.plug(std::make_unique<Card>(), std::nullopt).error().message,
              "card: no PCI slot is free; the bus takes 31 devices");
}

TEST_F(PciTest, SlotsAsTheUserWritesThem) {
    const auto slot = [](const char* text) {
        DeviceSpec spec;
        spec.name = "virtio-rng-pci";
        spec.properties = {{"addr", text}, {"other", "x"}};
        auto result = take_slot(spec);
        EXPECT_EQ(spec.properties.count("addr"), result.ok() ? 0u : 1u);
        return result.ok() ? int{**result} : -1;
    };
    EXPECT_EQ(slot("0x3"), 3);
    EXPECT_EQ(slot("1f"), 31);
    EXPECT_EQ(slot("0x10.0"), 16);
    for (const char* bad : {"", "0", "0x20", "-1", "3.1", "x", "3 ", "0x"}) EXPECT_EQ(slot(bad), -1) << bad;
    DeviceSpec none;
    EXPECT_EQ(take_slot(none).value(), std::nullopt);
}

TEST_F(PciTest, RestoresMappingsAndLevels) {
    Card& card = plug(1);
    put(1, 0x10, 0x4000'2000);
    put(1, 4, 2, 2);
    put(0, 0x3c, 0x11, 1);
    const auto root = save(bridge), function = save(card);
    put(1, 0x10, 0x4000'8000);
    put(1, 0x3c, 0x99, 1);
    put(0, 0x3c, 0x22, 1);
    ASSERT_TRUE(load(bridge, root).ok());
    ASSERT_TRUE(load(card, function).ok());
    EXPECT_TRUE(mapped(0x4000'2000, 0x100));
    EXPECT_TRUE(absent(0x4000'8000));
    EXPECT_EQ(get(0, 0x3c, 1), 0x11u);
    auto spoilt = function;
    for (u8& byte : spoilt)
        if (&byte - spoilt.data() >= 8 && &byte - spoilt.data() < 8 + 0x40) byte = 0xff;
    ASSERT_TRUE(load(card, spoilt).ok());
    EXPECT_EQ(get(1, 0), 0x5678'1234u) << "an archive cannot change what the device is";
    EXPECT_EQ(get(1, 0x34), 0x40u);
}

TEST_F(PciTest, RandomConfigurationWritesKeepTheBusSound) {
    std::mt19937_64 random(5);
    for (u8 slot = 1; slot < 5; slot++) plug(slot, 1, u64{slot} << 20);
    for (unsigned i = 0; i < 50'000; i++) {
        const unsigned size = 1u << (random() % 3);
        const u32 offset = static_cast<u32>(random() % 0x60) & ~(size - 1);
        u32 value = static_cast<u32>(random());
        if (random() % 2 == 0) value = 0x4000'0000 | (value & 0x3000);
        put(static_cast<unsigned>(random() % 6), offset, value, size);
        (void)get(static_cast<unsigned>(random() % 6), offset, size);
        const auto& ranges = bus.ranges();
        for (usize r = 1; r < ranges.size(); r++) ASSERT_LE(ranges[r - 1].base + ranges[r - 1].size, ranges[r].base);
    }
    for (unsigned slot = 0; slot < 5; slot++) bridge.at(slot)->reset();
    EXPECT_TRUE(bus.ranges().empty());
}

}  // namespace
}  // namespace viv::pci
