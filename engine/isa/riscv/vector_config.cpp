// vsetvli, vsetivli, vsetvl: the vector length and type.
// Promises: vl = min(AVL, VLMAX); an unsupported type sets vill, clears the rest of vtype and makes vl 0.
// Specification: RISC-V Unprivileged ISA 20240411, sections 31.3.4 (vtype) and 31.6 (configuration-setting
// instructions).
#include <algorithm>

#include "engine/isa/riscv/vector_unit.h"

namespace viv::riscv::vector {

namespace {

constexpr u64 vill = u64{1} << 63;

}  // namespace

bool set_vl(Hart& hart, u32 word) {
    if (!hart.vector_on()) return hart.raise_illegal();
    const Operation o(hart, word);
    u64 vtype = 0;
    bool immediate_length = false;
    if (word >> 31 == 0)
        vtype = immediate_vtype(word);  // vsetvli
    else if (word >> 30 == 3) {         // vsetivli
        vtype = immediate_vtype(word);
        immediate_length = true;
    } else
        vtype = o.x_unsigned(o.vs2);
    const u32 vlmax = vlmax_of(vtype, hart.vlen_bytes());
    u64 length = 0;
    if (immediate_length)
        length = o.vs1;
    else if (o.vs1 != 0)
        length = o.x_unsigned(o.vs1);
    else
        length = o.vd != 0 ? ~u64{0} : hart.s.vl;
    hart.s.vl = std::min<u64>(length, vlmax);
    hart.s.vtype = vlmax != 0 ? vtype : vill;
    o.set_x(hart.s.vl);
    return o.done();
}

}  // namespace viv::riscv::vector
