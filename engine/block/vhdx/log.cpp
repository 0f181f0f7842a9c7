// See log.h.
#include "engine/block/vhdx/log.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "engine/block/image.h"
#include "engine/lang/bytes.h"

namespace viv::block::vhdx {

namespace {

constexpr u64 head_bytes = 64, descriptor_bytes = 32, tail_bytes = 4, lead_bytes = 8;

bool has_mark(const u8* at, std::string_view mark) { return std::memcmp(at, mark.data(), mark.size()) == 0; }

struct Entry {
    u64 start = 0, length = 0, tail = 0, sequence = 0, descriptors = 0;
    u64 data_start() const { return align_up(head_bytes + descriptors * descriptor_bytes, page); }
};

// The log twice, one behind the other: entries go on at the beginning.
class Ring {
public:
    Ring(std::span<const u8> log, const Guid& guid) : size_(log.size()), guid_(guid), bytes_(log.begin(), log.end()) {
        bytes_.insert(bytes_.end(), log.begin(), log.end());
    }

    // A whole entry at `start`. No page but its first may look like an entry's first, so no page is looked at twice.
    std::optional<Entry> entry_at(u64 start) const {
        const u8* at = &bytes_[start];
        if (!has_mark(at, "loge") || std::memcmp(at + 32, guid_.data(), guid_.size()) != 0) return std::nullopt;
        const Entry entry{start, load_le<u32>(at + 8), load_le<u32>(at + 12), load_le<u64>(at + 16),
                          load_le<u32>(at + 24)};
        if (entry.sequence == 0 || entry.length % page != 0 || entry.length > size_ || entry.length < page ||
            entry.tail % page != 0 || entry.tail >= size_ || entry.data_start() > entry.length)
            return std::nullopt;
        u64 data = entry.data_start();
        for (u64 i = 0; i < entry.descriptors; i++) {
            const u8* descriptor = at + head_bytes + i * descriptor_bytes;
            if (load_le<u64>(descriptor + 24) != entry.sequence || load_le<u64>(descriptor + 16) % page != 0)
                return std::nullopt;
            if (has_mark(descriptor, "zero")) {
                if (load_le<u64>(descriptor + 8) % page != 0) return std::nullopt;
                continue;
            }
            if (!has_mark(descriptor, "desc") || data == entry.length || !has_mark(at + data, "data") ||
                load_le<u32>(at + data + 4) != entry.sequence >> 32 ||
                load_le<u32>(at + data + page - tail_bytes) != (entry.sequence & low_mask(32)))
                return std::nullopt;
            data += page;
        }
        if (data != entry.length || load_le<u32>(at + 4) != checksum(std::span(bytes_).subspan(start, data), 4))
            return std::nullopt;
        return entry;
    }

    Result<void> add(const Entry& entry, Replay& replay) const {
        const u8* at = &bytes_[entry.start];
        replay.least_size = std::max(replay.least_size, load_le<u64>(at + 48));
        replay.size = std::max(replay.size, load_le<u64>(at + 56));
        u64 data = entry.data_start();
        for (u64 i = 0; i < entry.descriptors; i++) {
            const u8* descriptor = at + head_bytes + i * descriptor_bytes;
            Replay::Change change;
            change.offset = load_le<u64>(descriptor + 16);
            change.length = page;
            if (has_mark(descriptor, "zero")) {
                change.length = load_le<u64>(descriptor + 8);
            } else {
                // The page's own beginning and end are in the descriptor.
                change.bytes.assign(at + data, at + data + page);
                std::copy_n(descriptor + 8, lead_bytes, change.bytes.begin());
                std::copy_n(descriptor + 4, tail_bytes, change.bytes.end() - tail_bytes);
                data += page;
            }
            if (!range_fits(change.offset, change.length, 2 * most_bytes) || replay.size > 2 * most_bytes)
                return Error{fmt::format("has a log that changes {} bytes at {}", change.length, change.offset)};
            if (change.length != 0) replay.changes.push_back(std::move(change));
        }
        return {};
    }

    u64 size() const { return size_; }

private:
    u64 size_;
    Guid guid_;
    std::vector<u8> bytes_;
};

// A file with changes over it, which nothing has written.
class ReplayedFile final : public host::File {
public:
    ReplayedFile(std::unique_ptr<host::File> below, Replay replay)
        : below_(std::move(below)), replay_(std::move(replay)), size_(std::max(below_->size(), replay_.size)) {
        for (usize i = 0; i < replay_.changes.size(); i++) {
            const auto& change = replay_.changes[i];
            put(change.offset, change.offset + change.length, i);
            size_ = std::max(size_, change.offset + change.length);
        }
    }

