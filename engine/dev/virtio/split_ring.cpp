// The split ring (virtio 1.2, 2.7): a table of descriptors, a ring of heads from the driver, a ring of used ones back.
// Indices are shared with a guest that may run on another thread, so each is loaded and stored once, as an atomic.
#include "engine/dev/virtio/queue.h"
#include "engine/dev/virtio/shared.h"

namespace viv::virtio {

namespace {

constexpr u16 available_no_interrupt = 1;
constexpr usize ring_header = 4;  // flags, index

}  // namespace

bool Queue::locate_split() {
    const u64 event = s_.event_idx ? 2 : 0;
    if (s_.descriptors % 16 != 0 || s_.driver % 2 != 0 || s_.device % 4 != 0) return false;
    descriptors_ = dma_->view(s_.descriptors, u64{descriptor_size} * s_.size);
    driver_ = dma_->view(s_.driver, ring_header + u64{2} * s_.size + event);
    device_ = dma_->view(s_.device, ring_header + u64{8} * s_.size + event);
    return !descriptors_.empty() && !driver_.empty() && !device_.empty();
}

u16 Queue::available_index() const { return load_shared(driver_, 2); }

void Queue::set_available_event(u16 index) {
    const usize event = ring_header + usize{8} * s_.size;
    if (load_shared(device_, event, std::memory_order_relaxed) == index) return;
    store_shared(device_, event, index);
    dma_->wrote(s_.device + event, 2);
}

bool Queue::pop_split(Chain& chain) {
    u16 waiting = static_cast<u16>(available_index() - s_.next_available);
    if (waiting == 0) {
        if (!s_.event_idx) return false;
        // Ask for a notification at the next entry, then look again: the driver may have added it just before.
        set_available_event(s_.next_available);
        waiting = static_cast<u16>(available_index() - s_.next_available);
        if (waiting == 0) return false;
    }
    if (waiting > s_.size) return malformed("available index runs ahead by more than the queue's size");
    if (s_.in_flight.size() + prepared_ >= s_.size)
        return malformed("more chains are in flight than the queue has entries");
    const usize entry = ring_header + usize{2} * (s_.next_available & (s_.size - 1u));
    const u16 head = load_shared(driver_, entry, std::memory_order_relaxed);
    if (head >= s_.size) return malformed("a head index is outside the descriptor table");
    chain.clear(head);
    if (!walk_split(head, chain)) return false;
    s_.next_available++;
    s_.in_flight.push_back(head);
    return true;
}

bool Queue::walk_split(u16 head, Chain& chain) {
    std::span<const u8> table = descriptors_;
    bool inside = false;  // an indirect table
    usize index = head;
    usize here = 0;  // descriptors met in this table: more than it has means a loop
    for (usize met = 0; met < longest_chain; met++) {
        if (++here > table.size() / descriptor_size) return malformed("a chain loops");
        if (index >= table.size() / descriptor_size) return malformed("a next index is outside its table");
        u8 raw[descriptor_size];
        std::memcpy(raw, table.data() + index * descriptor_size, sizeof raw);
        const Descriptor descriptor{load_le<u64>(raw), load_le<u32>(raw + 8), load_le<u16>(raw + 12),
                                    load_le<u16>(raw + 14)};
        if ((descriptor.flags & flag_indirect) != 0) {
            if (s_.indirect && inside) return malformed("an indirect descriptor inside an indirect table");
            if (!check_indirect(descriptor)) return false;
            table = dma_->view(descriptor.address, descriptor.length);
            if (table.empty()) return malformed("an indirect table is outside RAM");
            inside = true;
            index = 0;
            here = 0;
            continue;
        }
        if (!add(descriptor, chain)) return false;
        if ((descriptor.flags & flag_next) == 0) return true;
        index = descriptor.link;
    }
    return malformed("a chain has too many descriptors");
}

void Queue::fill_split(u16 head, u32 written) {
    const u16 slot = static_cast<u16>(s_.next_used + prepared_) & static_cast<u16>(s_.size - 1);
    const usize entry = ring_header + usize{8} * slot;
    store_le<u32>(device_.data() + entry, head);
    store_le<u32>(device_.data() + entry + 4, written);
    dma_->wrote(s_.device + entry, 8);
    prepared_++;
}

void Queue::publish_split() {
    s_.next_used = static_cast<u16>(s_.next_used + prepared_);
    store_shared(device_, 2, s_.next_used);
    dma_->wrote(s_.device + 2, 2);
}

bool Queue::interrupt_wanted_split(u16 before) const {
    if (!s_.event_idx) return (load_shared(driver_, 0) & available_no_interrupt) == 0;
    const u16 event = load_shared(driver_, ring_header + usize{2} * s_.size);
    // The driver wants to hear when its event index is among the entries [before, next_used).
    return static_cast<u16>(s_.next_used - event - 1) < static_cast<u16>(s_.next_used - before);
}

}  // namespace viv::virtio
