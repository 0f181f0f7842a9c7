"""What the benchmark is run on: this machine itself, a guest under viv, the same guest under the peer QEMU.

Promises: a guest is booted once and runs one program after the other, each through its agent; whatever happens, no
machine outlives its block; every wait has an end. The checks of a guest's clock are here too: a machine that measures
itself must not do so with a clock that is slow.
"""

import contextlib
import dataclasses
import os
import pathlib
import re
import select
import subprocess
import sys
import time
import tomllib

import programs

sys.path.insert(0, str(programs.ROOT / "tests" / "guests"))

import agent_client  # noqa: E402
import cache  # noqa: E402
import guest as guests  # noqa: E402
import qemu_machine  # noqa: E402

# How viv is told to use a tier, slowest first: the last one that takes part is the one that must reach the goals. A new
# tier is a row here.
TIERS = {"interpreter": ["--jit", "off"], "quick": ["--jit", "quick"], "full": ["--jit", "full"]}
BASELINE = next(iter(TIERS))
CLOCK_TOLERANCE = 0.01
LIMIT = 900  # seconds for one run of one program, and for a boot
UPTIME_STEP = 0.01  # seconds, of /proc/uptime


def name_of(tier: str) -> str:
    """The engine's name in tables and results."""
    return f"viv {tier}"


def ready_of(guest: str) -> dict:
    return tomllib.loads((guests.build(guest) / "ready.toml").read_text(encoding="utf-8"))


@dataclasses.dataclass(frozen=True)
class Run:
    iterations: int
    seconds: float    # by the clock of the machine it ran on
    checksum: str

    @property
    def each(self) -> float:
        return self.seconds / self.iterations


@dataclasses.dataclass(frozen=True)
class Setup:
    """What is booted: the guest, how many harts run in parallel, a disk beside its own (writes are discarded), the
    program that is copied to /tmp/bench, and what is waited for before the machine counts as booted."""

    guest: str
    harts: int = 1
    disk: pathlib.Path | None = None
    program: pathlib.Path | None = None
    prompt: str = ""
    viv_options: tuple[str, ...] = ("--net", "none")
    qemu_options: tuple[str, ...] = ()


def parse(output: str, name: str, iterations: int, where: str) -> Run:
    words = output.split()
    if len(words) != 4 or words[0] != name or words[1] != str(iterations):
        raise cache.UserError(f"{where}: {name} has failed; it printed: {output.strip()[-200:] or 'nothing'}")
    return Run(iterations, float(words[2]), words[3])


def clock_error(start: tuple[float, float, float], end: tuple[float, float, float]) -> float:
    """By how many seconds a second the guest's clock is wrong for certain; both as by Guest.clocks."""
    passed = end[0] - start[0]
    return max(0.0, abs(end[1] - start[1] - passed) - start[2] - end[2]) / passed


class Native:
    name = "native"

    def __init__(self, program: pathlib.Path):
        self.program = program

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def run(self, name: str, iterations: int) -> Run:
        return self.run_together(name, iterations, 1)[0]

    def run_together(self, name: str, iterations: int, count: int) -> list[Run]:
        """`count` processes of the same at the same time."""
        running = [subprocess.Popen([str(self.program), name, str(iterations)], stdout=subprocess.PIPE,
                                    stderr=subprocess.STDOUT, text=True) for _ in range(count)]
        try:
            return [parse(process.communicate(timeout=LIMIT)[0], name, iterations, self.name) for process in running]
        finally:
            for process in running:
                process.kill()
                process.wait()


class Guest:
    """What the guests have in common: a shell command that prints something, and the clock's check."""

    name: str
    boot = float("nan")  # seconds from the start of the process to the prompt that was waited for

    def command(self, text: str) -> str:
        raise NotImplementedError

    def run(self, name: str, iterations: int) -> Run:
        return self.run_together(name, iterations, 1)[0]

    def run_together(self, name: str, iterations: int, count: int) -> list[Run]:
        one = f"/tmp/bench {name} {iterations} 2>&1"
        lines = self.command(one if count == 1 else " & ".join([one] * count) + " & wait").splitlines()
        if len(lines) != count:
            raise cache.UserError(f"{self.name}: {name} has failed; it printed: {' '.join(lines)[-200:] or 'nothing'}")
        return [parse(line, name, iterations, self.name) for line in lines]

    def programs(self) -> set[str]:
        """Those that there are for its instruction set."""
        return {line.split()[0] for line in self.command("/tmp/bench list").splitlines()}

    def start_clock(self) -> None:
        # The agent may begin to answer long after the prompt was there.
        self.command(":")
        self.clock_start = self.clocks()

    def clocks(self) -> tuple[float, float, float]:
        """The host's seconds and the guest's, and how far they may be apart because asking takes a while."""
        before = time.monotonic()
        guest = float(self.command("cat /proc/uptime").split()[0])
        half = (time.monotonic() - before) / 2
        return before + half, guest, half + UPTIME_STEP

    def extensions(self) -> str:
        """The instruction set as the guest's kernel names it."""
        return self.command("sed -n 's/^isa[^:]*: *//p' /proc/cpuinfo").split("\n")[0]

    def check_clock(self) -> None:
        error = clock_error(self.clock_start, self.clocks())
        if error > CLOCK_TOLERANCE:
            raise cache.UserError(f"{self.name}: its clock is wrong by {100 * error:.1f} % of the time; nothing it has "
                                  "measured means anything")


