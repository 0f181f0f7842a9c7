#!/usr/bin/env python3
"""virtio-scsi in a guest with Debian's kernel: two disks at one target, a CD-ROM with an ISO 9660 image, file systems that the
host's tools read, space given back, and a machine that is saved while it writes."""
import hashlib
import pathlib
import shutil
import struct
import subprocess
import tempfile
import unittest

import viv_process

GUEST = "linux-riscv64"
VIV_IMG = pathlib.Path(viv_process.VIV).with_name("viv-img")
# The kernel finds its disks while the guest starts, several at a time: what it calls them says nothing of their addresses.
WAIT = """until [ -e /dev/sda ] && [ -e /dev/sdb ] && [ -e /dev/sr0 ]; do usleep 20000; done
disk() { echo /dev/$(ls /sys/class/scsi_device/*:$1/device/block); }; one=$(disk 0:0:0); two=$(disk 0:0:1)
"""


def both(size, value):
    """A number in both byte orders: ECMA-119, 7.2.3 and 7.3.3."""
    letter = {2: "H", 4: "I"}[size]
    return struct.pack("<" + letter, value) + struct.pack(">" + letter, value)


def directory_entry(name, block, size, flags):
    body = bytes([0]) + both(4, block) + both(4, size) + bytes([126, 1, 1, 0, 0, 0, 0, flags, 0, 0]) + both(2, 1) + bytes([len(name)]) + name
    body += bytes(1 - len(body) % 2)
    return bytes([len(body) + 1]) + body


