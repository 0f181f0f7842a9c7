// A ring of 16-byte descriptors in guest memory, as the 82574's receive and transmit queues have it: RDBAL, RDBAH,
// RDLEN, RDH, RDT and their transmit twins. Datasheet sections 7.1.9 and 7.2.4. Promises: whatever a driver writes,
// pending() and at() stay within the ring; a ring without a sensible length, head or tail is empty.
#pragma once

#include "engine/dev/net/e1000e_bits.h"
#include "engine/state/archive.h"

namespace viv::e1000e {

struct Ring {
    u32 bal = 0, bah = 0, len = 0, head = 0, tail = 0;  // registers; len in bytes, head and tail in descriptors

    static constexpr u32 bal_writable = ~u32{0xf}, len_writable = 0xf'ff80, index_writable = 0xffff;

    u32 count() const { return len / descriptor_size; }
    bool sensible() const { return head < count() && tail < count(); }
    // Descriptors that the driver has given and the card has not used.
    u32 pending() const { return !sensible() ? 0 : tail >= head ? tail - head : count() - head + tail; }
    // The address of the descriptor `ahead` of the head; ahead < pending().
    u64 at(u32 ahead = 0) const {
        const u32 index = head + ahead < count() ? head + ahead : head + ahead - count();
        return (bal | u64{bah} << 32) + u64{index} * descriptor_size;
    }
    // `by` is at most pending().
    void advance(u32 by) { head = head + by < count() ? head + by : head + by - count(); }

    void state(Archive& a) {
        a(1, "bal", bal);
        a(2, "bah", bah);
        a(3, "len", len, len_writable);
        a(4, "head", head, index_writable);
        a(5, "tail", tail, index_writable);
    }
};

}  // namespace viv::e1000e
