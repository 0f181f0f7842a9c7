// V 1.0: what all vector instructions are made of, and the instructions that set vl and vtype.
// Every vector instruction is one helper: vtype is state, so its meaning is known only when it runs. Where a block says
// what vtype is, build_lanes.cpp writes some as IR instead of the call.
// Specification: RISC-V Unprivileged ISA 20240411, section 31.6.
#pragma once

#include "engine/isa/riscv/formats.h"
#include "engine/isa/riscv/vector.h"

namespace viv::riscv {

#define RISCV_V(name, text, pattern, function)                                                    \
    struct name : Instruction<text, pattern, WordFields, Operands::vector> {                      \
        static void run(auto& e, Fields f) { e.template helper<vector::function>(text, f.word); } \
    };

RISCV_V(vsetvli, "vsetvli", "0 ........... ..... 111 ..... 1010111", set_vl)
RISCV_V(vsetivli, "vsetivli", "11 .......... ..... 111 ..... 1010111", set_vl)
RISCV_V(vsetvl, "vsetvl", "1000000 ..... ..... 111 ..... 1010111", set_vl)

using RvVConfig = Group<vsetvli, vsetivli, vsetvl>;

}  // namespace viv::riscv
