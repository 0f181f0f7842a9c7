// See e1000e_filter.h.
#include "engine/dev/net/e1000e_filter.h"

#include <algorithm>

#include "engine/lang/bytes.h"
#include "engine/net/inspect.h"
#include "engine/net/net.h"

namespace viv::e1000e {

namespace {

constexpr net::MacAddress everyone{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

// MRQC, and the types that a write-back tells (7.1.2.8.1).
enum Mrqc : u32 {
    mrqc_enable = 3,
    mrqc_two_queues = 1,
    mrqc_tcp_ipv4 = 1 << 16,
    mrqc_ipv4 = 1 << 17,
    mrqc_ipv6 = 1 << 20,
    mrqc_tcp_ipv6 = 1 << 21,
};
enum RssType : u8 { rss_none = 0, rss_tcp_ipv4 = 1, rss_ipv4 = 2, rss_tcp_ipv6 = 3, rss_ipv6 = 5 };

}  // namespace

bool Filter::has_vlan(std::span<const u8> frame, u32 rctl, u16 vet) const {
    if ((rctl & rctl_vfe) == 0 || frame.size() < net::smallest_frame + 4 || net::ether_type_of(frame) != vet)
        return true;
    const u16 tag = load_be<u16>(&frame[net::smallest_frame]);
    if ((rctl & rctl_cfien) != 0 && bit(tag, 12) != bit(rctl, rctl_cfi)) return false;
    return bit(vfta[bits(tag, 5, 7)], tag & 31);
}

bool Filter::has_address(std::span<const u8> frame) const {
    for (usize i = 0; i < ra.size(); i += 2) {
        if ((ra[i + 1] & rah_av) == 0) continue;
        const auto address = (ra[i + 1] & rah_as) == rah_as_source ? net::source_of(frame) : net::destination_of(frame);
        if (load_le<u32>(&address[0]) == ra[i] && load_le<u16>(&address[4]) == (ra[i + 1] & 0xffff)) return true;
    }
    return false;
}

// Twelve bits of the address, from a place that RCTL.MO says.
bool Filter::has_multicast(std::span<const u8> frame, u32 rctl) const {
    constexpr unsigned shifts[] = {4, 3, 2, 0};
    const u64 hash = bits(load_le<u16>(&frame[4]), shifts[bits(rctl, rctl_mo, 2)], 12);
    return bit(mta[hash >> 5], hash & 31);
}

Filter::Verdict Filter::judge(std::span<const u8> frame, u32 rctl, u16 vet) const {
    if (!has_vlan(frame, rctl, vet)) return Verdict::refused;
    if (has_address(frame)) return Verdict::exact;
    const auto to = net::destination_of(frame);
    if (to == everyone && (rctl & rctl_bam) != 0) return Verdict::exact;
    if (!net::is_group(to)) return (rctl & rctl_upe) != 0 ? Verdict::inexact : Verdict::refused;
    return (rctl & rctl_mpe) != 0 || has_multicast(frame, rctl) ? Verdict::inexact : Verdict::refused;
}

// Toeplitz: a bit of the input adds the 32 bits of the key that begin at its place.
u32 Filter::hash_of(std::span<const u8> input) const {
    const auto key_byte = [&](usize i) { return static_cast<u8>(rssrk[i / 4] >> (8 * (i % 4))); };
    u64 window = 0;
    for (usize i = 0; i < 4; i++) window = window << 8 | key_byte(i);
    u32 hash = 0;
    for (usize i = 0; i < input.size(); i++) {
        window = window << 8 | key_byte(i + 4);
        for (unsigned place = 0; place < 8; place++)
            if (bit(input[i], 7 - place)) hash ^= static_cast<u32>(window >> (8 - place));
    }
    return hash;
}

Filter::Scaled Filter::scale(std::span<const u8> frame) const {
    if ((mrqc & mrqc_enable) != mrqc_two_queues) return {};
    const auto packet = net::ip_packet_of(frame);
    if (!packet) return {};
    constexpr usize ports = 4;
    const bool tcp = packet->protocol == net::protocol_tcp && !packet->fragment &&
                     packet->end - packet->transport >= ports &&
                     (mrqc & (packet->is_v4 ? mrqc_tcp_ipv4 : mrqc_tcp_ipv6)) != 0;
    if (!tcp && (mrqc & (packet->is_v4 ? mrqc_ipv4 : mrqc_ipv6)) == 0) return {};
    std::array<u8, 36> input{};
    const auto addresses = packet->addresses(frame);
    usize size = addresses.size();
    std::copy(addresses.begin(), addresses.end(), input.begin());
    if (tcp) {
        const auto both = frame.subspan(packet->transport, ports);
        std::copy(both.begin(), both.end(), input.begin() + static_cast<std::ptrdiff_t>(size));
        size += ports;
    }
    Scaled scaled;
    scaled.type = packet->is_v4 ? (tcp ? rss_tcp_ipv4 : rss_ipv4) : (tcp ? rss_tcp_ipv6 : rss_ipv6);
    scaled.hash = hash_of(std::span(input).first(size));
    const u32 index = scaled.hash & 0x7f;
    scaled.queue = bit(reta[index / 4], 8 * (index % 4) + 7) ? 1 : 0;
    return scaled;
}

void Filter::state(Archive& a) {
    a(1, "mta", mta);
    a(2, "vfta", vfta);
    a(3, "ra", ra);
    a(4, "mrqc", mrqc);
    a(5, "reta", reta);
    a(6, "rssrk", rssrk);
}

}  // namespace viv::e1000e
