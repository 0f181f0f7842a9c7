// V: loads and stores.
// Specification: RISC-V Unprivileged ISA 20240411, section 31.7.
#pragma once

#include "engine/isa/riscv/rv_v_config.h"

namespace viv::riscv {

// Unit-stride. Bits 31 to 29 are the fields of a segment less one: these are the vlseg and vsseg instructions too.
RISCV_V(vle8_v, "vle8.v", "... 0 00 . 00000 ..... 000 ..... 0000111", load_unit)
RISCV_V(vle16_v, "vle16.v", "... 0 00 . 00000 ..... 101 ..... 0000111", load_unit)
RISCV_V(vle32_v, "vle32.v", "... 0 00 . 00000 ..... 110 ..... 0000111", load_unit)
RISCV_V(vle64_v, "vle64.v", "... 0 00 . 00000 ..... 111 ..... 0000111", load_unit)
RISCV_V(vse8_v, "vse8.v", "... 0 00 . 00000 ..... 000 ..... 0100111", store_unit)
RISCV_V(vse16_v, "vse16.v", "... 0 00 . 00000 ..... 101 ..... 0100111", store_unit)
RISCV_V(vse32_v, "vse32.v", "... 0 00 . 00000 ..... 110 ..... 0100111", store_unit)
RISCV_V(vse64_v, "vse64.v", "... 0 00 . 00000 ..... 111 ..... 0100111", store_unit)
RISCV_V(vle8ff_v, "vle8ff.v", "... 0 00 . 10000 ..... 000 ..... 0000111", load_fault_first)
RISCV_V(vle16ff_v, "vle16ff.v", "... 0 00 . 10000 ..... 101 ..... 0000111", load_fault_first)
RISCV_V(vle32ff_v, "vle32ff.v", "... 0 00 . 10000 ..... 110 ..... 0000111", load_fault_first)
RISCV_V(vle64ff_v, "vle64ff.v", "... 0 00 . 10000 ..... 111 ..... 0000111", load_fault_first)
RISCV_V(vlm_v, "vlm.v", "000 0 00 1 01011 ..... 000 ..... 0000111", load_mask)
RISCV_V(vsm_v, "vsm.v", "000 0 00 1 01011 ..... 000 ..... 0100111", store_mask)

// Strided, segments included.
RISCV_V(vlse8_v, "vlse8.v", "... 0 10 . ..... ..... 000 ..... 0000111", load_strided)
RISCV_V(vlse16_v, "vlse16.v", "... 0 10 . ..... ..... 101 ..... 0000111", load_strided)
RISCV_V(vlse32_v, "vlse32.v", "... 0 10 . ..... ..... 110 ..... 0000111", load_strided)
RISCV_V(vlse64_v, "vlse64.v", "... 0 10 . ..... ..... 111 ..... 0000111", load_strided)
RISCV_V(vsse8_v, "vsse8.v", "... 0 10 . ..... ..... 000 ..... 0100111", store_strided)
RISCV_V(vsse16_v, "vsse16.v", "... 0 10 . ..... ..... 101 ..... 0100111", store_strided)
RISCV_V(vsse32_v, "vsse32.v", "... 0 10 . ..... ..... 110 ..... 0100111", store_strided)
RISCV_V(vsse64_v, "vsse64.v", "... 0 10 . ..... ..... 111 ..... 0100111", store_strided)

// Indexed, segments included; all are done in order.
RISCV_V(vluxei8_v, "vluxei8.v", "... 0 01 . ..... ..... 000 ..... 0000111", load_indexed)
RISCV_V(vluxei16_v, "vluxei16.v", "... 0 01 . ..... ..... 101 ..... 0000111", load_indexed)
RISCV_V(vluxei32_v, "vluxei32.v", "... 0 01 . ..... ..... 110 ..... 0000111", load_indexed)
RISCV_V(vluxei64_v, "vluxei64.v", "... 0 01 . ..... ..... 111 ..... 0000111", load_indexed)
RISCV_V(vloxei8_v, "vloxei8.v", "... 0 11 . ..... ..... 000 ..... 0000111", load_indexed)
RISCV_V(vloxei16_v, "vloxei16.v", "... 0 11 . ..... ..... 101 ..... 0000111", load_indexed)
RISCV_V(vloxei32_v, "vloxei32.v", "... 0 11 . ..... ..... 110 ..... 0000111", load_indexed)
RISCV_V(vloxei64_v, "vloxei64.v", "... 0 11 . ..... ..... 111 ..... 0000111", load_indexed)
RISCV_V(vsuxei8_v, "vsuxei8.v", "... 0 01 . ..... ..... 000 ..... 0100111", store_indexed)
RISCV_V(vsuxei16_v, "vsuxei16.v", "... 0 01 . ..... ..... 101 ..... 0100111", store_indexed)
RISCV_V(vsuxei32_v, "vsuxei32.v", "... 0 01 . ..... ..... 110 ..... 0100111", store_indexed)
RISCV_V(vsuxei64_v, "vsuxei64.v", "... 0 01 . ..... ..... 111 ..... 0100111", store_indexed)
RISCV_V(vsoxei8_v, "vsoxei8.v", "... 0 11 . ..... ..... 000 ..... 0100111", store_indexed)
RISCV_V(vsoxei16_v, "vsoxei16.v", "... 0 11 . ..... ..... 101 ..... 0100111", store_indexed)
RISCV_V(vsoxei32_v, "vsoxei32.v", "... 0 11 . ..... ..... 110 ..... 0100111", store_indexed)
RISCV_V(vsoxei64_v, "vsoxei64.v", "... 0 11 . ..... ..... 111 ..... 0100111", store_indexed)

// Whole registers.
RISCV_V(vl1re8_v, "vl1re8.v", "000 0 00 1 01000 ..... 000 ..... 0000111", load_whole)
RISCV_V(vl1re16_v, "vl1re16.v", "000 0 00 1 01000 ..... 101 ..... 0000111", load_whole)
RISCV_V(vl1re32_v, "vl1re32.v", "000 0 00 1 01000 ..... 110 ..... 0000111", load_whole)
RISCV_V(vl1re64_v, "vl1re64.v", "000 0 00 1 01000 ..... 111 ..... 0000111", load_whole)
RISCV_V(vl2re8_v, "vl2re8.v", "001 0 00 1 01000 ..... 000 ..... 0000111", load_whole)
RISCV_V(vl2re16_v, "vl2re16.v", "001 0 00 1 01000 ..... 101 ..... 0000111", load_whole)
RISCV_V(vl2re32_v, "vl2re32.v", "001 0 00 1 01000 ..... 110 ..... 0000111", load_whole)
RISCV_V(vl2re64_v, "vl2re64.v", "001 0 00 1 01000 ..... 111 ..... 0000111", load_whole)
RISCV_V(vl4re8_v, "vl4re8.v", "011 0 00 1 01000 ..... 000 ..... 0000111", load_whole)
RISCV_V(vl4re16_v, "vl4re16.v", "011 0 00 1 01000 ..... 101 ..... 0000111", load_whole)
RISCV_V(vl4re32_v, "vl4re32.v", "011 0 00 1 01000 ..... 110 ..... 0000111", load_whole)
RISCV_V(vl4re64_v, "vl4re64.v", "011 0 00 1 01000 ..... 111 ..... 0000111", load_whole)
RISCV_V(vl8re8_v, "vl8re8.v", "111 0 00 1 01000 ..... 000 ..... 0000111", load_whole)
RISCV_V(vl8re16_v, "vl8re16.v", "111 0 00 1 01000 ..... 101 ..... 0000111", load_whole)
RISCV_V(vl8re32_v, "vl8re32.v", "111 0 00 1 01000 ..... 110 ..... 0000111", load_whole)
RISCV_V(vl8re64_v, "vl8re64.v", "111 0 00 1 01000 ..... 111 ..... 0000111", load_whole)
RISCV_V(vs1r_v, "vs1r.v", "000 0 00 1 01000 ..... 000 ..... 0100111", store_whole)
RISCV_V(vs2r_v, "vs2r.v", "001 0 00 1 01000 ..... 000 ..... 0100111", store_whole)
RISCV_V(vs4r_v, "vs4r.v", "011 0 00 1 01000 ..... 000 ..... 0100111", store_whole)
RISCV_V(vs8r_v, "vs8r.v", "111 0 00 1 01000 ..... 000 ..... 0100111", store_whole)

using RvVMemory =
    Group<vle8_v, vle16_v, vle32_v, vle64_v, vse8_v, vse16_v, vse32_v, vse64_v, vle8ff_v, vle16ff_v, vle32ff_v,
          vle64ff_v, vlm_v, vsm_v, vlse8_v, vlse16_v, vlse32_v, vlse64_v, vsse8_v, vsse16_v, vsse32_v, vsse64_v,
          vluxei8_v, vluxei16_v, vluxei32_v, vluxei64_v, vloxei8_v, vloxei16_v, vloxei32_v, vloxei64_v, vsuxei8_v,
          vsuxei16_v, vsuxei32_v, vsuxei64_v, vsoxei8_v, vsoxei16_v, vsoxei32_v, vsoxei64_v, vl1re8_v, vl1re16_v,
          vl1re32_v, vl1re64_v, vl2re8_v, vl2re16_v, vl2re32_v, vl2re64_v, vl4re8_v, vl4re16_v, vl4re32_v, vl4re64_v,
          vl8re8_v, vl8re16_v, vl8re32_v, vl8re64_v, vs1r_v, vs2r_v, vs4r_v, vs8r_v>;

}  // namespace viv::riscv
