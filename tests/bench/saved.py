"""Machines that are saved and opened again: how long the guest stands still, how long the whole takes, how large the file
is, and the time from the start of a process to the answer to a keystroke. For viv and for the peer QEMU's savevm and
migrate to a file, of the same guest at its prompt: idle, and with a file of 256 MB written to memory.

Each machine is saved twice: once while its guest does nothing, which is what the time of the whole is of, and once while
it prints a line every few milliseconds; the longest time without one is how long it stood still. That is a little more
than the truth, for all alike: what the longest gap without saving is, is in the table too.
"""

import json
import os
import pathlib
import pty
import re
import select
import socket
import subprocess
import tempfile
import time
import tty

import cache
import engines
import footprint
import guest as guests
import peers

MEMORY = "1G"
DIRTY = 256_000_000  # bytes
STATES = ("idle", "dirtied")
LIMIT = 60          # seconds for anything
GAP_SECONDS = 1.0    # how long the guest is watched without being saved


class Console:
    """A process with its standard streams on a terminal, and its QMP."""

    def __init__(self, command: list[str], folder: pathlib.Path):
        self.qmp_path = folder / "qmp"
        self.qmp_path.unlink(missing_ok=True)
        self.start = time.monotonic()
        self.terminal, inner = pty.openpty()
        tty.setraw(inner)
        self.process = subprocess.Popen(command, stdin=inner, stdout=inner, stderr=inner, close_fds=True)
        os.close(inner)
        self.seen = b""
        self.times: list[float] = []  # when something came
        self.qmp = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.qmp:
            self.qmp.close()
        self.process.kill()
        self.process.wait()
        os.close(self.terminal)

    def type(self, text: str) -> None:
        os.write(self.terminal, text.encode())

    def read(self, seconds: float) -> bool:
        if not select.select([self.terminal], [], [], max(0.0, seconds))[0]:
            return False
        try:
            data = os.read(self.terminal, 65536)
        except OSError:
            raise cache.UserError(f"the machine has ended; its console ends with {self.seen[-300:]!r}") from None
        self.times.append(time.monotonic())
        self.seen += data
        return True

    def expect(self, pattern: bytes) -> None:
        end = time.monotonic() + LIMIT
        while not (found := re.search(pattern, self.seen)):
            if not self.read(end - time.monotonic()):
                raise cache.UserError(f"nothing like {pattern!r} in {LIMIT} s; the console ends with {self.seen[-300:]!r}")
        self.seen = self.seen[found.end():]

    def command(self, text: str) -> None:
        """Runs it in the guest's shell, and waits for its end."""
        self.type(f"{text}; echo e''nd\n")
        self.expect(rb"(^|\n)end\r*\n")

    def execute(self, name: str, **arguments):
        if self.qmp is None:
            self.qmp = socket.socket(socket.AF_UNIX)
            self.qmp.settimeout(LIMIT)
            self.qmp.connect(str(self.qmp_path))
            self.replies = self.qmp.makefile("r", encoding="utf-8")
            self.replies.readline()
            self.execute("qmp_capabilities")
        self.qmp.sendall(json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n")
        while True:
            reply = json.loads(self.replies.readline())
            if "error" in reply:
                raise cache.UserError(f"{name}: {reply['error']['desc']}")
            if "return" in reply:
                if isinstance(reply["return"], str) and reply["return"].startswith("Error"):
                    raise cache.UserError(f"{name}: {reply['return']}")
                return reply["return"]

    def longest_gap(self, work) -> float:
        """Seconds: the longest time without a line of the guest's around `work`."""
        self.type("while usleep 3000; do echo; done &\n")
        self.expect(rb"(\r*\n){20}")
        del self.times[:-1]
        self.in_background(work)
        end = time.monotonic()
        while time.monotonic() < end + 0.2:
            self.read(0.05)
        self.type("kill %1\n")
        self.command("wait")
        gaps = [later - earlier for earlier, later in zip(self.times, self.times[1:])]
        return max(gaps)

    def in_background(self, work) -> float:
        """Does it while the console is read; the seconds that it took."""
        reader, writer = os.pipe()
        start = time.monotonic()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                work()
                os.write(writer, b"%f" % (time.monotonic() - start))
                code = 0
            finally:
                os._exit(code)
        os.close(writer)
        try:
            while not select.select([reader], [], [], 0)[0]:
                self.read(0.01)
            text = os.read(reader, 100)
        finally:
            os.close(reader)
            os.waitpid(child, 0)
        if not text:
            raise cache.UserError("the machine could not be saved")
        return float(text)


def answered(command: list[str], folder: pathlib.Path, key: str = "") -> float:
    """Seconds from the start of the process to the answer to what is typed at once."""
    with Console(command, folder) as console:
        # The first character may get lost to a UART whose state has not come yet.
        console.type("\necho an$((1+1))swer\n")
        console.expect(rb"an2swer")
        return time.monotonic() - console.start


def make_numbers(path: pathlib.Path) -> None:
    """Text, no page of which is like another one."""
    with path.open("w", encoding="ascii") as file:
        number = 0
        while file.tell() < DIRTY:
            file.write("".join(f"{value}\n" for value in range(number, number + 100_000)))
            number += 100_000
    os.truncate(path, DIRTY)


def dirty(console: Console, disk: str) -> None:
    # Past the cache, which would have it once more.
    console.command(f"dd if=/dev/{disk} of=/tmp/numbers bs=1M iflag=direct 2>/dev/null")


def viv_command(options, folder: pathlib.Path, *arguments: str) -> list[str]:
    return [str(options.viv), "run", "--net", "none", "--qmp", f"unix:{folder}/qmp", *arguments]


def measure_viv(options, guest: str, state: str, numbers: pathlib.Path, folder: pathlib.Path) -> dict:
    file = folder / "saved"
    disk = ["--disk", f"file={engines.quoted(numbers)},format=raw,readonly=on"]
    with Console(viv_command(options, folder, "--memory", MEMORY, *disk, guest), folder) as console:
        console.expect(re.escape(engines.ready_of(guest)["console"]["ready"]).encode())
        if state == "dirtied":
            dirty(console, "vda")
        quiet = console.longest_gap(lambda: time.sleep(GAP_SECONDS))
        console.execute("query-status")
        whole = console.in_background(lambda: console.execute("viv-save", file=str(file)))
        gap = console.longest_gap(lambda: console.execute("viv-save", file=str(file)))
    opened = answered(viv_command(options, folder, *disk, "--restore", str(file)), folder)
    return {"viv": {"quiet": quiet, "gap": gap, "whole": whole, "size": file.stat().st_size, "open": opened}}


def qemu_command(guest: str, numbers: pathlib.Path, folder: pathlib.Path, *arguments: str) -> list[str]:
    ready = engines.ready_of(guest)
    qemu = peers.build(cache.Steps("peers")) / "bin" / "qemu-system-riscv64"
    boot = ready["boot"]
    return [str(qemu), "-M", "virt", "-m", MEMORY, "-display", "none", "-nodefaults", "-serial", "stdio", "-kernel", boot["kernel"],
            "-initrd", boot["initrd"], "-append", boot["append"], "-qmp", f"unix:{folder}/qmp,server=on,wait=off",
            "-drive", f"if=none,id=disk0,format=qcow2,file={folder}/disk.qcow2",
            "-device", "virtio-blk-pci,drive=disk0",
            "-drive", f"if=none,id=disk1,format=raw,readonly=on,file={engines.quoted(numbers)}",
            "-device", "virtio-blk-pci,drive=disk1", *arguments]


def measure_qemu(guest: str, state: str, numbers: pathlib.Path, folder: pathlib.Path) -> dict:
    disk, stream = folder / "disk.qcow2", folder / "stream"
    subprocess.run([str(peers.build(cache.Steps("peers")) / "bin" / "qemu-img"), "create", "-q", "-f", "qcow2", str(disk), "64M"], check=True)
    with Console(qemu_command(guest, numbers, folder), folder) as console:
        console.expect(re.escape(engines.ready_of(guest)["console"]["ready"]).encode())
        if state == "dirtied":
            dirty(console, "vdb")
        quiet = console.longest_gap(lambda: time.sleep(GAP_SECONDS))
        console.execute("query-status")

        def savevm() -> None:
            console.execute("human-monitor-command", **{"command-line": "savevm saved"})

        before = disk.stat().st_blocks * 512
        whole = console.in_background(savevm)
        size = disk.stat().st_blocks * 512 - before
        gap = console.longest_gap(savevm)

        def migrate() -> None:
            console.execute("migrate-set-parameters", **{"max-bandwidth": 1 << 40})  # as fast as it can
            console.execute("migrate", uri=f"file:{stream}")
            while (status := console.execute("query-migrate")["status"]) != "completed":
                if status in ("failed", "cancelled"):
                    raise cache.UserError(f"migrate: {status}")

        # The machine stands still when it is done; nobody watches its console meanwhile.
        whole_stream = console.in_background(migrate)
    saved = {"quiet": quiet, "gap": gap, "whole": whole, "size": size,
             "open": answered(qemu_command(guest, numbers, folder, "-loadvm", "saved"), folder)}
    streamed = {"whole": whole_stream, "size": stream.stat().st_size,
                "open": answered(qemu_command(guest, numbers, folder, "-incoming", f"file:{stream}"), folder)}
    return {"qemu savevm": saved, "qemu migrate": streamed}


def measure_all(options, guest: str, found: dict, steps: cache.Steps) -> None:
    """Fills `found`: state -> machine -> a measurement for each round."""
    guests.build(guest)
    with tempfile.TemporaryDirectory(prefix="bench-saved-") as common:
        numbers = pathlib.Path(common) / "numbers"
        make_numbers(numbers)
        for turn in range(options.rounds):
            for state in STATES:
                with steps.step(f"saving and opening {guest}, {state}, round {turn + 1} of {options.rounds}"):
                    one_round(options, guest, state, numbers, turn, found)


def one_round(options, guest: str, state: str, numbers: pathlib.Path, turn: int, found: dict) -> None:
    measurements = [lambda folder: measure_viv(options, guest, state, numbers, folder)]
    if not options.no_qemu:
        measurements.append(lambda folder: measure_qemu(guest, state, numbers, folder))
    for measurement in engines.rotated(measurements, turn):
        with tempfile.TemporaryDirectory(prefix="bench-saved-") as folder:
            for machine, values in measurement(pathlib.Path(folder)).items():
                found.setdefault(state, {}).setdefault(machine, []).append(values)
