"""A room bridged to a TAP interface, with the kernel at its other end: in a network namespace of the test's own, in which it runs
itself again. Wants permission to make one; what wants root as well (another user's interface, becoming nobody) is left out without."""

import contextlib
import fcntl
import os
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import unittest

from outside_test import checksum, ipv4
from websocket_client import EVERYBODY, NETBRIDGE, PATIENCE, SANITIZED, Client, Refused, Relay, frame, mac

HOST, GUEST = "10.77.0.1", "10.77.0.2"
ARP, IPV4, TEST = b"\x08\x06", b"\x08\x00", b"\x88\xb5"
TCP, UDP = 6, 17
# Within a namespace of users nobody is but root.
AS_ROOT = [] if SANITIZED else ["--user", "root"]


def command(text):
    subprocess.run(text.split(), check=True)


@contextlib.contextmanager
def interface(name="tap0", more=""):
    command(f"ip tuntap add dev {name} mode tap {more}")
    try:
        pathlib.Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").write_text("1")  # it would speak for itself
        command(f"ip addr add {HOST}/24 broadcast 10.77.0.255 dev {name}")
        command(f"ip link set {name} up")
        yield
    finally:
        subprocess.run(f"ip link del {name}".split(), check=False, stderr=subprocess.DEVNULL)


def hardware_address(name="tap0"):
    siocgifhwaddr = 0x8927  # /sys is still the other namespace's
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        return fcntl.ioctl(any_socket, siocgifhwaddr, struct.pack("40s", name.encode()))[18:24]


def start_problem(*options, prefix=()):
    """What a relay says that cannot start."""
    done = subprocess.run([*prefix, NETBRIDGE, "--listen", "127.0.0.1:0", "--no-sandbox", *options], capture_output=True, text=True, check=False,
                          timeout=60 * PATIENCE)
    assert (done.returncode, done.stdout) == (1, ""), done
    assert done.stderr.count("\n") == 1 or done.stderr.splitlines()[:-1][-1].startswith("{"), done.stderr
    return done.stderr.splitlines()[-1]


def next_of(client, kind, protocol=None):
    """The next frame of this type; the host also says what groups it is in."""
    while True:
        taken = client.receive()
        if taken[12:14] == kind and protocol in (None, taken[23]):
            return taken


def leave_offloads_on(name="tap0"):
    """As a program that had the interface before, and took long segments from it."""
    tunsetiff, tunsetoffload, tap_no_pi_vnet_hdr, csum_tso4_tso6 = 0x400454ca, 0x400454d0, 0x5002, 7
    descriptor = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(descriptor, tunsetiff, struct.pack("16sH22x", name.encode(), tap_no_pi_vnet_hdr))
    fcntl.ioctl(descriptor, tunsetoffload, csum_tso4_tso6)
    os.close(descriptor)


