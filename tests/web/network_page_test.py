"""Machines of a page behind a relay, in headless Chromium: two of them in a room, one that is opened from a file, a lost relay; and
gdb-multiarch, QMP, a monitor and VNC viewers on a machine in the page, by tunnels with tokens.

Run by ./dev web test, which sets VIV_WEB_SITE to the built site and NETBRIDGE to the relay.
"""

import contextlib
import hashlib
import json
import re
import socket
import subprocess
import sys
import unittest

from page_test import PATIENCE, ROOT, Served
import browser

sys.path.insert(0, str(ROOT / "tests" / "netbridge"))
from tunnel_ends_test import GDB, Tunnel  # noqa: E402
from vnc_client import Viewer, snapshot  # noqa: E402
from websocket_client import Relay  # noqa: E402

START = """async (number, options) => {
    const { Vivarium } = await import("./vivarium/index.mjs");
    const { append } = await (await fetch("./guests/linux-riscv64/guest.json")).json();
    const vm = await Vivarium.start({ guest: "linux-riscv64", memory: 256 << 20, jit: "full", append: `${append} viv.net=manual`, ...options });
    window.relayed ??= [];
    vm.on("relay", (about) => relayed.push({ number, ...about }));
    (window.machines ??= [])[number] = vm;
    window.run = async (which, line) => {
        const { stdout, stderr, code } = await machines[which].exec(line);
        if (code !== 0) throw new Error(`${line}: ${code}: ${stdout}${stderr}`);
        return stdout;
    };
}"""
NUMBERS = hashlib.sha256(b"".join(b"%d\n" % number for number in range(10000000, 10400000))).hexdigest()


def origin(site):
    return "--origin", site.rstrip("/")


def boots(page, number, **options):
    page.evaluate(f"({START})({number}, {json.dumps(options)})")


def shell(page, number, line):
    return page.evaluate(f"run({number}, {json.dumps(line)})")


def offers(tunnel, *protocols):
    """The page's option, with a token of each tunnel."""
    def one(protocol):
        _, url, _, path = tunnel.options("offer", protocol)
        with open(path, encoding="ascii") as file:
            return {"url": url, "token": file.read().strip()}
    return {protocol: one(protocol) for protocol in protocols}


class Room(unittest.TestCase):
    def address(self, page, number):
        mine = f"10.77.0.{number + 1}"
        shell(page, number, f"ip link set eth0 up; ip addr add {mine}/24 dev eth0")
        return mine

    def both_ways(self, page, addresses):
        for number, address in enumerate(addresses):
            self.assertIn("3 packets received", shell(page, 1 - number, f"ping -c 3 {address}"))

    def test_two_machines_of_a_page(self):
        with Served(False) as site, contextlib.ExitStack() as stack:
            relay = stack.enter_context(Relay(*origin(site)))
            room = f"ws://127.0.0.1:{relay.port}/lab"
            page = stack.enter_context(browser.Page(site, PATIENCE))
            for number in (0, 1):
                boots(page, number, net=room)
            addresses = [self.address(page, number) for number in (0, 1)]
            cards = {shell(page, number, "cat /sys/class/net/eth0/address") for number in (0, 1)}
            self.assertEqual((len(cards), all(card.startswith("52:54:00:") for card in cards)), (2, True), cards)
            self.both_ways(page, addresses)
            shell(page, 0, "mkdir -p /www; seq 10000000 10399999 > /www/numbers; httpd -p 80 -h /www")
            self.assertIn(NUMBERS, shell(page, 1, f"wget -q -O - http://{addresses[0]}/numbers | sha256sum"))
            # Saved and opened again, its card is in the room as before.
            page.evaluate("(async () => machines[1].restore(await machines[1].save()))()")
            self.both_ways(page, addresses)
            # The relay goes, and comes back.
            port = relay.port
            relay.process.kill()
            page.wait_for("[0, 1].every((number) => relayed.some((each) => each.number === number && each.of === 'net' && !each.connected))", 30)
            self.assertRegex(page.evaluate("relayed.find((each) => !each.connected).problem"), f"^127.0.0.1:{port}/lab: ")
            page.evaluate("void (window.relayed = [])")
            relay = stack.enter_context(Relay(*origin(site), listen=f"127.0.0.1:{port}"))
            page.wait_for("[0, 1].every((number) => relayed.some((each) => each.number === number && each.connected))", 30)
            self.both_ways(page, addresses)

    def test_the_way_out_of_a_room(self):
        with Served(False) as site, Relay("--nat", "any", *origin(site)) as relay, browser.Page(site, PATIENCE) as page:
            boots(page, 0, net=f"http://127.0.0.1:{relay.port}/lab", append="console=ttyS0")
            given = shell(page, 0, "until ip -4 addr show eth0 | grep -o '10[.]0[.]2[.][0-9]*/24'; do usleep 100000; done; ping -c 1 10.0.2.2")
            self.assertRegex(given, r"^10\.0\.2\.\d+/24\n(.*\n)*1 packets transmitted, 1 packets received")

    def test_what_is_wrong_is_told(self):
        wrong = {
            "net: 'ftp://relay/room'": "a relay's URL begins with ws:// or wss://",
            "net: { url: 'ws://127.0.0.1:1/room', mac: '01:00:00:00:00:00' }": "is a group address",
            "net: 'ws://127.0.0.1:1/room', deterministic: true": "a deterministic machine has none",
            "offers: { gdb: 'ws://127.0.0.1:1/room' }": "wss://relay.example.org/tunnel/NAME",
            "offers: { console: 'ws://127.0.0.1:1/tunnel/a' }": "cannot be offered",
        }
        with Served(False) as site, browser.Page(site, PATIENCE) as page:
            for options, expected in wrong.items():
                said = page.evaluate("import('./vivarium/index.mjs').then(({ Vivarium }) => "
                                     f"Vivarium.start({{ guest: 'linux-riscv64', {options} }})).then(() => 'started', (error) => error.message)")
                self.assertIn(expected, said)


