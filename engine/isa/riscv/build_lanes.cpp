// See build_lanes.h. A group of registers is so many i128 slots, done one after the other; what lies behind vl is put
// back as it was.
// Specification: RISC-V Unprivileged ISA 20240411, chapter 31 (V 1.0).
#include "engine/isa/riscv/build_lanes.h"

#include <algorithm>

#include "engine/ir/op_info.h"
#include "engine/isa/riscv/build_float.h"
#include "engine/isa/riscv/vector_lanes.h"

namespace viv::riscv {

namespace {

using ir::Op;
using ir::Type;
using ir::ValueId;

constexpr unsigned chunk_bytes = 16;
// Longer groups are left to the helper: code that is several times as long as a call is not worth it.
constexpr unsigned most_chunks = 8;

// An element-wise instruction.
struct Rule {
    vector::Helper* body;
    Op op;
    enum class Kind : u8 {
        lanes,       // vs2 OP vs1
        reversed,    // vs1 OP vs2
        bits,        // as an i128
        shift,       // by a scalar only: not all hosts shift lanes by lanes
        move,        // vs1
        merge,       // vs1 where v0 has a bit, vs2 elsewhere
        accumulate,  // vd OP vs1 * vs2
        multiply,    // vs1 * vd OP vs2; of a difference the other way round
        compare,     // a bit in vd: vs2 OP vs1
        compare_reversed,
    } kind;
};

constexpr Rule rules[] = {
    {vector::vadd, Op::add, Rule::Kind::lanes},
    {vector::vsub, Op::sub, Rule::Kind::lanes},
    {vector::vrsub, Op::sub, Rule::Kind::reversed},
    {vector::vmul, Op::mul, Rule::Kind::lanes},
    {vector::vminu, Op::minu, Rule::Kind::lanes},
    {vector::vmin, Op::mins, Rule::Kind::lanes},
    {vector::vmaxu, Op::maxu, Rule::Kind::lanes},
    {vector::vmax, Op::maxs, Rule::Kind::lanes},
    {vector::vand, Op::and_, Rule::Kind::bits},
    {vector::vor, Op::or_, Rule::Kind::bits},
    {vector::vxor, Op::xor_, Rule::Kind::bits},
    {vector::vsll, Op::shl, Rule::Kind::shift},
    {vector::vsrl, Op::shr, Rule::Kind::shift},
    {vector::vsra, Op::sar, Rule::Kind::shift},
    {vector::vmv_v, Op::or_, Rule::Kind::move},
    {vector::vmerge, Op::or_, Rule::Kind::merge},
    {vector::vmacc, Op::add, Rule::Kind::accumulate},
    {vector::vnmsac, Op::sub, Rule::Kind::accumulate},
    {vector::vmadd, Op::add, Rule::Kind::multiply},
    {vector::vnmsub, Op::sub, Rule::Kind::multiply},
    {vector::vmseq, Op::eq, Rule::Kind::compare},
    {vector::vmsne, Op::ne, Rule::Kind::compare},
    {vector::vmsltu, Op::ltu, Rule::Kind::compare},
    {vector::vmslt, Op::lts, Rule::Kind::compare},
    {vector::vmsleu, Op::geu, Rule::Kind::compare_reversed},
    {vector::vmsle, Op::ges, Rule::Kind::compare_reversed},
    {vector::vmsgtu, Op::ltu, Rule::Kind::compare_reversed},
    {vector::vmsgt, Op::lts, Rule::Kind::compare_reversed},
};

// An operation on masks: [~](vs2 OP [~]vs1).
struct MaskRule {
    vector::Helper* body;
    Op op;
    bool inverts_second, inverts_result;
};

constexpr MaskRule mask_rules[] = {
    {vector::vmand, Op::and_, false, false}, {vector::vmnand, Op::and_, false, true},
    {vector::vmandn, Op::and_, true, false}, {vector::vmxor, Op::xor_, false, false},
    {vector::vmor, Op::or_, false, false},   {vector::vmnor, Op::or_, false, true},
    {vector::vmorn, Op::or_, true, false},   {vector::vmxnor, Op::xor_, false, true},
};

constexpr Type lane_of(unsigned bytes_log2) { return static_cast<Type>(static_cast<unsigned>(Type::i8) + bytes_log2); }

class Writer {
public:
    Writer(Translation& translation, unsigned xlen, u32 word)
        : v_(translation.vector), b_(translation.b), xlen_(xlen), o_(word, v_.vtype) {}

