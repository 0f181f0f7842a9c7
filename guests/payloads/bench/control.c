/* Control flow: recursive calls, an interpreter of bytecode with computed jumps, calls through tables of functions. */
#include "bench.h"

/* calls: Fibonacci and Takeuchi, kept from being unrolled into themselves */

#ifdef __clang__
#define NOT_INLINED __attribute__((noinline))
#else
#define NOT_INLINED __attribute__((noinline, noclone))
#endif

static NOT_INLINED u64 fibonacci(u64 n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }

static NOT_INLINED i64 takeuchi(i64 x, i64 y, i64 z) {
    return y < x ? takeuchi(takeuchi(x - 1, y, z), takeuchi(y - 1, z, x), takeuchi(z - 1, x, y)) : z;
}

static u64 calls_iterate(void) {
    volatile u64 depth = 27;
    volatile i64 first = 14;
    return mix(fibonacci(depth), (u64)takeuchi(first, 9, 4));
}

/* bytecode: a register machine that looks for prime numbers and for long Collatz sequences */

enum operation {
    op_set,
    op_copy,
    op_add_number,
    op_multiply_add,
    op_remainder,
    op_halve,
    op_mix,
    op_jump,
    op_jump_less,
    op_jump_zero,
    op_jump_odd,
    op_end
};

struct instruction {
    u8 operation, a, b;
    i32 number; /* a constant, or the index of an instruction */
};

enum { r_candidate, r_divisor, r_square, r_rest, r_limit, r_count, r_value, r_steps, r_sum, r_one, register_count };

static const struct instruction program[] = {
    /*  0 */ {op_set, r_candidate, 0, 3},
    /*  1 */ {op_set, r_limit, 0, 2500},
    /*  2 */ {op_set, r_count, 0, 1},
    /*  3 */ {op_set, r_divisor, 0, 3},
    /*  4 */ {op_set, r_square, 0, 0},
    /*  5 */ {op_multiply_add, r_square, r_divisor, 0},
    /*  6 */ {op_jump_less, r_candidate, r_square, 12},
    /*  7 */ {op_copy, r_rest, r_candidate, 0},
    /*  8 */ {op_remainder, r_rest, r_divisor, 0},
    /*  9 */ {op_jump_zero, r_rest, 0, 14},
    /* 10 */ {op_add_number, r_divisor, 0, 2},
    /* 11 */ {op_jump, 0, 0, 4},
    /* 12 */ {op_add_number, r_count, 0, 1},
    /* 13 */ {op_mix, r_sum, r_candidate, 0},
    /* 14 */ {op_add_number, r_candidate, 0, 2},
    /* 15 */ {op_jump_less, r_candidate, r_limit, 3},
    /* 16 */ {op_set, r_one, 0, 1},
    /* 17 */ {op_set, r_candidate, 0, 1},
    /* 18 */ {op_set, r_limit, 0, 400},
    /* 19 */ {op_copy, r_value, r_candidate, 0},
    /* 20 */ {op_set, r_steps, 0, 0},
    /* 21 */ {op_jump_less, r_one, r_value, 23},
    /* 22 */ {op_jump, 0, 0, 30},
    /* 23 */ {op_add_number, r_steps, 0, 1},
    /* 24 */ {op_jump_odd, r_value, 0, 27},
    /* 25 */ {op_halve, r_value, 0, 0},
    /* 26 */ {op_jump, 0, 0, 21},
    /* 27 */ {op_copy, r_rest, r_value, 0},
    /* 28 */ {op_multiply_add, r_value, 0, 2},
    /* 29 */ {op_add_number, r_value, 0, 1},
    /* 30 */ {op_jump_less, r_one, r_value, 21},
    /* 31 */ {op_mix, r_sum, r_steps, 0},
    /* 32 */ {op_add_number, r_candidate, 0, 1},
    /* 33 */ {op_jump_less, r_candidate, r_limit, 19},
    /* 34 */ {op_mix, r_sum, r_count, 0},
    /* 35 */ {op_end, 0, 0, 0},
};

