"""Guests on one wire: viv and a stock QEMU over `stream`, `dgram` and `socket`, several cards on a hub, a capture that tcpdump
reads, TAP with the kernel at its other end. All in Unix sockets and loopback, but for TAP, which wants namespaces."""

import contextlib
import hashlib
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import unittest

import viv_process

sys.path.insert(0, str(viv_process.ROOT / "tests" / "guests"))

import qemu_machine  # noqa: E402

GUEST = "linux-riscv64"
BYTES = 9_000_000
# What `seq` writes of numbers of eight digits is nine bytes a line.
DATA = f"seq 10000000 {10000000 + BYTES // 9 - 1}"
DIGEST = hashlib.sha256(b"".join(b"%d\n" % number for number in range(10000000, 10000000 + BYTES // 9))).hexdigest()


def setUpModule():
    viv_process.guest(GUEST)


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Viv(viv_process.Session):
    """A guest with its shell's prompt shown."""

    def __init__(self, *options):
        super().__init__("run", GUEST, *options)
        self.count = 0

    def shell(self, command):
        """Runs it and waits for its end; the text that it wrote."""
        self.count += 1
        before = len(self.seen)
        # The word that is waited for is not in what is typed.
        self.type(f"{command}; echo do''ne-{self.count}\n")
        self.expect(f"done-{self.count}\r?\n")
        return self.seen[before:]


class Qemu(qemu_machine.Machine):
    def __init__(self, *options):
        super().__init__(GUEST, options=list(options), seconds=300 * viv_process.PATIENCE)
        self.expect(r"~ # ")
        self.count = 0

    def shell(self, command):
        self.count += 1
        self.type(f"{command}; echo do''ne-{self.count}\n")
        text = self.console
        while f"done-{self.count}" not in self.console:
            if not self.read():
                raise AssertionError(self.console[-2000:])
        text, _, self.console = self.console.partition(f"done-{self.count}")
        return text


def address(machine, last):
    """Instead of what DHCP would say, which nobody answers here."""
    machine.shell("killall udhcpc 2>/dev/null; ip link set eth0 up; ip addr flush dev eth0; ip link set eth0 down; ip link set eth0 up; "
                  f"ip addr add 10.77.0.{last}/24 dev eth0; mkdir -p /www; httpd -p 80 -h /www")


class Wires(unittest.TestCase):
    def talk(self, one, other):
        """Ping, IPv6 and a TCP transfer each way, between machines that have just booted."""
        address(one, 1)
        address(other, 2)
        for machine in (one, other):
            machine.shell(f"{DATA} >/www/numbers")
        for machine, peer in ((one, 2), (other, 1)):
            self.assertIn(" 0% packet loss", machine.shell(f"ping -c 2 10.77.0.{peer}"))
            self.assertIn(DIGEST, machine.shell(f"wget -q -O - http://10.77.0.{peer}/numbers | sha256sum"))
        link_local = other.shell("ip -6 addr show eth0").partition("inet6 fe80")[2].partition("/")[0]
        self.assertTrue(link_local)
        one.shell(f"until ping6 -c 1 -W 1 fe80{link_local}%eth0 >/dev/null 2>&1; do usleep 100000; done")

    def test_viv_and_qemu_over_stream(self):
        with tempfile.TemporaryDirectory() as folder:
            wire = os.path.join(folder, "lan")
            capture = os.path.join(folder, "lan.pcapng")
            with Viv("--net", f"stream,server=on,addr.type=unix,addr.path={wire},capture={capture}") as one:
                one.expect(r"~ # ")
                with Qemu("-netdev", f"stream,id=n,addr.type=unix,addr.path={wire}", "-device",
                          "virtio-net-pci,netdev=n,mac=52:54:00:00:00:02") as other:
                    self.talk(one, other)
                one.type("poweroff -f\n")
                self.assertEqual(one.wait(), 0)
            self.check_capture(capture)

    def check_capture(self, file):
        """Every block is whole; tcpdump agrees, where there is one."""
        data = pathlib.Path(file).read_bytes()
        at, frames = 0, 0
        while at < len(data):
            kind, size = struct.unpack_from("<II", data, at)
            self.assertEqual(struct.unpack_from("<I", data, at + size - 4)[0], size)
            frames += kind == 6
            at += size
        self.assertEqual(at, len(data))
        self.assertGreater(frames, 1000)
        tcpdump = shutil.which("tcpdump") or shutil.which("tcpdump", path="/usr/sbin:/sbin")
        if not tcpdump:
            print("no tcpdump here: the capture has been read by the test alone", file=sys.stderr)
            return
        listing = subprocess.run([tcpdump, "-n", "-r", file, "icmp or arp"], capture_output=True, text=True, check=True).stdout
        self.assertIn("10.77.0.1 > 10.77.0.2: ICMP echo request", listing)
        self.assertIn("10.77.0.2 > 10.77.0.1: ICMP echo reply", listing)
        counted = subprocess.run([tcpdump, "-n", "-r", file], capture_output=True, text=True, check=True).stdout
        self.assertEqual(len([line for line in counted.splitlines() if not line.startswith("\t")]), frames)

    def test_viv_and_qemu_over_dgram(self):
        ours, theirs = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_DGRAM)

        def ends(local, remote):
            return (f"local.type=inet,local.host=127.0.0.1,local.port={local},"
                    f"remote.type=inet,remote.host=127.0.0.1,remote.port={remote}")

        with Viv("--harts", "parallel", "--cpus", "2", "--net", f"dgram,{ends(ours, theirs)}") as one:
            one.expect(r"~ # ")
            with Qemu("-netdev", f"dgram,id=n,{ends(theirs, ours)}", "-device",
                      "virtio-net-pci,netdev=n,mac=52:54:00:00:00:02") as other:
                self.talk(one, other)

    def test_viv_connects_to_qemus_socket(self):
        port = free_port()
        with Qemu("-netdev", f"socket,id=n,listen=127.0.0.1:{port}", "-device", "virtio-net-pci,netdev=n,mac=52:54:00:00:00:02") as other:
            with Viv("--net", f"socket,connect=127.0.0.1:{port}") as one:
                one.expect(r"~ # ")
                self.talk(one, other)

    def test_a_machine_lends_its_way_out_by_a_hub(self):
        """One machine's hub joins its card, NAT and a wire; the other machine gets its address from the first one's NAT."""
        with tempfile.TemporaryDirectory() as folder:
            wire = os.path.join(folder, "lan")
            with Viv("--net", "user,hub=lan", "--net", f"stream,server=on,addr.type=unix,addr.path={wire},hub=lan,card=off") as one:
                one.expect(r"~ # ")
                one.shell(f"until ip addr show eth0 | grep 'inet 10.0.2'; do usleep 50000; done; mkdir /www; {DATA} >/www/numbers; "
                          "httpd -p 80 -h /www; ls /sys/class/net")
                with Viv("--net", f"stream,addr.type=unix,addr.path={wire},reconnect-ms=100,mac=52:54:00:00:00:02") as other:
                    other.expect(r"~ # ")
                    mine = one.shell("ip addr show eth0").partition("inet ")[2].partition("/")[0]
                    theirs = other.shell("until ip addr show eth0 | grep 'inet 10.0.2'; do usleep 50000; done")
                    self.assertNotIn(f"inet {mine}/", theirs)
                    self.assertIn(DIGEST, other.shell(f"wget -q -O - http://{mine}/numbers | sha256sum"))
                    self.assertIn(" 0% packet loss", other.shell("ping -c 1 10.0.2.2"))

    def test_cards_on_a_hub_in_a_deterministic_machine(self):
        done = viv_process.run("exec", "--deterministic", "--net", "hub", "--net", "hub", GUEST, "--", "sh", "-c",
                               "killall udhcpc 2>/dev/null; ip link set eth0 up; ip link set eth1 up; "
                               "arping -c 3 -I eth0 10.1.1.1 >/dev/null 2>&1; "
                               "cat /sys/class/net/eth0/statistics/tx_packets /sys/class/net/eth1/statistics/rx_packets")
        self.assertEqual(done.returncode, 0, done.stderr)
        sent, received = (int(word) for word in done.stdout.split())
        self.assertGreaterEqual(sent, 3)
        self.assertGreaterEqual(received, 3)


@contextlib.contextmanager
def vde_switch(folder):
    """Its folder and process; it listens."""
    where = os.path.join(folder, "switch")
    with subprocess.Popen(["vde_switch", "-s", where, "-n", "4"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as switch:
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                while switch.poll() is None and probe.connect_ex(os.path.join(where, "ctl")) != 0:
                    pass
            yield where, switch
        finally:
            switch.kill()


class Vde(unittest.TestCase):
    def setUp(self):
        if not shutil.which("vde_switch"):
            self.skipTest("there is no vde_switch here")

    def test_two_guests_on_one_switch(self):
        with tempfile.TemporaryDirectory() as folder, vde_switch(folder) as (where, switch):
            with Viv("--net", f"vde,sock={where}") as one, Viv("--net", f"vde,sock={where},port=3,mode=0660,mac=52:54:00:00:00:02") as other:
                for machine in (one, other):
                    machine.expect(r"~ # ")
                Wires.talk(self, one, other)
                switch.kill()
                one.expect("the switch has gone")
                # They go on without.
                one.shell("true")
                other.shell("true")

    def test_what_the_switch_has_not(self):
        with tempfile.TemporaryDirectory() as folder, vde_switch(folder) as (where, _):
            done = viv_process.run("run", GUEST, "--net", f"vde,sock={where},port=99")
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            self.assertEqual(done.stderr, f"viv: --net vde: {where}: the switch does not answer; has it a port 99?\n")


class Tap(unittest.TestCase):
    def test_the_kernel_at_the_other_end(self):
        """In namespaces of our own, where we may make an interface and give it an address."""
        probe = subprocess.run(["unshare", "-Urn", "sh", "-c", "ip tuntap add dev probe0 mode tap"], capture_output=True, text=True, check=False)
        if probe.returncode != 0:
            self.skipTest(f"this host lets no TAP interface be made: {probe.stderr.strip()}")
        done = subprocess.run(["unshare", "-Urn", sys.executable, __file__, "tap"], capture_output=True, text=True, check=False,
                              timeout=300 * viv_process.PATIENCE)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn(DIGEST, done.stdout)
        self.assertIn("br=none: tap1 cannot join it", done.stdout)

    def test_without_an_interface_it_is_one_line(self):
        done = viv_process.run("run", GUEST, "--net", "tap,ifname=lo")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertRegex(done.stderr, r"^viv: --net tap: .*\n$")


def tap():
    for command in ("ip link set lo up", "ip tuntap add dev tap0 mode tap", "ip link add br0 type bridge", "ip addr add 10.77.0.1/24 dev br0",
                    "ip link set br0 up"):
        subprocess.run(command.split(), check=True)
    with tempfile.TemporaryDirectory() as folder:
        data = subprocess.run(DATA.split(), capture_output=True, check=True).stdout
        (pathlib.Path(folder) / "numbers").write_bytes(data)
        with contextlib.ExitStack() as stack:
            port = free_port()
            server = stack.enter_context(subprocess.Popen([sys.executable, "-m", "http.server", "--bind", "10.77.0.1", "-d", folder, str(port)],
                                                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            stack.callback(server.kill)
            done = viv_process.run("exec", "--net", "tap,ifname=tap0,br=br0", GUEST, "--", "sh", "-c",
                                   "killall udhcpc; ip link set eth0 up; ip addr flush dev eth0; ip addr add 10.77.0.2/24 dev eth0; "
                                   "until ping -c 1 -W 1 10.77.0.1 >/dev/null; do :; done; "
                                   f"wget -q -O - http://10.77.0.1:{port}/numbers | sha256sum")
    print(done.stdout, done.stderr)
    print(viv_process.run("run", GUEST, "--net", "tap,ifname=tap1,br=none").stderr)
    return done.returncode


if __name__ == "__main__":
    if sys.argv[1:] == ["tap"]:
        sys.exit(tap())
    unittest.main(verbosity=2)
