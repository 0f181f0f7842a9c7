#!/usr/bin/env python3
"""A gibibyte of TCP each way, UDP, IPv6 and ping between two guests: on one hub, over `socket`, over `stream` to a stock
QEMU guest, and through netbridge. Not run by ctest, which moves less (lan_test.py, relay_test.py): this takes some minutes.
`lan_soak.py [--bytes N] [LINK...]`; $VIV and $NETBRIDGE are the programs under test."""

import argparse
import contextlib
import hashlib
import os
import re
import shutil
import sys
import tempfile
import time

import viv_process

sys.path[:0] = [str(viv_process.ROOT / "tests" / name) for name in ("netbridge", "bench")]

import lan_test  # noqa: E402
import programs  # noqa: E402
from websocket_client import Relay  # noqa: E402

# A piece that each guest has as a file, and its number before it, so that no two parts are alike.
NUMBERS = b"".join(b"%d\n" % number for number in range(10000000, 10000000 + lan_test.BYTES // 9))
SERVE = ("mkdir -p /www/cgi-bin; printf '#!/bin/sh\\necho\\ni=0\\nwhile [ $i -lt {pieces} ]; do echo $i; cat /www/numbers; i=$((i+1)); done\\n' "
         ">/www/cgi-bin/all; chmod 755 /www/cgi-bin/all")


def digest(pieces: int) -> str:
    sum_of = hashlib.sha256()
    for number in range(pieces):
        sum_of.update(b"%d\n" % number)
        sum_of.update(NUMBERS)
    return sum_of.hexdigest()


class Check(lan_test.Wires):
    """Its talk(), as a function."""

    def runTest(self):
        pass


def transfer(link: str, one, other, pieces: int, expected: str) -> None:
    Check().talk(one, other)
    for machine in (one, other):
        machine.shell(SERVE.format(pieces=pieces))
    for name, machine, peer in (("there", one, 2), ("back", other, 1)):
        start = time.monotonic()
        got = machine.shell(f"wget -q -O - http://10.77.0.{peer}/cgi-bin/all | sha256sum")
        took = time.monotonic() - start
        if expected not in got:
            raise SystemExit(f"{link}, {name}: another hash than {expected}: {got[-200:]}")
        size = pieces * (len(NUMBERS) + 2)
        print(f"{link}, {name}: {size / (1 << 30):.2f} GiB of TCP in {took:.1f} s, and its hash is {expected[:16]}... as it was sent", flush=True)
    # The program comes from here into the first one, and from there to the other.
    one.shell("cp /mnt/net/net /www/net; chmod 755 /www/net; "
              "(/www/net serve >/tmp/port &); until [ -s /tmp/port ]; do usleep 10000; done")
    port = re.search(r"=(\d+)=", one.shell("echo =$(cat /tmp/port)="))[1]
    other.shell("wget -q -O /tmp/net http://10.77.0.1/net; chmod 755 /tmp/net")
    arrived = int(re.search(r"\d+\.\d+ (\d+)", other.shell(f"/tmp/net packets 10.77.0.1 {port} 1000"))[1])
    if arrived < 1000:
        raise SystemExit(f"{link}: {arrived} UDP packets arrived in a second")
    print(f"{link}: ping and IPv6 answer; {arrived} UDP packets arrive in a second", flush=True)


@contextlib.contextmanager
def machines(link: str):
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        wire = os.path.join(folder, "wire")
        shutil.copy(programs.build("riscv64", "net"), os.path.join(folder, "net"))
        port = lan_test.free_port()

        def viv(*options):
            machine = stack.enter_context(lan_test.Viv("--share", f"{folder}:net:ro", *options))
            machine.expect(r"~ # ")
            return machine
        second = ",mac=52:54:00:00:00:02"
        if link == "hub":
            # The first one's hub has its card and a wire on it.
            one = viv("--net", "hub,name=lan", "--net", f"stream,server=on,addr.type=unix,addr.path={wire},hub=lan,card=off")
            other = viv("--net", f"stream,addr.type=unix,addr.path={wire}{second}")
        elif link == "socket":
            one = viv("--net", f"socket,listen=127.0.0.1:{port}")
            other = viv("--net", f"socket,connect=127.0.0.1:{port}{second}")
        elif link == "qemu":
            one = viv("--net", f"stream,server=on,addr.type=unix,addr.path={wire}")
            other = stack.enter_context(lan_test.Qemu("-netdev", f"stream,id=n,addr.type=unix,addr.path={wire}", "-device",
                                                      f"virtio-net-pci,netdev=n{second}"))
        else:
            relay = stack.enter_context(Relay())
            url = f"websocket,url=ws://127.0.0.1:{relay.port}/lan"
            one, other = viv("--net", url), viv("--net", url + second)
        yield one, other


LINKS = ("hub", "socket", "qemu", "netbridge")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bytes", type=int, default=1 << 30)
    parser.add_argument("links", nargs="*", metavar="LINK", default=LINKS, help=", ".join(LINKS))
    options = parser.parse_args()
    viv_process.guest(lan_test.GUEST)
    pieces = -(-options.bytes // len(NUMBERS))
    expected = digest(pieces)
    for link in options.links:
        if link not in LINKS:
            parser.error(f"{link}: there are {', '.join(LINKS)}")
        with machines(link) as (one, other):
            transfer(link, one, other, pieces, expected)


if __name__ == "__main__":
    main()
