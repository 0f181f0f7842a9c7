"""Disks: reading and writing past the guest's page cache, from the start on and at random places, one request at a time and
sixteen; viv beside QEMU with the same image, virtio's card and the same cache mode (writeback, both programs' default).
`disk` (guests/payloads/disk) runs in the guest. And images converted, by viv-img beside qemu-img.
"""

import pathlib
import subprocess
import time

import programs  # finds the others
import cache
import engines
import network

GUEST = "linux-riscv64"
ARCHITECTURE = "riscv64"
SIZE = 256 << 20  # bytes, which fit this host's page cache: it is the emulators that are measured
FORMATS = ("raw", "qcow2")
WORK = [(what, depth) for what in ("read", "write", "random-read", "random-write") for depth in (1, 16)]
CONVERSIONS = [("raw", "qcow2"), ("qcow2", "raw"), ("qcow2", "vmdk")]


def row_of(what: str, depth: int) -> str:
    return f"{what}, {depth} at once"


def make_images(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """format -> image, full of bytes that no format finds easy."""
    raw = folder / "disk.raw"
    with open("/dev/urandom", "rb") as noise, open(raw, "wb") as file:
        for _ in range(SIZE >> 20):
            file.write(noise.read(1 << 20))
    images = {"raw": raw}
    for format in FORMATS[1:]:
        images[format] = folder / f"disk.{format}"
        subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", format, str(raw), str(images[format])], check=True)
    return images


def setup(image: pathlib.Path, format: str) -> engines.Setup:
    file = engines.quoted(image)
    return engines.Setup(guest=GUEST, program=programs.build(ARCHITECTURE, "disk"),
                         viv_options=("--net", "none", "--disk", f"file={file},format={format}"),
                         qemu_options=("-drive", f"if=none,id=disk,format={format},file={file}", "-device", "virtio-blk-pci,drive=disk"))


def measured(machine, milliseconds: int) -> dict[str, float]:
    """row -> bytes a second"""
    figures = {}
    for what, depth in WORK:
        words = machine.command(f"/tmp/bench {what} {depth} {milliseconds} /dev/vda 2>&1").split()
        try:
            figures[row_of(what, depth)] = float(words[1]) / float(words[0])
        except (IndexError, ValueError):
            raise cache.UserError(f"{machine.name}: disk {what} has failed: {' '.join(words)[-200:] or 'it says nothing'}") from None
    return figures


def converted(command: list[str], target: pathlib.Path) -> float:
    """Seconds, until it is on the disk."""
    start = time.monotonic()
    done = subprocess.run([*command, str(target)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise cache.UserError(f"{' '.join(command)}: {done.stderr.strip()[-200:]}")
    subprocess.run(["sync", "-f", str(target)], check=True)
    seconds = time.monotonic() - start
    target.unlink()
    return seconds


def measure_all(options, found: dict, steps: cache.Steps) -> None:
    """Fills `found`: "disks" and "conversions": row -> engine -> a figure for each round, bytes a second."""
    makers = network.makers(options.viv, options.no_qemu)
    tools = {"viv": options.viv.with_name("viv-img")} | ({} if options.no_qemu else {"qemu": pathlib.Path("qemu-img")})
    milliseconds = round(1000 * options.seconds)
    # Beside the programs' cache: the folder for temporary files may be in memory.
    with cache.scratch() as folder:
        with steps.step("disk images"):
            images = make_images(pathlib.Path(folder))
        for turn in range(options.rounds):
            for format, image in images.items():
                with steps.step(f"disks, {format}, round {turn + 1} of {options.rounds}"):
                    for name in engines.rotated(list(makers), turn):
                        with makers[name](setup(image, format)) as machine:
                            for row, figure in measured(machine, milliseconds).items():
                                found["disks"].setdefault(f"{format}, {row}", {}).setdefault(name, []).append(figure)
            for source, target in CONVERSIONS:
                with steps.step(f"{source} converted to {target}, round {turn + 1} of {options.rounds}"):
                    for name in engines.rotated(list(tools), turn):
                        command = [str(tools[name]), "convert", "-f", source, "-O", target, str(images[source])]
                        seconds = converted(command, pathlib.Path(folder) / "converted")
                        found["conversions"].setdefault(f"{source} to {target}", {}).setdefault(name, []).append(SIZE / seconds)
