// Disk images and block devices with positioned I/O. See engine/host/file.h and host_posix.h.
// Promises: short transfers are continued, interrupted ones repeated, the end of the file is an error; a file that
// somebody else writes is refused (advisory locks in QEMU's manner: fcntl(2), open file description locks).
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <span>

#include "native/host_posix.h"

namespace viv::native {

namespace {

enum class Nature : u8 { regular, block_device };

class PosixFile final : public host::File {
public:
    PosixFile(int descriptor, std::string path, Nature nature)
        : fd_(descriptor), path_(std::move(path)), nature_(nature) {}
    ~PosixFile() override { close(fd_); }
    PosixFile(const PosixFile&) = delete;
    PosixFile& operator=(const PosixFile&) = delete;

    u64 size() override {
        if (nature_ == Nature::block_device) {
            u64 bytes = 0;
            return ioctl(fd_, BLKGETSIZE64, &bytes) == 0 ? bytes : 0;
        }
        struct stat status {};
        return fstat(fd_, &status) == 0 ? static_cast<u64>(status.st_size) : 0;
    }

    Result<void> read_at(u64 offset, std::span<u8> out) override {
        usize done = 0;
        while (done < out.size()) {
            const ssize_t got = pread(fd_, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) return failure("read", errno);
            if (got == 0) return Error{fmt::format("{}: ends before offset {}", path_, offset + out.size())};
            done += static_cast<usize>(got);
        }
        return {};
    }

    Result<void> write_at(u64 offset, std::span<const u8> in) override {
        usize done = 0;
        while (done < in.size()) {
            const ssize_t put = pwrite(fd_, in.data() + done, in.size() - done, static_cast<off_t>(offset + done));
            if (put < 0 && errno == EINTR) continue;
            if (put < 0) return failure("write", errno);
            done += static_cast<usize>(put);
        }
        return {};
    }

    Result<void> flush() override {
        while (fdatasync(fd_) != 0)
            if (errno != EINTR) return failure("flush", errno);
        return {};
    }

    void begin_flush() override { sync_file_range(fd_, 0, 0, SYNC_FILE_RANGE_WRITE); }

    bool punch_hole(u64 offset, u64 length) override {
        // KEEP_SIZE: a hole at the end must not shorten the disk. On block devices the kernel zeroes or unmaps the
        // range.
        return fallocate(fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                         static_cast<off_t>(length)) == 0;
    }

    Result<void> resize(u64 bytes) override {
        if (nature_ == Nature::block_device)
            return bytes <= size() ? Result<void>{} : failure("lengthen a block device", ENOSPC);
        while (ftruncate(fd_, static_cast<off_t>(bytes)) != 0)
            if (errno != EINTR) return failure("resize", errno);
        return {};
    }

    Extent extent_at(u64 offset) override {
        const u64 end = size();
        if (offset >= end) return {};
        const off_t data = lseek(fd_, static_cast<off_t>(offset), SEEK_DATA);
        if (data < 0) return errno == ENXIO ? Extent{end - offset, true} : Extent{end - offset, false};
        if (static_cast<u64>(data) > offset) return {static_cast<u64>(data) - offset, true};
        const off_t hole = lseek(fd_, static_cast<off_t>(offset), SEEK_HOLE);
        return {hole > data ? static_cast<u64>(hole) - offset : end - offset, false};
    }

    u64 allocated() override {
        struct stat status {};
        return fstat(fd_, &status) == 0 ? static_cast<u64>(status.st_blocks) * 512 : 0;
    }

private:
    Error failure(const char* action, int error_number) const {
        return Error{fmt::format("{}: cannot {}: {}", path_, action, error_text(error_number))};
    }

    int fd_;
    std::string path_;
    Nature nature_;
};

}  // namespace

namespace {

// QEMU's protocol for image files, so that its programs and ours see each other: who has permission p holds a shared
// lock on byte 100 + p, and who lets nobody else have it on byte 200 + p.
constexpr off_t held_base = 100, refused_base = 200;
constexpr off_t consistent_read = 0, write_data = 1, resize = 3;
constexpr off_t claims_of_readers[] = {consistent_read}, claims_of_writers[] = {consistent_read, write_data, resize};

bool take_byte(int fd, off_t byte) {
    struct flock lock {};
    lock.l_type = F_RDLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = byte;
    lock.l_len = 1;
    return fcntl(fd, F_OFD_SETLK, &lock) == 0 || (errno != EAGAIN && errno != EACCES);
}

bool taken_by_another(int fd, off_t byte) {
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = byte;
    lock.l_len = 1;
    return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

// Several programs may read a file, one may write it. File systems without locks let everybody pass.
bool claim(int fd, bool writing) {
    constexpr off_t refused[] = {write_data, resize};
    const auto used = writing ? std::span<const off_t>(claims_of_writers) : std::span<const off_t>(claims_of_readers);
    for (const off_t permission : used)
        if (!take_byte(fd, held_base + permission)) return false;
    for (const off_t permission : refused)
        if (!take_byte(fd, refused_base + permission)) return false;
    for (const off_t permission : used)
        if (taken_by_another(fd, refused_base + permission)) return false;
    for (const off_t permission : refused)
        if (taken_by_another(fd, held_base + permission)) return false;
    return true;
}

}  // namespace

namespace {

// Takes the descriptor over.
Result<std::unique_ptr<host::File>> adopt(int fd, const std::string& path, FileAccess access) {
    struct stat status {};
    const bool known = fstat(fd, &status) == 0;
    if (!known || !(S_ISREG(status.st_mode) || S_ISBLK(status.st_mode))) {
        const bool directory = known && S_ISDIR(status.st_mode);
        close(fd);
        return Error{fmt::format("{}: is {}; a regular file or a block device is needed", path,
                                 directory ? "a directory" : "no regular file")};
    }
    const bool writing = access == FileAccess::read_write;
    if (access != FileAccess::read_only_unlocked && !claim(fd, writing)) {
        close(fd);
        return Error{fmt::format(
            "{}: is in use by another program{}", path,
            writing ? "; end that one first, or give a copy of the file" : " that writes it; end that one first")};
    }
    const auto nature = S_ISBLK(status.st_mode) ? Nature::block_device : Nature::regular;
    return std::unique_ptr<host::File>(std::make_unique<PosixFile>(fd, path, nature));
}

}  // namespace

Result<std::unique_ptr<host::File>> open_file(const std::string& path, FileAccess access) {
    const bool writing = access == FileAccess::read_write;
    // O_NONBLOCK: the opening of a FIFO given by mistake must not hang; it means nothing to files and block devices.
    const int fd = open(path.c_str(), (writing ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        const bool permission = errno == EACCES || errno == EPERM || errno == EROFS;
        return Error{
            fmt::format("{}: cannot open: {}{}", path, error_text(errno),
                        writing && permission ? "; readonly=on or snapshot=on needs no permission to write" : "")};
    }
    return adopt(fd, path, access);
}

Result<std::unique_ptr<host::File>> create_file(const std::string& path) {
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666);
    if (fd < 0) return Error{fmt::format("{}: cannot be made: {}", path, error_text(errno))};
    TRY_SET(auto file, adopt(fd, path, FileAccess::read_write));
    struct stat status {};
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) TRY(file->resize(0));
    return file;
}

}  // namespace viv::native
