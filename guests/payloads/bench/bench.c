/* The benchmark program: runs one of its programs N times and prints how long that took by CLOCK_MONOTONIC.
 *
 * bench NAME ITERATIONS    prints: NAME ITERATIONS SECONDS CHECKSUM
 * bench list               prints: NAME GROUP, one a line
 * One more iteration comes before the clock is started; all must give the same checksum. The same source is compiled
 * with the same options for every guest and for the host (tests/bench/programs.py).
 */
#include "bench.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct program* const groups[] = {integer_programs, float_programs,  memory_programs,
                                               control_programs, system_programs, jit_programs};
enum { group_count = sizeof groups / sizeof groups[0] };

void fail(const char* what) {
    fprintf(stderr, "bench: %s\n", what);
    exit(1);
}

void* allocate(size_t size) {
    void* memory = aligned_alloc(4096, (size + 4095) & ~(size_t)4095);
    if (!memory) fail("not enough memory");
    return memory;
}

static double now(void) {
    struct timespec time;
    if (clock_gettime(CLOCK_MONOTONIC, &time) != 0) fail("CLOCK_MONOTONIC cannot be read");
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static const struct program* find(const char* name) {
    for (int group = 0; group < group_count; group++)
        for (const struct program* program = groups[group]; program->name; program++)
            if (strcmp(program->name, name) == 0) return program;
    return NULL;
}

static int run(const struct program* program, u64 iterations) {
    if (program->prepare) program->prepare();
    const u64 checksum = program->iterate();
    const double start = now();
    for (u64 count = 0; count < iterations; count++)
        if (program->iterate() != checksum) fail("two iterations differ: the machine computes wrongly");
    printf("%s %" PRIu64 " %.6f %016" PRIx64 "\n", program->name, iterations, now() - start, checksum);
    return 0;
}

int main(int count, char** arguments) {
    /* What the fork program executes. */
    if (count == 2 && strcmp(arguments[1], "exit-23") == 0) return 23;
    if (count == 2 && strcmp(arguments[1], "list") == 0) {
        for (int group = 0; group < group_count; group++)
            for (const struct program* program = groups[group]; program->name; program++)
                printf("%s %s\n", program->name, program->group);
        return 0;
    }
    if (count != 3) {
        fprintf(stderr, "usage: bench NAME ITERATIONS | bench list\n");
        return 2;
    }
    const struct program* program = find(arguments[1]);
    if (!program) {
        fprintf(stderr, "bench: there is no program '%s'; 'bench list' names them\n", arguments[1]);
        return 2;
    }
    char* end;
    errno = 0;
    const u64 iterations = strtoull(arguments[2], &end, 10);
    if (errno || *end || iterations == 0 || arguments[2][0] == '-') {
        fprintf(stderr, "bench: '%s' is not a number of iterations\n", arguments[2]);
        return 2;
    }
    return run(program, iterations);
}
