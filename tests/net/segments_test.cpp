// Checksums, cutting and joining of TCP segments, against a plain reading of the RFCs.
#include "engine/net/segments.h"

#include <gtest/gtest.h>

#include <random>

#include "engine/lang/bytes.h"

namespace viv::net {
namespace {

constexpr NetDevice::Takes takes_all{.checked = true, .tcp4 = true, .tcp6 = true};

// RFC 1071, by the letter.
u16 plain_sum(std::span<const u8> bytes, u64 sum = 0) {
    for (usize i = 0; i < bytes.size(); i++) sum += u64{bytes[i]} << (i % 2 == 0 ? 8 : 0);
    while (sum > 0xffff) sum = (sum >> 16) + (sum & 0xffff);
    return static_cast<u16>(sum);
}

enum class Ip : u8 { v4, v6 };
enum class Tag : u8 { none, vlan };
enum Flags : u8 { fin = 1, syn = 2, psh = 8, ack = 16, cwr = 128 };

struct Segment {
    Ip ip = Ip::v4;
    u16 port = 1000, identity = 7;
    u32 sequence = 100, acknowledged = 5;
    u8 flags = ack;
    std::vector<u8> payload;
    Tag tag = Tag::none;
    usize options = 12;  // bytes, of TCP

    usize ip_at() const { return tag == Tag::vlan ? 18 : 14; }
    usize transport() const { return ip_at() + (ip == Ip::v4 ? 20 : 40); }
    usize header() const { return transport() + 20 + options; }

