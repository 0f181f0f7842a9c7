// Raw images. See raw.h, and block.h for open_raw().
// Promises: a request outside the disk, of odd size or with segments that do not add up is an io_error and touches
// nothing.
#include "engine/block/raw.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "engine/block/catalog.h"

namespace viv::block {

namespace {

constexpr u64 sector_size = 512;

class RawImage final : public Image {
public:
    RawImage(std::unique_ptr<host::File> file, std::string name, Access access, NamedBy by)
        : Image(std::move(file), std::move(name), access), file_size_(file_->size()), by_(by) {}

    std::string_view format() const override { return "raw"; }
    u64 size() const override { return align_up(file_size_, sector_size); }

    Result<void> read(u64 offset, std::span<u8> out) override {
        TRY(check_range(offset, out.size()));
        // A file that shrinks behind our back gives errors, not zeroes.
        return offset + out.size() <= file_size_ ? file_->read_at(offset, out) : read_padded(*file_, offset, out);
    }

    Result<void> write(u64 offset, std::span<const u8> in) override {
        TRY(check_writable(offset, in.size()));
        TRY(keep_raw(offset, in));
        return file_->write_at(offset, in);
    }

    Result<void> write_zeroes(u64 offset, u64 length) override {
        TRY(check_writable(offset, length));
        return zero_range(*file_, offset, length);
    }

    Result<void> discard(u64 offset, u64 length) override {
        TRY(check_writable(offset, length));
        // What is discarded may keep its content, so a host that cannot give the space back does no harm.
        if (length != 0) file_->punch_hole(offset, length);
        return {};
    }

    Result<void> flush() override { return file_->flush(); }

    Result<Extent> extent(u64 offset, u64 length) override {
        TRY(check_range(offset, length));
        if (offset >= file_size_) return Extent{Extent::Kind::zero, length, std::nullopt, false};
        const auto found = file_->extent_at(offset);
        Extent extent;
        extent.kind = found.hole ? Extent::Kind::zero : Extent::Kind::data;
        const u64 there = align_up(std::max<u64>(found.length, 1), sector_size);
        extent.length = std::min({length, there, align_up(file_size_, sector_size) - offset});
        extent.file_offset = offset;
        return extent;
    }

    Result<void> resize(u64 new_size) override {
        TRY(check_writable(0, 0));
        TRY(file_->resize(new_size));
        file_size_ = new_size;
        return {};
    }

private:
    // Otherwise a guest could write a header that names any file of the host as the image below, and read that file
    // when the image is opened the next time.
    Result<void> keep_raw(u64 offset, std::span<const u8> in) {
        if (by_ == NamedBy::user || offset >= sector_size || in.empty()) return {};
        std::array<u8, sector_size> head{};
        TRY(read_padded(*file_, 0, head));
        std::copy_n(in.begin(), std::min<u64>(in.size(), sector_size - offset),
                    head.begin() + static_cast<std::ptrdiff_t>(offset));
        const auto* format = probe_format(head);
        if (format == nullptr) return {};
        return fault(
            fmt::format("was taken for a raw image by its content; a first sector of a {} image is not written "
                        "to it (format=raw allows that)",
                        format->name));
    }

    u64 file_size_;  // at opening, or as resize() left it
    NamedBy by_;
};

}  // namespace

std::unique_ptr<Image> open_raw_image(std::unique_ptr<host::File> file, std::string name, Access access, NamedBy by) {
    return std::make_unique<RawImage>(std::move(file), std::move(name), access, by);
}

Result<void> check_raw_size(u64 size, std::string_view name) {
    if (size == 0) return Error{fmt::format("disk image '{}' is empty", name)};
    if (size % sector_size != 0)
        return Error{
            fmt::format("disk image '{}' has {} bytes; a raw image has a multiple of {}", name, size, sector_size)};
    return {};
}

Result<std::unique_ptr<Disk>> open_raw(std::unique_ptr<host::File> file, std::string name, Access access) {
    TRY(check_raw_size(file->size(), name));
    return make_disk(open_raw_image(std::move(file), std::move(name), access, NamedBy::user));
}

}  // namespace viv::block
