#!/usr/bin/env python3
"""./dev bench: the same programs on this machine, under viv and under QEMU, interleaved in one run.

Each program runs on every engine in every round, so that what disturbs the machine disturbs all alike. How many
iterations a run has is found for each engine, so that one takes about --seconds; compared are times per iteration. An
engine that computes another checksum than this machine, or whose clock does not keep time, fails the run.
"""

import argparse
import contextlib
import datetime
import os
import pathlib
import platform
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import programs
import cache
import engines
import footprint
import peers
import report

GUEST = "linux-riscv64"
ARCHITECTURE = "riscv64"
CLOCK_TOLERANCE = 0.01


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench", description="Measure viv, QEMU and this machine, interleaved.")
    parser.add_argument("--tier", action="append", choices=sorted(engines.TIERS), help="a tier of viv (default: all)")
    parser.add_argument("--program", action="append", metavar="NAME", help="only these programs")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="rounds (default 3)")
    parser.add_argument("--seconds", type=float, default=1.0, metavar="S", help="length of one run (default 1)")
    parser.add_argument("--quick", action="store_true", help="one round of short runs; nothing is written")
    parser.add_argument("--no-qemu", action="store_true", help="without QEMU")
    parser.add_argument("--no-footprint", action="store_true", help="without boot time, memory and idling")
    parser.add_argument("--no-programs", action="store_true", help="boot time, memory and idling only")
    parser.add_argument("--output", type=pathlib.Path, default=programs.ROOT / "site" / "bench", metavar="FOLDER",
                        help="where the tables go (default site/bench)")
    parser.add_argument("--viv", type=pathlib.Path, default=programs.ROOT / "build/release/bin/viv", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rounds < 1 or not 0.01 <= options.seconds <= 60:
        parser.error("--rounds is at least 1, --seconds 0.01 to 60")
    if options.quick:
        options.rounds, options.seconds = 1, min(options.seconds, 0.2)
    return options


def output_of(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=programs.ROOT)
    return done.stdout.strip()


def processor() -> str:
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        models = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    return f"{models[0] if models else platform.machine()}, {os.cpu_count()} cores seen"


def versions(viv: pathlib.Path, with_qemu: bool) -> dict[str, str]:
    found = {"viv": output_of(str(viv), "version"), "processor": processor(), "host kernel": platform.release().partition("-")[0]}
    if with_qemu:
        qemu = peers.build(cache.Steps("peers")) / "bin" / "qemu-system-riscv64"
        found["QEMU"] = output_of(str(qemu), "--version").splitlines()[0].removeprefix("QEMU emulator version ")
    found["guest"] = ", ".join(f"{row['name']} {row['version']}" for row in footprint.ready_of(GUEST)["package"])
    for architecture in (programs.HOST, ARCHITECTURE):
        found[f"compiler, {architecture}"] = f"{programs.compiler_version(architecture)} {' '.join(programs.OPTIONS)}"
    return found


def calibrate(engine, name: str, seconds: float) -> int:
    """Iterations that take about so long. A first short run may mostly be translation, so a second one corrects it."""
    iterations = 1
    for share in (0.2, 1.0):
        each = max(engine.run(name, iterations).each, 1e-7)
        iterations = max(1, round(share * seconds / each))
        if iterations == 1:
            break
    return iterations


def measure_programs(options, stack: contextlib.ExitStack, steps: cache.Steps, wanted: list[tuple[str, str]],
                     rows: list[dict]) -> list[str]:
    """Fills `rows`; returns the engines' names."""
    machines = [engines.Native(programs.build(programs.HOST))]
    with steps.step("booting the guests"):
        machines += [stack.enter_context(engines.Viv(options.viv, tier, GUEST, programs.build(ARCHITECTURE)))
                     for tier in options.tier]
        if not options.no_qemu:
            machines.append(stack.enter_context(engines.Qemu(GUEST, programs.build(ARCHITECTURE))))
    iterations: dict[tuple[str, str], int] = {}
    for name, group in wanted:
        with steps.step(f"{name}: how many iterations"):
            for machine in machines:
                iterations[machine.name, name] = calibrate(machine, name, options.seconds)
        rows.append({"name": name, "group": group, "runs": {machine.name: [] for machine in machines}})
    for turn in range(options.rounds):
        with steps.step(f"round {turn + 1} of {options.rounds}"):
            for place, row in enumerate(rows):
                # Nobody is always the first after a pause.
                order = machines[turn % len(machines):] + machines[:turn % len(machines)]
                for machine in order:
                    steps.percent(f"round {turn + 1}: {row['name']} on {machine.name}", 100 * place / len(rows))
                    run = machine.run(row["name"], iterations[machine.name, row["name"]])
                    row["runs"][machine.name].append({"iterations": run.iterations, "seconds": run.seconds,
                                                      "checksum": run.checksum})
            steps.clear()
    for row in rows:
        sums = {run["checksum"] for runs in row["runs"].values() for run in runs}
        if len(sums) != 1:
            raise cache.UserError(f"{row['name']}: the engines do not agree on the result: " +
                                  ", ".join(f"{engine} {runs[0]['checksum']}" for engine, runs in row["runs"].items()))
    for machine in machines[1:]:
        error = machine.clock_error()
        if error > CLOCK_TOLERANCE:
            raise cache.UserError(f"{machine.name}: its clock is wrong by {100 * error:.1f} % of the time; nothing it has "
                                  "measured means anything")
    return [machine.name for machine in machines]


def measure_footprints(options, steps: cache.Steps) -> dict[str, list[dict]]:
    ready = footprint.ready_of(GUEST)
    ram = footprint.ram_bytes(ready["machine"]["memory"])
    found: dict[str, list[dict]] = {}
    for turn in range(options.rounds):
        last = turn == options.rounds - 1
        idle_seconds = (2.0 if options.quick else 10.0) if last else 0.0
        with steps.step(f"booting to the shell, round {turn + 1} of {options.rounds}"):
            booted = [(f"viv {tier}", footprint.booted_viv(options.viv, tier, GUEST, ready)) for tier in options.tier]
            if not options.no_qemu:
                booted.append(("qemu", footprint.booted_qemu(GUEST, ready)))
            for name, machine in booted:
                measured = footprint.measure(machine, ram, idle_seconds)
                found.setdefault(name, []).append({"boot": measured.boot, "memory": measured.memory,
                                                   "idle": measured.idle if idle_seconds else None})
    return found


def main() -> int:
    options = arguments()
    options.tier = options.tier or sorted(engines.TIERS)
    if not options.viv.exists():
        raise cache.UserError(f"{options.viv}: not built; ./dev build builds it")
    steps = cache.Steps("bench")
    known = programs.names(programs.build(programs.HOST))
    for name in options.program or []:
        if name not in dict(known):
            raise cache.UserError(f"--program {name}: no such program; there are {', '.join(dict(known))}")
    wanted = [] if options.no_programs else [row for row in known if not options.program or row[0] in options.program]
    load = os.getloadavg()[0]
    now = datetime.datetime.now(datetime.timezone.utc)
    result = {
        "format": report.FORMAT, "date": now.date().isoformat(), "time": now.isoformat(timespec="seconds"),
        "commit": output_of("git", "rev-parse", "--short=9", "HEAD") or "unknown",
        "changed": bool(output_of("git", "status", "--porcelain", "--untracked-files=no", "--", "engine", "native", "guests")),
        "versions": versions(options.viv, not options.no_qemu), "load": load, "rounds": options.rounds,
        "seconds": options.seconds, "guest": GUEST, "programs": [], "engines": ["native"], "footprints": {},
    }
    if wanted:
        with contextlib.ExitStack() as stack:
            result["engines"] = measure_programs(options, stack, steps, wanted, result["programs"])
    if not options.no_footprint:
        result["footprints"] = measure_footprints(options, steps)
        result["engines"] += [name for name in result["footprints"] if name not in result["engines"]]
    result["goals"] = report.goals(result)
    print(report.markdown(result))
    if not options.quick:
        for path in report.write(result, options.output):
            steps.say(f"written: {path}")
    return 0


if __name__ == "__main__":
    cache.command_line(main)
