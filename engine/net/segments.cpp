// See segments.h.
#include "engine/net/segments.h"

#include <algorithm>

#include "engine/lang/bytes.h"
#include "engine/net/checksum.h"
#include "engine/net/inspect.h"

namespace viv::net {

namespace {

constexpr usize ip_at = 14, vlan_tag = 4;
constexpr usize ipv4_header = 20, ipv6_header = 40, tcp_header = 20;
constexpr usize largest_ip = 65'535;
// In an IPv4 header, an IPv6 header and a TCP header.
constexpr usize v4_length_at = 2, v4_identity_at = 4, v4_fragment_at = 6, v4_protocol_at = 9, v4_sum_at = 10,
                v4_addresses_at = 12;
constexpr usize v6_length_at = 4, v6_next_at = 6, v6_addresses_at = 8;
constexpr usize tcp_sequence_at = 4, tcp_acknowledged_at = 8, tcp_offset_at = 12, tcp_flags_at = 13, tcp_sum_at = 16;
enum TcpFlag : u8 { tcp_fin = 1, tcp_psh = 8, tcp_ack = 16, tcp_cwr = 128 };

struct Packet {
    bool is_v4 = false;
    usize ip = 0, transport = 0, header = 0;  // where they begin; `header`: where the payload does
    usize end = 0;                            // behind it may be padding
};

// A TCP packet, whole and in one piece. Its length is that of the frame if that is what `length` says, since an IP
// header may not have the length of a long segment.
enum class Length : u8 { of_header, of_frame };
std::optional<Packet> tcp_packet(std::span<const u8> frame, Length length) {
    if (frame.size() < ip_at + ipv4_header) return std::nullopt;
    Packet packet{.ip = ip_at};
    u16 type = ether_type_of(frame);
    if (type == ether_vlan) {
        packet.ip += vlan_tag;
        type = load_be<u16>(&frame[packet.ip - 2]);
    }
    const auto ip = frame.subspan(packet.ip);
    usize size = 0;
    if (type == ether_ipv4 && ip.size() >= ipv4_header) {
        const usize header = usize{ip[0] & 0xfu} * 4;
        packet.is_v4 = true;
        size = load_be<u16>(&ip[v4_length_at]);
        const bool fragment = (load_be<u16>(&ip[v4_fragment_at]) & 0x3fff) != 0;
        if (ip[0] >> 4 != 4 || header < ipv4_header || fragment || ip[v4_protocol_at] != protocol_tcp)
            return std::nullopt;
        packet.transport = packet.ip + header;
    } else if (type == ether_ipv6 && ip.size() >= ipv6_header) {
        size = ipv6_header + load_be<u16>(&ip[v6_length_at]);
        if (ip[0] >> 4 != 6 || ip[v6_next_at] != protocol_tcp) return std::nullopt;
        packet.transport = packet.ip + ipv6_header;
    } else {
        return std::nullopt;
    }
    packet.end = length == Length::of_frame ? frame.size() : packet.ip + size;
    if (packet.end > frame.size() || packet.transport + tcp_header > packet.end) return std::nullopt;
    const usize header = usize{frame[packet.transport + tcp_offset_at]} / 16 * 4;
    packet.header = packet.transport + header;
    if (header < tcp_header || packet.header > packet.end) return std::nullopt;
    return packet;
}

// Of the pseudo-header of a packet that ends at `end`.
u16 pseudo_sum(std::span<const u8> frame, const Packet& packet, usize end) {
    const auto ip = frame.subspan(packet.ip);
    const auto addresses = packet.is_v4 ? ip.subspan(v4_addresses_at, 8) : ip.subspan(v6_addresses_at, 32);
    return sum_of(addresses, end - packet.transport + protocol_tcp);
}

u16 tcp_sum(std::span<const u8> frame, const Packet& packet) {
    return sum_of(frame.subspan(packet.transport, packet.end - packet.transport),
                  pseudo_sum(frame, packet, packet.end));
}

void set_tcp_sum(std::span<u8> frame, const Packet& packet) {
    u8* const at = &frame[packet.transport + tcp_sum_at];
    store_be<u16>(at, 0);
    store_be<u16>(at, static_cast<u16>(~tcp_sum(frame, packet)));
}

// The IP header's length for a packet that ends at `end`, and its checksum.
void set_length(std::span<u8> frame, const Packet& packet, usize end) {
    const auto ip = frame.subspan(packet.ip);
    if (!packet.is_v4) return store_be<u16>(&ip[v6_length_at], static_cast<u16>(end - packet.ip - ipv6_header));
    store_be<u16>(&ip[v4_length_at], static_cast<u16>(end - packet.ip));
    store_be<u16>(&ip[v4_sum_at], 0);
    store_be<u16>(&ip[v4_sum_at], static_cast<u16>(~sum_of(ip.first(packet.transport - packet.ip))));
}

// A long segment as a TCP packet, or nothing if it is none.
std::optional<Packet> long_packet(std::span<const u8> frame, const Offload& offload) {
    const auto packet = tcp_packet(frame, Length::of_frame);
    if (!packet || offload.segment < least_segment || packet->end - packet->ip > largest_ip) return std::nullopt;
    return packet;
}

bool finish_sum(std::span<u8> frame, const Offload& offload) {
    const usize at = usize{offload.sum_from} + offload.sum_at;
    if (offload.sum_from < ip_at || at + sizeof(u16) > frame.size()) return false;
    const u16 sum = static_cast<u16>(~sum_of(frame.subspan(offload.sum_from)));
    // In UDP zero means that there is none (RFC 768); the other zero does as well for TCP.
    store_be<u16>(&frame[at], sum == 0 ? u16{0xffff} : sum);
    return true;
}

}  // namespace

bool is_taken(const NetDevice::Takes& takes, std::span<const u8> frame, const Offload& offload) {
    if (offload.is_finished()) return true;
    if (!takes.checked || frame.size() < smallest_frame) return false;
    if (offload.segment == 0) return true;
    return ether_type_of(frame) == ether_ipv4 ? takes.tcp4 : takes.tcp6;
}

bool set_long_header(std::span<u8> frame, const Offload& offload) {
    const auto packet = good_size(frame.size()) ? long_packet(frame, offload) : std::nullopt;
    if (!packet) return false;
    set_length(frame, *packet, packet->end);
    store_be<u16>(&frame[packet->transport + tcp_sum_at], pseudo_sum(frame, *packet, packet->end));
    return true;
}

bool finish_sums(std::span<u8> frame, const Offload& offload) {
    if (!good_size(frame.size())) return false;
    if (offload.segment == 0) return offload.sum_from == 0 || finish_sum(frame, offload);
    const auto packet = long_packet(frame, offload);
    if (!packet) return false;
    set_length(frame, *packet, packet->end);
    set_tcp_sum(frame, *packet);
    return true;
}

bool finish_frame(std::span<u8> frame, const Offload& offload,
                  const std::function<void(std::span<const u8> frame)>& emit) {
    if (offload.segment == 0) {
        if (!finish_sums(frame, offload)) return false;
        emit(frame);
        return true;
    }
    if (!good_size(frame.size())) return false;
    const auto found = long_packet(frame, offload);
    if (!found) return false;
    Packet packet = *found;
    const auto payload = std::span<const u8>(frame).subspan(packet.header);
    const u8 flags = frame[packet.transport + tcp_flags_at];
    const u32 sequence = load_be<u32>(&frame[packet.transport + tcp_sequence_at]);
    const u16 identity = packet.is_v4 ? load_be<u16>(&frame[packet.ip + v4_identity_at]) : u16{0};
    std::vector<u8> piece(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(packet.header));
    usize done = 0;
    u16 number = 0;
    do {
        const usize size = std::min<usize>(payload.size() - done, offload.segment);
        const bool last = done + size == payload.size();
        piece.resize(packet.header);
        piece.insert(piece.end(), payload.begin() + static_cast<std::ptrdiff_t>(done),
                     payload.begin() + static_cast<std::ptrdiff_t>(done + size));
        packet.end = piece.size();
        u8 kept = flags;
        if (!last) kept &= static_cast<u8>(~(tcp_fin | tcp_psh));
        if (done != 0) kept &= static_cast<u8>(~tcp_cwr);
        piece[packet.transport + tcp_flags_at] = kept;
        store_be<u32>(&piece[packet.transport + tcp_sequence_at], sequence + static_cast<u32>(done));
        if (packet.is_v4) store_be<u16>(&piece[packet.ip + v4_identity_at], static_cast<u16>(identity + number));
        set_length(piece, packet, packet.end);
        set_tcp_sum(piece, packet);
        emit(piece);
        done += size;
        number++;
    } while (done < payload.size());
    return true;
}

void NetBackend::send_offloaded(std::span<const u8> frame, const Offload& offload) {
    std::vector<u8> own(frame.begin(), frame.end());
    finish_frame(own, offload, [this](std::span<const u8> each) { send(each); });
}

void SegmentJoiner::add(std::span<const u8> frame, const NetDevice::Takes& takes, const Emit& emit) {
    const auto packet = tcp_packet(frame, Length::of_header);
    const bool right = packet && tcp_sum(frame, *packet) == 0xffff &&
                       (!packet->is_v4 || sum_of(frame.subspan(packet->ip, packet->transport - packet->ip)) == 0xffff);
    if (!right) {
        flush(emit);
        return emit(frame, {});
    }
    const usize payload = packet->end - packet->header;
    const u8 flags = frame[packet->transport + tcp_flags_at];
    const bool plain = packet->transport == packet->ip + (packet->is_v4 ? ipv4_header : ipv6_header) &&
                       packet->ip == ip_at && (flags & ~tcp_psh) == tcp_ack && payload != 0;
    if (!plain || !(packet->is_v4 ? takes.tcp4 : takes.tcp6)) {
        flush(emit);
        return emit(frame, {.checked = true});
    }
    const bool last = (flags & tcp_psh) != 0;
    if (join(frame.first(packet->end), packet->transport, packet->header, payload)) {
        if (last || payload < segment_) flush(emit);
        return;
    }
    flush(emit);
    frame_.assign(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(packet->end));
    transport_ = packet->transport;
    header_ = packet->header;
    segment_ = static_cast<u16>(payload);
    joined_ = false;
    if (last || payload < least_segment) flush(emit);
}

// If the frame goes on where the one that waits ends, and is alike otherwise.
bool SegmentJoiner::join(std::span<const u8> frame, usize transport, usize header, usize payload) {
    if (frame_.empty() || transport != transport_ || header != header_ || payload > segment_) return false;
    if (frame_.size() + payload - ip_at > largest_ip) return false;
    const bool is_v4 = ether_type_of(frame) == ether_ipv4;
    const auto same = [&](usize from, usize to) {
        return std::equal(frame.begin() + static_cast<std::ptrdiff_t>(from),
                          frame.begin() + static_cast<std::ptrdiff_t>(to),
                          frame_.begin() + static_cast<std::ptrdiff_t>(from));
    };
    // All but the lengths, the identity and the checksums; the sequence number and PSH.
    const bool ip_same = is_v4 ? same(0, ip_at + v4_length_at) && same(ip_at + v4_fragment_at, ip_at + v4_sum_at) &&
                                     same(ip_at + v4_addresses_at, transport)
                               : same(0, ip_at + v6_length_at) && same(ip_at + v6_next_at, transport);
    if (!ip_same || !same(transport, transport + tcp_sequence_at) ||
        !same(transport + tcp_acknowledged_at, transport + tcp_flags_at) ||
        !same(transport + tcp_flags_at + 1, transport + tcp_sum_at) || !same(transport + tcp_sum_at + 2, header))
        return false;
    const u32 next = load_be<u32>(&frame_[transport + tcp_sequence_at]) + static_cast<u32>(frame_.size() - header);
    if (load_be<u32>(&frame[transport + tcp_sequence_at]) != next) return false;
    frame_[transport + tcp_flags_at] |= frame[transport + tcp_flags_at];
    frame_.insert(frame_.end(), frame.begin() + static_cast<std::ptrdiff_t>(header), frame.end());
    joined_ = true;
    return true;
}

void SegmentJoiner::flush(const Emit& emit) {
    if (frame_.empty()) return;
    Offload offload{.checked = true};
    if (joined_) {
        const Packet packet{.is_v4 = ether_type_of(frame_) == ether_ipv4,
                            .ip = ip_at,
                            .transport = transport_,
                            .header = header_,
                            .end = frame_.size()};
        set_length(frame_, packet, packet.end);
        store_be<u16>(&frame_[transport_ + tcp_sum_at], pseudo_sum(frame_, packet, packet.end));
        offload = {.sum_from = static_cast<u16>(transport_),
                   .sum_at = tcp_sum_at,
                   .segment = segment_,
                   .header = static_cast<u16>(header_)};
    }
    // emit() may bring the next frame.
    std::vector<u8> whole;
    whole.swap(frame_);
    emit(whole, offload);
    if (!frame_.empty()) return;
    whole.clear();
    frame_.swap(whole);
}

}  // namespace viv::net
