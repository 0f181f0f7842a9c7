// V: floating-point instructions, binary16 (Zvfh) included.
// Specification: RISC-V Unprivileged ISA 20240411, sections 31.13, 31.14.3 and 31.16.2.
#pragma once

#include "engine/isa/riscv/rv_v_config.h"

namespace viv::riscv {

// Arithmetic.
RISCV_V(vfadd_vv, "vfadd.vv", "000000 . ..... ..... 001 ..... 1010111", vfadd)
RISCV_V(vfadd_vf, "vfadd.vf", "000000 . ..... ..... 101 ..... 1010111", vfadd)
RISCV_V(vfsub_vv, "vfsub.vv", "000010 . ..... ..... 001 ..... 1010111", vfsub)
RISCV_V(vfsub_vf, "vfsub.vf", "000010 . ..... ..... 101 ..... 1010111", vfsub)
RISCV_V(vfrsub_vf, "vfrsub.vf", "100111 . ..... ..... 101 ..... 1010111", vfrsub)
RISCV_V(vfmul_vv, "vfmul.vv", "100100 . ..... ..... 001 ..... 1010111", vfmul)
RISCV_V(vfmul_vf, "vfmul.vf", "100100 . ..... ..... 101 ..... 1010111", vfmul)
RISCV_V(vfdiv_vv, "vfdiv.vv", "100000 . ..... ..... 001 ..... 1010111", vfdiv)
RISCV_V(vfdiv_vf, "vfdiv.vf", "100000 . ..... ..... 101 ..... 1010111", vfdiv)
RISCV_V(vfrdiv_vf, "vfrdiv.vf", "100001 . ..... ..... 101 ..... 1010111", vfrdiv)
RISCV_V(vfmin_vv, "vfmin.vv", "000100 . ..... ..... 001 ..... 1010111", vfmin)
RISCV_V(vfmin_vf, "vfmin.vf", "000100 . ..... ..... 101 ..... 1010111", vfmin)
RISCV_V(vfmax_vv, "vfmax.vv", "000110 . ..... ..... 001 ..... 1010111", vfmax)
RISCV_V(vfmax_vf, "vfmax.vf", "000110 . ..... ..... 101 ..... 1010111", vfmax)
RISCV_V(vfsgnj_vv, "vfsgnj.vv", "001000 . ..... ..... 001 ..... 1010111", vfsgnj)
RISCV_V(vfsgnj_vf, "vfsgnj.vf", "001000 . ..... ..... 101 ..... 1010111", vfsgnj)
RISCV_V(vfsgnjn_vv, "vfsgnjn.vv", "001001 . ..... ..... 001 ..... 1010111", vfsgnjn)
RISCV_V(vfsgnjn_vf, "vfsgnjn.vf", "001001 . ..... ..... 101 ..... 1010111", vfsgnjn)
RISCV_V(vfsgnjx_vv, "vfsgnjx.vv", "001010 . ..... ..... 001 ..... 1010111", vfsgnjx)
RISCV_V(vfsgnjx_vf, "vfsgnjx.vf", "001010 . ..... ..... 101 ..... 1010111", vfsgnjx)
RISCV_V(vfsqrt_v, "vfsqrt.v", "010011 . ..... 00000 001 ..... 1010111", vfsqrt)
RISCV_V(vfrsqrt7_v, "vfrsqrt7.v", "010011 . ..... 00100 001 ..... 1010111", vfrsqrt7)
RISCV_V(vfrec7_v, "vfrec7.v", "010011 . ..... 00101 001 ..... 1010111", vfrec7)
RISCV_V(vfclass_v, "vfclass.v", "010011 . ..... 10000 001 ..... 1010111", vfclass)

// Multiply-add.
RISCV_V(vfmadd_vv, "vfmadd.vv", "101000 . ..... ..... 001 ..... 1010111", vfmadd)
RISCV_V(vfmadd_vf, "vfmadd.vf", "101000 . ..... ..... 101 ..... 1010111", vfmadd)
RISCV_V(vfnmadd_vv, "vfnmadd.vv", "101001 . ..... ..... 001 ..... 1010111", vfnmadd)
RISCV_V(vfnmadd_vf, "vfnmadd.vf", "101001 . ..... ..... 101 ..... 1010111", vfnmadd)
RISCV_V(vfmsub_vv, "vfmsub.vv", "101010 . ..... ..... 001 ..... 1010111", vfmsub)
RISCV_V(vfmsub_vf, "vfmsub.vf", "101010 . ..... ..... 101 ..... 1010111", vfmsub)
RISCV_V(vfnmsub_vv, "vfnmsub.vv", "101011 . ..... ..... 001 ..... 1010111", vfnmsub)
RISCV_V(vfnmsub_vf, "vfnmsub.vf", "101011 . ..... ..... 101 ..... 1010111", vfnmsub)
RISCV_V(vfmacc_vv, "vfmacc.vv", "101100 . ..... ..... 001 ..... 1010111", vfmacc)
RISCV_V(vfmacc_vf, "vfmacc.vf", "101100 . ..... ..... 101 ..... 1010111", vfmacc)
RISCV_V(vfnmacc_vv, "vfnmacc.vv", "101101 . ..... ..... 001 ..... 1010111", vfnmacc)
RISCV_V(vfnmacc_vf, "vfnmacc.vf", "101101 . ..... ..... 101 ..... 1010111", vfnmacc)
RISCV_V(vfmsac_vv, "vfmsac.vv", "101110 . ..... ..... 001 ..... 1010111", vfmsac)
RISCV_V(vfmsac_vf, "vfmsac.vf", "101110 . ..... ..... 101 ..... 1010111", vfmsac)
RISCV_V(vfnmsac_vv, "vfnmsac.vv", "101111 . ..... ..... 001 ..... 1010111", vfnmsac)
RISCV_V(vfnmsac_vf, "vfnmsac.vf", "101111 . ..... ..... 101 ..... 1010111", vfnmsac)

// Widening.
RISCV_V(vfwadd_vv, "vfwadd.vv", "110000 . ..... ..... 001 ..... 1010111", vfwadd)
RISCV_V(vfwadd_vf, "vfwadd.vf", "110000 . ..... ..... 101 ..... 1010111", vfwadd)
RISCV_V(vfwsub_vv, "vfwsub.vv", "110010 . ..... ..... 001 ..... 1010111", vfwsub)
RISCV_V(vfwsub_vf, "vfwsub.vf", "110010 . ..... ..... 101 ..... 1010111", vfwsub)
RISCV_V(vfwmul_vv, "vfwmul.vv", "111000 . ..... ..... 001 ..... 1010111", vfwmul)
RISCV_V(vfwmul_vf, "vfwmul.vf", "111000 . ..... ..... 101 ..... 1010111", vfwmul)
RISCV_V(vfwmacc_vv, "vfwmacc.vv", "111100 . ..... ..... 001 ..... 1010111", vfwmacc)
RISCV_V(vfwmacc_vf, "vfwmacc.vf", "111100 . ..... ..... 101 ..... 1010111", vfwmacc)
RISCV_V(vfwnmacc_vv, "vfwnmacc.vv", "111101 . ..... ..... 001 ..... 1010111", vfwnmacc)
RISCV_V(vfwnmacc_vf, "vfwnmacc.vf", "111101 . ..... ..... 101 ..... 1010111", vfwnmacc)
RISCV_V(vfwmsac_vv, "vfwmsac.vv", "111110 . ..... ..... 001 ..... 1010111", vfwmsac)
RISCV_V(vfwmsac_vf, "vfwmsac.vf", "111110 . ..... ..... 101 ..... 1010111", vfwmsac)
RISCV_V(vfwnmsac_vv, "vfwnmsac.vv", "111111 . ..... ..... 001 ..... 1010111", vfwnmsac)
RISCV_V(vfwnmsac_vf, "vfwnmsac.vf", "111111 . ..... ..... 101 ..... 1010111", vfwnmsac)
RISCV_V(vfwadd_wv, "vfwadd.wv", "110100 . ..... ..... 001 ..... 1010111", vfwadd_w)
RISCV_V(vfwadd_wf, "vfwadd.wf", "110100 . ..... ..... 101 ..... 1010111", vfwadd_w)
RISCV_V(vfwsub_wv, "vfwsub.wv", "110110 . ..... ..... 001 ..... 1010111", vfwsub_w)
RISCV_V(vfwsub_wf, "vfwsub.wf", "110110 . ..... ..... 101 ..... 1010111", vfwsub_w)

// Comparisons, merge, moves.
RISCV_V(vmfeq_vv, "vmfeq.vv", "011000 . ..... ..... 001 ..... 1010111", vmfeq)
RISCV_V(vmfeq_vf, "vmfeq.vf", "011000 . ..... ..... 101 ..... 1010111", vmfeq)
RISCV_V(vmfle_vv, "vmfle.vv", "011001 . ..... ..... 001 ..... 1010111", vmfle)
RISCV_V(vmfle_vf, "vmfle.vf", "011001 . ..... ..... 101 ..... 1010111", vmfle)
RISCV_V(vmflt_vv, "vmflt.vv", "011011 . ..... ..... 001 ..... 1010111", vmflt)
RISCV_V(vmflt_vf, "vmflt.vf", "011011 . ..... ..... 101 ..... 1010111", vmflt)
RISCV_V(vmfne_vv, "vmfne.vv", "011100 . ..... ..... 001 ..... 1010111", vmfne)
RISCV_V(vmfne_vf, "vmfne.vf", "011100 . ..... ..... 101 ..... 1010111", vmfne)
RISCV_V(vmfgt_vf, "vmfgt.vf", "011101 . ..... ..... 101 ..... 1010111", vmfgt)
RISCV_V(vmfge_vf, "vmfge.vf", "011111 . ..... ..... 101 ..... 1010111", vmfge)
RISCV_V(vfmerge_vfm, "vfmerge.vfm", "010111 0 ..... ..... 101 ..... 1010111", vfmerge)
RISCV_V(vfmv_v_f, "vfmv.v.f", "010111 1 00000 ..... 101 ..... 1010111", vfmv_v_f)
RISCV_V(vfmv_f_s, "vfmv.f.s", "010000 1 ..... 00000 001 ..... 1010111", vfmv_f_s)
RISCV_V(vfmv_s_f, "vfmv.s.f", "010000 1 00000 ..... 101 ..... 1010111", vfmv_s_f)

// Conversions.
RISCV_V(vfcvt_xu_f_v, "vfcvt.xu.f.v", "010010 . ..... 00000 001 ..... 1010111", vfcvt_xu_f)
RISCV_V(vfcvt_x_f_v, "vfcvt.x.f.v", "010010 . ..... 00001 001 ..... 1010111", vfcvt_x_f)
RISCV_V(vfcvt_f_xu_v, "vfcvt.f.xu.v", "010010 . ..... 00010 001 ..... 1010111", vfcvt_f_xu)
RISCV_V(vfcvt_f_x_v, "vfcvt.f.x.v", "010010 . ..... 00011 001 ..... 1010111", vfcvt_f_x)
RISCV_V(vfcvt_rtz_xu_f_v, "vfcvt.rtz.xu.f.v", "010010 . ..... 00110 001 ..... 1010111", vfcvt_rtz_xu_f)
RISCV_V(vfcvt_rtz_x_f_v, "vfcvt.rtz.x.f.v", "010010 . ..... 00111 001 ..... 1010111", vfcvt_rtz_x_f)
RISCV_V(vfwcvt_xu_f_v, "vfwcvt.xu.f.v", "010010 . ..... 01000 001 ..... 1010111", vfwcvt_xu_f)
RISCV_V(vfwcvt_x_f_v, "vfwcvt.x.f.v", "010010 . ..... 01001 001 ..... 1010111", vfwcvt_x_f)
RISCV_V(vfwcvt_f_xu_v, "vfwcvt.f.xu.v", "010010 . ..... 01010 001 ..... 1010111", vfwcvt_f_xu)
RISCV_V(vfwcvt_f_x_v, "vfwcvt.f.x.v", "010010 . ..... 01011 001 ..... 1010111", vfwcvt_f_x)
RISCV_V(vfwcvt_f_f_v, "vfwcvt.f.f.v", "010010 . ..... 01100 001 ..... 1010111", vfwcvt_f_f)
RISCV_V(vfwcvt_rtz_xu_f_v, "vfwcvt.rtz.xu.f.v", "010010 . ..... 01110 001 ..... 1010111", vfwcvt_rtz_xu_f)
RISCV_V(vfwcvt_rtz_x_f_v, "vfwcvt.rtz.x.f.v", "010010 . ..... 01111 001 ..... 1010111", vfwcvt_rtz_x_f)
RISCV_V(vfncvt_xu_f_w, "vfncvt.xu.f.w", "010010 . ..... 10000 001 ..... 1010111", vfncvt_xu_f)
RISCV_V(vfncvt_x_f_w, "vfncvt.x.f.w", "010010 . ..... 10001 001 ..... 1010111", vfncvt_x_f)
RISCV_V(vfncvt_f_xu_w, "vfncvt.f.xu.w", "010010 . ..... 10010 001 ..... 1010111", vfncvt_f_xu)
RISCV_V(vfncvt_f_x_w, "vfncvt.f.x.w", "010010 . ..... 10011 001 ..... 1010111", vfncvt_f_x)
RISCV_V(vfncvt_f_f_w, "vfncvt.f.f.w", "010010 . ..... 10100 001 ..... 1010111", vfncvt_f_f)
RISCV_V(vfncvt_rod_f_f_w, "vfncvt.rod.f.f.w", "010010 . ..... 10101 001 ..... 1010111", vfncvt_rod_f_f)
RISCV_V(vfncvt_rtz_xu_f_w, "vfncvt.rtz.xu.f.w", "010010 . ..... 10110 001 ..... 1010111", vfncvt_rtz_xu_f)
RISCV_V(vfncvt_rtz_x_f_w, "vfncvt.rtz.x.f.w", "010010 . ..... 10111 001 ..... 1010111", vfncvt_rtz_x_f)

// Reductions.
RISCV_V(vfredusum_vs, "vfredusum.vs", "000001 . ..... ..... 001 ..... 1010111", vfredsum)
RISCV_V(vfredosum_vs, "vfredosum.vs", "000011 . ..... ..... 001 ..... 1010111", vfredsum)
RISCV_V(vfredmin_vs, "vfredmin.vs", "000101 . ..... ..... 001 ..... 1010111", vfredmin)
RISCV_V(vfredmax_vs, "vfredmax.vs", "000111 . ..... ..... 001 ..... 1010111", vfredmax)
RISCV_V(vfwredusum_vs, "vfwredusum.vs", "110001 . ..... ..... 001 ..... 1010111", vfwredsum)
RISCV_V(vfwredosum_vs, "vfwredosum.vs", "110011 . ..... ..... 001 ..... 1010111", vfwredsum)

using RvVFloat =
    Group<vfadd_vv, vfadd_vf, vfsub_vv, vfsub_vf, vfrsub_vf, vfmul_vv, vfmul_vf, vfdiv_vv, vfdiv_vf, vfrdiv_vf,
          vfmin_vv, vfmin_vf, vfmax_vv, vfmax_vf, vfsgnj_vv, vfsgnj_vf, vfsgnjn_vv, vfsgnjn_vf, vfsgnjx_vv, vfsgnjx_vf,
          vfsqrt_v, vfrsqrt7_v, vfrec7_v, vfclass_v, vfmadd_vv, vfmadd_vf, vfnmadd_vv, vfnmadd_vf, vfmsub_vv, vfmsub_vf,
          vfnmsub_vv, vfnmsub_vf, vfmacc_vv, vfmacc_vf, vfnmacc_vv, vfnmacc_vf, vfmsac_vv, vfmsac_vf, vfnmsac_vv,
          vfnmsac_vf, vfwadd_vv, vfwadd_vf, vfwsub_vv, vfwsub_vf, vfwmul_vv, vfwmul_vf, vfwmacc_vv, vfwmacc_vf,
          vfwnmacc_vv, vfwnmacc_vf, vfwmsac_vv, vfwmsac_vf, vfwnmsac_vv, vfwnmsac_vf, vfwadd_wv, vfwadd_wf, vfwsub_wv,
          vfwsub_wf, vmfeq_vv, vmfeq_vf, vmfle_vv, vmfle_vf, vmflt_vv, vmflt_vf, vmfne_vv, vmfne_vf, vmfgt_vf, vmfge_vf,
          vfmerge_vfm, vfmv_v_f, vfmv_f_s, vfmv_s_f, vfcvt_xu_f_v, vfcvt_x_f_v, vfcvt_f_xu_v, vfcvt_f_x_v,
          vfcvt_rtz_xu_f_v, vfcvt_rtz_x_f_v, vfwcvt_xu_f_v, vfwcvt_x_f_v, vfwcvt_f_xu_v, vfwcvt_f_x_v, vfwcvt_f_f_v,
          vfwcvt_rtz_xu_f_v, vfwcvt_rtz_x_f_v, vfncvt_xu_f_w, vfncvt_x_f_w, vfncvt_f_xu_w, vfncvt_f_x_w, vfncvt_f_f_w,
          vfncvt_rod_f_f_w, vfncvt_rtz_xu_f_w, vfncvt_rtz_x_f_w, vfredusum_vs, vfredosum_vs, vfredmin_vs, vfredmax_vs,
          vfwredusum_vs, vfwredosum_vs>;

}  // namespace viv::riscv
