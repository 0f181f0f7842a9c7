// From a DeviceSpec to a logical unit on a bus: `scsi-hd,bus=scsi0,scsi-id=1,lun=0` and `scsi-cd`.
// Promises: an unknown property, a bad value, a missing disk or a taken place is one line that names it; nothing is
// taken from the spec then.
#pragma once

#include "engine/dev/device_spec.h"
#include "engine/dev/scsi/bus.h"

namespace viv::scsi {

// The name of the bus that the spec asks for; empty: the first that there is.
std::string bus_name(const DeviceSpec& spec);

Result<void> attach(Bus& bus, DeviceSpec& spec);

}  // namespace viv::scsi
