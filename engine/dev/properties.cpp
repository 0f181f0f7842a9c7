// Names first, against the help text; values when a device asks for them. See properties.h.
#include "engine/dev/properties.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "engine/lang/check.h"
#include "engine/lang/nearest.h"

namespace viv {

std::vector<std::string_view> property_names(std::string_view help) {
    std::vector<std::string_view> names;
    while (!help.empty()) {
        const auto item = help.substr(0, help.find(','));
        help.remove_prefix(std::min(help.size(), item.size() + 1));
        const auto name = item.substr(0, item.find('='));
        const auto first = name.find_first_not_of(' ');
        if (first != std::string_view::npos) names.push_back(name.substr(first));
    }
    return names;
}

Result<Properties> Properties::check(const DeviceSpec& spec, std::string_view help) {
    const auto names = property_names(help);
    for (const auto& [name, value] : spec.properties) {
        if (name == "id" || std::find(names.begin(), names.end(), name) != names.end()) continue;
        const auto nearest = nearest_name(name, names);
        auto message = fmt::format("{}: unknown property '{}'", spec.name, name);
        if (!nearest.empty()) message += fmt::format("; did you mean '{}'?", nearest);
        message += names.empty() ? "; it has none" : fmt::format(" (it has {})", help);
        return Error{std::move(message)};
    }
    return Properties(spec, help);
}

std::optional<std::string_view> Properties::text(std::string_view name) const {
    const auto names = property_names(help_);
    CHECK(std::find(names.begin(), names.end(), name) != names.end(), "a property that the catalogue does not list");
    const auto found = spec_->properties.find(std::string(name));
    if (found == spec_->properties.end()) return std::nullopt;
    return found->second;
}

Result<u64> Properties::number(std::string_view name, u64 otherwise, u64 minimum, u64 maximum) const {
    const auto given = text(name);
    if (!given) return otherwise;
    const bool hexadecimal = given->starts_with("0x") || given->starts_with("0X");
    const auto digits = given->substr(hexadecimal ? 2 : 0);
    u64 value = 0;
    const auto [end, problem] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value, hexadecimal ? 16 : 10);
    const bool parsed = problem == std::errc{} && end == digits.data() + digits.size();
    if (!parsed || value < minimum || value > maximum)
        return error(name, fmt::format("is '{}', but wants a number from {} to {}", *given, minimum, maximum));
    return value;
}

Result<bool> Properties::on_off(std::string_view name, bool otherwise) const {
    const auto given = text(name);
    if (!given) return otherwise;
    for (const auto word : {"on", "true", "yes"})
        if (*given == word) return true;
    for (const auto word : {"off", "false", "no"})
        if (*given == word) return false;
    return error(name, fmt::format("is '{}', but wants on or off", *given));
}

Error Properties::error(std::string_view name, std::string_view problem) const {
    return Error{fmt::format("{}: property '{}' {}", spec_->name, name, problem)};
}

}  // namespace viv
