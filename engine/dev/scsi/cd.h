// A CD or DVD drive with the image of one data track in it, or with none: MMC-6. Promises: blocks of 2048 bytes, what
// is left of the image is not on the medium; the guest may lock, eject and load it, and is told of each change by a
// unit attention and by an event. Nothing is ever written. Not there: audio, raw sectors, DVD structures.
#pragma once

#include "engine/dev/scsi/mode.h"
#include "engine/dev/scsi/unit.h"

namespace viv::scsi {

class Cd final : public Unit {
public:
    static constexpr u64 block_size = 2048;

    // Null: the drive is empty.
    Cd(std::unique_ptr<block::Disk> disk, UnitNames names) : Unit(std::move(disk), std::move(names)) {}

    const char* kind() const override { return "drive"; }

protected:
    Sense carry_out(Task& task) override;
    std::array<u8, 2> type() const override { return {0x05, 0x80}; }  // removable
    std::span<const u8> vital_product_pages() const override;
    void unit_reset(const Sense& why) override;
    void unit_state(Archive& a) override;

private:
    enum class Event : u8 { none = 0, new_medium = 2, removed = 3 };

    Sense missing() const;
    Sense start_stop(Task& task);
    Sense answer_toc(Task& task);
    Sense answer_configuration(Task& task);
    Sense answer_event(Task& task);
    Sense answer_disc_information(Task& task);
    Sense answer_mechanism(Task& task);
    ModeSet modes() const;
    bool loaded() const { return disk() != nullptr && !tray_open_; }
    u32 blocks() const;

    bool tray_open_ = false, locked_ = false;
    Event event_ = Event::none;
};

}  // namespace viv::scsi
