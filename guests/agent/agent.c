/* The guest agent: does inside a guest what the host asks for over a virtio port. One process, one thread, one poll.
 * Usage: agent [--port PATH|fd:N] [--halt-with PROGRAM]
 * --port      instead of the virtio port named org.vivarium.agent.0; with fd:N the agent ends when the stream does
 * --halt-with a program that powers the guest off, called with "poweroff" or "reboot"; without it the kernel is asked
 * Specification: PROTOCOL.md beside this file.
 */
#define _GNU_SOURCE
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

static struct {
    struct channel channels[CHANNELS_MAX];
    bool session;       /* the host has said HELLO */
    bool busy;          /* something has changed since the channels had their turn */
    uint32_t window;    /* the host's */
    int child_event[2]; /* a pipe that the handler of SIGCHLD writes to */
    const char* halt_with;
} agent;

static void child_changed(int number) {
    (void)number;
    int reason = errno;
    ssize_t ignored = write(agent.child_event[1], "", 1);
    (void)ignored; /* a full pipe says the same */
    errno = reason;
}

void channel_close(struct channel* channel) {
    if (channel->kind == CHANNEL_PROCESS)
        process_release(channel);
    else if (channel->kind == CHANNEL_PUT)
        put_release(channel);
    else if (channel->kind == CHANNEL_GET)
        get_release(channel);
    memset(channel, 0, sizeof *channel);
}

