// The rings of the 82574L: receiving and sending, checksums, segmentation, VLANs, RSS, loopback, and rings that are
// none.
#include "engine/net/segments.h"
#include "tests/dev/e1000e_bench.h"

namespace viv::test {
namespace {

struct E1000eRings : ::testing::Test, CardRig {};

TEST_F(E1000eRings, FramesAreReceivedWholeOrNotAtAll) {
    start(0x0403'8002);  // buffers of 256 bytes
    const Bytes frame = frame_to(own_mac, 1000);
    for (u32 i = 0; i < 15; i++) EXPECT_TRUE(deliver(frame));
    EXPECT_EQ(get(rdh), 60u);
    EXPECT_FALSE(deliver(frame)) << "it needs four buffers, three are left";
    EXPECT_EQ(get(rdh), 60u);
    EXPECT_EQ(wire->ready, 0u);
    const auto got = take();
    ASSERT_TRUE(got);
    EXPECT_EQ(got->bytes, frame);
    EXPECT_EQ(wire->ready, 1u);
    EXPECT_TRUE(deliver(frame));
    EXPECT_TRUE(deliver(frame_to(own_mac, 1600))) << "dropped: longer than a frame without RCTL.LPE";
    EXPECT_EQ(get(0x40ac), 1u);
    EXPECT_EQ(get(0x40ac), 0u) << "cleared by reading";
    for (u32 i = 0; i < 15; i++) EXPECT_EQ(take()->bytes, frame);
    EXPECT_FALSE(take());
    put(rctl, 0x0403'8022);
    EXPECT_TRUE(deliver(frame_to(own_mac, 9014)));
    EXPECT_EQ(take()->bytes, frame_to(own_mac, 9014));
}

TEST_F(E1000eRings, HeadersAreSplitFromTheirPackets) {
    start();
    put(rctl, 0);
    put(psrctl, 0x0001'0101);  // 128 bytes for headers, then twice 1 KiB and nothing
    put(rdh, 0);
    put(rdt, 16);
    for (u32 i = 0; i < 9; i++)
        for (u32 k = 0; k < 4; k++)
            ASSERT_TRUE(dma.store<u64>(receive_at + i * 32 + k * 8, k < 3 ? buffer_of(k, i) : 0));
    put(rctl, 0x0400'8422);
    const auto word = [&](u32 index, u32 which) { return dma.load<u64>(receive_at + index * 32 + which * 8).value(); };
    const auto bytes_at = [&](u64 at, usize size) {
        Bytes bytes(size);
        EXPECT_TRUE(dma.read(at, bytes));
        return bytes;
    };
    const Bytes frame = tcp_frame(4000);
    ASSERT_TRUE(deliver(frame));
    EXPECT_EQ(get(rdh), 4u) << "in units of 16 bytes";
    EXPECT_EQ(word(0, 1) & 3, 1u) << "not its end";
    EXPECT_EQ(bits(word(0, 1), 32, 16), 54u);
    EXPECT_EQ(word(0, 2), 0x0000'0400'0400'8036u) << "54 bytes of headers, 1 KiB twice";
    EXPECT_EQ(word(1, 1) & 3, 3u);
    EXPECT_EQ(bits(word(1, 1), 32, 16), 0u) << "no headers there";
    EXPECT_EQ(word(1, 2), 0x0400'0000u | u64{4000 - 3072} << 32);
    Bytes got = bytes_at(buffer_of(0, 0), 54);
    for (const auto& [buffer, size] : {std::pair{buffer_of(1, 0), 1024},
                                       {buffer_of(2, 0), 1024},
                                       {buffer_of(1, 1), 1024},
                                       {buffer_of(2, 1), 4000 - 3072}}) {
        const Bytes piece = bytes_at(buffer, size);
        got.insert(got.end(), piece.begin(), piece.end());
    }
    EXPECT_EQ(got, frame);
    ASSERT_TRUE(deliver(frame_to(own_mac, 100)));
    EXPECT_EQ(bits(word(2, 1), 32, 16), 100u) << "no packet: all of it goes where headers go";
    EXPECT_EQ(word(2, 2), 0u);
    EXPECT_EQ(bytes_at(buffer_of(0, 2), 100), frame_to(own_mac, 100));
}

TEST_F(E1000eRings, ShortFramesArePaddedAndTheFcsIsKeptIfWanted) {
    start(0x0000'8002);
    deliver(frame_to(own_mac, 42));
    const auto got = take();
    ASSERT_TRUE(got);
    ASSERT_EQ(got->bytes.size(), 64u);
    EXPECT_EQ(got->bytes[41], 41);
    EXPECT_EQ(got->bytes[42], 0);
    deliver(Bytes{1, 2, 3});
    EXPECT_FALSE(take());
    // The FCS of a frame with its FCS is the CRC's residue, 0x2144df1c as a number.
    u32 crc = ~u32{0};
    for (const u8 byte : got->bytes)
        for (unsigned i = 0; i < 8; i++) crc = crc >> 1 ^ (((crc ^ byte >> i) & 1) != 0 ? 0xedb8'8320 : 0);
    EXPECT_EQ(~crc, 0x2144'df1cu);
}

TEST_F(E1000eRings, LegacyDescriptorsTellLengthStatusAndSum) {
    start();
    put(rfctl, 0);
    const Bytes frame = tcp_frame(100);
    deliver(frame);
    const u64 high = dma.load<u64>(receive_at + 8).value();
    EXPECT_EQ(high & 0xffff, 154u);
    EXPECT_EQ(bits(high, 16, 16), static_cast<u16>(~net::sum_of(frame)));
    EXPECT_EQ(bits(high, 32, 8), 0x63u) << "DD, EOP, TCPCS, IPCS";
    EXPECT_EQ(bits(high, 40, 8), 0u);
}

TEST_F(E1000eRings, ChecksumsOfReceivedFramesAreJudged) {
    start();
    deliver(tcp_frame(100));
    EXPECT_EQ(take()->status & 0xe4, 0x60u);
    Bytes bad = tcp_frame(100);
    bad[100] ^= 1;
    deliver(bad);
    auto got = take();
    EXPECT_EQ(got->status & 0x60, 0x60u);
    EXPECT_EQ(got->errors, 0x20u << 4) << "TCPE";
    bad = tcp_frame(100);
    bad[22] ^= 1;
    deliver(bad);
    EXPECT_EQ(take()->errors, 0x40u << 4) << "IPE";
    put(rxcsum, 0);
    deliver(bad);
    got = take();
    EXPECT_EQ(got->status & 0x64, 0x04u) << "IXSM";
    EXPECT_EQ(got->errors, 0u);
    EXPECT_FALSE(card.takes().checked);
    put(rxcsum, 0x300);
    EXPECT_TRUE(card.takes().checked);
    // A sum that its sender has left open is there when the driver sees it.
    Bytes open = tcp_frame(100);
    store_be<u16>(&open[50], net::sum_of(std::span<const u8>(open).subspan(26, 8), 6 + 120));
    deliver(open, {.sum_from = 34, .sum_at = 16});
    got = take();
    EXPECT_EQ(got->bytes, tcp_frame(100));
    EXPECT_EQ(got->errors, 0u);
}

TEST_F(E1000eRings, TagsAreTakenOffAndPutOn) {
    start();
    deliver(tagged(0x2123));
    EXPECT_EQ(take()->bytes, tagged(0x2123)) << "without CTRL.VME they stay";
    put(ctrl, get(ctrl) | 1 << 30);
    deliver(tagged(0x2123));
    const auto got = take();
    EXPECT_EQ(got->bytes, frame_to(own_mac));
    EXPECT_EQ(got->tag, 0x2123);
    EXPECT_TRUE(bit(got->status, 3));
    add(place(frame_to(own_mac)), data_descriptor(60, eop_ifcs | tag, 0, 0x2123));
    kick();
    ASSERT_EQ(wire->sent.size(), 1u);
    EXPECT_EQ(wire->sent[0], tagged(0x2123));
}

// The verification suite of Microsoft's RSS specification, which the datasheet follows.
TEST_F(E1000eRings, ScalesByTheHash) {
    const u8 key[] = {0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
                      0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
                      0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};
    start();
    for (u32 i = 0; i < 40; i += 4) put(rssrk + i, load_le<u32>(&key[i]));
    put(rxcsum, 0x2300);
    put(mrqc, 0x0037'0001);
    Bytes frame = tcp_frame(10);
    store_be<u32>(&frame[26], 0x4209'95bb);  // 66.9.149.187:2794 to 161.142.100.80:1766
    store_be<u32>(&frame[30], 0xa18e'6450);
    store_be<u16>(&frame[34], 2794);
    store_be<u16>(&frame[36], 1766);
    deliver(frame);
    auto got = take();
    ASSERT_TRUE(got);
    EXPECT_EQ(got->type, 1u);
    EXPECT_EQ(got->hash, 0x51cc'c178u);
    put(reta + 0x78, u32{0x80} << 8 * (0x78 % 4));
    put(ims, 1 << 21);
    deliver(frame);
    EXPECT_FALSE(take(0));
    ASSERT_TRUE(take(1));
    EXPECT_TRUE(card.asserts_interrupt()) << "RXQ1";
    put(mrqc, 0x0002'0001);
    deliver(frame);
    got = take();
    ASSERT_TRUE(got);
    EXPECT_EQ(got->type, 2u);
    EXPECT_EQ(got->hash, 0x323e'8fc2u);
    put(mrqc, 0);
    deliver(frame);
    EXPECT_EQ(take()->type, 0u);
}

TEST_F(E1000eRings, SendsLegacyFramesInPieces) {
    start();
    const Bytes frame = frame_to(other_mac, 200);
    const u64 at = place(frame);
    add(at, legacy_descriptor(14, 0));
    add(at + 14, legacy_descriptor(100, 0));
    const u64 last = add(at + 114, legacy_descriptor(86, eop_ifcs | report));
    kick();
    ASSERT_EQ(wire->sent.size(), 1u);
    EXPECT_EQ(wire->sent[0], frame);
    EXPECT_TRUE(bit(dma.load<u8>(last + 12).value(), 0)) << "DD";
    EXPECT_FALSE(bit(dma.load<u8>(last - 16 + 12).value(), 0)) << "no RS, no DD";
    EXPECT_EQ(get(icr) & 3, 3u) << "TXDW, TXQE";
    EXPECT_EQ(get(0x4080), 1u) << "GPTC";
    EXPECT_EQ(get(0x4090), 204u) << "GOTCL";
    EXPECT_EQ(get(0x4094), 0u);
    EXPECT_EQ(get(0x4090), 0u) << "the upper half clears both";
    add(at, legacy_descriptor(30, eop_ifcs));
    kick();
    EXPECT_EQ(wire->sent[1].size(), 60u) << "padded";
    add(at, legacy_descriptor(104, 1));
    kick();
    EXPECT_EQ(wire->sent[2].size(), 100u) << "without IFCS its last four bytes are the FCS";
    add(place(tcp_frame(100)), legacy_descriptor(154, eop_ifcs | checksum, 50, 34));
    kick();
    EXPECT_EQ(wire->offloads[3].sum_from, 34);
    EXPECT_EQ(wire->offloads[3].sum_at, 16);
    card.set_link(false);
    add(at, legacy_descriptor(60, eop_ifcs));
    kick();
    EXPECT_EQ(wire->sent.size(), 4u) << "the cable is out";
    EXPECT_EQ(get(tdh), get(tdt));
}

TEST_F(E1000eRings, InsertsChecksums) {
    start();
    const Bytes right = tcp_frame(100);
    Bytes open = right;
    store_be<u16>(&open[24], 0);
    store_be<u16>(&open[50], net::sum_of(std::span<const u8>(open).subspan(26, 8), 6 + 120));
    add(context_low(14), context_high(3));
    add(place(open), data_descriptor(154, eop_ifcs, 3));
    kick();
    ASSERT_EQ(wire->sent.size(), 1u);
    ASSERT_TRUE(net::finish_sums(wire->sent[0], wire->offloads[0]));
    EXPECT_EQ(wire->sent[0], right);
    // TUCSE before the end: the card's own work.
    add(context_low(14, 153 - 10), context_high(3));
    open = right;
    store_be<u16>(&open[50], net::sum_of(std::span<const u8>(open).subspan(26, 8), 6 + 120));
    add(place(open), data_descriptor(154, eop_ifcs, 2));
    kick();
    EXPECT_TRUE(wire->offloads[1].is_finished());
    const u16 expected = static_cast<u16>(~net::sum_of(std::span<const u8>(open).subspan(34, 110)));
    EXPECT_EQ(load_be<u16>(&wire->sent[1][50]), expected);
}

TEST_F(E1000eRings, SegmentsTcp) {
    start();
    Bytes frame = tcp_frame(5000);
    // As Linux leaves it: no length, and none in the pseudo-header's sum.
    store_be<u16>(&frame[16], 0);
    store_be<u16>(&frame[24], 0);
    store_be<u16>(&frame[50], net::sum_of(std::span<const u8>(frame).subspan(26, 8), 6));
    put(ctrl, get(ctrl) | 1 << 30);
    for (const u16 vlan : {u16{0}, u16{7}}) {
        const u64 command = segment | (vlan != 0 ? u64{tag} : 0);
        const u64 at = place(frame);
        add(context_low(14), context_high(7, 54, 1460));
        add(at, data_descriptor(54, command, 3, vlan));
        add(at + 54, data_descriptor(frame.size() - 54, command | eop_ifcs | report, 3, vlan));
        kick();
        ASSERT_EQ(wire->sent.size(), 1u);
        EXPECT_EQ(wire->offloads[0].segment, 1460);
        std::vector<Bytes> pieces;
        ASSERT_TRUE(net::finish_frame(wire->sent[0], wire->offloads[0], [&](std::span<const u8> piece) {
            pieces.emplace_back(piece.begin(), piece.end());
        }));
        ASSERT_EQ(pieces.size(), 4u);
        Bytes payload;
        for (const Bytes& piece : pieces) {
            const auto sums = net::check_sums(piece);
            EXPECT_EQ(sums.ip, net::Sum::right);
            EXPECT_EQ(sums.transport, net::Sum::right);
            payload.insert(payload.end(), piece.begin() + (vlan != 0 ? 58 : 54), piece.end());
        }
        EXPECT_TRUE(std::equal(payload.begin(), payload.end(), frame.begin() + 54, frame.end()));
        EXPECT_EQ(get(0x4080), 4u);
        EXPECT_EQ(get(0x40f8), 1u) << "TSCTC";
        wire->sent.clear();
        wire->offloads.clear();
    }
    // Headers that are none, and segments of nothing.
    for (const auto& [low, high] : {std::pair{context_low(14), context_high(7, 54, 0)},
                                    {context_low(14), context_high(7, 20, 1460)},
                                    {context_low(200), context_high(7, 54, 1460)},
                                    {context_low(14), context_high(6, 54, 1460)}}) {
        add(low, high);
        add(place(frame), data_descriptor(frame.size(), segment | eop_ifcs | report, 3));
        kick();
        EXPECT_TRUE(wire->sent.empty());
        EXPECT_EQ(get(tdh), get(tdt));
    }
    EXPECT_EQ(sink.lines.size(), 4u);
}

TEST_F(E1000eRings, LoopsBackInsideTheCardAndInsideThePhy) {
    start(0x0400'8042);
    add(place(frame_to(own_mac)), legacy_descriptor(60, eop_ifcs));
    kick();
    EXPECT_EQ(take()->bytes, frame_to(own_mac));
    put(rctl, 0x0400'8002);
    set_phy(0, 0x4140);
    add(place(frame_to(own_mac)), legacy_descriptor(60, eop_ifcs));
    kick();
    EXPECT_EQ(take()->bytes, frame_to(own_mac));
    EXPECT_TRUE(wire->sent.empty());
}

TEST_F(E1000eRings, MemoryIsTheBusMastersOnly) {
    start();
    card.write_config(0x04, 2, 3);
    EXPECT_TRUE(deliver(frame_to(own_mac)));
    EXPECT_FALSE(take());
    add(place(frame_to(other_mac)), legacy_descriptor(60, eop_ifcs));
    kick();
    EXPECT_TRUE(wire->sent.empty());
    card.write_config(0x04, 2, 7);
    EXPECT_EQ(wire->sent.size(), 1u) << "what waited goes on";
    put(ctrl, get(ctrl) | 4);
    EXPECT_FALSE(bit(get(status), 19));
    add(place(frame_to(other_mac)), legacy_descriptor(60, eop_ifcs));
    kick();
    EXPECT_EQ(wire->sent.size(), 1u);
}

TEST_F(E1000eRings, LongRingsAreTakenInParts) {
    start();
    constexpr u32 count = 1024;
    const u64 ring = ram_base + 0x20'0000, at = place(frame_to(other_mac));
    put(tctl, 0);
    put(tdbal, ring);
    put(tdlen, count * 16);
    for (u32 i = 0; i < count; i++)
        ASSERT_TRUE(dma.store<u64>(ring + i * 16, at) && dma.store<u64>(ring + i * 16 + 8, legacy_descriptor(60, 3)));
    put(tctl, 2);
    put(tdt, count - 1);
    EXPECT_EQ(wire->sent.size(), 256u);
    bench.advance(10'000);
    EXPECT_EQ(wire->sent.size(), count - 1);
}

TEST_F(E1000eRings, RingsThatAreNowhereCostALine) {
    start();
    put(tdbal, 0x1000);
    kick();
    put(tdt, 5);
    EXPECT_EQ(get(tdh), 5u);
    put(tdt, 5000);
    put(rdh, 4000);
    EXPECT_FALSE(deliver(frame_to(own_mac)));
    put(rdh, 0);
    put(rdbal, 0x1000);
    EXPECT_TRUE(deliver(frame_to(own_mac)));
    put(rctl, 0x0400'8802);
    EXPECT_TRUE(deliver(frame_to(own_mac))) << "no such descriptors";
    EXPECT_EQ(sink.lines.size(), 5u);
    EXPECT_TRUE(wire->sent.empty());
}

}  // namespace
}  // namespace viv::test
