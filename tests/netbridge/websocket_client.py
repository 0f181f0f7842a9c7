"""A websocket client that does what it is told, wrong things too (RFC 6455), and the relay under test ($NETBRIDGE)."""

import base64
import hashlib
import json
import mmap
import os
import pathlib
import select
import signal
import socket
import ssl
import struct
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
NETBRIDGE = os.environ.get("NETBRIDGE", str(ROOT / "build" / "dev" / "bin" / "netbridge"))
PATIENCE = float(os.environ.get("VIV_PATIENCE", "1"))
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Refused(Exception):
    """The answer to the handshake was no websocket: its status, 0 if there was none."""

    def __init__(self, status):
        super().__init__(status)
        self.status = status


class Closed(Exception):
    """The other side has gone: the code that it gave, None if it gave none."""

    def __init__(self, code):
        super().__init__(code)
        self.code = code


class Client:
    def __init__(self, port, path="/lab", headers=(), host="127.0.0.1", tls=None, receive_buffer=None, protocol=None, source=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(30 * PATIENCE)
        if source:
            self.socket.bind((source, 0))
        try:
            self.socket.connect((host, port))
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls:
                self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
            self.data = b""
            self.handshake(path, headers, protocol)
        except BaseException:
            self.socket.close()
            raise

    def handshake(self, path, headers, protocol):
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {path} HTTP/1.1", "Host: relay", "Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Key: {key}",
                 "Sec-WebSocket-Version: 13", *headers]
        if protocol:
            lines.append(f"Sec-WebSocket-Protocol: {protocol}")
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        try:
            while b"\r\n\r\n" not in self.data:
                part = self.socket.recv(65536)
                if not part:
                    break
                self.data += part
        except ConnectionResetError:
            pass
        head, _, self.data = self.data.partition(b"\r\n\r\n")
        first = head.split(b"\r\n")[0].split()
        status = int(first[1]) if len(first) > 1 else 0
        if status != 101:
            raise Refused(status)
        accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
        assert b"sec-websocket-accept: " + accept.lower() in head.lower(), head

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    @staticmethod
    def encode(payload, opcode=BINARY, final=True, masked=True):
        head = bytes([opcode | (0x80 if final else 0)])
        mask_bit = 0x80 if masked else 0
        size = len(payload)
        if size < 126:
            head += bytes([mask_bit | size])
        elif size < 65536:
            head += bytes([mask_bit | 126]) + struct.pack(">H", size)
        else:
            head += bytes([mask_bit | 127]) + struct.pack(">Q", size)
        # A mask of nothing but zeros leaves the payload as it is.
        return head + (bytes(4) if masked else b"") + payload

    def send(self, payload, **options):
        self.socket.sendall(self.encode(payload, **options))

    def exactly(self, count):
        while len(self.data) < count:
            try:
                part = self.socket.recv(1 << 18)
            except (ConnectionResetError, ssl.SSLError):
                part = b""
            if not part:
                raise Closed(None)
            self.data += part
        taken, self.data = self.data[:count], self.data[count:]
        return taken

    def receive(self):
        """The next binary message; answers pings on the way."""
        while True:
            first, second = self.exactly(2)
            size = second & 127
            if size == 126:
                size = struct.unpack(">H", self.exactly(2))[0]
            elif size == 127:
                size = struct.unpack(">Q", self.exactly(8))[0]
            payload = self.exactly(size)
            opcode = first & 15
            if opcode == PING:
                self.send(payload, opcode=PONG)
            elif opcode == CLOSE:
                raise Closed(struct.unpack(">H", payload[:2])[0] if len(payload) >= 2 else None)
            elif opcode == BINARY:
                assert first & 0x80, "the relay does not fragment"
                return payload

    def quiet(self):
        """Is there nothing to be read now?"""
        return not self.data and not select.select([self.socket], [], [], 0)[0]


def is_sanitized(program):
    with open(program, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return any(content.find(name) >= 0 for name in (b"__asan_init", b"__tsan_init"))


# The leak check of a sanitizer wants what a sandbox takes away: without it, it waits for ever.
SANITIZED = is_sanitized(NETBRIDGE)
UNCONFINED = ["--no-sandbox"] + (["--user", "root"] if os.geteuid() == 0 else []) if SANITIZED else []


class Relay:
    """The program, with its log as a list of objects. A context manager; the process never outlives it."""

    def __init__(self, *options, listen="127.0.0.1:0", prefix=(), **more):
        # What is run by a prefix is not root.
        options = (*(UNCONFINED[:1] if prefix else UNCONFINED), *options)
        self.process = subprocess.Popen([*prefix, NETBRIDGE, "--listen", listen, *options], stderr=subprocess.PIPE, **more)
        self.log = []
        self.rest = b""
        started = self.wait_for("listening")
        self.port = int(started["address"].rpartition(":")[2])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stderr.close()

    def wait_for(self, event, **fields):
        """Reads the log until it has a line with these; the line."""
        def fits(line):
            return line["event"] == event and all(line.get(key) == value for key, value in fields.items())

        end = time.monotonic() + 60 * PATIENCE
        seen = 0
        while True:
            for line in self.log[seen:]:
                if fits(line):
                    return line
            seen = len(self.log)
            ready, _, _ = select.select([self.process.stderr], [], [], max(0, end - time.monotonic()))
            data = os.read(self.process.stderr.fileno(), 65536) if ready else b""
            if not data:
                raise AssertionError(f"no {event} {fields} in {self.log[-30:]} {self.rest.decode(errors='replace')}")
            *lines, self.rest = (self.rest + data).split(b"\n")
            for line in lines:
                try:
                    self.log.append(json.loads(line))
                except ValueError:
                    self.log.append({"event": "text", "text": line.decode(errors="replace")})

    def http(self, path, headers=()):
        """Status and body of a plain request."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30 * PATIENCE) as connection:
            connection.sendall("\r\n".join([f"GET {path} HTTP/1.1", "Host: relay", "Connection: close", *headers, "", ""]).encode())
            data = b""
            while b"\r\n\r\n" not in data:
                part = connection.recv(65536)
                if not part:
                    break
                data += part
            head, _, body = data.partition(b"\r\n\r\n")
            size = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
            while len(body) < size:
                part = connection.recv(65536)
                if not part:
                    break
                body += part
            return int(head.split()[1]), body.decode()

    def metric(self, name):
        _, text = self.http("/metrics")
        return int(next(line for line in text.splitlines() if line.startswith(f"netbridge_{name} ")).split()[-1])

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60 * PATIENCE)
        self.rest += self.process.stderr.read()
        return code


def mac(number):
    return bytes([0x52, 0x54, 0, 0, number >> 8 & 255, number & 255])


EVERYBODY = b"\xff" * 6


def frame(to, source, payload=b"", size=60):
    return (to + source + b"\x88\xb5" + payload).ljust(size, b"\0")
