// See published.h.
#include "engine/block/published/published.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <list>
#include <unordered_map>

#include "engine/block/read_ahead.h"
#include "engine/lang/bytes.h"
#include "engine/lang/check.h"

namespace viv::block::published {

namespace {

constexpr u32 table_version = 1;
constexpr usize table_head = 16, slot_size = 4;
constexpr u64 most_cached = 8 << 20;  // bytes of chunks as they are read

class PublishedImage final : public Image {
public:
    PublishedImage(std::unique_ptr<host::File> index, std::string name, state::FileReader reader)
        : Image(std::move(index), std::move(name), Access::read_only), reader_(std::move(reader)) {}

    Result<void> load() {
        const auto table = reader_.table();
        if (table.size() < table_head) return wrong("its table is too short");
        if (const u32 version = load_le<u32>(table.data()); version != table_version)
            return fault(fmt::format("the published disk has version {}, this program reads version {}", version,
                                     table_version));
        chunk_ = load_le<u32>(table.data() + 4);
        size_ = load_le<u64>(table.data() + 8);
        if (!is_power_of_two(chunk_) || chunk_ < least_chunk || chunk_ > most_chunk)
            return wrong("its chunks have an impossible size");
        const u64 slots = (table.size() - table_head) / slot_size;
        if (size_ == 0 || size_ % 512 != 0 || (table.size() - table_head) % slot_size != 0 ||
            slots != (size_ - 1) / chunk_ + 1)
            return wrong("its size does not fit its table");
        slots_.reserve(static_cast<usize>(slots));
        for (u64 i = 0; i < slots; i++) {
            const u32 slot = load_le<u32>(table.data() + table_head + i * slot_size);
            if (slot > reader_.chunks()) return wrong("its table names a chunk that it does not have");
            if (slot != 0 && reader_.size_of(slot - 1) != length_of(i)) return wrong("a chunk has the wrong size");
            slots_.push_back(slot);
        }
        return {};
    }

    std::string_view format() const override { return "published"; }
    u64 size() const override { return size_; }

    Result<void> read(u64 offset, std::span<u8> out) override {
        TRY(check_range(offset, out.size()));
        if (out.empty()) return {};
        ask_for(offset / chunk_, (offset + out.size() - 1) / chunk_ + 1);
        while (!out.empty()) {
            const u64 inside = offset % chunk_;
            const auto part = out.first(std::min<u64>(out.size(), chunk_ - inside));
            const u32 slot = slots_[static_cast<usize>(offset / chunk_)];
            if (slot == 0) {
                std::memset(part.data(), 0, part.size());
            } else {
                TRY_SET(const u8* bytes, content(slot - 1));
                std::memcpy(part.data(), bytes + inside, part.size());
            }
            offset += part.size();
            out = out.subspan(part.size());
        }
        return {};
    }

    Result<void> write(u64 offset, std::span<const u8> in) override { return check_writable(offset, in.size()); }
    Result<void> write_zeroes(u64 offset, u64 length) override { return check_writable(offset, length); }
    Result<void> discard(u64 offset, u64 length) override { return check_writable(offset, length); }
    Result<void> flush() override { return {}; }

    Result<Extent> extent(u64 offset, u64 length) override {
        TRY(check_range(offset, length));
        const u64 first = offset / chunk_, end = (offset + length - 1) / chunk_ + 1;
        const auto has_data = [&](u64 slot) { return slots_[static_cast<usize>(slot)] != 0; };
        u64 last = first + 1;
        while (last < end && has_data(last) == has_data(first)) last++;
        Extent extent;
        extent.kind = has_data(first) ? Extent::Kind::data : Extent::Kind::zero;
        extent.length = std::min(length, last * chunk_ - offset);
        extent.compressed = has_data(first);
        return extent;
    }

    ImageDetails details() override {
        ImageDetails details;
        details.cluster_size = chunk_;
        details.compressed = true;
        details.specific.emplace_back("chunks", u64{reader_.chunks()});
        details.specific.emplace_back("chunk-bytes", stored());
        details.specific.emplace_back("identity", identity());
        return details;
    }
    std::string identity() const override { return reader_.identity().hex(); }
    u64 allocated() override { return file_->size() + stored(); }

private:
    Error wrong(std::string_view problem) const {
        return fault(fmt::format("the published disk is damaged: {}", problem));
    }
    u64 length_of(u64 slot) const { return std::min<u64>(chunk_, size_ - slot * chunk_); }
    u64 stored() const {
        u64 bytes = 0;
        for (u32 i = 0; i < reader_.chunks(); i++) bytes += reader_.stored_size_of(i);
        return bytes;
    }

    // All that will be fetched is known before the first of it is waited for.
    void ask_for(u64 first, u64 end) {
        const auto ahead = read_ahead_.note(first, end);
        for (u64 slot = first; slot < end; slot++) expect(slot);
        for (u64 slot = ahead.first; slot < std::min<u64>(ahead.end, slots_.size()); slot++) expect(slot);
    }
    void expect(u64 slot) {
        const u32 number = slots_[static_cast<usize>(slot)];
        if (number != 0 && by_number_.find(number - 1) == by_number_.end()) reader_.expect(number - 1);
    }

