// From the text of `--net` to what it means. See net_options.h.
#include "native/net_options.h"

#include <fmt/format.h>
#include <grp.h>
#include <net/if.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <tuple>

#include "native/net_addresses.h"
#include "native/values.h"

namespace viv::native {

namespace {

// The properties of one `--net`, taken out one by one; what is left at the end is unknown.
class Properties {
public:
    Properties(std::string_view option, std::string_view text, OrderedProperties list)
        : option_(option), text_(text), list_(std::move(list)) {}

    const std::string& kind() const { return list_.head; }
    Error error(std::string_view problem) const { return Error{fmt::format("{} {}: {}", option_, text_, problem)}; }
    Error error(std::string_view key, std::string_view value, std::string_view problem) const {
        return error(fmt::format("{}={} {}", key, value, problem));
    }

    // The last of this name counts, as for QEMU.
    std::optional<std::string> take(const std::string& key) {
        auto values = take_all(key);
        if (values.empty()) return std::nullopt;
        return std::move(values.back());
    }
    std::vector<std::string> take_all(const std::string& key) {
        known_.push_back(key);
        std::vector<std::string> values;
        std::erase_if(list_.properties, [&](auto& property) {
            if (property.first != key) return false;
            values.push_back(std::move(property.second));
            return true;
        });
        return values;
    }
    void take_into(const std::string& key, std::string& into) {
        if (auto value = take(key)) into = std::move(*value);
    }
    Result<void> take_switch(const std::string& key, bool& into) {
        const auto value = take(key);
        if (!value) return {};
        // QEMU also takes y, yes, true and their like; what it prints in its own help is on and off.
        if (*value != "on" && *value != "off") return error(key, *value, "is neither on nor off");
        into = *value == "on";
        return {};
    }
    Result<void> take_ipv4(const std::string& key, in_addr& into) {
        const auto value = take(key);
        if (!value) return {};
        const auto address = parse_ipv4(*value);
        if (!address) return error(key, *value, "is no IPv4 address, as in 10.0.2.2");
        into = *address;
        return {};
    }
    Result<void> take_ipv6(const std::string& key, in6_addr& into) {
        const auto value = take(key);
        if (!value) return {};
        const auto address = parse_ipv6(*value);
        if (!address) return error(key, *value, "is no IPv6 address, as in fec0::2");
        into = *address;
        return {};
    }
    // What has not been taken is wrong.
    Result<void> finish() {
        if (list_.properties.empty()) return {};
        const auto& key = list_.properties.front().first;
        std::sort(known_.begin(), known_.end());
        const std::vector<std::string_view> names(known_.begin(), known_.end());
        return error(
            fmt::format("{} is not known; there are {}{}", key, fmt::join(names, ", "), suggestion(key, names)));
    }

private:
    std::string option_, text_;
    OrderedProperties list_;
    std::vector<std::string> known_;
};

// [tcp|udp]:[HOST]:PORT-[GUEST]:PORT
Result<HostForward> parse_host_forward(const Properties& properties, const std::string& text) {
    const auto wrong = [&](std::string_view problem) { return properties.error("hostfwd", text, problem); };
    HostForward forward;
    forward.text = text;
    std::string_view rest = text;
    const auto colon = rest.find(':');
    const auto protocol = rest.substr(0, colon);
    if (colon == std::string_view::npos || (!protocol.empty() && protocol != "tcp" && protocol != "udp"))
        return wrong("is no forward; tcp or udp, host and guest are needed, as in tcp::2222-:22");
    forward.protocol = protocol == "udp" ? HostForward::Protocol::udp : HostForward::Protocol::tcp;
    rest.remove_prefix(colon + 1);
    const auto dash = rest.find('-');
    if (dash == std::string_view::npos) return wrong("does not say where in the guest, as in tcp::2222-:22");
    const auto host_text = rest.substr(0, dash), guest_text = rest.substr(dash + 1);
    // Not QEMU's default, which is every address of this host: a guest is not offered to a network unless that is said.
    in_addr here{};
    here.s_addr = htonl(INADDR_LOOPBACK);
    const auto host = parse_net_address(host_text, here);
    if (!host) return wrong(fmt::format("has '{}' for the host; [ADDRESS]:PORT is needed", host_text));
    const auto guest = parse_net_address(guest_text, in_addr{});
    if (!guest) return wrong(fmt::format("has '{}' for the guest; [ADDRESS]:PORT is needed", guest_text));
    forward.host = *host;
    forward.guest = *guest;
    if (forward.host.is_ipv6() != forward.guest.is_ipv6())
        return wrong(forward.host.is_ipv6() ? "leads from IPv6 to IPv4; name the guest's IPv6 address in brackets"
                                            : "leads from IPv4 to IPv6; name the host's IPv6 address in brackets");
    return forward;
}

// [tcp]:SERVER:PORT-cmd:COMMAND and the like.
Result<GuestForward> parse_guest_forward(const Properties& properties, const UserNet& net, const std::string& text) {
    const auto wrong = [&](std::string_view problem) { return properties.error("guestfwd", text, problem); };
    GuestForward forward;
    forward.text = text;
    std::string_view rest = text;
    if (rest.starts_with("tcp:"))
        rest.remove_prefix(4);
    else if (rest.starts_with(":"))
        rest.remove_prefix(1);
    const auto dash = rest.find('-');
    if (dash == std::string_view::npos) return wrong("does not say where to, as in tcp:10.0.2.100:80-cmd:COMMAND");
    const auto address = parse_net_address(rest.substr(0, dash), in_addr{});
    if (!address || address->is_ipv6() || address->is_any())
        return wrong(
            "has no server; an IPv4 address of the guest's network and a port are needed, as in 10.0.2.100:80");
    forward.server = reinterpret_cast<const sockaddr_in*>(&address->storage)->sin_addr;
    forward.port = address->port();
    const Ipv4Network network{net.network, net.mask};
    if (!network.contains(forward.server) || forward.server.s_addr == net.host.s_addr ||
        forward.server.s_addr == net.dns.s_addr)
        return wrong(fmt::format("has a server that is not free in the guest's network; one like {} is needed",
                                 ipv4_text(network.at(100))));
    const auto target = rest.substr(dash + 1);
    if (target.starts_with("cmd:")) {
        forward.target = GuestForward::Target::command;
        forward.to = target.substr(4);
    } else if (target.starts_with("unix:")) {
        forward.target = GuestForward::Target::unix_socket;
        forward.to = target.substr(5);
    } else {
        return wrong(fmt::format("leads to '{}'; cmd:COMMAND or unix:PATH is needed", target));
    }
    if (forward.to.empty()) return wrong("leads nowhere; cmd:COMMAND or unix:PATH is needed");
    return forward;
}

UserNet usual_user_net() {
    UserNet net;
    const auto network = *parse_ipv4_network("10.0.2.0/24");
    net.network = network.address;
    net.mask = network.mask;
    net.host = network.at(2);
    net.dns = network.at(3);
    net.dhcp_start = network.at(15);
    net.prefix6 = *parse_ipv6("fec0::");
    net.host6 = *parse_ipv6("fec0::2");
    net.dns6 = *parse_ipv6("fec0::3");
    return net;
}

Result<void> take_ipv4_part(Properties& properties, UserNet& net) {
    if (const auto text = properties.take("net")) {
        const auto network = parse_ipv4_network(*text);
        if (!network) return properties.error("net", *text, "is no network; ADDRESS/BITS is needed, as in 10.0.2.0/24");
        if (ntohl(~network->mask.s_addr) < 31)
            return properties.error("net", *text, "is too small: host, name server and guest have to fit");
        net.network = network->at(0);
        net.mask = network->mask;
        net.host = network->at(2);
        net.dns = network->at(3);
        net.dhcp_start = network->at(15);
    }
    TRY(properties.take_ipv4("host", net.host));
    TRY(properties.take_ipv4("dns", net.dns));
    TRY(properties.take_ipv4("dhcpstart", net.dhcp_start));
    const Ipv4Network network{net.network, net.mask};
    for (const auto& [key, address] : {std::pair{"host", net.host}, {"dns", net.dns}, {"dhcpstart", net.dhcp_start}})
        if (!network.contains(address) || address.s_addr == network.at(0).s_addr ||
            address.s_addr == network.at(~u32{0}).s_addr)
            return properties.error(key, ipv4_text(address),
                                    fmt::format("is no host's address in the network {}", ipv4_text(net.network)));
    if (net.host.s_addr == net.dns.s_addr || net.host.s_addr == net.dhcp_start.s_addr ||
        net.dns.s_addr == net.dhcp_start.s_addr)
        return properties.error("host, dns and dhcpstart have to be three addresses");
    return {};
}

Result<void> take_ipv6_part(Properties& properties, UserNet& net) {
    auto prefix = properties.take("ipv6-prefix");
    auto length = properties.take("ipv6-prefixlen");
    if (const auto both = properties.take("ipv6-net")) {
        const auto slash = both->find('/');
        prefix = both->substr(0, slash);
        if (slash != std::string::npos) length = both->substr(slash + 1);
    }
    if (length) {
        const auto bits = parse_port(*length);  // a small number, in any case
        if (!bits || *bits > 126)
            return properties.error("ipv6-prefixlen", *length, "is no length; 1 to 126 is needed");
        net.prefix6_length = static_cast<u8>(*bits);
    }
    if (prefix) {
        const auto address = parse_ipv6(*prefix);
        if (!address) return properties.error("ipv6-prefix", *prefix, "is no IPv6 prefix, as in fec0::");
        net.prefix6 = net.host6 = net.dns6 = *address;
        net.host6.s6_addr[15] |= 2;
        net.dns6.s6_addr[15] |= 3;
    }
    TRY(properties.take_ipv6("ipv6-host", net.host6));
    TRY(properties.take_ipv6("ipv6-dns", net.dns6));
    const auto inside = [&](const in6_addr& address) {
        for (unsigned bit = 0; bit < net.prefix6_length; bit++)
            if (((address.s6_addr[bit / 8] ^ net.prefix6.s6_addr[bit / 8]) & (0x80 >> bit % 8)) != 0) return false;
        return true;
    };
    if (!inside(net.host6) || !inside(net.dns6) || std::memcmp(&net.host6, &net.dns6, sizeof net.host6) == 0)
        return properties.error("ipv6-host and ipv6-dns have to be two addresses within ipv6-net");
    return {};
}

Result<UserNet> take_user(Properties& properties) {
    UserNet net = usual_user_net();
    TRY(properties.take_switch("restrict", net.restricted));
    TRY(properties.take_switch("host-loopback", net.host_loopback));
    TRY(properties.take_switch("ipv4", net.ipv4));
    TRY(properties.take_switch("ipv6", net.ipv6));
    if (!net.ipv4 && !net.ipv6) return properties.error("ipv4=off and ipv6=off leave nothing");
    TRY(take_ipv4_part(properties, net));
    TRY(take_ipv6_part(properties, net));
    properties.take_into("hostname", net.hostname);
    properties.take_into("domainname", net.domain);
    properties.take_into("tftp", net.tftp);
    properties.take_into("tftp-server-name", net.tftp_server);
    properties.take_into("bootfile", net.boot_file);
    net.search = properties.take_all("dnssearch");
    // What a DHCP answer has room for.
    for (const auto& [key, value, most] :
         {std::tuple<const char*, const std::string&, usize>{"hostname", net.hostname, 32},
          {"domainname", net.domain, 255},
          {"tftp-server-name", net.tftp_server, 255},
          {"bootfile", net.boot_file, 127}})
        if (value.size() > most) return properties.error(key, value, fmt::format("is longer than {} characters", most));
    for (const auto& text : properties.take_all("hostfwd")) {
        TRY_SET(auto forward, parse_host_forward(properties, text));
        net.host_forwards.push_back(std::move(forward));
    }
    for (const auto& text : properties.take_all("guestfwd")) {
        TRY_SET(auto forward, parse_guest_forward(properties, net, text));
        for (const auto& other : net.guest_forwards)
            if (other.server.s_addr == forward.server.s_addr && other.port == forward.port)
                return properties.error("guestfwd", text, "has a server that another guestfwd has");
        net.guest_forwards.push_back(std::move(forward));
    }
    for (const char* key : {"smb", "smbserver"})
        if (const auto value = properties.take(key))
            return properties.error(key, *value, "is not there; --share DIR:TAG gives the guest a folder");
    return net;
}

// HOST:PORT, [IPV6]:PORT or :PORT.
Result<DatagramNet::Place> parse_place(const Properties& properties, std::string_view key, const std::string& text) {
    DatagramNet::Place place;
    const auto colon = text.rfind(':');
    const auto port = colon == std::string::npos ? std::nullopt : parse_port(std::string_view(text).substr(colon + 1));
    if (!port) return properties.error(key, text, "is no address; HOST:PORT is needed");
    place.port = *port;
    place.host = text.substr(0, colon);
    if (place.host.size() >= 2 && place.host.front() == '[' && place.host.back() == ']')
        place.host = place.host.substr(1, place.host.size() - 2);
    return place;
}

// QEMU's socket addresses: PREFIX.type=inet,PREFIX.host=,PREFIX.port= or PREFIX.type=unix,PREFIX.path=. None: empty.
Result<DatagramNet::Place> take_place(Properties& properties, const std::string& prefix) {
    DatagramNet::Place place;
    const auto type = properties.take(prefix + ".type");
    const auto host = properties.take(prefix + ".host"), port = properties.take(prefix + ".port");
    const auto path = properties.take(prefix + ".path");
    if (!type) {
        if (host || port || path) return properties.error(prefix + ".type= is missing; inet or unix is needed");
        return place;
    }
    if (*type == "unix") {
        if (!path || path->empty()) return properties.error(prefix + ".path= is missing");
        if (host || port) return properties.error(fmt::format("{}.type=unix has a path only", prefix));
        if (path->size() >= sizeof(sockaddr_un::sun_path))
            return properties.error(prefix + ".path", *path,
                                    fmt::format("is longer than {} characters", sizeof(sockaddr_un::sun_path) - 1));
        place.path = *path;
        return place;
    }
    if (*type != "inet") return properties.error(prefix + ".type", *type, "is not known; inet and unix are");
    if (path) return properties.error(fmt::format("{}.type=inet has no path", prefix));
    const auto number = port ? parse_port(*port) : std::nullopt;
    if (!number) return properties.error(prefix + ".port= is missing or no number from 1 to 65535");
    place.port = *number;
    place.host = host.value_or("");
    return place;
}

Endpoint stream_endpoint(const DatagramNet::Place& place, Endpoint::Role role) {
    Endpoint endpoint;
    endpoint.kind = place.path.empty() ? Endpoint::Kind::tcp : Endpoint::Kind::unix_socket;
    endpoint.role = role;
    endpoint.host = place.host;
    endpoint.port = place.port;
    endpoint.path = place.path;
    endpoint.text = place.text();
    return endpoint;
}

Result<StreamNet> take_stream(Properties& properties) {
    StreamNet net;
    bool server = false;
    TRY(properties.take_switch("server", server));
    TRY_SET(const auto place, take_place(properties, "addr"));
    if (place.port == 0 && place.path.empty())
        return properties.error("addr.type= is missing, as in stream,addr.type=unix,addr.path=lan.sock");
    net.endpoint = stream_endpoint(place, server ? Endpoint::Role::listen : Endpoint::Role::connect);
    for (const auto& [key, unit_ms] : {std::pair{"reconnect", u64{1000}}, {"reconnect-ms", u64{1}}}) {
        const auto text = properties.take(key);
        if (!text) continue;
        const auto number = parse_count("", *text, 0, 86'400'000);
        if (!number.ok()) return properties.error(key, *text, "is no number of 0 or more");
        if (server) return properties.error(key, *text, "is for the side that connects, not for server=on");
        net.reconnect_ms = *number * unit_ms;
    }
    return net;
}

bool is_multicast(const std::string& host) {
    const auto v4 = parse_ipv4(host);
    return v4 && (ntohl(v4->s_addr) >> 28) == 14;
}

Result<DatagramNet> take_datagram(Properties& properties) {
    DatagramNet net;
    TRY_SET(net.local, take_place(properties, "local"));
    TRY_SET(net.remote, take_place(properties, "remote"));
    net.multicast = is_multicast(net.remote.host);
    const auto given = [](const DatagramNet::Place& place) { return place.port != 0 || !place.path.empty(); };
    if (!given(net.remote)) return properties.error("remote.type= is missing: where the frames go");
    if (!net.multicast && !given(net.local)) return properties.error("local.type= is missing: where frames come in");
    if (given(net.local) && net.local.path.empty() != net.remote.path.empty())
        return properties.error("local and remote have to be of one type");
    if (!net.multicast && net.remote.path.empty() && net.remote.host.empty())
        return properties.error("remote.host= is missing: where the frames go");
    return net;
}

// QEMU's older name for both.
Result<void> take_socket(Properties& properties, NetOption& option) {
    const auto listen = properties.take("listen"), connect = properties.take("connect");
    const auto mcast = properties.take("mcast"), udp = properties.take("udp"), local = properties.take("localaddr");
    if (listen.has_value() + connect.has_value() + mcast.has_value() + udp.has_value() != 1)
        return properties.error("one of listen=, connect=, mcast= and udp= is needed");
    if (listen || connect) {
        if (local) return properties.error("localaddr", *local, "is for mcast= and udp=");
        TRY_SET(const auto place, parse_place(properties, listen ? "listen" : "connect", listen ? *listen : *connect));
        option.back_end =
            StreamNet{stream_endpoint(place, listen ? Endpoint::Role::listen : Endpoint::Role::connect), 0};
        return {};
    }
    DatagramNet net;
    TRY_SET(net.remote, parse_place(properties, mcast ? "mcast" : "udp", mcast ? *mcast : *udp));
    net.multicast = mcast.has_value();
    if (net.multicast != is_multicast(net.remote.host))
        return properties.error(mcast ? "mcast" : "udp", mcast ? *mcast : *udp,
                                mcast ? "is no group; an address from 224.0.0.0 to 239.255.255.255 is needed"
                                      : "is a group; that is what mcast= is for");
    if (net.multicast && local)
        net.local.host = *local;
    else if (local) {
        TRY_SET(net.local, parse_place(properties, "localaddr", *local));
    } else if (!net.multicast) {
        return properties.error("localaddr= is missing, as in socket,udp=127.0.0.1:1,localaddr=127.0.0.1:2");
    }
    option.back_end = net;
    return {};
}

Result<TapNet> take_tap(Properties& properties) {
    TapNet net;
    properties.take_into("ifname", net.interface);
    properties.take_into("br", net.bridge);
    for (const auto& [key, name] :
         {std::pair<const char*, const std::string&>{"ifname", net.interface}, {"br", net.bridge}})
        if (name.size() >= IFNAMSIZ || name.find_first_of("/ %") != std::string::npos)
            return properties.error(key, name,
                                    fmt::format("is no interface's name (at most {} characters)", IFNAMSIZ - 1));
    for (const char* key : {"script", "downscript"})
        if (const auto value = properties.take(key); value && *value != "no")
            return properties.error(key, *value,
                                    "is not there; br=BRIDGE joins a bridge, or prepare the interface before");
    return net;
}

// What libvdeplug would not take for the characters of a path is refused: it knows ports in brackets and quotes.
Result<VdeNet> take_vde(Properties& properties) {
    constexpr usize longest_path = sizeof(sockaddr_un::sun_path) - sizeof "/ctl";
    VdeNet net;
    properties.take_into("sock", net.path);
    if (net.path.size() > longest_path)
        return properties.error("sock", net.path, fmt::format("is longer than {} characters", longest_path));
    if (net.path.find_first_of("[]%\\'\"") != std::string::npos)
        return properties.error("sock", net.path, "has brackets, quotes, % or \\, which libvdeplug reads as its own");
    if (net.path.find("://") != std::string::npos)
        return properties.error("sock", net.path, "is no folder of a vde_switch; of libvdeplug's networks that is all");
    if (const auto port = properties.take("port")) {
        const auto number = parse_port(*port);
        if (!number) return properties.error("port", *port, "is no port of a switch, which are counted from 1");
        net.port = *number;
    }
    properties.take_into("group", net.group);
    if (!net.group.empty() && getgrnam(net.group.c_str()) == nullptr)
        return properties.error("group", net.group, "is no group of this host");
    if (const auto mode = properties.take("mode")) {
        u32 bits = 0;
        const auto [end, problem] = std::from_chars(mode->data(), mode->data() + mode->size(), bits, 8);
        if (problem != std::errc{} || end != mode->data() + mode->size() || bits > 0777)
            return properties.error("mode", *mode, "is no mode in octal, as in 0660");
        net.mode = bits;
    }
    return net;
}

// ws://HOST[:PORT][/PATH]; a token does not belong into a URL, which other users of this host can see.
Result<WebsocketUrl> parse_url(const Properties& properties, const std::string& text) {
    const auto wrong = [&](std::string_view problem) { return properties.error("url", text, problem); };
    WebsocketUrl url;
    url.text = text;
    std::string_view rest = text;
    url.secure = rest.starts_with("wss://");
    if (!url.secure && !rest.starts_with("ws://"))
        return wrong("is no websocket; ws://HOST[:PORT]/ROOM or wss://HOST[:PORT]/ROOM is needed");
    rest.remove_prefix(url.secure ? 6 : 5);
    const auto slash = std::min(rest.find('/'), rest.size());
    url.path = slash == rest.size() ? "/" : std::string(rest.substr(slash));
    rest = rest.substr(0, slash);
    if (!std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; }) || text.size() > 1024 ||
        rest.find('@') != std::string_view::npos)
        return wrong("is no URL of a relay's room");
    url.port = url.secure ? 443 : 80;
    const auto bracket = rest.rfind(']');
    const auto colon = rest.rfind(':');
    if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
        const auto port = parse_port(rest.substr(colon + 1));
        if (!port) return wrong("has no port from 1 to 65535");
        url.port = *port;
        rest = rest.substr(0, colon);
    }
    if (rest.size() >= 2 && rest.front() == '[' && rest.back() == ']') rest = rest.substr(1, rest.size() - 2);
    if (rest.empty()) return wrong("names no host");
    url.host = rest;
    return url;
}

