// See layout.h.
#include "engine/block/vhdx/layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "engine/lang/bytes.h"
#include "engine/lang/crc32c.h"

namespace viv::block::vhdx {

namespace {

constexpr Guid guid_of(u32 a, u16 b, u16 c, std::array<u8, 8> d) {
    Guid guid{};
    for (unsigned i = 0; i < 4; i++) guid[i] = static_cast<u8>(a >> (8 * i));
    for (unsigned i = 0; i < 2; i++) guid[4 + i] = static_cast<u8>(b >> (8 * i));
    for (unsigned i = 0; i < 2; i++) guid[6 + i] = static_cast<u8>(c >> (8 * i));
    for (unsigned i = 0; i < 8; i++) guid[8 + i] = d[i];
    return guid;
}

constexpr Guid blocks_guid = guid_of(0x2dc27766, 0xf623, 0x4200, {0x9d, 0x64, 0x11, 0x5e, 0x9b, 0xfd, 0x4a, 0x08});
constexpr Guid metadata_guid = guid_of(0x8b7ca206, 0x4790, 0x4b9a, {0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e});

// Items of metadata.
constexpr Guid parameters = guid_of(0xcaa16737, 0xfa36, 0x4d43, {0xb3, 0xb6, 0x33, 0xf0, 0xaa, 0x44, 0xe7, 0x6b});
constexpr Guid disk_size = guid_of(0x2fa54224, 0xcd1b, 0x4876, {0xb2, 0x11, 0x5d, 0xbe, 0xd8, 0x3b, 0xf4, 0xb8});
constexpr Guid disk_name = guid_of(0xbeca12ab, 0xb2e6, 0x4523, {0x93, 0xef, 0xc3, 0x09, 0xe0, 0x00, 0xc7, 0x46});
constexpr Guid logical_size = guid_of(0x8141bf1d, 0xa96f, 0x4709, {0xba, 0x47, 0xf2, 0x33, 0xa8, 0xfa, 0xab, 0x5f});
constexpr Guid physical_size = guid_of(0xcda348c7, 0x445d, 0x4471, {0x9c, 0xc9, 0xe9, 0x88, 0x52, 0x51, 0xc5, 0x56});
constexpr Guid parent_locator = guid_of(0xa8d35f2d, 0xb30b, 0x454d, {0xab, 0xf7, 0xd3, 0xd8, 0x48, 0x34, 0xab, 0x0c});

constexpr u64 head_bytes = 16, entry_bytes = 32, most_regions = 2047;
constexpr u64 item_table_bytes = 64 << 10, item_head_bytes = 32, most_items = 2047;
constexpr u32 required_region = 1, virtual_disk_item = 2, required_item = 4;
constexpr u32 keeps_blocks_bit = 1, has_parent_bit = 2;

void put_mark(std::span<u8> bytes, std::string_view mark) { std::copy(mark.begin(), mark.end(), bytes.begin()); }
bool has_mark(std::span<const u8> bytes, std::string_view mark) {
    return std::memcmp(bytes.data(), mark.data(), mark.size()) == 0;
}
Guid guid_at(const u8* at) {
    Guid guid{};
    std::copy_n(at, guid.size(), guid.begin());
    return guid;
}
void put(u8* at, const Guid& guid) { std::copy(guid.begin(), guid.end(), at); }

}  // namespace

std::string guid_text(const Guid& guid) {
    return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", load_le<u32>(guid.data()), load_le<u16>(&guid[4]),
                       load_le<u16>(&guid[6]), load_be<u16>(&guid[8]), load_be<u64>(&guid[8]) & low_mask(48));
}

u32 checksum(std::span<const u8> bytes, usize place) {
    constexpr std::array<u8, 4> zero{};
    return crc32c(bytes.subspan(place + 4), crc32c(zero, crc32c(bytes.first(place))));
}

