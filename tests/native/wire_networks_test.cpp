// The networks stream, dgram and socket against plain sockets that speak QEMU's formats, or something else.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>

#include "engine/net/framing.h"
#include "native/descriptor.h"
#include "native/host_network.h"
#include "tests/native/network_card.h"

namespace viv::native {
namespace {

constexpr u64 patience_ns = 20'000'000'000;

std::vector<u8> frame(u8 mark, usize size = 60) { return std::vector<u8>(size, mark); }

std::string framed(const std::vector<u8>& frame) {
    const auto head = net::frame_head(frame.size());
    std::string text(head.begin(), head.end());
    return text.append(frame.begin(), frame.end());
}

class WireNetworksTest : public ::testing::Test {
protected:
    WireNetworksTest() {
        char name[] = "/tmp/viv-wire-XXXXXX";
        folder = mkdtemp(name);
    }
    ~WireNetworksTest() override {
        network.reset();
        std::filesystem::remove_all(folder);
    }
    Result<std::unique_ptr<net::NetBackend>> open(const std::string& text) {
        auto option = parse_net("--net", text);
        if (!option.ok()) return option.error();
        return networks.open(**option);
    }
    void start(const std::string& text) {
        auto opened = open(text);
        ASSERT_TRUE(opened.ok()) << opened.error().message;
        network = std::move(*opened);
        network->connect(&card);
        networks.resumed();
    }
    sockaddr_un unix_address(const std::string& name) const {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        const auto path = folder + "/" + name;
        std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
        return address;
    }
    Descriptor unix_socket(int type, const std::string& bound_to, const std::string& connected_to) {
        Descriptor socket(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
        if (!bound_to.empty()) {
            const auto address = unix_address(bound_to);
            EXPECT_EQ(bind(socket.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
            const bool listens = type != SOCK_STREAM || listen(socket.number(), 4) == 0;
            EXPECT_TRUE(listens);
        }
        if (!connected_to.empty()) {
            const auto address = unix_address(connected_to);
            EXPECT_EQ(connect(socket.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
        }
        return socket;
    }
    bool until(const std::function<bool()>& done) {
        const u64 end = EventLoop::now_ns() + patience_ns;
        while (!done()) {
            if (EventLoop::now_ns() >= end) return false;
            events.poll(20'000'000);  // what the test looks at may be no event of ours
        }
        return true;
    }
    // Reads what is there, until there are so many bytes.
    std::string read_bytes(const Descriptor& from, usize count) {
        std::string text;
        until([&] {
            char buffer[65536];
            const ssize_t got = recv(from.number(), buffer, std::min(sizeof buffer, count - text.size()), MSG_DONTWAIT);
            if (got > 0) text.append(buffer, static_cast<usize>(got));
            return text.size() >= count;
        });
        return text;
    }
    static bool ended(const Descriptor& socket) {
        char byte = 0;
        return recv(socket.number(), &byte, 1, MSG_DONTWAIT) == 0;
    }

    std::string folder;
    EventLoop events;
    NullLogSink log;
    Networks networks{events, log};
    Card card;
    std::unique_ptr<net::NetBackend> network;
};

TEST_F(WireNetworksTest, AStreamBothWays) {
    start(fmt::format("stream,server=on,addr.type=unix,addr.path={}/lan", folder));
    network->send(frame(9));  // to nobody
    const auto other = unix_socket(SOCK_STREAM, "", "lan");
    ASSERT_TRUE(until([&] {
        network->send(frame(1));
        pollfd ready{other.number(), POLLIN, 0};
        return poll(&ready, 1, 0) == 1;
    }));
    EXPECT_EQ(read_bytes(other, 64), framed(frame(1)));
    const auto text = framed(frame(2)) + framed(frame(3, net::largest_frame)) + framed(frame(4, 5)) + framed(frame(5));
    // In pieces, as a network may cut them.
    for (usize at = 0; at < text.size(); at += 1000) {
        const auto piece = text.substr(at, 1000);
        ASSERT_EQ(::send(other.number(), piece.data(), piece.size(), 0), static_cast<ssize_t>(piece.size()));
        events.poll(0);
    }
    ASSERT_TRUE(until([&] { return card.received.size() == 3; }));
    EXPECT_EQ(card.received[0], frame(2));
    EXPECT_EQ(card.received[1], frame(3, net::largest_frame));
    EXPECT_EQ(card.received[2], frame(5)) << "five bytes are no frame";
}

TEST_F(WireNetworksTest, AStreamOfSomethingElseIsEndedAndTheNextIsWelcome) {
    start(fmt::format("stream,server=on,addr.type=unix,addr.path={}/lan", folder));
    {
        const auto hostile = unix_socket(SOCK_STREAM, "", "lan");
        ASSERT_EQ(::send(hostile.number(), "GET / HTTP/1.0\r\n\r\n", 18, 0), 18);
        EXPECT_TRUE(until([&] { return ended(hostile); }));
        EXPECT_TRUE(card.received.empty());
    }
    {
        const auto cut_off = unix_socket(SOCK_STREAM, "", "lan");
        const auto text = framed(frame(1)) + framed(frame(2)).substr(0, 30);
        ASSERT_EQ(::send(cut_off.number(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    }
    ASSERT_TRUE(until([&] { return card.received.size() == 1; }));
    const auto next = unix_socket(SOCK_STREAM, "", "lan");
    const auto text = framed(frame(7));
    ASSERT_EQ(::send(next.number(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    ASSERT_TRUE(until([&] { return card.received.size() == 2; }));
    EXPECT_EQ(card.received.back(), frame(7)) << "nothing of the stream before is left";
}

TEST_F(WireNetworksTest, AGuestWithoutBuffersHoldsTheStreamBack) {
    start(fmt::format("stream,server=on,addr.type=unix,addr.path={}/lan", folder));
    const auto other = unix_socket(SOCK_STREAM, "", "lan");
    card.buffers = 0;
    const auto text = framed(frame(1, 1500));
    usize sent = 0;
    bool blocked = false;
    while (!blocked && sent < 100'000) {
        const ssize_t count = ::send(other.number(), text.data(), text.size(), MSG_DONTWAIT);
        blocked = count < 0;
        if (count > 0) {
            ASSERT_EQ(count, static_cast<ssize_t>(text.size()));
            sent++;
        }
        events.poll(0);
    }
    EXPECT_TRUE(blocked) << "somebody buffers without end";
    card.buffers = 1'000'000;
    network->receive_ready();
    EXPECT_TRUE(until([&] { return card.received.size() == sent; })) << card.received.size() << " of " << sent;
}

TEST_F(WireNetworksTest, ASlowReaderLosesFramesAndNeverHalfOfOne) {
    start(fmt::format("stream,server=on,addr.type=unix,addr.path={}/lan", folder));
    const auto other = unix_socket(SOCK_STREAM, "", "lan");
    events.poll(patience_ns);
    events.poll(0);
    for (int i = 0; i < 5000; i++) network->send(frame(static_cast<u8>(i), 1500));
    network->send(frame(200, 100));
    std::string text;
    usize frames = 0;
    const auto take = [&] {
        char buffer[65536];
        const ssize_t got = recv(other.number(), buffer, sizeof buffer, MSG_DONTWAIT);
        if (got > 0) text.append(buffer, static_cast<usize>(got));
        return got <= 0;
    };
    int quiet = 0;
    ASSERT_TRUE(until([&] { return (quiet = take() ? quiet + 1 : 0) == 3; }));
    while (!text.empty()) {
        const auto next = net::take_frame({reinterpret_cast<const u8*>(text.data()), text.size()});
        ASSERT_EQ(next.state, net::Framed::State::whole);
        frames++;
        text.erase(0, next.consumed);
    }
    EXPECT_GT(frames, 10u);
    EXPECT_LT(frames, 5000u);
}

TEST_F(WireNetworksTest, ReconnectsUntilTheOtherSideIsThere) {
    start(fmt::format("stream,addr.type=unix,addr.path={}/lan,reconnect-ms=5", folder));
    for (int round = 0; round < 2; round++) {
        const auto listener = unix_socket(SOCK_STREAM, "lan", "");
        ASSERT_TRUE(until([&] {
            pollfd ready{listener.number(), POLLIN, 0};
            return poll(&ready, 1, 0) == 1;
        }));
        const Descriptor other(accept(listener.number(), nullptr, nullptr));
        const auto text = framed(frame(static_cast<u8>(round)));
        ASSERT_EQ(::send(other.number(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
        ASSERT_TRUE(until([&] { return card.received.size() == static_cast<usize>(round) + 1; }));
        std::filesystem::remove(folder + "/lan");
    }
}

TEST_F(WireNetworksTest, DatagramsBothWaysAndNoneOfStrangers) {
    const auto udp_socket = [](u16& port) {
        Descriptor socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        EXPECT_EQ(bind(socket.number(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
        socklen_t size = sizeof address;
        getsockname(socket.number(), reinterpret_cast<sockaddr*>(&address), &size);
        port = ntohs(address.sin_port);
        return socket;
    };
    u16 their_port = 0, strange_port = 0, our_port = 0;
    const auto theirs = udp_socket(their_port), strange = udp_socket(strange_port);
    udp_socket(our_port).reset();
    start(
        fmt::format("dgram,local.type=inet,local.host=127.0.0.1,local.port={},remote.type=inet,remote.host=127.0.0.1,"
                    "remote.port={}",
                    our_port, their_port));
    network->send(frame(1));
    EXPECT_EQ(read_bytes(theirs, 60), std::string(60, 1));
    sockaddr_in us{};
    us.sin_family = AF_INET;
    us.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    us.sin_port = htons(our_port);
    const auto send = [&us](const Descriptor& from, const std::vector<u8>& bytes) {
        EXPECT_EQ(sendto(from.number(), bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&us), sizeof us),
                  static_cast<ssize_t>(bytes.size()));
    };
    send(strange, frame(2));
    send(theirs, frame(3, 13));
    send(theirs, {});
    send(theirs, frame(4));
    ASSERT_TRUE(until([&] { return !card.received.empty(); }));
    EXPECT_EQ(card.received, std::deque<std::vector<u8>>({frame(4)}));
    network.reset();
}

TEST_F(WireNetworksTest, UnixDatagramsAndTheNameIsGoneAtTheEnd) {
    const auto other = unix_socket(SOCK_DGRAM, "theirs", "");
    start(fmt::format("dgram,local.type=unix,local.path={0}/ours,remote.type=unix,remote.path={0}/theirs", folder));
    network->send(frame(1));
    EXPECT_EQ(read_bytes(other, 60), std::string(60, 1));
    const auto address = unix_address("ours");
    const auto bytes = frame(2);
    EXPECT_EQ(sendto(other.number(), bytes.data(), bytes.size(), 0, reinterpret_cast<const sockaddr*>(&address),
                     sizeof address),
              60);
    ASSERT_TRUE(until([&] { return card.received.size() == 1; }));
    const auto second =
        open(fmt::format("dgram,local.type=unix,local.path={0}/ours,remote.type=unix,remote.path={0}/theirs", folder));
    ASSERT_FALSE(second.ok());
    EXPECT_NE(second.error().message.find("the socket is in use"), std::string::npos);
    network.reset();
    EXPECT_FALSE(std::filesystem::exists(folder + "/ours"));
}

TEST_F(WireNetworksTest, WrongPlacesAreOneLine) {
    const std::pair<std::string, const char*> cases[] = {
        {"stream,addr.type=unix,addr.path=" + folder + "/nobody",
         "start the other side first, or give reconnect-ms=1000"},
        {"stream,server=on,addr.type=unix,addr.path=/nonexistent/lan", "No such file or directory"},
        {"socket,connect=127.0.0.1:1", "nobody listens there"},
        {"dgram,local.type=unix,local.path=/nonexistent/x,remote.type=unix,remote.path=/y",
         "No such file or directory"},
        {"stream", "addr.type= is missing, as in stream,addr.type=unix,addr.path=lan.sock"},
        {"stream,addr.type=fd,addr.str=3", "addr.type=fd is not known; inet and unix are"},
        {"stream,addr.type=inet,addr.host=h", "addr.port= is missing or no number from 1 to 65535"},
        {"stream,addr.type=unix", "addr.path= is missing"},
        {"stream,addr.path=x", "addr.type= is missing; inet or unix is needed"},
        {"stream,server=on,addr.type=unix,addr.path=x,reconnect=1", "reconnect=1 is for the side that connects"},
        {"stream,addr.type=unix,addr.path=" + std::string(200, 'x'), "is longer than 107 characters"},
        {"dgram,remote.type=inet,remote.host=h,remote.port=1", "local.type= is missing: where frames come in"},
        {"dgram,local.type=inet,local.port=1", "remote.type= is missing: where the frames go"},
        {"dgram,local.type=inet,local.port=1,remote.type=unix,remote.path=x",
         "local and remote have to be of one type"},
        {"socket", "one of listen=, connect=, mcast= and udp= is needed"},
        {"socket,listen=:1,connect=:2", "one of listen=, connect=, mcast= and udp= is needed"},
        {"socket,listen=1234", "listen=1234 is no address; HOST:PORT is needed"},
        {"socket,mcast=10.0.0.1:1", "mcast=10.0.0.1:1 is no group"},
        {"socket,udp=230.0.0.1:1,localaddr=:2", "is a group; that is what mcast= is for"},
        {"socket,udp=127.0.0.1:1", "localaddr= is missing"},
        {"tap,ifname=a-very-long-interface", "is no interface's name (at most 15 characters)"},
        {"tap,script=/etc/qemu-ifup", "script=/etc/qemu-ifup is not there; br=BRIDGE joins a bridge"},
        {"vde,sock=/nowhere", "/nowhere: No such file or directory; the folder of a vde_switch is needed"},
        {"vde,sock=cmd://true", "sock=cmd://true is no folder of a vde_switch"},
        {"vde,sock=/tmp/a[1]", "has brackets, quotes, % or \\, which libvdeplug reads as its own"},
        {"vde,sock=/" + std::string(103, 'x'), "is longer than 103 characters"},
        {"vde,sock=/nowhere,port=x", "port=x is no port of a switch"},
        {"vde,sock=/nowhere,mode=0888", "mode=0888 is no mode in octal"},
        {"vde,sock=/nowhere,mode=1777", "mode=1777 is no mode in octal"},
        {"vde,sock=/nowhere,group=no-such-group", "group=no-such-group is no group of this host"},
        {"vde,path=/nowhere", "path is not known"},
        {"user,card=off", "card=off leads nowhere without hub=NAME"},
        {"user,card=off,hub=a,mac=x", "card=off leaves nothing that could have a model or properties"},
        {"hub,card=off", "card=off leaves nothing"},
    };
    for (const auto& [text, message] : cases) {
        const auto opened = open(text);
        ASSERT_FALSE(opened.ok()) << text;
        EXPECT_NE(opened.error().message.find(message), std::string::npos) << opened.error().message;
        EXPECT_EQ(opened.error().message.find('\n'), std::string::npos);
    }
}

}  // namespace
}  // namespace viv::native
