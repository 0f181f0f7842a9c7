/* Floating point: a product of matrices of doubles and the Mandelbrot set. Without contraction to fused operations, so
 * that every machine rounds alike.
 */
#include "bench.h"

#include <string.h>

/* matmul: 128 x 128 doubles */

enum { side = 128 };
static double (*left)[side], (*right)[side], (*product)[side];

static void matmul_prepare(void) {
    u64 random = 5;
    left = allocate(sizeof(double) * side * side);
    right = allocate(sizeof(double) * side * side);
    product = allocate(sizeof(double) * side * side);
    for (int row = 0; row < side; row++)
        for (int column = 0; column < side; column++) {
            left[row][column] = (double)(next_random(&random) >> 11) / 9007199254740992.0 - 0.5;
            right[row][column] = (double)(next_random(&random) >> 11) / 9007199254740992.0 - 0.5;
        }
}

static u64 bits_of(double value) {
    u64 bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static u64 matmul_iterate(void) {
    memset(product, 0, sizeof(double) * side * side);
    for (int row = 0; row < side; row++)
        for (int index = 0; index < side; index++) {
            const double factor = left[row][index];
            const double* const from = right[index];
            double* const to = product[row];
            for (int column = 0; column < side; column++) to[column] += factor * from[column];
        }
    u64 sum = 0;
    for (int index = 0; index < side; index++) sum = mix(sum, bits_of(product[index][side - 1 - index]));
    return sum;
}

/* mandelbrot: 96 x 96 points, at most 200 steps */

enum { points = 96, steps_max = 200 };

static u64 mandelbrot_iterate(void) {
    u64 sum = 0;
    for (int row = 0; row < points; row++)
        for (int column = 0; column < points; column++) {
            const double cr = -2.0 + 2.5 * column / points, ci = -1.25 + 2.5 * row / points;
            double zr = 0, zi = 0, rr = 0, ii = 0;
            int step = 0;
            while (step < steps_max && rr + ii <= 4.0) {
                zi = 2.0 * zr * zi + ci;
                zr = rr - ii + cr;
                rr = zr * zr;
                ii = zi * zi;
                step++;
            }
            sum = mix(sum, (u64)step);
            if (step < steps_max) sum = mix(sum, bits_of(rr + ii));
        }
    return sum;
}

const struct program float_programs[] = {
    {"matmul", "float", matmul_prepare, matmul_iterate},
    {"mandelbrot", "float", NULL, mandelbrot_iterate},
    {0},
};
