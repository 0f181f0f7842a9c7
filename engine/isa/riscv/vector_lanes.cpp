// What every element-wise vector instruction does around its kernel; see vector_lanes.h.
// Specification: RISC-V Unprivileged ISA 20240411, sections 31.10 (arithmetic formats) and 31.13 (NaN boxing of scalar
// operands).
#include "engine/isa/riscv/vector_lanes.h"

namespace viv::riscv::vector {

u64 float_scalar(const Operation& o, unsigned number) {
    const u64 value = o.hart.s.f[number];
    switch (o.sew) {
        case 1: return value >> 16 == low_mask(48) ? value & 0xffff : soft::canonical_nan<u16>();
        case 2: return value >> 32 == low_mask(32) ? value & 0xffff'ffff : soft::canonical_nan<u32>();
        default: return value;
    }
}

void run_lanes(const Operation& o, Kernel kernel, Lanes& l, Second second) {
    l.d = o.reg(o.vd);
    l.a = o.reg(o.vs2);
    l.mask = o.mask();
    l.start = o.start;
    l.end = o.vl;
    if (second == Second::vs1) {
        l.b = o.reg(o.vs1);
        kernel(l);
        return;
    }
    u64 value = 0;
    if (second == Second::float_)
        value = float_scalar(o, o.vs1);
    else if (second != Second::none) {
        if (o.form() != Form::vi)
            value = static_cast<u64>(o.x_signed(o.vs1));
        else if (second == Second::simm5)
            value = static_cast<u64>(o.signed_immediate());
        else
            value = o.vs1 | (second == Second::uimm6 ? o.word >> 26 & 1 : 0) << 5;
    }
    const Repeated scalar(value, o.sew);
    l.b = scalar.bytes;
    l.b_step = 0;
    kernel(l);
}

void note_float_flags(const Operation& o, const Lanes& l) {
    if (l.env.flags == 0) return;
    o.hart.s.fflags |= l.env.flags;
    o.hart.fp_dirty();
}

}  // namespace viv::riscv::vector
