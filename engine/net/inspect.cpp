// Reading frames. See inspect.h.
#include "engine/net/inspect.h"

#include <algorithm>

#include "engine/lang/bytes.h"
#include "engine/lang/hash.h"
#include "engine/net/net.h"

namespace viv::net {

namespace {

constexpr usize ipv4_source_at = 14 + 12, ipv4_destination_at = 14 + 16, ipv4_header_end = 14 + 20;
constexpr usize ipv6_source_at = 14 + 8, ipv6_destination_at = 14 + 24, ipv6_header_end = 14 + 40;

using Ipv6Address = std::array<u8, 16>;

MacAddress mac_at(std::span<const u8> frame, usize at) {
    MacAddress address;
    std::copy_n(frame.begin() + static_cast<std::ptrdiff_t>(at), address.size(), address.begin());
    return address;
}

constexpr bool means_myself(u8 first_byte) { return first_byte == 127; }

// IPv4 addresses within IPv6: mapped (::ffff:a.b.c.d) and compatible (::a.b.c.d, which has ::1 and :: among it).
bool means_myself(const Ipv6Address& address) {
    if (std::any_of(address.begin(), address.begin() + 10, [](u8 byte) { return byte != 0; })) return false;
    const u16 form = load_be<u16>(&address[10]);
    if (form == 0xffff) return means_myself(address[12]) || address[12] == 0;
    return form == 0 && (address[12] == 0 || means_myself(address[12]));
}

}  // namespace

MacAddress destination_of(std::span<const u8> frame) { return mac_at(frame, 0); }
MacAddress source_of(std::span<const u8> frame) { return mac_at(frame, 6); }
u16 ether_type_of(std::span<const u8> frame) { return load_be<u16>(&frame[12]); }

std::optional<IpPacket> ip_packet_of(std::span<const u8> frame) {
    constexpr usize ipv4_header = 20, ipv6_header = 40, tag = 4;
    if (frame.size() < smallest_frame) return std::nullopt;
    IpPacket packet{.ip = smallest_frame};
    u16 type = ether_type_of(frame);
    if (type == ether_vlan) {
        packet.ip += tag;
        if (frame.size() < packet.ip) return std::nullopt;
        type = load_be<u16>(&frame[packet.ip - 2]);
    }
    const auto ip = frame.subspan(packet.ip);
    if (type == ether_ipv4 && ip.size() >= ipv4_header && ip[0] >> 4 == 4) {
        const usize header = usize{ip[0] & 0xfu} * 4;
        if (header < ipv4_header) return std::nullopt;
        packet.is_v4 = true;
        packet.fragment = (load_be<u16>(&ip[6]) & 0x3fff) != 0;
        packet.protocol = ip[9];
        packet.transport = packet.ip + header;
        packet.end = packet.ip + load_be<u16>(&ip[2]);
    } else if (type == ether_ipv6 && ip.size() >= ipv6_header && ip[0] >> 4 == 6) {
        packet.protocol = ip[6];
        packet.transport = packet.ip + ipv6_header;
        packet.end = packet.transport + load_be<u16>(&ip[4]);
    } else {
        return std::nullopt;
    }
    if (packet.end > frame.size() || packet.transport > packet.end) return std::nullopt;
    return packet;
}

bool is_martian(std::span<const u8> frame) {
    if (frame.size() < smallest_frame) return false;
    const u16 type = ether_type_of(frame);
    if (type == ether_ipv4 && frame.size() >= ipv4_header_end) {
        // 0.0.0.0 is where packets come from before there is an address, and never where they go.
        const u8 to = frame[ipv4_destination_at];
        return means_myself(frame[ipv4_source_at]) || means_myself(to) || to == 0;
    }
    if (type == ether_ipv6 && frame.size() >= ipv6_header_end) {
        Ipv6Address source, destination;
        std::copy_n(frame.begin() + ipv6_source_at, source.size(), source.begin());
        std::copy_n(frame.begin() + ipv6_destination_at, destination.size(), destination.begin());
        // :: is the source of duplicate address detection.
        return means_myself(destination) || (means_myself(source) && source != Ipv6Address{});
    }
    return false;
}

bool may_open_connection(std::span<const u8> frame) {
    if (frame.size() < smallest_frame) return false;
    constexpr u8 tcp = 6, syn = 2, ack = 16;
    constexpr usize flags_at = 13;
    const u16 type = ether_type_of(frame);
    usize header = 0;
    if (type == ether_ipv4 && frame.size() >= ipv4_header_end) {
        const bool fragment = (load_be<u16>(&frame[14 + 6]) & 0x3fff) != 0;
        if (fragment || frame[14 + 9] != tcp) return true;
        header = 14 + usize{frame[14] & 0xfu} * 4;
    } else if (type == ether_ipv6 && frame.size() >= ipv6_header_end) {
        if (frame[14 + 6] != tcp) return true;
        header = ipv6_header_end;
    } else {
        return false;
    }
    if (frame.size() <= header + flags_at) return false;
    return (frame[header + flags_at] & (syn | ack)) == syn;
}

u32 flow_hash(std::span<const u8> frame) {
    constexpr u8 tcp = 6, udp = 17;
    std::array<u8, 19> both{};  // what sender and receiver are together, so that the direction does not count
    const auto join = [&](usize source, usize destination, usize size, usize to) {
        for (usize i = 0; i < size; i++) both[to + i] = frame[source + i] ^ frame[destination + i];
    };
    const u16 type = frame.size() < smallest_frame ? u16{0} : ether_type_of(frame);
    usize ports = 0;
    if (type == ether_ipv4 && frame.size() >= ipv4_header_end) {
        join(ipv4_source_at, ipv4_destination_at, 4, 0);
        both[18] = frame[14 + 9];
        const bool fragment = (load_be<u16>(&frame[14 + 6]) & 0x3fff) != 0;
        if (!fragment) ports = 14 + usize{frame[14] & 0xfu} * 4;
    } else if (type == ether_ipv6 && frame.size() >= ipv6_header_end) {
        join(ipv6_source_at, ipv6_destination_at, 16, 0);
        both[18] = frame[14 + 6];
        ports = ipv6_header_end;
    } else if (frame.size() >= smallest_frame) {
        join(0, 6, 6, 0);
    }
    if ((both[18] == tcp || both[18] == udp) && ports != 0 && frame.size() >= ports + 4) join(ports, ports + 2, 2, 16);
    return static_cast<u32>(hash64(both));
}

}  // namespace viv::net
