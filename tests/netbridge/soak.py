#!/usr/bin/env python3
"""Many clients in many rooms, for as long as it is told: the relay's memory, frames a second, and how long a frame is under way.
Not a test that ctest runs: `tests/netbridge/soak.py --soak 600`. One client of each room sends at a rate, all others receive; a
tenth of the rooms has a client that never reads, and their figures stand beside the others'. The clients are this one process,
whose own time is in the latencies: how busy each of the two has been is printed, too."""

import argparse
import os
import pathlib
import resource
import selectors
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from websocket_client import EVERYBODY, PING, PONG, Client, Relay, mac  # noqa: E402

FRAME = 500
WHOLE = FRAME + 4  # with its websocket's head
HANG_UP = 7200  # who never reads answers no ping either


def resident_kib(process):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def processor_seconds(process):
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def percentile(values, part):
    return values[min(len(values) - 1, int(len(values) * part))] if values else 0.0


class Member:
    """A client that reads; what it has received goes into `latencies`."""

    def __init__(self, client, latencies):
        self.client = client
        self.latencies = latencies

    def read(self):
        client = self.client
        part = client.socket.recv(1 << 16)
        if not part:
            sys.exit("a client was disconnected")
        client.data += part
        at = time.monotonic()
        while len(client.data) >= 2:
            if client.data[0] & 15 == PING:
                size = 2 + (client.data[1] & 127)
                if len(client.data) < size:
                    return
                client.socket.sendall(Client.encode(client.data[2:size], opcode=PONG))
            else:
                size = WHOLE
                if len(client.data) < size:
                    return
                self.latencies.append(at - struct.unpack_from("<d", client.data, 18)[0])
            client.data = client.data[size:]


class Report:
    def __init__(self, relay):
        self.relay = relay
        self.start = self.last = time.monotonic()
        self.rooms, self.slow_rooms = [], []
        self.first_resident = None
        self.used = self.processors()
        self.every = []

    def processors(self):
        return processor_seconds(self.relay.process), time.process_time()

    def line(self, latencies):
        latencies.sort()
        return (f"p50 {percentile(latencies, .5) * 1e3:.2f} p99 {percentile(latencies, .99) * 1e3:.2f} "
                f"worst {latencies[-1] * 1e3 if latencies else 0:.2f} ms")

    def say(self, now):
        used = self.processors()
        seconds = now - self.last
        resident = resident_kib(self.relay.process)
        self.first_resident = self.first_resident or resident
        busy = [100 * (after - before) / seconds for after, before in zip(used, self.used)]
        print(f"{now - self.start:6.0f} s: {(len(self.rooms) + len(self.slow_rooms)) / seconds:8.0f} frames/s received, latency "
              f"{self.line(self.rooms)}; beside a slow client {self.line(self.slow_rooms)}; relay {resident} KiB, "
              f"busy {busy[0]:.0f} %, this process {busy[1]:.0f} %", flush=True)
        self.every += self.rooms + self.slow_rooms
        self.rooms.clear()
        self.slow_rooms.clear()
        self.last, self.used = now, used

    def summary(self):
        metric = self.relay.metric
        print(f"all {len(self.every)} frames: {self.line(self.every)}")
        print(f"memory: {self.first_resident} KiB after the first report, {resident_kib(self.relay.process)} KiB at the end; waiting "
              f"{metric('queued_bytes')} bytes, dropped for slow ones {metric('dropped_total{reason=%squeue_full%s}' % (chr(34), chr(34)))}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--soak", type=float, default=600, help="seconds")
    parser.add_argument("--clients", type=int, default=2000)
    parser.add_argument("--rooms", type=int, default=200)
    parser.add_argument("--rate", type=float, default=5, help="frames a second that each room's sender sends")
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    limits = ("--connections", "8192", "--connections-per-address", "8192", "--attempts-per-address", "10000", "--queue", str(256 << 10),
              "--stall", str(HANG_UP), "--hang-up", str(HANG_UP))
    with Relay(*limits) as relay:
        rooms = [[] for _ in range(options.rooms)]
        for number in range(options.clients):
            rooms[number % options.rooms].append(Client(relay.port, f"/room{number % options.rooms}"))
        report = Report(relay)
        select = selectors.DefaultSelector()
        senders, readers = [], 0
        for number, room in enumerate(rooms):
            senders.append((room[0], mac(number * 100)))
            # The last of every tenth room never reads.
            slow = number % 10 == 0
            for client in room[:-1] if slow else room:
                client.socket.setblocking(False)
                select.register(client.socket, selectors.EVENT_READ, Member(client, report.slow_rooms if slow else report.rooms))
                readers += client is not room[0]
        print(f"{options.clients} clients in {options.rooms} rooms, {readers} read; {options.rate:g} frames/s and room", flush=True)
        start = time.monotonic()
        interval = 1 / (options.rate * options.rooms)
        turn, due = 0, start
        while (now := time.monotonic()) < start + options.soak:
            while due <= now:
                sender, source = senders[turn % len(senders)]
                body = EVERYBODY + source + b"\x88\xb5" + struct.pack("<d", time.monotonic()) + bytes(FRAME - 22)
                sender.socket.sendall(Client.encode(body))
                turn += 1
                due += interval
            for key, _ in select.select(max(0, due - time.monotonic())):
                key.data.read()
            if now - report.last >= 10:
                report.say(now)
        report.say(time.monotonic())
        report.summary()
        return relay.stop()


if __name__ == "__main__":
    sys.exit(main())
