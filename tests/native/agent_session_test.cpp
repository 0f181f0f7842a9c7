// The host's side of the agent's protocol against the agent itself, compiled for this machine, over a socket pair; and
// against guests that lie.
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "native/agent_copy.h"
#include "native/agent_session.h"
#include "native/descriptor.h"

namespace viv::native {
namespace {

namespace fs = std::filesystem;

class Folder {
public:
    Folder() {
        char name[] = "/tmp/viv-agent-test-XXXXXX";
        EXPECT_NE(mkdtemp(name), nullptr);
        path_ = name;
    }
    ~Folder() { fs::remove_all(path_); }
    std::string operator/(const std::string& name) const { return path_ + "/" + name; }
    const std::string& path() const { return path_; }

private:
    std::string path_;
};

void write_file(const std::string& path, const std::string& content) {
    std::ofstream(path, std::ios::binary) << content;
}
std::string read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}
std::string text(std::span<const u8> bytes) { return {bytes.begin(), bytes.end()}; }
std::span<const u8> bytes(std::string_view content) {
    return {reinterpret_cast<const u8*>(content.data()), content.size()};
}

// The agent as a process of this machine. It is always given something harmless to power off with.
class NativeAgent : public ::testing::Test {
protected:
    static void SetUpTestSuite() {
        folder = new Folder;
        const auto command = fmt::format(
            "cc -std=c11 -O1 -o {0}/agent {1}/guests/agent/*.c && printf '#!/bin/sh\\necho $1 >{0}/halted\\n' "
            ">{0}/halt && "
            "chmod +x {0}/halt && mkfifo {0}/halted",
            folder->path(), VIV_SOURCE_FOLDER);
        ASSERT_EQ(std::system(command.c_str()), 0);
    }
    static void TearDownTestSuite() {
        delete folder;
        folder = nullptr;
    }

    void SetUp() override {
        int ends[2];
        ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
        host_ = Descriptor(ends[0]);
        fcntl(ends[0], F_SETFL, O_NONBLOCK);
        fcntl(ends[0], F_SETFD, FD_CLOEXEC);
        const auto program = *folder / "agent", port = fmt::format("fd:{}", ends[1]), halt = *folder / "halt";
        agent_ = fork();
        if (agent_ == 0) {
            execl(program.c_str(), "agent", "--port", port.c_str(), "--halt-with", halt.c_str(), nullptr);
            _exit(127);
        }
        close(ends[1]);
    }
    void TearDown() override {
        host_.reset();
        int status = 0;
        ASSERT_EQ(waitpid(agent_, &status, 0), agent_);
    }

