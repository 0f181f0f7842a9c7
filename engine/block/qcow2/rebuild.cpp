// See rebuild.h.
#include "engine/block/qcow2/rebuild.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "engine/block/image.h"
#include "engine/block/qcow2/refcounts.h"
#include "engine/block/qcow2/walk.h"
#include "engine/lang/bytes.h"

namespace viv::block::qcow2 {

namespace {

class Rebuild {
public:
    Rebuild(host::File& file, const std::string& name, const Header& header, NewState state, Placement placement)
        : file_(file),
          name_(name),
          old_(header),
          state_(std::move(state)),
          placement_(placement),
          geometry_(header),
          walk_(file, name, header),
          old_counts_(file, header, name) {}

    Result<void> run() {
        if (placement_ == Placement::in_gaps) TRY(old_counts_.load(ReadFor::use));
        next_ = placement_ == Placement::at_end ? walk_.file_end() >> geometry_.cluster_bits : 1;
        TRY(count_references());
        TRY(write_l2_tables());
        TRY(write_l1_table());
        TRY(write_snapshots());
        TRY(place_counts());
        TRY(write_counts());
        TRY(file_.flush());
        return switch_over();
    }

private:
    Error fault(std::string_view what) const { return Error{fmt::format("{}: {}", name_, what)}; }
    u64 offset_of(u64 cluster) const { return cluster << geometry_.cluster_bits; }

    Result<void> count_references() {
        TableSet tables;
        const u64 entries = std::max<u64>(state_.l1.size(), geometry_.l1_entries_for(state_.size));
        state_.l1.resize(entries);
        for (u64& entry : state_.l1)
            if (!walk_.good_table(entry)) entry = 0;
        tables.l1 = state_.l1;
        TRY(counts_.add(0, 1, 1));
        if (old_.encrypted())
            TRY(counts_.add(old_.luks_offset >> geometry_.cluster_bits, geometry_.clusters_of(old_.luks_bytes), 1));
        for (const auto& snapshot : state_.snapshots) {
            TRY_SET(auto l1, walk_.read_l1(snapshot.l1_offset, snapshot.l1_entries));
            TRY(counts_.add(snapshot.l1_offset >> geometry_.cluster_bits, geometry_.clusters_of(l1.size() * 8), 1));
            tables.snapshot_l1.push_back(std::move(l1));
        }
        return walk_.count(tables, counts_, nullptr);
    }

    Result<bool> is_free(u64 cluster) {
        if (counts_.get(cluster) != 0) return false;
        if (placement_ == Placement::at_end) return true;
        TRY_SET(const u64 old, old_counts_.get(cluster));
        return old == 0;
    }

    // Neighbouring clusters that neither state uses, counted in the new one.
    Result<u64> place(u64 clusters) {
        for (u64 first = next_, found = 0;;) {
            if (first + found >= largest_offset >> geometry_.cluster_bits)
                return fault("is larger than the format allows");
            TRY_SET(const bool free, is_free(first + found));
            if (!free) {
                first += found + 1;
                found = 0;
                continue;
            }
            if (++found < clusters) continue;
            TRY(counts_.add(first, clusters, 1));
            if (clusters == 1) next_ = first + 1;
            return offset_of(first);
        }
    }

    // A table whose flags have to change is written anew, and no table of a snapshot ever is.
    Result<void> write_l2_tables() {
        std::vector<u8> bytes;
        for (u64& l1_entry : state_.l1) {
            const u64 table = l1_entry & entry_offset;
            if (table == 0) continue;
            TRY(walk_.read_l2(table, bytes));
            bool changed = false;
            for (u64 at = 0; at < bytes.size(); at += geometry_.l2_entry_bytes) {
                const u64 entry = load_be<u64>(&bytes[at]);
                const u64 right = walk_.good_entry(entry) ? with_flag(entry) : 0;
                if (right == entry) continue;
                changed = true;
                store_be<u64>(&bytes[at], right);
                if (right == 0 && geometry_.l2_entry_bytes == 16) store_be<u64>(&bytes[at + 8], 0);
            }
            const u64 cluster = table >> geometry_.cluster_bits;
            if (!changed) {
                l1_entry = table | (counts_.get(cluster) == 1 ? entry_copied : 0);
                continue;
            }
            TRY_SET(const u64 placed, place(1));
            counts_.remove(cluster);
            TRY(file_.write_at(placed, bytes));
            l1_entry = placed | entry_copied;
        }
        return {};
    }

    u64 with_flag(u64 entry) const {
        if (geometry_.external) return geometry_.has_place(entry) ? entry | entry_copied : entry;
        if ((entry & entry_compressed) != 0) return entry & ~entry_copied;
        const u64 cluster = (entry & entry_offset) >> geometry_.cluster_bits;
        if (cluster == 0) return entry & ~entry_copied;
        return counts_.get(cluster) == 1 ? entry | entry_copied : entry & ~entry_copied;
    }

