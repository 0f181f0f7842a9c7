// What the command line says, checked.
// Promises: without keys for tokens only loopback addresses are listened on; a setting that would be unsafe by omission
// has the safe default. Errors name the option and what would be right.
#pragma once

#include <map>
#include <set>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "engine/lang/result.h"
#include "netbridge/destination.h"
#include "netbridge/limits.h"
#include "netbridge/nats_bus.h"
#include "netbridge/outside_filter.h"
#include "netbridge/request.h"
#include "netbridge/rooms.h"
#include "netbridge/token.h"

namespace viv::netbridge {

struct ListenAddress {
    Address address;
    u16 port = 0;  // 0: the system chooses

    static Result<ListenAddress> parse(std::string_view option, std::string_view text);
    std::string text() const;
};

// Times are in seconds; 0 switches off.
struct Times {
    u64 ping = 20;     // of silence, then a ping is sent
    u64 hang_up = 40;  // of silence, then the client has gone
    u64 idle = 0;      // without a message, pings or not
    u64 stall = 30;    // in which a client takes nothing of what waits for it
    u64 handshake = 10;
    u64 drain = 2;  // at the end, for clients to take leave
};

struct Settings {
    std::vector<ListenAddress> listen;
    std::string certificate, private_key;  // both or neither
    TokenKeys keys;
    Origins origins;
    DestinationRules rules;
    std::vector<Network> metrics_from;  // besides loopback
    LimitSettings limits;
    Times times;
    SpoofCheck spoof_check = SpoofCheck::off;
    usize most_rooms = 1024;
    u64 queue_total = 512 << 20;
    std::set<std::string> nat_rooms;          // "any": all without a TAP
    std::map<std::string, std::string> taps;  // interfaces by room
    OutsideNetwork outside;
    NatsSettings backplane;  // no servers: this relay is alone
    bool wisp = false, tunnels = false;
    std::string user;  // to become after the start; empty: stay
    bool sandbox = true;

    // By websocket.
    bool serves(Request::Kind kind) const;
    bool has_nat(const std::string& room) const;
};

// The options of the backplane as they were said; files are named.
struct BackplaneWords {
    std::string servers, user, token, authority;
};
Result<NatsSettings> check_backplane(const BackplaneWords& words);

// `netbridge token`
struct TokenOrder {
    TokenKeys keys;
    Grant grant;  // its expiry is seconds from now
};
// A socket of this host: TCP, or of a path.
struct LocalAddress {
    ListenAddress tcp;
    std::string path;  // empty: TCP

    static Result<LocalAddress> parse(std::string_view option, std::string_view text);  // ADDRESS:PORT or unix:PATH
    std::string text() const;
};

struct TunnelUrl {
    bool secure = false;
    std::string host, path;  // the path is that of its side
    u16 port = 0;

    static Result<TunnelUrl> parse(std::string_view text, Scope side);
};

// `netbridge offer` and `netbridge attach`, as they were said and as checked.
struct TunnelWords {
    std::string url, local, token, authority;
};
struct TunnelOrder {
    Scope side = Scope::attach;
    TunnelUrl url;
    LocalAddress local;
    std::string token, authority_file;  // empty: none; the system's

    static Result<TunnelOrder> check(Scope side, const TunnelWords& words);
};
// Help, or the version.
struct PrintOrder {
    std::string text;
};
using Order = std::variant<Settings, TokenOrder, TunnelOrder, PrintOrder>;

// Reads files that options name.
Result<Order> parse_arguments(std::span<const std::string> arguments);

}  // namespace viv::netbridge
