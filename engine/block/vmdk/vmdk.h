// VMware's images: monolithicSparse, monolithicFlat and twoGbMaxExtentSparse and -Flat read and written,
// streamOptimized read.
// Promises: descriptors and the tables of grains are inside their files and bounded by them; extents are files of the
// image's own folder, none of them twice and none the descriptor; a process that is killed leaves grains that nobody
// uses, at worst. Specification: VMware's Virtual Disk Format 5.0.
#pragma once

#include "engine/block/catalog.h"
#include "engine/block/image.h"

namespace viv::block::vmdk {

Result<std::unique_ptr<Image>> open(std::unique_ptr<host::File> file, OpenContext context);
Result<void> create(host::File& file, const CreateOptions& options);

}  // namespace viv::block::vmdk
