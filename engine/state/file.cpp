// Parts of a saved file: header, hash, zstd. See file.h. A part's header, little endian:
//   u32 type, u32 plain size, u32 stored size, u32 encoding (0 as it is, 1 zstd), u64 size of the section from here on,
//   u64 XXH3-64 of the stored bytes, u64 XXH3-64 of the header before this field.
// zstd: RFC 8878, by libzstd; every frame is decoded into a buffer of exactly the announced size.
#include "engine/state/file.h"

#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>
#include <array>

#include "engine/lang/bytes.h"
#include "engine/lang/check.h"
#include "engine/lang/hash.h"

namespace viv::state {

namespace {

// The byte above 0x7f, the line ends and the control-Z show a file that went through a text conversion.
constexpr std::array<u8, 8> magic{0x89, 'V', 'I', 'V', '\r', '\n', 0x1a, '\n'};
constexpr usize head_size = 16;
constexpr usize part_header_size = 40;
constexpr u32 part_limit = (1 << 20) + (1 << 12);  // a mebibyte of RAM with its page map is one part
constexpr u32 encoding_plain = 0, encoding_zstd = 1;
constexpr u32 type_end = 0xffff'ffff;
constexpr usize end_size = 16;
constexpr int compression_level = 1;

std::array<u8, end_size> hash_bytes(const Hash128& hash) {
    std::array<u8, end_size> out;
    store_le(out.data(), hash.low);
    store_le(out.data() + 8, hash.high);
    return out;
}

}  // namespace

struct FileWriter::Tools {
    ZSTD_CCtx* zstd = ZSTD_createCCtx();
    Hasher whole;
    std::vector<u8> buffer = std::vector<u8>(ZSTD_compressBound(part_limit));

    Tools() { CHECK(zstd != nullptr); }
    ~Tools() { ZSTD_freeCCtx(zstd); }
    Tools(const Tools&) = delete;
    Tools& operator=(const Tools&) = delete;
};

FileWriter::FileWriter(ByteSink& sink) : sink_(sink), tools_(std::make_unique<Tools>()) {}
FileWriter::~FileWriter() = default;

Result<void> FileWriter::put(std::span<const u8> bytes) {
    tools_->whole.add(bytes);
    return sink_.write(bytes);
}

Result<void> FileWriter::begin() {
    std::array<u8, head_size> head{};
    std::copy(magic.begin(), magic.end(), head.begin());
    store_le(head.data() + 8, file_version);
    return put(head);
}

Result<void> FileWriter::part(u32 type, std::span<const u8> content, u64 remaining) {
    u32 encoding = encoding_zstd;
    const usize compressed = ZSTD_compressCCtx(tools_->zstd, tools_->buffer.data(), tools_->buffer.size(),
                                               content.data(), content.size(), compression_level);
    std::span<const u8> stored{tools_->buffer.data(), compressed};
    if (ZSTD_isError(compressed) != 0 || compressed >= content.size()) {
        encoding = encoding_plain;
        stored = content;
    }
    std::array<u8, part_header_size> header{};
    store_le(header.data(), type);
    store_le(header.data() + 4, static_cast<u32>(content.size()));
    store_le(header.data() + 8, static_cast<u32>(stored.size()));
    store_le(header.data() + 12, encoding);
    store_le(header.data() + 16, remaining);
    store_le(header.data() + 24, hash64(stored));
    store_le(header.data() + 32, hash64({header.data(), 32}));
    TRY(put(header));
    return put(stored);
}

Result<void> FileWriter::section(u32 type, std::span<const u8> content) {
    CHECK(type != type_end);
    do {
        const usize size = std::min<usize>(content.size(), part_limit);
        TRY(part(type, content.first(size), content.size()));
        content = content.subspan(size);
    } while (!content.empty());
    return {};
}

Result<void> FileWriter::finish() {
    const auto hash = hash_bytes(tools_->whole.finish());
    TRY(part(type_end, hash, hash.size()));
    return sink_.finish();
}

struct FileReader::Tools {
    ZSTD_DCtx* zstd = ZSTD_createDCtx();
    Hasher whole;
    std::vector<u8> stored;
    std::vector<u8> plain;

