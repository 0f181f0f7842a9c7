// Dynamic VHD images: a copy of the footer, a header, a table of blocks, the blocks, the footer. A block is a bitmap of
// the sectors that it has, then the sectors.
// Order of writes: a new block is whole and the footer behind it before the table names it. The table's entry waits in
// memory until flush(), which puts a barrier between the two. A block is written to once all its sectors are marked;
// those that were not are zeroed before.
#pragma once

#include <array>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "engine/block/catalog.h"
#include "engine/block/vhd/footer.h"

namespace viv::block::vhd {

inline constexpr u64 header_sectors = 2;
// The header of a new image, whose table is right behind it.
std::array<u8, header_sectors * sector> make_header(u32 blocks, u32 block_bytes);

class DynamicImage final : public Image {
public:
    DynamicImage(std::unique_ptr<host::File> file, std::string name, Access access, const Footer& footer)
        : Image(std::move(file), std::move(name), access), footer_(footer) {}
    ~DynamicImage() override;

    Result<void> load(OpenOptions::Damage damage);

    std::string_view format() const override { return "vpc"; }
    u64 size() const override { return footer_.disk_size; }
    Result<void> read(u64 offset, std::span<u8> out) override;
    Result<void> write(u64 offset, std::span<const u8> in) override;
    Result<void> write_zeroes(u64 offset, u64 length) override;
    Result<void> discard(u64 offset, u64 length) override;
    Result<void> flush() override;
    Result<Extent> extent(u64 offset, u64 length) override;
    ImageDetails details() override;
    Result<CheckReport> check(Repair repair) override;

private:
    static constexpr u32 unallocated = ~u32{0};

    bool there(u64 number) const { return table_[number] != unallocated; }
    u64 place(u64 number) const { return u64{table_[number]} * sector; }  // of the bitmap; the sectors follow
    u64 stride() const { return bitmap_bytes_ + block_; }
    u64 table_end() const { return table_place_ + align_up(table_.size() * 4, sector); }

    Result<void> read_header();
    Result<void> read_table();
    Result<u64> data_of(u64 number);
    // Sectors from `first` on that are alike, at most `most`; `marked` says how.
    struct Run {
        u64 sectors = 0;
        bool marked = false;
    };
    Result<Run> run_of(u64 number, u64 first, u64 most);
    Result<void> load_bitmap(u64 number);
    Result<void> complete(u64 number);
    Result<void> write_new(u64 number, u64 inside, std::span<const u8> in);
    Result<void> put_footer(u64 end);
    template <class Use>
    Result<void> each_block(u64 offset, u64 length, Use&& use);

    // Blocks by their place, and what of them cannot be.
    struct Faults {
        u64 allocated = 0, fragmented = 0;
        std::vector<std::string> lines;
        u64 count = 0;
    };
    Faults find_faults();

    Footer footer_;
    FooterBytes footer_bytes_{};
    bool head_good_ = false, tail_good_ = false;
    bool unsafe_ = false;  // blocks lie over each other or over the tables
    u64 table_place_ = 0, block_ = 0, bitmap_bytes_ = 0;
    std::vector<u32> table_;      // of each block its bitmap's sector
    std::set<u64> unwritten_;     // sectors of the table that differ from the file's
    u64 next_ = 0;                // the place of the next new block
    std::vector<bool> complete_;  // blocks known to have all their sectors
    std::vector<u8> bitmap_;      // of the block bitmap_of_
    u64 bitmap_of_ = no_offset;
};

}  // namespace viv::block::vhd
