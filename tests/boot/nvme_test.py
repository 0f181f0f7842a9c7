#!/usr/bin/env python3
"""NVMe in a guest with Debian's kernel: two controllers, a file system that the host's tools read, space given back, and a
machine that is saved while it writes."""
import hashlib
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import viv_process

GUEST = "linux-riscv64"
VIV_IMG = pathlib.Path(viv_process.VIV).with_name("viv-img")
# The kernel finds its disks while the guest starts, in any order.
FIND = """until [ -e /dev/nvme0n1 ] && [ -e /dev/nvme1n1 ]; do usleep 20000; done
for n in 0 1; do read -r serial </sys/class/nvme/nvme$n/serial; eval "$serial=/dev/nvme${n}n1"; done
"""


def setUpModule():
    viv_process.guest(GUEST)


@unittest.skipUnless(shutil.which("qemu-img") and shutil.which("debugfs"), "qemu-utils or e2fsprogs is not installed")
class Nvme(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        self.tool(VIV_IMG, "create", "-f", "qcow2", "one.qcow2", "64M")
        self.tool(VIV_IMG, "create", "-f", "raw", "two.raw", "32M")

    def tool(self, *words):
        return subprocess.run([str(word) for word in words], check=True, capture_output=True, cwd=self.folder).stdout

    def devices(self, more=""):
        return ["--device", f"nvme,serial=one,file={self.folder}/one.qcow2,format=qcow2{more}",
                "--device", f"nvme,serial=two,file={self.folder}/two.raw,format=raw{more}"]

    def guest(self, script):
        done = viv_process.run("exec", *self.devices(), GUEST, "--", "sh", "-c", FIND + script)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_file_systems(self):
        self.guest("""mkdir /tmp/a /tmp/b; mke2fs -q $one >/dev/null && mount -t ext4 $one /tmp/a || exit 1
            mke2fs -q $two >/dev/null && mount -t ext4 $two /tmp/b || exit 1
            seq 1 1000000 >/tmp/a/million & seq 1 300000 >/tmp/b/numbers && wait && umount /tmp/a /tmp/b""")
        self.tool("qemu-img", "check", "one.qcow2")
        self.tool("qemu-img", "convert", "-O", "raw", "one.qcow2", "flat")
        million = b"".join(b"%d\n" % n for n in range(1, 1000001))
        self.assertEqual(self.tool("debugfs", "-R", "cat /million", "flat"), million)
        self.assertEqual(self.tool("debugfs", "-R", "cat /numbers", "two.raw"), million[:1_988_895])
        # In another machine, where a file goes and its space with it.
        before = (self.folder / "two.raw").stat().st_blocks
        text = self.guest("""mkdir /tmp/a /tmp/b; mount -t ext4 $one /tmp/a && mount -t ext4 $two /tmp/b || exit 1
            sha256sum </tmp/a/million; rm /tmp/b/numbers && sync && fstrim /tmp/b && umount /tmp/a /tmp/b || exit 1
            dmesg | grep nvme | grep -ciE 'error|timeout|reset'; true""")
        self.assertEqual(text.split(), [hashlib.sha256(million).hexdigest(), "-", "0"])
        after = (self.folder / "two.raw").stat().st_blocks
        self.assertLess(after, before - 1_988_895 // 512 + 64)

    def test_a_machine_that_is_saved_while_it_writes(self):
        session = viv_process.Session("run", GUEST, "--net", "none", "--qmp", f"unix:{self.folder}/qmp", *self.devices(",snapshot=on"))
        self.addCleanup(session.__exit__)
        session.expect("~ # ")
        session.type(FIND + "seq 1 500000 >/tmp/numbers; (i=0; while [ ! -e /tmp/stop ]; do i=$((i+1)); "
                     "dd if=/tmp/numbers of=$one bs=64k count=40 oflag=direct 2>/dev/null; echo n$i; done) &\n")
        session.expect("n5\r\n")
        saved = self.folder / "saved"
        subprocess.run([viv_process.VIV, "save", "--from", f"unix:{self.folder}/qmp", str(saved)], check=True, timeout=120 * viv_process.PATIENCE)
        session.__exit__()
        session = viv_process.Session("run", "--restore", str(saved), *self.devices(",snapshot=on"))
        self.addCleanup(session.__exit__)
        session.expect(r"n\d+\r\n")
        session.type("touch /tmp/stop; wait; dd if=$one bs=64k count=40 2>/dev/null | sha256sum; dmesg | grep -ci 'i/o error'\n")
        numbers = b"".join(b"%d\n" % n for n in range(1, 500001))[:40 << 16]
        session.expect(hashlib.sha256(numbers).hexdigest() + r"\s+-\r\n0\r\n")

    def test_what_is_missing_is_told(self):
        file = f"file={self.folder}/two.raw,format=raw"
        for device, told in ((f"nvme,{file}", "a serial is missing"), ("nvme,serial=x", "no disk is connected to it"),
                             (f"nvme,{file},serial={'x' * 21}", "is longer than 20 characters")):
            done = viv_process.run("exec", "--device", device, GUEST, "--", "true")
            self.assertEqual(done.returncode, 2)
            self.assertIn(told, done.stderr)


if __name__ == "__main__":
    unittest.main()
