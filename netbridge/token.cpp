// Making and checking tokens. See token.h.
#include "netbridge/token.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <span>

#include "engine/lang/check.h"

namespace viv::netbridge {

namespace {

constexpr std::string_view token_version = "nb1";
constexpr usize mac_size = 32;
constexpr std::array<std::string_view, 4> scopes = {"room", "wisp", "offer", "attach"};

std::string base64url(std::span<const u8> bytes) {
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    std::string text;
    for (usize at = 0; at < bytes.size(); at += 3) {
        const usize count = std::min<usize>(3, bytes.size() - at);
        u32 group = 0;
        for (usize i = 0; i < 3; i++) group = group << 8 | (i < count ? bytes[at + i] : 0u);
        for (usize i = 0; i <= count; i++) text += digits[group >> (18 - 6 * i) & 63];
    }
    return text;
}

std::string mac_of(const std::string& key, std::string_view text) {
    std::array<u8, mac_size> mac{};
    unsigned size = 0;
    const auto* result = HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
                              reinterpret_cast<const unsigned char*>(text.data()), text.size(), mac.data(), &size);
    CHECK(result != nullptr && size == mac_size);
    return base64url(mac);
}

}  // namespace

bool is_name(std::string_view text) {
    return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    });
}

std::string_view name_of(Scope scope) { return scopes[static_cast<usize>(scope)]; }

Result<void> TokenKeys::add(std::string_view where, std::string_view key) {
    while (key.ends_with('\n') || key.ends_with('\r')) key.remove_suffix(1);
    if (key.size() < shortest_key || key.size() > 4096)
        return Error{fmt::format("{}: has {} bytes; a secret of {} to 4096 is needed, as from `openssl rand -hex 32`",
                                 where, key.size(), shortest_key)};
    keys_.emplace_back(key);
    return {};
}

std::string TokenKeys::make(const Grant& grant) const {
    CHECK(!keys_.empty() && is_name(grant.name));
    const auto text = fmt::format("{}.{}.{}.{}", token_version, name_of(grant.scope), grant.name, grant.expiry);
    return fmt::format("{}.{}", text, mac_of(keys_.front(), text));
}

Result<Grant> TokenKeys::check(std::string_view token, Scope scope, std::string_view name, u64 now) const {
    if (token.size() > longest_token) return Error{"malformed"};
    const auto last = token.rfind('.');
    if (last == std::string_view::npos) return Error{"malformed"};
    const auto text = token.substr(0, last), shown = token.substr(last + 1);
    bool right = false;
    for (const auto& key : keys_) {
        const auto mac = mac_of(key, text);
        if (mac.size() == shown.size() && CRYPTO_memcmp(mac.data(), shown.data(), mac.size()) == 0) right = true;
    }
    if (!right) return Error{"forged"};
    // From here on it is one of ours, but maybe of another version.
    std::array<std::string_view, 4> parts;
    std::string_view rest = text;
    for (auto& part : parts) {
        const auto dot = rest.find('.');
        part = rest.substr(0, dot);
        rest = dot == std::string_view::npos ? std::string_view{} : rest.substr(dot + 1);
    }
    Grant grant;
    const auto named = std::find(scopes.begin(), scopes.end(), parts[1]);
    const auto [end, problem] = std::from_chars(parts[3].data(), parts[3].data() + parts[3].size(), grant.expiry);
    if (parts[0] != token_version || named == scopes.end() || !is_name(parts[2]) || problem != std::errc{} ||
        end != parts[3].data() + parts[3].size() || !rest.empty())
        return Error{"malformed"};
    grant.scope = static_cast<Scope>(named - scopes.begin());
    grant.name = parts[2];
    if (grant.expiry <= now) return Error{"expired"};
    if (grant.scope != scope || (grant.name != name && grant.name != "any")) return Error{"elsewhere"};
    return grant;
}

}  // namespace viv::netbridge
