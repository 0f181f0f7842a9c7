// The log of a VHDX image: changes of its tables that are on stable storage before the tables are touched.
// Promises: an entry is taken only whole and of this log; reading a log takes time and memory in proportion to its
// length, whatever is in it.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/block/vhdx/layout.h"

namespace viv::block::vhdx {

inline constexpr u64 most_log = 64 << 20;  // bytes of a log that is carried out

// What the log wants to be in the file.
struct Replay {
    struct Change {
        u64 offset = 0, length = 0;
        std::vector<u8> bytes;  // empty: zeroes
    };
    std::vector<Change> changes;  // in order, the later over the earlier
    u64 least_size = 0;           // bytes of the file before them
    u64 size = 0;                 // and at least after them
};

// The changes that are still to be made by the entries that `guid` marks. None: there is no whole entry. The error is
// the end of a sentence that names the image.
Result<std::optional<Replay>> read_log(std::span<const u8> log, const Guid& guid);
Result<void> carry_out(const Replay& replay, host::File& file);

// A file as it will be when a log has been carried out: for images that may not be written to.
std::unique_ptr<host::File> make_replayed(std::unique_ptr<host::File> file, Replay replay);

// An entry that writes whole pages.
struct PageChange {
    u64 offset = 0;
    std::array<u8, page> bytes{};
};
inline constexpr usize most_changes = 126;  // in one entry: what its first page can name
struct EntryPlace {
    u64 offset = 0;  // bytes from the log's start; the entry stands for itself, none before it is needed
    u64 sequence = 0;
    Guid guid = no_guid;
    u64 file_size = 0;  // on stable storage
};
std::vector<u8> make_entry(const EntryPlace& place, std::span<const PageChange> changes);

}  // namespace viv::block::vhdx
