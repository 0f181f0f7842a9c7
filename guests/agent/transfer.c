/* Copying into the guest: one PUT channel writes a file or a tree below a destination.
 * Promises: a path with an empty part, '.', '..' or a leading '/' is refused; a file appears under its name only when
 * it is complete; a transfer that fails or is abandoned leaves no temporary file. Specification: PROTOCOL.md.
 */
#define _GNU_SOURCE
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct put {
    char* root;  /* what the empty path stands for */
    char* final; /* the file being written, NULL between files */
    char* temporary;
    int handle;
    mode_t mode;
    struct timespec changed;
};

struct entry {
    uint8_t kind;
    mode_t mode;
    struct timespec changed;
    char *path, *target;
};

static bool path_is_safe(const char* path) {
    if (path[0] == 0) return true;
    for (const char* part = path;; part++) {
        size_t length = strcspn(part, "/");
        if (length == 0 || (length == 1 && part[0] == '.') || (length == 2 && part[0] == '.' && part[1] == '.'))
            return false;
        part += length;
        if (*part == 0) return true;
    }
}

static int make_folders_above(const char* path) {
    char* copy = strdup(path);
    int result = copy == NULL ? -1 : 0;
    for (char* slash = copy; result == 0 && (slash = strchr(slash + 1, '/')) != NULL; *slash = '/') {
        *slash = 0;
        if (mkdir(copy, 0755) != 0 && errno != EEXIST) result = -1;
    }
    int reason = errno;
    free(copy);
    errno = reason;
    return result;
}

static char* join(const char* folder, const char* name) {
    char* path;
    size_t length = strlen(folder);
    const char* separator = name[0] == 0 || (length > 0 && folder[length - 1] == '/') ? "" : "/";
    return asprintf(&path, "%s%s%s", folder, separator, name) < 0 ? NULL : path;
}

void put_start(struct channel* channel, const struct frame* frame) {
    struct reader reader = {.at = frame->payload, .left = frame->length, .good = true};
    char* destination = read_string(&reader, NAME_MAX_BYTES);
    char* name = read_string(&reader, NAME_MAX_BYTES);
    struct put* put = calloc(1, sizeof *put);
    if (put != NULL) put->handle = -1;
    channel->of.put = put;
    if (!reader.good || reader.left != 0 || destination[0] == 0 || !path_is_safe(name) || strchr(name, '/') != NULL) {
        channel_fail(channel, EPROTO, "malformed PUT");
    } else if (put != NULL) {
        struct stat status;
        bool folder =
            destination[strlen(destination) - 1] == '/' || (stat(destination, &status) == 0 && S_ISDIR(status.st_mode));
        put->root = folder ? join(destination, name) : strdup(destination);
        if (put->root == NULL || make_folders_above(put->root) != 0)
            channel_fail(channel, errno, "%s: %s", destination, strerror(errno));
    } else {
        channel_fail(channel, ENOMEM, "no memory for a transfer");
    }
    free(destination);
    free(name);
}

static int finish_file(struct put* put) {
    if (put->handle < 0) return 0;
    struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, put->changed};
    int result = fchmod(put->handle, put->mode);
    if (result == 0) result = futimens(put->handle, times);
    if (close(put->handle) != 0) result = -1;
    put->handle = -1;
    if (result == 0) result = rename(put->temporary, put->final);
    int reason = errno;
    if (result != 0) unlink(put->temporary);
    errno = reason;
    return result;
}

static void forget_file(struct put* put) {
    free(put->final);
    free(put->temporary);
    put->final = put->temporary = NULL;
}

static char* temporary_beside(const char* path, uint16_t number) {
    char* temporary;
    const char* slash = strrchr(path, '/');
    int folder = slash == NULL ? 0 : (int)(slash - path) + 1;
    return asprintf(&temporary, "%.*s.viv-put-%u", folder, path, number) < 0 ? NULL : temporary;
}

