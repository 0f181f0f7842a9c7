// Opening an image: headers, log, regions, metadata, table. See grown.h.
#include <fmt/format.h>

#include <algorithm>

#include "engine/block/vhdx/grown.h"
#include "engine/lang/bytes.h"

namespace viv::block::vhdx {

Result<void> GrownImage::load(OpenOptions::Damage damage) {
    TRY(load_headers());
    TRY(load_log());
    TRY(load_regions());
    TRY(load_table());
    unsafe_ = log_lost_ || find_faults().count != 0;
    if (unsafe_ && !read_only() && damage == OpenOptions::Damage::refused)
        return fault(log_lost_ ? "names a log without a whole entry, and can only be read; see viv-img check"
                               : "has blocks where others or its tables are, and can only be read; see viv-img check");
    return {};
}

Result<void> GrownImage::load_headers() {
    for (usize i = 0; i < header_places.size(); i++) {
        HeaderBytes bytes{};
        TRY(read_padded(*file_, header_places[i], bytes));
        const auto header = read_header(bytes);
        headers_good_[i] = header.has_value();
        if (!header || (i == 1 && headers_good_[0] && header->sequence <= header_.sequence)) continue;
        header_ = *header;
        header_place_ = i;
    }
    if (!headers_good_[0] && !headers_good_[1]) return fault("is no VHDX image, or both of its headers are damaged");
    if (header_.version != 1) return fault(fmt::format("is a VHDX image of version {}; there is 1", header_.version));
    if (header_.log_length == 0 && header_.log == no_guid && read_only()) return {};
    if (header_.log_length % unit != 0 || header_.log_offset % unit != 0 || header_.log_offset < unit ||
        header_.log_length == 0 || !range_fits(header_.log_offset, header_.log_length, file_->size()))
        return fault(
            fmt::format("has a log where it cannot be, {} bytes at {}", header_.log_length, header_.log_offset));
    return {};
}

// An image that may not be written to is shown as it will be.
Result<void> GrownImage::load_log() {
    if (header_.log == no_guid) return {};
    was_open_ = true;
    if (header_.log_version != 0) return fault(fmt::format("has a log of version {}; there is 0", header_.log_version));
    if (header_.log_length > most_log)
        return fault(fmt::format("has a log of {} bytes; at most {} are supported", header_.log_length, most_log));
    std::vector<u8> log(header_.log_length);
    TRY(file_->read_at(header_.log_offset, log));
    auto found = read_log(log, header_.log);
    if (!found.ok()) return fault(found.error().message);
    log_lost_ = !found->has_value();
    if (log_lost_) return {};
    auto& replay = **found;
    if (file_->size() < replay.least_size)
        return fault(fmt::format("has {} bytes, and {} when its log was written", file_->size(), replay.least_size));
    if (read_only()) {
        file_ = make_replayed(std::move(file_), std::move(replay));
        return {};
    }
    TRY(carry_out(replay, *file_));
    header_.log = no_guid;
    header_.file_write = new_guid();
    return put_headers();
}

Result<void> GrownImage::load_regions() {
    std::vector<u8> table(region_table_bytes), good;
    for (usize i = 0; i < region_places.size(); i++) {
        TRY(read_padded(*file_, region_places[i], table));
        regions_good_[i] = region_table_good(table);
        if (regions_good_[i] && good.empty()) good = table;
    }
    if (good.empty()) return fault("has two tables of regions that are both damaged");
    auto regions = read_regions(good);
    if (!regions.ok()) return fault(regions.error().message);
    regions_ = std::move(*regions);
    taken_ = regions_.others;
    taken_.push_back({0, unit, "the headers"});
    taken_.push_back(regions_.blocks);
    taken_.push_back(regions_.metadata);
    if (header_.log_length != 0) taken_.push_back({header_.log_offset, header_.log_length, "the log"});
    std::sort(taken_.begin(), taken_.end(), [](const Range& a, const Range& b) { return a.start < b.start; });
    const u64 file_size = file_->size();
    for (usize i = 0; i < taken_.size(); i++) {
        if (!range_fits(taken_[i].start, taken_[i].length, file_size))
            return fault(fmt::format("has {} behind the end of the file", taken_[i].what));
        if (i != 0 && taken_[i].start < taken_[i - 1].end())
            return fault(fmt::format("has {} where {} is", taken_[i].what, taken_[i - 1].what));
    }
    auto metadata = read_metadata(*file_, regions_.metadata);
    if (!metadata.ok()) return fault(metadata.error().message);
    metadata_ = *metadata;
    return {};
}

Result<void> GrownImage::load_table() {
    const u64 length = align_up(metadata_.entries() * 8, page);
    if (length > regions_.blocks.length)
        return fault(fmt::format("has a disk of {} bytes, too many for its table of blocks", metadata_.disk_size));
    table_.resize(length / 8);
    std::vector<u8> bytes(std::min<u64>(length, unit));
    for (u64 at = 0; at < length; at += bytes.size()) {
        const auto part = std::span(bytes).first(std::min<u64>(bytes.size(), length - at));
        TRY(file_->read_at(regions_.blocks.start + at, part));
        for (u64 i = 0; i < part.size() / 8; i++) table_[at / 8 + i] = load_le<u64>(&part[i * 8]);
    }
    const u64 file_size = file_->size();
    next_ = taken_.back().end();
    // Blocks that are not there may keep a place, too.
    for (u64 i = 0; i < metadata_.blocks(); i++)
        if (place(i) < file_size) next_ = std::max(next_, place(i) + metadata_.block);
    return {};
}

}  // namespace viv::block::vhdx
