// Opening what devices stand for on the host. See devices.h.
#include "native/devices.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <optional>

#include "engine/block/catalog.h"
#include "engine/block/far.h"
#include "engine/block/overlay.h"
#include "engine/dev/catalog.h"
#include "engine/net/hub.h"
#include "native/ciphers.h"
#include "native/folder_posix.h"
#include "native/http.h"
#include "native/image_files.h"
#include "native/overlay_image.h"

namespace viv::native {

namespace {

// Files that hold an image inside: as they are they would look like a broken disk.
Result<void> check_packed(host::File& file, const std::string& path) {
    struct Packed {
        std::string_view name, magic;
    };
    constexpr Packed packings[] = {{"gzip", "\x1f\x8b"},
                                   {"xz",
                                    {"\xfd"
                                     "7zXZ\0",
                                     6}},
                                   {"zstd", "\x28\xb5\x2f\xfd"}};
    std::array<u8, 512> head{};
    TRY(block::read_padded(file, 0, head));
    for (const auto& packing : packings)
        if (std::memcmp(head.data(), packing.magic.data(), packing.magic.size()) == 0)
            return Error{
                fmt::format("{}: is a {} file; unpack it, or say format=raw if its bytes are meant as they are", path,
                            packing.name)};
    return {};
}

Error with_option(std::string_view option, const Error& error) {
    return Error{fmt::format("{} {}", option, error.message)};
}

Result<std::unique_ptr<host::Folder>> open_share(std::string_view option, const ShareOption& share) {
    FolderOptions folder_options;
    folder_options.mode = share.read_only == OnOff::on ? host::Folder::Mode::read_only : host::Folder::Mode::read_write;
    auto folder = open_folder(share.folder, folder_options);
    if (!folder.ok()) return with_option(option, folder.error());
    return std::move(*folder);
}

using Hubs = std::map<std::string, net::Hub>;

// What a card's cable leads to; null if the card is left out.
Result<std::unique_ptr<net::NetBackend>> connect_net(const NetOption& option, Networks* networks, Hubs& hubs) {
    if (std::holds_alternative<HubNet>(option.back_end)) {
        if (networks == nullptr) return hubs[option.hub].make_port();
        return networks->capture(option, hubs[option.hub].make_port());
    }
    std::unique_ptr<net::NetBackend> back_end;
    if (networks == nullptr) {
        back_end = Networks::open_repeatable(option);
    } else {
        TRY_SET(back_end, networks->open(option));
        TRY_SET(back_end, networks->capture(option, std::move(back_end)));
    }
    if (option.hub.empty()) return back_end;
    hubs[option.hub].plug(std::move(back_end));
    if (!option.card) return std::unique_ptr<net::NetBackend>();
    return hubs[option.hub].make_port();
}

Result<std::optional<DeviceSpec>> plug_net(const NetOption& option, const BoardKind& board, Networks* networks,
                                           Hubs& hubs) {
    DeviceSpec spec;
    spec.name = option.model.empty() ? std::string(board.net_device) : option.model;
    if (auto kind = find_device(spec.name); !kind.ok())
        return Error{fmt::format("{},model={}: {}", option.where, spec.name, kind.error().message)};
    spec.properties = option.card_properties;
    TRY_SET(spec.net, connect_net(option, networks, hubs));
    if (spec.net == nullptr) return std::optional<DeviceSpec>();
    return std::optional<DeviceSpec>(std::move(spec));
}

Result<DeviceSpec> plug(const DeviceOption& option, Networks* networks, const DiskHost& disk_host, Hubs& hubs) {
    constexpr std::string_view name = "--device";
    auto kind = find_device(option.name);
    if (!kind.ok()) return with_option(name, kind.error());
    if ((*kind)->bus == DeviceBus::board)
        return Error{
            fmt::format("{} {}: is part of the board and cannot be plugged in; `viv list devices` shows which can",
                        name, option.name)};
    DeviceSpec spec;
    spec.name = option.name;
    spec.properties = option.properties;
    if (option.disk) {
        DiskOption disk = *option.disk;
        if ((*kind)->disk == DiskUse::only_read && disk.snapshot == OnOff::off) disk.read_only = OnOff::on;
        TRY_SET(spec.disk, open_disk(name, disk, disk_host));
    }
    if (option.share) {
        TRY_SET(spec.folder, open_share(name, *option.share));
    }
    if (option.net) {
        TRY_SET(spec.net, connect_net(*option.net, networks, hubs));
        for (const auto& [key, value] : option.net->card_properties) spec.properties.emplace(key, value);
    }
    return spec;
}

// What the user names, with all that is below it.
Result<std::unique_ptr<block::Image>> open_base(const DiskOption& disk, block::Access access, ImageFiles& files,
                                                const block::Key* key) {
    constexpr std::string_view remedy =
        "add overlay=FILE to keep what is written, snapshot=on to forget it, or readonly=on";
    if (is_url(disk.file) && access == block::Access::read_write)
        return Error{fmt::format("{}: is behind a URL and can only be read; {}", disk.file, remedy)};
    TRY_SET(auto file, files.open_named(disk.file, access));
    if (disk.format.empty()) TRY(check_packed(*file.file, disk.file));
    block::OpenOptions how;
    how.format = disk.format;
    how.access = access;
    how.opener = disk.below == DiskOption::Below::nothing ? nullptr : &files;
    how.key = key;
    block::FileOpener::Opened data;
    if (!disk.data_file.empty()) {
        TRY_SET(data, files.open_named(disk.data_file, access));
        how.data_file = &data;
    }
    TRY_SET(auto image, block::open_image(std::move(file), how));
    TRY(block::check_raw_size(image->format() == "raw" ? image->file().size() : image->size(), disk.file));
    return image;
}

// The image that takes what is written, over `below`, which the user has named: what its own file names is only
// compared with that.
Result<std::unique_ptr<block::Image>> put_overlay(const DiskOption& disk, block::Access access,
                                                  std::unique_ptr<block::Image> below, ImageFiles& files,
                                                  const block::Key* key) {
    constexpr std::string_view format = "qcow2";
    TRY_SET(const auto name, join_name(disk.file, below->identity()));
    struct stat status {};
    if (access == block::Access::read_write && stat(disk.overlay.c_str(), &status) != 0 && errno == ENOENT)
        TRY(make_overlay_image(
            {disk.overlay, std::string(format), name, std::string(below->format()), below->size(), key}));
    TRY_SET(auto file, files.open_named(disk.overlay, access));
    block::OpenOptions how;
    how.format = format;
    how.access = access;
    how.chain = block::Chain::first_only;
    how.key = key;
    TRY_SET(auto overlay, block::open_image(std::move(file), how));
    if (key != nullptr && !overlay->details().encrypted)
        return Error{fmt::format("{}: is not encrypted, and would hold in the clear what is written to {}, which is",
                                 disk.overlay, disk.file)};
    TRY(check_below(*overlay, disk.overlay, name));
    overlay->put_below(std::move(below));
    return overlay;
}

}  // namespace

Result<std::unique_ptr<block::Disk>> open_disk(std::string_view option, const DiskOption& disk, const DiskHost& host) {
    const bool writes = disk.read_only == OnOff::off && disk.snapshot == OnOff::off;
    const auto access = writes ? block::Access::read_write : block::Access::read_only;
    WebAccess web;
    if (disk.below == DiskOption::Below::web) web.named = WebAccess::Named::followed;
    web.cache = host.cache;
    web.log = host.log;
    ImageFiles files(ImageFiles::Locking::locked, std::move(web));
    std::optional<block::Key> key;
    if (!disk.key_file.empty()) {
        auto found = read_key(disk.key_file);
        if (!found.ok()) return with_option(option, found.error());
        key.emplace(std::move(*found));
    }
    const block::Key* const opens = key ? &*key : nullptr;
    auto image = open_base(disk, disk.overlay.empty() ? access : block::Access::read_only, files, opens);
    if (image.ok() && !disk.overlay.empty()) image = put_overlay(disk, access, std::move(*image), files, opens);
    if (!image.ok()) return with_option(option, image.error());
    auto opened = block::make_disk(std::move(*image));
    if (files.feed() != nullptr && host.events != nullptr) {
        files.feed()->watch(*host.events);
        opened = block::make_far_disk(std::move(opened), files.feed());
    }
    if (disk.snapshot == OnOff::on && disk.read_only == OnOff::off)
        return std::unique_ptr<block::Disk>(block::make_temporary_overlay(std::move(opened)));
    return opened;
}

Result<std::vector<DeviceSpec>> plug_devices(const MachineOptions& options, const std::optional<Guest>& guest,
                                             const BoardKind& board, Networks* networks, const DiskHost& disk_host) {
    std::vector<DeviceSpec> specs;
    Hubs hubs;  // held by the cards' ports
    if (guest) {
        for (const auto& image : guest->disks) {
            DiskOption disk;
            disk.file = image.file;
            disk.format = "raw";
            disk.snapshot = image.writes == Guest::Disk::Writes::discard ? OnOff::on : OnOff::off;
            DeviceSpec spec;
            // A recipe names the device; which of its kinds the board knows.
            spec.name =
                board.disk_device.starts_with(image.device + "-") ? std::string(board.disk_device) : image.device;
            TRY_SET(spec.disk, open_disk("guest " + guest->name + ":", disk, disk_host));
            specs.push_back(std::move(spec));
        }
    }
    for (const auto& disk : options.disks) {
        DeviceSpec spec;
        spec.name = board.disk_device;
        spec.properties = disk.device_properties;
        TRY_SET(spec.disk, open_disk("--disk", disk, disk_host));
        specs.push_back(std::move(spec));
    }
    if (options.nets) {
        for (const auto& net : *options.nets) {
            TRY_SET(auto spec, plug_net(net, board, networks, hubs));
            if (spec) specs.push_back(std::move(*spec));
        }
    }
    for (const auto& share : options.shares) {
        DeviceSpec spec;
        spec.name = board.share_device;
        spec.properties.emplace("mount_tag", share.tag);
        TRY_SET(spec.folder, open_share("--share", share));
        specs.push_back(std::move(spec));
    }
    for (const auto& device : options.devices) {
        TRY_SET(auto spec, plug(device, networks, disk_host, hubs));
        specs.push_back(std::move(spec));
    }
    return specs;
}

}  // namespace viv::native
