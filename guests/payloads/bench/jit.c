/* A program that writes code and runs it, as language runtimes do: small functions of random length are generated into
 * memory that can be written and executed, called, and every other one written anew and called again.
 * The instructions it makes are those of the machine it is compiled for: RISC-V 64 or x86-64. Elsewhere there is no
 * such program yet. All machines compute the same numbers.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <string.h>
#include <sys/mman.h>

#if defined(__riscv) && __riscv_xlen == 64

/* x is in a0, the count in a1, t0 is free. */
static u8* emit32(u8* at, u32 code) {
    memcpy(at, &code, 4);
    return at + 4;
}
/* t0 = the number, sign-extended */
static u8* emit_number(u8* at, i32 number) {
    const u32 high = ((u32)number + 0x800) & 0xFFFFF000;
    at = emit32(at, high | 5 << 7 | 0x37);                                    /* lui t0 */
    return emit32(at, ((u32)number & 0xFFF) << 20 | 5 << 15 | 5 << 7 | 0x1B); /* addiw t0, t0 */
}
static u8* emit_begin(u8* at) { return at; }
/* mul, xor, add a0, a0, t0 */
static u8* emit_multiply(u8* at, i32 number) { return emit32(emit_number(at, number), 0x02550533); }
static u8* emit_xor(u8* at, i32 number) { return emit32(emit_number(at, number), 0x00554533); }
static u8* emit_add(u8* at, i32 number) { return emit32(emit_number(at, number), 0x00550533); }
static u8* emit_fold(u8* at, u32 shift) {
    at = emit32(at, shift << 20 | 10 << 15 | 5 << 12 | 5 << 7 | 0x13); /* srli t0, a0, shift */
    return emit32(at, 0x00554533);                                     /* xor a0, a0, t0 */
}
static u8* emit_end(u8* at, const u8* loop) {
    at = emit32(at, 0xFFF58593); /* addi a1, a1, -1 */
    const u32 by = (u32)(loop - at);
    at = emit32(at, (by >> 12 & 1) << 31 | (by >> 5 & 0x3F) << 25 | 11 << 15 | 1 << 12 | (by >> 1 & 0xF) << 8 |
                        (by >> 11 & 1) << 7 | 0x63); /* bnez a1, loop */
    return emit32(at, 0x00008067);                   /* ret */
}
#define HAVE_ENCODER 1

#elif defined(__x86_64__)

/* x comes in rdi, the count in rsi; rax is the result, rdx is free. */
static u8* emit_bytes(u8* at, const void* bytes, size_t count) {
    memcpy(at, bytes, count);
    return at + count;
}
static u8* emit_with_number(u8* at, const char* bytes, size_t count, i32 number) {
    return emit_bytes(emit_bytes(at, bytes, count), &number, 4);
}
static u8* emit_begin(u8* at) { return emit_bytes(at, "\x48\x89\xF8", 3); } /* mov rax, rdi */
/* imul, xor, add rax by a number */
static u8* emit_multiply(u8* at, i32 number) { return emit_with_number(at, "\x48\x69\xC0", 3, number); }
static u8* emit_xor(u8* at, i32 number) { return emit_with_number(at, "\x48\x35", 2, number); }
static u8* emit_add(u8* at, i32 number) { return emit_with_number(at, "\x48\x05", 2, number); }
static u8* emit_fold(u8* at, u32 shift) {
    const u8 count = (u8)shift;
    at = emit_bytes(emit_bytes(at, "\x48\x89\xC2\x48\xC1\xEA", 6), &count, 1); /* mov rdx, rax; shr rdx */
    return emit_bytes(at, "\x48\x31\xD0", 3);                                  /* xor rax, rdx */
}
static u8* emit_end(u8* at, const u8* loop) {
    at = emit_bytes(at, "\x48\xFF\xCE\x0F\x85", 5); /* dec rsi; jnz loop */
    const i32 by = (i32)(loop - (at + 4));
    at = emit_bytes(at, &by, 4);
    return emit_bytes(at, "\xC3", 1); /* ret */
}
#define HAVE_ENCODER 1

#endif

#ifdef HAVE_ENCODER

enum { function_count = 96, function_size = 512, first_calls = 6, second_calls = 3, loops = 40 };
typedef u64 generated(u64 x, u64 count);

static u8* code;

static void jit_prepare(void) {
    code = mmap(NULL, function_count * function_size, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
                -1, 0);
    if (code == MAP_FAILED) fail("this system gives no memory that can be written and executed");
}

static void generate(u8* start, u64* random) {
    u8* at = emit_begin(start);
    const u8* loop = at;
    const int length = 4 + (int)(next_random(random) % 16);
    for (int index = 0; index < length; index++) {
        const u64 bits = next_random(random);
        const i32 number = (i32)(u32)(bits >> 32);
        switch (bits & 3) {
            case 0: at = emit_multiply(at, number | 1); break;
            case 1: at = emit_xor(at, number); break;
            case 2: at = emit_add(at, number); break;
            default: at = emit_fold(at, 1 + (bits >> 8) % 40); break;
        }
    }
    at = emit_end(at, loop);
    __builtin___clear_cache((char*)start, (char*)at);
}

static u64 call(const u8* start, u64 x) {
    /* A pointer to an object becomes one to a function only by its bytes. */
    generated* function;
    memcpy(&function, &start, sizeof function);
    return function(x, loops);
}

static u64 jit_iterate(void) {
    u64 random = 10, sum = 1;
    for (int index = 0; index < function_count; index++) generate(code + index * function_size, &random);
    for (int round = 0; round < first_calls; round++)
        for (int index = 0; index < function_count; index++) sum = call(code + index * function_size, sum);
    for (int index = 0; index < function_count; index += 2) generate(code + index * function_size, &random);
    for (int round = 0; round < second_calls; round++)
        for (int index = 0; index < function_count; index++) sum = call(code + index * function_size, sum);
    return sum;
}

#endif

const struct program jit_programs[] = {
#ifdef HAVE_ENCODER
    {"jit", "control", jit_prepare, jit_iterate},
#endif
    {0},
};
