// The metadata core of a qcow2 image: where each byte of the disk is, and how that changes. It moves no data.
// Promises: the tables in the file are right at every moment but for clusters that are counted and used by nobody:
// counts are in the file before an entry that needs them, a cluster is free only when no entry in the file names it
// (site/decisions/0018-image-write-order.md). Nothing is on stable storage before flush(). Errors name the image.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/block/image.h"
#include "engine/block/qcow2/layout.h"
#include "engine/block/qcow2/refcounts.h"
#include "engine/block/qcow2/slices.h"
#include "engine/block/qcow2/snapshot_table.h"

namespace viv::block::qcow2 {

struct Mapping {
    enum class Kind : u8 { absent, zero, data, compressed } kind = Kind::absent;
    u64 length = 0;                  // bytes from the offset asked for, at least 1
    std::optional<u64> file_offset;  // data, and zeroes that have clusters waiting
    bool in_place = false;           // the clusters are this disk's alone: they may be written
    CompressedPlace compressed;      // of the whole cluster
};

class Tables {
public:
    // The files and the name outlive the tables. `data` is where data is: the file itself, or another.
    static Result<std::unique_ptr<Tables>> open(host::File& file, host::File& data, const std::string& name,
                                                Access access, ReadFor purpose);

    const Header& header() const { return header_; }
    const Geometry& geometry() const { return geometry_; }
    const std::vector<Snapshot>& snapshots() const { return snapshots_; }

    // What is at `offset` of the disk, below its size; the answer's length is at most `length`.
    Result<Mapping> map(u64 offset, u64 length);

    // How many clusters from this one on, at most `count`, have no place of their own where they could be written.
    Result<u64> homeless(u64 cluster, u64 count);
    struct Room {
        u64 file_offset = 0, count = 0;
        bool fresh = false;  // behind the end of the file: reads as zero
    };
    // 1 to `count` neighbouring clusters for the data of these, which nothing names yet.
    Result<Room> allocate(u64 cluster, u64 count);
    void give_back(const Room& room);  // what allocate() gave and nobody names
    // From now on these clusters of the disk are at that room; what they had before is given up.
    Result<void> link(u64 cluster, const Room& room);
    // They have their data where they already are, instead of zeroes.
    Result<void> unzero(u64 cluster, u64 count);

    // A place for so many bytes of a compressed cluster, and the entry for it.
    Result<u64> allocate_compressed(u64 bytes);
    Result<void> link_compressed(u64 cluster, u64 file_offset, u64 bytes);

    enum class Cleared : u8 { zero, absent };
    Result<void> clear(u64 cluster, u64 count, Cleared to);

    Result<void> flush();
    // flush(), and no marks are left that the image is in use.
    Result<void> close();

    Result<void> resize(u64 size, u64 l1_entries);
    Result<void> set_backing(const std::string& file, const std::string& format);
    Result<void> set_incompatible(u64 set, u64 cleared);
    // Reads show another L1 table: a snapshot's.
    Result<void> show(const Snapshot& snapshot);

    const std::vector<u64>& l1() const { return l1_; }
    Refcounts& refcounts() { return *refcounts_; }
    Result<std::vector<u64>> read_l1(u64 offset, u64 entries) const;

private:
    Tables(host::File& file, host::File& data, const std::string& name, Header header);

    Error fault(std::string_view what) const;
    Result<void> load(Access access, ReadFor purpose);
    u64 file_end(u64 wanted);           // asks the file only if what is known is less than wanted
    Result<u64> l2_table(u64 cluster);  // its offset, checked; 0: none
    Result<u64> writable_l2(u64 cluster);
    Result<u64> entry(u64 cluster);
    Result<Mapping> map_entry(u64 entry, u64 cluster) const;
    Result<Mapping> map_subclusters(const Mapping& whole, u64 bitmap, u64 inside, u64 length) const;
    Result<void> change(u64 cluster, u64 entry);
    void give_up(u64 entry);
    void give_up(Run run);
    Result<void> write_back();
    Result<void> barrier();
    Result<void> release_pending();
    Result<void> mark_in_use();
    Result<void> make_room();
    u64 table_index(u64 cluster) const { return cluster >> geometry_.l2_bits; }
    u64 entry_place(u64 table, u64 cluster) const {
        return table + (cluster & low_mask(geometry_.l2_bits)) * geometry_.l2_entry_bytes;
    }

    host::File& file_;
    host::File& data_;
    const std::string& name_;
    Header header_;
    Geometry geometry_;
    std::vector<u64> l1_;
    std::vector<u64> l1_dirty_;  // numbers of entries
    std::unique_ptr<SliceCache> l2_;
    std::unique_ptr<Refcounts> refcounts_;
    std::vector<Snapshot> snapshots_;
    std::vector<Run> pending_;  // given up, free when the tables in the file say so
    u64 pending_count_ = 0;
    u64 file_end_ = 0;
    u64 compressed_at_ = 0;  // where the next compressed cluster may start; 0: nowhere yet
    bool unstable_ = false;  // something was written since the last barrier
    bool lazy_ = false, marked_ = false;
};

}  // namespace viv::block::qcow2
