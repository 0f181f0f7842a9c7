// See e1000e_receive.h.
#include "engine/dev/net/e1000e_receive.h"

#include <algorithm>
#include <atomic>

#include "engine/lang/bytes.h"
#include "engine/net/checksum.h"
#include "engine/net/inspect.h"
#include "engine/net/segments.h"

namespace viv::e1000e {

namespace {

constexpr usize fcs_bytes = 4, tag_bytes = 4;
constexpr usize least_frame = 60;  // on a wire, without its FCS
constexpr usize longest_usual = 1518, longest = 16'383 - fcs_bytes;
constexpr unsigned extended_error_shift = 24;
constexpr u64 header_split = 1 << 15;  // HDRSP

// IEEE 802.3, 3.2.9.
u32 frame_check_sequence(std::span<const u8> frame) {
    u32 crc = ~u32{0};
    for (const u8 byte : frame) {
        crc ^= byte;
        for (unsigned i = 0; i < 8; i++) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xedb8'8320 : 0);
    }
    return ~crc;
}

}  // namespace

// RCTL's size, or those of PSRCTL.
Receiver::Sizes Receiver::buffer_sizes() const {
    if (splits())
        return {static_cast<u32>(bits(r.psrctl, 0, 7) * 128), static_cast<u32>(bits(r.psrctl, 8, 6) << 10),
                static_cast<u32>(bits(r.psrctl, 16, 6) << 10), static_cast<u32>(bits(r.psrctl, 24, 6) << 10)};
    if (const u64 kibibytes = bits(r.rctl, rctl_flxbuf, 4); kibibytes != 0) return {static_cast<u32>(kibibytes << 10)};
    const u32 size = 2048u >> bits(r.rctl, rctl_bsize, 2);
    return {(r.rctl & rctl_bsex) != 0 && size < 2048 ? size * 16 : size};
}

void Receiver::set_rdtr(u32 value) {
    r.rdtr = value & 0xffff;
    if ((value & delay_flush) != 0) delay_.flush();
}

bool Receiver::receive(std::span<const u8> frame, const net::Offload& offload, const Tagging& tagging) {
    if (!enabled()) return true;
    if (bits(r.rctl, rctl_dtyp, 2) != dtyp_legacy && !splits()) {
        wiring_.log.guest("RCTL.DTYP asks for descriptors that do not exist: a frame is dropped");
        return true;
    }
    const bool tagged = frame.size() >= net::smallest_frame + tag_bytes && net::ether_type_of(frame) == tagging.type;
    const usize limit = (r.rctl & rctl_lpe) != 0 ? longest : longest_usual;
    if (frame.size() > limit) {
        wiring_.statistics.count(Statistics::roc);
        return true;
    }
    const auto verdict = filter.judge(frame, r.rctl, tagging.type);
    if (verdict == Filter::Verdict::refused) return true;

    frame_.assign(frame.begin(), frame.end());
    if (!offload.is_finished() && !net::finish_sums(frame_, offload)) return true;
    frame_.resize(std::max(frame_.size(), least_frame));
    Report report = this->report(frame_, offload.checked || !offload.is_finished());
    if (verdict == Filter::Verdict::inexact) report.status |= rx_pif;
    const usize wire_bytes = frame_.size();
    if (tagged && tagging.on) {
        report.status |= rx_vp;
        report.tag = load_be<u16>(&frame_[net::smallest_frame]);
        const auto at = frame_.begin() + net::smallest_frame - 2;
        frame_.erase(at, at + tag_bytes);
    }
    if ((r.rctl & rctl_secrc) == 0) {
        const u32 sequence = frame_check_sequence(frame_);
        frame_.resize(frame_.size() + fcs_bytes);
        store_le<u32>(&frame_[frame_.size() - fcs_bytes], sequence);
    }

    Ring& ring = rings[report.scaled.queue];
    const u32 before = ring.pending(), threshold = ring.count() >> (bits(r.rctl, rctl_rdmts, 2) + 1);
    if (!store(ring, report)) return false;
    wiring_.statistics.received(std::span(frame_).first(std::min(wire_bytes, frame_.size())));
    const u32 causes = cause_rxt0 | (report.scaled.queue == 0 ? cause_rxq0 : cause_rxq1);
    delay_.event(causes, static_cast<u16>(r.rdtr), static_cast<u16>(r.radv));
    if (before > threshold && ring.pending() <= threshold) wiring_.interrupts.raise(cause_rxdmt0);
    return true;
}

// Of the frame with its tag, if it has one.
Receiver::Report Receiver::report(std::span<const u8> frame, bool checked) const {
    Report report;
    report.scaled = filter.scale(frame);
    const auto packet = net::ip_packet_of(frame);
    if (packet && packet->is_v4) report.identity = load_be<u16>(&frame[packet->ip + 4]);
    const usize from = r.rxcsum & 0xff;
    if (from < frame.size()) report.packet_sum = static_cast<u16>(~net::sum_of(frame.subspan(from)));
    if ((r.rxcsum & (rxcsum_ipofl | rxcsum_tuofl)) == 0) {
        report.status |= rx_ixsm;
        return report;
    }
    const auto sums = net::check_sums(frame);
    if ((r.rxcsum & rxcsum_ipofl) != 0 && sums.ip != net::Sum::none) {
        report.status |= rx_ipcs;
        if (sums.ip == net::Sum::wrong) report.errors |= rx_ipe;
    }
    if ((r.rxcsum & rxcsum_tuofl) != 0 && sums.transport != net::Sum::none) {
        report.status |= packet->protocol == net::protocol_tcp ? rx_tcpcs : rx_udpcs | rx_tcpcs;
        if (sums.transport == net::Sum::wrong && !checked) report.errors |= rx_tcpe;
    }
    return report;
}

// How many bytes of frame_ are headers that go into a buffer of their own; 0: none are, or they do not fit.
usize Receiver::split_at(u32 room) const {
    constexpr usize udp_header = 8, tcp_header = 20, tcp_offset_at = 12;
    const auto packet = splits() ? net::ip_packet_of(frame_) : std::nullopt;
    if (!packet) return 0;
    usize end = packet->transport;
    const usize left = packet->end - packet->transport;
    if (!packet->fragment && packet->protocol == net::protocol_udp && left >= udp_header) end += udp_header;
    if (!packet->fragment && packet->protocol == net::protocol_tcp && left >= tcp_header)
        end += usize{frame_[end + tcp_offset_at]} / 16 * 4;
    return end <= room && end <= packet->end ? end : 0;
}

// Puts frame_ into as many buffers as it takes; false if there are not so many.
bool Receiver::store(Ring& ring, const Report& report) {
    const Sizes sizes = buffer_sizes();
    const usize header = split_at(sizes[0]);
    // Behind split headers, the first buffers of further descriptors stay empty (7.1.5.1).
    usize room = sizes[1] + sizes[2] + sizes[3];
    if (header == 0) room += sizes[0];
    if (room == 0) {
        wiring_.log.guest("PSRCTL has no room for data: a frame is dropped");
        return true;
    }
    const u32 needed = std::max(1u, static_cast<u32>((frame_.size() - header + room - 1) / room));
    // A ring is counted in units of 16 bytes, whatever is in it.
    const u32 units = splits() ? 2 : 1;
    if (ring.pending() < needed * units) {
        if (!ring.sensible())
            wiring_.log.guest("a receive ring's head {} or tail {} is not in it", ring.head, ring.tail);
        return false;
    }
    std::span<const u8> rest = frame_;
    bool good = true;
    for (u32 i = 0; i < needed; i++) good = fill(ring.at(i * units), sizes, header, rest, report) && good;
    if (!good) wiring_.log.guest("a receive descriptor or its buffer is not in memory");
    ring.advance(needed * units);
    return true;
}

// Fills the buffers of the descriptor at `at` with what is left of frame_.
bool Receiver::fill(u64 at, const Sizes& sizes, usize header, std::span<const u8>& rest, const Report& report) {
    const bool first = rest.size() == frame_.size();
    const unsigned buffers = splits() ? most_buffers : 1;
    std::array<u16, most_buffers> lengths{};
    bool good = true;
    for (unsigned i = 0; i < buffers; i++) {
        const usize room = header == 0 || i != 0 ? sizes[i] : first ? header : 0;
        const auto piece = rest.first(std::min(rest.size(), room));
        if (piece.empty()) continue;
        const auto buffer = wiring_.dma.load<u64>(at + i * sizeof(u64));
        good = good && buffer && (*buffer == 0 || wiring_.dma.write(*buffer, piece));
        lengths[i] = static_cast<u16>(piece.size());
        rest = rest.subspan(piece.size());
    }
    // The driver takes the bytes when it sees the descriptor.
    std::atomic_thread_fence(std::memory_order_release);
    const u32 status = report.status | rx_dd | (rest.empty() ? u32{rx_eop} : 0);
    return write_back(at, report, status, lengths, first ? static_cast<u16>(header) : u16{0}) && good;
}

bool Receiver::write_back(u64 at, const Report& report, u32 status, const std::array<u16, most_buffers>& lengths,
                          u16 header) {
    if ((r.rfctl & rfctl_exsten) == 0 && !splits())
        return wiring_.dma.store<u64>(at + 8, lengths[0] | u64{report.packet_sum} << 16 | u64{status & 0xff} << 32 |
                                                  u64{report.errors} << 40 | u64{report.tag} << 48);
    const bool hash = (r.rxcsum & rxcsum_pcsd) != 0;
    const u64 low = report.scaled.type |
                    (hash ? u64{report.scaled.hash} << 32 : u64{report.identity} << 32 | u64{report.packet_sum} << 48);
    const u64 high =
        status | u64{report.errors} << extended_error_shift | u64{lengths[0]} << 32 | u64{report.tag} << 48;
    if (!wiring_.dma.store<u64>(at, low)) return false;
    if (splits()) {
        const u64 upper = header | (header != 0 ? u64{header_split} : 0) | u64{lengths[1]} << 16 |
                          u64{lengths[2]} << 32 | u64{lengths[3]} << 48;
        if (!wiring_.dma.store<u64>(at + 16, upper) || !wiring_.dma.store<u64>(at + 24, 0)) return false;
    }
    // The driver looks at the status first.
    std::atomic_thread_fence(std::memory_order_release);
    return wiring_.dma.store<u64>(at + 8, high);
}

void Receiver::reset() {
    r = {};
    filter = {};
    rings = {};
    delay_.reset();
}

void Receiver::state(Archive& a) {
    a(1, "rctl", r.rctl);
    a(2, "rxcsum", r.rxcsum);
    a(3, "rfctl", r.rfctl);
    a(4, "psrctl", r.psrctl);
    a(5, "rdtr", r.rdtr);
    a(6, "radv", r.radv);
    a(7, "rxdctl", r.rxdctl);
    a(8, "fcrtl", r.fcrtl);
    a(9, "fcrth", r.fcrth);
    a(10, "rsrpd", r.rsrpd);
    a(11, "filter", filter);
    a(12, "rings", rings);
    a(13, "delay", delay_);
}

}  // namespace viv::e1000e