static int store_entry(struct channel* channel, const struct entry* entry, char* path) {
    struct put* put = channel->of.put;
    struct stat status;
    if (entry->kind == ENTRY_FOLDER) {
        if (mkdir(path, entry->mode) != 0 && (errno != EEXIST || stat(path, &status) != 0 || !S_ISDIR(status.st_mode)))
            return -1;
        return chmod(path, entry->mode);
    }
    char* temporary = temporary_beside(path, channel->number);
    if (temporary == NULL) return -1;
    int result = unlink(temporary) != 0 && errno != ENOENT ? -1 : 0;
    if (result == 0 && entry->kind == ENTRY_LINK) {
        result = symlink(entry->target, temporary);
        if (result == 0 && (result = rename(temporary, path)) != 0) {
            int reason = errno;
            unlink(temporary);
            errno = reason;
        }
        free(temporary);
        return result;
    }
    if (result == 0) put->handle = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (put->handle < 0) {
        free(temporary);
        return -1;
    }
    put->temporary = temporary;
    put->final = strdup(path);
    put->mode = entry->mode;
    put->changed = entry->changed;
    return put->final == NULL ? -1 : 0;
}

static bool read_entry(const struct frame* frame, struct entry* entry) {
    struct reader reader = {.at = frame->payload, .left = frame->length, .good = true};
    entry->kind = read_u8(&reader);
    for (int i = 0; i < 3; i++) read_u8(&reader);
    entry->mode = read_u32(&reader) & 07777;
    read_u64(&reader); /* the size is a hint for progress bars */
    entry->changed.tv_sec = (time_t)read_u64(&reader);
    entry->changed.tv_nsec = (long)read_u32(&reader);
    entry->path = read_string(&reader, NAME_MAX_BYTES);
    entry->target = read_string(&reader, NAME_MAX_BYTES);
    return reader.good && reader.left == 0 && entry->changed.tv_nsec < 1000000000 && entry->kind >= ENTRY_FILE &&
           entry->kind <= ENTRY_LINK && path_is_safe(entry->path) &&
           (entry->kind == ENTRY_LINK) == (entry->target[0] != 0);
}

static void take_entry(struct channel* channel, const struct frame* frame) {
    struct put* put = channel->of.put;
    struct entry entry = {0};
    if (!read_entry(frame, &entry)) {
        channel_fail(channel, EPROTO, "malformed ENTRY");
    } else if (finish_file(put) != 0) {
        channel_fail(channel, errno, "%s: %s", put->final, strerror(errno));
    } else {
        forget_file(put);
        char* path = join(put->root, entry.path);
        if (path == NULL || store_entry(channel, &entry, path) != 0)
            channel_fail(channel, errno, "%s: %s", path == NULL ? put->root : path, strerror(errno));
        else
            channel_consumed(channel, frame->length);
        free(path);
    }
    free(entry.path);
    free(entry.target);
}

static void take_data(struct channel* channel, const struct frame* frame) {
    struct put* put = channel->of.put;
    if (put->handle < 0) {
        channel_fail(channel, EPROTO, "DATA without a file");
        return;
    }
    for (size_t done = 0; done < frame->length;) {
        ssize_t count = write(put->handle, frame->payload + done, frame->length - done);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) {
            channel_fail(channel, errno, "%s: %s", put->final, strerror(errno));
            return;
        }
        done += (size_t)count;
    }
    channel_consumed(channel, frame->length);
}

void put_frame(struct channel* channel, const struct frame* frame) {
    static const uint8_t complete[8];
    struct put* put = channel->of.put;
    if (frame->type == FRAME_ENTRY) {
        take_entry(channel, frame);
    } else if (frame->type == FRAME_DATA) {
        take_data(channel, frame);
    } else if (frame->type == FRAME_CANCEL) {
        channel_fail(channel, ECANCELED, "cancelled");
    } else if (frame->type != FRAME_END) {
        channel_fail(channel, EPROTO, "a copy takes no frame of type 0x%02x", frame->type);
    } else if (finish_file(put) != 0) {
        channel_fail(channel, errno, "%s: %s", put->final, strerror(errno));
    } else {
        port_send(FRAME_END, channel->number, complete, sizeof complete);
        channel_close(channel);
    }
}

void put_release(struct channel* channel) {
    struct put* put = channel->of.put;
    if (put == NULL) return;
    if (put->handle >= 0) {
        close(put->handle);
        unlink(put->temporary);
    }
    forget_file(put);
    free(put->root);
    free(put);
}
