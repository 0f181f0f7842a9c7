// The table of an image's internal snapshots.
// Promises: sizes and counts are bounded before they are used; what a newer version has added to an entry is kept.
#pragma once

#include <string>
#include <vector>

#include "engine/block/qcow2/layout.h"

namespace viv::block::qcow2 {

struct Snapshot {
    std::string id, name;
    u64 l1_offset = 0;
    u32 l1_entries = 0;
    u32 date_seconds = 0, date_nanoseconds = 0;
    u64 clock_nanoseconds = 0;
    u64 state_size = 0;
    std::vector<u8>
        extra;  // as in the file: the large state size, the disk's size, the instruction count, later things

    u64 disk_size(u64 otherwise) const;
    std::optional<u64> instructions() const;  // that the machine had executed, if it counted them
};

Result<std::vector<Snapshot>> read_snapshots(host::File& file, const Header& header, const std::string& name,
                                             u64* table_bytes);
Result<std::vector<u8>> encode_snapshots(const std::vector<Snapshot>& snapshots);
// The extra data that version 3 wants.
std::vector<u8> snapshot_extra(u64 state_size, u64 disk_size);

}  // namespace viv::block::qcow2