    bool configure() {
        const bool immediate_length = o_.word >> 30 == 3;
        if (o_.word >> 31 != 0 && !immediate_length) return false;
        const u64 vtype = vector::immediate_vtype(o_.word);
        const u64 vlmax = vector::vlmax_of(vtype, v_.vlen_bytes);
        if (vlmax == 0) return false;
        v_.full = immediate_length ? o_.vs1 >= vlmax : o_.vs1 == 0 && o_.vd != 0;
        ValueId length = ir::no_value;
        if (v_.full)
            length = number(vlmax);
        else if (immediate_length)
            length = number(o_.vs1);
        else
            length = b_.binary(Op::minu, Type::i64, o_.vs1 != 0 ? x(o_.vs1) : get_vl(), number(vlmax));
        b_.set(Type::i64, slots::vl, length);
        b_.set(Type::i64, slots::vtype, number(vtype));
        b_.set(Type::i64, slots::vstart, number(0));
        if (o_.vd != 0) b_.set(Type::i64, slots::x(o_.vd), length);
        v_.vtype = vtype;
        v_.from_start = true;
        return done();
    }

    bool whole(vector::Direction direction) {
        const unsigned count = o_.fields();
        if (!vector::whole_registers_legal(o_.vd, count)) return false;
        const u64 words = u64{count} * v_.vlen_bytes / 8;
        transfer(direction, Type::i64, words, number(words));
        return done();
    }

    bool unit(vector::Direction direction) {
        const unsigned eew = vector::width_of(o_);
        const int emul = vector::effective_multiplier(o_, eew);
        if (o_.fields() != 1 || o_.masked || !vector::data_registers_legal(o_, direction, emul, 1)) return false;
        transfer(direction, lane_of(eew), vector::vlmax_of(v_.vtype, v_.vlen_bytes), get_vl());
        return done();
    }

    bool move_whole() {
        const unsigned count = o_.vs1 + 1u;
        if (!vector::whole_registers_legal(o_.vd | o_.vs2, count)) return false;
        const unsigned chunks = count * v_.vlen_bytes / chunk_bytes;
        if (chunks > most_chunks) return false;
        for (unsigned i = 0; i < chunks; i++) b_.set(Type::i128, slot(o_.vd, i), get(o_.vs2, i));
        return done();
    }

    bool elements(const Rule& rule) {
        using Kind = Rule::Kind;
        const bool vectors = vector::second_is_vector(o_.form());
        const bool compares = rule.kind == Kind::compare || rule.kind == Kind::compare_reversed;
        if (compares ? !vector::registers_legal<vector::Shape::mask>(o_, vectors, vector::Old::ignored)
                     : !vector::registers_legal<vector::Shape::same>(o_, vectors, vector::Old::ignored))
            return false;
        if ((rule.kind == Kind::shift && vectors) || chunks() > most_chunks) return false;
        ValueId second = ir::no_value;
        if (!vectors) {
            second = scalar(rule.kind);
            if (rule.kind != Kind::shift) second = b_.splat(second);
        }
        // All of it is read before any of it is written: a mask may go where an operand begins.
        ValueId bits = compares ? get(o_.vd, 0) : ir::no_value;
        for (unsigned i = 0; i < chunks(); i++) {
            const ValueId b = vectors ? get(o_.vs1, i) : second;
            if (!compares) {
                put(i, result(rule, i, b), rule.kind == Kind::merge ? ir::no_value : active(i));
                continue;
            }
            const ValueId a = get(o_.vs2, i);
            const ValueId compared =
                rule.kind == Kind::compare ? b_.lanes(rule.op, lane(), a, b) : b_.lanes(rule.op, lane(), b, a);
            bits = b_.insert_bits(lane(), first_lane(i), bits, compared);
        }
        if (compares) put_bits(0, bits, o_.masked ? get(0, 0) : ir::no_value, group_bytes() < chunk_bytes);
        return done();
    }

    // An instruction on masks.
    bool bits(const MaskRule& rule) {
        const u64 vlmax = vector::vlmax_of(v_.vtype, v_.vlen_bytes);
        for (unsigned i = 0; i * u64{128} < vlmax; i++) {
            ValueId b = get(o_.vs1, i);
            if (rule.inverts_second) b = b_.unary(Op::not_, Type::i128, b);
            ValueId value = b_.binary(rule.op, Type::i128, get(o_.vs2, i), b);
            if (rule.inverts_result) value = b_.unary(Op::not_, Type::i128, value);
            put_bits(i, value, ir::no_value, vlmax % 128 != 0);
        }
        return done();
    }

