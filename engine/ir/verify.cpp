// The verifier behind verify.h.
#include "engine/ir/verify.h"

#include <fmt/format.h>

#include "engine/ir/effects.h"
#include "engine/ir/evaluate.h"
#include "engine/ir/print.h"

namespace viv::ir {

namespace {

// Lanes, or elements, in one piece: more than any guest has.
constexpr u64 largest_transfer = 4096;

constexpr bool is_integer(Type type) { return type >= Type::i8 && type <= Type::i128; }
constexpr bool is_format(Type type) { return type == Type::i16 || type == Type::i32 || type == Type::i64; }
constexpr bool is_format_or_byte(Type type) { return type == Type::i8 || is_format(type); }

class Verifier {
public:
    Verifier(const Block& block, const SlotTable& slots) : block_(block), slots_(slots) {}

    Result<void> run() {
        TRY(float_units());
        if (block_.code.empty()) return Error{"IR block: it has no instruction"};
        if (block_.code.front().op != Op::guest) return Error{"IR block: the first instruction is not 'guest'"};
        for (at_ = 0; at_ < block_.code.size(); at_++) {
            const Inst& inst = block_.code[at_];
            if (static_cast<usize>(inst.op) >= op_count) return wrong("is no operation");
            if (static_cast<usize>(inst.type) >= type_names.size()) return wrong("has no type");
            const bool last = at_ + 1 == block_.code.size();
            if (is_terminator(inst.op) != last)
                return wrong(last ? "ends the block but is no terminator" : "is a terminator amid the block");
            TRY(operands_defined(inst));
            TRY(types(inst));
            TRY(incidentals(inst));
            TRY(order(inst));
        }
        return {};
    }

private:
    Error wrong(std::string_view what) const {
        return Error{
            fmt::format("IR instruction {} ({}) {}", at_, print_line(block_, static_cast<ValueId>(at_), slots_), what)};
    }

    Result<void> float_units() const {
        for (const FloatUnit& unit : block_.float_units) {
            const auto byte = [&](u64 offset) {
                const Slot* slot = slots_.at(offset);
                return slot != nullptr && slot->type == Type::i8;
            };
            if (!byte(unit.flags)) return Error{"IR block: a float unit's flags are not a slot of type i8"};
            if (unit.rounding != FloatUnit::no_slot && !byte(unit.rounding))
                return Error{"IR block: a float unit's rounding mode is not a slot of type i8"};
            if (unit.nan_rule > soft::NanRule::signaling_first || unit.tininess > soft::Tininess::before_rounding)
                return Error{"IR block: a float unit has an unknown rule"};
        }
        return {};
    }

    Result<void> operands_defined(const Inst& inst) const {
        if (inst.op == Op::call && inst.imm >= block_.calls.size()) return wrong("names no call of the block");
        bool defined = true;
        for_each_operand(block_, inst,
                         [&](ValueId id) { defined = defined && id < at_ && makes_value(block_.code[id].op); });
        if (!defined) return wrong("uses a value that is not made before it");
        const unsigned count = info_of(inst.op).operands;
        const ValueId all[] = {inst.a, inst.b, inst.c};
        for (unsigned i = count; i < 3; i++)
            if (all[i] != no_value) return wrong("has too many operands");
        return {};
    }

    Type of(ValueId id) const { return result_type(block_.code[id]); }
    Result<void> want(bool condition, std::string_view what) const {
        if (!condition) return wrong(what);
        return {};
    }
    Result<void> same(const Inst& inst, Type type, unsigned count) const {
        const ValueId all[] = {inst.a, inst.b, inst.c};
        for (unsigned i = 0; i < count; i++)
            if (of(all[i]) != type) return wrong(fmt::format("has an operand that is no {}", name_of(type)));
        return {};
    }

