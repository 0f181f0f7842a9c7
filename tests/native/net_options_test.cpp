// The text of `--net` and what it means; every wrong one is one line.
#include "native/net_options.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include "native/net_addresses.h"

namespace viv::native {
namespace {

NetOption parsed(std::string_view text) {
    auto net = parse_net("--net", text);
    EXPECT_TRUE(net.ok()) << (net.ok() ? "" : net.error().message);
    EXPECT_TRUE(net.ok() && *net);
    return net.ok() && *net ? std::move(**net) : NetOption{};
}
UserNet user(std::string_view text) { return std::get<UserNet>(parsed(text).back_end); }
std::string text_of(const in6_addr& address) {
    char text[INET6_ADDRSTRLEN];
    return inet_ntop(AF_INET6, &address, text, sizeof text);
}

TEST(NetOptions, UserHasQemusDefaults) {
    const auto net = user("user");
    EXPECT_FALSE(net.restricted);
    EXPECT_TRUE(net.host_loopback);
    EXPECT_EQ(ipv4_text(net.network), "10.0.2.0");
    EXPECT_EQ(ipv4_text(net.mask), "255.255.255.0");
    EXPECT_EQ(ipv4_text(net.host), "10.0.2.2");
    EXPECT_EQ(ipv4_text(net.dns), "10.0.2.3");
    EXPECT_EQ(ipv4_text(net.dhcp_start), "10.0.2.15");
    EXPECT_EQ(text_of(net.host6), "fec0::2");
    EXPECT_EQ(text_of(net.dns6), "fec0::3");
}

TEST(NetOptions, WhatNobodyAskedForGivesNothingOfTheHost) {
    const auto net = default_net();
    EXPECT_FALSE(std::get<UserNet>(net.back_end).host_loopback);
    EXPECT_FALSE(net.touches_host());
    EXPECT_FALSE(net.repeatable());
    const auto again = parsed(net.text);
    EXPECT_FALSE(std::get<UserNet>(again.back_end).host_loopback) << "its text says the same";
    EXPECT_TRUE(parsed("user").touches_host());
    EXPECT_TRUE(parsed("user,host-loopback=off,hostfwd=tcp::1-:2").touches_host());
    EXPECT_TRUE(parsed("loopback").repeatable());
}

TEST(NetOptions, ANetworkMovesWhatIsInIt) {
    const auto net = user("user,net=192.168.76.0/24,ipv6-net=fd00:1::/64");
    EXPECT_EQ(ipv4_text(net.host), "192.168.76.2");
    EXPECT_EQ(ipv4_text(net.dns), "192.168.76.3");
    EXPECT_EQ(ipv4_text(net.dhcp_start), "192.168.76.15");
    EXPECT_EQ(text_of(net.host6), "fd00:1::2");
    const auto own = user("user,net=10.0.0.0/255.0.0.0,host=10.9.8.7,dns=10.1.1.1,dhcpstart=10.2.0.9");
    EXPECT_EQ(ipv4_text(own.mask), "255.0.0.0");
    EXPECT_EQ(ipv4_text(own.host), "10.9.8.7");
}

TEST(NetOptions, Forwards) {
    const auto net = user(
        "user,hostfwd=tcp::2222-:22,hostfwd=udp:0.0.0.0:53-10.0.2.20:5353,hostfwd=:127.0.0.1:80-:8080,"
        "hostfwd=tcp:[::1]:22-[fec0::15]:22");
    ASSERT_EQ(net.host_forwards.size(), 4u);
    EXPECT_EQ(net.host_forwards[0].host.text(), "127.0.0.1:2222") << "not every address of this host";
    EXPECT_EQ(net.host_forwards[0].guest.text(), "0.0.0.0:22");
    EXPECT_EQ(net.host_forwards[1].protocol, HostForward::Protocol::udp);
    EXPECT_EQ(net.host_forwards[1].host.text(), "0.0.0.0:53");
    EXPECT_EQ(net.host_forwards[1].guest.text(), "10.0.2.20:5353");
    EXPECT_EQ(net.host_forwards[2].protocol, HostForward::Protocol::tcp);
    EXPECT_EQ(net.host_forwards[3].guest.text(), "[fec0::15]:22");
    const auto guest = user("user,guestfwd=tcp:10.0.2.100:80-cmd:cat /etc/motd,,x,guestfwd=:10.0.2.101:1-unix:/tmp/s");
    ASSERT_EQ(guest.guest_forwards.size(), 2u);
    EXPECT_EQ(guest.guest_forwards[0].to, "cat /etc/motd,x");
    EXPECT_EQ(guest.guest_forwards[1].target, GuestForward::Target::unix_socket);
}

TEST(NetOptions, TheRestOfUser) {
    const auto net = user(
        "user,restrict=on,ipv6=off,hostname=box,domainname=example.org,dnssearch=a,dnssearch=b,tftp=/srv,bootfile=x,"
        "tftp-server-name=t");
    EXPECT_TRUE(net.restricted);
    EXPECT_FALSE(net.ipv6);
    EXPECT_EQ(net.hostname, "box");
    EXPECT_EQ(net.search, (std::vector<std::string>{"a", "b"}));
    const auto card = parsed("user,mac=52:54:00:00:00:09,id=n0,model=virtio-net-device");
    EXPECT_EQ(card.model, "virtio-net-device");
    EXPECT_EQ(card.card_properties.at("mac"), "52:54:00:00:00:09");
    EXPECT_EQ(parsed("null,model=virtio").model, "");
    EXPECT_EQ(parsed("user,model=e1000e").model, "e1000e");
}

TEST(NetOptions, Websocket) {
    const auto net =
        parsed("websocket,url=ws://relay.example:8090/lab,url=wss://[2001:db8::1]/,token-file=t,ca-file=c");
    const auto& websocket = std::get<WebsocketNet>(net.back_end);
    ASSERT_EQ(websocket.urls.size(), 2u);
    EXPECT_EQ(websocket.urls[0].host, "relay.example");
    EXPECT_EQ(websocket.urls[0].port, 8090);
    EXPECT_EQ(websocket.urls[0].path, "/lab");
    EXPECT_FALSE(websocket.urls[0].secure);
    EXPECT_EQ(websocket.urls[1].host, "2001:db8::1");
    EXPECT_EQ(websocket.urls[1].port, 443);
    EXPECT_TRUE(websocket.urls[1].secure);
    EXPECT_EQ(websocket.token_file, "t");
    EXPECT_EQ(websocket.authority_file, "c");
    EXPECT_TRUE(net.touches_host());
    EXPECT_FALSE(net.repeatable());
    EXPECT_EQ(std::get<WebsocketNet>(parsed("websocket,url=ws://h").back_end).urls[0].path, "/");
    EXPECT_EQ(std::get<WebsocketNet>(parsed("websocket,url=ws://h").back_end).urls[0].port, 80);
    for (const auto* text : {"websocket", "websocket,url=", "websocket,url=http://h/", "websocket,url=ws://",
                             "websocket,url=ws:///lab", "websocket,url=ws://h:0/", "websocket,url=ws://h:70000/",
                             "websocket,url=ws://u:p@h/", "websocket,url=ws://h/a b", "websocket,url=ws://h,token=x"}) {
        const auto net_of = parse_net("--net", text);
        ASSERT_FALSE(net_of.ok()) << text;
        EXPECT_EQ(net_of.error().message.find("--net "), 0u);
        EXPECT_EQ(net_of.error().message.find('\n'), std::string::npos);
    }
}

TEST(NetOptions, NoneIsNoCard) {
    const auto none = parse_net("--net", "none");
    ASSERT_TRUE(none.ok());
    EXPECT_FALSE(*none);
}

TEST(NetOptions, WrongOnesAreOneLine) {
    const std::pair<const char*, const char*> cases[] = {
        {"", "--net : is no network; use user (NAT, the default), none, null"},
        {"none,mac=1", "--net none,mac=1: mac is not known; there are "},
        {"null,hostfwd=tcp::1-:2",
         "--net null,hostfwd=tcp::1-:2: hostfwd is not known; there are capture, card, host_mtu, hub, id, mac, "
         "model, offloads, packed, queue-size, queues"},
        {"user,restric=on", "did you mean restrict?"},
        {"user,restrict=yes", "--net user,restrict=yes: restrict=yes is neither on nor off"},
        {"user,ipv4=off,ipv6=off", "ipv4=off and ipv6=off leave nothing"},
        {"user,net=10.0.2", "net=10.0.2 is no network; ADDRESS/BITS is needed, as in 10.0.2.0/24"},
        {"user,net=10.0.2.0/33", "is no network"},
        {"user,net=10.0.2.0/255.0.255.0", "is no network"},
        {"user,net=10.0.2.0/30", "net=10.0.2.0/30 is too small: host, name server and guest have to fit"},
        {"user,host=10.0.3.2", "host=10.0.3.2 is no host's address in the network 10.0.2.0"},
        {"user,host=10.0.2.255", "host=10.0.2.255 is no host's address"},
        {"user,dns=10.0.2.2", "host, dns and dhcpstart have to be three addresses"},
        {"user,dhcpstart=x", "dhcpstart=x is no IPv4 address, as in 10.0.2.2"},
        {"user,ipv6-net=fec0::/127", "ipv6-prefixlen=127 is no length; 1 to 126 is needed"},
        {"user,ipv6-net=10.0.0.0", "ipv6-prefix=10.0.0.0 is no IPv6 prefix, as in fec0::"},
        {"user,ipv6-host=fd00::2", "ipv6-host and ipv6-dns have to be two addresses within ipv6-net"},
        {"user,hostfwd=2222-22",
         "hostfwd=2222-22 is no forward; tcp or udp, host and guest are needed, as in tcp::2222-:22"},
        {"user,hostfwd=sctp::1-:2", "is no forward"},
        {"user,hostfwd=tcp::2222", "hostfwd=tcp::2222 does not say where in the guest, as in tcp::2222-:22"},
        {"user,hostfwd=tcp::0-:22", "has ':0' for the host; [ADDRESS]:PORT is needed"},
        {"user,hostfwd=tcp::70000-:22", "has ':70000' for the host"},
        {"user,hostfwd=tcp::1-:99999", "has ':99999' for the guest"},
        {"user,hostfwd=tcp:localhost:1-:2", "has 'localhost:1' for the host"},
        {"user,hostfwd=tcp:[::1]:1-:2", "leads from IPv6 to IPv4; name the guest's IPv6 address in brackets"},
        {"user,guestfwd=tcp:10.0.2.100:80", "does not say where to, as in tcp:10.0.2.100:80-cmd:COMMAND"},
        {"user,guestfwd=tcp:1.2.3.4:80-cmd:x",
         "has a server that is not free in the guest's network; one like 10.0.2.100"},
        {"user,guestfwd=tcp:10.0.2.2:80-cmd:x", "has a server that is not free in the guest's network"},
        {"user,guestfwd=tcp:10.0.2.100:80-cmd:", "leads nowhere"},
        {"user,guestfwd=tcp:10.0.2.100:80-chardev0", "leads to 'chardev0'; cmd:COMMAND or unix:PATH is needed"},
        {"user,guestfwd=:10.0.2.9:80-cmd:x,guestfwd=:10.0.2.9:80-cmd:y", "has a server that another guestfwd has"},
        {"user,smb=/srv", "smb=/srv is not there; --share DIR:TAG gives the guest a folder"},
        {"user,=x", "key=value is needed between commas"},
    };
    for (const auto& [text, message] : cases) {
        const auto net = parse_net("--net", text);
        ASSERT_FALSE(net.ok()) << text;
        EXPECT_NE(net.error().message.find(message), std::string::npos) << net.error().message;
        EXPECT_EQ(net.error().message.rfind(std::string("--net ") + text, 0), 0u) << net.error().message;
        EXPECT_EQ(net.error().message.find('\n'), std::string::npos);
    }
    EXPECT_FALSE(parse_net("--net", "user,hostname=" + std::string(33, 'x')).ok());
    EXPECT_FALSE(parse_net("--net", "user,bootfile=" + std::string(128, 'x')).ok());
}

}  // namespace
}  // namespace viv::native
