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

    def test_a_guest_that_is_not_there_is_one_line(self):
        with Served(False) as address, browser.Page(address + "?guest=nonesuch&autostart", PATIENCE) as page:
            page.wait_for(f"{STATUS}.includes('nonesuch: there is no such guest on this server')", 20)

    def test_a_file_that_is_not_there_and_a_wrong_description_are_one_line(self):
        ask = ("new Promise((done) => {{ const worker = new Worker('worker.mjs', {{type: 'module'}});"
               "worker.onmessage = ({{data}}) => data.event === 'failed' && done(data.message);"
               "worker.postMessage({{do: 'start', description: {0}, files: {1}}}); }})")
        with Served(False) as address, browser.Page(address, PATIENCE) as page:
            self.assertRegex(page.evaluate(ask.format("{}", "{kernel: 'guests/none/kernel'}")),
                             "^kernel: guests/none/kernel cannot be fetched: the server says 404$")
            self.assertEqual(page.evaluate(ask.format("{memory: 5}", "{}")),
                             "memory: must be a whole number from 1048576 to 4294967295")
            self.assertRegex(page.evaluate(ask.format("{memory: 4294963200, kernel: 'k'}", "{k: 'page.mjs'}")),
                             "^cannot allocate 4095 MiB of guest memory: a module of WebAssembly has less than 4096 MiB")


if __name__ == "__main__":
    unittest.main(verbosity=2)
