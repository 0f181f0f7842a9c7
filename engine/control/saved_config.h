// From a saved machine's head to the configuration of a machine that it can be opened into.
// Promises: nothing of the host's is opened or asked for; the head is taken as it is, so that whoever has limits for
// memory and CPUs checks what comes out.
#pragma once

#include <span>
#include <vector>

#include "engine/control/machine.h"

namespace viv {

// Everything but devices and serials, with Start::empty.
MachineConfig config_of(Machine::SavedHead head);

// The same devices again, with nothing behind them: cables lead nowhere, and nobody is at the ports. An error for disks
// and folders, without which no guest can go on; `who` cannot give them: "a page".
Result<std::vector<DeviceSpec>> plug_detached(std::span<const PluggedDevice> devices, std::string_view who);

}  // namespace viv
