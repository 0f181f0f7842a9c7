// V: integer instructions of one width.
// Specification: RISC-V Unprivileged ISA 20240411, section 31.11.
#pragma once

#include "engine/isa/riscv/rv_v_config.h"

namespace viv::riscv {

// Addition, logic, minimum and maximum, shifts.
RISCV_V(vadd_vv, "vadd.vv", "000000 . ..... ..... 000 ..... 1010111", vadd)
RISCV_V(vadd_vx, "vadd.vx", "000000 . ..... ..... 100 ..... 1010111", vadd)
RISCV_V(vadd_vi, "vadd.vi", "000000 . ..... ..... 011 ..... 1010111", vadd)
RISCV_V(vsub_vv, "vsub.vv", "000010 . ..... ..... 000 ..... 1010111", vsub)
RISCV_V(vsub_vx, "vsub.vx", "000010 . ..... ..... 100 ..... 1010111", vsub)
RISCV_V(vrsub_vx, "vrsub.vx", "000011 . ..... ..... 100 ..... 1010111", vrsub)
RISCV_V(vrsub_vi, "vrsub.vi", "000011 . ..... ..... 011 ..... 1010111", vrsub)
RISCV_V(vminu_vv, "vminu.vv", "000100 . ..... ..... 000 ..... 1010111", vminu)
RISCV_V(vminu_vx, "vminu.vx", "000100 . ..... ..... 100 ..... 1010111", vminu)
RISCV_V(vmin_vv, "vmin.vv", "000101 . ..... ..... 000 ..... 1010111", vmin)
RISCV_V(vmin_vx, "vmin.vx", "000101 . ..... ..... 100 ..... 1010111", vmin)
RISCV_V(vmaxu_vv, "vmaxu.vv", "000110 . ..... ..... 000 ..... 1010111", vmaxu)
RISCV_V(vmaxu_vx, "vmaxu.vx", "000110 . ..... ..... 100 ..... 1010111", vmaxu)
RISCV_V(vmax_vv, "vmax.vv", "000111 . ..... ..... 000 ..... 1010111", vmax)
RISCV_V(vmax_vx, "vmax.vx", "000111 . ..... ..... 100 ..... 1010111", vmax)
RISCV_V(vand_vv, "vand.vv", "001001 . ..... ..... 000 ..... 1010111", vand)
RISCV_V(vand_vx, "vand.vx", "001001 . ..... ..... 100 ..... 1010111", vand)
RISCV_V(vand_vi, "vand.vi", "001001 . ..... ..... 011 ..... 1010111", vand)
RISCV_V(vor_vv, "vor.vv", "001010 . ..... ..... 000 ..... 1010111", vor)
RISCV_V(vor_vx, "vor.vx", "001010 . ..... ..... 100 ..... 1010111", vor)
RISCV_V(vor_vi, "vor.vi", "001010 . ..... ..... 011 ..... 1010111", vor)
RISCV_V(vxor_vv, "vxor.vv", "001011 . ..... ..... 000 ..... 1010111", vxor)
RISCV_V(vxor_vx, "vxor.vx", "001011 . ..... ..... 100 ..... 1010111", vxor)
RISCV_V(vxor_vi, "vxor.vi", "001011 . ..... ..... 011 ..... 1010111", vxor)
RISCV_V(vsll_vv, "vsll.vv", "100101 . ..... ..... 000 ..... 1010111", vsll)
RISCV_V(vsll_vx, "vsll.vx", "100101 . ..... ..... 100 ..... 1010111", vsll)
RISCV_V(vsll_vi, "vsll.vi", "100101 . ..... ..... 011 ..... 1010111", vsll)
RISCV_V(vsrl_vv, "vsrl.vv", "101000 . ..... ..... 000 ..... 1010111", vsrl)
RISCV_V(vsrl_vx, "vsrl.vx", "101000 . ..... ..... 100 ..... 1010111", vsrl)
RISCV_V(vsrl_vi, "vsrl.vi", "101000 . ..... ..... 011 ..... 1010111", vsrl)
RISCV_V(vsra_vv, "vsra.vv", "101001 . ..... ..... 000 ..... 1010111", vsra)
RISCV_V(vsra_vx, "vsra.vx", "101001 . ..... ..... 100 ..... 1010111", vsra)
RISCV_V(vsra_vi, "vsra.vi", "101001 . ..... ..... 011 ..... 1010111", vsra)

// Carries. Bit 25 is 0 where v0 is the carry in.
RISCV_V(vadc_vvm, "vadc.vvm", "010000 0 ..... ..... 000 ..... 1010111", vadc)
RISCV_V(vadc_vxm, "vadc.vxm", "010000 0 ..... ..... 100 ..... 1010111", vadc)
RISCV_V(vadc_vim, "vadc.vim", "010000 0 ..... ..... 011 ..... 1010111", vadc)
RISCV_V(vmadc_vvm, "vmadc.vvm", "010001 0 ..... ..... 000 ..... 1010111", vmadc)
RISCV_V(vmadc_vxm, "vmadc.vxm", "010001 0 ..... ..... 100 ..... 1010111", vmadc)
RISCV_V(vmadc_vim, "vmadc.vim", "010001 0 ..... ..... 011 ..... 1010111", vmadc)
RISCV_V(vmadc_vv, "vmadc.vv", "010001 1 ..... ..... 000 ..... 1010111", vmadc)
RISCV_V(vmadc_vx, "vmadc.vx", "010001 1 ..... ..... 100 ..... 1010111", vmadc)
RISCV_V(vmadc_vi, "vmadc.vi", "010001 1 ..... ..... 011 ..... 1010111", vmadc)
RISCV_V(vsbc_vvm, "vsbc.vvm", "010010 0 ..... ..... 000 ..... 1010111", vsbc)
RISCV_V(vsbc_vxm, "vsbc.vxm", "010010 0 ..... ..... 100 ..... 1010111", vsbc)
RISCV_V(vmsbc_vvm, "vmsbc.vvm", "010011 0 ..... ..... 000 ..... 1010111", vmsbc)
RISCV_V(vmsbc_vxm, "vmsbc.vxm", "010011 0 ..... ..... 100 ..... 1010111", vmsbc)
RISCV_V(vmsbc_vv, "vmsbc.vv", "010011 1 ..... ..... 000 ..... 1010111", vmsbc)
RISCV_V(vmsbc_vx, "vmsbc.vx", "010011 1 ..... ..... 100 ..... 1010111", vmsbc)

// Merges and moves.
RISCV_V(vmerge_vvm, "vmerge.vvm", "010111 0 ..... ..... 000 ..... 1010111", vmerge)
RISCV_V(vmerge_vxm, "vmerge.vxm", "010111 0 ..... ..... 100 ..... 1010111", vmerge)
RISCV_V(vmerge_vim, "vmerge.vim", "010111 0 ..... ..... 011 ..... 1010111", vmerge)
RISCV_V(vmv_v_v, "vmv.v.v", "010111 1 00000 ..... 000 ..... 1010111", vmv_v)
RISCV_V(vmv_v_x, "vmv.v.x", "010111 1 00000 ..... 100 ..... 1010111", vmv_v)
RISCV_V(vmv_v_i, "vmv.v.i", "010111 1 00000 ..... 011 ..... 1010111", vmv_v)

// Comparisons.
RISCV_V(vmseq_vv, "vmseq.vv", "011000 . ..... ..... 000 ..... 1010111", vmseq)
RISCV_V(vmseq_vx, "vmseq.vx", "011000 . ..... ..... 100 ..... 1010111", vmseq)
RISCV_V(vmseq_vi, "vmseq.vi", "011000 . ..... ..... 011 ..... 1010111", vmseq)
RISCV_V(vmsne_vv, "vmsne.vv", "011001 . ..... ..... 000 ..... 1010111", vmsne)
RISCV_V(vmsne_vx, "vmsne.vx", "011001 . ..... ..... 100 ..... 1010111", vmsne)
RISCV_V(vmsne_vi, "vmsne.vi", "011001 . ..... ..... 011 ..... 1010111", vmsne)
RISCV_V(vmsltu_vv, "vmsltu.vv", "011010 . ..... ..... 000 ..... 1010111", vmsltu)
RISCV_V(vmsltu_vx, "vmsltu.vx", "011010 . ..... ..... 100 ..... 1010111", vmsltu)
RISCV_V(vmslt_vv, "vmslt.vv", "011011 . ..... ..... 000 ..... 1010111", vmslt)
RISCV_V(vmslt_vx, "vmslt.vx", "011011 . ..... ..... 100 ..... 1010111", vmslt)
RISCV_V(vmsleu_vv, "vmsleu.vv", "011100 . ..... ..... 000 ..... 1010111", vmsleu)
RISCV_V(vmsleu_vx, "vmsleu.vx", "011100 . ..... ..... 100 ..... 1010111", vmsleu)
RISCV_V(vmsleu_vi, "vmsleu.vi", "011100 . ..... ..... 011 ..... 1010111", vmsleu)
RISCV_V(vmsle_vv, "vmsle.vv", "011101 . ..... ..... 000 ..... 1010111", vmsle)
RISCV_V(vmsle_vx, "vmsle.vx", "011101 . ..... ..... 100 ..... 1010111", vmsle)
RISCV_V(vmsle_vi, "vmsle.vi", "011101 . ..... ..... 011 ..... 1010111", vmsle)
RISCV_V(vmsgtu_vx, "vmsgtu.vx", "011110 . ..... ..... 100 ..... 1010111", vmsgtu)
RISCV_V(vmsgtu_vi, "vmsgtu.vi", "011110 . ..... ..... 011 ..... 1010111", vmsgtu)
RISCV_V(vmsgt_vx, "vmsgt.vx", "011111 . ..... ..... 100 ..... 1010111", vmsgt)
RISCV_V(vmsgt_vi, "vmsgt.vi", "011111 . ..... ..... 011 ..... 1010111", vmsgt)

// Multiplication and division.
RISCV_V(vmulhu_vv, "vmulhu.vv", "100100 . ..... ..... 010 ..... 1010111", vmulhu)
RISCV_V(vmulhu_vx, "vmulhu.vx", "100100 . ..... ..... 110 ..... 1010111", vmulhu)
RISCV_V(vmul_vv, "vmul.vv", "100101 . ..... ..... 010 ..... 1010111", vmul)
RISCV_V(vmul_vx, "vmul.vx", "100101 . ..... ..... 110 ..... 1010111", vmul)
RISCV_V(vmulhsu_vv, "vmulhsu.vv", "100110 . ..... ..... 010 ..... 1010111", vmulhsu)
RISCV_V(vmulhsu_vx, "vmulhsu.vx", "100110 . ..... ..... 110 ..... 1010111", vmulhsu)
RISCV_V(vmulh_vv, "vmulh.vv", "100111 . ..... ..... 010 ..... 1010111", vmulh)
RISCV_V(vmulh_vx, "vmulh.vx", "100111 . ..... ..... 110 ..... 1010111", vmulh)
RISCV_V(vdivu_vv, "vdivu.vv", "100000 . ..... ..... 010 ..... 1010111", vdivu)
RISCV_V(vdivu_vx, "vdivu.vx", "100000 . ..... ..... 110 ..... 1010111", vdivu)
RISCV_V(vdiv_vv, "vdiv.vv", "100001 . ..... ..... 010 ..... 1010111", vdiv)
RISCV_V(vdiv_vx, "vdiv.vx", "100001 . ..... ..... 110 ..... 1010111", vdiv)
RISCV_V(vremu_vv, "vremu.vv", "100010 . ..... ..... 010 ..... 1010111", vremu)
RISCV_V(vremu_vx, "vremu.vx", "100010 . ..... ..... 110 ..... 1010111", vremu)
RISCV_V(vrem_vv, "vrem.vv", "100011 . ..... ..... 010 ..... 1010111", vrem)
RISCV_V(vrem_vx, "vrem.vx", "100011 . ..... ..... 110 ..... 1010111", vrem)
RISCV_V(vmadd_vv, "vmadd.vv", "101001 . ..... ..... 010 ..... 1010111", vmadd)
RISCV_V(vmadd_vx, "vmadd.vx", "101001 . ..... ..... 110 ..... 1010111", vmadd)
RISCV_V(vnmsub_vv, "vnmsub.vv", "101011 . ..... ..... 010 ..... 1010111", vnmsub)
RISCV_V(vnmsub_vx, "vnmsub.vx", "101011 . ..... ..... 110 ..... 1010111", vnmsub)
RISCV_V(vmacc_vv, "vmacc.vv", "101101 . ..... ..... 010 ..... 1010111", vmacc)
RISCV_V(vmacc_vx, "vmacc.vx", "101101 . ..... ..... 110 ..... 1010111", vmacc)
RISCV_V(vnmsac_vv, "vnmsac.vv", "101111 . ..... ..... 010 ..... 1010111", vnmsac)
RISCV_V(vnmsac_vx, "vnmsac.vx", "101111 . ..... ..... 110 ..... 1010111", vnmsac)

using RvVInteger =
    Group<vadd_vv, vadd_vx, vadd_vi, vsub_vv, vsub_vx, vrsub_vx, vrsub_vi, vminu_vv, vminu_vx, vmin_vv, vmin_vx,
          vmaxu_vv, vmaxu_vx, vmax_vv, vmax_vx, vand_vv, vand_vx, vand_vi, vor_vv, vor_vx, vor_vi, vxor_vv, vxor_vx,
          vxor_vi, vsll_vv, vsll_vx, vsll_vi, vsrl_vv, vsrl_vx, vsrl_vi, vsra_vv, vsra_vx, vsra_vi, vadc_vvm, vadc_vxm,
          vadc_vim, vmadc_vvm, vmadc_vxm, vmadc_vim, vmadc_vv, vmadc_vx, vmadc_vi, vsbc_vvm, vsbc_vxm, vmsbc_vvm,
          vmsbc_vxm, vmsbc_vv, vmsbc_vx, vmerge_vvm, vmerge_vxm, vmerge_vim, vmv_v_v, vmv_v_x, vmv_v_i, vmseq_vv,
          vmseq_vx, vmseq_vi, vmsne_vv, vmsne_vx, vmsne_vi, vmsltu_vv, vmsltu_vx, vmslt_vv, vmslt_vx, vmsleu_vv,
          vmsleu_vx, vmsleu_vi, vmsle_vv, vmsle_vx, vmsle_vi, vmsgtu_vx, vmsgtu_vi, vmsgt_vx, vmsgt_vi, vmulhu_vv,
          vmulhu_vx, vmul_vv, vmul_vx, vmulhsu_vv, vmulhsu_vx, vmulh_vv, vmulh_vx, vdivu_vv, vdivu_vx, vdiv_vv, vdiv_vx,
          vremu_vv, vremu_vx, vrem_vv, vrem_vx, vmadd_vv, vmadd_vx, vnmsub_vv, vnmsub_vx, vmacc_vv, vmacc_vx, vnmsac_vv,
          vnmsac_vx>;

}  // namespace viv::riscv
