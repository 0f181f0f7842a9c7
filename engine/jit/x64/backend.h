// The x86-64 backend.
#pragma once

#include <memory>

#include "engine/jit/backend.h"
#include "engine/jit/x64/operands.h"

namespace viv::jit::x64 {

// For one vCPU, `guest`, which outlives it. Code runs only on a host that has `features`.
std::unique_ptr<Backend> make_backend(exec::Translatable& guest, const CpuFeatures& features);

}  // namespace viv::jit::x64
