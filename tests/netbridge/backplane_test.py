"""Relays that share rooms through a nats-server: frames, a server that goes, stalls or refuses, a relay that is killed, and
whatever else is published there."""

import contextlib
import os
import pathlib
import signal
import struct
import subprocess
import tempfile
import time
import unittest

from nats_server import NatsClient, NatsServer
from websocket_client import EVERYBODY, NETBRIDGE, PATIENCE, Client, Relay, frame, mac

FRAME, LEFT, ALIVE, BYE = 1, 2, 3, 4


def message(kind, relay, body=b""):
    return struct.pack(">BQ", kind, relay) + body


def shared(*relays, room="lab"):
    """Each relay has heard that another one is in the room; their log up to there is done with."""
    for relay in relays:
        relay.wait_for("room_shared", room=room)
        relay.log.clear()


class Shared(unittest.TestCase):
    def test_a_room_on_two_relays(self):
        with NatsServer() as nats, Relay("--backplane", nats.url) as one, Relay("--backplane", nats.url) as two, \
                Client(one.port) as a, Client(one.port) as neighbour, Client(two.port) as b, Client(two.port, "/other") as stranger:
            shared(one, two)
            a.send(frame(EVERYBODY, mac(1), b"hello"))
            for other in (neighbour, b):
                self.assertEqual(other.receive()[14:19], b"hello")
            b.send(frame(mac(1), mac(2), b"answer"))
            self.assertEqual(a.receive()[14:20], b"answer")
            large = frame(mac(2), mac(1), os.urandom(65000))
            for _ in range(40):
                a.send(large)
            for _ in range(40):
                self.assertEqual(b.receive(), large)
            self.assertTrue(stranger.quiet() and neighbour.quiet())
            for relay in (one, two):
                self.assertEqual(relay.metric("backplane_connected"), 1)
                self.assertEqual(relay.metric("backplane_relays"), 1)
                self.assertEqual(relay.metric('dropped_total{reason="backplane_full"}'), 0)
            self.assertEqual(one.stop(), 0)
            two.wait_for("relay_gone", reason="bye")
            self.assertEqual(two.stop(), 0)

    def test_a_relay_with_many_rooms_ends(self):
        """A sanitizer sees what is left of the subscriptions then."""
        with NatsServer() as nats, Relay("--backplane", nats.url, "--connections-per-address", "100", "--attempts-per-address",
                                         "100") as relay, contextlib.ExitStack() as clients:
            relay.wait_for("backplane_connected")
            for number in range(60):
                clients.enter_context(Client(relay.port, f"/room{number}"))
            self.assertEqual(relay.metric("rooms"), 60)
            self.assertEqual(relay.stop(), 0)

    def test_a_relay_is_killed(self):
        with NatsServer() as nats, Relay("--backplane", nats.url, "--check-spoofing") as one, \
                Relay("--backplane", nats.url, "--check-spoofing") as two, Client(two.port) as b:
            with Client(one.port) as a:
                shared(one, two)
                a.send(frame(EVERYBODY, mac(1), b"hello"))
                self.assertEqual(b.receive()[14:19], b"hello")
                one.process.kill()
            two.wait_for("relay_gone", reason="silent")
            # Its station may come by the other now.
            with Client(two.port) as again:
                again.send(frame(EVERYBODY, mac(1), b"again"))
                self.assertEqual(b.receive()[14:19], b"again")

    def test_a_client_that_moves_takes_its_address_along(self):
        with NatsServer() as nats, Relay("--backplane", nats.url, "--check-spoofing") as one, \
                Relay("--backplane", nats.url, "--check-spoofing") as two, Client(one.port) as first, Client(two.port) as second:
            shared(one, two)
            with Client(one.port) as a:
                a.send(frame(EVERYBODY, mac(1), b"hello"))
                for each in (first, second):
                    self.assertEqual(each.receive()[14:19], b"hello")
            one.wait_for("left", client=2)
            # What the first says after that, the second hears after that.
            first.send(frame(EVERYBODY, mac(2), b"gone?"))
            self.assertEqual(second.receive()[14:19], b"gone?")
            with Client(two.port) as a:
                a.send(frame(EVERYBODY, mac(1), b"again"))
                for each in (first, second):
                    self.assertEqual(each.receive()[14:19], b"again")


