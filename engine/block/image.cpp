// What images of all formats share, and the Disk made of one. See image.h.
#include "engine/block/image.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace viv::block {

namespace {

constexpr u64 sector_size = 512;
constexpr usize bounce_size = usize{1} << 20;
constexpr const char* no_snapshots = "keeps no snapshots; qcow2 does";

Status status_of(const Result<void>& result) { return result.ok() ? Status::ok : Status::io_error; }

class ImageDisk final : public Disk {
public:
    explicit ImageDisk(std::unique_ptr<Image> image) : image_(std::move(image)) {}

    u64 size() const override { return image_->size(); }
    bool read_only() const override { return image_->read_only(); }
    std::string_view file_name() const override { return image_->name(); }
    std::string_view format() const override { return image_->format(); }
    bool encrypted() override { return image_->details().encrypted; }
    void submit(Request request) override {
        const Status status = carry_out(request);
        if (request.done) request.done(status);
    }

    Result<std::vector<DiskSnapshot>> snapshots() override {
        if (!image_->keeps_snapshots())
            return Error{fmt::format("{}: is a {} image, which {}", image_->name(), image_->format(), no_snapshots)};
        std::vector<DiskSnapshot> all;
        for (const SnapshotInfo& snapshot : image_->details().snapshots)
            all.push_back({snapshot.name, snapshot.disk_size.value_or(size())});
        return all;
    }
    Result<void> create_snapshot(const std::string& name, const SnapshotTime& time) override {
        constexpr u64 second = 1'000'000'000;
        return image_->create_snapshot(name, {static_cast<u32>(time.realtime_ns / second),
                                              static_cast<u32>(time.realtime_ns % second), time.guest_ns});
    }
    Result<void> apply_snapshot(const std::string& name) override {
        TRY_SET(const SnapshotInfo snapshot, find_snapshot(name));
        if (snapshot.disk_size.value_or(size()) != size())
            return Error{fmt::format("{}: had another size in its snapshot {}", image_->name(), name)};
        return image_->apply_snapshot(snapshot.id);
    }
    Result<void> delete_snapshot(const std::string& name) override {
        TRY_SET(const SnapshotInfo snapshot, find_snapshot(name));
        return image_->delete_snapshot(snapshot.id);
    }
    Result<void> put_over(std::unique_ptr<Image> overlay) override {
        if (overlay->read_only() || overlay->size() != size())
            return Error{fmt::format("{}: must be writable and of {} bytes to be put over {}", overlay->name(), size(),
                                     image_->name())};
        TRY(image_->flush());
        overlay->put_below(std::move(image_));
        image_ = std::move(overlay);
        return {};
    }

private:
    // By its name only: the image itself would take another one's number for it first.
    Result<SnapshotInfo> find_snapshot(const std::string& name) {
        for (SnapshotInfo& snapshot : image_->details().snapshots)
            if (snapshot.name == name) return std::move(snapshot);
        return Error{fmt::format("{}: has no snapshot {}", image_->name(), name)};
    }

    Status carry_out(const Request& request) {
        if (request.operation == Operation::flush) return status_of(image_->flush());
        if (!range_fits(request.offset, request.length, size()) || request.offset % sector_size != 0 ||
            request.length % sector_size != 0)
            return Status::io_error;
        if (request.operation != Operation::read && read_only()) return Status::io_error;
        switch (request.operation) {
            case Operation::read:
            case Operation::write: return transfer(request);
            case Operation::discard: return status_of(image_->discard(request.offset, request.length));
            case Operation::write_zeroes: return status_of(image_->write_zeroes(request.offset, request.length));
            case Operation::flush: break;
        }
        return Status::unsupported;
    }

    Status transfer(const Request& request) {
        u64 total = 0;
        for (const auto& segment : request.segments) total += segment.size();
        if (total != request.length) return Status::io_error;
        u64 at = request.offset;
        // Pages of a guest are seldom neighbours: one call for many of them is worth the copy, and a write of a whole
        // cluster stays one.
        for (usize first = 0; first < request.segments.size();) {
            usize length = request.segments[first].size(), end = first + 1;
            while (end < request.segments.size() && length + request.segments[end].size() <= bounce_size)
                length += request.segments[end++].size();
            const auto some = std::span(request.segments).subspan(first, end - first);
            if (some.size() == 1) {
                if (length != 0 && !move(request.operation, at, some[0])) return Status::io_error;
            } else if (length != 0 && !gather(request.operation, at, some, length)) {
                return Status::io_error;
            }
            at += length;
            first = end;
        }
        return Status::ok;
    }

    bool move(Operation operation, u64 at, std::span<u8> bytes) {
        return (operation == Operation::read ? image_->read(at, bytes) : image_->write(at, bytes)).ok();
    }

    bool gather(Operation operation, u64 at, std::span<const std::span<u8>> segments, usize length) {
        if (bounce_.size() < length) bounce_.resize(length);
        const auto bytes = std::span(bounce_).first(length);
        const bool reading = operation == Operation::read;
        if (reading && !move(operation, at, bytes)) return false;
        u8* here = bytes.data();
        for (const auto& segment : segments) {
            if (segment.empty()) continue;
            if (reading)
                std::memcpy(segment.data(), here, segment.size());
            else
                std::memcpy(here, segment.data(), segment.size());
            here += segment.size();
        }
        return reading || move(operation, at, bytes);
    }

