// Opening an image's tables, and looking up where things are. What changes them is in tables_change.cpp. See tables.h.
#include "engine/block/qcow2/tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "engine/lang/bytes.h"

namespace viv::block::qcow2 {

namespace {

constexpr u64 cache_bytes = 32 << 20;

u64 place_of(u64 entry) { return entry & entry_offset; }

}  // namespace

Tables::Tables(host::File& file, host::File& data, const std::string& name, Header header)
    : file_(file), data_(data), name_(name), header_(std::move(header)), geometry_(header_) {}

Error Tables::fault(std::string_view what) const { return Error{fmt::format("{}: {}", name_, what)}; }

Result<std::unique_ptr<Tables>> Tables::open(host::File& file, host::File& data, const std::string& name, Access access,
                                             ReadFor purpose) {
    TRY_SET(auto header, read_header(file, name, purpose));
    std::unique_ptr<Tables> tables(new Tables(file, data, name, std::move(header)));
    TRY(tables->load(access, purpose));
    return tables;
}

Result<void> Tables::load(Access access, ReadFor purpose) {
    const bool writing = access == Access::read_write;
    if (writing && purpose == ReadFor::use) {
        if (header_.has(incompatible::corrupt))
            return fault("is marked corrupt and can only be read; viv-img check -r all mends what can be mended");
        if (header_.has(incompatible::extended_l2))
            return fault("has subclusters (extended L2 entries), which this version only reads; open it read-only");
    }
    TRY_SET(l1_, read_l1(header_.l1_offset, header_.l1_entries));
    u64 snapshot_bytes = 0;
    TRY_SET(snapshots_, read_snapshots(file_, header_, name_, &snapshot_bytes));
    l2_ = std::make_unique<SliceCache>(file_, geometry_.cluster_size, cache_bytes);
    refcounts_ = std::make_unique<Refcounts>(file_, header_, name_);
    if (!writing || purpose == ReadFor::repair) return {};

    TRY(refcounts_->load(ReadFor::use));
    refcounts_->protect(header_.l1_offset >> geometry_.cluster_bits,
                        geometry_.clusters_of(u64{header_.l1_entries} * 8));
    if (header_.encrypted())
        refcounts_->protect(header_.luks_offset >> geometry_.cluster_bits, geometry_.clusters_of(header_.luks_bytes));
    for (const u64 entry : l1_)
        if (place_of(entry) != 0) refcounts_->protect(place_of(entry) >> geometry_.cluster_bits, 1);
    if (snapshot_bytes != 0)
        refcounts_->protect(header_.snapshots_offset >> geometry_.cluster_bits, geometry_.clusters_of(snapshot_bytes));
    u64 entries = l1_.size();
    for (const auto& snapshot : snapshots_) {
        entries += snapshot.l1_entries;
        if (entries > most_l1_entries_together) return fault("has too many snapshots to be written");
        refcounts_->protect(snapshot.l1_offset >> geometry_.cluster_bits,
                            geometry_.clusters_of(u64{snapshot.l1_entries} * 8));
    }
    lazy_ = header_.version >= 3 && (header_.compatible & compatible::lazy_refcounts) != 0;
    if (header_.autoclear == header_.autoclear_kept()) return {};
    // Whoever changes an image without knowing what these bits mean takes them away, so that others know.
    header_.autoclear = header_.autoclear_kept();
    std::array<u8, 8> bytes{};
    store_be<u64>(&bytes[0], header_.autoclear);
    return file_.write_at(field::autoclear, bytes);
}

Result<std::vector<u64>> Tables::read_l1(u64 offset, u64 entries) const {
    std::vector<u8> bytes(entries * 8);
    TRY(read_padded(file_, offset, bytes));
    std::vector<u64> table(entries);
    for (u64 i = 0; i < entries; i++) table[i] = load_be<u64>(&bytes[i * 8]);
    return table;
}

Result<u64> Tables::l2_table(u64 cluster) {
    const u64 index = table_index(cluster);
    const u64 table = index < l1_.size() ? place_of(l1_[index]) : 0;
    if (table == 0) return table;
    if (table % geometry_.cluster_size != 0 ||
        table + geometry_.cluster_size > file_end(table + geometry_.cluster_size))
        return fault(fmt::format("has an L2 table at {:#x}, which cannot be", table));
    return table;
}

u64 Tables::file_end(u64 wanted) {
    if (file_end_ < wanted) file_end_ = align_up(file_.size(), geometry_.cluster_size);
    return file_end_;
}

Result<u64> Tables::entry(u64 cluster) {
    TRY_SET(const u64 table, l2_table(cluster));
    if (table == 0) return u64{0};
    TRY_SET(const u8* bytes, l2_->get(entry_place(table, cluster)));
    return load_be<u64>(bytes);
}

// One entry without subclusters, alone.
Result<Mapping> Tables::map_entry(u64 entry, u64 cluster) const {
    Mapping mapping;
    mapping.length = geometry_.cluster_size;
    if ((entry & entry_compressed) != 0) {
        if (geometry_.external)
            return fault(fmt::format("has cluster {} of the disk compressed, and its data in another file", cluster));
        mapping.kind = Mapping::Kind::compressed;
        mapping.compressed = compressed_place(entry, geometry_.cluster_bits);
        return mapping;
    }
    const u64 place = place_of(entry);
    const bool there = geometry_.has_place(entry);
    if (place % geometry_.cluster_size != 0 ||
        (there && geometry_.external && place != cluster << geometry_.cluster_bits))
        return fault(fmt::format("has cluster {} of the disk at {:#x}, which cannot be", cluster, place));
    const bool zero = (entry & entry_zero) != 0 && geometry_.l2_entry_bytes == 8;
    if (there) {
        mapping.file_offset = place;
        // An entry of a table that is shared with a snapshot is shared, whatever it says.
        mapping.in_place = (entry & entry_copied) != 0 && (l1_[table_index(cluster)] & entry_copied) != 0;
    }
    mapping.kind = zero ? Mapping::Kind::zero : there ? Mapping::Kind::data : Mapping::Kind::absent;
    return mapping;
}

// The parts of a cluster with subclusters: each is there, zero or absent.
Result<Mapping> Tables::map_subclusters(const Mapping& whole, u64 bitmap, u64 inside, u64 length) const {
    const u64 part = geometry_.cluster_size / 32;
    const auto kind_of = [&](u64 number) {
        if (bit(bitmap, static_cast<unsigned>(number + 32))) return Mapping::Kind::zero;
        return bit(bitmap, static_cast<unsigned>(number)) ? Mapping::Kind::data : Mapping::Kind::absent;
    };
    const u64 first = inside / part;
    u64 end = first + 1;
    while (end < 32 && kind_of(end) == kind_of(first)) end++;
    Mapping mapping;
    mapping.kind = kind_of(first);
    mapping.length = std::min(length, end * part - inside);
    if (whole.file_offset) mapping.file_offset = *whole.file_offset + inside;
    if (mapping.kind == Mapping::Kind::data && !whole.file_offset)
        return fault("has a subcluster in use without a cluster");
    return mapping;
}

Result<Mapping> Tables::map(u64 offset, u64 length) {
    const u64 cluster = offset >> geometry_.cluster_bits, inside = offset & low_mask(geometry_.cluster_bits);
    TRY_SET(const u64 table, l2_table(cluster));
    if (table == 0) {
        // As far as the next table that is there.
        u64 index = table_index(cluster) + 1;
        while (index < l1_.size() && place_of(l1_[index]) == 0 && index * geometry_.l2_reach() - offset < length)
            index++;
        Mapping mapping;
        mapping.length = std::min(length, index * geometry_.l2_reach() - offset);
        return mapping;
    }
    const u64 place = entry_place(table, cluster);
    TRY_SET(const u8* bytes, l2_->get(place));
    TRY_SET(Mapping mapping, map_entry(load_be<u64>(bytes), cluster));
    if (geometry_.l2_entry_bytes == 16 && mapping.kind != Mapping::Kind::compressed)
        return map_subclusters(mapping, load_be<u64>(bytes + 8), inside, length);

    // Neighbours that go on in the same way, as far as this slice of the table shows them.
    const u64 here = place % l2_->slice_size() / geometry_.l2_entry_bytes;
    const u64 most = geometry_.l2_entry_bytes == 16 ? 1 : l2_->slice_size() / geometry_.l2_entry_bytes - here;
    u64 count = 1;
    while (mapping.kind != Mapping::Kind::compressed && count < most &&
           (count << geometry_.cluster_bits) - inside < length) {
        auto next = map_entry(load_be<u64>(bytes + count * 8), cluster + count);
        if (!next.ok() || next->kind != mapping.kind || next->in_place != mapping.in_place ||
            next->file_offset.has_value() != mapping.file_offset.has_value())
            break;
        if (mapping.file_offset && *next->file_offset != *mapping.file_offset + (count << geometry_.cluster_bits))
            break;
        count++;
    }
    mapping.length = std::min(length, (count << geometry_.cluster_bits) - inside);
    if (mapping.file_offset) *mapping.file_offset += inside;
    return mapping;
}

Result<u64> Tables::homeless(u64 cluster, u64 count) {
    TRY_SET(const u64 table, l2_table(cluster));
    const u64 most = std::min(count, geometry_.l2_entries() - (cluster & low_mask(geometry_.l2_bits)));
    if (table == 0 || (l1_[table_index(cluster)] & entry_copied) == 0) return most;
    for (u64 i = 0; i < most; i++) {
        TRY_SET(const u8* bytes, l2_->get(entry_place(table, cluster + i)));
        const u64 entry = load_be<u64>(bytes);
        if ((entry & entry_compressed) == 0 && (entry & entry_copied) != 0 && geometry_.has_place(entry)) return i;
    }
    return most;
}

Result<void> Tables::show(const Snapshot& snapshot) {
    TRY_SET(l1_, read_l1(snapshot.l1_offset, snapshot.l1_entries));
    header_.size = align_up(snapshot.disk_size(header_.size), 512);
    return {};
}

}  // namespace viv::block::qcow2