    u64 size() override { return size_; }
    Result<void> read_at(u64 offset, std::span<u8> out) override {
        if (!range_fits(offset, out.size(), size_)) return Error{"the end of the file is before what is read"};
        TRY(read_padded(*below_, offset, out));
        const u64 end = offset + out.size();
        auto at = pieces_.upper_bound(offset);
        if (at != pieces_.begin()) --at;
        for (; at != pieces_.end() && at->first < end; ++at) {
            const u64 first = std::max(at->first, offset), last = std::min(at->second.end, end);
            if (first >= last) continue;
            const auto& change = replay_.changes[at->second.change];
            u8* to = &out[first - offset];
            if (change.bytes.empty())
                std::memset(to, 0, last - first);
            else
                std::memcpy(to, &change.bytes[first - change.offset], last - first);
        }
        return {};
    }
    Result<void> write_at(u64, std::span<const u8>) override { return Error{"the file is opened for reading only"}; }
    Result<void> flush() override { return {}; }
    bool punch_hole(u64, u64) override { return false; }
    u64 allocated() override { return below_->allocated(); }

private:
    struct Piece {
        u64 end = 0;
        usize change = 0;
    };
    // What lies there already is cut.
    void put(u64 start, u64 end, usize change) {
        auto at = pieces_.lower_bound(start);
        if (at != pieces_.begin() && std::prev(at)->second.end > start) {
            auto& before = std::prev(at)->second;
            if (before.end > end) pieces_.emplace(end, before);
            before.end = start;
        }
        while (at != pieces_.end() && at->first < end) {
            if (at->second.end > end) pieces_.emplace(end, at->second);
            at = pieces_.erase(at);
        }
        pieces_[start] = {end, change};
    }

    std::unique_ptr<host::File> below_;
    Replay replay_;
    u64 size_;
    std::map<u64, Piece> pieces_;  // by their start; they do not lie over each other
};

}  // namespace

Result<std::optional<Replay>> read_log(std::span<const u8> log, const Guid& guid) {
    const Ring ring(log, guid);
    // Entries whose numbers follow each other, each where the one before ends, are a sequence. It counts if the last
    // one's tail is one of them, and the one with the highest number is what is to be done.
    std::vector<std::optional<Entry>> entries(ring.size() / page);
    for (u64 i = 0; i < entries.size(); i++) entries[i] = ring.entry_at(i * page);
    std::vector<Entry> best;
    for (u64 start = 0; start < entries.size();) {
        std::vector<Entry> sequence;
        u64 length = 0;
        while (length < ring.size()) {
            const auto& next = entries[(start * page + length) % ring.size() / page];
            if (!next || (!sequence.empty() && next->sequence != sequence.back().sequence + 1)) break;
            sequence.push_back(*next);
            length += next->length;
        }
        start += std::max<u64>(length / page, 1);
        if (sequence.empty() || (!best.empty() && best.back().sequence >= sequence.back().sequence)) continue;
        const auto tail = std::find_if(sequence.begin(), sequence.end(),
                                       [&](const Entry& entry) { return entry.start == sequence.back().tail; });
        if (tail != sequence.end()) best.assign(tail, sequence.end());
    }
    if (best.empty()) return std::optional<Replay>();
    Replay replay;
    for (const Entry& entry : best) TRY(ring.add(entry, replay));
    return std::optional<Replay>(std::move(replay));
}

Result<void> carry_out(const Replay& replay, host::File& file) {
    for (const auto& change : replay.changes) {
        if (!change.bytes.empty()) {
            TRY(file.write_at(change.offset, change.bytes));
            continue;
        }
        const u64 size = file.size();
        if (change.offset < size) TRY(zero_range(file, change.offset, std::min(change.length, size - change.offset)));
        if (change.offset + change.length > size) TRY(file.resize(change.offset + change.length));
    }
    if (file.size() < replay.size) TRY(file.resize(replay.size));
    return file.flush();
}

std::unique_ptr<host::File> make_replayed(std::unique_ptr<host::File> file, Replay replay) {
    return std::make_unique<ReplayedFile>(std::move(file), std::move(replay));
}

std::vector<u8> make_entry(const EntryPlace& place, std::span<const PageChange> changes) {
    std::vector<u8> bytes(page * (1 + changes.size()));
    const auto put_mark = [&](u64 at, std::string_view mark) {
        std::copy(mark.begin(), mark.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at));
    };
    put_mark(0, "loge");
    store_le<u32>(&bytes[8], static_cast<u32>(bytes.size()));
    store_le<u32>(&bytes[12], static_cast<u32>(place.offset));
    store_le<u64>(&bytes[16], place.sequence);
    store_le<u32>(&bytes[24], static_cast<u32>(changes.size()));
    std::copy(place.guid.begin(), place.guid.end(), bytes.begin() + 32);
    store_le<u64>(&bytes[48], place.file_size);
    store_le<u64>(&bytes[56], place.file_size);
    for (u64 i = 0; i < changes.size(); i++) {
        const auto& [offset, content] = changes[i];
        const u64 descriptor = head_bytes + i * descriptor_bytes, data = page * (1 + i);
        std::copy(content.begin(), content.end(), bytes.begin() + static_cast<std::ptrdiff_t>(data));
        put_mark(descriptor, "desc");
        std::copy_n(&bytes[data + page - tail_bytes], tail_bytes, &bytes[descriptor + 4]);
        std::copy_n(&bytes[data], lead_bytes, &bytes[descriptor + 8]);
        store_le<u64>(&bytes[descriptor + 16], offset);
        store_le<u64>(&bytes[descriptor + 24], place.sequence);
        put_mark(data, "data");
        store_le<u32>(&bytes[data + 4], static_cast<u32>(place.sequence >> 32));
        store_le<u32>(&bytes[data + page - tail_bytes], static_cast<u32>(place.sequence));
    }
    store_le<u32>(&bytes[4], checksum(bytes, 4));
    return bytes;
}

}  // namespace viv::block::vhdx
