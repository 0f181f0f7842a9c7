/* Integer programs: a mix in the manner of CoreMark (lists, a matrix of integers, a state machine over text, a CRC),
 * SHA-256 (FIPS 180-4) and the C library's qsort with a comparator.
 */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

/* mix: lists, integer matrix, state machine, CRC-16 */

enum { node_count = 200, side = 24, text_size = 600, mix_rounds = 24 };

struct node {
    struct node* next;
    i16 value;
    i16 number;
};

static struct node nodes[node_count];
static i16 left[side * side], right[side * side];
static i32 product[side * side];
static char text[text_size];

static u16 crc16(u16 crc, u16 data) {
    for (int bit = 0; bit < 16; bit++) {
        const int carry = (crc ^ data) & 1;
        crc = (u16)(crc >> 1);
        data = (u16)(data >> 1);
        if (carry) crc ^= 0xA001;
    }
    return crc;
}

static void mix_prepare(void) {
    static const char* const words[] = {"5012", "-874",     "+122.5", ".1e4", "3.14E-2",
                                        "0x7",  "T0.3e-1F", "-.",     "1e",   "9"};
    u64 random = 1;
    for (int index = 0; index < side * side; index++) {
        left[index] = (i16)next_random(&random);
        right[index] = (i16)next_random(&random);
    }
    size_t at = 0;
    while (at < text_size - 16) {
        const char* word = words[next_random(&random) % (sizeof words / sizeof words[0])];
        memcpy(text + at, word, strlen(word));
        at += strlen(word);
        text[at++] = ',';
    }
    text[at] = 0;
}

static struct node* reset_list(void) {
    u64 random = 2;
    for (int index = 0; index < node_count; index++) {
        nodes[index].next = index + 1 < node_count ? &nodes[index + 1] : NULL;
        nodes[index].value = (i16)(next_random(&random) & 0x3FF);
        nodes[index].number = (i16)index;
    }
    return nodes;
}

static int before_by_value(const struct node* a, const struct node* b) { return a->value <= b->value; }
static int before_by_number(const struct node* a, const struct node* b) { return a->number <= b->number; }

/* Merge sort without recursion: runs of doubling length. */
static struct node* sort_list(struct node* list, int (*before)(const struct node*, const struct node*)) {
    for (int length = 1;; length *= 2) {
        struct node* rest = list;
        struct node** tail = &list;
        int merges = 0;
        while (rest) {
            merges++;
            struct node* a = rest;
            struct node* b = rest;
            int a_left = 0;
            while (b && a_left < length) {
                b = b->next;
                a_left++;
            }
            int b_left = length;
            while (a_left > 0 || (b_left > 0 && b)) {
                struct node** from = a_left > 0 && (b_left == 0 || !b || before(a, b)) ? &a : &b;
                if (from == &a)
                    a_left--;
                else
                    b_left--;
                *tail = *from;
                tail = &(*from)->next;
                *from = (*from)->next;
            }
            rest = b;
        }
        *tail = NULL;
        if (merges <= 1) return list;
    }
}

static u16 list_part(u16 crc) {
    struct node* list = reset_list();
    for (int wanted = 0; wanted < 40; wanted++) {
        const struct node* at = list;
        while (at && at->value != wanted * 25) at = at->next;
        crc = crc16(crc, at ? (u16)at->number : 0xFFFF);
    }
    list = sort_list(list, before_by_value);
    for (const struct node* at = list; at; at = at->next) crc = crc16(crc, (u16)at->value);
    list = sort_list(list, before_by_number);
    struct node* reversed = NULL;
    while (list) {
        struct node* next = list->next;
        list->next = reversed;
        reversed = list;
        list = next;
    }
    return crc16(crc, (u16)reversed->number);
}

static u16 matrix_part(u16 crc) {
    for (int row = 0; row < side; row++)
        for (int column = 0; column < side; column++) {
            i32 sum = 0;
            for (int index = 0; index < side; index++) {
                const i32 term = left[row * side + index] * right[index * side + column];
                sum += ((term >> 2) & 0x0F) * ((term >> 5) & 0x7F);
            }
            product[row * side + column] = sum;
        }
    i32 total = 0, last = 0;
    for (int index = 0; index < side * side; index++) {
        total += product[index] > last ? 10 : product[index] & 0xFF;
        last = product[index];
    }
    return crc16(crc, (u16)total);
}

enum state { start, sign, whole, point, fraction, exponent, exponent_sign, scientific, invalid, state_count };

