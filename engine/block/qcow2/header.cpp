// Reading and writing the header. See layout.h.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "engine/block/image.h"
#include "engine/block/qcow2/layout.h"
#include "engine/lang/bytes.h"

namespace viv::block::qcow2 {

namespace {

constexpr usize feature_name_bytes = 48;

std::string feature_name(const std::vector<Extension>& extensions, unsigned number) {
    for (const auto& extension : extensions) {
        if (extension.type != extension::feature_names) continue;
        for (usize at = 0; at + feature_name_bytes <= extension.data.size(); at += feature_name_bytes) {
            const u8* row = extension.data.data() + at;
            if (row[0] != 0 || row[1] != number) continue;
            const std::string_view text(reinterpret_cast<const char*>(row + 2), feature_name_bytes - 2);
            std::string name;
            for (const char letter : text.substr(0, text.find('\0')))
                name += letter >= ' ' && letter <= '~' ? letter : '?';
            return name;
        }
    }
    return {};
}

std::string unknown_features(const Header& header) {
    std::vector<std::string> names;
    for (unsigned number = 0; number < 64; number++) {
        if (!bit(header.incompatible & ~incompatible::known, number)) continue;
        const auto name = feature_name(header.extensions, number);
        names.push_back(name.empty() ? fmt::format("incompatible feature {}", number) : name);
    }
    return fmt::format("{}", fmt::join(names, ", "));
}

class Reader {
public:
    Reader(host::File& file, const std::string& name) : file_(file), name_(name) {}

    Result<Header> read(ReadFor purpose) {
        TRY(read_padded(file_, 0, fixed_));
        if (u32_at(0) != magic) return fault("is no qcow2 image");
        header_.version = u32_at(4);
        if (header_.version != 2 && header_.version != 3)
            return fault(fmt::format("is a qcow2 image of version {}; there are 2 and 3", header_.version));
        header_.cluster_bits = u32_at(20);
        if (header_.cluster_bits < smallest_cluster_bits || header_.cluster_bits > largest_cluster_bits)
            return fault(fmt::format("has clusters of 2^{} bytes; there are 2^{} to 2^{}", header_.cluster_bits,
                                     smallest_cluster_bits, largest_cluster_bits));
        TRY(read_features());
        TRY(read_extensions());
        TRY(check_features());
        TRY(read_tables(purpose));
        return std::move(header_);
    }

private:
    u32 u32_at(usize at) const { return load_be<u32>(&fixed_[at]); }
    u64 u64_at(usize at) const { return load_be<u64>(&fixed_[at]); }
    Error fault(std::string_view what) const { return Error{fmt::format("{}: {}", name_, what)}; }

    Result<void> read_features() {
        length_ = header_v2_bytes;
        if (header_.version == 2) return {};
        header_.incompatible = u64_at(72);
        header_.compatible = u64_at(80);
        header_.autoclear = u64_at(88);
        header_.refcount_order = u32_at(96);
        length_ = u32_at(100);
        if (length_ < 104 || length_ % 8 != 0 || length_ > header_.cluster_size())
            return fault(fmt::format("has a header of {} bytes, which cannot be", length_));
        if (length_ > 104) header_.compression_type = fixed_[104];
        if (header_.refcount_order > 6)
            return fault(
                fmt::format("has reference counts of 2^{} bits; 64 bits are the most", header_.refcount_order));
        return {};
    }

    // Up to the end mark, the backing file's name or the end of the cluster.
    Result<void> read_extensions() {
        const u64 name_at = u64_at(8), cluster = header_.cluster_size();
        const u32 name_bytes = u32_at(16);
        u64 end = cluster;
        if (name_at != 0) {
            if (name_bytes > most_backing_name || !range_fits(name_at, name_bytes, cluster) || name_at < length_)
                return fault("names its backing file outside the header");
            end = name_at;
            header_.backing_file.resize(name_bytes);
            TRY(read_padded(file_, name_at, {reinterpret_cast<u8*>(header_.backing_file.data()), name_bytes}));
            if (header_.backing_file.find('\0') != std::string::npos)
                return fault("names a backing file with a zero byte in its name");
        }
        for (u64 at = length_; at + 8 <= end;) {
            std::array<u8, 8> head{};
            TRY(read_padded(file_, at, head));
            const u32 type = load_be<u32>(&head[0]), bytes = load_be<u32>(&head[4]);
            at += 8;
            if (type == extension::end) break;
            if (bytes > end - at) return fault("has a header extension that is longer than the header");
            Extension extension{type, std::vector<u8>(bytes)};
            TRY(read_padded(file_, at, extension.data));
            at += align_up(bytes, 8);
            if (type == extension::backing_format)
                header_.backing_format.assign(extension.data.begin(), extension.data.end());
            else
                keep(std::move(extension));
        }
        return {};
    }