void channel_fail(struct channel* channel, int number, const char* format, ...) {
    char text[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    port_send_error(channel->number, number, "%s", text);
    channel_close(channel);
}

void channel_consumed(struct channel* channel, uint32_t bytes) {
    channel->consumed += bytes;
    if (channel->consumed < RECEIVE_WINDOW / 2 || !port_room(CONTROL_ROOM)) return;
    uint8_t payload[4];
    for (size_t i = 0; i < sizeof payload; i++) payload[i] = (uint8_t)(channel->consumed >> (8 * i));
    port_send(FRAME_WINDOW, channel->number, payload, sizeof payload);
    channel->receive_credit += channel->consumed;
    channel->consumed = 0;
}

static struct channel* find_channel(uint16_t number) {
    for (size_t i = 0; i < CHANNELS_MAX; i++)
        if (agent.channels[i].kind != CHANNEL_FREE && agent.channels[i].number == number) return &agent.channels[i];
    return NULL;
}

static void end_session(void) {
    for (size_t i = 0; i < CHANNELS_MAX; i++) channel_close(&agent.channels[i]);
    agent.session = false;
}

static void take_hello(const struct frame* frame) {
    struct reader reader = {.at = frame->payload, .left = frame->length, .good = true};
    uint32_t magic = read_u32(&reader);
    uint16_t version = read_u16(&reader);
    read_u16(&reader);
    uint32_t nonce = read_u32(&reader);
    uint32_t window = read_u32(&reader);
    if (!reader.good || magic != PROTOCOL_MAGIC || nonce == 0 || window < WINDOW_MIN || window > INT32_MAX) {
        port_send_error(0, EPROTO, "malformed HELLO");
    } else if (version != PROTOCOL_VERSION) {
        port_send_error(0, EPROTONOSUPPORT, "this agent speaks version %d", PROTOCOL_VERSION);
    } else {
        end_session();
        agent.session = true;
        agent.window = window;
        port_send_hello(nonce);
    }
}

static void take_power_off(const struct frame* frame) {
    if (frame->length != 1 || frame->payload[0] > 1) {
        port_send_error(0, EPROTO, "malformed POWER_OFF");
        return;
    }
    bool restart = frame->payload[0] == 1;
    sync();
    if (agent.halt_with != NULL) {
        if (fork() == 0) {
            execl(agent.halt_with, agent.halt_with, restart ? "reboot" : "poweroff", (char*)NULL);
            _exit(127);
        }
    } else if (!port_reopens()) {
        port_send_error(0, EPERM, "an agent on an inherited descriptor halts nothing by itself");
    } else if (reboot(restart ? RB_AUTOBOOT : RB_POWER_OFF) != 0) {
        port_send_error(0, errno, "cannot power off: %s", strerror(errno));
    }
}

static void open_channel(const struct frame* frame) {
    struct channel* channel = NULL;
    for (size_t i = 0; i < CHANNELS_MAX && channel == NULL; i++)
        if (agent.channels[i].kind == CHANNEL_FREE) channel = &agent.channels[i];
    if (channel == NULL) {
        port_send_error(frame->channel, EMFILE, "at most %d operations at once", CHANNELS_MAX);
        return;
    }
    *channel =
        (struct channel){.number = frame->channel, .send_credit = agent.window, .receive_credit = RECEIVE_WINDOW};
    if (frame->type == FRAME_EXEC) {
        channel->kind = CHANNEL_PROCESS;
        process_start(channel, frame);
    } else if (frame->type == FRAME_PUT) {
        channel->kind = CHANNEL_PUT;
        put_start(channel, frame);
    } else {
        channel->kind = CHANNEL_GET;
        get_start(channel, frame);
    }
}

static void take_window(struct channel* channel, const struct frame* frame) {
    struct reader reader = {.at = frame->payload, .left = frame->length, .good = true};
    uint32_t more = read_u32(&reader);
    if (!reader.good || more > INT32_MAX - channel->send_credit)
        channel_fail(channel, EPROTO, "WINDOW without measure");
    else
        channel->send_credit += more;
}

static void take_channel_frame(const struct frame* frame) {
    bool opens = frame->type == FRAME_EXEC || frame->type == FRAME_PUT || frame->type == FRAME_GET;
    struct channel* channel = find_channel(frame->channel);
    if (channel == NULL && opens) {
        open_channel(frame);
    } else if (channel == NULL) {
        return; /* it was under way when the channel closed */
    } else if (opens) {
        channel_fail(channel, EPROTO, "the channel is in use");
    } else if ((frame->type & 0xf0) == 0x40 && frame->length > channel->receive_credit) {
        channel_fail(channel, EPROTO, "more data than there was credit for");
    } else if (frame->type == FRAME_WINDOW) {
        take_window(channel, frame);
    } else {
        if ((frame->type & 0xf0) == 0x40) channel->receive_credit -= frame->length;
        if (channel->kind == CHANNEL_PROCESS)
            process_frame(channel, frame);
        else if (channel->kind == CHANNEL_PUT)
            put_frame(channel, frame);
        else if (frame->type == FRAME_CANCEL)
            channel_fail(channel, ECANCELED, "cancelled");
        else
            channel_fail(channel, EPROTO, "a copy takes no frame of type 0x%02x", frame->type);
    }
}

static void take_frame(const struct frame* frame) {
    if (frame->type == FRAME_HELLO)
        take_hello(frame);
    else if (!agent.session)
        port_send_error(0, EPROTO, "no session: HELLO comes first");
    else if (frame->type == FRAME_POWER_OFF)
        take_power_off(frame);
    else if (frame->channel == 0)
        port_send_error(0, EPROTO, "channel 0 takes no frame of type 0x%02x", frame->type);
    else
        take_channel_frame(frame);
}

static void reap(void) {
    char drained[64];
    while (read(agent.child_event[0], drained, sizeof drained) > 0) {}
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        for (size_t i = 0; i < CHANNELS_MAX; i++)
            if (agent.channels[i].kind == CHANNEL_PROCESS && process_ended(&agent.channels[i], pid, status)) break;
}

/* One round: waits for something to do, and does it. */
static enum port_state work(void) {
    struct pollfd set[2 + CHANNELS_MAX * POLL_PER_CHANNEL];
    size_t first[CHANNELS_MAX], size[CHANNELS_MAX], count = 2;
    bool runnable = agent.busy;
    agent.busy = false;
    set[0] = port_poll();
    set[1] = (struct pollfd){.fd = agent.child_event[0], .events = POLLIN};
    for (size_t i = 0; i < CHANNELS_MAX; i++) {
        const struct channel* channel = &agent.channels[i];
        first[i] = count;
        size[i] = channel->kind == CHANNEL_PROCESS ? process_poll(channel, set + count) : 0;
        runnable = runnable || (channel->kind == CHANNEL_GET && get_runnable(channel)) ||
                   (channel->kind == CHANNEL_PROCESS && process_runnable(channel));
        count += size[i];
    }
    if (poll(set, count, runnable ? 0 : -1) < 0 && errno != EINTR) {
        perror("vivarium-agent: poll");
        exit(1);
    }
    if (set[1].revents != 0) reap();
    /* Before new frames are taken: they may reuse a slot, whose descriptors the set would then misname. */
    for (size_t i = 0; i < CHANNELS_MAX; i++) {
        struct channel* channel = &agent.channels[i];
        if (channel->kind == CHANNEL_PROCESS)
            process_step(channel, set + first[i], size[i]);
        else if (channel->kind == CHANNEL_GET && get_runnable(channel))
            get_step(channel);
    }
    enum port_state state = port_receive(set[0].revents);
    struct frame frame;
    while (state == PORT_OPEN && port_room(CONTROL_ROOM) && port_next(&frame)) {
        take_frame(&frame);
        agent.busy = true;
    }
    bool crowded = !port_room(CHUNK);
    if (state == PORT_OPEN) state = port_flush();
    if (crowded && port_room(CHUNK)) agent.busy = true;
    return state == PORT_OPEN && port_garbage() ? PORT_GARBAGE : state;
}

static void set_default(const char* name, const char* value, const char* useless) {
    const char* now = getenv(name);
    if (now == NULL || strcmp(now, useless) == 0) setenv(name, value, 1);
}

int main(int argc, char** argv) {
    const char* path = NULL;
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 < argc && strcmp(argv[i], "--port") == 0) {
            path = argv[i + 1];
        } else if (i + 1 < argc && strcmp(argv[i], "--halt-with") == 0) {
            agent.halt_with = argv[i + 1];
        } else {
            fprintf(stderr, "vivarium-agent: %s: unknown; usage: agent [--port PATH|fd:N] [--halt-with PROGRAM]\n",
                    argv[i]);
            return 2;
        }
    }
    /* So that no descriptor of ours takes a number that a child's streams need. */
    int handle;
    while ((handle = open("/dev/null", O_RDWR | O_CLOEXEC)) >= 0 && handle <= STDERR_FILENO) {}
    if (handle >= 0) close(handle);
    set_default("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "");
    set_default("HOME", "/root", "/");
    set_default("USER", "root", "");
    set_default("LOGNAME", "root", "");
    set_default("SHELL", "/bin/sh", "");
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    struct sigaction action = {.sa_handler = child_changed, .sa_flags = SA_RESTART | SA_NOCLDSTOP};
    if (pipe2(agent.child_event, O_CLOEXEC | O_NONBLOCK) != 0 || sigaction(SIGCHLD, &action, NULL) != 0) {
        perror("vivarium-agent");
        return 1;
    }
    for (;;) {
        if (port_open(path) != 0) return 1;
        enum port_state state;
        do {
            if (port_greet() != PORT_OPEN) return 1; /* not a host that is late, but a port that is gone */
            while ((state = work()) == PORT_OPEN) {}
            end_session();
        } while (state == PORT_CLOSED && port_reopens());
        if (state == PORT_GARBAGE) port_refuse();
        if (!port_reopens()) return 0;
    }
}
