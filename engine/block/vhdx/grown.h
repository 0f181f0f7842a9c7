// VHDX images, the fixed ones and those that grow: what image.h promises, on a table of blocks and a log.
// Order of writes: a new block is whole before the table names it. Pages of the table that change wait in memory until
// flush(): a barrier, the pages as an entry of the log, a barrier, then in their place. An entry is not overwritten
// before the one after it is there and what it says is in its place. The headers name the log from the first entry
// until the image is closed.
#pragma once

#include <array>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "engine/block/catalog.h"
#include "engine/block/vhdx/log.h"

namespace viv::block::vhdx {

class GrownImage final : public Image {
public:
    // `unique`: random, from which the image's marks of change are made.
    GrownImage(std::unique_ptr<host::File> file, std::string name, Access access, const Guid& unique)
        : Image(std::move(file), std::move(name), access), unique_(unique) {}
    ~GrownImage() override;

    Result<void> load(OpenOptions::Damage damage);

    std::string_view format() const override { return "vhdx"; }
    u64 size() const override { return metadata_.disk_size; }
    Result<void> read(u64 offset, std::span<u8> out) override;
    Result<void> write(u64 offset, std::span<const u8> in) override;
    Result<void> write_zeroes(u64 offset, u64 length) override;
    Result<void> discard(u64 offset, u64 length) override;
    Result<void> flush() override;
    Result<Extent> extent(u64 offset, u64 length) override;
    ImageDetails details() override;
    Result<CheckReport> check(Repair repair) override;

private:
    // Where the table of blocks has it.
    u64& entry(u64 number) { return table_[metadata_.entry_of(number)]; }
    bool there(u64 number) const { return is_there(table_[metadata_.entry_of(number)]); }
    u64 place(u64 number) const { return place_of(table_[metadata_.entry_of(number)]); }

    Result<void> load_headers();
    Result<void> load_log();
    Result<void> load_regions();
    Result<void> load_table();
    Result<void> put_headers();
    Result<void> begin_changes();
    Result<void> write_table();
    Result<void> write_new(u64 number, u64 inside, std::span<const u8> in);
    Guid new_guid();
    template <class Use>
    Result<void> each_block(u64 offset, u64 length, Use&& use);

    // Blocks by their place, and what of them cannot be.
    struct Faults {
        u64 allocated = 0, fragmented = 0;
        std::vector<std::string> lines;
        u64 count = 0;
    };
    Faults find_faults();
    Result<void> mend_copies(Repair repair, CheckReport& report);

    Guid unique_;
    u64 guids_made_ = 0;
    Header header_;
    usize header_place_ = 0;  // which of the two is header_
    std::array<bool, 2> headers_good_{}, regions_good_{};
    bool changed_ = false;   // the headers say that this opening changes the image
    bool log_lost_ = false;  // the header names a log, and no entry of it is whole
    bool was_open_ = false;  // the image has not been closed the last time
    bool unsafe_ = false;    // not to be written to
    u64 log_sequence_ = 0;   // of the last entry of ours
    Metadata metadata_;
    Regions regions_;
    std::vector<Range> taken_;  // by what is no block, in order
    std::vector<u64> table_;    // as in the file, up to the end of its last page
    std::set<u64> unwritten_;   // pages of the table that differ from the file's
    u64 next_ = 0;              // the place of the next new block
};

}  // namespace viv::block::vhdx
