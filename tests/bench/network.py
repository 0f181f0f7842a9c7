"""Networks: from a guest to this host and back, over NAT and over a TAP interface, and between two guests over a Unix socket;
viv beside QEMU with the same back end. `net` (guests/payloads/net) runs at both ends: throughput of TCP each way, the time of
a byte there and back, connections and UDP packets a second.

TAP interfaces are made in a network namespace of our own, where the host allows it; otherwise that link is left out.
"""

import argparse
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import programs  # finds the others
import cache
import engines

GUEST = "linux-riscv64"
ARCHITECTURE = "riscv64"
PORT_WAIT = "until ping -c 1 -W 1 {0} >/dev/null 2>&1; do :; done"
# What is measured: the amount for `net`, and a figure of (seconds, amount) that is the better the larger it is.
MEASURES = {
    "send": (200_000_000, lambda seconds, amount: amount / seconds),
    "receive": (200_000_000, lambda seconds, amount: amount / seconds),
    "turns": (2000, lambda seconds, amount: amount / seconds),
    "connections": (300, lambda seconds, amount: amount / seconds),
    "packets": (1000, lambda seconds, amount: amount / seconds),
}
LINKS = {"user": "guest and host, user", "tap": "guest and host, tap", "stream": "two guests, stream over a Unix socket"}


def address(machine, last: int, name: str) -> None:
    machine.command("killall udhcpc 2>/dev/null; ip link set eth0 up; ip addr flush dev eth0; "
                    f"ip addr add 10.77.0.{last}/24 dev eth0")


def serve_here(stack: contextlib.ExitStack, host: str) -> str:
    """The port."""
    server = stack.enter_context(subprocess.Popen([str(programs.build(programs.HOST, "net")), "serve", host], stdout=subprocess.PIPE, text=True))
    stack.callback(server.kill)
    return server.stdout.readline().strip()


def measured(machine, host: str, port: str) -> dict[str, float]:
    figures = {}
    machine.command(PORT_WAIT.format(host))
    for name, (amount, figure) in MEASURES.items():
        words = machine.command(f"/tmp/bench {name} {host} {port} {amount} 2>&1").split()
        try:
            figures[name] = figure(float(words[0]), float(words[1]))
        except (IndexError, ValueError):
            raise cache.UserError(f"{machine.name}: net {name} has failed: {' '.join(words)[-200:] or 'it says nothing'}") from None
    return figures


def setup(viv: str, qemu: str, mac: int = 1) -> engines.Setup:
    return engines.Setup(guest=GUEST, program=programs.build(ARCHITECTURE, "net"),
                         viv_options=("--net", f"{viv},mac=52:54:00:00:00:{mac:02x}"),
                         qemu_options=("-netdev", f"{qemu},id=net0", "-device", f"virtio-net-pci,netdev=net0,mac=52:54:00:00:00:{mac:02x}"))


def over_user(make) -> dict[str, float]:
    with contextlib.ExitStack() as stack:
        port = serve_here(stack, "127.0.0.1")
        machine = stack.enter_context(make(setup("user", "user")))
        return measured(machine, "10.0.2.2", port)


def over_tap(make) -> dict[str, float]:
    """In a namespace that is ours."""
    with contextlib.ExitStack() as stack:
        machine = stack.enter_context(make(setup("tap,ifname=tap0", "tap,ifname=tap0,script=no,downscript=no")))
        subprocess.run(["ip", "link", "set", "tap0", "up"], check=True)
        subprocess.run(["ip", "addr", "replace", "10.77.0.1/24", "dev", "tap0"], check=True)
        port = serve_here(stack, "10.77.0.1")
        address(machine, 2, "tap")
        return measured(machine, "10.77.0.1", port)


def over_stream(make) -> dict[str, float]:
    with contextlib.ExitStack() as stack:
        wire = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-net-"))) / "wire"
        kind = f"stream,addr.type=unix,addr.path={wire}"
        server = stack.enter_context(make(setup(f"{kind},server=on", f"{kind},server=on", 1)))
        client = stack.enter_context(make(setup(kind, kind, 2)))
        address(server, 1, "stream")
        address(client, 2, "stream")
        server.command("/tmp/bench serve >/tmp/port 2>&1 & until [ -s /tmp/port ]; do usleep 10000; done")
        return measured(client, "10.77.0.1", server.command("cat /tmp/port").strip())


OVER = {"user": over_user, "tap": over_tap, "stream": over_stream}


def makers(viv: pathlib.Path, no_qemu: bool) -> dict:
    """engine -> what makes one of a Setup. viv's is the best tier."""
    best = list(engines.TIERS)[-1]
    found = {"viv": lambda of: engines.Viv(viv, best, of)}
    if not no_qemu:
        found["qemu"] = engines.Qemu
    return found


def one_round(options, link: str, turn: int) -> dict[str, dict[str, float]]:
    found = makers(options.viv, options.no_qemu)
    return {name: OVER[link](found[name]) for name in engines.rotated(list(found), turn)}


def taps_allowed() -> bool:
    probe = ["unshare", "-Urn", "sh", "-c", "ip tuntap add dev probe0 mode tap"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


def in_namespace(options, turn: int) -> dict[str, dict[str, float]]:
    command = ["unshare", "-Urn", sys.executable, __file__, "--viv", str(options.viv), "--turn", str(turn)]
    done = subprocess.run(command + ["--no-qemu"] * options.no_qemu, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise cache.UserError(f"the network over a TAP interface: {(done.stderr or done.stdout).strip().splitlines()[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def measure_all(options, found: dict, steps: cache.Steps) -> None:
    """Fills `found`: link -> engine -> a measurement for each round."""
    links = [link for link in LINKS if link != "tap" or taps_allowed()]
    for turn in range(options.rounds):
        for link in links:
            with steps.step(f"network, {LINKS[link]}, round {turn + 1} of {options.rounds}"):
                figures = in_namespace(options, turn) if link == "tap" else one_round(options, link, turn)
            for engine, values in figures.items():
                found.setdefault(link, {}).setdefault(engine, []).append(values)


def main() -> int:
    """The part within the namespace."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--viv", type=pathlib.Path)
    parser.add_argument("--turn", type=int)
    parser.add_argument("--no-qemu", action="store_true")
    options = parser.parse_args()
    for command in ("ip link set lo up", "ip tuntap add dev tap0 mode tap"):
        subprocess.run(command.split(), check=True)
    print(json.dumps(one_round(options, "tap", options.turn)))
    return 0


if __name__ == "__main__":
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    cache.command_line(main)
