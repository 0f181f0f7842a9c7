// The devices of a machine from their options: disk images, shared folders and networks opened and put into
// DeviceSpecs. Promises: an image of a format that is not supported, or that another program uses, is refused with one
// line that names option and file.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/board/board.h"
#include "native/guest_catalog.h"
#include "native/host_network.h"
#include "native/options.h"

namespace viv::native {

// What disks behind URLs need of this program. The pointers outlive the disks.
struct DiskHost {
    EventLoop* events = nullptr;  // null: the machine waits while bytes travel
    LogSink* log = nullptr;       // null: what cannot be fetched is told to nobody but the guest
    std::string cache;            // the folder of this user's caches; empty: no chunks are kept
};

// In the order: the guest's own disks, --disk, --net, --share, --device. `networks`: null if only those can be asked
// for that depend on the machine alone.
Result<std::vector<DeviceSpec>> plug_devices(const MachineOptions& options, const std::optional<Guest>& guest,
                                             const BoardKind& board, Networks* networks, const DiskHost& disk_host);

Result<std::unique_ptr<block::Disk>> open_disk(std::string_view option, const DiskOption& disk, const DiskHost& host);

}  // namespace viv::native
