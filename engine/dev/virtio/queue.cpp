// What both kinds of ring share: areas, chains made of descriptors, chains in flight, saving. A descriptor is copied
// before it is looked at. See queue.h.
#include "engine/dev/virtio/queue.h"

#include "engine/lang/check.h"

namespace viv::virtio {

namespace {

constexpr u64 largest_chain_bytes = 0xffff'ffff;

}  // namespace

Queue::Queue(Dma& dma, u16 maximum) : dma_(&dma), maximum_(maximum) {
    CHECK(is_power_of_two(maximum) && maximum <= largest);
    s_.size = maximum;
}

bool Queue::set_size(u16 size, u64 features) {
    if (s_.ready || size == 0 || size > maximum_) return false;
    if (!bit(features, ring_packed) && !is_power_of_two(size)) return false;
    s_.size = size;
    return true;
}

bool Queue::set_descriptor_table(u64 address) {
    if (s_.ready) return false;
    s_.descriptors = address;
    return true;
}

bool Queue::set_driver_area(u64 address) {
    if (s_.ready) return false;
    s_.driver = address;
    return true;
}

bool Queue::set_device_area(u64 address) {
    if (s_.ready) return false;
    s_.device = address;
    return true;
}

void Queue::enable(u64 features) {
    disable();
    s_.ready = true;
    s_.indirect = bit(features, ring_indirect_desc);
    s_.event_idx = bit(features, ring_event_idx);
    s_.packed = bit(features, ring_packed);
    locate();
}

void Queue::disable() {
    State next;
    next.size = s_.size;
    next.descriptors = s_.descriptors;
    next.driver = s_.driver;
    next.device = s_.device;
    s_ = std::move(next);
    prepared_ = 0;
    many_published_ = false;
    again_ = 0;
    problem_ = "";
    descriptors_ = driver_ = device_ = {};
}

void Queue::reset() {
    disable();
    s_ = State{};
    s_.size = maximum_;
}

bool Queue::locate() {
    if (s_.packed ? locate_packed() : locate_split()) return true;
    descriptors_ = driver_ = device_ = {};
    return false;
}

bool Queue::malformed(const char* problem) {
    problem_ = problem;
    s_.broken = true;
    return false;
}

Pop Queue::pop(Chain& chain) {
    if (!s_.ready) return Pop::empty;
    if (s_.broken) return Pop::malformed;
    if (device_.empty()) {
        malformed("ring areas are misaligned or outside RAM");
        return Pop::malformed;
    }
    const bool rewound = again_ != 0;
    const bool popped = rewound ? again(chain) : s_.packed ? pop_packed(chain) : pop_split(chain);
    if (!popped) return s_.broken ? Pop::malformed : Pop::empty;
    chain.rewound_ = rewound;
    return Pop::chain;
}

// The chain that was popped longest ago, which becomes the one popped last.
bool Queue::again(Chain& chain) {
    const u16 head = s_.in_flight.front();
    chain.clear(head);
    if (!(s_.packed ? walk_packed(s_.kept.front(), chain) : walk_split(head, chain))) return false;
    again_--;
    std::rotate(s_.in_flight.begin(), s_.in_flight.begin() + 1, s_.in_flight.end());
    if (s_.packed) std::rotate(s_.kept.begin(), s_.kept.begin() + 1, s_.kept.end());
    return true;
}

void Queue::unpop(const Chain& chain) {
    CHECK(!s_.in_flight.empty() && s_.in_flight.back() == chain.head_);
    if (chain.rewound_) {
        std::rotate(s_.in_flight.begin(), s_.in_flight.end() - 1, s_.in_flight.end());
        if (s_.packed) std::rotate(s_.kept.begin(), s_.kept.end() - 1, s_.kept.end());
        again_++;
        return;
    }
    s_.in_flight.pop_back();
    if (!s_.packed) {
        s_.next_available--;
        return;
    }
    s_.next_available = moved(s_.next_available, 2u * s_.size - s_.kept.back().size());
    s_.kept.pop_back();
}

bool Queue::check_indirect(const Descriptor& descriptor) {
    if (!s_.indirect) return malformed("an indirect descriptor without the feature");
    if ((descriptor.flags & flag_next) != 0) return malformed("an indirect descriptor with a next one");
    if (descriptor.length == 0 || descriptor.length % descriptor_size != 0)
        return malformed("an indirect table's length is no multiple of 16");
    return true;
}

bool Queue::add(const Descriptor& descriptor, Chain& chain) {
    const bool writable = (descriptor.flags & flag_write) != 0;
    if (!writable && chain.readable_ != chain.pieces_.size())
        return malformed("a readable buffer follows a writable one");
    if (descriptor.length == 0) return true;
    const auto bytes = dma_->view(descriptor.address, descriptor.length);
    if (bytes.empty()) return malformed("a buffer is outside RAM or crosses the end of a region");
    u64& size = writable ? chain.writable_size_ : chain.readable_size_;
    size += descriptor.length;
    if (chain.readable_size_ + chain.writable_size_ > largest_chain_bytes)
        return malformed("a chain's buffers exceed 4 GiB");
    chain.pieces_.push_back(Piece{descriptor.address, bytes});
    if (!writable) chain.readable_ = chain.pieces_.size();
    return true;
}

bool Queue::fill(const Chain& chain, u32 written) {
    if (!s_.ready || s_.broken || device_.empty()) return false;
    const auto first = s_.in_flight.begin() + static_cast<std::ptrdiff_t>(again_);
    const auto at = std::find(first, s_.in_flight.end(), chain.head_);
    if (at == s_.in_flight.end()) return false;
    u64 left = written;
    for (const Piece& piece : chain.writable()) {
        const u64 part = std::min<u64>(left, piece.bytes.size());
        if (part == 0) break;
        dma_->wrote(piece.address, part);
        left -= part;
    }
    if (s_.packed) {
        const auto kept = s_.kept.begin() + (at - s_.in_flight.begin());
        fill_packed(chain.head_, kept->size(), written);
        s_.kept.erase(kept);
    } else {
        fill_split(chain.head_, written);
    }
    s_.in_flight.erase(at);
    return true;
}

void Queue::publish() {
    if (prepared_ == 0) return;
    if (s_.packed)
        publish_packed();
    else
        publish_split();
    prepared_ = 0;
}

void Queue::ask_for_notification() {
    if (!s_.ready || s_.broken || device_.empty()) return;
    if (s_.packed) return ask_packed(is_available(s_.next_available));
    if (s_.event_idx) set_available_event(available_index());
}

bool Queue::take_interrupt() {
    if (!s_.ready || s_.broken || driver_.empty()) return false;
    const u16 before = s_.signalled_used;
    if (before == s_.next_used && !many_published_) return false;
    s_.signalled_used = s_.next_used;
    const bool wanted = s_.packed ? interrupt_wanted_packed(before) : interrupt_wanted_split(before);
    many_published_ = false;
    return wanted;
}

void Queue::state(Archive& a) {
    a(1, "size", s_.size);
    a(2, "descriptors", s_.descriptors);
    a(3, "available", s_.driver);
    a(4, "used", s_.device);
    a(5, "ready", s_.ready);
    a(6, "broken", s_.broken);
    a(7, "indirect", s_.indirect);
    a(8, "event_idx", s_.event_idx);
    a(9, "next_available", s_.next_available);
    a(10, "next_used", s_.next_used);
    a(11, "signalled_used", s_.signalled_used);
    a.numbers(12, "in_flight", s_.in_flight, largest);
    a(13, "packed", s_.packed);
    archive_kept(a);
    if (!a.loading()) return;
    prepared_ = 0;
    many_published_ = false;
    again_ = 0;
    descriptors_ = driver_ = device_ = {};
    const bool size_good = s_.size != 0 && s_.size <= maximum_ && (s_.packed || is_power_of_two(s_.size));
    a.require(size_good, "size", "is not one that this queue allows");
    if (!size_good) return reset();
    bool fits = s_.in_flight.size() <= s_.size;
    if (s_.packed) {
        usize slots = 0;
        for (const auto& chain : s_.kept) slots += chain.size();
        const u16 places = static_cast<u16>(2 * s_.size);
        const bool places_good = s_.next_available < places && s_.next_used < places && s_.signalled_used < places;
        a.require(places_good, "next_used", "or another place is outside the ring");
        fits = places_good && slots <= s_.size && slots == distance(s_.next_used, s_.next_available);
    } else {
        for (const u16 head : s_.in_flight) fits = fits && head < s_.size;
    }
    a.require(fits, "in_flight", "does not fit the queue");
    if (!fits) reset();
}

// Of a packed ring: how many descriptors each chain in flight has, and their fields one behind the other.
void Queue::archive_kept(Archive& a) {
    std::vector<u16> counts, flags;
    std::vector<u32> lengths;
    std::vector<u64> addresses;
    for (const auto& chain : s_.kept) {
        counts.push_back(static_cast<u16>(chain.size()));
        for (const Descriptor& descriptor : chain) {
            addresses.push_back(descriptor.address);
            lengths.push_back(descriptor.length);
            flags.push_back(descriptor.flags);
        }
    }
    a.numbers(14, "kept_counts", counts, largest);
    a.numbers(15, "kept_addresses", addresses, largest);
    a.numbers(16, "kept_lengths", lengths, largest);
    a.numbers(17, "kept_flags", flags, largest);
    if (!a.loading()) return;
    s_.kept.clear();
    usize total = 0;
    for (const u16 count : counts) total += count;
    const bool good = counts.size() == (s_.packed ? s_.in_flight.size() : 0) && addresses.size() == total &&
                      lengths.size() == total && flags.size() == total &&
                      std::find(counts.begin(), counts.end(), u16{0}) == counts.end();
    a.require(good, "kept_counts", "does not fit the chains in flight");
    if (!good) return s_.in_flight.clear();
    usize at = 0;
    for (const u16 count : counts) {
        auto& chain = s_.kept.emplace_back();
        for (u16 i = 0; i < count; i++, at++)
            chain.push_back({.address = addresses[at], .length = lengths[at], .flags = flags[at]});
    }
}

void Queue::restored() {
    if (s_.ready) locate();
    again_ = s_.in_flight.size();
    if (s_.broken) problem_ = "was malformed when the machine was saved";
}

}  // namespace viv::virtio
