// The floating-point part of the recording emitter, and what all of it shares: the instruction in translation and the
// state's slots. Promises: as FloatExec (float_exec.h): the same NaN boxing, rounding modes, flags and FS.
#pragma once

#include <cstddef>
#include <type_traits>

#include "engine/float/softfloat.h"
#include "engine/ir/builder.h"
#include "engine/ir/values.h"
#include "engine/isa/riscv/build_lanes.h"
#include "engine/isa/riscv/float_exec.h"
#include "engine/isa/riscv/formats.h"

namespace viv::riscv {

// Byte offsets into State.
namespace slots {
static_assert(std::is_standard_layout_v<State> && sizeof(bool) == 1);
constexpr u64 x(unsigned r) { return offsetof(State, x) + u64{8} * r; }
constexpr u64 f(unsigned r) { return offsetof(State, f) + u64{8} * r; }
constexpr u64 pc = offsetof(State, pc), fflags = offsetof(State, fflags), frm = offsetof(State, frm),
              mstatus = offsetof(State, mstatus);
constexpr u64 reservation_valid = offsetof(State, reservation_valid),
              reservation_address = offsetof(State, reservation_address),
              reservation_value = offsetof(State, reservation_value);
constexpr u64 v = offsetof(State, v);  // the first of as many i128 slots as make all vector registers
constexpr u64 vl = offsetof(State, vl), vtype = offsetof(State, vtype), vstart = offsetof(State, vstart);
}  // namespace slots

// The instruction in translation, and what of the mode its body may ask.
struct Translation {
    ir::Builder& b;
    u64 pc = 0;
    unsigned length = 0;  // bytes
    Flow flow = Flow::next;
    bool float_on = false;
    bool float_dirty = false;  // FS is known to be dirty, by the mode or by an earlier instruction of the block
    u8 frm = 0;
    VectorTranslation vector{};
};

template <class Derived>
struct FloatBuild {
    bool float_ready() { return e().t.float_on || e().illegal(); }
    bool float_ready(u8 rm) { return (e().t.float_on && resolved(rm) <= 4) || e().illegal(); }

    template <class T>
    ir::Ref<T> f(unsigned r) {
        const ir::Ref<u64> raw = e().template get<u64>(slots::f(r));
        if constexpr (sizeof(T) == 8)
            return raw;
        else {
            const ir::Ref<bool> boxed = ir::eq(raw | low_mask(sizeof(T) * 8), e().template constant<u64>(~u64{0}));
            const ir::Ref<T> low = ir::trunc<T>(raw);
            return ir::select(boxed, low, e().template constant<T>(soft::canonical_nan<T>()));
        }
    }
    template <class T>
    ir::Ref<T> f_raw(unsigned r) {
        return ir::trunc<T>(e().template get<u64>(slots::f(r)));
    }
    template <class T>
    void f(unsigned r, ir::Ref<T> value) {
        if constexpr (sizeof(T) == 8)
            e().set(slots::f(r), value);
        else
            e().set(slots::f(r), ir::zext<u64>(value) | ~low_mask(sizeof(T) * 8));
        float_dirty();
    }

    // What these make goes to an f register, which makes FS dirty anyway.
    template <FloatOp Op, class T>
    ir::Ref<T> float_op(u8 rm, ir::Ref<T> a, ir::Ref<T> b = {}, ir::Ref<T> c = {}) {
        constexpr bool rounds = Op != FloatOp::min && Op != FloatOp::max;
        constexpr unsigned operands = Op == FloatOp::sqrt ? 1 : Op == FloatOp::mul_add ? 3 : 2;
        return {a.builder, a.builder->float_op(operation(Op), ir::type_of<T>, unit(),
                                               rounds ? rounding(rm) : ir::Rounding::nearest_even, a.id,
                                               operands > 1 ? b.id : ir::no_value, operands > 2 ? c.id : ir::no_value)};
    }
    template <class T, class I>
    ir::Ref<T> float_from_integer(u8 rm, ir::Ref<std::make_unsigned_t<I>> a) {
        const ir::Op op = std::is_signed_v<I> ? ir::Op::float_from_signed : ir::Op::float_from_unsigned;
        return {a.builder, a.builder->float_convert(op, ir::type_of<T>, unit(), rounding(rm), a.id)};
    }
    template <class To, class From>
    ir::Ref<To> float_convert(u8 rm, ir::Ref<From> a) {
        return {a.builder,
                a.builder->float_convert(ir::Op::float_convert, ir::type_of<To>, unit(), rounding(rm), a.id)};
    }

    template <FloatCompare Op, class T>
    ir::Ref<bool> float_compare(ir::Ref<T> a, ir::Ref<T> b) {
        const ir::Op op = Op == FloatCompare::eq   ? ir::Op::float_eq
                          : Op == FloatCompare::lt ? ir::Op::float_lt
                                                   : ir::Op::float_le;
        return {a.builder, flagged([&] { return a.builder->float_compare(op, ir::type_of<T>, unit(), a.id, b.id); })};
    }
    template <class I, class T>
    ir::Ref<std::make_unsigned_t<I>> float_to_integer(u8 rm, ir::Ref<T> a) {
        const ir::Op op = std::is_signed_v<I> ? ir::Op::float_to_signed : ir::Op::float_to_unsigned;
        const ir::Type to = ir::type_of<std::make_unsigned_t<I>>;
        return {a.builder, flagged([&] { return a.builder->float_convert(op, to, unit(), rounding(rm), a.id); })};
    }
    template <class T>
    ir::Ref<u16> float_class(ir::Ref<T> a) {
        return {a.builder, a.builder->float_classify(a.id)};
    }

private:
    Derived& e() { return static_cast<Derived&>(*this); }

    u8 resolved(u8 rm) { return rm == 7 ? e().t.frm : rm; }
    ir::Rounding rounding(u8 rm) { return static_cast<ir::Rounding>(resolved(rm)); }
    unsigned unit() { return e().b.float_unit({.flags = slots::fflags, .rounding = slots::frm}); }

    // An operation that writes nothing but flags.
    template <class Make>
    ir::ValueId flagged(Make&& make) {
        const ir::ValueId result = make();
        float_dirty();
        return result;
    }

    void float_dirty() {
        if (e().t.float_dirty) return;
        e().set(slots::mstatus, e().template get<u64>(slots::mstatus) | mstatus::fs);
        e().t.float_dirty = true;
    }

    static constexpr ir::Op operation(FloatOp op) {
        switch (op) {
            case FloatOp::add: return ir::Op::float_add;
            case FloatOp::sub: return ir::Op::float_sub;
            case FloatOp::mul: return ir::Op::float_mul;
            case FloatOp::div: return ir::Op::float_div;
            case FloatOp::sqrt: return ir::Op::float_sqrt;
            case FloatOp::mul_add: return ir::Op::float_mul_add;
            case FloatOp::min: return ir::Op::float_min;
            case FloatOp::max: break;
        }
        return ir::Op::float_max;
    }
};

}  // namespace viv::riscv
