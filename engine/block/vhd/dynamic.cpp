// See dynamic.h.
#include "engine/block/vhd/dynamic.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

#include "engine/lang/bytes.h"

namespace viv::block::vhd {

namespace {

constexpr std::string_view header_mark = "cxsparse";
constexpr u64 header_bytes = header_sectors * sector, most_blocks = 1 << 24, least_block = 4096, most_block = 256 << 20;

namespace at {
constexpr usize next = 8, table = 16, version = 24, blocks = 28, block_size = 32, checksum = 36;
}

}  // namespace

std::array<u8, header_sectors * sector> make_header(u32 blocks, u32 block_bytes) {
    std::array<u8, header_bytes> header{};
    std::copy(header_mark.begin(), header_mark.end(), header.begin());
    store_be<u64>(&header[at::next], no_offset);  // never used
    store_be<u64>(&header[at::table], sector + header_bytes);
    store_be<u32>(&header[at::version], version_1);
    store_be<u32>(&header[at::blocks], blocks);
    store_be<u32>(&header[at::block_size], block_bytes);
    store_be<u32>(&header[at::checksum], checksum(header, at::checksum));
    return header;
}

DynamicImage::~DynamicImage() {
    // Whoever wants to know whether it went well has called flush().
    if (!unwritten_.empty()) (void)flush();
}

Result<void> DynamicImage::load(OpenOptions::Damage damage) {
    FooterBytes head{}, tail{};
    TRY(read_padded(*file_, 0, head));
    const u64 file_size = file_->size();
    if (file_size >= 2 * sector) TRY(file_->read_at(align_down(file_size, sector) - sector, tail));
    head_good_ = read_footer(head).has_value();
    tail_good_ = read_footer(tail).has_value();
    footer_bytes_ = tail_good_ ? tail : head;
    TRY(read_header());
    TRY(read_table());
    unsafe_ = find_faults().count != 0;
    if (unsafe_ && !read_only() && damage == OpenOptions::Damage::refused)
        return fault("has blocks where others or its tables are, and can only be read; see viv-img check");
    return {};
}

Result<void> DynamicImage::read_header() {
    std::array<u8, header_bytes> header{};
    if (footer_.header % sector != 0 || footer_.header < sector ||
        !range_fits(footer_.header, header.size(), file_->size()))
        return fault("has a header outside the file");
    TRY(file_->read_at(footer_.header, header));
    if (std::memcmp(header.data(), header_mark.data(), header_mark.size()) != 0 ||
        load_be<u32>(&header[at::checksum]) != checksum(header, at::checksum))
        return fault("has a header that is damaged");
    if (load_be<u32>(&header[at::version]) != version_1)
        return fault(fmt::format("is a VHD image with a header of version {:#x}; there is {:#x}",
                                 load_be<u32>(&header[at::version]), version_1));
    table_place_ = load_be<u64>(&header[at::table]);
    block_ = load_be<u32>(&header[at::block_size]);
    if (!is_power_of_two(block_) || block_ < least_block || block_ > most_block)
        return fault(fmt::format("has blocks of {} bytes, which cannot be", block_));
    bitmap_bytes_ = align_up(block_ / sector / 8, sector);
    const u64 blocks = load_be<u32>(&header[at::blocks]);
    if (blocks > most_blocks || footer_.disk_size > blocks * block_)
        return fault(fmt::format("has a disk of {} bytes, too many for its {} blocks", footer_.disk_size, blocks));
    if (table_place_ % sector != 0 || table_place_ < sector || !range_fits(table_place_, blocks * 4, file_->size()))
        return fault("has a table of blocks outside the file");
    table_.resize(blocks);
    return {};
}

Result<void> DynamicImage::read_table() {
    std::vector<u8> bytes(table_.size() * 4);
    TRY(file_->read_at(table_place_, bytes));
    const u64 file_size = file_->size();
    next_ = std::max(footer_.header + header_bytes, table_end());
    for (u64 i = 0; i < table_.size(); i++) {
        table_[i] = load_be<u32>(&bytes[i * 4]);
        if (there(i) && place(i) < file_size) next_ = std::max(next_, place(i) + stride());
    }
    complete_.resize(table_.size());
    return {};
}

template <class Use>
Result<void> DynamicImage::each_block(u64 offset, u64 length, Use&& use) {
    for (u64 done = 0; done < length;) {
        const u64 inside = (offset + done) % block_, part = std::min(length - done, block_ - inside);
        TRY(use((offset + done) / block_, inside, done, part));
        done += part;
    }
    return {};
}

// Where the sectors of a block are.
Result<u64> DynamicImage::data_of(u64 number) {
    if (place(number) >= file_->size())
        return fault(fmt::format("has block {} of the disk behind the end of the file", number));
    return place(number) + bitmap_bytes_;
}

Result<void> DynamicImage::load_bitmap(u64 number) {
    if (bitmap_of_ == number) return {};
    bitmap_of_ = no_offset;
    bitmap_.resize(bitmap_bytes_);
    TRY(read_padded(*file_, place(number), bitmap_));
    bitmap_of_ = number;
    const auto used = std::span(bitmap_).first(block_ / sector / 8);
    complete_[number] = std::all_of(used.begin(), used.end(), [](u8 byte) { return byte == 0xff; });
    return {};
}

Result<DynamicImage::Run> DynamicImage::run_of(u64 number, u64 first, u64 most) {
    if (!complete_[number]) TRY(load_bitmap(number));
    if (complete_[number]) return Run{most, true};
    const auto marked = [&](u64 index) { return (bitmap_[index / 8] >> (7 - index % 8) & 1) != 0; };
    Run run{1, marked(first)};
    while (run.sectors < most && marked(first + run.sectors) == run.marked) run.sectors++;
    return run;
}

Result<void> DynamicImage::read(u64 offset, std::span<u8> out) {
    TRY(check_range(offset, out.size()));
    return each_block(offset, out.size(), [&](u64 number, u64 inside, u64 start, u64 length) -> Result<void> {
        auto part = out.subspan(start, length);
        if (!there(number)) {
            std::memset(part.data(), 0, part.size());
            return {};
        }
        TRY_SET(const u64 data, data_of(number));
        while (!part.empty()) {
            const u64 first = inside / sector, last = (inside + part.size() - 1) / sector;
            TRY_SET(const Run run, run_of(number, first, last - first + 1));
            const auto piece = part.first(std::min<u64>(part.size(), (first + run.sectors) * sector - inside));
            if (run.marked) {
                TRY(read_padded(*file_, data + inside, piece));
            } else {
                std::memset(piece.data(), 0, piece.size());
            }
            inside += piece.size();
            part = part.subspan(piece.size());
        }
        return {};
    });
}

// Zeroes the sectors that a block has not, then marks them.
Result<void> DynamicImage::complete(u64 number) {
    TRY_SET(const u64 data, data_of(number));
    const u64 all = block_ / sector;
    for (u64 first = 0; first < all;) {
        TRY_SET(const Run run, run_of(number, first, all - first));
        if (complete_[number]) return {};
        if (!run.marked) TRY(zero_range(*file_, data + first * sector, run.sectors * sector));
        first += run.sectors;
    }
    TRY(file_->flush());
    std::fill_n(bitmap_.begin(), all / 8, u8{0xff});
    bitmap_of_ = no_offset;
    TRY(file_->write_at(place(number), bitmap_));
    complete_[number] = true;
    return {};
}

Result<void> DynamicImage::write(u64 offset, std::span<const u8> in) {
    TRY(check_writable(offset, in.size()));
    return each_block(offset, in.size(), [&](u64 number, u64 inside, u64 start, u64 length) -> Result<void> {
        const auto part = in.subspan(start, length);
        if (!there(number)) return write_new(number, inside, part);
        TRY(complete(number));
        return file_->write_at(place(number) + bitmap_bytes_ + inside, part);
    });
}

Result<void> DynamicImage::put_footer(u64 end) {
    TRY(file_->write_at(end, footer_bytes_));
    tail_good_ = true;
    return {};
}

Result<void> DynamicImage::write_new(u64 number, u64 inside, std::span<const u8> in) {
    const u64 start = next_, end = start + stride(), file_end = align_up(file_->size(), sector);
    if (end / sector >= unallocated) return fault("is larger than the format allows");
    // The footer first: the file never ends without one.
    if (file_end < end + sector) {
        TRY(put_footer(end));
    } else if (!tail_good_) {
        TRY(put_footer(file_end));
    }
    TRY(zero_range(*file_, start, std::min(std::max(file_end, start), end) - start));
    std::vector<u8> bitmap(bitmap_bytes_);
    std::fill_n(bitmap.begin(), block_ / sector / 8, u8{0xff});
    TRY(file_->write_at(start, bitmap));
    TRY(file_->write_at(start + bitmap_bytes_ + inside, in));
    table_[number] = static_cast<u32>(start / sector);
    complete_[number] = true;
    unwritten_.insert(number * 4 / sector);
    next_ = end;
    return {};
}

Result<void> DynamicImage::write_zeroes(u64 offset, u64 length) {
    TRY(check_writable(offset, length));
    return each_block(offset, length, [&](u64 number, u64 inside, u64, u64 part) -> Result<void> {
        if (!there(number)) return {};
        TRY_SET(const u64 data, data_of(number));
        return zero_range(*file_, data + inside, part);
    });
}

// A block keeps its place, which becomes a hole.
Result<void> DynamicImage::discard(u64 offset, u64 length) {
    TRY(check_writable(offset, length));
    return each_block(offset, length, [&](u64 number, u64 inside, u64, u64 part) -> Result<void> {
        if (!there(number)) return {};
        TRY_SET(const u64 data, data_of(number));
        file_->punch_hole(data + inside, part);
        return {};
    });
}

Result<void> DynamicImage::flush() {
    if (read_only()) return {};
    TRY(file_->flush());
    if (unwritten_.empty()) return {};
    while (!unwritten_.empty()) {
        const u64 first = *unwritten_.begin() * (sector / 4), count = std::min(sector / 4, table_.size() - first);
        FooterBytes bytes{};
        for (u64 i = 0; i < count; i++) store_be<u32>(&bytes[i * 4], table_[first + i]);
        TRY(file_->write_at(table_place_ + first * 4, std::span(bytes).first(count * 4)));
        unwritten_.erase(unwritten_.begin());
    }
    return file_->flush();
}

Result<Extent> DynamicImage::extent(u64 offset, u64 length) {
    TRY(check_range(offset, length));
    const u64 number = offset / block_, inside = offset % block_;
    Extent extent;
    if (there(number)) {
        TRY_SET(const u64 data, data_of(number));
        const u64 most = std::min(length, block_ - inside);
        TRY_SET(const Run run, run_of(number, inside / sector, (inside + most - 1) / sector - inside / sector + 1));
        extent.length = std::min(most, (inside / sector + run.sectors) * sector - inside);
        if (run.marked) {
            extent.kind = Extent::Kind::data;
            extent.file_offset = data + inside;
        }
        return extent;
    }
    u64 count = 1;
    while (count * block_ - inside < length && !there(number + count)) count++;
    extent.length = std::min(length, count * block_ - inside);
    return extent;
}

ImageDetails DynamicImage::details() {
    ImageDetails details;
    details.cluster_size = block_;
    details.specific.emplace_back("subformat", std::string("dynamic"));
    return details;
}

}  // namespace viv::block::vhd
