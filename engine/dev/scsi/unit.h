// A logical unit of a SCSI target: tasks in flight, unit attentions and the commands that all devices have. What is
// particular to a kind is in disk.h and cd.h; units are found through bus.h.
// Promises: many tasks at once, each of them steps on a block::Disk; every field of a command and every length of a
// parameter list is checked before it is used; a command that cannot be carried out changes nothing, but for one that
// the disk refuses half-way. Parameters are copied, then checked.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "engine/block/block.h"
#include "engine/dev/scsi/scsi.h"
#include "engine/state/archive.h"

namespace viv::scsi {

struct UnitNames {
    std::string vendor, product, revision;  // at most 8, 16 and 4 characters
    std::string serial;                     // at most 36; empty: none is told
    u64 wwn = 0;                            // an NAA identifier; 0: none
};

class Unit {
public:
    static constexpr usize longest_serial = 36;
    static constexpr u64 longest_transfer = u64{64} << 20;  // bytes of one command

    Unit(std::unique_ptr<block::Disk> disk, UnitNames names);
    virtual ~Unit();

    // Where it is on its bus: told in its identification if it has neither serial nor wwn.
    void placed(u32 target, u32 lun);

    // The task's number, by which it can be aborted; 0 if it is over already.
    u64 submit(Command command);
    // It is answered as aborted once the step under way is done; one that is over is left alone.
    void abort(u64 task);
    // No data of any task is touched from now on, and none is answered.
    void abandon();
    // To power-on state, with the unit attention that tells why. Tasks that are not over are the caller's to abort or
    // abandon.
    void reset(const Sense& why);

    void state(Archive& a);
    virtual const char* kind() const = 0;  // its name in an archive

protected:
    struct Step {
        block::Operation operation = block::Operation::flush;
        u64 offset = 0, length = 0;  // bytes
        std::vector<std::span<u8>> segments;
        std::optional<u64> compare_at = {};  // what was read is compared with the data given from there on
    };
    struct Task {
        usize slot = 0;
        u64 number = 0;  // 0: free
        Command command;
        std::vector<Step> steps;
        usize next = 0;
        std::vector<u8> buffer;  // of the unit's own
        u64 moved = 0;
        bool overrun = false, aborted = false;
        bool waiting = false, running = false;
        block::Status last = block::Status::ok;
    };

    // Everything but INQUIRY, REQUEST SENSE and pending unit attentions. Either it answers at once by what it returns,
    // or it adds steps.
    virtual Sense carry_out(Task& task) = 0;
    virtual std::array<u8, 2> type() const = 0;  // the first two bytes of INQUIRY's data
    // What follows the header of a VPD page; false if there is no such page. Pages 0x00, 0x80 and 0x83 are the base's.
    virtual bool vital_product_data(u8 /*page*/, std::vector<u8>& /*body*/) const { return false; }
    virtual std::span<const u8> vital_product_pages() const = 0;  // all, in order
    virtual void unit_reset(const Sense& why) = 0;
    virtual void unit_state(Archive& a) = 0;  // tags from 16

    // For carry_out.
    // Gives `bytes` as far as `allocated` and the guest's room go.
    Sense give(Task& task, std::span<const u8> bytes, u64 allocated);
    // The `size` bytes of a parameter list; nothing if the guest gave less (the task is then an overrun).
    std::optional<std::vector<u8>> take(Task& task, u64 size);
    // Steps between guest memory and the disk.
    Sense transfer(Task& task, block::Operation operation, u64 offset, u64 length);
    static void add(Task& task, Step step) { task.steps.push_back(std::move(step)); }
    void attend(const Sense& why) { attention_ = why; }
    block::Disk* disk() const { return disk_.get(); }
    const UnitNames& names() const { return names_; }

private:
    Sense decode(Task& task);
    Sense answer_inquiry(Task& task);
    std::vector<u8> identification() const;
    void run(Task& task);
    void completed(usize slot, u64 number, block::Status status);
    void finish(Task& task, const Answer& answer);
    bool compares(Task& task, const Step& step) const;
    Task& free_slot();

    UnitNames names_;
    std::string place_;
    Sense attention_ = sense::power_on;
    std::vector<std::unique_ptr<Task>> tasks_;
    u64 next_number_ = 1;
    std::unique_ptr<block::Disk> disk_;  // last, so that it goes first: it may hold completions
};

// Where a command addresses blocks, in the places of its length (6, 10, 12 or 16 bytes).
struct Extent {
    u64 block = 0;
    u64 count = 0;
};
Extent extent_of(const std::array<u8, 16>& cdb);
constexpr usize cdb_length(u8 opcode) {
    constexpr std::array<u8, 8> lengths{6, 10, 10, 16, 16, 12, 16, 16};  // by group; the last two are vendors'
    return lengths[opcode >> 5];
}

}  // namespace viv::scsi
