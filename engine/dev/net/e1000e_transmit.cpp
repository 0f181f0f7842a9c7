// See e1000e_transmit.h.
#include "engine/dev/net/e1000e_transmit.h"

#include <algorithm>

#include "engine/lang/bytes.h"
#include "engine/net/checksum.h"
#include "engine/net/inspect.h"
#include "engine/net/segments.h"

namespace viv::e1000e {

namespace {

constexpr u64 type_context = 0, type_data = 1;
constexpr usize status_at = 12;  // in a descriptor
constexpr usize fcs_bytes = 4, tag_bytes = 4, addresses_bytes = 12;
constexpr usize least_frame = 60;
constexpr u16 transport_zero = 0xffff;

}  // namespace

Transmitter::Transmitter(const Wiring& wiring)
    : wiring_(wiring), delay_(wiring.timers, wiring.interrupts), resume_(wiring.timers, [this] {
          resume_ns_ = Timers::never;
          run();
      }) {}

void Transmitter::set_tidv(u32 value) {
    r.tidv = value & 0xffff;
    if ((value & delay_flush) != 0) delay_.flush();
}

void Transmitter::run() {
    if (!enabled() || !wiring_.outlet.may_use_memory()) return;
    bool left = false;
    for (unsigned queue = 0; queue < queue_count; queue++) {
        take(queue);
        left = left || rings[queue].pending() != 0;
    }
    if (!left) return;
    resume_ns_ = wiring_.timers.now_ns() + later_ns;
    resume_.arm(resume_ns_);
}

void Transmitter::take(unsigned queue) {
    Ring& ring = rings[queue];
    if (ring.count() != 0 && !ring.sensible())
        return wiring_.log.guest("transmit ring {}: head {} or tail {} is not in it", queue, ring.head, ring.tail);
    const u32 number = std::min(ring.pending(), descriptors_at_once);
    if (number == 0) return;
    u32 causes = 0;
    bool delayed = true;
    for (u32 i = 0; i < number; i++) {
        const u64 at = ring.at();
        std::array<u8, descriptor_size> raw{};
        if (!wiring_.dma.read(at, raw)) {
            wiring_.log.guest("transmit ring {} is not in memory", queue);
            ring.head = ring.tail;
            return;
        }
        ring.advance(1);
        const u64 low = load_le<u64>(&raw[0]), high = load_le<u64>(&raw[8]);
        const u8 command = static_cast<u8>(high >> 24);
        Frame& frame = frames_[queue];
        const u64 type = bits(high, 20, 4);
        if ((command & tx_dext) == 0) {
            add(frame, low, bits(high, 0, 16));
            if ((command & tx_eop) != 0)
                finish(contexts_[queue], frame,
                       {.command = command,
                        .tag = static_cast<u16>(high >> 48),
                        .legacy_from = static_cast<u8>(high >> 40),
                        .legacy_at = static_cast<u8>(high >> 16),
                        .legacy = true});
        } else if (type == type_context) {
            set_context(contexts_[queue], low, high);
        } else if (type == type_data) {
            if (!frame.begun) {
                frame.options = static_cast<u8>(high >> 40);
                frame.segmented = (command & tx_tse) != 0;
            }
            add(frame, low, bits(high, 0, 20));
            if ((command & tx_eop) != 0)
                finish(contexts_[queue], frame, {.command = command, .tag = static_cast<u16>(high >> 48)});
        } else {
            wiring_.log.guest("a transmit descriptor of the unknown type {}", type);
        }
        if ((command & tx_rs) == 0) continue;
        if (!wiring_.dma.store<u8>(at + status_at, raw[status_at] | tx_dd))
            wiring_.log.guest("a transmit descriptor cannot be written back");
        causes |= cause_txdw | (queue == 0 ? cause_txq0 : cause_txq1);
        delayed = delayed && (command & tx_ide) != 0;
    }
    if (causes != 0) delay_.event(causes, delayed ? static_cast<u16>(r.tidv) : u16{0}, static_cast<u16>(r.tadv));
    if (ring.pending() == 0) wiring_.interrupts.raise(cause_txqe);
}

void Transmitter::set_context(Context& context, u64 low, u64 high) const {
    context.ipcss = static_cast<u8>(low);
    context.ipcso = static_cast<u8>(low >> 8);
    context.ipcse = static_cast<u16>(low >> 16);
    context.tucss = static_cast<u8>(low >> 32);
    context.tucso = static_cast<u8>(low >> 40);
    context.tucse = static_cast<u16>(low >> 48);
    context.tucmd = static_cast<u8>(high >> 24);
    context.hdrlen = static_cast<u8>(high >> 40);
    context.mss = static_cast<u16>(high >> 48);
}

void Transmitter::add(Frame& frame, u64 address, u64 length) {
    frame.begun = true;
    const usize before = frame.bytes.size();
    frame.broken = frame.broken || before + length > net::largest_frame;
    if (frame.broken || length == 0) return;
    frame.bytes.resize(before + length);
    frame.broken = !wiring_.dma.read(address, std::span(frame.bytes).subspan(before));
}

// The sum of bytes `from` to `last` (0: the frame's end) goes to `at`; false if that is not in the frame. A sum of zero
// is written as `zero`, since in UDP it means that there is none (RFC 768).
bool Transmitter::insert_sum(std::vector<u8>& bytes, usize from, usize at, usize last, u16 zero) const {
    const usize end = last == 0 ? bytes.size() : last + 1;
    if (from >= end || end > bytes.size() || at + sizeof(u16) > bytes.size()) return false;
    const u16 sum = static_cast<u16>(~net::sum_of(std::span<const u8>(bytes).subspan(from, end - from)));
    store_be<u16>(&bytes[at], sum == 0 ? zero : sum);
    return true;
}

// Sums that stop before the frame's end are put in here; the others, and segmentation, are left to who carries the
// frame.
bool Transmitter::offload_of(const Context& context, Frame& frame, const End& end, net::Offload& offload) const {
    auto& bytes = frame.bytes;
    const auto leave_sum = [&](usize from, usize at, usize last) {
        const bool whole = last == 0 || last + 1 == bytes.size();
        if (!whole || at < from) return insert_sum(bytes, from, at, last, transport_zero);
        offload.sum_from = static_cast<u16>(from);
        offload.sum_at = static_cast<u16>(at - from);
        return from != 0 && at + sizeof(u16) <= bytes.size();
    };
    if (end.legacy) return (end.command & tx_ic) == 0 || leave_sum(end.legacy_from, end.legacy_at, 0);
    if (frame.segmented) {
        if ((context.tucmd & context_tcp) == 0) return false;
        offload = {.sum_from = context.tucss,
                   .sum_at = static_cast<u16>(context.tucso - context.tucss),
                   .segment = context.mss,
                   .header = context.hdrlen};
        return context.tucso > context.tucss && context.hdrlen > context.tucso && context.hdrlen < bytes.size() &&
               net::set_long_header(bytes, offload);
    }
    if ((frame.options & tx_ixsm) != 0 && !insert_sum(bytes, context.ipcss, context.ipcso, context.ipcse, 0))
        return false;
    return (frame.options & tx_txsm) == 0 || leave_sum(context.tucss, context.tucso, context.tucse);
}

void Transmitter::finish(const Context& context, Frame& frame, const End& end) {
    auto& bytes = frame.bytes;
    // Without IFCS the driver has put the FCS there itself.
    if ((end.command & tx_ifcs) == 0) bytes.resize(bytes.size() - std::min(bytes.size(), fcs_bytes));
    net::Offload offload;
    const auto tagging = wiring_.outlet.tagging();
    const usize tag = (end.command & tx_vle) != 0 && tagging.on ? tag_bytes : 0;
    const bool good = !frame.broken && net::good_size(bytes.size()) && net::good_size(bytes.size() + tag) &&
                      offload_of(context, frame, end, offload);
    if (!good) {
        wiring_.log.guest("a frame of {} bytes that cannot be sent is dropped", bytes.size());
    } else {
        if ((r.tctl & tctl_psp) != 0 && offload.segment == 0 && bytes.size() < least_frame) {
            // Padding is no part of what is summed.
            if (offload.sum_from != 0)
                insert_sum(bytes, offload.sum_from, usize{offload.sum_from} + offload.sum_at, 0, transport_zero);
            offload = {};
            bytes.resize(least_frame);
        }
        if (tag != 0) {
            const std::array<u8, tag_bytes> inserted{static_cast<u8>(tagging.type >> 8), static_cast<u8>(tagging.type),
                                                     static_cast<u8>(end.tag >> 8), static_cast<u8>(end.tag)};
            bytes.insert(bytes.begin() + addresses_bytes, inserted.begin(), inserted.end());
            if (offload.sum_from != 0) offload.sum_from = static_cast<u16>(offload.sum_from + tag_bytes);
            if (offload.segment != 0) offload.header = static_cast<u16>(offload.header + tag_bytes);
        }
        if (offload.segment == 0) {
            wiring_.statistics.sent(bytes);
        } else {
            const usize payload = bytes.size() - offload.header;
            wiring_.statistics.sent(bytes, static_cast<u32>((payload + offload.segment - 1) / offload.segment),
                                    offload.header);
            wiring_.statistics.count(Statistics::tsctc);
        }
        wiring_.outlet.carry(bytes, offload);
    }
    bytes.clear();
    frame.begun = frame.broken = frame.segmented = false;
    frame.options = 0;
}

void Transmitter::reset() {
    r = {};
    rings = {};
    contexts_ = {};
    frames_ = {};
    delay_.reset();
    resume_ns_ = Timers::never;
    resume_.cancel();
}

void Transmitter::Context::state(Archive& a) {
    a(1, "ipcss", ipcss);
    a(2, "ipcso", ipcso);
    a(3, "ipcse", ipcse);
    a(4, "tucss", tucss);
    a(5, "tucso", tucso);
    a(6, "tucse", tucse);
    a(7, "tucmd", tucmd);
    a(8, "hdrlen", hdrlen);
    a(9, "mss", mss);
}

void Transmitter::Frame::state(Archive& a) {
    a.bytes(1, "bytes", bytes, net::largest_frame);
    a(2, "begun", begun);
    a(3, "broken", broken);
    a(4, "segmented", segmented);
    a(5, "options", options);
}

void Transmitter::state(Archive& a) {
    a(1, "tctl", r.tctl);
    a(2, "tipg", r.tipg);
    a(3, "aifs", r.aifs);
    a(4, "tidv", r.tidv);
    a(5, "tadv", r.tadv);
    a(6, "txdctl", r.txdctl);
    a(7, "tarc", r.tarc);
    a(8, "rings", rings);
    a(9, "contexts", contexts_);
    a(10, "frames", frames_);
    a(11, "delay", delay_);
    a(12, "resume_ns", resume_ns_);
}

void Transmitter::restored() {
    delay_.restored();
    resume_.arm(resume_ns_);
}

}  // namespace viv::e1000e
