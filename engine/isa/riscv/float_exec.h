// The floating-point part of the interpreter's emitter: registers with NaN boxing, rounding modes, flags, operations.
// Promises: results and flags are those of float/softfloat.h, bit for bit. The host's arithmetic is used only where
// that is certain: once the guest's inexact flag is set and rounding is to nearest, an operation whose result is normal
// (and not the smallest normal) can raise nothing else.
#pragma once

#include <bit>
#include <cmath>

#include "engine/float/softfloat.h"
#include "engine/ir/values.h"
#include "engine/isa/riscv/hart.h"

namespace viv::riscv {

enum class FloatOp : u8 { add, sub, mul, div, sqrt, mul_add, min, max };
enum class FloatCompare : u8 { eq, lt, le };

// The value of an f register as format T: what is not NaN-boxed reads as the canonical NaN.
template <class T>
constexpr T unbox(u64 raw) {
    if constexpr (sizeof(T) == 8)
        return raw;
    else
        return (raw | low_mask(sizeof(T) * 8)) == ~u64{0} ? static_cast<T>(raw) : soft::canonical_nan<T>();
}
template <class T>
constexpr u64 box(T value) {
    return sizeof(T) == 8 ? u64{value} : ~low_mask(sizeof(T) * 8) | value;
}

template <class T>
struct HostFloat {
    static constexpr bool available = false;
};
template <>
struct HostFloat<u32> {
    static constexpr bool available = true;
    using Type = float;
    static constexpr u32 exponent_mask = 0x7f80'0000, exponent_one = 0x0080'0000;
};
template <>
struct HostFloat<u64> {
    static constexpr bool available = true;
    using Type = double;
    static constexpr u64 exponent_mask = 0x7ff0'0000'0000'0000, exponent_one = 0x0010'0000'0000'0000;
};

template <class Derived>
struct FloatExec {
    // FS must be on, and the rounding mode valid: static 0 to 4, or 7 with frm 0 to 4. False: illegal instruction,
    // return.
    bool float_ready() {
        if (hart().fp_on()) [[likely]]
            return true;
        return derived().illegal();
    }
    bool float_ready(u8 rm) {
        if (hart().fp_on() && (rm == 7 ? hart().s.frm : rm) <= 4) [[likely]]
            return true;
        return derived().illegal();
    }

    template <class T>
    ir::Num<T> f(unsigned r) {
        return {unbox<T>(hart().s.f[r])};
    }
    template <class T>
    ir::Num<T> f_raw(unsigned r) {
        return {static_cast<T>(hart().s.f[r])};
    }
    template <class T>
    void f(unsigned r, ir::Num<T> value) {
        hart().s.f[r] = box<T>(value.v);
        hart().fp_dirty();
    }

    template <FloatOp Op, class T>
    ir::Num<T> float_op(u8 rm, ir::Num<T> a, ir::Num<T> b = {}, ir::Num<T> c = {}) {
        const soft::Rounding rounding = mode(rm);
        if constexpr (HostFloat<T>::available && Op != FloatOp::min && Op != FloatOp::max) {
            if ((hart().s.fflags & soft::inexact) != 0 && rounding == soft::Rounding::nearest_even) [[likely]] {
                using Host = HostFloat<T>;
                const auto x = std::bit_cast<typename Host::Type>(a.v), y = std::bit_cast<typename Host::Type>(b.v),
                           z = std::bit_cast<typename Host::Type>(c.v);
                typename Host::Type result;
                if constexpr (Op == FloatOp::add)
                    result = x + y;
                else if constexpr (Op == FloatOp::sub)
                    result = x - y;
                else if constexpr (Op == FloatOp::mul)
                    result = x * y;
                else if constexpr (Op == FloatOp::div)
                    result = x / y;
                else if constexpr (Op == FloatOp::sqrt)
                    result = std::sqrt(x);
                else
                    result = std::fma(x, y, z);
                const T bits = std::bit_cast<T>(result);
                const T exponent = bits & Host::exponent_mask;
                if (exponent > Host::exponent_one && exponent != Host::exponent_mask) [[likely]]
                    return {bits};
            }
        }
        soft::Environment env{rounding};
        T result;
        if constexpr (Op == FloatOp::add)
            result = soft::add<T>(env, a.v, b.v);
        else if constexpr (Op == FloatOp::sub)
            result = soft::sub<T>(env, a.v, b.v);
        else if constexpr (Op == FloatOp::mul)
            result = soft::mul<T>(env, a.v, b.v);
        else if constexpr (Op == FloatOp::div)
            result = soft::div<T>(env, a.v, b.v);
        else if constexpr (Op == FloatOp::sqrt)
            result = soft::sqrt<T>(env, a.v);
        else if constexpr (Op == FloatOp::mul_add)
            result = soft::mul_add<T>(env, a.v, b.v, c.v);
        else if constexpr (Op == FloatOp::min)
            result = soft::min_number<T>(env, a.v, b.v);
        else
            result = soft::max_number<T>(env, a.v, b.v);
        accrue(env);
        return {result};
    }
    template <FloatCompare Op, class T>
    ir::Num<bool> float_compare(ir::Num<T> a, ir::Num<T> b) {
        soft::Environment env;
        bool result;
        if constexpr (Op == FloatCompare::eq)
            result = soft::equal<T>(env, a.v, b.v);
        else if constexpr (Op == FloatCompare::lt)
            result = soft::less<T>(env, a.v, b.v);
        else
            result = soft::less_equal<T>(env, a.v, b.v);
        accrue(env);
        return {result};
    }
    template <class T>
    ir::Num<u16> float_class(ir::Num<T> a) {
        return {soft::classify<T>(a.v)};
    }
    // I is i32, u32, i64 or u64.
    template <class I, class T>
    ir::Num<std::make_unsigned_t<I>> float_to_integer(u8 rm, ir::Num<T> a) {
        soft::Environment env{mode(rm)};
        const I result = soft::to_integer<I, T>(env, a.v, env.rounding);
        accrue(env);
        return {static_cast<std::make_unsigned_t<I>>(result)};
    }
    template <class T, class I>
    ir::Num<T> float_from_integer(u8 rm, ir::Num<std::make_unsigned_t<I>> a) {
        soft::Environment env{mode(rm)};
        const T result = soft::from_integer<T, I>(env, static_cast<I>(a.v));
        accrue(env);
        return {result};
    }
    template <class To, class From>
    ir::Num<To> float_convert(u8 rm, ir::Num<From> a) {
        soft::Environment env{mode(rm)};
        const To result = soft::convert<To, From>(env, a.v);
        accrue(env);
        return {result};
    }

private:
    Derived& derived() { return static_cast<Derived&>(*this); }
    Hart& hart() { return derived().h; }
    soft::Rounding mode(u8 rm) { return static_cast<soft::Rounding>(rm == 7 ? hart().s.frm : rm); }
    // FS becomes dirty whether or not a flag is new, as section 3.1.6.6 of the Privileged ISA allows: so no translation
    // has to compare.
    void accrue(const soft::Environment& env) {
        hart().s.fflags |= env.flags;
        hart().fp_dirty();
    }
};

}  // namespace viv::riscv
