"""The guest linux-riscv64 as built by guest.py, booted by the peer QEMU: shell, agent, shares, network, several CPUs.

Needs the cache to hold the guest and the peers, or the network to fetch them. What is tested is the guest, not viv.
"""

import pathlib
import random
import tempfile
import unittest

import qemu_machine  # finds the tools
import agent_client
import busybox_initramfs
import cache
import guest

NAME = "linux-riscv64"


class Shell(unittest.TestCase):
    def test_shell_job_control_and_power_off(self):
        with qemu_machine.Machine(NAME, append="viv.tty=33x101") as machine:
            machine.expect(r"'exit' powers it off\.")
            machine.expect(r"~ # ")
            print(f"{NAME}: shell after {machine.seconds():.1f} s")
            machine.type("uname -m; stty size; tty; echo $PATH\n")
            machine.expect(r"\r\nriscv64\r\n33 101\r\n/dev/ttyS0\r\n/usr/local/sbin:.*:/bin\r\n")
            machine.type("sh -c 'echo started; exec sleep 1000'\n")
            machine.expect(r"\r\nstarted\r\n")
            machine.type("\x1a")
            machine.expect(r"Stopped +sh -c")
            machine.type("kill %1; exec false\n")
            machine.expect("Power down")
            self.assertEqual(machine.wait(), 0)

    def test_drivers_are_loaded_only_for_devices_that_are_there(self):
        with qemu_machine.Machine(NAME, append="viv.exec=1", options=["-device", "virtio-rng-pci"]) as machine:
            machine.agent.hello()
            loaded = machine.agent.run(["lsmod"]).stdout.decode()
            self.assertIn("virtio_rng", loaded)
            for name in ("virtio_net", "virtio_blk", "9pnet_virtio", "ext4"):
                self.assertNotIn(name, loaded)


class Exec(unittest.TestCase):
    def test_agent(self):
        with (tempfile.TemporaryDirectory() as folder,
              qemu_machine.Machine(NAME, append="viv.exec=1", cpus=2) as machine):
            machine.agent.hello()
            print(f"{NAME}: agent after {machine.seconds():.1f} s")
            self.assertEqual(machine.agent.machine, "riscv64")
            result = machine.agent.run(["sh", "-c", "uname -m; echo err >&2; exit 7"])
            self.assertEqual(result, agent_client.Result(7, b"riscv64\n", b"err\n"))
            self.assertEqual(machine.agent.run(["nproc"]).stdout, b"2\n")
            self.assertEqual(machine.agent.run(["no-such"]).code, 127)
            self.assertEqual(machine.agent.run(["sh", "-c", "kill -9 $$"]).code, 137)
            self.assertEqual(machine.agent.run(["sh", "-c", "stty size; echo $HOME"], terminal=(40, 90)).stdout,
                             b"40 90\r\n/root\r\n")
            data = random.Random(3).randbytes(3 << 20)
            self.assertEqual(machine.agent.run(["cat"], stdin=data).stdout, data)
            source = pathlib.Path(folder, "source")
            (source / "below").mkdir(parents=True)
            (source / "below" / "data").write_bytes(data)
            (source / "link").symlink_to("below/data")
            machine.agent.put(source, "/tmp/new/tree")
            self.assertEqual(machine.agent.run(["ls", "/tmp/new/tree"]).stdout, b"below\nlink\n")
            machine.agent.get("/tmp/new/tree", pathlib.Path(folder, "back"))
            self.assertEqual(pathlib.Path(folder, "back", "link").read_bytes(), data)
            self.assertNotIn("# ", machine.console, "a shell was started")
            machine.agent.power_off()
            self.assertEqual(machine.wait(), 0)

    def test_without_the_agents_port(self):
        """viv.exec=1 without what it needs is told, and is not a machine that hangs."""
        with qemu_machine.Machine(NAME, append="viv.exec=1", port="another.port") as machine:
            machine.expect("init: viv.exec=1, but no virtio port is named org.vivarium.agent.0")
            self.assertEqual(machine.wait(), 0)

    def test_console_on_virtio_mmio(self):
        with qemu_machine.Machine(NAME, append="viv.exec=1", serial="virtio-serial-device") as machine:
            machine.agent.hello()
            self.assertEqual(machine.agent.run(["echo", "here"]).stdout, b"here\n")

    def test_host_that_comes_again(self):
        """The agent outlives its host's connection, and serves the next one."""
        with qemu_machine.Machine(NAME, append="viv.exec=1") as machine:
            for _ in range(3):
                machine.agent.hello()
                # What the connection before has left behind ends; the test's time limit ends the waiting.
                machine.agent.run(["sh", "-c", "while pidof sleep; do usleep 50000; done"])
                command = agent_client.exec_payload(["sh", "-c", "echo; exec sleep 9999"])
                machine.agent.send(agent_client.EXEC, 9, command)
                while machine.agent.receive().type != agent_client.STDOUT:
                    pass
                machine.connect()