    Result<u64> write_table(std::span<const u8> bytes) {
        if (bytes.empty()) return u64{0};
        TRY_SET(const u64 offset, place(geometry_.clusters_of(bytes.size())));
        TRY(file_.write_at(offset, bytes));
        return offset;
    }

    Result<void> write_l1_table() {
        std::vector<u8> bytes(state_.l1.size() * 8);
        for (usize i = 0; i < state_.l1.size(); i++) store_be<u64>(&bytes[i * 8], state_.l1[i]);
        TRY_SET(l1_offset_, write_table(bytes));
        return {};
    }

    Result<void> write_snapshots() {
        auto bytes = encode_snapshots(state_.snapshots);
        if (!bytes.ok()) return fault(bytes.error().message);
        TRY_SET(snapshots_offset_, write_table(*bytes));
        return {};
    }

    // The blocks count themselves and the table, so that placing one may ask for another.
    Result<void> place_counts() {
        while (true) {
            std::set<u64> wanted;
            for (const auto& [number, part] : counts_.chunks()) {
                const u64 first = number * ReferenceCounts::chunk, end = first + ReferenceCounts::chunk;
                for (u64 block = first >> geometry_.block_bits; block << geometry_.block_bits < end; block++) {
                    if (blocks_.contains(block) || wanted.contains(block)) continue;
                    if (counts_.any(block << geometry_.block_bits, geometry_.block_entries())) wanted.insert(block);
                }
            }
            for (const u64 block : wanted) {
                TRY_SET(const u64 offset, place(1));
                blocks_.emplace(block, offset);
            }
            const u64 entries = blocks_.rbegin()->first + 1;
            const u64 clusters = geometry_.clusters_of(entries * 8);
            if (clusters > reftable_clusters_) {
                for (u64 i = 0; i < reftable_clusters_; i++)
                    counts_.remove((reftable_offset_ >> geometry_.cluster_bits) + i);
                TRY_SET(reftable_offset_, place(clusters));
                reftable_clusters_ = clusters;
            } else if (wanted.empty()) {
                break;
            }
        }
        if (offset_of(reftable_clusters_) > most_reftable_bytes)
            return fault("is larger than its table of reference counts may count; use larger clusters");
        return {};
    }

    Result<void> write_counts() {
        std::vector<u8> table(offset_of(reftable_clusters_)), block(geometry_.cluster_size);
        for (const auto& [number, offset] : blocks_) {
            store_be<u64>(&table[number * 8], offset);
            for (u64 i = 0; i < geometry_.block_entries(); i++) {
                const u64 count = counts_.get((number << geometry_.block_bits) + i);
                if (count > geometry_.refcount_max)
                    return fault(
                        fmt::format("cannot count more than {} references to a cluster", geometry_.refcount_max));
                Refcounts::set_count_in(block.data(), i, geometry_.refcount_bits, count);
            }
            TRY(file_.write_at(offset, block));
        }
        return file_.write_at(reftable_offset_, table);
    }

    Result<void> switch_over() {
        Header header = old_;
        header.size = state_.size;
        header.l1_entries = static_cast<u32>(state_.l1.size());
        header.l1_offset = l1_offset_;
        header.reftable_offset = reftable_offset_;
        header.reftable_clusters = static_cast<u32>(reftable_clusters_);
        header.snapshot_count = static_cast<u32>(state_.snapshots.size());
        header.snapshots_offset = snapshots_offset_;
        header.autoclear = header.autoclear_kept();
        if (placement_ == Placement::at_end) header.incompatible &= ~(incompatible::dirty | incompatible::corrupt);
        std::array<u8, 512> sector{};
        TRY(read_padded(file_, 0, sector));
        patch_fields(sector, header);
        TRY(file_.write_at(0, sector));
        return file_.flush();
    }

    host::File& file_;
    const std::string& name_;
    const Header& old_;
    NewState state_;
    Placement placement_;
    Geometry geometry_;
    Walk walk_;
    Refcounts old_counts_;
    ReferenceCounts counts_;  // of the new state
    u64 next_ = 1;
    u64 l1_offset_ = 0, snapshots_offset_ = 0, reftable_offset_ = 0, reftable_clusters_ = 0;
    std::map<u64, u64> blocks_;  // offsets by number
};

}  // namespace

Result<void> rebuild(host::File& file, const std::string& name, const Header& header, NewState state,
                     Placement placement) {
    if (state.l1.size() * 8 > most_l1_bytes) return Error{fmt::format("{}: has too large an L1 table", name)};
    return Rebuild(file, name, header, std::move(state), placement).run();
}

}  // namespace viv::block::qcow2
