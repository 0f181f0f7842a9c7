"""debian-riscv64 from its disk to the login prompt, and a command run in it."""

import unittest

import viv_process

GUEST = "debian-riscv64"


class Debian(unittest.TestCase):
    def setUp(self):
        viv_process.guest(GUEST)

    def test_login(self):
        with viv_process.Session("run", GUEST) as viv:
            viv.expect(r"login: ", timeout=400)
            viv.type("root\n")
            viv.expect(r"# ", timeout=120)
            viv.type("cat /etc/debian_version; mount | grep ' / '\n")
            viv.expect(r"13\.\d+\r\n")
            viv.expect(r"/dev/vda on / type ext4")
            viv.type("systemctl poweroff\n")
            self.assertEqual(viv.wait(300), 0)

    def test_exec(self):
        done = viv_process.run("exec", GUEST, "--", "dpkg", "--print-architecture", timeout=600)
        self.assertEqual((done.returncode, done.stdout), (0, "riscv64\n"), done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
