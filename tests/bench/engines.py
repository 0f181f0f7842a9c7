"""What the benchmark is run on: this machine itself, a guest under viv, the same guest under the peer QEMU.

Promises: a guest is booted once and runs one program after the other, each through its agent; whatever happens, no
machine outlives its block; every wait has an end. The checks of a guest's clock are here too: a machine that measures
itself must not do so with a clock that is slow.
"""

import dataclasses
import os
import pathlib
import select
import subprocess
import sys
import time

import programs

sys.path.insert(0, str(programs.ROOT / "tests" / "guests"))

import agent_client  # noqa: E402
import cache  # noqa: E402
import qemu_machine  # noqa: E402

# How viv is told to use a tier. A new tier is a row here.
TIERS = {"interpreter": []}
QEMU_OPTIONS = ["-accel", "tcg,thread=single"]
LIMIT = 900  # seconds for one run of one program
CLOCK_NOISE = 0.3  # seconds that asking a guest for its time may take, or not


@dataclasses.dataclass(frozen=True)
class Run:
    iterations: int
    seconds: float    # by the clock of the machine it ran on
    checksum: str

    @property
    def each(self) -> float:
        return self.seconds / self.iterations


def parse(output: str, name: str, iterations: int, where: str) -> Run:
    words = output.split()
    if len(words) != 4 or words[0] != name or words[1] != str(iterations):
        raise cache.UserError(f"{where}: {name} has failed; it printed: {output.strip()[:200] or 'nothing'}")
    return Run(iterations, float(words[2]), words[3])


class Native:
    name = "native"

    def __init__(self, program: pathlib.Path):
        self.program = program

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def run(self, name: str, iterations: int) -> Run:
        done = subprocess.run([str(self.program), name, str(iterations)], capture_output=True, text=True, check=False,
                              timeout=LIMIT)
        return parse(done.stdout + done.stderr, name, iterations, self.name)


class Guest:
    """What the guests have in common: a shell command that prints something, and the clock's check."""

    def command(self, text: str) -> str:
        raise NotImplementedError

    def run(self, name: str, iterations: int) -> Run:
        return parse(self.command(f"/tmp/bench {name} {iterations} 2>&1"), name, iterations, self.name)

    def start_clock(self) -> None:
        self.clock_start = time.monotonic(), self.uptime()

    def uptime(self) -> float:
        return float(self.command("cat /proc/uptime").split()[0])

    def clock_error(self) -> float:
        """By how many seconds a second the guest's clock is wrong, beyond what a busy host explains, since the guest was started."""
        host, guest = self.clock_start
        passed = time.monotonic() - host
        return max(0.0, abs(self.uptime() - guest - passed) - CLOCK_NOISE) / passed


class Viv(Guest):
    """A shell in the guest at the other end of `viv exec`'s standard streams."""

    END = "--end-of-the-command--"

    def __init__(self, viv: pathlib.Path, tier: str, guest: str, program: pathlib.Path):
        self.name = f"viv {tier}"
        self.process = subprocess.Popen(
            [str(viv), "exec", *TIERS[tier], "--copy-in", f"{program}:/tmp/bench", guest, "--", "sh"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.buffer = b""

    def __enter__(self):
        self.command("chmod 755 /tmp/bench")
        self.start_clock()
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def command(self, text: str) -> str:
        self.process.stdin.write(f"{text}; echo {self.END}\n".encode())
        self.process.stdin.flush()
        deadline = time.monotonic() + LIMIT
        end = f"{self.END}\n".encode()
        while end not in self.buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise cache.UserError(f"{self.name}: no answer in {LIMIT} s to: {text}")
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                said = self.process.stderr.read().decode("utf-8", "replace").strip()
                raise cache.UserError(f"{self.name}: has ended before its time: {said[-300:] or 'without a word'}")
            self.buffer += data
        answer, _, self.buffer = self.buffer.partition(end)
        return answer.decode("utf-8", "replace")


class Qemu(Guest):
    name = "qemu"

    def __init__(self, guest: str, program: pathlib.Path):
        self.program = program
        self.machine = qemu_machine.Machine(guest, append="viv.exec=1", options=QEMU_OPTIONS, seconds=LIMIT)

    def __enter__(self):
        try:
            self.machine.agent.hello()
            self.machine.agent.put(self.program, "/tmp/bench")
            self.command("chmod 755 /tmp/bench")
            self.start_clock()
        except (OSError, agent_client.AgentError):
            self.machine.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.machine.__exit__()

    def command(self, text: str) -> str:
        return self.machine.agent.run(["sh", "-c", text], timeout=LIMIT).stdout.decode("utf-8", "replace")
