// The reference counts of an image's clusters, and the allocation of clusters.
// Promises: what is allocated was free and lies on no table that is known; counts change in memory only, until write()
// puts the blocks, then the table, into the file; the table grows when it must. Errors name the image.
#pragma once

#include <string>
#include <unordered_set>
#include <vector>

#include "engine/block/qcow2/layout.h"
#include "engine/block/qcow2/slices.h"

namespace viv::block::qcow2 {

struct Run {
    u64 first = 0, count = 0;  // clusters
};

class Refcounts {
public:
    Refcounts(host::File& file, const Header& header, const std::string& name);

    // For repair nothing is protected, and doubled tables do not matter.
    Result<void> load(ReadFor purpose);
    Result<u64> get(u64 cluster);
    Result<void> set(u64 cluster, u64 count);
    Result<void> increase(u64 cluster, u64 count);
    Result<void> decrease(u64 cluster);

    // 1 to `count` neighbouring clusters, each with one reference from now on.
    Result<Run> allocate(u64 count);
    Result<u64> allocate_exactly(u64 count);  // neighbours all; the first of them
    // Like allocate(), if `cluster` itself is free; otherwise an empty run.
    Result<Run> allocate_at(u64 cluster, u64 count);
    // Clusters that allocate() would hand out are searched from here on.
    void search_from(u64 cluster) { hint_ = cluster < hint_ ? cluster : hint_; }

    // Tables that no cluster may be allocated on, whatever the counts say.
    void protect(u64 first, u64 count);
    void unprotect(u64 first, u64 count);
    bool on_table(u64 first, u64 count) const;

    bool dirty() const { return blocks_.dirty() || table_dirty_; }
    bool strained() const { return blocks_.strained(); }
    // Blocks, then the table's entries for new ones.
    Result<void> write();

    const std::vector<u64>& table() const { return table_; }
    u64 table_offset() const { return table_offset_; }
    u32 table_clusters() const { return table_clusters_; }
    // Offset of a block from the table's entry, checked. 0: none.
    Result<u64> block_at(u64 index) const;
    // A count inside a block's bytes.
    static u64 count_in(const u8* block, u64 index, unsigned refcount_bits);
    static void set_count_in(u8* block, u64 index, unsigned refcount_bits, u64 count);

private:
    Error fault(std::string_view what) const;
    Result<u64> block_for(u64 cluster);  // makes it if it is missing; the block may take `cluster` for itself
    Result<void> grow_table(u64 cluster);
    Result<bool> is_free(u64 cluster);

    host::File& file_;
    const std::string& name_;
    Geometry geometry_;
    SliceCache blocks_;
    std::vector<u64> table_;
    u64 table_offset_;
    u32 table_clusters_;
    bool table_dirty_ = false;
    u64 hint_ = 0;
    std::unordered_set<u64> protected_;
};

}  // namespace viv::block::qcow2
