// Integer types and bit-field arithmetic that the whole engine shares.
// Promises: constexpr, no undefined behaviour for any input within the documented ranges.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace viv {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i8 = std::int8_t;
using i16 = std::int16_t;
using i32 = std::int32_t;
using i64 = std::int64_t;
using usize = std::size_t;
__extension__ typedef unsigned __int128 u128;
__extension__ typedef __int128 i128;

// A mask of the low `count` bits; count is 0 to 64.
constexpr u64 low_mask(unsigned count) { return count >= 64 ? ~u64{0} : (u64{1} << count) - 1; }

// Bits [low, low + count) of `value`, moved down to bit 0. low + count is at most 64.
constexpr u64 bits(u64 value, unsigned low, unsigned count) { return (value >> low) & low_mask(count); }

constexpr bool bit(u64 value, unsigned index) { return (value >> index) & 1; }

// `value` with bits [low, low + count) replaced by the low bits of `field`.
constexpr u64 deposit(u64 value, unsigned low, unsigned count, u64 field) {
    const u64 mask = low_mask(count) << low;
    return (value & ~mask) | ((field << low) & mask);
}

// The low `count` bits of `value` (1 to 64) as a two's complement number.
constexpr i64 sign_extend(u64 value, unsigned count) { return static_cast<i64>(value << (64 - count)) >> (64 - count); }

constexpr bool is_power_of_two(u64 value) { return std::has_single_bit(value); }

// `value` rounded down or up to a multiple of `to`, a power of two. align_up wraps at 2^64.
constexpr u64 align_down(u64 value, u64 to) { return value & ~(to - 1); }
constexpr u64 align_up(u64 value, u64 to) { return align_down(value + to - 1, to); }

// True if [start, start + length) lies inside [0, size) without wrapping.
constexpr bool range_fits(u64 start, u64 length, u64 size) { return length <= size && start <= size - length; }

}  // namespace viv
