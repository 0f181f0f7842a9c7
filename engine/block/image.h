// A disk image of any format: what the storage devices' Disk (block.h) is made of, and what viv-img works on.
// Promises: every call is done when it returns; offsets and lengths are bytes of the disk, of any alignment, and a
// range outside size() is an error that touches nothing; a failed call may have written a part, as a disk may, but
// never leaves the image's own tables inconsistent; errors name the file.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "engine/block/block.h"

namespace viv::block {

// Bytes of one layer of a chain that are alike.
struct Extent {
    enum class Kind : u8 {
        absent,  // nothing here: the image below shows through, or zeroes if there is none
        zero,
        data,
    } kind = Kind::absent;
    u64 length = 0;
    std::optional<u64> file_offset;  // where the bytes lie in the file as they are
    bool compressed = false;
};

struct SnapshotInfo {
    std::string id, name;
    u64 state_size = 0;  // bytes of a saved machine, 0: only the disk
    u32 date_seconds = 0, date_nanoseconds = 0;
    u64 clock_nanoseconds = 0;
    std::optional<u64> disk_size, instructions;
};

// What `info` shows.
struct ImageDetails {
    using Value = std::variant<bool, u64, std::string>;
    u64 cluster_size = 0;  // 0: the format has none
    std::string backing_file, backing_format;
    bool dirty = false, compressed = false, encrypted = false;
    std::vector<std::pair<std::string, Value>> specific;  // of the format, in order
    std::vector<SnapshotInfo> snapshots;
};

enum class Repair : u8 { nothing, leaks, everything };
struct CheckReport {
    static constexpr usize most_findings = 1000;
    u64 corruptions = 0, leaks = 0;              // still there
    u64 corruptions_fixed = 0, leaks_fixed = 0;  // repaired
    u64 total_clusters = 0, allocated_clusters = 0, fragmented_clusters = 0, compressed_clusters = 0;
    u64 image_end = 0;                  // bytes: behind the last cluster in use
    std::vector<std::string> findings;  // a line each, the first of them only

    void finding(std::string line) {
        if (findings.size() < most_findings) findings.push_back(std::move(line));
    }
};

class Image {
public:
    Image(std::unique_ptr<host::File> file, std::string name, Access access)
        : file_(std::move(file)), name_(std::move(name)), access_(access) {}
    virtual ~Image() = default;
    Image(const Image&) = delete;
    Image& operator=(const Image&) = delete;

    const std::string& name() const { return name_; }
    host::File& file() { return *file_; }
    bool read_only() const { return access_ == Access::read_only; }
    Image* backing() { return backing_.get(); }

    virtual std::string_view format() const = 0;
    virtual u64 size() const = 0;  // bytes, a multiple of 512
    virtual Result<void> read(u64 offset, std::span<u8> out) = 0;
    virtual Result<void> write(u64 offset, std::span<const u8> in) = 0;
    virtual Result<void> write_zeroes(u64 offset, u64 length) = 0;
    // The content is given up: it may stay, or read as zero from then on; never as anything else.
    virtual Result<void> discard(u64 offset, u64 length) = 0;
    // Everything written before is on stable storage when it returns.
    virtual Result<void> flush() = 0;
    // What this layer has at `offset`, below size(); the length is at most `length`.
    virtual Result<Extent> extent(u64 offset, u64 length) = 0;

    virtual ImageDetails details() { return {}; }
    // The same for equal content, and what tells it from any other; empty: nothing is known about that.
    virtual std::string identity() const { return {}; }
    virtual u64 allocated() { return file_->allocated(); }  // bytes that its files take on their host
    // The whole of one cluster (or the last, shorter one), compressed if that makes it smaller.
    virtual Result<void> write_compressed(u64 offset, std::span<const u8> in);
    // What nobody has written to a new image, or behind the old end, reads as zero.
    virtual bool begins_zero() const { return true; }
    virtual Result<void> resize(u64 size);
    virtual Result<CheckReport> check(Repair repair);
    // Whole clusters of the range become absent, so that the image below shows.
    virtual Result<void> forget(u64 offset, u64 length);
    // As write_zeroes(), whatever image is put below later. Whole clusters, but for the last one of the disk.
    virtual Result<void> cover(u64 offset, u64 length);
    // Writes the names of another image below into this one; nothing is copied, and the open chain stays.
    virtual Result<void> set_backing(const std::string& file, const std::string& format);
    // Puts another image below this one, which names it already and has been opened without it.
    void put_below(std::unique_ptr<Image> below) { backing_ = std::move(below); }
    virtual bool keeps_snapshots() const { return false; }
    struct SnapshotTime {
        u32 date_seconds = 0, date_nanoseconds = 0;  // since 1970
        u64 clock_nanoseconds = 0;                   // of the guest since power-on
    };
    virtual Result<void> create_snapshot(const std::string& name, const SnapshotTime& time);
    virtual Result<void> apply_snapshot(std::string_view id_or_name);
    virtual Result<void> delete_snapshot(std::string_view id_or_name);
    // From now on reads show the snapshot. Read-only images only.
    virtual Result<void> show_snapshot(std::string_view id_or_name);

protected:
    Result<void> check_range(u64 offset, u64 length) const;
    Result<void> check_writable(u64 offset, u64 length) const;
    Error fault(std::string_view what) const;  // "image.qcow2: what"
    Error no_support(std::string_view what) const;
    // The image below, and zeroes behind its end.
    Result<void> read_backing(u64 offset, std::span<u8> out);

    std::unique_ptr<host::File> file_;
    std::string name_;
    Access access_;
    std::unique_ptr<Image> backing_;
};

// What is at `offset`, below size(), whatever layer of the chain it is in; `depth` says which.
struct Found {
    Extent extent;
    unsigned depth = 0;
    Image* layer = nullptr;
};
Result<Found> look_through(Image& image, u64 offset, u64 length);

// A device's disk on an image. Requests are carried out at once, so completions come before submit() returns.
std::unique_ptr<Disk> make_disk(std::unique_ptr<Image> image);

// Reads; what lies behind the end of the file is zero.
Result<void> read_padded(host::File& file, u64 offset, std::span<u8> out);
// Zeroes, as a hole where the host can; inside the file.
Result<void> zero_range(host::File& file, u64 offset, u64 length);
bool all_zero(std::span<const u8> bytes);

}  // namespace viv::block