class Devices(unittest.TestCase):
    def test_share_network_and_disk(self):
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder, "note").write_text("from the host\n")
            disk = pathlib.Path(folder, "disk")
            with open(disk, "wb") as file:
                file.truncate(8 << 20)
            options = ["-fsdev", f"local,id=share,path={folder},security_model=none",
                       "-device", "virtio-9p-pci,fsdev=share,mount_tag=my-share",
                       "-drive", f"if=none,id=disk,format=raw,file={disk}", "-device", "virtio-blk-pci,drive=disk",
                       "-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile="]
            with qemu_machine.Machine(NAME, append="viv.exec=1", options=options) as machine:
                machine.agent.hello()
                self.assertEqual(machine.agent.run(["cat", "/mnt/my-share/note"]).stdout, b"from the host\n")
                machine.agent.run(["sh", "-c", "echo from the guest >/mnt/my-share/answer"])
                self.assertEqual(pathlib.Path(folder, "answer").read_text(), "from the guest\n")
                # ext4 is loaded when it is first mounted.
                result = machine.agent.run(["sh", "-c", "mke2fs /dev/vda >/dev/null && mount -t ext4 /dev/vda /tmp && "
                                            "mount | grep -c ext4"])
                self.assertEqual((result.code, result.stdout), (0, b"1\n"), result.stderr)
                result = machine.agent.run(["sh", "-c", "while ! grep -q nameserver /etc/resolv.conf 2>/dev/null; do "
                                            "usleep 100000; done; ip -4 -o addr show eth0; ip route"], timeout=30)
                self.assertIn(b"inet 10.0.2.15/24", result.stdout)
                self.assertIn(b"default via 10.0.2.2", result.stdout)

    def test_virtio_mmio(self):
        options = ["-device", "virtio-rng-device", "-netdev", "user,id=net", "-device", "virtio-net-device,netdev=net"]
        with qemu_machine.Machine(NAME, append="viv.exec=1", options=options) as machine:
            machine.agent.hello()
            self.assertEqual(machine.agent.run(["ls", "/sys/class/net"]).stdout, b"eth0\nlo\n")
            current = machine.agent.run(["cat", "/sys/class/misc/hw_random/rng_current"]).stdout
            self.assertEqual(current, b"virtio_rng.0\n")


class Build(unittest.TestCase):
    def test_same_bytes_again(self):
        folder = guest.build(NAME)
        before = {path.name: cache.sha256_of(path) for path in folder.iterdir()}
        recipe = guest.recipes.read(NAME)
        kernel, busybox = guest.fetch(recipe, cache.Steps(NAME), False)
        with cache.scratch() as scratch:
            contents = guest.kernel_package.read(kernel)
            taken = guest.kernel_package.choose(contents, recipe["build"]["initramfs"]["modules"])
            files = guest.debian_archive.read_files(busybox, lambda path: path == "usr/bin/busybox")
            image = busybox_initramfs.make(taken, files["usr/bin/busybox"], guest.agent_build.build("riscv64", scratch),
                                           "riscv64", scratch)
            again = scratch / "again"
            again.write_bytes(image.compressed(recipe["build"]["initramfs"]["compression"]))
            self.assertEqual(cache.sha256_of(again), before["initrd"])
        self.assertEqual(guest.state_of(NAME, recipe), "ready")


if __name__ == "__main__":
    unittest.main()
