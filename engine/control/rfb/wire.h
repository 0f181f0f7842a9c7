// Integers of the protocol, which are big endian.
#pragma once

#include <span>
#include <vector>

#include "engine/lang/bits.h"

namespace viv::rfb {

// Of at least 2 and 4 bytes.
inline u32 get16(std::span<const u8> bytes) { return u32{bytes[0]} << 8 | bytes[1]; }
inline u32 get32(std::span<const u8> bytes) { return get16(bytes) << 16 | get16(bytes.subspan(2)); }
inline void put16(std::vector<u8>& out, u32 value) {
    out.insert(out.end(), {static_cast<u8>(value >> 8), static_cast<u8>(value)});
}
inline void put32(std::vector<u8>& out, u32 value) {
    put16(out, value >> 16);
    put16(out, value);
}

}  // namespace viv::rfb
