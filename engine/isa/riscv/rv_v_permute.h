// V: permutations.
// Specification: RISC-V Unprivileged ISA 20240411, section 31.16.
#pragma once

#include "engine/isa/riscv/rv_v_config.h"

namespace viv::riscv {

RISCV_V(vmv_x_s, "vmv.x.s", "010000 1 ..... 00000 010 ..... 1010111", vmv_x_s)
RISCV_V(vmv_s_x, "vmv.s.x", "010000 1 00000 ..... 110 ..... 1010111", vmv_s_x)
RISCV_V(vslideup_vx, "vslideup.vx", "001110 . ..... ..... 100 ..... 1010111", vslideup)
RISCV_V(vslideup_vi, "vslideup.vi", "001110 . ..... ..... 011 ..... 1010111", vslideup)
RISCV_V(vslidedown_vx, "vslidedown.vx", "001111 . ..... ..... 100 ..... 1010111", vslidedown)
RISCV_V(vslidedown_vi, "vslidedown.vi", "001111 . ..... ..... 011 ..... 1010111", vslidedown)
RISCV_V(vslide1up_vx, "vslide1up.vx", "001110 . ..... ..... 110 ..... 1010111", vslide1up)
RISCV_V(vslide1down_vx, "vslide1down.vx", "001111 . ..... ..... 110 ..... 1010111", vslide1down)
RISCV_V(vfslide1up_vf, "vfslide1up.vf", "001110 . ..... ..... 101 ..... 1010111", vfslide1up)
RISCV_V(vfslide1down_vf, "vfslide1down.vf", "001111 . ..... ..... 101 ..... 1010111", vfslide1down)
RISCV_V(vrgather_vv, "vrgather.vv", "001100 . ..... ..... 000 ..... 1010111", vrgather)
RISCV_V(vrgather_vx, "vrgather.vx", "001100 . ..... ..... 100 ..... 1010111", vrgather)
RISCV_V(vrgather_vi, "vrgather.vi", "001100 . ..... ..... 011 ..... 1010111", vrgather)
RISCV_V(vrgatherei16_vv, "vrgatherei16.vv", "001110 . ..... ..... 000 ..... 1010111", vrgatherei16)
RISCV_V(vcompress_vm, "vcompress.vm", "010111 1 ..... ..... 010 ..... 1010111", vcompress)
RISCV_V(vmv1r_v, "vmv1r.v", "100111 1 ..... 00000 011 ..... 1010111", vmv_whole)
RISCV_V(vmv2r_v, "vmv2r.v", "100111 1 ..... 00001 011 ..... 1010111", vmv_whole)
RISCV_V(vmv4r_v, "vmv4r.v", "100111 1 ..... 00011 011 ..... 1010111", vmv_whole)
RISCV_V(vmv8r_v, "vmv8r.v", "100111 1 ..... 00111 011 ..... 1010111", vmv_whole)

using RvVPermute = Group<vmv_x_s, vmv_s_x, vslideup_vx, vslideup_vi, vslidedown_vx, vslidedown_vi, vslide1up_vx,
                         vslide1down_vx, vfslide1up_vf, vfslide1down_vf, vrgather_vv, vrgather_vx, vrgather_vi,
                         vrgatherei16_vv, vcompress_vm, vmv1r_v, vmv2r_v, vmv4r_v, vmv8r_v>;

}  // namespace viv::riscv
