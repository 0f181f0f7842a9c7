// The footer of a VHD image, 512 bytes, big-endian: what kind it is and how large its disk. A dynamic image has it at
// both ends, a fixed one behind the disk.
#pragma once

#include <array>
#include <optional>
#include <span>

#include "engine/lang/bits.h"

namespace viv::block::vhd {

inline constexpr u64 sector = 512;
inline constexpr u64 most_bytes = u64{2040} << 30;  // of a disk
inline constexpr u32 fixed_type = 2, dynamic_type = 3, differencing_type = 4;
inline constexpr u32 version_1 = 0x00010000;
inline constexpr u64 no_offset = ~u64{0};

using FooterBytes = std::array<u8, sector>;

struct Footer {
    u32 type = 0, version = 0;
    u64 header = no_offset;  // bytes: where a dynamic image's header is
    u64 disk_size = 0;  // bytes, a multiple of 512; by the geometry where the program that made the image counts so
};

// None unless the mark and the checksum are right. A guest's data can look like a footer, too.
std::optional<Footer> read_footer(std::span<const u8, sector> bytes);
FooterBytes make_footer(u32 type, u64 header, u64 disk_size, std::span<const u8, 16> unique);

// The complement of the sum of all bytes but those of the sum itself, which are at `place`.
u32 checksum(std::span<const u8> bytes, usize place);

}  // namespace viv::block::vhd
