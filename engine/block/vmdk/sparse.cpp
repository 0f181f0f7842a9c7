// See sparse.h. A header, a text that describes the disk, a directory of tables of grains (twice), the grains.
#include "engine/block/vmdk/sparse.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <unordered_set>

#include "engine/block/vmdk/descriptor.h"
#include "engine/lang/bytes.h"

namespace viv::block::vmdk {

namespace {

constexpr u64 usual_grain = 128, usual_table = 512;  // sectors; entries
constexpr u64 most_directory = 1 << 22, most_grain = 2048, most_table = 4096;
constexpr u32 flag_newlines = 1, flag_second_directory = 2, flag_compressed = 1 << 16, flag_markers = 1 << 17;
constexpr u64 directory_at_end = ~u64{0};

namespace at {
constexpr usize version = 4, flags = 8, capacity = 12, grain = 20, descriptor = 28, descriptor_size = 36, table = 44,
                second_directory = 48, directory = 56, overhead = 64, newlines = 73, compression = 77;
}

struct Layout {
    u32 version = 1, flags = 0;
    u64 capacity = 0, grain = 0, descriptor = 0, descriptor_size = 0;  // sectors
    u64 table = 0;                                                     // entries of a grain table
    u64 second_directory = 0, directory = 0, overhead = 0;             // sectors
    u16 compression = 0;
};

Layout read_layout(std::span<const u8, 512> bytes) {
    const u8* from = bytes.data();
    Layout layout;
    layout.version = load_le<u32>(from + at::version);
    layout.flags = load_le<u32>(from + at::flags);
    layout.capacity = load_le<u64>(from + at::capacity);
    layout.grain = load_le<u64>(from + at::grain);
    layout.descriptor = load_le<u64>(from + at::descriptor);
    layout.descriptor_size = load_le<u64>(from + at::descriptor_size);
    layout.table = load_le<u32>(from + at::table);
    layout.second_directory = load_le<u64>(from + at::second_directory);
    layout.directory = load_le<u64>(from + at::directory);
    layout.overhead = load_le<u64>(from + at::overhead);
    layout.compression = load_le<u16>(from + at::compression);
    return layout;
}

class SparseImage final : public Image {
public:
    SparseImage(std::unique_ptr<host::File> file, std::string name, Access access)
        : Image(std::move(file), std::move(name), access) {}

    Result<void> load(Part part) {
        std::array<u8, sector> header{};
        TRY(read_padded(*file_, 0, header));
        if (std::memcmp(header.data(), "KDMV", 4) != 0) return fault("is no VMDK image that this version can open");
        layout_ = read_layout(header);
        if (layout_.directory == directory_at_end) {
            // A stream's header does not know yet; the footer before the last two sectors does.
            const u64 end = file_->size();
            if (end < 4 * sector) return fault("is a stream that ends early");
            TRY(file_->read_at(align_down(end, sector) - 2 * sector, header));
            if (std::memcmp(header.data(), "KDMV", 4) != 0) return fault("is a stream that ends early");
            layout_ = read_layout(header);
        }
        TRY(check_layout());
        if (part == Part::whole) TRY(use_descriptor());
        return read_directory();
    }

    std::string_view format() const override { return "vmdk"; }
    u64 size() const override { return layout_.capacity * sector; }

    Result<void> read(u64 offset, std::span<u8> out) override {
        TRY(check_range(offset, out.size()));
        return each_grain(offset, out.size(), [&](u64 number, u64 inside, u64 start, u64 length) -> Result<void> {
            const auto part = out.subspan(start, length);
            TRY_SET(const u64 place, grain(number));
            if (place != 0 && compressed_) return unpack(place, inside, part);
            if (place != 0) return read_padded(*file_, place * sector + inside, part);
            std::memset(part.data(), 0, part.size());
            return {};
        });
    }

    Result<void> write(u64 offset, std::span<const u8> in) override {
        TRY(check_writable(offset, in.size()));
        return each_grain(offset, in.size(), [&](u64 number, u64 inside, u64 start, u64 length) -> Result<void> {
            const auto part = in.subspan(start, length);
            TRY_SET(const u64 place, grain(number));
            return place != 0 ? file_->write_at(place * sector + inside, part) : write_new(number, inside, part);
        });
    }

