#!/usr/bin/env python3
"""./dev bench: the same work on this machine, under viv and under QEMU, interleaved in one run.

Its parts are PARTS; with --web the C programs in tabs of a browser, against v86, instead. Everything runs on every engine in every round. An engine that computes another
result than the others, or whose clock does not keep time, fails the run.
"""

import argparse
import datetime
import os
import pathlib
import platform
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import programs
import cache
import disks
import engines
import footprint
import goals
import interleave
import network
import peers
import real_programs
import report
import published
import saved
import tabs

GUEST = "linux-riscv64"
ARCHITECTURE = "riscv64"
PARTS = {"programs": "the C programs", "footprint": "booting, memory, idling and two busy harts",
         "saved": "saving machines and opening them", "network": "networks", "disks": "disks and the conversion of images", "real": "Debian's programs in its disk guest"}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench", description="Measure viv, QEMU and this machine, interleaved.",
                                     epilog=f"Parts: {'; '.join(f'{name}: {what}' for name, what in PARTS.items())}.")
    parser.add_argument("--tier", action="append", choices=list(engines.TIERS), help="a tier of viv (default: all)")
    parser.add_argument("--only", action="append", choices=list(PARTS), help="only this part; may be repeated")
    for name, what in PARTS.items():
        parser.add_argument(f"--no-{name}", action="store_true", help=f"without {what}")
    parser.add_argument("--program", action="append", metavar="NAME",
                        help="only these programs, in C or real ones; the part without any is left out")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="rounds (default 3)")
    parser.add_argument("--seconds", type=float, default=1.0, metavar="S",
                        help="length of one run of a C program (default 1)")
    parser.add_argument("--quick", action="store_true", help="one round of short runs; nothing is written")
    parser.add_argument("--no-qemu", action="store_true", help="without QEMU")
    parser.add_argument("--web", action="store_true", help="instead of all that: the C programs in tabs of Chromium, against v86 and the native JIT")
    parser.add_argument("--site", type=pathlib.Path, default=programs.ROOT / "build/web/site", help=argparse.SUPPRESS)
    parser.add_argument("--output", type=pathlib.Path, default=programs.ROOT / "site" / "bench", metavar="FOLDER",
                        help="where the tables go (default site/bench)")
    parser.add_argument("--viv", type=pathlib.Path, default=programs.ROOT / "build/release/bin/viv",
                        help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rounds < 1 or not 0.01 <= options.seconds <= 60:
        parser.error("--rounds is at least 1, --seconds 0.01 to 60")
    if options.quick:
        options.rounds, options.seconds = 1, min(options.seconds, 0.2)
    # In the order of the table, each once.
    options.tier = [tier for tier in engines.TIERS if not options.tier or tier in options.tier]
    options.parts = [name for name in options.only or PARTS if not getattr(options, f"no_{name}")]
    options.tabs = options.tier if options.web else []
    if options.web:
        options.parts, options.no_qemu, options.tier = ["programs"], True, list(engines.TIERS)[-1:]
    if not options.parts:
        parser.error(f"nothing is left to be measured; there are {', '.join(PARTS)}")
    return options


def output_of(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=programs.ROOT)
    return done.stdout.strip()


def processor() -> str:
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        models = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    return f"{models[0] if models else platform.machine()}, {os.cpu_count()} cores seen"


def versions(options) -> dict[str, str]:
    found = {"viv": output_of(str(options.viv), "version"), "processor": processor(),
             "host kernel": platform.release().partition("-")[0]}
    if not options.no_qemu:
        qemu = peers.build(cache.Steps("peers")) / "bin" / "qemu-system-riscv64"
        found["QEMU"] = output_of(str(qemu), "--version").splitlines()[0].removeprefix("QEMU emulator version ")
    found["guest"] = ", ".join(f"{row['name']} {row['version']}" for row in engines.ready_of(GUEST)["package"])
    if options.web:
        found |= tabs.versions()
    for architecture in (programs.HOST, ARCHITECTURE, *([tabs.V86_ARCHITECTURE] if options.web else [])):
        found[f"compiler, {architecture}"] = f"{programs.compiler_version(architecture)} {' '.join(programs.OPTIONS)}"
    return found


def chosen(options) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The C programs and the real ones that are to run, each with its group."""
    in_c, real = programs.names(programs.build(programs.HOST)), real_programs.names()
    known = dict(in_c + real)
    for name in options.program or []:
        if name not in known:
            raise cache.UserError(f"--program {name}: no such program; there are {', '.join(known)}")

    def of_part(part: str, rows: list[tuple[str, str]]) -> list[tuple[str, str]]:
        return [row for row in rows if part in options.parts and (not options.program or row[0] in options.program)]

    return of_part("programs", in_c), of_part("real", real)


def measure(options, result: dict, steps: cache.Steps) -> None:
    wanted, real = chosen(options)
    if options.program and not wanted and not real and "footprint" not in options.parts:
        raise cache.UserError(f"--program {' '.join(options.program)}: in none of the parts that are to run")
    native, guest_program = engines.Native(programs.build(programs.HOST)), programs.build(ARCHITECTURE)
    if wanted and options.web:
        with tabs.Site(options.site, tabs.places(steps)) as address:
            interleave.programs(options, wanted, native, guest_program, GUEST, result, steps, tabs.makers(address, options.tabs))
    elif wanted:
        interleave.programs(options, wanted, native, guest_program, GUEST, result, steps)
    if "footprint" in options.parts:
        footprint.measure_all(options, GUEST, result["footprints"], steps)
        interleave.scaling(options, native, guest_program, GUEST, result, steps)
    if "saved" in options.parts and not options.program:
        saved.measure_all(options, GUEST, result["saved"], steps)
        result["published"] = published.measure_all(options, GUEST, steps)
    if "network" in options.parts and not options.program:
        network.measure_all(options, result["network"], steps)
    if "disks" in options.parts and not options.program:
        disks.measure_all(options, result, steps)
    if real or "footprint" in options.parts:
        real_programs.measure(options, real, result, steps)


def main() -> int:
    options = arguments()
    if options.web and not (options.site / "vivarium" / "vivarium.wasm").exists():
        raise cache.UserError(f"{options.site}: holds no built site; ./dev web build makes one")
    if not options.viv.exists():
        raise cache.UserError(f"{options.viv}: not built; ./dev build builds it")
    steps = cache.Steps("bench")
    load = os.getloadavg()[0]
    now = datetime.datetime.now(datetime.timezone.utc)
    result = {
        "format": report.FORMAT, "date": now.date().isoformat(), "time": now.isoformat(timespec="seconds"),
        "commit": output_of("git", "rev-parse", "--short=9", "HEAD") or "unknown",
        "changed": bool(output_of("git", "status", "--porcelain", "--untracked-files=no", "--",
                                  "engine", "native", "guests")),
        "versions": versions(options), "load": load, "rounds": options.rounds,
        "seconds": options.seconds, "guest": GUEST,
        "engines": ["native", *map(engines.name_of, options.tier), *([] if options.no_qemu else ["qemu"]),
                    *map(tabs.name_of, options.tabs), *([report.V86] if options.web else [])],
        "programs": [], "footprints": {}, "saved": {}, "published": [], "network": {}, "disks": {}, "conversions": {}, "scaling": {}, "boots": {}, "real": [],
    }
    measure(options, result, steps)
    result["goals"] = goals.judged(result)
    print(report.markdown(result))
    if not options.quick:
        for path in report.write(result, options.output):
            steps.say(f"written: {path}")
    return 0


if __name__ == "__main__":
    cache.command_line(main)
