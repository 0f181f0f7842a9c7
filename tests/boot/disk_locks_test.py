"""QEMU's programs and viv see each other's use of a disk image."""

import contextlib
import pathlib
import subprocess
import tempfile
import unittest

import viv_process


class DiskLocks(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.NamedTemporaryFile()
        self.addCleanup(temporary.close)
        temporary.truncate(1 << 20)
        self.disk = temporary.name
        self.addCleanup(pathlib.Path(self.disk + ".copy").unlink, missing_ok=True)

    @contextlib.contextmanager
    def viv_with_disk(self, option):
        with viv_process.Session("run", "--bios", viv_process.firmware("u-boot-riscv64.bin"), "--disk", f"file={self.disk}{option}") as viv:
            viv.expect(r"U-Boot 20\d\d")
            yield

    def qemu_img(self, *arguments):
        command = [viv_process.peer("qemu-img"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def test_written_by_viv(self):
        with self.viv_with_disk(""):
            done = self.qemu_img("convert", "-f", "raw", self.disk, self.disk + ".copy")
            self.assertEqual(done.returncode, 1)
            self.assertIn("lock", done.stderr)
        self.assertEqual(self.qemu_img("convert", "-f", "raw", self.disk, self.disk + ".copy").returncode, 0)

    def test_read_by_viv(self):
        with self.viv_with_disk(",snapshot=on"):
            self.assertEqual(self.qemu_img("convert", "-f", "raw", self.disk, self.disk + ".copy").returncode, 0)
            done = self.qemu_img("resize", "-f", "raw", self.disk, "2M")
            self.assertEqual(done.returncode, 1)
            self.assertIn("lock", done.stderr)

    def test_written_by_qemu(self):
        command = [viv_process.peer("qemu-system-riscv64"), "-M", "virt", "-S", "-display", "none", "-serial", "none", "-monitor", "stdio", "-bios", "none",
                   "-drive", f"file={self.disk},format=raw,if=none,id=disk", "-device", "virtio-blk-device,drive=disk"]
        qemu = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        with contextlib.ExitStack() as ending:
            ending.enter_context(qemu)
            ending.callback(qemu.kill)
            qemu.stdin.write(b"info status\n")
            qemu.stdin.flush()
            for line in qemu.stdout:
                if b"VM status" in line:
                    break
            done = viv_process.run("run", "--bios", viv_process.firmware("u-boot-riscv64.bin"), "--disk", f"file={self.disk}", timeout=60)
            self.assertEqual(done.returncode, 2)
            self.assertIn("is in use by another program", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
