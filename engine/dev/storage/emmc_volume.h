// What an eMMC keeps, in one disk: the user area from its first byte on, and behind it the boot partitions, the RPMB
// partition, a journal, two slots for the record (key, write counter, lasting settings) and, in the last whole 4 KiB,
// how the disk is divided. Promises: a disk whose end is not free is refused and stays as it was; a record or journal
// that a killed host has left half-written is never taken for a whole one: the one before it counts. Decision 0035.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/block/block.h"
#include "engine/dev/storage/sha256.h"

namespace viv::emmc {

enum class Area : u8 { user, boot_1, boot_2, rpmb };

constexpr u64 size_unit = 128 << 10;  // of boot and RPMB partitions
constexpr usize rpmb_block = 256, journal_blocks = 32, journal_size = rpmb_block * journal_blocks;

// In bytes.
struct Geometry {
    u64 user = 0, boot = 0, rpmb = 0;
    bool operator==(const Geometry&) const = default;
};

// What lasts besides data. Whoever can read the disk can read the key.
struct Record {
    u64 sequence = 0;  // of writes of the record
    bool key_set = false;
    std::array<u8, 32> key{};
    u32 write_counter = 0;
    u8 partition_config = 0, boot_bus_conditions = 0, rst_n_function = 0;  // as in EXT_CSD
    // RPMB blocks that are in the journal and perhaps not yet where they belong; their digest tells whether the journal
    // is whole. If it is not, they are where they belong.
    u16 journal_address = 0, journal_count = 0;  // in blocks
    Digest journal_digest{};
};

class Volume {
public:
    using Done = std::function<void(bool ok)>;

    // Divides a disk whose end is zero; an empty optional is the default for one, and anything for one that is divided
    // already. Reads and writes the disk, which must answer at once here.
    static Result<std::unique_ptr<Volume>> open(std::unique_ptr<block::Disk> disk, std::optional<u64> boot,
                                                std::optional<u64> rpmb);

    const Geometry& geometry() const { return geometry_; }
    u64 size_of(Area area) const;
    bool read_only() const { return disk_->read_only(); }
    // The lasting settings as they were when the disk was opened.
    const Record& opened_with() const { return record_at_open_; }

    // One thing at a time (CHECK); `done` comes once, perhaps before the call returns, unless cancel() does. Offsets
    // and lengths are bytes, multiples of 512 (of the RPMB partition: of 256); a range outside the area is an error.
    // Memory stays valid until then.
    bool busy() const { return static_cast<bool>(done_); }
    enum class Durable : u8 { no, yes };
    void read(Area area, u64 offset, std::span<u8> out, Done done);
    void write(Area area, u64 offset, std::span<u8> in, Durable durable, Done done);
    void clear(Area area, u64 offset, u64 length, block::Operation how, Done done);
    void flush(Done done);

    // Reads record and journal; afterwards record() is valid.
    void load(Done done);
    const Record& record() const { return record_; }
    // The blocks of the journal that count over the RPMB partition's own; empty: none.
    std::span<const u8> journal() const;
    // Writes a record and waits until it lasts. The journal stays. After load().
    void keep(const Record& record, Done done);
    // RPMB blocks and the record that goes with them: both or none of them last. After load().
    void keep_with_blocks(const Record& record, u16 address, std::span<const u8> blocks, Done done);
    // Reads RPMB blocks as they are with the journal. After load().
    void read_rpmb(u16 address, std::span<u8> out, Done done);

    // Nothing is under way when it returns.
    void cancel();

private:
    static constexpr usize slot_size = 4096, slots = 2;
    struct Step {
        block::Operation operation;
        u64 offset, length;
        u8* bytes;
    };

    explicit Volume(std::unique_ptr<block::Disk> disk) : disk_(std::move(disk)) {}
    Result<void> divide(std::optional<u64> boot, std::optional<u64> rpmb);
    Result<void> at_once(block::Operation operation, u64 offset, std::span<u8> bytes);
    Result<void> check_free(u64 from, u64 to);
    u64 place(Area area) const;
    u64 journal_place() const { return end_ - slot_size * (slots + 1) - journal_size; }
    u64 slot_place(u64 slot) const { return end_ - slot_size * (slots + 1) + slot * slot_size; }
    static std::optional<Record> unpack(std::span<const u8> slot);
    static void pack(const Record& record, std::span<u8> slot);
    bool take_record();
    void add_record(std::vector<Step>& steps, Record record);

    void run(std::vector<Step> steps, Done done);
    void submit_next();
    void finish(bool ok);

    u64 end_ = 0;  // the disk's size in whole slots
    Geometry geometry_;
    Record record_at_open_, record_;
    std::array<u8, journal_size + slot_size * slots> kept_{};  // as read: journal, slots
    std::vector<u8> moved_;                                    // what is being written to the RPMB partition
    std::array<u8, slot_size> slot_{};                         // what is being written
    std::array<u8, journal_size> journal_{};
    std::vector<u8> sectors_;  // what is being read for a range that begins or ends within sectors
    std::vector<Step> steps_;
    usize next_ = 0;
    u64 ticket_ = 1;
    Done done_;
    std::unique_ptr<block::Disk> disk_;  // last, so that it goes first: it may hold completions
};

// The largest user area within `room` bytes that a CSD can tell.
u64 user_size(u64 room);

}  // namespace viv::emmc
