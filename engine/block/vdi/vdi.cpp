// See vdi.h. A header of 512 bytes, little-endian; a map with the number of each block's place; the blocks.
#include "engine/block/vdi/vdi.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <unordered_set>

#include "engine/lang/bytes.h"

namespace viv::block::vdi {

namespace {

constexpr u32 signature = 0xbeda107f, version_1_1 = 0x00010001;
constexpr u32 dynamic_type = 1, static_type = 2;
constexpr u32 unallocated = ~u32{0}, discarded = ~u32{0} - 1;  // both read as zero
constexpr u64 header_bytes = 512, usual_block = 1 << 20, largest_block = 64 << 20, most_blocks = 1 << 29;

namespace at {
constexpr usize text = 0, signature = 0x40, version = 0x44, header_size = 0x48, type = 0x4c, map = 0x154, data = 0x158,
                sector_size = 0x168, disk_size = 0x170, block_size = 0x178, block_extra = 0x17c, blocks = 0x180,
                allocated = 0x184, unique = 0x188, link = 0x1a8, parent = 0x1b8;
}

class VdiImage final : public Image {
public:
    VdiImage(std::unique_ptr<host::File> file, std::string name, Access access)
        : Image(std::move(file), std::move(name), access) {}

    Result<void> load() {
        std::array<u8, header_bytes> header{};
        TRY(read_padded(*file_, 0, header));
        const auto u32_at = [&](usize offset) { return load_le<u32>(&header[offset]); };
        if (u32_at(at::signature) != signature) return fault("is no VDI image");
        if (u32_at(at::version) != version_1_1)
            return fault(fmt::format("is a VDI image of version {}.{}; there is 1.1", u32_at(at::version) >> 16,
                                     u32_at(at::version) & 0xffff));
        const u32 type = u32_at(at::type);
        if (type != dynamic_type && type != static_type)
            return fault("is a VDI image that needs another one (undo or differencing), which is not supported");
        if (!all_zero(std::span(header).subspan(at::link, 16)) || !all_zero(std::span(header).subspan(at::parent, 16)))
            return fault("is a VDI image that is linked to another one, which is not supported");
        map_offset_ = u32_at(at::map);
        data_offset_ = u32_at(at::data);
        size_ = load_le<u64>(&header[at::disk_size]);
        block_ = u32_at(at::block_size);
        const u64 blocks = u32_at(at::blocks);
        if (u32_at(at::sector_size) != 512 || block_ < 512 || block_ > largest_block || !is_power_of_two(block_) ||
            u32_at(at::block_extra) != 0)
            return fault(fmt::format("has blocks of {} bytes, which cannot be", block_));
        if (blocks > most_blocks || size_ > blocks * block_)
            return fault(fmt::format("has a disk of {} bytes, too many for its {} blocks", size_, blocks));
        if (map_offset_ % 512 != 0 || data_offset_ % 512 != 0 || map_offset_ < header_bytes ||
            !range_fits(map_offset_, blocks * 4, file_->size()) || data_offset_ < map_offset_ + blocks * 4)
            return fault("has a map of blocks outside the file");
        size_ = align_up(size_, 512);
        std::vector<u8> bytes(blocks * 4);
        TRY(file_->read_at(map_offset_, bytes));
        map_.resize(blocks);
        counted_ = u32_at(at::allocated);
        for (u64 i = 0; i < blocks; i++) {
            map_[i] = load_le<u32>(&bytes[i * 4]);
            if (map_[i] < discarded) next_ = std::max(next_, map_[i] + 1);
        }
        type_ = type;
        return {};
    }

    std::string_view format() const override { return "vdi"; }
    u64 size() const override { return size_; }

    Result<void> read(u64 offset, std::span<u8> out) override {
        TRY(check_range(offset, out.size()));
        return each_block(offset, out.size(), [&](u64 number, u64 inside, u64 start, u64 length) -> Result<void> {
            const auto part = out.subspan(start, length);
            if (map_[number] < discarded) return read_padded(*file_, place(number) + inside, part);
            std::memset(part.data(), 0, part.size());
            return {};
        });
    }

    Result<void> write(u64 offset, std::span<const u8> in) override {
        TRY(check_writable(offset, in.size()));
        return each_block(offset, in.size(), [&](u64 number, u64 inside, u64 start, u64 length) -> Result<void> {
            const auto part = in.subspan(start, length);
            if (map_[number] < discarded) return file_->write_at(place(number) + inside, part);
            return write_new(number, inside, part);
        });
    }

    Result<void> write_zeroes(u64 offset, u64 length) override {
        TRY(check_writable(offset, length));
        return each_block(offset, length, [&](u64 number, u64 inside, u64, u64 part) -> Result<void> {
            return map_[number] < discarded ? zero_range(*file_, place(number) + inside, part) : Result<void>{};
        });
    }

    // A block keeps its place, which becomes a hole.
    Result<void> discard(u64 offset, u64 length) override {
        TRY(check_writable(offset, length));
        return each_block(offset, length, [&](u64 number, u64 inside, u64, u64 part) -> Result<void> {
            if (map_[number] < discarded) file_->punch_hole(place(number) + inside, part);
            return {};
        });
    }

    Result<void> flush() override { return read_only() ? Result<void>{} : file_->flush(); }

    Result<Extent> extent(u64 offset, u64 length) override {
        TRY(check_range(offset, length));
        const u64 first = offset / block_, inside = offset % block_;
        const bool there = map_[first] < discarded;
        u64 count = 1;
        while (count * block_ - inside < length && (map_[first + count] < discarded) == there &&
               (!there || map_[first + count] == map_[first] + count))
            count++;
        Extent extent;
        extent.kind = there ? Extent::Kind::data : Extent::Kind::absent;
        extent.length = std::min(length, count * block_ - inside);
        if (there) extent.file_offset = place(first) + inside;
        return extent;
    }

