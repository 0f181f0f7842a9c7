"""The Linux guests' initramfs: BusyBox, the drivers a recipe asks for, the agent, and guests/initramfs.

Promises: the same bytes for the same packages, recipe and compiler; every program of BusyBox has its link.
"""

import pathlib
import re
import subprocess

import agent_build
import cache
import initramfs
import kernel_package

# What it has beside BusyBox: /init and a few settings.
SHARED = pathlib.Path(__file__).resolve().parents[1] / "initramfs"


def applets(busybox: bytes) -> list[str]:
    """The names of BusyBox's programs: a sorted list in the file, each ending with 0, the first two '[' and '[['."""
    start = busybox.find(b"[\0[[\0")
    if start < 0:
        raise cache.UserError("busybox-static: has no list of programs where BusyBox keeps it")
    words = busybox[start:busybox.index(b"\0\0", start)].split(b"\0")
    found = [word.decode() for word in words if re.fullmatch(rb"\[\[?|[a-z][a-z0-9_.-]*", word)]
    if len(found) != len(words) or found != sorted(found) or "sh" not in found:
        raise cache.UserError("busybox-static: its list of programs cannot be read")
    return found


def stripped(module: kernel_package.Module, architecture: str, folder: pathlib.Path) -> bytes:
    """Without symbols that only a debugger wants: a quarter of the size, and of the time to load it."""
    path = folder / f"{module.name}.ko"
    path.write_bytes(module.data)
    try:
        subprocess.run([agent_build.strip_program(architecture), "--strip-unneeded", "--remove-section=.BTF",
                        "--enable-deterministic-archives", str(path)], check=True)
    except FileNotFoundError as error:
        raise cache.UserError(f"{error.filename}: not installed; apt-get install "
                              f"binutils-{agent_build.COMPILERS[architecture]}") from error
    return path.read_bytes()


def make(kernel: kernel_package.Kernel, busybox: bytes, agent: bytes | None, architecture: str,
                   folder: pathlib.Path) -> initramfs.Initramfs:
    image = initramfs.Initramfs()
    for path in ("dev", "proc", "sys", "mnt", "run", "var", "lib"):
        image.directory(path)
    image.directory("tmp", 0o1777)
    image.directory("root", 0o700)
    # For the time before /init has mounted devtmpfs; the kernel opens the console for it.
    image.character_device("dev/console", 5, 1)
    image.character_device("dev/null", 1, 3, 0o666)
    for path, target in (("bin", "usr/bin"), ("sbin", "usr/bin"), ("usr/sbin", "bin"), ("etc/mtab", "/proc/mounts")):
        image.link(path, target)
    image.file("usr/bin/busybox", busybox, 0o755)
    for applet in applets(busybox):
        if applet != "busybox":
            image.link(f"usr/bin/{applet}", "busybox")
    if agent:
        image.file("usr/bin/vivarium-agent", agent, 0o755)
    image.tree(SHARED)
    place = f"lib/modules/{kernel.release}"
    for module in kernel.modules:
        image.file(f"{place}/{kernel_package.place(module, True)}", stripped(module, architecture, folder))
    image.file(f"{place}/modules.dep", kernel.dep_file(flat=True))
    image.file(f"{place}/modules.alias", kernel.alias_file())
    return image
