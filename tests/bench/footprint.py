"""What a machine costs when it does nothing: time from process start to the shell's prompt, memory beyond the guest's
RAM, and the share of a core that an idle guest takes. For viv and the peer QEMU alike, with their consoles on pipes.

Memory: resident memory of the process less the touched part of the guest's RAM, both from /proc/PID/smaps; the RAM is
the smallest mapping that could hold it. Idle: user and system time of all threads over a while, from /proc/PID/stat.
"""

import contextlib
import dataclasses
import os
import pathlib
import re
import select
import subprocess
import time

import engines
import cache
import qemu_machine

PROMPT_LIMIT = 300  # seconds
SETTLE = 3          # seconds after the prompt, in which a guest may still be busy


@dataclasses.dataclass(frozen=True)
class Footprint:
    boot: float      # seconds from process start to the prompt
    memory: int      # bytes beyond the guest's RAM
    idle: float      # share of one core, 0 to 1


def ram_bytes(text: str) -> int:
    found = re.fullmatch(r"(\d+)([MG])", text)
    if not found:
        raise cache.UserError(f"'{text}' is not a size of memory")
    return int(found[1]) << {"M": 20, "G": 30}[found[2]]


def memory_beyond_ram(pid: int, ram: int) -> int:
    mappings: list[tuple[int, int]] = []  # size, resident; bytes
    size = 0
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("Size:"):
            size = int(line.split()[1]) << 10
        elif line.startswith("Rss:"):
            mappings.append((size, int(line.split()[1]) << 10))
    of_guest = min((mapping for mapping in mappings if mapping[0] >= ram), default=None)
    if of_guest is None:
        raise cache.UserError(f"process {pid}: no mapping is as large as the guest's memory")
    return sum(resident for _, resident in mappings) - min(of_guest[1], ram)


def cpu_seconds(pid: int) -> float:
    # The program's name is in brackets and may contain anything.
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def idle_share(pid: int, seconds: float) -> float:
    time.sleep(SETTLE)
    before, start = cpu_seconds(pid), time.monotonic()
    time.sleep(seconds)
    return (cpu_seconds(pid) - before) / (time.monotonic() - start)


@contextlib.contextmanager
def booted_viv(viv: pathlib.Path, tier: str, guest: str, ready: dict):
    """Yields (process id, seconds to the prompt)."""
    prompt = ready["console"]["ready"].encode()
    start = time.monotonic()
    process = subprocess.Popen([str(viv), "run", "--net", "none", *engines.TIERS[tier], guest], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        console = b""
        while prompt not in console:
            left = start + PROMPT_LIMIT - time.monotonic()
            if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
                raise cache.UserError(f"viv {tier}: no prompt in {PROMPT_LIMIT} s; its console ends with {console[-200:]!r}")
            data = os.read(process.stdout.fileno(), 65536)
            if not data:
                said = process.stderr.read().decode("utf-8", "replace").strip()
                raise cache.UserError(f"viv {tier}: ended without a prompt: {said[-300:] or console[-300:]!r}")
            console += data
        yield process.pid, time.monotonic() - start
    finally:
        process.kill()
        process.communicate()


@contextlib.contextmanager
def booted_qemu(guest: str, ready: dict):
    options = ["-accel", "tcg,thread=single"]
    with qemu_machine.Machine(guest, options=options, seconds=PROMPT_LIMIT) as machine:
        machine.expect(re.escape(ready["console"]["ready"]))
        yield machine.process.pid, machine.seconds()


def measure(booted, ram: int, seconds: float) -> Footprint:
    """`booted`: one of the above, entered here. No time is spent on idling if `seconds` is 0."""
    with booted as (pid, boot):
        idle = idle_share(pid, seconds) if seconds else float("nan")
        return Footprint(boot, memory_beyond_ram(pid, ram), idle)


def measure_all(options, guest: str, found: dict[str, list[dict]], steps: cache.Steps) -> None:
    """Fills `found`: engine -> a measurement for each round. Idling is measured in the last one."""
    ready = engines.ready_of(guest)
    ram = ram_bytes(ready["machine"]["memory"])
    for turn in range(options.rounds):
        last = turn == options.rounds - 1
        idle_seconds = (2.0 if options.quick else 10.0) if last else 0.0
        with steps.step(f"booting {guest} to the shell, round {turn + 1} of {options.rounds}"):
            booted = [(engines.name_of(tier), booted_viv(options.viv, tier, guest, ready)) for tier in options.tier]
            if not options.no_qemu:
                booted.append(("qemu", booted_qemu(guest, ready)))
            for name, machine in engines.rotated(booted, turn):
                measured = measure(machine, ram, idle_seconds)
                found.setdefault(name, []).append({"boot": measured.boot, "memory": measured.memory,
                                                   "idle": measured.idle if idle_seconds else None})
