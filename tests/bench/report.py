"""From measurements to ratios, tables and the page's history.

Promises: medians over the rounds, geometric means of ratios; the JSON holds every single measurement, so that another
table can be made of it later; files are written whole or not at all. The JSON's fields are described in site/guide/bench.md.
"""

import json
import math
import pathlib
import statistics

import cache

FORMAT = 1
# Rows that are averaged: title -> groups.
MEANS = {
    "integer": ("integer",),
    "floating point": ("float",),
    "memory": ("memory",),
    "control flow": ("control",),
    "system": ("system",),
    "integer, memory and control flow": ("integer", "memory", "control"),
    "all": ("integer", "float", "memory", "control", "system"),
}


def geometric_mean(values: list[float]) -> float:
    return math.exp(statistics.fmean(map(math.log, values))) if values else math.nan


def medians(result: dict) -> dict[str, dict[str, float]]:
    """program -> engine -> median seconds of an iteration."""
    return {row["name"]: {engine: statistics.median(run["seconds"] / run["iterations"] for run in runs)
                          for engine, runs in row["runs"].items()} for row in result["programs"]}


def ratios(result: dict, engine: str, base: str) -> dict[str, float]:
    """program -> how many times slower `engine` is than `base`."""
    return {name: times[engine] / times[base] for name, times in medians(result).items()
            if engine in times and base in times}


def means(result: dict, engine: str, base: str) -> dict[str, float]:
    """title -> geometric mean; only of groups that have a program."""
    of_program = ratios(result, engine, base)
    found = {}
    for title, groups in MEANS.items():
        values = [of_program[row["name"]] for row in result["programs"] if row["group"] in groups and row["name"] in of_program]
        if values:
            found[title] = geometric_mean(values)
    return found


