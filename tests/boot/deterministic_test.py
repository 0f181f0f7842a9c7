"""Whole boots that repeat exactly: equal hashes for equal inputs, and for a machine saved at a random point and gone on with."""

import pathlib
import random
import re
import tempfile
import unittest

import viv_process

GUEST = "linux-riscv64"
END = 900_000_000  # instructions: past the start of the first user process


def hash_after(*arguments):
    done = viv_process.run("run", "--print-hash", "--serial", "null", *arguments, timeout=600)
    found = re.search(r"state ([0-9a-f]{32}) after (\d+) instructions", done.stdout + done.stderr)
    assert found, done.stdout[-2000:] + done.stderr[-2000:]
    return found.group(1), int(found.group(2))


class Deterministic(unittest.TestCase):
    def setUp(self):
        viv_process.guest(GUEST)

    def test_two_boots_and_a_saved_one_end_the_same(self):
        whole = hash_after(GUEST, "--deterministic", "--max-instructions", str(END))
        self.assertEqual(whole[1], END)
        self.assertEqual(hash_after(GUEST, "--deterministic", "--max-instructions", str(END)), whole)
        at = random.SystemRandom().randrange(1, END)
        print(f"saved after {at} instructions")
        with tempfile.TemporaryDirectory() as folder:
            saved = str(pathlib.Path(folder) / "saved")
            first = hash_after(GUEST, "--deterministic", "--max-instructions", str(at), "--save-at-end", saved)
            self.assertEqual(first[1], at)
            self.assertNotEqual(first[0], whole[0])
            self.assertEqual(hash_after("--restore", saved, "--max-instructions", str(END)), whole)

    def test_two_harts_and_another_seed(self):
        end = "300000000"
        one = hash_after(GUEST, "--deterministic", "--cpus", "2", "--max-instructions", end)
        self.assertEqual(hash_after(GUEST, "--deterministic", "--cpus", "2", "--max-instructions", end), one)
        self.assertNotEqual(hash_after(GUEST, "--deterministic", "--cpus", "2", "--seed", "2", "--max-instructions", end), one)

    def test_translated_code_does_what_the_interpreter_does(self):
        for arguments in ((), ("--cpus", "2")):
            end = random.SystemRandom().randrange(1, END)
            print(f"compared after {end} instructions {arguments}")
            options = (GUEST, "--deterministic", "--max-instructions", str(end), *arguments)
            interpreted = hash_after(*options, "--jit", "off")
            self.assertEqual(hash_after(*options, "--jit", "quick"), interpreted)
            self.assertEqual(hash_after(*options, "--jit", "full"), interpreted)
            # Code comes and goes all the time, and is the same.
            for kibibytes in (1024, random.SystemRandom().randrange(1028, 8192, 4)):
                with self.subTest(kibibytes=kibibytes):
                    self.assertEqual(hash_after(*options, "--jit", "full", "--jit-cache", f"{kibibytes}K"), interpreted)


if __name__ == "__main__":
    unittest.main(verbosity=2)
