/* Copying out of the guest: one GET channel sends a file or a tree, an entry or a piece of a file at a time.
 * Promises: sends only what the host has credit for; links below the path are never followed; what cannot be read is
 * reported and passed over; a tree deeper than DEPTH_MAX is refused rather than holding a descriptor a level.
 */
#define _GNU_SOURCE
#include "agent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH_MAX = 64, ENTRY_MAX = 48 + 2 * PATH_MAX };

struct get {
    char* top; /* the path asked for, until it has been visited */
    DIR* folders[DEPTH_MAX];
    size_t parents[DEPTH_MAX]; /* the length of `path` at each level */
    size_t depth;
    char path[PATH_MAX]; /* below the top, as it is sent */
    int file;            /* being sent, or -1 */
    uint32_t warnings;
};

static void put_integer(uint8_t** at, uint64_t value, size_t size) {
    for (size_t i = 0; i < size; i++) *(*at)++ = (uint8_t)(value >> (8 * i));
}

static void put_string(uint8_t** at, const char* string, size_t length) {
    put_integer(at, length, 4);
    memcpy(*at, string, length);
    *at += length;
}

static void send_counted(struct channel* channel, uint8_t type, const void* payload, size_t length) {
    port_send(type, channel->number, payload, length);
    channel->send_credit -= (uint32_t)length;
}

static void warn(struct channel* channel, const char* path, const char* text) {
    char line[PATH_MAX + 128];
    int length = snprintf(line, sizeof line, "%s: %s\n", path[0] != 0 ? path : ".", text);
    channel->of.get->warnings++;
    send_counted(channel, FRAME_STDERR, line, (size_t)length < sizeof line ? (size_t)length : sizeof line - 1);
}

static void send_entry(struct channel* channel, enum entry_kind kind, const struct stat* status, const char* target) {
    static uint8_t payload[ENTRY_MAX];
    uint8_t* at = payload;
    const char* path = channel->of.get->path;
    put_integer(&at, (uint64_t)kind, 4);
    put_integer(&at, status->st_mode & 07777, 4);
    put_integer(&at, kind == ENTRY_FILE ? (uint64_t)status->st_size : 0, 8);
    put_integer(&at, (uint64_t)status->st_mtim.tv_sec, 8);
    put_integer(&at, (uint64_t)status->st_mtim.tv_nsec, 4);
    put_string(&at, path, strlen(path));
    put_string(&at, target, strlen(target));
    send_counted(channel, FRAME_ENTRY, payload, (size_t)(at - payload));
}

/* Announces what is at `name` in the folder `base`, and opens it if there is more to send. */
static void visit(struct channel* channel, int base, const char* name, int follow) {
    struct get* get = channel->of.get;
    struct stat status;
    if (fstatat(base, name, &status, follow) != 0) {
        warn(channel, get->path, strerror(errno));
        return;
    }
    if (S_ISLNK(status.st_mode)) {
        char target[PATH_MAX];
        ssize_t length = readlinkat(base, name, target, sizeof target - 1);
        if (length < 0) {
            warn(channel, get->path, strerror(errno));
            return;
        }
        target[length] = 0;
        send_entry(channel, ENTRY_LINK, &status, target);
        return;
    }
    if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)) {
        warn(channel, get->path, "neither a file nor a folder nor a link");
        return;
    }
    if (S_ISDIR(status.st_mode) && get->depth == DEPTH_MAX) {
        warn(channel, get->path, "too deep");
        return;
    }
    int handle = openat(base, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | (follow == 0 ? 0 : O_NOFOLLOW));
    /* It may be another thing by now. */
    mode_t seen = status.st_mode & S_IFMT;
    if (handle < 0 || fstat(handle, &status) != 0 || (status.st_mode & S_IFMT) != seen) {
        warn(channel, get->path, handle < 0 ? strerror(errno) : "changed while it was read");
        if (handle >= 0) close(handle);
        return;
    }
    if (S_ISREG(status.st_mode)) {
        send_entry(channel, ENTRY_FILE, &status, "");
        get->file = handle;
        return;
    }
    DIR* folder = fdopendir(handle);
    if (folder == NULL) {
        warn(channel, get->path, strerror(errno));
        close(handle);
        return;
    }
    send_entry(channel, ENTRY_FOLDER, &status, "");
    get->parents[get->depth] = strlen(get->path);
    get->folders[get->depth++] = folder;
}

void get_start(struct channel* channel, const struct frame* frame) {
    struct reader reader = {.at = frame->payload, .left = frame->length, .good = true};
    char* path = read_string(&reader, NAME_MAX_BYTES);
    struct get* get = calloc(1, sizeof *get);
    struct stat status;
    channel->of.get = get;
    if (get != NULL) get->file = -1;
    if (!reader.good || reader.left != 0 || path[0] == 0)
        channel_fail(channel, EPROTO, "malformed GET");
    else if (get == NULL)
        channel_fail(channel, ENOMEM, "no memory for a transfer");
    else if (stat(path, &status) != 0)
        channel_fail(channel, errno, "%s: %s", path, strerror(errno));
    else if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode))
        channel_fail(channel, EINVAL, "%s: neither a file nor a folder", path);
    else if ((get->top = strdup(path)) == NULL)
        channel_fail(channel, ENOMEM, "no memory for a transfer");
    free(path);
}

bool get_runnable(const struct channel* channel) {
    /* Enough for anything that one step sends. */
    return channel->send_credit >= CHUNK && port_room(CHUNK);
}

static void send_piece(struct channel* channel) {
    struct get* get = channel->of.get;
    static uint8_t chunk[CHUNK];
    ssize_t count = read(get->file, chunk, CHUNK);
    if (count > 0) {
        send_counted(channel, FRAME_DATA, chunk, (size_t)count);
        return;
    }
    if (count < 0 && errno == EINTR) return;
    if (count < 0) warn(channel, get->path, strerror(errno));
    close(get->file);
    get->file = -1;
}

static void next_in_folder(struct channel* channel) {
    struct get* get = channel->of.get;
    DIR* folder = get->folders[get->depth - 1];
    size_t parent = get->parents[get->depth - 1];
    get->path[parent] = 0;
    errno = 0;
    struct dirent* entry = readdir(folder);
    if (entry == NULL) {
        if (errno != 0) warn(channel, get->path, strerror(errno));
        closedir(folder);
        get->depth--;
        return;
    }
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) return;
    size_t left = sizeof get->path - parent;
    int length = snprintf(get->path + parent, left, "%s%s", parent > 0 ? "/" : "", entry->d_name);
    if ((size_t)length >= left) {
        get->path[parent] = 0;
        warn(channel, get->path, "holds a path that is too long");
        return;
    }
    visit(channel, dirfd(folder), entry->d_name, AT_SYMLINK_NOFOLLOW);
}

void get_step(struct channel* channel) {
    struct get* get = channel->of.get;
    if (get->top != NULL) {
        visit(channel, AT_FDCWD, get->top, 0);
        free(get->top);
        get->top = NULL;
    } else if (get->file >= 0) {
        send_piece(channel);
    } else if (get->depth > 0) {
        next_in_folder(channel);
    } else {
        uint8_t payload[8], *at = payload;
        put_integer(&at, get->warnings, 4);
        put_integer(&at, 0, 4);
        port_send(FRAME_END, channel->number, payload, sizeof payload);
        channel_close(channel);
    }
}

void get_release(struct channel* channel) {
    struct get* get = channel->of.get;
    if (get == NULL) return;
    if (get->file >= 0) close(get->file);
    while (get->depth > 0) closedir(get->folders[--get->depth]);
    free(get->top);
    free(get);
}
