// Frames as a guest on the network `user` writes and reads them: Ethernet, ARP, IPv4, UDP and TCP, with check sums.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "engine/lang/bytes.h"
#include "engine/net/inspect.h"

namespace viv::native::frames {

using Bytes = std::vector<u8>;

inline constexpr net::MacAddress guest_mac{0x52, 0x54, 0, 0x12, 0x34, 0x56};
inline constexpr net::MacAddress gateway_mac{0x52, 0x55, 10, 0, 2, 2};  // libslirp's: 52:55 and its IPv4 address
inline constexpr net::MacAddress broadcast{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
inline constexpr u32 guest = 0x0a00'020f, gateway = 0x0a00'0202;

inline void append(Bytes& to, std::string_view text) { to.insert(to.end(), text.begin(), text.end()); }
template <class T>
void append_be(Bytes& to, T value) {
    to.resize(to.size() + sizeof value);
    store_be<T>(&to[to.size() - sizeof value], value);
}

inline u16 sum(std::span<const u8> bytes, u32 start = 0) {
    u32 total = start;
    for (usize i = 0; i < bytes.size(); i++) total += i % 2 == 0 ? bytes[i] << 8 : bytes[i];
    while (total >> 16 != 0) total = (total & 0xffff) + (total >> 16);
    return static_cast<u16>(~total);
}

inline Bytes ethernet(const net::MacAddress& to, u16 type) {
    Bytes frame(to.begin(), to.end());
    frame.insert(frame.end(), guest_mac.begin(), guest_mac.end());
    append_be<u16>(frame, type);
    return frame;
}

inline Bytes ipv4(u32 from, u32 to, u8 protocol, const Bytes& payload, const net::MacAddress& mac = gateway_mac) {
    Bytes header;
    append_be<u16>(header, 0x4500);
    append_be<u16>(header, static_cast<u16>(20 + payload.size()));
    append_be<u32>(header, 0x0001'0000);
    append_be<u8>(header, 64);
    append_be<u8>(header, protocol);
    append_be<u16>(header, 0);
    append_be<u32>(header, from);
    append_be<u32>(header, to);
    store_be<u16>(&header[10], sum(header));
    Bytes frame = ethernet(mac, net::ether_ipv4);
    frame.insert(frame.end(), header.begin(), header.end());
    frame.insert(frame.end(), payload.begin(), payload.end());
    return frame;
}

inline Bytes udp(u32 from, u16 from_port, u32 to, u16 to_port, std::string_view text,
                 const net::MacAddress& mac = gateway_mac) {
    Bytes payload;
    append_be<u16>(payload, from_port);
    append_be<u16>(payload, to_port);
    append_be<u16>(payload, static_cast<u16>(8 + text.size()));
    append_be<u16>(payload, 0);  // no check sum
    append(payload, text);
    return ipv4(from, to, 17, payload, mac);
}

enum TcpFlag : u8 { fin = 1, syn = 2, rst = 4, psh = 8, ack = 16 };

inline Bytes tcp(u16 from_port, u32 to, u16 to_port, u32 sequence, u32 acknowledged, u8 flags,
                 std::string_view text = {}) {
    Bytes segment;
    append_be<u16>(segment, from_port);
    append_be<u16>(segment, to_port);
    append_be<u32>(segment, sequence);
    append_be<u32>(segment, acknowledged);
    append_be<u16>(segment, static_cast<u16>(0x5000 | flags));
    append_be<u16>(segment, 0xffff);
    append_be<u32>(segment, 0);
    append(segment, text);
    const u32 pseudo =
        (guest >> 16) + (guest & 0xffff) + (to >> 16) + (to & 0xffff) + 6 + static_cast<u32>(segment.size());
    store_be<u16>(&segment[16], sum(segment, pseudo));
    return ipv4(guest, to, 6, segment);
}

// What came, taken apart; `protocol` 0: no IPv4.
struct Packet {
    u16 type = 0;
    u8 protocol = 0;
    u32 from = 0, to = 0;
    u16 from_port = 0, to_port = 0;
    u32 sequence = 0, acknowledged = 0;
    u8 flags = 0;
    std::string text;
};

inline Packet parse(std::span<const u8> frame) {
    Packet packet;
    packet.type = net::ether_type_of(frame);
    if (packet.type != net::ether_ipv4 || frame.size() < 14 + 28) return packet;
    const usize header = 14 + (frame[14] & 0xfu) * 4;
    const usize end = std::min<usize>(frame.size(), 14 + load_be<u16>(&frame[16]));
    packet.protocol = frame[23];
    packet.from = load_be<u32>(&frame[26]);
    packet.to = load_be<u32>(&frame[30]);
    packet.from_port = load_be<u16>(&frame[header]);
    packet.to_port = load_be<u16>(&frame[header + 2]);
    usize data = header + 8;
    if (packet.protocol == 6 && end >= header + 20) {
        packet.sequence = load_be<u32>(&frame[header + 4]);
        packet.acknowledged = load_be<u32>(&frame[header + 8]);
        packet.flags = frame[header + 13];
        data = header + (frame[header + 12] >> 4) * 4u;
    }
    if (data <= end)
        packet.text.assign(frame.begin() + static_cast<std::ptrdiff_t>(data),
                           frame.begin() + static_cast<std::ptrdiff_t>(end));
    return packet;
}

inline Bytes arp(u16 operation, u32 from, const net::MacAddress& to_mac, u32 to) {
    Bytes frame = ethernet(operation == 1 ? broadcast : to_mac, net::ether_arp);
    append_be<u32>(frame, 0x0001'0800);
    append_be<u16>(frame, 0x0604);
    append_be<u16>(frame, operation);
    frame.insert(frame.end(), guest_mac.begin(), guest_mac.end());
    append_be<u32>(frame, from);
    frame.insert(frame.end(), to_mac.begin(), to_mac.end());
    append_be<u32>(frame, to);
    return frame;
}

}  // namespace viv::native::frames
