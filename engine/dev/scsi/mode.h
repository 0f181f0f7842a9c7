// MODE SENSE and MODE SELECT in both their lengths: headers, block descriptors and pages around what a unit says.
// SPC-4, 6.11 and 7.5. Promises: a parameter list is taken whole or not at all; a page differs from the present one
// only in bits that are changeable.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "engine/dev/scsi/scsi.h"

namespace viv::scsi {

// A page with its two bytes of header, and which of its bits a guest may change (as long as `now`).
struct ModePage {
    std::vector<u8> now, changeable;
};

struct ModeSet {
    u8 medium_type = 0, device_specific = 0;
    std::vector<u8> descriptor;   // 8 bytes, or none
    std::vector<ModePage> pages;  // by ascending page code
};

// Of MODE SENSE.
Sense sense_modes(const std::array<u8, 16>& cdb, const ModeSet& modes, const ModeSet& defaults, std::vector<u8>& data);
// Of MODE SELECT, whose parameter list is `list`: the pages it has, each as long as the present one.
Sense select_modes(const std::array<u8, 16>& cdb, const ModeSet& modes, std::span<const u8> list,
                   std::vector<std::vector<u8>>& pages);
// How many bytes of data the command names.
u64 mode_length(const std::array<u8, 16>& cdb);

}  // namespace viv::scsi
