"""Writes an initramfs: a newc cpio archive with the same bytes for the same contents.

Promises: no root needed, device nodes included; entries in a fixed order, owned by root, with time stamp 0; parents
are added by themselves. Format: the kernel's Documentation/driver-api/early-userspace/buffer-format.rst.
"""

import pathlib
import subprocess
import zlib

import cache

FILE, DIRECTORY, LINK, CHARACTER = 0o100000, 0o040000, 0o120000, 0o020000


class Initramfs:
    def __init__(self):
        self.entries: dict[str, tuple[int, bytes, tuple[int, int]]] = {}

    def directory(self, path: str, mode: int = 0o755) -> None:
        self.add(path, DIRECTORY | mode, b"")

    def file(self, path: str, data: bytes, mode: int = 0o644) -> None:
        self.add(path, FILE | mode, data)

    def link(self, path: str, target: str) -> None:
        self.add(path, LINK | 0o777, target.encode())

    def character_device(self, path: str, major: int, minor: int, mode: int = 0o600) -> None:
        self.add(path, CHARACTER | mode, b"", (major, minor))

    def tree(self, folder: pathlib.Path) -> None:
        """All regular files and links of a folder; only the executable bit of their modes counts."""
        for path in sorted(folder.rglob("*")):
            name = str(path.relative_to(folder))
            if path.is_symlink():
                self.link(name, str(path.readlink()))
            elif path.is_file():
                self.file(name, path.read_bytes(), 0o755 if path.stat().st_mode & 0o100 else 0o644)

    def add(self, path: str, mode: int, data: bytes, device: tuple[int, int] = (0, 0)) -> None:
        path = path.strip("/")
        parent = path.rpartition("/")[0]
        if parent and parent not in self.entries:
            self.directory(parent)
        self.entries[path] = (mode, data, device)

    def archive(self) -> bytes:
        parts: list[bytes] = []
        # Sorted by components, so that a folder comes before what is in it.
        for number, path in enumerate(sorted(self.entries, key=lambda name: name.split("/")), start=1):
            mode, data, device = self.entries[path]
            parts.append(record(number, path, mode, data, device))
        parts.append(record(0, "TRAILER!!!", 0, b"", (0, 0)))
        content = b"".join(parts)
        return content + bytes(-len(content) % 512)

    def compressed(self, method: str) -> bytes:
        content = self.archive()
        if method == "none":
            return content
        if method == "gzip":
            packer = zlib.compressobj(9, zlib.DEFLATED, 31)
            return packer.compress(content) + packer.flush()
        if method == "zstd":
            # The kernel refuses windows over 128 MiB; level 19 stays at 8 MiB.
            try:
                return subprocess.run(["zstd", "-19", "-q", "--single-thread", "--no-check", "-c"], input=content,
                                      stdout=subprocess.PIPE, check=True).stdout
            except FileNotFoundError as error:
                raise cache.UserError("zstd: not installed; apt-get install zstd") from error
        raise cache.UserError(f"'{method}' is not a compression of an initramfs: none, gzip or zstd")


def record(number: int, path: str, mode: int, data: bytes, device: tuple[int, int]) -> bytes:
    name = path.encode() + b"\0"
    links = 2 if mode & 0o170000 == DIRECTORY else 1
    fields = (number, mode, 0, 0, links, 0, len(data), 0, 0, *device, len(name), 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields) + name
    return header + bytes(-len(header) % 4) + data + bytes(-len(data) % 4)
