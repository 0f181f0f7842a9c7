// A sparse VMDK file: the whole of an image (monolithicSparse, streamOptimized), or an extent of one.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "engine/block/catalog.h"

namespace viv::block::vmdk {

enum class Part : u8 { whole, extent };  // an extent has no descriptor of its own, or one that does not matter
Result<std::unique_ptr<Image>> open_sparse(std::unique_ptr<host::File> file, std::string name, Access access,
                                           Part part);
// Into an empty file; `descriptor` may be empty.
Result<void> create_sparse(host::File& file, u64 sectors, std::string_view descriptor);

}  // namespace viv::block::vmdk
