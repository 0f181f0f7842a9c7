// V: fixed-point instructions.
// Specification: RISC-V Unprivileged ISA 20240411, section 31.12.
#pragma once

#include "engine/isa/riscv/rv_v_config.h"

namespace viv::riscv {

RISCV_V(vsaddu_vv, "vsaddu.vv", "100000 . ..... ..... 000 ..... 1010111", vsaddu)
RISCV_V(vsaddu_vx, "vsaddu.vx", "100000 . ..... ..... 100 ..... 1010111", vsaddu)
RISCV_V(vsaddu_vi, "vsaddu.vi", "100000 . ..... ..... 011 ..... 1010111", vsaddu)
RISCV_V(vsadd_vv, "vsadd.vv", "100001 . ..... ..... 000 ..... 1010111", vsadd)
RISCV_V(vsadd_vx, "vsadd.vx", "100001 . ..... ..... 100 ..... 1010111", vsadd)
RISCV_V(vsadd_vi, "vsadd.vi", "100001 . ..... ..... 011 ..... 1010111", vsadd)
RISCV_V(vssubu_vv, "vssubu.vv", "100010 . ..... ..... 000 ..... 1010111", vssubu)
RISCV_V(vssubu_vx, "vssubu.vx", "100010 . ..... ..... 100 ..... 1010111", vssubu)
RISCV_V(vssub_vv, "vssub.vv", "100011 . ..... ..... 000 ..... 1010111", vssub)
RISCV_V(vssub_vx, "vssub.vx", "100011 . ..... ..... 100 ..... 1010111", vssub)
RISCV_V(vsmul_vv, "vsmul.vv", "100111 . ..... ..... 000 ..... 1010111", vsmul)
RISCV_V(vsmul_vx, "vsmul.vx", "100111 . ..... ..... 100 ..... 1010111", vsmul)
RISCV_V(vssrl_vv, "vssrl.vv", "101010 . ..... ..... 000 ..... 1010111", vssrl)
RISCV_V(vssrl_vx, "vssrl.vx", "101010 . ..... ..... 100 ..... 1010111", vssrl)
RISCV_V(vssrl_vi, "vssrl.vi", "101010 . ..... ..... 011 ..... 1010111", vssrl)
RISCV_V(vssra_vv, "vssra.vv", "101011 . ..... ..... 000 ..... 1010111", vssra)
RISCV_V(vssra_vx, "vssra.vx", "101011 . ..... ..... 100 ..... 1010111", vssra)
RISCV_V(vssra_vi, "vssra.vi", "101011 . ..... ..... 011 ..... 1010111", vssra)
RISCV_V(vaaddu_vv, "vaaddu.vv", "001000 . ..... ..... 010 ..... 1010111", vaaddu)
RISCV_V(vaaddu_vx, "vaaddu.vx", "001000 . ..... ..... 110 ..... 1010111", vaaddu)
RISCV_V(vaadd_vv, "vaadd.vv", "001001 . ..... ..... 010 ..... 1010111", vaadd)
RISCV_V(vaadd_vx, "vaadd.vx", "001001 . ..... ..... 110 ..... 1010111", vaadd)
RISCV_V(vasubu_vv, "vasubu.vv", "001010 . ..... ..... 010 ..... 1010111", vasubu)
RISCV_V(vasubu_vx, "vasubu.vx", "001010 . ..... ..... 110 ..... 1010111", vasubu)
RISCV_V(vasub_vv, "vasub.vv", "001011 . ..... ..... 010 ..... 1010111", vasub)
RISCV_V(vasub_vx, "vasub.vx", "001011 . ..... ..... 110 ..... 1010111", vasub)
RISCV_V(vnclipu_wv, "vnclipu.wv", "101110 . ..... ..... 000 ..... 1010111", vnclipu)
RISCV_V(vnclipu_wx, "vnclipu.wx", "101110 . ..... ..... 100 ..... 1010111", vnclipu)
RISCV_V(vnclipu_wi, "vnclipu.wi", "101110 . ..... ..... 011 ..... 1010111", vnclipu)
RISCV_V(vnclip_wv, "vnclip.wv", "101111 . ..... ..... 000 ..... 1010111", vnclip)
RISCV_V(vnclip_wx, "vnclip.wx", "101111 . ..... ..... 100 ..... 1010111", vnclip)
RISCV_V(vnclip_wi, "vnclip.wi", "101111 . ..... ..... 011 ..... 1010111", vnclip)

using RvVFixed = Group<vsaddu_vv, vsaddu_vx, vsaddu_vi, vsadd_vv, vsadd_vx, vsadd_vi, vssubu_vv, vssubu_vx, vssub_vv,
                       vssub_vx, vsmul_vv, vsmul_vx, vssrl_vv, vssrl_vx, vssrl_vi, vssra_vv, vssra_vx, vssra_vi,
                       vaaddu_vv, vaaddu_vx, vaadd_vv, vaadd_vx, vasubu_vv, vasubu_vx, vasub_vv, vasub_vx, vnclipu_wv,
                       vnclipu_wx, vnclipu_wi, vnclip_wv, vnclip_wx, vnclip_wi>;

}  // namespace viv::riscv
