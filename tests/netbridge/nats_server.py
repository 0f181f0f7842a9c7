"""A nats-server of Debian's for tests of the backplane, and a client of it that speaks its text protocol word by word."""

import re
import signal
import socket
import subprocess

from websocket_client import PATIENCE


class NatsServer:
    """A context manager; the process never outlives it."""

    def __init__(self, *options, port=-1):
        self.process = subprocess.Popen(["nats-server", "-a", "127.0.0.1", "-p", str(port), *options], stderr=subprocess.PIPE, text=True)
        self.port = None
        for line in self.process.stderr:
            found = re.search(r"Listening for client connections on \S+:(\d+)", line)
            if found:
                self.port = int(found.group(1))
            if "Server is ready" in line:
                break
        assert self.port, "nats-server has not started"
        self.url = f"nats://127.0.0.1:{self.port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def kill(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()
        self.process.stderr.close()


class NatsClient:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60 * PATIENCE)
        self.file = self.socket.makefile("rb")
        self.subscriptions = 0
        assert self.file.readline().startswith(b"INFO ")
        self.socket.sendall(b'CONNECT {"verbose":false,"pedantic":false}\r\n')
        self.settle()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def settle(self):
        """Everything before has been dealt with by the server."""
        self.socket.sendall(b"PING\r\n")
        while (line := self.file.readline()) != b"PONG\r\n":
            assert not line.startswith(b"-ERR"), line

    def subscribe(self, subject):
        self.subscriptions += 1
        self.socket.sendall(b"SUB %s %d\r\n" % (subject.encode(), self.subscriptions))
        self.settle()

    def publish(self, subject, payload):
        self.socket.sendall(b"PUB %s %d\r\n%s\r\n" % (subject.encode(), len(payload), payload))

    def receive(self):
        """Subject and payload of the next message."""
        while True:
            words = self.file.readline().split()
            assert words, "the server has gone"
            if words[0] == b"MSG":
                payload = self.file.read(int(words[-1]))
                self.file.readline()
                return words[1].decode(), payload
            if words[0] == b"PING":
                self.socket.sendall(b"PONG\r\n")
