// See checksum.h.
#include "engine/net/checksum.h"

#include "engine/lang/bytes.h"
#include "engine/net/inspect.h"

namespace viv::net {

namespace {

constexpr usize tcp_header = 20, udp_header = 8, udp_sum_at = 6;
constexpr u16 right_sum = 0xffff;

Sum transport_sum(std::span<const u8> frame, const IpPacket& packet) {
    const bool tcp = packet.protocol == protocol_tcp;
    const auto segment = frame.subspan(packet.transport, packet.end - packet.transport);
    if (packet.fragment || (!tcp && packet.protocol != protocol_udp)) return Sum::none;
    if (segment.size() < (tcp ? tcp_header : udp_header)) return Sum::none;
    if (!tcp && load_be<u16>(&segment[udp_sum_at]) == 0) return packet.is_v4 ? Sum::none : Sum::wrong;
    const u16 pseudo = sum_of(packet.addresses(frame), segment.size() + packet.protocol);
    return sum_of(segment, pseudo) == right_sum ? Sum::right : Sum::wrong;
}

}  // namespace

u16 sum_of(std::span<const u8> bytes, u64 start) {
    // Eight bytes at a time in the host's order: the sum of big-endian halves is theirs with its bytes swapped.
    u64 sum = 0;
    while (bytes.size() >= sizeof(u64)) {
        const u64 next = load_le<u64>(bytes.data());
        sum += next;
        sum += sum < next ? 1 : 0;
        bytes = bytes.subspan(sizeof(u64));
    }
    u64 folded = (sum >> 32) + (sum & 0xffff'ffff);
    for (usize i = 0; i < bytes.size(); i++) folded += u64{bytes[i]} << (i % 2 == 0 ? 0 : 8);
    while (folded > 0xffff) folded = (folded >> 16) + (folded & 0xffff);
    folded = (folded >> 8 | folded << 8) & 0xffff;
    folded += start;
    while (folded > 0xffff) folded = (folded >> 16) + (folded & 0xffff);
    return static_cast<u16>(folded);
}

FrameSums check_sums(std::span<const u8> frame) {
    const auto packet = ip_packet_of(frame);
    if (!packet) return {};
    FrameSums sums{.ip = Sum::none, .transport = transport_sum(frame, *packet)};
    if (packet->is_v4)
        sums.ip =
            sum_of(frame.subspan(packet->ip, packet->transport - packet->ip)) == right_sum ? Sum::right : Sum::wrong;
    return sums;
}

}  // namespace viv::net
