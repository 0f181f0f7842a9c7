#!/usr/bin/env python3
"""Many clients in many rooms, and everything that goes wrong among them, for as long as it is told: what the relay's memory does,
frames a second, how long a frame is under way. Not a test that ctest runs: `tests/netbridge/soak.py --seconds 600`; 0 if all of
it went well.

One client of each room sends at a rate, the others receive. A tenth of the rooms has a client that never reads, and is sent more
than its queue holds. Some clients have a WISP stream from a server that always has more, and take little. Every ten seconds a process with some clients is killed, some clients fall silent as if their machine had
been unplugged, and some connections never say a word. The measuring clients are this one process, which may be held up itself:
the kernel's time of arrival is what counts, not when a frame is read here; and how long each of the two has waited for a
processor is printed beside it."""

import argparse
import array
import ctypes
import os
import pathlib
import re
import resource
import select
import selectors
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from outside_test import DATA, Wisp, allowed, server  # noqa: E402
from websocket_client import EVERYBODY, PING, PONG, SANITIZED, Client, Relay, frame, mac  # noqa: E402

MEASURED, FLOOD, OTHER = b"\x88\xb5", b"\x88\xb6", b"\x88\xb7"
FRAME, FLOOD_FRAME = 500, 30_000
QUEUE = 256 << 10
PERIOD, HANG_UP = 10, 12  # seconds
STREAMS = 20
PATTERN = bytes(range(251)) * 600
KILLED, UNPLUGGED, SPEECHLESS = 10, 5, 5  # in each period
SO_ATTACH_FILTER, SO_TIMESTAMPNS = 26, 35
SECOND = 1_000_000_000


def percentile(ordered, part):
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] * 1e3 if ordered else 0.0


def times(values):
    ordered = sorted(values)
    return f"p50 {percentile(ordered, .5):.2f} p99 {percentile(ordered, .99):.2f} worst {percentile(ordered, 1):.2f} ms"


def stolen():
    """Processor seconds that the machine's own host has taken."""
    return int(pathlib.Path("/proc/stat").read_text().split()[8]) / os.sysconf("SC_CLK_TCK")


class Usage:
    """What a process has used up."""

    def __init__(self, pid):
        self.folder = pathlib.Path(f"/proc/{pid}")
        ran, waited, _ = (self.folder / "schedstat").read_text().split()
        self.ran, self.waited = int(ran) / SECOND, int(waited) / SECOND

    def resident_kib(self):
        return int((self.folder / "status").read_text().partition("VmRSS:")[2].split()[0])

    def descriptors(self):
        return len(os.listdir(self.folder / "fd"))


class Member:
    """A client that reads and answers pings, and knows which frames it has to get."""

    def __init__(self, client, under_way, until_read):
        self.client, self.under_way, self.until_read = client, under_way, until_read
        self.got = 0
        client.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        client.socket.setblocking(False)

    def read(self):
        part, ancillary, _, _ = self.client.socket.recvmsg(1 << 16, 64)
        if not part:
            sys.exit("a client was disconnected")
        now = time.time_ns()
        arrived = now
        for _, kind, value in ancillary:
            if kind == SO_TIMESTAMPNS:
                seconds, nanoseconds = struct.unpack("qq", value)
                arrived = seconds * SECOND + nanoseconds
        data = self.client.data + part
        at = 0
        while len(data) - at >= 2:
            size, head = data[at + 1], 2
            if size == 126:
                if len(data) - at < 4:
                    break
                size, head = struct.unpack_from(">H", data, at + 2)[0], 4
            if len(data) - at < head + size:
                break
            body = at + head
            at = body + size
            if data[body - head] & 15 == PING:
                self.client.socket.sendall(Client.encode(data[body:at], opcode=PONG))
            elif data[body + 12:body + 14] == MEASURED:
                sent, number = struct.unpack_from("<QQ", data, body + 14)
                if number != self.got:
                    sys.exit(f"frame {number} came instead of {self.got}")
                self.got += 1
                self.under_way.append((arrived - sent) / SECOND)
                self.until_read.append((now - sent) / SECOND)
        self.client.data = data[at:]


