"""From measurements to ratios, tables and the page's history.

Promises: medians over the rounds, geometric means of ratios; the JSON holds every single measurement, so that another
table can be made of it later; files are written whole or not at all. The JSON's fields are described in site/guide/bench.md.
"""

import json
import math
import pathlib
import statistics

import cache
import network

FORMAT = 1
V86 = "tab v86"
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


def medians(rows: list[dict]) -> dict[str, dict[str, float]]:
    """program -> engine -> median seconds of an iteration."""
    return {row["name"]: {engine: statistics.median(run["seconds"] / run["iterations"] for run in runs)
                          for engine, runs in row["runs"].items() if runs} for row in rows}


def ratios(rows: list[dict], engine: str, base: str) -> dict[str, float]:
    """program -> how many times slower `engine` is than `base`."""
    return {name: times[engine] / times[base] for name, times in medians(rows).items()
            if engine in times and base in times}


def means(result: dict, engine: str, base: str) -> dict[str, float]:
    """title -> geometric mean; only of groups that have a program."""
    of_program = ratios(result["programs"], engine, base)
    found = {}
    for title, groups in MEANS.items():
        values = [of_program[row["name"]] for row in result["programs"] if row["group"] in groups and row["name"] in of_program]
        if values:
            found[title] = geometric_mean(values)
    return found


# What older results do not have is as if it had not been measured.


def real_rows(result: dict) -> list[dict]:
    return [row for row in result.get("real", []) if row["group"] == "real"]


def first_rows(result: dict) -> list[dict]:
    """What ran right after a boot, for the first time."""
    return [row for row in result.get("real", []) if row["group"] == "first"]


def boot_times(result: dict) -> dict[str, dict[str, float]]:
    """guest -> engine -> median seconds to its prompt."""
    found = {result["guest"]: {engine: [run["boot"] for run in runs] for engine, runs in result["footprints"].items()}}
    found.update(result.get("boots", {}))
    return {guest: {engine: statistics.median(times) for engine, times in by_engine.items()}
            for guest, by_engine in found.items() if by_engine}


def boot_ratio(result: dict, guest: str, engine: str) -> float | None:
    """In times of QEMU's; None if one of the two was not measured."""
    times = boot_times(result).get(guest, {})
    return times[engine] / times["qemu"] if engine in times and "qemu" in times else None


def scaling_of(result: dict, engine: str) -> float | None:
    """How many times as much two busy harts get done as one."""
    values = result.get("scaling", {}).get("runs", {}).get(engine)
    return statistics.median(values) if values else None


def footprint_medians(runs: list[dict]) -> dict[str, float | None]:
    if not runs:
        return {}
    idle = [run["idle"] for run in runs if run["idle"] is not None]
    return {"memory": statistics.median(run["memory"] for run in runs),
            "idle": statistics.median(idle) if idle else None}


