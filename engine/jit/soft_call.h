// A floating-point operation as generated code names it to softfloat: one number.
#pragma once

#include "engine/ir/ir.h"

namespace viv::jit {

struct SoftCall {
    ir::Op op = ir::Op::float_add;
    ir::Type type = ir::Type::i64;  // of the result, but of the operands for comparisons: Inst::type
    ir::Type from = ir::Type::i64;  // of the first operand
    ir::Rounding rounding = ir::Rounding::nearest_even;
    soft::NanRule nan_rule = soft::NanRule::canonical;
    soft::Tininess tininess = soft::Tininess::after_rounding;

    constexpr u32 pack() const {
        return static_cast<u32>(op) | static_cast<u32>(type) << 8 | static_cast<u32>(from) << 12 |
               static_cast<u32>(rounding) << 16 | static_cast<u32>(nan_rule) << 20 | static_cast<u32>(tininess) << 24;
    }
    static constexpr SoftCall unpack(u32 packed) {
        return {static_cast<ir::Op>(packed & 0xff),
                static_cast<ir::Type>(packed >> 8 & 15),
                static_cast<ir::Type>(packed >> 12 & 15),
                static_cast<ir::Rounding>(packed >> 16 & 15),
                static_cast<soft::NanRule>(packed >> 20 & 15),
                static_cast<soft::Tininess>(packed >> 24 & 15)};
    }
};

// The operation on as many of the operands as it has; what it raises is ORed into `flags`.
u64 compute(const SoftCall& call, u64 a, u64 b, u64 c, u8& flags);

}  // namespace viv::jit
