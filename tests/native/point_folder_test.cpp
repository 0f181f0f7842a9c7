// The folder of points: what is written is there again, one program at a time changes it, and a points.json of anybody
// else's leads nowhere.
#include "native/point_folder.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace viv::native {
namespace {

namespace fs = std::filesystem;

class Points : public ::testing::Test {
protected:
    void SetUp() override {
        char name[] = "/tmp/viv-points-test-XXXXXX";
        ASSERT_NE(mkdtemp(name), nullptr);
        scratch = name;
        folder = scratch + "/points";
    }
    void TearDown() override { fs::remove_all(scratch); }

    std::unique_ptr<PointFolder> open() {
        auto opened = PointFolder::open("--snapshots", folder);
        EXPECT_TRUE(opened.ok()) << opened.error().message;
        return opened.ok() ? std::move(opened).value() : nullptr;
    }
    static void add(PointFolder& points, const std::string& name, const std::string& parent,
                    const std::string& content) {
        auto file = points.create_file();
        ASSERT_TRUE(file.ok()) << file.error().message;
        ASSERT_TRUE(file->sink->write({reinterpret_cast<const u8*>(content.data()), content.size()}).ok());
        ASSERT_TRUE(file->sink->finish().ok());
        Point point;
        point.name = name;
        point.parent = parent;
        point.realtime_ns = 1'700'000'000'000'000'001;
        point.guest_ns = 2;
        point.instructions = ~u64{0};
        point.disks = {"virtio-blk-pci.0", "b"};
        point.file = file->name;
        ASSERT_TRUE(points.add(std::move(point)).ok());
    }
    std::string list() const {
        std::string text;
        for (const auto& entry : fs::directory_iterator(folder)) text += entry.path().filename().string() + " ";
        return text;
    }
    std::string json() const {
        std::ostringstream text;
        text << std::ifstream(folder + "/points.json").rdbuf();
        return text.str();
    }
    void set_json(const std::string& text) const { std::ofstream(folder + "/points.json") << text; }

