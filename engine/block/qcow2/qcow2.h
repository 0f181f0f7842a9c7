// QEMU's copy-on-write images, versions 2 and 3 (QEMU's docs/interop/qcow2.txt).
// Promises: every number of the file is checked before it is used; features that are not known are refused by name; a
// process that is killed at any moment leaves an image whose tables are right but for clusters that nobody uses
// (site/decisions/0018-image-write-order.md).
#pragma once

#include "engine/block/catalog.h"
#include "engine/block/image.h"

namespace viv::block::qcow2 {

Result<std::unique_ptr<Image>> open(std::unique_ptr<host::File> file, OpenContext context);
Result<void> create(host::File& file, const CreateOptions& options);

}  // namespace viv::block::qcow2
