/* Programs that the host runs: a process with pipes or a terminal behind one channel.
 * Promises: its output waits in the pipe while the host has no credit or the port no room; its input waits in one
 * bounded ring; EXITED comes after all output that the process itself has written. Specification: PROTOCOL.md.
 */
#define _GNU_SOURCE
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum { IN, OUT, ERR, STREAMS };

struct process {
    pid_t pid; /* also its process group and session */
    bool terminal;
    bool ended;
    int status;          /* of waitpid, once ended */
    int stream[STREAMS]; /* our ends, -1 when closed; of a terminal IN is the master and OUT a copy of it */
    uint8_t* input;      /* a ring of RECEIVE_WINDOW bytes, made when first needed */
    uint32_t input_at, input_size;
    bool input_ends;
};

struct request {
    char* folder;
    char** arguments;
    char** environment;
    uint16_t rows, columns;
};

static char** read_strings(struct reader* reader, size_t count) {
    /* Each string takes four bytes at least, so a count that cannot be true allocates nothing. */
    if (!reader->good || count > reader->left / 4) {
        reader->good = false;
        return NULL;
    }
    char** strings = calloc(count + 1, sizeof *strings);
    for (size_t i = 0; strings != NULL && i < count && reader->good; i++) strings[i] = read_string(reader, PAYLOAD_MAX);
    if (strings == NULL) reader->good = false;
    return strings;
}

static void free_strings(char** strings) {
    for (size_t i = 0; strings != NULL && strings[i] != NULL; i++) free(strings[i]);
    free(strings);
}

static void free_request(struct request* request) {
    free(request->folder);
    free_strings(request->arguments);
    free_strings(request->environment);
}

static bool read_request(const struct frame* frame, struct request* request) {
    struct reader reader = {.at = frame->payload, .left = frame->length, .good = true};
    size_t argument_count = read_u16(&reader);
    size_t environment_count = read_u16(&reader);
    request->rows = read_u16(&reader);
    request->columns = read_u16(&reader);
    request->folder = read_string(&reader, NAME_MAX_BYTES);
    request->arguments = read_strings(&reader, argument_count);
    request->environment = read_strings(&reader, environment_count);
    for (size_t i = 0; reader.good && i < environment_count; i++) {
        const char* sign = strchr(request->environment[i], '=');
        if (sign == NULL || sign == request->environment[i]) reader.good = false;
    }
    return reader.good && reader.left == 0 && argument_count > 0;
}

static int close_stream(int handle) {
    if (handle >= 0) close(handle);
    return -1;
}

static void set_size(int terminal, uint16_t rows, uint16_t columns) {
    struct winsize size = {.ws_row = rows, .ws_col = columns};
    if (rows > 0 && columns > 0) ioctl(terminal, TIOCSWINSZ, &size);
}

/* Opens both ends of the streams: `ours` do not block, `theirs` go to the child. Returns false with errno set. */
static bool open_streams(bool terminal, const struct request* request, int ours[STREAMS], int theirs[STREAMS]) {
    for (int i = 0; i < STREAMS; i++) ours[i] = theirs[i] = -1;
    if (terminal) {
        char name[64];
        ours[IN] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (ours[IN] < 0 || grantpt(ours[IN]) != 0 || unlockpt(ours[IN]) != 0 ||
            ptsname_r(ours[IN], name, sizeof name) != 0)
            return false;
        set_size(ours[IN], request->rows, request->columns);
        theirs[IN] = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (theirs[IN] < 0) return false;
        ours[OUT] = fcntl(ours[IN], F_DUPFD_CLOEXEC, 3);
        theirs[OUT] = fcntl(theirs[IN], F_DUPFD_CLOEXEC, 3);
        theirs[ERR] = fcntl(theirs[IN], F_DUPFD_CLOEXEC, 3);
        if (ours[OUT] < 0 || theirs[OUT] < 0 || theirs[ERR] < 0) return false;
    } else {
        for (int i = 0; i < STREAMS; i++) {
            int ends[2];
            if (pipe2(ends, O_CLOEXEC) != 0) return false;
            ours[i] = ends[i == IN ? 1 : 0];
            theirs[i] = ends[i == IN ? 0 : 1];
        }
    }
    for (int i = 0; i < STREAMS; i++)
        if (ours[i] >= 0 && fcntl(ours[i], F_SETFL, fcntl(ours[i], F_GETFL) | O_NONBLOCK) != 0) return false;
    return true;
}