    Result<void> types(const Inst& inst) const {
        const Shape shape = info_of(inst.op).shape;
        switch (shape) {
            case Shape::unary:
            case Shape::binary:
            case Shape::compare:
                TRY(want(is_integer(inst.type) || (inst.type == Type::i1 && is_logical(inst.op)),
                         "has no meaning for this type"));
                TRY(want(inst.type != Type::i128 || !is_high_half(inst.op), "has no meaning for this type"));
                return same(inst, inst.type, info_of(inst.op).operands);
            case Shape::float_unary:
            case Shape::float_binary:
            case Shape::float_ternary:
            case Shape::float_compare:
                TRY(want(is_format(inst.type), "has no meaning for this type"));
                return same(inst, inst.type, info_of(inst.op).operands);
            case Shape::float_convert: return conversion(inst);
            case Shape::constant: {
                const u128 value = u128{inst.imm2} << 64 | inst.imm;
                TRY(want(inst.type != Type::none, "has no type"));
                return want(truncate(inst.type, value) == value, "is too large for its type");
            }
            case Shape::address: return want(inst.type == Type::i64, "is not an i64");
            case Shape::convert: {
                const unsigned from = bits_of(of(inst.a)), to = bits_of(inst.type);
                if (inst.op == Op::trunc) return want(to >= 8 && to < from, "does not narrow to 8 bits or more");
                return want(to > from && (inst.op == Op::zext || from >= 8), "does not widen an integer");
            }
            case Shape::select:
                TRY(want(inst.type != Type::none, "has no type"));
                TRY(want(of(inst.a) == Type::i1, "has a condition that is no i1"));
                return want(of(inst.b) == inst.type && of(inst.c) == inst.type, "chooses among values of another type");
            case Shape::lanes: {
                const Type lane = lane_type(inst);
                TRY(want(inst.type == Type::i128, "is no vector"));
                TRY(want(is_lane_type(lane), "has no lanes of this type"));
                TRY(want(inst.imm < op_count && is_lane_operation(static_cast<Op>(inst.imm)),
                         "names no operation on lanes"));
                TRY(same(inst, Type::i128, 1));
                const Type second = is_shift(static_cast<Op>(inst.imm)) ? lane : Type::i128;
                return want(of(inst.b) == second, "has a second operand of another type");
            }
            case Shape::splat:
                TRY(want(inst.type == Type::i128, "is no vector"));
                return want(is_lane_type(of(inst.a)), "has no lanes of this type");
            case Shape::lane_mask:
                TRY(want(inst.type == Type::i128, "is no vector"));
                TRY(want(lane_type(inst) == Type::i1 || is_lane_type(lane_type(inst)), "has no lanes of this type"));
                TRY(want(inst.imm < largest_transfer, "begins beyond all lanes"));
                return same(inst, Type::i64, 1);
            case Shape::expand_bits:
            case Shape::insert_bits:
                TRY(want(inst.type == Type::i128, "is no vector"));
                TRY(want(is_lane_type(lane_type(inst)), "has no lanes of this type"));
                TRY(want(inst.imm < 128 && inst.imm % lane_count(lane_type(inst)) == 0,
                         "begins at a bit that is no multiple of the lanes"));
                return same(inst, Type::i128, info_of(inst.op).operands);
            case Shape::transfer_lanes: {
                TRY(want(is_lane_type(inst.type), "has no elements of this type"));
                TRY(want(inst.imm2 > 0 && inst.imm2 <= largest_transfer, "moves nothing, or too much"));
                for (u64 at = 0; at < transferred(inst); at += bytes_of(Type::i128)) {
                    const Slot* slot = slots_.at(inst.imm + at);
                    TRY(want(slot != nullptr && slot->type == Type::i128, "reaches what is no slot of a vector"));
                }
                return same(inst, Type::i64, 2);
            }
            case Shape::get:
            case Shape::set: {
                const Slot* slot = slots_.at(inst.imm);
                TRY(want(slot != nullptr, "names no slot"));
                TRY(want(slot->type == inst.type, "differs from its slot's type"));
                return shape == Shape::set ? same(inst, inst.type, 1) : Result<void>{};
            }
            case Shape::load:
            case Shape::store:
            case Shape::exchange:
            case Shape::fetch_op:
            case Shape::compare_exchange:
            case Shape::physical:
                TRY(want(is_integer(inst.type), "accesses memory with no integer type"));
                TRY(want(of(inst.a) == Type::i64, "has an address that is no i64"));
                if (inst.b != no_value) TRY(want(of(inst.b) == inst.type, "has a value of another type"));
                if (inst.c != no_value) TRY(want(of(inst.c) == inst.type, "has a value of another type"));
                return {};
            case Shape::call: {
                bool arguments = true;
                for_each_operand(block_, inst, [&](ValueId id) { arguments = arguments && of(id) == Type::i64; });
                TRY(want(arguments, "has an argument that is no i64"));
                return want(inst.type == Type::i64, "is a call whose result is no i64");
            }
            case Shape::branch: return want(of(inst.a) == Type::i1, "has a condition that is no i1");
            case Shape::jump_indirect: return want(of(inst.a) == Type::i64, "has a target that is no i64");
            case Shape::fence:
            case Shape::guest:
            case Shape::jump:
            case Shape::leave: break;
        }
        return {};
    }

