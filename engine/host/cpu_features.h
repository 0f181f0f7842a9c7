// What the processor that runs generated code can do beyond its architecture's baseline. The host asks its processor;
// the engine never does.
#pragma once

#include "engine/lang/bits.h"

namespace viv::host {

// Beyond SSE2, which every x86-64 has.
struct X64Features {
    bool sse3 = false;
    bool ssse3 = false;
    bool sse41 = false;
    bool sse42 = false;
    bool popcnt = false;
    bool lzcnt = false;
    bool movbe = false;
    bool bmi1 = false;  // tzcnt too
    bool bmi2 = false;
    bool cx16 = false;
    bool pclmul = false;
    bool avx = false;  // the system saves ymm registers too
    bool avx2 = false;
    bool fma = false;
    bool f16c = false;
};

enum class Architecture : u8 { other, x64, wasm };

}  // namespace viv::host
