"""Machines in tabs of headless Chromium: ours with each tier, and v86. Each has a browser of its own.

Promises: as engines.py's; the page's files are those of the built site, of npm and of the cache, from this machine.
"""

import functools
import http.server
import json
import pathlib
import subprocess
import sys
import threading
import time

import programs

for folder in ("tests/web", "web/tools"):
    sys.path.insert(0, str(programs.ROOT / folder))

import browser  # noqa: E402
import cache  # noqa: E402
import engines  # noqa: E402
import npm_packages  # noqa: E402
import report  # noqa: E402
import serve  # noqa: E402
import v86_guest  # noqa: E402

TIERS = {"interpreter": "off", "quick": "quick", "full": "full"}
V86_ARCHITECTURE = v86_guest.ARCHITECTURE
PAGE = b"<!doctype html><title>A machine</title><link rel=icon href=data:,>"


def name_of(tier: str) -> str:
    return f"tab {tier}"


class Handler(serve.Handler):
    """The site's, and what `places` has by the beginning of a path."""

    places: dict[str, pathlib.Path] = {}

    def translate_path(self, path: str) -> str:
        plain = path.partition("?")[0]
        for start, place in self.places.items():
            if plain == start:
                return str(place)
            if plain.startswith(start + "/") and ".." not in plain:
                return str(place / plain[len(start) + 1:])
        return super().translate_path(path)

    def do_GET(self) -> None:
        if self.path != "/":
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def send_header(self, name: str, value: str) -> None:
        # v86 makes code from text.
        if name != "Content-Security-Policy":
            super().send_header(name, value)


class Site:
    """A server for the tabs of a run. A context manager; its value is the address."""

    def __init__(self, site: pathlib.Path, places: dict[str, pathlib.Path]):
        kind = type("Places", (Handler,), {"places": places})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(kind, directory=str(site), isolated=False, quiet=True))
        self.server.daemon_threads = True

    def __enter__(self) -> str:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_address[1]}/"

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class Tab(engines.Guest):
    def __init__(self, name: str, address: str, start: str):
        self.name = name
        self.page = browser.Page(address)
        self.start = start

    def __enter__(self):
        begun = time.monotonic()
        self.page.__enter__()
        try:
            self.page.evaluate(f"import('/tab.mjs').then((machines) => machines.{self.start}).then((command) => void (window.command = command))")
            self.boot = time.monotonic() - begun
            self.start_clock()
        except AssertionError as error:
            self.__exit__()
            raise cache.UserError(f"{self.name}: {error}") from error
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.page:
            self.page.__exit__()
        self.page = None

    def command(self, text: str) -> str:
        try:
            return self.page.evaluate(f"command({json.dumps(text)})")
        except AssertionError as error:
            raise cache.UserError(f"{self.name}: {error}") from error


def versions() -> dict[str, str]:
    done = subprocess.run([browser.program() or "chromium", "--version"], capture_output=True, text=True, check=False)
    return {"browser": done.stdout.strip(), "v86": "@".join(npm_packages.PACKAGES["v86"][:2])}


def places(steps: cache.Steps) -> dict[str, pathlib.Path]:
    """What a Site has beside the built one."""
    return {"/tab.mjs": pathlib.Path(__file__).with_name("tab.mjs"), "/bench-riscv64": programs.build("riscv64"),
            "/v86": v86_guest.package(), "/machine": v86_guest.build(steps)}


def makers(address: str, tiers: list[str]) -> list:
    """As engines.machines_of(): a tab for each tier, and v86's."""
    made = [lambda tier=tier: Tab(name_of(tier), address, f"viv({json.dumps({'jit': TIERS[tier]})})") for tier in tiers]
    return [*made, lambda: Tab(report.V86, address, "v86()")]
