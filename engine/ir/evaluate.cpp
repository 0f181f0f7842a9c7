// From operation and type numbers to the templates of meaning.h.
#include "engine/ir/evaluate.h"

#include "engine/ir/meaning.h"
#include "engine/ir/op_info.h"
#include "engine/lang/check.h"

namespace viv::ir {

namespace {

// Calls visit.operator()<T>() with the unsigned type behind an integer type of at least eight bits.
template <class Visit>
auto with_integer(Type type, Visit&& visit) {
    switch (type) {
        case Type::i8: return visit.template operator()<u8>();
        case Type::i16: return visit.template operator()<u16>();
        case Type::i32: return visit.template operator()<u32>();
        case Type::i64: return visit.template operator()<u64>();
        case Type::i128: return visit.template operator()<u128>();
        default: CHECK(false, "no arithmetic on this type");
    }
    return visit.template operator()<u64>();
}
template <class Visit>
auto with_format(Type type, Visit&& visit) {
    switch (type) {
        case Type::i16: return visit.template operator()<u16>();
        case Type::i32: return visit.template operator()<u32>();
        case Type::i64: return visit.template operator()<u64>();
        default: CHECK(false, "no floating-point format has this width");
    }
    return visit.template operator()<u64>();
}
template <class Visit>
auto with_float_integer(Type type, Visit&& visit) {
    if (type == Type::i8) return visit.template operator()<u8>();
    return with_format(type, visit);
}

u128 unknown() {
    CHECK(false, "not an operation of this shape");
    return 0;
}

}  // namespace

// The formatter takes the inclusions for parts of the macros before them.
// clang-format off

u128 evaluate_unary(Op op, Type type, u128 a) {
    if (type == Type::i1) {
        CHECK(op == Op::not_);
        return meaning::not_<bool>(a != 0);
    }
    return with_integer(type, [&]<class T>() -> u128 {
        switch (op) {
#define IR_UNARY(name, text) case Op::name: return meaning::name<T>(T(a));
#include "engine/ir/ops.def"
            default: return unknown();
        }
    });
}

u128 evaluate_binary(Op op, Type type, u128 a, u128 b) {
    if (type == Type::i1) {
        switch (op) {
            case Op::and_: return meaning::and_<bool>(a != 0, b != 0);
            case Op::or_: return meaning::or_<bool>(a != 0, b != 0);
            case Op::xor_: return meaning::xor_<bool>(a != 0, b != 0);
            default: return unknown();
        }
    }
    return with_integer(type, [&]<class T>() -> u128 {
        switch (op) {
#define IR_BINARY(name, text)                                                   \
    case Op::name:                                                              \
        if constexpr (!(is_high_half(Op::name) && sizeof(T) == 16)) return meaning::name<T>(T(a), T(b)); \
        else return unknown();
#include "engine/ir/ops.def"
            default: return unknown();
        }
    });
}

bool evaluate_compare(Op op, Type operands, u128 a, u128 b) {
    if (operands == Type::i1) {
        CHECK(op == Op::eq || op == Op::ne);
        return op == Op::eq ? meaning::eq<bool>(a != 0, b != 0) : meaning::ne<bool>(a != 0, b != 0);
    }
    return with_integer(operands, [&]<class T>() -> bool {
        switch (op) {
#define IR_COMPARE(name, text) case Op::name: return meaning::name<T>(T(a), T(b));
#include "engine/ir/ops.def"
            default: return unknown() != 0;
        }
    });
}

u128 evaluate_convert(Op op, Type to, Type from, u128 a) {
    if (op != Op::sext) return truncate(to, a);
    const u128 sign = u128{1} << (bits_of(from) - 1);
    return truncate(to, (a ^ sign) - sign);
}

u128 evaluate_lanes(Op op, Type lane, u128 a, u128 b) {
    const unsigned width = bits_of(lane);
    const bool compares = info_of(op).shape == Shape::compare;
    u128 result = 0;
    for (unsigned at = 0; at < 128; at += width) {
        const u128 x = truncate(lane, a >> at), y = is_shift(op) ? b : truncate(lane, b >> at);
        const u128 z = compares ? (evaluate_compare(op, lane, x, y) ? ~u128{0} : 0) : evaluate_binary(op, lane, x, y);
        result |= truncate(lane, z) << at;
    }
    return result;
}

u128 evaluate_splat(Type lane, u128 a) {
    u128 result = 0;
    for (unsigned at = 0; at < 128; at += bits_of(lane)) result |= a << at;
    return result;
}

u128 evaluate_lane_mask(Type lane, u64 first, u64 count) {
    const unsigned width = bits_of(lane);
    u128 result = 0;
    for (unsigned i = 0; i < 128 / width; i++)
        if (first + i < count) result |= truncate(lane, ~u128{0}) << (i * width);
    return result;
}

u128 evaluate_expand_bits(Type lane, u64 first, u128 a) {
    u128 result = 0;
    for (unsigned i = 0; i < lane_count(lane); i++)
        if ((a >> (first + i) & 1) != 0) result |= truncate(lane, ~u128{0}) << (i * bits_of(lane));
    return result;
}

u128 evaluate_insert_bits(Type lane, u64 first, u128 a, u128 b) {
    for (unsigned i = 0; i < lane_count(lane); i++) {
        const u128 bit = u128{1} << (first + i);
        a = (b >> ((i + 1) * bits_of(lane) - 1) & 1) != 0 ? a | bit : a & ~bit;
    }
    return a;
}

u128 evaluate_float(Op op, Type format, soft::Environment& env, u128 a, u128 b, u128 c) {
    return with_format(format, [&]<class T>() -> u128 {
        switch (op) {
#define IR_FLOAT_UNARY(name, text) case Op::name: return meaning::name<T>(env, T(a));
#define IR_FLOAT_BINARY(name, text) case Op::name: return meaning::name<T>(env, T(a), T(b));
#define IR_FLOAT_TERNARY(name, text) case Op::name: return meaning::name<T>(env, T(a), T(b), T(c));
#include "engine/ir/ops.def"
            default: return unknown();
        }
    });
}

bool evaluate_float_compare(Op op, Type format, soft::Environment& env, u128 a, u128 b) {
    return with_format(format, [&]<class T>() -> bool {
        switch (op) {
#define IR_FLOAT_COMPARE(name, text) case Op::name: return meaning::name<T>(env, T(a), T(b));
#include "engine/ir/ops.def"
            default: return unknown() != 0;
        }
    });
}

// clang-format on

u128 evaluate_float_convert(Op op, Type to, Type from, soft::Environment& env, u128 a) {
    switch (op) {
        case Op::float_to_signed:
            return with_float_integer(to, [&]<class R>() {
                return with_format(from, [&]<class T>() -> u128 { return meaning::float_to_signed<R, T>(env, T(a)); });
            });
        case Op::float_to_unsigned:
            return with_float_integer(to, [&]<class R>() {
                return with_format(from,
                                   [&]<class T>() -> u128 { return meaning::float_to_unsigned<R, T>(env, T(a)); });
            });
        case Op::float_from_signed:
            return with_format(to, [&]<class R>() {
                return with_float_integer(
                    from, [&]<class T>() -> u128 { return meaning::float_from_signed<R, T>(env, T(a)); });
            });
        case Op::float_from_unsigned:
            return with_format(to, [&]<class R>() {
                return with_float_integer(
                    from, [&]<class T>() -> u128 { return meaning::float_from_unsigned<R, T>(env, T(a)); });
            });
        case Op::float_convert:
            return with_format(to, [&]<class R>() {
                return with_format(from, [&]<class T>() -> u128 {
                    if constexpr (!std::is_same_v<R, T>)
                        return meaning::float_convert<R, T>(env, T(a));
                    else
                        return unknown();
                });
            });
        case Op::float_classify:
            return with_format(from, [&]<class T>() -> u128 { return meaning::float_classify<u16, T>(env, T(a)); });
        default: return unknown();
    }
}

}  // namespace viv::ir
