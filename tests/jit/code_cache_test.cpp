// The cache of translations: what is found where, what replaces what, and what a write to guest code takes away.
#include "engine/jit/code_cache.h"

#include <gtest/gtest.h>

#include <cstring>
#include <initializer_list>

#include "tests/jit/heap_code.h"

namespace viv::jit {
namespace {

constexpr u64 page = 0x8000'1000, mode = 5;

// Its jumps are the distance, as it is told.
class Jumps final : public Backend {
public:
    std::string_view name() const override { return "jumps"; }
    std::vector<u8> make_thunks() override { return {1, 2, 3}; }
    usize supported(const ir::Block& block) const override { return block.code.size(); }
    bool compile(const Region&, u32, Compiled&) const override { return false; }
    Left enter(const u8*, void*, const u8*, u64) override { return {}; }
    void link(u8* site, i64 distance) override {
        const i32 written = static_cast<i32>(distance);
        std::memcpy(site, &written, sizeof written);
    }
};

class Cache : public testing::Test {
protected:
    // Blocks of 8 bytes at these offsets of the page. The entries of each lie 16 bytes apart in the code, the link 4
    // bytes behind the entry; at its start is the displacement of a jump to offset 0x100.
    const Translation* add(Tier tier, std::initializer_list<u32> offsets, usize size = 256) {
        Region region{.physical_page = page, .virtual_page = 0x40'0000, .mode = mode, .blocks = {}, .promoted = {}};
        Compiled compiled;
        compiled.code.resize(size);
        compiled.exits.push_back({.kind = ExitKind::jump, .offset = 0x100, .site = 0, .stub = 4});
        u32 at = 0;
        for (const u32 offset : offsets) {
            region.blocks.push_back({.pc = region.virtual_page + offset, .mode = mode, .size = 8});
            compiled.entries.push_back({.guest = offset, .entry = at, .link = at + 4});
            at += 16;
        }
        return cache.add(cache.reserve_number(), region, tier, std::move(compiled));
    }
    const CodePoint& at(u16 offset) { return cache.page(page).view(mode).at(offset); }
    i32 displacement(const Translation& of) {
        i32 found = 0;
        std::memcpy(&found, cache.thunks() + of.offset, sizeof found);
        return found;
    }

    Jumps backend;
    CodeCache cache{backend, std::make_unique<HeapCode>(4096)};
};

TEST_F(Cache, CodeIsFoundByOffsetAndMode) {
    const Translation* made = add(Tier::quick, {0x10, 0x20});
    EXPECT_EQ(at(0x10).translation, made);
    EXPECT_EQ(at(0x20).code, cache.thunks() + made->offset + 16);
    EXPECT_EQ(at(0x20).link, at(0x20).code + 4);
    EXPECT_EQ(at(0x30).translation, nullptr);
    EXPECT_EQ(cache.page(page).view(mode + 1).at(0x10).translation, nullptr);
    EXPECT_EQ(cache.page(page + page_size).view(mode).at(0x10).translation, nullptr);
}

TEST_F(Cache, EveryOffsetOfAPageHasAPoint) {
    PageView view(mode);
    for (u32 offset = 0; offset < page_size; offset++) view.at(static_cast<u16>(offset)).executions = offset + 1;
    for (u32 offset = 0; offset < page_size; offset++)
        EXPECT_EQ(view.at(static_cast<u16>(offset)).executions, offset + 1);
    EXPECT_EQ(view.points().size(), page_size);
}

TEST_F(Cache, JumpsAreLinkedAndUnlinked) {
    const Translation* from = add(Tier::quick, {0x10});
    const Translation* to = add(Tier::quick, {0x100});
    cache.link(*from, 0, at(0x100));
    EXPECT_EQ(displacement(*from), i32(at(0x100).link - (cache.thunks() + from->offset)));
    EXPECT_EQ(to->incoming.size(), 1u);
    EXPECT_TRUE(cache.code_written(page + 0x100, 1));
    EXPECT_TRUE(to->dropped);
    EXPECT_EQ(displacement(*from), 4) << "to its own stub";
}

TEST_F(Cache, OnlyWhatIsWrittenGoes) {
    const Translation* first = add(Tier::quick, {0x10});
    const Translation* second = add(Tier::quick, {0x40});
    EXPECT_TRUE(cache.code_written(page + 0x18, 0x28)) << "just between";
    EXPECT_EQ(cache.count(), 2u);
    EXPECT_TRUE(cache.code_written(page + 0x17, 1));
    EXPECT_TRUE(first->dropped);
    EXPECT_FALSE(second->dropped);
    const auto changes = cache.take_changes();
    ASSERT_EQ(changes.size(), 1u);
    EXPECT_EQ(changes[0].offset, 0x10u);
    EXPECT_EQ(changes[0].first, cache.thunks() + first->offset);
    EXPECT_EQ(changes[0].last, changes[0].first + first->size);
    EXPECT_FALSE(cache.code_written(page + 0x40, 8)) << "nothing is left";
    EXPECT_FALSE(cache.code_written(page + page_size, 8)) << "nothing was there";
}

TEST_F(Cache, APageThatIsRewrittenAgainAndAgainIsDroppedWhole) {
    for (int life = 0; life < 3; life++) {
        add(Tier::quick, {0x10});
        add(Tier::quick, {0x20});
        add(Tier::quick, {0x40});
        const bool left = cache.code_written(page + 0x10, 1);
        EXPECT_EQ(left, life < 2) << life;
        // The rest of the same rewriting does not count as another.
        if (left) {
            EXPECT_TRUE(cache.code_written(page + 0x20, 1));
            EXPECT_FALSE(cache.code_written(page + 0x40, 1));
        }
        EXPECT_EQ(cache.page(page).rewrites, static_cast<unsigned>(life) + 1);
    }
    // What lives long enough to become a region is worth its work.
    add(Tier::full, {0x10});
    EXPECT_EQ(cache.page(page).rewrites, 0u);
}

TEST_F(Cache, ABetterTierReplacesAWorse) {
    const Translation* quick = add(Tier::quick, {0x10});
    const Translation* full = add(Tier::full, {0x10, 0x20});
    EXPECT_TRUE(quick->dropped);
    const Translation* late = add(Tier::quick, {0x20});
    EXPECT_FALSE(late->dropped);
    EXPECT_EQ(at(0x20).translation, full);
}

TEST_F(Cache, ARegionReplacesThoseThatItCovers) {
    const Translation* inner = add(Tier::full, {0x20, 0x40});
    const Translation* other = add(Tier::full, {0x60, 0x80});
    const Translation* outer = add(Tier::full, {0x10, 0x20, 0x40, 0x60});
    EXPECT_TRUE(inner->dropped);
    EXPECT_EQ(at(0x40).translation, outer);
    EXPECT_FALSE(other->dropped);
    EXPECT_EQ(at(0x60).translation, other);
    EXPECT_EQ(at(0x10).translation, outer);
}

TEST_F(Cache, TheMiddleOfABlockIsInsideItsRegion) {
    add(Tier::quick, {0x80});
    add(Tier::full, {0x10, 0x20});
    EXPECT_TRUE(cache.inside_region(cache.page(page), 0x14));
    EXPECT_TRUE(cache.inside_region(cache.page(page), 0x27));
    EXPECT_FALSE(cache.inside_region(cache.page(page), 0x20));
    EXPECT_FALSE(cache.inside_region(cache.page(page), 0x28));
    EXPECT_FALSE(cache.inside_region(cache.page(page), 0x84)) << "no region";
}

TEST_F(Cache, TheOldestMakeRoom) {
    std::vector<u32> numbers;
    for (u32 i = 0; i < 40; i++) {
        const Translation* made = add(Tier::quick, {i * 16}, 500);
        ASSERT_NE(made, nullptr);
        EXPECT_EQ(at(static_cast<u16>(i * 16)).translation, made);
        EXPECT_LE(cache.bytes_used(), cache.capacity());
    }
    EXPECT_LT(cache.count(), 9u);
    EXPECT_EQ(at(0).translation, nullptr);
    EXPECT_EQ(add(Tier::quick, {0}, 5000), nullptr) << "it can never fit";
}

}  // namespace
}  // namespace viv::jit
