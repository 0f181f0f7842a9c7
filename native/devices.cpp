// Opening what devices stand for on the host. See devices.h.
#include "native/devices.h"

#include <fmt/format.h>

#include <array>
#include <cstring>

#include "engine/dev/catalog.h"
#include "native/folder_posix.h"
#include "native/host_posix.h"

namespace viv::native {

namespace {

// Images that would look like an empty or broken disk if their bytes were taken as they are.
struct ImageFormat {
    std::string_view name;
    std::string_view magic;
    usize offset = 0;
};
constexpr ImageFormat foreign_formats[] = {
    {"qcow2", std::string_view("QFI\xfb", 4)},
    {"VMDK", "KDMV"},
    {"VMDK", "# Disk DescriptorFile"},
    {"VDI", "<<< ", 0},
    {"VHDX", "vhdxfile"},
    {"VHD", "conectix"},
    {"gzip", "\x1f\x8b"},
    {"xz", std::string_view("\xfd"
                            "7zXZ\0",
                            6)},
    {"zstd", "\x28\xb5\x2f\xfd"},
};

Result<void> check_format(host::File& file, std::string_view option, const std::string& path) {
    std::array<u8, 512> head{};
    if (file.size() < head.size()) return {};  // open_raw() has its own words for that
    TRY(file.read_at(0, head));
    for (const auto& format : foreign_formats) {
        if (std::memcmp(head.data() + format.offset, format.magic.data(), format.magic.size()) != 0) continue;
        return Error{
            fmt::format("{} {}: is a {} image; only raw images can be used: convert it (qemu-img convert -O raw), or "
                        "say format=raw if its "
                        "bytes are meant as they are",
                        option, path, format.name)};
    }
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

std::unique_ptr<net::NetBackend> make_net(NetOption option) {
    return option == NetOption::loopback ? net::make_loopback_backend() : net::make_null_backend();
}

Result<DeviceSpec> plug(const DeviceOption& option) {
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
    if (option.net) spec.net = make_net(*option.net);
    return spec;
}

}  // namespace

Result<std::unique_ptr<block::Disk>> open_disk(std::string_view option, const DiskOption& disk) {
    const bool writes_file = disk.read_only == OnOff::off && disk.snapshot == OnOff::off;
    auto file = open_file(disk.file, writes_file ? FileAccess::read_write : FileAccess::read_only);
    if (!file.ok()) return with_option(option, file.error());
    if (disk.format == DiskOption::Format::by_content) TRY(check_format(**file, option, disk.file));
    auto raw = block::open_raw(std::move(*file), disk.file,
                               writes_file ? block::Access::read_write : block::Access::read_only);
    if (!raw.ok()) return with_option(option, raw.error());
    if (disk.snapshot == OnOff::on && disk.read_only == OnOff::off)
        return block::make_temporary_overlay(std::move(*raw));
    return std::move(*raw);
}

Result<std::vector<DeviceSpec>> plug_devices(const MachineOptions& options, const std::optional<Guest>& guest,
                                             const BoardKind& board) {
    std::vector<DeviceSpec> specs;
    if (guest) {
        for (const auto& image : guest->disks) {
            DiskOption disk;
            disk.file = image.file;
            disk.format = DiskOption::Format::raw;
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
    if (options.net.value_or(NetOption::none) != NetOption::none) {
        DeviceSpec spec;
        spec.name = board.net_device;
        spec.net = make_net(*options.net);
        specs.push_back(std::move(spec));
    }
    for (const auto& share : options.shares) {
        DeviceSpec spec;
        spec.name = board.share_device;
        spec.properties.emplace("mount_tag", share.tag);
        TRY_SET(spec.folder, open_share("--share", share));
        specs.push_back(std::move(spec));
    }
    for (const auto& device : options.devices) {
        TRY_SET(auto spec, plug(device));
        specs.push_back(std::move(spec));
    }
    return specs;
}

}  // namespace viv::native
