/* The guest agent's parts and what they know of one another.
 * Promises: memory is bounded whatever the host or a child sends; nothing blocks but the first HELLO, which waits for
 * a host; every length and number of a frame is checked before it is used. Specification: PROTOCOL.md beside this file.
 */
#ifndef VIVARIUM_AGENT_H
#define VIVARIUM_AGENT_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    PROTOCOL_VERSION = 1,
    PAYLOAD_MAX = 65536,
    HEADER_SIZE = 8,
    WINDOW_MIN = 65536,
    RECEIVE_WINDOW = 131072, /* bytes of a channel that the agent is ready to hold */
    CHANNELS_MAX = 32,
    NAME_MAX_BYTES = 4095,
    CHUNK = 32768,       /* bytes of output in one frame */
    CONTROL_ROOM = 1024, /* room that must be free before anything is done that answers with a small frame */
    POLL_PER_CHANNEL = 3,
};

#define PROTOCOL_MAGIC 0x47564956u

enum frame_type {
    FRAME_HELLO = 0x01,
    FRAME_POWER_OFF = 0x02,
    FRAME_EXEC = 0x10,
    FRAME_STDIN_END = 0x11,
    FRAME_SIGNAL = 0x12,
    FRAME_RESIZE = 0x13,
    FRAME_CANCEL = 0x14,
    FRAME_PUT = 0x20,
    FRAME_GET = 0x21,
    FRAME_END = 0x22,
    FRAME_WINDOW = 0x30,
    FRAME_EXITED = 0x31,
    FRAME_ERROR = 0x32,
    FRAME_STDIN = 0x40,
    FRAME_STDOUT = 0x41,
    FRAME_STDERR = 0x42,
    FRAME_ENTRY = 0x43,
    FRAME_DATA = 0x44,
};

enum { EXEC_TERMINAL = 1 };
enum entry_kind { ENTRY_FILE = 1, ENTRY_FOLDER = 2, ENTRY_LINK = 3 };

struct frame {
    uint8_t type;
    uint8_t flags;
    uint16_t channel;
    uint32_t length;
    const uint8_t* payload;
};

/* Decodes a payload from the front; after the first thing that does not fit, `good` is false and all results are 0. */
struct reader {
    const uint8_t* at;
    size_t left;
    bool good;
};

uint8_t read_u8(struct reader* reader);
uint16_t read_u16(struct reader* reader);
uint32_t read_u32(struct reader* reader);
uint64_t read_u64(struct reader* reader);
/* Allocated, ends with 0, the caller frees it; NULL if it is longer than `limit`, holds a 0, or does not fit. */
char* read_string(struct reader* reader, size_t limit);

/* port.c: the byte stream to the host. */
enum port_state { PORT_OPEN, PORT_CLOSED, PORT_GARBAGE };
int port_open(const char* path);  /* NULL: the port of our name. Returns 0, or -1 with a message */
bool port_reopens(void);          /* false for an inherited descriptor: its end is the agent's end */
enum port_state port_greet(void); /* sends HELLO with nonce 0, waits for a host */
struct pollfd port_poll(void);
enum port_state port_receive(short events); /* reads what is there */
bool port_next(struct frame* frame);        /* the next complete frame; valid until the next call of port_receive */
bool port_garbage(void);                    /* the stream holds something that is no frame */
enum port_state port_flush(void);
void port_refuse(void);         /* says that the stream is garbage, and closes it */
bool port_room(size_t payload); /* a frame with so much payload may be sent now */
void port_send(uint8_t type, uint16_t channel, const void* payload, size_t length);
void port_send_hello(uint32_t nonce);
void port_send_error(uint16_t channel, int number, const char* format, ...) __attribute__((format(printf, 3, 4)));

enum channel_kind { CHANNEL_FREE, CHANNEL_PROCESS, CHANNEL_PUT, CHANNEL_GET };

struct channel {
    enum channel_kind kind;
    uint16_t number;
    uint32_t send_credit;    /* bytes that the host accepts */
    uint32_t receive_credit; /* bytes that the host may still send */
    uint32_t consumed;       /* bytes passed on and not yet returned as credit */
    union {
        struct process* process;
        struct put* put;
        struct get* get;
    } of;
};

/* agent.c */
void channel_consumed(struct channel* channel, uint32_t bytes);
void channel_close(struct channel* channel); /* frees what it holds; sends nothing */
void channel_fail(struct channel* channel, int number, const char* format, ...) __attribute__((format(printf, 3, 4)));

/* process.c; each returns with the channel failed or closed where the protocol says so. */
void process_start(struct channel* channel, const struct frame* frame);
void process_frame(struct channel* channel, const struct frame* frame);
size_t process_poll(const struct channel* channel, struct pollfd* set);
bool process_runnable(const struct channel* channel);
void process_step(struct channel* channel, const struct pollfd* set, size_t count);
bool process_ended(struct channel* channel, pid_t pid, int status);
void process_release(struct channel* channel);

/* transfer.c */
void put_start(struct channel* channel, const struct frame* frame);
void put_frame(struct channel* channel, const struct frame* frame);
void put_release(struct channel* channel);

/* walk.c */
void get_start(struct channel* channel, const struct frame* frame);
bool get_runnable(const struct channel* channel);
void get_step(struct channel* channel);
void get_release(struct channel* channel);

#endif
