// See soft_call.h.
#include "engine/jit/x64/soft_call.h"

namespace viv::jit::x64 {

void soft_call(u64* values, u32 packed, u8* flags) {
    values[0] = compute(SoftCall::unpack(packed), values[0], values[1], values[2], *flags);
}

}  // namespace viv::jit::x64
