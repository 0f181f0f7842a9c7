// The file of a saved machine: everything comes back, every altered, cut or invented byte is refused.
#include "engine/state/file.h"

#include <gtest/gtest.h>

#include <random>

#include "engine/lang/bytes.h"
#include "engine/lang/hash.h"

namespace viv::state {
namespace {

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
    std::vector<u8> bytes;
    usize limit = ~usize{0};
    bool finished = false;
};

struct Source final : ByteSource {
    explicit Source(std::span<const u8> in) : left(in) {}
    Result<void> read(std::span<u8> out) override {
        if (out.size() > left.size()) return Error{"end of file"};
        std::copy_n(left.begin(), out.size(), out.begin());
        left = left.subspan(out.size());
        return {};
    }
    std::span<const u8> left;
};

struct Section {
    u32 type;
    std::vector<u8> content;
    bool operator==(const Section&) const = default;
};

std::vector<Section> some_sections() {
    std::mt19937_64 random(1);
    std::vector<u8> noise(3'000'000);  // several parts, not compressible
    for (u8& byte : noise) byte = static_cast<u8>(random());
    return {{1, {1, 2, 3}}, {2, {}}, {7, std::vector<u8>(2'500'000, 0x55)}, {7, noise}, {0, {9}}};
}

std::vector<u8> written(const std::vector<Section>& sections) {
    Sink sink;
    FileWriter writer(sink);
    EXPECT_TRUE(writer.begin().ok());
    for (const Section& section : sections) EXPECT_TRUE(writer.section(section.type, section.content).ok());
    EXPECT_TRUE(writer.finish().ok());
    EXPECT_TRUE(sink.finished);
    return sink.bytes;
}

Result<std::vector<Section>> read_all(std::span<const u8> bytes, u64 maximum = 1 << 24) {
    Source source(bytes);
    FileReader reader(source);
    TRY(reader.begin());
    std::vector<Section> sections;
    for (;;) {
        TRY_SET(const auto section, reader.next());
        if (section.end) return sections;
        TRY_SET(auto content, reader.content(maximum));
        sections.push_back({section.type, std::move(content)});
    }
}

TEST(SavedFile, ComesBack) {
    const auto sections = some_sections();
    const auto bytes = written(sections);
    const auto got = read_all(bytes);
    ASSERT_TRUE(got.ok()) << got.error().message;
    EXPECT_EQ(got.value(), sections);
    EXPECT_LT(bytes.size(), 3'100'000U);  // what can be compressed is
}

TEST(SavedFile, EveryCutIsRefused) {
    const auto bytes = written({{1, {1, 2, 3}}, {2, std::vector<u8>(5'000, 7)}});
    for (usize size = 0; size < bytes.size(); size++) {
        const auto got = read_all(std::span(bytes).first(size));
        ASSERT_FALSE(got.ok()) << size;
        EXPECT_NE(got.error().message.find("saved machine"), std::string::npos);
    }
}

TEST(SavedFile, EveryFlippedBitIsRefused) {
    auto bytes = written({{1, {1, 2, 3}}, {2, std::vector<u8>(5'000, 7)}});
    ASSERT_TRUE(read_all(bytes).ok());
    for (usize i = 0; i < bytes.size() * 8; i++) {
        bytes[i / 8] = static_cast<u8>(bytes[i / 8] ^ 1 << i % 8);
        EXPECT_FALSE(read_all(bytes).ok()) << "bit " << i;
        bytes[i / 8] = static_cast<u8>(bytes[i / 8] ^ 1 << i % 8);
    }
}

TEST(SavedFile, PartsLeftOutTwiceOrInAnotherOrderAreRefused) {
    const std::vector<u8> one(100, 1), two(100, 2);
    const auto bytes = written({{1, one}, {2, two}});
    const auto single = written({{1, one}});
    const usize head = 16, part = (single.size() - head - 40 - 16);
    std::vector<u8> without(bytes.begin(), bytes.begin() + head);
    without.insert(without.end(), bytes.begin() + static_cast<std::ptrdiff_t>(head + part), bytes.end());
    EXPECT_FALSE(read_all(without).ok());
    std::vector<u8> twice(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(head + part));
    twice.insert(twice.end(), bytes.begin() + head, bytes.end());
    EXPECT_FALSE(read_all(twice).ok());
}

TEST(SavedFile, SectionsAboveTheirMaximumAreRefusedUnread) {
    const auto bytes = written({{1, std::vector<u8>(2'000'000, 0)}});
    EXPECT_FALSE(read_all(bytes, 1'999'999).ok());
    EXPECT_TRUE(read_all(bytes, 2'000'000).ok());
}

TEST(SavedFile, OtherFilesAndVersionsAreNamed) {
    const std::vector<u8> text(100, 'x');
    EXPECT_EQ(read_all(text).error().message, "this is not a saved machine");
    auto bytes = written({});
    bytes[8]++;
    EXPECT_NE(read_all(bytes).error().message.find("format 2"), std::string::npos);
}

TEST(SavedFile, FullDiskIsReported) {
    Sink sink;
    sink.limit = 1'000;
    FileWriter writer(sink);
    ASSERT_TRUE(writer.begin().ok());
    std::vector<u8> noise(5'000);
    std::mt19937 random(3);
    for (u8& byte : noise) byte = static_cast<u8>(random());
    const auto result = writer.section(1, noise);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().message, "disk full");
    EXPECT_FALSE(sink.finished);
}

// Headers with right hashes but sizes of the writer's choosing: what somebody makes who knows the format.
TEST(SavedFile, ForgedHeadersAreRefused) {
    const auto good = written({{1, {1, 2, 3}}});
    std::mt19937_64 random(4);
    unsigned refused = 0;
    for (unsigned round = 0; round < 20'000; round++) {
        auto bytes = good;
        u8* header = bytes.data() + 16;
        const unsigned field = static_cast<unsigned>(random() % 5);
        const u64 value = random() % 3 == 0 ? random() : random() % 70;
        if (field < 4)
            store_le(header + 4 * field, static_cast<u32>(value));
        else
            store_le(header + 16, value);
        if (random() % 2 == 0) store_le(header + 12, u32{1});
        store_le(header + 32, hash64({header, 32}));
        refused += read_all(bytes).ok() ? 0 : 1;
    }
    EXPECT_GT(refused, 19'000U);
}

TEST(SavedFile, RandomBytesAreRefused) {
    std::mt19937_64 random(5);
    const auto good = written({});
    for (unsigned round = 0; round < 5'000; round++) {
        std::vector<u8> bytes(good.begin(), good.begin() + 16);
        for (u64 i = random() % 200; i > 0; i--) bytes.push_back(static_cast<u8>(random()));
        EXPECT_FALSE(read_all(bytes).ok());
    }
}

}  // namespace
}  // namespace viv::state
