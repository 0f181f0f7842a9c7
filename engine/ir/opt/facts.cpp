// What is known of a value from the instruction that makes it: which bits can be set at all, and from which bit on all
// are copies of the sign.
#include <algorithm>

#include "engine/ir/opt/draft.h"
#include "engine/mem/guest_memory.h"

namespace viv::ir::opt {

namespace {

unsigned width_of_ones(u64 ones) { return static_cast<unsigned>(std::bit_width(ones)); }

// How many low bits a number of type `type` can be sign-extended from.
unsigned signed_width_of(Type type, u64 value) {
    const u64 extended = static_cast<u64>(sign_extend(value, bits_of(type)));
    return 65 - static_cast<unsigned>(std::countl_zero(bit(extended, 63) ? ~extended : extended));
}

u64 shifted_right_signed(Type type, u64 ones, unsigned count) {
    return static_cast<u64>(sign_extend(ones, bits_of(type)) >> count) & mask_of(type);
}

}  // namespace

Facts facts_of(const Draft& draft, const Inst& inst) {
    const Type type = quick_result_type(inst);
    const unsigned width = bits_of(type);
    const u64 mask = mask_of(type);
    Facts facts{.ones = mask, .type = type, .signed_width = static_cast<u8>(width)};
    if (type == Type::i1 || width > 64) return facts;

    const auto operand = [&](ValueId id) -> const Facts& { return draft.facts(id); };
    u64 ones = mask;
    unsigned signed_width = width;
    switch (inst.op) {
        case Op::constant:
            ones = inst.imm;
            signed_width = signed_width_of(type, inst.imm);
            break;
        case Op::address: ones = ~page_mask | (inst.imm & page_mask); break;
        case Op::zext: ones = operand(inst.a).ones; break;
        case Op::sext: {
            const Facts& a = operand(inst.a);
            ones = static_cast<u64>(sign_extend(a.ones, bits_of(a.type))) & mask;
            signed_width = a.signed_width;
            break;
        }
        case Op::trunc:
            ones = operand(inst.a).ones & mask;
            signed_width = std::min<unsigned>(operand(inst.a).signed_width, width);
            break;
        case Op::not_: signed_width = operand(inst.a).signed_width; break;
        case Op::neg: signed_width = operand(inst.a).signed_width + 1u; break;
        case Op::clz:
        case Op::ctz:
        case Op::popcount: ones = low_mask(width_of_ones(width)); break;
        case Op::and_:
            ones = operand(inst.a).ones & operand(inst.b).ones;
            signed_width = std::max(operand(inst.a).signed_width, operand(inst.b).signed_width);
            break;
        case Op::or_:
        case Op::xor_:
        case Op::minu:
        case Op::maxu:
        case Op::mins:
        case Op::maxs:
            ones = operand(inst.a).ones | operand(inst.b).ones;
            signed_width = std::max(operand(inst.a).signed_width, operand(inst.b).signed_width);
            break;
        case Op::select:
            ones = operand(inst.b).ones | operand(inst.c).ones;
            signed_width = std::max(operand(inst.b).signed_width, operand(inst.c).signed_width);
            break;
        case Op::add: {
            const unsigned bits =
                std::max(width_of_ones(operand(inst.a).ones), width_of_ones(operand(inst.b).ones)) + 1;
            ones = low_mask(std::min(bits, width));
            signed_width = std::max(operand(inst.a).signed_width, operand(inst.b).signed_width) + 1u;
            break;
        }
        case Op::sub: signed_width = std::max(operand(inst.a).signed_width, operand(inst.b).signed_width) + 1u; break;
        case Op::mul: {
            const unsigned bits = width_of_ones(operand(inst.a).ones) + width_of_ones(operand(inst.b).ones);
            ones = low_mask(std::min(bits, width));
            signed_width = operand(inst.a).signed_width + operand(inst.b).signed_width;
            break;
        }
        case Op::remu: ones = low_mask(width_of_ones(operand(inst.a).ones)); break;
        case Op::shl:
            if (draft[inst.b].op != Op::constant) break;
            {
                const unsigned count = static_cast<unsigned>(draft[inst.b].imm) & (width - 1);
                ones = operand(inst.a).ones << count & mask;
                signed_width = operand(inst.a).signed_width + count;
            }
            break;
        case Op::shr:
            ones = draft[inst.b].op == Op::constant ? operand(inst.a).ones >> (draft[inst.b].imm & (width - 1))
                                                    : low_mask(width_of_ones(operand(inst.a).ones));
            break;
        case Op::sar: {
            const Facts& a = operand(inst.a);
            signed_width = a.signed_width;
            if (draft[inst.b].op == Op::constant) {
                const unsigned count = static_cast<unsigned>(draft[inst.b].imm) & (width - 1);
                ones = shifted_right_signed(type, a.ones, count);
                signed_width = signed_width > count ? signed_width - count : 1;
            } else if ((a.ones & sign_of(type)) == 0) {
                ones = low_mask(width_of_ones(a.ones));
            }
            break;
        }
        case Op::float_classify: ones = low_mask(10); break;
        default: return facts;
    }
    facts.ones = ones;
    // A value without its upper bits is its own sign extension from one bit more.
    facts.signed_width = static_cast<u8>(std::min({signed_width, width_of_ones(ones) + 1, width}));
    return facts;
}

}  // namespace viv::ir::opt