class Clients(unittest.TestCase):
    def talk(self, lines, command):
        lines.write(json.dumps({"execute": command}) + "\n")
        lines.flush()
        answer = json.loads(lines.readline())
        while "event" in answer:
            answer = json.loads(lines.readline())
        return answer["return"]

    def connect(self, port):
        return socket.create_connection(("127.0.0.1", port), timeout=60 * PATIENCE)

    def test_gdb_qmp_and_monitor(self):
        with Served(False) as site, Tunnel(*origin(site)) as tunnel, browser.Page(site, PATIENCE) as page:
            boots(page, 0, offers=offers(tunnel, "gdb", "qmp", "monitor"))
            place = "0x" + re.search(r"([0-9a-f]{16}) T vfs_read\n", shell(page, 0, "grep ' T vfs_read$' /proc/kallsyms")).group(1)
            page.evaluate("void (window.work = run(0, 'i=0; while [ $i -lt 1000000 ]; do read -r x < /proc/uptime; i=$((i+1)); done; echo'))")
            ports = {protocol: tunnel.attach(protocol).port for protocol in ("gdb", "qmp", "monitor")}
            script = tunnel.folder / "script"
            script.write_text(GDB.format(address=f"127.0.0.1:{ports['gdb']}", place=place))
            for _ in range(2):  # the tunnel is offered again when the debugger has gone
                said = subprocess.run(["gdb-multiarch", "-nx", "-batch", "-x", str(script)], capture_output=True, text=True,
                                      timeout=240 * PATIENCE, stdin=subprocess.DEVNULL, check=False)
                for expected in (f"stopped-at {place}", "stack-is-kernel 1", r"after-step [24]"):
                    self.assertRegex(said.stdout + said.stderr, expected)
            with contextlib.ExitStack() as stack:
                clients = []
                for _ in range(3):
                    lines = stack.enter_context(stack.enter_context(self.connect(ports["qmp"])).makefile("rw"))
                    self.assertIn("QMP", json.loads(lines.readline()))
                    self.talk(lines, "qmp_capabilities")
                    clients.append(lines)
                self.assertEqual(self.talk(clients[0], "query-status")["status"], "running")
                self.talk(clients[0], "stop")
                self.assertEqual([self.talk(lines, "query-status")["status"] for lines in clients], ["paused"] * 3)
                self.talk(clients[2], "cont")
                with self.connect(ports["monitor"]) as monitor:
                    monitor.sendall(b"info status\n")
                    seen = b""
                    while b"running" not in seen:
                        part = monitor.recv(65536)
                        self.assertTrue(part, seen)
                        seen += part
            # What is withdrawn is gone for who uses it, too.
            with self.connect(ports["qmp"]) as user:
                self.assertIn(b"QMP", user.recv(65536))
                page.evaluate("machines[0].withdraw('qmp')")
                self.assertEqual(user.recv(65536), b"")

    def test_a_vnc_viewer(self):
        with Served(False) as site, Tunnel(*origin(site)) as tunnel, browser.Page(site, PATIENCE) as page:
            boots(page, 0, display=True, offers=offers(tunnel, "vnc"))
            shell(page, 0, "echo 0 > /sys/class/graphics/fbcon/cursor_blink; setsid sh -c 'exec sh -i </dev/tty1 >/dev/tty1 2>&1' >/dev/null 2>&1 &")
            port = tunnel.attach("vnc").port
            with Viewer(port) as viewer:
                viewer.type('X=7; echo "$((6 * X))!" > /tmp/typed; seq 30\n')
                self.assertEqual(shell(page, 0, "until grep . /tmp/typed 2>/dev/null; do usleep 10000; done"), "42!\n")
                before = None
                while (picture := viewer.picture()) != before or hashlib.sha256(picture).hexdigest() not in shell(page, 0, "sha256sum < /dev/fb0"):
                    before = picture
                width, height, data = snapshot(port)  # both at once
            self.assertEqual((width, height), (1280, 800))
            light = [at for at in range(0, len(picture), 4) if picture[at] > 128]
            self.assertGreater(len(light), 1000)
            self.assertTrue(all(data[at // 4 * 3] > 64 for at in light))


if __name__ == "__main__":
    unittest.main(verbosity=2)