    // vfirst and vcpop, of as many bits as fit a register.
    enum class Count : u8 { first, all };
    bool count(Count what) {
        if (vector::vlmax_of(v_.vtype, v_.vlen_bytes) > 64) return false;
        ValueId ones = b_.binary(Op::and_, Type::i128, get(o_.vs2, 0), b_.lane_mask(Type::i1, 0, get_vl()));
        if (o_.masked) ones = b_.binary(Op::and_, Type::i128, ones, get(0, 0));
        const ValueId word = b_.convert(Op::trunc, Type::i64, ones);
        ValueId value = ir::no_value;
        if (what == Count::all)
            value = b_.unary(Op::popcount, Type::i64, word);
        else
            value = b_.select(Type::i64, b_.compare(Op::eq, Type::i64, word, number(0)), number(low_mask(xlen_)),
                              b_.unary(Op::ctz, Type::i64, word));
        if (o_.vd != 0) b_.set(Type::i64, slots::x(o_.vd), value);
        return done();
    }

    bool indices() {
        if (!vector::aligned(o_.vd, o_.lmul) || !o_.clear_of_mask(o_.vd) || chunks() > most_chunks) return false;
        for (unsigned i = 0; i < chunks(); i++) {
            u128 value = 0;
            for (unsigned k = 0; k < ir::lane_count(lane()); k++)
                value |= u128{first_lane(i) + k} << (k * ir::bits_of(lane()));
            put(i, b_.constant(Type::i128, value), active(i));
        }
        return done();
    }

    bool to_x() {
        ValueId value = b_.convert(Op::trunc, lane(), get(o_.vs2, 0));
        if (lane() != Type::i64) value = b_.convert(Op::sext, Type::i64, value);
        if (xlen_ == 32) value = b_.binary(Op::and_, Type::i64, value, number(low_mask(32)));
        if (o_.vd != 0) b_.set(Type::i64, slots::x(o_.vd), value);
        return done();
    }

    bool from_x() {
        const ValueId mask = b_.lane_mask(lane(), 0, b_.binary(Op::minu, Type::i64, get_vl(), number(1)));
        b_.set(Type::i128, slot(o_.vd, 0), chosen(mask, b_.splat(scalar(Rule::Kind::lanes)), get(o_.vd, 0)));
        return done();
    }

private:
    bool done() {
        if (!v_.dirty) {
            const ValueId before = b_.get(Type::i64, slots::mstatus);
            b_.set(Type::i64, slots::mstatus, b_.binary(Op::or_, Type::i64, before, number(mstatus::vs)));
            v_.dirty = true;
        }
        return true;
    }

    ValueId number(u64 value) { return b_.constant(Type::i64, value); }
    ValueId x(unsigned r) { return r == 0 ? number(0) : b_.get(Type::i64, slots::x(r)); }
    ValueId get_vl() { return b_.get(Type::i64, slots::vl); }
    u64 slot(unsigned reg, unsigned chunk) const { return slots::v + u64{reg} * v_.vlen_bytes + chunk * chunk_bytes; }
    ValueId get(unsigned reg, unsigned chunk) { return b_.get(Type::i128, slot(reg, chunk)); }
    Type lane() const { return lane_of(o_.sew); }

    void transfer(vector::Direction direction, Type element, u64 most, ValueId count) {
        if (direction == vector::Direction::load)
            b_.load_lanes(element, slot(o_.vd, 0), most, x(o_.vs1), count);
        else
            b_.store_lanes(element, slot(o_.vd, 0), most, x(o_.vs1), count);
    }

    // The second operand that is not vs1, of the lanes' type.
    ValueId scalar(Rule::Kind kind) {
        if (o_.form() == vector::Form::vi)
            return b_.constant(lane(),
                               kind == Rule::Kind::shift ? u64{o_.vs1} : static_cast<u64>(o_.signed_immediate()));
        const ValueId whole = x(o_.vs1);
        if (lane() != Type::i64) return b_.convert(Op::trunc, lane(), whole);
        if (xlen_ == 64) return whole;
        return b_.convert(Op::sext, Type::i64, b_.convert(Op::trunc, Type::i32, whole));
    }

    unsigned group_bytes() const { return v_.vlen_bytes << (o_.lmul + 3) >> 3; }
    unsigned chunks() const { return std::max(1u, group_bytes() / chunk_bytes); }
    unsigned first_lane(unsigned chunk) const { return chunk * chunk_bytes >> o_.sew; }

