// Files that the user names: read whole, written whole or not at all.
#include "native/user_files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace viv::native {
namespace {

namespace fs = std::filesystem;

class UserFiles : public ::testing::Test {
protected:
    void SetUp() override {
        char name[] = "/tmp/viv-files-test-XXXXXX";
        ASSERT_NE(mkdtemp(name), nullptr);
        folder = name;
    }
    void TearDown() override { fs::remove_all(folder); }
    std::string write(const char* name, const std::string& content) {
        std::ofstream(folder + "/" + name) << content;
        return folder + "/" + name;
    }
    usize count() const {
        return static_cast<usize>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
    }
    std::string folder;
};

TEST_F(UserFiles, BlobsCarryTheirNameAndBytes) {
    const auto path = write("kernel", "abc");
    const auto blob = read_blob("--kernel", path, 3);
    ASSERT_TRUE(blob.ok());
    EXPECT_EQ(blob.value().name, path);
    EXPECT_EQ(blob.value().bytes, (std::vector<u8>{'a', 'b', 'c'}));
}

TEST_F(UserFiles, WhatCannotBeABlob) {
    const auto path = write("kernel", "abcd");
    EXPECT_EQ(read_blob("--kernel", path, 3).error().message,
              "--kernel " + path + ": is 4 bytes long; at most 3 bytes can be used");
    EXPECT_EQ(read_blob("--kernel", write("empty", ""), 3).error().message, "--kernel " + folder + "/empty: is empty");
    EXPECT_EQ(read_blob("--kernel", folder, 3).error().message,
              "--kernel " + folder + ": is a directory; a regular file is needed");
    EXPECT_EQ(read_blob("--kernel", "/dev/zero", 3).error().message,
              "--kernel /dev/zero: is no regular file; a regular file is needed");
    EXPECT_EQ(read_blob("--kernel", "/no/such", 3).error().message,
              "--kernel /no/such: cannot open: No such file or directory");
    const auto pipe = folder + "/pipe";
    ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
    EXPECT_FALSE(read_blob("--kernel", pipe, 3).ok());  // and it does not hang
}

TEST_F(UserFiles, AFileThatMayBeMissing) {
    auto missing = read_file_if_present(folder + "/missing", 10);
    ASSERT_TRUE(missing.ok());
    EXPECT_FALSE(*missing);
    auto present = read_file_if_present(write("present", "x"), 10);
    ASSERT_TRUE(present.ok());
    EXPECT_EQ(**present, std::vector<u8>{'x'});
    EXPECT_FALSE(read_file_if_present(folder, 10).ok());
}

TEST_F(UserFiles, AFinishedFileHasItsNameAndIsPrivate) {
    const auto path = write("saved", "old");
    auto sink = FileSink::create("save", path);
    ASSERT_TRUE(sink.ok());
    const std::vector<u8> bytes(100'000, 5);
    ASSERT_TRUE((*sink)->write(bytes).ok());
    EXPECT_EQ(fs::file_size(path), 3u);
    ASSERT_TRUE((*sink)->finish().ok());
    sink->reset();
    EXPECT_EQ(fs::file_size(path), 100'000u);
    EXPECT_EQ(count(), 1u);
    EXPECT_EQ(fs::status(path).permissions(), fs::perms(0600));
}

TEST_F(UserFiles, AnUnfinishedFileLeavesNothing) {
    {
        auto sink = FileSink::create("save", folder + "/saved");
        ASSERT_TRUE(sink.ok());
        ASSERT_TRUE((*sink)->write(std::vector<u8>(10)).ok());
        EXPECT_EQ(count(), 1u);
    }
    EXPECT_EQ(count(), 0u);
}

TEST_F(UserFiles, PlacesThatCannotBeWritten) {
    EXPECT_EQ(check_writable("save", folder + "/no/file").error().message,
              "save " + folder + "/no/file: the folder " + folder + "/no: No such file or directory");
    EXPECT_EQ(check_writable("save", "/dev/null").error().message,
              "save /dev/null: exists and is no regular file; give another name");
    EXPECT_EQ(check_writable("save", write("f", "x") + "/x").error().message,
              "save " + folder + "/f/x: " + folder + "/f is no folder");
    EXPECT_TRUE(check_writable("save", folder + "/new").ok());
    EXPECT_EQ(count(), 1u);
}

}  // namespace
}  // namespace viv::native
