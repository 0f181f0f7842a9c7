// Where clients may go from here: which addresses and ports, for a room's way out and for WISP streams alike.
// Promises: without a rule that allows it, nothing leads to this host, its network, private and link-local addresses,
// the metadata services of clouds, or any other address that is not for the public Internet (RFC 6890 and the IANA
// registries of special-purpose addresses), also where such an IPv4 address is inside an IPv6 one (NAT64, 6to4).
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "engine/lang/result.h"
#include "netbridge/address.h"

namespace viv::netbridge {

enum class Transport : u8 { tcp, udp, icmp };

struct Destination {
    Address address;
    Transport transport = Transport::tcp;
    std::optional<u16> port;  // none: not known (a later fragment), or there is none (ICMP)
};

struct DestinationRule {
    Network network;
    std::optional<Transport> transport;  // none: all
    u16 first_port = 0, last_port = 65535;

    // NETWORK[,tcp|udp|icmp][,port=N[-M]], as in 10.0.0.0/8,tcp,port=80-90. `option` is for messages.
    static Result<DestinationRule> parse(std::string_view option, std::string_view text);
    // For certain; or possibly, where the port is not known.
    bool covers(const Destination& destination) const;
    bool may_cover(const Destination& destination) const;
};

// A denial is stronger than a permission, and a permission than what is not public.
class DestinationRules {
public:
    void allow(DestinationRule rule) { allowed_.push_back(rule); }
    void deny(DestinationRule rule) { denied_.push_back(rule); }
    // An address of this host itself, which is not public even if others reach it: what listens there may be meant for
    // a narrower circle.
    void own(const Address& address) { own_.push_back(address); }

    bool permits(const Destination& destination) const;
    bool is_public(const Address& address) const;

private:
    std::vector<DestinationRule> allowed_, denied_;
    std::vector<Address> own_;
};

}  // namespace viv::netbridge
