// Nodes are O_PATH descriptors: they name an inode without opening it, so a FIFO or device is never touched. Work on a
// node itself goes through its link in /proc/self/fd, which leads to that very inode whatever has happened to its name.
// See folder_posix.h for the promises.
#include "native/folder_posix.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <string_view>
#include <utility>

namespace viv::native {

namespace {

using host::AttributeChange;
using host::FileAttributes;
using host::Folder;
using host::FolderEntry;
using host::FolderNode;
using host::FolderStatistics;
using host::OpenFile;
using host::Outcome;

constexpr usize maximum_name = 255;
constexpr usize maximum_target = PATH_MAX - 1;
constexpr usize maximum_entries = 1 << 20;  // of one directory: a listing is held in memory
constexpr u32 maximum_transfer = 0x7fff'f000;
constexpr u32 set_id_bits = S_ISUID | S_ISGID;

template <class F>
auto retry_interrupted(F call) {
    auto result = call();
    while (result < 0 && errno == EINTR) result = call();
    return result;
}

u32 failure() { return static_cast<u32>(errno); }
template <class T>
Outcome<T> failed() {
    return Outcome<T>::fail(failure());
}

// How many descriptors one share may hold; shared by all that hold one, since they may outlive the folder.
struct Budget {
    u32 used = 0;
    u32 maximum = 0;
};

// One descriptor within the budget. Empty if opening failed; errno says why.
class Descriptor {
public:
    Descriptor() = default;
    template <class F>
    static Descriptor open(const std::shared_ptr<Budget>& budget, F opener) {
        Descriptor descriptor;
        if (budget->used >= budget->maximum) {
            errno = EMFILE;
            return descriptor;
        }
        descriptor.fd_ = retry_interrupted(opener);
        if (descriptor.fd_ < 0) return descriptor;
        descriptor.budget_ = budget;
        budget->used++;
        return descriptor;
    }
    Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)), budget_(std::move(other.budget_)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(fd_, other.fd_);
        std::swap(budget_, other.budget_);
        return *this;
    }
    ~Descriptor() {
        if (fd_ < 0) return;
        ::close(fd_);
        budget_->used--;
    }

    explicit operator bool() const { return fd_ >= 0; }
    int get() const { return fd_; }
    // The link that leads to the inode itself. Following it is the one link we follow, and it is the kernel's.
    std::string link() const { return fmt::format("/proc/self/fd/{}", fd_); }

private:
    int fd_ = -1;
    std::shared_ptr<Budget> budget_;
};

class PosixNode final : public FolderNode {
public:
    PosixNode(Descriptor descriptor, mode_t mode) : descriptor_(std::move(descriptor)), mode_(mode) {}
    int fd() const { return descriptor_.get(); }
    const Descriptor& descriptor() const { return descriptor_; }
    bool is_regular() const { return S_ISREG(mode_); }
    bool is_directory() const { return S_ISDIR(mode_); }
    bool is_symlink() const { return S_ISLNK(mode_); }

private:
    Descriptor descriptor_;
    mode_t mode_;  // only the type is used: an inode's type never changes
};

class PosixFile final : public OpenFile {
public:
    explicit PosixFile(Descriptor descriptor) : descriptor_(std::move(descriptor)) {}

    Outcome<u32> read(u64 offset, std::span<u8> out) override {
        if (offset > LLONG_MAX) return Outcome<u32>::fail(EINVAL);
        const usize length = std::min<usize>(out.size(), maximum_transfer);
        const auto count = retry_interrupted(
            [&] { return ::pread(descriptor_.get(), out.data(), length, static_cast<off_t>(offset)); });
        if (count < 0) return failed<u32>();
        return static_cast<u32>(count);
    }
    Outcome<u32> write(u64 offset, std::span<const u8> in) override {
        if (offset > LLONG_MAX) return Outcome<u32>::fail(EFBIG);
        const usize length = std::min<usize>(in.size(), maximum_transfer);
        const auto count = retry_interrupted(
            [&] { return ::pwrite(descriptor_.get(), in.data(), length, static_cast<off_t>(offset)); });
        if (count < 0) return failed<u32>();
        return static_cast<u32>(count);
    }
    u32 sync(bool data_only) override {
        const int fd = descriptor_.get();
        const int result = retry_interrupted([&] { return data_only ? ::fdatasync(fd) : ::fsync(fd); });
        return result < 0 ? failure() : 0;
    }

private:
    Descriptor descriptor_;
};

