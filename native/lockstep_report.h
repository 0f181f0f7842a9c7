// A difference that `viv lockstep` has found, as text: where, what differs, the code around it in guest code, IR and
// host code. Promises: every number says what it counts; long lists are cut, and say so.
#pragma once

#include <array>
#include <functional>
#include <string>

#include "engine/control/lockstep/lockstep.h"

namespace viv::native {

// Host code as assembler text, a line an instruction; empty if there is nothing that can do it.
using HostDisassembler = std::function<std::string(std::span<const u8> code, u64 address)>;

// `names` are those of the two sides.
std::string difference_text(const lockstep::Difference& difference, const std::array<std::string, 2>& names,
                            const HostDisassembler& disassemble);

// With objdump, if this host has it and is an x86-64.
std::string disassemble_with_objdump(std::span<const u8> code, u64 address);

}  // namespace viv::native
