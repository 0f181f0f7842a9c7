// Addresses as options write them.
// Promises: literal addresses only, so that nothing is asked of a name server; empty where the text is none.
#pragma once

#include <optional>
#include <string_view>

#include "native/net_options.h"

namespace viv::native {

std::optional<in_addr> parse_ipv4(std::string_view text);
std::optional<in6_addr> parse_ipv6(std::string_view text);
// 10.0.2.0/24, 10.0.2.0/255.255.255.0; without a mask /24.
struct Ipv4Network {
    in_addr address{}, mask{};
    // The address `number` of the network.
    in_addr at(u32 number) const;
    bool contains(in_addr address) const;
};
std::optional<Ipv4Network> parse_ipv4_network(std::string_view text);
std::optional<u16> parse_port(std::string_view text);  // 1 to 65535
// HOST:PORT, [IPV6]:PORT, :PORT or PORT; without a host it is `otherwise`.
std::optional<NetAddress> parse_net_address(std::string_view text, in_addr otherwise);
NetAddress make_address(in_addr host, u16 port);
std::string ipv4_text(in_addr address);

}  // namespace viv::native
