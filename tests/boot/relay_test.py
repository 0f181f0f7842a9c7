"""Two viv guests in a room of netbridge, one of them with a token over wss: ping, IPv6, TCP both ways; the room's way out; a
relay that comes back; guests on different relays, one of which is killed in the midst of a transfer."""

import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import viv_process

sys.path.insert(0, str(viv_process.ROOT / "tests" / "netbridge"))

import lan_test  # noqa: E402
import websocket_client  # noqa: E402
from nats_server import NatsServer  # noqa: E402
from websocket_client import NETBRIDGE, Relay  # noqa: E402

GUEST = lan_test.GUEST
# As lan_test.DATA writes them.
NUMBERS = b"".join(b"%d\n" % number for number in range(10000000, 10000000 + lan_test.BYTES // 9))


def setUpModule():
    viv_process.guest(GUEST)


class Room(unittest.TestCase):
    def test_two_guests_in_a_room(self):
        with Relay("--check-spoofing") as relay:
            url = f"url=ws://127.0.0.1:{relay.port}/lan"
            with lan_test.Viv("--net", f"websocket,{url}") as one, \
                    lan_test.Viv("--net", f"websocket,{url},mac=52:54:00:00:00:02") as other:
                for machine in (one, other):
                    machine.expect(r"~ # ")
                lan_test.Wires.talk(self, one, other)
                self.assertEqual(relay.metric("clients"), 2)
                self.assertGreater(relay.metric("frames_forwarded_total"), 1000)
            relay.wait_for("room_closed", room="lan")
            self.assertEqual(relay.stop(), 0)

    def test_wss_tokens_and_a_way_out(self):
        with tempfile.TemporaryDirectory() as folder:
            key, certificate, secret, token = (os.path.join(folder, name) for name in ("key", "certificate", "secret", "token"))
            subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
                            "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate], check=True, capture_output=True)
            pathlib.Path(secret).write_text(os.urandom(32).hex())
            pathlib.Path(token).write_bytes(subprocess.run([NETBRIDGE, "token", "--secret-file", secret, "--room", "lan"], capture_output=True,
                                                           check=True).stdout)
            with Relay("--cert", certificate, "--key", key, "--secret-file", secret, "--nat", "lan") as relay:
                url = f"url=wss://localhost:{relay.port}/lan,token-file={token}"
                with lan_test.Viv("--net", f"websocket,{url},ca-file={certificate}") as one:
                    one.expect(r"~ # ")
                    # The relay's NAT answers DHCP and pings, and lets nobody reach this host.
                    one.shell("until ip addr show eth0 | grep 'inet 10.0.2'; do usleep 50000; done")
                    self.assertIn(" 0% packet loss", one.shell("ping -c 2 10.0.2.2"))
                    self.assertIn("code 1", one.shell(f"wget -T 5 -q -O - http://10.0.2.2:{relay.port}/healthz; echo code $?"))
                # Without the authority, and without the token, it is not let in.
                for options in (url, f"url=wss://localhost:{relay.port}/lan,ca-file={certificate}"):
                    with lan_test.Viv("--net", f"websocket,{options}") as stranger:
                        stranger.expect(r"it is tried again")

    def test_a_relay_that_comes_back(self):
        with Relay() as first:
            port = first.port
            url = f"url=ws://127.0.0.1:{port}/lan"
            with lan_test.Viv("--net", f"websocket,{url}") as one, \
                    lan_test.Viv("--net", f"websocket,{url},mac=52:54:00:00:00:02") as other:
                for number, machine in enumerate((one, other)):
                    machine.expect(r"~ # ")
                    lan_test.address(machine, number + 1)
                self.assertIn(" 0% packet loss", one.shell("ping -c 1 10.77.0.2"))
                first.process.kill()
                first.process.wait()
                one.expect(r"it is tried again")
                with Relay(listen=f"127.0.0.1:{port}") as second:
                    for client in (1, 2):
                        second.wait_for("joined", client=client)
                    one.shell("until ping -c 1 -W 1 10.77.0.2 >/dev/null 2>&1; do :; done")
                    self.assertEqual(second.metric("clients"), 2)

    def test_two_relays_and_one_is_killed(self):
        with NatsServer() as nats, Relay("--backplane", nats.url, "--check-spoofing") as first, \
                Relay("--backplane", nats.url, "--check-spoofing") as second:
            urls = [f"url=ws://127.0.0.1:{relay.port}/lan" for relay in (first, second)]
            with lan_test.Viv("--net", f"websocket,{urls[0]},{urls[1]}") as one, \
                    lan_test.Viv("--net", f"websocket,{urls[1]},mac=52:54:00:00:00:02") as other:
                for machine in (one, other):
                    machine.expect(r"~ # ")
                lan_test.Wires.talk(self, one, other)
                self.assertEqual([relay.metric("clients") for relay in (first, second)], [1, 1])
                self.assertEqual([relay.metric("backplane_relays") for relay in (first, second)], [1, 1])
                second.wait_for("joined")
                second.log.clear()
                # One session: the numbers, then a word from later on, then the numbers again.
                one.shell("mkfifo /later")
                other.shell("mkfifo /silence")  # else nc would read what is typed
                other.shell("(nc -l -p 9000 <>/silence | tee /got | sha256sum >/sum; echo over >/over) & true")
                other.shell("until netstat -tln | grep :9000; do usleep 10000; done")
                one.shell("(cat /www/numbers /later /www/numbers | nc 10.77.0.2 9000) & true")
                other.shell("until [ -s /got ]; do usleep 10000; done")
                first.process.kill()
                first.process.wait()
                second.wait_for("joined")
                second.wait_for("relay_gone", reason="silent")
                one.shell("echo later >/later")
                other.shell("until [ -e /over ]; do usleep 100000; done")
                whole = hashlib.sha256(NUMBERS + b"later\n" + NUMBERS).hexdigest()
                self.assertIn(whole, other.shell("cat /sum"))
                self.assertEqual(second.metric("clients"), 2)

    def test_a_room_on_the_kernels_network(self):
        """A TAP interface in namespaces of our own: a guest fetches from a server of the host."""
        probe = subprocess.run(["unshare", "-Urn", "sh", "-c", "ip tuntap add dev probe0 mode tap"], capture_output=True, text=True, check=False)
        if probe.returncode != 0:
            self.skipTest(f"this host lets no TAP interface be made: {probe.stderr.strip()}")
        done = subprocess.run(["unshare", "-Urn", sys.executable, __file__, "tap"], capture_output=True, text=True, check=False,
                              timeout=300 * viv_process.PATIENCE)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn(lan_test.DIGEST, done.stdout)


def tap():
    for command in ("ip link set lo up", "ip tuntap add dev tap0 mode tap", "ip addr add 10.77.0.1/24 dev tap0", "ip link set tap0 up"):
        subprocess.run(command.split(), check=True)
    as_root = [] if websocket_client.SANITIZED else ["--user", "root"]  # nobody else is in the namespace
    with tempfile.TemporaryDirectory() as folder, Relay(*as_root, "--tap", "lan=tap0") as relay:
        (pathlib.Path(folder) / "numbers").write_bytes(NUMBERS)
        port = lan_test.free_port()
        with subprocess.Popen([sys.executable, "-m", "http.server", "--bind", "10.77.0.1", "-d", folder, str(port)], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as server:
            done = viv_process.run("exec", "--net", f"websocket,url=ws://127.0.0.1:{relay.port}/lan", GUEST, "--", "sh", "-c",
                                   "killall udhcpc; ip link set eth0 up; ip addr flush dev eth0; ip addr add 10.77.0.2/24 dev eth0; "
                                   "until ping -c 1 -W 1 10.77.0.1 >/dev/null; do :; done; "
                                   f"wget -q -O - http://10.77.0.1:{port}/numbers | sha256sum")
            server.kill()
        print(done.stdout, done.stderr)
        return done.returncode


if __name__ == "__main__":
    if sys.argv[1:] == ["tap"]:
        sys.exit(tap())
    unittest.main(verbosity=2)
