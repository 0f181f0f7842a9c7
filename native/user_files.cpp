// Reading and writing whole files. See user_files.h.
#include "native/user_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "native/host_posix.h"
#include "native/values.h"

namespace viv::native {

namespace {

std::string named(std::string_view who, const std::string& path) {
    return who.empty() ? path : fmt::format("{} {}", who, path);
}

std::string folder_of(const std::string& path) {
    const auto slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

struct OpenedFile {
    Descriptor descriptor;
    u64 size = 0;
};

Result<OpenedFile> open_regular(std::string_view who, const std::string& path) {
    Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (!file) return Error{fmt::format("{}: cannot open: {}", named(who, path), error_text(errno))};
    struct stat status {};
    if (fstat(file.number(), &status) != 0) return Error{fmt::format("{}: {}", named(who, path), error_text(errno))};
    if (!S_ISREG(status.st_mode))
        return Error{fmt::format("{}: is {}; a regular file is needed", named(who, path),
                                 S_ISDIR(status.st_mode) ? "a directory" : "no regular file")};
    return OpenedFile{std::move(file), static_cast<u64>(status.st_size)};
}

// Up to out.size() bytes; the count is smaller only at the end of the file.
Result<usize> read_full(int descriptor, const std::string& name, std::span<u8> out) {
    usize done = 0;
    while (done < out.size()) {
        const ssize_t got = read(descriptor, out.data() + done, out.size() - done);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return Error{fmt::format("{}: cannot read: {}", name, error_text(errno))};
        if (got == 0) break;
        done += static_cast<usize>(got);
    }
    return done;
}

Result<std::vector<u8>> read_whole(OpenedFile& file, const std::string& name, u64 limit) {
    if (file.size > limit)
        return Error{
            fmt::format("{}: is {} long; at most {} can be used", name, size_text(file.size), size_text(limit))};
    std::vector<u8> content(static_cast<usize>(file.size));
    TRY_SET(const usize got, read_full(file.descriptor.number(), name, content));
    if (got != content.size()) return Error{fmt::format("{}: was shortened while it was read", name)};
    return content;
}

}  // namespace

Result<Blob> read_blob(std::string_view who, const std::string& path, u64 limit) {
    TRY_SET(auto file, open_regular(who, path));
    TRY_SET(auto content, read_whole(file, named(who, path), limit));
    if (content.empty()) return Error{fmt::format("{}: is empty", named(who, path))};
    return Blob{path, std::move(content)};
}

Result<std::optional<std::vector<u8>>> read_file_if_present(const std::string& path, u64 limit) {
    struct stat status {};
    if (stat(path.c_str(), &status) != 0 && (errno == ENOENT || errno == ENOTDIR))
        return std::optional<std::vector<u8>>();
    TRY_SET(auto file, open_regular("", path));
    TRY_SET(auto content, read_whole(file, path, limit));
    return std::optional<std::vector<u8>>(std::move(content));
}

Result<void> check_readable(std::string_view who, const std::string& path) {
    TRY_SET(const auto file, open_regular(who, path));
    if (file.size == 0) return Error{fmt::format("{}: is empty", named(who, path))};
    return {};
}

Result<void> check_writable(std::string_view who, const std::string& path) {
    const auto folder = folder_of(path);
    struct stat status {};
    if (stat(folder.c_str(), &status) != 0)
        return Error{fmt::format("{}: the folder {}: {}", named(who, path), folder, error_text(errno))};
    if (!S_ISDIR(status.st_mode)) return Error{fmt::format("{}: {} is no folder", named(who, path), folder)};
    if (access(folder.c_str(), W_OK | X_OK) != 0)
        return Error{fmt::format("{}: the folder {}: {}", named(who, path), folder, error_text(errno))};
    if (stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode))
        return Error{fmt::format("{}: exists and is no regular file; give another name", named(who, path))};
    return {};
}

Result<std::unique_ptr<FileSink>> FileSink::create(std::string_view who, const std::string& path, Readers readers,
                                                   Durable durable) {
    TRY(check_writable(who, path));
    const auto temporary = fmt::format("{}.{}.partial", path, getpid());
    const mode_t mode = readers == Readers::all ? 0666 : 0600;
    Descriptor file(open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    if (!file) return Error{fmt::format("{}: cannot create: {}", named(who, path), error_text(errno))};
    return std::unique_ptr<FileSink>(new FileSink(std::string(who), path, temporary, std::move(file), durable));
}

FileSink::~FileSink() {
    if (!finished_) unlink(temporary_.c_str());
}

Error FileSink::failure(std::string_view action, int error_number) const {
    return Error{fmt::format("{}: cannot {}: {}", named(who_, path_), action, error_text(error_number))};
}

Result<void> FileSink::write(std::span<const u8> bytes) {
    usize done = 0;
    while (done < bytes.size()) {
        const ssize_t put = ::write(file_.number(), bytes.data() + done, bytes.size() - done);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return failure("write", errno);
        done += static_cast<usize>(put);
    }
    return {};
}

Result<void> FileSink::finish() {
    if (durable_ == Durable::at_end && fsync(file_.number()) != 0) return failure("write", errno);
    if (rename(temporary_.c_str(), path_.c_str()) != 0) return failure("rename the complete file", errno);
    finished_ = true;
    return {};
}

}  // namespace viv::native
