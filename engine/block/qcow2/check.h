// Checking an image's reference counts and flags against what its tables name, and mending them.
// Promises: only Repair::leaks and Repair::everything write; a repair that is interrupted leaves the image as it was,
// or mended. It works on the file alone: nothing of it may be in a cache.
#pragma once

#include <string>

#include "engine/block/image.h"
#include "engine/block/qcow2/layout.h"

namespace viv::block::qcow2 {

Result<CheckReport> check_image(host::File& file, const std::string& name, Repair repair);

}  // namespace viv::block::qcow2
