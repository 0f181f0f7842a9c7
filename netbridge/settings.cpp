// From the command line to settings. See settings.h. The only file that sees CLI11, whose exceptions end here.
#include "netbridge/settings.h"

#include <fmt/format.h>
#include <net/if.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>

#include "netbridge/secret_file.h"

namespace viv::netbridge {

namespace {

std::optional<u64> number(std::string_view text) {
    u64 value = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (problem != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
    return value;
}

Result<void> take_number(std::string_view option, const std::string& text, u64 least, u64 most, u64& into) {
    if (text.empty()) return {};
    const auto value = number(text);
    if (!value || *value < least || *value > most)
        return Error{fmt::format("{} {}: a number from {} to {} is needed", option, text, least, most)};
    into = *value;
    return {};
}

// 30, 30s, 15m, 12h, 7d: in seconds.
Result<u64> parse_duration(std::string_view option, std::string_view text) {
    constexpr u64 most = u64{10} * 365 * 86400;
    u64 unit = 1;
    auto digits = text;
    if (!digits.empty()) {
        const auto found = std::string_view("smhd").find(digits.back());
        if (found != std::string_view::npos) {
            constexpr u64 units[] = {1, 60, 3600, 86400};
            unit = units[found];
            digits.remove_suffix(1);
        }
    }
    const auto value = number(digits);
    if (!value || *value == 0 || *value > most / unit)
        return Error{fmt::format("{} {}: a time is needed, as in 30m, 12h or 7d", option, text)};
    return *value * unit;
}

Result<void> add_keys(TokenKeys& keys, const std::vector<std::string>& files) {
    for (const auto& file : files) {
        TRY_SET(const auto content, read_secret("--secret-file", file));
        TRY(keys.add("--secret-file " + file, content));
    }
    return {};
}

// Everything as text; what it means is said by check().
struct ServeWords {
    std::vector<std::string> listen, secrets, origins, allow, deny, nat, taps, metrics_from;
    std::string certificate, private_key, user, nat_first;
    BackplaneWords backplane;
    std::string connections, connections_per_address, attempts, frame_rate, byte_rate, frame_rate_address,
        byte_rate_address, queue, queue_total, streams, rooms;
    std::string handshake, ping, hang_up, idle, stall;
    bool wisp = false, tunnels = false, spoof = false, no_sandbox = false;
};

void declare(CLI::App& app, ServeWords& words) {
    const auto many = [&](const char* name, auto& into, const char* form, const char* help, const char* group) {
        app.add_option(name, into, help)
            ->type_name(form)
            ->expected(1)
            ->allow_extra_args(false)
            ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
            ->group(group);
    };
    const auto one = [&](const char* name, auto& into, const char* form, const char* help, const char* group) {
        app.add_option(name, into, help)->type_name(form)->expected(1)->group(group);
    };
    const char* who = "Who may come";
    many("--listen", words.listen, "ADDRESS:PORT", "Where to listen; 127.0.0.1:8090 if not given. May be repeated",
         who);
    one("--cert", words.certificate, "FILE", "Certificate chain (PEM): wss:// instead of ws://", who);
    one("--key", words.private_key, "FILE", "Its private key (PEM)", who);
    many("--secret-file", words.secrets, "FILE",
         "Clients have to show a token made with it. May be repeated: tokens of any are good", who);
    many("--origin", words.origins, "ORIGIN", "Pages that may connect, as https://example.org, or *. May be repeated",
         who);
    many("--metrics-from", words.metrics_from, "NETWORK", "Who may read /metrics, besides this host. May be repeated",
         who);
    const char* what = "What they get";
    many("--nat", words.nat, "ROOM", "This room has a way out, with DHCP and names; 'any': all rooms. May be repeated",
         what);
    one("--nat-first", words.nat_first, "ADDRESS",
        "The first of the 16 addresses that the NAT's DHCP gives (10.0.2.15); relays of a backplane need different "
        "ones",
        what);
    many(
        "--tap", words.taps, "ROOM=INTERFACE",
        "This room is bridged to a TAP interface of this host: --allow and --deny are not asked there. May be repeated",
        what);
    app.add_flag("--wisp", words.wisp, "TCP and UDP streams (WISP) at /wisp/")->group(what);
    app.add_flag("--tunnels", words.tunnels, "Streams of machines (gdb, monitor, VNC) at /tunnel/NAME")->group(what);
    many("--allow", words.allow, "RULE", "Destinations that are not public: NETWORK[,tcp|udp|icmp][,port=N[-M]]", what);
    many("--deny", words.deny, "RULE", "Destinations that nobody may go to; stronger than --allow", what);
    const char* backplane = "Other relays";
    one("--backplane", words.backplane.servers, "URL[,URL...]",
        "NATS servers, as nats://HOST:PORT or tls://HOST:PORT: rooms are shared with all other relays there",
        backplane);
    one("--backplane-user-file", words.backplane.user, "FILE", "Who to be there, as USER:PASSWORD in one line",
        backplane);
    one("--backplane-token-file", words.backplane.token, "FILE", "Or a token, in one line", backplane);
    one("--backplane-ca", words.backplane.authority, "FILE", "Authorities to trust for tls:// (PEM), not the system's",
        backplane);
    const char* limits = "Limits";
    app.add_flag("--check-spoofing", words.spoof, "A station's address belongs to the client that used it first")
        ->group(limits);
    one("--connections", words.connections, "N", "At once (4096)", limits);
    one("--connections-per-address", words.connections_per_address, "N", "At once, from one address (64)", limits);
    one("--attempts-per-address", words.attempts, "N", "Connections begun, a second and address (20)", limits);
    one("--frames", words.frame_rate, "N", "Messages a second and client (50000)", limits);
    one("--bytes", words.byte_rate, "N", "Bytes a second and client (64 MiB)", limits);
    one("--frames-per-address", words.frame_rate_address, "N", "Messages a second and address (200000)", limits);
    one("--bytes-per-address", words.byte_rate_address, "N", "Bytes a second and address (256 MiB)", limits);
    one("--queue", words.queue, "N", "Bytes that may wait for a client (4 MiB)", limits);
    one("--queue-total", words.queue_total, "N", "Bytes that may wait for all (512 MiB)", limits);
    one("--streams", words.streams, "N", "WISP streams of a client (256)", limits);
    one("--rooms", words.rooms, "N", "Rooms at once (1024)", limits);
    one("--handshake", words.handshake, "SECONDS", "For a connection to become a websocket (10)", limits);
    one("--ping", words.ping, "SECONDS", "Of silence before a ping (20)", limits);
    one("--hang-up", words.hang_up, "SECONDS", "Of silence before a client is taken for gone (40)", limits);
    one("--idle", words.idle, "SECONDS", "Without a message before a client has to go (0: never)", limits);
    one("--stall", words.stall, "SECONDS", "In which a client takes nothing of what waits for it (30)", limits);
    const char* process = "The process";
    one("--user", words.user, "NAME", "Who to become once the sockets are open", process);
    app.add_flag("--no-sandbox", words.no_sandbox, "Leave out the filter of system calls (seccomp)")->group(process);
}

Result<void> check_limits(const ServeWords& words, Settings& settings) {
    constexpr u64 huge = u64{1} << 40;
    auto& limits = settings.limits;
    TRY(take_number("--connections", words.connections, 1, 1 << 20, limits.connections));
    TRY(take_number("--connections-per-address", words.connections_per_address, 1, 1 << 20,
                    limits.connections_per_address));
    const auto rate = [&](std::string_view option, const std::string& text, u64 factor, Rate& into) -> Result<void> {
        TRY(take_number(option, text, 1, huge, into.per_second));
        if (!text.empty()) into.burst = into.per_second * factor;
        return {};
    };
    TRY(rate("--attempts-per-address", words.attempts, 5, limits.attempts_per_address));
    TRY(rate("--frames", words.frame_rate, 2, limits.frames));
    TRY(rate("--bytes", words.byte_rate, 1, limits.bytes));
    TRY(rate("--frames-per-address", words.frame_rate_address, 2, limits.frames_per_address));
    TRY(rate("--bytes-per-address", words.byte_rate_address, 1, limits.bytes_per_address));
    TRY(take_number("--queue", words.queue, 128 << 10, 1 << 30, limits.queue_bytes));
    TRY(take_number("--queue-total", words.queue_total, 1 << 20, huge, settings.queue_total));
    TRY(take_number("--streams", words.streams, 1, 65536, limits.streams));
    TRY(take_number("--rooms", words.rooms, 1, 1 << 20, settings.most_rooms));
    TRY(take_number("--handshake", words.handshake, 1, 600, settings.times.handshake));
    TRY(take_number("--ping", words.ping, 1, 3600, settings.times.ping));
    TRY(take_number("--hang-up", words.hang_up, 2, 7200, settings.times.hang_up));
    TRY(take_number("--idle", words.idle, 0, 1 << 20, settings.times.idle));
    TRY(take_number("--stall", words.stall, 1, 7200, settings.times.stall));
    if (settings.times.hang_up <= settings.times.ping)
        return Error{fmt::format("--hang-up {}: has to be more than --ping, which is {}", settings.times.hang_up,
                                 settings.times.ping)};
    return {};
}

Result<void> check_nat(const ServeWords& words, Settings& settings) {
    for (const auto& room : words.nat) {
        if (!is_name(room)) return Error{fmt::format("--nat {}: is no room's name", room)};
        settings.nat_rooms.insert(room);
    }
    if (words.nat_first.empty()) return {};
    const auto first = Address::parse(words.nat_first);
    constexpr u8 least = 4, most = 255 - 16;  // after the router and the names, before the broadcast
    if (!first || !first->is_ipv4() || !settings.outside.ipv4.contains(*first) || first->bytes()[15] < least ||
        first->bytes()[15] > most)
        return Error{fmt::format("--nat-first {}: an address from 10.0.2.{} to 10.0.2.{} is needed", words.nat_first,
                                 least, most)};
    settings.outside.first_lease = *first;
    return {};
}

// Behind check_nat(): a room has one way out.
Result<void> check_taps(const ServeWords& words, Settings& settings) {
    constexpr usize longest_name = IFNAMSIZ - 1;
    std::set<std::string> interfaces;
    for (const auto& text : words.taps) {
        const auto wrong = [&](std::string_view problem) { return Error{fmt::format("--tap {}: {}", text, problem)}; };
        const auto equals = std::min(text.find('='), text.size());
        const auto room = text.substr(0, equals), interface = text.substr(std::min(equals + 1, text.size()));
        if (!is_name(room) || interface.empty() || interface.size() > longest_name)
            return wrong("ROOM=INTERFACE is needed, as in lab=tap0");
        if (room == "any") return wrong("a TAP interface is for one room, which has to be named");
        if (settings.nat_rooms.contains(room)) return wrong("this room has a way out already, by --nat");
        if (!interfaces.insert(interface).second) return wrong("this interface is another room's already");
        if (!settings.taps.emplace(room, interface).second) return wrong("this room has an interface already");
    }
    return {};
}

Result<Settings> check(const ServeWords& words) {
    Settings settings;
    for (const auto& text : words.listen) {
        TRY_SET(const auto address, ListenAddress::parse("--listen", text));
        settings.listen.push_back(address);
    }
    if (settings.listen.empty()) settings.listen.push_back({*Address::parse("127.0.0.1"), 8090});
    TRY(add_keys(settings.keys, words.secrets));
    for (const auto& listen : settings.listen)
        if (settings.keys.empty() && !listen.address.is_loopback())
            return Error{fmt::format(
                "--listen {}: whoever reaches that address could join any room; give --secret-file FILE and hand out "
                "tokens, or listen on 127.0.0.1",
                listen.text())};
    if (words.certificate.empty() != words.private_key.empty())
        return Error{words.certificate.empty() ? "--key: wants --cert FILE, too" : "--cert: wants --key FILE, too"};
    settings.certificate = words.certificate;
    settings.private_key = words.private_key;
    for (const auto* file : {&settings.certificate, &settings.private_key})
        if (!file->empty() && access(file->c_str(), R_OK) != 0)
            return Error{fmt::format("{} {}: {}", file == &settings.certificate ? "--cert" : "--key", *file,
                                     std::strerror(errno))};
    for (const auto& text : words.origins) TRY(settings.origins.add(text));
    for (const auto& text : words.allow) {
        TRY_SET(const auto rule, DestinationRule::parse("--allow", text));
        settings.rules.allow(rule);
    }
    for (const auto& text : words.deny) {
        TRY_SET(const auto rule, DestinationRule::parse("--deny", text));
        settings.rules.deny(rule);
    }
    for (const auto& text : words.metrics_from) {
        const auto network = Network::parse(text);
        if (!network) return Error{fmt::format("--metrics-from {}: is no network, as in 10.0.0.0/8", text)};
        settings.metrics_from.push_back(*network);
    }
    TRY(check_nat(words, settings));
    TRY(check_taps(words, settings));
    TRY_SET(settings.backplane, check_backplane(words.backplane));
    TRY(check_limits(words, settings));
    settings.wisp = words.wisp;
    settings.tunnels = words.tunnels;
    settings.spoof_check = words.spoof ? SpoofCheck::on : SpoofCheck::off;
    settings.user = words.user;
    settings.sandbox = !words.no_sandbox;
    return settings;
}

struct TokenWords {
    std::string secret, room, offer, attach, expires = "12h";
    bool wisp = false;
};

Result<TokenOrder> check(const TokenWords& words) {
    TokenOrder order;
    if (words.secret.empty())
        return Error{"token: --secret-file FILE is needed, the one that the relay is started with"};
    TRY(add_keys(order.keys, {words.secret}));
    usize count = 0;
    const auto take = [&](Scope scope, const std::string& name) {
        if (name.empty()) return;
        count++;
        order.grant.scope = scope;
        order.grant.name = name;
    };
    take(Scope::room, words.room);
    take(Scope::offer, words.offer);
    take(Scope::attach, words.attach);
    if (words.wisp) take(Scope::wisp, "wisp");
    if (count != 1) return Error{"token: one of --room NAME, --offer NAME, --attach NAME and --wisp is needed"};
    if (!is_name(order.grant.name))
        return Error{fmt::format("token: {}: a name has letters, digits, - and _, 1 to 64 of them", order.grant.name)};
    TRY_SET(order.grant.expiry, parse_duration("--expires", words.expires));
    return order;
}

}  // namespace

namespace {

CLI::App* declare(CLI::App& app, Scope side, TunnelWords& words) {
    const bool offers = side == Scope::offer;
    auto* tunnel = app.add_subcommand(std::string(name_of(side)), offers ? "Offer a local service as a tunnel's streams"
                                                                         : "Listen locally for a tunnel's users");
    tunnel->add_option("URL", words.url, "ws://HOST[:PORT]/tunnel/NAME, or wss://")->required();
    tunnel
        ->add_option(offers ? "--connect" : "--listen", words.local,
                     offers ? "The service: ADDRESS:PORT or unix:PATH" : "Where: LOOPBACK-ADDRESS:PORT or unix:PATH")
        ->type_name("WHERE")
        ->required();
    tunnel->add_option("--token-file", words.token, "A token of `netbridge token`")->type_name("FILE");
    tunnel->add_option("--ca-file", words.authority, "Authorities to trust (PEM), not the system's")->type_name("FILE");
    return tunnel;
}

}  // namespace

bool Settings::has_nat(const std::string& room) const {
    return !taps.contains(room) && (nat_rooms.contains("any") || nat_rooms.contains(room));
}

bool Settings::serves(Request::Kind kind) const {
    switch (kind) {
        case Request::Kind::room: return true;
        case Request::Kind::wisp: return wisp;
        case Request::Kind::offer:
        case Request::Kind::attach: return tunnels;
        case Request::Kind::health:
        case Request::Kind::metrics: break;
    }
    return false;
}

Result<ListenAddress> ListenAddress::parse(std::string_view option, std::string_view text) {
    const auto colon = text.rfind(':');
    const auto wrong = [&] {
        return Error{fmt::format("{} {}: ADDRESS:PORT is needed, as in 127.0.0.1:8090 or [::1]:8090", option, text)};
    };
    if (colon == std::string_view::npos) return wrong();
    auto host = text.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    const auto address = Address::parse(host);
    const auto port = number(text.substr(colon + 1));
    if (!address || !port || *port > 65535) return wrong();
    return ListenAddress{*address, static_cast<u16>(*port)};
}

std::string ListenAddress::text() const {
    return address.is_ipv4() ? fmt::format("{}:{}", address.text(), port)
                             : fmt::format("[{}]:{}", address.text(), port);
}

Result<Order> parse_arguments(std::span<const std::string> arguments) {
    CLI::App app("Rooms of Ethernet over websockets, and ways out of them.", "netbridge");
    app.get_formatter()->column_width(38);
    ServeWords serve;
    declare(app, serve);
    bool version = false;
    app.add_flag("--version", version, "Which version this is");
    TokenWords token;
    CLI::App* token_app = app.add_subcommand("token", "Make a token for a room, a tunnel or streams");
    token_app->add_option("--secret-file", token.secret, "The relay's")->type_name("FILE");
    token_app->add_option("--room", token.room, "To enter this room ('any': all of them)")->type_name("NAME");
    token_app->add_option("--offer", token.offer, "To offer streams of a machine as this tunnel")->type_name("NAME");
    token_app->add_option("--attach", token.attach, "To attach to this tunnel")->type_name("NAME");
    token_app->add_flag("--wisp", token.wisp, "To use streams");
    token_app->add_option("--expires", token.expires, "For how long, as in 30m, 12h, 7d (12h)")->type_name("TIME");
    TunnelWords offer, attach;
    const auto* offer_app = declare(app, Scope::offer, offer);
    const auto* attach_app = declare(app, Scope::attach, attach);
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());  // CLI11 takes them from the back
    try {
        app.parse(reversed);
    } catch (const CLI::CallForHelp&) {
        return Order{PrintOrder{app.help()}};
    } catch (const CLI::ParseError& problem) {
        return Error{problem.what()};
    }
    if (version) return Order{PrintOrder{"netbridge " VIV_VERSION "\n"}};
    if (token_app->parsed()) {
        TRY_SET(auto order, check(token));
        return Order{std::move(order)};
    }
    for (const auto side : {Scope::offer, Scope::attach}) {
        if (!(side == Scope::offer ? offer_app : attach_app)->parsed()) continue;
        TRY_SET(auto order, TunnelOrder::check(side, side == Scope::offer ? offer : attach));
        return Order{std::move(order)};
    }
    TRY_SET(auto settings, check(serve));
    return Order{std::move(settings)};
}

}  // namespace viv::netbridge