    ImageDetails details() override {
        ImageDetails details;
        details.cluster_size = block_;
        details.specific.emplace_back("static", type_ == static_type);
        return details;
    }

    Result<CheckReport> check(Repair repair) override {
        CheckReport report;
        report.total_clusters = map_.size();
        std::unordered_set<u32> seen;
        for (u64 i = 0; i < map_.size(); i++) {
            if (map_[i] >= discarded) continue;
            report.allocated_clusters++;
            if (i != 0 && map_[i] != map_[i - 1] + 1) report.fragmented_clusters++;
            report.image_end = std::max(report.image_end, place(i) + block_);
            if (!seen.insert(map_[i]).second) {
                report.corruptions++;
                report.finding(fmt::format("ERROR block {} of the disk is where another one is, too ({})", i, map_[i]));
            } else if (place(i) >= file_->size()) {
                report.corruptions++;
                report.finding(
                    fmt::format("ERROR block {} of the disk is behind the end of the file ({})", i, map_[i]));
            }
        }
        if (counted_ == report.allocated_clusters) return report;
        report.finding(
            fmt::format("ERROR the header counts {} blocks and there are {}", counted_, report.allocated_clusters));
        if (repair != Repair::everything) {
            report.corruptions++;
            return report;
        }
        TRY(check_writable(0, 0));
        counted_ = static_cast<u32>(report.allocated_clusters);
        TRY(write_count());
        report.corruptions_fixed++;
        return report;
    }

private:
    u64 place(u64 number) const { return data_offset_ + u64{map_[number]} * block_; }

    template <class Use>
    Result<void> each_block(u64 offset, u64 length, Use&& use) {
        for (u64 done = 0; done < length;) {
            const u64 inside = (offset + done) % block_, part = std::min(length - done, block_ - inside);
            TRY(use((offset + done) / block_, inside, done, part));
            done += part;
        }
        return {};
    }

    // Data, then the count, then the map: what the map does not name is nobody's.
    Result<void> write_new(u64 number, u64 inside, std::span<const u8> in) {
        if (next_ >= map_.size()) return fault("has no block left, although its map has; see viv-img check");
        const u64 start = data_offset_ + u64{next_} * block_, end = start + block_;
        const u64 file_end = file_->size();
        if (file_end > start) TRY(zero_range(*file_, start, std::min(file_end, end) - start));
        if (file_end < end) TRY(file_->resize(end));
        TRY(file_->write_at(start + inside, in));
        counted_++;
        TRY(write_count());
        std::array<u8, 4> entry{};
        store_le<u32>(&entry[0], next_);
        TRY(file_->write_at(map_offset_ + number * 4, entry));
        map_[number] = next_++;
        return {};
    }

    Result<void> write_count() {
        std::array<u8, 4> count{};
        store_le<u32>(&count[0], counted_);
        return file_->write_at(at::allocated, count);
    }

    u64 size_ = 0, map_offset_ = 0, data_offset_ = 0, block_ = 0;
    u32 type_ = dynamic_type;
    u32 next_ = 0;     // the place of the next new block
    u32 counted_ = 0;  // blocks in use, as the header says
    std::vector<u32> map_;
};

}  // namespace

Result<std::unique_ptr<Image>> open(std::unique_ptr<host::File> file, OpenContext context) {
    auto image = std::make_unique<VdiImage>(std::move(file), std::move(context.name), context.access);
    TRY(image->load());
    return std::unique_ptr<Image>(std::move(image));
}

Result<void> create(host::File& file, const CreateOptions& options) {
    const u64 blocks = options.size / usual_block + (options.size % usual_block != 0);
    if (blocks > most_blocks)
        return Error{fmt::format("a disk of {} bytes is too large for a VDI image", options.size)};
    std::array<u8, header_bytes> header{};
    constexpr std::string_view text = "<<< Vivarium VM Virtual Disk Image >>>\n";
    std::copy(text.begin(), text.end(), header.begin() + at::text);
    const u64 data = header_bytes + align_up(blocks * 4, 512);
    if (data > ~u32{0}) return Error{fmt::format("a disk of {} bytes is too large for a VDI image", options.size)};
    store_le<u32>(&header[at::signature], signature);
    store_le<u32>(&header[at::version], version_1_1);
    store_le<u32>(&header[at::header_size], 0x180);
    store_le<u32>(&header[at::type], options.fixed ? static_type : dynamic_type);
    store_le<u32>(&header[at::map], header_bytes);
    store_le<u32>(&header[at::data], static_cast<u32>(data));
    store_le<u32>(&header[at::sector_size], 512);
    store_le<u64>(&header[at::disk_size], options.size);
    store_le<u32>(&header[at::block_size], usual_block);
    store_le<u32>(&header[at::blocks], static_cast<u32>(blocks));
    store_le<u32>(&header[at::allocated], options.fixed ? static_cast<u32>(blocks) : 0);
    std::copy(options.unique.begin(), options.unique.end(), header.begin() + at::unique);
    std::vector<u8> map(data - header_bytes);
    for (u64 i = 0; i < blocks; i++) store_le<u32>(&map[i * 4], options.fixed ? static_cast<u32>(i) : unallocated);
    TRY(file.resize(options.fixed ? data + blocks * usual_block : data));
    if (!map.empty()) TRY(file.write_at(header_bytes, map));
    return file.write_at(0, header);
}

}  // namespace viv::block::vdi
