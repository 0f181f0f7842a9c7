// The temporary overlay: what is written hides what is below, over disks that answer at once, late, out of order or
// not at all.
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "engine/block/overlay.h"
#include "tests/block/memory_file.h"

namespace viv::block {
namespace {

// Completes reads when told to, last one first.
class LateDisk final : public Disk {
public:
    explicit LateDisk(u64 size) : size_(size) {}
    u64 size() const override { return size_; }
    bool read_only() const override { return true; }
    void submit(Request request) override {
        EXPECT_EQ(request.operation, Operation::read) << "only reads may reach the disk below";
        waiting.push_back(std::move(request));
    }
    void complete_all(Status status) {
        while (!waiting.empty()) {
            Request request = std::move(waiting.back());
            waiting.pop_back();
            u64 at = request.offset;
            for (const auto& segment : request.segments)
                for (u8& byte : segment) byte = static_cast<u8>(at++ / 512 + 1);
            request.done(status);
        }
    }
    std::vector<Request> waiting;

private:
    u64 size_;
};

struct OverlayTest : ::testing::Test {
    static constexpr u64 sectors = 1000;
    test::FileContent content;
    std::unique_ptr<Disk> disk;

    void SetUp() override {
        content.bytes.resize(sectors * 512);
        for (usize i = 0; i < content.bytes.size(); i++) content.bytes[i] = static_cast<u8>(i / 512 * 7 + 1);
        auto below = open_raw(std::make_unique<test::MemoryFile>(content), "disk.img", Access::read_only);
        ASSERT_TRUE(below.ok());
        disk = make_temporary_overlay(std::move(below).value());
    }
    static Status run(Disk& on, Operation operation, u64 offset, u64 length, std::vector<std::span<u8>> segments = {}) {
        unsigned completions = 0;
        Status status = Status::unsupported;
        on.submit({operation, offset, length, std::move(segments), [&](Status s) {
                       completions++;
                       status = s;
                   }});
        EXPECT_EQ(completions, 1u);
        return status;
    }
    std::vector<u8> read(u64 offset, u64 length) {
        std::vector<u8> out(length);
        EXPECT_EQ(run(*disk, Operation::read, offset, length, {out}), Status::ok);
        return out;
    }
};

TEST_F(OverlayTest, WritesHideAndNeverReachTheDiskBelow) {
    const auto original = content.bytes;
    std::vector<u8> data(1024, 0xee);
    EXPECT_FALSE(disk->read_only());
    EXPECT_EQ(disk->size(), sectors * 512);
    EXPECT_EQ(disk->file_name(), "disk.img") << "which disk it is does not change";
    EXPECT_EQ(disk->format(), "raw");
    ASSERT_EQ(run(*disk, Operation::write, 127 * 512, 1024, {data}), Status::ok);  // across a cluster boundary
    const auto seen = read(126 * 512, 4 * 512);
    EXPECT_EQ(seen[0], original[126 * 512]);
    EXPECT_EQ(seen[512], 0xee);
    EXPECT_EQ(seen[1535], 0xee);
    EXPECT_EQ(seen[1536], original[129 * 512]);
    EXPECT_EQ(run(*disk, Operation::flush, 0, 0), Status::ok);
    EXPECT_EQ(content.bytes, original);
    EXPECT_EQ(content.flushes, 0u);
    EXPECT_EQ(content.writes, 0u);
}

TEST_F(OverlayTest, AgreesWithAPlainDiskInRandomUse) {
    auto expected = content.bytes;
    std::mt19937 random(12);
    for (unsigned i = 0; i < 3000; i++) {
        const u64 sector = random() % sectors,
                  count = 1 + random() % std::min<u64>(sectors - sector, random() % 4 == 0 ? 300 : 8);
        const u64 offset = sector * 512, length = count * 512;
        switch (random() % 6) {
            case 0: {
                ASSERT_EQ(run(*disk, Operation::write_zeroes, offset, length), Status::ok);
                std::memset(expected.data() + offset, 0, length);
                break;
            }
            case 1:
            case 2: {
                std::vector<u8> data(length);
                for (u8& byte : data) byte = static_cast<u8>(random());
                const usize split = random() % (length + 1);
                ASSERT_EQ(run(*disk, Operation::write, offset, length,
                              {std::span(data).first(split), std::span(data).subspan(split)}),
                          Status::ok);
                std::memcpy(expected.data() + offset, data.data(), length);
                break;
            }
            default: {
                std::vector<u8> out(length, 0x55);
                const usize split = random() % (length + 1);
                ASSERT_EQ(run(*disk, Operation::read, offset, length,
                              {std::span(out).first(split), std::span<u8>{}, std::span(out).subspan(split)}),
                          Status::ok);
                ASSERT_EQ(std::memcmp(out.data(), expected.data() + offset, length), 0) << i;
                break;
            }
        }
    }
}

TEST_F(OverlayTest, ContentStaysWhatItWasAndCanBePutBack) {
    std::vector<u8> old(3 * 512, 0xaa), young(1024, 0xbb);
    ASSERT_EQ(run(*disk, Operation::write, 512, old.size(), {old}), Status::ok);
    ASSERT_EQ(run(*disk, Operation::write_zeroes, 200 * 512, 512), Status::ok);
    TemporaryOverlay* const overlay = disk->temporary();
    ASSERT_NE(overlay, nullptr);
    const auto then = overlay->content();
    const auto was = read(0, sectors * 512);
    ASSERT_EQ(run(*disk, Operation::write, 1024, young.size(), {young}), Status::ok);
    ASSERT_EQ(run(*disk, Operation::write, 300 * 512, young.size(), {young}), Status::ok);
    ASSERT_EQ(run(*disk, Operation::write_zeroes, 0, 1024), Status::ok);
    ASSERT_EQ(run(*disk, Operation::discard, 0, disk->size()), Status::ok);
    EXPECT_NE(read(0, sectors * 512), was);
    overlay->replace(then);
    EXPECT_EQ(read(0, sectors * 512), was);
    // And again: what was put back is not what is written to.
    ASSERT_EQ(run(*disk, Operation::write, 512, young.size(), {young}), Status::ok);
    overlay->replace(then);
    EXPECT_EQ(read(0, sectors * 512), was);
    overlay->replace({});
    EXPECT_EQ(read(0, sectors * 512), content.bytes);
}

TEST_F(OverlayTest, DiscardForgetsOurOwnAndTouchesNothingElse) {
    std::vector<u8> data(128 * 512, 0xee);
    ASSERT_EQ(run(*disk, Operation::write, 0, data.size(), {data}), Status::ok);
    ASSERT_EQ(run(*disk, Operation::discard, 512, disk->size() - 512), Status::ok);
    EXPECT_EQ(read(0, 512)[0], 0xee);
    EXPECT_EQ(read(512, 512)[0], 0);
    EXPECT_EQ(read(127 * 512, 512)[0], 0);
    EXPECT_EQ(read(128 * 512, 512)[0], content.bytes[128 * 512]);
}

TEST_F(OverlayTest, RefusesRangesOutside) {
    std::vector<u8> sector(512);
    EXPECT_EQ(run(*disk, Operation::read, sectors * 512, 512, {sector}), Status::io_error);
    EXPECT_EQ(run(*disk, Operation::write, ~u64{511}, 512, {sector}), Status::io_error);
    EXPECT_EQ(run(*disk, Operation::write, 0, 1024, {sector}), Status::io_error);
    EXPECT_EQ(run(*disk, Operation::write, 3, 512, {sector}), Status::io_error);
    EXPECT_EQ(run(*disk, Operation::write_zeroes, 0, ~u64{511}), Status::io_error);
}

TEST_F(OverlayTest, CompletesOnceAllReadsBelowHave) {
    auto late = std::make_unique<LateDisk>(256 * 512);
    LateDisk& below = *late;
    const auto overlay = make_temporary_overlay(std::move(late));
    std::vector<u8> sector(512, 0xee);
    for (const u64 at : {2, 5, 130}) ASSERT_EQ(run(*overlay, Operation::write, at * 512, 512, {sector}), Status::ok);
    std::vector<u8> out(256 * 512);
    unsigned completions = 0;
    Status status = Status::unsupported;
    overlay->submit({Operation::read, 0, out.size(), {out}, [&](Status s) {
                         completions++;
                         status = s;
                     }});
    EXPECT_EQ(completions, 0u);
    EXPECT_EQ(below.waiting.size(), 4u) << "one read for each run that is not ours, whatever clusters it crosses";
    below.complete_all(Status::ok);
    EXPECT_EQ(completions, 1u);
    EXPECT_EQ(status, Status::ok);
    for (u64 i = 0; i < 256; i++) EXPECT_EQ(out[i * 512], i == 2 || i == 5 || i == 130 ? 0xee : static_cast<u8>(i + 1));

    overlay->submit({Operation::read, 0, 4 * 512, {std::span(out).first(4 * 512)}, [&](Status s) { status = s; }});
    below.complete_all(Status::io_error);
    EXPECT_EQ(status, Status::io_error);
    EXPECT_EQ(run(*overlay, Operation::read, 2 * 512, 512, {sector}), Status::ok) << "our own sectors need nobody";
}

}  // namespace
}  // namespace viv::block
