// Memory for code that is made at run time. Promises: no page of it is ever writable and executable through the same
// address: the host maps it twice, once for writing and once for execution.
#pragma once

#include <memory>
#include <string_view>

#include "engine/host/cpu_features.h"
#include "engine/host/wasm_modules.h"
#include "engine/lang/bits.h"
#include "engine/lang/result.h"

namespace viv::host {

// Owns both mappings; released on destruction. What is written is seen by execution at once (hosts whose instruction
// caches are not coherent must be told with synchronize()).
class CodeBlock {
public:
    virtual ~CodeBlock() = default;
    virtual u8* writable() = 0;
    virtual const u8* executable() = 0;
    virtual u64 size() const = 0;
    virtual void synchronize(u64 offset, u64 size) = 0;
    // For the host's profiler: what lies there from now on is called `name`.
    virtual void name(u64 /*offset*/, u64 /*size*/, std::string_view /*name*/) {}
};

class CodeMemory {
public:
    virtual ~CodeMemory() = default;
    // What code in this memory has to be.
    virtual Architecture architecture() const = 0;
    virtual X64Features x64_features() const = 0;  // if that is Architecture::x64
    // If that is Architecture::wasm: where code from this memory becomes functions. Outlives what is allocated here.
    virtual WasmModules* wasm_modules() { return nullptr; }
    // `size` is a multiple of 4096; pages cost nothing until they are written. Fails with a message that says why.
    virtual Result<std::unique_ptr<CodeBlock>> allocate(u64 size) = 0;
};

}  // namespace viv::host
