// A fused multiply-add of doubles by the host's additions and multiplications, for hosts without that instruction.
// Promises: the correctly rounded result (to nearest even) of a * b + c, on bit patterns, where it raises no exception
// but "inexact"; nothing where that is not certain, which of numbers of ordinary size it is. The host must round to
// nearest even.
// Method: S. Boldo, G. Melquiond, "Emulation of FMA and correctly rounded sums", IEEE Transactions on Computers 57(4).
#pragma once

#include <optional>

#include "engine/lang/bits.h"

namespace viv::jit {

std::optional<u64> fused_mul_add(u64 a, u64 b, u64 c);

}  // namespace viv::jit
