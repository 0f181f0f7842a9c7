// The 9P2000.L server as the Linux client drives it, over a folder in memory: every request, every refusal, and
// sessions that are saved.
#include "engine/dev/virtio/p9_server.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/dev/p9_client.h"
#include "tests/dev/p9_memory_folder.h"

namespace viv::virtio::p9 {
namespace {

using test::Client;
using test::DirectoryEntry;
using test::MemoryFolder;

constexpr u32 enoent = 2, ebadf = 9, eexist = 17, enotdir = 20, eisdir = 21, einval = 22, enfile = 23, efbig = 27;
constexpr u32 eproto = 71, emsgsize = 90, enotsup = 95, estale = 116, enametoolong = 36, ebusy = 16, eperm = 1;

class P9ServerTest : public testing::Test {
protected:
    P9ServerTest() { EXPECT_EQ(client.start(), 0u); }

    static std::vector<u8> save(Server& server) {
        std::vector<u8> bytes;
        Archive archive = Archive::saver(bytes);
        server.state(archive);
        return bytes;
    }
    static Result<void> load(Server& server, std::span<const u8> bytes) {
        Archive archive = Archive::loader(bytes);
        server.state(archive);
        return archive.finish();
    }

    NullLogSink sink;
    Log log{sink, "9p"};
    MemoryFolder folder;
    Server server{folder, log};
    Client client{server};
};

TEST_F(P9ServerTest, NegotiatesTheVersion) {
    Server fresh(folder, log);
    Client other(fresh);
    EXPECT_EQ(other.call(Request::attach, u32{0}, no_fid, "", "", u32{0}).error(), eproto);
    EXPECT_EQ(other.call(Request::clunk, u32{0}).error(), eproto);
    const auto negotiate = [&](u32 msize, std::string_view name) {
        const auto answer = other.call(Request::version, msize, name);
        EXPECT_EQ(answer.error(), 0u);
        auto in = answer.body();
        const u32 agreed = in.load32();
        return std::to_string(agreed) + " " + std::string(in.text());
    };
    EXPECT_EQ(negotiate(8192, "9P2000.L"), "8192 9P2000.L");
    EXPECT_EQ(negotiate(~u32{0}, "9P2000.L"), "524288 9P2000.L");
    EXPECT_EQ(other.start(), 0u);
    EXPECT_EQ(negotiate(8192, "9P2000.u"), "8192 unknown");
    EXPECT_EQ(other.call(Request::clunk, u32{0}).error(), eproto);  // that session is over, and no other has begun
    EXPECT_EQ(other.call(Request::version, u32{4095}, "9P2000.L").error(), emsgsize);
    EXPECT_EQ(other.start(4096), 0u);
    EXPECT_EQ(fresh.message_limit(), 4096u);
    EXPECT_EQ(other.start(), 0u);  // a new session knows no old fids
    EXPECT_EQ(fresh.fids().size(), 1u);
}

TEST_F(P9ServerTest, OffersNeitherAuthenticationNorExtendedAttributesNorOldMessages) {
    EXPECT_EQ(client.call(Request::auth, u32{9}, "user", "", u32{0}).error(), enotsup);
    EXPECT_EQ(client.call(Request::attach, u32{1}, u32{9}, "user", "", u32{0}).error(), ebadf);
    EXPECT_EQ(client.call(Request::xattrwalk, u32{0}, u32{1}, "user.x").error(), enotsup);
    EXPECT_EQ(client.call(Request::xattrcreate, u32{0}, "user.x", u64{1}, u32{0}).error(), enotsup);
    for (const int old : {112, 114, 124, 126, 106, 0, 255, 7, 119})
        EXPECT_EQ(client.call(static_cast<Request>(old), u32{0}).error(), enotsup) << old;
    EXPECT_EQ(client.call(Request::flush, u16{1}).error(), 0u);
}

TEST_F(P9ServerTest, AttachesToTheRootOrBelowIt) {
    folder.put_directory("a");
    folder.put_directory("a/b");
    const auto attach = [&](u32 fid, std::string_view tree) {
        return client.call(Request::attach, fid, no_fid, "u", tree, u32{0}).error();
    };
    EXPECT_EQ(attach(0, ""), ebadf);  // in use
    EXPECT_EQ(attach(1, "/"), 0u);
    EXPECT_EQ(client.qid_path(1), client.qid_path(0));
    EXPECT_EQ(attach(2, "/a/b"), 0u);
    EXPECT_EQ(client.qid_path(2), folder.at("a/b")->number);
    EXPECT_EQ(attach(3, "/absent"), enoent);
    EXPECT_EQ(attach(3, "../a"), einval);
    EXPECT_EQ(attach(3, "a//b"), einval);
    EXPECT_EQ(attach(no_fid, ""), ebadf);
}

TEST_F(P9ServerTest, WalksAndStopsWhereThereIsNothing) {
    folder.put_directory("a");
    folder.put_directory("a/b");
    folder.put("a/b/file", "text");
    folder.put("a/link", "b", 0120777);
    const auto walk = [&](u32 from, u32 to, auto... names) {
        return client.call(Request::walk, from, to, static_cast<u16>(sizeof...(names)), names...);
    };
    auto answer = walk(0, 1, "a", "b", "file");
    ASSERT_EQ(answer.error(), 0u);
    auto in = answer.body();
    EXPECT_EQ(in.load16(), 3u);
    EXPECT_EQ(in.load<u8>(), qid_directory);
    EXPECT_NE(in.load32(), 0u);
    EXPECT_EQ(in.load64(), folder.at("a")->number);
    EXPECT_EQ(in.remaining(), 2u * qid_size);

    // Part of the way: the qids of that part, and no new fid.
    answer = walk(0, 2, "a", "absent", "file");
    ASSERT_EQ(answer.error(), 0u);
    EXPECT_EQ(answer.body().load16(), 1u);
    EXPECT_EQ(client.clunk(2), ebadf);
    EXPECT_EQ(walk(0, 2, "absent", "x").error(), enoent);
    EXPECT_EQ(walk(1, 2, "x").error(), enotdir);
    answer = walk(0, 2, "a", "link", "file");  // a link is not a way
    EXPECT_EQ(answer.body().load16(), 2u);
    EXPECT_EQ(client.clunk(2), ebadf);

    EXPECT_EQ(walk(1, 2).error(), 0u);  // a copy
    EXPECT_EQ(client.qid_path(2), folder.at("a/b/file")->number);
    EXPECT_EQ(walk(1, 2).error(), ebadf);
    EXPECT_EQ(walk(77, 3).error(), ebadf);
    EXPECT_EQ(walk(0, no_fid).error(), ebadf);
    EXPECT_EQ(walk(0, 3, "a", "b").error(), 0u);
    EXPECT_EQ(walk(3, 3, "..", "b", "file").error(), 0u);  // in place
    EXPECT_EQ(client.qid_path(3), folder.at("a/b/file")->number);
    EXPECT_EQ(walk(3, 3).error(), 0u);
    EXPECT_EQ(walk(0, 4, "..", "..", "a", "..").error(), 0u);  // the root is its own parent
    EXPECT_EQ(client.qid_path(4), client.qid_path(0));
    for (const char* name : {".", "a/b", "/"}) EXPECT_EQ(walk(0, 5, name).error(), einval) << name;
    EXPECT_EQ(walk(0, 5, "").error(), enoent);
    EXPECT_EQ(walk(0, 5, std::string(256, 'x')).error(), enametoolong);
    EXPECT_EQ(walk(0, 5, "a", "a", "a", "a", "a", "a", "a", "a", "a", "a", "a", "a", "a", "a", "a", "a", "a").error(),
              einval);
    EXPECT_EQ(client.open(1), 0u);
    EXPECT_EQ(walk(1, 6).error(), 0u);  // an open fid may be copied, and the copy is not open
    EXPECT_EQ(client.read(6), "error 9");
}

TEST_F(P9ServerTest, CreatesReadsAndWrites) {
    ASSERT_EQ(client.walk(1, ""), 0u);
    const auto answer = client.call(Request::lcreate, u32{1}, "file", u32{2}, u32{0640}, u32{0});
    ASSERT_EQ(answer.error(), 0u);
    auto in = answer.body();
    EXPECT_EQ(in.load<u8>(), qid_file);
    in.load32();
    EXPECT_EQ(in.load64(), folder.at("file")->number);
    EXPECT_EQ(in.load32(), 64u * 1024 - io_overhead);
    EXPECT_EQ(folder.at("file")->mode, 0100640u);
    EXPECT_EQ(client.write(1, 0, "hello world"), "11");
    EXPECT_EQ(client.write(1, 6, "there"), "5");
    EXPECT_EQ(client.read(1), "hello there");
    EXPECT_EQ(client.read(1, 6, 3), "the");
    EXPECT_EQ(client.read(1, 100), "");
    EXPECT_EQ(client.read(1, ~u64{0}), "");
    EXPECT_EQ(client.write(1, u64{1} << 40, "x"), "error 27");
    EXPECT_EQ(client.call(Request::fsync, u32{1}, u32{1}).error(), 0u);
    EXPECT_TRUE(folder.last_data_only);
    EXPECT_EQ(client.call(Request::fsync, u32{1}).error(), 0u);
    EXPECT_FALSE(folder.last_data_only);
    EXPECT_EQ(folder.syncs, 2u);

    EXPECT_EQ(client.open(1), einval);  // already
    EXPECT_EQ(client.call(Request::lcreate, u32{1}, "x", u32{2}, u32{0640}, u32{0}).error(), einval);
    EXPECT_EQ(client.walk(2, ""), 0u);
    EXPECT_EQ(client.call(Request::lcreate, u32{2}, "file", u32{2 | 0200}, u32{0640}, u32{0}).error(), eexist);
    EXPECT_EQ(client.call(Request::lcreate, u32{2}, "a/b", u32{2}, u32{0640}, u32{0}).error(), einval);
    EXPECT_EQ(client.read(2), "error 9");  // not open
    EXPECT_EQ(client.write(2, 0, "x"), "error 9");
    EXPECT_EQ(client.call(Request::fsync, u32{2}, u32{0}).error(), ebadf);
    EXPECT_EQ(client.open(2, 1), eisdir);
    EXPECT_EQ(client.open(2), 0u);
    EXPECT_EQ(client.read(2), "error 21");
    EXPECT_EQ(client.write(2, 0, "x"), "error 21");

    EXPECT_EQ(client.walk(3, "file"), 0u);
    EXPECT_EQ(client.open(3, 0200000), enotdir);  // O_DIRECTORY
    EXPECT_EQ(client.open(3, 1 | 02000), 0u);
    EXPECT_EQ(client.read(3), "error 9");
    EXPECT_EQ(client.write(3, 0, "!"), "1");
    EXPECT_EQ(folder.at("file")->contents, "hello there!");
    EXPECT_EQ(client.walk(4, "file"), 0u);
    EXPECT_EQ(client.open(4, 2 | 01000), 0u);
    EXPECT_EQ(folder.at("file")->contents, "");
    for (const u32 fid : {1, 2, 3, 4}) EXPECT_EQ(client.clunk(fid), 0u);
    EXPECT_EQ(client.clunk(1), ebadf);
}

TEST_F(P9ServerTest, AnswersOfReadsFitTheMessageSizeAndTheRoom) {
    folder.put("big", std::string(100'000, 'b'));
    ASSERT_EQ(client.start(4096), 0u);
    ASSERT_EQ(client.walk(1, "big"), 0u);
    ASSERT_EQ(client.open(1), 0u);
    EXPECT_EQ(client.read(1, 0, ~u32{0}).size(), 4096u - 11);
    client.room = 100;
    EXPECT_EQ(client.read(1, 0, ~u32{0}).size(), 89u);
    client.room = 11;
    EXPECT_EQ(client.read(1, 0, 10), "");
    EXPECT_EQ(client.call(Request::getattr, u32{1}, u64{0x7ff}).error(),
              emsgsize);  // an error fits, the answer does not
    client.room = 10;
    EXPECT_EQ(client.call(Request::clunk, u32{1}).bytes().size(), 0u);
    client.room = 70'000;
    EXPECT_EQ(client.clunk(1), 0u);  // what found no room was not done
    EXPECT_EQ(client.raw(std::vector<u8>(test::message(Request::write, u32{1}, u64{0}, u32{0}, std::string(5000, 'x'))))
                  .error(),
              emsgsize);
}

TEST_F(P9ServerTest, TellsAttributes) {
    folder.put("file", std::string(1000, 'x'), 0100751);
    folder.at("file")->modified_ns = 14;
    ASSERT_EQ(client.walk(1, "file"), 0u);
    const auto answer = client.call(Request::getattr, u32{1}, ~u64{0});
    ASSERT_EQ(answer.error(), 0u);
    EXPECT_EQ(answer.bytes().size(), 160u);
    auto in = answer.body();
    EXPECT_EQ(in.load64(), 0x7ffu);
    EXPECT_EQ(in.load<u8>(), qid_file);
    EXPECT_NE(in.load32(), 0u);
    EXPECT_EQ(in.load64(), folder.at("file")->number);
    EXPECT_EQ(in.load32(), 0100751u);
    EXPECT_EQ(in.load32(), 1000u);
    EXPECT_EQ(in.load32(), 1000u);
    const u64 rest[] = {1, 0x123, 1000, 4096, 2, 11, 12, 1'700'000'000, 14, 15, 16, 0, 0, 0, 0};
    for (const u64 value : rest) EXPECT_EQ(in.load64(), value);
    EXPECT_EQ(in.remaining(), 0u);
    EXPECT_EQ(client.call(Request::getattr, u32{5}, u64{0}).error(), ebadf);

    auto statistics = client.call(Request::statfs, u32{1});
    ASSERT_EQ(statistics.error(), 0u);
    in = statistics.body();
    EXPECT_EQ(in.load32(), 1u);
    EXPECT_EQ(in.load32(), 2u);
    for (const u64 value : {3, 4, 5, 6, 7, 8}) EXPECT_EQ(in.load64(), value);
    EXPECT_EQ(in.load32(), 255u);
    EXPECT_EQ(in.remaining(), 0u);
}

TEST_F(P9ServerTest, ChangesAttributes) {
    folder.put("file", "0123456789");
    ASSERT_EQ(client.walk(1, "file"), 0u);
    const auto set = [&](u32 valid, u32 mode, u32 uid, u32 gid, u64 size, u64 atime, u64 atime_ns, u64 mtime,
                         u64 mtime_ns) {
        return client.call(Request::setattr, u32{1}, valid, mode, uid, gid, size, atime, atime_ns, mtime, mtime_ns)
            .error();
    };
    using Time = host::AttributeChange::Time;
    EXPECT_EQ(set(1 | 8, 0104600, 9, 9, 4, 0, 0, 0, 0), 0u);
    EXPECT_EQ(folder.at("file")->contents, "0123");
    EXPECT_EQ(folder.last_change.mode, 04600u);
    EXPECT_FALSE(folder.last_change.set_uid || folder.last_change.set_gid);
    EXPECT_EQ(folder.last_change.accessed, Time::keep);
    EXPECT_EQ(set(2 | 4, 0, 1001, 1002, 0, 0, 0, 0, 0), 0u);
    EXPECT_TRUE(folder.last_change.set_uid && folder.last_change.set_gid);
    EXPECT_EQ(folder.last_change.uid, 1001u);
    EXPECT_EQ(folder.last_change.gid, 1002u);
    EXPECT_EQ(set(2, 0, 0, 0, 0, 0, 0, 0, 0), eperm);  // what the host refuses is refused
    EXPECT_EQ(set(0x10 | 0x20 | 0x40, 0, 0, 0, 0, 5, 5, 5, 5), 0u);
    EXPECT_EQ(folder.last_change.accessed, Time::now);
    EXPECT_EQ(folder.last_change.modified, Time::now);
    EXPECT_EQ(set(0x10 | 0x20 | 0x80 | 0x100, 0, 0, 0, 0, 5, 6, ~u64{0}, 8), 0u);
    EXPECT_EQ(folder.last_change.accessed, Time::given);
    EXPECT_EQ(folder.last_change.accessed_s, 5);
    EXPECT_EQ(folder.last_change.accessed_ns, 6u);
    EXPECT_EQ(folder.last_change.modified_s, -1);
    EXPECT_EQ(folder.last_change.modified_ns, 8u);
    EXPECT_EQ(set(0x10 | 0x80, 0, 0, 0, 0, 5, u64{1} << 32, 0, 0), einval);
    EXPECT_EQ(set(8, 0, 0, 0, ~u64{0}, 0, 0, 0, 0), efbig);
}

TEST_F(P9ServerTest, QidsStayAndVersionsFollowTheContents) {
    folder.put("file", "x");
    const auto version = [&](u32 fid) {
        auto in = client.call(Request::getattr, fid, u64{0x7ff}).body();
        in.load64(), in.load<u8>();
        return in.load32();
    };
    ASSERT_EQ(client.walk(1, "file"), 0u);
    const u64 path = client.qid_path(1);
    const u32 before = version(1);
    EXPECT_EQ(version(1), before);
    EXPECT_EQ(client.call(Request::renameat, u32{0}, "file", u32{0}, "other").error(), 0u);
    EXPECT_EQ(client.qid_path(1), path);
    EXPECT_EQ(version(1), before);
    ASSERT_EQ(client.walk(2, "other"), 0u);
    EXPECT_EQ(client.qid_path(2), path);
    ASSERT_EQ(client.open(2, 2), 0u);
    EXPECT_EQ(client.write(2, 1, "y"), "1");
    EXPECT_NE(version(1), before);
    EXPECT_EQ(client.qid_path(1), path);
}

TEST_F(P9ServerTest, MakesNamesAndTakesThemAway) {
    const auto made = [&](const test::Answer& answer, u8 type, std::string_view path) {
        ASSERT_EQ(answer.error(), 0u);
        auto in = answer.body();
        EXPECT_EQ(in.load<u8>(), type);
        in.load32();
        EXPECT_EQ(in.load64(), folder.at(path)->number);
        EXPECT_EQ(in.remaining(), 0u);
    };
    made(client.call(Request::mkdir, u32{0}, "d", u32{040755}, u32{0}), qid_directory, "d");
    EXPECT_EQ(folder.at("d")->mode, 0040755u);
    made(client.call(Request::symlink, u32{0}, "s", "/etc/passwd", u32{0}), qid_symlink, "s");
    made(client.call(Request::mknod, u32{0}, "n", u32{0010644}, u32{0x1234}, u32{0x56789}, u32{0}), qid_file, "n");
    EXPECT_EQ(folder.last_special, (u64{0x1000} << 32) | (u64{0x56700} << 12) | 0x23400 | 0x89);
    EXPECT_EQ(client.call(Request::mkdir, u32{0}, "d", u32{0755}, u32{0}).error(), eexist);
    EXPECT_EQ(client.call(Request::mkdir, u32{0}, "..", u32{0755}, u32{0}).error(), einval);
    EXPECT_EQ(client.call(Request::symlink, u32{0}, "a/b", "x", u32{0}).error(), einval);
    EXPECT_EQ(client.call(Request::mknod, u32{0}, "", u32{0100644}, u32{0}, u32{0}, u32{0}).error(), enoent);

    ASSERT_EQ(client.walk(1, "s"), 0u);
    const auto link = client.call(Request::readlink, u32{1});
    EXPECT_EQ(link.body().text(), "/etc/passwd");
    EXPECT_EQ(client.call(Request::readlink, u32{0}).error(), einval);
    ASSERT_EQ(client.walk(2, "n"), 0u);
    ASSERT_EQ(client.walk(3, "d"), 0u);
    EXPECT_EQ(client.call(Request::link, u32{3}, u32{2}, "m").error(), 0u);
    EXPECT_EQ(folder.at("d/m"), folder.at("n"));
    EXPECT_EQ(client.call(Request::link, u32{3}, u32{2}, "m").error(), eexist);
    EXPECT_EQ(client.call(Request::link, u32{3}, u32{2}, ".").error(), einval);
    EXPECT_EQ(client.call(Request::link, u32{3}, u32{9}, "x").error(), ebadf);

    EXPECT_EQ(client.call(Request::unlinkat, u32{0}, "d", u32{0}).error(), eisdir);
    EXPECT_EQ(client.call(Request::unlinkat, u32{0}, "d", u32{0x200}).error(), 39u);
    EXPECT_EQ(client.call(Request::unlinkat, u32{0}, "n", u32{1}).error(), einval);
    EXPECT_EQ(client.call(Request::unlinkat, u32{0}, "..", u32{0x200}).error(), einval);
    EXPECT_EQ(client.call(Request::unlinkat, u32{0}, "n", u32{0}).error(), 0u);
    EXPECT_EQ(client.call(Request::remove, u32{2}).error(),
              estale);  // the name is gone; what else has the name is not meant
    EXPECT_EQ(client.clunk(2), ebadf);
    ASSERT_EQ(client.walk(2, "d/m"), 0u);
    EXPECT_EQ(client.call(Request::remove, u32{2}).error(), 0u);
    EXPECT_EQ(client.clunk(2), ebadf);
    EXPECT_EQ(client.call(Request::remove, u32{3}).error(), 0u);
    EXPECT_EQ(folder.at("d"), nullptr);
    EXPECT_EQ(client.call(Request::remove, u32{0}).error(), ebusy);
    EXPECT_EQ(client.call(Request::remove, u32{0}).error(), ebadf);
}

TEST_F(P9ServerTest, RemovesOnlyTheFileItWasToldTo) {
    folder.put("file", "old");
    ASSERT_EQ(client.walk(1, "file"), 0u);
    folder.erase("file");
    folder.put("file", "new, by the host");
    EXPECT_EQ(client.call(Request::remove, u32{1}).error(), estale);
    EXPECT_NE(folder.at("file"), nullptr);
    ASSERT_EQ(client.walk(1, "file"), 0u);
    folder.erase("file");
    folder.put("file", "newer");
    EXPECT_EQ(client.call(Request::rename, u32{1}, u32{0}, "other").error(), estale);
    EXPECT_NE(folder.at("file"), nullptr);
}

TEST_F(P9ServerTest, FidsFollowRenames) {
    folder.put_directory("a");
    folder.put_directory("a/b");
    folder.put("a/b/file", "text");
    folder.put_directory("a-b");
    folder.put("a-b/file", "other");
    ASSERT_EQ(client.walk(1, "a/b/file"), 0u);
    ASSERT_EQ(client.walk(2, "a"), 0u);
    ASSERT_EQ(client.walk(3, "a-b/file"), 0u);
    EXPECT_EQ(client.call(Request::renameat, u32{0}, "a", u32{0}, "z").error(), 0u);
    EXPECT_EQ(server.fids().all().at(1).path, "z/b/file");
    EXPECT_EQ(server.fids().all().at(2).path, "z");
    EXPECT_EQ(server.fids().all().at(3).path, "a-b/file");  // begins alike, lies elsewhere
    EXPECT_EQ(client.call(Request::rename, u32{1}, u32{0}, "top").error(), 0u);
    EXPECT_EQ(server.fids().all().at(1).path, "top");
    EXPECT_EQ(client.open(1), 0u);
    EXPECT_EQ(client.read(1), "text");
    // A file that another replaces keeps its fid, not its name.
    EXPECT_EQ(client.call(Request::renameat, u32{0}, "top", u32{0}, "top").error(), 0u);
    ASSERT_EQ(client.walk(4, "a-b"), 0u);
    EXPECT_EQ(client.call(Request::renameat, u32{0}, "top", u32{4}, "file").error(), 0u);
    EXPECT_EQ(server.fids().all().at(1).path, "a-b/file");
    EXPECT_TRUE(server.fids().all().at(3).detached);
    EXPECT_EQ(client.open(3), 0u);
    EXPECT_EQ(client.read(3), "other");
    EXPECT_EQ(client.call(Request::remove, u32{3}).error(), estale);
    EXPECT_EQ(folder.at("a-b/file")->contents, "text");
    EXPECT_EQ(client.call(Request::rename, u32{0}, u32{0}, "root").error(), ebusy);
    EXPECT_EQ(client.call(Request::rename, u32{1}, u32{0}, "../x").error(), einval);
    EXPECT_EQ(client.call(Request::renameat, u32{0}, "absent", u32{0}, "x").error(), enoent);
    EXPECT_EQ(client.call(Request::renameat, u32{0}, "..", u32{0}, "x").error(), einval);
    EXPECT_EQ(client.call(Request::renameat, u32{0}, "a-b", u32{4}, "x").error(), einval);
}

TEST_F(P9ServerTest, AnOpenFileOutlivesItsName) {
    folder.put("file", "text");
    ASSERT_EQ(client.walk(1, "file"), 0u);
    ASSERT_EQ(client.open(1, 2), 0u);
    EXPECT_EQ(client.call(Request::unlinkat, u32{0}, "file", u32{0}).error(), 0u);
    EXPECT_EQ(client.read(1), "text");
    EXPECT_EQ(client.write(1, 0, "T"), "1");
    auto in = client.call(Request::getattr, u32{1}, u64{0x7ff}).body();
    in.data(8 + 13 + 12);
    EXPECT_EQ(in.load64(), 0u);  // no links
    ASSERT_EQ(client.call(Request::walk, u32{1}, u32{2}, u16{0}).error(), 0u);
    EXPECT_TRUE(server.fids().all().at(2).detached);
    EXPECT_EQ(client.call(Request::walk, u32{2}, u32{3}, u16{1}, "..").error(), estale);
}

TEST_F(P9ServerTest, ListsADirectoryInPieces) {
    folder.put_directory("d");
    std::set<std::string> wanted = {".", ".."};
    for (int i = 0; i < 1000; i++) {
        const std::string name = "entry-" + std::to_string(i * i);
        if (i % 3 == 0)
            folder.put_directory("d/" + name);
        else
            folder.put("d/" + name, "x", i % 3 == 1 ? 0120777 : 0100644);
        wanted.insert(name);
    }
    ASSERT_EQ(client.walk(1, "d"), 0u);
    std::vector<DirectoryEntry> entries;
    EXPECT_EQ(client.readdir(1, 0, 4096, entries), ebadf);  // not open
    ASSERT_EQ(client.open(1), 0u);
    EXPECT_EQ(client.readdir(1, 0, 24, entries), einval);  // not even "." fits
    u64 offset = 0;
    usize messages = 0;
    for (;; messages++) {
        const usize before = entries.size();
        ASSERT_EQ(client.readdir(1, offset, 700, entries), 0u);
        if (entries.size() == before) break;
        offset = entries.back().offset;
    }
    EXPECT_GT(messages, 50u);
    EXPECT_EQ(folder.lists, 2u);  // once in vain, once for all the pieces
    std::set<std::string> names;
    for (usize i = 0; i < entries.size(); i++) {
        const auto& entry = entries[i];
        names.insert(entry.name);
        if (i > 0) {
            EXPECT_GT(entry.offset, entries[i - 1].offset);
        }
        EXPECT_LT(entry.offset, u64{1} << 63);
        if (entry.name == "." || entry.name == "..") {
            EXPECT_EQ(entry.type, 4);
            EXPECT_EQ(entry.qid_path, folder.at(entry.name == "." ? "d" : "")->number);
            continue;
        }
        const auto inode = folder.at("d/" + entry.name);
        EXPECT_EQ(entry.qid_path, inode->number);
        EXPECT_EQ(entry.type, inode->mode >> 12);
        EXPECT_EQ(entry.qid_type, inode->is_directory() ? qid_directory : inode->is_symlink() ? qid_symlink : qid_file);
    }
    EXPECT_EQ(names, wanted);
    EXPECT_EQ(entries.size(), wanted.size());

    // An offset means the same entry later, whatever was added or removed, in this session or another.
    const u64 middle = entries[500].offset;
    for (int i = 0; i < 100; i++) folder.put("d/new-" + std::to_string(i), "");
    for (usize i = 100; i < 400; i++) folder.erase("d/" + entries[i].name);
    Server other(folder, log);
    ASSERT_TRUE(load(other, save(server)).ok());
    for (Server* which : {&server, &other}) {
        Client reader(*which);
        std::vector<DirectoryEntry> later;
        std::vector<DirectoryEntry> rest;
        u64 at = middle;
        do {
            later.clear();
            ASSERT_EQ(reader.readdir(1, at, 2000, later), 0u);
            if (!later.empty()) at = later.back().offset;
            rest.insert(rest.end(), later.begin(), later.end());
        } while (!later.empty());
        std::erase_if(rest, [](const auto& entry) { return entry.name.starts_with("new-"); });
        ASSERT_EQ(rest.size(), entries.size() - 501);
        for (usize i = 0; i < rest.size(); i++) EXPECT_EQ(rest[i].name, entries[501 + i].name);
    }
    // Rewinding shows what is there now.
    entries.clear();
    ASSERT_EQ(client.readdir(1, 0, 60'000, entries), 0u);
    EXPECT_EQ(entries.size(), wanted.size() + 100 - 300);
    ASSERT_EQ(client.walk(2, "d/new-1"), 0u);
    ASSERT_EQ(client.open(2), 0u);
    EXPECT_EQ(client.readdir(2, 0, 4096, entries), enotdir);
}

TEST_F(P9ServerTest, KnowsFilesOfOtherDevicesApart) {
    folder.put("file", "x");
    ASSERT_EQ(client.walk(1, "file"), 0u);
    const u64 path = client.qid_path(1);
    folder.device++;
    EXPECT_NE(client.qid_path(1), path);
    EXPECT_EQ(client.qid_path(1), client.qid_path(1));
}

TEST_F(P9ServerTest, GrantsLocksWithinTheShare) {
    folder.put("file", "x");
    ASSERT_EQ(client.walk(1, "file"), 0u);
    ASSERT_EQ(client.walk(2, "file"), 0u);
    const auto lock = [&](u32 fid, u8 type, u64 start, u64 length, u32 process) -> int {
        const auto answer = client.call(Request::lock, fid, type, u32{1}, start, length, process, "guest");
        if (answer.error() != 0) return static_cast<int>(answer.error());
        return answer.body().load<u8>();
    };
    EXPECT_EQ(lock(1, 1, 0, 0, 10), 9);  // not open
    ASSERT_EQ(client.open(1, 2), 0u);
    ASSERT_EQ(client.open(2, 2), 0u);
    EXPECT_EQ(lock(1, 1, 100, 50, 10), 0);
    EXPECT_EQ(lock(2, 0, 149, 1, 11), 1);
    EXPECT_EQ(lock(2, 0, 150, 0, 11), 0);
    EXPECT_EQ(lock(1, 3, 0, 0, 10), int{einval});
    EXPECT_EQ(lock(1, 0, ~u64{0}, 2, 10), int{einval});
    const auto answer = client.call(Request::getlock, u32{2}, u8{1}, u64{0}, u64{0}, u32{11}, "guest");
    ASSERT_EQ(answer.error(), 0u);
    auto in = answer.body();
    EXPECT_EQ(in.load<u8>(), 1);
    EXPECT_EQ(in.load64(), 100u);
    EXPECT_EQ(in.load64(), 50u);
    EXPECT_EQ(in.load32(), 10u);
    EXPECT_EQ(in.text(), "guest");
    const auto none = client.call(Request::getlock, u32{2}, u8{0}, u64{0}, u64{10}, u32{11}, "guest");
    EXPECT_EQ(none.body().load<u8>(), 2);
    // Locks are part of the saved machine.
    Server other(folder, log);
    ASSERT_TRUE(load(other, save(server)).ok());
    EXPECT_EQ(other.locks().size(), 2u);
    EXPECT_EQ(client.clunk(1), 0u);
    EXPECT_EQ(lock(2, 1, 0, 0, 11), 0);
    EXPECT_EQ(client.call(Request::lock, u32{2}, u8{1}, u32{0}, u64{0}, u64{0}, u32{11}, std::string(300, 'c'))
                  .body()
                  .load<u8>(),
              2);
}

TEST_F(P9ServerTest, ASavedSessionGoesOnWhereTheFolderIs) {
    folder.put_directory("d");
    folder.put("d/file", "contents");
    folder.put("gone", "x");
    folder.put("other", "x");
    ASSERT_EQ(client.walk(1, "d/file"), 0u);
    ASSERT_EQ(client.open(1, 2), 0u);
    ASSERT_EQ(client.walk(2, "gone"), 0u);
    ASSERT_EQ(client.walk(3, "other"), 0u);
    ASSERT_EQ(client.open(3), 0u);
    ASSERT_EQ(client.walk(4, "d"), 0u);
    folder.put("unlinked", "x");
    ASSERT_EQ(client.walk(5, "unlinked"), 0u);
    ASSERT_EQ(client.open(5), 0u);
    ASSERT_EQ(client.call(Request::unlinkat, u32{0}, "unlinked", u32{0}).error(), 0u);
    folder.put("unlinked", "another of that name");
    const auto saved = save(server);

    folder.erase("gone");
    folder.erase("other");
    folder.put("other", "not the one that was open");
    Server next(folder, log);
    Client after(next);
    ASSERT_TRUE(load(next, saved).ok());
    EXPECT_EQ(save(next), saved);
    EXPECT_EQ(after.read(1), "contents");
    EXPECT_EQ(after.write(1, 8, "!"), "1");
    EXPECT_EQ(folder.at("d/file")->contents, "contents!");
    EXPECT_EQ(after.call(Request::getattr, u32{2}, u64{0x7ff}).error(), estale);
    EXPECT_EQ(after.read(3), "error 116");
    EXPECT_EQ(after.read(5), "error 116");
    EXPECT_EQ(after.call(Request::mkdir, u32{4}, "new", u32{0755}, u32{0}).error(), 0u);
    EXPECT_NE(folder.at("d/new"), nullptr);
    for (const u32 fid : {1, 2, 3, 4, 5}) EXPECT_EQ(after.clunk(fid), 0u);
}

TEST_F(P9ServerTest, ASavedSessionGoesOnInACopyOfTheFolder) {
    folder.put_directory("d");
    folder.put("d/file", "contents");
    folder.put("kind", "x");
    ASSERT_EQ(client.walk(1, "d/file"), 0u);
    ASSERT_EQ(client.open(1), 0u);
    ASSERT_EQ(client.walk(2, "kind"), 0u);
    const auto saved = save(server);
    MemoryFolder copy;
    copy.device = 99;
    copy.next_number = 5000;
    copy.put_directory("d");
    copy.put("d/file", "contents, copied");
    copy.put_directory("kind");
    Server next(copy, log);
    Client after(next);
    ASSERT_TRUE(load(next, saved).ok());
    EXPECT_EQ(after.read(1), "contents, copied");
    EXPECT_EQ(after.call(Request::getattr, u32{2}, u64{0x7ff}).error(), estale);  // a directory is not a file
}

TEST_F(P9ServerTest, RunsOnFewDescriptors) {
    for (int i = 0; i < 600; i++) folder.put("f" + std::to_string(i), std::to_string(i));
    for (u32 i = 0; i < 600; i++) ASSERT_EQ(client.walk(1 + i, "f" + std::to_string(i)), 0u);
    EXPECT_LE(folder.held, FidTable::maximum_nodes + 8);
    EXPECT_EQ(client.qid_path(1), folder.at("f0")->number);  // found again
    folder.maximum_held = 20;
    for (u32 i = 0; i < 10; i++) ASSERT_EQ(client.open(1 + i), 0u) << i;
    u32 opened = 10;
    while (client.open(1 + opened) == 0 && opened < 100) opened++;
    EXPECT_LT(opened, 20u);
    EXPECT_EQ(client.open(1 + opened), 24u);
    EXPECT_EQ(client.read(1), "0");
    for (u32 i = 0; i < opened; i++) ASSERT_EQ(client.clunk(1 + i), 0u);
    EXPECT_EQ(client.open(1 + opened), 0u);
    // A file that was replaced while nobody held it is not taken for the old one.
    folder.maximum_held = 100'000;
    folder.erase("f500");
    folder.put("f500", "another");
    for (u32 i = 0; i < 300; i++) client.qid_path(150 + i);
    EXPECT_EQ(client.call(Request::getattr, u32{501}, u64{0x7ff}).error(), estale);
}

TEST_F(P9ServerTest, TheNumberOfFidsIsBounded) {
    client.room = 100;
    u32 fid = 1;
    while (client.call(Request::walk, u32{0}, fid, u16{0}).error() == 0 && fid < 100'000) fid++;
    EXPECT_EQ(fid, FidTable::maximum_fids);
    EXPECT_EQ(client.call(Request::walk, u32{0}, fid, u16{0}).error(), enfile);
    EXPECT_LE(folder.held, FidTable::maximum_nodes + 8);
    Server other(folder, log);
    EXPECT_TRUE(load(other, save(server)).ok());
    EXPECT_EQ(other.fids().size(), FidTable::maximum_fids);
}

TEST_F(P9ServerTest, TheBytesOfPathsAreBounded) {
    const std::string name(250, 'n');
    u32 error = 0;
    int depth = 0;
    ASSERT_EQ(client.walk(1, ""), 0u);
    for (; error == 0; depth++) {
        error = client.call(Request::mkdir, u32{1}, name, u32{0755}, u32{0}).error();
        if (error == 0) error = client.call(Request::walk, u32{1}, u32{1}, u16{1}, name).error();
    }
    EXPECT_EQ(error, enametoolong);
    EXPECT_EQ(depth, 17);  // 16 names of 251 bytes are 4016
    u32 fid = 2;
    while (client.call(Request::walk, u32{1}, fid, u16{0}).error() == 0) fid++;
    EXPECT_EQ(client.call(Request::walk, u32{1}, fid, u16{0}).error(), enfile);
    EXPECT_NEAR(fid, FidTable::maximum_path_bytes / 4015, 5);
    EXPECT_EQ(client.call(Request::lcreate, u32{2}, "file", u32{2}, u32{0644}, u32{0}).error(), enfile);
    Server other(folder, log);
    EXPECT_TRUE(load(other, save(server)).ok());
}

// Every request, cut at every length, with its size field right and wrong: an answer, and no change.
TEST_F(P9ServerTest, BrokenMessagesAreAnswered) {
    folder.put("file", "x");
    ASSERT_EQ(client.walk(1, "file"), 0u);
    ASSERT_EQ(client.open(1, 2), 0u);
    const std::vector<std::vector<u8>> messages = {
        test::message(Request::version, u32{8192}, "9P2000.L"),
        test::message(Request::attach, u32{9}, no_fid, "u", "", u32{0}),
        test::message(Request::flush, u16{0}),
        test::message(Request::walk, u32{0}, u32{9}, u16{2}, "a", "b"),
        test::message(Request::lopen, u32{0}, u32{0}),
        test::message(Request::lcreate, u32{0}, "new", u32{2}, u32{0644}, u32{0}),
        test::message(Request::read, u32{1}, u64{0}, u32{10}),
        test::message(Request::write, u32{1}, u64{0}, u32{1}, u8{'y'}),
        test::message(Request::clunk, u32{0}),
        test::message(Request::remove, u32{1}),
        test::message(Request::statfs, u32{0}),
        test::message(Request::symlink, u32{0}, "new", "t", u32{0}),
        test::message(Request::mknod, u32{0}, "new", u32{0100644}, u32{0}, u32{0}, u32{0}),
        test::message(Request::rename, u32{1}, u32{0}, "new"),
        test::message(Request::readlink, u32{0}),
        test::message(Request::getattr, u32{0}, u64{0}),
        test::message(Request::setattr, u32{1}, u32{8}, u32{0}, u32{0}, u32{0}, u64{0}, u64{0}, u64{0}, u64{0}, u64{0}),
        test::message(Request::readdir, u32{0}, u64{0}, u32{100}),
        test::message(Request::lock, u32{1}, u8{0}, u32{0}, u64{0}, u64{0}, u32{1}, "c"),
        test::message(Request::getlock, u32{1}, u8{0}, u64{0}, u64{0}, u32{1}, "c"),
        test::message(Request::link, u32{0}, u32{1}, "new"),
        test::message(Request::mkdir, u32{0}, "new", u32{0755}, u32{0}),
        test::message(Request::renameat, u32{0}, "file", u32{0}, "new"),
        test::message(Request::unlinkat, u32{0}, "file", u32{0}),
    };
    for (const auto& whole : messages) {
        for (usize length = 0; length < whole.size(); length++) {
            std::vector<u8> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
            EXPECT_EQ(client.raw(cut).error(), eproto) << int{whole[4]} << " at " << length;  // says more than there is
            if (length < 4) continue;
            store_le(cut.data(), static_cast<u32>(length));
            EXPECT_EQ(client.raw(cut).error(), eproto) << int{whole[4]} << " at " << length;
        }
    }
    EXPECT_EQ(server.fids().size(), 2u);
    EXPECT_EQ(folder.at("")->names.size(), 1u);
    EXPECT_EQ(folder.at("file")->contents, "x");
    EXPECT_EQ(server.locks().size(), 0u);
}

TEST_F(P9ServerTest, ASavedSessionThatWasTamperedWithIsRefused) {
    folder.put_directory("directory");
    ASSERT_EQ(client.walk(1, "directory"), 0u);
    const auto saved = save(server);
    auto evil = saved;
    const std::string_view path = "directory";
    const auto at = std::search(evil.begin(), evil.end(), path.begin(), path.end());
    ASSERT_NE(at, evil.end());
    *at = '/';
    Server next(folder, log);
    EXPECT_FALSE(load(next, evil).ok());
    u64 seed = 1;
    for (int i = 0; i < 3000; i++) {
        evil = saved;
        for (int flips = 0; flips < 3; flips++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            evil[(seed >> 33) % evil.size()] = static_cast<u8>(seed >> 20);
        }
        if (i % 4 == 0) evil.resize((seed >> 40) % evil.size());
        Server victim(folder, log);
        (void)load(victim, evil);
        Client reader(victim);
        reader.call(Request::getattr, u32{1}, u64{0x7ff}).error();
    }
}

}  // namespace
}  // namespace viv::virtio::p9
