// What generated code calls for floating-point operations that the host does not do alike.
#pragma once

#include "engine/jit/soft_call.h"

namespace viv::jit::x64 {

// values[0] = the operation on values[0..2], which `packed` names (SoftCall); what it raises is ORed into `flags`.
void soft_call(u64* values, u32 packed, u8* flags);

}  // namespace viv::jit::x64
