"""`netbridge offer` and `netbridge attach` around a relay with tokens: several streams, large ones both ways, ends that go, and a
real gdb-multiarch and QMP on a machine behind it."""

import contextlib
import hashlib
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

from websocket_client import NETBRIDGE, PATIENCE, ROOT, Relay

sys.path.insert(0, str(ROOT / "tests" / "boot"))

import viv_process  # noqa: E402

GUEST = "linux-riscv64"
GDB = """
set pagination off
set confirm off
set architecture riscv:rv64
target remote {address}
hbreak *{place}
continue
printf "stopped-at %#lx\\n", $pc
printf "stack-is-kernel %d\\n", $sp > 0xff00000000000000
stepi
printf "after-step %d\\n", $pc - {place}
delete
detach
"""


class End(Relay):
    """The program as one end of a tunnel; its log is read as the relay's is."""

    def __init__(self, *options, until):
        self.process = subprocess.Popen([NETBRIDGE, *options], stderr=subprocess.PIPE)
        self.log = []
        self.rest = b""
        started = self.wait_for(until)
        self.port = int(started.get("address", ":0").rpartition(":")[2])


def make_authority(folder):
    """An authority of the test's own, and what it says of localhost: its certificate, the chain and the key of the relay."""
    authority, key, request, chain = (str(folder / name) for name in ("authority", "key", "request", "chain"))

    def openssl(*words):
        subprocess.run(["openssl", *words], check=True, capture_output=True)

    (folder / "names").write_text("subjectAltName=DNS:localhost")
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=the test", "-keyout", str(folder / "authority-key"),
            "-out", authority)
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", key, "-out", request)
    openssl("x509", "-req", "-in", request, "-days", "2", "-CA", authority, "-CAkey", str(folder / "authority-key"), "-CAcreateserial", "-extfile",
            str(folder / "names"), "-out", chain)
    return authority, chain, key


class Tunnel:
    """A relay that wants tokens, and both kinds of ends."""

    def __init__(self, *options, secure=False):
        self.stack = contextlib.ExitStack()
        self.folder = pathlib.Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        (self.folder / "secret").write_text(os.urandom(32).hex())
        self.relay_options = "--tunnels", "--secret-file", str(self.folder / "secret"), *options
        self.place, self.trust = "ws://127.0.0.1", ()
        if secure:
            authority, chain, key = make_authority(self.folder)
            self.place, self.trust = "wss://localhost", ("--ca-file", authority)
            self.relay_options += "--cert", chain, "--key", key
        self.start_relay()

    def start_relay(self, **where):
        self.relay = self.stack.enter_context(Relay(*self.relay_options, **where))

    def __enter__(self):
        return self

    def __exit__(self, *what):
        return self.stack.__exit__(*what)

    def options(self, side, name):
        path = self.folder / f"{side}-{name}"
        with open(path, "wb") as file:
            subprocess.run([NETBRIDGE, "token", "--secret-file", str(self.folder / "secret"), f"--{side}", name], stdout=file, check=True)
        return side, f"{self.place}:{self.relay.port}/tunnel/{name}", "--token-file", str(path), *self.trust

    def offer(self, name, where):
        return self.stack.enter_context(End(*self.options("offer", name), "--connect", where, until="joined"))

    def attach(self, name):
        return self.stack.enter_context(End(*self.options("attach", name), "--listen", "127.0.0.1:0", until="listening"))