class Viv(Guest):
    """A shell in the guest at the other end of `viv exec`'s standard streams; the console comes on standard error."""

    END = "--end-of-the-command--"

    def __init__(self, viv: pathlib.Path, tier: str, setup: Setup):
        self.name = name_of(tier)
        self.setup = setup
        options = list(TIERS[tier])
        if setup.harts > 1:
            options += ["--cpus", str(setup.harts), "--harts", "parallel"]
        if setup.disk:
            options += ["--disk", f"file={quoted(setup.disk)},format=raw,snapshot=on"]
        if setup.program:
            options += ["--copy-in", f"{setup.program}:/tmp/bench"]
        self.start = time.monotonic()
        self.process = subprocess.Popen([str(viv), "exec", "--verbose", *setup.viv_options, *options, setup.guest, "--", "sh"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.output = self.console = b""

    def __enter__(self):
        try:
            if self.setup.prompt:
                self.read_until("console", self.setup.prompt.encode(), "boot")
                self.boot = time.monotonic() - self.start
            if self.setup.program:
                self.command("chmod 755 /tmp/bench")
            self.start_clock()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def read_until(self, stream: str, end: bytes, what: str) -> bytes:
        """What came on "output" or "console" up to `end`, which is taken off too."""
        deadline = time.monotonic() + LIMIT
        pipes = {self.process.stdout.fileno(): "output", self.process.stderr.fileno(): "console"}
        while end not in getattr(self, stream):
            left = deadline - time.monotonic()
            readable = select.select(list(pipes), [], [], left)[0] if left > 0 else []
            if not readable:
                raise cache.UserError(f"{self.name}: no answer in {LIMIT} s to: {what}")
            for pipe in readable:
                data = os.read(pipe, 65536)
                if not data:
                    said = self.console.decode("utf-8", "replace").strip()
                    raise cache.UserError(f"{self.name}: has ended before its time: {said[-300:] or 'without a word'}")
                setattr(self, pipes[pipe], getattr(self, pipes[pipe]) + data)
        before, _, after = getattr(self, stream).partition(end)
        setattr(self, stream, after)
        return before

    def command(self, text: str) -> str:
        # A line of its own: a command may end with a & or in the middle of a line.
        self.process.stdin.write(f"{text}\necho {self.END}\n".encode())
        self.process.stdin.flush()
        return self.read_until("output", f"{self.END}\n".encode(), text).decode("utf-8", "replace")


class Qemu(Guest):
    name = "qemu"

    def __init__(self, setup: Setup):
        self.setup = setup
        options = ["-accel", f"tcg,thread={'multi' if setup.harts > 1 else 'single'}"]
        if setup.disk:
            options += ["-drive", f"if=none,id=beside,format=raw,snapshot=on,file={quoted(setup.disk)}",
                        "-device", "virtio-blk-pci,drive=beside"]
        options += setup.qemu_options
        # A guest that is waited for by its prompt has to show one.
        append = "" if setup.prompt else ready_of(setup.guest)["exec"]["append"]
        self.machine = qemu_machine.Machine(setup.guest, append=append, options=options, cpus=setup.harts,
                                            seconds=LIMIT)

    def __enter__(self):
        try:
            if self.setup.prompt:
                self.machine.expect(re.escape(self.setup.prompt))
                self.boot = self.machine.seconds()
            self.machine.agent.hello()
            if self.setup.program:
                self.machine.agent.put(self.setup.program, "/tmp/bench")
                self.command("chmod 755 /tmp/bench")
            self.start_clock()
        except (AssertionError, agent_client.AgentError) as error:
            self.machine.__exit__()
            raise cache.UserError(f"qemu: {error}") from error
        except BaseException:
            self.machine.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.machine.__exit__()

    def command(self, text: str) -> str:
        return self.machine.agent.run(["sh", "-c", text], timeout=LIMIT).stdout.decode("utf-8", "replace")


def quoted(path: pathlib.Path) -> str:
    """A comma in a value of an option is written twice, for QEMU and for viv."""
    return str(path).replace(",", ",,")


def boot_together(makers: list, stack: contextlib.ExitStack) -> list:
    """Boots them all at once, which nobody may be timing."""
    machines = []
    for make in makers:
        machines.append(make())
        stack.push(machines[-1])
    return [machine.__enter__() for machine in machines]


def machines_of(options, setup: Setup) -> list:
    """A maker for each machine of the run; what it makes is booting, and has booted when it is entered."""
    makers = [lambda tier=tier: Viv(options.viv, tier, setup) for tier in options.tier]
    return makers if options.no_qemu else [*makers, lambda: Qemu(setup)]


def rotated(items: list, by: int) -> list:
    """Nobody is always the first after a pause."""
    by %= max(1, len(items))
    return items[by:] + items[:by]
