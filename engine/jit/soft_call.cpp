// See soft_call.h.
#include "engine/jit/soft_call.h"

#include "engine/ir/evaluate.h"
#include "engine/ir/op_info.h"

namespace viv::jit {

u64 compute(const SoftCall& call, u64 a, u64 b, u64 c, u8& flags) {
    soft::Environment environment{static_cast<soft::Rounding>(call.rounding), 0, call.nan_rule, call.tininess};
    u64 result = 0;
    switch (ir::info_of(call.op).shape) {
        case ir::Shape::float_compare:
            result = ir::evaluate_float_compare(call.op, call.type, environment, a, b);
            break;
        case ir::Shape::float_convert:
            result = static_cast<u64>(ir::evaluate_float_convert(call.op, call.type, call.from, environment, a));
            break;
        default: result = static_cast<u64>(ir::evaluate_float(call.op, call.type, environment, a, b, c)); break;
    }
    flags |= environment.flags;
    return result;
}

}  // namespace viv::jit
