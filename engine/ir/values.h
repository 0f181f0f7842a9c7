// Guest values as instruction semantics see them: Num<T>, known now (the interpreter), and Ref<T>, known when the block
// runs (every JIT). Promises: the same source text means the same for both; neither converts to bool, so branching the
// host on a guest value does not compile. T is bool, u8, u16, u32, u64 or u128; signedness belongs to operations, not
// to types.
#pragma once

#include "engine/ir/builder.h"
#include "engine/ir/meaning.h"

namespace viv::ir {

template <class T>
struct Num {
    using Type = T;
    T v{};
};

template <class T>
struct Ref {
    using Type = T;
    Builder* builder = nullptr;
    ValueId id = 0;
};

#define IR_UNARY(name, meaning_text)                                      \
    template <class T>                                                    \
    constexpr Num<T> name(Num<T> a) {                                     \
        return {meaning::name(a.v)};                                      \
    }                                                                     \
    template <class T>                                                    \
    Ref<T> name(Ref<T> a) {                                               \
        return {a.builder, a.builder->unary(Op::name, type_of<T>, a.id)}; \
    }
#define IR_BINARY(name, meaning_text)                                            \
    template <class T>                                                           \
    constexpr Num<T> name(Num<T> a, Num<T> b) {                                  \
        return {meaning::name(a.v, b.v)};                                        \
    }                                                                            \
    template <class T>                                                           \
    Ref<T> name(Ref<T> a, Ref<T> b) {                                            \
        return {a.builder, a.builder->binary(Op::name, type_of<T>, a.id, b.id)}; \
    }
#define IR_COMPARE(name, meaning_text)                                            \
    template <class T>                                                            \
    constexpr Num<bool> name(Num<T> a, Num<T> b) {                                \
        return {meaning::name(a.v, b.v)};                                         \
    }                                                                             \
    template <class T>                                                            \
    Ref<bool> name(Ref<T> a, Ref<T> b) {                                          \
        return {a.builder, a.builder->compare(Op::name, type_of<T>, a.id, b.id)}; \
    }
#include "engine/ir/ops.def"

// Width changes. zext and sext widen (or keep), trunc narrows (or keeps).
template <class To, class From>
constexpr Num<To> zext(Num<From> a) {
    return {static_cast<To>(a.v)};
}
template <class To, class From>
constexpr Num<To> trunc(Num<From> a) {
    return {static_cast<To>(a.v)};
}
template <class To, class From>
constexpr Num<To> sext(Num<From> a) {
    return {static_cast<To>(
        static_cast<typename meaning::SignedOf<To>::type>(static_cast<typename meaning::SignedOf<From>::type>(a.v)))};
}
template <class To, class From>
Ref<To> zext(Ref<From> a) {
    if constexpr (std::is_same_v<To, From>)
        return a;
    else
        return {a.builder, a.builder->convert(Op::zext, type_of<To>, a.id)};
}
template <class To, class From>
Ref<To> sext(Ref<From> a) {
    if constexpr (std::is_same_v<To, From>)
        return a;
    else
        return {a.builder, a.builder->convert(Op::sext, type_of<To>, a.id)};
}
template <class To, class From>
Ref<To> trunc(Ref<From> a) {
    if constexpr (std::is_same_v<To, From>)
        return a;
    else
        return {a.builder, a.builder->convert(Op::trunc, type_of<To>, a.id)};
}

// Both sides are computed; there is no laziness and no side effect.
template <class T>
constexpr Num<T> select(Num<bool> condition, Num<T> yes, Num<T> no) {
    return condition.v ? yes : no;
}
template <class T>
Ref<T> select(Ref<bool> condition, Ref<T> yes, Ref<T> no) {
    return {yes.builder, yes.builder->select(type_of<T>, condition.id, yes.id, no.id)};
}

// A constant of the same kind (Num or Ref) and type as `like`.
template <class T>
constexpr Num<T> constant_like(Num<T>, T value) {
    return {value};
}
template <class T>
Ref<T> constant_like(Ref<T> like, T value) {
    return {like.builder, like.builder->constant(type_of<T>, static_cast<u128>(value))};
}

template <class V>
concept GuestValue = requires(V a) {
    typename V::Type;
    constant_like(a, typename V::Type{});
};

template <GuestValue V>
constexpr V operator+(V a, V b) {
    return add(a, b);
}
template <GuestValue V>
constexpr V operator-(V a, V b) {
    return sub(a, b);
}
template <GuestValue V>
constexpr V operator*(V a, V b) {
    return mul(a, b);
}
template <GuestValue V>
constexpr V operator&(V a, V b) {
    return and_(a, b);
}
template <GuestValue V>
constexpr V operator|(V a, V b) {
    return or_(a, b);
}
template <GuestValue V>
constexpr V operator^(V a, V b) {
    return xor_(a, b);
}
template <GuestValue V>
constexpr V operator~(V a) {
    return not_(a);
}
// With a plain integer on the right, which is a constant of the left's type.
template <GuestValue V>
constexpr V operator+(V a, u64 b) {
    return add(a, constant_like(a, typename V::Type(b)));
}
template <GuestValue V>
constexpr V operator-(V a, u64 b) {
    return sub(a, constant_like(a, typename V::Type(b)));
}
template <GuestValue V>
constexpr V operator&(V a, u64 b) {
    return and_(a, constant_like(a, typename V::Type(b)));
}
template <GuestValue V>
constexpr V operator|(V a, u64 b) {
    return or_(a, constant_like(a, typename V::Type(b)));
}
template <GuestValue V>
constexpr V operator^(V a, u64 b) {
    return xor_(a, constant_like(a, typename V::Type(b)));
}
template <GuestValue V>
constexpr V operator<<(V a, unsigned b) {
    return shl(a, constant_like(a, typename V::Type(b)));
}
template <GuestValue V>
constexpr V operator>>(V a, unsigned b) {
    return shr(a, constant_like(a, typename V::Type(b)));
}

}  // namespace viv::ir
