// A SCSI disk of 512-byte blocks: SBC-3. Promises: up to 2^64 bytes; a write cache that a driver may turn off, a flush
// after each write then, and after a write with FUA; space is given back by UNMAP and WRITE SAME. Refused: formatting,
// reservations, protection information, everything that reads or writes long blocks.
#pragma once

#include "engine/dev/scsi/mode.h"
#include "engine/dev/scsi/unit.h"

namespace viv::scsi {

class Disk final : public Unit {
public:
    static constexpr u64 block_size = 512;
    static constexpr u32 most_unmapped = 1 << 22;      // blocks of one command: a hole costs the host little
    static constexpr u32 most_ranges = 256;            // of UNMAP
    static constexpr u32 most_written_same = 1 << 16;  // blocks: the host may have to write them

    Disk(std::unique_ptr<block::Disk> disk, UnitNames names) : Unit(std::move(disk), std::move(names)) {}

    const char* kind() const override { return "disk"; }

protected:
    Sense carry_out(Task& task) override;
    std::array<u8, 2> type() const override { return {0x00, 0x00}; }
    bool vital_product_data(u8 page, std::vector<u8>& body) const override;
    std::span<const u8> vital_product_pages() const override;
    void unit_reset(const Sense&) override { writes_back_ = true; }
    void unit_state(Archive& a) override { a(16, "writes_back", writes_back_); }

private:
    Sense read_write(Task& task, block::Operation operation);
    Sense verify(Task& task);
    Sense write_same(Task& task);
    Sense unmap_ranges(Task& task);
    Sense synchronize(Task& task);
    Sense read_capacity(Task& task);
    Sense read_capacity_16(Task& task);
    Sense select_mode(Task& task);
    ModeSet modes(bool writes_back) const;
    Sense check_range(const Extent& extent) const;
    u64 blocks() const { return disk()->size() / block_size; }

    bool writes_back_ = true;
};

}  // namespace viv::scsi