class Ends(unittest.TestCase):
    def service(self, tunnel):
        server = tunnel.stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        server.settimeout(30 * PATIENCE)
        return server, f"127.0.0.1:{server.getsockname()[1]}"

    def connect(self, tunnel, port):
        return tunnel.stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30 * PATIENCE))

    def test_wss_and_a_relay_that_comes_back(self):
        """With an authority of our own; whoever does not trust it does not get there."""
        with Tunnel(secure=True) as tunnel:
            server, where = self.service(tunnel)
            offer = tunnel.offer("m", where)
            attach = tunnel.attach("m")

            def talk():
                with self.connect(tunnel, attach.port) as user:
                    user.sendall(b"hello")
                    machine, _ = server.accept()
                    with machine:
                        machine.settimeout(30 * PATIENCE)
                        self.assertEqual(machine.recv(5, socket.MSG_WAITALL), b"hello")
                        machine.sendall(b"there")
                        self.assertEqual(user.recv(5, socket.MSG_WAITALL), b"there")

            talk()
            stranger = tunnel.options("offer", "other")[:4]
            with End(*stranger, "--connect", where, until="left") as end:
                self.assertEqual([line for line in end.log if line["event"] == "joined"], [])
            before = tunnel.relay
            before.process.kill()
            before.process.wait()
            tunnel.start_relay(listen=f"127.0.0.1:{before.port}")
            tunnel.relay.wait_for("joined", **{"as": "offer", "place": "m"})
            talk()
            self.assertIsNone(offer.process.poll())

    def test_large_streams_and_several(self):
        with Tunnel() as tunnel:
            server, where = self.service(tunnel)
            tunnel.offer("m", where)
            attach = tunnel.attach("m")
            data = os.urandom(8 << 20)
            hashes = []

            def echo(connection):
                with connection:
                    while part := connection.recv(65536):
                        connection.sendall(part)

            streams = []
            for _ in range(3):
                user = self.connect(tunnel, attach.port)
                machine, _ = server.accept()
                threading.Thread(target=echo, args=(machine,), daemon=True).start()
                streams.append(user)
            for user in streams:
                sender = threading.Thread(target=user.sendall, args=(data,), daemon=True)
                sender.start()
                seen, count = hashlib.sha256(), 0
                while count < len(data):
                    part = user.recv(65536)
                    self.assertTrue(part)
                    seen.update(part)
                    count += len(part)
                sender.join()
                hashes.append(seen.digest())
            self.assertEqual(hashes, [hashlib.sha256(data).digest()] * 3)
            self.assertLess(tunnel.relay.metric("queued_bytes"), 1 << 20)

    def test_either_side_ends_and_the_other_gets_the_rest(self):
        with Tunnel() as tunnel:
            server, where = self.service(tunnel)
            tunnel.offer("m", where)
            attach = tunnel.attach("m")
            user = self.connect(tunnel, attach.port)
            machine, _ = server.accept()
            with machine:
                machine.sendall(b"last word")
            self.assertEqual(user.recv(100), b"last word")
            self.assertEqual(user.recv(100), b"")
            user = self.connect(tunnel, attach.port)
            machine, _ = server.accept()
            user.sendall(b"good bye")
            user.close()
            with machine:
                self.assertEqual(machine.recv(100), b"good bye")
                self.assertEqual(machine.recv(100), b"")

    def test_a_machine_s_end_is_killed(self):
        with Tunnel() as tunnel:
            server, where = self.service(tunnel)
            offer = tunnel.offer("m", where)
            attach = tunnel.attach("m")
            user = self.connect(tunnel, attach.port)
            machine, _ = server.accept()
            with machine:
                offer.process.kill()
                self.assertEqual(user.recv(100), b"")
            tunnel.offer("m", where)
            user = self.connect(tunnel, attach.port)
            server.accept()[0].close()
            self.assertEqual(user.recv(100), b"")

    def test_a_token_of_another_kind(self):
        with Tunnel() as tunnel:
            _, where = self.service(tunnel)
            _, url, _, token = tunnel.options("attach", "m")
            with End("offer", url, "--token-file", token, "--connect", where, until="left"):
                tunnel.relay.wait_for("refused", reason="token", detail="elsewhere")

    def test_it_listens_on_loopback_alone(self):
        done = subprocess.run([NETBRIDGE, "attach", "ws://127.0.0.1:1/tunnel/m", "--listen", "0.0.0.0:0"], capture_output=True, text=True)
        self.assertEqual((done.returncode, "loopback" in done.stderr), (2, True), done.stderr)


class Machine(unittest.TestCase):
    def test_gdb_and_qmp(self):
        viv_process.guest(GUEST)
        done = viv_process.run("exec", GUEST, "--", "grep", "-E", " T vfs_read$", "/proc/kallsyms")
        place = "0x" + re.search(r"([0-9a-f]{16}) T vfs_read", done.stdout).group(1)
        with Tunnel() as tunnel:
            gdb, qmp = str(tunnel.folder / "gdb"), str(tunnel.folder / "qmp")
            with viv_process.Session("run", GUEST, "--paused", "--gdb", f"unix:{gdb}", "--qmp", f"unix:{qmp}") as viv:
                while not (os.path.exists(gdb) and os.path.exists(qmp)):
                    self.assertIsNone(viv.process.poll())
                tunnel.offer("gdb", f"unix:{gdb}")
                tunnel.offer("qmp", f"unix:{qmp}")
                script = tunnel.folder / "script"
                script.write_text(GDB.format(address=f"127.0.0.1:{tunnel.attach('gdb').port}", place=place))
                said = subprocess.run(["gdb-multiarch", "-nx", "-batch", "-x", str(script)], capture_output=True, text=True,
                                      timeout=240 * PATIENCE, stdin=subprocess.DEVNULL)
                for expected in (f"stopped-at {place}", "stack-is-kernel 1", r"after-step [24]"):
                    self.assertRegex(said.stdout + said.stderr, expected)
                with socket.create_connection(("127.0.0.1", tunnel.attach("qmp").port), timeout=60 * PATIENCE) as connection, \
                        connection.makefile("rw") as lines:
                    self.assertIn("QMP", json.loads(lines.readline()))
                    for command in ("qmp_capabilities", "query-status"):
                        lines.write(json.dumps({"execute": command}) + "\n")
                        lines.flush()
                        answer = json.loads(lines.readline())
                        while "event" in answer:
                            answer = json.loads(lines.readline())
                    self.assertEqual(answer["return"]["status"], "running")
                viv.expect(r"~ # ")
                viv.type("poweroff -f\n")
                self.assertEqual(viv.wait(), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
