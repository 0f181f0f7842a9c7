"""The figures that viv has to reach, and whether a run of the benchmark has shown them.

Promises: a goal is judged only by what the run has measured, and left out if it has not. The interpreter has goals of
its own; the others are those of the best tier that took part. "At least" for several programs means each of them.
"""

import engines
import real_programs
import report

INTERPRETER = engines.name_of(engines.BASELINE)
CALLS = ("calls", "bytecode", "virtual")  # calls and indirect jumps


def best_tier(result: dict) -> str | None:
    """The engine of the best tier beyond the interpreter, by the order of engines.TIERS."""
    took_part = [engines.name_of(tier) for tier in engines.TIERS if engines.name_of(tier) in result["engines"]]
    return took_part[-1] if took_part and took_part[-1] != INTERPRETER else None


def mean_of(figures: dict[str, float]) -> float | None:
    return report.geometric_mean(list(figures.values())) if figures else None


class Judge:
    def __init__(self):
        self.found: list[dict] = []

    def goal(self, text: str, figure: str, reached: bool) -> None:
        self.found.append({"text": text, "figure": figure, "reached": reached})

    def at_least(self, text: str, figure: float | None, bound: float) -> None:
        if figure is not None:
            self.goal(f"{text} at least {bound:g} times", report.number(figure), figure >= bound)

    def at_most(self, text: str, figure: float | None, bound: float) -> None:
        if figure is not None:
            self.goal(f"{text} at most {bound:g}", report.number(figure), figure <= bound)

    def each_at_least(self, text: str, figures: dict[str, float], bound: float) -> None:
        """Every one of them; shown are the worst and the mean."""
        if figures:
            worst = min(figures, key=figures.get)
            self.goal(f"{text} at least {bound:g} times",
                      f"{report.number(figures[worst])} ({worst}), mean {report.number(mean_of(figures))}",
                      figures[worst] >= bound)


def against_qemu(result: dict, engine: str, judge: Judge) -> None:
    faster = report.ratios(result["programs"], "qemu", engine)
    group_of = {row["name"]: row["group"] for row in result["programs"]}

    def among(wanted) -> dict[str, float]:
        return {name: value for name, value in faster.items() if wanted(name)}

    judge.at_least("C programs faster than QEMU, geometric mean,", mean_of(faster), 3)
    judge.each_at_least("every C program faster than QEMU", faster, 1.5)
    judge.each_at_least("floating point faster than QEMU", among(lambda name: group_of[name] == "float"), 5)
    judge.each_at_least("calls and indirect jumps faster than QEMU", among(lambda name: name in CALLS), 3)
    judge.each_at_least("system calls, page faults and processes faster than QEMU",
                        among(lambda name: group_of[name] == "system"), 1.5)
    real = report.ratios(report.real_rows(result), "qemu", engine)
    judge.at_least("real programs faster than QEMU, geometric mean,", mean_of(real), 2)
    judge.each_at_least("a program that runs for the first time after the boot, against QEMU,",
                        report.ratios(report.first_rows(result), "qemu", engine), 1)


def boots(result: dict, engine: str, judge: Judge) -> None:
    for guest, text, bound in ((result["guest"], "boot to the shell, in QEMU's time,", 0.7),
                               (real_programs.GUEST, "boot of the disk guest to the login, in QEMU's time,", 0.8)):
        judge.at_most(text, report.boot_ratio(result, guest, engine), bound)


def of_interpreter(result: dict, judge: Judge) -> None:
    judge.at_most("interpreter: integer programs, in native times,",
                  report.means(result, INTERPRETER, "native").get("integer"), 35)
    judge.at_most("interpreter: boot to the shell, in QEMU's time,",
                  report.boot_ratio(result, result["guest"], INTERPRETER), 2)
    footprint = report.footprint_medians(result["footprints"].get(INTERPRETER, []))
    if footprint:
        memory = footprint["memory"] / (1 << 20)
        judge.goal("interpreter: memory beyond the guest's RAM under 64 MiB", f"{memory:.0f} MiB", memory < 64)
        if footprint["idle"] is not None:
            judge.goal("interpreter: an idle guest costs under 2 % of a core", f"{100 * footprint['idle']:.1f} %",
                       footprint["idle"] < 0.02)


