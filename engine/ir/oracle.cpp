// The interpreter of blocks behind oracle.h.
#include "engine/ir/oracle.h"

#include <cstring>

#include "engine/ir/evaluate.h"
#include "engine/ir/op_info.h"
#include "engine/lang/bytes.h"
#include "engine/lang/check.h"

namespace viv::ir {

static_assert(static_cast<u8>(Rounding::nearest_max_magnitude) ==
              static_cast<u8>(soft::Rounding::nearest_max_magnitude));
static_assert(static_cast<u8>(Rounding::to_odd) == static_cast<u8>(soft::Rounding::to_odd));

namespace {

// Slots hold host integers: they are fields of the vCPU's structure.
u128 read_slot(std::span<const u8> state, u64 offset, Type type) {
    CHECK(range_fits(offset, bytes_of(type), state.size()));
    const u8* at = state.data() + offset;
    switch (bytes_of(type)) {
        case 1: return *at;
        case 2: return load_host<u16>(at);
        case 4: return load_host<u32>(at);
        case 8: return load_host<u64>(at);
        default: return load_host<u128>(at);
    }
}
void write_slot(std::span<u8> state, u64 offset, Type type, u128 value) {
    CHECK(range_fits(offset, bytes_of(type), state.size()));
    u8* at = state.data() + offset;
    switch (bytes_of(type)) {
        case 1: *at = static_cast<u8>(value); break;
        case 2: store_host(at, static_cast<u16>(value)); break;
        case 4: store_host(at, static_cast<u32>(value)); break;
        case 8: store_host(at, static_cast<u64>(value)); break;
        default: store_host(at, value); break;
    }
}

// Guest memory is little endian here.
u128 from_bytes(std::span<const u8> bytes) {
    u128 value = 0;
    for (usize i = bytes.size(); i-- > 0;) value = value << 8 | bytes[i];
    return value;
}
void to_bytes(std::span<u8> bytes, u128 value) {
    for (u8& byte : bytes) {
        byte = static_cast<u8>(value);
        value >>= 8;
    }
}

// A float unit as softfloat wants it, for the life of one operation.
class Unit {
public:
    Unit(const FloatUnit& unit, Rounding rounding, std::span<u8> state) : unit_(unit), state_(state) {
        env.nan_rule = unit.nan_rule;
        env.tininess = unit.tininess;
        const u128 mode =
            rounding == Rounding::dynamic ? read_slot(state, unit.rounding, Type::i8) : static_cast<u8>(rounding);
        env.rounding = mode <= static_cast<u8>(soft::Rounding::to_odd) ? static_cast<soft::Rounding>(mode)
                                                                       : soft::Rounding::nearest_even;
    }
    ~Unit() {
        if (env.flags != 0)
            write_slot(state_, unit_.flags, Type::i8, read_slot(state_, unit_.flags, Type::i8) | env.flags);
    }
    Unit(const Unit&) = delete;
    Unit& operator=(const Unit&) = delete;

