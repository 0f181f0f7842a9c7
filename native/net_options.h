// What `--net` says: KIND,key=value,... One of them is a card of the machine and what its cable leads to.
// Promises: as options.h; what a kind of network takes is its struct here, with QEMU's names for what QEMU has.
// Addresses are checked, nothing on the host is looked at.
#pragma once

#include <netinet/in.h>
#include <sys/types.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/lang/bits.h"
#include "engine/lang/result.h"
#include "native/endpoint.h"

namespace viv::native {

struct NullNet {};
struct LoopbackNet {};

// An address and port of either family; an address of zeros means "any" or "the usual one", as the field says.
struct NetAddress {
    sockaddr_storage storage{};
    u16 port() const;
    bool is_ipv6() const { return storage.ss_family == AF_INET6; }
    bool is_any() const;
    const sockaddr* generic() const { return reinterpret_cast<const sockaddr*>(&storage); }
    socklen_t size() const { return is_ipv6() ? sizeof(sockaddr_in6) : sizeof(sockaddr_in); }
    std::string text() const;  // "127.0.0.1:22", "[::1]:22"
};

// hostfwd=tcp:HOST:PORT-GUEST:PORT
struct HostForward {
    std::string text;
    enum class Protocol : u8 { tcp, udp } protocol = Protocol::tcp;
    NetAddress host;   // zeros: offered to the whole network
    NetAddress guest;  // IPv4, zeros: the first address that DHCP gives
};

// guestfwd=tcp:SERVER:PORT-cmd:COMMAND or -unix:PATH: a server inside the guest's network that is one of the host.
struct GuestForward {
    std::string text;
    in_addr server{};
    u16 port = 0;
    enum class Target : u8 { command, unix_socket } target = Target::command;
    std::string to;
};

// NAT without privilege.
struct UserNet {
    bool restricted = false;    // only forwards, DHCP and TFTP
    bool host_loopback = true;  // the guest reaches this host's own services at `host`
    bool ipv4 = true, ipv6 = true;
    in_addr network{}, mask{}, host{}, dns{}, dhcp_start{};
    in6_addr prefix6{}, host6{}, dns6{};
    u8 prefix6_length = 64;
    std::string hostname, domain, tftp, tftp_server, boot_file;  // empty: none
    std::vector<std::string> search;
    std::vector<HostForward> host_forwards;
    std::vector<GuestForward> guest_forwards;
};

// Frames in a stream: QEMU's `stream`, and `socket` with listen= or connect=.
struct StreamNet {
    Endpoint endpoint;
    u64 reconnect_ms = 0;  // 0: the other side has to be there, and when it goes it has gone
};

// A frame a datagram: QEMU's `dgram`, and `socket` with udp= or mcast=.
struct DatagramNet {
    struct Place {
        std::string host, path;  // one of them; both empty: none
        u16 port = 0;
        std::string text() const;
    };
    Place local, remote;
    bool multicast = false;  // remote is a group, local.host the interface's address or empty
};

// A card of the machine's own hub, and nothing else on this cable.
struct HubNet {};

// A TAP interface of this host.
struct TapNet {
    std::string interface, bridge;  // empty: any new one; none
};

// A port of a vde_switch.
struct VdeNet {
    std::string path, group;  // empty: libvdeplug's usual switch; the user's own
    u16 port = 0;             // 0: any
    mode_t mode = 0700;       // of the socket
};

// A relay's room.
struct WebsocketUrl {
    std::string text, host, path;
    u16 port = 0;
    bool secure = false;  // wss
};
struct WebsocketNet {
    std::vector<WebsocketUrl> urls;          // at least one; they are tried in turn
    std::string token_file, authority_file;  // empty: none; the host's own
};

struct NetOption {
    std::string text;   // as given, without the option's name
    std::string where;  // for messages: "--net user"
    std::string model;  // of the card; empty: the board's
    std::map<std::string, std::string> card_properties;
    std::string hub;      // both ends are plugged into this one; empty: into each other
    bool card = true;     // off: the back end alone is plugged into the hub
    std::string capture;  // a file for all that passes; empty: none
    std::variant<NullNet, LoopbackNet, HubNet, UserNet, StreamNet, DatagramNet, TapNet, VdeNet, WebsocketNet> back_end;

    // Does it depend on nothing but the machine?
    bool repeatable() const { return back_end.index() <= 2; }
    // Does it give more of this host than what a machine gets that is told nothing?
    bool touches_host() const;
};

// An empty optional: "none". `option` as in "--net".
Result<std::optional<NetOption>> parse_net(std::string_view option, std::string_view text);
// What a machine gets that is told nothing about networks.
NetOption default_net();

}  // namespace viv::native
