"""Ways out of the relay with real sockets: WISP streams to servers of the test, and a room's NAT, spoken to frame by frame."""

import contextlib
import hashlib
import os
import socket
import struct
import threading
import unittest

from websocket_client import EVERYBODY, PATIENCE, Client, Closed, Relay, mac

CONNECT, DATA, CONTINUE, CLOSE, INFO = 1, 2, 3, 4, 5
TCP, UDP = 1, 2


class Wisp(Client):
    """WISP's packets over a websocket."""

    def __init__(self, port, version=1, **options):
        super().__init__(port, "/wisp/", protocol="wisp-v2" if version == 2 else None, **options)
        self.credit = {}
        if version == 2:
            kind, stream, payload = self.packet()
            assert (kind, stream) == (INFO, 0) and payload[:2] == b"\x02\x00", payload
            assert payload[2:] == b"\x01\0\0\0\0", payload  # UDP
            self.put(INFO, 0, b"\x02\x00\x01\0\0\0\0")
        kind, stream, payload = self.packet()
        assert (kind, stream) == (CONTINUE, 0)
        self.buffer = struct.unpack("<I", payload)[0]

    def put(self, kind, stream, payload):
        self.send(struct.pack("<BI", kind, stream) + payload)

    def packet(self):
        message = self.receive()
        kind, stream = struct.unpack_from("<BI", message)
        if kind == CONTINUE and stream:
            self.credit[stream] = struct.unpack_from("<I", message, 5)[0]
            return self.packet()
        return kind, stream, message[5:]

    def open(self, stream, host, port, kind=TCP):
        self.credit[stream] = self.buffer
        self.put(CONNECT, stream, struct.pack("<BH", kind, port) + host.encode())

    def all_of(self, stream):
        """What a stream brings until it is closed, and why it was."""
        data = b""
        while True:
            kind, number, payload = self.packet()
            assert number == stream
            if kind == CLOSE:
                return data, payload[0]
            data += payload


@contextlib.contextmanager
def server(serve, host="127.0.0.1"):
    """A TCP server whose connections run serve(connection)."""
    with socket.create_server((host, 0)) as listener:
        def accept():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=run, args=(connection,), daemon=True).start()

        def run(connection):
            with connection, contextlib.suppress(OSError):
                serve(connection)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def echo(connection):
    while data := connection.recv(65536):
        connection.sendall(data)


def allowed(port, kind="tcp"):
    return "--allow", f"127.0.0.1,{kind},port={port}"


