// What `netbridge offer` and `netbridge attach` are told. See settings.h.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "netbridge/secret_file.h"
#include "netbridge/settings.h"

namespace viv::netbridge {

std::string LocalAddress::text() const { return path.empty() ? tcp.text() : "unix:" + path; }

Result<LocalAddress> LocalAddress::parse(std::string_view option, std::string_view text) {
    constexpr std::string_view unix_prefix = "unix:";
    constexpr usize longest_path = 107;
    LocalAddress local;
    if (text.starts_with(unix_prefix)) {
        local.path = text.substr(unix_prefix.size());
        if (local.path.empty() || local.path.size() > longest_path)
            return Error{
                fmt::format("{} {}: a path of 1 to {} bytes is needed after unix:", option, text, longest_path)};
        return local;
    }
    TRY_SET(local.tcp, ListenAddress::parse(option, text));
    return local;
}

Result<TunnelUrl> TunnelUrl::parse(std::string_view text, Scope side) {
    const auto wrong = [&] {
        return Error{fmt::format("{} {}: ws://HOST[:PORT]/tunnel/NAME or wss://... is needed", name_of(side), text)};
    };
    TunnelUrl url;
    url.secure = text.starts_with("wss://");
    if (!url.secure && !text.starts_with("ws://")) return wrong();
    const auto rest = text.substr(url.secure ? 6 : 5);
    const auto slash = rest.find('/');
    if (slash == std::string_view::npos) return wrong();
    url.path = rest.substr(slash);
    const auto request = parse_request(url.path);
    if (!request || request->kind != Request::Kind::attach) return wrong();
    url.path = fmt::format("/tunnel/{}{}", request->name, side == Scope::offer ? "/offer" : "");
    auto host = rest.substr(0, slash);
    url.port = url.secure ? 443 : 80;
    const auto colon = host.rfind(':');
    if (colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos) {
        const auto digits = host.substr(colon + 1);
        const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), url.port);
        if (problem != std::errc{} || end != digits.data() + digits.size() || url.port == 0) return wrong();
        host = host.substr(0, colon);
    }
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    const bool good = std::all_of(host.begin(), host.end(), [](char c) { return c > ' ' && c < 0x7f && c != '@'; });
    if (host.empty() || host.size() > 253 || !good) return wrong();
    url.host = host;
    return url;
}

Result<TunnelOrder> TunnelOrder::check(Scope side, const TunnelWords& words) {
    TunnelOrder order;
    order.side = side;
    TRY_SET(order.url, TunnelUrl::parse(words.url, side));
    const auto option = fmt::format("{}: {}", name_of(side), side == Scope::offer ? "--connect" : "--listen");
    TRY_SET(order.local, LocalAddress::parse(option, words.local));
    if (side == Scope::attach && order.local.path.empty() && !order.local.tcp.address.is_loopback())
        return Error{
            fmt::format("{} {}: whoever reaches that address would have the machine; a loopback address or unix:PATH",
                        option, words.local)};
    if (!words.token.empty()) {
        TRY_SET(order.token, read_line(fmt::format("{}: --token-file", name_of(side)), words.token));
    }
    if (!words.authority.empty() && access(words.authority.c_str(), R_OK) != 0)
        return Error{fmt::format("{}: --ca-file {}: {}", name_of(side), words.authority, std::strerror(errno))};
    order.authority_file = words.authority;
    return order;
}

}  // namespace viv::netbridge
