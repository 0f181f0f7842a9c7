// Reading them. See secret_file.h.
#include "netbridge/secret_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "engine/lang/bits.h"

namespace viv::netbridge {

Result<std::string> read_secret(std::string_view option, const std::string& path) {
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return Error{fmt::format("{} {}: {}", option, path, std::strerror(errno))};
    std::string content(8192, '\0');
    const ssize_t count = read(file, content.data(), content.size());
    const int problem = errno;
    close(file);
    if (count < 0) return Error{fmt::format("{} {}: {}", option, path, std::strerror(problem))};
    content.resize(static_cast<usize>(count));
    return content;
}

Result<std::string> read_line(std::string_view option, const std::string& path) {
    TRY_SET(auto line, read_secret(option, path));
    while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.pop_back();
    const bool good = std::all_of(line.begin(), line.end(), [](char c) { return c > ' ' && c < 0x7f; });
    if (line.empty() || line.size() > 4096 || !good)
        return Error{fmt::format("{} {}: has to hold one line of text without spaces", option, path)};
    return line;
}

}  // namespace viv::netbridge
