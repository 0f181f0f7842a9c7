"""viv exec in a real guest, what linux_test.py leaves out: copies, environment, signals, terminals, large streams, and
guests that die."""

import os
import pathlib
import pty
import select
import signal
import subprocess
import sys
import tempfile
import termios
import unittest

HERE = pathlib.Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[1] / "boot"))

import viv_process  # noqa: E402

GUEST = "linux-riscv64"


class ExecTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        viv_process.guest(GUEST)

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="viv-exec-test-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def start(self, *arguments, **options):
        process = subprocess.Popen([viv_process.VIV, "exec", *arguments], **options)

        def stop():
            if process.poll() is None:
                process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream:
                    stream.close()
        self.addCleanup(stop)
        return process

    def read_until(self, source, text):
        seen = b""
        while text not in seen:
            ready, _, _ = select.select([source], [], [], 180 * viv_process.PATIENCE)
            data = os.read(source, 65536) if ready else b""
            self.assertTrue(data, f"no {text!r} in {seen!r}")
            seen += data
        return seen

    def test_copies_environment_and_streams(self):
        tree = self.folder / "tree"
        (tree / "sub").mkdir(parents=True)
        (tree / "sub" / "data").write_bytes(os.urandom(700_000))
        (tree / "link").symlink_to("sub/data")
        (tree / "run").write_text("#!/bin/sh\necho $GREETING from $(pwd); sha256sum\n"
                                  "cp -a /tmp/tree /tmp/back; echo new >/tmp/back/new; exit 9\n")
        (tree / "run").chmod(0o755)
        (self.folder / "out").mkdir()
        sent = os.urandom(2_000_000)
        result = subprocess.run([viv_process.VIV, "exec", "--copy-in", f"{tree}:/tmp/",
                                 "--copy-out", f"/tmp/back:{self.folder}/out",
                                 "--copy-out", f"/etc/hostname:{self.folder}/missing",
                                 "--env", "GREETING=hello world", "--cwd", "/var", GUEST, "--", "/tmp/tree/run"],
                                input=sent, capture_output=True, timeout=300 * viv_process.PATIENCE)
        checksum = subprocess.run(["sha256sum"], input=sent, capture_output=True, check=True).stdout.split()[0]
        self.assertEqual(result.stdout, b"hello world from /var\n" + checksum + b"  -\n")
        # The second copy fails after the first has come: that is viv's failure, not the command's.
        self.assertEqual(result.returncode, 125)
        self.assertEqual(result.stderr.count(b"\n"), 1, result.stderr)
        self.assertIn(b"--copy-out /etc/hostname:", result.stderr)
        back = self.folder / "out" / "back"
        self.assertEqual((back / "sub" / "data").read_bytes(), (tree / "sub" / "data").read_bytes())
        self.assertEqual(os.readlink(back / "link"), "sub/data")
        self.assertEqual((back / "run").stat().st_mode & 0o777, 0o755)
        self.assertEqual((back / "new").read_text(), "new\n")
        self.assertFalse((self.folder / "missing").exists())

    def test_an_interrupt_goes_to_the_command_the_second_ends_viv(self):
        process = self.start(GUEST, "--", "sh", "-c", "trap 'echo got' INT; echo ready; while :; do sleep 1; done",
                             stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.read_until(process.stdout.fileno(), b"ready\n")
        process.send_signal(signal.SIGINT)
        self.read_until(process.stdout.fileno(), b"got\n")
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(60), -signal.SIGINT)
        self.assertEqual(process.stderr.read(), b"")

    def test_a_terminal_for_the_command(self):
        outer, inner = pty.openpty()
        self.addCleanup(os.close, outer)
        self.addCleanup(os.close, inner)
        termios.tcsetwinsize(inner, (33, 101))
        before = termios.tcgetattr(inner)
        process = self.start("--tty", GUEST, "--", "sh", "-c",
                             "stty size; read line; stty size; echo \"[$line]\"; exit 5", stdin=inner,
                             stdout=inner, stderr=inner, start_new_session=True)
        self.read_until(outer, b"33 101\r\n")
        self.assertFalse(termios.tcgetattr(inner)[3] & termios.ICANON)
        termios.tcsetwinsize(inner, (44, 55))
        process.send_signal(signal.SIGWINCH)  # no controlling terminal, so the kernel does not
        os.write(outer, b"typed\r")
        self.assertIn(b"44 55\r\n", self.read_until(outer, b"[typed]\r\n"))
        self.assertEqual(process.wait(60), 5)
        self.assertEqual(termios.tcgetattr(inner), before)

    def test_a_guest_that_powers_off_under_the_command(self):
        result = viv_process.run("exec", GUEST, "--", "sh", "-c", "echo last words >/dev/console; poweroff -f")
        self.assertEqual(result.returncode, 125)
        self.assertIn("viv: exec: the guest powered off before the end; the end of its console:\n", result.stderr)
        self.assertIn("\n  last words\n", result.stderr)

    def test_a_guest_without_its_initrd_shows_why(self):
        empty = self.folder / "empty.cpio"
        empty.write_bytes(b"070701" + b"0" * 8 * 11 + b"0000000B" + b"0" * 8 + b"TRAILER!!!\0\0\0\0")
        result = viv_process.run("exec", "--initrd", str(empty), "--timeout", "60", GUEST, "--", "true", timeout=120)
        self.assertEqual(result.returncode, 124)
        self.assertIn("the guest's agent has not answered; the end of its console:\n", result.stderr)
        self.assertIn("Kernel panic", result.stderr)


if __name__ == "__main__":
    unittest.main()
