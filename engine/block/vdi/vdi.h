// VirtualBox's images (VDI 1.1), dynamic and static.
// Promises: the map of blocks is inside the file and in memory, as large as the file says it is and no larger; a
// process that is killed leaves blocks that nobody uses, at worst, and a count of blocks in the header that is too
// high.
#pragma once

#include "engine/block/catalog.h"
#include "engine/block/image.h"

namespace viv::block::vdi {

Result<std::unique_ptr<Image>> open(std::unique_ptr<host::File> file, OpenContext context);
Result<void> create(host::File& file, const CreateOptions& options);

}  // namespace viv::block::vdi
