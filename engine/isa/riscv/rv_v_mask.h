// V: mask instructions.
// Specification: RISC-V Unprivileged ISA 20240411, section 31.15.
#pragma once

#include "engine/isa/riscv/rv_v_config.h"

namespace viv::riscv {

RISCV_V(vmandn_mm, "vmandn.mm", "011000 1 ..... ..... 010 ..... 1010111", vmandn)
RISCV_V(vmand_mm, "vmand.mm", "011001 1 ..... ..... 010 ..... 1010111", vmand)
RISCV_V(vmor_mm, "vmor.mm", "011010 1 ..... ..... 010 ..... 1010111", vmor)
RISCV_V(vmxor_mm, "vmxor.mm", "011011 1 ..... ..... 010 ..... 1010111", vmxor)
RISCV_V(vmorn_mm, "vmorn.mm", "011100 1 ..... ..... 010 ..... 1010111", vmorn)
RISCV_V(vmnand_mm, "vmnand.mm", "011101 1 ..... ..... 010 ..... 1010111", vmnand)
RISCV_V(vmnor_mm, "vmnor.mm", "011110 1 ..... ..... 010 ..... 1010111", vmnor)
RISCV_V(vmxnor_mm, "vmxnor.mm", "011111 1 ..... ..... 010 ..... 1010111", vmxnor)
RISCV_V(vcpop_m, "vcpop.m", "010000 . ..... 10000 010 ..... 1010111", vcpop_m)
RISCV_V(vfirst_m, "vfirst.m", "010000 . ..... 10001 010 ..... 1010111", vfirst)
RISCV_V(vmsbf_m, "vmsbf.m", "010100 . ..... 00001 010 ..... 1010111", vmsbf)
RISCV_V(vmsof_m, "vmsof.m", "010100 . ..... 00010 010 ..... 1010111", vmsof)
RISCV_V(vmsif_m, "vmsif.m", "010100 . ..... 00011 010 ..... 1010111", vmsif)
RISCV_V(viota_m, "viota.m", "010100 . ..... 10000 010 ..... 1010111", viota)
RISCV_V(vid_v, "vid.v", "010100 . 00000 10001 010 ..... 1010111", vid)

using RvVMask = Group<vmandn_mm, vmand_mm, vmor_mm, vmxor_mm, vmorn_mm, vmnand_mm, vmnor_mm, vmxnor_mm, vcpop_m,
                      vfirst_m, vmsbf_m, vmsof_m, vmsif_m, viota_m, vid_v>;

}  // namespace viv::riscv