    Tools() { CHECK(zstd != nullptr); }
    ~Tools() { ZSTD_freeDCtx(zstd); }
    Tools(const Tools&) = delete;
    Tools& operator=(const Tools&) = delete;
};

FileReader::FileReader(ByteSource& source) : source_(source), tools_(std::make_unique<Tools>()) {}
FileReader::~FileReader() = default;

Error FileReader::damaged(const char* problem) const {
    return Error{fmt::format("the saved machine is damaged near byte {}: {}", position_, problem)};
}

Result<void> FileReader::take(std::span<u8> out) {
    if (auto got = source_.read(out); !got.ok())
        return Error{
            fmt::format("the saved machine ends or cannot be read at byte {} ({})", position_, got.error().message)};
    position_ += out.size();
    return {};
}

Result<void> FileReader::begin() {
    std::array<u8, head_size> head;
    TRY(take(head));
    if (!std::equal(magic.begin(), magic.end(), head.begin())) return Error{"this is not a saved machine"};
    const u32 version = load_le<u32>(head.data() + 8);
    if (version != file_version)
        return Error{
            fmt::format("the saved machine has format {}, this program reads format {}", version, file_version)};
    if (load_le<u32>(head.data() + 12) != 0) return damaged("the head is not as it should be");
    tools_->whole.add(head);
    return {};
}

Result<FileReader::Part> FileReader::part_header() {
    const Hash128 so_far = tools_->whole.finish();
    std::array<u8, part_header_size> header;
    TRY(take(header));
    if (load_le<u64>(header.data() + 32) != hash64({header.data(), 32})) return damaged("a header fails its check");
    tools_->whole.add(header);
    Part part;
    part.type = load_le<u32>(header.data());
    part.plain = load_le<u32>(header.data() + 4);
    part.stored = load_le<u32>(header.data() + 8);
    const u32 encoding = load_le<u32>(header.data() + 12);
    part.compressed = encoding == encoding_zstd;
    part.remaining = load_le<u64>(header.data() + 16);
    part.hash = load_le<u64>(header.data() + 24);
    // A part that is not the last of its section is a full one, so a hostile file cannot make many of nothing.
    const bool sizes_fit = part.plain <= part_limit && part.stored <= part.plain && part.plain <= part.remaining &&
                           (part.plain == part.remaining || part.plain == part_limit) &&
                           (part.compressed || part.stored == part.plain);
    if (encoding > encoding_zstd || !sizes_fit) return damaged("a header has impossible sizes");
    if (part.type == type_end) {
        if (part.plain != end_size || part.remaining != end_size) return damaged("the end is not as it should be");
        TRY_SET(const auto hash, part_content(part));
        if (!std::equal(hash.begin(), hash.end(), hash_bytes(so_far).begin()))
            return damaged("the hash of the whole does not fit");
    }
    return part;
}

Result<std::span<const u8>> FileReader::part_content(const Part& part) {
    tools_->stored.resize(part.stored);
    TRY(take(tools_->stored));
    if (hash64(tools_->stored) != part.hash) return damaged("its content fails its check");
    tools_->whole.add(tools_->stored);
    if (!part.compressed) return std::span<const u8>(tools_->stored);
    tools_->plain.resize(part.plain);
    const usize size = ZSTD_decompressDCtx(tools_->zstd, tools_->plain.data(), tools_->plain.size(),
                                           tools_->stored.data(), tools_->stored.size());
    if (ZSTD_isError(size) != 0 || size != part.plain) return damaged("its content cannot be decompressed");
    return std::span<const u8>(tools_->plain);
}

Result<FileReader::Section> FileReader::next() {
    TRY_SET(part_, part_header());
    return Section{part_.type == type_end, part_.type, part_.remaining};
}

Result<void> FileReader::content(u64 maximum, const std::function<Result<void>(std::span<const u8>)>& piece) {
    if (part_.remaining > maximum) return damaged("a section is too large");
    for (;;) {
        TRY_SET(const auto bytes, part_content(part_));
        TRY(piece(bytes));
        const u64 left = part_.remaining - part_.plain;
        if (left == 0) return {};
        const u32 type = part_.type;
        TRY_SET(part_, part_header());
        if (part_.type != type || part_.remaining != left) return damaged("a part of a section is missing");
    }
}

Result<std::vector<u8>> FileReader::content(u64 maximum) {
    std::vector<u8> all;
    TRY(content(maximum, [&](std::span<const u8> bytes) -> Result<void> {
        all.insert(all.end(), bytes.begin(), bytes.end());
        return {};
    }));
    return all;
}

}  // namespace viv::state
