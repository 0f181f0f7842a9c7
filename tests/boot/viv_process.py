"""Running viv from tests: the program under test ($VIV), guests and firmware from the cache, and waiting for text with a time limit."""

import os
import pathlib
import re
import select
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "guests" / "tools"))

import cache  # noqa: E402

VIV = os.environ.get("VIV", str(ROOT / "build" / "release" / "bin" / "viv"))
# Sanitized builds run the same boots many times slower.
PATIENCE = float(os.environ.get("VIV_PATIENCE", "1"))


def tool(name, *arguments):
    """Runs one of guests/tools, which makes what is missing in the cache."""
    subprocess.run([sys.executable, str(ROOT / "guests" / "tools" / name), *arguments], check=True)


def firmware(name):
    path = cache.root() / "peers" / "firmware" / name
    if not path.exists():
        tool("peers.py", "build")
    return str(path)


def peer(program):
    """One of QEMU's programs."""
    path = cache.root() / "peers" / "bin" / program
    if not path.exists():
        tool("peers.py", "build")
    return str(path)


def guest(name):
    """The folder of a built guest."""
    tool("guest.py", "build", name)
    return cache.root() / "guests" / name


def run(*arguments, timeout=300, **options):
    """viv to its end: the completed process with text output."""
    return subprocess.run([VIV, *arguments], capture_output=True, timeout=timeout * PATIENCE, stdin=options.pop("stdin", subprocess.DEVNULL),
                          text=True, errors="replace", **options)


class Session:
    """viv with its console on pipes: expect() waits for text, type() writes. A context manager; the process never outlives it."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen([VIV, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.seen = ""
        self.consumed = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def expect(self, pattern, timeout=180):
        end = time.monotonic() + timeout * PATIENCE
        while True:
            match = re.compile(pattern).search(self.seen, self.consumed)
            if match:
                self.consumed = match.end()
                return match
            left = end - time.monotonic()
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, left))
            data = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            if not data:
                raise AssertionError(f"no {pattern!r} in:\n{self.seen[-4000:]}")
            self.seen += data.decode(errors="replace")

    def type(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def wait(self, timeout=60):
        return self.process.wait(timeout * PATIENCE)
