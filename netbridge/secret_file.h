// Secrets that options name by their file, since a command line can be read by others.
// Errors name the option and the file, never what is in it.
#pragma once

#include <string>
#include <string_view>

#include "engine/lang/result.h"

namespace viv::netbridge {

// All of it, 8 KiB at most.
Result<std::string> read_secret(std::string_view option, const std::string& path);
// One line of text without spaces.
Result<std::string> read_line(std::string_view option, const std::string& path);

}  // namespace viv::netbridge
