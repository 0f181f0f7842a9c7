// See footer.h.
#include "engine/block/vhd/footer.h"

#include <algorithm>
#include <string_view>

#include "engine/lang/bytes.h"

namespace viv::block::vhd {

namespace {

constexpr std::string_view mark = "conectix", creator = "viv ", host_system = "Wi2k";

namespace at {
constexpr usize mark = 0, features = 8, version = 12, header = 16, creator = 28, creator_version = 32, host_system = 36,
                original_size = 40, current_size = 48, cylinders = 56, heads = 58, sectors = 59, type = 60,
                checksum = 64, unique = 68;
}

struct Geometry {
    u64 cylinders = 0, heads = 0, sectors = 0;
    u64 total() const { return cylinders * heads * sectors; }
};

constexpr Geometry largest{65535, 16, 255};

// The specification's appendix has this calculation: what a BIOS of the time could address.
Geometry geometry_of(u64 sectors) {
    Geometry geometry{0, 16, 255};
    if (sectors >= largest.total()) return largest;
    if (sectors < u64{65535} * 16 * 63) {
        geometry.sectors = 17;
        u64 tracks = sectors / geometry.sectors;
        geometry.heads = std::max<u64>((tracks + 1023) / 1024, 4);
        for (const u64 larger : {31, 63}) {
            if (geometry.heads <= 16 && tracks < geometry.heads * 1024) break;
            geometry = {0, 16, larger};
            tracks = sectors / larger;
        }
    }
    geometry.cylinders = sectors / geometry.sectors / geometry.heads;
    return geometry;
}

bool text_at(std::span<const u8, sector> bytes, usize place, std::string_view text) {
    return std::equal(text.begin(), text.end(), bytes.begin() + static_cast<std::ptrdiff_t>(place));
}

}  // namespace

u32 checksum(std::span<const u8> bytes, usize place) {
    u32 sum = 0;
    for (usize i = 0; i < bytes.size(); i++)
        if (i < place || i >= place + 4) sum += bytes[i];
    return ~sum;
}

std::optional<Footer> read_footer(std::span<const u8, sector> bytes) {
    if (!text_at(bytes, at::mark, mark) || load_be<u32>(&bytes[at::checksum]) != checksum(bytes, at::checksum))
        return std::nullopt;
    Footer footer;
    footer.type = load_be<u32>(&bytes[at::type]);
    footer.version = load_be<u32>(&bytes[at::version]);
    footer.header = load_be<u64>(&bytes[at::header]);
    footer.disk_size = align_down(load_be<u64>(&bytes[at::current_size]), sector);
    // Virtual PC, and QEMU unless told otherwise, mean the geometry, which may be less than the size; the largest one
    // says nothing.
    const Geometry geometry{load_be<u16>(&bytes[at::cylinders]), bytes[at::heads], bytes[at::sectors]};
    if ((text_at(bytes, at::creator, "vpc ") || text_at(bytes, at::creator, "qemu")) &&
        geometry.total() != largest.total())
        footer.disk_size = geometry.total() * sector;
    return footer;
}

FooterBytes make_footer(u32 type, u64 header, u64 disk_size, std::span<const u8, 16> unique) {
    FooterBytes bytes{};
    std::copy(mark.begin(), mark.end(), bytes.begin() + at::mark);
    std::copy(creator.begin(), creator.end(), bytes.begin() + at::creator);
    std::copy(host_system.begin(), host_system.end(), bytes.begin() + at::host_system);
    std::copy(unique.begin(), unique.end(), bytes.begin() + at::unique);
    store_be<u32>(&bytes[at::features], 2);  // always set
    store_be<u32>(&bytes[at::version], version_1);
    store_be<u64>(&bytes[at::header], header);
    store_be<u32>(&bytes[at::creator_version], version_1);
    store_be<u64>(&bytes[at::original_size], disk_size);
    store_be<u64>(&bytes[at::current_size], disk_size);
    store_be<u32>(&bytes[at::type], type);
    // Programs that go by the geometry go by the size instead where it is the largest: a disk keeps its size.
    Geometry geometry = geometry_of(disk_size / sector);
    if (geometry.total() * sector != disk_size) geometry = largest;
    store_be<u16>(&bytes[at::cylinders], static_cast<u16>(geometry.cylinders));
    bytes[at::heads] = static_cast<u8>(geometry.heads);
    bytes[at::sectors] = static_cast<u8>(geometry.sectors);
    store_be<u32>(&bytes[at::checksum], checksum(bytes, at::checksum));
    return bytes;
}

}  // namespace viv::block::vhd