    soft::Environment env;

private:
    const FloatUnit& unit_;
    std::span<u8> state_;
};

}  // namespace

Outcome Oracle::run(const Block& block, std::span<u8> state, void* cpu, OracleMemory& memory) {
    values_.assign(block.code.size(), 0);
    u64 guest_pc = 0;
    unsigned begun = 0;
    const auto value = [&](ValueId id) { return values_[id]; };
    const auto type = [&](ValueId id) { return result_type(block.code[id]); };
    for (ValueId id = 0; id < block.code.size(); id++) {
        const Inst& inst = block.code[id];
        u128& result = values_[id];
        u8 buffer[16];
        const std::span<u8> bytes(buffer, bytes_of(inst.type));
        const auto unmade = [&](Outcome::Why why) { return Outcome{why, guest_pc, begun - 1, id}; };
        switch (info_of(inst.op).shape) {
            case Shape::unary: result = evaluate_unary(inst.op, inst.type, value(inst.a)); break;
            case Shape::binary: result = evaluate_binary(inst.op, inst.type, value(inst.a), value(inst.b)); break;
            case Shape::compare: result = evaluate_compare(inst.op, inst.type, value(inst.a), value(inst.b)); break;
            case Shape::float_unary:
            case Shape::float_binary:
            case Shape::float_ternary: {
                Unit unit(block.float_units[inst.imm], inst.rounding, state);
                result = evaluate_float(inst.op, inst.type, unit.env, value(inst.a),
                                        inst.b != no_value ? value(inst.b) : 0, inst.c != no_value ? value(inst.c) : 0);
                break;
            }
            case Shape::float_compare: {
                Unit unit(block.float_units[inst.imm], inst.rounding, state);
                result = evaluate_float_compare(inst.op, inst.type, unit.env, value(inst.a), value(inst.b));
                break;
            }
            case Shape::float_convert:
                if (inst.op == Op::float_classify) {
                    soft::Environment none;
                    result = evaluate_float_convert(inst.op, inst.type, type(inst.a), none, value(inst.a));
                } else {
                    Unit unit(block.float_units[inst.imm], inst.rounding, state);
                    result = evaluate_float_convert(inst.op, inst.type, type(inst.a), unit.env, value(inst.a));
                }
                break;
            case Shape::constant: result = u128{inst.imm2} << 64 | inst.imm; break;
            case Shape::address: result = inst.imm; break;
            case Shape::convert: result = evaluate_convert(inst.op, inst.type, type(inst.a), value(inst.a)); break;
            case Shape::select: result = value(inst.a) != 0 ? value(inst.b) : value(inst.c); break;
            case Shape::lanes:
                result = evaluate_lanes(static_cast<Op>(inst.imm), lane_type(inst), value(inst.a), value(inst.b));
                break;
            case Shape::splat: result = evaluate_splat(type(inst.a), value(inst.a)); break;
            case Shape::lane_mask:
                result = evaluate_lane_mask(lane_type(inst), inst.imm, static_cast<u64>(value(inst.a)));
                break;
            case Shape::expand_bits: result = evaluate_expand_bits(lane_type(inst), inst.imm, value(inst.a)); break;
            case Shape::insert_bits:
                result = evaluate_insert_bits(lane_type(inst), inst.imm, value(inst.a), value(inst.b));
                break;
            case Shape::get: result = read_slot(state, inst.imm, inst.type); break;
            case Shape::set: write_slot(state, inst.imm, inst.type, value(inst.a)); break;
            case Shape::load:
                if (!memory.load(static_cast<u64>(value(inst.a)), bytes)) return unmade(Outcome::Why::load);
                result = from_bytes(bytes);
                break;
            case Shape::store:
                to_bytes(bytes, value(inst.b));
                if (!memory.store(static_cast<u64>(value(inst.a)), bytes)) return unmade(Outcome::Why::store);
                break;
            case Shape::transfer_lanes: {
                const bool loads = inst.op == Op::load_lanes;
                const Outcome::Why why = loads ? Outcome::Why::load : Outcome::Why::store;
                if (value(inst.b) > inst.imm2) return unmade(why);
                const usize size = static_cast<usize>(value(inst.b)) * bytes_of(inst.type);
                if (size == 0) break;
                // Slots of vectors are like memory: the first lane is lowest, hosts being little endian.
                CHECK(range_fits(inst.imm, size, state.size()));
                const u64 address = static_cast<u64>(value(inst.a));
                const std::span<u8> slots = state.subspan(inst.imm, size);
                if (loads ? !memory.load(address, slots) : !memory.store(address, slots)) return unmade(why);
                break;
            }
            case Shape::exchange:
            case Shape::fetch_op:
            case Shape::compare_exchange: {
                u64 physical = 0;
                u8* at =
                    memory.atomic(static_cast<u64>(value(inst.a)), bytes_of(inst.type), MemoryAccess::store, physical);
                if (at == nullptr) return unmade(Outcome::Why::atomic);
                result = from_bytes({at, bytes.size()});
                u128 after = value(inst.b);
                if (inst.op == Op::fetch_op)
                    after = evaluate_binary(static_cast<Op>(inst.imm), inst.type, result, after);
                else if (inst.op == Op::compare_exchange)
                    after = result == after ? value(inst.c) : result;
                to_bytes({at, bytes.size()}, after);
                break;
            }
            case Shape::physical: {
                u64 physical = 0;
                if (memory.atomic(static_cast<u64>(value(inst.a)), bytes_of(inst.type),
                                  static_cast<MemoryAccess>(inst.imm), physical) == nullptr)
                    return unmade(Outcome::Why::atomic);
                result = physical;
                break;
            }
            case Shape::fence: break;
            case Shape::call: {
                const Call& call = block.calls[inst.imm];
                u64 arguments[4] = {};
                for (unsigned i = 0; i < 4; i++)
                    if (call.arguments[i] != no_value) arguments[i] = static_cast<u64>(value(call.arguments[i]));
                memory.calling(begun - 1);
                result = call.helper.function(cpu, arguments[0], arguments[1], arguments[2], arguments[3]);
                if ((call.effects & effect_may_leave) != 0 && result == 0) return {Outcome::Why::helper, 0, begun, id};
                break;
            }
            case Shape::guest:
                guest_pc = inst.imm;
                begun++;
                break;
            case Shape::jump: return {Outcome::Why::jump, inst.imm, begun, id};
            case Shape::branch:
                if (value(inst.a) != 0) return {Outcome::Why::taken, inst.imm, begun, id};
                return {Outcome::Why::not_taken, inst.imm2, begun, id};
            case Shape::jump_indirect: return {Outcome::Why::indirect, static_cast<u64>(value(inst.a)), begun, id};
            case Shape::leave: return {Outcome::Why::leave, 0, begun, id};
        }
    }
    CHECK(false, "a block without a terminator");
    return {};
}

}  // namespace viv::ir