class Server(unittest.TestCase):
    def test_rooms_go_on_without_it(self):
        with NatsServer() as nats, Relay("--backplane", nats.url) as one, Relay("--backplane", nats.url) as two, \
                Client(one.port) as a, Client(one.port) as neighbour, Client(two.port) as b:
            shared(one, two)
            b.send(frame(EVERYBODY, mac(2), b"hello"))
            for each in (a, neighbour):
                self.assertEqual(each.receive()[14:19], b"hello")
            nats.kill()
            for relay in (one, two):
                relay.wait_for("backplane_lost")
                relay.wait_for("relay_gone", reason="backplane_lost")
                self.assertEqual(relay.metric("backplane_connected"), 0)
                relay.log.clear()
            a.send(frame(mac(2), mac(1), b"local"))
            self.assertEqual(neighbour.receive()[14:19], b"local")
            with NatsServer(port=nats.port):
                shared(one, two)
                a.send(frame(EVERYBODY, mac(1), b"there"))
                # What had been said meanwhile is lost, and does not come late.
                for each in (neighbour, b):
                    self.assertEqual(each.receive()[14:19], b"there")
                for relay in (one, two):
                    self.assertEqual(relay.stop(), 0)

    def test_not_there_yet(self):
        with NatsServer() as probe:
            port = probe.port
        with Relay("--backplane", f"nats://127.0.0.1:{port}") as relay, Client(relay.port) as a, Client(relay.port) as b:
            relay.wait_for("backplane_lost")
            a.send(frame(EVERYBODY, mac(1), b"local"))
            self.assertEqual(b.receive()[14:19], b"local")
            with NatsServer(port=port) as nats:
                self.assertEqual(relay.wait_for("backplane_connected")["server"], nats.url)
            self.assertEqual(relay.stop(), 0)

    def test_the_next_of_several(self):
        with NatsServer() as one, NatsServer() as two, Relay("--backplane", f"{one.url},{two.url}") as relay:
            servers = {one.url: one, two.url: two}
            first = relay.wait_for("backplane_connected")["server"]
            relay.log.clear()
            servers.pop(first).kill()
            self.assertEqual(relay.wait_for("backplane_connected")["server"], *servers)

    def test_a_server_that_stalls_delays_nobody(self):
        with NatsServer() as nats, Relay("--backplane", nats.url, "--queue", str(64 << 20)) as relay, Client(relay.port) as a, \
                Client(relay.port) as b:
            relay.wait_for("backplane_connected")
            nats.process.send_signal(signal.SIGSTOP)
            worst = 0.0
            # More than the kernel and the relay keep of what waits for the server.
            for number in range(1000):
                start = time.monotonic()
                a.send(frame(EVERYBODY, mac(1), b"%6d" % number, 60000))
                self.assertEqual(b.receive()[14:20], b"%6d" % number)
                worst = max(worst, time.monotonic() - start)
            self.assertLess(worst, 1.0 * PATIENCE)
            self.assertGreater(relay.metric('dropped_total{reason="backplane_full"}'), 0)
            relay.wait_for("backplane_lost")
            relay.log.clear()
            nats.process.send_signal(signal.SIGCONT)
            relay.wait_for("backplane_connected")
            self.assertEqual(relay.stop(), 0)

    def test_who_may_publish(self):
        with tempfile.TemporaryDirectory() as folder:
            right, wrong, token = (os.path.join(folder, name) for name in ("right", "wrong", "token"))
            pathlib.Path(right).write_text("relay:s3cret-word\n")
            pathlib.Path(wrong).write_text("relay:an0ther-word\n")
            pathlib.Path(token).write_text("t0ken-of-all\n")
            with NatsServer("--user", "relay", "--pass", "s3cret-word") as nats:
                for options in ((), ("--backplane-user-file", wrong), ("--backplane-token-file", token)):
                    with Relay("--backplane", nats.url, *options) as relay:
                        self.assertIn("uthorization", relay.wait_for("backplane_lost")["reason"])
                        self.assertEqual(relay.stop(), 0)
                        self.assertNotIn("word", str(relay.log) + str(relay.rest))
                with Relay("--backplane", nats.url, "--backplane-user-file", right) as relay:
                    relay.wait_for("backplane_connected")
                    self.assertEqual(relay.stop(), 0)
                    self.assertNotIn("word", str(relay.log) + str(relay.rest))
            with NatsServer("--auth", "t0ken-of-all") as nats, Relay("--backplane", nats.url, "--backplane-token-file", token) as relay:
                relay.wait_for("backplane_connected")

    def certificate(self, folder, name):
        key, certificate = os.path.join(folder, f"{name}.key"), os.path.join(folder, f"{name}.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext",
                        f"subjectAltName=DNS:{name}", "-keyout", key, "-out", certificate], check=True, capture_output=True)
        return key, certificate

    def test_tls(self):
        with tempfile.TemporaryDirectory() as folder:
            key, certificate = self.certificate(folder, "localhost")
            _, other = self.certificate(folder, "elsewhere")
            with NatsServer("--tls", "--tlscert", certificate, "--tlskey", key) as nats:
                trusted = ("--backplane-ca", certificate)
                with Relay("--backplane", f"tls://localhost:{nats.port}", *trusted) as relay:
                    relay.wait_for("backplane_connected")
                    self.assertEqual(relay.stop(), 0)
                # An authority that is not its own, or of this system; a name that is not its own; a server in the clear.
                for options in ((f"tls://localhost:{nats.port}", "--backplane-ca", other), (f"tls://localhost:{nats.port}",),
                                (f"tls://127.0.0.1:{nats.port}", *trusted)):
                    with Relay("--backplane", *options) as relay:
                        relay.wait_for("backplane_lost")
                        self.assertEqual(relay.stop(), 0)
            with NatsServer() as nats, Relay("--backplane", f"tls://localhost:{nats.port}", *trusted) as relay:
                relay.wait_for("backplane_lost")
                self.assertEqual(relay.stop(), 0)

    def test_files_that_are_none(self):
        with tempfile.TemporaryDirectory() as folder:
            empty = os.path.join(folder, "empty")
            pathlib.Path(empty).write_text("")
            for options in (("--backplane-user-file", empty), ("--backplane-token-file", empty), ("--backplane-ca", empty)):
                done = subprocess.run([NETBRIDGE, "--listen", "127.0.0.1:0", "--backplane", "tls://localhost:1", *options],
                                      capture_output=True, text=True, check=False)
                self.assertIn(done.returncode, (1, 2), options)
                self.assertRegex(done.stderr, rf"^netbridge: {options[0]} {empty}: .+\n$")


