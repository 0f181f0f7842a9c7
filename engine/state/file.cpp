// Chunks, directory and end of a saved file. See file.h.
// The directory is one frame, compressed if that helps: for each chunk u32 stored size, u32 plain size, u64 and u64 of
// XXH3-128 of the stored bytes (low half first), in the order of the file, where they follow each other without gaps;
// then the caller's table. A chunk is compressed if its stored size is not its plain size.
// The end: u64 offset of the directory, u64 its stored size, u64 its plain size, u64 number of chunks, u64 and u64 of
// its hash, u64 XXH3-64 of the end before this field, and the magic number again.
// zstd: RFC 8878, by libzstd; every frame is decoded into a buffer of exactly the announced size.
#include "engine/state/file.h"

#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>
#include <array>

#include "engine/lang/bytes.h"
#include "engine/lang/check.h"

namespace viv::state {

namespace {

// The byte above 0x7f, the line ends and the control-Z show a file that went through a text conversion.
constexpr std::array<u8, 8> magics[] = {{0x89, 'V', 'I', 'V', '\r', '\n', 0x1a, '\n'},
                                        {0x89, 'V', 'D', 'K', '\r', '\n', 0x1a, '\n'}};
constexpr std::array<u8, 8> magic_of(Content content) { return magics[static_cast<usize>(content)]; }
constexpr usize head_size = 16, end_size = 64, place_size = 24;
constexpr u64 directory_limit = u64{64} << 20;  // bytes before compression

std::array<u8, head_size> make_head(Chunks chunks, Content content) {
    std::array<u8, head_size> head{};
    const auto magic = magic_of(content);
    std::copy(magic.begin(), magic.end(), head.begin());
    store_le(head.data() + 8, file_version);
    store_le(head.data() + 12, static_cast<u32>(chunks));
    return head;
}

std::string_view name_of(Content content) {
    return content == Content::machine ? "the saved machine" : "the published disk";
}

}  // namespace

struct ChunkPacker::Tools {
    ZSTD_CCtx* zstd = ZSTD_createCCtx();
    std::vector<u8> room;  // for the largest result so far

    Tools() { CHECK(zstd != nullptr); }
    void set(Effort effort) {
        const bool little = effort == Effort::little;
        set(ZSTD_c_compressionLevel, little ? 1 : 12);
        // A table that stays in the first cache, and no match so short that it saves little; 0: the level's own.
        set(ZSTD_c_hashLog, little ? 12 : 0);
        set(ZSTD_c_minMatch, little ? 7 : 0);
    }
    void set(ZSTD_cParameter parameter, int value) {
        CHECK(ZSTD_isError(ZSTD_CCtx_setParameter(zstd, parameter, value)) == 0);
    }
    ~Tools() { ZSTD_freeCCtx(zstd); }
    Tools(const Tools&) = delete;
    Tools& operator=(const Tools&) = delete;
};

ChunkPacker::ChunkPacker() : tools_(std::make_unique<Tools>()) {}
ChunkPacker::~ChunkPacker() = default;

PackedChunk ChunkPacker::pack(std::span<const u8> plain, Effort effort) {
    auto& room = tools_->room;
    room.resize(std::max(room.size(), ZSTD_compressBound(plain.size())));
    tools_->set(effort);
    const usize size = ZSTD_compress2(tools_->zstd, room.data(), room.size(), plain.data(), plain.size());
    const bool helps = ZSTD_isError(size) == 0 && size < plain.size();
    PackedChunk chunk;
    chunk.plain = static_cast<u32>(plain.size());
    const auto stored = helps ? std::span<const u8>(room).first(size) : plain;
    chunk.stored.assign(stored.begin(), stored.end());
    chunk.hash = hash128(chunk.stored);
    return chunk;
}

// ---- Writing -------------------------------------------------------------------------------------------------------

Result<void> FileWriter::put(std::span<const u8> bytes) {
    constexpr usize enough = 256 << 10;
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
    return buffer_.size() < enough ? Result<void>() : put_buffer();
}

Result<void> FileWriter::put_buffer() {
    TRY(sink_.write(buffer_));
    buffer_.clear();
    return {};
}

Result<void> FileWriter::begin() {
    position_ = head_size;
    return put(make_head(outside_ == nullptr ? Chunks::inside : Chunks::outside, content_));
}

Result<u32> FileWriter::add(const PackedChunk& chunk) {
    CHECK(chunk.plain <= chunk_limit);
    const u32 next = static_cast<u32>(places_.size() / place_size);
    const auto [known, fresh] = numbers_.emplace(chunk.hash, next);
    if (!fresh) return known->second;
    const usize at = places_.size();
    places_.resize(at + place_size);
    store_le(places_.data() + at, static_cast<u32>(chunk.stored.size()));
    store_le(places_.data() + at + 4, chunk.plain);
    store_le(places_.data() + at + 8, chunk.hash.low);
    store_le(places_.data() + at + 16, chunk.hash.high);
    if (outside_ != nullptr) {
        TRY(outside_->put(chunk));
        return next;
    }
    position_ += chunk.stored.size();
    TRY(put(chunk.stored));
    return next;
}

Result<void> FileWriter::finish(std::span<const u8> table) {
    const u64 chunks = places_.size() / place_size;
    places_.insert(places_.end(), table.begin(), table.end());
    if (places_.size() > directory_limit) return Error{fmt::format("{} is too large for its file", name_of(content_))};
    const PackedChunk directory =
        ChunkPacker().pack(places_, outside_ == nullptr ? ChunkPacker::Effort::little : ChunkPacker::Effort::much);
    TRY(put(directory.stored));
    std::array<u8, end_size> end{};
    store_le(end.data(), position_);
    store_le(end.data() + 8, static_cast<u64>(directory.stored.size()));
    store_le(end.data() + 16, static_cast<u64>(places_.size()));
    store_le(end.data() + 24, chunks);
    store_le(end.data() + 32, directory.hash.low);
    store_le(end.data() + 40, directory.hash.high);
    store_le(end.data() + 48, hash64({end.data(), 48}));
    const auto magic = magic_of(content_);
    std::copy(magic.begin(), magic.end(), end.begin() + 56);
    TRY(put(end));
    TRY(put_buffer());
    return sink_.finish();
}

// ---- Reading -------------------------------------------------------------------------------------------------------

struct FileReader::Place {
    u64 offset = 0;
    u32 stored = 0, plain = 0;
    Hash128 hash;
};

struct FileReader::Inside {
    explicit Inside(std::shared_ptr<Source> from) : source(std::move(from)), file(*source->file) {
        CHECK(zstd != nullptr);
    }
    ~Inside() { ZSTD_freeDCtx(zstd); }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;

