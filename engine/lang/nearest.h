// "Did you mean ...?": the nearest of a list of names by edit distance.
#pragma once

#include <span>
#include <string_view>

namespace viv {

// The name with the smallest edit distance to `word`, or empty if none is near enough to be a likely misspelling.
std::string_view nearest_name(std::string_view word, std::span<const std::string_view> names);

}  // namespace viv
