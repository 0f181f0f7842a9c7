// A cache of pieces of an image's tables, as they are in the file (big-endian).
// Promises: memory is bounded by the limit given; what is changed stays here until write_dirty(), which the owner of
// the cache calls in the order that 0018-image-write-order asks for; a clean slice may be forgotten by any get().
#pragma once

#include <list>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/host/file.h"
#include "engine/lang/bits.h"
#include "engine/lang/result.h"

namespace viv::block::qcow2 {

class SliceCache {
public:
    static constexpr u64 largest_slice = 4096;

    // `limit`: bytes, for at least a few slices.
    SliceCache(host::File& file, u64 cluster_size, u64 limit)
        : file_(file),
          slice_size_(cluster_size < largest_slice ? cluster_size : largest_slice),
          most_(limit / slice_size_) {}

    u64 slice_size() const { return slice_size_; }

    // The slice that holds the byte at `offset` of the file. Valid until the next call.
    Result<u8*> get(u64 offset) {
        TRY_SET(Slice * slice, find(align_down(offset, slice_size_)));
        return slice->bytes.data() + offset % slice_size_;
    }
    // The same, to be changed.
    Result<u8*> change(u64 offset);

    // In the order of the file.
    Result<void> write_dirty();
    bool dirty() const { return !dirty_.empty(); }
    // So full of changes that the owner should write them soon.
    bool strained() const { return dirty_.size() >= most_ / 2; }
    // What was there is worth nothing any more, changed or not.
    void forget(u64 offset, u64 length);
    void forget_all();

private:
    struct Slice {
        u64 offset = 0;
        std::vector<u8> bytes;
        bool dirty = false;
    };
    using Slices = std::list<Slice>;

    Result<Slice*> find(u64 offset);

    host::File& file_;
    u64 slice_size_;
    usize most_;
    Slices clean_, dirty_;  // the most recently used first
    std::unordered_map<u64, Slices::iterator> by_offset_;
};

}  // namespace viv::block::qcow2
