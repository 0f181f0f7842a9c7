"""A real gdb-multiarch on a real kernel: break in it, read registers and memory, step, watch, go on."""

import pathlib
import re
import subprocess
import tempfile
import unittest

import viv_process

GUEST = "linux-riscv64"

SCRIPT = """
set pagination off
set confirm off
set architecture riscv:rv64
target remote {socket}
info threads
hbreak *{address}
continue
printf "stopped-at %#lx\\n", $pc
printf "stack-is-kernel %d\\n", $sp > 0xff00000000000000
printf "satp-mode %d\\n", ($satp >> 60) & 15
x/3i $pc
stepi
printf "after-step %d\\n", $pc - {address}
set $t0 = 0x1234
printf "t0 %#lx\\n", $t0
set $kept = $v3.l[1]
set $v3.l[1] = 0x1122334455667788
printf "v3 %#lx %#x %#x %d\\n", $v3.l[1], $v3.w[3], $v3.s[4], sizeof($v3)
printf "v3-byte %d\\n", $v3.b[8] == 0x88
print $v3
info registers v0
set $v3.l[1] = $kept
delete
watch *(unsigned long *)($sp - 8)
monitor info status
delete
detach
"""


class Gdb(unittest.TestCase):
    def test_a_script_in_the_kernel(self):
        viv_process.guest(GUEST)
        done = viv_process.run("exec", GUEST, "--", "grep", "-E", " T (vfs_read|kernel_clone)$", "/proc/kallsyms")
        address = "0x" + re.search(r"([0-9a-f]{16}) T vfs_read", done.stdout).group(1)
        with tempfile.TemporaryDirectory() as folder:
            socket = str(pathlib.Path(folder) / "gdb")
            script = pathlib.Path(folder) / "script"
            script.write_text(SCRIPT.format(socket=socket, address=address))
            with viv_process.Session("run", GUEST, "--paused", "--cpus", "2", "--gdb", f"unix:{socket}") as viv:
                while not pathlib.Path(socket).exists():
                    self.assertIsNone(viv.process.poll())
                gdb = subprocess.run(["gdb-multiarch", "-nx", "-batch", "-x", str(script)], capture_output=True, text=True,
                                     timeout=240 * viv_process.PATIENCE, stdin=subprocess.DEVNULL)
                output = gdb.stdout + gdb.stderr
                for expected in (r"Thread 1\.?\d* ", f"stopped-at {address}", "stack-is-kernel 1", "satp-mode 10", r"=> " + address,
                                 r"after-step [24]", "t0 0x1234", "v3 0x1122334455667788 0x11223344 0x7788 16", "v3-byte 1",
                                 r"\$\d+ = \{b = \{.*s = \{.*w = \{.*l = \{.*q = \{", r"\nv0 +\{b = \{"):
                    self.assertRegex(output, expected)
                # Detached, the guest goes on to its shell.
                viv.expect(r"~ # ")
                viv.type("poweroff -f\n")
                self.assertEqual(viv.wait(), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
