// See quality.h.
#include "native/lab/quality.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <optional>

#include "native/values.h"

namespace viv::native::lab {

namespace {

struct Unit {
    std::string_view name;
    double factor;
};

// A number, with a fraction if it likes, and one of the units.
std::optional<double> parse_quantity(std::string_view text, std::span<const Unit> units) {
    double number = 0;
    const auto [end, problem] =
        std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
    if (problem != std::errc{} || !(number >= 0)) return std::nullopt;
    const std::string_view rest(end, static_cast<usize>(text.data() + text.size() - end));
    for (const Unit& unit : units)
        if (rest == unit.name) return number * unit.factor;
    return std::nullopt;
}

constexpr std::array times{Unit{"us", 1e3}, Unit{"ms", 1e6}, Unit{"s", 1e9}};
constexpr std::array rates{Unit{"k", 1e3}, Unit{"K", 1e3}, Unit{"M", 1e6}, Unit{"G", 1e9}};
constexpr std::array shares{Unit{"%", 1e4}};

Error wrong(std::string_view key, std::string_view value, std::string_view right) {
    return Error{fmt::format("{} = \"{}\": {}", key, value, right)};
}

}  // namespace

Result<void> set_quality(net::LinkQuality& quality, std::string_view key, std::string_view value) {
    if (key == "latency" || key == "jitter") {
        const auto time = parse_quantity(value, times);
        if (!time || *time > static_cast<double>(net::Link::most_latency_ns))
            return wrong(key, value, "a time up to a minute is needed, as in \"20ms\", \"500us\" or \"1.5s\"");
        (key == "latency" ? quality.latency_ns : quality.jitter_ns) = static_cast<u64>(*time);
    } else if (key == "loss") {
        const auto share = parse_quantity(value, shares);
        if (!share || *share > net::Link::all_lost)
            return wrong(key, value, "a share from 0% to 100% is needed, as in \"0.5%\"");
        quality.loss = static_cast<u32>(*share);
    } else if (key == "rate") {
        const auto rate = parse_quantity(value, rates);
        if (!rate || *rate < 1000 || *rate > 1e12)
            return wrong(key, value, "bits a second are needed, as in \"10M\" or \"1.5G\"");
        quality.rate = static_cast<u64>(*rate);
    } else if (key == "queue") {
        const auto size = parse_size("queue", value);
        if (!size.ok() || *size > u64{64} << 20) return wrong(key, value, "a size up to 64M is needed, as in \"256K\"");
        quality.queue = *size;
    } else {
        return Error{fmt::format("{} is not known; a link has {}{}", key, fmt::join(quality_keys, ", "),
                                 suggestion(key, quality_keys))};
    }
    return {};
}

Result<net::LinkQuality> parse_quality(std::string_view text) {
    net::LinkQuality quality;
    while (!text.empty()) {
        const auto part = text.substr(0, text.find(','));
        text.remove_prefix(std::min(text.size(), part.size() + 1));
        const auto equals = part.find('=');
        if (equals == std::string_view::npos)
            return Error{fmt::format("{}: KEY=VALUE is needed, as in latency=20ms,loss=1%", part)};
        TRY(set_quality(quality, part.substr(0, equals), part.substr(equals + 1)));
    }
    return quality;
}

}  // namespace viv::native::lab