static enum state next_state(enum state state, char c) {
    const int digit = c >= '0' && c <= '9';
    switch (state) {
        case start: return digit ? whole : c == '+' || c == '-' ? sign : c == '.' ? point : invalid;
        case sign: return digit ? whole : c == '.' ? point : invalid;
        case whole: return digit ? whole : c == '.' ? fraction : c == 'e' || c == 'E' ? exponent : invalid;
        case point: return digit ? fraction : invalid;
        case fraction: return digit ? fraction : c == 'e' || c == 'E' ? exponent : invalid;
        case exponent: return digit ? scientific : c == '+' || c == '-' ? exponent_sign : invalid;
        case exponent_sign: return digit ? scientific : invalid;
        case scientific: return digit ? scientific : invalid;
        default: return invalid;
    }
}

static u16 state_part(u16 crc) {
    u32 finals[state_count] = {0}, visits[state_count] = {0};
    const char* at = text;
    while (*at) {
        enum state state = start;
        for (; *at && *at != ','; at++) {
            state = next_state(state, *at);
            visits[state]++;
        }
        finals[state]++;
        if (*at) at++;
    }
    for (int index = 0; index < state_count; index++) crc = crc16(crc16(crc, (u16)finals[index]), (u16)visits[index]);
    return crc;
}

static u64 mix_iterate(void) {
    u16 crc = 0;
    for (int round = 0; round < mix_rounds; round++) crc = state_part(matrix_part(list_part(crc)));
    return crc;
}

/* sha256 of 256 KiB */

enum { message_size = 256 * 1024 };
static u8* message;

static const u32 sha_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static inline u32 rotate(u32 x, int by) { return x >> by | x << (32 - by); }

static void sha_block(u32 state[8], const u8* block) {
    u32 w[64];
    for (int t = 0; t < 16; t++)
        w[t] = (u32)block[4 * t] << 24 | (u32)block[4 * t + 1] << 16 | (u32)block[4 * t + 2] << 8 | block[4 * t + 3];
    for (int t = 16; t < 64; t++) {
        const u32 s0 = rotate(w[t - 15], 7) ^ rotate(w[t - 15], 18) ^ w[t - 15] >> 3;
        const u32 s1 = rotate(w[t - 2], 17) ^ rotate(w[t - 2], 19) ^ w[t - 2] >> 10;
        w[t] = w[t - 16] + s0 + w[t - 7] + s1;
    }
    u32 a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
    for (int t = 0; t < 64; t++) {
        const u32 t1 =
            h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) + sha_constants[t] + w[t];
        const u32 t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e, state[5] += f, state[6] += g,
        state[7] += h;
}

static void sha256_prepare(void) {
    u64 random = 3;
    message = allocate(message_size);
    for (int index = 0; index < message_size; index++) message[index] = (u8)next_random(&random);
}

static u64 sha256_iterate(void) {
    u32 state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    for (int at = 0; at < message_size; at += 64) sha_block(state, message + at);
    u8 last[64] = {0x80};
    const u64 bits = (u64)message_size * 8;
    for (int index = 0; index < 8; index++) last[56 + index] = (u8)(bits >> (56 - 8 * index));
    sha_block(state, last);
    return (u64)state[0] << 32 | state[7];
}

/* qsort of 12,000 records */

enum { record_count = 12000 };
struct record {
    u32 key;
    u32 value;
};
static struct record *records, *unsorted;

static int compare_records(const void* a, const void* b) {
    const struct record *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return x->value < y->value ? -1 : x->value > y->value;
}

static void qsort_prepare(void) {
    u64 random = 4;
    records = allocate(record_count * sizeof *records);
    unsorted = allocate(record_count * sizeof *unsorted);
    for (int index = 0; index < record_count; index++) {
        unsorted[index].key = (u32)next_random(&random) >> 8;
        unsorted[index].value = (u32)index;
    }
}

static u64 qsort_iterate(void) {
    memcpy(records, unsorted, record_count * sizeof *records);
    qsort(records, record_count, sizeof *records, compare_records);
    u64 sum = 0;
    for (int index = 0; index < record_count; index += 100)
        sum = mix(sum, (u64)records[index].key << 32 | records[index].value);
    return sum;
}

const struct program integer_programs[] = {
    {"mix", "integer", mix_prepare, mix_iterate},
    {"sha256", "integer", sha256_prepare, sha256_iterate},
    {"qsort", "integer", qsort_prepare, qsort_iterate},
    {0},
};
