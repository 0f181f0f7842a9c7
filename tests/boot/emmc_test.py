#!/usr/bin/env python3
"""An eMMC in a guest with Debian's kernel and mmc-utils: a file system that the host's tools read, and an RPMB partition whose
key and write counter outlive the machine, killed ones included. Frames are signed by Python's hmac."""
import hashlib
import hmac
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

import viv_process

sys.path.insert(0, str(viv_process.ROOT / "tests" / "bench"))
import cache  # noqa: E402
import debian_archive  # noqa: E402
import programs  # noqa: E402

GUEST = "linux-riscv64"
VIV_IMG = pathlib.Path(viv_process.VIV).with_name("viv-img")
KILLS = int(os.environ.get("VIV_KILLS", "3"))
KEY = bytes(range(100, 132))
RPMB = "/dev/mmcblk0rpmb"
# The kernel finds its card while the guest starts. mmc-utils come with a library of their own.
PREPARE = """until [ -e /dev/mmcblk0rpmb ]; do usleep 20000; done
mmc() { /mnt/tools/usr/lib/riscv64-linux-gnu/ld-linux-riscv64-lp64d.so.1 --library-path /mnt/tools/usr/lib/riscv64-linux-gnu \
/mnt/tools/usr/bin/mmc "$@" 2>&1; }
"""


def block(number):
    return struct.pack(">I", number) * 64


def write_frame(counter, address, data):
    """An authenticated write of one block: JESD84-B51, 6.6.22."""
    covered = data + bytes(16) + struct.pack(">IHHHH", counter, address, 1, 0, 3)
    return bytes(196) + hmac.new(KEY, covered, hashlib.sha256).digest() + covered


def setUpModule():
    viv_process.guest(GUEST)


