// The rows of each area, for the catalogue. One function a file of this folder.
#pragma once

#include "engine/control/commands/command.h"

namespace viv::commands {

std::span<const Command> machine_rows();
std::span<const Command> snapshot_rows();
std::span<const Command> cpu_rows();
std::span<const Command> memory_rows();
std::span<const Command> device_rows();
std::span<const Command> translator_rows();
std::span<const Command> monitor_rows();

}  // namespace viv::commands