def number(value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def duration(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} us"


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def tiers_of(result: dict) -> list[str]:
    return [engine for engine in result["engines"] if engine.startswith("viv ")]


def tabs_of(result: dict) -> list[str]:
    """Ours, slowest first."""
    return [engine for engine in result["engines"] if engine.startswith("tab ") and engine != V86]


def markdown(result: dict) -> str:
    changed = " with changes" if result["changed"] else ""
    text = f"# Benchmark of {result['date']}, commit {result['commit']}{changed}\n\n"
    text += table(["what", "version"], [[name, value] for name, value in result["versions"].items()]) + "\n"
    text += (f"{result['rounds']} rounds, interleaved; medians. Differences below 1.3 are noise on a shared machine; times "
             "are worth nothing without the ratios from the same run.\n")
    if result["load"] > 0.5:
        text += f"\nThe machine was busy with something else: its load was {result['load']:.1f} when this began.\n"
    for section in (programs_text, real_text, boots_text, scaling_text, saved_text, published_text, network_text, disks_text, goals_text):
        text += section(result)
    return text


def programs_text(result: dict) -> str:
    if not result["programs"]:
        return ""
    others = [engine for engine in result["engines"] if engine != "native"]
    pairs = [(engine, "native") for engine in others]
    if "qemu" in others:
        pairs += [("qemu", tier) for tier in tiers_of(result)]
    if V86 in others:
        pairs += [(V86, tab) for tab in tabs_of(result)]
    head = [f"{engine} / {base}" for engine, base in pairs]
    native = {name: times["native"] for name, times in medians(result["programs"]).items()}
    columns = [ratios(result["programs"], engine, base) for engine, base in pairs]
    text = "\n## Programs\n\nThe time for one iteration, and how many times longer the one takes than the other.\n\n"
    text += table(["program", "group", "native", *head],
                  [[row["name"], row["group"], duration(native[row["name"]])] + cells(columns, row["name"])
                   for row in result["programs"]])
    columns = [means(result, engine, base) for engine, base in pairs]
    text += "\n## Geometric means\n\n"
    return text + table(["programs", *head], [[title] + cells(columns, title) for title in MEANS
                                              if any(title in column for column in columns)])


def cells(columns: list[dict[str, float]], key: str) -> list[str]:
    return [number(column.get(key, math.nan)) for column in columns]


def real_text(result: dict) -> str:
    rows = result.get("real", [])
    if not rows:
        return ""
    ran = [engine for engine in result["engines"] if any(engine in row["runs"] for row in rows)]
    tiers = [tier for tier in tiers_of(result) if tier in ran] if "qemu" in ran else []
    times = medians(rows)
    columns = [ratios(rows, "qemu", tier) for tier in tiers]
    body = [[row["name"]] + [f"{times[row['name']][engine]:.2f} s" for engine in ran] + cells(columns, row["name"])
            for row in rows]
    if tiers and real_rows(result):
        real = [geometric_mean(list(ratios(real_rows(result), "qemu", tier).values())) for tier in tiers]
        body.append(["geometric mean, without the first"] + ["" for _ in ran] + list(map(number, real)))
    text = ("\n## Real programs\n\nDebian's programs in its disk guest, seconds by its clock. `gcc-first` is what is run first "
            "of all after a boot; the others have run once before.\n\n")
    return text + table(["program", *ran, *(f"qemu / {tier}" for tier in tiers)], body)


def boots_text(result: dict) -> str:
    times = boot_times(result)
    if not times:
        return ""
    costs_text = "; and in the first guest memory beyond its RAM, and the share of a core while nothing happens"
    text = ("\n## Booting and idling\n\nSeconds from the start of the process to the shell's prompt or the login"
            f"{costs_text if result['footprints'] else ''}.\n\n")
    body = []
    for engine in result["engines"]:
        if not any(engine in by_engine for by_engine in times.values()):
            continue
        boots = [f"{times[guest][engine]:.2f} s" if engine in times[guest] else "-" for guest in times]
        costs = footprint_medians(result["footprints"].get(engine, []))
        memory = f"{costs['memory'] / (1 << 20):.0f} MiB" if costs else "-"
        idle = f"{100 * costs['idle']:.1f} %" if costs and costs["idle"] is not None else "-"
        body.append([engine, *boots, *([memory, idle] if result["footprints"] else [])])
    return text + table(["machine", *times, *(["memory", "idle"] if result["footprints"] else [])], body)


def scaling_text(result: dict) -> str:
    if not result.get("scaling"):
        return ""
    rows = [[engine, number(scaling_of(result, engine))] for engine in result["scaling"]["runs"]]
    text = (f"\n## Two busy harts\n\nHow many times as much two processes of `{result['scaling']['program']}` get done as one, "
            "with two harts on threads of their own.\n\n")
    return text + table(["machine", "two / one"], rows)


def saved_medians(result: dict) -> dict[str, dict[str, dict[str, float]]]:
    """state -> machine -> medians of what was measured; quiet and gap, whole, open in seconds, size in bytes."""
    return {state: {machine: {name: statistics.median(run[name] for run in runs) for name in runs[0]}
                    for machine, runs in machines.items() if runs}
            for state, machines in result.get("saved", {}).items()}


def saved_text(result: dict) -> str:
    states = saved_medians(result)
    if not states:
        return ""
    rows = []
    for state, machines in states.items():
        for machine, found in machines.items():
            times = [duration(found[name]) if name in found else "-" for name in ("quiet", "gap", "whole")]
            rows.append([state, machine, *times, f"{found['size'] / 1e6:.1f} MB", duration(found["open"])])
    text = ("\n## Saving and opening\n\nA guest with 1 GiB at its prompt, idle or with a file of 256 MB in its memory. While it prints a line "
            "every few milliseconds: the longest time without one when nothing is done and while it is saved. While it does nothing: the "
            "time until the file is complete. Then the file, and the time from the start of a process that opens it to the answer to "
            "what was typed.\n\n")
    return text + table(["state", "machine", "silent at rest", "silent while saved", "saved in", "size", "opened in"], rows)


def published_median(result: dict, which: str, name: str) -> float:
    return statistics.median(turn[which][name] for turn in result["published"])


def published_text(result: dict) -> str:
    rounds = result.get("published")
    if not rounds:
        return ""
    rows = [[which, duration(published_median(result, which, "seconds")), f"{published_median(result, which, 'requests'):.0f}",
             f"{published_median(result, which, 'bytes') / 1e6:.2f} MB"] for which in ("first", "second", "rehearsed")]
    text = (f"\n## A published machine over HTTP\n\nA guest with 512 MiB at its prompt, published ({rounds[0]['whole'] / 1e6:.1f} MB), "
            "opened by URL from a server on this machine: the time from the start of the process until a keystroke comes back, and "
            "what was fetched for it; the second time what arrived first is at hand. Rehearsed: the first opening, when `viv publish` has "
            "opened it once to find out what comes first.\n\n")
    return text + table(["opening", "keystroke", "requests", "fetched"], rows)


def network_medians(result: dict) -> dict[str, dict[str, dict[str, float]]]:
    """link -> engine -> measure -> median"""
    return {link: {engine: {name: statistics.median(turn[name] for turn in turns) for name in turns[0]} for engine, turns in of_engine.items()}
            for link, of_engine in result.get("network", {}).items()}


def network_text(result: dict) -> str:
    medians = network_medians(result)
    if not medians:
        return ""
    rows = [[network.LINKS[link], engine, f"{row['send'] / 1e6:.0f} MB/s", f"{row['receive'] / 1e6:.0f} MB/s", duration(1 / row["turns"]),
             f"{row['connections']:.0f}", f"{row['packets']:.0f}"] for link, engines in medians.items() for engine, row in engines.items()]
    text = ("\n## Networks\n\nTCP from the guest and to it, a byte there and back, connections that are opened, used and closed in a second, and UDP "
            "packets of 64 bytes from the guest that arrive in a second; both with the same back end and virtio's card.\n\n")
    return text + table(["between", "machine", "sent", "received", "turn", "connections/s", "packets/s"], rows)


def disk_medians(result: dict, part: str) -> dict[str, dict[str, float]]:
    """row -> engine -> median, in bytes a second; `part` is "disks" or "conversions" """
    return {row: {engine: statistics.median(turns) for engine, turns in of_engine.items()} for row, of_engine in result.get(part, {}).items()}


def disks_text(result: dict) -> str:
    text = ""
    for part, title, what in (("disks", "Disks", "A disk of 256 MiB in the guest, past its page cache: 128 KiB a request from the start on, 4 KiB at random "
                               "places. Writes end with a flush. The same image, in the host's page cache."),
                              ("conversions", "Conversions of images", "256 MiB of data, by viv-img and by qemu-img, until they are on the disk.")):
        medians = disk_medians(result, part)
        if not medians:
            continue
        rows = [[row, *(f"{of_engine[engine] / 1e6:.0f} MB/s" if engine in of_engine else "" for engine in ("viv", "qemu")),
                 f"{of_engine['viv'] / of_engine['qemu']:.2f}" if len(of_engine) == 2 else ""] for row, of_engine in medians.items()]
        text += f"\n## {title}\n\n{what}\n\n" + table(["what", "viv", "qemu", "viv in qemu's"], rows)
    return text


def goals_text(result: dict) -> str:
    if not result["goals"]:
        return ""
    rows = [[goal["text"], goal["figure"], "yes" if goal["reached"] else "**no**"] for goal in result["goals"]]
    return "\n## Goals\n\n" + table(["goal", "figure", "reached"], rows)


def summary(result: dict) -> dict:
    """What the page draws of one run."""
    others = [engine for engine in result["engines"] if engine != "native"]
    boots = boot_times(result)
    real = {tier: geometric_mean(list(ratios(real_rows(result), "qemu", tier).values())) for tier in tiers_of(result)
            if ratios(real_rows(result), "qemu", tier)}
    return {"date": result["date"], "commit": result["commit"], "file": base_name(result),
            "means": {engine: means(result, engine, "native") for engine in others},
            "against_qemu": {tier: means(result, "qemu", tier) for tier in tiers_of(result)}, "real": real,
            "boots": boots.get(result["guest"], {}),
            "disk_boots": next((times for guest, times in boots.items() if guest != result["guest"]), {})}


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
