// See refcounts.h.
#include "engine/block/qcow2/refcounts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "engine/block/image.h"
#include "engine/lang/bytes.h"

namespace viv::block::qcow2 {

namespace {

constexpr u64 cache_bytes = 4 << 20;

}  // namespace

Refcounts::Refcounts(host::File& file, const Header& header, const std::string& name)
    : file_(file),
      name_(name),
      geometry_(header),
      blocks_(file, geometry_.cluster_size, cache_bytes),
      table_offset_(header.reftable_offset),
      table_clusters_(header.reftable_clusters) {}

Error Refcounts::fault(std::string_view what) const { return Error{fmt::format("{}: {}", name_, what)}; }

Result<void> Refcounts::load(ReadFor purpose) {
    std::vector<u8> bytes(u64{table_clusters_} << geometry_.cluster_bits);
    TRY(read_padded(file_, table_offset_, bytes));
    table_.resize(bytes.size() / 8);
    for (usize i = 0; i < table_.size(); i++) table_[i] = load_be<u64>(&bytes[i * 8]) & reftable_offset_mask;
    blocks_.forget_all();
    table_dirty_ = false;
    hint_ = 0;
    protected_.clear();
    if (purpose == ReadFor::repair) return {};
    protect(0, 1);
    protect(table_offset_ >> geometry_.cluster_bits, table_clusters_);
    for (const u64 block : table_) {
        if (block == 0) continue;
        const u64 cluster = block >> geometry_.cluster_bits;
        if (protected_.contains(cluster))
            return fault(fmt::format("has two tables in cluster {}; viv-img check -r all mends that", cluster));
        protect(cluster, 1);
    }
    return {};
}

void Refcounts::protect(u64 first, u64 count) {
    for (u64 i = 0; i < count; i++) protected_.insert(first + i);
}
void Refcounts::unprotect(u64 first, u64 count) {
    for (u64 i = 0; i < count; i++) protected_.erase(first + i);
}

bool Refcounts::on_table(u64 first, u64 count) const {
    for (u64 i = 0; i < count; i++)
        if (protected_.contains(first + i)) return true;
    return false;
}

u64 Refcounts::count_in(const u8* block, u64 index, unsigned refcount_bits) {
    switch (refcount_bits) {
        case 8: return block[index];
        case 16: return load_be<u16>(block + index * 2);
        case 32: return load_be<u32>(block + index * 4);
        case 64: return load_be<u64>(block + index * 8);
        default: break;
    }
    const u64 at = index * refcount_bits;
    return bits(block[at / 8], static_cast<unsigned>(at % 8), refcount_bits);
}

void Refcounts::set_count_in(u8* block, u64 index, unsigned refcount_bits, u64 count) {
    switch (refcount_bits) {
        case 8: block[index] = static_cast<u8>(count); return;
        case 16: store_be<u16>(block + index * 2, static_cast<u16>(count)); return;
        case 32: store_be<u32>(block + index * 4, static_cast<u32>(count)); return;
        case 64: store_be<u64>(block + index * 8, count); return;
        default: break;
    }
    const u64 at = index * refcount_bits;
    block[at / 8] = static_cast<u8>(deposit(block[at / 8], static_cast<unsigned>(at % 8), refcount_bits, count));
}

Result<u64> Refcounts::block_at(u64 index) const {
    const u64 block = index < table_.size() ? table_[index] : 0;
    if (block % geometry_.cluster_size != 0 || block >= largest_offset)
        return fault(
            fmt::format("has a block of reference counts at {:#x}, which cannot be; viv-img check -r all "
                        "mends that",
                        block));
    return block;
}

Result<u64> Refcounts::get(u64 cluster) {
    TRY_SET(const u64 block, block_at(cluster >> geometry_.block_bits));
    if (block == 0) return u64{0};
    const u64 index = cluster & low_mask(geometry_.block_bits);
    const u64 at = align_down(index * geometry_.refcount_bits / 8, blocks_.slice_size());
    TRY_SET(const u8* slice, blocks_.get(block + at));
    return count_in(slice, index - at * 8 / geometry_.refcount_bits, geometry_.refcount_bits);
}

Result<u64> Refcounts::block_for(u64 cluster) {
    const u64 number = cluster >> geometry_.block_bits;
    if (number >= table_.size()) TRY(grow_table(cluster));
    TRY_SET(const u64 known, block_at(number));
    if (known != 0) return known;
    // The block counts itself: nothing else in its reach is in use.
    const u64 block = cluster << geometry_.cluster_bits;
    if (block >= largest_offset) return fault("is larger than the format allows");
    blocks_.forget(block, geometry_.cluster_size);
    const std::vector<u8> zeroes(geometry_.cluster_size);
    TRY(file_.write_at(block, zeroes));
    table_[number] = block;
    table_dirty_ = true;
    protect(cluster, 1);
    TRY(set(cluster, 1));
    return block;
}

Result<void> Refcounts::set(u64 cluster, u64 count) {
    TRY_SET(const u64 block, block_for(cluster));
    const u64 index = cluster & low_mask(geometry_.block_bits);
    const u64 at = align_down(index * geometry_.refcount_bits / 8, blocks_.slice_size());
    TRY_SET(u8 * slice, blocks_.change(block + at));
    set_count_in(slice, index - at * 8 / geometry_.refcount_bits, geometry_.refcount_bits, count);
    return {};
}

Result<void> Refcounts::increase(u64 cluster, u64 count) {
    TRY_SET(const u64 now, get(cluster));
    if (count > geometry_.refcount_max - now)
        return fault(fmt::format("cannot count more than {} references to a cluster", geometry_.refcount_max));
    return set(cluster, now + count);
}

Result<void> Refcounts::decrease(u64 cluster) {
    TRY_SET(const u64 now, get(cluster));
    if (now == 0)
        return fault(
            fmt::format("has a cluster in use ({}) that its reference counts call free; viv-img check -r all "
                        "mends that",
                        cluster));
    TRY(set(cluster, now - 1));
    if (now == 1) search_from(cluster);
    return {};
}

Result<bool> Refcounts::is_free(u64 cluster) {
    TRY_SET(const u64 count, get(cluster));
    if (count != 0) return false;
    if (protected_.contains(cluster))
        return fault(
            fmt::format("has a table in cluster {} that its reference counts call free; viv-img check -r all "
                        "mends that",
                        cluster));
    return true;
}

Result<Run> Refcounts::allocate(u64 count) {
    for (;; hint_++) {
        TRY_SET(const Run run, allocate_at(hint_, count));
        if (run.count == 0) continue;
        hint_ = run.first + run.count;
        return run;
    }
}

Result<Run> Refcounts::allocate_at(u64 cluster, u64 count) {
    Run run{cluster, 0};
    while (run.count < count) {
        const u64 next = cluster + run.count;
        if (next >= largest_offset >> geometry_.cluster_bits) {
            if (run.count == 0) return fault("is larger than the format allows");
            break;
        }
        TRY_SET(const bool free, is_free(next));
        if (!free) break;
        TRY(block_for(next));
        // A new block may have taken the cluster.
        TRY_SET(const bool still_free, is_free(next));
        if (!still_free) break;
        TRY(set(next, 1));
        run.count++;
    }
    return run;
}

Result<u64> Refcounts::allocate_exactly(u64 count) {
    u64 lowest = ~u64{0};
    while (true) {
        TRY_SET(const Run run, allocate(count));
        if (run.count == count) {
            search_from(lowest);
            return run.first;
        }
        // Too short a gap; left for others.
        for (u64 i = 0; i < run.count; i++) TRY(set(run.first + i, 0));
        lowest = std::min(lowest, run.first);
    }
}

// A larger table behind everything that the old one reaches, with a block that counts it. It replaces the old one in
// the file at once: this is rare.
Result<void> Refcounts::grow_table(u64 cluster) {
    const u64 entries_per_cluster = geometry_.cluster_size / 8;
    const u64 first = std::max<u64>(cluster, u64{table_.size()} << geometry_.block_bits);
    u64 clusters = std::max<u64>(table_clusters_ + table_clusters_ / 2, 1), blocks = 0;
    while (true) {
        // [first, first + clusters) is the table, then come the blocks that count it and themselves.
        const u64 start = first >> geometry_.block_bits;
        blocks = 1;
        while ((start + blocks) << geometry_.block_bits < first + clusters + blocks) blocks++;
        if (start + blocks <= clusters * entries_per_cluster) break;
        clusters++;
    }
    if (clusters << geometry_.cluster_bits > most_reftable_bytes)
        return fault("is larger than its table of reference counts may count; use larger clusters");
    for (u64 i = first; i < first + clusters + blocks; i++) {
        TRY_SET(const bool free, is_free(i));
        if (!free) return fault(fmt::format("has a table in cluster {}, which its reference counts do not reach", i));
    }
    TRY(write());

    std::vector<u64> table(clusters * entries_per_cluster);
    std::copy(table_.begin(), table_.end(), table.begin());
    std::vector<u8> block(geometry_.cluster_size);
    const u64 start = first >> geometry_.block_bits, end = first + clusters + blocks;
    for (u64 i = 0; i < blocks; i++) {
        std::fill(block.begin(), block.end(), u8{0});
        const u64 base = (start + i) << geometry_.block_bits;
        for (u64 at = std::max(base, first); at < std::min(base + geometry_.block_entries(), end); at++)
            set_count_in(block.data(), at - base, geometry_.refcount_bits, 1);
        table[start + i] = (first + clusters + i) << geometry_.cluster_bits;
        blocks_.forget(table[start + i], geometry_.cluster_size);
        TRY(file_.write_at(table[start + i], block));
    }
    std::vector<u8> bytes(table.size() * 8);
    for (usize i = 0; i < table.size(); i++) store_be<u64>(&bytes[i * 8], table[i]);
    TRY(file_.write_at(first << geometry_.cluster_bits, bytes));
    TRY(file_.flush());
    std::array<u8, 12> fields{};
    store_be<u64>(&fields[0], first << geometry_.cluster_bits);
    store_be<u32>(&fields[8], static_cast<u32>(clusters));
    TRY(file_.write_at(field::reftable_offset, fields));
    TRY(file_.flush());

    const u64 old = table_offset_ >> geometry_.cluster_bits, old_clusters = table_clusters_;
    table_ = std::move(table);
    table_offset_ = first << geometry_.cluster_bits;
    table_clusters_ = static_cast<u32>(clusters);
    unprotect(old, old_clusters);
    protect(first, clusters + blocks);
    for (u64 i = 0; i < old_clusters; i++) TRY(decrease(old + i));
    return {};
}

Result<void> Refcounts::write() {
    TRY(blocks_.write_dirty());
    if (!table_dirty_) return {};
    TRY(file_.flush());
    std::vector<u8> bytes(table_.size() * 8);
    for (usize i = 0; i < table_.size(); i++) store_be<u64>(&bytes[i * 8], table_[i]);
    TRY(file_.write_at(table_offset_, bytes));
    table_dirty_ = false;
    return {};
}

}  // namespace viv::block::qcow2