def number(value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def duration(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} us"


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def engines_of(result: dict) -> list[str]:
    return result["engines"]


def markdown(result: dict) -> str:
    tiers = [engine for engine in engines_of(result) if engine.startswith("viv ")]
    others = [engine for engine in engines_of(result) if engine != "native"]
    base_qemu = "qemu" in engines_of(result)
    text = f"# Benchmark of {result['date']}, commit {result['commit']}{' with changes' if result['changed'] else ''}\n\n"
    versions = result["versions"]
    text += table(["what", "version"], [[name, value] for name, value in versions.items()]) + "\n"
    text += (f"{result['rounds']} rounds, interleaved; the medians of the time for one iteration, and how many times longer it "
             "takes than natively. Differences below 1.3 are noise on a shared machine; times are worth nothing without "
             "the ratios from the same run.\n")
    if result["load"] > 0.5:
        text += f"\nThe machine was busy with something else: its load was {result['load']:.1f} when this began.\n"
    text += "\n## Programs\n\n"
    head = ["program", "group", "native"] + [f"{engine} / native" for engine in others]
    if base_qemu:
        head += [f"qemu / {tier}" for tier in tiers]
    columns = [ratios(result, engine, "native") for engine in others]
    against = [ratios(result, "qemu", tier) for tier in tiers] if base_qemu else []
    native = {name: times["native"] for name, times in medians(result).items()}
    rows = []
    for row in result["programs"]:
        name = row["name"]
        rows.append([name, row["group"], duration(native[name])] +
                    [number(column.get(name, math.nan)) for column in [*columns, *against]])
    text += table(head, rows)
    text += "\n## Geometric means\n\n"
    head = ["programs"] + [f"{engine} / native" for engine in others] + ([f"qemu / {tier}" for tier in tiers] if base_qemu else [])
    mean_columns = [means(result, engine, "native") for engine in others]
    mean_columns += [means(result, "qemu", tier) for tier in tiers] if base_qemu else []
    rows = [[title] + [number(column.get(title, math.nan)) for column in mean_columns]
            for title in MEANS if any(title in column for column in mean_columns)]
    text += table(head, rows)
    if result["footprints"]:
        text += "\n## Booting and idling\n\n"
        text += (f"`{result['guest']}`: seconds from the start of the process to the shell's prompt, memory beyond the guest's RAM, share of "
                 "a core while nothing happens; medians.\n\n")
        rows = []
        for engine, runs in result["footprints"].items():
            rows.append([engine] + footprint_cells(runs))
        text += table(["machine", "boot", "memory", "idle"], rows)
    if result["goals"]:
        text += "\n## Goals\n\n"
        text += table(["goal", "figure", "reached"], [[goal["text"], goal["figure"], "yes" if goal["reached"] else "**no**"]
                                                      for goal in result["goals"]])
    return text


def footprint_cells(runs: list[dict]) -> list[str]:
    boot = statistics.median(run["boot"] for run in runs)
    memory = statistics.median(run["memory"] for run in runs)
    idle = [run["idle"] for run in runs if run["idle"] is not None]
    return [f"{boot:.2f} s", f"{memory / (1 << 20):.0f} MiB", f"{100 * statistics.median(idle):.1f} %" if idle else "-"]


def goals(result: dict) -> list[dict]:
    """The figures that the interpreter has to reach, as far as this run has measured them."""
    found = []

    def goal(text: str, figure: str, reached: bool) -> None:
        found.append({"text": text, "figure": figure, "reached": reached})

    engine = "viv interpreter"
    if engine in engines_of(result) and "native" in engines_of(result):
        integer = means(result, engine, "native").get("integer")
        if integer:
            goal("integer programs at most 35 times slower than natively", number(integer), integer <= 35)
    footprints = result["footprints"]
    if engine in footprints:
        of_viv = footprints[engine]
        boot = statistics.median(run["boot"] for run in of_viv)
        if "qemu" in footprints:
            by = boot / statistics.median(run["boot"] for run in footprints["qemu"])
            goal("boot to the shell at most 2 times as long as QEMU", number(by), by <= 2)
        memory = statistics.median(run["memory"] for run in of_viv) / (1 << 20)
        goal("memory beyond the guest's RAM under 64 MiB", f"{memory:.0f} MiB", memory < 64)
        idle = [run["idle"] for run in of_viv if run["idle"] is not None]
        if idle:
            goal("an idle guest costs under 2 % of a core", f"{100 * statistics.median(idle):.1f} %", statistics.median(idle) < 0.02)
    return found


def summary(result: dict) -> dict:
    """What the page draws of one run."""
    tiers = [engine for engine in engines_of(result) if engine != "native"]
    boots = {engine: statistics.median(run["boot"] for run in runs) for engine, runs in result["footprints"].items()}
    return {"date": result["date"], "commit": result["commit"], "file": base_name(result),
            "means": {engine: means(result, engine, "native") for engine in tiers}, "boots": boots}


def base_name(result: dict) -> str:
    return f"{result['date']}-{result['commit']}"


def write(result: dict, folder: pathlib.Path) -> list[pathlib.Path]:
    """NAME.json, NAME.md, and history.js anew from all JSON files that are there."""
    folder.mkdir(parents=True, exist_ok=True)
    name = base_name(result)
    cache.write_atomically(folder / f"{name}.json", (json.dumps(result, indent=1) + "\n").encode())
    cache.write_atomically(folder / f"{name}.md", markdown(result).encode())
    cache.write_atomically(folder / "history.js", history(folder).encode())
    return [folder / f"{name}.md", folder / f"{name}.json", folder / "history.js"]


def history(folder: pathlib.Path) -> str:
    runs = []
    for path in sorted(folder.glob("*.json")):
        try:
            result = json.loads(path.read_text(encoding="utf-8"))
            if result["format"] == FORMAT:
                runs.append((result["time"], summary(result)))
        except (ValueError, KeyError, TypeError) as error:
            raise cache.UserError(f"{path}: not a result of ./dev bench: {error}") from error
    rows = [run for _, run in sorted(runs, key=lambda pair: pair[0])]
    text = "// Made by ./dev bench from the JSON files beside it; index.html draws it.\n"
    return text + "const history_of_runs = " + json.dumps(rows, indent=1) + ";\n"
