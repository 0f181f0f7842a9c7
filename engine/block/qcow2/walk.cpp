// See walk.h.
#include "engine/block/qcow2/walk.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "engine/block/image.h"
#include "engine/lang/bytes.h"

namespace viv::block::qcow2 {

namespace {

constexpr u64 most_bitmaps = 65535, most_bitmap_directory = 64 << 20, most_bitmap_table_bytes = 64 << 20;

}  // namespace

Result<void> ReferenceCounts::add(u64 first, u64 clusters, u32 references) {
    for (u64 cluster = first; cluster < first + clusters; cluster++) {
        auto& part = chunks_[cluster / chunk];
        if (!part) {
            if (chunks_.size() > most_chunks) return Error{"the image is too large, or too scattered, to be checked"};
            part = std::make_unique<std::array<u32, chunk>>();
            part->fill(0);
        }
        u32& count = (*part)[cluster % chunk];
        count = count > ~u32{0} - references ? ~u32{0} : count + references;
    }
    return {};
}

void ReferenceCounts::remove(u64 cluster) {
    const auto found = chunks_.find(cluster / chunk);
    if (found != chunks_.end() && (*found->second)[cluster % chunk] != 0) (*found->second)[cluster % chunk]--;
}

u64 ReferenceCounts::get(u64 cluster) const {
    const auto found = chunks_.find(cluster / chunk);
    return found == chunks_.end() ? 0 : (*found->second)[cluster % chunk];
}

u64 ReferenceCounts::end() const {
    for (auto at = chunks_.rbegin(); at != chunks_.rend(); ++at)
        for (u64 i = chunk; i-- > 0;)
            if ((*at->second)[i] != 0) return at->first * chunk + i + 1;
    return 0;
}

bool ReferenceCounts::any(u64 first, u64 clusters) const {
    for (auto at = chunks_.lower_bound(first / chunk); at != chunks_.end(); ++at) {
        const u64 start = at->first * chunk;
        if (start >= first + clusters) return false;
        for (u64 i = std::max(first, start); i < std::min(first + clusters, start + chunk); i++)
            if ((*at->second)[i - start] != 0) return true;
    }
    return false;
}

bool Walk::good_table(u64 l1_entry) const {
    const u64 table = l1_entry & entry_offset;
    return table % geometry_.cluster_size == 0 && range_fits(table, geometry_.cluster_size, file_end_);
}

bool Walk::good_entry(u64 l2_entry) const {
    if ((l2_entry & entry_compressed) != 0) {
        if (geometry_.external) return false;
        const auto place = compressed_place(l2_entry, geometry_.cluster_bits);
        return place.offset != 0 && range_fits(place.offset, place.bytes, file_end_);
    }
    const u64 place = l2_entry & entry_offset;
    if (geometry_.external) return place % geometry_.cluster_size == 0;
    return place % geometry_.cluster_size == 0 && range_fits(place, place == 0 ? 0 : geometry_.cluster_size, file_end_);
}

Result<std::vector<u64>> Walk::read_l1(u64 offset, u64 entries) {
    std::vector<u8> bytes(entries * 8);
    TRY(read_padded(file_, offset, bytes));
    std::vector<u64> table(entries);
    for (u64 i = 0; i < entries; i++) table[i] = load_be<u64>(&bytes[i * 8]);
    return table;
}

Result<void> Walk::read_l2(u64 table, std::vector<u8>& bytes) {
    bytes.resize(geometry_.cluster_size);
    return read_padded(file_, table, bytes);
}

Result<void> Walk::count(const TableSet& tables, ReferenceCounts& counts, WalkStatistics* statistics) {
    struct Named {
        u32 references = 0;
        bool of_disk = false;
    };
    std::unordered_map<u64, Named> named;
    std::vector<u64> in_order;
    u64 entries = 0;
    const auto note = [&](const std::vector<u64>& l1, bool of_disk) -> Result<void> {
        entries += l1.size();
        if (entries > most_l1_entries_together)
            return Error{fmt::format("{}: has too many snapshots to be checked", name_)};
        for (usize i = 0; i < l1.size(); i++) {
            const u64 table = l1[i] & entry_offset;
            if (table == 0) continue;
            if (!good_table(l1[i])) {
                bad_entry(fmt::format("L1 entry {} names a table at {:#x}, which cannot be", i, table));
                continue;
            }
            auto [at, added] = named.try_emplace(table);
            if (added) in_order.push_back(table);
            if (at->second.references != ~u32{0}) at->second.references++;
            at->second.of_disk |= of_disk;
        }
        return {};
    };
    TRY(note(tables.l1, true));
    for (const auto& l1 : tables.snapshot_l1) TRY(note(l1, false));
    next_contiguous_ = 0;
    for (const u64 table : in_order) {
        const auto& how = named[table];
        TRY(counts.add(table >> geometry_.cluster_bits, 1, how.references));
        TRY(count_table(table, how.references, how.of_disk, counts, statistics));
    }
    return {};
}

Result<void> Walk::count_table(u64 table, u32 references, bool of_disk, ReferenceCounts& counts,
                               WalkStatistics* statistics) {
    std::vector<u8> bytes;
    TRY(read_l2(table, bytes));
    WalkStatistics ignored;
    WalkStatistics& sum = of_disk && statistics != nullptr ? *statistics : ignored;
    for (u64 i = 0; i < geometry_.l2_entries(); i++) {
        const u64 entry = load_be<u64>(&bytes[i * geometry_.l2_entry_bytes]);
        if (entry == 0) continue;
        if (!good_entry(entry)) {
            bad_entry(fmt::format("entry {} of the L2 table at {:#x} is {:#x}, which cannot be", i, table, entry));
            continue;
        }
        if ((entry & entry_compressed) != 0) {
            const auto place = compressed_place(entry, geometry_.cluster_bits);
            const u64 first = place.offset >> geometry_.cluster_bits;
            const u64 last = (place.offset + place.bytes - 1) >> geometry_.cluster_bits;
            TRY(counts.add(first, last - first + 1, references));
            sum.allocated++;
            sum.compressed++;
            sum.fragmented++;
            continue;
        }
        const u64 place = entry & entry_offset;
        if (!geometry_.has_place(entry)) continue;
        if (!geometry_.external) TRY(counts.add(place >> geometry_.cluster_bits, 1, references));
        sum.allocated++;
        if (of_disk) {
            if (next_contiguous_ != 0 && place != next_contiguous_) sum.fragmented++;
            next_contiguous_ = place + geometry_.cluster_size;
        }
    }
    return {};
}

Result<void> count_bitmaps(host::File& file, const std::string& name, const Header& header, ReferenceCounts& counts) {
    const auto found = std::find_if(header.extensions.begin(), header.extensions.end(),
                                    [](const auto& e) { return e.type == extension::bitmaps; });
    if (found == header.extensions.end() || (header.autoclear & autoclear::bitmaps) == 0) return {};
    const Error bad{fmt::format("{}: its table of persistent bitmaps cannot be read", name)};
    if (found->data.size() < 24) return bad;
    const Geometry geometry(header);
    const u64 file_end = align_up(file.size(), geometry.cluster_size);
    const u64 bitmaps = load_be<u32>(&found->data[0]), bytes = load_be<u64>(&found->data[8]),
              offset = load_be<u64>(&found->data[16]);
    if (bitmaps > most_bitmaps || bytes > most_bitmap_directory || !range_fits(offset, bytes, file_end) ||
        offset % geometry.cluster_size != 0)
        return bad;
    std::vector<u8> directory(bytes);
    TRY(read_padded(file, offset, directory));
    TRY(counts.add(offset >> geometry.cluster_bits, geometry.clusters_of(bytes), 1));
    u64 at = 0;
    for (u64 i = 0; i < bitmaps; i++) {
        if (at > bytes || bytes - at < 24) return bad;
        const u64 table = load_be<u64>(&directory[at]), entries = load_be<u32>(&directory[at + 8]);
        const u64 name_bytes = load_be<u16>(&directory[at + 18]), extra = load_be<u32>(&directory[at + 20]);
        if (entries * 8 > most_bitmap_table_bytes || table % geometry.cluster_size != 0 ||
            !range_fits(table, entries * 8, file_end))
            return bad;
        std::vector<u8> rows(entries * 8);
        TRY(read_padded(file, table, rows));
        TRY(counts.add(table >> geometry.cluster_bits, geometry.clusters_of(rows.size()), 1));
        for (u64 row = 0; row < entries; row++) {
            const u64 place = load_be<u64>(&rows[row * 8]) & entry_offset;
            if (place == 0) continue;
            if (place % geometry.cluster_size != 0 || !range_fits(place, geometry.cluster_size, file_end)) return bad;
            TRY(counts.add(place >> geometry.cluster_bits, 1, 1));
        }
        at = align_up(at + 24 + extra + name_bytes, 8);
    }
    return {};
}

}  // namespace viv::block::qcow2
