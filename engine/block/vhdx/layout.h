// What lies where in a VHDX image, little-endian: two headers, two tables of regions, a log, a table of metadata, a
// table of blocks. Specification: Microsoft's Virtual Hard Disk v2 (VHDX) File Format, MS-VHDX.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/host/file.h"
#include "engine/lang/bits.h"
#include "engine/lang/result.h"

namespace viv::block::vhdx {

inline constexpr u64 page = 4096;     // what the log is made of
inline constexpr u64 unit = 1 << 20;  // what regions and blocks are made of
inline constexpr u64 region_table_bytes = 64 << 10;
inline constexpr std::array<u64, 2> header_places = {64 << 10, 128 << 10}, region_places = {192 << 10, 256 << 10};
inline constexpr u64 most_bytes = u64{64} << 40;  // of a disk
inline constexpr u64 least_block = unit, most_block = 256 << 20;
inline constexpr u64 most_entries = 1 << 24;  // of a table of blocks, as it is in memory

using Guid = std::array<u8, 16>;
inline constexpr Guid no_guid{};
std::string guid_text(const Guid& guid);

// CRC-32C of bytes whose own four at `place` count as zero.
u32 checksum(std::span<const u8> bytes, usize place);

struct Header {
    u64 sequence = 0;
    Guid file_write = no_guid, data_write = no_guid;
    Guid log = no_guid;  // none: the log is empty
    u16 log_version = 0, version = 1;
    u64 log_length = 0, log_offset = 0;  // bytes
};
using HeaderBytes = std::array<u8, page>;
// None unless the mark and the checksum are right.
std::optional<Header> read_header(const HeaderBytes& bytes);
HeaderBytes make_header(const Header& header);

struct Range {
    u64 start = 0, length = 0;
    std::string what;
    u64 end() const { return start + length; }
};

struct Regions {
    Range blocks, metadata;
    std::vector<Range> others;
};
// The error is the end of a sentence that names the image.
bool region_table_good(std::span<const u8> table);
Result<Regions> read_regions(std::span<const u8> table);
std::vector<u8> make_regions(const Range& blocks, const Range& metadata);

struct Metadata {
    u64 block = 0, disk_size = 0;  // bytes
    u64 logical_sector = 0;
    bool keeps_blocks = false;  // a fixed image
    u64 blocks() const { return (disk_size + block - 1) / block; }
    // Behind so many blocks the table has an entry of another kind.
    u64 chunk() const { return (u64{1} << 23) * logical_sector / block; }
    u64 entry_of(u64 number) const { return number + number / chunk(); }
    u64 entries() const { return blocks() == 0 ? 0 : entry_of(blocks() - 1) + 1; }
};
Result<Metadata> read_metadata(host::File& file, const Range& region);
std::vector<u8> make_metadata(const Metadata& metadata, const Guid& disk_id);

// Entries of the table of blocks: a state, and a place if the block is there.
inline constexpr u64 zero_state = 2, full_state = 6;
constexpr u64 state_of(u64 entry) { return entry & 7; }
constexpr bool is_there(u64 entry) { return state_of(entry) == full_state; }
constexpr u64 place_of(u64 entry) { return align_down(entry, unit); }  // bytes

}  // namespace viv::block::vhdx
