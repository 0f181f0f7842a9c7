"""The benchmark's arithmetic and its judgement: medians, means, goals, tables, and the history of older results.

Promises: no guest, no program and no network is needed; figures are worked out by hand here.
"""

import json
import math
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import engines  # finds the tools
import goals
import interleave
import programs
import real_programs
import report
import cache

INTERPRETER, QUICK = map(engines.name_of, ("interpreter", "quick"))


def row(name: str, group: str, **seconds) -> dict:
    """`seconds`: engine (quick for "viv quick") -> its time, or times, for two iterations each."""
    runs = {}
    for engine, times in seconds.items():
        name_of = engine if engine in ("native", "qemu") else engines.name_of(engine)
        runs[name_of] = [{"iterations": 2, "seconds": 2 * time, "checksum": "1"}
                         for time in (times if isinstance(times, list) else [times])]
    return {"name": name, "group": group, "runs": runs}


def result(**fields) -> dict:
    return {"format": report.FORMAT, "date": "2026-01-01", "time": "2026-01-01T00:00:00+00:00", "commit": "abc",
            "changed": False, "versions": {}, "load": 0.0, "rounds": 3, "seconds": 1.0, "guest": "small", "goals": [],
            "engines": ["native", INTERPRETER, QUICK, "qemu"], "programs": [], "footprints": {}, "scaling": {},
            "boots": {}, "real": [], **fields}


def reached(of: dict) -> dict[str, tuple[str, bool]]:
    return {goal["text"]: (goal["figure"], goal["reached"]) for goal in goals.judged(of)}


def find(of: dict, words: str) -> tuple[str, bool]:
    found = [value for text, value in reached(of).items() if words in text]
    assert len(found) == 1, f"{words}: {list(reached(of))}"
    return found[0]


class Arithmetic(unittest.TestCase):
    def test_medians_are_of_one_iteration_and_ratios_of_medians(self):
        rows = [row("a", "integer", native=[1, 5, 2], quick=[8, 6, 7])]
        self.assertEqual(report.medians(rows), {"a": {"native": 2, QUICK: 7}})
        self.assertEqual(report.ratios(rows, QUICK, "native"), {"a": 3.5})
        self.assertEqual(report.ratios(rows, "qemu", "native"), {})

    def test_means_are_geometric_and_of_their_groups(self):
        of = result(programs=[row("a", "integer", native=1, quick=2), row("b", "integer", native=1, quick=8),
                              row("c", "system", native=1, quick=1)])
        means = report.means(of, QUICK, "native")
        self.assertAlmostEqual(means["integer"], 4)
        self.assertAlmostEqual(means["all"], 16 ** (1 / 3))
        self.assertNotIn("floating point", means)
        self.assertTrue(math.isnan(report.geometric_mean([])))

    def test_engines_that_disagree_fail_the_run(self):
        bad = row("a", "integer", native=1, quick=1)
        interleave.agree(bad)
        bad["runs"][QUICK][0]["checksum"] = "2"
        with self.assertRaisesRegex(cache.UserError, "a: the engines do not agree"):
            interleave.agree(bad)

    def test_a_clock_is_wrong_by_what_asking_it_does_not_explain(self):
        self.assertAlmostEqual(engines.clock_error((100, 7, 0.5), (200, 105, 0.5)), 0.01)
        self.assertAlmostEqual(engines.clock_error((100, 7, 0.5), (200, 109, 0.5)), 0.01)
        self.assertEqual(engines.clock_error((100, 7, 1), (200, 106, 1)), 0)

    def test_rotation_keeps_all(self):
        self.assertEqual(engines.rotated([1, 2, 3], 1), [2, 3, 1])
        self.assertEqual(engines.rotated([1, 2, 3], 5), [3, 1, 2])
        self.assertEqual(engines.rotated([], 2), [])


