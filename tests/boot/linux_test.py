"""linux-riscv64 booted by viv: the shell, scripted input, viv exec with its exit codes and streams, several CPUs in both modes."""

import pathlib
import tempfile
import unittest

import viv_process

GUEST = "linux-riscv64"


def setUpModule():
    viv_process.guest(GUEST)


class Shell(unittest.TestCase):
    def test_a_script_on_standard_input_runs_and_its_end_powers_off(self):
        script = "uname -m\necho sum-$((40 + 2))\n"
        done = viv_process.run("run", GUEST, stdin=None, input=script)
        self.assertEqual(done.returncode, 0, done.stdout[-2000:] + done.stderr)
        self.assertRegex(done.stdout, r"\nriscv64\r?\n")
        self.assertIn("sum-42", done.stdout)
        self.assertIn("Power down", done.stdout)

    def test_keys_of_the_console(self):
        with viv_process.Session("run", GUEST) as viv:
            viv.expect(r"~ # ")
            viv.type("cat /proc/cpuinfo\n")
            viv.expect(r"isa\s*: rv64imafdcv_")
            viv.expect(r"mmu\s*: sv57")
            viv.type("poweroff -f\n")
            self.assertEqual(viv.wait(), 0)


class Exec(unittest.TestCase):
    def test_output_and_exit_code(self):
        done = viv_process.run("exec", GUEST, "--", "sh", "-c", "uname -m; echo to-stderr >&2; exit 7")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (7, "riscv64\n", "to-stderr\n"))

    def test_user_programs_may_read_the_time(self):
        done = viv_process.run("exec", GUEST, "--", "sh", "-c", "time true && ping -c 1 127.0.0.1 > /dev/null && date +%Y")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_standard_input_and_copies(self):
        with tempfile.TemporaryDirectory() as folder:
            here = pathlib.Path(folder)
            (here / "in").write_bytes(bytes(range(256)) * 1000)
            done = viv_process.run("exec", "--copy-in", f"{here / 'in'}:/tmp/in", "--copy-out", f"/tmp/out:{here / 'out'}", GUEST, "--", "sh", "-c",
                                   "cat > /tmp/text; cat /tmp/in /tmp/text > /tmp/out; wc -c < /tmp/out", stdin=None, input="hello\n")
            self.assertEqual((done.returncode, done.stdout.strip(), done.stderr), (0, "256006", ""))
            self.assertEqual((here / "out").read_bytes(), bytes(range(256)) * 1000 + b"hello\n")

    def test_four_cpus_in_every_mode(self):
        for mode in (["--deterministic"], ["--harts", "in-turn"], ["--harts", "parallel"]):
            with self.subTest(mode=mode):
                done = viv_process.run("exec", "--cpus", "4", *mode, GUEST, "--", "nproc")
                self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "4\n", ""))

    def test_parallel_harts_agree_on_what_they_compute(self):
        work = "for i in 1 2 3 4; do (seq 1 20000 | sha256sum) & done; wait"
        done = viv_process.run("exec", "--cpus", "4", "--harts", "parallel", GUEST, "--", "sh", "-c", work)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(done.stdout.splitlines()), 4)
        self.assertEqual(len(set(done.stdout.splitlines())), 1)

    def test_shared_folder(self):
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "greeting").write_text("from the host\n")
            done = viv_process.run("exec", "--share", f"{folder}:host", GUEST, "--", "sh", "-c",
                                   "cat /mnt/host/greeting && echo back > /mnt/host/answer")
            self.assertEqual((done.returncode, done.stdout), (0, "from the host\n"), done.stderr)
            self.assertEqual((pathlib.Path(folder) / "answer").read_text(), "back\n")

    def test_vector_registers_of_every_length(self):
        for length in ("128", "256", "1024"):
            with self.subTest(vlen=length):
                done = viv_process.run("exec", "--cpu", f"rv64,vlen={length}", GUEST, "--", "sh", "-c", "seq 1 1000 | sha256sum")
                self.assertEqual((done.returncode, done.stdout[:16]), (0, "67d4ff71d43921d5"), done.stderr)

    def test_time_limit(self):
        done = viv_process.run("exec", "--timeout", str(int(20 * viv_process.PATIENCE)), GUEST, "--", "sleep", "1000")
        self.assertEqual(done.returncode, 124)


if __name__ == "__main__":
    unittest.main(verbosity=2)