Result<WebsocketNet> take_websocket(Properties& properties) {
    WebsocketNet net;
    for (const auto& text : properties.take_all("url")) {
        TRY_SET(auto url, parse_url(properties, text));
        net.urls.push_back(std::move(url));
    }
    if (net.urls.empty()) return properties.error("url= is missing, as in websocket,url=ws://127.0.0.1:8090/lab");
    properties.take_into("token-file", net.token_file);
    properties.take_into("ca-file", net.authority_file);
    return net;
}

constexpr std::array<std::string_view, 12> kinds{"none",  "null",   "loopback", "hub", "user",    "stream",
                                                 "dgram", "socket", "tap",      "vde", "hubport", "websocket"};
constexpr std::string_view kinds_help =
    "user (NAT, the default), none, null (a cable to nowhere), loopback (every frame comes back), hub, stream, dgram, "
    "socket, tap, vde or websocket";

// What every kind takes.
Result<void> take_common(Properties& properties, NetOption& net) {
    properties.take_into("model", net.model);
    if (net.model == "virtio") net.model.clear();  // QEMU's word for it
    for (const char* key : {"mac", "id", "queues", "queue-size", "offloads", "host_mtu", "packed"})
        if (auto value = properties.take(key)) net.card_properties.emplace(key, std::move(*value));
    properties.take_into("hub", net.hub);
    properties.take_into("capture", net.capture);
    TRY(properties.take_switch("card", net.card));
    if (!net.card && net.hub.empty()) return properties.error("card=off leads nowhere without hub=NAME");
    if (!net.card && std::holds_alternative<HubNet>(net.back_end)) return properties.error("card=off leaves nothing");
    if (!net.card && !(net.card_properties.empty() && net.model.empty()))
        return properties.error("card=off leaves nothing that could have a model or properties");
    return {};
}

}  // namespace