@unittest.skipUnless(shutil.which("qemu-img") and shutil.which("debugfs"), "qemu-utils or e2fsprogs is not installed")
class Emmc(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(scratch.cleanup)
        cls.folder = pathlib.Path(scratch.name)
        cls.tools = cls.folder / "tools"
        steps = cache.Steps("mmc-utils")
        packages = debian_archive.Archive(["trixie"], "riscv64", steps).installed(["mmc-utils", "libc6"], closure=False)
        debian_archive.unpack(packages, cls.tools, steps)
        shutil.copy(programs.build("riscv64", "rpmb"), cls.tools / "rpmb")
        (cls.tools / "key").write_bytes(KEY)

    def tool(self, *words):
        return subprocess.run([str(word) for word in words], check=True, capture_output=True, cwd=self.folder).stdout

    def words(self, device, script):
        return ["exec", "--share", f"{self.tools}:tools", "--device", device, GUEST, "--", "sh", "-c", PREPARE + script]

    def guest(self, device, script):
        done = viv_process.run(*self.words(device, script))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def counter(self, device):
        found = re.search(r"Counter value: 0x([0-9a-f]+)", self.guest(device, f"mmc rpmb read-counter {RPMB}"))
        self.assertTrue(found)
        return int(found[1], 16)

    def stored(self, device, address):
        self.guest(device, f"rm -f /mnt/tools/out; mmc rpmb read-block {RPMB} {address} 1 /mnt/tools/out /mnt/tools/key")
        return (self.tools / "out").read_bytes()

    def test_a_file_system_that_the_host_reads(self):
        self.tool(VIV_IMG, "create", "-f", "qcow2", "card.qcow2", "64M")
        device = f"emmc,file={self.folder}/card.qcow2,format=qcow2"
        text = self.guest(device, """mke2fs -q /dev/mmcblk0 && mkdir /tmp/d && mount -t ext4 /dev/mmcblk0 /tmp/d || exit 1
            seq 1 300000 >/tmp/d/numbers && umount /tmp/d || exit 1
            echo 0 >/sys/block/mmcblk0boot1/force_ro && echo boots >/dev/mmcblk0boot1 && sync || exit 1
            mmc extcsd read /dev/mmcblk0; mmc bootpart enable 2 0 /dev/mmcblk0""")
        self.assertIn("Extended CSD rev 1.8 (MMC 5.1)", text)
        self.tool("qemu-img", "check", "card.qcow2")
        self.tool("qemu-img", "convert", "-O", "raw", "card.qcow2", "flat")
        numbers = self.tool("debugfs", "-R", "cat /numbers", "flat")
        self.assertEqual(numbers, b"".join(b"%d\n" % n for n in range(1, 300001)))
        text = self.guest(device, """mkdir /tmp/d && mount -t ext4 /dev/mmcblk0 /tmp/d && tail -n 1 /tmp/d/numbers
            head -n 1 /dev/mmcblk0boot1; mmc extcsd read /dev/mmcblk0 | grep PARTITION_CONFIG""")
        self.assertEqual(text.split()[:2], ["300000", "boots"])
        self.assertIn("0x10", text)
        # What discards, and a card that is not written to.
        text = self.guest(device + ",readonly=on", "cat /sys/block/mmcblk0/ro; mkdir /tmp/d; mount -t ext4 -o ro /dev/mmcblk0 /tmp/d && wc -c </tmp/d/numbers")
        self.assertEqual(text.split(), ["1", "1988895"])

    def test_rpmb_outlives_the_machine_and_takes_no_frame_twice(self):
        card = self.folder / "card"
        self.tool(VIV_IMG, "create", card, "32M")
        device = f"emmc,file={card},format=raw"
        (self.tools / "one").write_bytes(block(1)[:256])
        (self.tools / "frame").write_bytes(write_frame(1, 7, block(2)))
        (self.tools / "forged").write_bytes(write_frame(2, 7, block(3))[:-300] + bytes([9]) + write_frame(2, 7, block(3))[-299:])
        text = self.guest(device, f"""mmc rpmb write-key {RPMB} /mnt/tools/key && mmc rpmb write-block {RPMB} 5 /mnt/tools/one /mnt/tools/key || exit 1
            mmc rpmb write-key {RPMB} /mnt/tools/key; cd /mnt/tools; ./rpmb {RPMB} frame frame forged""")
        self.assertEqual(text.split()[-3:], ["0000", "0003", "0002"], text)
        self.assertIn("retcode 0x0005", text, "a second key")
        self.assertEqual(self.counter(device), 2)
        self.assertEqual(self.stored(device, 5), block(1))
        self.assertEqual(self.stored(device, 7), block(2))
        self.assertEqual(self.guest(device, f"cd /mnt/tools; ./rpmb {RPMB} frame").split(), ["0003"])
        self.assertEqual(self.counter(device), 2)

    def test_the_counter_survives_a_kill_at_any_moment(self):
        card = self.folder / "killed"
        self.tool(VIV_IMG, "create", card, "32M")
        device = f"emmc,file={card},format=raw"
        self.guest(device, f"mmc rpmb write-key {RPMB} /mnt/tools/key")
        frames = self.tools / "frames"
        frames.mkdir()
        many = 20000
        with open(frames / "all", "wb") as file:
            for number in range(many):
                file.write(write_frame(number, number % 16, block(number + 1)))
        count = 0
        for kill in range(KILLS):
            script = f"cd /mnt/tools; ./rpmb -s {count} {RPMB} frames/all"
            with subprocess.Popen([viv_process.VIV, *self.words(device, script)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as machine:
                told = 0
                for line in machine.stdout:
                    self.assertEqual(line, b"0000\n")
                    told += 1
                    if told == 7 + 31 * kill:
                        machine.kill()
                # What was written to the pipe before the end was told, too.
            now = self.counter(device)
            self.assertGreaterEqual(now, count + told)
            self.assertLess(now, many)
            self.assertEqual(self.stored(device, (now - 1) % 16), block(now))
            if now > 15:
                self.assertEqual(self.stored(device, now % 16), block(now - 15))
            count = now


if __name__ == "__main__":
    unittest.main()
