// Making new qcow2 images. See qcow2.h.
#include <fmt/format.h>

#include <array>

#include "engine/block/luks/header.h"
#include "engine/block/qcow2/layout.h"
#include "engine/block/qcow2/qcow2.h"
#include "engine/block/qcow2/refcounts.h"
#include "engine/lang/bytes.h"

namespace viv::block::qcow2 {

namespace {

// So that programs of others can name a bit that they do not know.
Extension feature_names() {
    struct Row {
        u8 kind, number;
        std::string_view name;
    };
    constexpr Row rows[] = {{0, 0, "dirty bit"},        {0, 1, "corrupt bit"},         {0, 2, "external data file"},
                            {0, 3, "compression type"}, {0, 4, "extended L2 entries"}, {1, 0, "lazy refcounts"},
                            {2, 0, "bitmaps"},          {2, 1, "raw external data"}};
    Extension extension{extension::feature_names, {}};
    for (const auto& row : rows) {
        std::array<u8, 48> bytes{};
        bytes[0] = row.kind;
        bytes[1] = row.number;
        std::copy(row.name.begin(), row.name.end(), bytes.begin() + 2);
        extension.data.insert(extension.data.end(), bytes.begin(), bytes.end());
    }
    return extension;
}

// The file beside the image that has its data.
Result<std::unique_ptr<host::File>> create_data(const CreateOptions& options, Header& header) {
    const auto& name = options.data_file;
    std::unique_ptr<host::File> file;
    if (name.empty()) {
        if (options.data_file_raw) return Error{"data_file_raw=on: a data_file is needed"};
        return file;
    }
    const auto wrong = [&](std::string_view why) { return Error{fmt::format("data_file={}: {}", name, why)}; };
    if (header.version == 2) return wrong("compat=0.10 has none");
    if (name.find('/') != std::string::npos || name == "." || name == ".." || name == options.file_name)
        return wrong("another file in the image's own folder is needed, by its name alone");
    if (options.data_file_raw && !options.backing_file.empty())
        return wrong("with data_file_raw=on there can be no image below");
    header.incompatible |= incompatible::external_data;
    if (options.data_file_raw) header.autoclear |= autoclear::raw_external_data;
    header.extensions.push_back({extension::data_file, {name.begin(), name.end()}});
    TRY_SET(file, options.make_part(name));
    TRY(file->resize(0));
    if (options.data_file_raw) TRY(file->resize(header.size));
    return file;
}

}  // namespace

// Header, table of counts, blocks of counts, L1 table, the header of the encryption; the first one last, so that a file
// is an image or none.
Result<void> create(host::File& file, const CreateOptions& options) {
    Header header;
    header.version = options.version == 0 ? 3 : options.version;
    const u64 cluster = options.cluster_size == 0 ? 64 << 10 : options.cluster_size;
    if (!is_power_of_two(cluster) || cluster < 1 << smallest_cluster_bits || cluster > 1 << largest_cluster_bits)
        return Error{fmt::format("cluster_size={}: a power of two from 512 to 2M is needed", cluster)};
    header.cluster_bits = static_cast<unsigned>(std::countr_zero(cluster));
    if (!is_power_of_two(options.refcount_bits) || options.refcount_bits > 64)
        return Error{fmt::format("refcount_bits={}: a power of two from 1 to 64 is needed", options.refcount_bits)};
    header.refcount_order = static_cast<unsigned>(std::countr_zero(options.refcount_bits));
    if (header.version == 2 &&
        (options.refcount_bits != 16 || options.lazy_refcounts || options.compression != Compression::zlib))
        return Error{"compat=0.10 has no lazy_refcounts, no refcount_bits but 16 and no compression but zlib"};
    if (options.lazy_refcounts) header.compatible |= compatible::lazy_refcounts;
    if (options.compression == Compression::zstd) {
        header.compression_type = 1;
        header.incompatible |= incompatible::compression_type;
    }
    header.size = align_up(options.size, 512);
    if (options.size > largest_offset)
        return Error{fmt::format("a disk of {} bytes is too large for a qcow2 image", options.size)};
    TRY_SET(const auto data, create_data(options, header));
    header.backing_file = options.backing_file;
    header.backing_format = options.backing_format;
    if (header.version == 3 && cluster > 1024) header.extensions.push_back(feature_names());

    const Geometry geometry(header);
    const u64 l1_entries = geometry.l1_entries_for(header.size);
    if (l1_entries * 8 > most_l1_bytes)
        return Error{fmt::format("a disk of {} bytes is too large for clusters of {}; use a larger cluster_size",
                                 options.size, cluster)};
    header.l1_entries = static_cast<u32>(l1_entries);
    const u64 l1_clusters = geometry.clusters_of(l1_entries * 8);
    std::vector<u8> luks;
    if (options.key != nullptr) {
        if (data) return Error{"encrypt.format=luks: is not for images with their data in another file"};
        TRY_SET(luks, luks::make_header(*options.key, options.encryption));
    }
    const u64 luks_clusters = geometry.clusters_of(luks.size());
    const u64 others = l1_clusters + luks_clusters;
    // [header][table of counts][blocks of counts][L1 table][header of the encryption]
    u64 blocks = 1;
    while (blocks * geometry.block_entries() < 2 + blocks + others) blocks++;
    u64 reftable_clusters = 1;
    while (reftable_clusters * cluster / 8 < blocks) reftable_clusters++;
    while (blocks * geometry.block_entries() < 1 + reftable_clusters + blocks + others) blocks++;
    while (reftable_clusters * cluster / 8 < blocks) reftable_clusters++;
    header.reftable_clusters = static_cast<u32>(reftable_clusters);
    header.reftable_offset = cluster;
    const u64 first_block = 1 + reftable_clusters, l1 = first_block + blocks, used = l1 + others;
    if (used > blocks * geometry.block_entries()) return Error{"the tables of this image would not fit its clusters"};
    header.l1_offset = l1_clusters == 0 ? 0 : l1 * cluster;
    if (!luks.empty()) {
        header.luks_offset = (l1 + l1_clusters) * cluster;
        header.luks_bytes = luks.size();
        header.extensions.push_back(luks_extension(header.luks_offset, header.luks_bytes));
    }
    auto first_bytes = encode_header(header);
    if (!first_bytes.ok()) return first_bytes.error();

    TRY(file.resize(used * cluster));
    std::vector<u8> table(reftable_clusters * cluster), block(cluster);
    for (u64 i = 0; i < blocks; i++) {
        store_be<u64>(&table[i * 8], (first_block + i) * cluster);
        for (u64 at = 0; at < geometry.block_entries(); at++)
            Refcounts::set_count_in(block.data(), at, geometry.refcount_bits, i * geometry.block_entries() + at < used);
        TRY(file.write_at((first_block + i) * cluster, block));
    }
    if (!luks.empty()) TRY(file.write_at(header.luks_offset, luks));
    TRY(file.write_at(header.reftable_offset, table));
    return file.write_at(0, *first_bytes);
}

}  // namespace viv::block::qcow2
