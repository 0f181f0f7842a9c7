"""v86 in a tab as a peer: its package from npm, and a machine for it of Debian's i386 kernel, BusyBox and SeaBIOS, with the benchmark's
programs compiled for it.

Promises: what comes from the archive is verified; a second run needs no network. Debian 12 is the last with a kernel for i386.
"""

import pathlib
import sys

import programs

sys.path.insert(0, str(programs.ROOT / "web" / "tools"))

import busybox_initramfs  # noqa: E402
import cache  # noqa: E402
import debian_archive  # noqa: E402
import guest as guests  # noqa: E402
import kernel_package  # noqa: E402
import npm_packages  # noqa: E402

SUITE, ARCHITECTURE = "bookworm", "i386"
FIRMWARE = {"usr/share/seabios/bios.bin": "seabios.bin", "usr/share/seabios/vgabios-stdvga.bin": "vgabios.bin"}
BUILD = 1  # raised when this file makes the machine differently


def package() -> pathlib.Path:
    """The folder with build/libv86.mjs and build/v86.wasm."""
    return npm_packages.folder_with(["v86"]) / "v86"


def build(steps: cache.Steps) -> pathlib.Path:
    """A folder with kernel, initrd, seabios.bin and vgabios.bin; the programs are /tmp/bench."""
    program = programs.build(ARCHITECTURE)
    key = cache.key_of(BUILD, program.name)
    link = cache.directory("bench") / f"v86-{key}"
    if link.exists():
        return link
    with cache.lock("v86", steps), cache.scratch() as folder:
        recipe = {"build": {"suite": SUITE, "architecture": ARCHITECTURE, "kernel": "linux-image-686"}}
        kernel_deb, busybox_deb = guests.fetch(recipe, steps, False)
        firmware, = debian_archive.Archive([SUITE], "amd64", steps).installed(["seabios"], closure=False)
        made = folder / "machine"
        made.mkdir()
        with steps.step("making the machine for v86"):
            kernel = kernel_package.choose(kernel_package.read(kernel_deb), [])
            (made / "kernel").write_bytes(kernel.image)
            busybox = debian_archive.read_files(busybox_deb, lambda path: path in ("bin/busybox", "usr/bin/busybox"))
            image = busybox_initramfs.make(kernel, next(iter(busybox.values())), None, ARCHITECTURE, folder)
            image.file("tmp/bench", program.read_bytes(), 0o755)
            (made / "initrd").write_bytes(image.compressed("gzip"))
            for path, data in debian_archive.read_files(firmware, lambda path: path in FIRMWARE).items():
                (made / FIRMWARE[path]).write_bytes(data)
        for old in link.parent.glob("v86-*"):
            cache.remove_tree(old)
        made.rename(link)
    return link