    void keep(Extension extension) {
        if (extension.type == extension::data_file)
            header_.data_file.assign(extension.data.begin(), extension.data.end());
        header_.extensions.push_back(std::move(extension));
    }

    // The header of the encryption, in clusters of its own.
    Result<void> read_encryption() {
        const u32 encryption = u32_at(32);
        if (encryption == 0) return {};
        if (encryption == 1) return fault("is encrypted by AES in the old way, which is not supported");
        if (encryption != encryption_luks) return fault("is encrypted in a way that is not known");
        if (header_.external()) return fault("is encrypted, and has its data in another file, which is not supported");
        const auto found = std::ranges::find(header_.extensions, extension::encryption, &Extension::type);
        if (found == header_.extensions.end() || found->data.size() != 16)
            return fault("is encrypted (LUKS), and does not say where the header of that is");
        header_.luks_offset = load_be<u64>(&found->data[0]);
        header_.luks_bytes = load_be<u64>(&found->data[8]);
        const u64 cluster = header_.cluster_size();
        if (header_.luks_offset == 0 || header_.luks_offset % cluster != 0 || header_.luks_bytes == 0 ||
            header_.luks_bytes > most_luks_bytes ||
            !range_fits(header_.luks_offset, header_.luks_bytes, align_up(file_.size(), cluster)))
            return fault("has the header of its encryption where it cannot be");
        return {};
    }

    Result<void> check_features() {
        if ((header_.incompatible & ~incompatible::known) != 0)
            return fault(fmt::format("needs what this version does not know: {}", unknown_features(header_)));
        TRY(read_encryption());
        if (header_.external() && u32_at(field::snapshot_count) != 0)
            return fault("has snapshots, and its data in another file, which cannot have any");
        if (header_.raw_external() && !header_.backing_file.empty())
            return fault("has an image below it, and a raw disk in another file, which cannot have one");
        if (header_.compression_type > 1 ||
            header_.has(incompatible::compression_type) != (header_.compression_type != 0))
            return fault(
                fmt::format("has compression type {}; there are zlib (0) and zstd (1)", header_.compression_type));
        if (header_.has(incompatible::extended_l2) && header_.cluster_bits < 14)
            return fault("has subclusters in clusters that are too small for them");
        return {};
    }

    Result<void> read_tables(ReadFor purpose) {
        header_.size = u64_at(field::size);
        header_.l1_entries = u32_at(field::l1_size);
        header_.l1_offset = u64_at(40);
        header_.reftable_offset = u64_at(field::reftable_offset);
        header_.reftable_clusters = u32_at(56);
        header_.snapshot_count = u32_at(field::snapshot_count);
        header_.snapshots_offset = u64_at(64);
        if (header_.size > largest_offset) return fault(fmt::format("has a disk of {} bytes, too many", header_.size));
        header_.size = align_up(header_.size, 512);
        const Geometry geometry(header_);
        const u64 cluster = header_.cluster_size(), file_end = align_up(file_.size(), cluster);
        const u64 l1_bytes = u64{header_.l1_entries} * 8;
        if (l1_bytes > most_l1_bytes) return fault(fmt::format("has an L1 table of {} bytes, too many", l1_bytes));
        if (header_.l1_entries < geometry.l1_entries_for(header_.size))
            return fault(fmt::format("has an L1 table of {} entries, too few for its disk", header_.l1_entries));
        if (l1_bytes != 0 && (header_.l1_offset % cluster != 0 || header_.l1_offset == 0 ||
                              !range_fits(header_.l1_offset, l1_bytes, file_end)))
            return fault("has an L1 table outside the file");
        if (header_.snapshot_count > most_snapshots)
            return fault(fmt::format("has {} snapshots; {} are the most", header_.snapshot_count, most_snapshots));
        if (header_.snapshot_count != 0 && (header_.snapshots_offset % cluster != 0 || header_.snapshots_offset == 0 ||
                                            header_.snapshots_offset >= file_end))
            return fault("has a snapshot table outside the file");
        const u64 reftable_bytes = u64{header_.reftable_clusters} << header_.cluster_bits;
        const bool good = reftable_bytes != 0 && reftable_bytes <= most_reftable_bytes &&
                          header_.reftable_offset % cluster == 0 && header_.reftable_offset != 0 &&
                          range_fits(header_.reftable_offset, reftable_bytes, file_end);
        if (!good && purpose == ReadFor::use) return fault("has a table of reference counts that cannot be");
        if (!good) header_.reftable_clusters = 0;
        return {};
    }