class Streams(unittest.TestCase):
    def test_both_versions_echo(self):
        with server(echo) as port, Relay("--wisp", *allowed(port)) as relay:
            for version in (1, 2):
                with Wisp(relay.port, version) as client:
                    client.open(7, "127.0.0.1", port)
                    client.open(8, "localhost", port)
                    for stream, text in ((7, b"hello"), (8, b"there")):
                        client.put(DATA, stream, text)
                        self.assertEqual(client.packet(), (DATA, stream, text))
                    client.put(CLOSE, 7, b"\x02")
                    client.put(DATA, 8, b"on")
                    self.assertEqual(client.packet(), (DATA, 8, b"on"))

    def test_ten_megabytes_each_way(self):
        content = os.urandom(10 << 20)
        digests = []

        def serve(connection):
            digest, left = hashlib.sha256(), len(content)
            while left:
                part = connection.recv(1 << 16)
                digest.update(part)
                left -= len(part)
            digests.append(digest.digest())
            connection.sendall(content)

        with server(serve) as port, Relay("--wisp", *allowed(port)) as relay, Wisp(relay.port) as client:
            client.open(1, "127.0.0.1", port)
            for at in range(0, len(content), 16384):
                while client.credit[1] == 0:
                    before = client.credit[1]
                    message = client.receive()
                    self.assertEqual(message[0], CONTINUE)
                    client.credit[1] = struct.unpack_from("<I", message, 5)[0]
                    self.assertGreater(client.credit[1], before)
                client.put(DATA, 1, content[at:at + 16384])
                client.credit[1] -= 1
            data, reason = client.all_of(1)
            self.assertEqual((len(data), reason), (len(content), 2))
            self.assertEqual(data, content)
            self.assertEqual(digests, [hashlib.sha256(content).digest()])

    def test_a_slow_reader_holds_its_source_back(self):
        sent = []

        def pour(connection):
            connection.settimeout(2 * PATIENCE)
            with contextlib.suppress(TimeoutError):
                while True:
                    sent.append(connection.send(bytes(65536)))

        with server(pour) as port, Relay("--wisp", "--queue", str(256 << 10), *allowed(port)) as relay, \
                Wisp(relay.port, receive_buffer=8192) as slow, Wisp(relay.port) as other:
            slow.open(1, "127.0.0.1", port)
            with server(echo) as echo_port:
                other.open(1, "127.0.0.1", echo_port)
                self.assertEqual(other.packet()[0], CLOSE)  # that port is not allowed
            kind, _, payload = slow.packet()
            self.assertEqual(kind, DATA)
            total = len(payload)
            self.assertLess(relay.metric("queued_bytes"), 512 << 10)
            while total < 8 << 20:
                total += len(slow.packet()[2])
            self.assertLess(relay.metric("queued_bytes"), 512 << 10)

    def test_datagrams(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(("127.0.0.1", 0))
            peer.settimeout(30 * PATIENCE)
            port = peer.getsockname()[1]
            with Relay("--wisp", *allowed(port, "udp")) as relay, Wisp(relay.port, 2) as client:
                client.open(3, "127.0.0.1", port, UDP)
                for text in (b"one", b"x" * 9000, b""):
                    client.put(DATA, 3, text)
                    data, source = peer.recvfrom(65536)
                    self.assertEqual(data, text)
                    peer.sendto(data[::-1], source)
                    self.assertEqual(client.packet(), (DATA, 3, text[::-1]))

    def test_where_nobody_may_go(self):
        with server(echo) as port, Relay("--wisp") as relay, Wisp(relay.port) as client:
            for number, host in enumerate(("127.0.0.1", "localhost", "::1", "[::1]", "169.254.169.254", "10.0.0.1", "0.0.0.0", "::ffff:127.0.0.1",
                                           "0", "127.1", "0x7f000001", "2130706433", "64:ff9b::7f00:1"), 1):
                client.open(number, host, port)
                kind, stream, payload = client.packet()
                self.assertEqual((kind, stream), (CLOSE, number))
                self.assertIn(payload[0], (0x48, 0x42), host)
            for number, request in ((90, b"\x03\x50\x00host"), (91, b"\x01\x00\x00host"), (92, b"\x01\x50\x00"), (93, b"\x01\x50\x00a b")):
                client.put(CONNECT, number, request)
                self.assertEqual(client.packet(), (CLOSE, number, b"\x41"))
            # Nobody listens there.
            with socket.create_server(("127.0.0.1", 0)) as closed:
                free = closed.getsockname()[1]
        with Relay("--wisp", *allowed(free)) as relay, Wisp(relay.port) as client:
            client.open(1, "127.0.0.1", free)
            self.assertEqual(client.packet(), (CLOSE, 1, b"\x44"))

    def test_who_breaks_the_protocol_goes(self):
        with server(echo) as port, Relay("--wisp", *allowed(port)) as relay, Wisp(relay.port) as other:
            other.open(1, "127.0.0.1", port)
            for message in (b"", b"\x01", b"\x09" + bytes(10), struct.pack("<BI", CONNECT, 0) + b"\x01\x50\x00h", struct.pack("<BI", INFO, 0) + b"\x02\x00",
                            struct.pack("<BI", DATA, 0) + b"x", struct.pack("<BI", DATA, 5) + bytes(65537), bytes(70000)):
                with Wisp(relay.port) as client:
                    client.send(message)
                    with self.assertRaises(Closed):
                        while True:
                            client.packet()
            other.put(DATA, 1, b"still")
            self.assertEqual(other.packet(), (DATA, 1, b"still"))
            self.assertEqual(relay.stop(), 0)

    def test_a_client_that_goes_leaves_no_stream(self):
        came, gone = threading.Event(), threading.Event()

        def serve(connection):
            while connection.recv(100):
                came.set()
            gone.set()

        with server(serve) as port, Relay("--wisp", *allowed(port)) as relay:
            with Wisp(relay.port) as client:
                client.open(1, "127.0.0.1", port)
                client.put(DATA, 1, b"x")
                self.assertTrue(came.wait(30 * PATIENCE))
                self.assertEqual(relay.metric("streams"), 1)
            self.assertTrue(gone.wait(30 * PATIENCE))
            self.assertEqual(relay.metric("streams"), 0)


def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total > 0xffff:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ipv4(source, destination, protocol, payload):
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0, socket.inet_aton(source), socket.inet_aton(destination))
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


