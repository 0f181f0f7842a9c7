"""Two machines in lockstep, the interpreter against the translator: a boot and a command without a difference, and a difference that is found."""

import os
import pathlib
import tempfile
import threading
import unittest

import viv_process

GUEST = "linux-riscv64"
BOOT = "700M"  # instructions: past the start of the first user process


def lockstep(*arguments, **options):
    return viv_process.run("lockstep", *arguments, timeout=800, **options)


class Lockstep(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        viv_process.guest(GUEST)
        known = lockstep("--max-instructions", "1", "--kernel", os.devnull)
        cls.translates = "has no translator" not in known.stderr
        cls.tiers = [] if cls.translates else ["--tiers", "off,off"]

    def test_a_boot_is_the_same(self):
        for arguments in ((), ("--cpus", "2")):
            with self.subTest(arguments=arguments):
                done = lockstep(*self.tiers, "--max-instructions", BOOT, *arguments, GUEST)
                self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout[-3000:])
                self.assertRegex(done.stdout, r"^lockstep: no difference between off and \w+ in 700000000 instructions \(700 comparisons, 3 of memory\)")

    def test_a_command_runs_in_both_and_its_end_is_told(self):
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "data").write_bytes(bytes(range(256)) * 64)
            done = lockstep(*self.tiers, "--input", "-", "--copy-in", f"{folder}/data:/tmp/data", "--share", f"{folder}:host:ro", GUEST, "--", "sh", "-c",
                            "cmp /tmp/data /mnt/host/data && cat && sha256sum < /tmp/data | cut -c 1-8; echo to-stderr >&2; exit 7", stdin=None, input="from here\n")
        self.assertEqual((done.returncode, done.stderr), (0, "to-stderr\n"), done.stdout[-3000:])
        self.assertRegex(done.stdout, r"^from here\n[0-9a-f]{8}\nlockstep: no difference .*: the command ended with 7 in both; state [0-9a-f]{32}\n$")

    def test_a_difference_ends_with_1_and_is_shown(self):
        # A file that never holds the same twice is what no two machines can agree on.
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "counter"
            path.write_text("0" * 20)
            over = threading.Event()

            def count():
                with path.open("r+b", buffering=0) as file:
                    number = 0
                    while not over.is_set():
                        number += 1
                        os.pwrite(file.fileno(), b"%020d" % number, 0)

            writer = threading.Thread(target=count)
            writer.start()
            try:
                # The machines take turns of milliseconds, in which the writer comes to something at least once in so many reads.
                done = lockstep(*self.tiers, "--share", f"{folder}:host:ro", GUEST, "--", "sh", "-c",
                                "i=0; while [ $i -lt 200 ]; do cat /mnt/host/counter; i=$((i + 1)); done")
            finally:
                over.set()
                writer.join()
        self.assertEqual((done.returncode, done.stderr), (1, ""), done.stdout[-3000:])
        self.assertRegex(done.stdout, r"lockstep: off and \w+ differ\n  alike in all after  +[\d,]+ instructions\n  found to differ after  +[\d,]+\n")
        self.assertRegex(done.stdout, r"(state|memory) that differs \(\d+")

    def test_wrong_use_ends_with_2(self):
        done = lockstep("--tiers", "off,best", GUEST)
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr, r"^viv: --tiers best: is no tier; there are off, ")


if __name__ == "__main__":
    unittest.main(verbosity=2)
