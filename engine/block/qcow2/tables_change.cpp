// What changes an image's tables, and the order in which that reaches the file. See tables.h.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "engine/block/qcow2/tables.h"
#include "engine/lang/bytes.h"

namespace viv::block::qcow2 {

namespace {

constexpr u64 most_pending = 4096;  // clusters

}  // namespace

Result<Tables::Room> Tables::allocate(u64 cluster, u64 count) {
    TRY(make_room());
    TRY(mark_in_use());
    if (geometry_.external) {
        const u64 place = cluster << geometry_.cluster_bits;
        return Room{place, count, place >= data_.size()};
    }
    TRY_SET(const Run run, refcounts_->allocate(count));
    Room room{run.first << geometry_.cluster_bits, run.count, false};
    if (room.file_offset + (run.count << geometry_.cluster_bits) > file_end_) {
        file_end_ = 0;
        room.fresh = room.file_offset >= file_end(1);
    }
    return room;
}

void Tables::give_back(const Room& room) {
    if (geometry_.external) return;
    // Nothing names them. If even this fails they are lost until the image is checked.
    for (u64 i = 0; i < room.count; i++)
        if (!refcounts_->decrease((room.file_offset >> geometry_.cluster_bits) + i).ok()) return;
}

Result<void> Tables::link(u64 cluster, const Room& room) {
    for (u64 i = 0; i < room.count; i++)
        TRY(change(cluster + i, (room.file_offset + (i << geometry_.cluster_bits)) | entry_copied));
    return {};
}

Result<void> Tables::unzero(u64 cluster, u64 count) {
    for (u64 i = 0; i < count; i++) {
        TRY_SET(const u64 table, writable_l2(cluster + i));
        TRY_SET(u8 * bytes, l2_->change(entry_place(table, cluster + i)));
        store_be<u64>(bytes, load_be<u64>(bytes) & ~entry_zero);
    }
    return {};
}

Result<u64> Tables::allocate_compressed(u64 bytes) {
    TRY(make_room());
    TRY(mark_in_use());
    const u64 inside = compressed_at_ % geometry_.cluster_size, left = geometry_.cluster_size - inside;
    if (compressed_at_ != 0 && inside != 0) {
        const u64 cluster = compressed_at_ >> geometry_.cluster_bits;
        TRY_SET(const u64 count, refcounts_->get(cluster));
        if (count < geometry_.refcount_max) {
            bool fits = left >= bytes;
            if (!fits) {
                TRY_SET(const Run next, refcounts_->allocate_at(cluster + 1, 1));
                fits = next.count == 1;
            }
            if (fits) {
                TRY(refcounts_->increase(cluster, 1));
                const u64 offset = compressed_at_;
                compressed_at_ += bytes;
                return offset;
            }
        }
    }
    TRY_SET(const Run run, refcounts_->allocate(1));
    const u64 offset = run.first << geometry_.cluster_bits;
    if (offset + bytes > largest_compressed_offset(geometry_.cluster_bits))
        return fault("has no room for more compressed clusters");
    compressed_at_ = offset + bytes;
    return offset;
}

Result<void> Tables::link_compressed(u64 cluster, u64 file_offset, u64 bytes) {
    return change(cluster, compressed_entry(file_offset, bytes, geometry_.cluster_bits));
}

Result<void> Tables::clear(u64 cluster, u64 count, Cleared to) {
    const u64 cleared = to == Cleared::zero ? entry_zero : 0;
    for (u64 i = 0; i < count; i++) {
        TRY_SET(const u64 table, l2_table(cluster + i));
        if (table == 0 && cleared == 0) {
            // Nothing is there as far as the table would reach.
            i += geometry_.l2_entries() - 1 - ((cluster + i) & low_mask(geometry_.l2_bits));
            continue;
        }
        TRY_SET(const u64 now, entry(cluster + i));
        if (now == cleared) continue;
        TRY(make_room());
        TRY(mark_in_use());
        TRY(change(cluster + i, cleared));
    }
    return {};
}

Result<void> Tables::change(u64 cluster, u64 entry) {
    TRY_SET(const u64 table, writable_l2(cluster));
    TRY_SET(u8 * bytes, l2_->change(entry_place(table, cluster)));
    const u64 old = load_be<u64>(bytes);
    store_be<u64>(bytes, entry);
    give_up(old);
    return {};
}

void Tables::give_up(u64 entry) {
    if (geometry_.external) return;
    if ((entry & entry_compressed) != 0) {
        const auto place = compressed_place(entry, geometry_.cluster_bits);
        const u64 first = place.offset >> geometry_.cluster_bits;
        const u64 last = (place.offset + place.bytes - 1) >> geometry_.cluster_bits;
        give_up(Run{first, last - first + 1});
    } else if ((entry & entry_offset) != 0) {
        give_up(Run{(entry & entry_offset) >> geometry_.cluster_bits, 1});
    }
}

void Tables::give_up(Run run) {
    pending_count_ += run.count;
    if (!pending_.empty() && pending_.back().first + pending_.back().count == run.first)
        pending_.back().count += run.count;
    else
        pending_.push_back(run);
}

Result<u64> Tables::writable_l2(u64 cluster) {
    const u64 index = table_index(cluster);
    TRY_SET(const u64 old, l2_table(cluster));
    if (old != 0 && (l1_[index] & entry_copied) != 0) return old;

    TRY_SET(const Run run, refcounts_->allocate(1));
    const u64 table = run.first << geometry_.cluster_bits;
    std::vector<u8> bytes(geometry_.cluster_size);
    // A shared table is never changed in the cache, so the file has all of it.
    if (old != 0) TRY(file_.read_at(old, bytes));
    l2_->forget(table, geometry_.cluster_size);
    TRY(file_.write_at(table, bytes));
    unstable_ = true;
    refcounts_->protect(run.first, 1);
    l1_[index] = table | entry_copied;
    l1_dirty_.push_back(index);
    if (old != 0) give_up(Run{old >> geometry_.cluster_bits, 1});
    return table;
}

// Clusters that were given up wait until the tables in the file do not name them; there should not be too many.
Result<void> Tables::make_room() {
    if (pending_count_ < most_pending && !l2_->strained() && !refcounts_->strained()) return {};
    if (refcounts_->strained()) {
        TRY(refcounts_->write());
        unstable_ = true;
    }
    return flush();
}

Result<void> Tables::mark_in_use() {
    if (!lazy_ || marked_) return {};
    TRY(set_incompatible(incompatible::dirty, 0));
    marked_ = true;
    return {};
}

Result<void> Tables::barrier() {
    if (!unstable_) return {};
    TRY(file_.flush());
    unstable_ = false;
    return {};
}

// 1. counts, which may be too high but never too low; 2. L2 tables, which name clusters that are counted; 3. L1
// entries, which name L2 tables that are whole. Each only after a barrier behind the one before.
Result<void> Tables::write_back() {
    if (!lazy_ && refcounts_->dirty()) {
        TRY(refcounts_->write());
        unstable_ = true;
    }
    if (l2_->dirty()) {
        TRY(barrier());
        TRY(l2_->write_dirty());
        unstable_ = true;
    }
    if (l1_dirty_.empty()) return {};
    TRY(barrier());
    std::sort(l1_dirty_.begin(), l1_dirty_.end());
    for (const u64 index : l1_dirty_) {
        std::array<u8, 8> bytes{};
        store_be<u64>(&bytes[0], l1_[index]);
        TRY(file_.write_at(header_.l1_offset + index * 8, bytes));
    }
    l1_dirty_.clear();
    unstable_ = true;
    return {};
}

Result<void> Tables::flush() {
    // Before an entry names it.
    if (geometry_.external) TRY(data_.flush());
    TRY(write_back());
    TRY(file_.flush());
    unstable_ = false;
    return release_pending();
}

// 4. what the tables on stable storage do not name any more is free.
Result<void> Tables::release_pending() {
    const auto runs = std::exchange(pending_, {});
    pending_count_ = 0;
    Run hole;
    const auto punch = [&] {
        if (hole.count != 0)
            file_.punch_hole(hole.first << geometry_.cluster_bits, hole.count << geometry_.cluster_bits);
        hole = {};
    };
    for (const auto& run : runs) {
        for (u64 cluster = run.first; cluster < run.first + run.count; cluster++) {
            if (auto freed = refcounts_->decrease(cluster); !freed.ok()) {
                TRY(set_incompatible(incompatible::corrupt, 0));
                return freed.error();
            }
            TRY_SET(const u64 left, refcounts_->get(cluster));
            if (left != 0) continue;
            refcounts_->unprotect(cluster, 1);
            l2_->forget(cluster << geometry_.cluster_bits, geometry_.cluster_size);
            if (compressed_at_ >> geometry_.cluster_bits == cluster) compressed_at_ = 0;
            if (hole.count != 0 && hole.first + hole.count == cluster) {
                hole.count++;
                continue;
            }
            punch();
            hole = {cluster, 1};
        }
    }
    punch();
    return {};
}

Result<void> Tables::close() {
    TRY(flush());
    // In a lazy image these are all counts since it was opened; in others those of clusters that became free.
    if (refcounts_->dirty()) TRY(refcounts_->write());
    if (!marked_) return {};
    TRY(file_.flush());
    TRY(set_incompatible(0, incompatible::dirty));
    marked_ = false;
    return {};
}

Result<void> Tables::set_incompatible(u64 set, u64 cleared) {
    if (header_.version < 3) return {};
    const u64 features = (header_.incompatible & ~cleared) | set;
    if (features == header_.incompatible) return {};
    std::array<u8, 8> bytes{};
    store_be<u64>(&bytes[0], features);
    TRY(file_.write_at(field::incompatible, bytes));
    TRY(file_.flush());
    header_.incompatible = features;
    return {};
}

// Behind resize() the entries of the disk's new end must be cleared by the caller, if it became smaller.
Result<void> Tables::resize(u64 size, u64 l1_entries) {
    TRY(flush());
    Header changed = header_;
    changed.size = size;
    std::optional<Run> old;
    if (l1_entries > l1_.size()) {
        if (l1_entries * 8 > most_l1_bytes)
            return fault(
                fmt::format("cannot hold a disk of {} bytes with clusters of {}", size, geometry_.cluster_size));
        TRY(mark_in_use());
        const u64 clusters = geometry_.clusters_of(l1_entries * 8);
        TRY_SET(const u64 first, refcounts_->allocate_exactly(clusters));
        std::vector<u8> bytes(clusters << geometry_.cluster_bits);
        for (usize i = 0; i < l1_.size(); i++) store_be<u64>(&bytes[i * 8], l1_[i]);
        TRY(file_.write_at(first << geometry_.cluster_bits, bytes));
        TRY(refcounts_->write());
        TRY(file_.flush());
        if (!l1_.empty()) old = Run{header_.l1_offset >> geometry_.cluster_bits, geometry_.clusters_of(l1_.size() * 8)};
        changed.l1_entries = static_cast<u32>(l1_entries);
        changed.l1_offset = first << geometry_.cluster_bits;
        refcounts_->protect(first, clusters);
    }
    changed.reftable_offset = refcounts_->table_offset();
    changed.reftable_clusters = refcounts_->table_clusters();
    std::array<u8, 512> sector{};
    TRY(read_padded(file_, 0, sector));
    patch_fields(sector, changed);
    TRY(file_.write_at(0, sector));
    header_ = std::move(changed);
    l1_.resize(header_.l1_entries);
    if (old) give_up(*old);
    return flush();
}

Result<void> Tables::set_backing(const std::string& file, const std::string& format) {
    TRY(flush());
    Header changed = header_;
    changed.backing_file = file;
    changed.backing_format = file.empty() ? std::string() : format;
    changed.reftable_offset = refcounts_->table_offset();
    changed.reftable_clusters = refcounts_->table_clusters();
    auto bytes = encode_header(changed);
    if (!bytes.ok()) return fault(bytes.error().message);
    // All in one write; old extensions behind the new end are not reached any more.
    TRY(file_.write_at(0, *bytes));
    header_ = std::move(changed);
    return file_.flush();
}

}  // namespace viv::block::qcow2
