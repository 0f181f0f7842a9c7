// What temporary overlays hold (block/overlay.h), in a saved machine's file.
#pragma once

#include <span>
#include <utility>
#include <vector>

#include "engine/block/overlay.h"
#include "engine/control/machine.h"
#include "engine/control/memory_saver.h"

namespace viv {

struct SavedOverlay {
    u32 device = 0;  // its place among those that are plugged in
    u64 disk_size = 0;
    SavedBytes bytes;  // of the disk, as far as they are in clusters that the overlay has sectors of
    // Which those are, ascending. Clusters that it has all sectors of: two numbers a run, the first and how many.
    std::vector<u32> whole;
    // Others: the cluster, and a bit for each sector, the lowest first, in four numbers.
    std::vector<u32> partial;

    static constexpr usize numbers_in_whole = 2, numbers_in_partial = 5;
    void state(Archive& a);
    // Whether it can be an overlay's; `bytes` is checked by SavedPages.
    Result<void> check() const;
};

// One on its way into the file, after the moment that it is of.
class OverlaySaver {
public:
    // An error if a file cannot hold so large a disk.
    static Result<OverlaySaver> of(u32 device, block::TemporaryOverlay& overlay);
    // Some clusters, with at most about so many pages. False: these were all.
    bool step(MemorySaver& memory, u64 most_pages);
    SavedOverlay take() { return std::move(saved_); }

private:
    SavedOverlay saved_;
    block::OverlayContent left_;
};

class SavedPages;
// What the temporary disks of a machine are to hold: as it was saved, or nothing if they were none then. After check(),
// and SavedPages::check() of their bytes; an error if they are other disks.
using OverlayContents = std::vector<std::pair<block::TemporaryOverlay*, block::OverlayContent>>;
Result<OverlayContents> read_overlays(SavedPages& pages, std::span<const SavedOverlay> saved,
                                      std::span<const PluggedDevice> plugged);

}  // namespace viv
