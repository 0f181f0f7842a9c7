// Measures a network between two machines, one of which serves. The same program on both sides.
//
//   net serve [ADDRESS]            listens, prints its port, serves until it is killed
//   net WHAT ADDRESS PORT AMOUNT   prints the seconds it took, by this machine's clock, and how much that was
//
// WHAT: send, receive (bytes of TCP), turns (a byte there and back), connections (open, a byte, close), packets (UDP,
// of 64 bytes, for AMOUNT milliseconds; printed are those that arrived).
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 256 << 10, PACKET = 64 };
static char buffer[BUFFER];

static void fail(const char* what) {
    fprintf(stderr, "net: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void write_all(int to, const void* from, size_t size) {
    for (const char* at = from; size != 0;) {
        const ssize_t count = write(to, at, size);
        if (count <= 0) fail("write");
        at += count;
        size -= (size_t)count;
    }
}

static void read_all(int from, void* to, size_t size) {
    for (char* at = to; size != 0;) {
        const ssize_t count = read(from, at, size);
        if (count <= 0) fail("read");
        at += count;
        size -= (size_t)count;
    }
}

static void generate(int to, uint64_t amount) {
    while (amount != 0) {
        const size_t size = amount < BUFFER ? (size_t)amount : BUFFER;
        write_all(to, buffer, size);
        amount -= size;
    }
}

static void swallow(int from, uint64_t amount) {
    while (amount != 0) {
        const ssize_t count = read(from, buffer, amount < BUFFER ? (size_t)amount : BUFFER);
        if (count <= 0) fail("read");
        amount -= (uint64_t)count;
    }
}

// What a client wants, in this order: a letter and a number, both as they are in memory of a little-endian machine.
struct Wish {
    char what;
    uint64_t amount;
} __attribute__((packed));

static void serve_one(int client, int packets) {
    struct Wish wish;
    const int one = 1;
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    read_all(client, &wish, sizeof wish);
    if (wish.what == 's') {
        swallow(client, wish.amount);
        write_all(client, "", 1);
    } else if (wish.what == 'r') {
        generate(client, wish.amount);
        swallow(client, 1);
    } else if (wish.what == 't' || wish.what == 'c') {
        for (char byte; read(client, &byte, 1) == 1;) write_all(client, &byte, 1);
    } else {
        // Until the client says that this was all, and a little longer.
        uint64_t arrived = 0;
        int patience = -1;
        write_all(client, "", 1);
        struct pollfd sources[2] = {{packets, POLLIN, 0}, {client, POLLIN, 0}};
        while (poll(sources, patience < 0 ? 2 : 1, patience) > 0) {
            if ((sources[0].revents & POLLIN) != 0 && recv(packets, buffer, sizeof buffer, MSG_DONTWAIT) == PACKET)
                arrived++;
            if (patience < 0 && sources[1].revents != 0) patience = 200;
        }
        write_all(client, &arrived, sizeof arrived);
    }
}

static int serve(const char* address) {
    struct sockaddr_in here = {.sin_family = AF_INET};
    socklen_t size = sizeof here;
    if (inet_pton(AF_INET, address, &here.sin_addr) != 1) fail(address);
    const int listener = socket(AF_INET, SOCK_STREAM, 0), packets = socket(AF_INET, SOCK_DGRAM, 0);
    if (listener < 0 || bind(listener, (struct sockaddr*)&here, sizeof here) != 0 || listen(listener, 100) != 0)
        fail("listen");
    getsockname(listener, (struct sockaddr*)&here, &size);
    if (bind(packets, (struct sockaddr*)&here, sizeof here) != 0) fail("bind");
    const int room = 4 << 20;
    setsockopt(packets, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    printf("%d\n", ntohs(here.sin_port));
    fflush(stdout);
    signal(SIGCHLD, SIG_IGN);
    while (1) {
        const int client = accept(listener, NULL, NULL);
        if (client < 0) continue;
        if (fork() == 0) {
            serve_one(client, packets);
            _exit(0);
        }
        close(client);
    }
}

static int connected(const struct sockaddr_in* to, char what, uint64_t amount) {
    const int server = socket(AF_INET, SOCK_STREAM, 0);
    if (server < 0 || connect(server, (const struct sockaddr*)to, sizeof *to) != 0) fail("connect");
    const int one = 1;
    setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    const struct Wish wish = {what, amount};
    write_all(server, &wish, sizeof wish);
    return server;
}

static uint64_t send_packets(const struct sockaddr_in* to, int server, double seconds) {
    const int packets = socket(AF_INET, SOCK_DGRAM, 0);
    if (packets < 0 || connect(packets, (const struct sockaddr*)to, sizeof *to) != 0) fail("connect");
    swallow(server, 1);
    const double end = now() + seconds;
    while (now() < end)
        for (int i = 0; i < 16; i++) (void)!send(packets, buffer, PACKET, 0);
    write_all(server, "", 1);
    uint64_t arrived = 0;
    read_all(server, &arrived, sizeof arrived);
    return arrived;
}

int main(int count, char** words) {
    signal(SIGPIPE, SIG_IGN);
    if (count >= 2 && strcmp(words[1], "serve") == 0) return serve(count > 2 ? words[2] : "0.0.0.0");
    if (count != 5) return fprintf(stderr, "net serve [ADDRESS] | net WHAT ADDRESS PORT AMOUNT\n"), 2;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(words[3]))};
    if (inet_pton(AF_INET, words[2], &to.sin_addr) != 1) fail(words[2]);
    const char what = words[1][0];
    uint64_t amount = strtoull(words[4], NULL, 10);
    double start = now();
    if (what == 'c') {
        for (uint64_t i = 0; i < amount; i++) {
            const int server = connected(&to, what, 0);
            char byte = 'x';
            write_all(server, &byte, 1);
            read_all(server, &byte, 1);
            close(server);
        }
    } else {
        const int server = connected(&to, what, amount);
        start = now();
        if (what == 's') {
            generate(server, amount);
            swallow(server, 1);
        } else if (what == 'r') {
            swallow(server, amount);
            write_all(server, "", 1);
        } else if (what == 't') {
            for (uint64_t i = 0; i < amount; i++) {
                char byte = (char)i;
                write_all(server, &byte, 1);
                read_all(server, &byte, 1);
            }
        } else if (what == 'p') {
            const double seconds = (double)amount / 1000;
            amount = send_packets(&to, server, seconds);
            printf("%.6f %llu\n", seconds, (unsigned long long)amount);
            return 0;
        } else {
            return fprintf(stderr, "net: %s: there are send, receive, turns, connections and packets\n", words[1]), 2;
        }
    }
    printf("%.6f %llu\n", now() - start, (unsigned long long)amount);
    return 0;
}
