// See build_lanes.h. A group of registers is so many i128 slots, done one after the other; what lies behind vl is put
// back as it was.
// Specification: RISC-V Unprivileged ISA 20240411, chapter 31 (V 1.0).
#include "engine/isa/riscv/build_lanes.h"

#include <algorithm>

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
        lanes,     // vs2 OP vs1
        reversed,  // vs1 OP vs2
        bits,      // as an i128
        shift,     // by a scalar only: not all hosts shift lanes by lanes
        move,      // vs1
    } kind;
};

constexpr Rule rules[] = {
    {vector::vadd, Op::add, Rule::Kind::lanes},     {vector::vsub, Op::sub, Rule::Kind::lanes},
    {vector::vrsub, Op::sub, Rule::Kind::reversed}, {vector::vmul, Op::mul, Rule::Kind::lanes},
    {vector::vminu, Op::minu, Rule::Kind::lanes},   {vector::vmin, Op::mins, Rule::Kind::lanes},
    {vector::vmaxu, Op::maxu, Rule::Kind::lanes},   {vector::vmax, Op::maxs, Rule::Kind::lanes},
    {vector::vand, Op::and_, Rule::Kind::bits},     {vector::vor, Op::or_, Rule::Kind::bits},
    {vector::vxor, Op::xor_, Rule::Kind::bits},     {vector::vsll, Op::shl, Rule::Kind::shift},
    {vector::vsrl, Op::shr, Rule::Kind::shift},     {vector::vsra, Op::sar, Rule::Kind::shift},
    {vector::vmv_v, Op::or_, Rule::Kind::move},
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
        const bool vectors = vector::second_is_vector(o_.form());
        if (o_.masked || !vector::registers_legal<vector::Shape::same>(o_, vectors, vector::Old::ignored)) return false;
        if (rule.kind == Rule::Kind::shift && vectors) return false;
        const unsigned bytes = v_.vlen_bytes << (o_.lmul + 3) >> 3;
        const unsigned chunks = std::max(1u, bytes / chunk_bytes);
        if (chunks > most_chunks) return false;
        ValueId second = ir::no_value;
        if (!vectors) {
            second = scalar(rule.kind);
            if (rule.kind != Rule::Kind::shift) second = b_.splat(second);
        }
        for (unsigned i = 0; i < chunks; i++) {
            const ValueId b = vectors ? get(o_.vs1, i) : second;
            put(i, bytes, rule.kind == Rule::Kind::move ? b : result(rule, get(o_.vs2, i), b));
        }
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

    ValueId result(const Rule& rule, ValueId a, ValueId b) {
        switch (rule.kind) {
            case Rule::Kind::bits: return b_.binary(rule.op, Type::i128, a, b);
            case Rule::Kind::reversed: return b_.lanes(rule.op, lane(), b, a);
            default: return b_.lanes(rule.op, lane(), a, b);
        }
    }

    // To vd, as far as vl goes.
    void put(unsigned chunk, unsigned group_bytes, ValueId value) {
        const unsigned first = chunk * chunk_bytes >> o_.sew;
        if (!v_.full || group_bytes < chunk_bytes) {
            const ValueId before = get(o_.vd, chunk);
            const ValueId mask = b_.lane_mask(lane(), first, get_vl());
            const ValueId changed = b_.binary(Op::xor_, Type::i128, before, value);
            value = b_.binary(Op::xor_, Type::i128, before, b_.binary(Op::and_, Type::i128, changed, mask));
        }
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
    const auto rule = std::find_if(std::begin(rules), std::end(rules), [&](const Rule& r) { return r.body == body; });
    return rule != std::end(rules) && writer.elements(*rule);
}

void note_vector_call(Translation& t, vector::Helper* body) {
    VectorTranslation& v = t.vector;
    v.dirty = v.from_start = true;
    if (body == vector::set_vl) v.vtype = VectorTranslation::unknown;
    if (body == vector::set_vl || body == vector::load_fault_first) v.full = false;
}

}  // namespace viv::riscv
