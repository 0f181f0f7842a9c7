// Opening what devices stand for on the host. See devices.h.
#include "native/devices.h"

#include <fmt/format.h>

#include <array>
#include <cstring>
#include <map>

#include "engine/block/catalog.h"
#include "engine/block/overlay.h"
#include "engine/dev/catalog.h"
#include "engine/net/hub.h"
#include "native/folder_posix.h"
#include "native/image_files.h"

namespace viv::native {

namespace {

// Files that hold an image inside: as they are they would look like a broken disk.
Result<void> check_packed(host::File& file, std::string_view option, const std::string& path) {
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
                fmt::format("{} {}: is a {} file; unpack it, or say format=raw if its bytes are meant as they are",
                            option, path, packing.name)};
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

Result<DeviceSpec> plug(const DeviceOption& option, Networks* networks, Hubs& hubs) {
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
        TRY_SET(spec.disk, open_disk(name, *option.disk));
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

}  // namespace

Result<std::unique_ptr<block::Disk>> open_disk(std::string_view option, const DiskOption& disk) {
    const bool writes_file = disk.read_only == OnOff::off && disk.snapshot == OnOff::off;
    const auto access = writes_file ? block::Access::read_write : block::Access::read_only;
    ImageFiles files;
    auto file = files.open_named(disk.file, access);
    if (!file.ok()) return with_option(option, file.error());
    if (disk.format.empty()) TRY(check_packed(*file->file, option, disk.file));
    block::OpenOptions how;
    how.format = disk.format;
    how.access = access;
    how.opener = disk.backing == OnOff::on ? &files : nullptr;
    block::FileOpener::Opened data;
    if (!disk.data_file.empty()) {
        auto opened = files.open_named(disk.data_file, access);
        if (!opened.ok()) return with_option(option, opened.error());
        data = std::move(*opened);
        how.data_file = &data;
    }
    auto image = block::open_image(std::move(*file), how);
    if (!image.ok()) return with_option(option, image.error());
    const u64 size = (*image)->format() == "raw" ? (*image)->file().size() : (*image)->size();
    if (const auto good = block::check_raw_size(size, disk.file); !good.ok()) return with_option(option, good.error());
    auto opened = block::make_disk(std::move(*image));
    if (disk.snapshot == OnOff::on && disk.read_only == OnOff::off)
        return std::unique_ptr<block::Disk>(block::make_temporary_overlay(std::move(opened)));
    return opened;
}

Result<std::vector<DeviceSpec>> plug_devices(const MachineOptions& options, const std::optional<Guest>& guest,
                                             const BoardKind& board, Networks* networks) {
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
            TRY_SET(spec.disk, open_disk("guest " + guest->name + ":", disk));
            specs.push_back(std::move(spec));
        }
    }
    for (const auto& disk : options.disks) {
        DeviceSpec spec;
        spec.name = board.disk_device;
        spec.properties = disk.device_properties;
        TRY_SET(spec.disk, open_disk("--disk", disk));
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
        TRY_SET(auto spec, plug(device, networks, hubs));
        specs.push_back(std::move(spec));
    }
    return specs;
}

}  // namespace viv::native
