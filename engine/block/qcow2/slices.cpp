// See slices.h.
#include "engine/block/qcow2/slices.h"

#include <algorithm>

#include "engine/block/image.h"

namespace viv::block::qcow2 {

Result<SliceCache::Slice*> SliceCache::find(u64 offset) {
    if (const auto found = by_offset_.find(offset); found != by_offset_.end()) {
        auto& list = found->second->dirty ? dirty_ : clean_;
        list.splice(list.begin(), list, found->second);
        return &*found->second;
    }
    // The memory of one that goes serves the one that comes.
    if (by_offset_.size() >= most_ && !clean_.empty()) {
        by_offset_.erase(clean_.back().offset);
        clean_.splice(clean_.begin(), clean_, std::prev(clean_.end()));
    } else {
        clean_.emplace_front();
        clean_.front().bytes.resize(slice_size_);
    }
    Slice& slice = clean_.front();
    slice.offset = offset;
    if (auto read = read_padded(file_, offset, slice.bytes); !read.ok()) {
        clean_.pop_front();
        return read.error();
    }
    by_offset_.emplace(offset, clean_.begin());
    return &slice;
}

Result<u8*> SliceCache::change(u64 offset) {
    TRY_SET(Slice * slice, find(align_down(offset, slice_size_)));
    if (!slice->dirty) {
        slice->dirty = true;
        dirty_.splice(dirty_.begin(), clean_, by_offset_.at(slice->offset));
    }
    return slice->bytes.data() + offset % slice_size_;
}

Result<void> SliceCache::write_dirty() {
    std::vector<Slice*> slices;
    slices.reserve(dirty_.size());
    for (auto& slice : dirty_) slices.push_back(&slice);
    std::sort(slices.begin(), slices.end(), [](const Slice* a, const Slice* b) { return a->offset < b->offset; });
    for (Slice* slice : slices) {
        TRY(file_.write_at(slice->offset, slice->bytes));
        slice->dirty = false;
        clean_.splice(clean_.begin(), dirty_, by_offset_.at(slice->offset));
    }
    return {};
}

void SliceCache::forget(u64 offset, u64 length) {
    for (u64 at = align_down(offset, slice_size_); at < offset + length; at += slice_size_) {
        const auto found = by_offset_.find(at);
        if (found == by_offset_.end()) continue;
        (found->second->dirty ? dirty_ : clean_).erase(found->second);
        by_offset_.erase(found);
    }
}

void SliceCache::forget_all() {
    clean_.clear();
    dirty_.clear();
    by_offset_.clear();
}

}  // namespace viv::block::qcow2
