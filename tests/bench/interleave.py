"""The C programs: each on every engine in every round, so that what disturbs the machine disturbs all alike; and how
much more two of them at once get done on two harts than one alone.

Promises: how many iterations a run has is found for each engine, so that one takes about as long as asked; engines that
disagree on a result fail the run.
"""

import contextlib
import pathlib

import cache
import engines

SCALED = "sha256"  # computes, and hardly touches memory: what limits it is the machine's harts


def calibrate(engine, name: str, seconds: float) -> int:
    """Iterations that take about so long. A first short run may mostly be translation, so a second one corrects it."""
    iterations = 1
    for share in (0.2, 1.0):
        each = max(engine.run(name, iterations).each, 1e-7)
        iterations = max(1, round(share * seconds / each))
        if iterations == 1:
            break
    return iterations


def record(run: engines.Run) -> dict:
    return {"iterations": run.iterations, "seconds": run.seconds, "checksum": run.checksum}


def note_extensions(result: dict, machines: list[engines.Guest]) -> None:
    """Two machines need not have the same instructions, and a guest's kernel and libraries choose by them."""
    for machine in machines:
        result["versions"].setdefault(f"extensions, {machine.name.split()[0]}", machine.extensions())


def agree(row: dict) -> None:
    if len({run["checksum"] for runs in row["runs"].values() for run in runs}) != 1:
        raise cache.UserError(f"{row['name']}: the engines do not agree on the result: " +
                              ", ".join(f"{engine} {runs[0]['checksum']}" for engine, runs in row["runs"].items()))


def rounds(count: int, rows: list[dict], machines: list, steps: cache.Steps, run_one) -> None:
    """Adds to each row, for each machine, `count` runs: `run_one(machine, row)`."""
    for turn in range(count):
        with steps.step(f"round {turn + 1} of {count}"):
            for place, row in enumerate(rows):
                for machine in engines.rotated(machines, turn):
                    steps.percent(f"round {turn + 1}: {row['name']} on {machine.name}", 100 * place / len(rows))
                    row["runs"][machine.name].append(record(run_one(machine, row)))
            steps.clear()
    for row in rows:
        agree(row)


def programs(options, wanted: list[tuple[str, str]], native: engines.Native, guest_program: pathlib.Path, guest: str,
             result: dict, steps: cache.Steps, more: list = ()) -> None:
    """Fills result["programs"]. `more`: makers of other machines that take part."""
    setup = engines.Setup(guest, program=guest_program)
    rows = result["programs"]
    iterations: dict[tuple[str, str], int] = {}
    with contextlib.ExitStack() as stack:
        with steps.step("booting the guests"):
            booted = engines.boot_together([*engines.machines_of(options, setup), *more], stack)
        machines = [native, *booted]
        note_extensions(result, booted)
        everywhere = set.intersection(*(machine.programs() for machine in booted))
        for name, group in [row for row in wanted if row[0] in everywhere]:
            with steps.step(f"{name}: how many iterations"):
                for machine in machines:
                    iterations[machine.name, name] = calibrate(machine, name, options.seconds)
            rows.append({"name": name, "group": group, "runs": {machine.name: [] for machine in machines}})
        rounds(options.rounds, rows, machines, steps,
               lambda machine, row: machine.run(row["name"], iterations[machine.name, row["name"]]))
        for machine in booted:
            machine.check_clock()


def scaling(options, native: engines.Native, guest_program: pathlib.Path, guest: str, result: dict,
            steps: cache.Steps) -> None:
    """Fills result["scaling"]: for each engine how many times as much two at once get done."""
    setup = engines.Setup(guest, harts=2, program=guest_program)
    found: dict[str, list[float]] = {}
    with contextlib.ExitStack() as stack, steps.step("two busy harts against one"):
        booted = engines.boot_together(engines.machines_of(options, setup), stack)
        machines = [native, *booted]
        iterations = {machine.name: calibrate(machine, SCALED, options.seconds) for machine in machines}
        for turn in range(options.rounds):
            for machine in engines.rotated(machines, turn):
                count = iterations[machine.name]
                one = machine.run(SCALED, count)
                both = machine.run_together(SCALED, count, 2)
                # Work done a second; each by its own time, as one may begin a little later.
                found.setdefault(machine.name, []).append(sum(one.each / run.each for run in both))
        for machine in booted:
            machine.check_clock()
    result["scaling"] = {"program": SCALED, "runs": found}
