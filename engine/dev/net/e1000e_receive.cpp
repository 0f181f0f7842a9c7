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

u32 Receiver::buffer_size() const {
    if (const u64 kibibytes = bits(r.rctl, rctl_flxbuf, 4); kibibytes != 0) return static_cast<u32>(kibibytes << 10);
    const u32 size = 2048u >> bits(r.rctl, rctl_bsize, 2);
    return (r.rctl & rctl_bsex) != 0 && size < 2048 ? size * 16 : size;
}

void Receiver::set_rdtr(u32 value) {
    r.rdtr = value & 0xffff;
    if ((value & delay_flush) != 0) delay_.flush();
}

bool Receiver::receive(std::span<const u8> frame, const net::Offload& offload, const Tagging& tagging) {
    if (!enabled()) return true;
    if (bits(r.rctl, rctl_dtyp, 2) != 0) {
        wiring_.log.guest("RCTL.DTYP asks for packet split, which is not there: a frame is dropped");
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

// Puts frame_ into as many buffers as it takes; false if there are not so many.
bool Receiver::store(Ring& ring, const Report& report) {
    const u32 size = buffer_size();
    const u32 needed = static_cast<u32>((frame_.size() + size - 1) / size);
    if (ring.pending() < needed) {
        if (!ring.sensible())
            wiring_.log.guest("a receive ring's head {} or tail {} is not in it", ring.head, ring.tail);
        return false;
    }
    std::span<const u8> rest = frame_;
    bool good = true;
    for (u32 i = 0; i < needed; i++) {
        const u64 at = ring.at(i);
        const auto buffer = wiring_.dma.load<u64>(at);
        const auto piece = rest.first(std::min<usize>(rest.size(), size));
        rest = rest.subspan(piece.size());
        good = good && buffer && (*buffer == 0 || wiring_.dma.write(*buffer, piece));
        // The driver takes the bytes when it sees the descriptor.
        std::atomic_thread_fence(std::memory_order_release);
        const u32 status = report.status | rx_dd | (rest.empty() ? u32{rx_eop} : 0);
        good = good && write_back(at, report, status, static_cast<u16>(piece.size()));
    }
    if (!good) wiring_.log.guest("a receive descriptor or its buffer is not in memory");
    ring.advance(needed);
    return true;
}

bool Receiver::write_back(u64 at, const Report& report, u32 status, u16 length) {
    u64 low = 0, high = 0;
    if ((r.rfctl & rfctl_exsten) == 0) {
        high = length | u64{report.packet_sum} << 16 | u64{status & 0xff} << 32 | u64{report.errors} << 40 |
               u64{report.tag} << 48;
        return wiring_.dma.store<u64>(at + 8, high);
    }
    const bool hash = (r.rxcsum & rxcsum_pcsd) != 0;
    low = report.scaled.type;
    low |= hash ? u64{report.scaled.hash} << 32 : u64{report.identity} << 32 | u64{report.packet_sum} << 48;
    high = status | u64{report.errors} << extended_error_shift | u64{length} << 32 | u64{report.tag} << 48;
    if (!wiring_.dma.store<u64>(at, low)) return false;
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
