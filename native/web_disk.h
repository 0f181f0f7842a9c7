// Images behind URLs, as files and chunk stores that read from a Feed: published disks by their index and chunks,
// others by ranges of their file. Promises: chunks have their hash before they are given to anybody, or kept; a file
// that changes on its server while it is open gives errors; a server that gives no ranges is an error that says so,
// unless the file is small.
#pragma once

#include <memory>
#include <string>

#include "engine/block/catalog.h"
#include "native/feed.h"

namespace viv::native {

// Waits for the first part, or, of a published disk, for the whole index. `feed` may be shared.
Result<std::unique_ptr<host::File>> open_web_image(const std::string& url, std::shared_ptr<Feed> feed);
// The chunks beside the index at `url`. `cache`: the folder of this user's caches; empty: none are kept.
std::unique_ptr<state::ChunkStore> open_web_chunks(const std::string& url, std::shared_ptr<Feed> feed,
                                                   const std::string& cache);

}  // namespace viv::native
