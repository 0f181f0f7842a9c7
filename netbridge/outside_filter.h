// Which frames of a room may go to its way out, by the rules about destinations.
// Promises: any bytes are a legal argument, and are read within their bounds; what is not understood is refused (IPv6
// extension headers, fragments whose ports a rule would have to know); of the addresses that the NAT gives itself only
// its services can be reached: DHCP, names, ping, neighbour discovery, and of the name server's only port 53.
#pragma once

#include <span>

#include "netbridge/destination.h"

namespace viv::netbridge {

// The room's network behind the NAT, as given to libslirp.
struct OutsideNetwork {
    Network ipv4 = *Network::parse("10.0.2.0/24");
    Address router = *Address::parse("10.0.2.2"), names = *Address::parse("10.0.2.3");
    Address first_lease = *Address::parse("10.0.2.15");
    Network ipv6 = *Network::parse("fec0::/64");
    Address router6 = *Address::parse("fec0::2"), names6 = *Address::parse("fec0::3");
};

class OutsideFilter {
public:
    enum class Verdict : u8 { pass, malformed, refused };

    OutsideFilter(const DestinationRules& rules, const OutsideNetwork& network) : rules_(rules), network_(network) {}
    Verdict judge(std::span<const u8> frame) const;

private:
    Verdict judge_ipv4(std::span<const u8> packet) const;
    Verdict judge_ipv6(std::span<const u8> packet) const;
    Verdict judge_destination(const Destination& destination) const;

    const DestinationRules& rules_;
    OutsideNetwork network_;
};

}  // namespace viv::netbridge
