// Published disks: everything comes back, zeroes and equal chunks are stored once or not at all, and no altered chunk
// or invented index is believed.
#include "engine/block/published/published.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "engine/block/raw.h"
#include "engine/block/read_ahead.h"
#include "engine/host/bytes_file.h"
#include "engine/lang/bytes.h"
#include "tests/block/memory_file.h"

namespace viv::block {
namespace {

using Bytes = std::vector<u8>;
constexpr u32 chunk = published::least_chunk;

// A folder of chunks that counts what it is asked for.
struct Folder final : state::ChunkSink, ByteSink, FileOpener {
    Result<void> put(const state::PackedChunk& packed) override {
        chunks.emplace(packed.hash.hex(), packed.stored);
        return {};
    }
    Result<void> write(std::span<const u8> in) override {
        index.insert(index.end(), in.begin(), in.end());
        return {};
    }
    Result<Opened> open(const std::string& name, const std::string&) override { return Error{name}; }
    Result<Opened> open_part(const std::string& name, const std::string&, Access) override { return Error{name}; }
    Result<std::unique_ptr<state::ChunkStore>> open_chunks(const std::string& of) override {
        struct Store final : state::ChunkStore {
            explicit Store(Folder& from) : folder(from) {}
            Result<void> fetch(const Hash128& hash, std::span<u8> out) override {
                folder.fetched.push_back(hash.hex());
                const auto found = folder.chunks.find(hash.hex());
                if (found == folder.chunks.end()) return Error{"is not there"};
                if (found->second.size() != out.size()) return Error{"has another size"};
                std::copy(found->second.begin(), found->second.end(), out.begin());
                return {};
            }
            void expect(const Hash128& hash, u32) override { folder.expected.push_back(hash.hex()); }
            Folder& folder;
        };
        EXPECT_EQ(of, "x.disk");
        return std::unique_ptr<state::ChunkStore>(std::make_unique<Store>(*this));
    }
    Result<std::unique_ptr<Image>> image(std::string_view format = "", Access access = Access::read_only) {
        OpenOptions options;
        options.opener = this;
        options.format = format;
        options.access = access;
        return open_image({std::make_unique<host::BytesFile>(index), "x.disk", "x"}, options);
    }

    std::map<std::string, Bytes> chunks;
    Bytes index;
    std::vector<std::string> fetched, expected;
};

Bytes noise(usize size, u64 seed) {
    std::mt19937_64 random(seed);
    Bytes bytes(size);
    for (u8& byte : bytes) byte = static_cast<u8>(random());
    return bytes;
}

struct Published : ::testing::Test {
    // Chunks 0 and 3 are equal, 1, 4 and most of 6 zero, 5 compresses; the last is 512 bytes.
    Bytes disk = [] {
        Bytes all(8 * chunk + 512);
        const auto put = [&](usize at, const Bytes& bytes) {
            std::copy(bytes.begin(), bytes.end(), all.begin() + static_cast<std::ptrdiff_t>(at * chunk));
        };
        for (const usize at : {0, 3}) put(at, noise(chunk, 1));
        put(2, noise(chunk, 2));
        put(5, Bytes(chunk, 7));
        all[6 * chunk + 900] = 1;
        put(7, noise(chunk, 3));
        put(8, noise(512, 4));
        return all;
    }();
    Folder folder;

    void publish(Folder& to) {
        test::FileContent content{disk};
        const auto raw =
            open_raw_image(std::make_unique<test::MemoryFile>(content), "raw", Access::read_only, NamedBy::user);
        state::FileWriter writer(to, &to, state::Content::disk);
        ASSERT_TRUE(writer.begin().ok());
        u64 last = 0;
        const auto done = published::write(*raw, writer, chunk, [&](u64 at, u64 all) {
            EXPECT_LT(at, all);
            last = at;
            return true;
        });
        ASSERT_TRUE(done.ok()) << done.error().message;
        EXPECT_EQ(last, 8 * chunk);
    }
    void SetUp() override { publish(folder); }

