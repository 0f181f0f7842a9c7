// The archive: every kind of field there and back, tags that come and go, and hostile input that must end in an error.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>
#include <string>
#include <vector>

#include "engine/state/archive.h"

namespace viv {
namespace {

enum class Colour : u8 { red, green, blue };

struct Leaf {
    u32 number = 0;
    void state(Archive& a) { a(1, "number", number); }
    bool operator==(const Leaf&) const = default;
};

struct Everything {
    u8 small = 0;
    i16 negative = 0;
    u64 large = 0;
    u128 huge = 0;
    bool flag = false;
    Colour colour = Colour::red;
    std::array<u16, 3> fixed{};
    u32 plain[2] = {};
    std::array<bool, 2> flags{};
    std::vector<u8> screen = std::vector<u8>(5);
    std::vector<u8> bytes;
    std::string text;
    Leaf leaf;
    std::array<Leaf, 2> leaves{};
    std::vector<Leaf> list;
    std::vector<i32> numbers;

    void state(Archive& a) {
        a(1, "small", small);
        a(2, "negative", negative);
        a(3, "large", large);
        a(4, "huge", huge);
        a(5, "flag", flag);
        a(6, "colour", colour, 2);
        a(7, "fixed", fixed);
        a(8, "plain", plain);
        a(9, "flags", flags);
        a(10, "screen", std::span<u8>(screen));
        a.bytes(11, "bytes", bytes, 16);
        a.text(12, "text", text, 16);
        a(13, "leaf", leaf);
        a(14, "leaves", leaves);
        a.list(15, "list", list, 8);
        a.numbers(16, "numbers", numbers, 8);
        a.require(small != 99, "small", "is 99");
    }
    bool operator==(const Everything&) const = default;
};

Everything sample() {
    Everything e;
    e.small = 200;
    e.negative = -1234;
    e.large = 0x0123'4567'89ab'cdef;
    e.huge = (u128{0xfedc'ba98'7654'3210} << 64) | 0x0f1e'2d3c'4b5a'6978;
    e.flag = true;
    e.colour = Colour::blue;
    e.fixed = {1, 0xffff, 3};
    e.plain[0] = 0xdead'beef;
    e.plain[1] = 7;
    e.flags = {false, true};
    e.screen = {9, 8, 7, 6, 5};
    e.bytes = {1, 2, 3};
    e.text = "hello";
    e.leaf.number = 11;
    e.leaves = {Leaf{12}, Leaf{13}};
    e.list = {Leaf{14}, Leaf{15}, Leaf{16}};
    e.numbers = {-1, 0, 0x7fff'ffff};
    return e;
}

template <class T>
std::vector<u8> save(T& value) {
    std::vector<u8> out;
    Archive archive = Archive::saver(out);
    value.state(archive);
    return out;
}
template <class T>
Result<void> load(T& value, std::span<const u8> in) {
    Archive archive = Archive::loader(in);
    value.state(archive);
    return archive.finish();
}
// A visitor made on the spot.
template <class F>
struct Visitor {
    F visit;
    void state(Archive& a) { visit(a); }
};
template <class F>
Visitor<F> visitor(F visit) {
    return {visit};
}

TEST(Archive, EveryKindOfFieldSurvives) {
    Everything before = sample();
    const auto saved = save(before);
    Everything after;
    ASSERT_TRUE(load(after, saved).ok()) << load(after, saved).error().message;
    EXPECT_EQ(before, after);
    EXPECT_EQ(saved, save(after));
}

TEST(Archive, TheEncodingIsTheDocumentedOne) {
    Leaf leaf{0x0102'0304};
    EXPECT_EQ(save(leaf), (std::vector<u8>{1, 0, 1, 0, 4, 0, 0, 0, 4, 3, 2, 1}));
}

TEST(Archive, MissingTagsKeepWhatWasThere) {
    Everything before = sample();
    const Everything copy = before;
    ASSERT_TRUE(load(before, {}).ok());
    EXPECT_EQ(before, copy);
}

TEST(Archive, UnknownTagsAreIgnoredAndOrderDoesNotMatter) {
    u32 x = 1, y = 2, z = 3, extra = 4;
    auto writer = visitor([&](Archive& a) {
        a(3, "z", z);
        a(900, "extra", extra);
        a(2, "y", y);
        a(1, "x", x);
    });
    const auto saved = save(writer);
    u32 rx = 0, ry = 0, rz = 0;
    auto reader = visitor([&](Archive& a) {
        a(1, "x", rx);
        a(2, "y", ry);
        a(3, "z", rz);
    });
    ASSERT_TRUE(load(reader, saved).ok());
    EXPECT_EQ(rx, 1u);
    EXPECT_EQ(ry, 2u);
    EXPECT_EQ(rz, 3u);
}

TEST(Archive, AFieldMayGrowButItsValueMustFit) {
    u16 narrow = 0x1234;
    auto writer = visitor([&](Archive& a) { a(1, "field", narrow); });
    const auto saved = save(writer);
    u64 wide = 0;
    auto wider = visitor([&](Archive& a) { a(1, "field", wide); });
    ASSERT_TRUE(load(wider, saved).ok());
    EXPECT_EQ(wide, 0x1234u);
    u8 small = 7;
    auto narrower = visitor([&](Archive& a) { a(1, "field", small); });
    const auto result = load(narrower, saved);
    ASSERT_FALSE(result.ok());
    EXPECT_NE(result.error().message.find("'field'"), std::string::npos);
    EXPECT_EQ(small, 7);
}

TEST(Archive, RefusesValuesOutOfRange) {
    u8 two = 2;
    std::array<u8, 2> twos{0, 2};
    auto writer = visitor([&](Archive& a) {
        a(1, "scalar", two);
        a(2, "array", twos);
    });
    const auto saved = save(writer);
    bool flag = false;
    auto bool_reader = visitor([&](Archive& a) { a(1, "scalar", flag); });
    EXPECT_FALSE(load(bool_reader, saved).ok());
    std::array<bool, 2> flags{};
    auto bools_reader = visitor([&](Archive& a) { a(2, "array", flags); });
    EXPECT_FALSE(load(bools_reader, saved).ok());
    EXPECT_FALSE(flags[1]);
    Colour colour = Colour::red;
    auto enum_reader = visitor([&](Archive& a) { a(1, "scalar", colour, 1); });
    EXPECT_FALSE(load(enum_reader, saved).ok());
    EXPECT_EQ(colour, Colour::red);
}

TEST(Archive, RefusesOtherTypesAndLengths) {
    u32 number = 5;
    std::array<u8, 4> array{};
    std::vector<u8> bytes(20);
    std::vector<Leaf> list(5);
    auto writer = visitor([&](Archive& a) {
        a(1, "number", number);
        a(2, "array", array);
        a.bytes(3, "bytes", bytes, 100);
        a.list(4, "list", list, 100);
    });
    const auto saved = save(writer);
    std::array<u8, 4> not_a_number{};
    auto other_type = visitor([&](Archive& a) { a(1, "number", not_a_number); });
    EXPECT_FALSE(load(other_type, saved).ok());
    std::array<u8, 5> longer{};
    auto other_length = visitor([&](Archive& a) { a(2, "array", longer); });
    EXPECT_FALSE(load(other_length, saved).ok());
    std::vector<u8> few;
    auto too_long = visitor([&](Archive& a) { a.bytes(3, "bytes", few, 19); });
    EXPECT_FALSE(load(too_long, saved).ok());
    EXPECT_TRUE(few.empty());
    std::vector<Leaf> short_list;
    auto too_many = visitor([&](Archive& a) { a.list(4, "list", short_list, 4); });
    EXPECT_FALSE(load(too_many, saved).ok());
    EXPECT_TRUE(short_list.empty());
    std::array<Leaf, 6> fixed{};
    auto too_few = visitor([&](Archive& a) { a(4, "list", fixed); });
    EXPECT_FALSE(load(too_few, saved).ok());
}

TEST(Archive, AFalseCountOfEntriesIsRefusedAtTheFirstMissingOne) {
    u32 count = 60'000;
    auto writer = visitor([&](Archive& a) { a.section(1, "list", [&](Archive& inner) { inner(0, "count", count); }); });
    const auto saved = save(writer);
    unsigned visited = 0;
    struct Counting {
        unsigned* visited = nullptr;
        void state(Archive&) {
            if (visited != nullptr) ++*visited;
        }
    };
    std::vector<Counting> list(1, Counting{&visited});
    auto reader = visitor([&](Archive& a) { a.list(1, "list", list, 60'000); });
    const auto result = load(reader, saved);
    ASSERT_FALSE(result.ok());
    EXPECT_NE(result.error().message.find("'list'"), std::string::npos);
    EXPECT_EQ(visited, 0u);
}

TEST(Archive, RequireSpeaksOnlyWhenLoading) {
    Everything before = sample();
    before.small = 99;
    const auto saved = save(before);
    Everything after;
    const auto result = load(after, saved);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().message, "field 'small' is 99");
}

TEST(Archive, DescribesEveryFieldWithItsTag) {
    Everything e;
    std::string text;
    Archive archive = Archive::describer(text, "thing");
    e.state(archive);
    for (const char* line : {"thing.small 1 u8\n", "thing.negative 2 u16\n", "thing.huge 4 u128\n",
                             "thing.fixed 7 u16[]\n", "thing.bytes 11 bytes\n", "thing.leaf 13 section\n",
                             "thing.leaf.number 1 u32\n", "thing.list.count 0 u32\n", "thing.list.*.number 1 u32\n"})
        EXPECT_NE(text.find(line), std::string::npos) << line << "is not in\n" << text;
    EXPECT_EQ(e, Everything{});
}

TEST(Archive, ListsEveryFieldWithItsValue) {
    Everything thing = sample();
    thing.screen.assign(18, 0xab);
    std::string text;
    Archive archive = Archive::lister(text, "thing");
    EXPECT_TRUE(archive.saving());
    EXPECT_FALSE(archive.loading());
    thing.state(archive);
    std::vector<std::string> lines;
    for (usize start = 0; start < text.size();) {
        const usize end = text.find('\n', start);
        lines.push_back(text.substr(start, end - start));
        start = end + 1;
    }
    const auto has = [&](const std::string& line) {
        return std::find(lines.begin(), lines.end(), line) != lines.end();
    };
    EXPECT_TRUE(has(fmt::format("thing.small {:#x}", thing.small)));
    EXPECT_TRUE(has(fmt::format("thing.large {:#x}", thing.large)));
    EXPECT_TRUE(has(
        fmt::format("thing.huge {:#018x}{:016x}", static_cast<u64>(thing.huge >> 64), static_cast<u64>(thing.huge))));
    EXPECT_TRUE(has(fmt::format("thing.negative {:#x}", static_cast<u16>(thing.negative))));
    for (usize i = 0; i < thing.fixed.size(); i++)
        EXPECT_TRUE(has(fmt::format("thing.fixed[{}] {:#x}", i, thing.fixed[i])));
    EXPECT_TRUE(has("thing.screen[0] ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab"));
    EXPECT_TRUE(has("thing.screen[16] ab ab"));
    EXPECT_TRUE(has(fmt::format("thing.leaf.number {:#x}", thing.leaf.number)));
    EXPECT_TRUE(has(fmt::format("thing.leaves.1.number {:#x}", thing.leaves[1].number)));
    EXPECT_TRUE(has(fmt::format("thing.list.count {:#x}", thing.list.size())));
    EXPECT_TRUE(has(fmt::format("thing.list.0.number {:#x}", thing.list[0].number)));
}

TEST(Archive, TruncatedInputNeverCrashesAndNeverReadsOutside) {
    Everything before = sample();
    const auto saved = save(before);
    unsigned refused = 0;
    for (usize length = 0; length < saved.size(); length++) {
        // In an allocation of its own, so that asan sees a read beyond its end.
        const std::vector<u8> part(saved.begin(), saved.begin() + static_cast<std::ptrdiff_t>(length));
        Everything after;
        if (!load(after, part).ok()) refused++;
    }
    EXPECT_GT(refused, saved.size() / 2);
}

TEST(Archive, FlippedBitsNeverCrash) {
    Everything before = sample();
    const auto saved = save(before);
    std::mt19937 random(3);
    for (unsigned round = 0; round < 20'000; round++) {
        auto damaged = saved;
        const unsigned flips = 1 + random() % 4;
        for (unsigned i = 0; i < flips; i++)
            damaged[random() % damaged.size()] ^= static_cast<u8>(1u << (random() % 8));
        Everything after;
        if (!load(after, damaged).ok()) continue;
        EXPECT_LE(after.list.size(), 8u);
        EXPECT_LE(after.bytes.size(), 16u);
        EXPECT_LE(after.numbers.size(), 8u);
        EXPECT_LE(static_cast<unsigned>(after.colour), 2u);
        EXPECT_EQ(after.screen.size(), 5u);
    }
}

}  // namespace
}  // namespace viv