    std::string scratch, folder;
};

TEST_F(Points, AreThereAgain) {
    {
        const auto points = open();
        EXPECT_EQ(list(), "");
        struct stat status {};
        ASSERT_EQ(stat(folder.c_str(), &status), 0);
        EXPECT_EQ(status.st_mode & 0777, 0700U);
        add(*points, "a", "", "first");
        add(*points, "../b/\"c\"", "a", "the second");
    }
    const auto points = open();
    ASSERT_EQ(points->tree().points().size(), 2U);
    const Point& point = points->tree().points()[1];
    EXPECT_EQ(point.name, "../b/\"c\"");
    EXPECT_EQ(point.parent, "a");
    EXPECT_EQ(point.realtime_ns, 1'700'000'000'000'000'001U);
    EXPECT_EQ(point.guest_ns, 2U);
    EXPECT_EQ(point.instructions, ~u64{0});
    EXPECT_EQ(point.disks, (std::vector<std::string>{"virtio-blk-pci.0", "b"}));
    EXPECT_EQ(point.bytes, 10U);
    const auto source = points->open(point);
    ASSERT_TRUE(source.ok());
    std::vector<u8> content(10);
    ASSERT_TRUE((*source)->file->read_at(0, content).ok());
    EXPECT_EQ(std::string(content.begin(), content.end()), "the second");
    ASSERT_TRUE(points->remove("a").ok());
    EXPECT_FALSE(points->remove("a").ok());
    EXPECT_EQ(points->tree().points()[0].parent, "");
    const auto read = PointFolder::read("--in", folder);
    ASSERT_TRUE(read.ok());
    EXPECT_EQ(read.value().points().size(), 1U);
    ASSERT_TRUE(points->remove("../b/\"c\"").ok());
    EXPECT_EQ(list(), "points.json ");
}

TEST_F(Points, AreChangedByOneProgramAtATime) {
    auto first = open();
    EXPECT_NE(PointFolder::open("--snapshots", folder).error().message.find("is in use by another viv"),
              std::string::npos);
    EXPECT_TRUE(PointFolder::read("--in", folder).ok());
    first.reset();
    EXPECT_TRUE(PointFolder::open("--snapshots", folder).ok());
}

TEST_F(Points, FilesOfOthersAreNotOverwritten) {
    auto points = open();
    std::ofstream(folder + "/point-1.viv") << "somebody's";
    add(*points, "a", "", "mine");
    EXPECT_EQ(points->tree().points()[0].file, "point-2.viv");
    points->remove_file("../points/point-1.viv");
    points->remove_file("point-01.viv");
    EXPECT_EQ(fs::file_size(folder + "/point-1.viv"), 10U);
    points->remove_file("point-1.viv");
    EXPECT_FALSE(fs::exists(folder + "/point-1.viv"));
    // Not finished: nothing stays.
    { const auto file = points->create_file(); }
    EXPECT_EQ(static_cast<int>(std::distance(fs::directory_iterator(folder), fs::directory_iterator())), 2);
}

TEST_F(Points, AListThatCannotBeWrittenChangesNothing) {
    const auto points = open();
    add(*points, "a", "", "first");
    const auto before = json();
    // In the place of the temporary file that becomes the list.
    const auto obstacle = fmt::format("{}/points.json.{}.partial", folder, getpid());
    fs::create_directory(obstacle);
    EXPECT_FALSE(points->remove("a").ok());
    EXPECT_NE(points->tree().find("a"), nullptr);
    EXPECT_EQ(json(), before);
    fs::remove(obstacle);
    EXPECT_TRUE(points->remove("a").ok());
}

TEST_F(Points, FoldersThatAreNone) {
    EXPECT_TRUE(PointFolder::check("--snapshots", folder).ok());  // it can be made
    EXPECT_FALSE(fs::exists(folder));
    EXPECT_FALSE(PointFolder::check("--snapshots", scratch + "/no/such").ok());
    EXPECT_FALSE(PointFolder::open("--snapshots", scratch + "/no/such").ok());
    EXPECT_FALSE(PointFolder::read("--in", folder).ok());
    std::ofstream(folder) << "a file";
    EXPECT_FALSE(PointFolder::check("--snapshots", folder).ok());
    EXPECT_FALSE(PointFolder::open("--snapshots", folder).ok());
}

TEST_F(Points, AListOfAnybodyElsesLeadsNowhere) {
    { add(*open(), "a", "", "first"); }
    const std::string good = json();
    const auto replaced = [&](const std::string& from, const std::string& to) {
        std::string text = good;
        const auto at = text.find(from);
        EXPECT_NE(at, std::string::npos) << from;
        return text.replace(at, from.size(), to);
    };
    EXPECT_TRUE(PointFolder::read("--in", folder).ok());
    std::string two = good;
    two.insert(
        two.rfind('}', two.rfind('}') - 1) + 1,
        R"(,{"name":"b","realtime-ns":1,"guest-ns":1,"instructions":1,"disks":[],"file":"point-1.viv","bytes":1})");
    const std::string texts[] = {"",
                                 "[]",
                                 "{",
                                 "null",
                                 "{}",
                                 R"({"version":1})",
                                 R"({"version":1,"points":{}})",
                                 R"({"version":1,"points":[1]})",
                                 R"({"version":1,"points":[{}]})",
                                 R"({"version":"1","points":[]})",
                                 R"({"version":-1,"points":[]})",
                                 std::string(100'000, '['),
                                 two,
                                 replaced("\"version\": 1", "\"version\": 2"),
                                 replaced("point-1.viv", "../point-1.viv"),
                                 replaced("point-1.viv", "/etc/passwd"),
                                 replaced("point-1.viv", "point-01.viv"),
                                 replaced("point-1.viv", "point-.viv"),
                                 replaced("point-1.viv", "point-1.viv\\u0000"),
                                 replaced("point-1.viv", "point-18446744073709551616.viv"),
                                 replaced("point-1.viv", "point--1.viv"),
                                 replaced("\"a\"", "\"\\u001b[2J\""),
                                 replaced("\"a\"", "\"\""),
                                 replaced("\"a\"", "1"),
                                 replaced("\"a\"", "\"a\",\"parent\":\"a\""),
                                 replaced("\"a\"", "\"a\",\"parent\":\"b\""),
                                 replaced("\"a\"", "\"a\",\"parent\":7"),
                                 replaced("1700000000000000001", "-1"),
                                 replaced("1700000000000000001", "1e3"),
                                 replaced("1700000000000000001", "18446744073709551616"),
                                 replaced("\"virtio-blk-pci.0\"", "[\"x\"]"),
                                 replaced("\"guest-ns\"", "\"guest\"")};
    for (const auto& text : texts) {
        set_json(text);
        const auto read = PointFolder::read("--in", folder);
        ASSERT_FALSE(read.ok()) << text.substr(0, 400);
        EXPECT_TRUE(read.error().message.starts_with("--in " + folder + "/points.json: ")) << read.error().message;
        EXPECT_FALSE(PointFolder::open("--snapshots", folder).ok());
        EXPECT_FALSE(PointFolder::check("--snapshots", folder).ok());
        EXPECT_EQ(json(), text);
    }
    set_json(replaced("point-1.viv", "point-18446744073709551615.viv"));
    {
        const auto points = open();
        EXPECT_FALSE(points->open(points->tree().points()[0]).ok());  // it is not there
        add(*points, "b", "a", "second");
        EXPECT_EQ(points->tree().find("b")->file, "point-2.viv");  // the first file lies there still
        EXPECT_TRUE(points->remove("a").ok());
    }
    EXPECT_EQ(PointFolder::read("--in", folder)->points().size(), 1U);
    // What is no file of ours is not opened, and no link is followed when one is removed.
    const auto points = open();
    const std::string file = points->path_of(points->tree().points()[0]);
    std::ofstream(scratch + "/outside") << "outside";
    fs::remove(file);
    fs::create_symlink(scratch + "/outside", file);
    EXPECT_TRUE(points->remove("b").ok());
    EXPECT_TRUE(fs::exists(scratch + "/outside"));
    EXPECT_FALSE(fs::is_symlink(file));
    fs::remove(folder + "/points.json");
    ASSERT_EQ(mkfifo((folder + "/points.json").c_str(), 0600), 0);
    EXPECT_FALSE(PointFolder::read("--in", folder).ok());  // and it does not hang
}

}  // namespace
}  // namespace viv::native