class SlowMember:
    """A client that reads nothing until the end, and speaks now and then: it is there, only slow."""

    def __init__(self, port, path, number):
        self.client = Client(port, path, receive_buffer=4096)
        self.address = mac(number)
        self.sent, self.numbers = 0, []
        self.speak()

    def speak(self):
        self.client.send(frame(EVERYBODY, self.address).replace(MEASURED, OTHER))

    def flood(self, sender, source):
        sender.send((self.address + source + FLOOD + struct.pack("<Q", self.sent)).ljust(FLOOD_FRAME, b"\0"))
        self.sent += 1

    def read(self):
        message = self.client.receive()
        if message[12:14] == FLOOD:
            self.numbers.append(struct.unpack_from("<Q", message, 14)[0])

    def problem(self):
        """It has to have got what its queue holds, then whatever there was room for."""
        kept = next((number for number, each in enumerate(self.numbers) if number != each), len(self.numbers))
        if QUEUE / FLOOD_FRAME - 1 <= kept < self.sent and len(self.numbers) < self.sent and self.numbers == sorted(set(self.numbers)):
            return None
        return f"has got {len(self.numbers)} of {self.sent} frames, {kept} of them before the first gap"


def pour(connection):
    while True:
        connection.sendall(PATTERN)


class SlowReader:
    """A client with a WISP stream that always has more for it; it takes a message now and then."""

    def __init__(self, port, source):
        self.client = Wisp(port, receive_buffer=8192)
        self.client.open(1, "127.0.0.1", source)
        self.got = 0

    def read(self):
        self.client.send(b"", opcode=PONG)  # a ping is long under way behind what waits
        kind, _, payload = self.client.packet()
        if kind != DATA:
            sys.exit("a stream has ended")
        at = self.got % 251
        if payload != PATTERN[at:at + len(payload)]:
            sys.exit(f"a stream has something else behind {self.got} bytes")
        self.got += len(payload)


def unplug(client):
    """From here on its kernel hears nothing for it, and so answers nothing: neither data nor pings, nor is anything ended."""
    drop_all = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))
    client.socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HxxxxxxQ", 1, ctypes.addressof(drop_all)))


class Trouble:
    """What goes wrong in each period."""

    def __init__(self, relay, rooms):
        self.relay, self.rooms = relay, rooms
        self.victim, self.kept, self.count = None, [], 0

    def next(self):
        self.end_victim()
        self.victim = subprocess.Popen([sys.executable, __file__, "--victims", str(self.relay.port), "--rooms", str(self.rooms)],
                                       stdout=subprocess.DEVNULL)
        for number in range(UNPLUGGED):
            client = Client(self.relay.port, f"/room{(self.count + number) % self.rooms}")
            unplug(client)
            self.kept.append(client.socket)
        self.kept += [socket.create_connection(("127.0.0.1", self.relay.port)) for _ in range(SPEECHLESS)]
        self.count += 1

    def end_victim(self):
        if self.victim:
            self.victim.kill()
            self.victim.wait()


def be_victims(port, rooms):
    clients = [Client(port, f"/room{number % rooms}") for number in range(KILLED)]
    while True:
        for number, client in enumerate(clients):
            client.send(frame(EVERYBODY, mac(60_000 + number)).replace(MEASURED, OTHER))
        time.sleep(0.2)


