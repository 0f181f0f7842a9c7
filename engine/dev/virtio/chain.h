// A descriptor chain as the device sees it, whatever the ring it came from, and places in its two parts. OASIS
// virtio 1.2, section 2.6.4. Promises: pieces lie in guest RAM and are checked already; a cursor never leaves its part.
#pragma once

#include <algorithm>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

#include "engine/lang/bits.h"
#include "engine/lang/bytes.h"

namespace viv::virtio {

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
    void clear(u16 head) {
        head_ = head;
        pieces_.clear();
        readable_ = 0;
        readable_size_ = writable_size_ = 0;
    }
    u16 head_ = 0;          // in a packed ring the buffer's id
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

}  // namespace viv::virtio
