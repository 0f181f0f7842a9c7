/* The benchmark's programs: what each file offers to bench.c.
 *
 * A program is one iteration that always does the same work on the same data, so that its checksum does not depend on
 * how often it ran, nor on the machine: a guest and its host must print the same one.
 */
#ifndef VIVARIUM_BENCH_H
#define VIVARIUM_BENCH_H

#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int16_t i16;
typedef int32_t i32;
typedef int64_t i64;

struct program {
    const char* name;
    const char* group;     /* integer, float, memory, control or system: rows that are averaged together */
    void (*prepare)(void); /* allocates and fills; not timed; may be null */
    u64 (*iterate)(void);  /* one iteration; returns its checksum */
};

/* Each ends with an entry whose name is null. */
extern const struct program integer_programs[];
extern const struct program float_programs[];
extern const struct program memory_programs[];
extern const struct program control_programs[];
extern const struct program system_programs[];
extern const struct program jit_programs[];

/* Ends the program with a message; for what must not fail. */
void fail(const char* what) __attribute__((noreturn));
/* Memory that lives as long as the program. */
void* allocate(size_t size);

/* A fixed sequence: each caller starts its own with any seed. */
static inline u64 next_random(u64* state) {
    u64 x = *state += 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

static inline u64 mix(u64 sum, u64 value) { return (sum ^ value) * 0x100000001B3u + (sum >> 47); }

#endif
