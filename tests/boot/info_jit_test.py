"""What a running machine tells of its translated code: by QMP and by `viv info jit`, while the guest is in a busy loop."""

import json
import pathlib
import re
import socket
import tempfile
import unittest

import viv_process

GUEST = "linux-riscv64"
CACHE = 8 << 20


class Qmp:
    """A QMP client; a context manager, since a machine takes one client at a time."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60 * viv_process.PATIENCE)
        self.socket.connect(path)
        self.lines = self.socket.makefile("r", encoding="utf-8")
        assert "QMP" in json.loads(self.lines.readline())
        self("qmp_capabilities")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lines.close()
        self.socket.close()

    def __call__(self, command, **arguments):
        self.socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while True:
            reply = json.loads(self.lines.readline())
            if "event" not in reply:
                assert "return" in reply, reply
                return reply["return"]


class InfoJit(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        viv_process.guest(GUEST)

    def check(self, report, cpus):
        self.assertEqual(report["jit"], "full")
        self.assertEqual([cpu["cpu-index"] for cpu in report["cpus"]], list(range(cpus)))
        for cpu in report["cpus"]:
            self.assertGreater(cpu["entries"], 0)
            self.assertEqual(sum(exit["count"] for exit in cpu["exits"]), cpu["entries"])
            self.assertEqual({exit["cause"]: exit["count"] for exit in cpu["exits"]}["budget"], cpu["samples"])
            self.assertEqual(cpu["cache-capacity"], CACHE)
            self.assertLessEqual(cpu["cache-used"], CACHE)
            self.assertEqual(sum(tier["host-bytes"] for tier in cpu["tiers"]), cpu["cache-used"])
            self.assertEqual([tier["name"] for tier in cpu["tiers"]], ["quick", "full"])
            for tier in cpu["tiers"]:
                self.assertEqual(tier["made"], tier["held"] + tier["dropped"])
                self.assertGreater(tier["held"], 0)
            self.assertGreater(cpu["host-bytes-made"], 0)
            samples = [hot["samples"] for hot in cpu["hottest"]]
            self.assertEqual(samples, sorted(samples, reverse=True))
            self.assertLessEqual(sum(samples), cpu["samples"])
            for hot in cpu["hottest"]:
                self.assertLessEqual(hot["samples"], hot["exits"])
                self.assertEqual(hot["physical-page"] % 4096, 0)
                self.assertTrue(0 < hot["guest-bytes"] <= 4096 and hot["blocks"] >= 1, hot)

    def busy(self, *options, cpus=1):
        """The reports of a machine whose shell does nothing but count, before and after it was told to."""
        with tempfile.TemporaryDirectory() as folder:
            path = str(pathlib.Path(folder) / "qmp")
            with viv_process.Session("run", GUEST, "--jit", "full", "--jit-cache", "8M", "--qmp", f"unix:{path}", *options) as viv:
                viv.expect(r"~ # ")
                with Qmp(path) as qmp:
                    before = qmp("query-jit", most=1000)
                    known = "query-jit" in [command["name"] for command in qmp("query-commands")]
                self.assertTrue(known)
                # The shell's own loop, in the foreground; each line says that it has been at it for a while.
                viv.type("i=0; while true; do i=$((i + 1)); [ $((i % 20000)) = 0 ] && echo round-$i; done\n")
                viv.expect(r"round-40000\r?\n")
                with Qmp(path) as qmp:
                    after = qmp("query-jit", most=1000)
                table = viv_process.run("info", "jit", "--from", f"unix:{path}", "--most", "3")
                raw = viv_process.run("info", "jit", "--from", f"unix:{path}", "--most", "3", "--json")
        if before["cpus"] == []:
            self.skipTest("this host has no translator")
        self.check(before, cpus)
        self.check(after, cpus)
        return before, after, table, raw

    def test_a_busy_loop_is_what_is_hot(self):
        before, after, table, raw = self.busy()
        old, new = before["cpus"][0], after["cpus"][0]
        self.assertEqual(new["hottest"][0]["tier"], "full")
        self.assertGreater(new["hottest"][0]["samples"], 0)
        # The loop is in user mode, in pages of the shell; what was hot before it was the kernel's.
        earlier = {(hot["pc"], hot["physical-page"], hot["mode"], hot["tier"]): hot["samples"] for hot in old["hottest"]}
        gains = [(hot["samples"] - earlier.get((hot["pc"], hot["physical-page"], hot["mode"], hot["tier"]), 0), hot["pc"]) for hot in new["hottest"]]
        gained, pc = max(gains)
        self.assertGreater(gained, 0)
        self.assertLess(pc, 1 << 47)
        self.assertGreater(new["samples"], old["samples"])
        self.assertGreater(new["entries"], old["entries"])
        self.assertEqual((raw.returncode, raw.stderr, table.returncode, table.stderr), (0, "", 0, ""))
        report = json.loads(raw.stdout)
        self.check(report, 1)
        self.assertEqual(len(report["cpus"][0]["hottest"]), 3)
        self.assertRegex(table.stdout, r"^CPU 0: to \S+ code, \d+ KiB of 8192 KiB in use, \d+ KiB made since the start\n")
        for cause in [exit["cause"] for exit in new["exits"]]:
            self.assertRegex(table.stdout, rf"\n  {cause} +\d+ +\d+\.\d\d  \w")
        rows = re.findall(r"\n +(\d+) +\d+\.\d\d +\d+  (quick|full) +\d+ +\d+ +\d+ +[0-9a-f]+  [0-9a-f]+ +(0x[0-9a-f]{16})(?=\n)", table.stdout)
        self.assertEqual(len(rows), 3, table.stdout)
        self.assertGreater(int(rows[0][0]), 0)

    def test_harts_on_threads(self):
        _, after, table, _ = self.busy("--cpus", "2", "--harts", "parallel", cpus=2)
        self.assertGreater(sum(cpu["samples"] for cpu in after["cpus"]), 0)
        self.assertEqual(re.findall(r"(?m)^CPU (\d): ", table.stdout), ["0", "1"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