    Result<void> write_zeroes(u64 offset, u64 length) override {
        TRY(check_writable(offset, length));
        return each_grain(offset, length, [&](u64 number, u64 inside, u64, u64 part) -> Result<void> {
            TRY_SET(const u64 place, grain(number));
            return place != 0 ? zero_range(*file_, place * sector + inside, part) : Result<void>{};
        });
    }

    // A grain keeps its place, which becomes a hole.
    Result<void> discard(u64 offset, u64 length) override {
        TRY(check_writable(offset, length));
        return each_grain(offset, length, [&](u64 number, u64 inside, u64, u64 part) -> Result<void> {
            TRY_SET(const u64 place, grain(number));
            if (place != 0) file_->punch_hole(place * sector + inside, part);
            return {};
        });
    }

    Result<void> flush() override { return read_only() ? Result<void>{} : file_->flush(); }

    Result<Extent> extent(u64 offset, u64 length) override {
        TRY(check_range(offset, length));
        const u64 bytes = layout_.grain * sector, inside = offset % bytes;
        u64 number = offset / bytes;
        TRY_SET(const u64 first, grain(number));
        Extent extent;
        extent.kind = first != 0 ? Extent::Kind::data : Extent::Kind::absent;
        extent.compressed = first != 0 && compressed_;
        if (first != 0 && !compressed_) extent.file_offset = first * sector + inside;
        u64 reached = bytes - inside;
        for (u64 count = 1; reached < length; count++, reached += bytes) {
            TRY_SET(const u64 next, grain(++number));
            if ((next != 0) != (first != 0) || (first != 0 && !compressed_ && next != first + count * layout_.grain))
                break;
        }
        extent.length = std::min(length, reached);
        return extent;
    }

    ImageDetails details() override {
        ImageDetails details;
        details.cluster_size = layout_.grain * sector;
        details.compressed = compressed_;
        details.specific.emplace_back("create-type", create_type_);
        return details;
    }

    Result<CheckReport> check(Repair) override {
        CheckReport report;
        const u64 grains = grain_count();
        report.total_clusters = grains;
        std::unordered_set<u64> seen;
        for (u64 number = 0; number < grains; number++) {
            TRY_SET(const u64 place, grain(number));
            if (place == 0) continue;
            report.allocated_clusters++;
            if (place * sector >= file_->size() || !seen.insert(place).second) {
                report.corruptions++;
                report.finding(fmt::format(
                    "ERROR grain {} is at sector {}, {}", number, place,
                    place * sector >= file_->size() ? "behind the end of the file" : "where another one is, too"));
            }
        }
        return report;
    }

private:
    u64 grain_count() const { return (layout_.capacity + layout_.grain - 1) / layout_.grain; }

    Result<void> check_layout() {
        if (layout_.version < 1 || layout_.version > 3)
            return fault(fmt::format("is a VMDK image of version {}; there are 1 to 3", layout_.version));
        if (!is_power_of_two(layout_.grain) || layout_.grain < 8 || layout_.grain > most_grain)
            return fault(fmt::format("has grains of {} sectors, which cannot be", layout_.grain));
        if (layout_.table == 0 || layout_.table > most_table)
            return fault(fmt::format("has grain tables of {} entries, which cannot be", layout_.table));
        compressed_ = (layout_.flags & flag_compressed) != 0;
        if (compressed_ && layout_.compression != 1) return fault("is compressed in a way that is not known");
        if (compressed_ && !read_only()) return fault("is compressed (streamOptimized) and can only be read");
        const u64 tables = layout_.capacity / (layout_.grain * layout_.table) + 1;
        if (layout_.capacity == 0 || layout_.capacity > most_sectors || tables > most_directory)
            return fault(fmt::format("has a disk of {} sectors, which cannot be", layout_.capacity));
        return {};
    }

