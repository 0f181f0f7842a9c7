// Requests, and the order in which they reach the file. See grown.h.
#include "engine/block/vhdx/grown.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "engine/lang/bytes.h"
#include "engine/lang/hash.h"

namespace viv::block::vhdx {

namespace {

constexpr u64 entries_in_page = page / 8;
// Two places for entries take turns, so that the one before stays whole. The second is not where an entry in the first
// may end: each stands alone.
constexpr u64 entry_stride = unit / 2;
static_assert((most_changes + 1) * page < entry_stride);

}  // namespace

GrownImage::~GrownImage() {
    if (!changed_ || !flush().ok() || header_.log == no_guid || !file_->flush().ok()) return;
    // Whoever wants to know whether it went well has called flush(): without this the log is carried out once more.
    header_.log = no_guid;
    (void)put_headers();
}

Guid GrownImage::new_guid() {
    std::array<u8, sizeof unique_ + 16> seed{};
    std::copy(unique_.begin(), unique_.end(), seed.begin());
    store_le<u64>(&seed[sizeof unique_], header_.sequence);
    store_le<u64>(&seed[sizeof unique_ + 8], ++guids_made_);
    const auto hash = hash128(seed);
    Guid guid{};
    store_le<u64>(guid.data(), hash.low);
    store_le<u64>(&guid[8], hash.high);
    guid[7] = static_cast<u8>(deposit(guid[7], 4, 4, 4));  // random, in the words of RFC 4122
    guid[8] = static_cast<u8>(deposit(guid[8], 6, 2, 2));
    return guid;
}

// Both, so that each is good for when the other one is lost.
Result<void> GrownImage::put_headers() {
    for (unsigned i = 0; i < 2; i++) {
        header_.sequence++;
        const usize other = 1 - header_place_;
        TRY(file_->write_at(header_places[other], make_header(header_)));
        TRY(file_->flush());
        header_place_ = other;
        headers_good_[other] = true;
    }
    return {};
}

Result<void> GrownImage::begin_changes() {
    if (changed_) return {};
    if (unsafe_) return fault("is damaged and can only be read; see viv-img check");
    header_.file_write = new_guid();
    header_.data_write = new_guid();
    TRY(put_headers());
    changed_ = true;
    return {};
}

template <class Use>
Result<void> GrownImage::each_block(u64 offset, u64 length, Use&& use) {
    const u64 block = metadata_.block;
    for (u64 done = 0; done < length;) {
        const u64 inside = (offset + done) % block, part = std::min(length - done, block - inside);
        TRY(use((offset + done) / block, inside, done, part));
        done += part;
    }
    return {};
}

Result<void> GrownImage::read(u64 offset, std::span<u8> out) {
    TRY(check_range(offset, out.size()));
    return each_block(offset, out.size(), [&](u64 number, u64 inside, u64 start, u64 length) -> Result<void> {
        const auto part = out.subspan(start, length);
        if (there(number)) return file_->read_at(place(number) + inside, part);
        std::memset(part.data(), 0, part.size());
        return {};
    });
}

Result<void> GrownImage::write(u64 offset, std::span<const u8> in) {
    TRY(check_writable(offset, in.size()));
    TRY(begin_changes());
    return each_block(offset, in.size(), [&](u64 number, u64 inside, u64 start, u64 length) -> Result<void> {
        const auto part = in.subspan(start, length);
        return there(number) ? file_->write_at(place(number) + inside, part) : write_new(number, inside, part);
    });
}

Result<void> GrownImage::write_new(u64 number, u64 inside, std::span<const u8> in) {
    const u64 start = next_, end = start + metadata_.block, file_size = file_->size();
    if (file_size < end) TRY(file_->resize(end));
    // What an image that was not closed has left there.
    if (start < file_size) TRY(zero_range(*file_, start, std::min(file_size, end) - start));
    TRY(file_->write_at(start + inside, in));
    entry(number) = start | full_state;
    unwritten_.insert(metadata_.entry_of(number) / entries_in_page);
    next_ = end;
    return {};
}

Result<void> GrownImage::write_zeroes(u64 offset, u64 length) {
    TRY(check_writable(offset, length));
    TRY(begin_changes());
    return each_block(offset, length, [&](u64 number, u64 inside, u64, u64 part) -> Result<void> {
        return there(number) ? zero_range(*file_, place(number) + inside, part) : Result<void>{};
    });
}

// A block keeps its place, which becomes a hole.
Result<void> GrownImage::discard(u64 offset, u64 length) {
    TRY(check_writable(offset, length));
    TRY(begin_changes());
    return each_block(offset, length, [&](u64 number, u64 inside, u64, u64 part) -> Result<void> {
        if (there(number)) file_->punch_hole(place(number) + inside, part);
        return {};
    });
}

Result<void> GrownImage::flush() {
    if (read_only()) return {};
    do {
        // Data, and what the entry before this one says.
        TRY(file_->flush());
        if (!unwritten_.empty()) TRY(write_table());
    } while (!unwritten_.empty());
    return {};
}

// As many pages as an entry holds. In their place they need not be on stable storage: the entry is.
Result<void> GrownImage::write_table() {
    std::vector<PageChange> changes;
    for (auto number = unwritten_.begin(); number != unwritten_.end() && changes.size() < most_changes; ++number) {
        auto& change = changes.emplace_back();
        change.offset = regions_.blocks.start + *number * page;
        for (u64 i = 0; i < entries_in_page; i++)
            store_le<u64>(&change.bytes[i * 8], table_[*number * entries_in_page + i]);
    }
    const Guid guid = header_.log == no_guid ? new_guid() : header_.log;
    const EntryPlace where{(log_sequence_ + 1) % 2 * entry_stride, log_sequence_ + 1, guid,
                           align_down(std::min(file_->size(), next_), unit)};
    TRY(file_->write_at(header_.log_offset + where.offset, make_entry(where, changes)));
    TRY(file_->flush());
    log_sequence_++;
    if (header_.log == no_guid) {
        header_.log = guid;
        TRY(put_headers());
    }
    for (const auto& change : changes) {
        TRY(file_->write_at(change.offset, change.bytes));
        unwritten_.erase(unwritten_.begin());
    }
    return {};
}

Result<Extent> GrownImage::extent(u64 offset, u64 length) {
    TRY(check_range(offset, length));
    const u64 block = metadata_.block, number = offset / block, inside = offset % block;
    Extent extent;
    extent.length = std::min(length, block - inside);
    if (there(number)) {
        const u64 at = place(number) + inside;
        if (at >= file_->size()) return fault(fmt::format("has block {} behind the end of the file", number));
        const auto found = file_->extent_at(at);
        extent.kind = found.hole ? Extent::Kind::zero : Extent::Kind::data;
        extent.length = std::min(extent.length, align_up(std::max<u64>(found.length, 1), 512));
        extent.file_offset = at;
        return extent;
    }
    while (extent.length < length && !there((offset + extent.length) / block))
        extent.length = std::min(length, extent.length + block);
    return extent;
}

ImageDetails GrownImage::details() {
    ImageDetails details;
    details.cluster_size = metadata_.block;
    details.dirty = was_open_;
    details.specific.emplace_back("subformat", std::string(metadata_.keeps_blocks ? "fixed" : "dynamic"));
    details.specific.emplace_back("logical-sector-size", metadata_.logical_sector);
    return details;
}

}  // namespace viv::block::vhdx
