// One device to plug in, as the user and the host describe it: `--device virtio-blk-pci,serial=x` and what is connected
// to it. Owns the back ends it carries until a device takes them; ports are the host's own and outlive the board.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/block/block.h"
#include "engine/dev/ports.h"
#include "engine/host/folder.h"
#include "engine/net/net.h"

namespace viv {

struct DeviceSpec {
    std::string name;                               // as in dev/catalog
    std::map<std::string, std::string> properties;  // unknown ones are errors
    std::unique_ptr<block::Disk> disk;
    std::unique_ptr<net::NetBackend> net;
    std::unique_ptr<host::Folder> folder;
    // Ports of a console device, in order; owned by the host and outliving the board. Port 0 is a console (hvc0);
    // others are named.
    struct Port {
        std::string name;
        ByteBackend* backend = nullptr;
    };
    std::vector<Port> ports;
};

}  // namespace viv
