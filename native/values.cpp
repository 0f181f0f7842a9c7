// Parsers for option values, by hand: std::from_chars and no locale. See values.h.
#include "native/values.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "engine/lang/nearest.h"

namespace viv::native {

namespace {

std::optional<u64> parse_digits(std::string_view text) {
    u64 value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
    return value;
}

unsigned suffix_shift(char letter) {
    switch (letter) {
        case 'k':
        case 'K': return 10;
        case 'm':
        case 'M': return 20;
        case 'g':
        case 'G': return 30;
        case 't':
        case 'T': return 40;
        default: return 0;
    }
}

}  // namespace

Result<u64> parse_size(std::string_view option, std::string_view text) {
    const auto digits = text.substr(0, text.find_first_not_of("0123456789"));
    auto suffix = text.substr(digits.size());
    const auto number = parse_digits(digits);
    if (number && suffix.empty())
        return Error{
            fmt::format("{} {}: a size needs a unit; write {}M for MiB or {}G for GiB", option, text, text, text)};
    const unsigned shift = suffix.empty() ? 0 : suffix_shift(suffix.front());
    if (!suffix.empty()) suffix.remove_prefix(1);
    if (!number || shift == 0 || !(suffix.empty() || suffix == "B" || suffix == "iB"))
        return Error{fmt::format("{} {}: is no size; write a whole number with K, M, G or T, as in 1G", option, text)};
    if (*number > (~u64{0} >> shift)) return Error{fmt::format("{} {}: is too large for any machine", option, text)};
    return *number << shift;
}

Result<u64> parse_count(std::string_view option, std::string_view text, u64 minimum, u64 maximum) {
    const auto number = parse_digits(text);
    if (!number || *number < minimum || *number > maximum) {
        if (maximum == ~u64{0})
            return Error{fmt::format("{} {}: a whole number from {} on is needed", option, text, minimum)};
        return Error{fmt::format("{} {}: a whole number from {} to {} is needed", option, text, minimum, maximum)};
    }
    return *number;
}

Result<u64> parse_instructions(std::string_view option, std::string_view text) {
    constexpr std::string_view letters = "KMG";
    u64 unit = 1;
    auto digits = text;
    if (const auto letter = text.empty() ? std::string_view::npos : letters.find(text.back());
        letter != std::string_view::npos) {
        for (usize i = 0; i <= letter; i++) unit *= 1000;
        digits.remove_suffix(1);
    }
    const auto number = parse_digits(digits);
    if (!number || *number == 0 || *number > ~u64{0} / unit)
        return Error{fmt::format("{} {}: a whole number from 1 on is needed, as in 250000 or 2G", option, text)};
    return *number * unit;
}

Result<u64> parse_seconds(std::string_view option, std::string_view text) {
    const auto point = text.find('.');
    const auto whole = parse_digits(text.substr(0, point));
    constexpr u64 second = 1'000'000'000;
    u64 nanoseconds = 0;
    bool good = whole && *whole < 1'000'000'000;
    if (good) nanoseconds = *whole * second;
    if (good && point != std::string_view::npos) {
        const auto fraction = text.substr(point + 1);
        const auto value = parse_digits(fraction);
        good = value && fraction.size() <= 9;
        u64 scale = second;
        for (usize i = 0; i < fraction.size() && good; i++) scale /= 10;
        if (good) nanoseconds += *value * scale;
    }
    if (!good || nanoseconds == 0)
        return Error{fmt::format("{} {}: a number of seconds above 0 is needed, as in 30 or 0.5", option, text)};
    return nanoseconds;
}

Result<bool> parse_switch(std::string_view option, std::string_view key, std::string_view text) {
    if (text == "on") return true;
    if (text == "off") return false;
    return Error{fmt::format("{} {}={}: on or off is needed", option, key, text)};
}

Result<OrderedProperties> parse_ordered_properties(std::string_view option, std::string_view text, Head head) {
    std::vector<std::string> parts(1);
    for (usize i = 0; i < text.size(); i++) {
        if (text[i] != ',')
            parts.back() += text[i];
        else if (i + 1 < text.size() && text[i + 1] == ',')
            parts.back() += text[i++];
        else
            parts.emplace_back();
    }
    OrderedProperties list;
    for (usize i = 0; i < parts.size(); i++) {
        const auto equals = parts[i].find('=');
        if (i == 0 && (head == Head::required || equals == std::string::npos)) {
            list.head = parts[i];
            continue;
        }
        auto key = parts[i].substr(0, equals);
        if (key.empty()) return Error{fmt::format("{} {}: key=value is needed between commas", option, text)};
        auto value = equals == std::string::npos ? std::string("on") : parts[i].substr(equals + 1);
        list.properties.emplace_back(std::move(key), std::move(value));
    }
    return list;
}

Result<PropertyList> parse_properties(std::string_view option, std::string_view text, Head head) {
    TRY_SET(auto ordered, parse_ordered_properties(option, text, head));
    PropertyList list{std::move(ordered.head), {}};
    for (auto& [key, value] : ordered.properties)
        if (!list.properties.emplace(key, std::move(value)).second)
            return Error{fmt::format("{} {}: {} is given twice", option, text, key)};
    return list;
}

std::string size_text(u64 bytes) {
    constexpr std::string_view units = "BKMGT";
    usize unit = 0;
    while (unit + 1 < units.size() && bytes != 0 && bytes % 1024 == 0) {
        bytes /= 1024;
        unit++;
    }
    return unit == 0 ? fmt::format("{} bytes", bytes) : fmt::format("{}{}", bytes, units[unit]);
}

std::string suggestion(std::string_view word, std::span<const std::string_view> names) {
    const auto near = nearest_name(word, names);
    return near.empty() ? std::string() : fmt::format("; did you mean {}?", near);
}

}  // namespace viv::native
