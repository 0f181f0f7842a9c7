// See soft_call.h.
#include "engine/jit/x64/soft_call.h"

#include "engine/ir/evaluate.h"
#include "engine/ir/op_info.h"

namespace viv::jit::x64 {

void soft_call(u64* values, u32 packed, u8* flags) {
    const SoftCall call = SoftCall::unpack(packed);
    soft::Environment environment{static_cast<soft::Rounding>(call.rounding), 0, call.nan_rule, call.tininess};
    switch (ir::info_of(call.op).shape) {
        case ir::Shape::float_compare:
            values[0] = ir::evaluate_float_compare(call.op, call.type, environment, values[0], values[1]);
            break;
        case ir::Shape::float_convert:
            values[0] =
                static_cast<u64>(ir::evaluate_float_convert(call.op, call.type, call.from, environment, values[0]));
            break;
        default:
            values[0] =
                static_cast<u64>(ir::evaluate_float(call.op, call.type, environment, values[0], values[1], values[2]));
            break;
    }
    *flags |= environment.flags;
}

}  // namespace viv::jit::x64
