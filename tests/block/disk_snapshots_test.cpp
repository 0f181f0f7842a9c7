// The disk of an image: the moments that it keeps, by name, and an image put over it while it is in use.
#include <gtest/gtest.h>

#include <string>

#include "engine/block/catalog.h"
#include "engine/block/overlay.h"

namespace viv::block {
namespace {

constexpr u64 disk_size = 4 << 20;

struct GrowingFile final : host::File {
    explicit GrowingFile(std::vector<u8>& content) : bytes(content) {}
    u64 size() override { return bytes.size(); }
    Result<void> read_at(u64 offset, std::span<u8> out) override {
        if (!range_fits(offset, out.size(), bytes.size())) return Error{"reads past the end"};
        std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
        return {};
    }
    Result<void> write_at(u64 offset, std::span<const u8> in) override {
        if (offset + in.size() > bytes.size()) bytes.resize(offset + in.size());
        std::copy(in.begin(), in.end(), bytes.begin() + static_cast<std::ptrdiff_t>(offset));
        return {};
    }
    Result<void> flush() override { return {}; }
    bool punch_hole(u64, u64) override { return false; }
    Result<void> resize(u64 size) override {
        bytes.resize(size);
        return {};
    }
    std::vector<u8>& bytes;
};

std::unique_ptr<Image> open_at(std::vector<u8>& bytes, const std::string& name, std::string_view format,
                               Access access = Access::read_write) {
    FileOpener::Opened file{std::make_unique<GrowingFile>(bytes), name, name};
    OpenOptions options;
    options.format = format;
    options.access = access;
    options.chain = Chain::first_only;
    auto image = open_image(std::move(file), options);
    EXPECT_TRUE(image.ok()) << image.error().message;
    return std::move(image).value();
}

std::vector<u8> qcow2(u64 size, const std::string& below = {}) {
    std::vector<u8> bytes;
    GrowingFile file(bytes);
    CreateOptions options;
    options.size = size;
    options.backing_file = below;
    if (!below.empty()) options.backing_format = "qcow2";
    EXPECT_TRUE((*find_format("qcow2"))->create(file, options).ok());
    return bytes;
}

void fill(Disk& disk, u64 offset, u8 value) {
    std::vector<u8> sector(512, value);
    Request request{Operation::write, offset, 512, {sector}, [](Status status) { EXPECT_EQ(status, Status::ok); }};
    disk.submit(std::move(request));
}

unsigned look(Disk& disk, u64 offset) {
    std::vector<u8> sector(512, 0xee);
    Request request{Operation::read, offset, 512, {sector}, [](Status status) { EXPECT_EQ(status, Status::ok); }};
    disk.submit(std::move(request));
    EXPECT_EQ(sector.front(), sector.back());
    return sector.front();
}

std::string names(Disk& disk) {
    std::string text;
    const auto all = disk.snapshots();
    EXPECT_TRUE(all.ok());
    for (const auto& each : *all) text += each.name + " ";
    return text;
}

TEST(DiskSnapshots, GoBackByName) {
    auto bytes = qcow2(disk_size);
    auto disk = make_disk(open_at(bytes, "d.qcow2", ""));
    EXPECT_EQ(names(*disk), "");
    fill(*disk, 0, 1);
    ASSERT_TRUE(disk->create_snapshot("2", {1'700'000'000'123'456'789, 61'000'000'007}).ok());
    fill(*disk, 0, 2);
    fill(*disk, 1 << 20, 3);
    // Its number in the image is 2, and so is the other one's name.
    ASSERT_TRUE(disk->create_snapshot("b", {0, 0}).ok());
    EXPECT_EQ(names(*disk), "2 b ");
    EXPECT_FALSE(disk->create_snapshot("b", {0, 0}).ok());
    fill(*disk, 0, 4);
    ASSERT_TRUE(disk->apply_snapshot("2").ok());
    EXPECT_EQ(look(*disk, 0), 1U);
    EXPECT_EQ(look(*disk, 1 << 20), 0U);
    ASSERT_TRUE(disk->apply_snapshot("b").ok());
    EXPECT_EQ(look(*disk, 0), 2U);
    EXPECT_EQ(look(*disk, 1 << 20), 3U);
    EXPECT_EQ(disk->apply_snapshot("1").error().message, "d.qcow2: has no snapshot 1");  // a number, and no name
    EXPECT_EQ(disk->delete_snapshot("1").error().message, "d.qcow2: has no snapshot 1");
    ASSERT_TRUE(disk->delete_snapshot("2").ok());
    EXPECT_EQ(names(*disk), "b ");
    EXPECT_EQ(look(*disk, 0), 2U);
    disk.reset();

    auto image = open_at(bytes, "d.qcow2", "qcow2");
    const auto report = image->check(Repair::nothing);
    ASSERT_TRUE(report.ok());
    EXPECT_EQ(report.value().corruptions + report.value().leaks, 0U);
    image = nullptr;
    disk = make_disk(open_at(bytes, "d.qcow2", "", Access::read_only));
    EXPECT_EQ(names(*disk), "b ");
    EXPECT_FALSE(disk->apply_snapshot("b").ok());
}

TEST(DiskSnapshots, CarryTheirTimes) {
    auto bytes = qcow2(disk_size);
    {
        auto disk = make_disk(open_at(bytes, "d.qcow2", ""));
        ASSERT_TRUE(disk->create_snapshot("a", {1'700'000'000'123'456'789, 61'000'000'007}).ok());
    }
    const auto details = open_at(bytes, "d.qcow2", "")->details();
    ASSERT_EQ(details.snapshots.size(), 1U);
    EXPECT_EQ(details.snapshots[0].date_seconds, 1'700'000'000U);
    EXPECT_EQ(details.snapshots[0].date_nanoseconds, 123'456'789U);
    EXPECT_EQ(details.snapshots[0].clock_nanoseconds, 61'000'000'007U);
}

TEST(DiskSnapshots, OfAnotherSizeStay) {
    auto bytes = qcow2(disk_size);
    {
        auto image = open_at(bytes, "d.qcow2", "");
        ASSERT_TRUE(image->create_snapshot("small", {}).ok());
        ASSERT_TRUE(image->resize(2 * disk_size).ok());
    }
    auto disk = make_disk(open_at(bytes, "d.qcow2", ""));
    EXPECT_EQ(disk->snapshots()->at(0).disk_size, disk_size);
    EXPECT_NE(disk->apply_snapshot("small").error().message.find("another size"), std::string::npos);
    EXPECT_EQ(disk->size(), 2 * disk_size);
}

TEST(DiskSnapshots, AreRefusedByNameElsewhere) {
    std::vector<u8> bytes(disk_size);
    const auto raw = make_disk(open_at(bytes, "d.raw", "raw"));
    EXPECT_EQ(raw->snapshots().error().message, "d.raw: is a raw image, which keeps no snapshots; qcow2 does");
    EXPECT_FALSE(raw->create_snapshot("a", {}).ok());
    EXPECT_FALSE(raw->apply_snapshot("a").ok());
    EXPECT_FALSE(raw->delete_snapshot("a").ok());
    auto under = qcow2(disk_size), over = qcow2(disk_size, "d.qcow2");
    const auto temporary = make_temporary_overlay(make_disk(open_at(under, "d.qcow2", "")));
    EXPECT_EQ(temporary->snapshots().error().message,
              "d.qcow2: keeps no snapshots as it is used here; a qcow2 image of its own does");
    EXPECT_FALSE(temporary->create_snapshot("a", {}).ok());
    EXPECT_FALSE(temporary->put_over(open_at(over, "o.qcow2", "")).ok());
}

TEST(DiskSnapshots, AnImagePutOverTakesWhatIsWritten) {
    for (const std::string format : {"raw", "qcow2"}) {
        auto under = format == "raw" ? std::vector<u8>(disk_size) : qcow2(disk_size);
        auto over = qcow2(disk_size, "d");
        auto disk = make_disk(open_at(under, "d", format));
        fill(*disk, 0, 1);
        fill(*disk, 1 << 20, 2);
        auto small = qcow2(disk_size / 2, "d");
        EXPECT_FALSE(disk->put_over(open_at(small, "small", "")).ok());
        EXPECT_FALSE(disk->put_over(open_at(over, "o", "", Access::read_only)).ok());
        EXPECT_EQ(disk->file_name(), "d");
        ASSERT_TRUE(disk->put_over(open_at(over, "o", "")).ok());
        EXPECT_EQ(disk->file_name(), "o");
        EXPECT_EQ(disk->format(), "qcow2");
        const auto below = under;
        EXPECT_EQ(look(*disk, 0), 1U);
        fill(*disk, 0, 3);
        EXPECT_EQ(look(*disk, 0), 3U);
        EXPECT_EQ(look(*disk, 512), 0U);
        EXPECT_EQ(look(*disk, 1 << 20), 2U);
        ASSERT_TRUE(disk->create_snapshot("a", {}).ok());
        fill(*disk, 0, 4);
        ASSERT_TRUE(disk->apply_snapshot("a").ok());
        EXPECT_EQ(look(*disk, 0), 3U);
        EXPECT_EQ(look(*disk, 1 << 20), 2U);
        EXPECT_EQ(under, below);
        disk.reset();
        const auto report = open_at(over, "o", "")->check(Repair::nothing);
        ASSERT_TRUE(report.ok());
        EXPECT_EQ(report.value().corruptions + report.value().leaks, 0U);
    }
}

}  // namespace
}  // namespace viv::block
