"""Labs: the two examples with their tests, links that are slow, narrow, bad and down, a way out, and ends of every kind."""

import contextlib
import os
import pathlib
import re
import select
import signal
import subprocess
import tempfile
import unittest

import viv_process

EXAMPLES = viv_process.ROOT / "site" / "examples" / "labs"
PAIR = """
[switch.wire]
{switch}
[machine.a]
guest = "linux-riscv64"
memory = "256M"
{a}
[[machine.a.link]]
to = "wire"
address = "10.5.0.1/24"
{link}
[machine.b]
guest = "linux-riscv64"
memory = "256M"
[[machine.b.link]]
to = "wire"
address = "10.5.0.2/24"
[[test]]
machine = "a"
run = "false"
"""


def setUpModule():
    viv_process.guest("linux-riscv64")


@contextlib.contextmanager
def lab_file(switch="", a="", link=""):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "pair.toml"
        path.write_text(PAIR.format(switch=switch, a=a, link=link), encoding="utf-8")
        yield path


def lab(path, *options, lines="", **more):
    """The lab to its end, with lines typed at it."""
    return subprocess.run([viv_process.VIV, "lab", *options, str(path)], input=lines, capture_output=True, text=True, check=False,
                          timeout=300 * viv_process.PATIENCE, **more)


class Examples(unittest.TestCase):
    def test_each_passes_its_own_tests(self):
        for path in sorted(EXAMPLES.glob("*.toml")):
            with self.subTest(example=path.name):
                done = lab(path, "--test")
                self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
                passed, of = re.search(r"lab: (\d+) of (\d+) tests have passed", done.stdout).groups()
                self.assertEqual((passed, passed != "0"), (of, True))


