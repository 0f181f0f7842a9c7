// V: integer instructions whose operands differ in width, and reductions.
// Specification: RISC-V Unprivileged ISA 20240411, sections 31.11 and 31.14.
#pragma once

#include "engine/isa/riscv/rv_v_config.h"

namespace viv::riscv {

// Widening.
RISCV_V(vwaddu_vv, "vwaddu.vv", "110000 . ..... ..... 010 ..... 1010111", vwaddu)
RISCV_V(vwaddu_vx, "vwaddu.vx", "110000 . ..... ..... 110 ..... 1010111", vwaddu)
RISCV_V(vwadd_vv, "vwadd.vv", "110001 . ..... ..... 010 ..... 1010111", vwadd)
RISCV_V(vwadd_vx, "vwadd.vx", "110001 . ..... ..... 110 ..... 1010111", vwadd)
RISCV_V(vwsubu_vv, "vwsubu.vv", "110010 . ..... ..... 010 ..... 1010111", vwsubu)
RISCV_V(vwsubu_vx, "vwsubu.vx", "110010 . ..... ..... 110 ..... 1010111", vwsubu)
RISCV_V(vwsub_vv, "vwsub.vv", "110011 . ..... ..... 010 ..... 1010111", vwsub)
RISCV_V(vwsub_vx, "vwsub.vx", "110011 . ..... ..... 110 ..... 1010111", vwsub)
RISCV_V(vwaddu_wv, "vwaddu.wv", "110100 . ..... ..... 010 ..... 1010111", vwaddu_w)
RISCV_V(vwaddu_wx, "vwaddu.wx", "110100 . ..... ..... 110 ..... 1010111", vwaddu_w)
RISCV_V(vwadd_wv, "vwadd.wv", "110101 . ..... ..... 010 ..... 1010111", vwadd_w)
RISCV_V(vwadd_wx, "vwadd.wx", "110101 . ..... ..... 110 ..... 1010111", vwadd_w)
RISCV_V(vwsubu_wv, "vwsubu.wv", "110110 . ..... ..... 010 ..... 1010111", vwsubu_w)
RISCV_V(vwsubu_wx, "vwsubu.wx", "110110 . ..... ..... 110 ..... 1010111", vwsubu_w)
RISCV_V(vwsub_wv, "vwsub.wv", "110111 . ..... ..... 010 ..... 1010111", vwsub_w)
RISCV_V(vwsub_wx, "vwsub.wx", "110111 . ..... ..... 110 ..... 1010111", vwsub_w)
RISCV_V(vwmulu_vv, "vwmulu.vv", "111000 . ..... ..... 010 ..... 1010111", vwmulu)
RISCV_V(vwmulu_vx, "vwmulu.vx", "111000 . ..... ..... 110 ..... 1010111", vwmulu)
RISCV_V(vwmulsu_vv, "vwmulsu.vv", "111010 . ..... ..... 010 ..... 1010111", vwmulsu)
RISCV_V(vwmulsu_vx, "vwmulsu.vx", "111010 . ..... ..... 110 ..... 1010111", vwmulsu)
RISCV_V(vwmul_vv, "vwmul.vv", "111011 . ..... ..... 010 ..... 1010111", vwmul)
RISCV_V(vwmul_vx, "vwmul.vx", "111011 . ..... ..... 110 ..... 1010111", vwmul)
RISCV_V(vwmaccu_vv, "vwmaccu.vv", "111100 . ..... ..... 010 ..... 1010111", vwmaccu)
RISCV_V(vwmaccu_vx, "vwmaccu.vx", "111100 . ..... ..... 110 ..... 1010111", vwmaccu)
RISCV_V(vwmacc_vv, "vwmacc.vv", "111101 . ..... ..... 010 ..... 1010111", vwmacc)
RISCV_V(vwmacc_vx, "vwmacc.vx", "111101 . ..... ..... 110 ..... 1010111", vwmacc)
RISCV_V(vwmaccsu_vv, "vwmaccsu.vv", "111111 . ..... ..... 010 ..... 1010111", vwmaccsu)
RISCV_V(vwmaccsu_vx, "vwmaccsu.vx", "111111 . ..... ..... 110 ..... 1010111", vwmaccsu)
RISCV_V(vwmaccus_vx, "vwmaccus.vx", "111110 . ..... ..... 110 ..... 1010111", vwmaccus)

// Narrowing.
RISCV_V(vnsrl_wv, "vnsrl.wv", "101100 . ..... ..... 000 ..... 1010111", vnsrl)
RISCV_V(vnsrl_wx, "vnsrl.wx", "101100 . ..... ..... 100 ..... 1010111", vnsrl)
RISCV_V(vnsrl_wi, "vnsrl.wi", "101100 . ..... ..... 011 ..... 1010111", vnsrl)
RISCV_V(vnsra_wv, "vnsra.wv", "101101 . ..... ..... 000 ..... 1010111", vnsra)
RISCV_V(vnsra_wx, "vnsra.wx", "101101 . ..... ..... 100 ..... 1010111", vnsra)
RISCV_V(vnsra_wi, "vnsra.wi", "101101 . ..... ..... 011 ..... 1010111", vnsra)

// Extension.
RISCV_V(vzext_vf8, "vzext.vf8", "010010 . ..... 00010 010 ..... 1010111", vzext_vf8)
RISCV_V(vsext_vf8, "vsext.vf8", "010010 . ..... 00011 010 ..... 1010111", vsext_vf8)
RISCV_V(vzext_vf4, "vzext.vf4", "010010 . ..... 00100 010 ..... 1010111", vzext_vf4)
RISCV_V(vsext_vf4, "vsext.vf4", "010010 . ..... 00101 010 ..... 1010111", vsext_vf4)
RISCV_V(vzext_vf2, "vzext.vf2", "010010 . ..... 00110 010 ..... 1010111", vzext_vf2)
RISCV_V(vsext_vf2, "vsext.vf2", "010010 . ..... 00111 010 ..... 1010111", vsext_vf2)

// Reductions.
RISCV_V(vredsum_vs, "vredsum.vs", "000000 . ..... ..... 010 ..... 1010111", vredsum)
RISCV_V(vredand_vs, "vredand.vs", "000001 . ..... ..... 010 ..... 1010111", vredand)
RISCV_V(vredor_vs, "vredor.vs", "000010 . ..... ..... 010 ..... 1010111", vredor)
RISCV_V(vredxor_vs, "vredxor.vs", "000011 . ..... ..... 010 ..... 1010111", vredxor)
RISCV_V(vredminu_vs, "vredminu.vs", "000100 . ..... ..... 010 ..... 1010111", vredminu)
RISCV_V(vredmin_vs, "vredmin.vs", "000101 . ..... ..... 010 ..... 1010111", vredmin)
RISCV_V(vredmaxu_vs, "vredmaxu.vs", "000110 . ..... ..... 010 ..... 1010111", vredmaxu)
RISCV_V(vredmax_vs, "vredmax.vs", "000111 . ..... ..... 010 ..... 1010111", vredmax)
RISCV_V(vwredsumu_vs, "vwredsumu.vs", "110000 . ..... ..... 000 ..... 1010111", vwredsumu)
RISCV_V(vwredsum_vs, "vwredsum.vs", "110001 . ..... ..... 000 ..... 1010111", vwredsum)

using RvVWidening =
    Group<vwaddu_vv, vwaddu_vx, vwadd_vv, vwadd_vx, vwsubu_vv, vwsubu_vx, vwsub_vv, vwsub_vx, vwaddu_wv, vwaddu_wx,
          vwadd_wv, vwadd_wx, vwsubu_wv, vwsubu_wx, vwsub_wv, vwsub_wx, vwmulu_vv, vwmulu_vx, vwmulsu_vv, vwmulsu_vx,
          vwmul_vv, vwmul_vx, vwmaccu_vv, vwmaccu_vx, vwmacc_vv, vwmacc_vx, vwmaccsu_vv, vwmaccsu_vx, vwmaccus_vx,
          vnsrl_wv, vnsrl_wx, vnsrl_wi, vnsra_wv, vnsra_wx, vnsra_wi, vzext_vf8, vsext_vf8, vzext_vf4, vsext_vf4,
          vzext_vf2, vsext_vf2, vredsum_vs, vredand_vs, vredor_vs, vredxor_vs, vredminu_vs, vredmin_vs, vredmaxu_vs,
          vredmax_vs, vwredsumu_vs, vwredsum_vs>;

}  // namespace viv::riscv
