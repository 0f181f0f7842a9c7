"""What the tests of disk images share: the programs, scratch folders, and a model of what a disk must hold."""
import os
import pathlib
import random
import shutil
import struct
import subprocess
import tempfile
import unittest

BUILD = pathlib.Path(os.environ.get("VIV_BUILD", "build/dev")).resolve()
VIV_IMG = BUILD / "bin" / "viv-img"
IMAGE_IO = BUILD / "bin" / "image_io"
SECTOR = 512


def run(*command, code=0, **how):
    """Runs a program; fails with all that it said unless it ends with that code, or one of those codes."""
    codes = (code,) if isinstance(code, int) else code
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=240, **how)
    if result.returncode not in codes:
        raise AssertionError(f"{command} ended with {result.returncode}:\n{result.stdout}{result.stderr}")
    return result


def viv_img(*words, **how):
    return run(VIV_IMG, *words, **how)


def qemu_img(*words, **how):
    return run("qemu-img", *words, **how)


def sector_bytes(number, tag):
    return bytes(SECTOR) if tag == 0 else struct.pack("<QQ", number, tag) * (SECTOR // 16)


class Model:
    """Which writes (by their tags, 0: zeroes) each sector may hold the data of."""

    def __init__(self, size):
        self.sectors = [frozenset((0,))] * (size // SECTOR)

    def resize(self, size):
        count = size // SECTOR
        self.sectors = self.sectors[:count] + [frozenset((0,))] * (count - len(self.sectors))

    def apply(self, kind, offset, length, tag=0, *, flushed=True):
        for sector in range(offset // SECTOR, (offset + length) // SECTOR):
            new = frozenset((tag if kind == "w" else 0,))
            if kind == "d" or not flushed:
                new |= self.sectors[sector]
            self.sectors[sector] = new

    def copy(self):
        other = Model(0)
        other.sectors = list(self.sectors)
        return other

    def check(self, raw):
        """Against a raw file; returns the first sector that has what it must not have, or None."""
        with open(raw, "rb") as file:
            for number, tags in enumerate(self.sectors):
                got = file.read(SECTOR)
                if not any(got == sector_bytes(number, tag) for tag in tags):
                    return f"sector {number} holds {got[:16].hex()}, and one of {sorted(tags)} was to be there"
        return None


class Requests:
    """image_io on one image."""

    def __init__(self, path, image_format, *key):
        self.process = subprocess.Popen([IMAGE_IO, path, image_format, "rw", *key], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def __call__(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if answer != "ok":
            raise AssertionError(f"{line}: {answer or 'image_io has ended'}")

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        if self.process.wait(60) != 0:
            raise AssertionError("image_io failed")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.stdin.close()
            self.process.wait(60)
        self.process.stdout.close()


def random_request(rng, size, most=256 << 10):
    offset = rng.randrange(size // SECTOR) * SECTOR
    length = min(rng.randrange(1, (most if rng.randrange(4) == 0 else 16384) // SECTOR + 1) * SECTOR, size - offset)
    return rng.choice("wwwwwzd"), offset, length


@unittest.skipUnless(shutil.which("qemu-img") and shutil.which("qemu-io"), "qemu-utils is not installed")
class ImageTest(unittest.TestCase):
    def setUp(self):
        # In memory where that is possible: nothing here depends on a disk.
        memory = pathlib.Path("/dev/shm")
        scratch = tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None)
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        self.random = random.Random(self.id())

    def path(self, name):
        return self.folder / name

    def random_raw(self, name, size, pieces=12):
        """A sparse raw file with some random data, some of it compressible."""
        path = self.path(name)
        with open(path, "wb") as file:
            file.truncate(size)
            for _ in range(pieces):
                length = self.random.randrange(1, 200) * SECTOR
                file.seek(self.random.randrange(size // SECTOR) * SECTOR)
                data = self.random.randbytes(length) if self.random.randrange(2) else b"same " * (length // 5)
                file.write(data[: max(0, size - file.tell())])
        return path

    def good(self, image, image_format="qcow2"):
        qemu_img("check", "-f", image_format, image)
        viv_img("check", "-f", image_format, image)

    def same(self, image, image_format, raw):
        """By both programs."""
        qemu_img("compare", "-f", image_format, "-F", "raw", image, raw)
        viv_img("compare", "-f", image_format, "-F", "raw", image, raw)
