// The rows of the device catalogue. A virtio device has one for each bus; its makers are listed in virtio/create.cpp.
#include "engine/dev/catalog.h"

#include <fmt/core.h>

#include <array>
#include <vector>

#include "engine/lang/nearest.h"

namespace viv {

namespace {

constexpr std::string_view block_help = "serial=TEXT, readonly=on|off, num-queues=N, queue-size=N, packed=on|off";
constexpr std::string_view block_pci_help =
    "serial=TEXT, readonly=on|off, num-queues=N, queue-size=N, packed=on|off, addr=SLOT";
constexpr std::string_view gpu_help =
    "max_outputs=N, xres=PIXELS, yres=PIXELS, edid=on|off, max_hostmem=SIZE, packed=on|off";
constexpr std::string_view gpu_pci_help =
    "max_outputs=N, xres=PIXELS, yres=PIXELS, edid=on|off, max_hostmem=SIZE, packed=on|off, addr=SLOT";

constexpr std::array catalog{
    DeviceKind{"virtio-blk-device", "disk", DeviceBus::virtio_mmio, block_help},
    DeviceKind{"virtio-blk-pci", "disk", DeviceBus::pci, block_pci_help},
    DeviceKind{"virtio-net-device", "Ethernet card", DeviceBus::virtio_mmio,
               "mac=ADDRESS, queues=N, queue-size=N, offloads=on|off, host_mtu=BYTES, packed=on|off"},
    DeviceKind{"virtio-net-pci", "Ethernet card", DeviceBus::pci,
               "mac=ADDRESS, queues=N, queue-size=N, offloads=on|off, host_mtu=BYTES, packed=on|off, addr=SLOT"},
    DeviceKind{"e1000e", "Ethernet card Intel 82574L, for systems without virtio", DeviceBus::pci,
               "mac=ADDRESS, addr=SLOT"},
    DeviceKind{"emmc", "SD host controller with an eMMC 5.1 that has boot and RPMB partitions", DeviceBus::pci,
               "serial=N, boot-size-mult=N, rpmb-size-mult=N, addr=SLOT"},
    DeviceKind{"nvme", "NVM Express controller with one namespace", DeviceBus::pci, "serial=TEXT, addr=SLOT"},
    DeviceKind{"virtio-serial-device", "console and named byte channels", DeviceBus::virtio_mmio, "packed=on|off"},
    DeviceKind{"virtio-serial-pci", "console and named byte channels", DeviceBus::pci, "packed=on|off, addr=SLOT"},
    DeviceKind{"virtio-rng-device", "random number source", DeviceBus::virtio_mmio,
               "max-bytes=N, period=MILLISECONDS, packed=on|off"},
    DeviceKind{"virtio-rng-pci", "random number source", DeviceBus::pci,
               "max-bytes=N, period=MILLISECONDS, packed=on|off, addr=SLOT"},
    DeviceKind{"virtio-balloon-device", "memory balloon", DeviceBus::virtio_mmio,
               "deflate-on-oom=on|off, free-page-reporting=on|off, packed=on|off"},
    DeviceKind{"virtio-balloon-pci", "memory balloon", DeviceBus::pci,
               "deflate-on-oom=on|off, free-page-reporting=on|off, packed=on|off, addr=SLOT"},
    DeviceKind{"virtio-9p-device", "shared host folder", DeviceBus::virtio_mmio, "mount_tag=TEXT, packed=on|off"},
    DeviceKind{"virtio-9p-pci", "shared host folder", DeviceBus::pci, "mount_tag=TEXT, packed=on|off, addr=SLOT"},
    DeviceKind{"virtio-keyboard-device", "keyboard", DeviceBus::virtio_mmio, "serial=TEXT, packed=on|off"},
    DeviceKind{"virtio-keyboard-pci", "keyboard", DeviceBus::pci, "serial=TEXT, packed=on|off, addr=SLOT"},
    DeviceKind{"virtio-mouse-device", "mouse with relative motion", DeviceBus::virtio_mmio,
               "serial=TEXT, packed=on|off"},
    DeviceKind{"virtio-mouse-pci", "mouse with relative motion", DeviceBus::pci,
               "serial=TEXT, packed=on|off, addr=SLOT"},
    DeviceKind{"virtio-tablet-device", "pointer with absolute position", DeviceBus::virtio_mmio,
               "serial=TEXT, packed=on|off"},
    DeviceKind{"virtio-tablet-pci", "pointer with absolute position", DeviceBus::pci,
               "serial=TEXT, packed=on|off, addr=SLOT"},
    DeviceKind{"virtio-gpu-device", "display, 2D", DeviceBus::virtio_mmio, gpu_help},
    DeviceKind{"virtio-gpu-pci", "display, 2D", DeviceBus::pci, gpu_pci_help},
    DeviceKind{"virtio-scsi-device", "SCSI host adapter", DeviceBus::virtio_mmio,
               "num_queues=N, virtqueue_size=N, packed=on|off"},
    DeviceKind{"virtio-scsi-pci", "SCSI host adapter", DeviceBus::pci,
               "num_queues=N, virtqueue_size=N, packed=on|off, addr=SLOT"},
    DeviceKind{"scsi-hd", "disk of a SCSI host adapter", DeviceBus::scsi,
               "bus=ID, scsi-id=N, lun=N, serial=TEXT, wwn=N, vendor=TEXT, product=TEXT, ver=TEXT"},
    DeviceKind{"scsi-cd", "CD-ROM drive of a SCSI host adapter", DeviceBus::scsi,
               "bus=ID, scsi-id=N, lun=N, serial=TEXT, vendor=TEXT, product=TEXT, ver=TEXT", DiskUse::only_read},
    DeviceKind{"ns16550a", "serial port", DeviceBus::board, ""},
    DeviceKind{"aclint", "timer and software interrupts of RISC-V harts", DeviceBus::board, ""},
    DeviceKind{"plic", "interrupt controller of RISC-V platforms", DeviceBus::board, ""},
    DeviceKind{"goldfish-rtc", "real-time clock", DeviceBus::board, ""},
    DeviceKind{"vmgenid", "VM generation ID", DeviceBus::board, ""},
    DeviceKind{"sifive-test", "power off and reset", DeviceBus::board, ""},
    DeviceKind{"fw-cfg", "configuration for firmware", DeviceBus::board, ""},
    DeviceKind{"gpex-pcihost", "PCI Express host bridge", DeviceBus::board, ""},
};

}  // namespace

std::span<const DeviceKind> device_catalog() { return catalog; }

Result<const DeviceKind*> find_device(std::string_view name) {
    std::vector<std::string_view> names;
    for (const DeviceKind& kind : catalog) {
        if (kind.name == name) return &kind;
        names.push_back(kind.name);
    }
    const auto nearest = nearest_name(name, names);
    return Error{fmt::format("there is no device '{}'{}; 'viv list devices' shows them", name,
                             nearest.empty() ? "" : fmt::format(" (did you mean {}?)", nearest))};
}

}  // namespace viv
