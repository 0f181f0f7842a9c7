"""The host's side of the guest agent's protocol, for tests and for building guests.

Promises: frames as in guests/agent/PROTOCOL.md, with flow control; one operation at a time on one channel; every
path that a guest sends is checked before anything is written. `viv` has its own implementation.
"""

import dataclasses
import os
import pathlib
import secrets
import selectors
import socket
import struct
import time

MAGIC = 0x47564956
VERSION = 1
PAYLOAD_MAX = 65536
WINDOW = 262144

HELLO, POWER_OFF = 0x01, 0x02
EXEC, STDIN_END, SIGNAL, RESIZE, CANCEL = 0x10, 0x11, 0x12, 0x13, 0x14
PUT, GET, END = 0x20, 0x21, 0x22
WINDOW_MORE, EXITED, ERROR = 0x30, 0x31, 0x32
STDIN, STDOUT, STDERR, ENTRY, DATA = 0x40, 0x41, 0x42, 0x43, 0x44
EXEC_TERMINAL = 1
FILE, FOLDER, LINK = 1, 2, 3


class AgentError(Exception):
    """The agent's ERROR, or a stream that ended or made no sense."""

    def __init__(self, text: str, number: int = 0):
        super().__init__(text)
        self.number = number


@dataclasses.dataclass
class Frame:
    type: int
    channel: int
    payload: bytes


@dataclasses.dataclass
class Result:
    code: int
    stdout: bytes
    stderr: bytes