    Result<void> use_descriptor() {
        if (layout_.descriptor == 0) return {};
        if (layout_.descriptor_size * sector > most_descriptor || layout_.descriptor > file_->size() / sector)
            return fault("has a descriptor outside the file");
        std::string text(layout_.descriptor_size * sector, '\0');
        TRY(read_padded(*file_, layout_.descriptor * sector, {reinterpret_cast<u8*>(text.data()), text.size()}));
        auto descriptor = read_descriptor(text);
        create_type_ = std::move(descriptor.create_type);
        if (create_type_ != "monolithicSparse" && create_type_ != "streamOptimized")
            return fault(fmt::format(
                "is a VMDK image of the kind {}; in one file, monolithicSparse and streamOptimized are supported",
                create_type_));
        if (descriptor.has_parent)
            return fault("is a VMDK image that needs another one below it, which is not supported");
        return {};
    }

    Result<void> read_directory() {
        const u64 tables = (grain_count() + layout_.table - 1) / layout_.table;
        const auto read_one = [&](u64 place, std::vector<u32>& into) -> Result<void> {
            if (place > file_->size() / sector || !range_fits(place * sector, tables * 4, file_->size()))
                return fault("has a grain directory outside the file");
            std::vector<u8> bytes(tables * 4);
            TRY(file_->read_at(place * sector, bytes));
            into.resize(tables);
            for (u64 i = 0; i < tables; i++) into[i] = load_le<u32>(&bytes[i * 4]);
            return {};
        };
        TRY(read_one(layout_.directory, directory_));
        if (!read_only() && (layout_.flags & flag_second_directory) != 0)
            TRY(read_one(layout_.second_directory, second_directory_));
        next_ = align_up(file_->size(), sector) / sector;
        return {};
    }

    // A grain's entry in its table: 0 none, 1 zeroes, else a sector.
    Result<u64> grain(u64 number) {
        const u64 table = number / layout_.table;
        if (directory_[table] == 0) return u64{0};
        if (loaded_ != table) {
            const u64 place = u64{directory_[table]} * sector;
            std::vector<u8> bytes(layout_.table * 4);
            if (!range_fits(place, bytes.size(), align_up(file_->size(), sector)))
                return fault(fmt::format("has a grain table at sector {}, outside the file", directory_[table]));
            loaded_.reset();
            TRY(read_padded(*file_, place, bytes));
            entries_.resize(layout_.table);
            for (u64 i = 0; i < layout_.table; i++) entries_[i] = load_le<u32>(&bytes[i * 4]);
            loaded_ = table;
        }
        const u64 entry = entries_[number % layout_.table];
        return entry == 1 ? u64{0} : entry;
    }

    template <class Use>
    Result<void> each_grain(u64 offset, u64 length, Use&& use) {
        const u64 bytes = layout_.grain * sector;
        for (u64 done = 0; done < length;) {
            const u64 inside = (offset + done) % bytes, part = std::min(length - done, bytes - inside);
            TRY(use((offset + done) / bytes, inside, done, part));
            done += part;
        }
        return {};
    }

    // Data, then the entries that name it.
    Result<void> write_new(u64 number, u64 inside, std::span<const u8> in) {
        const u64 table = number / layout_.table, place = next_, bytes = layout_.grain * sector;
        if (directory_[table] == 0 || (!second_directory_.empty() && second_directory_[table] == 0))
            return fault("lacks a grain table, which this version does not make");
        if (place + layout_.grain > ~u32{0}) return fault("is larger than the format allows");
        TRY(file_->resize((place + layout_.grain) * sector));
        TRY(file_->write_at(place * sector + inside, in));
        next_ = place + bytes / sector;
        std::array<u8, 4> entry{};
        store_le<u32>(&entry[0], static_cast<u32>(place));
        if (!second_directory_.empty())
            TRY(file_->write_at(u64{second_directory_[table]} * sector + number % layout_.table * 4, entry));
        TRY(file_->write_at(u64{directory_[table]} * sector + number % layout_.table * 4, entry));
        if (loaded_ == table) entries_[number % layout_.table] = static_cast<u32>(place);
        return {};
    }

