"""The relay with real sockets: rooms, who is let in, limits, clients that misbehave, TLS, HTTP, and its end."""

import fcntl
import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest

from websocket_client import CLOSE, EVERYBODY, NETBRIDGE, PATIENCE, PING, SANITIZED, TEXT, Client, Closed, Refused, Relay, frame, mac


def meet(*clients):
    """Each has been heard by all others."""
    for number, client in enumerate(clients):
        client.send(frame(EVERYBODY, mac(100 + number), b"hello"))
        for other in clients:
            if other is not client:
                assert other.receive()[14:19] == b"hello"


class Rooms(unittest.TestCase):
    def test_frames_go_where_they_belong(self):
        with Relay() as relay, Client(relay.port) as a, Client(relay.port) as b, Client(relay.port) as c, \
                Client(relay.port, "/other") as stranger:
            meet(a, b, c)
            a.send(frame(mac(101), mac(100), b"for b"))
            self.assertEqual(b.receive()[14:19], b"for b")
            c.send(frame(mac(100), mac(102), b"for a"))
            self.assertEqual(a.receive()[14:19], b"for a")
            self.assertTrue(b.quiet() and c.quiet() and stranger.quiet())
            self.assertEqual(relay.metric("clients"), 4)
            self.assertEqual(relay.metric("rooms"), 2)
            self.assertEqual(relay.stop(), 0)

    def test_fragments_and_large_frames(self):
        with Relay() as relay, Client(relay.port) as a, Client(relay.port) as b:
            meet(a, b)
            large = frame(mac(101), mac(100), os.urandom(65000))
            a.send(large)
            self.assertEqual(b.receive(), large)
            a.send(large[:10], final=False)
            a.send(b"", opcode=0, final=False)
            a.send(b"in between", opcode=PING)
            a.send(large[10:40000], opcode=0, final=False)
            a.send(large[40000:], opcode=0)
            self.assertEqual(b.receive(), large)

    def test_a_client_that_vanishes_is_gone(self):
        with Relay("--ping", "1", "--hang-up", "3") as relay, Client(relay.port) as a:
            script = ("import sys, time; sys.path.insert(0, sys.argv[1]); from websocket_client import *; "
                      "c = Client(int(sys.argv[2])); c.send(frame(EVERYBODY, mac(1), b'here')); time.sleep(1000)")
            with subprocess.Popen([sys.executable, "-c", script, str(pathlib.Path(__file__).parent), str(relay.port)]) as other:
                self.assertEqual(a.receive()[14:18], b"here")
                other.send_signal(signal.SIGKILL)
                other.wait()
            relay.wait_for("left", client=2)
            # Half open: it is there, but says nothing any more, not even pongs.
            silent = Client(relay.port)
            number = relay.wait_for("joined", client=3)["client"]
            left = relay.wait_for("left", client=number)
            self.assertEqual(left["event"], "left")
            silent.socket.close()

    def test_a_library_talks_to_it(self):
        """Debian's python3-websockets, which is somebody else's idea of the protocol."""
        python = next((p for p in (sys.executable, "/usr/bin/python3")
                       if subprocess.run([p, "-c", "import websockets"], capture_output=True, check=False).returncode == 0), None)
        if not python:
            self.skipTest("no python3-websockets here")
        script = """
import asyncio, sys, websockets
async def main():
    url = f"ws://127.0.0.1:{sys.argv[1]}/lab"
    async with websockets.connect(url) as a, websockets.connect(url, subprotocols=["binary"]) as b:
        frame = bytes.fromhex("ffffffffffff525400000001") + bytes(50)
        await a.send(frame)
        assert await b.recv() == frame
        print(b.subprotocol)
asyncio.run(main())
"""
        with Relay() as relay:
            done = subprocess.run([python, "-c", script, str(relay.port)], capture_output=True, text=True, check=False, timeout=60 * PATIENCE)
            self.assertEqual((done.stdout, done.returncode), ("binary\n", 0), done.stderr)


