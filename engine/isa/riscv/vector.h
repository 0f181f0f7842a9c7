// The V extension's helpers: every vector instruction is a call of one of these from its body in rv_v*.h (but see
// build_lanes.h).
// Promises: a helper checks the whole encoding against vtype, does the instruction, clears vstart and marks VS dirty,
// and returns true; or it delivers a trap and returns false, leaving vstart at the element to go on with. One helper
// serves all forms (.vv, .vx, .vi ...) of an operation.
// Elements that the specification calls agnostic are left undisturbed. Specification: RISC-V Unprivileged ISA 20240411,
// chapter 31 (V 1.0).
#pragma once

#include "engine/lang/bits.h"

namespace viv::riscv {
class Hart;
}

namespace viv::riscv::vector {

using Helper = bool(Hart&, u32 word);

// Configuration (vector_config.cpp)
Helper set_vl;  // vsetvli, vsetivli, vsetvl

// Loads and stores (vector_memory.cpp); the number of fields of a segment is in the word.
Helper load_unit, store_unit, load_mask, store_mask, load_whole, store_whole, load_fault_first;
Helper load_strided, store_strided, load_indexed, store_indexed;

// Integer, single width (vector_integer.cpp, vector_multiply.cpp)
Helper vadd, vsub, vrsub, vand, vor, vxor, vminu, vmin, vmaxu, vmax, vsll, vsrl, vsra;
Helper vadc, vmadc, vsbc, vmsbc, vmerge, vmv_v;
Helper vmul, vmulh, vmulhu, vmulhsu, vdivu, vdiv, vremu, vrem, vmacc, vnmsac, vmadd, vnmsub;
// Comparisons (vector_compare.cpp)
Helper vmseq, vmsne, vmsltu, vmslt, vmsleu, vmsle, vmsgtu, vmsgt;
// Widening and narrowing (vector_widening.cpp); _w takes an operand that is wide already.
Helper vwaddu, vwadd, vwsubu, vwsub, vwaddu_w, vwadd_w, vwsubu_w, vwsub_w, vwmulu, vwmulsu, vwmul;
Helper vwmaccu, vwmacc, vwmaccus, vwmaccsu, vnsrl, vnsra, vzext_vf2, vzext_vf4, vzext_vf8, vsext_vf2, vsext_vf4,
    vsext_vf8;
// Fixed point (vector_fixed.cpp)
Helper vsaddu, vsadd, vssubu, vssub, vaaddu, vaadd, vasubu, vasub, vsmul, vssrl, vssra, vnclipu, vnclip;
// Reductions (vector_reduce.cpp)
Helper vredsum, vredand, vredor, vredxor, vredminu, vredmin, vredmaxu, vredmax, vwredsumu, vwredsum;
Helper vfredsum, vfredmin, vfredmax, vfwredsum;  // sums are in order, which the unordered ones allow

// Floating point (vector_float*.cpp)
Helper vfadd, vfsub, vfrsub, vfmul, vfdiv, vfrdiv, vfmin, vfmax, vfsgnj, vfsgnjn, vfsgnjx, vfsqrt, vfrsqrt7, vfrec7,
    vfclass;
Helper vfmacc, vfnmacc, vfmsac, vfnmsac, vfmadd, vfnmadd, vfmsub, vfnmsub, vfwmacc, vfwnmacc, vfwmsac, vfwnmsac;
Helper vfwadd, vfwsub, vfwmul, vfwadd_w, vfwsub_w;
Helper vmfeq, vmfne, vmflt, vmfle, vmfgt, vmfge, vfmerge, vfmv_v_f, vfmv_f_s, vfmv_s_f;
Helper vfcvt_xu_f, vfcvt_x_f, vfcvt_f_xu, vfcvt_f_x, vfcvt_rtz_xu_f, vfcvt_rtz_x_f;
Helper vfwcvt_xu_f, vfwcvt_x_f, vfwcvt_f_xu, vfwcvt_f_x, vfwcvt_f_f, vfwcvt_rtz_xu_f, vfwcvt_rtz_x_f;
Helper vfncvt_xu_f, vfncvt_x_f, vfncvt_f_xu, vfncvt_f_x, vfncvt_f_f, vfncvt_rod_f_f, vfncvt_rtz_xu_f, vfncvt_rtz_x_f;

// Masks (vector_mask.cpp)
Helper vmand, vmnand, vmandn, vmxor, vmor, vmnor, vmorn, vmxnor, vcpop_m, vfirst, vmsbf, vmsif, vmsof, viota, vid;

// Permutations (vector_permute.cpp)
Helper vmv_x_s, vmv_s_x, vslideup, vslidedown, vslide1up, vslide1down, vfslide1up, vfslide1down;
Helper vrgather, vrgatherei16, vcompress, vmv_whole;

// Zvbb, Zvkb, Zvbc (vector_bits.cpp)
Helper vandn, vbrev, vbrev8, vrev8, vclz, vctz, vcpop_v, vrol, vror, vror_i, vwsll, vclmul, vclmulh;

}  // namespace viv::riscv::vector