std::optional<Header> read_header(const HeaderBytes& bytes) {
    if (!has_mark(bytes, "head") || load_le<u32>(&bytes[4]) != checksum(bytes, 4)) return std::nullopt;
    Header header;
    header.sequence = load_le<u64>(&bytes[8]);
    header.file_write = guid_at(&bytes[16]);
    header.data_write = guid_at(&bytes[32]);
    header.log = guid_at(&bytes[48]);
    header.log_version = load_le<u16>(&bytes[64]);
    header.version = load_le<u16>(&bytes[66]);
    header.log_length = load_le<u32>(&bytes[68]);
    header.log_offset = load_le<u64>(&bytes[72]);
    return header;
}

HeaderBytes make_header(const Header& header) {
    HeaderBytes bytes{};
    put_mark(bytes, "head");
    store_le<u64>(&bytes[8], header.sequence);
    put(&bytes[16], header.file_write);
    put(&bytes[32], header.data_write);
    put(&bytes[48], header.log);
    store_le<u16>(&bytes[64], header.log_version);
    store_le<u16>(&bytes[66], header.version);
    store_le<u32>(&bytes[68], static_cast<u32>(header.log_length));
    store_le<u64>(&bytes[72], header.log_offset);
    store_le<u32>(&bytes[4], checksum(bytes, 4));
    return bytes;
}

bool region_table_good(std::span<const u8> table) {
    return has_mark(table, "regi") && load_le<u32>(&table[4]) == checksum(table, 4);
}

Result<Regions> read_regions(std::span<const u8> table) {
    const u64 count = load_le<u32>(&table[8]);
    if (count > most_regions) return Error{fmt::format("has a table of {} regions; {} can be", count, most_regions)};
    Regions regions;
    std::set<Guid> seen;
    for (u64 i = 0; i < count; i++) {
        const u8* entry = &table[head_bytes + i * entry_bytes];
        const Guid guid = guid_at(entry);
        Range range{load_le<u64>(entry + 16), load_le<u32>(entry + 24), {}};
        const bool known = guid == blocks_guid || guid == metadata_guid;
        if (!known && (load_le<u32>(entry + 28) & required_region) != 0)
            return Error{fmt::format("has a region of the kind {}, which is not supported", guid_text(guid))};
        range.what = guid == blocks_guid     ? "the table of blocks"
                     : guid == metadata_guid ? "the metadata"
                                             : "the region " + guid_text(guid);
        if (!seen.insert(guid).second) return Error{fmt::format("has {} twice", range.what)};
        if (range.start % unit != 0 || range.length % unit != 0 || range.start < unit || range.length == 0)
            return Error{
                fmt::format("has {} where it cannot be, {} bytes at {}", range.what, range.length, range.start)};
        (guid == blocks_guid     ? regions.blocks
         : guid == metadata_guid ? regions.metadata
                                 : regions.others.emplace_back()) = std::move(range);
    }
    if (regions.blocks.length == 0 || regions.metadata.length == 0)
        return Error{"has no table of blocks or no metadata"};
    return regions;
}

std::vector<u8> make_regions(const Range& blocks, const Range& metadata) {
    std::vector<u8> table(region_table_bytes);
    put_mark(table, "regi");
    store_le<u32>(&table[8], 2);
    u8* entry = &table[head_bytes];
    for (const auto& [guid, range] : {std::pair(&blocks_guid, &blocks), std::pair(&metadata_guid, &metadata)}) {
        put(entry, *guid);
        store_le<u64>(entry + 16, range->start);
        store_le<u32>(entry + 24, static_cast<u32>(range->length));
        store_le<u32>(entry + 28, required_region);
        entry += entry_bytes;
    }
    store_le<u32>(&table[4], checksum(table, 4));
    return table;
}

