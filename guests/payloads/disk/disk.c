// Measures a disk by its block device, past the page cache of the machine that it runs in.
//
//   disk WHAT DEPTH MILLISECONDS DEVICE   prints the seconds it took, by this machine's clock, and the bytes
//
// WHAT: read, write (from the start on, in pieces of 128 KiB), random-read, random-write (4 KiB each). DEPTH requests
// are under way at any time. Writes end with a flush, which counts. What was on the device is lost by writing.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { SEQUENTIAL = 128 << 10, RANDOM = 4 << 10, MOST = 64 };

static void fail(const char* what) {
    fprintf(stderr, "disk: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

// xorshift64: the same places in every run.
static uint64_t next_random(void) {
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

int main(int argc, char** argv) {
    const char* what = argc == 5 ? argv[1] : "";
    const int random = strncmp(what, "random-", 7) == 0;
    const int writes = strcmp(what + (random ? 7 : 0), "write") == 0;
    const int depth = argc == 5 ? atoi(argv[2]) : 0;
    if ((!writes && strcmp(what + (random ? 7 : 0), "read") != 0) || depth < 1 || depth > MOST) {
        fprintf(stderr, "usage: disk read|write|random-read|random-write DEPTH MILLISECONDS DEVICE\n");
        return 2;
    }
    const int device = open(argv[4], (writes ? O_RDWR : O_RDONLY) | O_DIRECT);
    uint64_t size = 0;
    if (device < 0 || ioctl(device, BLKGETSIZE64, &size) != 0) fail(argv[4]);
    const uint64_t piece = random ? RANDOM : SEQUENTIAL, pieces = size / piece;
    if (pieces == 0) {
        fprintf(stderr, "disk: %s is smaller than one request\n", argv[4]);
        return 1;
    }
    char* buffers = NULL;
    if (posix_memalign((void**)&buffers, 4096, piece * (size_t)depth) != 0) fail("memory");
    for (size_t at = 0; at < piece * (size_t)depth; at += 8) {
        const uint64_t word = next_random();
        memcpy(buffers + at, &word, 8);
    }
    aio_context_t context = 0;
    if (syscall(SYS_io_setup, depth, &context) != 0) fail("io_setup");

    struct iocb requests[MOST];
    uint64_t asked = 0, done = 0;
    int waiting = 0;
    const double start = now(), end = start + atof(argv[3]) / 1000;
    struct io_event events[MOST];
    int idle[MOST], idle_count = depth;
    for (int i = 0; i < depth; i++) idle[i] = i;
    for (;;) {
        struct iocb* batch[MOST];
        int count = 0;
        for (const int more = now() < end; more && idle_count != 0; asked++) {
            const int slot = idle[--idle_count];
            struct iocb* one = &requests[slot];
            memset(one, 0, sizeof *one);
            one->aio_data = (uint64_t)slot;
            one->aio_lio_opcode = writes ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD;
            one->aio_fildes = (uint32_t)device;
            one->aio_buf = (uint64_t)(uintptr_t)(buffers + piece * (size_t)slot);
            one->aio_nbytes = piece;
            one->aio_offset = (int64_t)((random ? next_random() : asked) % pieces * piece);
            batch[count++] = one;
        }
        for (int sent = 0; sent < count;) {
            const long taken = syscall(SYS_io_submit, context, (long)(count - sent), batch + sent);
            if (taken <= 0) fail("io_submit");
            sent += (int)taken;
        }
        waiting += count;
        if (waiting == 0) break;
        const long finished = syscall(SYS_io_getevents, context, 1L, (long)depth, events, NULL);
        if (finished <= 0) fail("io_getevents");
        for (long i = 0; i < finished; i++) {
            if (events[i].res != (int64_t)piece) {
                errno = events[i].res < 0 ? (int)-events[i].res : EIO;
                fail(what);
            }
            idle[idle_count++] = (int)events[i].data;
            done += piece;
        }
        waiting -= (int)finished;
    }
    if (writes && fdatasync(device) != 0) fail("fdatasync");
    printf("%.6f %llu\n", now() - start, (unsigned long long)done);
    return 0;
}
