// The guest program of the lockstep fuzzer: runs batches of cases on the processor that executes it (qemu-riscv64,
// qemu-riscv32, or a real one).
// Freestanding: no C library. Usage: guest FILE, where FILE is a struct shared_file.
// A trap inside a case is noted as (offset, signal) and the case goes on behind the faulting instruction.
#include "protocol.h"

extern const uint64_t entry_stubs[32], exit_stubs[32];
extern unsigned long vlenb, current_result;
extern char exit_common[];
void enter(const struct test_case* test, void* stub);
long system_call(long number, long a, long b, long c, long d, long e, long f);

enum {
    sys_openat = 56,
    sys_read = 63,
    sys_write = 64,
    sys_exit = 93,
    sys_sigaltstack = 132,
    sys_sigaction = 134,
    sys_mmap = 222
};
enum {
    at_fdcwd = -100,
    o_rdwr = 2,
    prot_read = 1,
    prot_write = 2,
    prot_exec = 4,
    map_shared = 1,
    map_private = 2,
    map_fixed = 16,
    map_anonymous = 32
};
enum { sigill = 4, sigtrap = 5, sigbus = 7, sigfpe = 8, sigsegv = 11, sa_siginfo = 4, sa_onstack = 0x08000000 };

static void fail(const char* text) {
    long length = 0;
    while (text[length] != 0) length++;
    system_call(sys_write, 2, (long)text, length, 0, 0, 0);
    system_call(sys_exit, 1, 0, 0, 0, 0, 0);
}

// struct ucontext up to the program counter, as Linux lays it out: flags, link, stack, signal mask (128 bytes, then
// 16-aligned).
struct context {
    unsigned long flags;
    struct context* link;
    void* stack_base;
    int stack_flags;
    unsigned long stack_size;
    uint8_t mask[128];
    unsigned long pc __attribute__((aligned(16)));
    unsigned long x[31];  // x1 to x31
};

static struct shared_file* shared;
static volatile unsigned long current;  // the case that runs
static uint8_t signal_stack[65536] __attribute__((aligned(16)));

static void on_signal(int number, void* info, struct context* context) {
    (void)info;
    struct test_result* result = &shared->results[current];
    const unsigned long offset = context->pc - (CODE_BASE + (unsigned long)shared->cases[current].block * CODE_STRIDE);
    if (result->fault_count < MAXIMUM_FAULTS) {
        result->faults[result->fault_count].offset = (uint32_t)offset;
        result->faults[result->fault_count].signal = (uint32_t)number;
        result->fault_count++;
    }
    if (offset < CODE_STRIDE - EXIT_BYTES && result->fault_count < MAXIMUM_FAULTS) {
        const uint16_t first = *(const uint16_t*)context->pc;
        context->pc += (first & 3) == 3 ? 4 : 2;
        return;
    }
    // Not in the case's own code, or too many: it is lost, and shows as such by its faults.
    context->x[9] = (unsigned long)result;
    context->pc = (unsigned long)exit_common;
}

static void catch_signal(int number) {
    struct {
        void (*handler)(int, void*, struct context*);
        unsigned long flags;
        uint64_t mask;
    } action = {on_signal, sa_siginfo | sa_onstack, 0};
    if (system_call(sys_sigaction, number, (long)&action, 0, 8, 0, 0) != 0) fail("guest: sigaction failed\n");
}

static void map(unsigned long address, unsigned long size, int protection, int flags, long file, unsigned long offset) {
    // mmap2 of 32-bit systems counts pages.
    if (sizeof(long) == 4) offset /= 4096;
    const long at = system_call(sys_mmap, (long)address, (long)size, protection, flags | map_fixed, file, (long)offset);
    if ((unsigned long)at != address) fail("guest: mmap failed\n");
}

static void run_case(unsigned long i, uint64_t* window) {
    const struct test_case* test = &shared->cases[i];
    struct test_result* result = &shared->results[i];
    result->fault_count = 0;
    current = i;
    shared->current = i;
    current_result = (unsigned long)result;
    vlenb = test->uses_v ? (unsigned long)shared->vlenb : 0;
    enter(test, (void*)(unsigned long)entry_stubs[test->link]);
    for (unsigned long group = 0; group < WINDOW_BYTES / 8 / 64; group++) {
        uint64_t changed = 0;
        for (unsigned long k = 0; k < 64; k++) {
            const unsigned long at = group * 64 + k;
            if (window[at] == shared->window[at]) continue;
            changed |= (uint64_t)1 << k;
            result->window[at] = window[at];
            window[at] = shared->window[at];
        }
        result->changed[group] = changed;
    }
}

void guest_main(unsigned long* stack) {
    if (stack[0] != 2) fail("guest: one argument is needed, the shared file\n");
    const long file = system_call(sys_openat, at_fdcwd, (long)stack[2], o_rdwr, 0, 0, 0);
    if (file < 0) fail("guest: the shared file cannot be opened\n");
    map(SHARED_BASE, sizeof(struct shared_file), prot_read | prot_write, map_shared, file, 0);
    shared = (struct shared_file*)SHARED_BASE;
    uint64_t* window = (uint64_t*)WINDOW_BASE;
    map(WINDOW_BASE, WINDOW_BYTES, prot_read | prot_write, map_private | map_anonymous, -1, 0);
    const struct {
        void* base;
        int flags;
        unsigned long size;
    } stack_description = {signal_stack, 0, sizeof signal_stack};
    if (system_call(sys_sigaltstack, (long)&stack_description, 0, 0, 0, 0, 0) != 0) fail("guest: sigaltstack failed\n");
    catch_signal(sigill);
    catch_signal(sigtrap);
    catch_signal(sigbus);
    catch_signal(sigfpe);
    catch_signal(sigsegv);
    for (int r = 0; r < 32; r++) shared->exit_stubs[r] = exit_stubs[r];
    shared->ready = 1;
    for (;;) {
        char byte = 1;
        if (system_call(sys_write, 1, (long)&byte, 1, 0, 0, 0) != 1) break;
        if (system_call(sys_read, 0, (long)&byte, 1, 0, 0, 0) != 1) break;
        // Mapped anew for each batch, so that no translation of the last one's code is left.
        map(CODE_BASE, MAXIMUM_CASES * CODE_STRIDE, prot_read | prot_exec, map_shared, file,
            __builtin_offsetof(struct shared_file, code));
        for (unsigned long i = 0; i < WINDOW_BYTES / 8; i++) window[i] = shared->window[i];
        for (unsigned long i = 0; i < shared->count; i++)
            if (!shared->cases[i].skip) run_case(i, window);
    }
    system_call(sys_exit, 0, 0, 0, 0, 0, 0);
}
