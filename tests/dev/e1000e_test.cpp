// The 82574L at its registers: EEPROM, PHY, link, filters, interrupts and their delays, time, resets, saving, and
// drivers that write anything. Its rings: e1000e_rings_test.cpp.
#include <random>

#include "tests/dev/e1000e_bench.h"

namespace viv::test {
namespace {

struct E1000eTest : ::testing::Test, CardRig {
    u32 eeprom(u32 word) {
        put(eerd, word << 2 | 1);
        const u32 value = get(eerd);
        EXPECT_TRUE(bit(value, 1));
        return value >> 16;
    }
    u32 phy(u32 index) {
        put(mdic, 2u << 26 | 1u << 21 | index << 16);
        const u32 value = get(mdic);
        EXPECT_TRUE(bit(value, 28));
        EXPECT_FALSE(bit(value, 30));
        return value & 0xffff;
    }
    bool accepts(const Bytes& frame) {
        EXPECT_TRUE(deliver(frame));
        return take().has_value();
    }
};

TEST_F(E1000eTest, IsTheCardThatItSays) {
    EXPECT_EQ(card.read_config(0, 4), 0x10d3'8086u);
    EXPECT_EQ(card.read_config(0x09, 2) | card.read_config(0x0b, 1) << 16, 0x02'0000u);
    card.write_config(0x10, 4, ~u32{0});
    EXPECT_EQ(card.read_config(0x10, 4), 0xfffe'0000u);
    card.write_config(0x18, 4, ~u32{0});
    EXPECT_EQ(card.read_config(0x18, 4), 0xffff'ffe1u);
    EXPECT_EQ(card.bar(1).window->read(0, 4), 0xffff'ffffu) << "no flash";
    Mmio& io = *card.bar(2).window;
    io.write(0, 4, ra);
    EXPECT_EQ(io.read(4, 4), 0x1200'5452u) << "RAL0 by the I/O window";
    io.write(0, 4, 0x2'0000);
    EXPECT_EQ(io.read(4, 4), 0u);
}

TEST_F(E1000eTest, IsMadeByName) {
    const CardMaker make = find_card("e1000e");
    ASSERT_NE(make, nullptr);
    EXPECT_EQ(find_card("virtio-net-pci"), nullptr);
    const auto refusal = [&](std::map<std::string, std::string> properties, std::unique_ptr<net::NetBackend> backend) {
        DeviceSpec spec;
        spec.name = "e1000e";
        spec.properties = std::move(properties);
        spec.net = std::move(backend);
        const auto made = make(spec, CardWiring{dma, bench.timers, sink});
        return made.ok() ? "" : made.error().message;
    };
    EXPECT_EQ(refusal({{"mac", "02:00:00:00:00:01"}, {"id", "x"}}, net::make_null_backend()), "");
    EXPECT_EQ(refusal({}, nullptr), "e1000e: no network is connected to it; use --net");
    EXPECT_EQ(refusal({{"mac", "1:2"}}, net::make_null_backend()),
              "e1000e: property 'mac' is '1:2', but wants six bytes as in 52:54:00:12:34:56");
    EXPECT_EQ(refusal({{"queue-size", "64"}}, net::make_null_backend()),
              "e1000e: unknown property 'queue-size' (it has mac=ADDRESS, addr=SLOT)");
}

TEST_F(E1000eTest, TheEepromHoldsTheAddressAndItsSum) {
    EXPECT_EQ(eeprom(0), 0x5452u);
    EXPECT_EQ(eeprom(1), 0x1200u);
    EXPECT_EQ(eeprom(2), 0x5634u);
    u32 sum = 0;
    for (u32 word = 0; word < 64; word++) sum += eeprom(word);
    EXPECT_EQ(sum & 0xffff, 0xbabau);
    EXPECT_EQ(eeprom(64), 0xffffu);
    EXPECT_EQ(get(ra), 0x1200'5452u);
    EXPECT_EQ(get(ra + 4), 0x8000'5634u);
}

TEST_F(E1000eTest, ThePhyHasNegotiatedAndSaysWhenItsCableIsOut) {
    EXPECT_EQ(phy(2), 0x0141u);
    EXPECT_EQ(phy(3), 0x0cb1u);
    EXPECT_EQ(phy(1) & 0x24, 0x24u);
    EXPECT_EQ(get(status) & 0xc3, 0x83u) << "full duplex, link, 1000 Mb/s";
    put(ims, 4);
    card.set_link(false);
    EXPECT_TRUE(card.asserts_interrupt());
    EXPECT_EQ(get(icr), 0x8100'0004u);
    EXPECT_FALSE(card.asserts_interrupt());
    EXPECT_EQ(phy(1) & 0x24, 0u);
    EXPECT_EQ(get(status) & 2, 0u);
    card.set_link(false);
    EXPECT_FALSE(card.asserts_interrupt()) << "nothing has changed";
    card.set_link(true);
    EXPECT_TRUE(card.asserts_interrupt());
    EXPECT_EQ(get(status) & 2, 2u);
    get(icr);
    set_phy(0, 0x0800);
    EXPECT_EQ(get(status) & 2, 0u) << "the PHY is powered down";
    set_phy(0, 0x8000);
    EXPECT_EQ(phy(0), 0x1140u);
    EXPECT_EQ(get(status) & 2, 2u);
    put(mdic, 2u << 26 | 2u << 21 | 1u << 16);
    EXPECT_TRUE(bit(get(mdic), 30)) << "there is one PHY, at address 1";
    put(ims, 0x200);
    get(icr);
    put(mdic, 1u << 29 | 2u << 26 | 1u << 21 | 1u << 16);
    EXPECT_TRUE(bit(get(icr), 9));
}

TEST_F(E1000eTest, SemaphoresAreTaken) {
    EXPECT_EQ(get(0x5b50) & 1, 0u);
    EXPECT_EQ(get(0x5b50) & 1, 1u) << "taken by the one who read it";
    put(0x5b50, 2);
    EXPECT_EQ(get(0x5b50), 2u);
    put(0xf00, ~u32{0});
    EXPECT_EQ(get(0xf00), 0x20u);
}

TEST_F(E1000eTest, CausesAreClearedByReadingOnlyWhenTheyInterrupt) {
    put(ics, 0x10);
    EXPECT_EQ(get(icr), 0x10u) << "nothing is enabled: reading clears";
    EXPECT_EQ(get(icr), 0u);
    put(ims, 0x04);
    put(ics, 0x10);
    EXPECT_FALSE(card.asserts_interrupt());
    EXPECT_EQ(get(icr), 0x10u);
    EXPECT_EQ(get(icr), 0x10u) << "not asserted: it stays";
    put(ics, 0x04);
    EXPECT_TRUE(card.asserts_interrupt());
    put(icr, 0x04);
    EXPECT_FALSE(card.asserts_interrupt());
    EXPECT_EQ(get(icr), 0x10u);
    put(ctrl_ext, 1u << 27);
    put(iam, ~u32{0});
    put(ics, 0x04);
    EXPECT_EQ(get(icr), 0x8000'0014u);
    EXPECT_EQ(get(ims), 0u) << "masked by reading, as IAM says";
    put(ims, 0x14);
    put(imc, 0x10);
    EXPECT_EQ(get(ims), 0x04u);
}

TEST_F(E1000eTest, InterruptsKeepTheirDistance) {
    put(itr, 1000);  // 256 us
    put(ims, 0x80);
    put(ics, 0x80);
    EXPECT_TRUE(card.asserts_interrupt());
    get(icr);
    put(ics, 0x80);
    EXPECT_FALSE(card.asserts_interrupt());
    bench.advance(255'000);
    EXPECT_FALSE(card.asserts_interrupt());
    bench.advance(2'000);
    EXPECT_TRUE(card.asserts_interrupt());
}

TEST_F(E1000eTest, ReceivingAndSendingWaitForMore) {
    start();
    put(ims, 0x81);
    put(rdtr, 100);
    put(radv, 150);
    deliver(frame_to(own_mac));
    EXPECT_FALSE(card.asserts_interrupt());
    bench.advance(90 * 1024);
    deliver(frame_to(own_mac));
    bench.advance(55 * 1024);
    EXPECT_FALSE(card.asserts_interrupt()) << "the second frame began RDTR anew";
    bench.advance(6 * 1024);
    EXPECT_TRUE(card.asserts_interrupt()) << "RADV after the first";
    get(icr);
    deliver(frame_to(own_mac));
    put(rdtr, 1u << 31 | 100);
    EXPECT_TRUE(card.asserts_interrupt()) << "flushed";
    get(icr);
    put(tidv, 10);
    const u64 at = place(frame_to(other_mac));
    add(at, legacy_descriptor(60, eop_ifcs | report | delay));
    kick();
    EXPECT_FALSE(bit(get(icr), 0));
    bench.advance(11 * 1024);
    EXPECT_TRUE(bit(get(icr), 0));
    get(icr);
    add(at, legacy_descriptor(60, eop_ifcs | report));
    kick();
    EXPECT_TRUE(bit(get(icr), 0)) << "not to be delayed";
}

TEST_F(E1000eTest, TheFilterTakesWhatItIsToldTo) {
    start(0x0400'0002);
    EXPECT_TRUE(accepts(frame_to(own_mac)));
    EXPECT_FALSE(accepts(frame_to(other_mac)));
    EXPECT_FALSE(accepts(frame_to(everyone_mac)));
    EXPECT_FALSE(accepts(frame_to(group_mac)));
    put(rctl, 0x0400'8002);
    EXPECT_TRUE(accepts(frame_to(everyone_mac)));
    put(rctl, 0x0400'000a);
    EXPECT_TRUE(accepts(frame_to(other_mac)));
    EXPECT_FALSE(accepts(frame_to(group_mac)));
    put(rctl, 0x0400'0012);
    EXPECT_TRUE(accepts(frame_to(group_mac)));
    EXPECT_FALSE(accepts(frame_to(other_mac)));
    put(ra + 8, 0xaa00'5452);
    put(ra + 12, 0x8000'ccbb);
    put(rctl, 0x0400'0002);
    EXPECT_TRUE(accepts(frame_to(other_mac)));
    put(ra + 12, 0x0000'ccbb);
    EXPECT_FALSE(accepts(frame_to(other_mac)));
    // 00:01 in the last two bytes: of their twelve bits from bit 4 of the word.
    for (const auto& [mo, hash] : {std::pair{0u, 0x010u}, {1u, 0x020u}, {2u, 0x040u}, {3u, 0x100u}}) {
        put(rctl, 0x0400'0002 | mo << 12);
        EXPECT_FALSE(accepts(frame_to(group_mac)));
        put(mta + hash / 32 * 4, u32{1} << hash % 32);
        EXPECT_TRUE(accepts(frame_to(group_mac))) << mo;
        put(mta + hash / 32 * 4, 0);
    }
    put(rctl, 0x0404'0002);
    EXPECT_FALSE(accepts(tagged(100)));
    put(vfta + 100 / 32 * 4, 1 << 100 % 32);
    EXPECT_TRUE(accepts(tagged(100)));
    EXPECT_TRUE(accepts(frame_to(own_mac))) << "no tag";
    put(rctl, 0);
    EXPECT_FALSE(accepts(frame_to(own_mac))) << "not enabled";
}

TEST_F(E1000eTest, TimeGoesUpAsTimincaSays) {
    put(0xb608, 2u << 24 | 16);  // 16 every 80 ns
    const u64 before = get(0xb600) | u64{get(0xb604)} << 32;
    bench.advance(8'000'000);
    EXPECT_EQ((get(0xb600) | u64{get(0xb604)} << 32) - before, 1'600'000u);
    put(0xb600, 5);
    put(0xb604, 7);
    EXPECT_EQ(get(0xb600), 5u);
    EXPECT_EQ(get(0xb604), 7u);
}

TEST_F(E1000eTest, AResetLeavesThePhyAndTheAddress) {
    start();
    put(ra, 1);
    put(ims, ~u32{0});
    card.set_link(false);
    put(ctrl, get(ctrl) | 1 << 26);
    EXPECT_FALSE(card.asserts_interrupt());
    EXPECT_EQ(get(ctrl) & 1u << 26, 0u);
    EXPECT_EQ(get(rctl) | get(tctl) | get(ims) | get(rdlen), 0u);
    EXPECT_EQ(get(ra), 0x1200'5452u);
    EXPECT_EQ(get(status) & 2, 0u) << "the cable is still out";
}

TEST_F(E1000eTest, ASavedCardGoesOn) {
    start();
    put(ims, 0x81);
    put(rdtr, 50);
    const u64 at = place(frame_to(other_mac, 100));
    add(at, legacy_descriptor(40, 0));
    kick();
    deliver(frame_to(own_mac));
    card.set_link(false);
    card.set_link(true);
    const auto saved = save(card);
    CardRig other;
    std::vector<u8> ram(ram_size);
    ASSERT_TRUE(dma.read(ram_base, ram) && other.dma.write(ram_base, ram));
    ASSERT_TRUE(load(other.card, saved).ok());
    EXPECT_EQ(save(other.card), saved);
    EXPECT_EQ(other.take()->bytes, frame_to(own_mac));
    EXPECT_FALSE(other.card.asserts_interrupt());
    other.bench.advance(51 * 1024);
    EXPECT_TRUE(other.card.asserts_interrupt()) << "the frame's interrupt was due";
    const u64 rest = transmit_at + 16;
    ASSERT_TRUE(other.dma.store<u64>(rest, at + 40) && other.dma.store<u64>(rest + 8, legacy_descriptor(60, eop_ifcs)));
    other.put(tdt, 2);
    ASSERT_EQ(other.wire->sent.size(), 1u);
    EXPECT_EQ(other.wire->sent[0], frame_to(other_mac, 100)) << "its first piece was saved";
    EXPECT_EQ(other.wire->ready, 1u) << "a back end may have waited";
}

TEST_F(E1000eTest, AnyDriverAtAll) {
    std::mt19937_64 random(7);
    std::vector<u32> interesting;
    for (u32 offset = 0; offset < 0xc000; offset += 4)
        if (get(offset) != 0 || offset < 0x120 || (offset & 0xfff) < 0x140) interesting.push_back(offset);
    Bytes ram(0x2'0000);
    for (unsigned round = 0; round < 300; round++) {
        for (u8& byte : ram) byte = random() % 3 == 0 ? static_cast<u8>(random()) : 0;
        ASSERT_TRUE(dma.write(ram_base, ram));
        for (unsigned i = 0; i < 60; i++) {
            u64 value = random() % 2 == 0 ? random() : random() % 256;
            if (random() % 4 == 0) value = ram_base + random() % 0x2'0000;
            const u32 offset = interesting[random() % interesting.size()];
            const unsigned width = random() % 16 == 0 ? 1u << random() % 4 : 4;
            Mmio& window = *card.bar(0).window;
            if (random() % 4 == 0)
                window.read(align_down(offset, width), width);
            else
                window.write(align_down(offset, width), width, value);
        }
        // What is well formed more often than not.
        put(ctrl, u64{1} << 26);
        put(psrctl, random() & 0x0303'037f);
        start(0x0400'8022 | static_cast<u32>(random() % 4 << 16 | random() % 2 << 10));
        for (unsigned i = 0; i < 8; i++) {
            const u64 length = random() % 8 == 0 ? random() & 0xf'ffff : random() % 2000;
            const u64 command = (random() & 0xfc) | 2 | random() % 2;
            const u64 at = ram_base + random() % 0x2'0000;
            switch (random() % 3) {
                case 0:
                    add(at, legacy_descriptor(length & 0xffff, command & 0xdf, random() % 100, random() % 100));
                    break;
                case 1: add(at, data_descriptor(length, command, random() % 4, random() & 0xffff)); break;
                default:
                    add(context_low(random() % 64, random() % 4 == 0 ? random() & 0xffff : 0),
                        context_high(random() & 0xdf, random() % 256, random() % 4096));
            }
        }
        kick();
        Bytes frame = random() % 2 == 0 ? tcp_frame(random() % 3000) : frame_to(everyone_mac, 14 + random() % 9000);
        for (unsigned i = 0; i < random() % 4; i++) frame[random() % frame.size()] = static_cast<u8>(random());
        card.receive(frame);
        bench.advance(100'000);
        if (round % 10 == 0) {
            const auto saved = save(card);
            ASSERT_TRUE(load(card, saved).ok());
            EXPECT_EQ(save(card), saved);
        }
    }
    EXPECT_GT(wire->sent.size(), 0u);
}

}  // namespace
}  // namespace viv::test