class Goals(unittest.TestCase):
    def test_the_best_tier_is_the_last_that_took_part(self):
        self.assertEqual(goals.best_tier(result()), QUICK)
        self.assertIsNone(goals.best_tier(result(engines=["native", INTERPRETER, "qemu"])))

    def test_nothing_measured_is_nothing_judged(self):
        self.assertEqual(goals.judged(result()), [])

    def test_every_program_counts_and_the_worst_is_named(self):
        of = result(programs=[row("mix", "integer", native=1, quick=2, qemu=8),
                              row("fork", "system", native=1, quick=2, qemu=2.8)])
        self.assertEqual(find(of, "every C program"), ("1.40 (fork), mean 2.37", False))
        self.assertEqual(find(of, "system calls"), ("1.40 (fork), mean 1.40", False))
        self.assertEqual(find(of, "C programs faster than QEMU, geometric mean"), ("2.37", False))
        self.assertEqual(find(of, "all C programs, in native times"), ("2.00", True))
        self.assertEqual(find(of, "viv quick: integer programs, in native times"), ("2.00", True))
        self.assertFalse([text for text in reached(of) if "floating" in text or "calls and" in text])

    def test_bounds_themselves_are_reached(self):
        of = result(programs=[row("matmul", "float", native=1, quick=1, qemu=5),
                              row("calls", "control", native=1, quick=1, qemu=3),
                              row("jit", "control", native=1, quick=1, qemu=2)])
        self.assertTrue(find(of, "floating point")[1])
        self.assertEqual(find(of, "calls and indirect jumps"), ("3.00 (calls), mean 3.00", True))

    def test_real_programs_and_the_first_run_are_apart(self):
        of = result(real=[row("gcc-first", "first", quick=4, qemu=3), row("gzip", "real", quick=1, qemu=1),
                          row("xz", "real", quick=1, qemu=4)])
        self.assertEqual(find(of, "real programs"), ("2.00", True))
        self.assertEqual(find(of, "first time after the boot"), ("0.75 (gcc-first), mean 0.75", False))

    def test_boots_and_harts(self):
        of = result(footprints={QUICK: [{"boot": 1.4, "memory": 1 << 20, "idle": None}],
                                "qemu": [{"boot": 2.0, "memory": 1 << 20, "idle": None}]},
                    boots={real_programs.GUEST: {QUICK: [9, 8.1, 7], "qemu": [10, 10, 10]}},
                    scaling={"program": "sha256", "runs": {"native": [2.0], QUICK: [1.7, 1.9, 1.8]}})
        self.assertEqual(find(of, "boot to the shell"), ("0.70", True))
        self.assertEqual(find(of, "disk guest"), ("0.81", False))
        self.assertEqual(find(of, "two busy harts"), ("1.80", True))

    def test_the_interpreter_keeps_its_own(self):
        of = result(programs=[row("mix", "integer", native=1, interpreter=36, quick=2)],
                    footprints={INTERPRETER: [{"boot": 4, "memory": 65 << 20, "idle": 0.01}],
                                "qemu": [{"boot": 2, "memory": 1, "idle": None}]})
        self.assertEqual(find(of, "interpreter: integer"), ("36.0", False))
        self.assertEqual(find(of, "interpreter: boot"), ("2.00", True))
        self.assertEqual(find(of, "interpreter: memory"), ("65 MiB", False))
        self.assertEqual(find(of, "interpreter: an idle"), ("1.0 %", True))


class Tables(unittest.TestCase):
    def test_every_part_has_its_table(self):
        of = result(programs=[row("mix", "integer", native=1, interpreter=9, quick=2, qemu=8)],
                    footprints={"qemu": [{"boot": 2, "memory": 3 << 20, "idle": 0.5}]},
                    boots={real_programs.GUEST: {QUICK: [9]}},
                    scaling={"program": "sha256", "runs": {"native": [1.96]}},
                    real=[row("gcc-first", "first", quick=4, qemu=3), row("gzip", "real", quick=2, qemu=6)])
        of["goals"] = goals.judged(of)
        text = report.markdown(of)
        self.assertIn("| program | group | native | viv interpreter / native | viv quick / native | qemu / native | "
                      "qemu / viv interpreter | qemu / viv quick |", text)
        self.assertIn("| mix | integer | 1.00 s | 9.00 | 2.00 | 8.00 | 0.89 | 4.00 |", text)
        self.assertIn("| gzip | 2.00 s | 6.00 s | 3.00 |", text)
        self.assertIn("| geometric mean, without the first |  |  | 3.00 |", text)
        self.assertIn("| qemu | 2.00 s | - | 3 MiB | 50.0 % |", text)
        self.assertIn("| viv quick | - | 9.00 s | - | - |", text)
        self.assertIn("| native | 1.96 |", text)

    def test_one_tier_alone(self):
        of = result(engines=["native", QUICK], programs=[row("mix", "integer", native=1, quick=2)])
        self.assertIn("| program | group | native | viv quick / native |\n", report.markdown(of))


class History(unittest.TestCase):
    def test_results_from_before_the_new_parts_are_read(self):
        old = result(footprints={INTERPRETER: [{"boot": 4, "memory": 1, "idle": None}]},
                     programs=[row("mix", "integer", native=1, interpreter=9, qemu=3)])
        for field in ("scaling", "boots", "real"):
            del old[field]
        new = result(commit="def", time="2026-01-02T00:00:00+00:00", boots={real_programs.GUEST: {QUICK: [9]}},
                     real=[row("gzip", "real", quick=2, qemu=6)])
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            report.write(new, folder)
            report.write(old, folder)
            text = (folder / "history.js").read_text(encoding="utf-8")
        runs = json.loads(text[text.index("["):].rstrip().rstrip(";"))
        self.assertEqual([run["commit"] for run in runs], ["abc", "def"])
        self.assertAlmostEqual(runs[0]["means"][INTERPRETER]["integer"], 9)
        self.assertEqual((runs[0]["boots"], runs[0]["disk_boots"], runs[0]["real"]), ({INTERPRETER: 4}, {}, {}))
        self.assertEqual(runs[1]["disk_boots"], {QUICK: 9})
        self.assertAlmostEqual(runs[1]["real"][QUICK], 3)

    def test_those_that_are_kept(self):
        folder = programs.ROOT / "site" / "bench"
        self.assertEqual((folder / "history.js").read_text(encoding="utf-8"), report.history(folder))


