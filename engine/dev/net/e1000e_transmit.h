// The transmit side of an 82574: two rings of legacy, context and data descriptors; checksums, TCP segmentation and
// VLAN tags as the descriptors ask for. Datasheet section 7.2. Promises: a bounded number of descriptors at a time, the
// rest a moment later; a frame that makes no sense is dropped with a line in the log, and its descriptors are done.
#pragma once

#include <array>
#include <vector>

#include "engine/dev/net/e1000e_interrupts.h"
#include "engine/dev/net/e1000e_receive.h"
#include "engine/dev/net/e1000e_ring.h"
#include "engine/dev/net/e1000e_statistics.h"
#include "engine/lang/log.h"
#include "engine/mem/dma.h"
#include "engine/net/net.h"

namespace viv::e1000e {

// Where frames go: the card decides between its cable and itself.
class Outlet {
public:
    virtual ~Outlet() = default;
    virtual void carry(std::span<const u8> frame, const net::Offload& offload) = 0;
    virtual Tagging tagging() const = 0;
    virtual bool may_use_memory() const = 0;
};

class Transmitter {
public:
    static constexpr u32 descriptors_at_once = 256;
    static constexpr u64 later_ns = 1000;

    struct Wiring {
        Dma& dma;
        Log& log;
        Timers& timers;
        Interrupts& interrupts;
        Statistics& statistics;
        Outlet& outlet;
    };
    explicit Transmitter(const Wiring& wiring);

    // Takes what the rings hold: after a write to TDT, TCTL or PCI's bus master bit.
    void run();
    bool enabled() const { return (r.tctl & tctl_en) != 0; }
    void set_tidv(u32 value);

    struct Registers {
        u32 tctl = 0, tipg = 0x0060'2006, aifs = 0, tidv = 0, tadv = 0;
        std::array<u32, queue_count> txdctl{}, tarc{};
    } r;
    std::array<Ring, queue_count> rings;

    void reset();
    void state(Archive& a);
    void restored();

private:
    // The last context descriptor of a queue.
    struct Context {
        u8 ipcss = 0, ipcso = 0, tucss = 0, tucso = 0, tucmd = 0, hdrlen = 0;
        u16 ipcse = 0, tucse = 0, mss = 0;
        void state(Archive& a);
    };
    // A queue's frame, of which descriptors have come so far.
    struct Frame {
        std::vector<u8> bytes;
        bool begun = false, broken = false, segmented = false;
        u8 options = 0;  // POPTS
        void state(Archive& a);
    };
    // What the last descriptor of a frame says.
    struct End {
        u8 command = 0;
        u16 tag = 0;
        u8 legacy_from = 0, legacy_at = 0;  // legacy: CSS and CSO
        bool legacy = false;
    };
    void take(unsigned queue);
    void set_context(Context& context, u64 low, u64 high) const;
    void add(Frame& frame, u64 address, u64 length);
    void finish(const Context& context, Frame& frame, const End& end);
    bool insert_sum(std::vector<u8>& bytes, usize from, usize at, usize last, u16 zero) const;
    bool offload_of(const Context& context, Frame& frame, const End& end, net::Offload& offload) const;

    Wiring wiring_;
    DelayedCause delay_;
    std::array<Context, queue_count> contexts_;
    std::array<Frame, queue_count> frames_;
    u64 resume_ns_ = Timers::never;  // guest time at which the rest of the rings is taken
    Timer resume_;
};

}  // namespace viv::e1000e
