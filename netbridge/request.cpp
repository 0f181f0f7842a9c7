// Paths and origins. See request.h.
#include "netbridge/request.h"

#include <fmt/format.h>

#include <algorithm>

namespace viv::netbridge {

namespace {

std::string lower(std::string_view text) {
    std::string result(text);
    for (char& c : result)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return result;
}

std::vector<std::string_view> parts_of(std::string_view path) {
    std::vector<std::string_view> parts;
    while (!path.empty()) {
        const auto slash = path.find('/');
        parts.push_back(path.substr(0, slash));
        path = slash == std::string_view::npos ? std::string_view{} : path.substr(slash + 1);
    }
    return parts;
}

}  // namespace

std::optional<Request> parse_request(std::string_view path) {
    if (!path.starts_with('/') || path.size() > 256) return std::nullopt;
    Request request;
    const auto parts = parts_of(path.substr(1));
    const auto room = [&](std::string_view name) -> std::optional<Request> {
        if (!is_name(name)) return std::nullopt;
        request.name = name;
        return request;
    };
    if (parts.empty()) return room(usual_room);
    if (parts[0] == "wisp") {
        if (parts.size() != 1) return std::nullopt;
        request.kind = Request::Kind::wisp;
        request.scope = Scope::wisp;
        request.name = "wisp";
        return request;
    }
    if (parts[0] == "healthz" || parts[0] == "metrics") {
        if (parts.size() != 1) return std::nullopt;
        request.kind = parts[0] == "healthz" ? Request::Kind::health : Request::Kind::metrics;
        return request;
    }
    if (parts[0] == "tunnel" && parts.size() > 1) {
        const bool offers = parts.size() == 3 && parts[2] == "offer";
        if (parts.size() != 2 && !offers) return std::nullopt;
        request.kind = offers ? Request::Kind::offer : Request::Kind::attach;
        request.scope = offers ? Scope::offer : Scope::attach;
        return room(parts[1]);
    }
    if (parts[0] == "room") return parts.size() == 2 ? room(parts[1]) : std::nullopt;
    return parts.size() == 1 ? room(parts[0]) : std::nullopt;
}

Result<void> Origins::add(std::string_view text) {
    if (text == "*") {
        all_ = true;
        return {};
    }
    const auto scheme = text.find("://");
    const bool good = scheme != std::string_view::npos && scheme > 0 && text.size() > scheme + 3 &&
                      text.find('/', scheme + 3) == std::string_view::npos;
    if (!good)
        return Error{fmt::format("--origin {}: SCHEME://HOST[:PORT] is needed, as in https://example.org", text)};
    listed_.push_back(lower(text));
    return {};
}

bool Origins::allow(std::string_view origin) const {
    if (origin.empty() || all_) return true;
    return std::find(listed_.begin(), listed_.end(), lower(origin)) != listed_.end();
}

}  // namespace viv::netbridge
