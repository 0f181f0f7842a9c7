// Addresses from text, sockets and packets. See address.h.
#include "netbridge/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace viv::netbridge {

namespace {

constexpr std::array<u8, 12> mapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

}  // namespace

Address Address::ipv4(std::span<const u8, 4> bytes) {
    Address address;
    std::copy(mapped.begin(), mapped.end(), address.bytes_.begin());
    std::copy(bytes.begin(), bytes.end(), address.bytes_.begin() + 12);
    return address;
}

Address Address::ipv6(std::span<const u8, 16> bytes) {
    Address address;
    std::copy(bytes.begin(), bytes.end(), address.bytes_.begin());
    return address;
}

std::optional<Address> Address::parse(std::string_view text) {
    const std::string whole(text);
    std::array<u8, 16> bytes{};
    if (whole.find('\0') != std::string::npos) return std::nullopt;
    if (inet_pton(AF_INET, whole.c_str(), bytes.data()) == 1) return ipv4(std::span<const u8, 4>(bytes.data(), 4));
    if (inet_pton(AF_INET6, whole.c_str(), bytes.data()) == 1) return ipv6(bytes);
    return std::nullopt;
}

std::optional<Address> Address::of(const sockaddr* from) {
    std::array<u8, 16> bytes{};
    if (from->sa_family == AF_INET) {
        std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in*>(from)->sin_addr, 4);
        return ipv4(std::span<const u8, 4>(bytes.data(), 4));
    }
    if (from->sa_family != AF_INET6) return std::nullopt;
    std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in6*>(from)->sin6_addr, 16);
    return ipv6(bytes);
}

bool Address::is_ipv4() const { return std::equal(mapped.begin(), mapped.end(), bytes_.begin()); }

bool Address::is_loopback() const {
    if (is_ipv4()) return bytes_[12] == 127;
    return std::all_of(bytes_.begin(), bytes_.end() - 1, [](u8 byte) { return byte == 0; }) && bytes_[15] == 1;
}

std::string Address::text() const {
    char buffer[INET6_ADDRSTRLEN] = "";
    if (is_ipv4())
        inet_ntop(AF_INET, &bytes_[12], buffer, sizeof buffer);
    else
        inet_ntop(AF_INET6, bytes_.data(), buffer, sizeof buffer);
    return buffer;
}

socklen_t Address::store(sockaddr_storage& to, u16 port) const {
    to = {};
    if (is_ipv4()) {
        auto& address = reinterpret_cast<sockaddr_in&>(to);
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        std::memcpy(&address.sin_addr, &bytes_[12], 4);
        return sizeof address;
    }
    auto& address = reinterpret_cast<sockaddr_in6&>(to);
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(port);
    std::memcpy(&address.sin6_addr, bytes_.data(), 16);
    return sizeof address;
}

Address Address::place() const {
    if (is_ipv4()) return *this;
    Address place = *this;
    std::fill(place.bytes_.begin() + 8, place.bytes_.end(), u8{0});
    return place;
}

std::optional<Network> Network::parse(std::string_view text) {
    const auto slash = text.find('/');
    const auto address = Address::parse(text.substr(0, slash));
    if (!address) return std::nullopt;
    const unsigned most = address->is_ipv4() ? 32 : 128;
    unsigned bits = most;
    if (slash != std::string_view::npos) {
        const auto number = text.substr(slash + 1);
        const auto [end, problem] = std::from_chars(number.data(), number.data() + number.size(), bits);
        if (problem != std::errc{} || end != number.data() + number.size() || bits > most) return std::nullopt;
    }
    return Network{*address, static_cast<u8>(bits + (128 - most))};
}

bool Network::contains(const Address& address) const {
    const auto &a = base.bytes(), &b = address.bytes();
    const usize whole = bits / 8;
    if (!std::equal(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(whole), b.begin())) return false;
    const unsigned rest = bits % 8;
    return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

std::string Network::text() const {
    const unsigned shown = base.is_ipv4() && bits >= 96 ? bits - 96u : bits;
    return base.text() + "/" + std::to_string(shown);
}

}  // namespace viv::netbridge
