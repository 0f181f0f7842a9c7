// The list of devices that a user can plug in by name; the only list there is.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "engine/lang/bits.h"
#include "engine/lang/result.h"

namespace viv {

// board: soldered on, listed but not pluggable; scsi: behind a host adapter that is on one of the others.
enum class DeviceBus : u8 { board, virtio_mmio, pci, scsi };

enum class DiskUse : u8 { as_given, only_read };

struct DeviceKind {
    std::string_view name;  // QEMU's names where it has them: "virtio-blk-pci", "virtio-blk-device"
    std::string_view description;
    DeviceBus bus;
    std::string_view properties;  // help text: "serial=TEXT, readonly=on|off"
    DiskUse disk = DiskUse::as_given;
};

std::span<const DeviceKind> device_catalog();
Result<const DeviceKind*> find_device(std::string_view name);  // the error suggests the nearest name

}  // namespace viv
