"""A guest on the network `user`, with nothing but this host's loopback: DHCP, TCP both ways, forwards, TFTP, IPv6, DNS,
several harts, saving and restoring, and what a guest must not reach."""

import contextlib
import hashlib
import http.server
import json
import os
import pathlib
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

import viv_process

GUEST = "linux-riscv64"
LEASE = "until ip addr show eth0 | grep -q 'inet 10'; do usleep 50000; done; "


def setUpModule():
    viv_process.guest(GUEST)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def web_server(content, host="127.0.0.1", go=None):
    """A web server on loopback that gives `content` whatever is asked, once `go` is set; yields its port and the paths asked for."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            if go and not go.is_set():
                self.send_error(503)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    class Server(http.server.ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

    with Server((host, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1], asked
        finally:
            server.shutdown()
            thread.join()


def guest(script, *options, **more):
    return viv_process.run("exec", *options, GUEST, "--", "sh", "-c", LEASE + script, **more)


def read_all(connection):
    data = b""
    while part := connection.recv(65536):
        data += part
    return data


@contextlib.contextmanager
def qmp_session(path):
    """Yields a function that executes a command and gives its answer."""
    with socket.socket(socket.AF_UNIX) as qmp:
        qmp.settimeout(60 * viv_process.PATIENCE)
        qmp.connect(path)
        lines = qmp.makefile("r", encoding="utf-8")

        def ask(command, **arguments):
            qmp.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
            while "event" in (answer := json.loads(lines.readline())):
                pass
            return answer
        lines.readline()
        ask("qmp_capabilities")
        yield ask


class UserNetwork(unittest.TestCase):
    content = random.Random(7).randbytes(3_000_000)
    digest = hashlib.sha256(content).hexdigest()

    def test_without_any_option_a_guest_has_an_address_and_nothing_of_this_host(self):
        with web_server(b"secret") as (port, asked):
            done = guest(f"ip addr show eth0; ip route; cat /etc/resolv.conf; wget -T 5 -q -O - http://10.0.2.2:{port}/ || echo refused")
        self.assertEqual((done.returncode, done.stderr.count("wget:")), (0, 1), done.stderr)
        self.assertIn("inet 10.0.2.15/24", done.stdout)
        self.assertIn("default via 10.0.2.2", done.stdout)
        self.assertIn("nameserver 10.0.2.3", done.stdout)
        self.assertIn("refused", done.stdout)
        self.assertEqual(asked, [])

    def test_a_download_from_this_host_in_every_mode_of_harts(self):
        with web_server(self.content) as (port, _):
            for card, mode in (("", []), ("", ["--cpus", "3", "--harts", "parallel"]), ("", ["--jit", "quick"]),
                               (",packed=on", []), (",packed=on,queues=3", ["--cpus", "3", "--harts", "parallel"])):
                with self.subTest(card=card, mode=mode):
                    done = guest(f"wget -q -O - http://10.0.2.2:{port}/file | sha256sum", "--net", "user" + card, *mode)
                    self.assertEqual((done.returncode, done.stdout.split()[:1], done.stderr), (0, [self.digest], ""))

    def test_the_guest_uses_a_packed_ring_and_a_pair_of_queues_for_each_hart(self):
        ring_packed = 34
        done = guest("cd /sys/class/net/eth0; cat device/features; ls queues", "--net", "user,packed=on,queues=3", "--cpus", "2")
        features, *queues = done.stdout.split()
        self.assertEqual((features[ring_packed], queues), ("1", ["rx-0", "rx-1", "tx-0", "tx-1"]), done.stderr)

    def test_an_upload_to_this_host(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(120 * viv_process.PATIENCE)
            received = []

            def take():
                connection, _ = server.accept()
                data = b""
                with connection:  # nc does not say that its input has ended: the one who has all closes
                    while len(data) < 1288895 and (part := connection.recv(65536)):
                        data += part
                received.append(data)

            taker = threading.Thread(target=take)
            taker.start()
            done = guest(f"seq 1 200000 >/tmp/sent; nc 10.0.2.2 {server.getsockname()[1]} </tmp/sent; sha256sum </tmp/sent",
                         "--net", "user")
            taker.join()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.split()[0], hashlib.sha256(received[0]).hexdigest())
        self.assertEqual(len(received[0]), 1288895)

    def test_forwards_into_the_guest(self):
        tcp = free_port()
        options = ["run", GUEST, "--net", f"user,hostfwd=tcp::{tcp}-:8080"]
        with viv_process.Session(*options) as viv:
            viv.expect(r"~ # ")
            viv.type(LEASE + "mkdir /www; seq 1 100000 >/www/numbers; httpd -p 8080 -h /www; echo rea''dy\n")
            viv.expect(r"ready")
            for _ in range(3):
                with socket.create_connection(("127.0.0.1", tcp), timeout=60 * viv_process.PATIENCE) as connection:
                    connection.sendall(b"GET /numbers HTTP/1.0\r\n\r\n")
                    head, _, body = read_all(connection).partition(b"\r\n\r\n")
                self.assertTrue(head.startswith(b"HTTP/1.1 200"), head)
                self.assertEqual(body, b"".join(b"%d\n" % number for number in range(1, 100001)))
            # Only this host's loopback offers it.
            with socket.socket() as other:
                self.assertNotEqual(other.connect_ex(("127.0.0.2", tcp)), 0)
            viv.type("poweroff -f\n")
            self.assertEqual(viv.wait(), 0)

    def test_the_port_of_a_forward_is_free_again_afterwards_and_a_taken_one_is_one_line(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            done = viv_process.run("run", GUEST, "--net", f"user,hostfwd=tcp::{port}-:22")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertEqual(done.stderr, f"viv: --net user: hostfwd=tcp::{port}-:22: port {port} of this host is in use; choose another, "
                         "or end the program that has it\n")

    def test_tftp_and_a_command_as_server(self):
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "file").write_bytes(self.content[:300_000])
            done = guest("tftp -g -l - -r file 10.0.2.2 | sha256sum; echo hello | nc 10.0.2.100 7",
                         "--net", f"user,restrict=on,tftp={folder},guestfwd=tcp:10.0.2.100:7-cmd:tr a-z A-Z")
        self.assertEqual(done.stdout.split(), [hashlib.sha256(self.content[:300_000]).hexdigest(), "-", "HELLO"], done.stderr)

    def test_ping_and_ipv6(self):
        if not socket.has_ipv6 or not pathlib.Path("/proc/net/if_inet6").exists():
            self.skipTest("this host has no IPv6")
        with web_server(self.content[:200_000], "::1") as (port, _):
            # udhcpc's script takes the card's addresses away, IPv6 ones among them; they come back with the link.
            done = guest("ip link set eth0 down; ip link set eth0 up; until ip -6 addr show eth0 | grep fec0 | grep -qv tentative; "
                         f"do usleep 50000; done; ping6 -c 1 fec0::2 >/dev/null && ping -c 1 10.0.2.2 >/dev/null && echo pinged; "
                         f"wget -q -O - 'http://[fec0::2]:{port}/' | sha256sum", "--net", "user")
        self.assertEqual(done.stdout.split()[:2], ["pinged", hashlib.sha256(self.content[:200_000]).hexdigest()], done.stderr)

    def test_several_cards(self):
        done = viv_process.run("exec", "--net", "user", "--net", "null,mac=52:54:00:00:00:77", "--device",
                               "virtio-net-pci,net=user,,net=10.9.0.0/24", GUEST, "--", "sh", "-c",
                               "ip link set eth2 up; udhcpc -i eth2 -q -n -S >/dev/null 2>&1; cat /sys/class/net/eth*/address; ip -4 addr show eth2")
        self.assertIn("52:54:00:12:34:56\n52:54:00:00:00:77\n52:54:00:12:34:57\n", done.stdout)
        self.assertIn("inet 10.9.0.15/24", done.stdout)

    def test_the_cable_is_pulled_out_and_put_in(self):
        carrier = "echo =$(cat /sys/class/net/eth0/carrier)=\n"
        with tempfile.TemporaryDirectory() as folder, \
                viv_process.Session("run", GUEST, "--net", "user,id=outside", "--qmp", f"unix:{folder}/qmp") as viv:
            viv.expect(r"~ # ")
            viv.type(LEASE + carrier)
            viv.expect("=1=")
            with qmp_session(f"{folder}/qmp") as ask:
                (card,) = ask("viv-query-network")["return"]
                self.assertEqual((card["kind"], card["up"]), ("virtio-net-pci", True))
                for up in (False, True):
                    self.assertEqual(ask("set_link", name=card["name"], up=up), {"return": {}})
                    self.assertEqual(ask("viv-query-network")["return"][0]["up"], up)
                    viv.type(f"until [ $(cat /sys/class/net/eth0/carrier) = {int(up)} ]; do usleep 10000; done; {carrier}")
                    viv.expect(f"={int(up)}=")
                self.assertEqual(ask("set_link", name="nonesuch", up=True)["error"]["class"], "DeviceNotFound")

    def test_deterministic_machines_have_none(self):
        done = viv_process.run("exec", "--deterministic", GUEST, "--", "ls", "/sys/class/net")
        self.assertEqual((done.returncode, done.stdout), (0, "lo\n"), done.stderr)

    def test_a_saved_machine_gets_its_network_again(self):
        self.saved_machine_goes_on("user")

    def test_a_saved_machine_goes_on_with_packed_rings(self):
        self.saved_machine_goes_on("user,packed=on,queues=2", "--cpus", "2")

    def saved_machine_goes_on(self, net, *options):
        go = threading.Event()
        with tempfile.TemporaryDirectory() as folder, web_server(self.content[:100_000], go=go) as (port, _):
            saved, qmp = os.path.join(folder, "saved"), os.path.join(folder, "qmp")
            with viv_process.Session("run", GUEST, "--net", net, *options, "--qmp", f"unix:{qmp}") as viv:
                viv.expect(r"~ # ")
                viv.type(LEASE + "echo lea''sed; until wget -q -T 5 -O /tmp/f "
                         f"http://10.0.2.2:{port}/ 2>/dev/null; do usleep 100000; done; sha256sum </tmp/f; poweroff -f\n")
                viv.expect(r"leased")
                self.assertEqual(viv_process.run("save", "--from", f"unix:{qmp}", saved).returncode, 0)
            refused = viv_process.run("run", "--restore", saved)
            self.assertEqual((refused.returncode, refused.stderr),
                             (2, f"viv: --restore {saved}: the same devices are needed as when it was saved: --net {net}\n"))
            with viv_process.Session("run", "--restore", saved, "--net", net) as viv:
                go.set()
                viv.expect(hashlib.sha256(self.content[:100_000]).hexdigest())
                self.assertEqual(viv.wait(), 0)


class E1000e(unittest.TestCase):
    """The card for systems without virtio, with the driver of Debian's kernel."""

    content = random.Random(8).randbytes(3_000_000)
    digest = hashlib.sha256(content).hexdigest()

    def test_transfers_both_ways_in_every_mode_of_harts(self):
        for mode in ([], ["--cpus", "3", "--harts", "parallel"], ["--jit", "quick"]):
            with self.subTest(mode=mode), web_server(self.content) as (port, _), socket.create_server(("127.0.0.1", 0)) as server:
                server.settimeout(120 * viv_process.PATIENCE)
                received = []

                def take(server=server, received=received):
                    connection, _ = server.accept()
                    data = b""
                    with connection:  # as above: the one who has all closes
                        while len(data) < len(self.content) and (part := connection.recv(65536)):
                            data += part
                    received.append(data)

                taker = threading.Thread(target=take)
                taker.start()
                done = guest(f"basename $(readlink /sys/class/net/eth0/device/driver); wget -q -O /tmp/f http://10.0.2.2:{port}/file; "
                             f"sha256sum </tmp/f; nc 10.0.2.2 {server.getsockname()[1]} </tmp/f", "--net", "user,model=e1000e", *mode)
                taker.join()
                self.assertEqual((done.returncode, done.stdout.split()[:2], done.stderr), (0, ["e1000e", self.digest], ""))
                self.assertEqual(hashlib.sha256(received[0]).hexdigest(), self.digest)

    def test_ping_udp_and_ipv6(self):
        if not socket.has_ipv6 or not pathlib.Path("/proc/net/if_inet6").exists():
            self.skipTest("this host has no IPv6")
        with web_server(self.content[:200_000], "::1") as (port, _), tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "file").write_bytes(self.content[:300_000])
            done = guest("ip link set eth0 down; ip link set eth0 up; until ip -6 addr show eth0 | grep fec0 | grep -qv tentative; "
                         "do usleep 50000; done; ip addr add 10.0.2.15/24 dev eth0 2>/dev/null; "
                         "ping6 -c 1 fec0::2 >/dev/null && ping -c 1 10.0.2.2 >/dev/null && echo pinged; "
                         f"wget -q -O - 'http://[fec0::2]:{port}/' | sha256sum; tftp -g -l - -r file 10.0.2.2 | sha256sum",
                         "--net", f"user,model=e1000e,tftp={folder}")
        self.assertEqual(done.stdout.split(), ["pinged", hashlib.sha256(self.content[:200_000]).hexdigest(), "-",
                                               hashlib.sha256(self.content[:300_000]).hexdigest(), "-"], done.stderr)

    def test_large_frames_are_split(self):
        # With an MTU above 1500 the driver asks for packet split.
        with web_server(self.content) as (port, _):
            done = guest("ip link set eth0 down; ip link set eth0 mtu 4000; ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0 2>/dev/null; "
                         "until [ $(cat /sys/class/net/eth0/carrier) = 1 ]; do usleep 10000; done; "
                         f"wget -q -O - http://10.0.2.2:{port}/file | sha256sum; "
                         "cat /sys/class/net/eth0/mtu", "--net", "user,model=e1000e")
        self.assertEqual((done.returncode, done.stdout.split(), done.stderr), (0, [self.digest, "-", "4000"], ""))

    def test_the_driver_learns_of_the_cable(self):
        carrier = "echo =$(cat /sys/class/net/eth0/carrier)=\n"
        with tempfile.TemporaryDirectory() as folder, \
                viv_process.Session("run", GUEST, "--net", "none", "--device", "e1000e,net=user", "--qmp", f"unix:{folder}/qmp") as viv:
            viv.expect(r"~ # ")
            viv.type(LEASE + carrier)
            viv.expect("=1=")
            with qmp_session(f"{folder}/qmp") as ask:
                (card,) = ask("viv-query-network")["return"]
                self.assertEqual((card["kind"], card["up"]), ("e1000e", True))
                for up in (False, True):
                    self.assertEqual(ask("set_link", name=card["name"], up=up), {"return": {}})
                    viv.type(f"until [ $(cat /sys/class/net/eth0/carrier) = {int(up)} ]; do usleep 10000; done; {carrier}")
                    viv.expect(f"={int(up)}=")

    def test_a_saved_machine_gets_its_network_again(self):
        go = threading.Event()
        with tempfile.TemporaryDirectory() as folder, web_server(self.content[:100_000], go=go) as (port, _):
            saved, qmp = os.path.join(folder, "saved"), os.path.join(folder, "qmp")
            with viv_process.Session("run", GUEST, "--net", "user,model=e1000e", "--qmp", f"unix:{qmp}") as viv:
                viv.expect(r"~ # ")
                viv.type(LEASE + "echo lea''sed; until wget -q -T 5 -O /tmp/f "
                         f"http://10.0.2.2:{port}/ 2>/dev/null; do usleep 100000; done; sha256sum </tmp/f; poweroff -f\n")
                viv.expect(r"leased")
                self.assertEqual(viv_process.run("save", "--from", f"unix:{qmp}", saved).returncode, 0)
            with viv_process.Session("run", "--restore", saved, "--net", "user,model=e1000e") as viv:
                go.set()
                viv.expect(hashlib.sha256(self.content[:100_000]).hexdigest())
                self.assertEqual(viv.wait(), 0)


