// A hostile guest on a real folder: the 9p server over the POSIX folder, with links to places outside that no request
// may reach, random requests by the ten thousand, and a session that is saved and goes on.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <set>
#include <sstream>

#include "native/folder_posix.h"
#include "tests/dev/p9_client.h"

namespace viv::native {
namespace {

namespace fs = std::filesystem;
using test::Client;
using virtio::p9::Request;
using virtio::p9::Server;

class FolderShareTest : public testing::Test {
protected:
    void SetUp() override {
        std::string pattern = (fs::temp_directory_path() / "viv-share-XXXXXX").string();
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        base = pattern;
        for (const char* name : {"share", "share/d", "outside", "outside/d"}) fs::create_directory(base / name);
        for (const char* name : {"share/file", "share/d/file", "outside/secret", "outside/d/file"})
            std::ofstream(base / name) << name;
        fs::create_symlink(base / "outside", base / "share/link");
        fs::create_symlink("../outside/secret", base / "share/near");
        fs::create_symlink("/", base / "share/d/top");
        ASSERT_EQ(::mkfifo((base / "share/fifo").c_str(), 0600), 0);
        outside_before = picture(base / "outside");
        reopen();
    }
    void TearDown() override { fs::remove_all(base); }

    void reopen() {
        auto opened = open_folder((base / "share").string(),
                                  {host::Folder::Mode::read_write, FolderOptions::Resolution::best, 64});
        ASSERT_TRUE(opened.ok());
        server.reset();
        folder = std::move(opened).value();
        server = std::make_unique<Server>(*folder, log);
    }
    // Names, types, sizes, times and contents below a directory.
    static std::string picture(const fs::path& top) {
        std::vector<std::string> lines;
        for (const auto& entry : fs::recursive_directory_iterator(top)) {
            struct stat status {};
            EXPECT_EQ(::lstat(entry.path().c_str(), &status), 0);
            std::ostringstream line;
            line << entry.path() << ' ' << status.st_mode << ' ' << status.st_nlink << ' ' << status.st_size << ' '
                 << status.st_mtim.tv_sec << '.' << status.st_mtim.tv_nsec << ' ' << status.st_ctim.tv_nsec;
            if (entry.is_regular_file()) line << ' ' << std::ifstream(entry.path()).rdbuf();
            lines.push_back(line.str());
        }
        std::sort(lines.begin(), lines.end());
        std::string all;
        for (const auto& line : lines) all += line + "\n";
        return all;
    }