    ValueId result(const Rule& rule, unsigned chunk, ValueId b) {
        using Kind = Rule::Kind;
        if (rule.kind == Kind::move) return b;
        const ValueId a = get(o_.vs2, chunk);
        switch (rule.kind) {
            case Kind::bits: return b_.binary(rule.op, Type::i128, a, b);
            case Kind::reversed: return b_.lanes(rule.op, lane(), b, a);
            case Kind::merge: return chosen(b_.expand_bits(lane(), first_lane(chunk), get(0, 0)), b, a);
            case Kind::accumulate: return b_.lanes(rule.op, lane(), get(o_.vd, chunk), b_.lanes(Op::mul, lane(), b, a));
            case Kind::multiply: {
                const ValueId product = b_.lanes(Op::mul, lane(), b, get(o_.vd, chunk));
                return rule.op == Op::add ? b_.lanes(rule.op, lane(), product, a)
                                          : b_.lanes(rule.op, lane(), a, product);
            }
            default: return b_.lanes(rule.op, lane(), a, b);
        }
    }

    // The bits of `yes` where `mask` has ones, of `no` elsewhere.
    ValueId chosen(ValueId mask, ValueId yes, ValueId no) {
        const ValueId different = b_.binary(Op::xor_, Type::i128, no, yes);
        return b_.binary(Op::xor_, Type::i128, no, b_.binary(Op::and_, Type::i128, different, mask));
    }
    ValueId both(ValueId mask, ValueId other) {
        return mask == ir::no_value ? other : b_.binary(Op::and_, Type::i128, mask, other);
    }

    // Ones in the lanes that v0 says, or no_value: in all.
    ValueId active(unsigned chunk) {
        return o_.masked ? b_.expand_bits(lane(), first_lane(chunk), get(0, 0)) : ir::no_value;
    }
    // To vd where `mask` says, as far as vl goes.
    void put(unsigned chunk, ValueId value, ValueId mask) {
        if (!v_.full || group_bytes() < chunk_bytes)
            mask = both(mask, b_.lane_mask(lane(), first_lane(chunk), get_vl()));
        if (mask != ir::no_value) value = chosen(mask, value, get(o_.vd, chunk));
        b_.set(Type::i128, slot(o_.vd, chunk), value);
    }
    // To vd as a mask. `more`: there may be other bits in the value than those below VLMAX.
    void put_bits(unsigned chunk, ValueId value, ValueId mask, bool more) {
        if (!v_.full || more) mask = both(mask, b_.lane_mask(Type::i1, chunk * u64{128}, get_vl()));
        if (mask != ir::no_value) value = chosen(mask, value, get(o_.vd, chunk));
        b_.set(Type::i128, slot(o_.vd, chunk), value);
    }

    VectorTranslation& v_;
    ir::Builder& b_;
    unsigned xlen_;
    vector::Fields o_;
};

}  // namespace

bool build_lanes(Translation& t, unsigned xlen, vector::Helper* body, u32 word) {
    const VectorTranslation& v = t.vector;
    if (!v.on || v.vlen_bytes == 0) return false;
    Writer writer(t, xlen, word);
    if (body == vector::set_vl) return writer.configure();
    if (!v.from_start) return false;
    if (body == vector::load_whole) return writer.whole(vector::Direction::load);
    if (body == vector::store_whole) return writer.whole(vector::Direction::store);
    if (v.vtype == VectorTranslation::unknown) return false;
    if (body == vector::load_unit) return writer.unit(vector::Direction::load);
    if (body == vector::store_unit) return writer.unit(vector::Direction::store);
    if (body == vector::vmv_whole) return writer.move_whole();
    if (body == vector::vfirst) return writer.count(Writer::Count::first);
    if (body == vector::vcpop_m) return writer.count(Writer::Count::all);
    if (body == vector::vid) return writer.indices();
    if (body == vector::vmv_x_s) return writer.to_x();
    if (body == vector::vmv_s_x) return writer.from_x();
    const auto is_it = [&](const auto& rule) { return rule.body == body; };
    if (const auto rule = std::find_if(std::begin(mask_rules), std::end(mask_rules), is_it);
        rule != std::end(mask_rules))
        return writer.bits(*rule);
    const auto rule = std::find_if(std::begin(rules), std::end(rules), is_it);
    return rule != std::end(rules) && writer.elements(*rule);
}

void note_vector_call(Translation& t, vector::Helper* body) {
    VectorTranslation& v = t.vector;
    v.dirty = v.from_start = true;
    if (body == vector::set_vl) v.vtype = VectorTranslation::unknown;
    if (body == vector::set_vl || body == vector::load_fault_first) v.full = false;
}

}  // namespace viv::riscv
