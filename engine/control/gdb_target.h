// What gdb is told about the machine: the target description and the list of threads, both XML, from the CPUs'
// registers. Specification: GDB manual, "Target Descriptions" and "Remote Protocol: Thread List Format".
#pragma once

#include <string>

#include "engine/isa/cpu.h"

namespace viv::gdb {

std::string target_xml(const Cpu& cpu);
std::string threads_xml(std::span<Cpu* const> cpus);
// The text for `info threads`.
std::string thread_text(const Cpu& cpu);
// How many registers the `g` packet holds: those from number 0 on without a gap.
unsigned general_registers(const Cpu& cpu);

}  // namespace viv::gdb
