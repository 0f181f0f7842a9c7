// The shared folder on a POSIX host: what it does right, and every way out of it that we could think of.
#include "native/folder_posix.h"

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <sstream>
#include <thread>

namespace viv::native {
namespace {

namespace fs = std::filesystem;
using host::AttributeChange;
using host::Folder;
using Mode = Folder::Mode;
using Resolution = FolderOptions::Resolution;

constexpr uid_t nobody = 65534;

// Acts as an ordinary user while it lives, when the tests are run by root.
class AsNobody {
public:
    AsNobody() : was_root_(::geteuid() == 0) {
        if (was_root_)
            active_ = ::setegid(nobody) == 0 && ::seteuid(nobody) == 0;
        else
            active_ = true;
    }
    ~AsNobody() {
        if (was_root_ && (::seteuid(0) != 0 || ::setegid(0) != 0)) std::abort();
    }
    bool active() const { return active_; }

private:
    bool was_root_;
    bool active_ = false;
};

class FolderTest : public testing::TestWithParam<Resolution> {
protected:
    void SetUp() override {
        std::string pattern = (fs::temp_directory_path() / "viv-folder-XXXXXX").string();
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        base = pattern;
        ::chmod(base.c_str(), 0755);
        share = base / "share";
        outside = base / "outside";
        fs::create_directory(share);
        fs::create_directory(outside);
        put(outside / "secret", "outside");
    }
    void TearDown() override { fs::remove_all(base); }

    static void put(const fs::path& path, std::string_view text) { std::ofstream(path) << text; }
    static std::string get(const fs::path& path) {
        std::ostringstream text;
        text << std::ifstream(path).rdbuf();
        return text.str();
    }
    std::unique_ptr<Folder> open(Mode mode = Mode::read_write, u32 descriptors = 256) {
        auto folder = open_folder(share.string(), {mode, GetParam(), descriptors});
        EXPECT_TRUE(folder.ok()) << (folder.ok() ? "" : folder.error().message);
        return folder.ok() ? std::move(folder).value() : nullptr;
    }
    static Folder::NodePointer walk(Folder& folder, std::initializer_list<std::string_view> names) {
        auto node = folder.root();
        for (const auto name : names) {
            auto next = folder.lookup(*node, name);
            if (!next.ok()) return nullptr;
            node = *next;
        }
        return node;
    }
    static std::string read_all(Folder& folder, host::FolderNode& node) {
        auto file = folder.open(node, O_RDONLY);
        if (!file.ok()) return "error " + std::to_string(file.error());
        std::string text(100, 0);
        auto count = (*file)->read(0, {reinterpret_cast<u8*>(text.data()), text.size()});
        if (!count.ok()) return "error " + std::to_string(count.error());
        text.resize(*count);
        return text;
    }
    static std::span<const u8> bytes(std::string_view text) {
        return {reinterpret_cast<const u8*>(text.data()), text.size()};
    }

