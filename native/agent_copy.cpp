// Walking and writing trees. See agent_copy.h. On the host every step below the destination is one openat() that
// follows no link.
#include "native/agent_copy.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>

#include "native/host_posix.h"

namespace viv::native {

namespace {

enum class Kind : u8 { file = 1, folder = 2, link = 3 };
constexpr u32 permission_bits = 0777;

std::string join(const std::string& folder, const std::string& name) {
    return folder.empty() ? name : folder + "/" + name;
}

std::string last_part(std::string path) {
    while (!path.empty() && path.back() == '/') path.pop_back();
    return path.substr(path.rfind('/') + 1);
}

}  // namespace

AgentUpload::AgentUpload(std::string from, std::string to) : from_(std::move(from)), to_(std::move(to)) {}
AgentUpload::~AgentUpload() = default;

Result<void> AgentUpload::check(const std::string& from) {
    struct stat status {};
    if (stat(from.c_str(), &status) != 0) return Error{fmt::format("--copy-in {}: {}", from, error_text(errno))};
    if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode))
        return Error{fmt::format("--copy-in {}: is no file and no folder", from)};
    if (access(from.c_str(), S_ISDIR(status.st_mode) ? R_OK | X_OK : R_OK) != 0)
        return Error{fmt::format("--copy-in {}: {}", from, error_text(errno))};
    return {};
}

std::string AgentUpload::host_path(const std::string& relative) const {
    return relative.empty() ? from_ : from_ + "/" + relative;
}

void AgentUpload::abandon(std::string message) {
    send(FrameType::cancel, {});
    fail(fmt::format("{}: {}", subject(), message));
}

void AgentUpload::begin() {
    std::error_code error;
    // "." and paths that end with ".." have a name too.
    auto name = last_part(from_);
    if (name.empty() || name == "." || name == "..")
        name = std::filesystem::canonical(from_, error).filename().string();
    PayloadWriter payload;
    payload.put_string(to_).put_string(name.empty() ? "root" : name);
    send(FrameType::put, payload.bytes());
}

Result<AgentUpload::Folder> AgentUpload::read_folder(const std::string& relative) const {
    Folder folder;
    folder.path = relative;
    std::error_code error;
    for (std::filesystem::directory_iterator each(host_path(relative), error), end; each != end && !error;
         each.increment(error))
        folder.names.push_back(each->path().filename().string());
    if (error) return Error{fmt::format("{}: {}", host_path(relative), error_text(error.value()))};
    std::sort(folder.names.begin(), folder.names.end());
    return folder;
}

bool AgentUpload::send_entry(const std::string& relative) {
    const auto path = host_path(relative);
    struct stat status {};
    // The thing itself may be named by a link; what is below it is copied as it is.
    if ((relative.empty() ? stat(path.c_str(), &status) : lstat(path.c_str(), &status)) != 0) {
        abandon(fmt::format("{}: {}", path, error_text(errno)));
        return false;
    }
    Kind kind = Kind::file;
    std::array<char, agent_name_limit + 1> target{};
    usize target_size = 0;
    if (S_ISDIR(status.st_mode)) {
        kind = Kind::folder;
        auto folder = read_folder(relative);
        if (!folder.ok()) {
            abandon(folder.error().message);
            return false;
        }
        folders_.push_back(std::move(*folder));
    } else if (S_ISLNK(status.st_mode)) {
        kind = Kind::link;
        const ssize_t size = readlink(path.c_str(), target.data(), target.size());
        if (size < 0 || static_cast<usize>(size) == target.size()) {
            abandon(fmt::format("{}: {}", path, size < 0 ? error_text(errno) : "the link is too long"));
            return false;
        }
        target_size = static_cast<usize>(size);
    } else if (S_ISREG(status.st_mode)) {
        file_ = Descriptor(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | (relative.empty() ? 0 : O_NOFOLLOW)));
        if (!file_) {
            abandon(fmt::format("{}: {}", path, error_text(errno)));
            return false;
        }
        file_path_ = path;
    } else {
        return true;  // devices, pipes and sockets have no contents to copy
    }
    PayloadWriter payload;
    payload.put_u8(static_cast<u8>(kind)).put_u8(0).put_u16(0).put_u32(status.st_mode & 07777);
    payload.put_u64(kind == Kind::file ? static_cast<u64>(status.st_size) : 0);
    payload.put_u64(static_cast<u64>(status.st_mtim.tv_sec)).put_u32(static_cast<u32>(status.st_mtim.tv_nsec));
    payload.put_string(relative).put_string({target.data(), target_size});  // the target of what is no link is empty
    send(FrameType::entry, payload.bytes());
    return true;
}

