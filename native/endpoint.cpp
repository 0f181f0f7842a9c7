// Endpoint syntax. See endpoint.h.
#include "native/endpoint.h"

#include <fmt/format.h>
#include <sys/un.h>

#include <charconv>

#include "native/values.h"

namespace viv::native {

namespace {

std::string_view expected(EndpointUse use) {
    switch (use) {
        case EndpointUse::serial: return "stdio, null, file:F, tcp:HOST:PORT[,server] or unix:PATH[,server]";
        case EndpointUse::monitor: return "stdio, tcp:HOST:PORT or unix:PATH";
        case EndpointUse::debugger: return "stdio, [tcp:]HOST:PORT or unix:PATH";
        case EndpointUse::viewer: return "[tcp:]HOST:PORT or unix:PATH";
        case EndpointUse::running_viv: return "tcp:HOST:PORT or unix:PATH";
    }
    return {};
}

Error wrong(std::string_view option, std::string_view text, EndpointUse use) {
    return Error{fmt::format("{} {}: {} is needed", option, text, expected(use))};
}

bool take_prefix(std::string_view& text, std::string_view prefix) {
    if (!text.starts_with(prefix)) return false;
    text.remove_prefix(prefix.size());
    return true;
}

// HOST:PORT, [IPV6]:PORT, :PORT.
bool parse_host_port(std::string_view text, Endpoint& endpoint) {
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos) return false;
    auto host = text.substr(0, colon);
    const auto port = text.substr(colon + 1);
    if (host.size() >= 2 && host.front() == '[' && host.back() == ']')
        host = host.substr(1, host.size() - 2);
    else if (host.find(':') != std::string_view::npos)
        return false;
    unsigned number = 0;
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
    if (error != std::errc{} || end != port.data() + port.size() || number == 0 || number > 65535) return false;
    endpoint.kind = Endpoint::Kind::tcp;
    endpoint.host = host;
    endpoint.port = static_cast<u16>(number);
    return true;
}

}  // namespace

Result<Endpoint> parse_endpoint(std::string_view option, std::string_view text, EndpointUse use) {
    Endpoint endpoint;
    endpoint.text = text;
    const bool connects = use == EndpointUse::serial || use == EndpointUse::running_viv;
    endpoint.role = connects ? Endpoint::Role::connect : Endpoint::Role::listen;
    if (text == "stdio" && use != EndpointUse::running_viv && use != EndpointUse::viewer) {
        endpoint.kind = Endpoint::Kind::stdio;
        return endpoint;
    }
    if (use == EndpointUse::serial && (text == "null" || text == "none")) return endpoint;
    auto rest = text;
    if (use == EndpointUse::serial && take_prefix(rest, "file:")) {
        endpoint.kind = Endpoint::Kind::file;
        endpoint.path = rest;
        if (rest.empty()) return wrong(option, text, use);
        return endpoint;
    }
    const bool plain = use == EndpointUse::debugger || use == EndpointUse::viewer;  // tcp: may be left out
    if (!plain || rest.starts_with("tcp:") || rest.starts_with("unix:")) {
        const bool tcp = take_prefix(rest, "tcp:");
        if (!tcp && !take_prefix(rest, "unix:")) return wrong(option, text, use);
        TRY_SET(auto list, parse_properties(option, rest, Head::required));
        for (const auto& [key, value] : list.properties) {
            TRY_SET(const bool on, parse_switch(option, key, value));
            // QEMU's words for "listen, and do not wait for the other side" are understood, since that is what happens.
            // What the running viv was told is understood where it is to be reached, too.
            if (key == "server" && on)
                endpoint.role = use == EndpointUse::running_viv ? Endpoint::Role::connect : Endpoint::Role::listen;
            else if (!(key == "nowait" && on) && !(key == "wait" && !on))
                return Error{fmt::format("{} {}: {}={} is not understood; only server may follow the address", option,
                                         text, key, value)};
        }
        if (!tcp) {
            endpoint.kind = Endpoint::Kind::unix_socket;
            endpoint.path = list.head;
            if (list.head.empty()) return wrong(option, text, use);
            if (list.head.size() >= sizeof(sockaddr_un::sun_path))
                return Error{fmt::format("{} {}: the path of a socket has at most {} characters", option, text,
                                         sizeof(sockaddr_un::sun_path) - 1)};
            return endpoint;
        }
        if (!parse_host_port(list.head, endpoint)) return wrong(option, text, use);
        return endpoint;
    }
    if (!parse_host_port(rest, endpoint)) return wrong(option, text, use);
    return endpoint;
}

}  // namespace viv::native
