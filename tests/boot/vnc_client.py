"""A VNC viewer that knows raw pixels and nothing else (RFC 6143), and vncsnapshot, which somebody else wrote."""

import pathlib
import socket
import struct
import subprocess
import tempfile

import viv_process

KEYS = {"\n": 0xff0d}
SHIFT = 0xffe1
SHIFTED = '~!@#$%^&*()_+{}|:"<>?ABCDEFGHIJKLMNOPQRSTUVWXYZ'


class Viewer:
    """A context manager. picture() has four bytes a pixel: blue, green, red, 0."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60 * viv_process.PATIENCE)
        assert self.exactly(12) == b"RFB 003.008\n"
        self.socket.sendall(b"RFB 003.008\n")
        assert self.exactly(2) == b"\1\1"
        self.socket.sendall(b"\1")
        assert self.exactly(4) == bytes(4)
        self.socket.sendall(b"\1")
        self.width, self.height = struct.unpack(">HH", self.exactly(4))
        self.exactly(16)
        self.name = self.exactly(struct.unpack(">I", self.exactly(4))[0]).decode()
        self.socket.sendall(struct.pack(">BxxxBBBBHHHBBBxxx", 0, 32, 24, 0, 1, 255, 255, 255, 16, 8, 0))
        self.socket.sendall(struct.pack(">BxHi", 2, 1, 0))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def exactly(self, count):
        data = bytearray()
        while len(data) < count:
            part = self.socket.recv(min(count - len(data), 1 << 20))
            assert part, "the display has gone"
            data += part
        return bytes(data)

    def picture(self):
        stride, left = 4 * self.width, self.height
        rows = [b""] * self.height
        whole = False
        while left > 0:
            self.socket.sendall(struct.pack(">BBHHHH", 3, whole, 0, 0, self.width, self.height))
            whole = True  # the rest of it comes by asking for changes
            _, count = struct.unpack(">BxH", self.exactly(4))
            for _ in range(count):
                x, y, width, height, encoding = struct.unpack(">HHHHi", self.exactly(12))
                assert encoding == 0
                for row in range(y, y + height):
                    data = self.exactly(4 * width)
                    left -= not rows[row]
                    old = rows[row] or bytes(stride)
                    rows[row] = old[:4 * x] + data + old[4 * (x + width):]
        return b"".join(rows)

    def key(self, keysym, down):
        self.socket.sendall(struct.pack(">BBxxI", 4, down, keysym))

    def type(self, text):
        for character in text:
            keysym = KEYS.get(character, ord(character))
            pressed = [SHIFT, keysym] if character in SHIFTED else [keysym]
            for each in pressed:
                self.key(each, True)
            for each in reversed(pressed):
                self.key(each, False)


def snapshot(port):
    """What vncsnapshot sees: width, height, and three bytes a pixel, nearly (it writes JPEG)."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "picture.jpg"
        done = subprocess.run(["vncsnapshot", "-quiet", "-allowblank", f"127.0.0.1:{port - 5900}", str(path)], capture_output=True, text=True,
                              timeout=60 * viv_process.PATIENCE, stdin=subprocess.DEVNULL, check=False)
        if done.returncode != 0:
            raise AssertionError(f"vncsnapshot: {done.stdout}{done.stderr}")
        plain = subprocess.run(["djpeg", "-pnm", str(path)], capture_output=True, check=True).stdout
    kind, size, _, data = plain.split(b"\n", 3)
    assert kind == b"P6", plain[:20]
    width, height = map(int, size.split())
    return width, height, data
