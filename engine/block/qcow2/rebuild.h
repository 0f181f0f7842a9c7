// A whole new set of tables, written beside the old ones; one write of the header switches from those to these.
// Promises: a process killed at any moment leaves the old state or the new one, each without a fault; what the old
// state uses is not written. It works on the file alone: nothing of it may be in a cache.
#pragma once

#include <string>
#include <vector>

#include "engine/block/qcow2/snapshot_table.h"

namespace viv::block::qcow2 {

struct NewState {
    u64 size = 0;
    std::vector<u64> l1;              // flags do not matter
    std::vector<Snapshot> snapshots;  // their L1 tables are in the file
};

enum class Placement : u8 {
    in_gaps,  // where the counts in the file call clusters free
    at_end,   // for images whose counts are wrong
};

// Marks of damage go away with at_end. Entries that cannot be become empty.
Result<void> rebuild(host::File& file, const std::string& name, const Header& header, NewState state,
                     Placement placement);

}  // namespace viv::block::qcow2