def iso_image(content):
    """An ISO 9660 image with one file, DATA.BIN: ECMA-119."""
    block = 2048
    root, path_little, path_big, data = 18, 19, 20, 21
    root_entry = directory_entry(b"\0", root, block, 2)
    directory = root_entry + directory_entry(b"\1", root, block, 2) + directory_entry(b"DATA.BIN;1", data, len(content), 0)
    blocks = data + (len(content) + block - 1) // block
    path = [bytes([1, 0]) + struct.pack(order + "IH", root, 1) + bytes(2) for order in "<>"]
    volume = b"\1CD001\1\0" + b" " * 32 + b"VIVARIUM".ljust(32) + bytes(8) + both(4, blocks) + bytes(32)
    volume += both(2, 1) + both(2, 1) + both(2, block) + both(4, len(path[0]))
    volume += struct.pack("<II", path_little, 0) + struct.pack(">II", path_big, 0) + root_entry
    volume = volume.ljust(881, b" ") + bytes([1])
    parts = [bytes(16 * block), volume, b"\xffCD001\1", directory, path[0], path[1], content]
    return b"".join(part.ljust((len(part) + block - 1) // block * block, b"\0") for part in parts)


def setUpModule():
    viv_process.guest(GUEST)


@unittest.skipUnless(shutil.which("qemu-img") and shutil.which("debugfs"), "qemu-utils or e2fsprogs is not installed")
class Scsi(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        self.content = b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(100000))
        (self.folder / "cd.iso").write_bytes(iso_image(self.content))
        self.tool(VIV_IMG, "create", "-f", "qcow2", "one.qcow2", "64M")
        self.tool(VIV_IMG, "create", "-f", "raw", "two.raw", "32M")

    def tool(self, *words):
        return subprocess.run([str(word) for word in words], check=True, capture_output=True, cwd=self.folder).stdout

    def devices(self, more=""):
        return ["--device", "virtio-scsi-pci,id=scsi0,num_queues=2",
                "--device", f"scsi-hd,bus=scsi0,file={self.folder}/one.qcow2,format=qcow2,serial=FIRST{more}",
                "--device", f"scsi-hd,bus=scsi0,scsi-id=0,lun=1,file={self.folder}/two.raw,format=raw{more}",
                "--device", f"scsi-cd,file={self.folder}/cd.iso,format=raw"]

    def guest(self, script):
        done = viv_process.run("exec", *self.devices(), GUEST, "--", "sh", "-c", WAIT + script)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_disks_and_a_cd(self):
        iso = (self.folder / "cd.iso").read_bytes()
        text = self.guest("""mkdir /tmp/a /tmp/b /tmp/c && mke2fs -q $one >/dev/null && mount -t ext4 $one /tmp/a || exit 1
            mke2fs -q $two >/dev/null && mount -t ext4 $two /tmp/b && mount -t iso9660 -o ro /dev/sr0 /tmp/c || exit 1
            cp /tmp/c/data.bin /tmp/a/one & seq 1 300000 >/tmp/b/numbers && wait && umount /tmp/a /tmp/b || exit 1
            sha256sum </tmp/c/data.bin; sha256sum </dev/sr0; cat /sys/block/${one#/dev/}/device/vpd_pg80""")
        words = text.split()
        self.assertEqual(words[0], hashlib.sha256(self.content).hexdigest())
        self.assertEqual(words[2], hashlib.sha256(iso).hexdigest())
        self.assertIn("FIRST", text)
        self.tool("qemu-img", "check", "one.qcow2")
        self.tool("qemu-img", "convert", "-O", "raw", "one.qcow2", "flat")
        self.assertEqual(self.tool("debugfs", "-R", "cat /one", "flat"), self.content)
        numbers = self.tool("debugfs", "-R", "cat /numbers", "two.raw")
        self.assertEqual(numbers, b"".join(b"%d\n" % n for n in range(1, 300001)))
        # In another machine, where the files go and their space with them.
        before = (self.folder / "two.raw").stat().st_blocks
        text = self.guest("""mkdir /tmp/a /tmp/b && mount -t ext4 $one /tmp/a && mount -t ext4 $two /tmp/b || exit 1
            sha256sum </tmp/a/one; tail -n 1 /tmp/b/numbers; rm /tmp/b/numbers && sync && fstrim /tmp/b && umount /tmp/a /tmp/b""")
        self.assertEqual(text.split(), [hashlib.sha256(self.content).hexdigest(), "-", "300000"])
        after = (self.folder / "two.raw").stat().st_blocks
        self.assertLess(after, before - 1_988_895 // 512 + 64)
        self.assertEqual((self.folder / "cd.iso").read_bytes(), iso)

    def test_a_machine_that_is_saved_while_it_writes(self):
        session = viv_process.Session("run", GUEST, "--net", "none", "--qmp", f"unix:{self.folder}/qmp", *self.devices(",snapshot=on"))
        self.addCleanup(session.__exit__)
        session.expect("~ # ")
        session.type(WAIT + "(i=0; while [ ! -e /tmp/stop ]; do i=$((i+1)); dd if=/dev/sr0 of=$one bs=64k count=40 oflag=direct 2>/dev/null; "
                     "echo n$i; done; echo do''ne) &\n")
        session.expect("n5\r\n")
        saved = self.folder / "saved"
        subprocess.run([viv_process.VIV, "save", "--from", f"unix:{self.folder}/qmp", str(saved)], check=True, timeout=120 * viv_process.PATIENCE)
        session.__exit__()
        session = viv_process.Session("run", "--restore", str(saved), *self.devices(",snapshot=on"))
        self.addCleanup(session.__exit__)
        session.expect(r"n\d+\r\n")
        session.type("touch /tmp/stop; wait; dd if=$one bs=64k count=40 2>/dev/null | sha256sum; dmesg | grep -c -i 'i/o error'\n")
        iso = (self.folder / "cd.iso").read_bytes()
        session.expect(hashlib.sha256(iso[:40 << 16]).hexdigest() + r"\s+-\r\n0\r\n")

    def test_what_cannot_be_attached(self):
        one = f"scsi-hd,file={self.folder}/two.raw,format=raw"
        for words, told in ((["--device", one], "there is no SCSI host adapter; add --device virtio-scsi-pci"),
                            (["--device", "virtio-scsi-pci", "--device", one + ",bus=other"], "bus=other: there is no SCSI host adapter"),
                            (["--device", "virtio-scsi-pci", "--device", "scsi-hd"], "no disk is connected to it"),
                            (["--device", "virtio-scsi-pci", "--device", one + ",scsi-id=256"], "'scsi-id' is '256'")):
            done = viv_process.run("exec", *words, GUEST, "--", "true")
            self.assertEqual(done.returncode, 2)
            self.assertIn(told, done.stderr)


if __name__ == "__main__":
    unittest.main()
