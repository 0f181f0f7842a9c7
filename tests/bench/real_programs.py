"""The guest with a disk: its boot to the login, the first program after it, and real programs of Debian at work.

Promises: viv and the peer QEMU have the same two disks, the guest's own and the one with the programs, and drop what is
written to them; a program's work is fixed and its result checked; the times are the guest's own. There is no column of
this machine itself: it has other versions of these programs.
"""

import contextlib
import pathlib
import subprocess
import tomllib

import cache
import engines
import interleave
import program_disk

GUEST = "debian-riscv64"
ARCHITECTURE = "riscv64"
FIRST = "first"  # the group of what runs right after the boot and only then
VERSIONS = ("gzip", "xz-utils", "sqlite3", "python3.13", "gcc-14", "openssl")


def names() -> list[tuple[str, str]]:
    """(program, group), in the order of the script that runs them."""
    script = program_disk.SOURCE / "work" / "run"
    done = subprocess.run(["bash", str(script), "list"], capture_output=True, text=True, check=True)
    return [(name, group) for name, group in map(str.split, done.stdout.splitlines())]


def run(machine: engines.Guest, name: str) -> engines.Run:
    return engines.parse(machine.command(f"/mnt/work/enter /work/run {name} 2>&1"), name, 1, machine.name)


def read_once(path: pathlib.Path) -> None:
    """So that the first of the engines does not pay for this machine's own disk."""
    with open(path, "rb", buffering=0) as file:
        while file.read(1 << 24):
            pass


def measure(options, wanted: list[tuple[str, str]], result: dict, steps: cache.Steps) -> None:
    """Fills result["boots"] and result["real"]. Without `wanted` it boots, and no more."""
    disk = None
    if wanted:
        folder = program_disk.build(ARCHITECTURE)
        disk = folder / "disk.raw"
        packages = tomllib.loads((folder / "packages.toml").read_text(encoding="utf-8"))["package"]
        result["versions"]["real programs"] = ", ".join(f"{row['name']} {row['version']}" for row in packages
                                                        if row["name"] in VERSIONS)
    ready = engines.ready_of(GUEST)
    for path in [*(pathlib.Path(row["file"]) for row in ready["disk"]), *([disk] if disk else [])]:
        read_once(path)
    setup = engines.Setup(GUEST, disk=disk, prompt=ready["console"]["ready"])
    makers = engines.machines_of(options, setup)
    first = [{"name": name, "group": group, "runs": {}} for name, group in wanted if group == FIRST]
    rows = [{"name": name, "group": group, "runs": {}} for name, group in wanted if group != FIRST]
    boots = result["boots"].setdefault(GUEST, {})
    for turn in range(options.rounds):
        at_end = bool(rows) and turn == options.rounds - 1
        kept: list[engines.Guest] = []
        with contextlib.ExitStack() as stack:
            with steps.step(f"booting {GUEST} to the login{' and its first program' if first else ''}, "
                            f"round {turn + 1} of {options.rounds}"):
                for make in engines.rotated(makers, turn):
                    with contextlib.ExitStack() as own:
                        machine = own.enter_context(make())
                        boots.setdefault(machine.name, []).append(machine.boot)
                        interleave.note_extensions(result, [machine])
                        if disk:
                            machine.command("mount -o noatime -L programs /mnt && /mnt/work/enter")
                        for row in first:
                            done = interleave.record(run(machine, row["name"]))
                            row["runs"].setdefault(machine.name, []).append(done)
                        if at_end:
                            kept.append(machine)
                            stack.push(own.pop_all())
            if at_end:
                at_work(options.rounds, rows, kept, steps)
            for machine in kept:
                machine.check_clock()
    for row in first:
        interleave.agree(row)
    result["real"] = first + rows


def at_work(count: int, rows: list[dict], machines: list, steps: cache.Steps) -> None:
    for row in rows:
        row["runs"] = {machine.name: [] for machine in machines}
        # Not timed: the page cache, Python's compiled modules and the translations are there when it counts.
        with steps.step(f"{row['name']}: a first time"):
            for machine in machines:
                run(machine, row["name"])
    interleave.rounds(count, rows, machines, steps, lambda machine, row: run(machine, row["name"]))
