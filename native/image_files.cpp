// See image_files.h.
#include "native/image_files.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <filesystem>

#include "native/chunk_folder.h"
#include "native/overlay_image.h"
#include "native/web_disk.h"

namespace viv::native {

namespace {

std::string identity_of(const std::string& path) {
    struct stat status {};
    if (stat(path.c_str(), &status) != 0) return path;
    return fmt::format("{}:{}", status.st_dev, status.st_ino);
}

}  // namespace

Result<std::string> ImageFiles::path_of(const std::string& name, const std::string& named_by) {
    if (is_url(named_by))
        return Error{fmt::format("{}: is named by an image behind a URL, which must stand alone", name)};
    std::string_view path = name;
    if (path.starts_with("file:")) path.remove_prefix(5);
    // "json:", "nbd:", "https:": what comes before a colon without a slash is a protocol in such names.
    const auto colon = path.find(':');
    if (colon != std::string_view::npos && path.find('/') > colon && !name.starts_with("file:"))
        return Error{fmt::format("{}: is no path of a file; only files can be below an image", name)};
    if (path.empty()) return Error{"the name of the image below is empty"};
    const auto slash = named_by.rfind('/');
    if (path.front() == '/' || slash == std::string::npos) return std::string(path);
    return named_by.substr(0, slash + 1) + std::string(path);
}

// An image that comes from a stranger must not make this host ask others for things.
Result<block::FileOpener::Opened> ImageFiles::open(const std::string& name, const std::string& named_by) {
    if (is_url(name) && !is_url(named_by)) {
        if (web_.named == WebAccess::Named::refused)
            return Error{fmt::format(
                "{}: is behind a URL, which an image may not name by itself; backing=web, or viv-img's --web, allows "
                "it",
                name)};
        const auto [url, content] = split_name(name);
        TRY_SET(auto opened, open_url(url, block::Access::read_only));
        opened.content = content;
        return opened;
    }
    TRY_SET(const auto path, path_of(name, named_by));
    return open_named(path, block::Access::read_only);
}

Result<block::FileOpener::Opened> ImageFiles::open_part(const std::string& name, const std::string& image,
                                                        block::Access access) {
    if (is_url(image)) return Error{fmt::format("{}: is named by an image behind a URL, which must stand alone", name)};
    const auto slash = image.rfind('/');
    const auto folder = slash == std::string::npos ? std::string("./") : image.substr(0, slash + 1);
    // A path to the image's own folder names nothing but what is in it.
    const auto cut = name.rfind('/') + 1;
    std::error_code none;
    const auto above = cut == 0 ? folder : name.front() == '/' ? name.substr(0, cut) : folder + name.substr(0, cut);
    const auto plain = name.substr(cut);
    const auto path = slash == std::string::npos ? plain : folder + plain;
    const bool inside = !plain.empty() && plain != "." && plain != ".." && name.find('\0') == std::string::npos &&
                        (cut == 0 || std::filesystem::equivalent(above, folder, none));
    // A link may lead out of the folder, too.
    struct stat status {};
    if (!inside || (lstat(path.c_str(), &status) == 0 && S_ISLNK(status.st_mode)))
        return Error{fmt::format("{}: must be a file in the image's folder, and no link", name)};
    return open_named(path, access);
}

Result<std::unique_ptr<state::ChunkStore>> ImageFiles::open_chunks(const std::string& index) {
    if (is_url(index)) return open_web_chunks(index, feed_, web_.cache);
    return chunks_in_folder(folder_part(index));
}

Result<block::FileOpener::Opened> ImageFiles::open_named(const std::string& path, block::Access access) {
    if (is_url(path)) return open_url(path, access);
    const FileAccess how = access == block::Access::read_write ? FileAccess::read_write
                           : locking_ == Locking::unlocked     ? FileAccess::read_only_unlocked
                                                               : FileAccess::read_only;
    Opened opened;
    TRY_SET(opened.file, open_file(path, how));
    opened.name = path;
    opened.identity = identity_of(path);
    if (access == block::Access::read_write) PosixEntropy().fill(opened.unique);
    return opened;
}

Result<block::FileOpener::Opened> ImageFiles::open_url(const std::string& url, block::Access access) {
    if (access == block::Access::read_write) return Error{fmt::format("{}: is behind a URL and can only be read", url)};
    if (!feed_) feed_ = std::make_shared<Feed>(web_.log);
    Opened opened;
    TRY_SET(opened.file, open_web_image(url, feed_));
    opened.name = opened.identity = url;
    return opened;
}

}  // namespace viv::native
