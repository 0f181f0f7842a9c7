"""Real firmware on riscv-virt: OpenSBI in both forms with Linux behind it, U-Boot in machine mode and behind OpenSBI."""

import tempfile
import unittest

import viv_process

GUEST = "linux-riscv64"


class OpenSbi(unittest.TestCase):
    def boot(self, name, *options):
        folder = viv_process.guest(GUEST)
        with viv_process.Session("run", "--bios", viv_process.firmware(name), "--kernel", str(folder / "kernel"), "--initrd", str(folder / "initrd"),
                                 "--append", "console=ttyS0 quiet", *options) as viv:
            viv.expect(r"OpenSBI v\d")
            viv.expect(r"Platform Name +: riscv-virtio,vivarium")
            viv.expect(r"~ # ")
            viv.type("dmesg | grep -i sbi\n")
            viv.expect(r"SBI implementation ID=0x1 ")
            viv.type("nproc; poweroff -f\n")
            viv.expect(r"\n(\d+)\r\n")
            self.assertEqual(viv.wait(), 0)

    def test_dynamic(self):
        self.boot("opensbi-fw_dynamic.bin")

    def test_jump_as_elf_with_two_harts(self):
        self.boot("opensbi-fw_jump.elf", "--cpus", "2")


class UBoot(unittest.TestCase):
    def test_machine_mode(self):
        with viv_process.Session("run", "--bios", viv_process.firmware("u-boot-riscv64.bin")) as viv:
            viv.expect(r"U-Boot 20\d\d")
            viv.expect(r"Hit any key to stop autoboot")
            viv.type(" ")
            viv.expect(r"=> ")
            viv.type("cpu list\n")
            viv.expect(r"0: cpu@0 +riscv")
            viv.type("poweroff\n")
            self.assertEqual(viv.wait(), 0)

    def test_behind_opensbi_with_a_disk(self):
        with tempfile.NamedTemporaryFile() as disk:
            disk.write(bytes(0x200) + b"second sector".ljust(0x200, b"."))
            disk.flush()
            with viv_process.Session("run", "--bios", viv_process.firmware("opensbi-fw_dynamic.bin"), "--kernel",
                                     viv_process.firmware("u-boot-riscv64-smode.bin"), "--disk", f"file={disk.name},snapshot=on") as viv:
                viv.expect(r"OpenSBI v\d")
                viv.expect(r"Hit any key to stop autoboot")
                viv.type(" ")
                viv.expect(r"=> ")
                viv.type("virtio scan; virtio read 84000000 1 1; md.b 84000000 10\n")
                viv.expect(r"second sector")
                viv.type("poweroff\n")
                self.assertEqual(viv.wait(), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
