// Unaligned loads and stores of integers in either byte order.
// Promises: compile to single moves; the caller has checked the bounds.
#pragma once

#include <bit>
#include <cstring>

#include "engine/lang/bits.h"

namespace viv {

template <class T>
constexpr T byte_swap(T value) {
    if constexpr (sizeof(T) == 1)
        return value;
    else if constexpr (sizeof(T) == 2)
        return static_cast<T>(__builtin_bswap16(static_cast<u16>(value)));
    else if constexpr (sizeof(T) == 4)
        return static_cast<T>(__builtin_bswap32(static_cast<u32>(value)));
    else
        return static_cast<T>(__builtin_bswap64(static_cast<u64>(value)));
}

template <class T>
T load_host(const void* from) {
    T value;
    std::memcpy(&value, from, sizeof value);
    return value;
}
template <class T>
void store_host(void* to, T value) {
    std::memcpy(to, &value, sizeof value);
}

template <class T>
T load_le(const void* from) {
    const T value = load_host<T>(from);
    return std::endian::native == std::endian::little ? value : byte_swap(value);
}
template <class T>
void store_le(void* to, T value) {
    store_host(to, std::endian::native == std::endian::little ? value : byte_swap(value));
}
template <class T>
T load_be(const void* from) {
    const T value = load_host<T>(from);
    return std::endian::native == std::endian::big ? value : byte_swap(value);
}
template <class T>
void store_be(void* to, T value) {
    store_host(to, std::endian::native == std::endian::big ? value : byte_swap(value));
}

}  // namespace viv
