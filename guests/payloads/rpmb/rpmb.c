// Frames as they are to the RPMB partition of an eMMC: what tools that count for themselves cannot send, such as one
// frame twice.
//
//   rpmb DEVICE FILE...            each file has one request's frames (512 bytes each)
//   rpmb -s NUMBER DEVICE FILE     each frame of the file is a request; from that number on
//
// Prints the result of each request, in hexadecimal.
//
// A result is read after each request, as for keys and authenticated writes; both are sent as reliable writes.
#include <errno.h>
#include <fcntl.h>
#include <linux/mmc/ioctl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { FRAME = 512, MOST = 32, RESULT = 508, RESULT_READ = 5, READ_MANY = 18, WRITE_MANY = 25 };
// R1, a command with data; and what CMD23 gets for a reliable write.
enum { ANSWER = 0x15 | 0x20, RELIABLE = INT32_MIN | 1 };

static void fail(const char* what) {
    fprintf(stderr, "rpmb: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void describe(struct mmc_ioc_cmd* command, uint32_t index, int write, uint8_t* frames, size_t size) {
    memset(command, 0, sizeof *command);
    command->opcode = index;
    command->write_flag = write;
    command->flags = ANSWER;
    command->blksz = FRAME;
    command->blocks = (unsigned)(size / FRAME);
    mmc_ioc_cmd_set_data((*command), frames);
}

static unsigned send(int device, uint8_t* frames, size_t size) {
    struct mmc_ioc_multi_cmd* all = calloc(1, sizeof *all + 3 * sizeof(struct mmc_ioc_cmd));
    uint8_t ask[FRAME] = {0}, answer[FRAME] = {0};
    if (!all) fail("memory");
    ask[FRAME - 1] = RESULT_READ;
    all->num_of_cmds = 3;
    describe(&all->cmds[0], WRITE_MANY, RELIABLE, frames, size);
    describe(&all->cmds[1], WRITE_MANY, 1, ask, sizeof ask);
    describe(&all->cmds[2], READ_MANY, 0, answer, sizeof answer);
    if (ioctl(device, MMC_IOC_MULTI_CMD, all) != 0) fail("ioctl");
    free(all);
    return answer[RESULT] * 256u + answer[RESULT + 1];
}

static void tell(unsigned result) {
    printf("%04x\n", result);
    fflush(stdout);
}

static int open_or_fail(const char* name, int how) {
    const int file = open(name, how);
    if (file < 0) fail(name);
    return file;
}

int main(int count, char** arguments) {
    uint8_t frames[FRAME * MOST];
    if (count == 5 && strcmp(arguments[1], "-s") == 0) {
        const int device = open_or_fail(arguments[3], O_RDWR), file = open_or_fail(arguments[4], O_RDONLY);
        off_t at = (off_t)strtoul(arguments[2], NULL, 10) * FRAME;
        for (; pread(file, frames, FRAME, at) == FRAME; at += FRAME) tell(send(device, frames, FRAME));
        return 0;
    }
    if (count < 3) {
        fprintf(stderr, "usage: rpmb DEVICE FILE...\n       rpmb -s NUMBER DEVICE FILE\n");
        return 2;
    }
    const int device = open_or_fail(arguments[1], O_RDWR);
    for (int i = 2; i < count; i++) {
        const int file = open_or_fail(arguments[i], O_RDONLY);
        const ssize_t size = read(file, frames, sizeof frames);
        if (size < FRAME || size % FRAME != 0) fail(arguments[i]);
        close(file);
        tell(send(device, frames, (size_t)size));
    }
    return 0;
}