def of_saving(result: dict, judge: Judge) -> None:
    for state, machines in report.saved_medians(result).items():
        if "viv" not in machines or "qemu savevm" not in machines:
            continue
        ours, other = machines["viv"], machines["qemu savevm"]
        for text, name, bound in (("silence while it is saved, in that of savevm,", "gap", 0.2),
                                  ("time to save it, in that of savevm,", "whole", 1),
                                  ("size of the file, in that of savevm,", "size", 0.4),
                                  ("time to open it, in that of loadvm,", "open", 0.7)):
            judge.at_most(f"{state} machine: {text}", ours[name] / other[name], bound)


def of_networks(result: dict, judge: Judge) -> None:
    for link, of_engine in report.network_medians(result).items():
        if "viv" not in of_engine or "qemu" not in of_engine:
            continue
        ours, other = of_engine["viv"], of_engine["qemu"]
        ratios = {name: ours[name] / other[name] for name in ours}
        judge.each_at_least(f"network {link}: throughput, in QEMU's,", {name: ratios[name] for name in ("send", "receive")}, 1.5)
        judge.at_least(f"network {link}: turns, connections and packets, in QEMU's, the worst", min(ratios[name] for name in ("turns", "connections", "packets")), 1)


def of_disks(result: dict, judge: Judge) -> None:
    for part, text in (("disks", "disks: throughput, in QEMU's,"), ("conversions", "conversions: throughput, in qemu-img's,")):
        ratios = {row: of_engine["viv"] / of_engine["qemu"] for row, of_engine in report.disk_medians(result, part).items() if len(of_engine) == 2}
        if ratios:
            judge.each_at_least(text, ratios, 1)


def of_publishing(result: dict, judge: Judge) -> None:
    if not result.get("published"):
        return
    first, second, rehearsed = (report.published_median(result, which, "seconds") for which in ("first", "second", "rehearsed"))
    judge.goal("published machine: a keystroke within 200 ms", f"{1000 * first:.0f} ms", first <= 0.2)
    judge.goal("rehearsed machine: a keystroke within 200 ms", f"{1000 * rehearsed:.0f} ms", rehearsed <= 0.2)
    judge.at_most("published machine: its second opening, in the first's time,", second / first, 0.6)


def of_tabs(result: dict, judge: Judge) -> None:
    """The best tier in a tab, against v86, against the best one of this machine's own, and against the interpreter."""
    ours = report.tabs_of(result)
    if not ours or report.V86 not in result["engines"]:
        return
    best, native = ours[-1], best_tier(result)
    faster = report.ratios(result["programs"], report.V86, best)
    judge.at_least(f"{best}: C programs faster than v86, geometric mean,", mean_of(faster), 3)
    judge.each_at_least(f"{best}: every C program faster than v86", faster, 1.5)
    if native:
        slower = report.ratios(result["programs"], best, native)
        judge.at_most(f"{best}: C programs, in the time of {native}, geometric mean,", mean_of(slower), 2.5)
    slow = f"tab {engines.BASELINE}"
    if slow in ours and best != slow:
        loops = {row["name"] for row in result["programs"] if row["group"] in ("integer", "memory")}
        speeds = {name: value for name, value in report.ratios(result["programs"], slow, best).items() if name in loops}
        judge.each_at_least(f"{best}: loops faster than the interpreter in a tab", speeds, 6)


def judged(result: dict) -> list[dict]:
    judge = Judge()
    engine = best_tier(result)
    if engine:
        against_qemu(result, engine, judge)
        native = report.means(result, engine, "native")
        judge.at_most("all C programs, in native times,", native.get("all"), 4)
        judge.at_most("integer programs, in native times,", native.get("integer"), 3)
        boots(result, engine, judge)
        judge.at_least("two busy harts do as much as one", report.scaling_of(result, engine), 1.8)
        for row in judge.found:
            row["text"] = f"{engine}: {row['text']}"
    of_interpreter(result, judge)
    of_saving(result, judge)
    of_publishing(result, judge)
    of_networks(result, judge)
    of_disks(result, judge)
    of_tabs(result, judge)
    return judge.found