static _Noreturn void run(bool terminal, const struct request* request, const int theirs[STREAMS]) {
    setsid();
    if (terminal) ioctl(theirs[IN], TIOCSCTTY, 0);
    for (int i = 0; i < STREAMS; i++) dup2(theirs[i], i);
    struct sigaction fresh = {.sa_handler = SIG_DFL};
    for (int number = 1; number < NSIG; number++) sigaction(number, &fresh, NULL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (size_t i = 0; request->environment[i] != NULL; i++) putenv(request->environment[i]);
    const char* folder = request->folder[0] != 0 ? request->folder : "/";
    if (chdir(folder) != 0) {
        dprintf(STDERR_FILENO, "vivarium-agent: %s: %s\n", folder, strerror(errno));
        _exit(126);
    }
    execvp(request->arguments[0], request->arguments);
    int reason = errno;
    dprintf(STDERR_FILENO, "vivarium-agent: %s: %s\n", request->arguments[0],
            reason == ENOENT ? "not found" : strerror(reason));
    _exit(reason == ENOENT ? 127 : 126);
}

void process_start(struct channel* channel, const struct frame* frame) {
    struct request request = {0};
    bool terminal = (frame->flags & EXEC_TERMINAL) != 0;
    if ((frame->flags & ~EXEC_TERMINAL) != 0 || !read_request(frame, &request)) {
        channel_fail(channel, EPROTO, "malformed EXEC");
        free_request(&request);
        return;
    }
    int theirs[STREAMS];
    struct process* process = calloc(1, sizeof *process);
    pid_t pid = -1;
    if (process != NULL && open_streams(terminal, &request, process->stream, theirs)) {
        pid = fork();
        if (pid == 0) run(terminal, &request, theirs);
    }
    int reason = errno;
    if (process != NULL) {
        for (int i = 0; i < STREAMS; i++) close_stream(theirs[i]);
        process->pid = pid;
        process->terminal = terminal;
    }
    free_request(&request);
    channel->of.process = process;
    if (pid < 0) channel_fail(channel, reason, "cannot start a process: %s", strerror(reason));
}

static void add_input(struct channel* channel, const struct frame* frame) {
    struct process* process = channel->of.process;
    if (process->stream[IN] < 0 || process->input_ends) {
        channel_consumed(channel, frame->length); /* nobody reads it any more */
        return;
    }
    if (process->input == NULL && (process->input = malloc(RECEIVE_WINDOW)) == NULL) {
        channel_fail(channel, ENOMEM, "no memory for standard input");
        return;
    }
    /* It fits: the caller has checked the length against the credit, and credit is what is free in the ring. */
    for (uint32_t i = 0; i < frame->length; i++)
        process->input[(process->input_at + process->input_size + i) % RECEIVE_WINDOW] = frame->payload[i];
    process->input_size += frame->length;
}

static void drop_input(struct channel* channel) {
    struct process* process = channel->of.process;
    process->stream[IN] = close_stream(process->stream[IN]);
    channel_consumed(channel, process->input_size);
    process->input_size = 0;
}

static void send_signal(struct process* process, uint32_t number) {
    pid_t group = process->terminal ? tcgetpgrp(process->stream[OUT]) : process->pid;
    if (!process->ended) kill(group > 0 ? -group : -process->pid, (int)number);
}

void process_frame(struct channel* channel, const struct frame* frame) {
    struct process* process = channel->of.process;
    struct reader reader = {.at = frame->payload, .left = frame->length, .good = true};
    if (frame->type == FRAME_STDIN) {
        add_input(channel, frame);
    } else if (frame->type == FRAME_STDIN_END) {
        process->input_ends = true;
    } else if (frame->type == FRAME_SIGNAL) {
        uint32_t number = read_u32(&reader);
        if (!reader.good || number == 0 || number >= NSIG)
            channel_fail(channel, EINVAL, "SIGNAL of a number that is none");
        else
            send_signal(process, number);
    } else if (frame->type == FRAME_RESIZE) {
        uint16_t rows = read_u16(&reader);
        uint16_t columns = read_u16(&reader);
        if (!reader.good)
            channel_fail(channel, EPROTO, "malformed RESIZE");
        else if (process->terminal)
            set_size(process->stream[OUT], rows, columns);
    } else if (frame->type == FRAME_CANCEL) {
        if (!process->ended) kill(-process->pid, SIGKILL);
    } else {
        channel_fail(channel, EPROTO, "a program takes no frame of type 0x%02x", frame->type);
    }
}

static bool may_send(const struct channel* channel) { return channel->send_credit > 0 && port_room(CHUNK); }

size_t process_poll(const struct channel* channel, struct pollfd* set) {
    const struct process* process = channel->of.process;
    size_t count = 0;
    /* A descriptor that is only hung up would wake us for ever, so one that we would not read is not asked about. */
    if (process->stream[IN] >= 0 && process->input_size > 0)
        set[count++] = (struct pollfd){.fd = process->stream[IN], .events = POLLOUT};
    for (int i = OUT; i <= ERR && !process->ended; i++)
        if (process->stream[i] >= 0 && may_send(channel))
            set[count++] = (struct pollfd){.fd = process->stream[i], .events = POLLIN};
    return count;
}

static void write_input(struct channel* channel) {
    struct process* process = channel->of.process;
    while (process->stream[IN] >= 0 && process->input_size > 0) {
        uint32_t until_wrap = RECEIVE_WINDOW - process->input_at;
        uint32_t length = process->input_size < until_wrap ? process->input_size : until_wrap;
        ssize_t count = write(process->stream[IN], process->input + process->input_at, length);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0 && errno == EAGAIN) return;
        if (count <= 0) {
            drop_input(channel); /* the program has closed its input */
            return;
        }
        process->input_at = (process->input_at + (uint32_t)count) % RECEIVE_WINDOW;
        process->input_size -= (uint32_t)count;
        channel_consumed(channel, (uint32_t)count);
    }
    if (process->stream[IN] < 0 || !process->input_ends) return;
    if (process->terminal) {
        /* A terminal has no end of file; its character for it does what a user's Ctrl-D would. */
        uint8_t end = 4;
        if (write(process->stream[IN], &end, 1) < 0 && errno == EAGAIN) return;
    }
    process->stream[IN] = close_stream(process->stream[IN]);
}

