// Opening and making VMDK images of all kinds. See vmdk.h.
#include "engine/block/vmdk/vmdk.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "engine/block/vmdk/descriptor.h"
#include "engine/block/vmdk/several.h"
#include "engine/block/vmdk/sparse.h"
#include "engine/lang/bytes.h"

namespace viv::block::vmdk {

namespace {

constexpr u64 most_capacity = ~u32{0}, most_in_part = 4192256;  // sectors; 2047 MiB

// "disk-s001.vmdk" beside "disk.vmdk".
std::string part_name(std::string_view image, std::string_view what) {
    const auto dot = image.rfind('.');
    const auto stem = dot == std::string_view::npos || dot == 0 ? image : image.substr(0, dot);
    return fmt::format("{}-{}{}", stem, what, image.substr(stem.size()));
}

Result<void> write_text(host::File& file, std::string_view text) {
    return file.write_at(0, {reinterpret_cast<const u8*>(text.data()), text.size()});
}

}  // namespace

Result<std::unique_ptr<Image>> open(std::unique_ptr<host::File> file, OpenContext context) {
    std::array<u8, 6> head{};
    TRY(read_padded(*file, 0, head));
    if (std::memcmp(head.data(), "# Disk", head.size()) == 0) return open_several(std::move(file), context);
    return open_sparse(std::move(file), std::move(context.name), context.access, Part::whole);
}

Result<void> create(host::File& file, const CreateOptions& options) {
    const u64 capacity = options.size / sector;
    if (capacity == 0 || capacity > most_capacity)
        return Error{fmt::format("a VMDK image has a disk of 512 bytes to 2 TiB; {} bytes cannot be", options.size)};
    if (options.file_name.find_first_of("\"\r\n") != std::string::npos)
        return Error{"the name of a VMDK image has no quotation marks and no line's end"};
    const u32 id = load_le<u32>(options.unique.data()) & 0x7fffffff;
    const std::string type = options.subformat.empty() ? "monolithicSparse" : options.subformat;
    std::vector<ExtentLine> extents;
    const auto add = [&](ExtentLine::Kind kind, u64 sectors, std::string name) {
        extents.push_back({ExtentLine::Use::read_write, kind, sectors, std::move(name), 0});
    };
    if (type == "monolithicSparse") {
        add(ExtentLine::Kind::sparse, capacity, options.file_name);
        return create_sparse(file, capacity, make_descriptor(id, type, extents));
    }
    const bool flat = type != "twoGbMaxExtentSparse";
    const auto kind = flat ? ExtentLine::Kind::flat : ExtentLine::Kind::sparse;
    if (type == "monolithicFlat") {
        add(kind, capacity, part_name(options.file_name, "flat"));
    } else {
        for (u64 start = 0; start < capacity; start += most_in_part)
            add(kind, std::min(most_in_part, capacity - start),
                part_name(options.file_name, fmt::format("{}{:03}", flat ? 'f' : 's', extents.size() + 1)));
    }
    const auto text = make_descriptor(id, type, extents);
    if (text.size() > most_descriptor) return Error{"the name of the file is too long for a VMDK image"};
    // The text last: what it names is there.
    for (const auto& extent : extents) {
        TRY_SET(auto part, options.make_part(extent.file));
        if (flat) {
            TRY(part->resize(extent.sectors * sector));
        } else {
            TRY(create_sparse(*part, extent.sectors, {}));
        }
    }
    TRY(file.resize(0));
    return write_text(file, text);
}

}  // namespace viv::block::vmdk
