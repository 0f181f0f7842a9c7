// A split virtqueue as the device sees it: descriptor chains out, used entries in. OASIS virtio 1.2, section 2.7.
// Promises: everything the guest wrote is checked before it is believed. A bad index, a loop, a table or buffer outside
// one region of RAM, a readable buffer after a writable one, too many or too long buffers end in Pop::malformed and the
// queue stays broken until it is reset. Work for one chain is bounded by `longest_chain`, the number of chains in
// flight by the queue's size.
#pragma once

#include <algorithm>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/lang/bits.h"
#include "engine/lang/bytes.h"
#include "engine/mem/dma.h"
#include "engine/state/archive.h"

namespace viv::virtio {

// Feature bit numbers that belong to every device; those below 24 are the device's own.
enum FeatureBit : unsigned { ring_indirect_desc = 28, ring_event_idx = 29, version_1 = 32 };
constexpr u64 feature(unsigned number) { return u64{1} << number; }

// One buffer of a chain: a view of guest RAM (regions never move, so it stays valid) and the address that it shows.
// Never empty.
struct Piece {
    u64 address = 0;
    std::span<u8> bytes;
};

// A descriptor chain: first what the driver gives (readable), then the room for the answer (writable), each in order.
// Zero-length descriptors are left out. Reuse one object for many pops: it keeps its storage.
class Chain {
public:
    u16 head() const { return head_; }
    std::span<const Piece> readable() const { return std::span(pieces_).first(readable_); }
    std::span<const Piece> writable() const { return std::span(pieces_).subspan(readable_); }
    u64 readable_size() const { return readable_size_; }  // bytes, below 2^32
    u64 writable_size() const { return writable_size_; }

private:
    friend class Queue;
    u16 head_ = 0;
    bool rewound_ = false;  // popped again after a rewind, not from the available ring
    std::vector<Piece> pieces_;
    usize readable_ = 0;
    u64 readable_size_ = 0;
    u64 writable_size_ = 0;
};

// A place in the readable or the writable part of a chain.
class ChainCursor {
public:
    u64 remaining() const { return remaining_; }
    u64 skip(u64 count);  // returns how many bytes were there to skip

protected:
    ChainCursor(std::span<const Piece> pieces, u64 size) : pieces_(pieces), remaining_(size) {}
    std::span<u8> at_cursor() const { return pieces_.empty() ? std::span<u8>{} : pieces_.front().bytes.subspan(used_); }
    u64 passed() const { return passed_; }

private:
    std::span<const Piece> pieces_;
    usize used_ = 0;  // bytes of pieces_.front() already behind the cursor
    u64 remaining_;
    u64 passed_ = 0;
};

// Reads the readable part of a chain in order, across its pieces. A guest running on another thread may change the
// bytes meanwhile: copy, then check.
class ChainReader : public ChainCursor {
public:
    explicit ChainReader(const Chain& chain) : ChainCursor(chain.readable(), chain.readable_size()) {}
    // Copies as many bytes as there are, at most out.size(); returns how many.
    usize read(std::span<u8> out);
    // A little-endian integer, or nothing (and nothing consumed) if fewer bytes remain.
    template <class T>
    std::optional<T> load() {
        u8 raw[sizeof(T)];
        if (remaining() < sizeof(T)) return std::nullopt;
        read(raw);
        return load_le<T>(raw);
    }
    // The contiguous bytes at the cursor, empty at the end: for zero-copy work, followed by skip().
    std::span<const u8> front() const { return at_cursor(); }
};

// Fills the writable part of a chain in order, across its pieces. Hand written() to push().
class ChainWriter : public ChainCursor {
public:
    explicit ChainWriter(const Chain& chain) : ChainCursor(chain.writable(), chain.writable_size()) {}
    u64 written() const { return passed(); }  // bytes from the start of the writable part, skipped ones included
    // Copies as many bytes as fit; returns how many.
    usize write(std::span<const u8> in);
    // A little-endian integer; false (and nothing written) if it does not fit whole.
    template <class T>
    bool store(T value) {
        u8 raw[sizeof(T)];
        if (remaining() < sizeof(T)) return false;
        store_le(raw, value);
        write(raw);
        return true;
    }
    // The contiguous room at the cursor, empty at the end: for zero-copy work, followed by skip().
    std::span<u8> front() const { return at_cursor(); }
};

enum class Pop : u8 { empty, chain, malformed };

class Queue {
public:
    static constexpr u16 largest = 1024;          // entries; a power of two
    static constexpr usize longest_chain = 1024;  // descriptors, indirect ones included

    // `maximum` is a power of two up to `largest`.
    Queue(Dma& dma, u16 maximum);

    // Set by the transport. Ignored (and false returned) while the queue is ready, as the driver must not do it then.
    bool set_size(u16 size);  // also false, and nothing changed, unless a power of two up to maximum()
    bool set_descriptor_table(u64 address);
    bool set_driver_area(u64 address);  // the available ring
    bool set_device_area(u64 address);  // the used ring
    u16 maximum() const { return maximum_; }
    u16 size() const { return s_.size; }
    u64 descriptor_table() const { return s_.descriptors; }
    u64 driver_area() const { return s_.available; }
    u64 device_area() const { return s_.used; }
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
        u64 address;
        u32 length;
        u16 flags;
        u16 next;
    };
    bool locate();
    bool walk(u16 head, Chain& chain);
    bool add(const Descriptor& descriptor, Chain& chain);
    bool take_head(u16& head, bool& rewound);
    std::optional<Descriptor> descriptor_in(std::span<const u8> table, usize index) const;
    bool malformed(const char* problem);
    u16 available_index() const;
    void set_available_event(u16 index);

    struct State {
        u16 size = 0;
        u64 descriptors = 0;
        u64 available = 0;
        u64 used = 0;
        bool ready = false;
        bool broken = false;
        bool indirect = false;
        bool event_idx = false;
        u16 next_available = 0;      // of the available ring: the next entry to take
        u16 next_used = 0;           // of the used ring: the next entry to show
        u16 signalled_used = 0;      // next_used when the driver was last interrupted
        std::vector<u16> in_flight;  // heads in the order of popping
    };

    Dma* dma_;
    u16 maximum_;
    State s_;
    u16 prepared_ = 0;  // entries filled and not yet published: zero between calls
    usize again_ = 0;   // the first this many of in_flight are to be popped again
    // The three areas, empty if they could not be located.
    std::span<u8> descriptors_, available_, used_;
    const char* problem_ = "";
};

}  // namespace viv::virtio
