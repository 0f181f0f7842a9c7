// Zvbb, Zvkb: bit manipulation on vectors. Zvbc: carry-less multiplication.
// Specification: RISC-V Unprivileged ISA 20240411, chapter 32, sections 32.2.1 to 32.2.3.
#pragma once

#include "engine/isa/riscv/rv_v_config.h"

namespace viv::riscv {

// Zvbb and its subset Zvkb.
RISCV_V(vandn_vv, "vandn.vv", "000001 . ..... ..... 000 ..... 1010111", vandn)
RISCV_V(vandn_vx, "vandn.vx", "000001 . ..... ..... 100 ..... 1010111", vandn)
RISCV_V(vbrev8_v, "vbrev8.v", "010010 . ..... 01000 010 ..... 1010111", vbrev8)
RISCV_V(vrev8_v, "vrev8.v", "010010 . ..... 01001 010 ..... 1010111", vrev8)
RISCV_V(vbrev_v, "vbrev.v", "010010 . ..... 01010 010 ..... 1010111", vbrev)
RISCV_V(vclz_v, "vclz.v", "010010 . ..... 01100 010 ..... 1010111", vclz)
RISCV_V(vctz_v, "vctz.v", "010010 . ..... 01101 010 ..... 1010111", vctz)
RISCV_V(vcpop_v, "vcpop.v", "010010 . ..... 01110 010 ..... 1010111", vcpop_v)
RISCV_V(vrol_vv, "vrol.vv", "010101 . ..... ..... 000 ..... 1010111", vrol)
RISCV_V(vrol_vx, "vrol.vx", "010101 . ..... ..... 100 ..... 1010111", vrol)
RISCV_V(vror_vv, "vror.vv", "010100 . ..... ..... 000 ..... 1010111", vror)
RISCV_V(vror_vx, "vror.vx", "010100 . ..... ..... 100 ..... 1010111", vror)
RISCV_V(vror_vi, "vror.vi", "01010. . ..... ..... 011 ..... 1010111", vror_i)
RISCV_V(vwsll_vv, "vwsll.vv", "110101 . ..... ..... 000 ..... 1010111", vwsll)
RISCV_V(vwsll_vx, "vwsll.vx", "110101 . ..... ..... 100 ..... 1010111", vwsll)
RISCV_V(vwsll_vi, "vwsll.vi", "110101 . ..... ..... 011 ..... 1010111", vwsll)

using RvVbb = Group<vandn_vv, vandn_vx, vbrev8_v, vrev8_v, vbrev_v, vclz_v, vctz_v, vcpop_v, vrol_vv, vrol_vx, vror_vv,
                    vror_vx, vror_vi, vwsll_vv, vwsll_vx, vwsll_vi>;

// Zvbc, elements of 64 bits only.
RISCV_V(vclmul_vv, "vclmul.vv", "001100 . ..... ..... 010 ..... 1010111", vclmul)
RISCV_V(vclmul_vx, "vclmul.vx", "001100 . ..... ..... 110 ..... 1010111", vclmul)
RISCV_V(vclmulh_vv, "vclmulh.vv", "001101 . ..... ..... 010 ..... 1010111", vclmulh)
RISCV_V(vclmulh_vx, "vclmulh.vx", "001101 . ..... ..... 110 ..... 1010111", vclmulh)

using RvVbc = Group<vclmul_vv, vclmul_vx, vclmulh_vv, vclmulh_vx>;

}  // namespace viv::riscv
