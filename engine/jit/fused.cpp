// See fused.h. Compiled without contraction of floating-point expressions.
#include "engine/jit/fused.h"

#include <bit>

namespace viv::jit {

namespace {

// What rounding has taken from the high part: together they are the exact value.
struct Sum {
    double high, low;
};

Sum exact_sum(double a, double b) {
    const double sum = a + b;
    const double part = sum - a;
    return {sum, (a - (sum - part)) + (b - part)};
}

Sum halves(double a) {
    const double scaled = a * 134217729.0;  // 2^27 + 1
    const double high = scaled - (scaled - a);
    return {high, a - high};
}

Sum exact_product(double a, double b) {
    const double product = a * b;
    const Sum x = halves(a), y = halves(b);
    return {product, ((x.high * y.high - product) + x.high * y.low + x.low * y.high) + x.low * y.low};
}

// To the neighbour with an odd last digit, unless it is exact.
double sum_to_odd(double a, double b) {
    const Sum sum = exact_sum(a, b);
    const u64 bits = std::bit_cast<u64>(sum.high);
    if (sum.low == 0 || (bits & 1) != 0) return sum.high;
    return std::bit_cast<double>((sum.low > 0) == (sum.high > 0) ? bits + 1 : bits - 1);
}

// Whether the power of two is between -limit and limit.
bool is_ordinary(u64 bits, u64 limit) {
    constexpr u64 bias = 1023, exponent_mask = 0x7ff;
    return ((bits >> 52) & exponent_mask) - (bias - limit) <= 2 * limit;
}

}  // namespace

std::optional<u64> fused_mul_add(u64 a, u64 b, u64 c) {
    // So that neither the parts of the product nor what is left of the sum can overflow, or lose digits below.
    constexpr u64 most_of_factors = 450, most_of_addend = 900;
    if (!is_ordinary(a, most_of_factors) || !is_ordinary(b, most_of_factors) ||
        !(is_ordinary(c, most_of_addend) || c << 1 == 0))
        return std::nullopt;
    const Sum product = exact_product(std::bit_cast<double>(a), std::bit_cast<double>(b));
    const Sum low = exact_sum(std::bit_cast<double>(c), product.low);
    const Sum high = exact_sum(product.high, low.high);
    return std::bit_cast<u64>(high.high + sum_to_odd(low.low, high.low));
}

}  // namespace viv::jit
