#!/usr/bin/env python3
"""A guest writes to a qcow2 image over a raw one; qemu-img finds the file system that the guest says it has made, and the
image below as it was."""
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import viv_process

GUEST = "linux-riscv64"
VIV_IMG = pathlib.Path(viv_process.VIV).with_name("viv-img")
# What mke2fs discards first is part of it.
WORK = """mke2fs -q /dev/vda && mkdir /tmp/d && mount -t ext4 /dev/vda /tmp/d && seq 1 300000 >/tmp/d/numbers &&
sha256sum </tmp/d/numbers && umount /tmp/d"""


@unittest.skipUnless(shutil.which("qemu-img") and shutil.which("debugfs"), "qemu-utils or e2fsprogs is not installed")
class DiskImages(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)

    def tool(self, *words):
        return subprocess.run([str(word) for word in words], check=True, capture_output=True, cwd=self.folder).stdout

    def test_a_guest_on_qcow2(self):
        base = self.folder / "base"
        base.write_bytes(b"below" * 6553600)  # 31 MiB and a bit
        before = base.read_bytes()
        self.tool(VIV_IMG, "create", "-f", "qcow2", "-b", "base", "-F", "raw", "disk.qcow2", "64M")
        disk = self.folder / "disk.qcow2"
        empty = disk.read_bytes()
        done = viv_process.run("exec", "--disk", f"{disk},snapshot=on", GUEST, "--", "sh", "-c", WORK)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(disk.read_bytes(), empty)
        done = viv_process.run("exec", "--disk", f"{disk},format=qcow2", GUEST, "--", "sh", "-c", WORK)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.tool("qemu-img", "check", disk)
        self.tool("qemu-img", "convert", "-O", "raw", disk, "flat")
        numbers = self.tool("debugfs", "-R", "cat /numbers", "flat")
        self.assertEqual(numbers, b"".join(b"%d\n" % n for n in range(1, 300001)))
        self.assertEqual(base.read_bytes(), before)
        # And again, from what is there.
        done = viv_process.run("exec", "--disk", f"{disk},readonly=on", GUEST, "--", "sh", "-c",
                               "mkdir /tmp/d && mount -t ext4 -o ro,noload /dev/vda /tmp/d && tail -n 1 /tmp/d/numbers")
        self.assertEqual((done.returncode, done.stdout.split()[-1:]), (0, ["300000"]), done.stderr)
        done = viv_process.run("exec", "--disk", f"{disk},backing=off", GUEST, "--", "true")
        self.assertEqual(done.returncode, 2)
        self.assertIn("may not open others", done.stderr)


if __name__ == "__main__":
    unittest.main()
