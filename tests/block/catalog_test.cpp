// Opening images by name and by content: what is taken for what, what a raw image found by its content refuses, and
// what an image may make the host open.
#include "engine/block/catalog.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "engine/block/vhd/footer.h"
#include "engine/lang/bytes.h"
#include "tests/block/memory_file.h"

namespace viv::block {
namespace {

struct Files final : FileOpener {
    std::map<std::string, test::FileContent> contents;
    std::vector<std::string> asked;

    Opened file(const std::string& name) {
        Opened opened;
        opened.file = std::make_unique<test::MemoryFile>(contents[name]);
        opened.name = opened.identity = name;
        return opened;
    }
    Result<Opened> open(const std::string& name, const std::string&) override {
        asked.push_back(name);
        if (!contents.contains(name)) return Error{name + ": is not there"};
        return file(name);
    }
    Result<Opened> open_part(const std::string& name, const std::string& image, Access) override {
        return open(name, image);
    }
};

struct CatalogTest : ::testing::Test {
    Files files;

    Result<std::unique_ptr<Image>> open(const std::string& name, std::string_view format = "",
                                        FileOpener* opener = nullptr) {
        OpenOptions options;
        options.format = format;
        options.access = Access::read_write;
        options.opener = opener;
        return open_image(files.file(name), options);
    }
    // An image of a version that its own header says, with another below it.
    void make_qcow2(const std::string& name, const std::string& below, const std::string& below_format) {
        struct Growing final : host::File {
            std::vector<u8>& bytes;
            explicit Growing(std::vector<u8>& to) : bytes(to) {}
            u64 size() override { return bytes.size(); }
            Result<void> read_at(u64 offset, std::span<u8> out) override {
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
        };
        Growing file(files.contents[name].bytes);
        CreateOptions options;
        options.size = 64 << 10;
        options.cluster_size = 4096;
        options.backing_file = below;
        options.backing_format = below_format;
        ASSERT_TRUE(find_format("qcow2").value()->create(file, options).ok());
    }
};

TEST_F(CatalogTest, ARawImageFoundByContentNeverGetsAnotherFormatsFirstSector) {
    files.contents["disk"].bytes.resize(4096);
    auto image = open("disk");
    ASSERT_TRUE(image.ok());
    EXPECT_EQ((*image)->format(), "raw");
    std::vector<u8> sector(512);
    store_be<u32>(&sector[0], 0x514649fb);
    store_be<u32>(&sector[4], 3);
    const auto refused = (*image)->write(0, sector);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().message,
              "disk: was taken for a raw image by its content; a first sector of a qcow2 image is not written to it "
              "(format=raw allows that)");
    // In parts, neither.
    ASSERT_TRUE((*image)->write(4, std::span(sector).subspan(4, 508)).ok());
    EXPECT_FALSE((*image)->write(0, std::span(sector).first(4)).ok());
    EXPECT_TRUE(std::all_of(files.contents["disk"].bytes.begin(), files.contents["disk"].bytes.begin() + 4,
                            [](u8 byte) { return byte == 0; }));
    // Elsewhere, and where the user says that it is raw, it may be.
    EXPECT_TRUE((*image)->write(512, sector).ok());
    auto named = open("disk", "raw");
    ASSERT_TRUE(named.ok());
    EXPECT_TRUE((*named)->write(0, sector).ok());
    auto now = open("disk");
    EXPECT_FALSE(now.ok());
}

TEST_F(CatalogTest, WhatAnImageNamesIsOpenedByTheOpenerOrNotAtAll) {
    make_qcow2("top", "secret", "raw");
    EXPECT_FALSE(open("top").ok());
    EXPECT_TRUE(files.asked.empty());
    const auto missing = open("top", "", &files);
    ASSERT_FALSE(missing.ok());
    EXPECT_EQ(missing.error().message, "top: backing file secret: is not there");
    files.contents["secret"].bytes.assign(64 << 10, 7);
    auto image = open("top", "", &files);
    ASSERT_TRUE(image.ok());
    std::vector<u8> bytes(1000);
    ASSERT_TRUE((*image)->read(4000, bytes).ok());
    EXPECT_EQ(bytes, std::vector<u8>(1000, 7));
}

TEST_F(CatalogTest, TheUserMayNameADataFileThatAnImageMayNot) {
    files.contents["data"].bytes.assign(64 << 10, 9);
    make_qcow2("image", "", "");
    auto& bytes = files.contents["image"].bytes;
    bytes.resize(64 << 10);        // room for tables
    store_be<u64>(&bytes[72], 4);  // external data, of a file that it does not name
    const auto open_with = [&](const std::string& image, FileOpener::Opened* data) {
        OpenOptions options;
        options.access = Access::read_write;
        options.opener = &files;
        options.data_file = data;
        return open_image(files.file(image), options);
    };
    EXPECT_EQ(open_with("image", nullptr).error().message,
              "image: does not say which file has its data; data-file=FILE does");
    auto data = files.file("data");
    auto image = open_with("image", &data);
    ASSERT_TRUE(image.ok()) << image.error().message;
    EXPECT_TRUE(files.asked.empty());
    ASSERT_TRUE((*image)->write(8192, std::vector<u8>(100, 3)).ok());
    EXPECT_EQ(files.contents["data"].bytes[8192], 3);
    EXPECT_EQ(files.contents["data"].bytes[8192 + 100], 0);
    EXPECT_EQ(files.contents["data"].bytes[8191], 9);
    image->reset();
    auto itself = files.file("image");
    EXPECT_EQ(open_with("image", &itself).error().message, "image: cannot be its own data file");
    store_be<u64>(&bytes[72], 0);
    auto unused = files.file("data");
    EXPECT_EQ(open_with("image", &unused).error().message, "image: has its data in no other file, and cannot use data");
}

TEST_F(CatalogTest, ChainsThatComeBackAreRefused) {
    make_qcow2("one", "two", "qcow2");
    make_qcow2("two", "one", "qcow2");
    const auto image = open("one", "", &files);
    ASSERT_FALSE(image.ok());
    EXPECT_NE(image.error().message.find("comes back to itself"), std::string::npos);
}

TEST_F(CatalogTest, AFileThatOnlyEndsAsAnImageIsAskedAbout) {
    auto& bytes = files.contents["disk"].bytes;
    bytes.assign(4096, 0x11);
    const auto footer = vhd::make_footer(vhd::fixed_type, vhd::no_offset, 4096, std::array<u8, 16>{});
    bytes.insert(bytes.end(), footer.begin(), footer.end());
    const auto image = open("disk");
    ASSERT_FALSE(image.ok());
    EXPECT_EQ(image.error().message,
              "disk: ends as a vpc image does and begins as a raw one; say format=vpc or format=raw");
    EXPECT_EQ((*open("disk", "vpc"))->size(), 4096U);
    EXPECT_EQ((*open("disk", "raw"))->size(), 4608U);
    // A footer that is none is a raw disk's content.
    bytes.back() ^= 1;
    ASSERT_TRUE(open("disk").ok());
    EXPECT_EQ((*open("disk"))->format(), "raw");
    EXPECT_FALSE(open("disk", "vpc").ok());
}

TEST_F(CatalogTest, FormatsThatCannotBeOpenedAreNamed) {
    files.contents["disk"].bytes.resize(4096);
    std::copy_n("QED", 4, files.contents["disk"].bytes.begin());
    const auto image = open("disk");
    ASSERT_FALSE(image.ok());
    EXPECT_NE(image.error().message.find("is a qed image"), std::string::npos);
    EXPECT_FALSE(open("disk", "qcow2").ok());
    EXPECT_TRUE(open("disk", "raw").ok());
    EXPECT_NE(find_format("qcw2").error().message.find("did you mean qcow2?"), std::string::npos);
}

}  // namespace
}  // namespace viv::block
