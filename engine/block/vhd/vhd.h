// Virtual PC's and Hyper-V's older images (VHD), fixed and dynamic.
// Promises: the table of blocks is inside the file, at most 64 MiB and in memory; blocks that lie over each other or
// over the tables are never written to; whatever ends, process or power, leaves what was flushed, a table that names
// only whole blocks, and at worst space at the end that nobody uses. Specification: Microsoft's Virtual Hard Disk
// Image Format Specification 1.0.
#pragma once

#include "engine/block/catalog.h"
#include "engine/block/image.h"

namespace viv::block::vhd {

// A fixed image has its footer behind the disk only: the last 512 bytes say that a file is one.
bool is_fixed(std::span<const u8, 512> tail);

Result<std::unique_ptr<Image>> open(std::unique_ptr<host::File> file, OpenContext context);
Result<void> create(host::File& file, const CreateOptions& options);

}  // namespace viv::block::vhd
