"""Tunnels through a real relay: who may offer and attach, back-pressure, and ends that vanish."""

import os
import pathlib
import select
import subprocess
import tempfile
import unittest

from websocket_client import NETBRIDGE, Client, Closed, Refused, Relay


class Tunnels(unittest.TestCase):
    def joined(self, relay, name="m", **options):
        """A machine's end and whoever is attached to it."""
        machine = Client(relay.port, f"/tunnel/{name}/offer")
        relay.wait_for("joined", place=name)
        user = Client(relay.port, f"/tunnel/{name}", **options)
        self.assertEqual(machine.receive(), b"")
        return machine, user

    def test_both_ways(self):
        with Relay("--tunnels") as relay:
            machine, user = self.joined(relay)
            with machine, user:
                self.assertEqual((relay.metric("tunnels"), relay.metric("tunnel_streams")), (1, 1))
                machine.send(b"hello")
                self.assertEqual(user.receive(), b"hello")
                user.send(b"$qSupported#37")
                self.assertEqual(machine.receive(), b"$qSupported#37")
            relay.wait_for("left", reason="by_client")
            self.assertEqual(relay.stop(), 0)

    def test_when_one_goes_the_other_does(self):
        with Relay("--tunnels") as relay:
            machine, user = self.joined(relay)
            machine.send(b"the last word")
            machine.socket.close()
            self.assertEqual(user.receive(), b"the last word")
            with self.assertRaises(Closed) as closed:
                user.receive()
            self.assertEqual(closed.exception.code, 1000)
            user.socket.close()
            relay.wait_for("left", reason="far_end")
            with self.assertRaises(Refused) as refused:
                Client(relay.port, "/tunnel/m")
            self.assertEqual(refused.exception.status, 404)

    def test_a_slow_reader_holds_the_other_back(self):
        with Relay("--tunnels") as relay:
            machine, user = self.joined(relay, receive_buffer=4096)
            with machine, user:
                piece, pieces = os.urandom(16384), 0
                machine.socket.setblocking(False)
                unsent = b""
                # Until neither the relay nor any kernel takes more.
                while True:
                    unsent = unsent or machine.encode(piece)
                    try:
                        unsent = unsent[machine.socket.send(unsent):]
                    except BlockingIOError:
                        if relay.metric("queued_bytes") > 0 and not self.writable(machine):
                            break
                        continue
                    pieces += not unsent
                self.assertLessEqual(relay.metric("queued_bytes"), 64 << 10)
                # Somebody else's stream does not wait.
                other, reader = self.joined(relay, "other")
                with other, reader:
                    other.send(b"quick")
                    self.assertEqual(reader.receive(), b"quick")
                self.assertGreater(pieces, 8)
                for _ in range(pieces):
                    self.assertEqual(user.receive(), piece)
                machine.socket.settimeout(60)
                machine.socket.sendall(unsent + machine.encode(b"end"))
                if unsent:
                    self.assertEqual(user.receive(), piece)
                self.assertEqual(user.receive(), b"end")

    @staticmethod
    def writable(client):
        return bool(select.select([], [client.socket], [], 1)[1])

    def test_what_breaks_the_protocol(self):
        with Relay("--tunnels") as relay, Client(relay.port, "/tunnel/m/offer") as early:
            early.send(b"nobody is there")
            with self.assertRaises(Closed) as closed:
                early.receive()
            self.assertEqual(closed.exception.code, 1002)
            machine, user = self.joined(relay, "n")
            with machine, user:
                user.send(bytes((32 << 10) + 1))
                with self.assertRaises(Closed) as closed:
                    user.receive()
                self.assertEqual(closed.exception.code, 1009)
                with self.assertRaises(Closed) as closed:
                    machine.receive()
                self.assertEqual(closed.exception.code, 1000)

    def test_tokens(self):
        with tempfile.TemporaryDirectory() as folder:
            secret = os.path.join(folder, "secret")
            pathlib.Path(secret).write_text(os.urandom(32).hex())

            def token(*what):
                done = subprocess.run([NETBRIDGE, "token", "--secret-file", secret, *what], capture_output=True, text=True, check=True)
                return [f"Authorization: Bearer {done.stdout.strip()}"]

            with Relay("--tunnels", "--secret-file", secret) as relay:
                offer, attach, room = token("--offer", "m"), token("--attach", "m"), token("--room", "m")
                with Client(relay.port, "/tunnel/m/offer", headers=offer) as machine:
                    relay.wait_for("joined", place="m", **{"as": "offer"})
                    for path, headers in (("/tunnel/m", offer), ("/tunnel/m", room), ("/tunnel/m", ()), ("/tunnel/m/offer", attach),
                                          ("/tunnel/m/offer", ()), ("/m", attach), ("/tunnel/other", attach), ("/tunnel/other/offer", offer),
                                          ("/tunnel/m", token("--attach", "other")), ("/tunnel/m", [attach[0][:-1] + "!"])):
                        with self.assertRaises(Refused, msg=path) as refused:
                            Client(relay.port, path, headers=headers)
                        self.assertEqual(refused.exception.status, 403, path)
                    with Client(relay.port, "/tunnel/m", headers=token("--attach", "m", "--expires", "2s")) as user:
                        self.assertEqual(machine.receive(), b"")
                        with self.assertRaises(Closed) as closed:
                            user.receive()
                        self.assertEqual(closed.exception.code, 1008)
                with self.assertRaises(Refused) as refused:
                    Client(relay.port, "/tunnel/m", headers=[*attach, "Origin: https://example.org"])
                self.assertEqual(refused.exception.status, 403)


if __name__ == "__main__":
    unittest.main(verbosity=2)
