// Counting every reference that an image's tables make, for checking them and for writing them anew.
// Promises: memory is bounded; each table is read once, however many others name it; what an entry cannot mean is told
// to the caller and not counted.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/block/qcow2/layout.h"
#include "engine/block/qcow2/snapshot_table.h"

namespace viv::block::qcow2 {

// References by cluster, sparse.
class ReferenceCounts {
public:
    static constexpr u64 chunk = 1024;
    static constexpr usize most_chunks = 256 << 10;  // 1 GiB

    Result<void> add(u64 first, u64 clusters, u32 references);
    void remove(u64 cluster);
    u64 get(u64 cluster) const;
    u64 end() const;  // behind the last cluster with references
    bool any(u64 first, u64 clusters) const;
    // Chunks with references, by their number, in order.
    const std::map<u64, std::unique_ptr<std::array<u32, chunk>>>& chunks() const { return chunks_; }

private:
    std::map<u64, std::unique_ptr<std::array<u32, chunk>>> chunks_;
};

// The tables that a state of an image consists of.
struct TableSet {
    std::vector<u64> l1;                        // of the disk itself
    std::vector<std::vector<u64>> snapshot_l1;  // of each snapshot
};

struct WalkStatistics {
    u64 allocated = 0, compressed = 0, fragmented = 0;  // clusters of the disk itself
};

class Walk {
public:
    Walk(host::File& file, const std::string& name, const Header& header)
        : file_(file), name_(name), geometry_(header), file_end_(align_up(file.size(), geometry_.cluster_size)) {}

    // Called for entries that cannot be.
    std::function<void(std::string)> bad_entry = [](std::string) {};

    // Counts L2 tables and data, not the L1 tables themselves.
    Result<void> count(const TableSet& tables, ReferenceCounts& counts, WalkStatistics* statistics);
    Result<std::vector<u64>> read_l1(u64 offset, u64 entries);
    Result<void> read_l2(u64 table, std::vector<u8>& bytes);
    bool good_table(u64 l1_entry) const;  // names an L2 table inside the file
    bool good_entry(u64 l2_entry) const;  // names data inside the file, or none
    const Geometry& geometry() const { return geometry_; }
    u64 file_end() const { return file_end_; }

private:
    Result<void> count_table(u64 table, u32 references, bool of_disk, ReferenceCounts& counts,
                             WalkStatistics* statistics);

    host::File& file_;
    const std::string& name_;
    Geometry geometry_;
    u64 file_end_;
    u64 next_contiguous_ = 0;
};

// Clusters that persistent bitmaps use; an error if their directory cannot be read.
Result<void> count_bitmaps(host::File& file, const std::string& name, const Header& header, ReferenceCounts& counts);

}  // namespace viv::block::qcow2