    // Of a chunk, until the next call.
    Result<const u8*> content(u32 number) {
        if (const auto found = by_number_.find(number); found != by_number_.end()) {
            recent_.splice(recent_.begin(), recent_, found->second);
            return static_cast<const u8*>(recent_.front().bytes.data());
        }
        auto read = reader_.read(number);
        if (!read.ok()) return fault(read.error().message);
        if (recent_.size() * chunk_ >= most_cached) {
            by_number_.erase(recent_.back().number);
            recent_.splice(recent_.begin(), recent_, std::prev(recent_.end()));
        } else {
            recent_.emplace_front();
        }
        recent_.front().number = number;
        recent_.front().bytes.assign(read->begin(), read->end());
        by_number_.emplace(number, recent_.begin());
        return static_cast<const u8*>(recent_.front().bytes.data());
    }

    struct Chunk {
        u32 number = 0;
        std::vector<u8> bytes;
    };
    state::FileReader reader_;
    u32 chunk_ = 0;
    u64 size_ = 0;
    std::vector<u32> slots_;
    ReadAhead read_ahead_;
    std::list<Chunk> recent_;  // the last used first
    std::unordered_map<u32, std::list<Chunk>::iterator> by_number_;
};

// The index, once for the reader and once for the image.
class SharedFile final : public host::File {
public:
    explicit SharedFile(std::shared_ptr<host::File> file) : file_(std::move(file)) {}
    u64 size() override { return file_->size(); }
    Result<void> read_at(u64 offset, std::span<u8> out) override { return file_->read_at(offset, out); }
    Result<void> write_at(u64, std::span<const u8>) override { return Error{"can only be read"}; }
    Result<void> flush() override { return {}; }
    bool punch_hole(u64, u64) override { return false; }
    u64 allocated() override { return file_->allocated(); }

private:
    std::shared_ptr<host::File> file_;
};

}  // namespace

Result<std::unique_ptr<Image>> open(std::unique_ptr<host::File> file, OpenContext context) {
    if (context.access == Access::read_write)
        return Error{fmt::format("{}: is a published disk, which can only be read", context.name)};
    const auto named = [&](const Error& error) { return Error{fmt::format("{}: {}", context.name, error.message)}; };
    const std::shared_ptr<host::File> index(std::move(file));
    auto source = state::Source::of(std::make_unique<SharedFile>(index));
    source->content = state::Content::disk;
    source->reach = state::Source::Reach::far;
    TRY_SET(source->chunks, context.open_chunks());
    auto reader = state::FileReader::open(std::move(source));
    if (!reader.ok()) return named(reader.error());
    auto image =
        std::make_unique<PublishedImage>(std::make_unique<SharedFile>(index), context.name, std::move(*reader));
    TRY(image->load());
    return std::unique_ptr<Image>(std::move(image));
}

u32 chunk_size_for(u64 disk_size) {
    // A quarter of what an index may have, if all chunks differ.
    constexpr u64 most_slots = 512 << 10;
    u32 size = usual_chunk;
    while (size < most_chunk && disk_size / size > most_slots) size *= 2;
    return size;
}

Result<void> write(Image& image, state::FileWriter& to, u32 chunk_size,
                   const std::function<bool(u64 done, u64 all)>& progress) {
    CHECK(is_power_of_two(chunk_size) && chunk_size >= least_chunk && chunk_size <= most_chunk);
    const u64 size = image.size();
    std::vector<u8> table(table_head);
    store_le(table.data(), table_version);
    store_le(table.data() + 4, chunk_size);
    store_le(table.data() + 8, size);
    state::ChunkPacker packer;
    std::vector<u8> buffer(chunk_size);
    u64 zero_until = 0;  // this much is known to be zero, from the chunk in work on
    for (u64 at = 0; at < size; at += chunk_size) {
        if (!progress(at, size)) return Error{"interrupted; nothing that is there already has changed"};
        const auto bytes = std::span(buffer).first(static_cast<usize>(std::min<u64>(chunk_size, size - at)));
        if (at >= zero_until) {
            TRY_SET(const Found found, look_through(image, at, size - at));
            if (found.extent.kind != Extent::Kind::data) zero_until = at + found.extent.length;
        }
        u32 slot = 0;
        if (at + bytes.size() > zero_until) {
            TRY(image.read(at, bytes));
            if (!all_zero(bytes)) {
                TRY_SET(slot, to.add(packer.pack(bytes, state::ChunkPacker::Effort::much)));
                slot++;
            }
        }
        table.resize(table.size() + slot_size);
        store_le(table.data() + table.size() - slot_size, slot);
    }
    return to.finish(table);
}

}  // namespace viv::block::published