def ping(client, ours=mac(1), address=GUEST):
    """ARP and ping, from a client to the host; the frames that came between."""
    between = []
    client.send(EVERYBODY + ours + ARP + struct.pack(">HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, ours, socket.inet_aton(address), bytes(6), socket.inet_aton(HOST)))
    while (answer := client.receive())[12:14] != ARP or answer[20:22] != b"\0\x02":
        between.append(answer)
    host = answer[22:28]
    echo = struct.pack(">BBHHH", 8, 0, 0, 1, 1) + b"ping" * 100
    echo = echo[:2] + struct.pack(">H", checksum(echo)) + echo[4:]
    client.send(host + ours + IPV4 + ipv4(address, HOST, 1, echo))
    while (answer := client.receive())[12:14] != IPV4 or answer[23] != 1:
        between.append(answer)
    assert answer[:12] == ours + host and answer[34] == 0 and answer[42:442] == b"ping" * 100, answer
    return between


class Bridged(unittest.TestCase):
    def setUp(self):
        self.stack = contextlib.ExitStack()
        self.addCleanup(self.stack.close)
        self.stack.enter_context(interface())
        self.udp = self.stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.udp.bind((HOST, 0))
        self.udp.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        self.udp.settimeout(30 * PATIENCE)

    def relay(self, *options):
        return self.stack.enter_context(Relay(*AS_ROOT, "--tap", "lab=tap0", *options))

    def client(self, relay, path="/lab"):
        return self.stack.enter_context(Client(relay.port, path))

    def test_ping_datagrams_and_everybody(self):
        relay = self.relay()
        self.assertEqual(relay.log[0]["event"], "tap_opened")
        self.assertEqual((relay.log[0]["room"], relay.log[0]["interface"], relay.log[0]["state"]), ("lab", "tap0", "up"))
        one, other, elsewhere = self.client(relay), self.client(relay), self.client(relay, "/den")
        ping(one)
        ping(other, mac(2), "10.77.0.3")
        # To one, and from it: its checksum is complete.
        for size in (0, 1, 1472):
            self.udp.sendto(bytes(size), (GUEST, 4000))
            taken = next_of(one, IPV4, UDP)
            self.assertEqual(taken[:12], mac(1) + hardware_address())
            port, _, length, given = struct.unpack(">HHHH", taken[34:42])
            self.assertEqual((port, length), (self.udp.getsockname()[1], 8 + size))
            sums = taken[26:34] + struct.pack(">HH", UDP, length) + taken[34:34 + length] + bytes(length & 1)
            self.assertEqual((given != 0, checksum(sums)), (True, 0))
            payload = os.urandom(size)
            one.send(hardware_address() + mac(1) + IPV4 + ipv4(GUEST, HOST, UDP, struct.pack(">HHHH", 4000, port, 8 + size, 0) + payload))
            self.assertEqual(self.udp.recvfrom(2000), (payload, (GUEST, 4000)))
        # To everybody, from outside and from one of the room.
        self.udp.sendto(b"all", ("10.77.0.255", 4000))
        for client in (one, other):
            taken = next_of(client, IPV4, UDP)
            self.assertEqual((taken[:6], taken[42:45]), (EVERYBODY, b"all"))
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88b5)) as wire:
            wire.bind(("tap0", 0x88b5))
            wire.settimeout(30 * PATIENCE)
            for sent in (frame(EVERYBODY, mac(1), b"room"), frame(EVERYBODY, mac(1), b"long", 1514), frame(hardware_address(), mac(1), b"one")):
                one.send(sent)
                self.assertEqual(wire.recv(2000), sent)
            # Between two of the room: not out.
            one.send(frame(mac(2), mac(1), b"inside"))
            one.send(frame(EVERYBODY, mac(1), b"behind"))
            self.assertEqual(wire.recv(2000), frame(EVERYBODY, mac(1), b"behind"))
        self.assertEqual(next_of(other, TEST)[14:18], b"room")
        ping(one)
        self.assertTrue(elsewhere.quiet())
        self.assertGreaterEqual(relay.metric("tap_sent_total"), 12)
        self.assertGreaterEqual(relay.metric("tap_received_total"), 8)
        self.assertEqual(relay.stop(), 0)

    def test_a_packet_as_long_as_the_interface_takes(self):
        """The segments of a long TCP write: nobody hands the relay more than a wire would carry, whoever had the interface before."""
        command("ip link set tap0 mtu 9000")
        leave_offloads_on()
        relay = self.relay()
        one = self.client(relay)
        ping(one)
        with socket.create_server((HOST, 0)) as server:
            port = server.getsockname()[1]
            syn = struct.pack(">HHIIBBHHHBBH", 4000, port, 100, 0, 0x60, 2, 65535, 0, 0, 2, 4, 8960)

            def send(segment):
                pseudo = socket.inet_aton(GUEST) + socket.inet_aton(HOST) + struct.pack(">HH", TCP, len(segment))
                total = checksum(pseudo + segment)
                segment = segment[:16] + struct.pack(">H", total) + segment[18:]
                one.send(hardware_address() + mac(1) + IPV4 + ipv4(GUEST, HOST, TCP, segment))

            send(syn)
            answer = next_of(one, IPV4, TCP)
            sequence = struct.unpack(">I", answer[38:42])[0]
            send(struct.pack(">HHIIBBHHH", 4000, port, 101, sequence + 1, 0x50, 0x10, 65535, 0, 0))
            connection, _ = server.accept()
            with connection:
                content = os.urandom(60000)
                connection.sendall(content)
                got = b""
                while len(got) < len(content):
                    taken = next_of(one, IPV4, TCP)
                    self.assertLessEqual(len(taken), 9014)
                    total = struct.unpack(">H", taken[16:18])[0]
                    start = 34 + (taken[46] >> 4) * 4
                    offset = struct.unpack(">I", taken[38:42])[0] - sequence - 1
                    payload = taken[start:14 + total]
                    if offset == len(got):
                        got += payload
                    send(struct.pack(">HHIIBBHHH", 4000, port, 101, sequence + 1 + len(got), 0x50, 0x10, 65535, 0, 0))
                self.assertEqual(got, content)

    def test_what_came_while_nobody_was_there_is_gone(self):
        relay = self.relay()
        command(f"ip neigh replace {GUEST} lladdr {':'.join(f'{byte:02x}' for byte in mac(1))} dev tap0")
        with Client(relay.port, "/lab") as first:
            ping(first)  # it has come in
            self.udp.sendto(b"heard", (GUEST, 4000))
            self.assertTrue(next_of(first, IPV4, UDP)[42:].startswith(b"heard"))
        relay.wait_for("room_closed", room="lab")
        for _ in range(2000):
            with contextlib.suppress(BlockingIOError):  # the queue of the interface is full
                self.udp.sendto(b"stale", socket.MSG_DONTWAIT, (GUEST, 4000))
        one = self.client(relay)
        self.assertEqual([each for each in ping(one) if each[42:47] == b"stale"], [])
        self.assertEqual(relay.stop(), 0)

    def test_an_interface_that_is_down_or_gone(self):
        relay = self.relay()
        one, other = self.client(relay), self.client(relay)
        ping(one)
        lost = 'dropped_total{reason="outside_full"}'
        self.assertEqual(relay.metric(lost), 0)
        command("ip link set tap0 down")
        for _ in range(5):
            one.send(frame(EVERYBODY, mac(1)))
            next_of(other, TEST)
        self.assertEqual(relay.metric(lost), 5)
        command("ip link set tap0 up")
        ping(one)
        command("ip link del tap0")
        relay.wait_for("tap_gone", interface="tap0")
        one.send(frame(EVERYBODY, mac(1), b"on"))
        self.assertEqual(next_of(other, TEST)[14:16], b"on")
        self.assertEqual(relay.metric(lost), 6)
        # Nor does it come back by itself.
        for client in (one, other):
            client.socket.close()
        relay.wait_for("room_closed", room="lab")
        again = self.client(relay)
        again.send(frame(EVERYBODY, mac(1)))
        relay.metric("clients")
        self.assertEqual([line["event"] for line in relay.log].count("tap_gone"), 1)
        self.assertEqual(relay.stop(), 0)

    def test_a_flood_from_outside_leaves_others_their_turn(self):
        """Nobody in the room takes anything: what waits is bounded, and other rooms go on."""
        relay = self.relay("--queue", str(128 << 10))
        slow = self.stack.enter_context(Client(relay.port, "/lab", receive_buffer=4096))
        command(f"ip neigh replace {GUEST} lladdr {':'.join(f'{byte:02x}' for byte in mac(1))} dev tap0")
        one, other = self.client(relay, "/den"), self.client(relay, "/den")
        full = 'dropped_total{reason="queue_full"}'
        while relay.metric(full) < 1000:
            for _ in range(500):
                self.udp.sendto(bytes(1400), (GUEST, 4000))
            one.send(frame(EVERYBODY, mac(1), b"den"))
            self.assertEqual(other.receive(), frame(EVERYBODY, mac(1), b"den"))
            self.assertLessEqual(relay.metric("queued_bytes"), 128 << 10)
        slow.socket.close()
        relay.wait_for("room_closed", room="lab")
        ping(self.client(relay))

    def test_a_token_is_wanted_all_the_same(self):
        with tempfile.NamedTemporaryFile("w") as secret:
            secret.write("s" * 40)
            secret.flush()
            relay = self.relay("--secret-file", secret.name)
            for path in ("/lab", "/lab?token=nb1.room.den.1.aa"):
                with self.assertRaises(Refused) as refused:
                    self.client(relay, path)
                self.assertEqual(refused.exception.status, 403)
            token = subprocess.run([NETBRIDGE, "token", "--secret-file", secret.name, "--room", "lab"], capture_output=True, text=True,
                                   check=True).stdout.strip()
            ping(self.client(relay, f"/lab?token={token}"))

    def test_what_cannot_be_opened(self):
        missing = start_problem(*AS_ROOT, "--tap", "lab=tap9")
        self.assertEqual(missing, "netbridge: --tap lab=tap9: there is no such interface; as root: ip tuntap add dev tap9 mode tap")
        self.assertIn("--tap lab=lo: it is no TAP interface", start_problem(*AS_ROOT, "--tap", "lab=lo"))
        self.relay()
        self.assertIn("--tap den=tap0: another program has the interface", start_problem(*AS_ROOT, "--tap", "den=tap0"))


