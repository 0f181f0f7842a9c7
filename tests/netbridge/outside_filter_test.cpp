// Which frames may leave a room.
#include "netbridge/outside_filter.h"

#include <gtest/gtest.h>

#include "engine/lang/bytes.h"

namespace viv::netbridge {
namespace {

using Verdict = OutsideFilter::Verdict;
constexpr u8 icmp = 1, tcp = 6, udp = 17, icmpv6 = 58;

std::vector<u8> ipv4(std::string_view to, u8 protocol, u16 port = 0, u16 fragment = 0, usize options = 0) {
    const usize header = 20 + options;
    std::vector<u8> bytes(14 + header + 8);
    store_be<u16>(&bytes[12], 0x0800);
    u8* packet = &bytes[14];
    packet[0] = static_cast<u8>(0x40 | header / 4);
    store_be<u16>(&packet[2], static_cast<u16>(header + 8));
    store_be<u16>(&packet[6], fragment);
    packet[9] = protocol;
    const u8 from[4] = {10, 0, 2, 15};
    std::copy(std::begin(from), std::end(from), &packet[12]);
    const auto address = *Address::parse(to);
    std::copy(address.bytes().begin() + 12, address.bytes().end(), &packet[16]);
    store_be<u16>(&packet[header + 2], port);
    return bytes;
}
std::vector<u8> ipv6(std::string_view to, u8 protocol, u16 port = 0) {
    std::vector<u8> bytes(14 + 40 + 8);
    store_be<u16>(&bytes[12], 0x86dd);
    u8* packet = &bytes[14];
    packet[0] = 0x60;
    store_be<u16>(&packet[4], 8);
    packet[6] = protocol;
    const auto from = *Address::parse("fec0::15");
    std::copy(from.bytes().begin(), from.bytes().end(), &packet[8]);
    const auto address = *Address::parse(to);
    std::copy(address.bytes().begin(), address.bytes().end(), &packet[24]);
    store_be<u16>(&packet[40 + 2], port);
    return bytes;
}

struct Filter : testing::Test {
    DestinationRules rules;
    OutsideFilter filter{rules, OutsideNetwork{}};
    Verdict judge(const std::vector<u8>& frame) { return filter.judge(frame); }
};

TEST_F(Filter, PublicDestinationsPass) {
    EXPECT_EQ(judge(ipv4("1.1.1.1", tcp, 443)), Verdict::pass);
    EXPECT_EQ(judge(ipv4("1.1.1.1", udp, 53)), Verdict::pass);
    EXPECT_EQ(judge(ipv4("1.1.1.1", icmp)), Verdict::pass);
    EXPECT_EQ(judge(ipv4("1.1.1.1", tcp, 443, 0, 8)), Verdict::pass);
    EXPECT_EQ(judge(ipv6("2606:4700::1111", tcp, 443)), Verdict::pass);
}

TEST_F(Filter, OthersDoNot) {
    for (const auto* to : {"127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.251"})
        for (const u8 protocol : {icmp, tcp, udp}) EXPECT_EQ(judge(ipv4(to, protocol, 80)), Verdict::refused) << to;
    for (const auto* to : {"::1", "fd00::1", "64:ff9b::7f00:1", "2002:a9fe:a9fe::1"})
        for (const u8 protocol : {icmpv6, tcp, udp}) EXPECT_EQ(judge(ipv6(to, protocol, 80)), Verdict::refused) << to;
    // Of the groups and the neighbourhood only what neighbours want of a router.
    EXPECT_EQ(judge(ipv6("ff02::1", icmpv6)), Verdict::pass);
    EXPECT_EQ(judge(ipv6("fe80::2", icmpv6)), Verdict::pass);
    EXPECT_EQ(judge(ipv6("fe80::2", tcp, 80)), Verdict::refused);
    EXPECT_EQ(judge(ipv6("ff02::fb", udp, 5353)), Verdict::refused);
    EXPECT_EQ(judge(ipv4("8.8.8.8", 47)), Verdict::refused);
    EXPECT_EQ(judge(ipv6("2606:4700::1111", 44)), Verdict::refused);  // a fragment
}

TEST_F(Filter, OfTheNatItselfOnlyItsServices) {
    EXPECT_EQ(judge(ipv4("10.0.2.3", udp, 53)), Verdict::pass);
    EXPECT_EQ(judge(ipv4("10.0.2.3", tcp, 53)), Verdict::pass);
    EXPECT_EQ(judge(ipv4("10.0.2.3", tcp, 22)), Verdict::refused);
    EXPECT_EQ(judge(ipv4("10.0.2.3", udp, 5353)), Verdict::refused);
    EXPECT_EQ(judge(ipv4("10.0.2.3", udp, 53, 0x0001)), Verdict::refused);  // a later fragment: who knows
    EXPECT_EQ(judge(ipv4("10.0.2.2", icmp)), Verdict::pass);
    EXPECT_EQ(judge(ipv4("10.0.2.2", tcp, 80)), Verdict::refused);
    EXPECT_EQ(judge(ipv4("10.0.2.2", udp, 69)), Verdict::refused);
    EXPECT_EQ(judge(ipv4("10.0.2.2", udp, 67)), Verdict::pass);
    EXPECT_EQ(judge(ipv4("255.255.255.255", udp, 67)), Verdict::pass);
    EXPECT_EQ(judge(ipv4("255.255.255.255", udp, 68)), Verdict::refused);
    EXPECT_EQ(judge(ipv6("fec0::3", udp, 53)), Verdict::pass);
    EXPECT_EQ(judge(ipv6("fec0::3", tcp, 80)), Verdict::refused);
    EXPECT_EQ(judge(ipv6("fec0::2", tcp, 80)), Verdict::refused);
}

TEST_F(Filter, RulesOpenAPort) {
    rules.allow(*DestinationRule::parse("--allow", "192.168.0.1,tcp,port=80"));
    EXPECT_EQ(judge(ipv4("192.168.0.1", tcp, 80)), Verdict::pass);
    EXPECT_EQ(judge(ipv4("192.168.0.1", tcp, 81)), Verdict::refused);
    EXPECT_EQ(judge(ipv4("192.168.0.1", tcp, 80, 0x0010)), Verdict::refused);
}

TEST_F(Filter, AnyBytesAreRead) {
    for (const auto& whole : {ipv4("1.1.1.1", tcp, 80), ipv4("1.1.1.1", udp, 80, 0, 40), ipv6("2606:4700::1", tcp, 80)})
        for (usize size = 0; size < whole.size() - 5; size++) {
            // In a buffer of its own, so that a sanitizer sees a read past the end.
            const std::vector<u8> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
            EXPECT_NE(judge(cut), Verdict::pass) << size;
        }
    auto bytes = ipv4("1.1.1.1", tcp, 80);
    bytes[14] = 0x41;
    EXPECT_EQ(judge(bytes), Verdict::malformed);
    bytes[14] = 0x4f;
    EXPECT_EQ(judge(bytes), Verdict::malformed);
    bytes[14] = 0x65;
    EXPECT_EQ(judge(bytes), Verdict::malformed);
    auto arp = std::vector<u8>(42);
    store_be<u16>(&arp[12], 0x0806);
    EXPECT_EQ(judge(arp), Verdict::pass);
    store_be<u16>(&arp[12], 0x88f8);
    EXPECT_EQ(judge(arp), Verdict::refused);
}

}  // namespace
}  // namespace viv::netbridge