class Nat(unittest.TestCase):
    ours = mac(1)

    def offer(self, client):
        """Asks for an address; the router's MAC address and what it offers."""
        bootp = struct.pack(">BBBBIHHIIII", 1, 1, 6, 0, 0x12345678, 0, 0, 0, 0, 0, 0) + self.ours + bytes(10 + 64 + 128) + b"\x63\x82\x53\x63\x35\x01\x01\xff"
        udp = struct.pack(">HHHH", 68, 67, 8 + len(bootp), 0) + bootp
        client.send(EVERYBODY + self.ours + b"\x08\x00" + ipv4("0.0.0.0", "255.255.255.255", 17, udp))
        while True:
            frame = client.receive()
            if frame[12:14] == b"\x08\x00" and frame[23] == 17 and frame[34:38] == struct.pack(">HH", 67, 68):
                return frame[6:12], socket.inet_ntoa(frame[42 + 16:42 + 20])

    def ping(self, client, router, address):
        request = struct.pack(">BBHHH", 8, 0, 0, 1, 1) + b"ping" * 4
        request = request[:2] + struct.pack(">H", checksum(request)) + request[4:]
        client.send(router + self.ours + b"\x08\x00" + ipv4(address, "10.0.2.2", 1, request))
        while True:
            frame = client.receive()
            if frame[12:14] == b"\x08\x00" and frame[23] == 1:
                self.assertEqual(frame[34], 0)  # echo reply
                return

    def test_addresses_pings_and_refusals(self):
        with Relay("--nat", "out") as relay, Client(relay.port, "/out") as client, Client(relay.port, "/in") as inside:
            router, address = self.offer(client)
            self.assertEqual(address, "10.0.2.15")
            # libslirp answers who has been heard of by ARP.
            client.send(EVERYBODY + self.ours + struct.pack(">HHHBBH6s4s6s4s", 0x0806, 1, 0x0800, 6, 4, 1, self.ours, socket.inet_aton(address), bytes(6),
                                                            socket.inet_aton("10.0.2.2")))
            while client.receive()[12:14] != b"\x08\x06":
                pass
            self.ping(client, router, address)
            before = relay.metric('dropped_total{reason="outside_refused"}')
            refused = ("127.0.0.1", "10.0.2.2", "192.168.0.1", "169.254.169.254", "10.1.1.1")
            for to in refused:
                tcp = struct.pack(">HHIIBBHHH", 4000, relay.port, 1, 0, 0x50, 2, 1000, 0, 0)
                client.send(router + self.ours + b"\x08\x00" + ipv4(address, to, 6, tcp))
            self.ping(client, router, address)  # answered after what was sent before it has been looked at
            self.assertEqual(relay.metric('dropped_total{reason="outside_refused"}'), before + len(refused))
            inside.send(EVERYBODY + self.ours + b"\x08\x00" + bytes(50))
            self.assertTrue(inside.quiet())
            self.assertEqual(relay.stop(), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
