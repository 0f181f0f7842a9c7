// Images that are put over others and take what is written (qcow2): making them, and how they name what is below.
// Promises: a file is named by its absolute path, so that the overlay may be opened from anywhere; what is behind a URL
// by that URL and, if that is known, what tells its content from any other (URL#IDENTITY), so that an overlay is never
// put over other data than it was made for.
#pragma once

#include <string>

#include "engine/block/catalog.h"

namespace viv::native {

struct BelowName {
    std::string file, identity;  // identity empty: nothing is known
};
BelowName split_name(const std::string& name);
// As an overlay names it. `file`: a path or a URL.
Result<std::string> join_name(const std::string& file, const std::string& identity);

struct NewOverlay {
    std::string path, format;
    std::string below, below_format;  // below: from join_name()
    u64 size = 0;                     // bytes of the disk
    const block::Key* key = nullptr;  // that opens what is below, and the overlay; null: neither is encrypted
};
// A file that was not there before is gone again if this fails.
Result<void> make_overlay_image(const NewOverlay& wanted);

// Whether the overlay at `path`, which is open, names this image below it.
Result<void> check_below(block::Image& overlay, const std::string& path, const std::string& below);

}  // namespace viv::native
