// The backends there are, by the architecture of the host.
#pragma once

#include <memory>

#include "engine/exec/exec.h"
#include "engine/exec/translation.h"
#include "engine/host/code_memory.h"
#include "engine/jit/tiers.h"
#include "engine/lang/result.h"

namespace viv::jit {

// Whether there is a backend that makes code for it.
bool has_backend(host::Architecture architecture);

// A translator for one vCPU, `engine` and `guest` being its two sides, which outlive it; null if the memory is for an
// architecture that no backend makes code for. Fails if there is no memory.
Result<std::unique_ptr<exec::Translator>> make_translator(const Options& options, exec::Engine& engine,
                                                          exec::Translatable& guest, host::CodeMemory& memory);

}  // namespace viv::jit
