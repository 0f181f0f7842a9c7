// Addresses, networks and the rules about destinations.
#include <gtest/gtest.h>

#include "netbridge/destination.h"

namespace viv::netbridge {
namespace {

Address address(std::string_view text) { return *Address::parse(text); }
Destination tcp_to(std::string_view text, u16 port = 80) { return {address(text), Transport::tcp, port}; }
DestinationRule rule(std::string_view text) {
    auto parsed = DestinationRule::parse("--allow", text);
    EXPECT_TRUE(parsed.ok()) << parsed.error().message;
    return *parsed;
}

TEST(Address, MappedFormIsTheIpv4Address) {
    EXPECT_EQ(address("::ffff:127.0.0.1"), address("127.0.0.1"));
    EXPECT_TRUE(address("::ffff:127.0.0.1").is_loopback());
    EXPECT_TRUE(address("127.9.9.9").is_loopback());
    EXPECT_TRUE(address("::1").is_loopback());
    EXPECT_FALSE(address("::2").is_loopback());
    EXPECT_EQ(address("10.1.2.3").text(), "10.1.2.3");
    EXPECT_EQ(address("2001:DB8::1").text(), "2001:db8::1");
    for (const auto* text : {"", "1.2.3", "1.2.3.4.5", "1.2.3.4 ", "0x7f.1", "::g", "localhost", "127.1"})
        EXPECT_FALSE(Address::parse(text)) << text;
}

TEST(Address, PlaceIsTheSubscriber) {
    EXPECT_EQ(address("2001:db8:1:2:3:4:5:6").place(), address("2001:db8:1:2::"));
    EXPECT_EQ(address("10.1.2.3").place(), address("10.1.2.3"));
}

TEST(Address, SocketAddressesGoBothWays) {
    for (const auto* text : {"192.0.2.7", "2001:db8::7"}) {
        sockaddr_storage raw;
        address(text).store(raw, 443);
        EXPECT_EQ(Address::of(reinterpret_cast<const sockaddr*>(&raw)), address(text));
    }
    sockaddr other{};
    other.sa_family = AF_UNIX;
    EXPECT_FALSE(Address::of(&other));
}

TEST(Network, ContainsByBits) {
    const auto network = *Network::parse("10.1.0.0/15");
    EXPECT_TRUE(network.contains(address("10.0.255.255")));
    EXPECT_TRUE(network.contains(address("10.1.2.3")));
    EXPECT_FALSE(network.contains(address("10.2.0.0")));
    EXPECT_FALSE(network.contains(address("::a01:203")));
    EXPECT_EQ(network.text(), "10.1.0.0/15");
    EXPECT_TRUE(Network::parse("0.0.0.0/0")->contains(address("1.2.3.4")));
    EXPECT_FALSE(Network::parse("0.0.0.0/0")->contains(address("2001:db8::1")));
    EXPECT_TRUE(Network::parse("::/0")->contains(address("2001:db8::1")));
    for (const auto* text : {"10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "/8", "10.0.0.0/8x"})
        EXPECT_FALSE(Network::parse(text)) << text;
}

TEST(Destination, OnlyWhatIsPublicUnlessAllowed) {
    const DestinationRules rules;
    for (const auto* text : {"127.0.0.1",
                             "127.255.255.254",
                             "0.0.0.0",
                             "10.0.0.1",
                             "172.16.0.1",
                             "172.31.255.255",
                             "192.168.1.1",
                             "169.254.169.254",
                             "100.64.0.1",
                             "100.100.100.200",
                             "168.63.129.16",
                             "224.0.0.1",
                             "255.255.255.255",
                             "192.0.2.1",
                             "198.18.0.1",
                             "::",
                             "::1",
                             "::ffff:10.0.0.1",
                             "::10.0.0.1",
                             "fe80::1",
                             "fec0::1",
                             "fd00:ec2::254",
                             "fc00::1",
                             "ff02::1",
                             "64:ff9b::7f00:1",
                             "64:ff9b::a9fe:a9fe",
                             "2002:7f00:1::1",
                             "2002:a00:1::",
                             "2001::1",
                             "2001:db8::1",
                             "100::1",
                             "::ffff:0:127.0.0.1"})
        EXPECT_FALSE(rules.permits(tcp_to(text))) << text;
    for (const auto* text : {"1.1.1.1", "8.8.8.8", "172.32.0.1", "172.15.255.255", "100.128.0.1", "11.0.0.1",
                             "2606:4700::1111", "2a00::1", "64:ff9b::808:808", "2002:808:808::1"})
        EXPECT_TRUE(rules.permits(tcp_to(text))) << text;
}

TEST(Destination, RulesOpenAndClose) {
    DestinationRules rules;
    rules.allow(rule("10.0.0.0/8,tcp,port=80-90"));
    EXPECT_TRUE(rules.permits(tcp_to("10.1.1.1", 80)));
    EXPECT_TRUE(rules.permits(tcp_to("10.1.1.1", 90)));
    EXPECT_FALSE(rules.permits(tcp_to("10.1.1.1", 91)));
    EXPECT_FALSE(rules.permits({address("10.1.1.1"), Transport::udp, 80}));
    // The port of a later fragment is not known.
    EXPECT_FALSE(rules.permits({address("10.1.1.1"), Transport::tcp, std::nullopt}));
    rules.deny(rule("10.1.1.1"));
    EXPECT_FALSE(rules.permits(tcp_to("10.1.1.1", 80)));
    rules.deny(rule("8.8.8.8,udp,port=53"));
    EXPECT_TRUE(rules.permits(tcp_to("8.8.8.8", 53)));
    EXPECT_FALSE(rules.permits({address("8.8.8.8"), Transport::udp, 53}));
    EXPECT_FALSE(rules.permits({address("8.8.8.8"), Transport::udp, std::nullopt}));
    EXPECT_FALSE(rules.permits({address("64:ff9b::808:808"), Transport::udp, 53}));
}

TEST(Destination, OwnAddressesAreNotPublic) {
    DestinationRules rules;
    EXPECT_TRUE(rules.permits(tcp_to("1.2.3.4")));
    rules.own(address("1.2.3.4"));
    EXPECT_FALSE(rules.permits(tcp_to("1.2.3.4")));
    rules.allow(rule("1.2.3.4,port=443"));
    EXPECT_TRUE(rules.permits(tcp_to("1.2.3.4", 443)));
    EXPECT_FALSE(rules.permits(tcp_to("1.2.3.4", 22)));
}

TEST(Destination, WrongRulesAreNamed) {
    for (const auto* text : {"", "here", "10.0.0.0/8,sctp", "10.0.0.0/8,port=", "10.0.0.0/8,port=9-8",
                             "10.0.0.0/8,port=70000", "10.0.0.0/8,port=1-2-3"}) {
        const auto parsed = DestinationRule::parse("--allow", text);
        ASSERT_FALSE(parsed.ok()) << text;
        EXPECT_EQ(parsed.error().message.find("--allow "), 0u);
    }
}

}  // namespace
}  // namespace viv::netbridge
