// The network `user` from the guest's side of the card, frame by frame, against sockets of this host.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>

#include "guest_frames.h"
#include "native/descriptor.h"
#include "native/host_network.h"
#include "tests/native/network_card.h"

namespace viv::native {
namespace {

using namespace frames;

constexpr u64 patience_ns = 20'000'000'000;

// A socket of this host on loopback; TCP ones listen.
struct HostSocket {
    explicit HostSocket(int type, u16 at = 0) : socket(::socket(AF_INET, type | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(at);
        EXPECT_EQ(bind(socket.number(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
        const bool listens = type != SOCK_STREAM || listen(socket.number(), 8) == 0;
        EXPECT_TRUE(listens);
        socklen_t size = sizeof address;
        getsockname(socket.number(), reinterpret_cast<sockaddr*>(&address), &size);
        port = ntohs(address.sin_port);
    }
    // A connection, or a datagram, waits.
    bool readable() const {
        pollfd waiting{socket.number(), POLLIN, 0};
        return poll(&waiting, 1, 0) == 1;
    }
    Descriptor socket;
    u16 port = 0;
};

u16 free_port(int type) { return HostSocket(type).port; }

Descriptor connect_to(u16 port, int type) {
    Descriptor socket(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    EXPECT_EQ(connect(socket.number(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return socket;
}

class UserNetworkTest : public ::testing::Test {
protected:
    void start(const std::string& text) {
        auto option = parse_net("--net", text);
        ASSERT_TRUE(option.ok() && *option) << text;
        auto opened = networks.open(**option);
        ASSERT_TRUE(opened.ok()) << opened.error().message;
        network = std::move(*opened);
        network->connect(&card);
        networks.resumed();
        // libslirp learns the guest's address from what it says first.
        network->send(arp(1, guest, {}, gateway));
        ASSERT_TRUE(next([](const Packet& packet) { return packet.type == net::ether_arp; }));
    }
    void answer_arp() { network->send(arp(2, guest, gateway_mac, gateway)); }
    // The next frame that is `wanted`; those before it are dropped. Nothing if none comes in 20 seconds.
    std::optional<Packet> next(const std::function<bool(const Packet&)>& wanted, u64 wait_ns = patience_ns) {
        const u64 end = EventLoop::now_ns() + wait_ns;
        while (true) {
            while (!card.received.empty()) {
                const auto packet = parse(card.received.front());
                card.received.pop_front();
                if (wanted(packet)) return packet;
            }
            const u64 now = EventLoop::now_ns();
            if (now >= end) return std::nullopt;
            events.poll(end - now);
        }
    }
    std::optional<Packet> next_tcp(u8 flags) {
        return next([flags](const Packet& packet) { return packet.protocol == 6 && (packet.flags & flags) == flags; });
    }

    EventLoop events;
    NullLogSink log;
    Networks networks{events, log};
    Card card;
    std::unique_ptr<net::NetBackend> network;
};

TEST_F(UserNetworkTest, GivesAnAddressByDhcp) {
    start("user,hostname=box,domainname=example.org");
    std::string request("\x01\x01\x06\x00\x12\x34\x56\x78", 8);
    request.resize(28);
    request.append(guest_mac.begin(), guest_mac.end());
    request.resize(236);
    request.append("\x63\x82\x53\x63\x35\x01\x01\xff", 8);
    network->send(udp(0, 68, 0xffff'ffff, 67, request, broadcast));
    const auto offer = next([](const Packet& packet) { return packet.to_port == 68; });
    ASSERT_TRUE(offer);
    ASSERT_GT(offer->text.size(), 240u);
    EXPECT_EQ(load_be<u32>(&offer->text[16]), guest);
    EXPECT_EQ(offer->text.substr(240, 3), std::string("\x35\x01\x02", 3)) << "an offer";
    EXPECT_NE(offer->text.find(std::string("\x03\x04\x0a\x00\x02\x02", 6)), std::string::npos) << "the router";
    EXPECT_NE(offer->text.find(std::string("\x06\x04\x0a\x00\x02\x03", 6)), std::string::npos) << "the name server";
    EXPECT_NE(offer->text.find("box"), std::string::npos);
    EXPECT_NE(offer->text.find("example.org"), std::string::npos);
}

TEST_F(UserNetworkTest, ATcpConnectionToTheHostAndBack) {
    HostSocket server(SOCK_STREAM);
    start("user");
    network->send(frames::tcp(40000, gateway, server.port, 100, 0, syn));
    const auto answer = next_tcp(syn | ack);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->acknowledged, 101u);
    const u32 theirs = answer->sequence + 1;
    network->send(frames::tcp(40000, gateway, server.port, 101, theirs, ack | psh, "hello"));
    Descriptor accepted(accept(server.socket.number(), nullptr, nullptr));
    char buffer[16];
    ASSERT_EQ(recv(accepted.number(), buffer, 5, MSG_WAITALL), 5);
    EXPECT_EQ(std::string(buffer, 5), "hello");
    ASSERT_EQ(::send(accepted.number(), "world", 5, 0), 5);
    const auto data = next([](const Packet& packet) { return !packet.text.empty(); });
    ASSERT_TRUE(data);
    EXPECT_EQ(data->text, "world");
    EXPECT_EQ(data->sequence, theirs);
    accepted.reset();
    EXPECT_TRUE(next_tcp(fin));
}

TEST_F(UserNetworkTest, ARefusedConnectionIsRefused) {
    const u16 port = free_port(SOCK_STREAM);
    start("user");
    network->send(frames::tcp(40000, gateway, port, 100, 0, syn));
    EXPECT_TRUE(next_tcp(rst));
}

// The host's own services: by the gateway's address if that is wanted, by an address that means "myself" never.
TEST_F(UserNetworkTest, AGuestThatSaysLoopbackReachesNothing) {
    HostSocket server(SOCK_STREAM), packets(SOCK_DGRAM);
    start("user");
    for (const u32 address : {0x7f00'0001u, 0x7f00'0002u, 0u}) {
        network->send(frames::tcp(40000, address, server.port, 100, 0, syn));
        network->send(udp(guest, 4000, address, packets.port, "x"));
    }
    Bytes v6 = ethernet(gateway_mac, net::ether_ipv6);
    append_be<u32>(v6, 0x6000'0000);
    append_be<u32>(v6, 0x0009'1140);  // nine bytes of UDP
    for (const u8 last : {u8{9}, u8{1}}) {
        v6.resize(v6.size() + 15);
        v6.push_back(last);
    }
    append_be<u16>(v6, 4000);
    append_be<u16>(v6, packets.port);
    append_be<u32>(v6, 0x0009'0000);
    v6.push_back('x');
    network->send(v6);
    // What is allowed comes after all of that would have.
    network->send(frames::tcp(40001, gateway, server.port, 100, 0, syn));
    network->send(udp(guest, 4001, gateway, packets.port, "y"));
    ASSERT_TRUE(next([](const Packet& packet) { return packet.to_port == 40001 && (packet.flags & syn) != 0; }));
    char byte = 0;
    ASSERT_EQ(recv(packets.socket.number(), &byte, 1, 0), 1);
    EXPECT_EQ(byte, 'y');
    EXPECT_TRUE(server.readable());
    const Descriptor accepted(accept(server.socket.number(), nullptr, nullptr));
    EXPECT_FALSE(server.readable()) << "one connection, no other";
    EXPECT_FALSE(packets.readable());
}

TEST_F(UserNetworkTest, WithoutHostLoopbackTheGatewayIsNobody) {
    HostSocket server(SOCK_STREAM);
    start("user,host-loopback=off");
    network->send(frames::tcp(40000, gateway, server.port, 100, 0, syn));
    const auto answer = next([](const Packet& packet) { return packet.protocol == 1 || packet.protocol == 6; });
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->protocol, 1) << "ICMP: unreachable";
    EXPECT_FALSE(server.readable());
}

TEST_F(UserNetworkTest, ForwardsFromTheHost) {
    const u16 tcp_port = free_port(SOCK_STREAM), udp_port = free_port(SOCK_DGRAM);
    start(fmt::format("user,hostfwd=tcp::{}-:22,hostfwd=udp::{}-:53", tcp_port, udp_port));
    answer_arp();
    const auto client = connect_to(tcp_port, SOCK_STREAM);
    const auto opening = next_tcp(syn);
    ASSERT_TRUE(opening);
    EXPECT_EQ(opening->to, guest);
    EXPECT_EQ(opening->to_port, 22);
    EXPECT_EQ(opening->from, gateway) << "this host's loopback is the gateway for the guest";
    network->send(frames::tcp(22, gateway, opening->from_port, 500, opening->sequence + 1, syn | ack));
    ASSERT_TRUE(next_tcp(ack));
    network->send(frames::tcp(22, gateway, opening->from_port, 501, opening->sequence + 1, ack | psh, "SSH"));
    ASSERT_TRUE(next([](const Packet& packet) { return packet.acknowledged == 504; }));
    char buffer[3];
    ASSERT_EQ(recv(client.number(), buffer, 3, MSG_WAITALL), 3);
    EXPECT_EQ(std::string(buffer, 3), "SSH");

    const auto asker = connect_to(udp_port, SOCK_DGRAM);
    ASSERT_EQ(::send(asker.number(), "query", 5, 0), 5);
    const auto query = next([](const Packet& packet) { return packet.to_port == 53; });
    ASSERT_TRUE(query);
    EXPECT_EQ(query->text, "query");
    network->send(udp(guest, 53, query->from, query->from_port, "reply"));
    char reply[5];
    ASSERT_EQ(recv(asker.number(), reply, 5, 0), 5);
    EXPECT_EQ(std::string(reply, 5), "reply");
}

TEST_F(UserNetworkTest, ATakenPortIsOneLine) {
    HostSocket server(SOCK_STREAM);
    const auto option = parse_net("--net", fmt::format("user,hostfwd=tcp::{}-:22", server.port));
    const auto opened = networks.open(**option);
    ASSERT_FALSE(opened.ok());
    EXPECT_EQ(opened.error().message,
              fmt::format("--net user: hostfwd=tcp::{0}-:22: port {0} of this host is in use; choose another, or end "
                          "the program that has it",
                          server.port));
    const auto folder = networks.open(**parse_net("--net", "user,tftp=/nonexistent/folder"));
    ASSERT_FALSE(folder.ok());
    EXPECT_EQ(folder.error().message, "--net user: tftp=/nonexistent/folder: No such file or directory");
}

TEST_F(UserNetworkTest, AServerInTheGuestsNetworkIsACommandHere) {
    start("user,restrict=on,guestfwd=tcp:10.0.2.100:80-cmd:tr a-z A-Z");
    constexpr u32 server = 0x0a00'0264;
    network->send(frames::tcp(40000, server, 80, 100, 0, syn));
    const auto answer = next_tcp(syn | ack);
    ASSERT_TRUE(answer);
    network->send(frames::tcp(40000, server, 80, 101, answer->sequence + 1, ack | psh, "hello\n"));
    network->send(frames::tcp(40000, server, 80, 107, answer->sequence + 1, ack | fin));
    const auto data = next([](const Packet& packet) { return !packet.text.empty(); });
    ASSERT_TRUE(data);
    EXPECT_EQ(data->text, "HELLO\n");
}

TEST_F(UserNetworkTest, RestrictedAGuestReachesNothingElse) {
    HostSocket server(SOCK_STREAM), packets(SOCK_DGRAM);
    start("user,restrict=on,guestfwd=tcp:10.0.2.100:80-cmd:cat");
    network->send(frames::tcp(40000, gateway, server.port, 100, 0, syn));
    network->send(udp(guest, 4000, gateway, packets.port, "x"));
    network->send(frames::tcp(40001, 0x0a00'0264, 80, 100, 0, syn));
    ASSERT_TRUE(next([](const Packet& packet) { return packet.to_port == 40001 && (packet.flags & syn) != 0; }));
    EXPECT_FALSE(server.readable());
    EXPECT_FALSE(packets.readable());
}

TEST_F(UserNetworkTest, FilesByTftpAndNoneOutsideTheFolder) {
    char folder[] = "/tmp/viv-tftp-XXXXXX";
    ASSERT_NE(mkdtemp(folder), nullptr);
    std::ofstream(std::string(folder) + "/boot.img") << "kernel";
    start(fmt::format("user,tftp={}", folder));
    const auto ask = [&](u16 port, std::string_view name) {
        std::string request("\0\1", 2);
        request.append(name).push_back('\0');
        request.append("octet").push_back('\0');
        network->send(udp(guest, port, gateway, 69, request));
        return next([port](const Packet& packet) { return packet.to_port == port; });
    };
    const auto data = ask(2000, "boot.img");
    ASSERT_TRUE(data);
    EXPECT_EQ(data->text, std::string("\0\3\0\1kernel", 10));
    const auto outside = ask(2001, "../etc/hostname");
    ASSERT_TRUE(outside);
    EXPECT_EQ(outside->text.substr(0, 2), std::string("\0\5", 2)) << "an error";
    std::filesystem::remove_all(folder);
}

TEST_F(UserNetworkTest, WhileTheMachineIsPausedNothingArrives) {
    const u16 port = free_port(SOCK_DGRAM);
    start(fmt::format("user,hostfwd=udp::{}-:53", port));
    answer_arp();
    networks.stopped(StopReason::user);
    const auto asker = connect_to(port, SOCK_DGRAM);
    ASSERT_EQ(::send(asker.number(), "1", 1, 0), 1);
    for (int i = 0; i < 10; i++) events.poll(0);
    EXPECT_TRUE(card.received.empty());
    networks.resumed();
    const auto query = next([](const Packet& packet) { return packet.to_port == 53; });
    ASSERT_TRUE(query);
    EXPECT_EQ(query->text, "1");
}

TEST_F(UserNetworkTest, AGuestWithoutBuffersHoldsItsSourceBack) {
    HostSocket server(SOCK_STREAM);
    start("user");
    card.buffers = 0;
    for (int i = 0; i < 2000; i++) network->send(arp(1, guest, {}, gateway));
    for (int i = 0; i < 10; i++) events.poll(0);
    card.buffers = 1'000'000;
    network->receive_ready();
    EXPECT_LE(card.received.size(), net::FrameQueue::most_frames);
    EXPECT_GE(card.received.size(), net::FrameQueue::most_frames / 2);
    card.received.clear();
    network->send(frames::tcp(40000, gateway, server.port, 100, 0, syn));
    EXPECT_TRUE(next_tcp(syn | ack)) << "it goes on";
}

TEST_F(UserNetworkTest, NoiseIsNoHarm) {
    start("user,host-loopback=off");  // no port of this host is to be touched
    u64 random = 1;
    const auto any = [&random] {
        random = random * 6364136223846793005u + 1442695040888963407u;
        return static_cast<u8>(random >> 40);
    };
    const std::vector<Bytes> bases = {frames::tcp(40000, gateway, 1, 100, 0, syn),
                                      udp(0, 68, 0xffff'ffff, 67, std::string(300, 1), broadcast),
                                      udp(guest, 2000, gateway, 69, std::string("\0\1x\0octet\0", 10)),
                                      arp(1, guest, {}, gateway),
                                      ethernet(gateway_mac, net::ether_ipv6),
                                      ethernet(gateway_mac, 0x88f8)};
    for (int i = 0; i < 20'000; i++) {
        Bytes frame = bases[any() % bases.size()];
        for (int changes = any() % 8; changes > 0; changes--) frame[any() * frame.size() / 256] = any();
        if (any() < 64) frame.resize(frame.size() * any() / 256);
        if (any() < 32) frame.resize(frame.size() + any());
        // Nor any other host.
        if (frame.size() >= 34 && net::ether_type_of(frame) == net::ether_ipv4) store_be<u32>(&frame[30], gateway);
        if (frame.size() >= 54 && net::ether_type_of(frame) == net::ether_ipv6) frame[38] = 0xfe;
        network->send(frame);
        if (i % 100 == 0) events.poll(0);
    }
    card.received.clear();
    network->send(arp(1, guest, {}, gateway));
    EXPECT_TRUE(next([](const Packet& packet) { return packet.type == net::ether_arp; }));
}

}  // namespace
}  // namespace viv::native
