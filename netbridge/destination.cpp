// The rules about destinations. See destination.h.
#include "netbridge/destination.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace viv::netbridge {

namespace {

// Not globally reachable, by the registries; and where clouds keep their metadata services.
constexpr std::array<std::string_view, 27> not_public = {
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "168.63.129.16/32",  // a cloud's host, at a public address
    "::/96",             // unspecified, loopback and what was once IPv4-compatible
    "::ffff:0:0:0/96",   // translated, RFC 2765
    "64:ff9b:1::/48",    // local NAT64
    "100::/64",
    "2001::/23",
    "2001:db8::/32",
    "3fff::/20",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8"};

const std::vector<Network>& not_public_networks() {
    static const std::vector<Network> list = [] {
        std::vector<Network> networks;
        for (const auto text : not_public) networks.push_back(*Network::parse(text));
        return networks;
    }();
    return list;
}

// The IPv4 address that packets to this IPv6 address end at.
std::optional<Address> inner_ipv4(const Address& address) {
    static const Network nat64 = *Network::parse("64:ff9b::/96"), six_to_four = *Network::parse("2002::/16");
    const auto at = [&](usize offset) { return Address::ipv4(std::span<const u8, 4>(&address.bytes()[offset], 4)); };
    if (nat64.contains(address)) return at(12);
    if (six_to_four.contains(address)) return at(2);
    return std::nullopt;
}

bool parse_number(std::string_view text, u16& into) {
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), into);
    return problem == std::errc{} && end == text.data() + text.size() && !text.empty();
}

}  // namespace

Result<DestinationRule> DestinationRule::parse(std::string_view option, std::string_view text) {
    const auto wrong = [&](std::string_view problem) { return Error{fmt::format("{} {}: {}", option, text, problem)}; };
    DestinationRule rule;
    std::string_view rest = text;
    const auto next = [&] {
        const auto comma = rest.find(',');
        const auto word = rest.substr(0, comma);
        rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
        return word;
    };
    const auto network_text = next();
    const auto network = Network::parse(network_text);
    if (!network) return wrong(fmt::format("'{}' is no network, as in 10.0.0.0/8 or 2001:db8::/32", network_text));
    rule.network = *network;
    while (!rest.empty()) {
        const auto word = next();
        if (word == "tcp") {
            rule.transport = Transport::tcp;
        } else if (word == "udp") {
            rule.transport = Transport::udp;
        } else if (word == "icmp") {
            rule.transport = Transport::icmp;
        } else if (word.starts_with("port=")) {
            const auto ports = word.substr(5);
            const auto dash = ports.find('-');
            const bool good = parse_number(ports.substr(0, dash), rule.first_port) &&
                              (dash == std::string_view::npos ? (rule.last_port = rule.first_port, true)
                                                              : parse_number(ports.substr(dash + 1), rule.last_port));
            if (!good || rule.first_port > rule.last_port)
                return wrong(fmt::format("'{}' is no port, as in port=443 or port=8000-8100", word));
        } else {
            return wrong(fmt::format("'{}' is not known; there are tcp, udp, icmp and port=", word));
        }
    }
    return rule;
}

bool DestinationRule::may_cover(const Destination& destination) const {
    if (transport && *transport != destination.transport) return false;
    if (destination.port && (*destination.port < first_port || *destination.port > last_port)) return false;
    return network.contains(destination.address);
}

bool DestinationRule::covers(const Destination& destination) const {
    const bool all_ports = first_port == 0 && last_port == 65535;
    return may_cover(destination) && (destination.port || all_ports);
}

bool DestinationRules::is_public(const Address& address) const {
    if (const auto inner = inner_ipv4(address); inner && !is_public(*inner)) return false;
    if (std::find(own_.begin(), own_.end(), address) != own_.end()) return false;
    const auto& list = not_public_networks();
    return std::none_of(list.begin(), list.end(), [&](const Network& network) { return network.contains(address); });
}

bool DestinationRules::permits(const Destination& destination) const {
    const auto denies = [&](const Destination& to) {
        return std::any_of(denied_.begin(), denied_.end(), [&](const auto& rule) { return rule.may_cover(to); });
    };
    if (denies(destination)) return false;
    if (const auto inner = inner_ipv4(destination.address))
        if (denies({*inner, destination.transport, destination.port})) return false;
    if (std::any_of(allowed_.begin(), allowed_.end(), [&](const auto& rule) { return rule.covers(destination); }))
        return true;
    return is_public(destination.address);
}

}  // namespace viv::netbridge
