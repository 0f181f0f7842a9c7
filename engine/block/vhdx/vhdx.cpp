// Opening and making. See vhdx.h.
#include "engine/block/vhdx/vhdx.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "engine/block/vhdx/grown.h"
#include "engine/lang/bytes.h"
#include "engine/lang/hash.h"

namespace viv::block::vhdx {

namespace {

constexpr std::string_view mark = "vhdxfile";
constexpr std::u16string_view creator = u"viv";
constexpr u64 usual_block = 8 << 20, many_blocks = 1 << 18;

Guid guid_of(std::span<const u8, 16> bytes) {
    Guid guid{};
    std::copy(bytes.begin(), bytes.end(), guid.begin());
    return guid;
}

Result<u64> block_for(const CreateOptions& options) {
    u64 block = options.cluster_size;
    if (block == 0)
        for (block = usual_block; options.size / block > many_blocks;) block *= 2;
    if (!is_power_of_two(block) || block < least_block || block > most_block)
        return Error{fmt::format("a VHDX image has blocks of 1 MiB to 256 MiB, a power of two; {} cannot be", block)};
    return block;
}

}  // namespace

Result<std::unique_ptr<Image>> open(std::unique_ptr<host::File> file, OpenContext context) {
    std::array<u8, mark.size()> start{};
    TRY(read_padded(*file, 0, start));
    if (!std::equal(mark.begin(), mark.end(), start.begin()))
        return Error{fmt::format("{}: is no VHDX image", context.name)};
    auto image = std::make_unique<GrownImage>(std::move(file), std::move(context.name), context.access, context.unique);
    TRY(image->load(context.damage));
    return std::unique_ptr<Image>(std::move(image));
}

Result<void> create(host::File& file, const CreateOptions& options) {
    if (options.size == 0 || options.size > most_bytes)
        return Error{fmt::format("a VHDX image has a disk of 512 bytes to 64 TiB; {} bytes cannot be", options.size)};
    Metadata metadata;
    TRY_SET(metadata.block, block_for(options));
    metadata.disk_size = options.size;
    metadata.logical_sector = 512;
    metadata.keeps_blocks = options.subformat == "fixed";
    if (metadata.entries() > most_entries)
        return Error{fmt::format("blocks of {} bytes are too small for a disk of {}", metadata.block, options.size)};

    const std::span unique(options.unique);
    const auto disk = hash128(unique);
    Guid disk_id{};
    store_le<u64>(disk_id.data(), disk.low);
    store_le<u64>(&disk_id[8], disk.high);
    Header header;
    header.file_write = guid_of(unique.first<16>());
    header.data_write = guid_of(unique.last<16>());
    header.log_offset = header.log_length = unit;
    const Range items{2 * unit, unit, {}};
    const Range table{items.end(), align_up(metadata.entries() * 8, unit), {}};

    std::vector<u8> entries(align_up(metadata.entries() * 8, page));
    u64 end = table.end();
    for (u64 i = 0; i < metadata.blocks(); i++) {
        store_le<u64>(&entries[metadata.entry_of(i) * 8], metadata.keeps_blocks ? end | full_state : zero_state);
        if (metadata.keeps_blocks) end += metadata.block;
    }
    TRY(file.resize(0));
    TRY(file.resize(end));
    TRY(file.write_at(table.start, entries));
    TRY(file.write_at(items.start, make_metadata(metadata, disk_id)));
    const auto regions = make_regions(table, items);
    for (const u64 place : region_places) TRY(file.write_at(place, regions));
    for (const u64 place : header_places) {
        header.sequence++;
        TRY(file.write_at(place, make_header(header)));
    }
    std::array<u8, mark.size() + creator.size() * 2> start{};
    std::copy(mark.begin(), mark.end(), start.begin());
    for (usize i = 0; i < creator.size(); i++) store_le<u16>(&start[mark.size() + i * 2], creator[i]);
    return file.write_at(0, start);
}

}  // namespace viv::block::vhdx