def string(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("<I", len(data)) + data


def unpack_string(payload: bytes, at: int) -> tuple[str, int]:
    length, = struct.unpack_from("<I", payload, at)
    if at + 4 + length > len(payload):
        raise AgentError("a string is longer than its frame")
    return payload[at + 4:at + 4 + length].decode("utf-8", "surrogateescape"), at + 4 + length


def frame_bytes(kind: int, channel: int, payload: bytes = b"", flags: int = 0) -> bytes:
    return struct.pack("<IBBH", len(payload), kind, flags, channel) + payload


def exec_payload(argv: list[str], environment: dict[str, str] | None = None, folder: str = "",
                 rows: int = 0, columns: int = 0) -> bytes:
    variables = [f"{name}={value}" for name, value in (environment or {}).items()]
    return (struct.pack("<HHHH", len(argv), len(variables), rows, columns) + string(folder) +
            b"".join(map(string, argv)) + b"".join(map(string, variables)))


def entry_payload(kind: int, mode: int, path: str, target: str = "", size: int = 0, changed: int = 0) -> bytes:
    return (struct.pack("<B3xIQqI", kind, mode, size, changed // 10**9, changed % 10**9) + string(path) +
            string(target))


def safe_path(path: str) -> bool:
    return path == "" or all(part not in ("", ".", "..") for part in path.split("/"))


class Client:
    """Over a connected socket (or anything with fileno, send and recv that may be made not to block)."""

    def __init__(self, stream: socket.socket, timeout: float = 30.0):
        self.stream = stream
        self.stream.setblocking(False)
        self.timeout = timeout
        self.buffer = bytearray()
        self.outgoing = bytearray()
        self.window = 0
        self.machine = self.release = ""
        self.next_channel = 1

    # Frames

    def send(self, kind: int, channel: int, payload: bytes = b"", flags: int = 0) -> None:
        self.outgoing += frame_bytes(kind, channel, payload, flags)

    def pump(self, deadline: float) -> None:
        """Waits until something could be written or read, and does it."""
        with selectors.DefaultSelector() as selector:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self.outgoing else 0)
            selector.register(self.stream, events)
            left = deadline - time.monotonic()
            ready = selector.select(left) if left > 0 else []
        if not ready:
            raise AgentError("the agent did not answer in time")
        if ready[0][1] & selectors.EVENT_WRITE:
            try:
                del self.outgoing[:self.stream.send(self.outgoing[:262144])]
            except BlockingIOError:
                pass
        if ready[0][1] & selectors.EVENT_READ:
            try:
                data = self.stream.recv(262144)
            except BlockingIOError:
                return
            if not data:
                raise AgentError("the agent's stream has ended")
            self.buffer += data

    def next_frame(self) -> Frame | None:
        if len(self.buffer) < 8:
            return None
        length, kind, _, channel = struct.unpack_from("<IBBH", self.buffer)
        if length > PAYLOAD_MAX:
            raise AgentError(f"the agent sent a frame of {length} bytes")
        if len(self.buffer) < 8 + length:
            return None
        payload = bytes(self.buffer[8:8 + length])
        del self.buffer[:8 + length]
        return Frame(kind, channel, payload)

    def receive(self, deadline: float | None = None) -> Frame:
        deadline = deadline or time.monotonic() + self.timeout
        while (frame := self.next_frame()) is None:
            self.pump(deadline)
        return frame

    # Session

    def hello(self, timeout: float | None = None) -> None:
        """Starts a session; waits for the agent, which may not be running yet."""
        deadline = time.monotonic() + (timeout or self.timeout)

        def greet() -> int:
            nonce = secrets.randbelow(0xFFFFFFFE) + 1
            self.send(HELLO, 0, struct.pack("<IHHII", MAGIC, VERSION, 0, nonce, WINDOW))
            return nonce

        nonce = greet()
        while True:
            frame = self.receive(deadline)
            if frame.type == ERROR and frame.channel == 0:
                raise self.error(frame)
            if frame.type != HELLO or len(frame.payload) < 16:
                continue
            magic, version, _, answered, window = struct.unpack_from("<IHHII", frame.payload)
            if magic != MAGIC or version != VERSION:
                raise AgentError("not an agent of this version")
            if answered == 0:
                # It has just opened its port, and may have lost what was sent before.
                nonce = greet()
            elif answered == nonce:
                self.window = window
                self.machine, at = unpack_string(frame.payload, 16)
                self.release, _ = unpack_string(frame.payload, at)
                return

    @staticmethod
    def error(frame: Frame) -> AgentError:
        number, = struct.unpack_from("<I", frame.payload)
        return AgentError(unpack_string(frame.payload, 4)[0], number)

    def channel(self) -> int:
        number = self.next_channel
        self.next_channel = number % 65535 + 1
        return number

    def credit(self, frame: Frame, consumed: int) -> int:
        """Counts a frame against our window and returns credit for it when half of that is used."""
        consumed += len(frame.payload)
        if consumed >= WINDOW // 2:
            self.send(WINDOW_MORE, frame.channel, struct.pack("<I", consumed))
            return 0
        return consumed

    # Operations

    def run(self, argv: list[str], stdin: bytes = b"", environment: dict[str, str] | None = None, folder: str = "",
            terminal: tuple[int, int] | None = None, timeout: float | None = None) -> Result:
        deadline = time.monotonic() + (timeout or self.timeout)
        channel = self.channel()
        rows, columns = terminal or (0, 0)
        self.send(EXEC, channel, exec_payload(argv, environment, folder, rows, columns),
                  EXEC_TERMINAL if terminal else 0)
        stdout, stderr = bytearray(), bytearray()
        credit, consumed, sent, ended = self.window, 0, 0, False
        while True:
            while sent < len(stdin) and credit > 0:
                piece = stdin[sent:sent + min(credit, PAYLOAD_MAX)]
                self.send(STDIN, channel, piece)
                sent += len(piece)
                credit -= len(piece)
            if sent == len(stdin) and not ended:
                self.send(STDIN_END, channel)
                ended = True
            frame = self.receive(deadline)
            if frame.channel != channel:
                continue
            if frame.type in (STDOUT, STDERR):
                (stdout if frame.type == STDOUT else stderr).extend(frame.payload)
                consumed = self.credit(frame, consumed)
            elif frame.type == WINDOW_MORE:
                credit += struct.unpack("<I", frame.payload)[0]
            elif frame.type == EXITED:
                how, value = struct.unpack("<II", frame.payload)
                return Result(128 + value if how == 1 else value, bytes(stdout), bytes(stderr))
            elif frame.type == ERROR:
                raise self.error(frame)

    def put(self, source: pathlib.Path, destination: str, timeout: float | None = None) -> None:
        """Copies a file, a link or a tree into the guest."""
        deadline = time.monotonic() + (timeout or self.timeout)
        channel = self.channel()
        self.send(PUT, channel, string(destination) + string(source.name))
        credit = self.window

        def wait_for(need: int) -> None:
            nonlocal credit
            while credit < need:
                frame = self.receive(deadline)
                if frame.channel == channel and frame.type == ERROR:
                    raise self.error(frame)
                if frame.channel == channel and frame.type == WINDOW_MORE:
                    credit += struct.unpack("<I", frame.payload)[0]
            credit -= need

        def send_one(path: pathlib.Path, name: str) -> None:
            status = path.lstat()
            mode, changed = status.st_mode & 0o7777, status.st_mtime_ns
            if path.is_symlink():
                entry = entry_payload(LINK, mode, name, os.readlink(path), 0, changed)
            elif path.is_dir():
                entry = entry_payload(FOLDER, mode, name, "", 0, changed)
            else:
                entry = entry_payload(FILE, mode, name, "", status.st_size, changed)
            wait_for(len(entry))
            self.send(ENTRY, channel, entry)
            if path.is_dir() and not path.is_symlink():
                for child in sorted(path.iterdir()):
                    send_one(child, f"{name}/{child.name}" if name else child.name)
            elif not path.is_symlink():
                with open(path, "rb") as file:
                    while piece := file.read(32768):
                        wait_for(len(piece))
                        self.send(DATA, channel, piece)

        send_one(source, "")
        self.send(END, channel, struct.pack("<II", 0, 0))
        while True:
            frame = self.receive(deadline)
            if frame.channel == channel and frame.type == ERROR:
                raise self.error(frame)
            if frame.channel == channel and frame.type == END:
                return

    def get(self, path: str, destination: pathlib.Path, timeout: float | None = None) -> str:
        """Copies a file or a tree out of the guest to `destination`, which must not exist. Returns the warnings."""
        deadline = time.monotonic() + (timeout or self.timeout)
        channel = self.channel()
        self.send(GET, channel, string(path))
        consumed, file, warnings = 0, None, bytearray()
        folders: set[str] = set()
        try:
            while True:
                frame = self.receive(deadline)
                if frame.channel != channel:
                    continue
                if frame.type in (ENTRY, DATA, STDERR):
                    consumed = self.credit(frame, consumed)
                if frame.type == ERROR:
                    raise self.error(frame)
                if frame.type == END:
                    return warnings.decode("utf-8", "replace")
                if frame.type == STDERR:
                    warnings += frame.payload
                elif frame.type == DATA:
                    if file is None:
                        raise AgentError("data without a file")
                    file.write(frame.payload)
                elif frame.type == ENTRY:
                    if file:
                        file.close()
                    file = self.store(frame.payload, destination, folders)
        finally:
            if file:
                file.close()

    @staticmethod
    def store(payload: bytes, destination: pathlib.Path, folders: set[str]):
        kind, mode, _, _, _ = struct.unpack_from("<B3xIQqI", payload)
        name, at = unpack_string(payload, 28)
        target, _ = unpack_string(payload, at)
        # Only below folders that this transfer has made itself: a link of the guest's must lead nowhere.
        if not safe_path(name) or (name and name.rpartition("/")[0] not in folders):
            raise AgentError(f"the guest sent a path that is not one of its own: {name!r}")
        path = destination / name if name else destination
        if kind == FOLDER:
            path.mkdir()
            folders.add(name)
        elif kind == LINK:
            path.symlink_to(target)
        elif kind == FILE:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            handle = os.open(path, flags, 0o600)
            os.fchmod(handle, mode & 0o777)
            return os.fdopen(handle, "wb")
        else:
            raise AgentError("the guest sent an entry of no known kind")
        return None

    def power_off(self, restart: bool = False) -> None:
        """Asks for it and sends everything that is waiting; there is no answer."""
        self.send(POWER_OFF, 0, bytes([1 if restart else 0]))
        deadline = time.monotonic() + self.timeout
        while self.outgoing:
            self.pump(deadline)