class WhoIsLetIn(unittest.TestCase):
    def status(self, relay, *arguments, **options):
        with self.assertRaises(Refused) as refused:
            Client(relay.port, *arguments, **options)
        return refused.exception.status

    def test_origins(self):
        with Relay("--origin", "https://example.org") as relay:
            with Client(relay.port, headers=["Origin: https://example.org"]):
                pass
            for origin in ("https://example.org.evil.net", "http://example.org", "null", "http://127.0.0.1:1", "x" * 3000):
                self.assertIn(self.status(relay, headers=[f"Origin: {origin}"]), (403, 0))
            relay.wait_for("refused", reason="origin", detail="null")

    def test_pages_are_strangers_by_default(self):
        with Relay() as relay:
            self.assertEqual(self.status(relay, headers=["Origin: http://127.0.0.1:8000"]), 403)

    def test_places(self):
        with Relay() as relay:
            for path in ("/a/b", "/wisp/", "/tunnel/m/gdb/host", "/a.b", "/" + "x" * 65):
                self.assertEqual(self.status(relay, path), 404, path)

    def token(self, secret, *what):
        return subprocess.run([NETBRIDGE, "token", "--secret-file", secret, *what], capture_output=True, text=True, check=True).stdout.strip()

    def test_tokens(self):
        with tempfile.TemporaryDirectory() as folder:
            secret, other = os.path.join(folder, "secret"), os.path.join(folder, "other")
            pathlib.Path(secret).write_bytes(os.urandom(32).hex().encode())
            pathlib.Path(other).write_bytes(os.urandom(32).hex().encode())
            good = self.token(secret, "--room", "lab")
            with Relay("--secret-file", secret) as relay:
                with Client(relay.port, f"/lab?token={good}"), Client(relay.port, headers=[f"Authorization: Bearer {good}"]):
                    pass
                with Client(relay.port, f"/lab2?token={self.token(secret, '--room', 'any')}"):
                    pass
                for path in ("/lab", "/lab?token=", f"/lab2?token={good}", f"/?token={good}", f"/lab?token={good[:-1]}",
                             f"/lab?token={self.token(other, '--room', 'lab')}", f"/lab?token={self.token(secret, '--wisp')}",
                             "/lab?token=" + "x" * 1000):
                    self.assertEqual(self.status(relay, path), 403, path)
                with Client(relay.port, f"/lab?token={self.token(secret, '--room', 'lab', '--expires', '2s')}") as brief:
                    with self.assertRaises(Closed) as closed:
                        brief.receive()
                    self.assertEqual(closed.exception.code, 1008)
                relay.stop()
                self.assertNotIn(good, json.dumps(relay.log) + relay.rest.decode())

    def test_without_tokens_only_loopback(self):
        done = subprocess.run([NETBRIDGE, "--listen", "0.0.0.0:0"], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertRegex(done.stderr, r"^netbridge: --listen 0\.0\.0\.0:0: .*--secret-file.*\n$")

    def test_connections_are_counted(self):
        with Relay("--connections-per-address", "3") as relay:
            clients = [Client(relay.port) for _ in range(3)]
            for client in clients:
                self.addCleanup(client.socket.close)
            with self.assertRaises((Refused, ConnectionError)):
                Client(relay.port)
            # Another address of loopback is another place.
            with Client(relay.port, source="127.0.0.2"):
                pass
            clients.pop().socket.close()
            relay.wait_for("left", client=3)
            # Whose leaving has been said has made place.
            with Client(relay.port):
                pass

    def test_attempts_are_counted(self):
        with Relay("--attempts-per-address", "1") as relay:
            refused = 0
            for _ in range(30):
                try:
                    Client(relay.port).socket.close()
                except (Refused, ConnectionError):
                    refused += 1
            self.assertGreaterEqual(refused, 5)
            relay.wait_for("refused", reason="rate")


class Misbehaviour(unittest.TestCase):
    def ended(self, relay, action):
        """The code that a client's connection ends with after that, while the others' goes on."""
        with Client(relay.port, "/bad") as bad:
            action(bad)
            with self.assertRaises(Closed) as closed:
                while True:
                    bad.receive()
            return closed.exception.code

    def test_what_is_wrong_ends_one_connection(self):
        def fragments(client):
            client.send(bytes(60000), final=False)
            for _ in range(10):
                try:
                    client.send(bytes(60000), opcode=0, final=False)
                except OSError:
                    return

        def head_alone(client):
            client.socket.sendall(b"\x82\xff" + b"\xff" * 8 + bytes(4))

        with Relay() as relay, Client(relay.port) as a, Client(relay.port) as b:
            meet(a, b)
            self.assertEqual(self.ended(relay, lambda c: c.send(bytes(65551))), 1009)
            self.assertIn(self.ended(relay, fragments), (1009, None))
            self.assertEqual(self.ended(relay, lambda c: c.send(b"hello", opcode=TEXT)), 1002)
            self.ended(relay, head_alone)
            self.ended(relay, lambda c: c.send(bytes(60), opcode=5))
            self.ended(relay, lambda c: c.send(bytes(60), opcode=0))
            self.ended(relay, lambda c: c.send(bytes(200), opcode=PING))
            self.ended(relay, lambda c: c.send(b"\x03\xe8", opcode=CLOSE))
            self.ended(relay, lambda c: c.socket.sendall(os.urandom(100000)))
            a.send(frame(mac(101), mac(100), b"still"))
            self.assertEqual(b.receive()[14:19], b"still")
            self.assertEqual(relay.stop(), 0)

    def test_requests_that_are_none(self):
        with Relay() as relay, Client(relay.port) as a, Client(relay.port) as b:
            for text in (b"\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 100000, b"\x16\x03\x01\x02\x00\x01" + bytes(500), os.urandom(3000),
                         b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", b"GET " + b"/" * 20000 + b" HTTP/1.1\r\n\r\n"):
                with socket.create_connection(("127.0.0.1", relay.port), timeout=30 * PATIENCE) as connection:
                    try:
                        connection.sendall(text)
                        connection.shutdown(socket.SHUT_WR)
                        while connection.recv(65536):
                            pass
                    except OSError:
                        pass
            meet(a, b)
            self.assertEqual(relay.stop(), 0)

    def test_who_says_nothing_goes(self):
        with Relay("--handshake", "1") as relay:
            for text in (b"", b"GET /lab HTTP/1.1\r\nHost: "):
                with socket.create_connection(("127.0.0.1", relay.port), timeout=30 * PATIENCE) as connection:
                    connection.sendall(text)
                    connection.settimeout(0.1)
                    start = time.monotonic()
                    # Nor does a letter now and then help.
                    with self.assertRaises((EOFError, ConnectionError)):
                        while time.monotonic() - start < 5 * PATIENCE:
                            try:
                                if not connection.recv(100):
                                    raise EOFError
                            except TimeoutError:
                                connection.sendall(b"x" if text else b"")

    def test_a_slow_client_delays_nobody(self):
        with Relay("--queue", str(256 << 10), "--stall", "2") as relay, Client(relay.port, receive_buffer=4096) as slow, \
                Client(relay.port) as a, Client(relay.port) as b:
            a.send(frame(EVERYBODY, mac(100), b"first"))
            self.assertEqual(b.receive()[14:19], b"first")
            worst = 0.0
            for number in range(200):
                start = time.monotonic()
                a.send(frame(EVERYBODY, mac(100), b"%6d" % number, 60000))
                self.assertEqual(b.receive()[14:20], b"%6d" % number)
                worst = max(worst, time.monotonic() - start)
            self.assertLess(worst, 1.0 * PATIENCE)
            self.assertGreater(relay.metric('dropped_total{reason="queue_full"}'), 0)
            self.assertLessEqual(relay.metric("queued_bytes"), 256 << 10)
            left = relay.wait_for("left", reason="stalled")
            self.assertEqual(left["client"], 1)
            slow.socket.close()

    def test_who_is_too_fast_waits_and_loses_nothing(self):
        with Relay("--frames", "500") as relay, Client(relay.port) as a, Client(relay.port) as b:
            meet(a, b)
            start = time.monotonic()
            for number in range(2000):
                a.send(frame(mac(101), mac(100), b"%6d" % number))
            for number in range(2000):
                self.assertEqual(b.receive()[14:20], b"%6d" % number)
            # The burst of 1000 is free; the other 1000 take two seconds.
            self.assertGreater(time.monotonic() - start, 1.5)
            self.assertGreater(relay.metric("pauses_total"), 0)

    def test_nobody_speaks_for_another(self):
        with Relay("--check-spoofing") as relay, Client(relay.port) as a, Client(relay.port) as b, Client(relay.port) as thief:
            meet(a, b)
            thief.receive(), thief.receive()
            thief.send(frame(mac(101), mac(100), b"I am a"))
            thief.send(frame(mac(101), mac(7), b"thief"))
            self.assertEqual(b.receive()[14:19], b"thief")
            b.send(frame(mac(100), mac(101), b"for a"))
            a.receive()  # the thief's second frame was for all until b had been heard; this is whatever came first
            self.assertEqual(relay.metric('dropped_total{reason="spoofed"}'), 1)

    def test_who_is_silent_has_gone(self):
        with Relay("--ping", "1", "--hang-up", "2", "--frames", "50") as relay, Client(relay.port) as a, Client(relay.port), \
                Client(relay.port) as b:
            # Who speaks has not, even if it answers no ping. All but the first 100 frames are paced by the relay: four seconds.
            for number in range(300):
                a.send(frame(EVERYBODY, mac(100), b"%6d" % number))
                self.assertEqual(b.receive()[14:20], b"%6d" % number)
            self.assertEqual(relay.wait_for("left")["client"], 2)
            self.assertEqual(relay.metric("clients"), 2)

    def test_idle_clients_go(self):
        with Relay("--idle", "1") as relay, Client(relay.port) as a:
            with self.assertRaises(Closed) as closed:
                a.receive()
            self.assertEqual(closed.exception.code, 1008)


class Http(unittest.TestCase):
    def test_health_and_metrics(self):
        with Relay() as relay:
            self.assertEqual(relay.http("/healthz"), (200, "ok\n"))
            status, text = relay.http("/metrics")
            self.assertEqual(status, 200)
            for line in text.splitlines():
                self.assertRegex(line, r'^(# (HELP|TYPE) netbridge_[a-z_]+ .+|netbridge_[a-z_]+(\{(reason|le)="[a-z0-9_.+I]+"\})? [0-9.]+)$')
            self.assertEqual(relay.http("/metrics", ["X-Forwarded-For: 192.0.2.1"])[0], 403)
            self.assertEqual(relay.http("/lab")[0], 404)
            self.assertEqual(relay.http("/../etc/passwd")[0], 404)

    def test_the_end_is_said_to_clients(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with Relay() as relay, Client(relay.port) as a:
                relay.wait_for("joined")
                relay.process.send_signal(number)
                with self.assertRaises(Closed) as closed:
                    a.receive()
                self.assertEqual(closed.exception.code, 1001)
                self.assertEqual(relay.process.wait(30 * PATIENCE), 0)

    def test_a_log_that_nobody_reads_stops_nobody(self):
        with Relay() as relay, Client(relay.port) as a, Client(relay.port) as b:
            meet(a, b)
            fcntl.fcntl(relay.process.stderr, fcntl.F_SETPIPE_SZ, 4096)
            for _ in range(40):
                Client(relay.port).socket.close()
            meet(a, b)
            self.assertEqual(relay.http("/healthz")[0], 200)
            # Once somebody reads again, it is said what is missing.
            os.read(relay.process.stderr.fileno(), 65536)
            Client(relay.port).socket.close()
            self.assertGreater(relay.wait_for("suppressed")["lines"], 0)
            self.assertEqual(relay.stop(), 0)

    def test_a_port_in_use_is_one_line(self):
        with Relay() as relay:
            done = subprocess.run([NETBRIDGE, "--listen", f"127.0.0.1:{relay.port}"], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr, rf"^netbridge: --listen 127\.0\.0\.1:{relay.port}: Address already in use\n$")


class Tls(unittest.TestCase):
    def test_wss(self):
        with tempfile.TemporaryDirectory() as folder:
            key, certificate = os.path.join(folder, "key"), os.path.join(folder, "certificate")
            subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
                            "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate], check=True, capture_output=True)
            context = ssl.create_default_context(cafile=certificate)
            with Relay("--cert", certificate, "--key", key) as relay:
                with Client(relay.port, tls=context) as a, Client(relay.port, tls=context) as b:
                    meet(a, b)
                    large = frame(mac(101), mac(100), os.urandom(60000))
                    for _ in range(50):
                        a.send(large)
                    for _ in range(50):
                        self.assertEqual(b.receive(), large)
                    self.assertIn(a.socket.version(), ("TLSv1.2", "TLSv1.3"))
                old = ssl.create_default_context(cafile=certificate)
                old.maximum_version = ssl.TLSVersion.TLSv1_1
                with self.assertRaises((ssl.SSLError, OSError)):
                    Client(relay.port, tls=old)
                with self.assertRaises((Refused, OSError)):
                    Client(relay.port)
            done = subprocess.run([NETBRIDGE, "--cert", key, "--key", key], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr, r"^netbridge: --cert .*PEM\n$")


@unittest.skipIf(SANITIZED, "a sanitized relay is not confined")
class Process(unittest.TestCase):
    def test_what_it_gives_up(self):
        with Relay() as relay:
            status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{relay.process.pid}/status").read_text().splitlines() if ":\t" in line)
            self.assertEqual(status["Seccomp"].strip(), "2")
            self.assertEqual(status["NoNewPrivs"].strip(), "1")
            self.assertEqual(int(status["CapEff"], 16), 0)
            self.assertNotEqual(status["Uid"].split()[0], "0")


if __name__ == "__main__":
    unittest.main(verbosity=2)
