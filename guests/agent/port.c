/* The port to the host: finding and opening it, frames in and out.
 * Promises: one fixed buffer each way; a partial read or write is continued later; a frame is handed out only when it
 * is complete and its length is allowed. Ports: the kernel's drivers/char/virtio_console.c (/sys/class/virtio-ports).
 */
#define _GNU_SOURCE
#include "agent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <termios.h>
#include <unistd.h>

#define PORT_NAME "org.vivarium.agent.0"
#define PORT_FOLDER "/sys/class/virtio-ports"

enum { OUT_CAPACITY = 4 * PAYLOAD_MAX, IN_CAPACITY = PAYLOAD_MAX + HEADER_SIZE };

/* All zero at the start, so that the buffers take no room in the program's file. */
static struct {
    int handle;
    bool inherited;
    uint8_t in[IN_CAPACITY];
    size_t in_start, in_end;
    bool garbage;
    uint8_t out[OUT_CAPACITY];
    size_t out_start, out_end;
} port;

static const void* take(struct reader* reader, size_t count) {
    if (!reader->good || count > reader->left) {
        reader->good = false;
        return NULL;
    }
    const uint8_t* at = reader->at;
    reader->at += count;
    reader->left -= count;
    return at;
}

static uint64_t read_integer(struct reader* reader, size_t size) {
    const uint8_t* at = take(reader, size);
    uint64_t value = 0;
    for (size_t i = 0; at != NULL && i < size; i++) value |= (uint64_t)at[i] << (8 * i);
    return value;
}

uint8_t read_u8(struct reader* reader) { return (uint8_t)read_integer(reader, 1); }
uint16_t read_u16(struct reader* reader) { return (uint16_t)read_integer(reader, 2); }
uint32_t read_u32(struct reader* reader) { return (uint32_t)read_integer(reader, 4); }
uint64_t read_u64(struct reader* reader) { return read_integer(reader, 8); }

char* read_string(struct reader* reader, size_t limit) {
    size_t length = read_u32(reader);
    if (length > limit) reader->good = false;
    const char* at = take(reader, length);
    char* string = at != NULL && memchr(at, 0, length) == NULL ? strndup(at, length) : NULL;
    if (string == NULL) reader->good = false;
    return string;
}

static void put_integer(uint8_t* at, uint64_t value, size_t size) {
    for (size_t i = 0; i < size; i++) at[i] = (uint8_t)(value >> (8 * i));
}

static char* find_port(void) {
    DIR* folder = opendir(PORT_FOLDER);
    if (folder == NULL) return NULL;
    char* found = NULL;
    struct dirent* entry;
    while (found == NULL && (entry = readdir(folder)) != NULL) {
        char path[sizeof PORT_FOLDER + sizeof entry->d_name + sizeof "//name"];
        char name[64] = "";
        snprintf(path, sizeof path, PORT_FOLDER "/%s/name", entry->d_name);
        FILE* file = entry->d_name[0] != '.' ? fopen(path, "re") : NULL;
        if (file == NULL) continue;
        if (fgets(name, sizeof name, file) != NULL) {
            name[strcspn(name, "\n")] = 0;
            if (strcmp(name, PORT_NAME) == 0 && asprintf(&found, "/dev/%s", entry->d_name) < 0) found = NULL;
        }
        fclose(file);
    }
    closedir(folder);
    return found;
}

