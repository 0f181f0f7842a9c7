// Where things are in a qcow2 image: limits, the header, and what the entries of its tables mean.
// Promises: a Header that read_header() returns has every field within the limits below and its tables inside the file;
// the arithmetic of Geometry cannot overflow for such a header. Specification: QEMU's docs/interop/qcow2.txt.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/host/file.h"
#include "engine/lang/bits.h"
#include "engine/lang/result.h"

namespace viv::block::qcow2 {

inline constexpr u32 magic = 0x514649fb;
inline constexpr unsigned smallest_cluster_bits = 9, largest_cluster_bits = 21;
inline constexpr u64 most_l1_bytes = 32 << 20, most_reftable_bytes = 8 << 20;
inline constexpr u64 most_snapshots = 65536, most_snapshot_bytes = 64 << 20, most_snapshot_extra = 1024;
inline constexpr u64 most_l1_entries_together = u64{1} << 26;  // of the disk and its snapshots
inline constexpr u64 most_backing_name = 1023;
inline constexpr u64 most_luks_bytes = 64 << 20;
inline constexpr u32 encryption_luks = 2;
inline constexpr u64 largest_offset = u64{1} << 56;  // entries have room for no more

// Entries of the L1 and L2 tables.
inline constexpr u64 entry_copied = u64{1} << 63, entry_compressed = u64{1} << 62, entry_zero = 1;
inline constexpr u64 entry_offset = 0x00ff'ffff'ffff'fe00;
inline constexpr u64 reftable_offset_mask = ~u64{511};

namespace incompatible {
inline constexpr u64 dirty = 1, corrupt = 2, external_data = 4, compression_type = 8, extended_l2 = 16;
inline constexpr u64 known = dirty | corrupt | external_data | compression_type | extended_l2;
}  // namespace incompatible
namespace compatible {
inline constexpr u64 lazy_refcounts = 1;
}
namespace autoclear {
inline constexpr u64 bitmaps = 1, raw_external_data = 2;
}

// Offsets of header fields that are written on their own; those of one switch() lie in one sector.
namespace field {
inline constexpr u64 size = 24, l1_size = 36, reftable_offset = 48, snapshot_count = 60, incompatible = 72,
                     autoclear = 88;
}
inline constexpr usize header_v2_bytes = 72, header_v3_bytes = 112;

struct Extension {
    u32 type = 0;
    std::vector<u8> data;
};
namespace extension {
inline constexpr u32 end = 0, backing_format = 0xe2792aca, feature_names = 0x6803f857, bitmaps = 0x23852875,
                     encryption = 0x0537be77, data_file = 0x44415441;
}

struct Header {
    unsigned version = 3, cluster_bits = 16, refcount_order = 4;
    u64 size = 0;  // bytes of the disk, a multiple of 512
    u32 l1_entries = 0;
    u64 l1_offset = 0;
    u64 reftable_offset = 0;
    u32 reftable_clusters = 0;
    u32 snapshot_count = 0;
    u64 snapshots_offset = 0;
    u64 incompatible = 0, compatible = 0, autoclear = 0;
    u8 compression_type = 0;  // 0 zlib, 1 zstd
    std::string backing_file, backing_format;
    std::string data_file;                // a part of the image, if its data is external
    u64 luks_offset = 0, luks_bytes = 0;  // the header of the encryption, whole clusters; 0: it is not encrypted
    std::vector<Extension> extensions;    // all but that of the backing format

    bool has(u64 incompatible_feature) const { return (incompatible & incompatible_feature) != 0; }
    u64 cluster_size() const { return u64{1} << cluster_bits; }
    // The data is in another file, each cluster where it is on the disk, and nothing counts it.
    bool external() const { return has(incompatible::external_data); }
    // And that file alone is the disk, for those who read it as a raw one.
    bool raw_external() const { return external() && (autoclear & autoclear::raw_external_data) != 0; }
    bool encrypted() const { return luks_bytes != 0; }
    // What remains when the image is changed: only what is true afterwards, too.
    u64 autoclear_kept() const { return raw_external() ? autoclear::raw_external_data : 0; }
};

// Sizes that follow from a header.
struct Geometry {
    explicit Geometry(const Header& header);

    unsigned cluster_bits;
    u64 cluster_size;
    unsigned l2_entry_bytes;  // 8, or 16 with subclusters
    unsigned l2_bits;         // log2 of an L2 table's entries
    unsigned refcount_bits;   // 1 to 64
    unsigned block_bits;      // log2 of a refcount block's entries
    u64 refcount_max;
    bool external;  // as in the header

    // An L2 entry that is not compressed has a place. With external data 0 is one, too.
    bool has_place(u64 l2_entry) const {
        return (l2_entry & entry_offset) != 0 || (external && (l2_entry & entry_copied) != 0);
    }
    u64 l2_entries() const { return u64{1} << l2_bits; }
    u64 l2_reach() const { return u64{1} << (l2_bits + cluster_bits); }  // bytes of the disk under an L2 table
    u64 block_entries() const { return u64{1} << block_bits; }
    u64 clusters_of(u64 bytes) const { return (bytes >> cluster_bits) + ((bytes & (cluster_size - 1)) != 0); }
    u64 l1_entries_for(u64 disk_bytes) const { return disk_bytes / l2_reach() + (disk_bytes % l2_reach() != 0); }
};

// Where a compressed cluster lies: whole sectors, of which the first starts at `offset` rounded down.
struct CompressedPlace {
    u64 offset = 0, bytes = 0;  // bytes: at most; the data ends before
};
CompressedPlace compressed_place(u64 entry, unsigned cluster_bits);
u64 compressed_entry(u64 offset, u64 bytes, unsigned cluster_bits);
u64 largest_compressed_offset(unsigned cluster_bits);

enum class ReadFor : u8 { use, repair };
Result<Header> read_header(host::File& file, const std::string& name, ReadFor purpose);
// That of the encryption's header, which encode_header() does not make by itself.
Extension luks_extension(u64 offset, u64 bytes);
// The first bytes of the image: header, extensions and the backing file's name. An error if they do not fit a cluster.
Result<std::vector<u8>> encode_header(const Header& header);
// Sets size, tables and feature bits in the first `header_v2_bytes` or more of an image, and leaves the rest.
void patch_fields(std::span<u8> first_bytes, const Header& header);

}  // namespace viv::block::qcow2
