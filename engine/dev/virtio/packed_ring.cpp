// The packed ring (virtio 1.2, 2.8): one ring of descriptors that both sides write. A lap's wrap counter tells a
// descriptor that the driver has made available from one left over; used ones are written in the order of completion,
// over descriptors that may belong to chains still in flight, which is why those are kept.
#include <cstring>

#include "engine/dev/virtio/queue.h"
#include "engine/dev/virtio/shared.h"

namespace viv::virtio {

namespace {

constexpr u16 flag_available = 1 << 7, flag_used = 1 << 15;
constexpr usize length_at = 8, id_at = 12, flags_at = 14;

// struct pvirtq_event_suppress: a place (slot, and the wrap counter in bit 15), then flags.
constexpr usize suppress_place = 0, suppress_flags = 2, suppress_size = 4;
enum Suppress : u16 { suppress_none = 0, suppress_all = 1, suppress_until_place = 2 };
constexpr u16 slot_mask = 0x7fff, wrap_bit = 0x8000;

}  // namespace

bool Queue::locate_packed() {
    if (s_.descriptors % 16 != 0 || s_.driver % 4 != 0 || s_.device % 4 != 0) return false;
    descriptors_ = dma_->view(s_.descriptors, u64{descriptor_size} * s_.size);
    driver_ = dma_->view(s_.driver, suppress_size);
    device_ = dma_->view(s_.device, suppress_size);
    return !descriptors_.empty() && !driver_.empty() && !device_.empty();
}

bool Queue::is_available(u16 place) const {
    const u16 flags = load_shared(descriptors_, descriptor_size * slot_of(place) + flags_at);
    const bool available = (flags & flag_available) != 0, used = (flags & flag_used) != 0;
    return available == (wrap_of(place) != 0) && used != available;
}

// Asks for a notification at the next place, or at any descriptor.
void Queue::ask_packed(bool at_any) {
    const bool by_place = s_.event_idx && !at_any;
    if (by_place) {
        const u16 place =
            static_cast<u16>(slot_of(s_.next_available) | (wrap_of(s_.next_available) != 0 ? wrap_bit : 0));
        if (load_shared(device_, suppress_place, std::memory_order_relaxed) != place) {
            store_shared(device_, suppress_place, place);
            dma_->wrote(s_.device, 2);
        }
    }
    const u16 flags = by_place ? suppress_until_place : suppress_none;
    if (load_shared(device_, suppress_flags, std::memory_order_relaxed) == flags) return;
    store_shared(device_, suppress_flags, flags);
    dma_->wrote(s_.device + suppress_flags, 2);
}

bool Queue::pop_packed(Chain& chain) {
    if (!is_available(s_.next_available)) {
        // Ask for a notification, then look again: the driver may have added it just before.
        ask_packed(false);
        if (!is_available(s_.next_available)) return false;
    }
    const usize most = s_.size - distance(s_.next_used, s_.next_available);
    std::vector<Descriptor> kept;
    u16 id = 0;
    for (bool more = true; more;) {
        if (kept.size() >= most) return malformed("more descriptors are in flight than the queue has");
        u8 raw[descriptor_size];
        const u16 slot = slot_of(moved(s_.next_available, kept.size()));
        std::memcpy(raw, descriptors_.data() + descriptor_size * slot, sizeof raw);
        Descriptor& descriptor = kept.emplace_back();
        descriptor.address = load_le<u64>(raw);
        descriptor.length = load_le<u32>(raw + length_at);
        descriptor.flags = load_le<u16>(raw + flags_at) & (flag_next | flag_write | flag_indirect);
        id = load_le<u16>(raw + id_at);
        more = (descriptor.flags & flag_next) != 0;
    }
    if (std::find(s_.in_flight.begin(), s_.in_flight.end(), id) != s_.in_flight.end())
        return malformed("a buffer id is in flight already");
    chain.clear(id);
    if (!walk_packed(kept, chain)) return false;
    s_.next_available = moved(s_.next_available, kept.size());
    s_.in_flight.push_back(id);
    s_.kept.push_back(std::move(kept));
    return true;
}

bool Queue::walk_packed(std::span<const Descriptor> descriptors, Chain& chain) {
    usize left = longest_chain;
    for (const Descriptor& descriptor : descriptors) {
        if ((descriptor.flags & flag_indirect) == 0) {
            if (left-- == 0) return malformed("a chain has too many descriptors");
            if (!add(descriptor, chain)) return false;
            continue;
        }
        if (!check_indirect(descriptor)) return false;
        const auto table = dma_->view(descriptor.address, descriptor.length);
        if (table.empty()) return malformed("an indirect table is outside RAM");
        // All of a table is the chain; of the flags only the direction counts there.
        if (table.size() / descriptor_size > left) return malformed("a chain has too many descriptors");
        for (usize at = 0; at < table.size(); at += descriptor_size) {
            u8 raw[descriptor_size];
            std::memcpy(raw, table.data() + at, sizeof raw);
            const u16 flags = load_le<u16>(raw + flags_at);
            if ((flags & flag_indirect) != 0) return malformed("an indirect descriptor inside an indirect table");
            if (!add({load_le<u64>(raw), load_le<u32>(raw + length_at), flags}, chain)) return false;
        }
    }
    return true;
}

// A used descriptor takes the first slot of those that the chain had. The driver goes by the flags, one after the
// other: those of the first entry of a batch are written when the batch is whole.
void Queue::fill_packed(u16 id, usize slots, u32 written) {
    const u16 place = moved(s_.next_used, prepared_);
    const usize at = descriptor_size * slot_of(place);
    const u16 flags =
        static_cast<u16>((wrap_of(place) != 0 ? flag_available | flag_used : 0) | (written != 0 ? flag_write : 0));
    store_le<u32>(descriptors_.data() + at + length_at, written);
    store_le<u16>(descriptors_.data() + at + id_at, id);
    if (prepared_ == 0)
        first_prepared_ = flags;
    else
        store_shared(descriptors_, at + flags_at, flags);
    dma_->wrote(s_.descriptors + at + length_at, descriptor_size - length_at);
    prepared_ += slots;
}

void Queue::publish_packed() {
    const usize at = descriptor_size * slot_of(s_.next_used);
    store_shared(descriptors_, at + flags_at, first_prepared_);
    dma_->wrote(s_.descriptors + at + flags_at, 2);
    if (distance(s_.signalled_used, s_.next_used) + prepared_ >= s_.size) many_published_ = true;
    s_.next_used = moved(s_.next_used, prepared_);
}

bool Queue::interrupt_wanted_packed(u16 before) const {
    const u16 flags = load_shared(driver_, suppress_flags);
    if (flags != suppress_until_place || !s_.event_idx || many_published_) return flags != suppress_all;
    const u16 wanted = load_shared(driver_, suppress_place);
    const u16 slot = wanted & slot_mask;
    if (slot >= s_.size) return true;
    const u16 event = static_cast<u16>((wanted & wrap_bit) != 0 ? slot : slot + s_.size);
    // The driver wants to hear when its place is among [before, next_used).
    return distance(before, event) < distance(before, s_.next_used);
}

}  // namespace viv::virtio
