// Reading frames: martians, and what may open a connection. Every prefix of a frame is a legal argument, too.
#include "engine/net/inspect.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <vector>

namespace viv::net {
namespace {

using Bytes = std::vector<u8>;

Bytes ethernet(u16 type) {
    Bytes frame(12, 0x52);
    frame.push_back(static_cast<u8>(type >> 8));
    frame.push_back(static_cast<u8>(type));
    return frame;
}
Bytes ipv4(std::initializer_list<u8> from, std::initializer_list<u8> to, u8 protocol = 17) {
    Bytes frame = ethernet(ether_ipv4);
    frame.push_back(0x45);
    frame.resize(14 + 12);
    frame[14 + 9] = protocol;
    frame.insert(frame.end(), from);
    frame.insert(frame.end(), to);
    return frame;
}
Bytes ipv6(Bytes from, Bytes to, u8 protocol = 17) {
    Bytes frame = ethernet(ether_ipv6);
    frame.resize(14 + 8);
    frame[14 + 6] = protocol;
    from.insert(from.begin(), 16 - from.size(), 0);
    to.insert(to.begin(), 16 - to.size(), 0);
    frame.insert(frame.end(), from.begin(), from.end());
    frame.insert(frame.end(), to.begin(), to.end());
    return frame;
}
Bytes tcp(Bytes packet, u8 flags) {
    packet.resize(packet.size() + 20);
    packet[packet.size() - 20 + 13] = flags;
    return packet;
}

TEST(Inspect, MartiansAreAddressesThatMeanMyself) {
    EXPECT_FALSE(is_martian(ipv4({10, 0, 2, 15}, {10, 0, 2, 2})));
    EXPECT_FALSE(is_martian(ipv4({0, 0, 0, 0}, {255, 255, 255, 255}))) << "DHCP";
    EXPECT_TRUE(is_martian(ipv4({10, 0, 2, 15}, {127, 0, 0, 1})));
    EXPECT_TRUE(is_martian(ipv4({10, 0, 2, 15}, {127, 255, 0, 9})));
    EXPECT_TRUE(is_martian(ipv4({10, 0, 2, 15}, {0, 0, 0, 0})));
    EXPECT_TRUE(is_martian(ipv4({127, 0, 0, 1}, {10, 0, 2, 2})));
    const Bytes guest = {0xfe, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9};
    EXPECT_FALSE(is_martian(ipv6(guest, guest)));
    EXPECT_FALSE(is_martian(ipv6({}, guest))) << "duplicate address detection";
    EXPECT_TRUE(is_martian(ipv6(guest, {1})));
    EXPECT_TRUE(is_martian(ipv6(guest, {})));
    EXPECT_TRUE(is_martian(ipv6(guest, {127, 0, 0, 1})));
    EXPECT_TRUE(is_martian(ipv6(guest, {0xff, 0xff, 127, 0, 0, 1})));
    EXPECT_TRUE(is_martian(ipv6(guest, {0xff, 0xff, 0, 0, 0, 0})));
    EXPECT_FALSE(is_martian(ipv6(guest, {0xff, 0xff, 8, 8, 8, 8})));
    EXPECT_TRUE(is_martian(ipv6({1}, guest)));
    EXPECT_FALSE(is_martian(ethernet(ether_arp)));
}

TEST(Inspect, OnlyATcpSegmentThatIsNoSynOpensNothing) {
    const auto packet = ipv4({10, 0, 2, 15}, {10, 0, 2, 2}, 6);
    EXPECT_TRUE(may_open_connection(tcp(packet, 2)));
    EXPECT_FALSE(may_open_connection(tcp(packet, 2 | 16)));
    EXPECT_FALSE(may_open_connection(tcp(packet, 16)));
    EXPECT_TRUE(may_open_connection(ipv4({10, 0, 2, 15}, {10, 0, 2, 2}, 17)));
    auto fragment = tcp(packet, 16);
    fragment[14 + 6] = 0x20;
    EXPECT_TRUE(may_open_connection(fragment)) << "its flags may come later";
    auto options = tcp(tcp(packet, 0), 2);  // 20 bytes of options before the segment
    options[14] = 0x4a;
    EXPECT_TRUE(may_open_connection(options));
    EXPECT_TRUE(may_open_connection(tcp(ipv6({9}, {8}, 6), 2)));
    EXPECT_FALSE(may_open_connection(tcp(ipv6({9}, {8}, 6), 24)));
    EXPECT_TRUE(may_open_connection(ipv6({9}, {8}, 0))) << "extension headers";
    EXPECT_FALSE(may_open_connection(ethernet(ether_arp)));
}

TEST(Inspect, PrefixesAreLegal) {
    for (const auto& frame : {tcp(ipv4({10, 0, 2, 15}, {127, 0, 0, 1}, 6), 2), tcp(ipv6({9}, {1}, 6), 2)}) {
        for (usize size = 0; size <= frame.size(); size++) {
            const Bytes cut(frame.begin(),
                            frame.begin() + static_cast<std::ptrdiff_t>(size));  // so that asan sees the end
            const bool martian = is_martian(cut), opens = may_open_connection(cut);
            if (size == frame.size()) {
                EXPECT_TRUE(martian);
                EXPECT_TRUE(opens);
            }
        }
    }
}

TEST(Inspect, AddressesOfAFrame) {
    Bytes frame = ethernet(ether_arp);
    for (u8 i = 0; i < 12; i++) frame[i] = i;
    EXPECT_EQ(destination_of(frame), (MacAddress{0, 1, 2, 3, 4, 5}));
    EXPECT_EQ(source_of(frame), (MacAddress{6, 7, 8, 9, 10, 11}));
    EXPECT_EQ(ether_type_of(frame), ether_arp);
    EXPECT_TRUE(is_group(MacAddress{1}));
    EXPECT_FALSE(is_group(MacAddress{2}));
}

}  // namespace
}  // namespace viv::net
