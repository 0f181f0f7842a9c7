// A virtqueue as the device sees it, split or packed: descriptor chains out, used entries in. OASIS virtio 1.2,
// sections 2.7 and 2.8. Promises: everything the guest wrote is checked before it is believed. A bad index, a loop, a
// table or buffer outside one region of RAM, a readable buffer after a writable one, too many or too long buffers end
// in Pop::malformed and the queue stays broken until it is reset. Work for one chain is bounded by `longest_chain`, the
// number of chains in flight by the queue's size.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "engine/dev/virtio/chain.h"
#include "engine/lang/bits.h"
#include "engine/mem/dma.h"
#include "engine/state/archive.h"

namespace viv::virtio {

// Feature bit numbers that belong to every device; those below 24 are the device's own.
enum FeatureBit : unsigned { ring_indirect_desc = 28, ring_event_idx = 29, version_1 = 32, ring_packed = 34 };
constexpr u64 feature(unsigned number) { return u64{1} << number; }

enum class Pop : u8 { empty, chain, malformed };

class Queue {
public:
    static constexpr u16 largest = 1024;          // entries; a power of two
    static constexpr usize longest_chain = 1024;  // descriptors, indirect ones included

    // `maximum` is a power of two up to `largest`.
    Queue(Dma& dma, u16 maximum);

    // Set by the transport. Ignored (and false returned) while the queue is ready, as the driver must not do it then.
    // The size is from 1 to maximum(), a power of two unless the ring is packed; false, and nothing changed, otherwise.
    bool set_size(u16 size, u64 features);
    bool set_descriptor_table(u64 address);
    bool set_driver_area(u64 address);  // the available ring, or what the driver says about its interrupts
    bool set_device_area(u64 address);  // the used ring, or what the device says about its notifications
    u16 maximum() const { return maximum_; }
    u16 size() const { return s_.size; }
    u64 descriptor_table() const { return s_.descriptors; }
    u64 driver_area() const { return s_.driver; }
    u64 device_area() const { return s_.device; }
    bool ready() const { return s_.ready; }
    // Starts with empty rings and the ring features among the negotiated ones. Areas that are misaligned or not in RAM
    // make the first pop malformed.
    void enable(u64 features);
    void disable();  // keeps size and areas; chains in flight are forgotten
    void reset();    // to power-on state

    // Takes the next chain. Empty also when the queue is not ready. With event_idx, finding it empty asks the driver
    // for a notification.
    Pop pop(Chain& chain);
    // With event_idx: asks for a notification at the driver's next entry, even if earlier ones are left in the ring.
    void ask_for_notification();
    // Takes back the chain popped last (several: in reverse order): the next pop gives it again.
    void unpop(const Chain& chain);
    // What is wrong after Pop::malformed, for the log.
    const char* problem() const { return problem_; }
    bool broken() const { return s_.broken; }

    // Returns a chain to the driver. `written` bytes of its writable part, from its start, are reported as written to
    // guest memory. fill() only prepares an entry; publish() shows the driver all prepared ones at once. False (nothing
    // done) if the chain is not in flight here.
    bool fill(const Chain& chain, u32 written);
    void publish();
    // Whether the driver wants an interrupt for what was published since the last call that returned true. Changes the
    // answer's basis: call once.
    bool take_interrupt();

    // Chains popped and not yet returned.
    usize in_flight() const { return s_.in_flight.size(); }
    // Makes every chain in flight come again from pop(), before new ones. A device saves no chains: after a restore it
    // gets them again.
    void rewind() { again_ = s_.in_flight.size(); }
    bool has_rewound() const { return again_ != 0; }

    void state(Archive& a);
    void restored();  // finds the areas in memory again; every chain in flight will be popped again

private:
    struct Descriptor {
        u64 address = 0;
        u32 length = 0;
        u16 flags = 0;
        u16 link = 0;  // the next one's index; in a packed ring the buffer's id
    };
    enum DescriptorFlag : u16 { flag_next = 1, flag_write = 2, flag_indirect = 4 };
    static constexpr usize descriptor_size = 16;

    bool locate();
    bool malformed(const char* problem);
    bool check_indirect(const Descriptor& descriptor);
    bool add(const Descriptor& descriptor, Chain& chain);
    bool again(Chain& chain);

    // split_ring.cpp
    bool locate_split();
    bool pop_split(Chain& chain);
    bool walk_split(u16 head, Chain& chain);
    void fill_split(u16 head, u32 written);
    void publish_split();
    bool interrupt_wanted_split(u16 before) const;
    u16 available_index() const;
    void set_available_event(u16 index);

    // packed_ring.cpp. A place is a slot of the ring in one of two laps: the slot where the wrap counter is 1, the slot
    // plus the ring's size where it is 0.
    bool locate_packed();
    bool pop_packed(Chain& chain);
    bool walk_packed(std::span<const Descriptor> descriptors, Chain& chain);
    void fill_packed(u16 id, usize slots, u32 written);
    void publish_packed();
    bool interrupt_wanted_packed(u16 before) const;
    bool is_available(u16 place) const;
    void ask_packed(bool at_any);
    u16 slot_of(u16 place) const { return static_cast<u16>(place < s_.size ? place : place - s_.size); }
    u16 wrap_of(u16 place) const { return place < s_.size ? 1 : 0; }
    u16 moved(u16 place, usize slots) const { return static_cast<u16>((place + slots) % (2u * s_.size)); }
    u16 distance(u16 from, u16 to) const { return moved(to, 2u * s_.size - from); }
    void archive_kept(Archive& a);

    struct State {
        u16 size = 0;
        u64 descriptors = 0;
        u64 driver = 0;
        u64 device = 0;
        bool ready = false;
        bool broken = false;
        bool indirect = false;
        bool event_idx = false;
        bool packed = false;
        // Indices that count on in a split ring, places in a packed one.
        u16 next_available = 0;      // the next entry to take
        u16 next_used = 0;           // the next entry to show
        u16 signalled_used = 0;      // next_used when the driver was last interrupted
        std::vector<u16> in_flight;  // heads, or buffer ids, in the order of popping
        // A packed ring's descriptors of each chain in flight: used entries may take their slots before it is returned.
        std::vector<std::vector<Descriptor>> kept;
    };

    Dma* dma_;
    u16 maximum_;
    State s_;
    usize prepared_ = 0;           // entries (packed: slots) filled and not yet published: zero between calls
    u16 first_prepared_ = 0;       // packed: the flags of the first of them, which are written last
    bool many_published_ = false;  // packed: a lap or more since take_interrupt(), so that places say nothing of it
    usize again_ = 0;              // the first this many of in_flight are to be popped again
    // The three areas, empty if they could not be located.
    std::span<u8> descriptors_, driver_, device_;
    const char* problem_ = "";
};

}  // namespace viv::virtio
