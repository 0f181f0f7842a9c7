// Event loop, byte streams, sockets and ports against real descriptors: order, back-pressure, ends, and what is left
// behind.
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "native/byte_port.h"
#include "native/event_loop.h"
#include "native/stream_source.h"

namespace viv::native {
namespace {

std::span<const u8> bytes(std::string_view text) { return {reinterpret_cast<const u8*>(text.data()), text.size()}; }
std::string text(std::span<const u8> content) { return {content.begin(), content.end()}; }

struct Pair {
    Descriptor ours, theirs;
    Pair() {
        int ends[2];
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        ours = Descriptor(ends[0]);
        theirs = Descriptor(ends[1]);
        fcntl(theirs.number(), F_SETFL, O_NONBLOCK);
    }
};

std::string read_all(int descriptor) {
    std::string all;
    char buffer[65536];
    for (ssize_t count = 0; (count = read(descriptor, buffer, sizeof buffer)) > 0;)
        all.append(buffer, static_cast<usize>(count));
    return all;
}

class Folder {
public:
    Folder() {
        char name[] = "/tmp/viv-test-XXXXXX";
        EXPECT_NE(mkdtemp(name), nullptr);
        path_ = name;
    }
    ~Folder() { std::filesystem::remove_all(path_); }
    std::string operator/(const char* name) const { return path_ + "/" + name; }

private:
    std::string path_;
};

Endpoint endpoint(const std::string& words) {
    auto parsed = parse_endpoint("--serial", words, EndpointUse::serial);
    EXPECT_TRUE(parsed.ok()) << parsed.error().message;
    return *parsed;
}

TEST(EventLoop, RunsHandlersOfWhatIsReady) {
    EventLoop loop;
    Pair pair;
    int calls = 0;
    loop.add(pair.ours.number(), Interest::read, [&](EventLoop::Ready ready) { calls += ready.read; });
    loop.poll(0);
    EXPECT_EQ(calls, 0);
    ASSERT_EQ(write(pair.theirs.number(), "x", 1), 1);
    loop.poll(EventLoop::for_ever);
    EXPECT_EQ(calls, 1);
    loop.change(pair.ours.number(), Interest::none);
    loop.poll(0);
    EXPECT_EQ(calls, 1);
    loop.remove(pair.ours.number());
}

TEST(EventLoop, AHandlerMayRemoveAnother) {
    EventLoop loop;
    Pair first, second;
    int calls = 0;
    const auto remove_both = [&](EventLoop::Ready) {
        calls++;
        loop.remove(first.ours.number());
        loop.remove(second.ours.number());
    };
    loop.add(first.ours.number(), Interest::write, remove_both);
    loop.add(second.ours.number(), Interest::write, remove_both);
    loop.poll(0);
    EXPECT_EQ(calls, 1);
}

TEST(EventLoop, FilesAreAlwaysReady) {
    EventLoop loop;
    Descriptor null(open("/dev/null", O_RDONLY | O_CLOEXEC));
    int calls = 0;
    loop.add(null.number(), Interest::read, [&](EventLoop::Ready ready) { calls += ready.read && !ready.write; });
    loop.poll(EventLoop::for_ever);
    EXPECT_EQ(calls, 1);
    loop.change(null.number(), Interest::none);
    loop.poll(0);
    EXPECT_EQ(calls, 1);
    loop.remove(null.number());
}

TEST(EventLoop, WaitsNoLongerThanAsked) {
    EventLoop loop;
    timespec before{}, after{};
    clock_gettime(CLOCK_MONOTONIC, &before);
    loop.poll(300'000);
    clock_gettime(CLOCK_MONOTONIC, &after);
    const i64 elapsed = (after.tv_sec - before.tv_sec) * 1'000'000'000 + after.tv_nsec - before.tv_nsec;
    EXPECT_GE(elapsed, 300'000);
}

TEST(ByteStream, ReadsUntilItsBufferIsFullAndGoesOnWhenItIsConsumed) {
    EventLoop loop;
    Pair pair;
    auto stream = ByteStream::connected(loop, std::move(pair.ours));
    std::string sent;
    for (int i = 0; sent.size() < 2 * ByteStream::input_limit; i++) sent += fmt::format("{} ", i);
    usize put = 0, seen = 0;
    std::string received;
    while (received.size() < sent.size()) {
        const ssize_t count = write(pair.theirs.number(), sent.data() + put, sent.size() - put);
        if (count > 0) put += static_cast<usize>(count);
        for (int i = 0; i < 10; i++) {
            stream->service();
            loop.poll(0);
        }
        ASSERT_LE(stream->input().size(), ByteStream::input_limit);
        seen = std::max(seen, stream->input().size());
        received += text(stream->input().first(std::min<usize>(stream->input().size(), 1000)));
        stream->consume(std::min<usize>(stream->input().size(), 1000));
    }
    EXPECT_EQ(received, sent);
    EXPECT_EQ(seen, ByteStream::input_limit);
    EXPECT_FALSE(stream->input_ended());
    pair.theirs.reset();
    stream->service();
    loop.poll(0);
    EXPECT_TRUE(stream->input_ended());
}

TEST(ByteStream, TakesNoMoreOutputThanItsLimit) {
    EventLoop loop;
    Pair pair;
    auto stream = ByteStream::connected(loop, std::move(pair.ours));
    std::string sent;
    for (int i = 0; sent.size() < 2'000'000; i++) sent += fmt::format("{} ", i);
    usize put = 0;
    bool refused = false;
    std::string received;
    while (received.size() < sent.size()) {
        const usize taken = stream->write(bytes(sent).subspan(put));
        refused = refused || taken < sent.size() - put;
        put += taken;
        ASSERT_LE(stream->output_pending(), ByteStream::output_limit);
        stream->service();
        loop.poll(0);
        received += read_all(pair.theirs.number());
    }
    EXPECT_TRUE(refused);
    EXPECT_EQ(received, sent);
}

TEST(ByteStream, AReaderThatHasGoneIsNoticedAndNoSignal) {
    EventLoop loop;
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    Descriptor input(ends[0]), output(ends[1]);
    auto stream = ByteStream::standard(loop, -1, output.number());
    EXPECT_EQ(stream->write(bytes("one")), 3u);
    stream->service();
    EXPECT_FALSE(stream->output_ended());
    input.reset();
    EXPECT_EQ(stream->write(bytes("two")), 3u);
    stream->service();
    EXPECT_TRUE(stream->output_ended());
    EXPECT_EQ(stream->write(bytes("three")), 5u);  // dropped
    EXPECT_EQ(stream->output_pending(), 0u);
}

TEST(ByteStream, StandardOutputStaysBlockingForOthersButNotForUs) {
    EventLoop loop;
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    Descriptor input(ends[0]), output(ends[1]);
    auto stream = ByteStream::standard(loop, -1, output.number());
    const std::string much(ByteStream::output_limit, 'x');  // more than a pipe holds
    EXPECT_EQ(stream->write(bytes(much)), much.size());
    stream->service();
    EXPECT_GT(stream->output_pending(), 0u);
    EXPECT_EQ(fcntl(output.number(), F_GETFL) & O_NONBLOCK, 0);
}

TEST(StreamSource, AFileGetsTheOutput) {
    EventLoop loop;
    Folder folder;
    auto source = StreamSource::open(loop, "--serial", endpoint("file:" + (folder / "out")));
    ASSERT_TRUE(source.ok()) << source.error().message;
    SourcePort port;
    EXPECT_EQ(port.put(bytes("lost")), 4u);
    port.open(std::move(*source));
    EXPECT_EQ(port.put(bytes("hello")), 5u);
    port.service();
    std::ifstream file(folder / "out");
    std::string line;
    std::getline(file, line);
    EXPECT_EQ(line, "hello");
}

TEST(StreamSource, OneClientAfterTheOther) {
    EventLoop loop;
    Folder folder;
    auto opened = StreamSource::open(loop, "--serial", endpoint("unix:" + (folder / "s") + ",server"));
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    auto& source = **opened;
    struct stat status {};
    ASSERT_EQ(stat((folder / "s").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
    EXPECT_EQ(source.stream(), nullptr);

    auto first = StreamSource::open(loop, "--serial", endpoint("unix:" + (folder / "s")));
    auto second = StreamSource::open(loop, "--serial", endpoint("unix:" + (folder / "s")));
    ASSERT_TRUE(first.ok() && second.ok());
    (*first)->stream()->write(bytes("1"));
    (*second)->stream()->write(bytes("2"));
    const auto turn = [&] {
        for (int i = 0; i < 4; i++) {
            source.service();
            if (*first) (*first)->service();
            (*second)->service();
            loop.poll(0);
        }
    };
    turn();
    ASSERT_NE(source.stream(), nullptr);
    EXPECT_EQ(text(source.stream()->input()), "1");
    source.stream()->consume(1);
    EXPECT_FALSE(source.lost());
    first->reset();
    turn();
    ASSERT_TRUE(source.lost());
    source.disconnect();
    turn();
    ASSERT_NE(source.stream(), nullptr);
    EXPECT_EQ(text(source.stream()->input()), "2");
}

TEST(StreamSource, SocketsLeaveNothingBehindAndReplaceOnlyTheDead) {
    EventLoop loop;
    Folder folder;
    const auto path = folder / "s";
    {
        auto source = StreamSource::open(loop, "--qmp", endpoint("unix:" + path + ",server"));
        ASSERT_TRUE(source.ok());
        auto again = StreamSource::open(loop, "--qmp", endpoint("unix:" + path + ",server"));
        ASSERT_FALSE(again.ok());
        EXPECT_EQ(again.error().message,
                  "--qmp unix:" + path +
                      ",server: the socket is in use; choose another path, or end the program that has it");
    }
    EXPECT_FALSE(std::filesystem::exists(path));
    {
        Descriptor dead(socket(AF_UNIX, SOCK_STREAM, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        ASSERT_EQ(bind(dead.number(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    }
    EXPECT_TRUE(std::filesystem::exists(path));
    EXPECT_TRUE(StreamSource::open(loop, "--qmp", endpoint("unix:" + path + ",server")).ok());
    EXPECT_FALSE(std::filesystem::exists(path));
    std::ofstream(path) << "precious";
    auto refused = StreamSource::open(loop, "--qmp", endpoint("unix:" + path + ",server"));
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().message, "--qmp unix:" + path + ",server: exists and is no socket; give another path");
    EXPECT_TRUE(std::filesystem::exists(path));
}

TEST(StreamSource, APortInUseIsNamed) {
    Descriptor taken(socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(bind(taken.number(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(listen(taken.number(), 1), 0);
    socklen_t size = sizeof address;
    ASSERT_EQ(getsockname(taken.number(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    EventLoop loop;
    const auto words = fmt::format("tcp:127.0.0.1:{}", ntohs(address.sin_port));
    auto listener = StreamSource::open(loop, "--gdb", endpoint(words + ",server"));
    ASSERT_FALSE(listener.ok());
    EXPECT_EQ(listener.error().message,
              "--gdb " + words + ",server: the port is in use; choose another, or end the program that has it");
    EXPECT_TRUE(StreamSource::open(loop, "--serial", endpoint(words)).ok());
    taken.reset();
    auto refused = StreamSource::open(loop, "--serial", endpoint(words));
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(
        refused.error().message,
        "--serial " + words + ": nobody listens there; start the other side first, or add ,server to listen here");
}

TEST(StreamSource, ChecksCreateNothing) {
    Folder folder;
    EXPECT_TRUE(StreamSource::check("--serial", endpoint("file:" + (folder / "new"))).ok());
    EXPECT_FALSE(std::filesystem::exists(folder / "new"));
    EXPECT_EQ(
        StreamSource::check("--serial", endpoint("file:" + (folder / "no/new"))).error().message,
        "--serial file:" + (folder / "no/new") + ": the folder " + (folder / "no") + ": No such file or directory");
    EXPECT_EQ(StreamSource::check("--serial", endpoint("file:" + (folder / "."))).error().message,
              "--serial file:" + (folder / ".") + ": is a folder; a file is needed");
}

// A device with a FIFO as small as a UART's, which asks for more from within put().
class SmallDevice final : public ByteDevice {
public:
    explicit SmallDevice(ByteBackend& backend) : backend_(backend) {}
    usize put(std::span<const u8> input) override {
        const usize taken = std::min(input.size(), usize{16} - fifo_.size());
        fifo_.append(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(taken));
        refused_ = taken < input.size();
        if (eager) drain();
        return taken;
    }
    void room_for_output() override { room_calls++; }
    void host_connected(bool connected) override { connections += connected ? "+" : "-"; }
    void drain() {
        received += fifo_;
        fifo_.clear();
        if (std::exchange(refused_, false)) backend_.input_wanted();
    }
    std::string received, connections;
    int room_calls = 0;
    bool eager = false;

private:
    ByteBackend& backend_;
    std::string fifo_;
    bool refused_ = false;
};

TEST(SourcePort, InputGoesInAsFastAsTheDeviceTakesIt) {
    for (const bool eager : {false, true}) {
        EventLoop loop;
        Folder folder;
        auto listening = StreamSource::open(loop, "--serial", endpoint("unix:" + (folder / "s") + ",server"));
        ASSERT_TRUE(listening.ok());
        SourcePort port;
        port.open(std::move(*listening));
        SmallDevice device(port);
        device.eager = eager;
        port.attach(&device);
        EXPECT_EQ(device.connections, "-");
        EXPECT_EQ(port.put(bytes("lost")), 4u);
        auto client = StreamSource::open(loop, "--serial", endpoint("unix:" + (folder / "s")));
        ASSERT_TRUE(client.ok());
        std::string sent;
        for (int i = 0; i < 2000; i++) sent += fmt::format("{} ", i);
        ASSERT_EQ((*client)->stream()->write(bytes(sent)), sent.size());
        for (int i = 0; i < 2000 && device.received.size() < sent.size(); i++) {
            (*client)->service();
            port.service();
            loop.poll(0);
            device.drain();
        }
        EXPECT_EQ(device.received, sent);
        EXPECT_EQ(device.connections, "-+");
        client->reset();
        for (int i = 0; i < 3; i++) {
            port.service();
            loop.poll(0);
        }
        EXPECT_EQ(device.connections, "-+-");
    }
}

TEST(SourcePort, ASlowReaderHoldsTheDeviceBack) {
    EventLoop loop;
    Folder folder;
    auto listening = StreamSource::open(loop, "--serial", endpoint("unix:" + (folder / "s") + ",server"));
    auto client = StreamSource::open(loop, "--serial", endpoint("unix:" + (folder / "s")));
    ASSERT_TRUE(listening.ok() && client.ok());
    SourcePort port;
    port.open(std::move(*listening));
    SmallDevice device(port);
    port.attach(&device);
    loop.poll(0);  // accepts
    const std::string block(100'000, 'x');
    usize sent = 0;
    for (int i = 0; i < 100; i++) {
        sent += port.put(bytes(block));
        port.service();
        loop.poll(0);
    }
    EXPECT_LT(sent, 4'000'000u);  // the port's buffer and the kernel's, not ten million
    EXPECT_EQ(device.room_calls, 0);
    usize received = 0;
    for (int i = 0; i < 10'000 && received < sent; i++) {
        (*client)->service();
        port.service();
        loop.poll(0);
        received += (*client)->stream()->input().size();
        (*client)->stream()->consume((*client)->stream()->input().size());
    }
    EXPECT_EQ(received, sent);
    EXPECT_EQ(device.room_calls, 1);
}

}  // namespace
}  // namespace viv::native
