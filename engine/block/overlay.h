// A disk whose changes stay in memory and vanish with the machine, unless it is saved with them (`snapshot=on`).
// Promises: the disk below is never written and never flushed; memory is used for clusters written with other than
// zeroes only; a write needs no read from below, since each cluster knows which of its sectors are its own.
#pragma once

#include <array>
#include <bitset>
#include <map>
#include <memory>

#include "engine/block/block.h"

namespace viv::block {

struct OverlayCluster {
    static constexpr u64 sector_size = 512, size = 64 << 10, sectors = size / sector_size;

    std::bitset<sectors> own;                     // sectors that the overlay holds
    std::shared_ptr<std::array<u8, size>> bytes;  // null: the own ones are zero
};
using OverlayContent = std::map<u64, OverlayCluster>;  // by offset / size

class TemporaryOverlay : public Disk {
public:
    // All that it holds, as it stays: what is written from now on, the overlay writes into copies.
    virtual OverlayContent content() const = 0;
    // What it holds from now on; sectors beyond the end of the disk are never seen. No request is under way.
    virtual void replace(OverlayContent content) = 0;
};

std::unique_ptr<TemporaryOverlay> make_temporary_overlay(std::unique_ptr<Disk> below);

}  // namespace viv::block
