// Guest memory and DMA: bounds, ROM, the reports of writes to flagged pages, and regions at the end of the address
// space.
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "engine/mem/dma.h"
#include "engine/mem/guest_memory.h"

namespace viv {
namespace {

class Blocks final : public host::Memory {
public:
    Result<std::unique_ptr<host::MemoryBlock>> allocate(u64 size) override {
        if (size > 1 << 24) return Error{"too much"};
        return Result<std::unique_ptr<host::MemoryBlock>>(std::make_unique<Block>(size));
    }

private:
    struct Block final : host::MemoryBlock {
        explicit Block(u64 size) : content(size) {}
        std::span<u8> bytes() override { return content; }
        void discard(u64 offset, u64 size) override { std::memset(content.data() + offset, 0, size); }
        std::vector<u8> content;
    };
};

struct GuestMemoryTest : ::testing::Test {
    Blocks blocks;
    GuestMemory memory{blocks};
    void SetUp() override {
        ASSERT_TRUE(memory.add(0x8000'0000, 0x4000, GuestMemory::Kind::ram, "ram").ok());
        ASSERT_TRUE(memory.add(0x1000, 0x1000, GuestMemory::Kind::rom, "rom").ok());
    }
};

TEST_F(GuestMemoryTest, CopiesOnlyWholeRangesInsideOneRegion) {
    const u8 in[4] = {1, 2, 3, 4};
    u8 out[4] = {};
    EXPECT_TRUE(memory.write(0x8000'3ffc, in));
    EXPECT_TRUE(memory.read(0x8000'3ffc, out));
    EXPECT_EQ(std::memcmp(in, out, 4), 0);
    out[0] = 9;
    EXPECT_FALSE(memory.write(0x8000'3ffd, in));
    EXPECT_FALSE(memory.read(0x8000'3ffd, out));
    EXPECT_FALSE(memory.read(0x7fff'ffff, out));
    EXPECT_FALSE(memory.read(~u64{0}, out));
    EXPECT_FALSE(memory.read(~u64{3} + 1, out));
    EXPECT_EQ(out[0], 9) << "nothing is copied by a refused read";
    EXPECT_EQ(memory.host(0x8000'0000, 0x4001), nullptr);
    EXPECT_EQ(memory.host(0x8000'0000, ~u64{0}), nullptr);
    EXPECT_NE(memory.host(0x8000'0000, 0x4000), nullptr);
    EXPECT_EQ(memory.ram_size(), 0x4000u);
}

TEST_F(GuestMemoryTest, RomIsWrittenByTheLoaderOnly) {
    const u8 in[2] = {5, 6};
    u8 out[2] = {};
    EXPECT_FALSE(memory.write(0x1000, in));
    EXPECT_TRUE(memory.load(0x1000, in));
    EXPECT_TRUE(memory.read(0x1000, out));
    EXPECT_EQ(out[1], 6);
}

TEST_F(GuestMemoryTest, RefusesOverlapsAndReportsTheHostsRefusal) {
    const auto clash = memory.add(0x8000'3000, 0x2000, GuestMemory::Kind::ram, "more");
    ASSERT_FALSE(clash.ok());
    EXPECT_NE(clash.error().message.find("ram"), std::string::npos);
    EXPECT_FALSE(memory.add(0x7fff'f000, 0x2000, GuestMemory::Kind::ram, "before").ok());
    EXPECT_TRUE(memory.add(0x8000'4000, 0x1000, GuestMemory::Kind::ram, "behind").ok());
    EXPECT_FALSE(memory.add(0x1'0000'0000, 1 << 25, GuestMemory::Kind::ram, "big").ok());
}

TEST_F(GuestMemoryTest, ARegionMayEndTheAddressSpace) {
    const u64 last = ~u64{0} - 0xfff;
    ASSERT_TRUE(memory.add(last, 0x1000, GuestMemory::Kind::ram, "top").ok());
    EXPECT_FALSE(memory.add(last, 0x1000, GuestMemory::Kind::ram, "again").ok());
    const u8 in[1] = {7};
    unsigned reports = 0;
    memory.set_page_listener([&](u64 address, u64 size) {
        EXPECT_EQ(address, ~u64{0});
        EXPECT_EQ(size, 1u);
        reports++;
    });
    memory.page_flags(last)->store(page_has_code);
    EXPECT_TRUE(memory.write(~u64{0}, in));
    EXPECT_EQ(reports, 1u);
}

TEST_F(GuestMemoryTest, WritesToFlaggedPagesAreReportedPageByPage) {
    std::vector<std::pair<u64, u64>> reports;
    memory.set_page_listener([&](u64 address, u64 size) { reports.emplace_back(address, size); });
    ASSERT_EQ(memory.page_flags(0x4000), nullptr);
    memory.page_flags(0x8000'1000)->store(page_has_code);
    memory.page_flags(0x8000'3fff)->store(page_has_code);
    const std::vector<u8> data(0x2800, 0xaa);
    EXPECT_TRUE(memory.write(0x8000'0c00, data));
    EXPECT_EQ(reports, (std::vector<std::pair<u64, u64>>{{0x8000'1000, 0x1000}, {0x8000'3000, 0x400}}));
    reports.clear();
    EXPECT_TRUE(memory.write(0x8000'0000, std::span<const u8>(data).first(0x1000)));
    memory.wrote(0x9000'0000, 4);
    memory.wrote(0x8000'1000, 0);
    EXPECT_TRUE(reports.empty());
}

TEST_F(GuestMemoryTest, DmaIsLittleEndianAndBounded) {
    Dma dma(memory);
    EXPECT_TRUE(dma.store<u32>(0x8000'0010, 0x1122'3344));
    EXPECT_EQ(dma.load<u8>(0x8000'0010), u8{0x44});
    EXPECT_EQ(dma.load<u64>(0x8000'0010), u64{0x1122'3344});
    EXPECT_EQ(dma.load<u64>(0x8000'3ffc), std::nullopt);
    EXPECT_FALSE(dma.store<u32>(0x1000, 1)) << "ROM";
    EXPECT_FALSE(dma.store<u32>(~u64{0}, 1));
    EXPECT_EQ(dma.view(0x8000'0000, 0x4000).size(), 0x4000u);
    EXPECT_TRUE(dma.view(0x8000'0001, 0x4000).empty());
    EXPECT_TRUE(dma.view(0x1000, 4).empty()) << "ROM";
    memory.page_flags(0x8000'0000)->store(page_has_code);
    u64 reported = 0;
    memory.set_page_listener([&](u64 address, u64) { reported = address; });
    dma.view(0x8000'0020, 4)[0] = 1;
    dma.wrote(0x8000'0020, 4);
    EXPECT_EQ(reported, 0x8000'0020u);
}

}  // namespace
}  // namespace viv
