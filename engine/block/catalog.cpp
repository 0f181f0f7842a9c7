// The list of formats, and the opening of chains. See catalog.h.
#include "engine/block/catalog.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <set>

#include "engine/block/luks/luks.h"
#include "engine/block/published/published.h"
#include "engine/block/qcow2/qcow2.h"
#include "engine/block/raw.h"
#include "engine/block/vdi/vdi.h"
#include "engine/block/vhd/vhd.h"
#include "engine/block/vhdx/vhdx.h"
#include "engine/block/vmdk/vmdk.h"
#include "engine/lang/bytes.h"
#include "engine/lang/nearest.h"

namespace viv::block {

namespace {

using Head = std::span<const u8, 512>;

bool starts(Head head, std::string_view magic, usize at = 0) {
    return std::memcmp(head.data() + at, magic.data(), magic.size()) == 0;
}

bool no_probe(Head) { return false; }
bool is_qcow2(Head head) { return starts(head, {"QFI\xfb", 4}) && load_be<u32>(&head[4]) >= 2; }
bool is_qcow1(Head head) { return starts(head, {"QFI\xfb", 4}) && load_be<u32>(&head[4]) < 2; }
bool is_qed(Head head) { return starts(head, {"QED\0", 4}); }
bool is_vmdk(Head head) {
    return starts(head, "KDMV") || starts(head, "COWD") || starts(head, "# Disk DescriptorFile");
}
bool is_vdi(Head head) { return load_le<u32>(&head[0x40]) == 0xbeda107f; }
bool is_vhdx(Head head) { return starts(head, "vhdxfile"); }
bool is_vhd(Head head) { return starts(head, "conectix"); }
bool is_published(Head head) { return state::FileReader::looks_like(head, state::Content::disk); }
bool is_parallels(Head head) { return starts(head, "WithoutFreeSpace") || starts(head, "WithouFreSpacExt"); }

Result<std::unique_ptr<Image>> open_named_raw(std::unique_ptr<host::File> file, OpenContext context) {
    return open_raw_image(std::move(file), std::move(context.name), context.access, NamedBy::user);
}

Result<void> create_raw(host::File& file, const CreateOptions& options) { return file.resize(options.size); }

constexpr u16 operator|(CreateOption a, CreateOption b) { return static_cast<u16>(a) | static_cast<u16>(b); }
constexpr u16 operator|(u16 a, CreateOption b) { return a | static_cast<u16>(b); }

constexpr FormatKind kinds[] = {
    {"raw", "the disk's bytes and nothing else", no_probe, open_named_raw, create_raw, 0},
    {"qcow2", "QEMU's copy-on-write images, versions 2 and 3", is_qcow2, qcow2::open, qcow2::create,
     CreateOption::cluster_size | CreateOption::version | CreateOption::refcount_bits | CreateOption::lazy_refcounts |
         CreateOption::compression | CreateOption::backing | CreateOption::data_file | CreateOption::encrypted},
    {"vmdk", "VMware's images", is_vmdk, vmdk::open, vmdk::create, static_cast<u16>(CreateOption::subformat),
     "monolithicSparse monolithicFlat twoGbMaxExtentSparse twoGbMaxExtentFlat"},
    {"vdi", "VirtualBox's images", is_vdi, vdi::open, vdi::create, static_cast<u16>(CreateOption::fixed)},
    {"vpc", "Virtual PC's and Hyper-V's older images (VHD)", is_vhd, vhd::open, vhd::create,
     CreateOption::subformat | CreateOption::exact_size, "dynamic fixed", vhd::is_fixed},
    {"vhdx", "Hyper-V's newer images", is_vhdx, vhdx::open, vhdx::create,
     CreateOption::subformat | CreateOption::block_size, "dynamic fixed"},
    {"published", "chunks for web servers, made by viv-img publish", is_published, published::open, nullptr, 0},
    {"luks", "encrypted raw disks (LUKS version 1)", no_probe, luks::open, luks::create,
     static_cast<u16>(CreateOption::encryption)},
    {"qcow", "QEMU's first copy-on-write images", is_qcow1, nullptr, nullptr, 0},
    {"qed", "images of QEMU's enhanced disk format", is_qed, nullptr, nullptr, 0},
    {"parallels", "images of Parallels", is_parallels, nullptr, nullptr, 0},
};

// A file that begins as nothing known and ends as an image of some format may be a raw image whose guest wrote that.
Result<void> refuse_ends(const FileOpener::Opened& opened) {
    std::array<u8, 512> tail{};
    const u64 size = opened.file->size();
    if (size < tail.size()) return {};
    TRY(opened.file->read_at(size - tail.size(), tail));
    for (const auto& kind : kinds)
        if (kind.probe_end != nullptr && kind.probe_end(tail))
            return Error{fmt::format("{}: ends as a {} image does and begins as a raw one; say format={} or format=raw",
                                     opened.name, kind.name, kind.name)};
    return {};
}

// The files above one that is being opened.
struct Level {
    const Level* above = nullptr;
    std::string_view identity;
    unsigned depth = 1;
};

Result<std::unique_ptr<Image>> open_level(FileOpener::Opened opened, const OpenOptions& options, const Level* above) {
    Level level{above, opened.identity, above != nullptr ? above->depth + 1 : 1};
    for (const Level* other = above; other != nullptr; other = other->above)
        if (other->identity == level.identity)
            return Error{fmt::format("{}: its chain of backing files comes back to itself", opened.name)};
    if (level.depth > deepest_chain)
        return Error{fmt::format("{}: its chain of backing files is longer than {}", opened.name, deepest_chain)};

    const FormatKind* kind = nullptr;
    NamedBy named_by = NamedBy::user;
    if (options.format.empty()) {
        std::array<u8, 512> head{};
        TRY(read_padded(*opened.file, 0, head));
        kind = probe_format(head);
        if (kind == nullptr) {
            named_by = NamedBy::content;
            TRY(refuse_ends(opened));
        }
    } else {
        const auto found = find_format(options.format);
        if (!found.ok()) return Error{fmt::format("{}: {}", opened.name, found.error().message)};
        kind = *found;
    }
    if (named_by == NamedBy::content)
        return open_raw_image(std::move(opened.file), std::move(opened.name), options.access, named_by);
    if (kind->open == nullptr)
        return Error{
            fmt::format("{}: is a {} image, and that format cannot be opened by this version; convert it with "
                        "qemu-img, or say format=raw if its bytes are meant as they are",
                        opened.name, kind->name)};

    OpenContext context;
    context.name = opened.name;
    context.access = options.access;
    context.damage = options.damage;
    context.unique = opened.unique;
    context.key = options.key;
    context.content = options.content;
    context.open_backing = [&options, &level, image = opened.name](
                               const std::string& name, const std::string& format) -> Result<std::unique_ptr<Image>> {
        if (options.chain == Chain::first_only) return std::unique_ptr<Image>();
        if (options.opener == nullptr)
            return Error{fmt::format("{}: needs the image {} below it, and may not open others", image, name)};
        auto file = options.opener->open(name, image);
        if (!file.ok()) return Error{fmt::format("{}: backing file {}", image, file.error().message)};
        OpenOptions below;
        below.format = format;
        below.opener = options.opener;
        below.key = options.key;
        below.content = options.content;
        const auto content = file->content;
        TRY_SET(auto found, open_level(std::move(*file), below, &level));
        if (!content.empty() && found->identity() != content)
            return Error{fmt::format("{}: was put over another version of {}", image, found->name())};
        return found;
    };
    // One file twice would be two parts of the disk that are one, or a descriptor that its own guest writes.
    context.open_part = [&options, image = opened.name, seen = std::set<std::string>{opened.identity}](
                            const std::string& name) mutable -> Result<FileOpener::Opened> {
        if (options.opener == nullptr)
            return Error{fmt::format("{}: has a part in {}, and may not open others", image, name)};
        auto part = options.opener->open_part(name, image, options.access);
        if (!part.ok()) return Error{fmt::format("{}: its part {}", image, part.error().message)};
        if (!seen.insert(part->identity).second) return Error{fmt::format("{}: names the file {} twice", image, name)};
        return part;
    };
    context.open_chunks = [&options, image = opened.name]() -> Result<std::unique_ptr<state::ChunkStore>> {
        if (options.opener == nullptr)
            return Error{fmt::format("{}: has its chunks in other files, and may not open others", image)};
        return options.opener->open_chunks(image);
    };
    context.open_data_file = [&options, image = opened.name, identity = opened.identity,
                              part = context.open_part](const std::string& name) -> Result<FileOpener::Opened> {
        if (options.data_file == nullptr || options.data_file->file == nullptr) {
            if (!name.empty()) return part(name);
            return Error{fmt::format("{}: does not say which file has its data; data-file=FILE does", image)};
        }
        if (options.data_file->identity == identity)
            return Error{fmt::format("{}: cannot be its own data file", image)};
        return std::move(*options.data_file);
    };
    const std::string image_name = opened.name;
    TRY_SET(auto image, kind->open(std::move(opened.file), std::move(context)));
    if (options.data_file != nullptr && options.data_file->file != nullptr)
        return Error{
            fmt::format("{}: has its data in no other file, and cannot use {}", image_name, options.data_file->name)};
    return image;
}

}  // namespace

Result<std::unique_ptr<state::ChunkStore>> FileOpener::open_chunks(const std::string& index) {
    return Error{fmt::format("{}: its chunks cannot be reached from here", index)};
}

std::span<const FormatKind> formats() { return kinds; }

Result<const FormatKind*> find_format(std::string_view name) {
    std::vector<std::string_view> known;
    for (const auto& kind : kinds) {
        if (kind.name == name) return &kind;
        if (kind.open != nullptr) known.push_back(kind.name);
    }
    const auto near = nearest_name(name, known);
    return Error{fmt::format("format {} is not known; there are {}{}{}{}", name, fmt::join(known, ", "),
                             near.empty() ? "" : "; did you mean ", near, near.empty() ? "" : "?")};
}

const FormatKind* probe_format(std::span<const u8, 512> head) {
    const auto found = std::find_if(std::begin(kinds), std::end(kinds), [&](const auto& k) { return k.probe(head); });
    return found == std::end(kinds) ? nullptr : found;
}

Result<std::unique_ptr<Image>> open_image(FileOpener::Opened file, const OpenOptions& options) {
    const std::string name = file.name;
    TRY_SET(auto image, open_level(std::move(file), options, nullptr));
    if (options.key == nullptr || options.chain == Chain::first_only) return image;
    for (Image* layer = image.get(); layer != nullptr; layer = layer->backing())
        if (layer->details().encrypted) return image;
    return Error{
        fmt::format("{}: is not encrypted as a {} image, and needs no passphrase; format=luks opens an "
                    "encrypted raw disk",
                    name, image->format())};
}

}  // namespace viv::block
