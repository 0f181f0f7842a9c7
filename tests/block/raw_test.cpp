// Raw disks: every operation, bounds, read-only access, host failures.
#include <gtest/gtest.h>

#include <string>

#include "engine/block/block.h"
#include "tests/block/memory_file.h"

namespace viv::block {
namespace {

struct RawTest : ::testing::Test {
    test::FileContent content;
    std::unique_ptr<Disk> disk;

    void SetUp() override {
        content.bytes.resize(64 * 512);
        for (usize i = 0; i < content.bytes.size(); i++) content.bytes[i] = static_cast<u8>(i / 512 + 1);
        open(Access::read_write);
    }
    void open(Access access) {
        auto result = open_raw(std::make_unique<test::MemoryFile>(content), "disk.img", access);
        ASSERT_TRUE(result.ok());
        disk = std::move(result).value();
    }
    Status run(Operation operation, u64 offset, u64 length, std::vector<std::span<u8>> segments = {}) {
        unsigned completions = 0;
        Status status = Status::unsupported;
        disk->submit({operation, offset, length, std::move(segments), [&](Status s) {
                          completions++;
                          status = s;
                      }});
        EXPECT_EQ(completions, 1u);
        return status;
    }
};

TEST_F(RawTest, ReadsAndWritesAcrossSegments) {
    EXPECT_EQ(disk->size(), 64u * 512);
    EXPECT_FALSE(disk->read_only());
    std::vector<u8> a(100, 0), b(412, 0), c(512, 0);
    ASSERT_EQ(run(Operation::read, 512, 1024, {a, std::span<u8>{}, b, c}), Status::ok);
    EXPECT_EQ(a[0], 2);
    EXPECT_EQ(b[411], 2);
    EXPECT_EQ(c[0], 3);
    std::vector<u8> x(512, 0xaa), y(512, 0xbb);
    ASSERT_EQ(run(Operation::write, 62 * 512, 1024, {x, y}), Status::ok);
    EXPECT_EQ(content.bytes[62 * 512], 0xaa);
    EXPECT_EQ(content.bytes[63 * 512 + 511], 0xbb);
    EXPECT_EQ(content.bytes[61 * 512 + 511], 62);
    EXPECT_EQ(run(Operation::flush, 0, 0), Status::ok);
    EXPECT_EQ(content.flushes, 1u);
}

TEST_F(RawTest, RefusesRangesOutsideAndSegmentsThatDoNotAddUp) {
    std::vector<u8> sector(512);
    EXPECT_EQ(run(Operation::read, 64 * 512, 512, {sector}), Status::io_error);
    EXPECT_EQ(run(Operation::read, ~u64{511}, 512, {sector}), Status::io_error);
    EXPECT_EQ(run(Operation::read, 1, 512, {sector}), Status::io_error);
    EXPECT_EQ(run(Operation::read, 0, 100, {std::span(sector).first(100)}), Status::io_error);
    EXPECT_EQ(run(Operation::write, 0, 1024, {sector}), Status::io_error);
    EXPECT_EQ(run(Operation::write_zeroes, 63 * 512, 1024), Status::io_error);
    EXPECT_EQ(content.bytes[0], 1);
    EXPECT_EQ(content.writes, 0u);
    EXPECT_EQ(run(Operation::read, 64 * 512, 0), Status::ok);
}

TEST_F(RawTest, ZeroesWithAndWithoutHoles) {
    for (const bool holes : {false, true}) {
        content.holes = holes;
        content.writes = 0;
        std::fill(content.bytes.begin(), content.bytes.end(), u8{7});
        ASSERT_EQ(run(Operation::write_zeroes, 512, 3 * 512), Status::ok);
        EXPECT_EQ(content.bytes[511], 7);
        EXPECT_EQ(content.bytes[512], 0);
        EXPECT_EQ(content.bytes[4 * 512 - 1], 0);
        EXPECT_EQ(content.bytes[4 * 512], 7);
        EXPECT_EQ(content.writes == 0, holes);
        EXPECT_EQ(run(Operation::discard, 0, 512), Status::ok);
        EXPECT_EQ(content.bytes[0], holes ? 0 : 7);
    }
}

TEST_F(RawTest, AReadOnlyDiskIsNotWritten) {
    open(Access::read_only);
    content.holes = true;
    EXPECT_TRUE(disk->read_only());
    EXPECT_EQ(disk->file_name(), "disk.img");
    EXPECT_EQ(disk->format(), "raw");
    const auto before = content.bytes;
    std::vector<u8> sector(512, 9);
    EXPECT_EQ(run(Operation::write, 0, 512, {sector}), Status::io_error);
    EXPECT_EQ(run(Operation::discard, 0, 512), Status::io_error);
    EXPECT_EQ(run(Operation::write_zeroes, 0, 512), Status::io_error);
    EXPECT_EQ(content.bytes, before);
    EXPECT_EQ(run(Operation::read, 0, 512, {sector}), Status::ok);
    EXPECT_EQ(run(Operation::flush, 0, 0), Status::ok);
}

TEST_F(RawTest, HostFailuresAreIoErrors) {
    content.fails = true;
    std::vector<u8> sector(512);
    EXPECT_EQ(run(Operation::read, 0, 512, {sector}), Status::io_error);
    EXPECT_EQ(run(Operation::write, 0, 512, {sector}), Status::io_error);
    EXPECT_EQ(run(Operation::write_zeroes, 0, 512), Status::io_error);
    EXPECT_EQ(run(Operation::flush, 0, 0), Status::io_error);
}

TEST_F(RawTest, RefusesFilesThatAreNoDisk) {
    content.bytes.resize(1000);
    const auto odd = open_raw(std::make_unique<test::MemoryFile>(content), "disk.img", Access::read_write);
    ASSERT_FALSE(odd.ok());
    EXPECT_EQ(odd.error().message, "disk image 'disk.img' has 1000 bytes; a raw image has a multiple of 512");
    content.bytes.clear();
    EXPECT_FALSE(open_raw(std::make_unique<test::MemoryFile>(content), "disk.img", Access::read_write).ok());
}

}  // namespace
}  // namespace viv::block
