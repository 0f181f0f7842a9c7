// Vectors: i128 values in SSE registers. Their transfers from and to memory are in transfer.cpp. See compiler.h.
// Instructions have three operands where the host has AVX, and work in xmm0 to xmm3.
// What the host has no instruction for is put together: products of 8 and 64 bits, shifts of bytes, signed shifts and
// extrema of 64 bits, unsigned comparisons.
#include <algorithm>

#include "engine/ir/op_info.h"
#include "engine/jit/x64/compiler.h"
#include "engine/jit/x64/frame.h"
#include "engine/lang/check.h"

namespace viv::jit::x64 {

namespace {

using ir::Op;
using ir::Shape;
using ir::Type;

constexpr u32 bit_of(Xmm xmm) { return 1u << number(xmm); }

// A byte, or a word, in all of them.
u128 repeated(u64 value, Type lane) {
    u128 all = 0;
    for (unsigned at = 0; at < 128; at += ir::bits_of(lane)) all |= u128{value} << at;
    return all;
}

}  // namespace

#define PACKED(name) \
    Packed { &Assembler::name, &Assembler::v##name }
#define SHIFT(name) \
    PackedShift { &Assembler::name, &Assembler::v##name }

bool Compiler::is_vector(const ir::Inst& inst) const {
    if (inst.type == Type::i128) return true;
    const Shape shape = ir::info_of(inst.op).shape;
    return shape == Shape::transfer_lanes || (shape == Shape::convert && type_of(inst.a) == Type::i128);
}

bool Compiler::vector_supported(const ir::Inst& inst) const {
    if (!features_.sse42) return false;
    switch (ir::info_of(inst.op).shape) {
        case Shape::unary: return inst.op == Op::not_;
        case Shape::binary: return inst.op == Op::and_ || inst.op == Op::or_ || inst.op == Op::xor_;
        case Shape::convert: return inst.op != Op::sext;
        case Shape::constant:
        case Shape::get:
        case Shape::set:
        case Shape::lanes:
        case Shape::splat:
        case Shape::lane_mask:
        case Shape::expand_bits:
        case Shape::insert_bits:
        case Shape::transfer_lanes: return true;
        default: return false;
    }
}

bool Compiler::has_vectors(const Region& region) const {
    return std::any_of(region.blocks.begin(), region.blocks.end(), [](const ir::Block& block) {
        return std::any_of(block.code.begin(), block.code.end(),
                           [](const ir::Inst& inst) { return inst.type == Type::i128; });
    });
}

// ---- Where they are ----

u64 Compiler::places_of(ir::ValueId id) const { return id < block_->code.size() && type_of(id) == Type::i128 ? 3 : 1; }

Xmm Compiler::allocate_xmm() {
    Xmm latest = Xmm::xmm0;
    ir::ValueId latest_use = 0;
    for (unsigned i = 0; i < 16; i++) {
        const Xmm xmm = static_cast<Xmm>(i);
        if (((locked_xmms_ | reserved_xmms_) & bit_of(xmm)) != 0) continue;
        const ir::ValueId owner = xmm_owner_[i];
        const ir::ValueId use = owner == ir::no_value ? ir::no_value : next_use(owner);
        if (latest != Xmm::xmm0 && use <= latest_use) continue;
        latest = xmm;
        latest_use = use;
        if (owner == ir::no_value) break;
    }
    CHECK(latest != Xmm::xmm0);
    if (xmm_owner_[number(latest)] != ir::no_value) spill_xmm(latest);
    locked_xmms_ |= bit_of(latest);
    return latest;
}

void Compiler::spill_xmm(Xmm xmm) {
    const ir::ValueId id = xmm_owner_[number(xmm)];
    Value& v = value(id);
    if (v.backing != no_slot) {
        v.where = Where::slot;
        v.place = v.backing;
        in_slots_.push_back(id);
        xmm_owner_[number(xmm)] = ir::no_value;
        return;
    }
    unsigned place = 0;
    while (place + 2 <= frame::spill_count && (spill_places_ >> place & 3) != 0) place++;
    if (place + 2 > frame::spill_count) {
        failed_ = true;  // what is made from here on is thrown away
        place = 0;
    }
    spill_places_ |= u64{3} << place;
    v.where = Where::stack;
    v.place = static_cast<i32>(place);
    xmm_owner_[number(xmm)] = ir::no_value;
    a_.movups(stack_place(v.place), xmm);
}

void Compiler::spill_xmms() {
    for (unsigned i = 0; i < 16; i++)
        if (xmm_owner_[i] != ir::no_value) spill_xmm(static_cast<Xmm>(i));
}

Xmm Compiler::vector_source(ir::ValueId id) {
    Value& v = value(id);
    if (v.where == Where::xmm) {
        locked_xmms_ |= bit_of(v.xmm);
        return v.xmm;
    }
    const Xmm xmm = allocate_xmm();
    if (const ir::Inst& inst = block_->code[id]; inst.op == Op::constant) {
        const u128 number = u128{inst.imm2} << 64 | inst.imm;
        if (number == 0)
            all_zero(xmm);
        else if (number == ~u128{0})
            all_ones(xmm);
        else
            a_.movups(xmm, vector_constant(number));
        return xmm;
    }
    CHECK(v.where == Where::slot || v.where == Where::stack);
    a_.movups(xmm, memory_of(id));
    const bool in_slot = v.where == Where::slot;
    const i32 place = v.place;
    if (!in_slot) spill_places_ &= ~(u64{3} << place);
    v.where = Where::xmm;
    v.xmm = xmm;
    xmm_owner_[number(xmm)] = id;
    if (in_slot) back(id, place);
    return xmm;
}

void Compiler::give_xmm(Xmm xmm) {
    Value& v = value(at_);
    if (v.uses == 0) return;
    v.where = Where::xmm;
    v.xmm = xmm;
    xmm_owner_[number(xmm)] = at_;
}

Mem Compiler::vector_constant(u128 value) {
    const auto found = std::find_if(vector_constants_.begin(), vector_constants_.end(),
                                    [&](const VectorConstant& each) { return each.value == value; });
    if (found != vector_constants_.end()) return at(found->label);
    vector_constants_.push_back({a_.make_label(), value});
    return at(vector_constants_.back().label);
}

void Compiler::vector_constants() {
    if (vector_constants_.empty() && !has_mask_table_) return;
    a_.align(16);
    for (const VectorConstant& each : vector_constants_) {
        a_.bind(each.label);
        a_.dq(static_cast<u64>(each.value));
        a_.dq(static_cast<u64>(each.value >> 64));
    }
    if (!has_mask_table_) return;
    a_.dq(~u64{0});
    a_.dq(~u64{0});
    a_.bind(mask_table_);
    a_.dq(0);
    a_.dq(0);
}

// ---- Instructions ----

void Compiler::packed(Packed instruction, Xmm to, Xmm a, Xmm b) {
    if (features_.avx) return (a_.*instruction.avx)(to, a, b);
    if (to != a) a_.movaps(to, a);
    (a_.*instruction.sse)(to, b);
}

void Compiler::packed(PackedShift instruction, Xmm to, Xmm from, unsigned count) {
    if (features_.avx) return (a_.*instruction.avx)(to, from, static_cast<u8>(count));
    if (to != from) a_.movaps(to, from);
    (a_.*instruction.sse)(to, static_cast<u8>(count));
}

void Compiler::all_ones(Xmm to) { packed(PACKED(pcmpeqd), to, to, to); }
void Compiler::all_zero(Xmm to) { packed(PACKED(pxor), to, to, to); }

void Compiler::vector(const ir::Inst& inst) {
    switch (ir::info_of(inst.op).shape) {
        case Shape::constant: break;
        case Shape::get: get(inst); break;
        case Shape::set: {
            read_before_write(static_cast<i32>(inst.imm), ir::bytes_of(inst.type));
            a_.movups(state(static_cast<i64>(inst.imm)), vector_source(inst.a));
            use(inst.a);
            back(inst.a, static_cast<i32>(inst.imm));
            break;
        }
        case Shape::unary: {
            const Xmm a = vector_source(inst.a), to = allocate_xmm();
            all_ones(to);
            packed(PACKED(pxor), to, to, a);
            use(inst.a);
            give_xmm(to);
            break;
        }
        case Shape::binary: {
            const Xmm a = vector_source(inst.a), b = vector_source(inst.b), to = allocate_xmm();
            packed(inst.op == Op::and_ ? PACKED(pand) : inst.op == Op::or_ ? PACKED(por) : PACKED(pxor), to, a, b);
            use(inst.a);
            use(inst.b);
            give_xmm(to);
            break;
        }
        case Shape::convert: vector_convert(inst); break;
        case Shape::lanes: lanes(inst); break;
        case Shape::splat: splat(inst); break;
        case Shape::lane_mask: ir::lane_type(inst) == Type::i1 ? bit_mask(inst) : lane_mask(inst); break;
        case Shape::expand_bits: expand_bits(inst); break;
        case Shape::insert_bits: insert_bits(inst); break;
        case Shape::transfer_lanes: transfer_lanes(inst); break;
        default: CHECK(false);
    }
}

void Compiler::vector_convert(const ir::Inst& inst) {
    if (inst.op == Op::zext) {
        const Gpr from = clean_source(inst.a);
        const Xmm to = allocate_xmm();
        a_.movq(to, from);
        use(inst.a);
        return give_xmm(to);
    }
    const Xmm from = vector_source(inst.a);
    use(inst.a);
    const Gpr to = result_register();
    if (inst.type == Type::i64)
        a_.movq(to, from);
    else
        a_.movd(to, from);
    give(at_, to, inst.type == Type::i64 || inst.type == Type::i32);
}

Compiler::Packed Compiler::direct(Op op, Type lane) {
    const auto of = [lane](Packed b8, Packed b16, Packed b32, Packed b64) {
        return lane == Type::i8 ? b8 : lane == Type::i16 ? b16 : lane == Type::i32 ? b32 : b64;
    };
    switch (op) {
        case Op::add: return of(PACKED(paddb), PACKED(paddw), PACKED(paddd), PACKED(paddq));
        case Op::sub: return of(PACKED(psubb), PACKED(psubw), PACKED(psubd), PACKED(psubq));
        case Op::mul: return of({}, PACKED(pmullw), PACKED(pmulld), {});
        case Op::minu: return of(PACKED(pminub), PACKED(pminuw), PACKED(pminud), {});
        case Op::maxu: return of(PACKED(pmaxub), PACKED(pmaxuw), PACKED(pmaxud), {});
        case Op::mins: return of(PACKED(pminsb), PACKED(pminsw), PACKED(pminsd), {});
        case Op::maxs: return of(PACKED(pmaxsb), PACKED(pmaxsw), PACKED(pmaxsd), {});
        case Op::eq: return of(PACKED(pcmpeqb), PACKED(pcmpeqw), PACKED(pcmpeqd), PACKED(pcmpeqq));
        case Op::shl: return of({}, PACKED(psllw), PACKED(pslld), PACKED(psllq));
        case Op::shr: return of({}, PACKED(psrlw), PACKED(psrld), PACKED(psrlq));
        case Op::sar: return of({}, PACKED(psraw), PACKED(psrad), {});
        default: return {};
    }
}

void Compiler::lanes(const ir::Inst& inst) {
    const Op op = static_cast<Op>(inst.imm);
    const Xmm a = vector_source(inst.a);
    const Xmm b = ir::is_shift(op) ? Xmm::xmm3 : vector_source(inst.b);
    const Xmm to = allocate_xmm();
    if (ir::is_shift(op))
        shift_lanes(inst, to, a);
    else
        lanes_of(op, ir::lane_type(inst), to, a, b);
    use(inst.a);
    use(inst.b);
    give_xmm(to);
}

// `to` is neither operand, nor xmm0 to xmm3, and neither are they.
void Compiler::lanes_of(Op op, Type lane, Xmm to, Xmm a, Xmm b) {
    if (const Packed instruction = direct(op, lane); instruction.sse != nullptr) return packed(instruction, to, a, b);
    const auto invert = [&] {
        all_ones(Xmm::xmm0);
        packed(PACKED(pxor), to, to, Xmm::xmm0);
    };
    // The sign bits turned around, so that unsigned numbers compare as signed ones do.
    const auto biased = [&](Xmm scratch, Xmm from) {
        packed(PACKED(pxor), scratch, scratch, from);
        return scratch;
    };
    switch (op) {
        case Op::mul: return multiply_lanes(lane, to, a, b);
        case Op::ne: lanes_of(Op::eq, lane, to, a, b); return invert();
        case Op::lts: {
            const Packed greater = lane == Type::i8    ? PACKED(pcmpgtb)
                                   : lane == Type::i16 ? PACKED(pcmpgtw)
                                   : lane == Type::i32 ? PACKED(pcmpgtd)
                                                       : PACKED(pcmpgtq);
            return packed(greater, to, b, a);
        }
        case Op::ges: lanes_of(Op::lts, lane, to, a, b); return invert();
        case Op::ltu:
            if (lane == Type::i64) {
                for (const Xmm scratch : {Xmm::xmm1, Xmm::xmm2}) {
                    all_ones(scratch);
                    packed(SHIFT(psllq), scratch, scratch, 63);
                }
                return lanes_of(Op::lts, lane, to, biased(Xmm::xmm1, a), biased(Xmm::xmm2, b));
            }
            lanes_of(Op::geu, lane, to, a, b);
            return invert();
        case Op::geu:
            if (lane == Type::i64) {
                lanes_of(Op::ltu, lane, to, a, b);
                return invert();
            }
            packed(direct(Op::maxu, lane), Xmm::xmm0, a, b);
            return packed(direct(Op::eq, lane), to, Xmm::xmm0, a);
        default: {
            // An extremum: b, and where it is a what differs.
            const bool is_signed = op == Op::mins || op == Op::maxs, minimum = op == Op::minu || op == Op::mins;
            lanes_of(is_signed ? Op::lts : Op::ltu, lane, to, minimum ? a : b, minimum ? b : a);
            packed(PACKED(pxor), Xmm::xmm0, a, b);
            packed(PACKED(pand), to, to, Xmm::xmm0);
            return packed(PACKED(pxor), to, to, b);
        }
    }
}

void Compiler::multiply_lanes(Type lane, Xmm to, Xmm a, Xmm b) {
    if (lane == Type::i8) {
        // The odd bytes and the even ones.
        packed(SHIFT(psrlw), Xmm::xmm0, a, 8);
        packed(SHIFT(psrlw), Xmm::xmm1, b, 8);
        packed(PACKED(pmullw), Xmm::xmm0, Xmm::xmm0, Xmm::xmm1);
        packed(SHIFT(psllw), Xmm::xmm0, Xmm::xmm0, 8);
        packed(PACKED(pmullw), to, a, b);
        packed(SHIFT(psllw), to, to, 8);
        packed(SHIFT(psrlw), to, to, 8);
        return packed(PACKED(por), to, to, Xmm::xmm0);
    }
    packed(SHIFT(psrlq), Xmm::xmm0, a, 32);
    packed(PACKED(pmuludq), Xmm::xmm0, Xmm::xmm0, b);
    packed(SHIFT(psrlq), Xmm::xmm1, b, 32);
    packed(PACKED(pmuludq), Xmm::xmm1, Xmm::xmm1, a);
    packed(PACKED(paddq), Xmm::xmm0, Xmm::xmm0, Xmm::xmm1);
    packed(SHIFT(psllq), Xmm::xmm0, Xmm::xmm0, 32);
    packed(PACKED(pmuludq), to, a, b);
    packed(PACKED(paddq), to, to, Xmm::xmm0);
}

void Compiler::shift_lanes(const ir::Inst& inst, Xmm to, Xmm a) {
    const Op op = static_cast<Op>(inst.imm);
    const Type lane = ir::lane_type(inst);
    const unsigned width = ir::bits_of(lane);
    if (i64 constant = 0; is_constant(inst.b, constant))
        return shift_lanes_by(op, lane, to, a, static_cast<unsigned>(constant) & (width - 1));
    const Gpr count = allocate();
    load_to(count, inst.b);
    a_.and_(Width::b32, count, i64{width} - 1);
    a_.movd(Xmm::xmm3, count);
    if (const Packed instruction = direct(op, lane); instruction.sse != nullptr)
        return packed(instruction, to, a, Xmm::xmm3);
    if (lane == Type::i8) return shift_bytes_by_xmm3(op, to, a);
    // The sign is shifted down with the rest, and then extended.
    all_ones(Xmm::xmm0);
    packed(SHIFT(psllq), Xmm::xmm0, Xmm::xmm0, 63);
    packed(PACKED(psrlq), Xmm::xmm0, Xmm::xmm0, Xmm::xmm3);
    packed(PACKED(psrlq), to, a, Xmm::xmm3);
    packed(PACKED(pxor), to, to, Xmm::xmm0);
    packed(PACKED(psubq), to, to, Xmm::xmm0);
}

void Compiler::shift_lanes_by(Op op, Type lane, Xmm to, Xmm a, unsigned count) {
    const auto extend = [&](u64 sign, Packed subtract) {
        a_.movups(Xmm::xmm0, vector_constant(repeated(sign >> count, lane)));
        packed(PACKED(pxor), to, to, Xmm::xmm0);
        packed(subtract, to, to, Xmm::xmm0);
    };
    switch (lane) {
        case Type::i8:
            packed(op == Op::shl ? SHIFT(psllw) : SHIFT(psrlw), to, a, count);
            a_.movups(Xmm::xmm0,
                      vector_constant(repeated(op == Op::shl ? u64{0xff} << count & 0xff : 0xff >> count, lane)));
            packed(PACKED(pand), to, to, Xmm::xmm0);
            if (op == Op::sar) extend(0x80, PACKED(psubb));
            break;
        case Type::i16:
            packed(op == Op::shl ? SHIFT(psllw) : op == Op::shr ? SHIFT(psrlw) : SHIFT(psraw), to, a, count);
            break;
        case Type::i32:
            packed(op == Op::shl ? SHIFT(pslld) : op == Op::shr ? SHIFT(psrld) : SHIFT(psrad), to, a, count);
            break;
        default:
            packed(op == Op::shl ? SHIFT(psllq) : SHIFT(psrlq), to, a, count);
            if (op == Op::sar) extend(u64{1} << 63, PACKED(psubq));
            break;
    }
}

// As words, and then what belongs to the neighbour is masked off.
void Compiler::shift_bytes_by_xmm3(Op op, Xmm to, Xmm a) {
    all_zero(Xmm::xmm1);
    all_ones(Xmm::xmm0);
    if (op == Op::shl) {
        packed(PACKED(psllw), Xmm::xmm0, Xmm::xmm0, Xmm::xmm3);
        packed(PACKED(psllw), to, a, Xmm::xmm3);
    } else {
        packed(SHIFT(psrlw), Xmm::xmm0, Xmm::xmm0, 8);
        packed(PACKED(psrlw), Xmm::xmm0, Xmm::xmm0, Xmm::xmm3);
        packed(PACKED(psrlw), to, a, Xmm::xmm3);
    }
    packed(PACKED(pshufb), Xmm::xmm0, Xmm::xmm0, Xmm::xmm1);
    packed(PACKED(pand), to, to, Xmm::xmm0);
    if (op != Op::sar) return;
    a_.movups(Xmm::xmm0, vector_constant(repeated(0x80, Type::i16)));
    packed(PACKED(psrlw), Xmm::xmm0, Xmm::xmm0, Xmm::xmm3);
    packed(PACKED(pshufb), Xmm::xmm0, Xmm::xmm0, Xmm::xmm1);
    packed(PACKED(pxor), to, to, Xmm::xmm0);
    packed(PACKED(psubb), to, to, Xmm::xmm0);
}

void Compiler::splat(const ir::Inst& inst) {
    const Type lane = type_of(inst.a);
    const Gpr from = source(inst.a);
    const Xmm to = allocate_xmm();
    if (lane == Type::i64)
        a_.movq(to, from);
    else
        a_.movd(to, from);
    if (features_.avx2) {
        switch (lane) {
            case Type::i8: a_.vpbroadcastb(to, to); break;
            case Type::i16: a_.vpbroadcastw(to, to); break;
            case Type::i32: a_.vpbroadcastd(to, to); break;
            default: a_.vpbroadcastq(to, to); break;
        }
    } else {
        switch (lane) {
            case Type::i8:
                all_zero(Xmm::xmm0);
                a_.pshufb(to, Xmm::xmm0);
                break;
            case Type::i16:
                a_.pshuflw(to, to, 0);
                a_.pshufd(to, to, 0);
                break;
            case Type::i32: a_.pshufd(to, to, 0); break;
            default: a_.punpcklqdq(to, to); break;
        }
    }
    use(inst.a);
    give_xmm(to);
}

// From so many bytes before the end of the ones in a table, as there are of them.
void Compiler::lane_mask(const ir::Inst& inst) {
    const unsigned size = ir::bytes_of(ir::lane_type(inst)), count = 16 / size;
    const Gpr left = allocate(), other = allocate();
    load_to(left, inst.a);
    if (inst.imm != 0) {
        a_.mov(Width::b32, other, 0);
        a_.sub(Width::b64, left, static_cast<i64>(inst.imm));
        a_.cmovcc(Condition::b, Width::b64, left, other);
    }
    a_.mov(Width::b32, other, i64{count});
    a_.cmp(Width::b64, left, other);
    a_.cmovcc(Condition::a, Width::b64, left, other);
    a_.neg(Width::b64, left);
    if (!has_mask_table_) mask_table_ = a_.make_label();
    has_mask_table_ = true;
    a_.lea(Width::b64, other, at(mask_table_));
    const Xmm to = allocate_xmm();
    a_.movups(to, at(other, left, static_cast<u8>(size)));
    use(inst.a);
    give_xmm(to);
}

// Ones shifted out of each half, and inverted: shifts by more than there are bits leave nothing.
void Compiler::bit_mask(const ir::Inst& inst) {
    const Gpr left = allocate(), zero = allocate();
    load_to(left, inst.a);
    use(inst.a);
    const Xmm to = allocate_xmm();
    const auto begin = [&](u64 first) {
        a_.sub(Width::b64, left, static_cast<i64>(first));
        a_.cmovcc(Condition::b, Width::b64, left, zero);
    };
    a_.mov(Width::b32, zero, 0);
    if (inst.imm != 0) begin(inst.imm);
    all_ones(Xmm::xmm0);
    a_.movq(Xmm::xmm3, left);
    packed(PACKED(psllq), to, Xmm::xmm0, Xmm::xmm3);
    begin(64);
    a_.movq(Xmm::xmm3, left);
    packed(PACKED(psllq), Xmm::xmm1, Xmm::xmm0, Xmm::xmm3);
    packed(PACKED(punpcklqdq), to, to, Xmm::xmm1);
    packed(PACKED(pxor), to, to, Xmm::xmm0);
    give_xmm(to);
}

// To each lane the byte that has its bit, and what is left of it if that bit alone is looked at.
void Compiler::expand_bits(const ir::Inst& inst) {
    const Type lane = ir::lane_type(inst);
    const unsigned width = ir::bits_of(lane);
    u128 bytes = 0, bits = 0;
    for (unsigned i = 0; i < ir::lane_count(lane); i++) {
        const u64 bit = inst.imm + i;
        bits |= u128{1} << (bit % 8) << (i * width);
        for (unsigned k = 0; k < width / 8; k++) bytes |= u128{k == 0 ? bit / 8 : 0x80} << (i * width + 8 * k);
    }
    const Xmm from = vector_source(inst.a), to = allocate_xmm();
    a_.movups(Xmm::xmm0, vector_constant(bytes));
    packed(PACKED(pshufb), to, from, Xmm::xmm0);
    a_.movups(Xmm::xmm0, vector_constant(bits));
    packed(PACKED(pand), to, to, Xmm::xmm0);
    packed(direct(Op::eq, lane), to, to, Xmm::xmm0);
    use(inst.a);
    give_xmm(to);
}

void Compiler::insert_bits(const ir::Inst& inst) {
    const Type lane = ir::lane_type(inst);
    const unsigned count = ir::lane_count(lane), at_byte = static_cast<unsigned>(inst.imm / 8);
    const Xmm from = vector_source(inst.b), before = vector_source(inst.a), to = allocate_xmm();
    const Gpr bits = allocate();
    a_.movaps(to, before);
    switch (lane) {
        case Type::i8: a_.pmovmskb(bits, from); break;
        case Type::i16:
            packed(PACKED(packsswb), Xmm::xmm0, from, from);
            a_.pmovmskb(bits, Xmm::xmm0);
            break;
        case Type::i32: a_.movmskps(bits, from); break;
        default: a_.movmskpd(bits, from); break;
    }
    if (count == 16) {
        a_.pinsrw(to, bits, static_cast<u8>(at_byte / 2));
    } else {
        if (count < 8) {
            // Their neighbours stay.
            const unsigned shift = inst.imm % 8;
            const Gpr byte = allocate();
            a_.pextrb(byte, before, static_cast<u8>(at_byte));
            a_.and_(Width::b32, byte, static_cast<i64>(0xff & ~(low_mask(count) << shift)));
            if (shift != 0) a_.shl(Width::b32, bits, shift);
            a_.or_(Width::b32, bits, byte);
        }
        a_.pinsrb(to, bits, static_cast<u8>(at_byte));
    }
    use(inst.a);
    use(inst.b);
    give_xmm(to);
}

#undef PACKED
#undef SHIFT

}  // namespace viv::jit::x64
