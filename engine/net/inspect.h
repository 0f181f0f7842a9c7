// What a frame says about where it goes, read with its bounds checked first.
// Promises: any bytes are a legal argument; nothing is read twice, so that a frame in guest memory that changes
// meanwhile is judged by one reading. RFC 1122 3.2.1.3 and RFC 4291 2.5 name the addresses that never appear on a wire.
#pragma once

#include <array>
#include <optional>
#include <span>

#include "engine/lang/bits.h"

namespace viv::net {

using MacAddress = std::array<u8, 6>;

enum EtherType : u16 { ether_ipv4 = 0x0800, ether_arp = 0x0806, ether_vlan = 0x8100, ether_ipv6 = 0x86dd };

// The frame has at least smallest_frame bytes for these.
MacAddress destination_of(std::span<const u8> frame);
MacAddress source_of(std::span<const u8> frame);
u16 ether_type_of(std::span<const u8> frame);
constexpr bool is_group(const MacAddress& address) { return (address[0] & 1) != 0; }

inline constexpr u8 protocol_tcp = 6, protocol_udp = 17;

// Where the parts of an IP packet are, behind no or one 802.1Q tag: within the frame, `ip` <= `transport` <= `end`.
struct IpPacket {
    bool is_v4 = false, fragment = false;
    u8 protocol = 0;  // of IPv6 the first header behind its own
    usize ip = 0, transport = 0, end = 0;

    // Source and destination.
    std::span<const u8> addresses(std::span<const u8> frame) const {
        return is_v4 ? frame.subspan(ip + 12, 8) : frame.subspan(ip + 8, 32);
    }
};
std::optional<IpPacket> ip_packet_of(std::span<const u8> frame);

// Is this an IPv4 or IPv6 packet to or from an address that means "myself", which no wire may carry?
bool is_martian(std::span<const u8> frame);
// Could a NAT need a new socket for it? A TCP segment that is no SYN cannot be the first of its connection; anything
// else in IPv4 or IPv6 may be.
bool may_open_connection(std::span<const u8> frame);
// The same number for all frames of one connection, both ways; of other frames whose addresses are alike.
u32 flow_hash(std::span<const u8> frame);

}  // namespace viv::net
