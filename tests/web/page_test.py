"""The page in headless Chromium: a guest boots in a worker, does what is typed, and powers off; with and without isolation.

Run by ./dev web test, which sets VIV_WEB_SITE to the built site.
"""

import os
import pathlib
import sys
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "web" / "tools"))
import browser  # noqa: E402
import serve  # noqa: E402

SITE = pathlib.Path(os.environ.get("VIV_WEB_SITE", ROOT / "build" / "web" / "site"))
PATIENCE = float(os.environ.get("VIV_PATIENCE", "1"))
CONSOLE = "document.querySelector('#console').textContent"
STATUS = "document.querySelector('#status').textContent"


class Served:
    def __init__(self, isolated: bool):
        self.server = serve.make_server(SITE, 0, isolated)

    def __enter__(self) -> str:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_address[1]}/"

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class PageTest(unittest.TestCase):
    def boot(self, isolated: bool):
        with Served(isolated) as address, browser.Page(address, PATIENCE) as page:
            self.assertEqual(page.evaluate("crossOriginIsolated"), isolated)
            start = time.monotonic()
            page.evaluate("document.querySelector('#start').click()")
            page.wait_for(f"{CONSOLE}.includes('~ # ')", 180)
            print(f"boots in {browser.seconds_since(start)}{' (isolated)' if isolated else ''}")
            page.type("uname -m; echo $((6 * 7))\n")
            page.wait_for(f"/riscv64\\n42\\n/.test({CONSOLE})", 20)
            if "VIV_WEB_PICTURES" in os.environ:
                page.picture(pathlib.Path(os.environ["VIV_WEB_PICTURES"]) / "page.png")
            page.type("exit\n")
            page.wait_for(f"{STATUS}.includes('has powered off with code 0')", 20)
            self.assertEqual(page.messages, [])

    def test_a_guest_boots_types_and_powers_off(self):
        self.boot(isolated=False)

    def test_the_same_where_the_page_is_isolated(self):
        self.boot(isolated=True)

    def test_a_link_opens_a_guest_that_does_what_the_link_says(self):
        with Served(False) as address, browser.Page(address + "?guest=linux-riscv64&autostart&cmd=echo%20$((6*7))%20linked", PATIENCE) as page:
            page.wait_for(f"{CONSOLE}.includes('42 linked')", 180)

    def test_what_cannot_be_started_is_one_line(self):
        wrong = ("import('./vivarium/index.mjs').then(({{Vivarium}}) => Vivarium.start({0}))"
                 ".then(() => 'started', (error) => `${{error.name}} ${{error.message}}`)")
        with Served(False) as address, browser.Page(address + "?guest=nonesuch&autostart", PATIENCE) as page:
            page.wait_for(f"/^nonesuch has stopped: nonesuch: .* cannot be fetched: the server says 404$/.test({STATUS})", 20)
            for options, said in (
                    ("{kernel: 'guests/none/kernel'}", r"^LoadError kernel: .*/guests/none/kernel cannot be fetched: the server says 404$"),
                    ("{kernel: 'index.html'}", r"^LoadError kernel: .*/index.html is a web page \(text/html\), not the file"),
                    ("{guest: 'nonesuch', guests: 'http://127.0.0.1:1/'}", r"^LoadError nonesuch: .* cannot be fetched: "),
                    ("{memory: 5}", r"^MachineError memory: must be a whole number from 1048576 to 4294967295$"),
                    ("{memory: 4294963200, kernel: 'page.mjs'}", r"^OutOfMemoryError cannot allocate 4095 MiB of guest memory: "),
                    ("{restore: 'page.mjs'}", r"^LoadError .*not a saved machine")):
                self.assertRegex(page.evaluate(wrong.format(options)), said)


if __name__ == "__main__":
    unittest.main(verbosity=2)
