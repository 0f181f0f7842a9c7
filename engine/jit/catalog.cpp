// See catalog.h.
#include "engine/jit/catalog.h"

// A backend is compiled where its code can run: its layouts of the vCPU are those of its own host.
#ifdef __wasm__
#define VIV_BACKENDS_OF_WASM 1
#include "engine/jit/wasm/backend.h"
#else
#include "engine/jit/x64/backend.h"
#endif

namespace viv::jit {

#ifdef VIV_BACKENDS_OF_WASM

bool has_backend(host::Architecture architecture) { return architecture == host::Architecture::wasm; }

Result<std::unique_ptr<exec::Translator>> make_translator(const Options& options, exec::Engine& engine,
                                                          exec::Translatable& guest, host::CodeMemory& memory) {
    if (!has_backend(memory.architecture())) return std::unique_ptr<exec::Translator>{};
    TRY_SET(auto block, memory.allocate(options.cache_bytes));
    return std::unique_ptr<exec::Translator>(std::make_unique<Tiers>(
        options, engine, guest, wasm::make_backend(guest, *memory.wasm_modules(), options.batch), std::move(block)));
}

#else

bool has_backend(host::Architecture architecture) { return architecture == host::Architecture::x64; }

Result<std::unique_ptr<exec::Translator>> make_translator(const Options& options, exec::Engine& engine,
                                                          exec::Translatable& guest, host::CodeMemory& memory) {
    std::unique_ptr<Backend> backend;
    switch (memory.architecture()) {
        case host::Architecture::x64: backend = x64::make_backend(guest, memory.x64_features()); break;
        case host::Architecture::wasm:
        case host::Architecture::other: return std::unique_ptr<exec::Translator>{};
    }
    TRY_SET(auto block, memory.allocate(options.cache_bytes));
    return std::unique_ptr<exec::Translator>(
        std::make_unique<Tiers>(options, engine, guest, std::move(backend), std::move(block)));
}

#endif

}  // namespace viv::jit
