// What the options of the backplane say. See settings.h.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "netbridge/secret_file.h"
#include "netbridge/settings.h"

namespace viv::netbridge {

namespace {

// HOST:PORT
bool is_place(std::string_view text) {
    constexpr usize longest_host = 255;
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos || colon == 0 || colon > longest_host) return false;
    const auto digits = text.substr(colon + 1);
    u16 port = 0;
    const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (problem != std::errc{} || end != digits.data() + digits.size() || port == 0) return false;
    return std::all_of(text.begin(), text.end(),
                       [](char c) { return c > ' ' && c < 0x7f && c != '/' && c != '?' && c != '#'; });
}

Result<void> check_servers(const std::string& servers, NatsSettings& backplane) {
    constexpr usize most_servers = 16;
    const auto wrong = [&](std::string_view problem) {
        return Error{fmt::format("--backplane {}: {}", servers, problem)};
    };
    if (servers.find('@') != std::string::npos)
        return Error{"--backplane: other users of this host could read a password there; --backplane-user-file FILE"};
    for (usize at = 0; at <= servers.size();) {
        const auto end = std::min(servers.find(',', at), servers.size());
        const auto url = servers.substr(at, end - at);
        const bool secure = url.starts_with("tls://");
        if (!secure && !url.starts_with("nats://")) return wrong("nats://HOST:PORT or tls://HOST:PORT is needed");
        if (!is_place(std::string_view(url).substr(secure ? 6 : 7))) return wrong("HOST:PORT is needed after //");
        backplane.servers.push_back(url);
        if (secure != backplane.is_secure()) return wrong("either all servers are tls:// or none");
        if (backplane.servers.size() > most_servers) return wrong("has too many servers");
        at = end + 1;
    }
    return {};
}

}  // namespace

Result<NatsSettings> check_backplane(const BackplaneWords& words) {
    NatsSettings backplane;
    if (words.servers.empty()) {
        for (const auto* other : {&words.user, &words.token, &words.authority})
            if (!other->empty()) return Error{"--backplane URL is needed for the other options of it"};
        return backplane;
    }
    TRY(check_servers(words.servers, backplane));
    if (!words.user.empty() && !words.token.empty())
        return Error{"--backplane-token-file: not together with --backplane-user-file"};
    if (!words.user.empty()) {
        TRY_SET(const auto line, read_line("--backplane-user-file", words.user));
        const auto colon = line.find(':');
        if (colon == std::string::npos || colon == 0)
            return Error{fmt::format("--backplane-user-file {}: has to hold USER:PASSWORD", words.user)};
        backplane.user = line.substr(0, colon);
        backplane.password = line.substr(colon + 1);
    }
    if (!words.token.empty()) {
        TRY_SET(backplane.token, read_line("--backplane-token-file", words.token));
    }
    if (!words.authority.empty() && !backplane.is_secure())
        return Error{"--backplane-ca: is for servers that are given as tls://"};
    backplane.authority_file = words.authority;
    return backplane;
}

}  // namespace viv::netbridge
