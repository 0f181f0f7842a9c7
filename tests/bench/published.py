"""A saved machine of 512 MiB at its prompt, published and opened over HTTP from this host: the time from the start of the
process until a keystroke comes back, what was fetched for that, and the same the next time, when what arrived first is
at hand, and for a machine that was rehearsed when it was published."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest.mock

import cache
import engines
import programs
import saved

sys.path.insert(0, str(programs.ROOT / "tests" / "boot"))

import file_server  # noqa: E402

MEMORY = "512M"


def keystroke(options, folder: pathlib.Path, server: file_server.Server, name: str) -> dict:
    server.taken()
    with saved.Console(saved.viv_command(options, folder, "--restore", server.url + name), folder) as console:
        console.type("x")
        console.expect(b"x")
        seconds = time.monotonic() - console.start
        requests, size = server.taken()
        console.process.terminate()  # keeps what has arrived
        console.process.wait()
    return {"seconds": seconds, "requests": requests, "bytes": size}


def measure_all(options, guest: str, steps: cache.Steps) -> list[dict]:
    """For each round the first opening and the second, and the first of a rehearsed one."""
    rounds = []
    with tempfile.TemporaryDirectory(prefix="bench-published-") as name:
        folder = pathlib.Path(name)
        file, public = folder / "saved", folder / "public"
        with steps.step(f"publishing {guest}"):
            with saved.Console(saved.viv_command(options, folder, "--memory", MEMORY, guest), folder) as console:
                console.expect(re.escape(engines.ready_of(guest)["console"]["ready"]).encode())
                console.execute("viv-save", file=str(file))
            for words in (["--no-rehearsal", "--name", "plain"], []):
                subprocess.run([str(options.viv), "publish", *words, str(file), str(public)], check=True, stdout=subprocess.DEVNULL)
        whole = sum(path.stat().st_size for path in public.rglob("*") if path.is_file() and not path.name.startswith("machine."))
        server = file_server.Server(public)
        try:
            for turn in range(options.rounds):
                caches = folder / f"caches-{turn}"
                (caches / "vivarium").mkdir(parents=True)
                (caches / "vivarium" / "guests").symlink_to(cache.root() / "guests")
                with steps.step(f"opening it by URL, round {turn + 1} of {options.rounds}"), \
                        unittest.mock.patch.dict(os.environ, XDG_CACHE_HOME=str(caches)):
                    rounds.append({"whole": whole, "first": keystroke(options, folder, server, "plain.viv"),
                                   "second": keystroke(options, folder, server, "plain.viv")})
                    shutil.rmtree(caches / "vivarium" / "arrivals")
                    rounds[-1]["rehearsed"] = keystroke(options, folder, server, "machine.viv")
        finally:
            server.close()
    return rounds