class Report:
    def __init__(self, relay):
        self.relay = relay
        self.start = self.last = time.monotonic()
        self.before = self.usages()
        self.late_before, self.stolen_before = self.late(), stolen()
        self.longest_pass = 0.0
        self.rooms, self.slow_rooms, self.until_read = (array.array("d") for _ in range(3))
        self.all_rooms, self.all_slow_rooms = array.array("d"), array.array("d")
        self.resident = []

    def usages(self):
        return Usage(self.relay.process.pid), Usage(os.getpid())

    def late(self):
        """How often the relay's loop came late by more than 20 ms, and by more than 100 ms."""
        _, text = self.relay.http("/metrics")
        counts = [int(count) for count in re.findall(r"loop_late_seconds_bucket\S* (\d+)", text)]
        return counts[-1] - counts[1], counts[-1] - counts[2]

    def say(self):
        now, usages, late = time.monotonic(), self.usages(), self.late()
        seconds = now - self.last
        self.resident.append(usages[0].resident_kib())
        print(f"{now - self.start:5.0f} s: {(len(self.rooms) + len(self.slow_rooms)) / seconds:6.0f} frames/s, {times(self.rooms)}; beside a "
              f"slow client {times(self.slow_rooms)}; until read {times(self.until_read)}; relay {self.resident[-1]} KiB, late by 20 ms "
              f"{late[0] - self.late_before[0]} times, by 100 ms {late[1] - self.late_before[1]}; longest pass here "
              f"{self.longest_pass * 1e3:.0f} ms")
        for name, after, before in zip(("relay", "here"), usages, self.before):
            print(f"         {name}: ran {100 * (after.ran - before.ran) / seconds:.0f} %, waited for a processor "
                  f"{100 * (after.waited - before.waited) / seconds:.0f} %")
        print(f"         stolen from this machine: {stolen() - self.stolen_before:.1f} processor seconds", flush=True)
        self.all_rooms += self.rooms
        self.all_slow_rooms += self.slow_rooms
        for values in (self.rooms, self.slow_rooms, self.until_read):
            del values[:]
        self.last, self.before, self.late_before, self.longest_pass = time.monotonic(), usages, late, 0.0
        self.stolen_before = stolen()