    std::unique_ptr<Image> image_;
    std::vector<u8> bounce_;
};

}  // namespace

namespace {

Error keeps_none(const Disk& disk) {
    return Error{fmt::format("{}: keeps no snapshots as it is used here; a qcow2 image of its own does",
                             disk.file_name().empty() ? "a disk without a file" : disk.file_name())};
}

}  // namespace

Result<std::vector<DiskSnapshot>> Disk::snapshots() { return keeps_none(*this); }
Result<void> Disk::create_snapshot(const std::string&, const SnapshotTime&) { return keeps_none(*this); }
Result<void> Disk::apply_snapshot(const std::string&) { return keeps_none(*this); }
Result<void> Disk::delete_snapshot(const std::string&) { return keeps_none(*this); }
Result<void> Disk::put_over(std::unique_ptr<Image>) { return keeps_none(*this); }

std::unique_ptr<Disk> make_disk(std::unique_ptr<Image> image) { return std::make_unique<ImageDisk>(std::move(image)); }

Result<void> read_padded(host::File& file, u64 offset, std::span<u8> out) {
    const u64 size = file.size();
    const u64 there = offset >= size ? 0 : std::min<u64>(out.size(), size - offset);
    if (there < out.size()) std::memset(out.data() + there, 0, out.size() - there);
    return there == 0 ? Result<void>{} : file.read_at(offset, out.first(there));
}

Result<void> zero_range(host::File& file, u64 offset, u64 length) {
    if (length == 0 || file.punch_hole(offset, length)) return {};
    static constexpr std::array<u8, 64 << 10> zeroes{};
    while (length != 0) {
        const u64 part = std::min<u64>(length, zeroes.size());
        TRY(file.write_at(offset, std::span(zeroes).first(part)));
        offset += part;
        length -= part;
    }
    return {};
}

bool all_zero(std::span<const u8> bytes) {
    // Most data shows in its first bytes that it is none; the rest is compared with itself, which compilers do well.
    const usize first = std::min<usize>(bytes.size(), 16);
    for (usize i = 0; i < first; i++)
        if (bytes[i] != 0) return false;
    return bytes.size() == first || std::memcmp(bytes.data(), bytes.data() + first, bytes.size() - first) == 0;
}

Result<void> Image::check_range(u64 offset, u64 length) const {
    if (range_fits(offset, length, size())) return {};
    return fault(fmt::format("{} bytes at {} are outside the disk of {} bytes", length, offset, size()));
}

Result<void> Image::check_writable(u64 offset, u64 length) const {
    if (read_only()) return fault("is opened for reading only");
    return check_range(offset, length);
}

Result<Found> look_through(Image& image, u64 offset, u64 length) {
    Found found;
    found.layer = &image;
    TRY_SET(found.extent, image.extent(offset, length));
    while (found.extent.kind == Extent::Kind::absent && found.layer->backing() != nullptr) {
        auto& below = *found.layer->backing();
        if (offset >= below.size()) {
            // Behind the end of the image below there are zeroes.
            found.extent.kind = Extent::Kind::absent;
            return found;
        }
        const u64 most = std::min(found.extent.length, below.size() - offset);
        TRY_SET(found.extent, below.extent(offset, most));
        found.layer = &below;
        found.depth++;
    }
    return found;
}

Error Image::fault(std::string_view what) const { return Error{fmt::format("{}: {}", name_, what)}; }

Error Image::no_support(std::string_view what) const {
    return fault(fmt::format("is a {} image, which {}", format(), what));
}

Result<void> Image::read_backing(u64 offset, std::span<u8> out) {
    const u64 below = backing_ ? backing_->size() : 0;
    const u64 there = offset >= below ? 0 : std::min<u64>(out.size(), below - offset);
    if (there < out.size()) std::memset(out.data() + there, 0, out.size() - there);
    return there == 0 ? Result<void>{} : backing_->read(offset, out.first(there));
}

Result<void> Image::write_compressed(u64, std::span<const u8>) { return no_support("cannot hold compressed data"); }
Result<void> Image::resize(u64) { return no_support("cannot be resized"); }
Result<CheckReport> Image::check(Repair) { return no_support("has nothing to check"); }
Result<void> Image::set_backing(const std::string&, const std::string&) {
    return no_support("cannot have a backing file");
}
Result<void> Image::forget(u64, u64) { return no_support("has nothing below it"); }
Result<void> Image::cover(u64, u64) { return no_support("has nothing below it"); }
Result<void> Image::create_snapshot(const std::string&, const SnapshotTime&) { return no_support(no_snapshots); }
Result<void> Image::apply_snapshot(std::string_view) { return no_support(no_snapshots); }
Result<void> Image::delete_snapshot(std::string_view) { return no_support(no_snapshots); }
Result<void> Image::show_snapshot(std::string_view) { return no_support(no_snapshots); }

}  // namespace viv::block
