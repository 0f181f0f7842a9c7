// The split ring: indices are shared with a guest that may run on another thread, so each is loaded and stored once, as
// an atomic; a descriptor is copied before it is looked at. See queue.h.
#include "engine/dev/virtio/queue.h"

#include <atomic>

#include "engine/lang/atomic_ref.h"
#include "engine/lang/check.h"

namespace viv::virtio {

namespace {

enum DescriptorFlag : u16 { flag_next = 1, flag_write = 2, flag_indirect = 4 };
constexpr u16 available_no_interrupt = 1;

constexpr usize descriptor_size = 16;
constexpr usize ring_header = 4;  // flags, index
constexpr u64 largest_chain_bytes = 0xffff'ffff;

// The areas are aligned as the specification wants (checked in locate()), and regions of guest memory are page aligned
// on the host.
AtomicRef<u16> shared_u16(std::span<u8> area, usize offset) {
    return AtomicRef<u16>(*reinterpret_cast<u16*>(area.data() + offset));
}

u16 from_le(u16 value) { return std::endian::native == std::endian::little ? value : byte_swap(value); }

}  // namespace

u64 ChainCursor::skip(u64 count) {
    u64 done = 0;
    while (done < count && !pieces_.empty()) {
        const usize part = static_cast<usize>(std::min<u64>(pieces_.front().bytes.size() - used_, count - done));
        done += part;
        used_ += part;
        if (used_ == pieces_.front().bytes.size()) {
            pieces_ = pieces_.subspan(1);
            used_ = 0;
        }
    }
    remaining_ -= done;
    passed_ += done;
    return done;
}

usize ChainReader::read(std::span<u8> out) {
    usize done = 0;
    while (done < out.size() && remaining() != 0) {
        const auto from = front().first(std::min(front().size(), out.size() - done));
        std::memcpy(out.data() + done, from.data(), from.size());
        done += from.size();
        skip(from.size());
    }
    return done;
}

usize ChainWriter::write(std::span<const u8> in) {
    usize done = 0;
    while (done < in.size() && remaining() != 0) {
        const auto to = front().first(std::min(front().size(), in.size() - done));
        std::memcpy(to.data(), in.data() + done, to.size());
        done += to.size();
        skip(to.size());
    }
    return done;
}

Queue::Queue(Dma& dma, u16 maximum) : dma_(&dma), maximum_(maximum) {
    CHECK(is_power_of_two(maximum) && maximum <= largest);
    s_.size = maximum;
}

bool Queue::set_size(u16 size) {
    if (s_.ready || !is_power_of_two(size) || size > maximum_) return false;
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
    s_.available = address;
    return true;
}

bool Queue::set_device_area(u64 address) {
    if (s_.ready) return false;
    s_.used = address;
    return true;
}

void Queue::enable(u64 features) {
    disable();
    s_.ready = true;
    s_.indirect = bit(features, ring_indirect_desc);
    s_.event_idx = bit(features, ring_event_idx);
    locate();
}

void Queue::disable() {
    State next;
    next.size = s_.size;
    next.descriptors = s_.descriptors;
    next.available = s_.available;
    next.used = s_.used;
    s_ = std::move(next);
    prepared_ = 0;
    again_ = 0;
    problem_ = "";
    descriptors_ = available_ = used_ = {};
}

void Queue::reset() {
    disable();
    s_ = State{};
    s_.size = maximum_;
}

bool Queue::locate() {
    const u64 event = s_.event_idx ? 2 : 0;
    descriptors_ = available_ = used_ = {};
    if (s_.descriptors % 16 != 0 || s_.available % 2 != 0 || s_.used % 4 != 0) return false;
    descriptors_ = dma_->view(s_.descriptors, u64{descriptor_size} * s_.size);
    available_ = dma_->view(s_.available, ring_header + u64{2} * s_.size + event);
    used_ = dma_->view(s_.used, ring_header + u64{8} * s_.size + event);
    if (!descriptors_.empty() && !available_.empty() && !used_.empty()) return true;
    descriptors_ = available_ = used_ = {};
    return false;
}

bool Queue::malformed(const char* problem) {
    problem_ = problem;
    s_.broken = true;
    return false;
}

u16 Queue::available_index() const { return from_le(shared_u16(available_, 2).load(std::memory_order_seq_cst)); }

void Queue::set_available_event(u16 index) {
    const usize event = ring_header + usize{8} * s_.size;
    if (from_le(shared_u16(used_, event).load(std::memory_order_relaxed)) == index) return;
    shared_u16(used_, event).store(from_le(index), std::memory_order_seq_cst);
    dma_->wrote(s_.used + event, 2);
}

void Queue::ask_for_notification() {
    if (s_.ready && !s_.broken && s_.event_idx && !used_.empty()) set_available_event(available_index());
}

Pop Queue::pop(Chain& chain) {
    if (!s_.ready) return Pop::empty;
    if (s_.broken) return Pop::malformed;
    if (used_.empty()) {
        malformed("ring areas are misaligned or outside RAM");
        return Pop::malformed;
    }
    u16 head = 0;
    bool rewound = false;
    if (!take_head(head, rewound)) return s_.broken ? Pop::malformed : Pop::empty;
    if (!walk(head, chain)) return Pop::malformed;
    chain.rewound_ = rewound;
    if (rewound) {
        again_--;
        s_.in_flight.erase(s_.in_flight.begin());
    } else {
        s_.next_available++;
    }
    s_.in_flight.push_back(head);
    return Pop::chain;
}

// The head that the next pop shall walk; false if there is none or the ring is wrong.
bool Queue::take_head(u16& head, bool& rewound) {
    if (again_ != 0) {
        head = s_.in_flight.front();
        rewound = true;
        return true;
    }
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
    head = from_le(shared_u16(available_, entry).load(std::memory_order_relaxed));
    if (head >= s_.size) return malformed("a head index is outside the descriptor table");
    return true;
}

std::optional<Queue::Descriptor> Queue::descriptor_in(std::span<const u8> table, usize index) const {
    if (index >= table.size() / descriptor_size) return std::nullopt;
    u8 raw[descriptor_size];
    std::memcpy(raw, table.data() + index * descriptor_size, sizeof raw);
    return Descriptor{load_le<u64>(raw), load_le<u32>(raw + 8), load_le<u16>(raw + 12), load_le<u16>(raw + 14)};
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

bool Queue::walk(u16 head, Chain& chain) {
    chain.head_ = head;
    chain.pieces_.clear();
    chain.readable_ = 0;
    chain.readable_size_ = chain.writable_size_ = 0;
    std::span<const u8> table = descriptors_;
    bool inside = false;  // an indirect table
    usize index = head;
    usize here = 0;  // descriptors met in this table: more than it has means a loop
    for (usize met = 0; met < longest_chain; met++) {
        if (++here > table.size() / descriptor_size) return malformed("a chain loops");
        const auto descriptor = descriptor_in(table, index);
        if (!descriptor) return malformed("a next index is outside its table");
        if ((descriptor->flags & flag_indirect) != 0) {
            if (!s_.indirect) return malformed("an indirect descriptor without the feature");
            if (inside) return malformed("an indirect descriptor inside an indirect table");
            if ((descriptor->flags & flag_next) != 0) return malformed("an indirect descriptor with a next one");
            if (descriptor->length == 0 || descriptor->length % descriptor_size != 0)
                return malformed("an indirect table's length is no multiple of 16");
            table = dma_->view(descriptor->address, descriptor->length);
            if (table.empty()) return malformed("an indirect table is outside RAM");
            inside = true;
            index = 0;
            here = 0;
            continue;
        }
        if (!add(*descriptor, chain)) return false;
        if ((descriptor->flags & flag_next) == 0) return true;
        index = descriptor->next;
    }
    return malformed("a chain has too many descriptors");
}

void Queue::unpop(const Chain& chain) {
    CHECK(!s_.in_flight.empty() && s_.in_flight.back() == chain.head_);
    s_.in_flight.pop_back();
    if (chain.rewound_) {
        s_.in_flight.insert(s_.in_flight.begin(), chain.head_);
        again_++;
    } else {
        s_.next_available--;
    }
}

bool Queue::fill(const Chain& chain, u32 written) {
    if (!s_.ready || s_.broken || used_.empty()) return false;
    const auto first = s_.in_flight.begin() + static_cast<std::ptrdiff_t>(again_);
    const auto at = std::find(first, s_.in_flight.end(), chain.head_);
    if (at == s_.in_flight.end()) return false;
    s_.in_flight.erase(at);
    u64 left = written;
    for (const Piece& piece : chain.writable()) {
        const u64 part = std::min<u64>(left, piece.bytes.size());
        if (part == 0) break;
        dma_->wrote(piece.address, part);
        left -= part;
    }
    const u16 slot = static_cast<u16>(s_.next_used + prepared_) & static_cast<u16>(s_.size - 1);
    const usize entry = ring_header + usize{8} * slot;
    store_le<u32>(used_.data() + entry, chain.head_);
    store_le<u32>(used_.data() + entry + 4, written);
    dma_->wrote(s_.used + entry, 8);
    prepared_++;
    return true;
}

void Queue::publish() {
    if (prepared_ == 0) return;
    s_.next_used = static_cast<u16>(s_.next_used + prepared_);
    prepared_ = 0;
    shared_u16(used_, 2).store(from_le(s_.next_used), std::memory_order_seq_cst);
    dma_->wrote(s_.used + 2, 2);
}

bool Queue::take_interrupt() {
    if (!s_.ready || s_.broken || available_.empty()) return false;
    const u16 before = s_.signalled_used;
    if (before == s_.next_used) return false;
    s_.signalled_used = s_.next_used;
    if (!s_.event_idx)
        return (from_le(shared_u16(available_, 0).load(std::memory_order_seq_cst)) & available_no_interrupt) == 0;
    const usize event_at = ring_header + usize{2} * s_.size;
    const u16 event = from_le(shared_u16(available_, event_at).load(std::memory_order_seq_cst));
    // The driver wants to hear when its event index is among the entries [before, next_used).
    return static_cast<u16>(s_.next_used - event - 1) < static_cast<u16>(s_.next_used - before);
}

void Queue::state(Archive& a) {
    a(1, "size", s_.size);
    a(2, "descriptors", s_.descriptors);
    a(3, "available", s_.available);
    a(4, "used", s_.used);
    a(5, "ready", s_.ready);
    a(6, "broken", s_.broken);
    a(7, "indirect", s_.indirect);
    a(8, "event_idx", s_.event_idx);
    a(9, "next_available", s_.next_available);
    a(10, "next_used", s_.next_used);
    a(11, "signalled_used", s_.signalled_used);
    a.numbers(12, "in_flight", s_.in_flight, largest);
    if (!a.loading()) return;
    const bool size_good = is_power_of_two(s_.size) && s_.size <= maximum_;
    a.require(size_good, "size", "is not a power of two that this queue allows");
    if (!size_good) s_.size = maximum_;
    const bool heads_good = s_.in_flight.size() <= s_.size && std::all_of(s_.in_flight.begin(), s_.in_flight.end(),
                                                                          [&](u16 head) { return head < s_.size; });
    a.require(heads_good, "in_flight", "does not fit the queue");
    if (!heads_good) s_.in_flight.clear();
    prepared_ = 0;
    again_ = 0;
    descriptors_ = available_ = used_ = {};
}

void Queue::restored() {
    if (s_.ready) locate();
    again_ = s_.in_flight.size();
    if (s_.broken) problem_ = "was malformed when the machine was saved";
}

}  // namespace viv::virtio
