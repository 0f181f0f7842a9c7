#!/usr/bin/env python3
"""Many clients in many rooms, for as long as it is told: the relay's memory, frames a second, and how long a frame is under way.
Not a test that ctest runs: `tests/netbridge/soak.py --soak 600`. One client of each room sends at a rate, all others receive; a
tenth of the rooms has a client that never reads. The clients are this one process, whose own time is in the latencies."""

import argparse
import pathlib
import resource
import selectors
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from websocket_client import EVERYBODY, Client, Relay, mac  # noqa: E402


def resident_kib(process):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def percentile(values, part):
    return values[min(len(values) - 1, int(len(values) * part))] if values else 0.0


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
              "--stall", "7200")
    with Relay(*limits) as relay:
        rooms = [[] for _ in range(options.rooms)]
        for number in range(options.clients):
            rooms[number % options.rooms].append(Client(relay.port, f"/room{number % options.rooms}"))
        select = selectors.DefaultSelector()
        senders, readers = [], 0
        for number, room in enumerate(rooms):
            senders.append((room[0], mac(number * 100)))
            # The last of every tenth room never reads.
            for client in room[1:-1] if number % 10 == 0 else room[1:]:
                client.socket.setblocking(False)
                select.register(client.socket, selectors.EVENT_READ, client)
                readers += 1
        print(f"{options.clients} clients in {options.rooms} rooms, {readers} read; {options.rate:g} frames/s and room", flush=True)
        start = report = time.monotonic()
        interval = 1 / (options.rate * options.rooms)
        turn, due, received, latencies, first_resident = 0, start, 0, [], None
        while (now := time.monotonic()) < start + options.soak:
            while due <= now:
                sender, source = senders[turn % len(senders)]
                body = EVERYBODY + source + b"\x88\xb5" + struct.pack("<d", time.monotonic()) + bytes(478)
                sender.socket.sendall(Client.encode(body))
                turn += 1
                due += interval
            for key, _ in select.select(max(0, due - time.monotonic())):
                client = key.data
                part = client.socket.recv(1 << 16)
                if not part:
                    sys.exit("a client was disconnected")
                client.data += part
                at = time.monotonic()
                while len(client.data) >= 504:  # a head of 4 bytes, and 500
                    if client.data[0] == 0x82:
                        latencies.append(at - struct.unpack_from("<d", client.data, 18)[0])
                        received += 1
                        client.data = client.data[504:]
                    else:  # a ping
                        size = 2 + (client.data[1] & 127)
                        client.socket.sendall(Client.encode(client.data[2:size], opcode=10))
                        client.data = client.data[size:]
                if client.data[:1] == b"\x89":
                    size = 2 + (client.data[1] & 127)
                    if len(client.data) >= size:
                        client.socket.sendall(Client.encode(client.data[2:size], opcode=10))
                        client.data = client.data[size:]
            if now - report >= 10 or now + 1 > start + options.soak and latencies and now - report > 5:
                latencies.sort()
                resident = resident_kib(relay.process)
                first_resident = first_resident or resident
                print(f"{now - start:6.0f} s: {received / (now - report):8.0f} frames/s received, latency p50 {percentile(latencies, .5) * 1e3:.2f} "
                      f"p99 {percentile(latencies, .99) * 1e3:.2f} worst {latencies[-1] * 1e3:.2f} ms, relay {resident} KiB", flush=True)
                report, received, latencies = now, 0, []
        print(f"memory: {first_resident} KiB after the first report, {resident_kib(relay.process)} KiB at the end; "
              f"waiting {relay.metric('queued_bytes')} bytes, dropped for slow ones {relay.metric('dropped_total{reason=%squeue_full%s}' % (chr(34), chr(34)))}")
        return relay.stop()


if __name__ == "__main__":
    sys.exit(main())