    Result<void> conversion(const Inst& inst) const {
        const Type from = of(inst.a), to = inst.type;
        bool right = false;
        switch (inst.op) {
            case Op::float_to_signed:
            case Op::float_to_unsigned: right = is_format(from) && is_format_or_byte(to); break;
            case Op::float_from_signed:
            case Op::float_from_unsigned: right = is_format_or_byte(from) && is_format(to); break;
            case Op::float_convert: right = is_format(from) && is_format(to) && from != to; break;
            default: right = is_format(from) && to == Type::i16; break;
        }
        return want(right, "does not convert between such types");
    }

    // Hints, rounding modes, and the immediates that are not values.
    Result<void> incidentals(const Inst& inst) const {
        TRY(want(inst.hint == JumpHint::none ||
                     ((inst.op == Op::jump || inst.op == Op::jump_indirect) && inst.hint <= JumpHint::return_),
                 "has a jump's hint"));
        TRY(want(inst.rounding == Rounding::nearest_even || (rounds(inst.op) && inst.rounding <= Rounding::dynamic),
                 "has a rounding mode"));
        if (uses_float_unit(inst.op)) {
            TRY(want(inst.imm < block_.float_units.size(), "names no float unit of the block"));
            TRY(want(inst.rounding != Rounding::dynamic || block_.float_units[inst.imm].rounding != FloatUnit::no_slot,
                     "rounds dynamically in a float unit without a rounding slot"));
        }
        if (inst.op == Op::fetch_op)
            TRY(want(inst.imm < op_count && is_fetch_operation(static_cast<Op>(inst.imm)),
                     "names no operation that can be atomic"));
        if (inst.op == Op::physical)
            TRY(want(inst.imm <= static_cast<u64>(MemoryAccess::store), "names no kind of access"));
        if (inst.op == Op::call) {
            const Call& call = block_.calls[inst.imm];
            TRY(want(call.helper.name != nullptr && call.helper.function != nullptr, "calls nothing"));
            TRY(want((call.effects & ~all_effects) == 0, "has an unknown effect"));
            bool gap = false;
            for (const ValueId argument : call.arguments) {
                TRY(want(argument == no_value || !gap, "has a gap among its arguments"));
                gap = argument == no_value;
            }
        }
        return {};
    }

    Result<void> order(const Inst& inst) {
        if (inst.op == Op::guest) {
            TRY(want(!seen_guest_ || inst.imm > guest_pc_, "does not lie behind the guest instruction before it"));
            seen_guest_ = true;
            guest_pc_ = inst.imm;
            changed_ = false;
            return {};
        }
        if (ends_block_) TRY(want(inst.op == Op::leave, "is not 'leave', although the call before it ends the block"));
        const u8 effects = effects_of(block_, inst);
        TRY(want((effects & effect_may_leave) == 0 || !changed_,
                 "may leave the block after its guest instruction has changed something"));
        if ((effects & (effect_writes_state | effect_writes_memory)) != 0 && inst.op != Op::fence) changed_ = true;
        ends_block_ = (effects & effect_ends_block) != 0;
        return {};
    }

    const Block& block_;
    const SlotTable& slots_;
    usize at_ = 0;
    bool seen_guest_ = false, changed_ = false, ends_block_ = false;
    u64 guest_pc_ = 0;
};

}  // namespace

Result<void> verify(const Block& block, const SlotTable& slots) { return Verifier(block, slots).run(); }

}  // namespace viv::ir
