// The printer behind print.h. Everything that comes from an unverified block is checked before it is used as an index.
#include "engine/ir/print.h"

#include <fmt/format.h>

#include "engine/ir/op_info.h"

namespace viv::ir {

namespace {

std::string value(ValueId id) { return id == no_value ? "%none" : fmt::format("%{}", id); }

std::string slot(u64 offset, const SlotTable& slots) {
    const Slot* found = slots.at(offset);
    return found != nullptr ? found->name : fmt::format("@{:#x}", offset);
}

std::string_view hint_text(JumpHint hint) {
    switch (hint) {
        case JumpHint::call: return " call";
        case JumpHint::return_: return " return";
        case JumpHint::none: break;
    }
    return "";
}

template <usize N>
std::string_view named(const std::array<std::string_view, N>& names, u64 index) {
    return index < N ? names[index] : "?";
}
std::string_view op_name(u64 op) { return op < op_count ? op_table[op].name : "?"; }

std::string operands(const Inst& inst, unsigned count) {
    std::string text = value(inst.a);
    if (count > 1) text += ", " + value(inst.b);
    if (count > 2) text += ", " + value(inst.c);
    return text;
}

std::string call_text(const Block& block, const Inst& inst) {
    if (inst.imm >= block.calls.size()) return fmt::format("call ?{}", inst.imm);
    const Call& call = block.calls[inst.imm];
    std::string text = fmt::format("call {}(", call.helper.name != nullptr ? call.helper.name : "?");
    std::string_view comma;
    for (const ValueId argument : call.arguments) {
        if (argument == no_value) continue;
        text += fmt::format("{}{}", comma, value(argument));
        comma = ", ";
    }
    text += ')';
    for (usize i = 0; i < effect_names.size(); i++)
        if ((call.effects >> i & 1) != 0) text += fmt::format(" {}", effect_names[i]);
    return text;
}

std::string float_text(const Inst& inst) {
    std::string text;
    if (uses_float_unit(inst.op)) text += fmt::format(" unit {}", inst.imm);
    if (rounds(inst.op)) text += fmt::format(" {}", named(rounding_names, static_cast<u64>(inst.rounding)));
    return text;
}

std::string constant_text(const Inst& inst) {
    return inst.imm2 == 0 ? fmt::format("{:#x}", inst.imm) : fmt::format("{:#x}{:016x}", inst.imm2, inst.imm);
}

}  // namespace

std::string print_line(const Block& block, ValueId id, const SlotTable& slots) {
    const Inst& inst = block.code[id];
    if (static_cast<usize>(inst.op) >= op_count) return fmt::format("? {}", static_cast<unsigned>(inst.op));
    const OpInfo& info = info_of(inst.op);
    const std::string_view type = named(type_names, static_cast<u64>(inst.type));
    const Type result = result_type(inst);
    std::string text =
        result == Type::none ? "" : fmt::format("%{}:{} = ", id, named(type_names, static_cast<u64>(result)));
    text += info.name;
    switch (info.shape) {
        case Shape::unary:
        case Shape::binary:
        case Shape::convert:
        case Shape::select:
        case Shape::load:
        case Shape::exchange:
        case Shape::compare_exchange: return text + ' ' + operands(inst, info.operands);
        case Shape::compare:
        case Shape::store: return text + fmt::format(".{} {}", type, operands(inst, info.operands));
        case Shape::float_unary:
        case Shape::float_binary:
        case Shape::float_ternary:
        case Shape::float_convert: return text + ' ' + operands(inst, info.operands) + float_text(inst);
        case Shape::float_compare: return text + fmt::format(".{} {}", type, operands(inst, 2)) + float_text(inst);
        case Shape::constant: return text + ' ' + constant_text(inst);
        case Shape::address: return text + fmt::format(" {:#x}", inst.imm);
        case Shape::get: return text + ' ' + slot(inst.imm, slots);
        case Shape::set: return text + fmt::format(" {}, {}", slot(inst.imm, slots), value(inst.a));
        case Shape::fetch_op: return text + fmt::format(" {} {}", op_name(inst.imm), operands(inst, 2));
        case Shape::lanes:
            return text + fmt::format(".{} {} {}", named(type_names, inst.imm2), op_name(inst.imm), operands(inst, 2));
        case Shape::splat: return text + ' ' + value(inst.a);
        case Shape::lane_mask:
        case Shape::expand_bits:
        case Shape::insert_bits:
            return text +
                   fmt::format(".{} {}, {}", named(type_names, inst.imm2), inst.imm, operands(inst, info.operands));
        case Shape::transfer_lanes:
            return text + fmt::format(".{} {}, {}, {}", type, slot(inst.imm, slots), inst.imm2, operands(inst, 2));
        case Shape::physical:
            return text + fmt::format(".{} {} {}", type,
                                      inst.imm == static_cast<u64>(MemoryAccess::load) ? "load" : "store",
                                      value(inst.a));
        case Shape::call: return text.substr(0, text.size() - info.name.size()) + call_text(block, inst);
        case Shape::guest: return text + fmt::format(" {:#x}", inst.imm);
        case Shape::jump: return text + fmt::format(" {:#x}{}", inst.imm, hint_text(inst.hint));
        case Shape::branch: return text + fmt::format(" {}, {:#x}, {:#x}", value(inst.a), inst.imm, inst.imm2);
        case Shape::jump_indirect: return text + ' ' + value(inst.a) + std::string(hint_text(inst.hint));
        case Shape::fence:
        case Shape::leave: break;
    }
    return text;
}

std::string print(const Block& block, const SlotTable& slots) {
    std::string text = fmt::format("block pc {:#x} mode {:#x} size {}\n", block.pc, block.mode, block.size);
    for (const FloatUnit& unit : block.float_units) {
        text += fmt::format("float_unit flags {} rounding {} {} {}\n", slot(unit.flags, slots),
                            unit.rounding == FloatUnit::no_slot ? "none" : slot(unit.rounding, slots),
                            named(nan_rule_names, static_cast<u64>(unit.nan_rule)),
                            named(tininess_names, static_cast<u64>(unit.tininess)));
    }
    for (ValueId id = 0; id < block.code.size(); id++) text += print_line(block, id, slots) + '\n';
    return text;
}

}  // namespace viv::ir
