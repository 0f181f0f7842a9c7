// Little-endian 16-bit words of a ring that the guest may read and write at the same time: each is one atomic access.
// The areas are aligned as the specification wants (checked when they are located), and regions of guest memory are
// page aligned on the host.
#pragma once

#include <atomic>
#include <bit>
#include <span>

#include "engine/lang/atomic_ref.h"
#include "engine/lang/bytes.h"

namespace viv::virtio {

constexpr u16 from_le(u16 value) { return std::endian::native == std::endian::little ? value : byte_swap(value); }

inline u16 load_shared(std::span<u8> area, usize offset, std::memory_order order = std::memory_order_seq_cst) {
    return from_le(AtomicRef<u16>(*reinterpret_cast<u16*>(area.data() + offset)).load(order));
}

inline void store_shared(std::span<u8> area, usize offset, u16 value) {
    AtomicRef<u16>(*reinterpret_cast<u16*>(area.data() + offset)).store(from_le(value), std::memory_order_seq_cst);
}

}  // namespace viv::virtio