class Soak:
    def __init__(self, options, relay, source):
        self.options, self.relay = options, relay
        self.wrong = []
        # The first stream of all makes the library open /dev/null, once.
        first = SlowReader(relay.port, source)
        first.read()
        first.client.socket.close()
        while relay.metric("clients") > 0:
            time.sleep(0.01)
        self.descriptors = Usage(relay.process.pid).descriptors()
        self.report = Report(relay)
        self.select = selectors.DefaultSelector()
        self.senders, self.flooders, self.members = [], [], []
        self.slow_ones = {}  # by room
        self.sent = [0] * options.rooms
        self.spoke = 0.0
        for room in range(options.rooms):
            self.fill(room)
        self.readers = [SlowReader(relay.port, source) for _ in range(STREAMS)]
        self.whole = relay.metric("clients")
        self.trouble = Trouble(relay, options.rooms)
        print(f"{self.whole} clients in {relay.metric('rooms')} rooms, {len(self.members)} read, {STREAMS} have a stream; {options.rate:g} frames/s and room", flush=True)

    def fill(self, room):
        slow = room % 10 == 0
        if slow:
            self.slow_ones[room] = SlowMember(self.relay.port, f"/room{room}", room * 100 + 99)
        for number in range(self.options.clients // self.options.rooms - slow):
            client = Client(self.relay.port, f"/room{room}")
            member = Member(client, self.report.slow_rooms if slow else self.report.rooms, self.report.until_read)
            self.select.register(client.socket, selectors.EVENT_READ, member)
            if number == 0:
                self.senders.append(client)
            else:
                self.members.append((room, member))
        self.flooders.append(client)  # not behind the frames that are measured

    def read(self, seconds):
        for key, _ in self.select.select(seconds):
            key.data.read()
        while select.select([self.relay.process.stderr], [], [], 0)[0]:
            os.read(self.relay.process.stderr.fileno(), 1 << 16)
        if time.monotonic() - self.spoke > HANG_UP / 4:
            self.spoke = time.monotonic()
            for slow_one in self.slow_ones.values():
                slow_one.speak()
            for reader in self.readers:
                reader.read()

    def send(self, room):
        source = mac(room * 100)
        if room in self.slow_ones:
            self.slow_ones[room].flood(self.flooders[room], mac(room * 100 + 98))
        body = EVERYBODY + source + MEASURED + struct.pack("<QQ", time.time_ns(), self.sent[room])
        self.senders[room].send(body.ljust(FRAME, b"\0"))
        self.sent[room] += 1

    def run(self):
        start = looked = due = next_trouble = time.monotonic()
        turn, interval = 0, 1 / (self.options.rate * self.options.rooms)
        while (now := time.monotonic()) < start + self.options.seconds:
            self.report.longest_pass = max(self.report.longest_pass, now - looked)
            looked = now
            while due <= now:
                self.send(turn % self.options.rooms)
                turn += 1
                due += interval
            self.read(max(0, due - time.monotonic()))
            if now >= next_trouble:
                self.trouble.next()
                next_trouble += PERIOD
            if now - self.report.last >= PERIOD:
                self.report.say()
                looked = time.monotonic()
        while any(member.got < self.sent[room] for room, member in self.members):
            self.read(1)
        self.report.say()
        self.trouble.end_victim()

    def everybody_is_noticed(self):
        """Who has gone, in whatever way, is no client any more, and has no descriptor."""
        metric = self.relay.metric
        right = (self.whole, self.descriptors + self.whole + STREAMS)
        end = time.monotonic() + HANG_UP + 10
        while (found := (metric("clients"), Usage(self.relay.process.pid).descriptors())) != right and time.monotonic() < end:
            self.read(1)
        if found != right:
            self.wrong.append(f"clients and descriptors are {found} in the end, {right} would be right")
        gone = metric('ended_total{reason="by_client"}')
        print(f"gone: {gone} clients, of those that were killed or unplugged")

    def streams_go_on(self):
        got = [reader.got for reader in self.readers]
        print(f"streams: {self.relay.metric('streams')} are open, {min(got)} to {max(got)} bytes were taken of each")
        if self.relay.metric("streams") != STREAMS or min(got) == 0:
            self.wrong.append("a stream has ended, or stands still")

    def slow_ones_are_slow(self):
        metric = self.relay.metric
        dropped = metric('dropped_total{reason="queue_full"}')
        print(f"for slow ones {metric('queued_bytes')} bytes wait, {dropped} frames were dropped")
        slow_select = selectors.DefaultSelector()
        for slow_one in self.slow_ones.values():
            slow_select.register(slow_one.client.socket, selectors.EVENT_READ, slow_one)
        for reader in self.readers:
            reader.client.socket.close()  # what waits for them is no slow member's
        self.readers = []
        while (ready := slow_select.select(1)) or metric("queued_bytes") > 0:
            for key, _ in ready:
                key.data.read()
            self.read(0)
        for room, slow_one in self.slow_ones.items():
            if problem := slow_one.problem():
                self.wrong.append(f"the slow client of room {room} {problem}")

    def nobody_is_delayed(self):
        report = self.report
        print(f"all: {len(report.all_rooms) + len(report.all_slow_rooms)} frames, {times(report.all_rooms)}; beside a slow client "
              f"{times(report.all_slow_rooms)}")
        slow_p99, p99 = (percentile(sorted(values), .99) for values in (report.all_slow_rooms, report.all_rooms))
        if slow_p99 > 1.5 * p99 + 1:
            self.wrong.append(f"a slow client delays others: p99 {slow_p99:.2f} ms, and {p99:.2f} ms where there is none")

    def memory_is_flat(self):
        resident = self.report.resident
        early = resident[len(resident) // 4]
        print(f"memory: {resident[0]} KiB after the first period, {early} after a quarter, {resident[-1]} at the end")
        # A sanitizer keeps what has been freed for a while.
        if not SANITIZED and resident[-1] > 1.05 * early + 1024:
            self.wrong.append(f"memory grew from {early} to {resident[-1]} KiB")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--clients", type=int, default=2000)
    parser.add_argument("--rooms", type=int, default=200)
    parser.add_argument("--rate", type=float, default=5, help="frames a second that each room's sender sends")
    parser.add_argument("--victims", type=int, metavar="PORT", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.victims:
        be_victims(options.victims, options.rooms)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    limits = ("--connections", "8192", "--connections-per-address", "8192", "--attempts-per-address", "10000", "--queue", str(QUEUE),
              "--stall", "7200", "--ping", str(HANG_UP // 2), "--hang-up", str(HANG_UP))
    with server(pour) as source, Relay(*limits, "--wisp", *allowed(source)) as relay:
        soak = Soak(options, relay, source)
        soak.run()
        soak.nobody_is_delayed()
        soak.everybody_is_noticed()
        soak.memory_is_flat()
        soak.streams_go_on()
        soak.slow_ones_are_slow()
        code = relay.stop()
        if code != 0:
            soak.wrong.append(f"the relay ended with {code}")
    for each in soak.wrong:
        print(f"wrong: {each}")
    return 1 if soak.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
