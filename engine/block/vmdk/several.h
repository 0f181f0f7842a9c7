// A VMDK image of several files: a text that names the extents of the disk, sparse ones and flat ones.
#pragma once

#include <memory>
#include <vector>

#include "engine/block/catalog.h"
#include "engine/block/vmdk/descriptor.h"

namespace viv::block::vmdk {

Result<std::unique_ptr<Image>> open_several(std::unique_ptr<host::File> file, const OpenContext& context);

}  // namespace viv::block::vmdk