int port_open(const char* path) {
    if (path != NULL && strncmp(path, "fd:", 3) == 0) {
        char* end;
        long number = strtol(path + 3, &end, 10);
        if (path[3] == 0 || *end != 0 || number < 0 || number > 65535 || fcntl((int)number, F_GETFD) < 0) {
            fprintf(stderr, "vivarium-agent: %s: not an open descriptor\n", path);
            return -1;
        }
        port.handle = (int)number;
        port.inherited = true;
        fcntl(port.handle, F_SETFD, FD_CLOEXEC);
        return 0;
    }
    char* found = path == NULL ? find_port() : strdup(path);
    if (found == NULL) {
        fprintf(stderr, "vivarium-agent: no virtio port is named " PORT_NAME "\n");
        return -1;
    }
    port.handle = open(found, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (port.handle < 0) fprintf(stderr, "vivarium-agent: %s: %s\n", found, strerror(errno));
    free(found);
    struct termios mode;
    if (port.handle >= 0 && tcgetattr(port.handle, &mode) == 0) {
        cfmakeraw(&mode);
        tcsetattr(port.handle, TCSANOW, &mode);
    }
    return port.handle < 0 ? -1 : 0;
}

bool port_reopens(void) { return !port.inherited; }

static void port_reset(void) {
    port.in_start = port.in_end = 0;
    port.out_start = port.out_end = 0;
    port.garbage = false;
}

enum port_state port_greet(void) {
    port_reset();
    port_send_hello(0);
    /* A blocking write waits for a host without waking up; poll would return at once, for ever, while there is none. */
    fcntl(port.handle, F_SETFL, fcntl(port.handle, F_GETFL) & ~O_NONBLOCK);
    enum port_state state = port_flush();
    fcntl(port.handle, F_SETFL, fcntl(port.handle, F_GETFL) | O_NONBLOCK);
    return state;
}

struct pollfd port_poll(void) {
    short events = 0;
    if (!port.garbage && port.in_end - port.in_start < IN_CAPACITY && port_room(CONTROL_ROOM)) events |= POLLIN;
    if (port.out_end > port.out_start) events |= POLLOUT;
    return (struct pollfd){.fd = port.handle, .events = events};
}

enum port_state port_receive(short events) {
    if ((events & (POLLIN | POLLHUP | POLLERR)) == 0) return PORT_OPEN;
    if (port.in_start > 0) {
        memmove(port.in, port.in + port.in_start, port.in_end - port.in_start);
        port.in_end -= port.in_start;
        port.in_start = 0;
    }
    if (port.in_end == IN_CAPACITY) return (events & POLLHUP) != 0 ? PORT_CLOSED : PORT_OPEN;
    ssize_t count = read(port.handle, port.in + port.in_end, IN_CAPACITY - port.in_end);
    if (count > 0) {
        port.in_end += (size_t)count;
        return PORT_OPEN;
    }
    /* A host that has gone may leave a port that is never readable; only its hang-up tells. */
    bool later = count < 0 && (errno == EAGAIN || errno == EINTR) && (events & POLLHUP) == 0;
    return later ? PORT_OPEN : PORT_CLOSED;
}

bool port_next(struct frame* frame) {
    size_t available = port.in_end - port.in_start;
    if (port.garbage || available < HEADER_SIZE) return false;
    struct reader reader = {.at = port.in + port.in_start, .left = available, .good = true};
    frame->length = read_u32(&reader);
    frame->type = read_u8(&reader);
    frame->flags = read_u8(&reader);
    frame->channel = read_u16(&reader);
    frame->payload = reader.at;
    if (frame->length > PAYLOAD_MAX) {
        port.garbage = true;
        return false;
    }
    if (reader.left < frame->length) return false;
    port.in_start += HEADER_SIZE + frame->length;
    return true;
}

bool port_garbage(void) { return port.garbage; }

void port_refuse(void) {
    if (port_room(CONTROL_ROOM)) port_send_error(0, EPROTO, "a frame of more than %d bytes", PAYLOAD_MAX);
    port_flush();
    close(port.handle);
    port.handle = -1;
}

enum port_state port_flush(void) {
    while (port.out_start < port.out_end) {
        ssize_t count = write(port.handle, port.out + port.out_start, port.out_end - port.out_start);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0 && errno == EAGAIN) return PORT_OPEN;
        if (count <= 0) return PORT_CLOSED;
        port.out_start += (size_t)count;
    }
    port.out_start = port.out_end = 0;
    return PORT_OPEN;
}

bool port_room(size_t payload) { return OUT_CAPACITY - (port.out_end - port.out_start) >= payload + HEADER_SIZE; }

void port_send(uint8_t type, uint16_t channel, const void* payload, size_t length) {
    if (!port_room(length)) abort(); /* every caller asks port_room first */
    if (OUT_CAPACITY - port.out_end < length + HEADER_SIZE) {
        memmove(port.out, port.out + port.out_start, port.out_end - port.out_start);
        port.out_end -= port.out_start;
        port.out_start = 0;
    }
    uint8_t* at = port.out + port.out_end;
    put_integer(at, length, 4);
    at[4] = type;
    at[5] = 0;
    put_integer(at + 6, channel, 2);
    if (length > 0) memcpy(at + HEADER_SIZE, payload, length);
    port.out_end += HEADER_SIZE + length;
}

static size_t put_string(uint8_t* at, const char* string, size_t length) {
    put_integer(at, length, 4);
    memcpy(at + 4, string, length);
    return 4 + length;
}

void port_send_hello(uint32_t nonce) {
    struct utsname name;
    uint8_t payload[16 + 8 + 2 * sizeof name.machine];
    if (uname(&name) != 0) memset(&name, 0, sizeof name);
    put_integer(payload, PROTOCOL_MAGIC, 4);
    put_integer(payload + 4, PROTOCOL_VERSION, 2);
    put_integer(payload + 6, 0, 2);
    put_integer(payload + 8, nonce, 4);
    put_integer(payload + 12, RECEIVE_WINDOW, 4);
    size_t length = 16;
    length += put_string(payload + length, name.machine, strnlen(name.machine, sizeof name.machine));
    length += put_string(payload + length, name.release, strnlen(name.release, sizeof name.release));
    port_send(FRAME_HELLO, 0, payload, length);
}

void port_send_error(uint16_t channel, int number, const char* format, ...) {
    char text[512];
    uint8_t payload[8 + sizeof text];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    put_integer(payload, (uint64_t)number, 4);
    size_t length = 4 + put_string(payload + 4, text, strlen(text));
    port_send(FRAME_ERROR, channel, payload, length);
}