std::string DatagramNet::Place::text() const {
    if (!path.empty()) return path;
    return fmt::format("{}:{}", host.find(':') == std::string::npos ? host : '[' + host + ']', port);
}

bool NetOption::touches_host() const {
    if (!capture.empty()) return true;
    const auto* user = std::get_if<UserNet>(&back_end);
    if (user == nullptr) return !repeatable();
    return user->host_loopback || !(user->tftp.empty() && user->host_forwards.empty() && user->guest_forwards.empty());
}

Result<std::optional<NetOption>> parse_net(std::string_view option, std::string_view text) {
    TRY_SET(auto list, parse_ordered_properties(option, text, Head::required));
    Properties properties(option, text, std::move(list));
    const std::string kind = properties.kind();
    NetOption net;
    net.text = text;
    net.where = fmt::format("{} {}", option, kind);
    if (kind == "none") {
        TRY(properties.finish());
        return std::optional<NetOption>();
    }
    if (kind == "user") {
        TRY_SET(net.back_end, take_user(properties));
    } else if (kind == "loopback") {
        net.back_end = LoopbackNet{};
    } else if (kind == "hub" || kind == "hubport") {
        net.back_end = HubNet{};
        net.hub = "0";
        properties.take_into(kind == "hub" ? "name" : "hubid", net.hub);
    } else if (kind == "stream") {
        TRY_SET(net.back_end, take_stream(properties));
    } else if (kind == "dgram") {
        TRY_SET(net.back_end, take_datagram(properties));
    } else if (kind == "socket") {
        TRY(take_socket(properties, net));
    } else if (kind == "tap") {
        TRY_SET(net.back_end, take_tap(properties));
    } else if (kind == "vde") {
        TRY_SET(net.back_end, take_vde(properties));
    } else if (kind == "websocket") {
        TRY_SET(net.back_end, take_websocket(properties));
    } else if (kind != "null") {
        return Error{fmt::format("{} {}: is no network; use {}{}", option, text, kinds_help, suggestion(kind, kinds))};
    }
    TRY(take_common(properties, net));
    TRY(properties.finish());
    return std::optional<NetOption>(std::move(net));
}

NetOption default_net() {
    NetOption net;
    net.text = "user,host-loopback=off";
    net.where = "--net user";
    UserNet user = usual_user_net();
    // Nobody asked for it, so it gives the guest no more than the way out.
    user.host_loopback = false;
    net.back_end = std::move(user);
    return net;
}

}  // namespace viv::native
