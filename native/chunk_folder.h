// Folders of chunks that are called by the hash of their content, as web servers give them: what published machines and
// disks lie in, beside their indexes. Chunks: DIR/chunks/xx/HASH, xx being the first two digits of the hash.
// Promises: a chunk that is there already is not written again, so that all that is published in one folder shares what
// it has in common; an index appears when its chunks are on stable storage, and as a whole.
#pragma once

#include <memory>
#include <string>

#include "engine/state/file.h"
#include "native/user_files.h"

namespace viv::native {

inline constexpr u64 largest_index = u64{128} << 20;  // bytes
inline constexpr u64 first_part = 256 << 10;          // bytes of a file behind a URL: enough for most indexes

// Relative to the folder.
std::string chunk_path(const Hash128& hash);
// With its last slash; "" for a name without one.
std::string folder_part(const std::string& path);

// `folder`: with its last slash, or "".
std::unique_ptr<state::ChunkStore> chunks_in_folder(std::string folder);
std::unique_ptr<state::ChunkStore> chunks_behind_url(std::string folder);

struct Published {
    u64 chunks = 0, bytes = 0;          // of the machine or disk
    u64 new_chunks = 0, new_bytes = 0;  // of these, what was not there before
};

// Writes chunks and an index into a folder, which is made if it is missing.
class PublishedFolder {
public:
    // `index`: its name in the folder.
    static Result<std::unique_ptr<PublishedFolder>> open(const std::string& folder, const std::string& index);
    virtual ~PublishedFolder() = default;
    virtual state::ChunkSink& chunks() = 0;
    virtual ByteSink& index() = 0;
    virtual const Published& counts() const = 0;
};

// A file that others may read.
Result<void> write_public(const std::string& path, std::span<const u8> bytes, FileSink::Durable durable);

}  // namespace viv::native
