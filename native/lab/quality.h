// What a link's keys mean: "20ms", "1%", "10M", "256K".
#pragma once

#include <string_view>

#include "engine/lang/result.h"
#include "engine/net/link.h"

namespace viv::native::lab {

// The keys that describe a link.
inline constexpr std::string_view quality_keys[] = {"latency", "jitter", "loss", "rate", "queue"};
constexpr bool is_quality_key(std::string_view key) {
    for (const auto known : quality_keys)
        if (key == known) return true;
    return false;
}

// Takes over one of them; the error says what would be right.
Result<void> set_quality(net::LinkQuality& quality, std::string_view key, std::string_view value);
// "latency=20ms,loss=1%": all that is to be said of a link, for changing one while it runs. "" is a perfect one.
Result<net::LinkQuality> parse_quality(std::string_view text);

}  // namespace viv::native::lab
