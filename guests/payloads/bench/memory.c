/* Memory: the C library's block and string functions, streams over 64 MiB (and over arrays whose pages meet in the same
 * entry of a direct-mapped TLB), a hash table with a chase of pointers through 4 MiB.
 */
#include "bench.h"

#include <string.h>

/* blocks: memcpy, memset, memchr, strlen of 24 bytes to 64 KiB */

enum { block_size = 64 * 1024 };
static char *source, *target;

static void blocks_prepare(void) {
    u64 random = 6;
    source = allocate(block_size + 1);
    target = allocate(block_size + 1);
    for (int index = 0; index < block_size; index++) source[index] = (char)(next_random(&random) % 255 + 1);
    source[block_size] = 0;
}

static u64 blocks_iterate(void) {
    /* The compiler must neither know the functions' results nor the sizes. */
    static const int sizes[] = {24, 100, 777, 4096, block_size};
    static const int counts[] = {4000, 2000, 600, 120, 12};
    u64 sum = 0;
    for (int kind = 0; kind < 5; kind++)
        for (int count = 0; count < counts[kind]; count++) {
            size_t size = (size_t)sizes[kind];
            __asm__ volatile("" : "+r"(size)::"memory");
            const size_t offset = (size_t)count * 40 % (block_size - size + 1);
            memcpy(target + offset, source + offset, size);
            target[offset + size] = 0;
            sum += strlen(target + offset);
            memset(target + offset, count & 0x7F, size / 2);
            __asm__ volatile("" ::: "memory");
            sum = mix(sum, (u64)(u8)target[offset + size / 3]);
        }
    return sum;
}

/* streams: copy, scale, add, triad over three arrays of 64 MiB together; integers, so that no machine rounds */

enum { stream_words = (64 << 20) / 3 / 8, alias_words = (4 << 20) / 8 };
static u64 *a, *b, *c;

static void stream_fill(size_t words) {
    for (size_t index = 0; index < words; index++) a[index] = index * 3 + 1, b[index] = index ^ 0x55, c[index] = 0;
}

static u64 stream_pass(size_t words) {
    for (size_t index = 0; index < words; index++) c[index] = a[index];
    for (size_t index = 0; index < words; index++) b[index] = 3 * c[index];
    for (size_t index = 0; index < words; index++) c[index] = a[index] + b[index];
    for (size_t index = 0; index < words; index++) b[index] = a[index] + 5 * c[index];
    u64 sum = 0;
    for (size_t index = 0; index < words; index += 997) sum = mix(sum, b[index] ^ c[index]);
    return sum;
}

static void streams_prepare(void) {
    a = allocate(stream_words * sizeof *a);
    b = allocate(stream_words * sizeof *b);
    c = allocate(stream_words * sizeof *c);
    stream_fill(stream_words);
}

static u64 streams_iterate(void) { return stream_pass(stream_words); }

/* aliased: the same with 4 MiB arrays, one right after the other, read and written in step */

static void aliased_prepare(void) {
    a = allocate(3 * alias_words * sizeof *a);
    b = a + alias_words;
    c = b + alias_words;
    stream_fill(alias_words);
}

static u64 aliased_iterate(void) { return stream_pass(alias_words); }

/* hash: 20,000 insertions and 40,000 look-ups in an open table, and 30,000 steps through a cycle of 4 MiB */

enum { table_size = 1 << 16, key_count = 20000, cell_count = (4 << 20) / 64, chase_steps = 30000 };
struct cell {
    struct cell* next;
    u64 value;
    u64 rest[6];
};
static u64 *keys, *values;
static struct cell* cells;

static void hash_prepare(void) {
    keys = allocate(table_size * sizeof *keys);
    values = allocate(table_size * sizeof *values);
    cells = allocate(cell_count * sizeof *cells);
    u32* order = allocate(cell_count * sizeof *order);
    u64 random = 7;
    for (u32 index = 0; index < cell_count; index++) order[index] = index;
    for (u32 index = cell_count - 1; index > 0; index--) {
        const u32 other = (u32)(next_random(&random) % (index + 1));
        const u32 kept = order[index];
        order[index] = order[other];
        order[other] = kept;
    }
    for (u32 index = 0; index < cell_count; index++) {
        cells[order[index]].next = &cells[order[(index + 1) % cell_count]];
        cells[order[index]].value = next_random(&random);
    }
}

static u32 slot_of(u64 key) {
    u32 slot = (u32)(key * 0x9E3779B97F4A7C15u >> 48);
    while (keys[slot] && keys[slot] != key) slot = (slot + 1) % table_size;
    return slot;
}

static u64 hash_iterate(void) {
    memset(keys, 0, table_size * sizeof *keys);
    u64 random = 8, sum = 0;
    for (int count = 0; count < key_count; count++) {
        const u64 key = next_random(&random) | 1;
        const u32 slot = slot_of(key);
        keys[slot] = key;
        values[slot] = (u64)count;
    }
    random = 8;
    for (int count = 0; count < key_count; count++) {
        const u64 key = next_random(&random) | 1;
        sum += values[slot_of(key)];
        sum += keys[slot_of(key ^ 0x10)] != 0;
    }
    const struct cell* at = cells;
    for (int step = 0; step < chase_steps; step++) {
        sum += at->value;
        at = at->next;
    }
    return sum;
}

const struct program memory_programs[] = {
    {"blocks", "memory", blocks_prepare, blocks_iterate},
    {"streams", "memory", streams_prepare, streams_iterate},
    {"aliased", "memory", aliased_prepare, aliased_iterate},
    {"hash", "memory", hash_prepare, hash_iterate},
    {0},
};