    // With the right checksums, or with the pseudo-header's alone in TCP's.
    std::vector<u8> frame(bool finished = true) const {
        std::vector<u8> all(header());
        for (usize i = 0; i < 12; i++) all[i] = static_cast<u8>(0x20 + i);
        if (tag == Tag::vlan) store_be<u32>(&all[12], 0x8100'0005);
        store_be<u16>(&all[ip_at() - 2], ip == Ip::v4 ? 0x0800 : 0x86dd);
        u8* const packet = &all[ip_at()];
        const usize transport_size = 20 + options + payload.size();
        u64 pseudo = transport_size + 6;
        if (ip == Ip::v4) {
            packet[0] = 0x45;
            store_be<u16>(packet + 2, static_cast<u16>(20 + transport_size));
            store_be<u16>(packet + 4, identity);
            packet[6] = 0x40;
            packet[8] = 64;
            packet[9] = 6;
            store_be<u32>(packet + 12, 0x0a00'0202);
            store_be<u32>(packet + 16, 0x0a00'020f);
            store_be<u16>(packet + 10, static_cast<u16>(~plain_sum({packet, 20})));
            pseudo += plain_sum({packet + 12, 8});
        } else {
            packet[0] = 0x60;
            store_be<u16>(packet + 4, static_cast<u16>(transport_size));
            packet[6] = 6;
            packet[7] = 64;
            for (usize i = 8; i < 40; i++) packet[i] = static_cast<u8>(i * 37);
            pseudo += plain_sum({packet + 8, 32});
        }
        u8* const tcp = &all[transport()];
        store_be<u16>(tcp, port);
        store_be<u16>(tcp + 2, 80);
        store_be<u32>(tcp + 4, sequence);
        store_be<u32>(tcp + 8, acknowledged);
        tcp[12] = static_cast<u8>((20 + options) / 4 * 16);
        tcp[13] = flags;
        store_be<u16>(tcp + 14, 0x7fff);
        for (usize i = 0; i < options; i++) tcp[20 + i] = static_cast<u8>(1 + i);
        all.insert(all.end(), payload.begin(), payload.end());
        u16 sum = plain_sum({}, pseudo);
        if (finished) sum = static_cast<u16>(~plain_sum(std::span(all).subspan(transport()), sum));
        store_be<u16>(&all[transport() + 16], sum);
        return all;
    }
    Offload offload(u16 segment) const {
        return {.sum_from = static_cast<u16>(transport()),
                .sum_at = 16,
                .segment = segment,
                .header = static_cast<u16>(header())};
    }
    // What may be on the wire instead, by hand.
    std::vector<std::vector<u8>> pieces(usize size) const {
        std::vector<std::vector<u8>> all;
        for (usize at = 0; at < payload.size() || at == 0; at += size) {
            Segment piece = *this;
            const usize end = std::min(at + size, payload.size());
            piece.payload.assign(payload.begin() + static_cast<std::ptrdiff_t>(at),
                                 payload.begin() + static_cast<std::ptrdiff_t>(end));
            piece.sequence += static_cast<u32>(at);
            piece.identity = static_cast<u16>(identity + all.size());
            if (end != payload.size()) piece.flags &= static_cast<u8>(~(fin | psh));
            if (at != 0) piece.flags &= static_cast<u8>(~cwr);
            all.push_back(piece.frame());
        }
        return all;
    }
};

std::vector<u8> noise(usize size, unsigned seed = 1) {
    std::vector<u8> bytes(size);
    std::mt19937 random(seed);
    for (u8& byte : bytes) byte = static_cast<u8>(random());
    return bytes;
}

std::vector<std::vector<u8>> finished(std::vector<u8> frame, const Offload& offload) {
    std::vector<std::vector<u8>> all;
    EXPECT_TRUE(
        finish_frame(frame, offload, [&](std::span<const u8> each) { all.emplace_back(each.begin(), each.end()); }));
    return all;
}

TEST(Segments, ChecksumsAreFilledIn) {
    for (const Ip ip : {Ip::v4, Ip::v6})
        for (const usize size : {0u, 1u, 7u, 8u, 1000u, 1447u}) {
            Segment one{.ip = ip, .payload = noise(size)};
            const auto all = finished(one.frame(false), one.offload(0));
            ASSERT_EQ(all.size(), 1u);
            EXPECT_EQ(all[0], one.frame()) << size;
        }
}

TEST(Segments, ASumOfZeroIsSentAsItsOtherForm) {
    std::vector<u8> frame(60);
    frame[40] = 0xff;
    frame[41] = 0xff;
    const auto all = finished(frame, {.sum_from = 34, .sum_at = 6});
    EXPECT_EQ(all[0][40], 0xff);
    EXPECT_EQ(all[0][41], 0xff);
}

TEST(Segments, LongOnesAreCutAsTheStackWouldHaveSentThem) {
    for (const Ip ip : {Ip::v4, Ip::v6})
        for (const Tag tag : {Tag::none, Tag::vlan})
            for (const usize size : {0u, 1u, 1448u, 1449u, 30'000u, 65'000u}) {
                Segment one{.ip = ip, .flags = ack | psh | fin | cwr, .payload = noise(size), .tag = tag};
                one.sequence = 0xffff'f000;
                EXPECT_EQ(finished(one.frame(false), one.offload(1448)), one.pieces(1448)) << size;
            }
}

TEST(Segments, WhatTakesAnyLengthGetsItWhole) {
    for (const Ip ip : {Ip::v4, Ip::v6}) {
        Segment one{.ip = ip, .payload = noise(50'000)};
        auto frame = one.frame(false);
        ASSERT_TRUE(finish_sums(frame, one.offload(1448)));
        EXPECT_EQ(frame, one.frame());
    }
}

TEST(Segments, WhatMakesNoSenseIsRefused) {
    const auto refused = [](std::vector<u8> frame, const Offload& offload) {
        return !finish_frame(frame, offload, [](std::span<const u8>) { ADD_FAILURE() << "was handed on"; });
    };
    Segment one{.payload = noise(3000)};
    EXPECT_TRUE(refused(one.frame(), one.offload(least_segment - 1)));
    EXPECT_TRUE(refused(one.frame(), {.sum_from = 3049, .sum_at = 16}));
    EXPECT_TRUE(refused(one.frame(), {.sum_from = 34, .sum_at = 0xffff}));
    EXPECT_TRUE(refused(one.frame(), {.sum_from = 2, .sum_at = 16}));
    auto udp = one.frame();
    udp[14 + 9] = 17;
    EXPECT_TRUE(refused(udp, one.offload(1448)));
    auto fragment = one.frame();
    fragment[14 + 6] = 0x20;
    EXPECT_TRUE(refused(fragment, one.offload(1448)));
    auto long_header = one.frame();
    long_header.resize(60);
    long_header[34 + 12] = 0xf0;
    EXPECT_TRUE(refused(long_header, one.offload(1448)));
    EXPECT_TRUE(refused(std::vector<u8>(13), {}));
}

TEST(Segments, OnlyWhoTakesThemIsGivenThem) {
    Segment four{.payload = noise(3000)}, six{.ip = Ip::v6, .payload = noise(3000)};
    const NetDevice::Takes sums{.checked = true}, only_four{.checked = true, .tcp4 = true};
    EXPECT_TRUE(is_taken({}, four.frame(), {}));
    EXPECT_TRUE(is_taken({}, four.frame(), {.checked = true}));
    EXPECT_FALSE(is_taken({}, four.frame(), four.offload(0)));
    EXPECT_TRUE(is_taken(sums, four.frame(), four.offload(0)));
    EXPECT_FALSE(is_taken(sums, four.frame(), four.offload(1448)));
    EXPECT_TRUE(is_taken(only_four, four.frame(), four.offload(1448)));
    EXPECT_FALSE(is_taken(only_four, six.frame(), six.offload(1448)));
}

class Joined : public testing::Test {
protected:
    void add(const std::vector<u8>& frame, NetDevice::Takes takes = takes_all) { joiner.add(frame, takes, emit); }
    void flush() { joiner.flush(emit); }

    std::vector<std::pair<std::vector<u8>, Offload>> out;
    SegmentJoiner::Emit emit = [this](std::span<const u8> frame, const Offload& offload) {
        out.emplace_back(std::vector<u8>(frame.begin(), frame.end()), offload);
    };
    SegmentJoiner joiner;
};

TEST_F(Joined, SegmentsInARowBecomeOne) {
    for (const Ip ip : {Ip::v4, Ip::v6}) {
        Segment one{.ip = ip, .flags = ack | psh, .payload = noise(10'000)};
        for (const auto& piece : one.pieces(1448)) {
            EXPECT_TRUE(out.empty());
            add(piece);
        }
        // PSH: nothing more is to be waited for.
        ASSERT_EQ(out.size(), 1u);
        EXPECT_EQ(out[0].first, one.frame(false));
        EXPECT_EQ(out[0].second.segment, 1448);
        EXPECT_EQ(out[0].second.sum_from, one.transport());
        EXPECT_EQ(out[0].second.header, one.header());
        EXPECT_TRUE(joiner.empty());
        out.clear();
    }
}

TEST_F(Joined, OnlyAsLongAsAPacketMayBe) {
    Segment one{.payload = noise(65'000)};
    for (const auto& piece : one.pieces(1448)) add(piece);
    one.sequence += 65'000;
    for (const auto& piece : one.pieces(1448)) add(piece);
    flush();
    usize bytes = 0;
    for (const auto& [frame, offload] : out) {
        EXPECT_TRUE(good_size(frame.size()));
        bytes += frame.size() - one.header();
    }
    EXPECT_EQ(bytes, 130'000u);
    EXPECT_LE(out.size(), 5u);
}

TEST_F(Joined, WhatIsDamagedStaysSo) {
    Segment one{.payload = noise(2896)};
    auto pieces = one.pieces(1448);
    pieces[1][700] ^= 1;
    for (const auto& piece : pieces) add(piece);
    ASSERT_EQ(out.size(), 2u);
    EXPECT_EQ(out[0].first, pieces[0]);
    EXPECT_TRUE(out[0].second.checked);
    EXPECT_EQ(out[1].first, pieces[1]);
    EXPECT_FALSE(out[1].second.checked);
}

TEST_F(Joined, OthersGoOnBehindWhatWaits) {
    Segment one{.payload = noise(1448)}, reset{.flags = ack | fin}, other{.port = 9, .payload = noise(100)};
    std::vector<u8> arp(60, 0xff);
    for (const auto& next : {reset.frame(), other.frame(), arp}) {
        add(one.frame());
        EXPECT_TRUE(out.empty());
        add(next);
        flush();
        ASSERT_EQ(out.size(), 2u);
        EXPECT_EQ(out[0].first, one.frame());
        EXPECT_EQ(out[1].first, next);
        out.clear();
    }
    add(one.frame(), {.checked = true});
    ASSERT_EQ(out.size(), 1u) << "the driver takes none that are joined";
    EXPECT_TRUE(out[0].second.is_finished());
}

// Whatever comes in whatever order: cut again, it is what came.
TEST_F(Joined, CutAgainItIsWhatCame) {
    std::mt19937 random(5);
    u32 joined = 0;
    for (unsigned round = 0; round < 200; round++) {
        out.clear();
        std::vector<std::vector<u8>> came;
        Segment connections[2] = {{.port = 1}, {.ip = Ip::v6, .port = 2}};
        for (unsigned i = 0; i < 60; i++) {
            Segment& one = connections[random() % 8 == 0];
            one.payload = noise(random() % 6 == 0 ? random() % 1500 : 1448, static_cast<unsigned>(random()));
            one.flags = random() % 12 == 0 ? ack | psh : ack;
            if (random() % 20 == 0) one.sequence += 77;
            if (random() % 20 == 0) one.acknowledged++;
            came.push_back(one.frame());
            if (random() % 30 == 0) came.back()[came.back().size() / 2] ^= 4;
            one.sequence += static_cast<u32>(one.payload.size());
            one.identity++;
            add(came.back());
        }
        flush();
        std::vector<std::vector<u8>> again;
        for (auto& [frame, offload] : out) {
            joined += offload.segment != 0;
            for (auto& each : finished(frame, offload)) again.push_back(std::move(each));
        }
        ASSERT_EQ(again, came) << round;
    }
    EXPECT_GT(joined, 1000u);
}

}  // namespace
}  // namespace viv::net
