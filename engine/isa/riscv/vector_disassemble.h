// The text of vector instructions, as assemblers write it: "vlseg3e16.v" and "v4,(a0),v0.t".
#pragma once

#include <string>

#include "engine/lang/bits.h"

namespace viv::riscv::vector {

// `name` is the decode table's. Segment loads and stores have no names there: they are the plain ones with more fields.
std::string mnemonic(const char* name, u32 word);
std::string operands(const char* name, u32 word);

}  // namespace viv::riscv::vector
