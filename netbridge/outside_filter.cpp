// Judging frames on their way out. See outside_filter.h; RFC 791, RFC 8200.
#include "netbridge/outside_filter.h"

#include "engine/lang/bytes.h"
#include "engine/net/inspect.h"
#include "engine/net/net.h"

namespace viv::netbridge {

namespace {

enum Protocol : u8 { icmp = 1, tcp = 6, udp = 17, icmpv6 = 58 };

}  // namespace

OutsideFilter::Verdict OutsideFilter::judge(std::span<const u8> frame) const {
    if (!net::good_size(frame.size())) return Verdict::malformed;
    const auto packet = frame.subspan(net::smallest_frame);
    switch (net::ether_type_of(frame)) {
        case net::ether_arp: return Verdict::pass;
        case net::ether_ipv4: return net::is_martian(frame) ? Verdict::refused : judge_ipv4(packet);
        case net::ether_ipv6: return net::is_martian(frame) ? Verdict::refused : judge_ipv6(packet);
        default: return Verdict::refused;
    }
}

OutsideFilter::Verdict OutsideFilter::judge_ipv4(std::span<const u8> packet) const {
    constexpr usize smallest_header = 20;
    if (packet.size() < smallest_header || packet[0] >> 4 != 4) return Verdict::malformed;
    const usize header = usize{packet[0] & 15u} * 4;
    const usize total = load_be<u16>(&packet[2]);
    if (header < smallest_header || total < header || total > packet.size()) return Verdict::malformed;
    const u16 fragment = load_be<u16>(&packet[6]);
    const bool first = (fragment & 0x1fff) == 0;
    Destination destination;
    destination.address = Address::ipv4(std::span<const u8, 4>(&packet[16], 4));
    switch (packet[9]) {
        case icmp: destination.transport = Transport::icmp; break;
        case tcp:
        case udp:
            destination.transport = packet[9] == tcp ? Transport::tcp : Transport::udp;
            if (!first) break;
            if (total < header + 4) return Verdict::malformed;
            destination.port = load_be<u16>(&packet[header + 2]);
            break;
        default: return Verdict::refused;
    }
    return judge_destination(destination);
}

OutsideFilter::Verdict OutsideFilter::judge_ipv6(std::span<const u8> packet) const {
    constexpr usize header = 40;
    if (packet.size() < header || packet[0] >> 4 != 6) return Verdict::malformed;
    const usize total = header + load_be<u16>(&packet[4]);
    if (total > packet.size()) return Verdict::malformed;
    Destination destination;
    destination.address = Address::ipv6(std::span<const u8, 16>(&packet[24], 16));
    switch (packet[6]) {
        case icmpv6: destination.transport = Transport::icmp; break;
        case tcp:
        case udp:
            destination.transport = packet[6] == tcp ? Transport::tcp : Transport::udp;
            if (total < header + 4) return Verdict::malformed;
            destination.port = load_be<u16>(&packet[header + 2]);
            break;
        default: return Verdict::refused;
    }
    return judge_destination(destination);
}

OutsideFilter::Verdict OutsideFilter::judge_destination(const Destination& destination) const {
    static const Network link_local6 = *Network::parse("fe80::/10"), groups6 = *Network::parse("ff02::/16");
    static const Address everybody = *Address::parse("255.255.255.255");
    constexpr u16 names_port = 53, dhcp_port = 67, dhcp6_port = 547;
    const auto& address = destination.address;
    const bool ping = destination.transport == Transport::icmp;
    if (address == network_.names || address == network_.names6)
        return ping || destination.port == names_port ? Verdict::pass : Verdict::refused;
    if (address == everybody || network_.ipv4.contains(address)) {
        // DHCP is told to the router, or to everybody.
        const bool dhcp = destination.transport == Transport::udp && destination.port == dhcp_port;
        return dhcp || (ping && address == network_.router) ? Verdict::pass : Verdict::refused;
    }
    if (link_local6.contains(address) || groups6.contains(address) || network_.ipv6.contains(address)) {
        const bool dhcp = destination.transport == Transport::udp && destination.port == dhcp6_port;
        return ping || dhcp ? Verdict::pass : Verdict::refused;
    }
    return rules_.permits(destination) ? Verdict::pass : Verdict::refused;
}

}  // namespace viv::netbridge
