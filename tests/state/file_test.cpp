// The file of a saved machine: everything comes back, every altered, cut or invented byte is refused.
#include "engine/state/file.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "engine/host/bytes_file.h"
#include "engine/lang/bytes.h"

namespace viv::state {
namespace {

using Bytes = std::vector<u8>;

struct Sink final : ByteSink {
    Result<void> write(std::span<const u8> in) override {
        if (bytes.size() + in.size() > limit) return Error{"disk full"};
        bytes.insert(bytes.end(), in.begin(), in.end());
        return {};
    }
    Result<void> finish() override {
        finished = true;
        return {};
    }
    Bytes bytes;
    usize limit = ~usize{0};
    bool finished = false;
};

Bytes noise(usize size, u64 seed) {
    std::mt19937_64 random(seed);
    Bytes bytes(size);
    for (u8& byte : bytes) byte = static_cast<u8>(random());
    return bytes;
}

Bytes written(const std::vector<Bytes>& chunks, const Bytes& table) {
    Sink sink;
    FileWriter writer(sink);
    ChunkPacker packer;
    EXPECT_TRUE(writer.begin().ok());
    for (const Bytes& chunk : chunks) EXPECT_TRUE(writer.add(packer.pack(chunk)).ok());
    EXPECT_TRUE(writer.finish(table).ok());
    EXPECT_TRUE(sink.finished);
    return sink.bytes;
}

struct Content {
    std::vector<Bytes> chunks;
    Bytes table;
};

Result<Content> read_all(std::span<const u8> bytes) {
    auto file = Source::of(std::make_unique<host::BytesFile>(bytes));
    TRY_SET(auto reader, FileReader::open(file));
    TRY(reader.verify());
    Content content;
    content.table.assign(reader.table().begin(), reader.table().end());
    for (u32 i = 0; i < reader.chunks(); i++) {
        TRY_SET(const auto chunk, reader.read(i));
        EXPECT_EQ(chunk.size(), reader.size_of(i));
        content.chunks.emplace_back(chunk.begin(), chunk.end());
    }
    return content;
}

TEST(SavedFile, ComesBack) {
    const std::vector<Bytes> chunks{{1, 2, 3}, {}, Bytes(chunk_limit, 0x55), noise(100'000, 1)};
    const Bytes table = noise(5'000, 2);
    const auto bytes = written(chunks, table);
    const auto got = read_all(bytes);
    ASSERT_TRUE(got.ok()) << got.error().message;
    EXPECT_EQ(got.value().chunks, chunks);
    EXPECT_EQ(got.value().table, table);
    EXPECT_LT(bytes.size(), 106'000U);  // what can be compressed is
}

TEST(SavedFile, EqualChunksAreStoredOnce) {
    Sink sink;
    FileWriter writer(sink);
    ChunkPacker packer;
    ASSERT_TRUE(writer.begin().ok());
    const auto one = packer.pack(noise(1'000, 1)), other = packer.pack(noise(1'000, 2));
    EXPECT_EQ(writer.add(one).value(), 0U);
    EXPECT_EQ(writer.add(other).value(), 1U);
    EXPECT_EQ(writer.add(one).value(), 0U);
    ASSERT_TRUE(writer.finish({}).ok());
    EXPECT_LT(sink.bytes.size(), 2'300U);
    EXPECT_EQ(read_all(sink.bytes).value().chunks.size(), 2U);
}

TEST(SavedFile, EveryCutIsRefused) {
    const auto bytes = written({{1, 2, 3}, Bytes(5'000, 7)}, {4, 5});
    for (usize size = 0; size < bytes.size(); size++) {
        const auto got = read_all(std::span(bytes).first(size));
        ASSERT_FALSE(got.ok()) << size;
        EXPECT_NE(got.error().message.find("saved machine"), std::string::npos);
    }
}

TEST(SavedFile, EveryFlippedBitIsRefused) {
    auto bytes = written({{1, 2, 3}, Bytes(5'000, 7), noise(300, 3)}, noise(100, 4));
    ASSERT_TRUE(read_all(bytes).ok());
    for (usize i = 0; i < bytes.size() * 8; i++) {
        bytes[i / 8] = static_cast<u8>(bytes[i / 8] ^ 1 << i % 8);
        EXPECT_FALSE(read_all(bytes).ok()) << "bit " << i;
        bytes[i / 8] = static_cast<u8>(bytes[i / 8] ^ 1 << i % 8);
    }
}

TEST(SavedFile, BytesLeftOutAddedOrTwiceAreRefused) {
    const auto bytes = written({noise(1'000, 1), noise(1'000, 2)}, {});
    const auto at = [&](usize offset) { return bytes.begin() + static_cast<std::ptrdiff_t>(offset); };
    for (const usize offset : {usize{0}, usize{16}, usize{1'016}, bytes.size() - 64, bytes.size()}) {
        Bytes more = bytes;
        more.insert(more.begin() + static_cast<std::ptrdiff_t>(offset), 8, u8{0});
        EXPECT_FALSE(read_all(more).ok()) << offset;
    }
    Bytes without(bytes.begin(), at(16));
    without.insert(without.end(), at(1'016), bytes.end());
    EXPECT_FALSE(read_all(without).ok());
    Bytes twice(bytes.begin(), at(1'016));
    twice.insert(twice.end(), at(16), bytes.end());
    EXPECT_FALSE(read_all(twice).ok());
}

TEST(SavedFile, OtherFilesAndVersionsAreNamed) {
    const Bytes text(100, 'x');
    EXPECT_EQ(read_all(text).error().message, "this is not a saved machine");
    auto bytes = written({}, {});
    bytes[8]++;
    EXPECT_NE(read_all(bytes).error().message.find("format 3"), std::string::npos);
}

TEST(SavedFile, FullDiskIsReported) {
    Sink sink;
    sink.limit = 1'000;
    FileWriter writer(sink);
    ASSERT_TRUE(writer.begin().ok());
    // It collects some before it writes.
    Result<void> result;
    for (u64 seed = 0; result.ok() && seed < 100; seed++)
        if (const auto added = writer.add(ChunkPacker().pack(noise(50'000, seed))); !added.ok()) result = added.error();
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().message, "disk full");
    EXPECT_FALSE(sink.finished);
}

TEST(SavedFile, ChunksThatAreNotThereAreRefused) {
    const auto bytes = written({{1}}, {});
    auto file = Source::of(std::make_unique<host::BytesFile>(bytes));
    auto reader = FileReader::open(file);
    ASSERT_TRUE(reader.ok());
    EXPECT_TRUE(reader->read(0).ok());
    EXPECT_FALSE(reader->read(1).ok());
    EXPECT_FALSE(reader->read(~u32{0}).ok());
}

// Ends and directories with right hashes but numbers of the writer's choosing: what somebody makes who knows the
// format.
TEST(SavedFile, ForgedNumbersAreRefused) {
    const auto good = written({noise(100, 1), noise(200, 2)}, noise(50, 3));
    constexpr usize end_size = 64, place_size = 24;
    const usize end_at = good.size() - end_size;
    const usize directory_at = static_cast<usize>(load_le<u64>(good.data() + end_at));
    ASSERT_EQ(load_le<u64>(good.data() + end_at + 8), 2 * place_size + 50) << "noise is stored as it is";
    std::mt19937_64 random(4);
    unsigned refused = 0;
    for (unsigned round = 0; round < 20'000; round++) {
        auto bytes = good;
        u8* end = bytes.data() + end_at;
        const u64 value = random() % 3 == 0 ? random() : random() % 500;
        if (random() % 2 == 0) {
            store_le(end + 8 * (random() % 4), value);
        } else {
            store_le(bytes.data() + directory_at + 4 * (random() % 12), static_cast<u32>(value));
            const Hash128 hash = hash128({bytes.data() + directory_at, 2 * place_size + 50});
            store_le(end + 32, hash.low);
            store_le(end + 40, hash.high);
        }
        store_le(end + 48, hash64({end, 48}));
        refused += !read_all(bytes).ok();
    }
    EXPECT_GT(refused, 19'000U);
}

TEST(SavedFile, RandomBytesAreRefused) {
    std::mt19937_64 random(5);
    const auto good = written({}, {});
    for (unsigned round = 0; round < 5'000; round++) {
        Bytes bytes(good.begin(), good.begin() + 16);
        for (u64 i = random() % 200; i > 0; i--) bytes.push_back(static_cast<u8>(random()));
        EXPECT_FALSE(read_all(bytes).ok());
    }
}

// Chunks of published files, by their names.
struct Outside final : ChunkSink, ChunkStore {
    explicit Outside(std::map<std::string, Bytes>& kept) : chunks(kept) {}
    Result<void> put(const PackedChunk& chunk) override {
        chunks[chunk.hash.hex()] = chunk.stored;
        return {};
    }
    Result<void> fetch(const Hash128& hash, std::span<u8> out) override {
        const auto found = chunks.find(hash.hex());
        if (found == chunks.end()) return Error{"not there"};
        if (found->second.size() != out.size()) return Error{"has another size"};
        std::copy(found->second.begin(), found->second.end(), out.begin());
        return {};
    }
    std::map<std::string, Bytes>& chunks;
};

TEST(PublishedFile, HasItsChunksOutside) {
    std::map<std::string, Bytes> kept;
    const std::vector<Bytes> chunks{Bytes(50'000, 1), noise(1'000, 1), {}};
    const Bytes table = noise(100, 2);
    const auto publish = [&](const std::vector<Bytes>& which) {
        Sink sink;
        Outside outside(kept);
        FileWriter writer(sink, &outside);
        ChunkPacker packer;
        EXPECT_TRUE(writer.begin().ok());
        for (const Bytes& chunk : which) EXPECT_TRUE(writer.add(packer.pack(chunk, ChunkPacker::Effort::much)).ok());
        EXPECT_TRUE(writer.finish(table).ok());
        return sink.bytes;
    };
    const Bytes index = publish(chunks);
    EXPECT_EQ(FileReader::chunks_are(index), Chunks::outside);
    EXPECT_EQ(FileReader::chunks_are(written(chunks, table)), Chunks::inside);
    EXPECT_EQ(kept.size(), 3U);
    publish({chunks[1], noise(10, 3)});
    EXPECT_EQ(kept.size(), 4U) << "what they have in common is there once";

    const auto open = [&](Source::Reach reach) {
        auto source = Source::of(std::make_unique<host::BytesFile>(index));
        source->chunks = std::make_unique<Outside>(kept);
        source->reach = reach;
        auto reader = FileReader::open(std::move(source));
        EXPECT_TRUE(reader.ok());
        return std::move(reader).value();
    };
    auto reader = open(Source::Reach::near);
    ASSERT_TRUE(reader.verify().ok());
    for (u32 i = 0; i < chunks.size(); i++) {
        const auto got = reader.read(i);
        ASSERT_TRUE(got.ok());
        EXPECT_EQ(Bytes(got.value().begin(), got.value().end()), chunks[i]);
    }
    EXPECT_EQ(Bytes(reader.table().begin(), reader.table().end()), table);

    kept[hash128(chunks[1]).hex()].at(0) ^= 1;  // as it is: noise
    EXPECT_FALSE(open(Source::Reach::near).verify().ok());
    auto far = open(Source::Reach::far);
    EXPECT_TRUE(far.verify().ok()) << "nothing is fetched";
    unsigned refused = 0;
    for (u32 i = 0; i < chunks.size(); i++) refused += far.read(i).ok() ? 0 : 1;
    EXPECT_EQ(refused, 1U);

    const auto alone = FileReader::open(Source::of(std::make_unique<host::BytesFile>(index)));
    ASSERT_FALSE(alone.ok());
    EXPECT_EQ(alone.error().message, "this is a part of a published machine; open the folder, or its URL");
}

}  // namespace
}  // namespace viv::state