Result<Metadata> read_metadata(host::File& file, const Range& region) {
    if (region.length < item_table_bytes) return Error{"has metadata without a table"};
    std::vector<u8> table(item_table_bytes);
    TRY(file.read_at(region.start, table));
    const u64 count = load_le<u16>(&table[10]);
    if (!has_mark(table, "metadata") || count > most_items) return Error{"has metadata that is damaged"};
    Metadata metadata;
    std::set<Guid> seen;
    for (u64 i = 0; i < count; i++) {
        const u8* entry = &table[item_head_bytes + i * entry_bytes];
        const Guid guid = guid_at(entry);
        const u64 offset = load_le<u32>(entry + 16), length = load_le<u32>(entry + 20);
        if (guid == parent_locator)
            return Error{"is a differencing VHDX image, which needs another one below it; that is not supported"};
        const u64 wanted = guid == parameters || guid == disk_size         ? 8
                           : guid == logical_size || guid == physical_size ? 4
                           : guid == disk_name                             ? 16
                                                                           : 0;
        if (wanted == 0) {
            if ((load_le<u32>(entry + 24) & required_item) == 0) continue;
            return Error{fmt::format("has metadata of the kind {}, which is not supported", guid_text(guid))};
        }
        if (length < wanted || offset < item_table_bytes || !range_fits(offset, wanted, region.length))
            return Error{fmt::format("has metadata outside its region ({})", guid_text(guid))};
        if (!seen.insert(guid).second) return Error{fmt::format("has the metadata {} twice", guid_text(guid))};
        Guid value{};
        TRY(file.read_at(region.start + offset, std::span(value).first(wanted)));
        if (guid == parameters) {
            metadata.block = load_le<u32>(value.data());
            metadata.keeps_blocks = (load_le<u32>(&value[4]) & keeps_blocks_bit) != 0;
            if ((load_le<u32>(&value[4]) & has_parent_bit) != 0)
                return Error{"is a differencing VHDX image, which needs another one below it; that is not supported"};
        } else if (guid == disk_size) {
            metadata.disk_size = load_le<u64>(value.data());
        } else if (guid == logical_size) {
            metadata.logical_sector = load_le<u32>(value.data());
        }
    }
    if (!seen.contains(parameters) || !seen.contains(disk_size) || !seen.contains(logical_size))
        return Error{"has no sizes of its disk, blocks or sectors in its metadata"};
    if (!is_power_of_two(metadata.block) || metadata.block < least_block || metadata.block > most_block)
        return Error{fmt::format("has blocks of {} bytes, which cannot be", metadata.block)};
    if (metadata.logical_sector != 512 && metadata.logical_sector != 4096)
        return Error{fmt::format("has sectors of {} bytes; 512 or 4096 can be", metadata.logical_sector)};
    if (metadata.disk_size == 0 || metadata.disk_size > most_bytes || metadata.disk_size % metadata.logical_sector != 0)
        return Error{fmt::format("has a disk of {} bytes, which cannot be", metadata.disk_size)};
    if (metadata.entries() > most_entries)
        return Error{
            fmt::format("has a table of {} blocks; at most {} are supported", metadata.entries(), most_entries)};
    return metadata;
}

std::vector<u8> make_metadata(const Metadata& metadata, const Guid& disk_id) {
    std::vector<u8> bytes(item_table_bytes + page);
    put_mark(bytes, "metadata");
    u64 number = 0, place = item_table_bytes;
    const auto item = [&](const Guid& guid, u32 flags, u64 length) {
        u8* entry = &bytes[item_head_bytes + number * entry_bytes];
        put(entry, guid);
        store_le<u32>(entry + 16, static_cast<u32>(place));
        store_le<u32>(entry + 20, static_cast<u32>(length));
        store_le<u32>(entry + 24, flags | required_item);
        store_le<u16>(&bytes[10], static_cast<u16>(++number));
        u8* value = &bytes[place];
        place += length;
        return value;
    };
    u8* value = item(parameters, 0, 8);
    store_le<u32>(value, static_cast<u32>(metadata.block));
    store_le<u32>(value + 4, metadata.keeps_blocks ? keeps_blocks_bit : 0);
    store_le<u64>(item(disk_size, virtual_disk_item, 8), metadata.disk_size);
    put(item(disk_name, virtual_disk_item, 16), disk_id);
    const auto sector = static_cast<u32>(metadata.logical_sector);
    store_le<u32>(item(logical_size, virtual_disk_item, 4), sector);
    store_le<u32>(item(physical_size, virtual_disk_item, 4), static_cast<u32>(page));
    return bytes;
}

}  // namespace viv::block::vhdx