bool AgentUpload::send_data() {
    std::array<u8, frame_payload_limit / 2> buffer;
    const usize wanted = sendable(buffer.size());
    if (wanted < 4096) return false;  // no crumbs
    ssize_t count = 0;
    do count = read(file_.number(), buffer.data(), wanted);
    while (count < 0 && errno == EINTR);
    if (count < 0) {
        abandon(fmt::format("{}: {}", file_path_, error_text(errno)));
        return false;
    }
    if (count == 0)
        file_.reset();
    else
        send(FrameType::data, {buffer.data(), static_cast<usize>(count)});
    return true;
}

// Sends one thing; false if it has to wait, or is at the end.
bool AgentUpload::send_next() {
    if (file_) return send_data();
    constexpr usize largest_entry = 32 + 2 * agent_name_limit;
    if (end_sent_ || sendable(largest_entry) < largest_entry) return false;
    if (!begun_) {
        begun_ = true;
        return send_entry("");
    }
    while (!folders_.empty() && folders_.back().next == folders_.back().names.size()) folders_.pop_back();
    if (folders_.empty()) {
        PayloadWriter payload;
        payload.put_u32(0).put_u32(0);
        send(FrameType::end, payload.bytes());
        end_sent_ = true;
        return false;
    }
    auto& folder = folders_.back();
    const auto relative = join(folder.path, folder.names[folder.next++]);
    if (!is_safe_relative_path(relative)) {
        abandon(fmt::format("{}: the path is too long", host_path(relative)));
        return false;
    }
    return send_entry(relative);
}

void AgentUpload::step() {
    while (!done() && send_next()) {}
}

void AgentUpload::receive(const Frame& frame) {
    if (frame.type != FrameType::end) return;
    if (end_sent_)
        finish();
    else
        abandon("the guest's agent ended the copy early");
}

AgentDownload::AgentDownload(std::string from, std::string to, std::function<void(std::string_view)> warn)
    : from_(std::move(from)), to_(std::move(to)), warn_(std::move(warn)) {}

AgentDownload::~AgentDownload() {
    if (writing_) unlinkat(writing_->parent.number(), writing_->temporary.c_str(), 0);
}

