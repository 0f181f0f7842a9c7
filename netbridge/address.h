// Internet addresses and networks of them, IPv4 and IPv6 in one form.
// Promises: an IPv4 address and its IPv6-mapped form (RFC 4291 2.5.5.2) are the same value, so that no rule can be
// passed by writing an address the other way. Text is read whole or not at all.
#pragma once

#include <sys/socket.h>

#include <array>
#include <compare>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "engine/lang/bits.h"

namespace viv::netbridge {

class Address {
public:
    Address() = default;
    static Address ipv4(std::span<const u8, 4> bytes);
    static Address ipv6(std::span<const u8, 16> bytes);
    static std::optional<Address> parse(std::string_view text);
    // Of AF_INET and AF_INET6; nothing for other families.
    static std::optional<Address> of(const sockaddr* from);

    bool is_ipv4() const;
    bool is_loopback() const;
    const std::array<u8, 16>& bytes() const { return bytes_; }
    std::string text() const;
    // Bytes of `to` that are used.
    socklen_t store(sockaddr_storage& to, u16 port) const;
    // What counts as one place: an IPv4 address, and the /64 of an IPv6 one, which is given to one subscriber whole.
    Address place() const;

    auto operator<=>(const Address&) const = default;

private:
    std::array<u8, 16> bytes_{};
};

// Addresses that begin with the same bits.
struct Network {
    Address base;
    u8 bits = 128;  // of the 128; an IPv4 network has 96 more than its text says

    // ADDRESS or ADDRESS/BITS.
    static std::optional<Network> parse(std::string_view text);
    bool contains(const Address& address) const;
    std::string text() const;
};

}  // namespace viv::netbridge