class NameServer(unittest.TestCase):
    """libslirp hands questions to the name server of this host's resolv.conf: here one of ours, in namespaces of ours."""

    def test_names_are_asked_of_this_hosts_name_server(self):
        if subprocess.run(["unshare", "-Urnm", "true"], capture_output=True, check=False).returncode != 0 or not shutil.which("ip"):
            self.skipTest("this host lets no namespaces be made")
        if not os.path.exists("/etc/resolv.conf"):
            self.skipTest("this host has no /etc/resolv.conf, in whose place ours could be put")
        with tempfile.TemporaryDirectory() as folder:
            resolver = pathlib.Path(folder) / "resolv.conf"
            resolver.write_text("nameserver 127.0.0.1\n")
            command = f"ip link set lo up && mount --bind {resolver} /etc/resolv.conf && exec {sys.executable} {__file__} answer-names"
            done = subprocess.run(["unshare", "-Urnm", "sh", "-c", command], capture_output=True, text=True, check=False,
                                  timeout=300 * viv_process.PATIENCE)
        self.assertIn("Address: 192.0.2.77", done.stdout, done.stderr)


def answer_names():
    """Within the namespaces: a name server that gives every name the address 192.0.2.77, and a guest that asks it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 53))

        def serve():
            while True:
                query, asker = server.recvfrom(512)
                if len(query) < 12:
                    return
                question = query[12:]
                address = question[-4:-2] == b"\x00\x01"
                answer = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x4d" if address else b""
                server.sendto(query[:2] + b"\x81\x80\x00\x01" + (b"\x00\x01" if address else b"\x00\x00") + bytes(4) + question + answer, asker)

        thread = threading.Thread(target=serve)
        thread.start()
        done = guest("nslookup box.example", timeout=200)
        server.sendto(b"", server.getsockname())
        thread.join()
    print(done.stdout, done.stderr)


if __name__ == "__main__":
    if sys.argv[1:] == ["answer-names"]:
        answer_names()
    else:
        unittest.main(verbosity=2)