class AsRoot(unittest.TestCase):
    def test_it_outlives_becoming_nobody(self):
        """With the filter of system calls on."""
        with interface(), Relay("--tap", "lab=tap0") as relay, Client(relay.port, "/lab") as client:
            status = pathlib.Path(f"/proc/{relay.process.pid}/status").read_text()
            if not SANITIZED:
                self.assertNotIn("0", next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1:])
                self.assertIn("Seccomp:\t2", status)
            ping(client)
            self.assertEqual(relay.stop(), 0)

    def test_an_interface_of_another_user(self):
        stranger = ["setpriv", "--reuid=4242", "--regid=4242", "--clear-groups"]
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            with interface(more="user 4243"):
                problem = start_problem("--tap", "lab=tap0", prefix=stranger)
                self.assertEqual(problem, "netbridge: --tap lab=tap0: the interface is another user's; start the relay as root, or make it anew, "
                                 "as root: ip tuntap add dev tap0 mode tap user 4242")
            with interface(more="user 4242"), Relay("--tap", "lab=tap0", prefix=stranger) as relay, Client(relay.port, "/lab") as client:
                ping(client)


def again(test, words, case):
    """Runs this file's `case` in a namespace, which takes `words` to make."""
    probe = subprocess.run([*words, "sh", "-c", "ip tuntap add dev probe0 mode tap"], capture_output=True, text=True, check=False)
    if probe.returncode != 0:
        test.skipTest(f"this host lets no TAP interface be made: {probe.stderr.strip()}")
    done = subprocess.run([*words, "sh", "-c", 'ip link set lo up; exec "$@"', "sh", sys.executable, __file__, case], capture_output=True, text=True,
                          check=False, timeout=300 * PATIENCE)
    print(done.stderr, file=sys.stderr)
    test.assertEqual(done.returncode, 0)
    test.assertNotIn("skipped", done.stderr)


class Taps(unittest.TestCase):
    def test_in_a_namespace(self):
        again(self, ["unshare", "-Urn"], "Bridged")

    def test_as_root(self):
        if os.geteuid() != 0:
            self.skipTest("only root can become somebody else")
        again(self, ["unshare", "-n"], "AsRoot")


if __name__ == "__main__":
    unittest.main(verbosity=2, argv=[sys.argv[0], *(sys.argv[1:] or ["Taps"])])