    fs::path base, share, outside;
};

INSTANTIATE_TEST_SUITE_P(Kernels, FolderTest, testing::Values(Resolution::best, Resolution::portable),
                         [](const auto& kernel) { return kernel.param == Resolution::best ? "best" : "portable"; });

TEST_P(FolderTest, CreatesReadsAndWritesFiles) {
    auto folder = open();
    Folder::FilePointer file;
    auto node = folder->create(*folder->root(), "hello", O_RDWR, 0640, file);
    ASSERT_TRUE(node.ok()) << node.error();
    ASSERT_NE(file, nullptr);
    EXPECT_EQ(*file->write(0, bytes("hello world")), 11u);
    EXPECT_EQ(*file->write(6, bytes("there")), 5u);
    EXPECT_EQ(file->sync(true), 0u);
    EXPECT_EQ(file->sync(false), 0u);
    EXPECT_EQ(get(share / "hello"), "hello there");
    EXPECT_EQ(read_all(*folder, **node), "hello there");
    u8 byte[1];
    EXPECT_EQ(*file->read(11, byte), 0u);
    EXPECT_EQ(file->read(~u64{0}, byte).error(), u32{EINVAL});
    EXPECT_EQ(file->write(~u64{0}, byte).error(), u32{EFBIG});

    auto attributes = folder->attributes(**node);
    ASSERT_TRUE(attributes.ok());
    struct stat status {};
    ASSERT_EQ(::stat((share / "hello").c_str(), &status), 0);
    EXPECT_EQ(attributes->mode, u32{S_IFREG | 0640});
    EXPECT_EQ(attributes->inode, status.st_ino);
    EXPECT_EQ(attributes->device, status.st_dev);
    EXPECT_EQ(attributes->size, 11u);
    EXPECT_EQ(attributes->links, 1u);
    EXPECT_EQ(attributes->modified_s, status.st_mtim.tv_sec);
    EXPECT_EQ(attributes->modified_ns, static_cast<u32>(status.st_mtim.tv_nsec));
}

TEST_P(FolderTest, CreateFollowsItsFlags) {
    auto folder = open();
    Folder::FilePointer file;
    put(share / "old", "contents");
    EXPECT_EQ(folder->create(*folder->root(), "old", O_RDWR | O_EXCL, 0644, file).error(), u32{EEXIST});
    EXPECT_EQ(file, nullptr);
    ASSERT_TRUE(folder->create(*folder->root(), "old", O_RDWR, 0600, file).ok());
    EXPECT_EQ(get(share / "old"), "contents");
    ASSERT_TRUE(folder->create(*folder->root(), "old", O_RDWR | O_TRUNC, 0600, file).ok());
    EXPECT_EQ(get(share / "old"), "");
    EXPECT_EQ(folder->create(*folder->root(), "new", O_ACCMODE, 0600, file).error(), u32{EINVAL});
    EXPECT_FALSE(fs::exists(share / "new"));

    put(share / "log", "one");
    auto node = walk(*folder, {"log"});
    auto appended = folder->open(*node, O_WRONLY | O_APPEND);
    ASSERT_TRUE(appended.ok());
    EXPECT_EQ(*(*appended)->write(0, bytes("two")), 3u);
    EXPECT_EQ(get(share / "log"), "onetwo");
}

TEST_P(FolderTest, NewFilesHaveTheModeAskedForWhateverTheUmask) {
    auto folder = open();
    const mode_t old = ::umask(077);
    Folder::FilePointer file;
    auto made = folder->create(*folder->root(), "file", O_RDWR, 0666, file);
    auto directory = folder->make_directory(*folder->root(), "directory", 01777);
    auto fifo = folder->make_node(*folder->root(), "fifo", S_IFIFO | 0622, 0);
    ::umask(old);
    ASSERT_TRUE(made.ok() && directory.ok() && fifo.ok());
    EXPECT_EQ(folder->attributes(**made)->mode, u32{S_IFREG | 0666});
    EXPECT_EQ(folder->attributes(**directory)->mode, u32{S_IFDIR | 01777});
    EXPECT_EQ(folder->attributes(**fifo)->mode, u32{S_IFIFO | 0622});
}

TEST_P(FolderTest, MakesLinksRenamesAndRemoves) {
    auto folder = open();
    auto root = folder->root();
    auto directory = folder->make_directory(*root, "d", 0755);
    ASSERT_TRUE(directory.ok());
    EXPECT_EQ(folder->make_directory(*root, "d", 0755).error(), u32{EEXIST});
    auto link = folder->make_symlink(*root, "link", "../any/where");
    ASSERT_TRUE(link.ok());
    EXPECT_EQ(*folder->read_link(**link), "../any/where");
    EXPECT_EQ(folder->read_link(*root).error(), u32{EINVAL});
    EXPECT_EQ(folder->make_symlink(*root, "empty", "").error(), u32{ENOENT});
    EXPECT_EQ(folder->make_symlink(*root, "long", std::string(4096, 'x')).error(), u32{ENAMETOOLONG});
    EXPECT_EQ(folder->make_symlink(*root, "zero", std::string_view("a\0b", 3)).error(), u32{EINVAL});

    auto regular = folder->make_node(*root, "regular", 0644, 0);
    ASSERT_TRUE(regular.ok());
    EXPECT_EQ(folder->link(**directory, "second", **regular), 0u);
    EXPECT_EQ(folder->attributes(**regular)->links, 2u);
    EXPECT_EQ(folder->link(*root, "loop", **directory), u32{EPERM});
    EXPECT_EQ(folder->link(*root, "link2", **link), 0u);  // a link to the link, not to where it points
    EXPECT_TRUE(fs::is_symlink(share / "link2"));

    EXPECT_EQ(folder->rename(*root, "regular", **directory, "moved"), 0u);
    EXPECT_TRUE(fs::exists(share / "d/moved"));
    EXPECT_EQ(folder->rename(*root, "d", **directory, "inside"), u32{EINVAL});
    EXPECT_EQ(folder->rename(*root, "absent", *root, "b"), u32{ENOENT});
    EXPECT_EQ(folder->remove(*root, "d", true), u32{ENOTEMPTY});
    EXPECT_EQ(folder->remove(*root, "d", false), u32{EISDIR});
    EXPECT_EQ(folder->remove(**directory, "moved", false), 0u);
    EXPECT_EQ(folder->remove(**directory, "second", false), 0u);
    EXPECT_EQ(folder->remove(*root, "d", true), 0u);
    EXPECT_FALSE(fs::exists(share / "d"));
    EXPECT_EQ(folder->attributes(**regular)->links, 0u);  // gone by name, alive by handle
}

TEST_P(FolderTest, ListsEverythingButDots) {
    auto folder = open();
    std::set<std::string> wanted = {"directory", "link"};
    fs::create_directory(share / "directory");
    fs::create_symlink("/etc", share / "link");
    for (int i = 0; i < 500; i++) {
        wanted.insert("file" + std::to_string(i));
        put(share / ("file" + std::to_string(i)), "");
    }
    auto entries = folder->list(*folder->root());
    ASSERT_TRUE(entries.ok());
    std::set<std::string> names;
    for (const auto& entry : *entries) {
        names.insert(entry.name);
        const u8 type = entry.name == "directory" ? DT_DIR : entry.name == "link" ? DT_LNK : DT_REG;
        EXPECT_EQ(entry.type, type) << entry.name;
        EXPECT_EQ(entry.inode, folder->attributes(*walk(*folder, {entry.name}))->inode);
    }
    EXPECT_EQ(names, wanted);
    EXPECT_EQ(entries->size(), wanted.size());
    EXPECT_EQ(folder->list(*walk(*folder, {"file0"})).error(), u32{ENOTDIR});
    EXPECT_EQ(folder->list(*walk(*folder, {"link"})).error(), u32{ENOTDIR});
    auto statistics = folder->statistics(*folder->root());
    ASSERT_TRUE(statistics.ok());
    EXPECT_GT(statistics->block_size, 0u);
    EXPECT_GE(statistics->name_length, 255u);
}

TEST_P(FolderTest, ChangesAttributes) {
    auto folder = open();
    put(share / "file", "0123456789");
    auto node = walk(*folder, {"file"});
    AttributeChange change;
    change.set_mode = change.set_size = true;
    change.mode = 0600;
    change.size = 4;
    change.accessed = change.modified = AttributeChange::Time::given;
    change.accessed_s = 1'000'000'000;
    change.accessed_ns = 999'999'999;
    change.modified_s = -5;
    EXPECT_EQ(folder->change(*node, change), 0u);
    auto attributes = folder->attributes(*node);
    EXPECT_EQ(attributes->size, 4u);
    EXPECT_EQ(attributes->mode, u32{S_IFREG | 0600});
    EXPECT_EQ(attributes->accessed_s, 1'000'000'000);
    EXPECT_EQ(attributes->accessed_ns, 999'999'999u);
    EXPECT_EQ(attributes->modified_s, -5);

    AttributeChange touched;
    touched.modified = AttributeChange::Time::now;
    EXPECT_EQ(folder->change(*node, touched), 0u);
    EXPECT_GT(folder->attributes(*node)->modified_s, 1'000'000'000);
    EXPECT_EQ(folder->attributes(*node)->accessed_s, 1'000'000'000);

    AttributeChange bad;
    bad.modified = AttributeChange::Time::given;
    bad.modified_ns = 0x3fff'ffff;  // UTIME_NOW in disguise
    EXPECT_EQ(folder->change(*node, bad), u32{EINVAL});
    AttributeChange huge;
    huge.set_size = true;
    huge.size = ~u64{0};
    EXPECT_EQ(folder->change(*node, huge), u32{EFBIG});
    huge.size = 0;
    EXPECT_EQ(folder->change(*folder->root(), huge), u32{EISDIR});
    AttributeChange owner;
    owner.set_uid = true;
    owner.uid = ~u32{0};
    EXPECT_EQ(folder->change(*node, owner), u32{EINVAL});
}

TEST_P(FolderTest, RefusesNamesThatAreNotOneComponent) {
    auto folder = open();
    auto root = folder->root();
    fs::create_directory(share / "d");
    put(share / "f", "x");
    const std::string zero("a\0b", 3), longest(255, 'n'), too_long(256, 'n');
    const std::pair<std::string_view, u32> names[] = {
        {"", ENOENT},     {".", EINVAL},    {"..", EINVAL}, {"/", EINVAL},           {"../outside", EINVAL},
        {"d/..", EINVAL}, {"/etc", EINVAL}, {zero, EINVAL}, {too_long, ENAMETOOLONG}};
    auto file = walk(*folder, {"f"});
    for (const auto& [name, error] : names) {
        Folder::FilePointer opened;
        EXPECT_EQ(folder->lookup(*root, name).error(), error) << name;
        EXPECT_EQ(folder->create(*root, name, O_RDWR, 0644, opened).error(), error) << name;
        EXPECT_EQ(folder->make_directory(*root, name, 0755).error(), error) << name;
        EXPECT_EQ(folder->make_symlink(*root, name, "t").error(), error) << name;
        EXPECT_EQ(folder->make_node(*root, name, S_IFREG | 0644, 0).error(), error) << name;
        EXPECT_EQ(folder->link(*root, name, *file), error) << name;
        EXPECT_EQ(folder->remove(*root, name, false), error) << name;
        EXPECT_EQ(folder->remove(*root, name, true), error) << name;
        EXPECT_EQ(folder->rename(*root, name, *root, "g"), error) << name;
        EXPECT_EQ(folder->rename(*root, "f", *root, name), error) << name;
    }
    EXPECT_TRUE(folder->make_directory(*root, longest, 0755).ok());
    EXPECT_EQ(folder->lookup(*file, "x").error(), u32{ENOTDIR});
}

TEST_P(FolderTest, NeverFollowsSymbolicLinks) {
    fs::create_symlink("/etc", share / "etc");
    fs::create_symlink(outside, share / "directory");
    fs::create_symlink(outside / "secret", share / "file");
    fs::create_symlink(outside / "new", share / "dangling");
    fs::create_symlink("../outside/secret", share / "relative");
    fs::create_symlink("/proc/self/root", share / "magic");
    auto folder = open();
    auto root = folder->root();
    struct stat before {
    }, after{};
    ASSERT_EQ(::stat((outside / "secret").c_str(), &before), 0);
    for (const char* name : {"etc", "directory", "file", "dangling", "relative", "magic"}) {
        auto node = walk(*folder, {name});
        ASSERT_NE(node, nullptr) << name;
        EXPECT_EQ(folder->attributes(*node)->mode & S_IFMT, u32{S_IFLNK}) << name;
        EXPECT_EQ(*folder->read_link(*node), fs::read_symlink(share / name).string());
        EXPECT_EQ(folder->lookup(*node, "secret").error(), u32{ENOTDIR}) << name;
        EXPECT_EQ(folder->lookup(*node, "passwd").error(), u32{ENOTDIR}) << name;
        EXPECT_EQ(folder->list(*node).error(), u32{ENOTDIR}) << name;
        EXPECT_EQ(folder->open(*node, O_RDONLY).error(), u32{ELOOP}) << name;
        EXPECT_EQ(folder->open(*node, O_RDWR | O_TRUNC).error(), u32{ELOOP}) << name;
        Folder::FilePointer opened;
        EXPECT_EQ(folder->create(*root, name, O_RDWR | O_TRUNC, 0666, opened).error(), u32{ELOOP}) << name;
        EXPECT_EQ(folder->create(*node, "planted", O_RDWR, 0666, opened).error(), u32{ENOTDIR}) << name;
        EXPECT_EQ(folder->make_directory(*node, "planted", 0777).error(), u32{ENOTDIR}) << name;
        EXPECT_EQ(folder->make_directory(*root, name, 0777).error(), u32{EEXIST}) << name;
        EXPECT_EQ(folder->make_node(*root, name, S_IFREG | 0666, 0).error(), u32{EEXIST}) << name;
        EXPECT_EQ(folder->rename(*root, "etc", *node, "planted"), u32{ENOTDIR}) << name;
        EXPECT_EQ(folder->remove(*node, "secret", false), u32{ENOTDIR}) << name;
        EXPECT_EQ(folder->remove(*root, name, true), u32{ENOTDIR}) << name;
        AttributeChange change;
        change.set_size = true;
        EXPECT_EQ(folder->change(*node, change), u32{EINVAL}) << name;
        change = {};
        change.set_mode = true;
        change.mode = 0777;
        EXPECT_EQ(folder->change(*node, change), u32{EOPNOTSUPP}) << name;
        change = {};
        change.modified = AttributeChange::Time::given;
        change.modified_s = 42;
        EXPECT_EQ(folder->change(*node, change), 0u) << name;  // the link's own time
        EXPECT_EQ(folder->attributes(*node)->modified_s, 42) << name;
        change = {};
        change.set_uid = true;
        change.uid = ::geteuid();
        EXPECT_EQ(folder->change(*node, change), 0u) << name;
    }
    ASSERT_EQ(::stat((outside / "secret").c_str(), &after), 0);
    EXPECT_EQ(get(outside / "secret"), "outside");
    EXPECT_EQ(before.st_mtim.tv_sec, after.st_mtim.tv_sec);
    EXPECT_EQ(before.st_mode, after.st_mode);
    EXPECT_FALSE(fs::exists(outside / "new"));
    EXPECT_FALSE(fs::exists(outside / "planted"));
    EXPECT_EQ(folder->remove(*root, "directory", false), 0u);
    EXPECT_TRUE(fs::exists(outside / "secret"));
}

TEST_P(FolderTest, ADirectoryMovedOutOfTheShareIsStale) {
    fs::create_directories(share / "a/b/c");
    put(share / "a/b/file", "inside");
    auto folder = open();
    auto a = walk(*folder, {"a"}), b = walk(*folder, {"a", "b"}), file = walk(*folder, {"a", "b", "file"});
    ASSERT_TRUE(a && b && file);
    fs::rename(share / "a/b", outside / "b");
    put(outside / "b/new", "outside");
    EXPECT_TRUE(folder->attributes(*a).ok());
    Folder::FilePointer opened;
    EXPECT_EQ(folder->lookup(*b, "new").error(), u32{ESTALE});
    EXPECT_EQ(folder->lookup(*b, "c").error(), u32{ESTALE});
    EXPECT_EQ(folder->list(*b).error(), u32{ESTALE});
    EXPECT_EQ(folder->attributes(*b).error(), u32{ESTALE});
    EXPECT_EQ(folder->statistics(*b).error(), u32{ESTALE});
    EXPECT_EQ(folder->open(*file, O_RDONLY).error(), u32{ESTALE});
    EXPECT_EQ(folder->create(*b, "planted", O_RDWR, 0644, opened).error(), u32{ESTALE});
    EXPECT_EQ(folder->make_directory(*b, "planted", 0755).error(), u32{ESTALE});
    EXPECT_EQ(folder->make_symlink(*b, "planted", "x").error(), u32{ESTALE});
    EXPECT_EQ(folder->make_node(*b, "planted", S_IFREG, 0).error(), u32{ESTALE});
    EXPECT_EQ(folder->link(*b, "planted", *file), u32{ESTALE});
    EXPECT_EQ(folder->link(*a, "stolen", *file), u32{ESTALE});
    EXPECT_EQ(folder->remove(*b, "new", false), u32{ESTALE});
    EXPECT_EQ(folder->rename(*b, "new", *a, "new"), u32{ESTALE});
    EXPECT_EQ(folder->rename(*folder->root(), "a", *b, "a"), u32{ESTALE});
    AttributeChange change;
    change.set_size = true;
    EXPECT_EQ(folder->change(*file, change), u32{ESTALE});
    EXPECT_EQ(get(outside / "b/file"), "inside");
    // A sibling whose name begins like the share's is not the share.
    fs::rename(outside / "b", base / "share-not");
    EXPECT_EQ(folder->lookup(*b, "new").error(), u32{ESTALE});
    // Back again, it is as if nothing had happened; and the share itself may move.
    fs::rename(base / "share-not", share / "a/b");
    EXPECT_EQ(read_all(*folder, *file), "inside");
    fs::rename(share, base / "renamed");
    EXPECT_EQ(read_all(*folder, *file), "inside");
    share = base / "renamed";
}

TEST_P(FolderTest, WinsTheRaceAgainstSomebodyWhoSwapsADirectoryForALink) {
    fs::create_directory(share / "real");
    put(share / "real/secret", "inside");
    fs::create_symlink(outside, share / "link");
    auto folder = open();
    std::atomic<bool> stop = false;
    const std::string first = (share / "real").string(), second = (share / "link").string();
    std::thread swapper([&] {
        while (!stop.load()) ::renameat2(AT_FDCWD, first.c_str(), AT_FDCWD, second.c_str(), RENAME_EXCHANGE);
    });
    unsigned read = 0, refused = 0, attempts = 0;
    // Until both outcomes have been seen often, but never for ever.
    while (attempts < 200'000 && (attempts < 2'000 || read < 100 || refused < 100)) {
        attempts++;
        auto directory = folder->lookup(*folder->root(), "real");
        if (!directory.ok()) continue;
        auto file = folder->lookup(**directory, "secret");
        if (!file.ok()) {
            EXPECT_EQ(file.error(), u32{ENOTDIR});
            refused++;
            continue;
        }
        const std::string text = read_all(*folder, **file);
        read++;
        ASSERT_EQ(text, "inside");
    }
    stop = true;
    swapper.join();
    EXPECT_GT(read, 0u);
    EXPECT_GT(refused, 0u);
}

TEST_P(FolderTest, WinsTheRaceAgainstSomebodyWhoMovesADirectoryOut) {
    fs::create_directories(share / "d/e");
    put(share / "d/e/f", "moving");
    auto folder = open();
    std::atomic<bool> stop = false;
    std::thread mover([&] {
        while (!stop.load()) {
            ::rename((share / "d").c_str(), (outside / "d").c_str());
            put(outside / "d/e/outside-only", "outside");
            ::unlink((outside / "d/e/outside-only").c_str());
            ::rename((outside / "d").c_str(), (share / "d").c_str());
        }
    });
    unsigned leaks = 0;
    for (int i = 0; i < 3000; i++) {
        auto d = folder->lookup(*folder->root(), "d");
        if (!d.ok()) continue;
        auto e = folder->lookup(**d, "e");
        if (!e.ok()) continue;
        // The name exists only while the directory is outside: it may be found at the moment of a move, but never be
        // read.
        auto hidden = folder->lookup(**e, "outside-only");
        if (hidden.ok() && read_all(*folder, **hidden) == "outside") leaks++;
    }
    stop = true;
    mover.join();
    EXPECT_EQ(leaks, 0u);
}

TEST_P(FolderTest, ReadOnlyRefusesEveryChange) {
    put(share / "file", "text");
    fs::create_directory(share / "d");
    auto folder = open(Mode::read_only);
    auto root = folder->root(), file = walk(*folder, {"file"}), directory = walk(*folder, {"d"});
    Folder::FilePointer opened;
    constexpr u32 refused = EROFS;
    EXPECT_EQ(folder->create(*root, "new", O_RDWR, 0644, opened).error(), refused);
    EXPECT_EQ(folder->create(*root, "file", O_RDONLY, 0644, opened).error(), refused);
    EXPECT_EQ(folder->make_directory(*root, "new", 0755).error(), refused);
    EXPECT_EQ(folder->make_symlink(*root, "new", "x").error(), refused);
    EXPECT_EQ(folder->make_node(*root, "new", S_IFIFO, 0).error(), refused);
    EXPECT_EQ(folder->link(*root, "new", *file), refused);
    EXPECT_EQ(folder->rename(*root, "file", *root, "new"), refused);
    EXPECT_EQ(folder->remove(*root, "file", false), refused);
    EXPECT_EQ(folder->remove(*root, "d", true), refused);
    for (const int flags : {O_WRONLY, O_RDWR, O_RDONLY | O_TRUNC, O_RDONLY | O_APPEND})
        EXPECT_EQ(folder->open(*file, static_cast<u32>(flags)).error(), refused) << flags;
    AttributeChange change;
    EXPECT_EQ(folder->change(*file, change), refused);
    change.set_size = true;
    EXPECT_EQ(folder->change(*file, change), refused);
    change = {};
    change.set_mode = true;
    EXPECT_EQ(folder->change(*directory, change), refused);
    change = {};
    change.modified = AttributeChange::Time::now;
    EXPECT_EQ(folder->change(*file, change), refused);
    auto handle = folder->open(*file, O_RDONLY);
    ASSERT_TRUE(handle.ok());
    EXPECT_FALSE((*handle)->write(0, bytes("x")).ok());
    EXPECT_EQ(read_all(*folder, *file), "text");
    EXPECT_EQ(std::distance(fs::directory_iterator(share), fs::directory_iterator()), 2);
}

TEST_P(FolderTest, OpensNothingButFilesAndDirectories) {
    ASSERT_EQ(::mkfifo((share / "fifo").c_str(), 0666), 0);
    const int server = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string socket_path = (share / "socket").string();
    ASSERT_LT(socket_path.size(), sizeof address.sun_path);
    std::copy(socket_path.begin(), socket_path.end(), address.sun_path);
    ASSERT_EQ(::bind(server, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    std::vector<const char*> names = {"fifo", "socket"};
    if (::mknod((share / "null").c_str(), S_IFCHR | 0666, makedev(1, 3)) == 0) names.push_back("null");
    auto folder = open();
    for (const char* name : names) {
        auto node = walk(*folder, {name});
        ASSERT_NE(node, nullptr) << name;
        EXPECT_TRUE(folder->attributes(*node).ok()) << name;
        for (const int flags : {O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_TRUNC}) {
            EXPECT_EQ(folder->open(*node, static_cast<u32>(flags)).error(), u32{ENXIO})
                << name;  // and it returned at once
            Folder::FilePointer opened;
            EXPECT_EQ(folder->create(*folder->root(), name, static_cast<u32>(flags), 0666, opened).error(), u32{ENXIO})
                << name;
        }
        AttributeChange change;
        change.set_size = true;
        EXPECT_EQ(folder->change(*node, change), u32{EINVAL}) << name;
    }
    ::close(server);
    auto directory = folder->open(*folder->root(), O_RDONLY);
    ASSERT_TRUE(directory.ok());
    u8 byte[1];
    EXPECT_EQ((*directory)->read(0, byte).error(), u32{EISDIR});
    EXPECT_EQ((*directory)->sync(false), 0u);
    EXPECT_EQ(folder->open(*folder->root(), O_RDWR).error(), u32{EISDIR});
}

TEST_P(FolderTest, MakesNothingThatActsOnTheHost) {
    auto folder = open();
    auto root = folder->root();
    Folder::FilePointer opened;
    EXPECT_EQ(folder->make_node(*root, "disk", S_IFBLK | 0666, 8 << 8).error(), u32{EPERM});
    EXPECT_EQ(folder->make_node(*root, "mem", S_IFCHR | 0666, 1 << 8 | 1).error(), u32{EPERM});
    EXPECT_EQ(folder->make_node(*root, "odd", S_IFLNK | 0666, 0).error(), u32{EINVAL});
    EXPECT_EQ(folder->create(*root, "suid", O_RDWR, 04755, opened).error(), u32{EPERM});
    EXPECT_EQ(folder->create(*root, "sgid", O_RDWR, 02755, opened).error(), u32{EPERM});
    EXPECT_EQ(folder->make_node(*root, "suid", S_IFREG | 04755, 0).error(), u32{EPERM});
    EXPECT_TRUE(fs::is_empty(share));
    auto made = folder->create(*root, "file", O_RDWR, 0755, opened);
    ASSERT_TRUE(made.ok());
    AttributeChange change;
    change.set_mode = true;
    for (const u32 mode : {04755u, 02755u, 06777u}) {
        change.mode = mode;
        EXPECT_EQ(folder->change(**made, change), u32{EPERM}) << mode;
    }
    EXPECT_EQ(folder->attributes(**made)->mode, u32{S_IFREG | 0755});
    auto directory = folder->make_directory(*root, "d", 0755);
    change.mode = 02775;  // on a directory it only says whose group new files have
    EXPECT_EQ(folder->change(**directory, change), 0u);
}

TEST_P(FolderTest, TellsTheTruthAboutChown) {
    ::chmod(share.c_str(), 0777);
    AsNobody user;
    ASSERT_TRUE(user.active());
    auto folder = open();
    Folder::FilePointer opened;
    auto node = folder->create(*folder->root(), "file", O_RDWR, 0644, opened);
    ASSERT_TRUE(node.ok());
    AttributeChange change;
    change.set_uid = change.set_gid = true;
    EXPECT_EQ(folder->change(**node, change), u32{EPERM});  // to root
    EXPECT_EQ(folder->attributes(**node)->uid, ::geteuid());
    change.uid = ::geteuid();
    change.gid = ::getegid();
    EXPECT_EQ(folder->change(**node, change), 0u);
}

TEST_P(FolderTest, TheNumberOfDescriptorsIsBounded) {
    for (int i = 0; i < 20; i++) put(share / std::to_string(i), "x");
    auto folder = open(Mode::read_write, 8);
    std::vector<Folder::NodePointer> held;
    u32 error = 0;
    for (int i = 0; i < 20 && error == 0; i++) {
        auto node = folder->lookup(*folder->root(), std::to_string(i));
        if (node.ok())
            held.push_back(*node);
        else
            error = node.error();
    }
    EXPECT_EQ(error, u32{EMFILE});
    EXPECT_EQ(held.size(), 7u);  // and the root
    EXPECT_EQ(folder->open(*held[0], O_RDONLY).error(), u32{EMFILE});
    EXPECT_EQ(folder->list(*folder->root()).error(), u32{EMFILE});
    held.pop_back();
    EXPECT_TRUE(folder->open(*held[0], O_RDONLY).ok());
    EXPECT_TRUE(folder->list(*folder->root()).ok());
    folder.reset();
    EXPECT_NE(held[0], nullptr);  // nodes may outlive the folder
}

TEST_P(FolderTest, HandlesOutliveNames) {
    put(share / "file", "still here");
    auto folder = open();
    auto node = walk(*folder, {"file"});
    auto file = folder->open(*node, O_RDWR);
    ASSERT_TRUE(file.ok());
    fs::rename(share / "file", share / "other");
    EXPECT_EQ(read_all(*folder, *node), "still here");
    EXPECT_EQ(folder->remove(*folder->root(), "other", false), 0u);
    EXPECT_EQ(read_all(*folder, *node), "still here");
    EXPECT_EQ(*(*file)->write(0, bytes("S")), 1u);
    AttributeChange change;
    change.set_size = true;
    change.size = 5;
    EXPECT_EQ(folder->change(*node, change), 0u);
    EXPECT_EQ(read_all(*folder, *node), "Still");
    EXPECT_EQ(folder->link(*folder->root(), "again", *node), u32{ENOENT});
}

TEST_P(FolderTest, WorksInADeepTree) {
    auto folder = open();
    auto node = folder->root();
    const std::string name(200, 'd');
    u32 error = 0;
    int depth = 0;
    for (; depth < 64 && error == 0; depth++) {
        auto next = folder->make_directory(*node, name, 0755);
        if (next.ok())
            node = *next;
        else
            error = next.error();
    }
    EXPECT_EQ(error,
              u32{ENAMETOOLONG});  // where the kernel can no longer tell where a node lies, nothing is done with it
    EXPECT_GT(depth, 15);
    EXPECT_LT(depth, 25);
}

TEST_P(FolderTest, NeverShowsTheHostsProcesses) {
    auto folder = open_folder("/", {Mode::read_only, GetParam(), 64});
    ASSERT_TRUE(folder.ok());
    auto& root = *folder;
    EXPECT_EQ(root->lookup(*root->root(), "proc").error(), u32{EACCES});
    auto refused = open_folder("/proc/self", {Mode::read_only, GetParam(), 64});
    ASSERT_FALSE(refused.ok());
    EXPECT_NE(refused.error().message.find("/proc/self"), std::string::npos);
}

TEST_P(FolderTest, SaysWhatIsWrongWithAPath) {
    put(share / "file", "");
    for (const auto& path : {share / "absent", share / "file"}) {
        auto folder = open_folder(path.string(), {Mode::read_only, GetParam(), 64});
        ASSERT_FALSE(folder.ok());
        EXPECT_NE(folder.error().message.find(path.string()), std::string::npos) << folder.error().message;
    }
    EXPECT_FALSE(open_folder("", {Mode::read_only, GetParam(), 64}).ok());
    EXPECT_FALSE(open_folder(share.string(), {Mode::read_only, GetParam(), 3}).ok());
    ::chmod(share.c_str(), 0555);
    AsNobody user;
    EXPECT_TRUE(open_folder(share.string(), {Mode::read_only, GetParam(), 64}).ok());
    auto folder = open_folder(share.string(), {Mode::read_write, GetParam(), 64});
    ASSERT_FALSE(folder.ok());
    EXPECT_NE(folder.error().message.find("read-only"), std::string::npos) << folder.error().message;
}

}  // namespace
}  // namespace viv::native
