// CRC-32C (Castagnoli), the checksum of VHDX images.
// Promises: crc32c(b, crc32c(a)) is that of a and b after one another.
#pragma once

#include <array>
#include <span>

#include "engine/lang/bits.h"

namespace viv {

namespace detail {

inline constexpr auto crc32c_table = [] {
    constexpr u32 polynomial = 0x82f63b78;  // its bits in reverse
    std::array<u32, 256> table{};
    for (u32 i = 0; i < table.size(); i++) {
        u32 value = i;
        for (int k = 0; k < 8; k++) value = value >> 1 ^ ((value & 1) != 0 ? polynomial : 0);
        table[i] = value;
    }
    return table;
}();

}  // namespace detail

constexpr u32 crc32c(std::span<const u8> bytes, u32 before = 0) {
    u32 crc = ~before;
    for (const u8 byte : bytes) crc = crc >> 8 ^ detail::crc32c_table[(crc ^ byte) & 0xff];
    return ~crc;
}

}  // namespace viv