/* Sends what a stream has, up to the credit. Returns true if there is nothing more to wait for. */
static bool read_output(struct channel* channel, int which) {
    struct process* process = channel->of.process;
    static uint8_t chunk[CHUNK];
    while (process->stream[which] >= 0) {
        if (!may_send(channel)) return false;
        size_t limit = channel->send_credit < CHUNK ? channel->send_credit : CHUNK;
        ssize_t count = read(process->stream[which], chunk, limit);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0 && errno == EAGAIN) return process->ended;
        if (count <= 0) {
            process->stream[which] = close_stream(process->stream[which]);
            break;
        }
        port_send(which == OUT ? FRAME_STDOUT : FRAME_STDERR, channel->number, chunk, (size_t)count);
        channel->send_credit -= (uint32_t)count;
    }
    return process->ended;
}

bool process_runnable(const struct channel* channel) { return channel->of.process->ended && may_send(channel); }

void process_step(struct channel* channel, const struct pollfd* set, size_t count) {
    struct process* process = channel->of.process;
    channel_consumed(channel, 0); /* credit that the port had no room to return */
    for (size_t i = 0; i < count; i++) {
        if (set[i].revents == 0 || set[i].fd < 0) continue;
        if (set[i].fd == process->stream[OUT])
            read_output(channel, OUT);
        else if (set[i].fd == process->stream[ERR])
            read_output(channel, ERR);
    }
    write_input(channel);
    if (!process->ended || !read_output(channel, OUT) || !read_output(channel, ERR) || !port_room(CONTROL_ROOM)) return;
    bool killed = WIFSIGNALED(process->status);
    uint32_t value = (uint32_t)(killed ? WTERMSIG(process->status) : WEXITSTATUS(process->status));
    uint8_t payload[8] = {killed ? 1 : 0, 0, 0, 0, (uint8_t)value, 0, 0, 0};
    port_send(FRAME_EXITED, channel->number, payload, sizeof payload);
    channel_close(channel);
}

bool process_ended(struct channel* channel, pid_t pid, int status) {
    struct process* process = channel->of.process;
    if (process->pid != pid || process->ended) return false;
    process->ended = true;
    process->status = status;
    return true;
}

void process_release(struct channel* channel) {
    struct process* process = channel->of.process;
    if (process == NULL) return;
    if (process->pid > 0 && !process->ended) kill(-process->pid, SIGKILL);
    for (int i = 0; i < STREAMS; i++) process->stream[i] = close_stream(process->stream[i]);
    free(process->input);
    free(process);
}