    host::File& file_;
    const std::string& name_;
    std::array<u8, header_v3_bytes> fixed_{};
    u32 length_ = 0;
    Header header_;
};

void append_extension(std::vector<u8>& bytes, u32 type, std::span<const u8> data) {
    std::array<u8, 8> head{};
    store_be<u32>(&head[0], type);
    store_be<u32>(&head[4], static_cast<u32>(data.size()));
    bytes.insert(bytes.end(), head.begin(), head.end());
    bytes.insert(bytes.end(), data.begin(), data.end());
    bytes.resize(align_up(bytes.size(), 8));
}

}  // namespace

Geometry::Geometry(const Header& header)
    : cluster_bits(header.cluster_bits),
      cluster_size(header.cluster_size()),
      l2_entry_bytes(header.has(incompatible::extended_l2) ? 16 : 8),
      l2_bits(cluster_bits - (l2_entry_bytes == 16 ? 4 : 3)),
      refcount_bits(1u << header.refcount_order),
      block_bits(cluster_bits + 3 - header.refcount_order),
      refcount_max(low_mask(refcount_bits)),
      external(header.external()) {}

CompressedPlace compressed_place(u64 entry, unsigned cluster_bits) {
    const unsigned offset_bits = 62 - (cluster_bits - 8);
    CompressedPlace place;
    place.offset = bits(entry, 0, offset_bits);
    place.bytes = (bits(entry, offset_bits, 62 - offset_bits) + 1) * 512 - place.offset % 512;
    return place;
}

u64 compressed_entry(u64 offset, u64 bytes, unsigned cluster_bits) {
    const unsigned offset_bits = 62 - (cluster_bits - 8);
    const u64 more_sectors = (offset + bytes - 1) / 512 - offset / 512;
    return entry_compressed | more_sectors << offset_bits | offset;
}

u64 largest_compressed_offset(unsigned cluster_bits) { return low_mask(62 - (cluster_bits - 8)); }

Result<Header> read_header(host::File& file, const std::string& name, ReadFor purpose) {
    return Reader(file, name).read(purpose);
}

Extension luks_extension(u64 offset, u64 bytes) {
    Extension extension{extension::encryption, std::vector<u8>(16)};
    store_be<u64>(&extension.data[0], offset);
    store_be<u64>(&extension.data[8], bytes);
    return extension;
}

void patch_fields(std::span<u8> first_bytes, const Header& header) {
    u8* out = first_bytes.data();
    store_be<u64>(out + field::size, header.size);
    store_be<u32>(out + field::l1_size, header.l1_entries);
    store_be<u64>(out + 40, header.l1_offset);
    store_be<u64>(out + field::reftable_offset, header.reftable_offset);
    store_be<u32>(out + 56, header.reftable_clusters);
    store_be<u32>(out + field::snapshot_count, header.snapshot_count);
    store_be<u64>(out + 64, header.snapshots_offset);
    if (header.version == 2) return;
    store_be<u64>(out + field::incompatible, header.incompatible);
    store_be<u64>(out + 80, header.compatible);
    store_be<u64>(out + field::autoclear, header.autoclear);
}

Result<std::vector<u8>> encode_header(const Header& header) {
    std::vector<u8> bytes(header.version == 2 ? header_v2_bytes : header_v3_bytes);
    store_be<u32>(&bytes[0], magic);
    store_be<u32>(&bytes[4], header.version);
    store_be<u32>(&bytes[20], header.cluster_bits);
    patch_fields(bytes, header);
    if (header.encrypted()) store_be<u32>(&bytes[32], encryption_luks);
    if (header.version == 3) {
        store_be<u32>(&bytes[96], header.refcount_order);
        store_be<u32>(&bytes[100], header_v3_bytes);
        bytes[104] = header.compression_type;
    }
    if (!header.backing_format.empty())
        append_extension(bytes, extension::backing_format,
                         {reinterpret_cast<const u8*>(header.backing_format.data()), header.backing_format.size()});
    for (const auto& extension : header.extensions) append_extension(bytes, extension.type, extension.data);
    append_extension(bytes, extension::end, {});
    if (!header.backing_file.empty()) {
        if (header.backing_file.size() > most_backing_name)
            return Error{fmt::format("a backing file's name has at most {} bytes", most_backing_name)};
        store_be<u64>(&bytes[8], bytes.size());
        store_be<u32>(&bytes[16], static_cast<u32>(header.backing_file.size()));
        bytes.insert(bytes.end(), header.backing_file.begin(), header.backing_file.end());
    }
    if (bytes.size() > header.cluster_size())
        return Error{fmt::format("the backing file's name does not fit into the first cluster of {} bytes",
                                 header.cluster_size())};
    return bytes;
}

}  // namespace viv::block::qcow2
