// Operands for floating-point tests: the corners of a format, and random patterns that meet the interesting cases
// often. Promises: deterministic; every corner is a distinct bit pattern.
#pragma once

#include <vector>

#include "engine/lang/bits.h"

namespace viv::patterns {

template <class T>
inline constexpr int fraction_bits = sizeof(T) == 2   ? 10
                                     : sizeof(T) == 4 ? 23
                                                      : 52;

template <class T>
T compose(bool sign, int exponent_field, u64 fraction) {
    return static_cast<T>(u64{sign} << (sizeof(T) * 8 - 1) | static_cast<u64>(exponent_field) << fraction_bits<T> |
                          (fraction & low_mask(fraction_bits<T>)));
}

// Zeros, subnormals, normals next to every boundary, ties, infinities, quiet and signaling NaNs; both signs.
template <class T>
std::vector<T> corners() {
    constexpr int top = (1 << (sizeof(T) * 8 - 1 - fraction_bits<T>)) - 1;
    constexpr int bias = top / 2;
    constexpr u64 ones = low_mask(fraction_bits<T>);
    constexpr u64 half = u64{1} << (fraction_bits<T> - 1);
    std::vector<T> result;
    for (const bool sign : {false, true}) {
        const auto put = [&](int field, u64 fraction) { result.push_back(compose<T>(sign, field, fraction)); };
        for (const u64 fraction : {u64{0}, u64{1}, u64{2}, u64{3}, half - 1, half, half + 1, ones - 1, ones})
            put(0, fraction);
        for (const int field : {1, 2, bias - 1, bias, bias + 1, top - 2, top - 1})
            for (const u64 fraction : {u64{0}, u64{1}, half, ones}) put(field, fraction);
        for (const int field : {bias - fraction_bits<T> - 2, bias - fraction_bits<T> - 1, bias - fraction_bits<T>,
                                bias + fraction_bits<T>, bias + fraction_bits<T> - 1})
            if (field > 2 && field < top - 2) put(field, 0), put(field, 1), put(field, ones);
        put(top, 0);
        for (const u64 fraction : {u64{1}, half - 1, half, half + 5}) put(top, fraction);
    }
    return result;
}

class Random {
public:
    explicit Random(u64 seed) : state_(seed) {}
    u64 next() {  // splitmix64
        u64 z = state_ += 0x9e37'79b9'7f4a'7c15;
        z = (z ^ (z >> 30)) * 0xbf58'476d'1ce4'e5b9;
        z = (z ^ (z >> 27)) * 0x94d0'49bb'1331'11eb;
        return z ^ (z >> 31);
    }
    u64 below(u64 limit) { return next() % limit; }

    // Any bits, runs of equal bits, or few bits set or clear: the last two make ties and long carries.
    u64 fraction() {
        const u64 choice = next();
        const u64 bits = next();
        switch (choice & 3) {
            case 0: return bits;
            case 1: return (~u64{0} << (bits & 63)) ^ (~u64{0} << ((bits >> 6) & 63));
            case 2: return u64{1} << (bits & 63) | u64{1} << ((bits >> 6) & 63) | ((bits >> 12) & 1);
            default: return ~(u64{1} << (bits & 63));
        }
    }

    // One number in eight is any pattern at all; the others have an exponent within a few places of `centre`.
    template <class T>
    T number(int centre) {
        constexpr int top = (1 << (sizeof(T) * 8 - 1 - fraction_bits<T>)) - 1;
        const u64 choice = next();
        if ((choice & 7) == 0) return static_cast<T>(next());
        const int reach = (choice & 8) != 0 ? 3 : fraction_bits<T> + 3;
        const int field = centre - reach + static_cast<int>((choice >> 8) % static_cast<u64>(2 * reach + 1));
        return compose<T>((choice & 16) != 0, field < 0 ? 0 : field > top ? top : field, fraction());
    }

    // A biased exponent to centre operands on: anywhere, or at an end of the range.
    template <class T>
    int exponent() {
        constexpr int top = (1 << (sizeof(T) * 8 - 1 - fraction_bits<T>)) - 1;
        const u64 choice = next();
        if ((choice & 3) == 0) return (choice & 4) != 0 ? 1 : top - 1;
        if ((choice & 3) == 1) return top / 2;
        return static_cast<int>((choice >> 8) % static_cast<u64>(top + 1));
    }

private:
    u64 state_;
};

}  // namespace viv::patterns