class Saved(unittest.TestCase):
    def measured(self):
        viv = {"quiet": 0.005, "gap": 0.02, "whole": 0.1, "size": 20_000_000, "open": 0.09}
        savevm = {"quiet": 0.01, "gap": 0.2, "whole": 0.2, "size": 60_000_000, "open": 0.1}
        migrate = {"whole": 0.4, "size": 60_000_000, "open": 0.2}
        slow = {**viv, "gap": 9.0}
        return result(saved={"idle": {"viv": [viv, slow, viv], "qemu savevm": [savevm], "qemu migrate": [migrate]}})

    def test_goals_are_in_savevm_s_terms(self):
        found = {row["text"]: (row["figure"], row["reached"]) for row in goals.judged(self.measured())}
        self.assertEqual(found["idle machine: silence while it is saved, in that of savevm, at most 0.2"], ("0.10", True))
        self.assertEqual(found["idle machine: time to save it, in that of savevm, at most 1"], ("0.50", True))
        self.assertEqual(found["idle machine: size of the file, in that of savevm, at most 0.4"], ("0.33", True))
        self.assertEqual(found["idle machine: time to open it, in that of loadvm, at most 0.7"], ("0.90", False))

    def test_table_has_medians(self):
        text = report.markdown(self.measured())
        self.assertIn("| idle | viv | 5 ms | 20 ms | 100 ms | 20.0 MB | 90 ms |", text)
        self.assertIn("| idle | qemu migrate | - | - | 400 ms | 60.0 MB | 200 ms |", text)

    def test_published(self):
        first = {"seconds": 0.15, "requests": 400, "bytes": 3_000_000}
        second = {"seconds": 0.06, "requests": 10, "bytes": 90_000}
        rehearsed = {"seconds": 0.25, "requests": 20, "bytes": 4_000_000}
        measured = result(published=[{"whole": 18_000_000, "first": first, "second": second, "rehearsed": rehearsed}])
        found = {row["text"]: (row["figure"], row["reached"]) for row in goals.judged(measured)}
        self.assertEqual(found["published machine: a keystroke within 200 ms"], ("150 ms", True))
        self.assertEqual(found["published machine: its second opening, in the first's time, at most 0.6"], ("0.40", True))
        self.assertEqual(found["rehearsed machine: a keystroke within 200 ms"], ("250 ms", False))
        text = report.markdown(measured)
        self.assertIn("published (18.0 MB)", text)
        self.assertIn("| second | 60 ms | 10 | 0.09 MB |", text)

    def test_networks(self):
        slow = {"send": 5e7, "receive": 1e8, "turns": 5000.0, "connections": 600.0, "packets": 30_000.0}
        quick = {"send": 2e8, "receive": 1.4e8, "turns": 10_000.0, "connections": 540.0, "packets": 45_000.0}
        measured = result(network={"user": {"viv": [quick] * 3, "qemu": [slow] * 3}, "stream": {"viv": [quick]}})
        found = {row["text"]: (row["figure"], row["reached"]) for row in goals.judged(measured)}
        self.assertEqual(found["network user: throughput, in QEMU's, at least 1.5 times"], ("1.40 (receive), mean 2.37", False))
        self.assertEqual(found["network user: turns, connections and packets, in QEMU's, the worst at least 1 times"], ("0.90", False))
        self.assertNotIn("stream", " ".join(found))
        text = report.markdown(measured)
        self.assertIn("| guest and host, user | viv | 200 MB/s | 140 MB/s | 100 us | 540 | 45000 |", text)

    def test_disks(self):
        measured = result(disks={"raw, read, 1 at once": {"viv": [3e8, 2e8, 1e8], "qemu": [1e8, 1e8, 1e8]},
                                 "raw, write, 1 at once": {"viv": [9e7], "qemu": [1e8]}},
                          conversions={"raw to qcow2": {"viv": [5e8], "qemu": [2e8]}})
        found = {row["text"]: (row["figure"], row["reached"]) for row in goals.judged(measured)}
        self.assertEqual(found["disks: throughput, in QEMU's, at least 1 times"], ("0.90 (raw, write, 1 at once), mean 1.34", False))
        self.assertEqual(found["conversions: throughput, in qemu-img's, at least 1 times"][1], True)
        text = report.markdown(measured)
        self.assertIn("| raw, read, 1 at once | 200 MB/s | 100 MB/s | 2.00 |", text)
        self.assertIn("| raw to qcow2 | 500 MB/s | 200 MB/s | 2.50 |", text)

    def test_without_qemu_nothing_is_judged(self):
        only = self.measured()
        del only["saved"]["idle"]["qemu savevm"]
        self.assertEqual(goals.judged(only), [])


if __name__ == "__main__":
    unittest.main()
