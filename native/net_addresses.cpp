// Addresses as options write them. See net_addresses.h.
#include "native/net_addresses.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace viv::native {

namespace {

std::optional<unsigned> parse_number(std::string_view text, unsigned most) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || text.empty() || value > most) return std::nullopt;
    return value;
}

in_addr mask_of(unsigned bits) {
    in_addr mask{};
    mask.s_addr = bits == 0 ? 0 : htonl(~u32{0} << (32 - bits));
    return mask;
}

}  // namespace

std::optional<in_addr> parse_ipv4(std::string_view text) {
    in_addr address{};
    if (text.find('\0') != std::string_view::npos) return std::nullopt;
    if (inet_pton(AF_INET, std::string(text).c_str(), &address) != 1) return std::nullopt;
    return address;
}

std::optional<in6_addr> parse_ipv6(std::string_view text) {
    in6_addr address{};
    if (text.find('\0') != std::string_view::npos) return std::nullopt;
    if (inet_pton(AF_INET6, std::string(text).c_str(), &address) != 1) return std::nullopt;
    return address;
}

in_addr Ipv4Network::at(u32 number) const {
    in_addr result{};
    result.s_addr = (address.s_addr & mask.s_addr) | (htonl(number) & ~mask.s_addr);
    return result;
}

bool Ipv4Network::contains(in_addr other) const { return ((address.s_addr ^ other.s_addr) & mask.s_addr) == 0; }

std::optional<Ipv4Network> parse_ipv4_network(std::string_view text) {
    const auto slash = text.find('/');
    const auto address = parse_ipv4(text.substr(0, slash));
    if (!address) return std::nullopt;
    if (slash == std::string_view::npos) return Ipv4Network{*address, mask_of(24)};
    const auto rest = text.substr(slash + 1);
    if (const auto bits = parse_number(rest, 32)) return Ipv4Network{*address, mask_of(*bits)};
    const auto mask = parse_ipv4(rest);
    if (!mask) return std::nullopt;
    const u32 inverted = ~ntohl(mask->s_addr);
    if ((inverted & (inverted + 1)) != 0) return std::nullopt;  // holes
    return Ipv4Network{*address, *mask};
}

std::optional<u16> parse_port(std::string_view text) {
    const auto port = parse_number(text, 65535);
    if (!port || *port == 0) return std::nullopt;
    return static_cast<u16>(*port);
}

NetAddress make_address(in_addr host, u16 port) {
    NetAddress address;
    auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
    v4->sin_family = AF_INET;
    v4->sin_addr = host;
    v4->sin_port = htons(port);
    return address;
}

std::optional<NetAddress> parse_net_address(std::string_view text, in_addr otherwise) {
    const auto colon = text.rfind(':');
    const auto port = parse_port(colon == std::string_view::npos ? text : text.substr(colon + 1));
    if (!port) return std::nullopt;
    const auto host = colon == std::string_view::npos ? std::string_view() : text.substr(0, colon);
    if (host.empty()) return make_address(otherwise, *port);
    if (host.front() == '[' && host.back() == ']') {
        const auto v6 = parse_ipv6(host.substr(1, host.size() - 2));
        if (!v6) return std::nullopt;
        NetAddress address;
        auto* generic = reinterpret_cast<sockaddr_in6*>(&address.storage);
        generic->sin6_family = AF_INET6;
        generic->sin6_addr = *v6;
        generic->sin6_port = htons(*port);
        return address;
    }
    const auto v4 = parse_ipv4(host);
    if (!v4) return std::nullopt;
    return make_address(*v4, *port);
}

std::string ipv4_text(in_addr address) {
    char text[INET_ADDRSTRLEN];
    return inet_ntop(AF_INET, &address, text, sizeof text);
}

u16 NetAddress::port() const {
    // The port is at the same place for both families.
    return ntohs(reinterpret_cast<const sockaddr_in*>(&storage)->sin_port);
}

bool NetAddress::is_any() const {
    if (!is_ipv6()) return reinterpret_cast<const sockaddr_in*>(&storage)->sin_addr.s_addr == INADDR_ANY;
    const in6_addr any{};
    return std::memcmp(&reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_addr, &any, sizeof any) == 0;
}

std::string NetAddress::text() const {
    if (!is_ipv6())
        return fmt::format("{}:{}", ipv4_text(reinterpret_cast<const sockaddr_in*>(&storage)->sin_addr), port());
    char text[INET6_ADDRSTRLEN];
    inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_addr, text, sizeof text);
    return fmt::format("[{}]:{}", text, port());
}

}  // namespace viv::native