    Error damaged(std::string_view problem) const {
        return Error{fmt::format("{} is damaged: {}", name_of(source->content), problem)};
    }
    Result<std::vector<u8>> unpack(std::span<const u8> from, u64 size) {
        std::vector<u8> out(static_cast<usize>(size));
        TRY(unpack_into(from, out));
        return out;
    }
    Result<void> unpack_into(std::span<const u8> from, std::span<u8> out) {
        const usize size = ZSTD_decompressDCtx(zstd, out.data(), out.size(), from.data(), from.size());
        if (ZSTD_isError(size) != 0 || size != out.size()) return damaged("it cannot be decompressed");
        return {};
    }
    Result<void> read_at(u64 offset, std::span<u8> out) {
        if (auto got = file.read_at(offset, out); !got.ok())
            return Error{
                fmt::format("{} cannot be read at byte {}: {}", name_of(source->content), offset, got.error().message)};
        return {};
    }

    std::shared_ptr<Source> source;
    host::File& file;
    Chunks where = Chunks::inside;
    Hash128 identity;
    ZSTD_DCtx* zstd = ZSTD_createDCtx();
    std::vector<Place> places;
    std::vector<u8> directory;
    std::span<const u8> table;
    std::vector<u8> stored, plain;
};

FileReader::FileReader(std::unique_ptr<Inside> inside) : inside_(std::move(inside)) {}
FileReader::FileReader(FileReader&&) noexcept = default;
FileReader& FileReader::operator=(FileReader&&) noexcept = default;
FileReader::~FileReader() = default;

std::span<const u8> FileReader::table() const { return inside_->table; }
u32 FileReader::chunks() const { return static_cast<u32>(inside_->places.size()); }
u32 FileReader::size_of(u32 chunk) const { return inside_->places[chunk].plain; }
u32 FileReader::stored_size_of(u32 chunk) const { return inside_->places[chunk].stored; }

void FileReader::expect(u32 chunk) {
    const Place& place = inside_->places[chunk];
    if (inside_->where == Chunks::outside) inside_->source->chunks->expect(place.hash, place.stored);
}

bool FileReader::looks_like(std::span<const u8> head, Content content) {
    const auto magic = magic_of(content);
    return head.size() >= magic.size() && std::equal(magic.begin(), magic.end(), head.begin());
}

Chunks FileReader::chunks_are(std::span<const u8> head, Content content) {
    const auto outside = make_head(Chunks::outside, content);
    return head.size() >= head_size && std::equal(outside.begin(), outside.end(), head.begin()) ? Chunks::outside
                                                                                                : Chunks::inside;
}

bool FileReader::is_near() const { return inside_->source->reach == Source::Reach::near; }
const Hash128& FileReader::identity() const { return inside_->identity; }

Result<FileReader> FileReader::open(std::shared_ptr<Source> source) {
    auto inside = std::make_unique<Inside>(std::move(source));
    const u64 size = inside->file.size();
    std::array<u8, head_size> head{};
    if (size >= head_size) TRY(inside->read_at(0, head));
    const auto content = inside->source->content;
    const auto damaged = [&](std::string_view problem) { return inside->damaged(problem); };
    if (!looks_like(head, content))
        return Error{content == Content::machine ? "this is not a saved machine" : "this is not a published disk"};
    if (const u32 version = load_le<u32>(head.data() + 8); version != file_version)
        return Error{
            fmt::format("{} has format {}, this program reads format {}", name_of(content), version, file_version)};
    if (load_le<u32>(head.data() + 12) == static_cast<u32>(Chunks::outside)) inside->where = Chunks::outside;
    if (head != make_head(inside->where, content)) return damaged("its head is not as it should be");
    if (inside->where == Chunks::outside && inside->source->chunks == nullptr)
        return Error{fmt::format("this is a part of a published {}; open the folder, or its URL",
                                 content == Content::machine ? "machine" : "disk")};
    if (size < head_size + end_size) return damaged("it is cut short");
    std::array<u8, end_size> end;
    TRY(inside->read_at(size - end_size, end));
    if (!looks_like(std::span(end).subspan(56), content)) return damaged("it is cut short");
    if (load_le<u64>(end.data() + 48) != hash64({end.data(), 48})) return damaged("its end fails its check");
    const u64 offset = load_le<u64>(end.data()), stored = load_le<u64>(end.data() + 8);
    const u64 plain = load_le<u64>(end.data() + 16), chunks = load_le<u64>(end.data() + 24);
    if (offset < head_size || stored > plain || plain > directory_limit || stored > size - head_size - end_size ||
        offset != size - end_size - stored || chunks > plain / place_size || chunks > ~u32{0})
        return damaged("its end has impossible sizes");
    std::vector<u8> bytes(static_cast<usize>(stored));
    TRY(inside->read_at(offset, bytes));
    inside->identity = hash128(bytes);
    if (inside->identity != Hash128{load_le<u64>(end.data() + 32), load_le<u64>(end.data() + 40)})
        return damaged("its directory fails its check");
    if (stored != plain) {
        TRY_SET(inside->directory, inside->unpack(bytes, plain));
    } else {
        inside->directory = std::move(bytes);
    }
    u64 at = head_size;
    inside->places.reserve(static_cast<usize>(chunks));
    for (u64 i = 0; i < chunks; i++) {
        const u8* from = inside->directory.data() + i * place_size;
        Place place{at, load_le<u32>(from), load_le<u32>(from + 4), {load_le<u64>(from + 8), load_le<u64>(from + 16)}};
        const bool fits = inside->where == Chunks::outside || place.stored <= offset - at;
        if (place.stored > place.plain || place.plain > chunk_limit || !fits)
            return damaged(fmt::format("chunk {} has impossible sizes", i));
        if (inside->where == Chunks::inside) at += place.stored;
        inside->places.push_back(place);
    }
    if (at != offset) return damaged("its chunks do not fill it");
    inside->table = std::span<const u8>(inside->directory).subspan(static_cast<usize>(chunks * place_size));
    return FileReader(std::move(inside));
}

Result<void> FileReader::fetch(const Place& place) {
    inside_->stored.resize(place.stored);
    if (inside_->where == Chunks::inside) {
        TRY(inside_->read_at(place.offset, inside_->stored));
    } else {
        TRY(inside_->source->chunks->fetch(place.hash, inside_->stored));
    }
    if (hash128(inside_->stored) == place.hash) return {};
    if (inside_->where == Chunks::outside)
        return inside_->damaged(fmt::format("chunk {} fails its check", place.hash.hex()));
    return inside_->damaged(fmt::format("the bytes from {} on fail their check", place.offset));
}

Result<PackedChunk> FileReader::stored(u32 chunk) {
    const Place& place = inside_->places[chunk];
    TRY(fetch(place));
    return PackedChunk{inside_->stored, place.plain, place.hash};
}

Result<std::span<const u8>> FileReader::read(u32 chunk) {
    if (chunk >= chunks()) return inside_->damaged("it names a chunk that it does not have");
    const Place& place = inside_->places[chunk];
    TRY(fetch(place));
    if (place.stored == place.plain) return std::span<const u8>(inside_->stored);
    inside_->plain.resize(place.plain);
    TRY(inside_->unpack_into(inside_->stored, inside_->plain));
    return std::span<const u8>(inside_->plain);
}

Result<void> FileReader::verify() {
    if (inside_->source->reach == Source::Reach::far) return {};
    const auto& places = inside_->places;
    if (inside_->where == Chunks::outside) {
        for (const Place& place : places) TRY(fetch(place));
        return {};
    }
    // Many at once: they are small.
    std::vector<u8> bytes;
    for (usize first = 0; first < places.size();) {
        usize last = first;
        u64 length = 0;
        while (last < places.size() && (last == first || length + places[last].stored <= chunk_limit))
            length += places[last++].stored;
        bytes.resize(static_cast<usize>(length));
        TRY(inside_->read_at(places[first].offset, bytes));
        for (u64 at = 0; first < last; at += places[first++].stored)
            if (hash128(std::span(bytes).subspan(static_cast<usize>(at), places[first].stored)) != places[first].hash)
                return inside_->damaged(fmt::format("the bytes from {} on fail their check", places[first].offset));
    }
    return {};
}

}  // namespace viv::state
