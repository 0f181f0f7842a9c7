/* The kernel's paths: system calls that do nothing, page faults on fresh memory, processes that come and go. */
#define _GNU_SOURCE
#include "bench.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* syscall: 10,000 times getppid */

enum { call_count = 10000 };

static u64 syscall_iterate(void) {
    const long parent = syscall(SYS_getppid);
    u64 same = 0;
    for (int count = 0; count < call_count; count++) same += syscall(SYS_getppid) == parent;
    return same;
}

/* fault: 4 MiB mapped, touched once a page, unmapped; in small pages everywhere */

enum { fault_size = 4 << 20, page = 4096 };

static u64 fault_iterate(void) {
    u8* memory = mmap(NULL, fault_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) fail("mmap has failed");
    madvise(memory, fault_size, MADV_NOHUGEPAGE);
    u64 sum = 0;
    for (size_t at = 0; at < fault_size; at += page) {
        memory[at] = 1;
        sum += memory[at + 8] + memory[at];
    }
    munmap(memory, fault_size);
    return sum;
}

/* fork: 4 times fork, exec of this program, wait */

enum { process_count = 4 };

static u64 fork_iterate(void) {
    u64 sum = 0;
    for (int count = 0; count < process_count; count++) {
        const pid_t child = fork();
        if (child < 0) fail("fork has failed");
        if (child == 0) {
            execl("/proc/self/exe", "bench", "exit-23", (char*)NULL);
            _exit(1);
        }
        int status;
        if (waitpid(child, &status, 0) != child) fail("waitpid has failed");
        sum = mix(sum, WIFEXITED(status) ? (u64)WEXITSTATUS(status) : 255);
    }
    return sum;
}

const struct program system_programs[] = {
    {"syscall", "system", NULL, syscall_iterate},
    {"fault", "system", NULL, fault_iterate},
    {"fork", "system", NULL, fork_iterate},
    {0},
};
