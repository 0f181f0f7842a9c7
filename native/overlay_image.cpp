// See overlay_image.h.
#include "native/overlay_image.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "native/host_posix.h"
#include "native/http.h"
#include "native/image_files.h"

namespace viv::native {

namespace {

Result<std::string> absolute_path(const std::string& path) {
    char* const resolved = realpath(path.c_str(), nullptr);
    if (resolved == nullptr) return Error{fmt::format("{}: {}", path, error_text(errno))};
    std::string text(resolved);
    std::free(resolved);
    return text;
}

}  // namespace

BelowName split_name(const std::string& name) {
    const auto at = is_url(name) ? name.rfind('#') : std::string::npos;
    if (at == std::string::npos) return {name, ""};
    return {name.substr(0, at), name.substr(at + 1)};
}

Result<std::string> join_name(const std::string& file, const std::string& identity) {
    if (!is_url(file)) return absolute_path(file);
    return identity.empty() ? file : fmt::format("{}#{}", file, identity);
}

Result<void> make_overlay_image(const NewOverlay& wanted) {
    TRY_SET(const auto* kind, block::find_format(wanted.format));
    if (kind->create == nullptr || !kind->has(block::CreateOption::backing))
        return Error{
            fmt::format("{}: {} images cannot have another below them; qcow2 can", wanted.path, wanted.format)};
    block::CreateOptions options;
    options.size = wanted.size;
    options.backing_file = wanted.below;
    options.backing_format = wanted.below_format;
    options.key = wanted.key;
    const bool there = access(wanted.path.c_str(), F_OK) == 0;
    TRY_SET(const auto file, create_file(wanted.path));
    PosixEntropy().fill(options.unique);
    auto made = kind->create(*file, options);
    if (made.ok()) made = file->flush();
    if (made.ok()) return {};
    if (!there) unlink(wanted.path.c_str());
    return Error{fmt::format("{}: {}", wanted.path, made.error().message)};
}

Result<void> check_below(block::Image& overlay, const std::string& path, const std::string& below) {
    const auto details = overlay.details();
    if (details.backing_file.empty()) return Error{fmt::format("{}: names no image below it", path)};
    const auto named = split_name(details.backing_file), present = split_name(below);
    std::string named_file = named.file;
    if (!is_url(named_file)) {
        TRY_SET(const auto local, ImageFiles::path_of(details.backing_file, path));
        TRY_SET(named_file, absolute_path(local));
    }
    if (named_file != present.file)
        return Error{
            fmt::format("{}: names {} as the image below it, and the disk's is {}", path, named_file, present.file)};
    if (!named.identity.empty() && !present.identity.empty() && named.identity != present.identity)
        return Error{fmt::format("{}: was put over another version of {}", path, present.file)};
    return {};
}

}  // namespace viv::native
