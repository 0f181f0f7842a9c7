"""The guest debian-riscv64 as built by guest.py, booted by the peer QEMU: login, agent, network, apt's database.

Needs the cache to hold the guest and the peers, or the network to fetch them. What is tested is the guest, not viv.
"""

import unittest

import qemu_machine  # finds the tools
import cache
import guest

NAME = "debian-riscv64"


class Login(unittest.TestCase):
    def test_login_shell_and_power_off(self):
        with qemu_machine.Machine(NAME, seconds=600) as machine:
            machine.expect(machine.ready["console"]["ready"])
            print(f"{NAME}: login after {machine.seconds():.1f} s")
            machine.type("root\n")
            machine.expect(r"root@debian:~#")
            machine.type("stty -echo; echo $(uname -m) $(id -u); systemctl is-system-running; systemctl poweroff\n")
            machine.expect(r"riscv64 0\r\n")
            machine.expect("Power down")
            self.assertEqual(machine.wait(), 0)


class Agent(unittest.TestCase):
    def test_the_system_is_whole(self):
        disk = guest.build(NAME) / "disk.raw"
        before = cache.sha256_of(disk)
        options = ["-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile=", "-device", "virtio-rng-pci"]
        with qemu_machine.Machine(NAME, seconds=600, options=options) as machine:
            machine.agent.hello()
            print(f"{NAME}: agent after {machine.seconds():.1f} s")

            def run(command, code=0):
                result = machine.agent.run(["sh", "-c", command], timeout=600)
                self.assertEqual(result.code, code, result.stderr.decode())
                return result.stdout.decode()

            self.assertEqual(run("systemctl is-system-running --wait"), "running\n")
            self.assertEqual(run("systemctl list-units --failed --no-legend"), "")
            self.assertEqual(run("dpkg --audit; dpkg-query -f '${db:Status-Abbrev}\n' -W | sort -u"), "ii \n")
            self.assertEqual(run("apt-get check >/dev/null 2>&1 && echo sound"), "sound\n")
            # Owners and modes come from the packages, not from whoever built the image.
            self.assertEqual(run("stat -c '%U:%G %a' / /usr/bin/su /usr/bin/chage /var/mail"),
                             "root:root 755\nroot:root 4755\nroot:shadow 2755\nroot:mail 2775\n")
            self.assertEqual(run("modprobe -n -v overlay | wc -l"), "1\n")
            # The card is a hotplug device: its address comes some time after the boot, within this test's time limit.
            run("until grep -q nameserver /etc/resolv.conf 2>/dev/null; do udevadm settle; done")
            self.assertIn("inet 10.0.2.15/24", run("ip -4 -o addr show eth0"))
            self.assertIn("Types: deb", run("cat /etc/apt/sources.list.d/debian.sources"))
            machine.agent.power_off()
            self.assertEqual(machine.wait(), 0)
        self.assertEqual(cache.sha256_of(disk), before, "a boot has written to the image")


if __name__ == "__main__":
    unittest.main()
