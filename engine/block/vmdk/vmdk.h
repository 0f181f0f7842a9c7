// VMware's images in one file: monolithicSparse read and written, streamOptimized read.
// Promises: the grain directory and its tables are inside the file and bounded by it; a process that is killed leaves
// grains that nobody uses, at worst. Specification: VMware's Virtual Disk Format 5.0, hosted sparse extents.
#pragma once

#include "engine/block/catalog.h"
#include "engine/block/image.h"

namespace viv::block::vmdk {

Result<std::unique_ptr<Image>> open(std::unique_ptr<host::File> file, OpenContext context);
Result<void> create(host::File& file, const CreateOptions& options);

}  // namespace viv::block::vmdk