class Labs(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.environment = os.environ | {"TMPDIR": self.folder.name}

    def lab(self, path, *options, **more):
        done = lab(path, *options, env=self.environment, **more)
        self.assertEqual(os.listdir(self.folder.name), [], "the lab's folder of sockets is gone")
        return done

    def test_links_are_slow_bad_and_down_as_they_are_told(self):
        with lab_file(link='latency = "40ms"') as path:
            done = self.lab(path, lines="a ping -c 3 -i 0.2 b\nlink a loss=100%\na ping -c 1 -W 1 b\nlink a latency=0ms\nb ping -c 1 a\n"
                            "link b down\na ping -c 1 -W 1 b\nlink b up\na ping -c 1 b\nstatus\nlink a latency=x\nquit\n")
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        fastest = float(re.search(r"min/avg/max = ([\d.]+)/", done.stdout)[1])
        self.assertGreaterEqual(fastest, 80)
        self.assertEqual(re.findall(r"(\d) packets received", done.stdout), ["3", "0", "1", "0", "1"])
        self.assertRegex(done.stdout, r"link a \(a - wire\): \d+ frames, \d+ bytes; lost [1-9]\d*, dropped 0")
        self.assertRegex(done.stdout, r"link b \(b - wire\): .* dropped [1-9]")
        self.assertIn('lab: link a: latency = "x": a time up to a minute is needed', done.stdout)

    def test_a_rate_bounds_a_transfer(self):
        size, rate = 1 << 20, 8_000_000
        with lab_file(link=f'rate = "{rate // 1_000_000}M"') as path:
            done = self.lab(path, lines="b mkdir /www && head -c 1048576 /dev/urandom >/www/f && httpd -h /www && md5sum </www/f\n"
                            "a read s r </proc/uptime; wget -q -O /f http://b/f; read e r </proc/uptime; echo took $s $e; md5sum </f\n")
        self.assertEqual(done.returncode, 0, done.stderr)
        sums = re.findall(r"\| ([0-9a-f]{32})", done.stdout)
        self.assertEqual((len(sums), len(set(sums))), (2, 1), done.stdout)
        start, end = map(float, re.search(r"took ([\d.]+) ([\d.]+)", done.stdout).groups())
        self.assertGreater(end - start, 0.95 * size * 8 / rate)

    def test_a_switch_leads_outside(self):
        with lab_file(switch='outside = "user,net=10.5.0.0/24,host=10.5.0.9,dns=10.5.0.8,dhcpstart=10.5.0.100"') as path:
            done = self.lab(path, lines="a ping -c 1 -W 5 10.5.0.9\nb ping -c 1 -W 5 10.5.0.9\n")
        self.assertEqual(re.findall(r"(\d) packets received", done.stdout), ["1", "1"], done.stdout + done.stderr)

    def test_a_machine_that_ends_is_told_and_the_lab_goes_on(self):
        with lab_file() as path:
            done = self.lab(path, "--logs", str(path.parent / "logs"), lines="b poweroff -f\nb true\na echo still $((40 + 2))\n")
            self.assertEqual(sorted(os.listdir(path.parent / "logs")), ["a.log", "b.log"])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"lab: b: its machine has ended \(exit code 125\)")
        self.assertIn("a| still 42", done.stdout)
        self.assertEqual(done.stdout.count("lab: b: its machine has ended\n"), 2, "of the command that ended it, and of the next one")

    def test_failures_are_exit_codes(self):
        with lab_file(a='setup = "echo oh; exit 7"') as path:
            done = self.lab(path, "--no-input")
            self.assertEqual((done.returncode, done.stderr), (1, "viv: lab: a: its setup has failed with exit code 7\n"))
            self.assertIn("a| oh\n", done.stdout)
        with lab_file() as path:
            done = self.lab(path, "--test")
            self.assertEqual((done.returncode, done.stderr), (1, ""))
            self.assertRegex(done.stdout, r"FAILED: false: exit code 1 on a\nlab: 0 of 1 tests have passed\n$")
        with lab_file(a='options = ["--nonsense"]') as path:
            done = self.lab(path)
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr, r"viv: lab: a: its machine has ended \(exit code 2\); its console and its errors end with:\n.*nonsense")
        with lab_file() as path:
            done = self.lab(path, "--no-input", "--timeout", "0.2")
            self.assertEqual((done.returncode, done.stderr), (124, "viv: lab: --timeout: 0.2 seconds are over\n"))

    def test_much_output_comes_whole_and_a_reader_that_goes_ends_the_lab(self):
        with lab_file() as path:
            done = self.lab(path, lines="a seq 1 30000\na for i in $(seq 1 70000); do echo; done; echo end\n")
            lines = done.stdout.splitlines()
            self.assertEqual(lines[1:30001], [f"a| {number}" for number in range(1, 30001)])
            self.assertEqual((lines[30001:-1], lines[-1]), (["a| "] * 70000, "a| end"))
            process = subprocess.Popen([viv_process.VIV, "lab", str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self.environment)
            self.assertIn(b"ready", process.stdout.readline())
            process.stdout.close()
            process.stdin.write(b"a while :; do seq 1 1000; done\n")
            process.stdin.flush()
            self.assertEqual(process.wait(60 * viv_process.PATIENCE), 128 + signal.SIGPIPE)
            process.stdin.close()
        self.assertEqual(os.listdir(self.folder.name), [])

    def test_a_signal_ends_all(self):
        with lab_file() as path:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
                process = subprocess.Popen([viv_process.VIV, "lab", "--no-input", str(path)], stdout=subprocess.PIPE, text=True,
                                           env=self.environment)
                self.assertIn("2 machines ready", process.stdout.readline())
                children = [os.pidfd_open(int(child))
                            for child in pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
                self.assertEqual(len(children), 2)
                process.send_signal(number)
                process.wait(60 * viv_process.PATIENCE)
                process.stdout.close()
                self.assertEqual(process.returncode, -number)
                if number != signal.SIGKILL:
                    self.assertEqual(os.listdir(self.folder.name), [])
                for child in children:
                    self.assertTrue(select.select([child], [], [], 30 * viv_process.PATIENCE)[0], "a machine has outlived its lab")
                    os.close(child)

    def test_an_interrupted_lab_powers_machines_off_that_keep_something(self):
        with lab_file() as path:
            disk = path.parent / "disk.img"
            disk.write_bytes(bytes(1 << 20))
            path.write_text(path.read_text().replace("[machine.a]", f'[machine.a]\ndisks = ["file={disk},format=raw"]'))
            process = subprocess.Popen([viv_process.VIV, "lab", "--logs", str(path.parent / "logs"), str(path)], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, text=True, env=self.environment)
            self.assertIn("2 machines ready", process.stdout.readline())
            process.stdin.write("a echo begun; sleep 1000\n")
            process.stdin.flush()
            self.assertEqual(process.stdout.readline(), "a| begun\n")
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(60 * viv_process.PATIENCE), -signal.SIGINT)
            process.stdin.close()
            process.stdout.close()
            self.assertIn("Power down", (path.parent / "logs" / "a.log").read_text(errors="replace"))


class Files(unittest.TestCase):
    def test_check_starts_nothing_and_names_every_mistake(self):
        with lab_file() as path:
            done = lab(path, "--check")
            self.assertEqual((done.returncode, done.stdout), (0, "a lab: 2 machines, 1 switches, 2 links, 1 tests\n"))
        with lab_file(switch="outsid = 1", link='loss = "2"') as path:
            done = lab(path, "--check")
            self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (2, "", 2), done.stderr)
            self.assertIn(f"{path}:3: outsid is not known; a switch has outside; did you mean outside?", done.stderr)
        done = lab("/nowhere.toml")
        self.assertEqual((done.returncode, done.stderr.count("\n")), (2, 1), done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
