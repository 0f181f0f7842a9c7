// Encrypted raw images (LUKS version 1), read and written.
// Promises: what is written into the file behind the header is encrypted; memory for a request is bounded; a wrong
// passphrase, and a header whose keys would take too long to derive, is an error. A guest may encrypt a raw disk in the
// same way by itself: such an image is opened when its format is said, and never by its content.
#pragma once

#include "engine/block/catalog.h"

namespace viv::block::luks {

Result<std::unique_ptr<Image>> open(std::unique_ptr<host::File> file, OpenContext context);
// Nothing is written behind the header: what the disk holds is anything.
Result<void> create(host::File& file, const CreateOptions& options);

}  // namespace viv::block::luks