    // The index with this table instead of its own.
    std::string refusal(const Bytes& table, state::Content content = state::Content::disk) {
        Folder other;
        state::FileWriter writer(other, &other, content);
        EXPECT_TRUE(writer.begin().ok());
        EXPECT_TRUE(writer.add(state::ChunkPacker().pack(noise(chunk, 1))).ok());
        EXPECT_TRUE(writer.finish(table).ok());
        const auto image = other.image("published");
        EXPECT_TRUE(other.fetched.empty());
        return image.ok() ? "" : image.error().message;
    }
    static Bytes table(u32 version, u32 chunk_size, u64 size, const std::vector<u32>& slots) {
        Bytes bytes(16 + slots.size() * 4);
        store_le(bytes.data(), version);
        store_le(bytes.data() + 4, chunk_size);
        store_le(bytes.data() + 8, size);
        for (usize i = 0; i < slots.size(); i++) store_le(bytes.data() + 16 + i * 4, slots[i]);
        return bytes;
    }
};

TEST_F(Published, EverythingComesBackAndNothingIsStoredTwice) {
    EXPECT_EQ(folder.chunks.size(), 6U) << "of 0 and 3, 2, 5, 6, 7, 8";
    const auto image = folder.image();
    ASSERT_TRUE(image.ok()) << image.error().message;
    EXPECT_EQ((*image)->format(), "published");
    ASSERT_EQ((*image)->size(), disk.size());
    EXPECT_TRUE(folder.fetched.empty());
    std::mt19937_64 random(9);
    for (unsigned i = 0; i < 300; i++) {
        const u64 at = random() % disk.size(), length = random() % (disk.size() - at) + 1;
        Bytes got(length);
        ASSERT_TRUE((*image)->read(at, got).ok());
        ASSERT_TRUE(std::equal(got.begin(), got.end(), disk.begin() + static_cast<std::ptrdiff_t>(at)));
    }
    EXPECT_EQ(folder.fetched.size(), folder.chunks.size()) << "what has been read stays at hand";
    Bytes more(1);
    EXPECT_FALSE((*image)->read(disk.size(), more).ok());

    std::string kinds;
    for (u64 at = 0; at < disk.size();) {
        auto extent = (*image)->extent(at, disk.size() - at);
        ASSERT_TRUE(extent.ok());
        kinds += fmt::format("{}{} ", extent->kind == Extent::Kind::data ? 'd' : 'z', extent->length);
        at += extent->length;
    }
    EXPECT_EQ(kinds, "d4096 z4096 d8192 z4096 d12800 ");
}

TEST_F(Published, EqualDisksShareChunksAndIdentity) {
    Folder other;
    other.chunks = folder.chunks;
    publish(other);
    EXPECT_EQ(other.chunks.size(), folder.chunks.size());
    EXPECT_EQ((*other.image())->identity(), (*folder.image())->identity());
    disk[0] ^= 1;
    Folder third;
    publish(third);
    EXPECT_NE((*third.image())->identity(), (*folder.image())->identity());
}

TEST_F(Published, OneReadAsksForAllOfItsChunksFirst) {
    const auto image = folder.image();
    Bytes got(disk.size());
    ASSERT_TRUE((*image)->read(0, got).ok());
    const std::vector<std::string> first(folder.expected.begin(), folder.expected.begin() + 7);
    EXPECT_EQ(first[0], first[2]) << "0 and 3";
    EXPECT_EQ(folder.fetched.size(), 6U);
}

TEST_F(Published, AWrongOrMissingChunkIsAnErrorAndTheRestIsRead) {
    Bytes got(chunk);
    const auto hash = hash128(std::span(disk).subspan(2 * chunk, chunk)).hex();  // noise is stored as it is
    ASSERT_TRUE(folder.chunks.contains(hash));
    folder.chunks[hash][100] ^= 1;
    auto image = folder.image();
    auto read = (*image)->read(2 * chunk, got);
    ASSERT_FALSE(read.ok());
    EXPECT_EQ(read.error().message, "x.disk: the published disk is damaged: chunk " + hash + " fails its check");
    folder.chunks.erase(hash);
    EXPECT_FALSE((*image)->read(2 * chunk, got).ok());
    folder.chunks[hash] = Bytes(chunk - 1);
    EXPECT_FALSE((*image)->read(2 * chunk, got).ok());
    EXPECT_TRUE((*image)->read(3 * chunk, got).ok());
    EXPECT_TRUE(std::equal(got.begin(), got.end(), disk.begin()));
}

TEST_F(Published, ItIsOnlyRead) {
    const auto image = folder.image("", Access::read_write);
    ASSERT_FALSE(image.ok());
    EXPECT_EQ(image.error().message, "x.disk: is a published disk, which can only be read");
    OpenOptions options;
    const auto alone = open_image({std::make_unique<host::BytesFile>(folder.index), "x.disk", "x"}, options);
    ASSERT_FALSE(alone.ok());
    EXPECT_EQ(alone.error().message, "x.disk: has its chunks in other files, and may not open others");
}

TEST_F(Published, EveryAlteredByteOfTheIndexIsSeen) {
    for (usize at = 0; at < folder.index.size(); at++) {
        folder.index[at] ^= 0x20;
        EXPECT_FALSE(folder.image("published").ok()) << at;
        folder.index[at] ^= 0x20;
    }
    while (!folder.index.empty()) {
        folder.index.resize(folder.index.size() / 2);
        EXPECT_FALSE(folder.image("published").ok());
    }
}

TEST_F(Published, InventedTablesAreRefused) {
    const std::string damaged = "x.disk: the published disk is damaged: ";
    EXPECT_EQ(refusal(table(1, chunk, 2 * chunk, {0, 1})), "");
    EXPECT_EQ(refusal(table(1, chunk, chunk - 512, {0})), "");
    EXPECT_EQ(refusal(Bytes(15)), damaged + "its table is too short");
    EXPECT_EQ(refusal(table(2, chunk, chunk, {1})),
              "x.disk: the published disk has version 2, this program reads version 1");
    for (const u32 size : {0U, 2048U, 4097U, 2U << 20, ~0U})
        EXPECT_EQ(refusal(table(1, size, chunk, {1})), damaged + "its chunks have an impossible size");
    for (const u64 size : {u64{0}, u64{chunk} + 512, u64{chunk} - 1, ~u64{0}, ~u64{0} - 511, u64{1} << 63})
        EXPECT_EQ(refusal(table(1, chunk, size, {1})), damaged + "its size does not fit its table");
    auto odd = table(1, chunk, chunk, {1});
    odd.push_back(0);
    EXPECT_EQ(refusal(odd), damaged + "its size does not fit its table");
    EXPECT_EQ(refusal(table(1, chunk, chunk, {2})), damaged + "its table names a chunk that it does not have");
    EXPECT_EQ(refusal(table(1, chunk, chunk, {~0U})), damaged + "its table names a chunk that it does not have");
    EXPECT_EQ(refusal(table(1, chunk, chunk - 512, {1})), damaged + "a chunk has the wrong size");
    EXPECT_EQ(refusal(table(1, 2 * chunk, 2 * chunk, {1})), damaged + "a chunk has the wrong size");
    EXPECT_EQ(refusal(table(1, chunk, chunk, {1}), state::Content::machine), "x.disk: this is not a published disk");
}

TEST_F(Published, AnInterruptedWriteHasNoIndex) {
    test::FileContent content{disk};
    const auto raw =
        open_raw_image(std::make_unique<test::MemoryFile>(content), "raw", Access::read_only, NamedBy::user);
    Folder other;
    state::FileWriter writer(other, &other, state::Content::disk);
    ASSERT_TRUE(writer.begin().ok());
    EXPECT_FALSE(published::write(*raw, writer, chunk, [](u64 at, u64) { return at < 3 * chunk; }).ok());
    EXPECT_TRUE(other.index.empty());
}

TEST(PublishedSize, LargeDisksHaveLargerChunks) {
    EXPECT_EQ(published::chunk_size_for(512), published::usual_chunk);
    EXPECT_EQ(published::chunk_size_for(u64{32} << 30), published::usual_chunk);
    EXPECT_EQ(published::chunk_size_for(u64{100} << 30), 4 * published::usual_chunk);
    EXPECT_EQ(published::chunk_size_for(u64{1} << 50), published::most_chunk);
}

TEST(ReadAheadOfPieces, GrowsForWhoGoesForwardAndLeavesOthersAlone) {
    ReadAhead ahead;
    const auto note = [&](u64 first, u64 end) {
        const auto pieces = ahead.note(first, end);
        return std::pair(pieces.first, pieces.end);
    };
    EXPECT_EQ(note(10, 11).second, 0U) << "one read is no pattern";
    EXPECT_EQ(note(11, 12), (std::pair<u64, u64>(12, 14)));
    const auto again = note(11, 12);
    EXPECT_EQ(again.first, again.second) << "the same again brings nothing";
    EXPECT_EQ(note(100, 101).second, 0U);
    EXPECT_EQ(note(500, 501).second, 0U);
    EXPECT_EQ(note(12, 13), (std::pair<u64, u64>(14, 17))) << "the first goes on";
    EXPECT_EQ(note(101, 102), (std::pair<u64, u64>(102, 104)));
    u64 most = 0;
    for (u64 at = 13; at < 200; at++) {
        const auto [first, end] = note(at, at + 1);
        if (first != end) most = std::max(most, end - at - 1);
    }
    EXPECT_EQ(most, ReadAhead::furthest);
}

}  // namespace
}  // namespace viv::block
