// The translation caches of one address space and mode, for mmu.cpp and hart.cpp only.
#pragma once

#include "engine/isa/riscv/hart.h"

namespace viv::riscv {

struct Hart::Context {
    u64 satp = 0;        // 0: not translated
    u64 mode = ~u64{0};  // privilege, and SUM and MXR for data; ~0: unused
    u64 last_use = 0;
    Tlb tlb;
    exec::FetchTable fetch;
    exec::JumpTable jumps;
    u64 jumps_mode = ~u64{0};  // the translation mode that `jumps` is for
};

}  // namespace viv::riscv