    fs::path base;
    NullLogSink sink;
    Log log{sink, "9p"};
    std::unique_ptr<host::Folder> folder;
    std::unique_ptr<Server> server;
    std::string outside_before;
};

TEST_F(FolderShareTest, WorksOnRealFiles) {
    Client client(*server);
    ASSERT_EQ(client.start(), 0u);
    ASSERT_EQ(client.walk(1, "d/file"), 0u);
    ASSERT_EQ(client.open(1, 2), 0u);
    EXPECT_EQ(client.read(1), "share/d/file");
    EXPECT_EQ(client.write(1, 0, "SHARE"), "5");
    ASSERT_EQ(client.walk(2, ""), 0u);
    ASSERT_EQ(client.call(Request::lcreate, u32{2}, "new", u32{2}, u32{0600}, u32{0}).error(), 0u);
    EXPECT_EQ(client.write(2, 3, "abc"), "3");
    struct stat status {};
    ASSERT_EQ(::stat((base / "share/new").c_str(), &status), 0);
    EXPECT_EQ(client.qid_path(2), status.st_ino);
    EXPECT_EQ(status.st_size, 6);
    ASSERT_EQ(client.walk(3, ""), 0u);
    ASSERT_EQ(client.open(3), 0u);
    std::vector<test::DirectoryEntry> entries;
    ASSERT_EQ(client.readdir(3, 0, 4096, entries), 0u);
    std::set<std::string> names;
    for (const auto& entry : entries) names.insert(entry.name);
    EXPECT_EQ(names, (std::set<std::string>{".", "..", "d", "fifo", "file", "link", "near", "new"}));

    // Saved, and gone on with by another process on the same folder.
    std::vector<u8> saved;
    Archive out = Archive::saver(saved);
    server->state(out);
    reopen();
    Archive in = Archive::loader(saved);
    server->state(in);
    ASSERT_TRUE(in.finish().ok());
    Client later(*server);
    EXPECT_EQ(later.read(1), "SHARE/d/file");
    EXPECT_EQ(later.write(2, 0, "xyz"), "3");
    EXPECT_EQ(std::string((std::ostringstream() << std::ifstream(base / "share/new").rdbuf()).str()), "xyzabc");
}

TEST_F(FolderShareTest, NoRequestLeavesTheFolder) {
    Client client(*server);
    ASSERT_EQ(client.start(), 0u);
    for (const char* path :
         {"link/secret", "link/d", "near/x", "d/top/etc", "../outside", "d/../../outside", "d/../.."})
        EXPECT_TRUE(client.walk(9, path) != 0 || client.qid_path(9) == client.qid_path(0)) << path;
    for (const char* path : {"link", "near", "d/top", "fifo"}) {
        client.clunk(9);
        ASSERT_EQ(client.walk(9, path), 0u);
        for (const u32 flags : {0u, 1u, 2u, 01000u, 02u | 01000u, 0200000u})
            EXPECT_NE(client.open(9, flags), 0u) << path;
        EXPECT_NE(
            client
                .call(Request::setattr, u32{9}, u32{8}, u32{0}, u32{0}, u32{0}, u64{0}, u64{0}, u64{0}, u64{0}, u64{0})
                .error(),
            0u);
        EXPECT_NE(client.call(Request::mkdir, u32{9}, "planted", u32{0777}, u32{0}).error(), 0u);
        EXPECT_NE(client.call(Request::lcreate, u32{9}, "planted", u32{2}, u32{0777}, u32{0}).error(), 0u);
        EXPECT_NE(client.call(Request::unlinkat, u32{9}, "secret", u32{0}).error(), 0u);
        EXPECT_NE(client.call(Request::renameat, u32{0}, "file", u32{9}, "planted").error(), 0u);
        EXPECT_NE(client.call(Request::renameat, u32{9}, "secret", u32{0}, "stolen").error(), 0u);
    }
    EXPECT_EQ(picture(base / "outside"), outside_before);
}

TEST_F(FolderShareTest, RandomRequestsStayInside) {
    Client client(*server);
    ASSERT_EQ(client.start(8192), 0u);
    std::mt19937_64 random(9);
    const u8 requests[] = {12, 14, 16, 18, 20, 22, 24, 26, 40, 50, 70, 72, 74, 76, 110, 110, 110, 116, 118, 120, 122};
    const std::string_view names[] = {"d",    "file", "link",       "near",   "top", "..",
                                      "fifo", "new",  "../outside", "secret", "/etc"};
    std::vector<u8> bytes, room(8192);
    usize succeeded = 0;
    for (int i = 0; i < 30'000; i++) {
        if (i % 50 == 0) {
            // A new session with fids to play with, on whatever the last one has left.
            ASSERT_EQ(client.start(8192), 0u);
            const std::string_view starts[] = {"", "", "d", "file", "link", "d/top", "new"};
            for (u32 number = 1; number <= std::size(starts); number++) client.walk(number, starts[number - 1]);
        }
        const u8 type = requests[random() % std::size(requests)];
        bytes.assign(7, 0);
        bytes[4] = type;
        const auto number = [&](u64 value, unsigned size) {
            for (unsigned at = 0; at < size; at++) bytes.push_back(at < 8 ? static_cast<u8>(value >> (8 * at)) : u8{0});
        };
        const auto text = [&] {
            const auto name = names[random() % std::size(names)];
            number(name.size(), 2);
            bytes.insert(bytes.end(), name.begin(), name.end());
        };
        const auto fid = [&] { number(random() % 8, 4); };
        switch (type) {
            case 110: {
                fid(), fid();
                const u64 count = random() % 4;
                number(count, 2);
                for (u64 at = 0; at < count; at++) text();
                break;
            }
            case 14: fid(), text(), number(random() % 3 | (random() % 2) << 9, 4), number(0600, 4), number(0, 4); break;
            case 16: fid(), text(), text(), number(0, 4); break;
            case 18: fid(), text(), number(0010600, 4), number(0, 12); break;
            case 20:
            case 70: fid(), fid(), text(); break;
            case 24: fid(), number(0x7ff, 8); break;
            case 72: fid(), text(), number(0700, 4), number(0, 4); break;
            case 74: fid(), text(), fid(), text(); break;
            case 76: fid(), text(), number(random() % 2 * 0x200, 4); break;
            case 116:
            case 40: fid(), number(random() % 100, 8), number(random() % 5000, 4); break;
            case 118: fid(), number(random() % 4096, 8), number(4, 4), number(random(), 4); break;
            case 26:
                fid(), number(random() % 512 & ~u64{7}, 4), number(0600, 12), number(random() % 4096, 8), number(1, 8),
                    number(1, 8), number(1, 8), number(1, 8);
                break;
            default: fid(), number(random() % 4, 4); break;
        }
        store_le(bytes.data(), static_cast<u32>(bytes.size()));
        const usize length = server->answer(bytes, room);
        ASSERT_GE(length, 7u);
        succeeded += room[4] != 7;
    }
    EXPECT_GT(succeeded, 3'000u);
    EXPECT_EQ(picture(base / "outside"), outside_before);
    EXPECT_EQ(std::distance(fs::directory_iterator(base), fs::directory_iterator()), 2);
}

}  // namespace
}  // namespace viv::native