static NOT_INLINED u64 interpret(const struct instruction* code) {
    static const void* const labels[] = {&&set,    &&copy, &&add_number, &&multiply_add, &&remainder, &&halve,
                                         &&mixing, &&jump, &&jump_less,  &&jump_zero,    &&jump_odd,  &&end};
    u64 r[register_count] = {0};
    const struct instruction* at = code;
#define NEXT goto* labels[at->operation]
    NEXT;
    /* clang-format off */
set: r[at->a] = (u64)(i64)at->number; at++; NEXT;
copy: r[at->a] = r[at->b]; at++; NEXT;
add_number: r[at->a] += (u64)(i64)at->number; at++; NEXT;
multiply_add: r[at->a] += at->number ? r[at->a] * (u64)(i64)at->number : r[at->b] * r[at->b]; at++; NEXT;
remainder: r[at->a] %= r[at->b]; at++; NEXT;
halve: r[at->a] >>= 1; at++; NEXT;
mixing: r[at->a] = mix(r[at->a], r[at->b]); at++; NEXT;
jump: at = code + at->number; NEXT;
jump_less: at = r[at->a] < r[at->b] ? code + at->number : at + 1; NEXT;
jump_zero: at = r[at->a] == 0 ? code + at->number : at + 1; NEXT;
jump_odd: at = r[at->a] & 1 ? code + at->number : at + 1; NEXT;
end: return r[r_sum];
    /* clang-format on */
#undef NEXT
}

static u64 bytecode_iterate(void) {
    u64 sum = 0;
    for (int round = 0; round < 4; round++) sum = mix(sum, interpret(program));
    return sum;
}

/* virtual: objects of six classes in no order, three methods each, called through tables */

struct object;
struct methods {
    u64 (*area)(const struct object*);
    void (*grow)(struct object*, u64);
    u64 (*kind)(const struct object*);
};
struct object {
    const struct methods* methods;
    u64 width, height;
};

enum { object_count = 4096, class_count = 6, virtual_rounds = 12 };
static struct object* objects;

static u64 rectangle_area(const struct object* o) { return o->width * o->height; }
static u64 triangle_area(const struct object* o) { return o->width * o->height / 2; }
static u64 frame_area(const struct object* o) { return 2 * (o->width + o->height); }
static void grow_both(struct object* o, u64 by) { o->width += by, o->height += by; }
static void grow_width(struct object* o, u64 by) { o->width += by; }
static void turn(struct object* o, u64 by) {
    const u64 width = o->width;
    o->width = o->height + (by & 1);
    o->height = width;
}
static u64 kind_1(const struct object* o) { return (o->width & 7) + 1; }
static u64 kind_2(const struct object* o) { return (o->width & 7) + 2; }
static u64 kind_3(const struct object* o) { return (o->width & 7) + 3; }
static u64 kind_4(const struct object* o) { return (o->width & 7) + 4; }
static u64 kind_5(const struct object* o) { return (o->width & 7) + 5; }
static u64 kind_6(const struct object* o) { return (o->width & 7) + 6; }

static const struct methods classes[class_count] = {
    {rectangle_area, grow_both, kind_1}, {rectangle_area, grow_width, kind_2}, {triangle_area, grow_both, kind_3},
    {triangle_area, turn, kind_4},       {frame_area, grow_width, kind_5},     {frame_area, turn, kind_6},
};

static void virtual_prepare(void) { objects = allocate(object_count * sizeof *objects); }

static u64 virtual_iterate(void) {
    u64 random = 9, sum = 0;
    for (int index = 0; index < object_count; index++) {
        const u64 bits = next_random(&random);
        objects[index] = (struct object){&classes[bits % class_count], bits >> 8 & 0xFF, bits >> 16 & 0xFF};
    }
    for (int round = 0; round < virtual_rounds; round++)
        for (int index = 0; index < object_count; index++) {
            struct object* o = &objects[index];
            sum += o->methods->area(o);
            o->methods->grow(o, o->methods->kind(o));
        }
    return sum;
}

const struct program control_programs[] = {
    {"calls", "control", NULL, calls_iterate},
    {"bytecode", "control", NULL, bytecode_iterate},
    {"virtual", "control", virtual_prepare, virtual_iterate},
    {0},
};
