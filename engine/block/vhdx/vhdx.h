// Hyper-V's newer images (VHDX), fixed and dynamic.
// Promises: regions are inside the file and apart; the table of blocks takes at most 128 MiB of memory, a log to be
// carried out 200 MiB; blocks that lie over each other or over the tables are never written to; whatever ends, process
// or power, leaves what was flushed, a log that brings the table to where it was, and at worst space at the end that
// the next blocks take. An image that is opened for reading only is not changed: its log is carried out in memory.
// Specification: Microsoft's MS-VHDX.
#pragma once

#include "engine/block/catalog.h"
#include "engine/block/image.h"

namespace viv::block::vhdx {

Result<std::unique_ptr<Image>> open(std::unique_ptr<host::File> file, OpenContext context);
Result<void> create(host::File& file, const CreateOptions& options);

}  // namespace viv::block::vhdx