    // Moves bytes until `done`, or nothing has moved for long.
    template <class Done>
    ::testing::AssertionResult pump(AgentSession& session, Done done) {
        while (!done()) {
            session.step();
            bool moved = false;
            if (!session.output().empty()) {
                const ssize_t count =
                    send(host_.number(), session.output().data(), session.output().size(), MSG_NOSIGNAL);
                if (count > 0) session.sent(static_cast<usize>(count));
                moved = count > 0;
            }
            pollfd ready{host_.number(), POLLIN, 0};
            if (!session.output().empty()) ready.events |= POLLOUT;
            if (poll(&ready, 1, moved ? 0 : 10'000) == 0 && !moved)
                return ::testing::AssertionFailure() << "nothing happens";
            u8 buffer[65536];
            const ssize_t count = (ready.revents & POLLIN) != 0 ? read(host_.number(), buffer, sizeof buffer) : 0;
            if (count > 0) session.receive({buffer, static_cast<usize>(count)});
            if (session.state() == AgentSession::State::lost) return ::testing::AssertionFailure() << session.problem();
        }
        return ::testing::AssertionSuccess();
    }
    ::testing::AssertionResult connect(AgentSession& session) {
        return pump(session, [&] { return session.state() == AgentSession::State::ready; });
    }
    ::testing::AssertionResult finish(AgentSession& session, AgentOperation& operation) {
        session.start(operation);
        return pump(session, [&] { return operation.done(); });
    }

    static Folder* folder;
    Descriptor host_;
    pid_t agent_ = 0;
};
Folder* NativeAgent::folder = nullptr;

struct Collected {
    std::string out, error;
    void take(AgentProcess& process) {
        for (const auto stream : {AgentProcess::Stream::out, AgentProcess::Stream::error}) {
            const auto got = process.output(stream);
            (stream == AgentProcess::Stream::out ? out : error).append(got.begin(), got.end());
            process.take(stream, got.size());
        }
    }
};

AgentProcess::Start shell(const std::string& script) { return {{"/bin/sh", "-c", script}, {}, "", false, 0, 0}; }

TEST_F(NativeAgent, StreamsApartAndTheExitCode) {
    AgentSession session(7);
    ASSERT_TRUE(connect(session));
    EXPECT_FALSE(session.release().empty());
    AgentProcess process(
        {{"/bin/sh", "-c", "echo out; echo err >&2; echo $VIV_X; pwd; exit 7"}, {"VIV_X=a b=c"}, "/usr", false, 0, 0});
    Collected collected;
    session.start(process);
    ASSERT_TRUE(pump(session, [&] { return collected.take(process), process.done(); }));
    collected.take(process);
    EXPECT_FALSE(process.failure());
    EXPECT_EQ(process.exit_code(), 7);
    EXPECT_EQ(collected.out, "out\na b=c\n/usr\n");
    EXPECT_EQ(collected.error, "err\n");
}

TEST_F(NativeAgent, OneProgramAfterTheOther) {
    AgentSession session(7);
    ASSERT_TRUE(connect(session));
    for (int code = 0; code < 5; code++) {
        AgentProcess process(shell(fmt::format("exit {}", code)));
        ASSERT_TRUE(finish(session, process));
        EXPECT_EQ(process.exit_code(), code);
    }
}

TEST_F(NativeAgent, MegabytesThroughStandardInputAndOutput) {
    AgentSession session(9);
    ASSERT_TRUE(connect(session));
    std::string sent;
    for (int i = 0; sent.size() < 3'000'000; i++) sent += fmt::format("{},", i);
    AgentProcess process({{"cat"}, {}, "", false, 0, 0});
    session.start(process);
    usize given = 0, most_waiting = 0;
    Collected collected;
    ASSERT_TRUE(pump(session, [&] {
        while (given < sent.size() && process.stdin_room() > 0) {
            const usize count = std::min(process.stdin_room(), sent.size() - given);
            process.send_stdin(bytes(sent).subspan(given, count));
            given += count;
        }
        if (given == sent.size()) process.end_stdin();
        most_waiting = std::max(most_waiting, session.output().size());
        collected.take(process);
        return process.done();
    }));
    collected.take(process);
    EXPECT_TRUE(collected.out == sent);
    EXPECT_LE(most_waiting, AgentSession::output_limit + 65536);
}

TEST_F(NativeAgent, AReaderThatDoesNotReadHoldsTheProgramBack) {
    AgentSession session(9);
    ASSERT_TRUE(connect(session));
    AgentProcess process({{"head", "-c", "2000000", "/dev/zero"}, {}, "", false, 0, 0});
    session.start(process);
    ASSERT_TRUE(
        pump(session, [&] { return process.output(AgentProcess::Stream::out).size() == AgentSession::window; }));
    usize total = 0;
    ASSERT_TRUE(pump(session, [&] {
        const usize count = process.output(AgentProcess::Stream::out).size();
        EXPECT_LE(count, AgentSession::window);
        process.take(AgentProcess::Stream::out, count);
        total += count;
        return process.done();
    }));
    EXPECT_EQ(total + process.output(AgentProcess::Stream::out).size(), 2'000'000u);
}

TEST_F(NativeAgent, Signals) {
    AgentSession session(9);
    ASSERT_TRUE(connect(session));
    AgentProcess process(shell("trap 'exit 3' INT; echo ready; read line"));
    Collected collected;
    session.start(process);
    ASSERT_TRUE(pump(session, [&] { return collected.take(process), collected.out == "ready\n"; }));
    process.send_signal(SIGINT);
    ASSERT_TRUE(pump(session, [&] { return process.done(); }));
    EXPECT_EQ(process.exit_code(), 3);

    AgentProcess killed(shell("kill -TERM $$"));
    ASSERT_TRUE(finish(session, killed));
    EXPECT_EQ(killed.exit_code(), 128 + SIGTERM);

    AgentProcess cancelled(shell("echo ready; read line"));
    Collected started;
    session.start(cancelled);
    ASSERT_TRUE(pump(session, [&] { return started.take(cancelled), !started.out.empty(); }));
    cancelled.cancel();
    ASSERT_TRUE(pump(session, [&] { return cancelled.done(); }));
    EXPECT_EQ(cancelled.exit_code(), 128 + SIGKILL);
}

TEST_F(NativeAgent, ATerminalOfTheRightSize) {
    AgentSession session(9);
    ASSERT_TRUE(connect(session));
    AgentProcess process(
        {{"/bin/sh", "-c", "tty >/dev/null && stty size; read line; stty size; echo $line"}, {}, "", true, 33, 101});
    Collected collected;
    session.start(process);
    ASSERT_TRUE(
        pump(session, [&] { return collected.take(process), collected.out.find("33 101") != std::string::npos; }));
    process.resize(44, 55);
    process.send_stdin(bytes("typed\r"));
    ASSERT_TRUE(pump(session, [&] { return process.done(); }));
    collected.take(process);
    EXPECT_NE(collected.out.find("44 55"), std::string::npos);
    EXPECT_NE(collected.out.find("\ntyped"), std::string::npos);
    EXPECT_EQ(collected.error, "");
}

TEST_F(NativeAgent, FoldersGoInAndComeBackTheSame) {
    Folder here;
    fs::create_directories(here / "tree/sub/deep");
    write_file(here / "tree/a", "hello");
    write_file(here / "tree/empty", "");
    std::string large;
    for (int i = 0; large.size() < 1'000'000; i++) large += fmt::format("{};", i);
    write_file(here / "tree/sub/large", large);
    fs::create_symlink("../a", here / "tree/sub/link");
    fs::permissions(here / "tree/a", fs::perms(0751));
    fs::permissions(here / "tree/sub", fs::perms(0750));
    timespec times[2] = {{1'000'000'000, 5}, {1'000'000'000, 123'456'789}};
    ASSERT_EQ(utimensat(AT_FDCWD, (here / "tree/a").c_str(), times, 0), 0);
    fs::create_directory(here / "guest");
    fs::create_directory(here / "back");

    AgentSession session(9);
    ASSERT_TRUE(connect(session));
    ASSERT_TRUE(AgentUpload::check(here / "tree").ok());
    AgentUpload upload(here / "tree", here / "guest");
    ASSERT_TRUE(finish(session, upload));
    ASSERT_FALSE(upload.failure()) << upload.failure()->message;
    EXPECT_TRUE(read_file(here / "guest/tree/sub/large") == large);

    ASSERT_TRUE(AgentDownload::check(here / "guest/tree", here / "back/renamed").ok());
    AgentDownload download(here / "guest/tree", here / "back/renamed",
                           [](std::string_view line) { ADD_FAILURE() << line; });
    ASSERT_TRUE(finish(session, download));
    ASSERT_FALSE(download.failure()) << download.failure()->message;
    EXPECT_EQ(read_file(here / "back/renamed/a"), "hello");
    EXPECT_TRUE(fs::exists(here / "back/renamed/empty"));
    EXPECT_TRUE(fs::is_directory(here / "back/renamed/sub/deep"));
    EXPECT_TRUE(read_file(here / "back/renamed/sub/large") == large);
    EXPECT_EQ(fs::read_symlink(here / "back/renamed/sub/link"), "../a");
    struct stat status {};
    ASSERT_EQ(stat((here / "back/renamed/a").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0751u);
    EXPECT_EQ(status.st_mtim.tv_sec, 1'000'000'000);
    EXPECT_EQ(status.st_mtim.tv_nsec, 123'456'789);
    ASSERT_EQ(stat((here / "back/renamed/sub").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0750u);
    for (const auto& entry : fs::recursive_directory_iterator(here / "back"))
        EXPECT_EQ(entry.path().string().find("partial"), std::string::npos);
}

TEST_F(NativeAgent, AFileGetsTheNameItIsGiven) {
    Folder here;
    write_file(here / "one", "1");
    AgentSession session(9);
    ASSERT_TRUE(connect(session));
    AgentUpload upload(here / "one", here / "new/two");
    ASSERT_TRUE(finish(session, upload));
    EXPECT_EQ(read_file(here / "new/two"), "1");
    write_file(here / "three", "old");
    AgentDownload download(here / "new/two", here / "three", [](std::string_view) {});
    ASSERT_TRUE(finish(session, download));
    EXPECT_EQ(read_file(here / "three"), "1");
    AgentDownload into(here / "new/two", here / "new/", [](std::string_view) {});
    ASSERT_TRUE(finish(session, into));
    EXPECT_EQ(read_file(here / "new/two"), "1");
}

TEST_F(NativeAgent, CopiesThatFailSayWhy) {
    Folder here;
    AgentSession session(9);
    ASSERT_TRUE(connect(session));
    AgentDownload missing(here / "missing", here / "x", [](std::string_view) {});
    ASSERT_TRUE(finish(session, missing));
    ASSERT_TRUE(missing.failure());
    EXPECT_NE(missing.failure()->message.find("--copy-out " + (here / "missing") + ":" + (here / "x") + ": "),
              std::string::npos);
    EXPECT_NE(missing.failure()->message.find("No such file or directory"), std::string::npos);
    write_file(here / "file", "1");
    AgentUpload below_a_file(here / "file", here / "file/x");
    ASSERT_TRUE(finish(session, below_a_file));
    ASSERT_TRUE(below_a_file.failure());
    EXPECT_EQ(AgentUpload::check(here / "nothing").error().message,
              "--copy-in " + (here / "nothing") + ": No such file or directory");
    EXPECT_EQ(AgentDownload::check("/x", here / "no/where").error().message,
              "--copy-out /x:" + (here / "no/where") + ": the folder " + (here / "no") + ": No such file or directory");
    EXPECT_FALSE(AgentDownload::check("/..", here.path()).ok());
    // And the session is still good.
    AgentProcess process(shell("exit 0"));
    ASSERT_TRUE(finish(session, process));
    EXPECT_EQ(process.exit_code(), 0);
}

TEST_F(NativeAgent, ProgramsThatCannotBeStarted) {
    AgentSession session(9);
    ASSERT_TRUE(connect(session));
    AgentProcess missing({{"no-such-program"}, {}, "", false, 0, 0});
    ASSERT_TRUE(finish(session, missing));
    EXPECT_EQ(missing.exit_code(), 127);
    EXPECT_NE(text(missing.output(AgentProcess::Stream::error)).find("no-such-program"), std::string::npos);
    AgentProcess no_folder({{"true"}, {}, "/no/such/folder", false, 0, 0});
    ASSERT_TRUE(finish(session, no_folder));
    EXPECT_EQ(no_folder.exit_code(), 126);
    EXPECT_FALSE(AgentProcess::check({{std::string(70'000, 'x')}, {}, "", false, 0, 0}).ok());
    EXPECT_TRUE(AgentProcess::check({{std::string(60'000, 'x')}, {}, "", false, 0, 0}).ok());
}

TEST_F(NativeAgent, PowersOff) {
    AgentSession session(9);
    ASSERT_TRUE(connect(session));
    session.power_off();
    ASSERT_TRUE(pump(session, [&] { return session.output().empty(); }));
    EXPECT_EQ(read_file(*folder / "halted"), "poweroff\n");  // a pipe: waits for its writer
}

// A guest that says what it likes.
class LyingGuest : public ::testing::Test {
protected:
    void frame(FrameType type, u16 channel, const PayloadWriter& payload) {
        std::vector<u8> sent;
        append_frame(sent, type, 0, channel, payload.bytes());
        session.receive(sent);
    }
    void hello(u32 nonce, u16 version = 1, u32 window = 65536) {
        frame(FrameType::hello, 0,
              PayloadWriter()
                  .put_u32(0x47564956)
                  .put_u16(version)
                  .put_u16(0)
                  .put_u32(nonce)
                  .put_u32(window)
                  .put_string("riscv64")
                  .put_string("6.12"));
    }
    static PayloadWriter entry(u8 kind, std::string_view path, std::string_view target = "", u32 mode = 0644) {
        return PayloadWriter()
            .put_u8(kind)
            .put_u8(0)
            .put_u16(0)
            .put_u32(mode)
            .put_u64(0)
            .put_u64(0)
            .put_u32(0)
            .put_string(path)
            .put_string(target);
    }
    AgentSession session{5};
};

TEST_F(LyingGuest, IsIgnoredUntilItAnswersOurHello) {
    frame(FrameType::error, 0, PayloadWriter().put_u32(1).put_string("from before"));
    hello(4);
    EXPECT_EQ(session.state(), AgentSession::State::waiting);
    EXPECT_TRUE(session.output().empty());
    hello(0);
    EXPECT_EQ(session.output().size(), 8u + 16u);
    hello(5);
    EXPECT_EQ(session.state(), AgentSession::State::ready);
    EXPECT_EQ(session.release(), "6.12");
    hello(0);
    EXPECT_EQ(session.problem(), "the guest's agent has started anew");
}

TEST_F(LyingGuest, OtherVersionsAreNamed) {
    hello(5, 2);
    EXPECT_EQ(session.problem(),
              "the guest's agent speaks version 2 of the protocol, this viv version 1; build the guest again");
}

TEST_F(LyingGuest, NoFramesAtAll) {
    hello(5);
    AgentProcess process(shell("true"));
    session.start(process);
    session.receive(bytes("Kernel panic - not syncing"));
    EXPECT_EQ(session.problem(), "the guest's agent sends what is no frame");
    ASSERT_TRUE(process.done());
    EXPECT_EQ(process.failure()->message, "the guest's agent sends what is no frame");
}

TEST_F(LyingGuest, MoreOutputThanItsCredit) {
    hello(5);
    AgentProcess process(shell("true"));
    session.start(process);
    const std::vector<u8> block(65536, 'x');
    std::vector<u8> sent;
    for (int i = 0; i < 5; i++) append_frame(sent, FrameType::stdout_bytes, 0, 1, block);
    session.receive(sent);
    EXPECT_EQ(session.problem(), "the guest's agent sends more than it may");
    EXPECT_EQ(process.output(AgentProcess::Stream::out).size(), AgentSession::window);
}

TEST_F(LyingGuest, FramesOfOtherChannelsAndTypes) {
    hello(5);
    AgentProcess process(shell("true"));
    session.start(process);
    frame(FrameType::exited, 2, PayloadWriter().put_u32(0).put_u32(1));
    frame(static_cast<FrameType>(0x7f), 1, PayloadWriter());
    frame(FrameType::window, 1, PayloadWriter());
    EXPECT_FALSE(process.done());
    frame(FrameType::exited, 1, PayloadWriter().put_u32(1).put_u32(100'000));
    ASSERT_TRUE(process.done());
    EXPECT_TRUE(process.failure());
}

TEST_F(LyingGuest, ErrorTextsCannotPaintTheTerminal) {
    hello(5);
    AgentProcess process({{"run"}, {}, "", false, 0, 0});
    session.start(process);
    frame(FrameType::error, 1, PayloadWriter().put_u32(1).put_string("\x1b[2Jgone\n"));
    EXPECT_EQ(process.failure()->message, "run: ?[2Jgone?");
}

TEST_F(LyingGuest, PathsThatLeaveTheDestination) {
    const std::string_view paths[] = {"..",   "../x", "/etc/passwd", "a/../../x",
                                      "a//b", "./a",  "a/",          std::string_view("a\0b", 3)};
    for (const auto path : paths) {
        Folder here;
        AgentSession fresh(5);
        session = fresh;
        hello(5);
        AgentDownload download("/from", here / "to", [](std::string_view) {});
        session.start(download);
        frame(FrameType::entry, 1, entry(2, ""));
        ASSERT_FALSE(download.done());
        frame(FrameType::entry, 1, entry(1, path));
        ASSERT_TRUE(download.done()) << path;
        EXPECT_NE(download.failure()->message.find("an entry that cannot be"), std::string::npos);
    }
}

TEST_F(LyingGuest, LinksAreNotFollowedOnTheHost) {
    Folder here, outside;
    write_file(outside / "precious", "mine");
    hello(5);
    AgentDownload download("/from", here / "to", [](std::string_view) {});
    session.start(download);
    frame(FrameType::entry, 1, entry(2, ""));
    frame(FrameType::entry, 1, entry(3, "link", outside.path()));
    frame(FrameType::entry, 1, entry(1, "link/precious"));
    ASSERT_TRUE(download.done());
    EXPECT_TRUE(download.failure());
    EXPECT_EQ(read_file(outside / "precious"), "mine");
}

TEST_F(LyingGuest, AFileReplacesALinkAndNotWhatItPointsTo) {
    Folder here, outside;
    write_file(outside / "precious", "mine");
    hello(5);
    AgentDownload download("/from", here / "to", [](std::string_view) {});
    session.start(download);
    frame(FrameType::entry, 1, entry(2, ""));
    frame(FrameType::entry, 1, entry(3, "x", outside / "precious"));
    frame(FrameType::entry, 1, entry(1, "x", "", 06755));
    std::vector<u8> data;
    append_frame(data, FrameType::data, 0, 1, bytes("theirs"));
    session.receive(data);
    frame(FrameType::end, 1, PayloadWriter().put_u32(0).put_u32(0));
    ASSERT_TRUE(download.done());
    EXPECT_FALSE(download.failure());
    EXPECT_EQ(read_file(outside / "precious"), "mine");
    EXPECT_EQ(read_file(here / "to/x"), "theirs");
    struct stat status {};
    ASSERT_EQ(lstat((here / "to/x").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode, u32{S_IFREG} | 0755u);
}

TEST_F(LyingGuest, AnUnfinishedFileDisappears) {
    Folder here;
    {
        hello(5);
        AgentDownload download("/from", here / "to", [](std::string_view) {});
        session.start(download);
        frame(FrameType::entry, 1, entry(1, ""));
        std::vector<u8> data;
        append_frame(data, FrameType::data, 0, 1, bytes("half"));
        session.receive(data);
        session.lose("the guest has gone");
        EXPECT_EQ(download.failure()->message, "the guest has gone");
    }
    EXPECT_TRUE(fs::is_empty(here.path()));
}

TEST_F(LyingGuest, EntriesOutOfOrder) {
    for (int i = 0; i < 3; i++) {
        Folder here;
        session = AgentSession(5);
        hello(5);
        AgentDownload download("/from", here / "to", [](std::string_view) {});
        session.start(download);
        if (i == 0) frame(FrameType::entry, 1, entry(1, "first-must-be-the-thing-itself"));
        if (i == 1) frame(FrameType::data, 1, PayloadWriter().put_u32(0));
        if (i == 2) frame(FrameType::end, 1, PayloadWriter().put_u32(0).put_u32(0));
        ASSERT_TRUE(download.done()) << i;
        EXPECT_TRUE(download.failure()) << i;
        EXPECT_TRUE(fs::is_empty(here.path())) << i;
    }
}

TEST(Frames, PathsAreJudgedByTheirParts) {
    for (const auto* good : {"", "a", "a/b", "...", "a/.b", "..a/b"}) EXPECT_TRUE(is_safe_relative_path(good)) << good;
    for (const auto* bad : {"/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/./b"})
        EXPECT_FALSE(is_safe_relative_path(bad)) << bad;
    EXPECT_FALSE(is_safe_relative_path(std::string(300, 'x')));
    std::string long_path = "x";
    while (long_path.size() <= 4095) long_path += "/x";
    EXPECT_FALSE(is_safe_relative_path(long_path));
}

TEST(Frames, AnyCutOfTheStreamGivesTheSameFrames) {
    std::vector<u8> stream;
    append_frame(stream, FrameType::stdout_bytes, 0, 3, bytes("hello"));
    append_frame(stream, FrameType::stdin_end, 1, 65535, {});
    append_frame(stream, FrameType::data, 0, 1, std::vector<u8>(65536, 7));
    for (const usize step : {1, 3, 7, 8, 9, 1000, 100'000}) {
        FrameParser parser;
        std::string seen;
        for (usize at = 0; at < stream.size(); at += step) {
            parser.add(std::span<const u8>(stream).subspan(at, std::min(step, stream.size() - at)));
            while (const auto frame = parser.next())
                seen += fmt::format("{:x}.{}.{}.{} ", static_cast<u8>(frame->type), frame->flags, frame->channel,
                                    frame->payload.size());
        }
        EXPECT_EQ(seen, "41.0.3.5 11.1.65535.0 44.0.1.65536 ");
    }
}

}  // namespace
}  // namespace viv::native
