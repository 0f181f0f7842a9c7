// Raw images: the file's bytes are the disk's. Requests are carried out at once, so completions come before submit()
// returns.
// Promises: a request outside the disk, of odd size or with segments that do not add up is an io_error and touches
// nothing.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "engine/block/block.h"

namespace viv::block {

namespace {

constexpr u64 sector_size = 512;

Status status_of(const Result<void>& result) { return result.ok() ? Status::ok : Status::io_error; }

class RawDisk final : public Disk {
public:
    RawDisk(std::unique_ptr<host::File> file, std::string name, u64 size, Access access)
        : file_(std::move(file)), name_(std::move(name)), size_(size), access_(access) {}

    u64 size() const override { return size_; }
    bool read_only() const override { return access_ == Access::read_only; }
    std::string_view file_name() const override { return name_; }
    std::string_view format() const override { return "raw"; }
    void submit(Request request) override {
        const Status status = carry_out(request);
        if (request.done) request.done(status);
    }

private:
    Status carry_out(const Request& request) {
        if (request.operation == Operation::flush) return status_of(file_->flush());
        if (!range_fits(request.offset, request.length, size_) || request.offset % sector_size != 0 ||
            request.length % sector_size != 0)
            return Status::io_error;
        if (request.operation != Operation::read && read_only()) return Status::io_error;
        switch (request.operation) {
            case Operation::read:
            case Operation::write: return transfer(request);
            case Operation::discard:
                // What is discarded may keep its content, so a host that cannot give the space back does no harm.
                file_->punch_hole(request.offset, request.length);
                return Status::ok;
            case Operation::write_zeroes: return write_zeroes(request.offset, request.length);
            case Operation::flush: break;
        }
        return Status::unsupported;
    }

    Status transfer(const Request& request) {
        u64 total = 0;
        for (const auto& segment : request.segments) total += segment.size();
        if (total != request.length) return Status::io_error;
        u64 at = request.offset;
        for (const auto& segment : request.segments) {
            if (segment.empty()) continue;
            const auto result =
                request.operation == Operation::read ? file_->read_at(at, segment) : file_->write_at(at, segment);
            if (!result.ok()) return Status::io_error;
            at += segment.size();
        }
        return Status::ok;
    }

    Status write_zeroes(u64 offset, u64 length) {
        if (length == 0 || file_->punch_hole(offset, length)) return Status::ok;
        static constexpr std::array<u8, 64 << 10> zeroes{};
        while (length != 0) {
            const u64 part = std::min<u64>(length, zeroes.size());
            if (!file_->write_at(offset, std::span(zeroes).first(part)).ok()) return Status::io_error;
            offset += part;
            length -= part;
        }
        return Status::ok;
    }

    std::unique_ptr<host::File> file_;
    std::string name_;
    u64 size_;  // at opening: a file that shrinks behind our back gives io_errors
    Access access_;
};

}  // namespace

Result<std::unique_ptr<Disk>> open_raw(std::unique_ptr<host::File> file, std::string name, Access access) {
    const u64 size = file->size();
    if (size == 0) return Error{fmt::format("disk image '{}' is empty", name)};
    if (size % sector_size != 0)
        return Error{
            fmt::format("disk image '{}' has {} bytes; a raw image has a multiple of {}", name, size, sector_size)};
    return Result<std::unique_ptr<Disk>>(std::make_unique<RawDisk>(std::move(file), std::move(name), size, access));
}

}  // namespace viv::block