class Hostile(unittest.TestCase):
    def test_what_is_no_message(self):
        with NatsServer() as nats, NatsClient(nats.port) as wild, Relay("--backplane", nats.url) as relay:
            room = "netbridge.1.room.lab"
            wild.subscribe("netbridge.1.relays")
            subject, alive = wild.receive()
            self.assertEqual((subject, alive[0], len(alive)), ("netbridge.1.relays", ALIVE, 9))
            own = struct.unpack(">Q", alive[1:])[0]
            direct = f"{room}.{own:016x}"
            for each in (room, f"{room}.*"):
                wild.subscribe(each)
            a = Client(relay.port)
            self.addCleanup(a.socket.close)
            while wild.receive() != (room, message(ALIVE, own)):
                pass
            wild.publish(room, message(ALIVE, 7))
            relay.wait_for("room_shared", room="lab", relay=f"{7:016x}")
            wrong = [b"", b"x", message(9, 7), message(FRAME, 0, frame(EVERYBODY, mac(9))), message(FRAME, 7, b"short"),
                     message(FRAME, 7, frame(EVERYBODY, mac(9), size=65551)), message(LEFT, 7, bytes(5)), os.urandom(900_000)]
            for payload in wrong:
                wild.publish(room, payload)
                wild.publish(direct, payload)
            # What a relay has said itself; groups that claim to be stations; rooms that are none.
            wild.publish(room, message(FRAME, own, frame(EVERYBODY, mac(9), b"own")))
            wild.publish(room, message(FRAME, 7, frame(EVERYBODY, b"\xff" * 6, b"group")))
            wild.publish(f"{room}.x.y", message(FRAME, 7, frame(EVERYBODY, mac(9), b"else")))
            wild.publish(room, message(FRAME, 7, frame(EVERYBODY, mac(9), b"good")))
            self.assertEqual(a.receive()[14:18], b"good")
            self.assertEqual(relay.metric('dropped_total{reason="backplane_malformed"}'), 2 * len(wrong))
            # It says a frame for a station there to that relay, and nothing of what came from the backplane.
            answer = frame(mac(9), mac(1), b"answer")
            a.send(answer)
            said = []
            while not said or said[-1][1] != message(FRAME, own, answer):
                subject, payload = wild.receive()
                if payload[:9] == message(FRAME, own):
                    said.append((subject, payload))
            self.assertEqual([subject for subject, _ in said], [room, f"{room}.{7:016x}"])  # the first was ours
            # More relays than there can be.
            for number in range(3000):
                wild.publish("netbridge.1.relays", message(ALIVE, 100 + number))
            wild.settle()
            self.assertLessEqual(relay.metric("backplane_relays"), 1024)
            self.assertEqual(relay.stop(), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
