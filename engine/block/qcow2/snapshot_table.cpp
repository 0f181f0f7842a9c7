// See snapshot_table.h.
#include "engine/block/qcow2/snapshot_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "engine/block/image.h"
#include "engine/lang/bytes.h"

namespace viv::block::qcow2 {

namespace {

constexpr usize fixed_bytes = 40;
constexpr usize disk_size_at = 8, extra_v3_bytes = 16;

}  // namespace

u64 Snapshot::disk_size(u64 otherwise) const {
    return extra.size() >= extra_v3_bytes ? load_be<u64>(&extra[disk_size_at]) : otherwise;
}

std::optional<u64> Snapshot::instructions() const {
    if (extra.size() < extra_v3_bytes + 8) return std::nullopt;
    const u64 count = load_be<u64>(&extra[extra_v3_bytes]);
    return count == ~u64{0} ? std::nullopt : std::optional(count);
}

std::vector<u8> snapshot_extra(u64 state_size, u64 disk_size) {
    std::vector<u8> extra(extra_v3_bytes + 8);
    store_be<u64>(&extra[0], state_size);
    store_be<u64>(&extra[disk_size_at], disk_size);
    store_be<u64>(&extra[extra_v3_bytes], ~u64{0});  // no instruction count
    return extra;
}

Result<std::vector<Snapshot>> read_snapshots(host::File& file, const Header& header, const std::string& name,
                                             u64* table_bytes) {
    const auto fault = [&](std::string_view what) { return Error{fmt::format("{}: {}", name, what)}; };
    std::vector<Snapshot> snapshots;
    const u64 cluster = header.cluster_size(), file_end = align_up(file.size(), cluster);
    u64 at = header.snapshots_offset;
    for (u32 i = 0; i < header.snapshot_count; i++) {
        at = align_up(at, 8);
        std::array<u8, fixed_bytes> fixed{};
        if (!range_fits(at, fixed.size(), file_end) || at - header.snapshots_offset > most_snapshot_bytes)
            return fault("has a snapshot table that leaves the file");
        TRY(read_padded(file, at, fixed));
        at += fixed.size();
        Snapshot snapshot;
        snapshot.l1_offset = load_be<u64>(&fixed[0]);
        snapshot.l1_entries = load_be<u32>(&fixed[8]);
        const u64 id_bytes = load_be<u16>(&fixed[12]), name_bytes = load_be<u16>(&fixed[14]);
        snapshot.date_seconds = load_be<u32>(&fixed[16]);
        snapshot.date_nanoseconds = load_be<u32>(&fixed[20]);
        snapshot.clock_nanoseconds = load_be<u64>(&fixed[24]);
        snapshot.state_size = load_be<u32>(&fixed[32]);
        const u64 extra_bytes = load_be<u32>(&fixed[36]);
        if (extra_bytes > most_snapshot_extra)
            return fault(fmt::format("has a snapshot with {} bytes of extra data, too many", extra_bytes));
        std::vector<u8> rest(extra_bytes + id_bytes + name_bytes);
        if (!range_fits(at, rest.size(), file_end)) return fault("has a snapshot table that leaves the file");
        TRY(read_padded(file, at, rest));
        at += rest.size();
        const auto text = rest.begin() + static_cast<std::ptrdiff_t>(extra_bytes);
        snapshot.extra.assign(rest.begin(), text);
        snapshot.id.assign(text, text + static_cast<std::ptrdiff_t>(id_bytes));
        snapshot.name.assign(text + static_cast<std::ptrdiff_t>(id_bytes), rest.end());
        if (extra_bytes >= 8) snapshot.state_size = load_be<u64>(snapshot.extra.data());
        const u64 l1_bytes = u64{snapshot.l1_entries} * 8;
        if (l1_bytes > most_l1_bytes || snapshot.l1_offset % cluster != 0 ||
            (l1_bytes != 0 && !range_fits(snapshot.l1_offset, l1_bytes, file_end)))
            return fault(fmt::format("has a snapshot ({}) whose L1 table is outside the file", snapshot.id));
        const u64 disk = snapshot.disk_size(header.size);
        if (disk > largest_offset || Geometry(header).l1_entries_for(disk) > snapshot.l1_entries)
            return fault(fmt::format("has a snapshot ({}) whose L1 table is too small for its disk", snapshot.id));
        snapshots.push_back(std::move(snapshot));
    }
    if (table_bytes != nullptr) *table_bytes = header.snapshot_count == 0 ? 0 : at - header.snapshots_offset;
    return snapshots;
}

Result<std::vector<u8>> encode_snapshots(const std::vector<Snapshot>& snapshots) {
    std::vector<u8> bytes;
    for (const auto& snapshot : snapshots) {
        bytes.resize(align_up(bytes.size(), 8));
        std::array<u8, fixed_bytes> fixed{};
        store_be<u64>(&fixed[0], snapshot.l1_offset);
        store_be<u32>(&fixed[8], snapshot.l1_entries);
        store_be<u16>(&fixed[12], static_cast<u16>(snapshot.id.size()));
        store_be<u16>(&fixed[14], static_cast<u16>(snapshot.name.size()));
        store_be<u32>(&fixed[16], snapshot.date_seconds);
        store_be<u32>(&fixed[20], snapshot.date_nanoseconds);
        store_be<u64>(&fixed[24], snapshot.clock_nanoseconds);
        store_be<u32>(&fixed[32], static_cast<u32>(std::min<u64>(snapshot.state_size, ~u32{0})));
        store_be<u32>(&fixed[36], static_cast<u32>(snapshot.extra.size()));
        bytes.insert(bytes.end(), fixed.begin(), fixed.end());
        bytes.insert(bytes.end(), snapshot.extra.begin(), snapshot.extra.end());
        bytes.insert(bytes.end(), snapshot.id.begin(), snapshot.id.end());
        bytes.insert(bytes.end(), snapshot.name.begin(), snapshot.name.end());
    }
    if (snapshots.size() > most_snapshots || bytes.size() > most_snapshot_bytes)
        return Error{"the table of snapshots is full"};
    return bytes;
}

}  // namespace viv::block::qcow2
