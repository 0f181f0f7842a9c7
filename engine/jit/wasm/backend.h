// The backend for WebAssembly: a region becomes a function of a module made at run time.
#pragma once

#include <memory>

#include "engine/host/wasm_modules.h"
#include "engine/jit/backend.h"

namespace viv::jit::wasm {

// For one vCPU, `guest`; both outlive it. `batch`: how many translations may wait to become one module.
std::unique_ptr<Backend> make_backend(exec::Translatable& guest, host::WasmModules& modules, unsigned batch);

}  // namespace viv::jit::wasm