// 0, or the errno for a name that is not one plain component.
u32 check_name(std::string_view name) {
    if (name.empty()) return ENOENT;
    if (name.size() > maximum_name) return ENAMETOOLONG;
    if (name == "." || name == "..") return EINVAL;
    if (name.find('/') != name.npos || name.find('\0') != name.npos) return EINVAL;
    return 0;
}

PosixNode& own(FolderNode& node) { return static_cast<PosixNode&>(node); }

Result<u32> descriptor_limit(u32 wanted) {
    if (wanted != 0) {
        if (wanted < 8 || wanted > 1'000'000)
            return Error{fmt::format("a share may hold 8 to 1000000 descriptors, not {}", wanted)};
        return wanted;
    }
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return u32{65'536};
    return static_cast<u32>(std::clamp<rlim_t>(limit.rlim_cur / 2, 8, 65'536));
}

class PosixFolder final : public Folder {
public:
    PosixFolder(std::shared_ptr<PosixNode> root, std::shared_ptr<Budget> budget, u64 device, Mode mode,
                bool has_openat2)
        : root_(std::move(root)),
          budget_(std::move(budget)),
          root_device_(device),
          mode_(mode),
          has_openat2_(has_openat2) {}

    NodePointer root() override { return root_; }

    Outcome<NodePointer> lookup(FolderNode& directory, std::string_view name) override {
        if (const u32 error = check(directory, name)) return Outcome<NodePointer>::fail(error);
        return find(own(directory), std::string(name));
    }

    Outcome<FileAttributes> attributes(FolderNode& node) override {
        if (const u32 error = check_inside(node)) return Outcome<FileAttributes>::fail(error);
        struct stat status {};
        if (::fstat(own(node).fd(), &status) != 0) return failed<FileAttributes>();
        FileAttributes attributes;
        attributes.device = status.st_dev;
        attributes.inode = status.st_ino;
        attributes.mode = status.st_mode;
        attributes.links = static_cast<u32>(status.st_nlink);
        attributes.uid = status.st_uid;
        attributes.gid = status.st_gid;
        attributes.size = static_cast<u64>(status.st_size);
        attributes.block_size = static_cast<u64>(status.st_blksize);
        attributes.blocks = static_cast<u64>(status.st_blocks);
        attributes.special_device = status.st_rdev;
        attributes.accessed_s = status.st_atim.tv_sec;
        attributes.modified_s = status.st_mtim.tv_sec;
        attributes.changed_s = status.st_ctim.tv_sec;
        attributes.accessed_ns = static_cast<u32>(status.st_atim.tv_nsec);
        attributes.modified_ns = static_cast<u32>(status.st_mtim.tv_nsec);
        attributes.changed_ns = static_cast<u32>(status.st_ctim.tv_nsec);
        return attributes;
    }

    u32 change(FolderNode& node, const AttributeChange& change) override;

    Outcome<FilePointer> open(FolderNode& node, u32 flags) override {
        if (const u32 error = check_inside(node)) return Outcome<FilePointer>::fail(error);
        const PosixNode& target = own(node);
        if (target.is_symlink()) return Outcome<FilePointer>::fail(ELOOP);
        if (!target.is_regular() && !target.is_directory()) return Outcome<FilePointer>::fail(ENXIO);
        const int access = static_cast<int>(flags) & O_ACCMODE;
        if (access == O_ACCMODE) return Outcome<FilePointer>::fail(EINVAL);
        const bool writes = access != O_RDONLY || (flags & (O_TRUNC | O_APPEND)) != 0;
        if (writes && target.is_directory()) return Outcome<FilePointer>::fail(EISDIR);
        if (writes && read_only()) return Outcome<FilePointer>::fail(EROFS);
        auto descriptor = reopen(target, access | (static_cast<int>(flags) & (O_TRUNC | O_APPEND)));
        if (!descriptor) return failed<FilePointer>();
        return FilePointer(std::make_unique<PosixFile>(std::move(descriptor)));
    }

    Outcome<NodePointer> create(FolderNode& directory, std::string_view name, u32 flags, u32 mode,
                                FilePointer& opened) override;
    Outcome<NodePointer> make_directory(FolderNode& directory, std::string_view name, u32 mode) override;
    Outcome<NodePointer> make_symlink(FolderNode& directory, std::string_view name, std::string_view target) override;
    Outcome<NodePointer> make_node(FolderNode& directory, std::string_view name, u32 mode, u64 device) override;

    u32 link(FolderNode& directory, std::string_view name, FolderNode& target) override {
        if (const u32 error = check_change(directory, name)) return error;
        if (const u32 error = check_inside(target)) return error;
        if (own(target).is_directory()) return EPERM;
        const std::string copy(name);
        const int result = ::linkat(AT_FDCWD, own(target).descriptor().link().c_str(), own(directory).fd(),
                                    copy.c_str(), AT_SYMLINK_FOLLOW);
        return result != 0 ? failure() : 0;
    }

    Outcome<std::string> read_link(FolderNode& node) override {
        if (const u32 error = check_inside(node)) return Outcome<std::string>::fail(error);
        if (!own(node).is_symlink()) return Outcome<std::string>::fail(EINVAL);
        std::array<char, PATH_MAX> target;
        const auto length = ::readlinkat(own(node).fd(), "", target.data(), target.size());
        if (length < 0) return failed<std::string>();
        return std::string(target.data(), static_cast<usize>(length));
    }

    Outcome<std::vector<FolderEntry>> list(FolderNode& directory) override;

    u32 remove(FolderNode& directory, std::string_view name, bool directory_wanted) override {
        if (const u32 error = check_change(directory, name)) return error;
        const std::string copy(name);
        const int result = ::unlinkat(own(directory).fd(), copy.c_str(), directory_wanted ? AT_REMOVEDIR : 0);
        return result != 0 ? failure() : 0;
    }

    u32 rename(FolderNode& from, std::string_view old_name, FolderNode& to, std::string_view new_name) override {
        if (const u32 error = check_change(from, old_name)) return error;
        if (const u32 error = check_change(to, new_name)) return error;
        const std::string old_copy(old_name), new_copy(new_name);
        const int result = ::renameat(own(from).fd(), old_copy.c_str(), own(to).fd(), new_copy.c_str());
        return result != 0 ? failure() : 0;
    }

    Outcome<FolderStatistics> statistics(FolderNode& node) override {
        if (const u32 error = check_inside(node)) return Outcome<FolderStatistics>::fail(error);
        struct statfs status {};
        const int result = retry_interrupted([&] { return ::fstatfs(own(node).fd(), &status); });
        if (result != 0) return failed<FolderStatistics>();
        FolderStatistics statistics;
        statistics.type = static_cast<u32>(status.f_type);
        statistics.block_size = static_cast<u32>(status.f_bsize);
        statistics.blocks = status.f_blocks;
        statistics.blocks_free = status.f_bfree;
        statistics.blocks_available = status.f_bavail;
        statistics.files = status.f_files;
        statistics.files_free = status.f_ffree;
        u32 id[2] = {};
        static_assert(sizeof id == sizeof status.f_fsid);
        std::memcpy(id, &status.f_fsid, sizeof id);
        statistics.id = id[0] | u64{id[1]} << 32;
        statistics.name_length = static_cast<u32>(status.f_namelen);
        return statistics;
    }

private:
    bool read_only() const { return mode_ == Mode::read_only; }

    // 0 if the node still lies under the root, which is where its path must start. Catches what no resolution flag can:
    // a directory that somebody on the host moved elsewhere after a node of it was made.
    u32 check_inside(FolderNode& node) const {
        if (&node == root_.get()) return 0;
        std::array<char, PATH_MAX> root, path;
        const auto root_length = ::readlink(root_->descriptor().link().c_str(), root.data(), root.size());
        if (root_length <= 0) return ESTALE;
        const auto path_length = ::readlink(own(node).descriptor().link().c_str(), path.data(), path.size());
        if (path_length <= 0) return errno == ENAMETOOLONG ? ENAMETOOLONG : ESTALE;
        const std::string_view outer(root.data(), static_cast<usize>(root_length));
        const std::string_view inner(path.data(), static_cast<usize>(path_length));
        if (outer == "/") return inner.front() == '/' ? 0 : ESTALE;
        return inner.size() > outer.size() && inner.starts_with(outer) && inner[outer.size()] == '/' ? 0 : ESTALE;
    }
    u32 check(FolderNode& directory, std::string_view name) const {
        if (const u32 error = check_name(name)) return error;
        if (!own(directory).is_directory()) return ENOTDIR;
        return check_inside(directory);
    }
    u32 check_change(FolderNode& directory, std::string_view name) const {
        if (const u32 error = check(directory, name)) return error;
        return read_only() ? EROFS : 0;
    }

    // Opens one component, never following it.
    Descriptor open_beneath(const PosixNode& directory, const std::string& name, int flags, mode_t mode) const {
        const int all_flags = flags | O_NOFOLLOW | O_CLOEXEC;
        return Descriptor::open(budget_, [&] {
            if (!has_openat2_) return ::openat(directory.fd(), name.c_str(), all_flags, mode);
            open_how how{};
            how.flags = static_cast<u64>(all_flags);
            how.mode = mode;
            how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
            return static_cast<int>(::syscall(SYS_openat2, directory.fd(), name.c_str(), &how, sizeof how));
        });
    }

    // Opens the inode of a node, a regular file or directory. A read-only share leaves access times alone where the
    // host lets it.
    Descriptor reopen(const PosixNode& node, int flags) const {
        const std::string link = node.descriptor().link();
        const int all_flags = flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (node.is_directory() ? O_DIRECTORY : 0);
        if (read_only()) {
            auto quiet = Descriptor::open(budget_, [&] { return ::open(link.c_str(), all_flags | O_NOATIME); });
            if (quiet || errno != EPERM) return quiet;
        }
        return Descriptor::open(budget_, [&] { return ::open(link.c_str(), all_flags); });
    }

    Outcome<NodePointer> adopt(Descriptor descriptor) const {
        if (!descriptor) return failed<NodePointer>();
        struct stat status {};
        if (::fstat(descriptor.get(), &status) != 0) return failed<NodePointer>();
        if (status.st_dev != root_device_) {
            // A share that has /proc mounted below it would hand out this very process.
            struct statfs file_system {};
            if (::fstatfs(descriptor.get(), &file_system) != 0) return failed<NodePointer>();
            if (file_system.f_type == PROC_SUPER_MAGIC) return Outcome<NodePointer>::fail(EACCES);
        }
        return NodePointer(std::make_shared<PosixNode>(std::move(descriptor), status.st_mode));
    }

    Outcome<NodePointer> find(const PosixNode& directory, const std::string& name) const {
        return adopt(open_beneath(directory, name, O_PATH, 0));
    }

    // The node of what was just made, with the mode that was asked for.
    Outcome<NodePointer> finish(const PosixNode& directory, const std::string& name, u32 type, u32 mode) const {
        auto node = find(directory, name);
        if (!node.ok()) return node;
        const PosixNode& made = own(**node);
        struct stat status {};
        if (::fstat(made.fd(), &status) != 0) return failed<NodePointer>();
        // Somebody else may have put another file in its place meanwhile; theirs is not ours to change.
        if ((status.st_mode & S_IFMT) != type) return Outcome<NodePointer>::fail(ESTALE);
        if (type != S_IFLNK) set_exact_mode(made.descriptor(), mode);
        return node;
    }

    // Undoes the umask. File systems without modes of their own refuse, and the file is there all the same.
    static void set_exact_mode(const Descriptor& descriptor, u32 mode) {
        struct stat status {};
        if (::fstat(descriptor.get(), &status) != 0 || status.st_uid != ::geteuid()) return;
        if ((status.st_mode & 01777) == (mode & 01777)) return;
        [[maybe_unused]] const int ignored =
            ::chmod(descriptor.link().c_str(), (status.st_mode & set_id_bits) | (mode & 01777));
    }

    std::shared_ptr<PosixNode> root_;
    std::shared_ptr<Budget> budget_;
    u64 root_device_;
    Mode mode_;
    bool has_openat2_;
};

u32 PosixFolder::change(FolderNode& node, const AttributeChange& change) {
    if (const u32 error = check_inside(node)) return error;
    if (read_only()) return EROFS;
    const PosixNode& target = own(node);
    const auto valid = [](AttributeChange::Time which, u32 nanoseconds) {
        return which != AttributeChange::Time::given || nanoseconds < 1'000'000'000;
    };
    if (!valid(change.accessed, change.accessed_ns) || !valid(change.modified, change.modified_ns)) return EINVAL;
    if ((change.set_uid && change.uid == ~u32{0}) || (change.set_gid && change.gid == ~u32{0})) return EINVAL;
    if (change.set_mode && target.is_symlink()) return EOPNOTSUPP;
    if (change.set_mode && (change.mode & (target.is_directory() ? S_ISUID : set_id_bits)) != 0) return EPERM;
    if (change.set_size) {
        if (target.is_directory()) return EISDIR;
        if (!target.is_regular()) return EINVAL;
        if (change.size > LLONG_MAX) return EFBIG;
    }
    const std::string link = target.descriptor().link();
    if (change.set_uid || change.set_gid) {
        const uid_t uid = change.set_uid ? change.uid : static_cast<uid_t>(-1);
        const gid_t gid = change.set_gid ? change.gid : static_cast<gid_t>(-1);
        if (::fchownat(target.fd(), "", uid, gid, AT_EMPTY_PATH) != 0) return failure();
    }
    if (change.set_mode && ::chmod(link.c_str(), change.mode & 07777) != 0) return failure();
    if (change.set_size) {
        const auto length = static_cast<off_t>(change.size);
        if (retry_interrupted([&] { return ::truncate(link.c_str(), length); }) != 0) return failure();
    }
    if (change.accessed != AttributeChange::Time::keep || change.modified != AttributeChange::Time::keep) {
        const auto time = [](AttributeChange::Time which, i64 seconds, u32 nanoseconds) {
            if (which == AttributeChange::Time::keep) return timespec{0, UTIME_OMIT};
            if (which == AttributeChange::Time::now) return timespec{0, UTIME_NOW};
            return timespec{static_cast<time_t>(seconds), static_cast<long>(nanoseconds)};
        };
        const timespec times[2] = {time(change.accessed, change.accessed_s, change.accessed_ns),
                                   time(change.modified, change.modified_s, change.modified_ns)};
        if (::utimensat(AT_FDCWD, link.c_str(), times, 0) != 0) return failure();
    }
    return 0;
}

Outcome<Folder::NodePointer> PosixFolder::create(FolderNode& directory, std::string_view name, u32 flags, u32 mode,
                                                 FilePointer& opened) {
    if (const u32 error = check_change(directory, name)) return Outcome<NodePointer>::fail(error);
    if ((mode & set_id_bits) != 0) return Outcome<NodePointer>::fail(EPERM);
    const int access = static_cast<int>(flags) & O_ACCMODE;
    if (access == O_ACCMODE) return Outcome<NodePointer>::fail(EINVAL);
    const std::string copy(name);
    // O_EXCL always, so that what is opened here is new and regular; an existing file takes the path of every other
    // open.
    constexpr int attempts = 8;
    for (int attempt = 0; attempt < attempts; attempt++) {
        const int new_flags = access | (static_cast<int>(flags) & O_APPEND) | O_CREAT | O_EXCL | O_NOCTTY | O_NONBLOCK;
        auto descriptor = open_beneath(own(directory), copy, new_flags, mode & 01777);
        if (descriptor) {
            set_exact_mode(descriptor, mode);
            const std::string link = descriptor.link();
            auto node = adopt(Descriptor::open(budget_, [&] { return ::open(link.c_str(), O_PATH | O_CLOEXEC); }));
            if (node.ok()) opened = std::make_unique<PosixFile>(std::move(descriptor));
            return node;
        }
        if (errno != EEXIST || (flags & O_EXCL) != 0) return failed<NodePointer>();
        auto node = find(own(directory), copy);
        if (!node.ok() && node.error() == ENOENT) continue;
        if (!node.ok()) return node;
        auto file = open(**node, flags);
        if (!file.ok()) return Outcome<NodePointer>::fail(file.error());
        opened = std::move(*file);
        return node;
    }
    return Outcome<NodePointer>::fail(ESTALE);
}

Outcome<Folder::NodePointer> PosixFolder::make_directory(FolderNode& directory, std::string_view name, u32 mode) {
    if (const u32 error = check_change(directory, name)) return Outcome<NodePointer>::fail(error);
    if ((mode & S_ISUID) != 0) return Outcome<NodePointer>::fail(EPERM);
    const std::string copy(name);
    if (::mkdirat(own(directory).fd(), copy.c_str(), mode & 01777) != 0) return failed<NodePointer>();
    return finish(own(directory), copy, S_IFDIR, mode);
}

Outcome<Folder::NodePointer> PosixFolder::make_symlink(FolderNode& directory, std::string_view name,
                                                       std::string_view target) {
    if (const u32 error = check_change(directory, name)) return Outcome<NodePointer>::fail(error);
    if (target.empty()) return Outcome<NodePointer>::fail(ENOENT);
    if (target.size() > maximum_target) return Outcome<NodePointer>::fail(ENAMETOOLONG);
    if (target.find('\0') != target.npos) return Outcome<NodePointer>::fail(EINVAL);
    const std::string copy(name), target_copy(target);
    if (::symlinkat(target_copy.c_str(), own(directory).fd(), copy.c_str()) != 0) return failed<NodePointer>();
    return finish(own(directory), copy, S_IFLNK, 0777);
}

Outcome<Folder::NodePointer> PosixFolder::make_node(FolderNode& directory, std::string_view name, u32 mode, u64) {
    if (const u32 error = check_change(directory, name)) return Outcome<NodePointer>::fail(error);
    const u32 type = (mode & S_IFMT) == 0 ? S_IFREG : mode & S_IFMT;
    if (type == S_IFCHR || type == S_IFBLK) return Outcome<NodePointer>::fail(EPERM);
    if (type != S_IFREG && type != S_IFIFO && type != S_IFSOCK) return Outcome<NodePointer>::fail(EINVAL);
    if ((mode & set_id_bits) != 0) return Outcome<NodePointer>::fail(EPERM);
    const std::string copy(name);
    if (::mknodat(own(directory).fd(), copy.c_str(), type | (mode & 01777), 0) != 0) return failed<NodePointer>();
    return finish(own(directory), copy, type, mode);
}

Outcome<std::vector<FolderEntry>> PosixFolder::list(FolderNode& directory) {
    using Entries = std::vector<FolderEntry>;
    if (!own(directory).is_directory()) return Outcome<Entries>::fail(ENOTDIR);
    if (const u32 error = check_inside(directory)) return Outcome<Entries>::fail(error);
    auto descriptor = reopen(own(directory), O_RDONLY);
    if (!descriptor) return failed<Entries>();
    // fdopendir takes a descriptor over; the copy is short-lived and `descriptor` stands for it in the budget.
    const int copy = ::fcntl(descriptor.get(), F_DUPFD_CLOEXEC, 0);
    if (copy < 0) return failed<Entries>();
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(copy), ::closedir);
    if (stream == nullptr) {
        const u32 error = failure();
        ::close(copy);
        return Outcome<Entries>::fail(error);
    }
    Entries entries;
    for (;;) {
        errno = 0;
        const dirent* entry = ::readdir(stream.get());
        if (entry == nullptr) break;
        const std::string_view name = entry->d_name;
        if (name == "." || name == "..") continue;
        if (entries.size() == maximum_entries) return Outcome<Entries>::fail(ENOMEM);
        u8 type = entry->d_type;
        if (type == DT_UNKNOWN) {
            struct stat status {};
            if (::fstatat(descriptor.get(), entry->d_name, &status, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) == 0)
                type = static_cast<u8>(IFTODT(status.st_mode));
        }
        entries.push_back({std::string(name), entry->d_ino, type});
    }
    if (errno != 0) return failed<Entries>();
    return entries;
}

bool kernel_has_openat2(int directory) {
    open_how how{};
    how.flags = O_PATH | O_CLOEXEC;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    const auto fd = ::syscall(SYS_openat2, directory, ".", &how, sizeof how);
    if (fd >= 0) ::close(static_cast<int>(fd));
    return fd >= 0;
}

}  // namespace

Result<std::unique_ptr<host::Folder>> open_folder(const std::string& path, const FolderOptions& options) {
    TRY_SET(const u32 limit, descriptor_limit(options.maximum_descriptors));
    auto budget = std::make_shared<Budget>();
    budget->maximum = limit;
    if (path.empty() || path.find('\0') != path.npos) return Error{"a shared folder needs the path of a directory"};
    auto descriptor = Descriptor::open(budget, [&] { return ::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC); });
    if (!descriptor)
        return Error{fmt::format("cannot share '{}': {}; give a directory that exists", path, std::strerror(errno))};
    struct stat status {};
    struct statfs file_system {};
    if (::fstat(descriptor.get(), &status) != 0 || ::fstatfs(descriptor.get(), &file_system) != 0)
        return Error{fmt::format("cannot share '{}': {}", path, std::strerror(errno))};
    if (file_system.f_type == PROC_SUPER_MAGIC)
        return Error{
            fmt::format("cannot share '{}': a guest must not see the host's processes; give another directory", path)};
    const int access = options.mode == host::Folder::Mode::read_only ? R_OK | X_OK : R_OK | W_OK | X_OK;
    if (::faccessat(AT_FDCWD, descriptor.link().c_str(), access, AT_EACCESS) != 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            return Error{fmt::format("cannot share '{}': /proc is not mounted, and sharing a folder needs it", path)};
        return Error{
            fmt::format("cannot share '{}' {}: {}", path,
                        options.mode == host::Folder::Mode::read_only ? "read-only" : "read-write; try read-only",
                        std::strerror(errno))};
    }
    const bool has_openat2 =
        options.resolution == FolderOptions::Resolution::best && kernel_has_openat2(descriptor.get());
    auto root = std::make_shared<PosixNode>(std::move(descriptor), status.st_mode);
    return std::unique_ptr<host::Folder>(
        std::make_unique<PosixFolder>(std::move(root), std::move(budget), status.st_dev, options.mode, has_openat2));
}

}  // namespace viv::native
