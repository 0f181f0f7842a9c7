// The receive side of an 82574: two rings of legacy, extended or packet-split descriptors, checksums, VLAN tags.
// Datasheet section 7.1. Promises: a frame that finds no room is refused whole, and nothing of it is written;
// descriptors are written back after the bytes that they tell of.
#pragma once

#include <array>
#include <vector>

#include "engine/dev/net/e1000e_filter.h"
#include "engine/dev/net/e1000e_interrupts.h"
#include "engine/dev/net/e1000e_ring.h"
#include "engine/dev/net/e1000e_statistics.h"
#include "engine/lang/log.h"
#include "engine/mem/dma.h"
#include "engine/net/net.h"

namespace viv::e1000e {

// How the card treats 802.1Q tags: CTRL.VME and VET.
struct Tagging {
    bool on = false;
    u16 type = 0;
};

class Receiver {
public:
    struct Wiring {
        Dma& dma;
        Log& log;
        Timers& timers;
        Interrupts& interrupts;
        Statistics& statistics;
    };
    explicit Receiver(const Wiring& wiring) : wiring_(wiring), delay_(wiring.timers, wiring.interrupts) {}

    // As NetDevice::receive_offloaded.
    bool receive(std::span<const u8> frame, const net::Offload& offload, const Tagging& tagging);
    bool enabled() const { return (r.rctl & rctl_en) != 0; }
    void set_rdtr(u32 value);

    // What only the driver writes.
    struct Registers {
        u32 rctl = 0, rxcsum = rxcsum_ipofl | rxcsum_tuofl, rfctl = 0, psrctl = 0, rdtr = 0, radv = 0;
        std::array<u32, queue_count> rxdctl{};
        u32 fcrtl = 0, fcrth = 0, rsrpd = 0;
    } r;
    Filter filter;
    std::array<Ring, queue_count> rings;

    void reset();
    void state(Archive& a);
    void restored() { delay_.restored(); }

private:
    // What a write-back tells of a whole frame.
    struct Report {
        u32 status = 0;
        u8 errors = 0;
        u16 packet_sum = 0, identity = 0, tag = 0;
        Filter::Scaled scaled;
    };
    // The buffers of one descriptor: of packet split four, the first for headers.
    static constexpr unsigned most_buffers = 4;
    using Sizes = std::array<u32, most_buffers>;
    bool splits() const { return bits(r.rctl, rctl_dtyp, 2) == dtyp_split; }
    Sizes buffer_sizes() const;
    usize split_at(u32 room) const;
    Report report(std::span<const u8> frame, bool checked) const;
    bool store(Ring& ring, const Report& report);
    bool fill(u64 at, const Sizes& sizes, usize header, std::span<const u8>& rest, const Report& report);
    bool write_back(u64 at, const Report& report, u32 status, const std::array<u16, most_buffers>& lengths, u16 header);

    Wiring wiring_;
    DelayedCause delay_;
    std::vector<u8> frame_;  // as it goes into the buffers
};

}  // namespace viv::e1000e
