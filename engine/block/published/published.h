// Disks in chunks that are known by their content (`viv-img publish`): what any web server can give, piece by piece.
// Promises: only bytes whose XXH3-128 fits are seen; every size is checked before it is used, and the index is bounded
// as engine/state/file.h has it (64 MiB); zeroes are not stored, and equal chunks of all disks in one folder once; such
// an image is never written.
// The index is a file of engine/state/file.h whose content is a disk, with its chunks outside: DIR/chunks/xx/HASH, xx
// being the first two digits of the hash. Its table, little endian: u32 version (1), u32 bytes of a chunk before
// compression (a power of two from 4 KiB to 1 MiB), u64 bytes of the disk (a multiple of 512, not 0), then for each
// chunk of the disk, in its order, u32: 0 for zeroes, else the chunk's number in the directory and one. The disk's last
// chunk may be shorter than the others.
#pragma once

#include <functional>

#include "engine/block/catalog.h"
#include "engine/state/file.h"

namespace viv::block::published {

Result<std::unique_ptr<Image>> open(std::unique_ptr<host::File> file, OpenContext context);

inline constexpr u32 least_chunk = 4 << 10, usual_chunk = 64 << 10, most_chunk = 1 << 20;

// What a disk of this size is cut into if nobody says: more where the index would become too large otherwise.
u32 chunk_size_for(u64 disk_size);
// Writes what the image's whole chain shows to `to`, which has been begun, is for a disk and has its chunks outside,
// and finishes that. `progress` is told of bytes of the disk; false: stop, which is an error.
Result<void> write(Image& image, state::FileWriter& to, u32 chunk_size,
                   const std::function<bool(u64 done, u64 all)>& progress);

}  // namespace viv::block::published