    // A marker (the grain's first sector and the size of the data), then a zlib stream.
    Result<void> unpack(u64 place, u64 inside, std::span<u8> out) {
        const u64 bytes = layout_.grain * sector;
        if (unpacked_place_ != place) {
            unpacked_place_.reset();
            std::array<u8, 12> marker{};
            TRY(read_padded(*file_, place * sector, marker));
            const bool marked = (layout_.flags & flag_markers) != 0;
            const u64 size = marked ? load_le<u32>(&marker[8]) : bytes;
            if (size > bytes * 2)
                return fault(fmt::format("has a grain of {} bytes at sector {}, too many", size, place));
            std::vector<u8> data(size);
            TRY(read_padded(*file_, place * sector + (marked ? marker.size() : 0), data));
            unpacked_.resize(bytes);
            uLongf length = static_cast<uLongf>(bytes);
            const int status = uncompress(unpacked_.data(), &length, data.data(), static_cast<uLong>(data.size()));
            if (status != Z_OK && !(status == Z_BUF_ERROR && length == bytes))
                return fault(fmt::format("has a grain at sector {} that is damaged", place));
            std::fill(unpacked_.begin() + static_cast<std::ptrdiff_t>(length), unpacked_.end(), u8{0});
            unpacked_place_ = place;
        }
        std::memcpy(out.data(), unpacked_.data() + inside, out.size());
        return {};
    }

    Layout layout_;
    bool compressed_ = false;
    std::string create_type_;
    std::vector<u32> directory_, second_directory_;  // sectors of grain tables
    std::optional<u64> loaded_;                      // the table whose entries are in entries_
    std::vector<u32> entries_;
    u64 next_ = 0;  // the sector of the next new grain
    std::optional<u64> unpacked_place_;
    std::vector<u8> unpacked_;
};

}  // namespace

Result<std::unique_ptr<Image>> open_sparse(std::unique_ptr<host::File> file, std::string name, Access access,
                                           Part part) {
    auto image = std::make_unique<SparseImage>(std::move(file), std::move(name), access);
    TRY(image->load(part));
    return std::unique_ptr<Image>(std::move(image));
}

Result<void> create_sparse(host::File& file, u64 sectors, std::string_view text) {
    const u64 grains = (sectors + usual_grain - 1) / usual_grain, tables = (grains + usual_table - 1) / usual_table;
    constexpr u64 descriptor = 1, descriptor_size = 20, table_sectors = usual_table * 4 / sector;
    const u64 directory_sectors = (tables * 4 + sector - 1) / sector;
    const u64 second = descriptor + descriptor_size, one = directory_sectors + tables * table_sectors;
    const u64 first = second + one, overhead = align_up(first + one, usual_grain);

    std::array<u8, sector> header{};
    std::memcpy(header.data(), "KDMV", 4);
    store_le<u32>(&header[at::version], 1);
    store_le<u32>(&header[at::flags], flag_newlines | flag_second_directory);
    store_le<u64>(&header[at::capacity], sectors);
    store_le<u64>(&header[at::grain], usual_grain);
    store_le<u64>(&header[at::descriptor], descriptor);
    store_le<u64>(&header[at::descriptor_size], descriptor_size);
    store_le<u32>(&header[at::table], usual_table);
    store_le<u64>(&header[at::second_directory], second);
    store_le<u64>(&header[at::directory], first);
    store_le<u64>(&header[at::overhead], overhead);
    std::memcpy(&header[at::newlines], "\n \r\n", 4);

    if (text.size() > descriptor_size * sector) return Error{"the name of the file is too long for a VMDK image"};
    TRY(file.resize(overhead * sector));
    TRY(file.write_at(descriptor * sector, {reinterpret_cast<const u8*>(text.data()), text.size()}));
    for (const u64 place : {second, first}) {
        std::vector<u8> directory(directory_sectors * sector);
        for (u64 i = 0; i < tables; i++)
            store_le<u32>(&directory[i * 4], static_cast<u32>(place + directory_sectors + i * table_sectors));
        TRY(file.write_at(place * sector, directory));
    }
    return file.write_at(0, header);
}

}  // namespace viv::block::vmdk
