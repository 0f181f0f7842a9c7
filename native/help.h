// The texts of `viv help`: an overview and topics. Options are not listed here: they describe themselves (options.cpp).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace viv::native {

std::string overview();
// Empty if there is no such topic.
std::string help_topic(std::string_view name);
std::vector<std::string_view> help_topic_names();

}  // namespace viv::native