Result<AgentDownload::Place> AgentDownload::place_of(const std::string& from, const std::string& to) {
    struct stat status {};
    const bool folder = stat(to.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
    Place place;
    if (folder || to.ends_with('/')) {
        place = {to, last_part(from)};
        if (place.name.empty() || place.name == "." || place.name == "..")
            return Error{
                fmt::format("--copy-out {}:{}: {} has no name to use in the folder {}; name the destination itself",
                            from, to, from, to)};
    } else {
        const auto slash = to.rfind('/');
        place = {slash == std::string::npos ? "." : to.substr(0, std::max<usize>(slash, 1)), last_part(to)};
    }
    if (stat(place.folder.c_str(), &status) != 0)
        return Error{fmt::format("--copy-out {}:{}: the folder {}: {}", from, to, place.folder, error_text(errno))};
    if (!S_ISDIR(status.st_mode))
        return Error{fmt::format("--copy-out {}:{}: {} is no folder", from, to, place.folder)};
    return place;
}

Result<void> AgentDownload::check(const std::string& from, const std::string& to) {
    TRY_SET(const auto place, place_of(from, to));
    if (access(place.folder.c_str(), W_OK | X_OK) != 0)
        return Error{fmt::format("--copy-out {}:{}: the folder {}: {}", from, to, place.folder, error_text(errno))};
    return {};
}

void AgentDownload::abandon(std::string message) {
    send(FrameType::cancel, {});
    fail(std::move(message));
}

void AgentDownload::begin() {
    auto place = place_of(from_, to_);
    if (!place.ok()) return fail(place.error().message);
    place_ = std::move(*place);
    base_ = Descriptor(open(place_.folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!base_) return fail(fmt::format("{}: {}", subject(), error_text(errno)));
    PayloadWriter payload;
    payload.put_string(from_);
    send(FrameType::get, payload.bytes());
}

Error AgentDownload::host_error(const std::string& relative, int error_number) const {
    return Error{fmt::format("{}: {}: {}", subject(), printable(join(place_.folder + "/" + place_.name, relative)),
                             error_text(error_number))};
}

// The folder that holds `relative`, and the last part of it.
Result<Descriptor> AgentDownload::open_parent(const std::string& relative, std::string& name) const {
    constexpr int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    auto rest = join(place_.name, relative);
    if (relative.empty()) rest = place_.name;
    Descriptor folder(openat(base_.number(), ".", flags));
    for (usize slash = 0; folder && (slash = rest.find('/')) != std::string::npos; rest.erase(0, slash + 1))
        folder = Descriptor(openat(folder.number(), rest.substr(0, slash).c_str(), flags));
    if (!folder) return host_error(relative, errno);
    name = rest;
    return folder;
}

Result<void> AgentDownload::close_file() {
    if (!writing_) return {};
    const auto writing = std::move(writing_);
    const timespec times[2] = {{0, UTIME_NOW},
                               {static_cast<time_t>(writing->seconds), static_cast<long>(writing->nanoseconds)}};
    futimens(writing->file.number(), times);
    const bool complete = fchmod(writing->file.number(), writing->mode) == 0 &&
                          renameat(writing->parent.number(), writing->temporary.c_str(), writing->parent.number(),
                                   writing->name.c_str()) == 0;
    if (complete) return {};
    const auto error = host_error(writing->relative, errno);
    unlinkat(writing->parent.number(), writing->temporary.c_str(), 0);
    return error;
}

Result<void> AgentDownload::entry(std::span<const u8> payload) {
    TRY(close_file());
    PayloadReader reader(payload);
    const auto kind = static_cast<Kind>(reader.read_u8());
    reader.read_u8();
    reader.read_u16();
    const u32 mode = reader.read_u32() & permission_bits;
    reader.read_u64();
    const i64 seconds = static_cast<i64>(reader.read_u64());
    const u32 nanoseconds = std::min<u32>(reader.read_u32(), 999'999'999);
    const auto relative = reader.read_string(agent_name_limit);
    const auto target = reader.read_string(agent_name_limit);
    const Error nonsense{fmt::format("{}: the guest's agent sends an entry that cannot be", subject())};
    if (!reader.good() || kind < Kind::file || kind > Kind::link || !is_safe_relative_path(relative)) return nonsense;
    if (relative.empty() == top_seen_) return nonsense;  // the thing itself comes first, and once
    top_seen_ = true;
    std::string name;
    TRY_SET(auto parent, open_parent(relative, name));
    if (kind == Kind::folder) {
        const bool made = mkdirat(parent.number(), name.c_str(), 0700) == 0;
        if (!made && errno != EEXIST) return host_error(relative, errno);
        Descriptor folder(openat(parent.number(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (!folder) return host_error(relative, errno);
        // Never without the owner's own rights: there is more to write into it.
        if (made && fchmod(folder.number(), mode | 0700) != 0) return host_error(relative, errno);
        return {};
    }
    struct stat status {};
    if (fstatat(parent.number(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode))
        return host_error(relative, EISDIR);
    const auto temporary = fmt::format(".{}.{}.partial", name.substr(0, 200), getpid());
    unlinkat(parent.number(), temporary.c_str(), 0);
    if (kind == Kind::link) {
        if (symlinkat(target.c_str(), parent.number(), temporary.c_str()) != 0) return host_error(relative, errno);
        if (renameat(parent.number(), temporary.c_str(), parent.number(), name.c_str()) != 0) {
            const auto error = host_error(relative, errno);
            unlinkat(parent.number(), temporary.c_str(), 0);
            return error;
        }
        return {};
    }
    Descriptor file(
        openat(parent.number(), temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file) return host_error(relative, errno);
    writing_ = std::make_unique<Writing>(
        Writing{std::move(parent), std::move(file), relative, name, temporary, mode, seconds, nanoseconds});
    return {};
}

Result<void> AgentDownload::data(std::span<const u8> bytes) {
    if (!writing_) return Error{fmt::format("{}: the guest's agent sends data of no file", subject())};
    while (!bytes.empty()) {
        const ssize_t put = write(writing_->file.number(), bytes.data(), bytes.size());
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return host_error(writing_->relative, errno);
        bytes = bytes.subspan(static_cast<usize>(put));
    }
    return {};
}

void AgentDownload::receive(const Frame& frame) {
    Result<void> result;
    switch (frame.type) {
        case FrameType::entry: result = entry(frame.payload); break;
        case FrameType::data: result = data(frame.payload); break;
        case FrameType::stderr_bytes: {
            std::string_view lines(reinterpret_cast<const char*>(frame.payload.data()), frame.payload.size());
            while (!lines.empty()) {
                const auto end = lines.find('\n');
                warn_(printable(lines.substr(0, end)));
                lines.remove_prefix(end == std::string_view::npos ? lines.size() : end + 1);
            }
            break;
        }
        case FrameType::end:
            result = close_file();
            if (result.ok() && !top_seen_) result = Error{fmt::format("{}: nothing came", subject())};
            if (result.ok()) return finish();
            break;
        default: return;
    }
    if (!result.ok()) return abandon(result.error().message);
    if (static_cast<u8>(frame.type) >= 0x40) passed_on(frame.payload.size());
}

}  // namespace viv::native
