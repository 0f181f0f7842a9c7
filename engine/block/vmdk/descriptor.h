// The text that describes a VMDK image: what kind it is and which files it is in.
// Promises: what is read is bounded; names of extents are as they stand there, any text without a line's end.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/lang/bits.h"
#include "engine/lang/result.h"

namespace viv::block::vmdk {

inline constexpr u64 sector = 512;
inline constexpr u64 most_descriptor = 64 << 10;   // bytes
inline constexpr u64 most_sectors = u64{1} << 47;  // of a disk
inline constexpr usize most_extents = 1024;

struct ExtentLine {
    enum class Use : u8 { read_write, read_only } use = Use::read_write;
    enum class Kind : u8 { sparse, flat, zero } kind = Kind::sparse;
    u64 sectors = 0;
    std::string file;  // empty for zero
    u64 offset = 0;    // sectors, of a flat one in its file
};

struct Descriptor {
    std::string create_type;  // printable, at most 64 letters
    bool has_parent = false;
};

// Of any text. Errors do not name the image.
Descriptor read_descriptor(std::string_view text);
Result<std::vector<ExtentLine>> read_extents(std::string_view text);
std::string make_descriptor(u32 id, std::string_view create_type, const std::vector<ExtentLine>& extents);

}  // namespace viv::block::vmdk
