// Modules of WebAssembly made at run time, beside the one that the engine is: they share its memory and its table of
// functions. Promises: what instantiate() has put into the table can be called at once, as a function pointer of the
// engine's own would be.
#pragma once

#include <span>

#include "engine/lang/bits.h"

namespace viv::host {

class WasmModules {
public:
    virtual ~WasmModules() = default;
    // A place in the table for one function, never 0; until it is filled, calling it traps.
    virtual u32 take_place() = 0;
    // Nobody will call it any more; the function is forgotten.
    virtual void give_place(u32 place) = 0;
    // Compiles a module that imports the memory "e" "m" and the table "e" "t" and fills places of it. False: the host
    // refuses it.
    virtual bool instantiate(std::span<const u8> module) = 0;
};

}  // namespace viv::host
