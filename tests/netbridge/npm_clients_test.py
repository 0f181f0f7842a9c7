"""Clients as pages use them talk through the relay, in a page in headless Chromium: v86 with its network adapter, and wisp-js.
They are peers that npm fetches. Without Chromium, npm or a registry this is skipped."""

import functools
import http.server
import pathlib
import shutil
import sys
import tempfile
import threading
import unittest

from outside_test import allowed, echo, server
from websocket_client import PATIENCE, ROOT, Relay

sys.path.insert(0, str(ROOT / "tests" / "web"))
sys.path.insert(0, str(ROOT / "web" / "tools"))
import browser  # noqa: E402
import npm_packages  # noqa: E402

PACKAGES = ["v86", "wisp-js"]
PAGE = "<!DOCTYPE html><title>clients</title><link rel=icon href=data:,>"


class Handler(http.server.SimpleHTTPRequestHandler):
    extensions_map = {**http.server.SimpleHTTPRequestHandler.extensions_map, ".mjs": "text/javascript", ".wasm": "application/wasm"}

    def log_message(self, *_):
        pass


class Pages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not browser.program():
            raise unittest.SkipTest("no Chromium")
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        root = pathlib.Path(folder.name)
        try:
            packages = npm_packages.folder_with(PACKAGES)
        except npm_packages.cache.UserError as error:
            raise unittest.SkipTest(str(error)) from error
        for name in PACKAGES:
            (root / name).symlink_to(packages / name)
        shutil.copy(pathlib.Path(__file__).with_name("npm_clients.mjs"), root)
        (root / "index.html").write_text(PAGE)
        site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=root))
        threading.Thread(target=site.serve_forever, daemon=True).start()
        cls.addClassCleanup(site.server_close)
        cls.addClassCleanup(site.shutdown)
        cls.origin = f"http://127.0.0.1:{site.server_address[1]}"

    def run_in_page(self, relay, function, *arguments):
        text = ", ".join([f"'ws://127.0.0.1:{relay.port}'", *map(str, arguments)])
        with browser.Page(self.origin, PATIENCE) as page:
            page.evaluate(f"import('./npm_clients.mjs').then((clients) => clients.{function}({text}))")

    def test_v86(self):
        with Relay("--origin", self.origin, "--check-spoofing") as relay:
            self.run_in_page(relay, "v86")
            self.assertEqual(relay.wait_for("room_closed")["room"], "v86")

    def test_wisp_js(self):
        with server(echo) as port, Relay("--origin", self.origin, "--wisp", *allowed(port)) as relay:
            for version in (1, 2):
                self.run_in_page(relay, "wisp", version, port)

    def test_a_page_of_a_stranger(self):
        with Relay("--origin", "https://example.org") as relay:
            self.run_in_page(relay, "stranger")
            self.assertEqual(relay.wait_for("refused")["detail"], self.origin)


if __name__ == "__main__":
    unittest.main(verbosity=2)
