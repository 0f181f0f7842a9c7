// The table of a saved machine's file: what to make before it can be opened, and where its parts are.
// Promises: as state/archive.h; what names chunks or pages that the file does not have is found when it is used.
#pragma once

#include <array>
#include <functional>
#include <vector>

#include "engine/control/machine.h"
#include "engine/control/memory_saver.h"
#include "engine/control/saved_overlay.h"

namespace viv {

// The files that the guest's next reset loads.
struct BlobSlot {
    const char* what;
    std::optional<Blob> BoardConfig::*in_config;
    std::optional<Blob> Machine::SavedHead::*in_head;
};
inline constexpr std::array<BlobSlot, 3> blob_slots{{
    {"kernel", &BoardConfig::kernel, &Machine::SavedHead::kernel},
    {"initrd", &BoardConfig::initrd, &Machine::SavedHead::initrd},
    {"bios", &BoardConfig::bios, &Machine::SavedHead::bios},
}};

struct SavedTable {
    Machine::SavedHead head;  // blobs by name only
    std::array<SavedBytes, blob_slots.size()> blobs;
    SavedBytes components;               // an archive of CPUs, devices and so on
    std::vector<SavedBytes> regions;     // of guest memory, as they were added
    std::vector<u32> chunks;             // of pages_in_chunk pages each, but for the last
    std::vector<SavedOverlay> overlays;  // of temporary disks
    u32 pages_in_chunk = 4;              // a power of two; the first files of this format did not say

    void state(Archive& a);
    // Of a file; what is in it is checked by SavedPages.
    static Result<SavedTable> of(const state::FileReader& reader);
};

// Reads pages of a saved file by their numbers.
class SavedPages {
public:
    // Both outlive this. An error if a chunk is not there or no chunk of pages.
    static Result<SavedPages> open(state::FileReader& reader, const SavedTable& table);

    // Whether the runs ascend, and lie within the bytes and within what is stored. `bases`: whether there may be any.
    enum class Bases : u8 { none, some };
    Result<void> check(const SavedBytes& saved, const char* what, Bases bases) const;
    // After check().
    Result<std::vector<u8>> read(const SavedBytes& saved);
    // The same without `bases`, page by page, in any order; pages that are zero are left out.
    Result<void> each(const SavedBytes& saved, const std::function<void(u64 page, std::span<const u8> bytes)>& use);

private:
    SavedPages(state::FileReader& reader, const SavedTable& table, u64 stored)
        : reader_(reader), table_(table), stored_(stored) {}
    Result<std::span<const u8>> page(u32 stored);
    template <class Each>
    Result<void> read_runs(const std::vector<u32>& runs, Each each);

    state::FileReader& reader_;
    const SavedTable& table_;
    u64 stored_;  // pages
    u32 in_hand_ = ~u32{0};
    std::span<const u8> bytes_;  // of the chunk in hand
};

}  // namespace viv
