"""Saved machines in headless Chromium: saved there and opened by viv, kept over a reload, opened from a file and by URL, whole or
published; how soon an opened machine answers, and what it has fetched for that.

Run by ./dev web test, as page_test.py.
"""

import functools
import http.server
import os
import pathlib
import shutil
import statistics
import sys
import tempfile
import threading
import unittest
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "web" / "tools"), str(ROOT / "tests" / "boot")]
import browser  # noqa: E402
import serve  # noqa: E402
import viv_process as viv  # noqa: E402

SITE = pathlib.Path(os.environ.get("VIV_WEB_SITE", ROOT / "build" / "web" / "site"))
GUEST = "linux-riscv64"
CONSOLE = "document.querySelector('#console').textContent"
STATUS = "document.querySelector('#status').textContent"
# Milliseconds from the beginning of the navigation to the page's first sight of the text.
SEEN = ("new Promise((done) => {{ const screen = document.querySelector('#console');"
        "const look = () => screen.textContent.includes('{0}') && done(performance.now());"
        "new MutationObserver(look).observe(screen, {{childList: true}}); look(); }})")

# Until the page has kept so much of what the machine behind this URL has asked for.
KEPT = ("import('/vivarium/kept.mjs').then(async (kept) => {{ while (!((await kept.get('arrivals', '{0}'))?.about.count >= {1}))"
        "await new Promise((done) => setTimeout(done, 50)); }})")


class Counting(serve.Handler):
    """Nothing is kept by the browser, so that each opening fetches what it needs; counts what it is given of a machine."""

    def cache_control(self) -> str:
        return "no-store"

    def copyfile(self, source, outputfile) -> None:
        if "/public/" in self.path:
            with self.server.lock:
                self.server.requests += 1
                self.server.bytes += source.seek(0, os.SEEK_END)
            source.seek(0)
        super().copyfile(source, outputfile)


class SavedMachines(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.site = cls.folder / "site"
        shutil.copytree(SITE, cls.site)
        viv.guest(GUEST)
        # With all that `viv run` plugs in: a network card, and the agent's ports.
        with viv.Session("run", GUEST, "--memory", "512M", "--qmp", f"unix:{cls.folder}/qmp") as session:
            session.expect("~ # ")
            cls.saved = cls.folder / "saved.viv"
            for words in (("save", "--from", f"unix:{cls.folder}/qmp", str(cls.saved)),
                          ("publish", "--no-rehearsal", "--name", "plain", str(cls.saved), str(cls.site / "public")),
                          ("publish", str(cls.saved), str(cls.site / "public"))):
                done = viv.run(*words)
                assert done.returncode == 0, done.stderr
        (cls.site / "public" / "whole.viv").write_bytes(cls.saved.read_bytes())

    def setUp(self):
        handler = functools.partial(Counting, directory=str(self.site), isolated=False, quiet=True)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.server.lock = threading.Lock()
        self.server.requests = self.server.bytes = 0
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}/"

    def page(self, query: str = "") -> browser.Page:
        return browser.Page(self.address + query, viv.PATIENCE)

    def restore(self, where: str) -> str:
        """A link that opens the machine and has it answer."""
        return "?" + urllib.parse.urlencode({"restore": where, "cmd": "echo $((40+2))answer"})

    def taken(self) -> tuple[int, int]:
        with self.server.lock:
            found = self.server.requests, self.server.bytes
            self.server.requests = self.server.bytes = 0
        return found

    def answers(self, page: browser.Page) -> None:
        page.type("echo still $((6 * 7))\n")
        page.wait_for(f"{CONSOLE}.includes('still 42')", 30)

    def test_a_machine_is_saved_and_kept_over_a_reload(self):
        with self.page() as page:
            page.evaluate("document.querySelector('#start').click()")
            page.wait_for(f"{CONSOLE}.includes('~ # ')", 180)
            page.type("answer=$((6 * 9))\n")
            page.wait_for(f"/9\\)\\)\\n.*# $/.test({CONSOLE})", 30)
            page.download("document.querySelector('#save').click()", self.folder)
            page.wait_for(f"{STATUS}.includes('Saved as machine.viv')", 30)
            page.evaluate("document.querySelector('#keep').click()")
            page.wait_for(f"{STATUS}.includes('Kept in this browser')", 60)
            self.answers(page)

            page.go(self.address)
            page.wait_for("!document.querySelector('#reopen').hidden", 20)
            page.evaluate("document.querySelector('#reopen').click()")
            page.wait_for(f"{STATUS}.includes('is running')", 30)
            page.type("echo it was $answer\n")
            page.wait_for(f"{CONSOLE}.includes('it was 54')", 30)
            self.assertEqual(page.messages, [])
        with viv.Session("run", "--restore", str(self.folder / "machine.viv")) as session:
            session.type("echo it was $answer\n")
            session.expect("it was 54")

    def test_a_file_opens_and_a_broken_one_is_one_line(self):
        with self.page() as page:
            page.choose_file("#file", self.saved)
            page.wait_for(f"{STATUS} === 'saved.viv is running'", 30)
            self.answers(page)
        broken = self.folder / "broken.viv"
        broken.write_bytes(self.saved.read_bytes()[:-1])
        with self.page() as page:
            page.choose_file("#file", broken)
            page.wait_for(f"{STATUS} === 'broken.viv has stopped: the saved machine is damaged: it is cut short'", 30)

    def test_a_file_opens_by_url(self):
        with self.page(self.restore("public/whole.viv")) as page:
            page.wait_for(f"{CONSOLE}.includes('42answer')", 30)
            self.assertEqual(self.taken()[0], 1)
        with self.page("?restore=nonesuch.viv") as page:
            page.wait_for(f"{STATUS}.includes('nonesuch.viv cannot be fetched: the server says 404')", 30)

    def opening(self, page: browser.Page, where: str, what: str) -> float:
        """Milliseconds from the beginning of the navigation to the answer."""
        self.taken()
        page.go(self.address + self.restore(where))
        took = page.evaluate(SEEN.format("42answer"))
        self.fetched, fetched = self.taken()
        print(f"{what}: answers after {took:.0f} ms; {self.fetched} requests, {fetched / 1e6:.2f} MB")
        self.answers(page)
        self.assertEqual(page.messages, [])
        return took

    def test_a_published_machine_answers_and_sooner_the_next_time(self):
        # The server forbids the browser's own cache: what makes the second one quicker is what the page has kept.
        pairs = []
        for _ in range(3):
            with self.page() as page:
                first = self.opening(page, "public/plain.viv", "first opening, without what comes first")
                self.assertGreater(self.fetched, 100)
                page.evaluate(KEPT.format(self.address + "public/plain.viv", self.fetched - 10))
                second = self.opening(page, "public/plain.viv", "second opening")
                self.assertLess(self.fetched, 100)
                pairs.append(second / first)
        print(f"second to first: {', '.join(f'{each:.2f}' for each in pairs)}")
        self.assertLess(statistics.median(pairs), 0.6)

    def test_a_rehearsed_machine_answers_at_once(self):
        """What the machine asks for first was found when it was published: the first opening does not ask chunk by chunk."""
        times = []
        for _ in range(3):
            with self.page() as page:
                times.append(self.opening(page, "public/", "first opening"))
                self.assertLess(self.fetched, 100)
        print(f"median: {statistics.median(times):.0f} ms")
        self.assertLess(statistics.median(times), 1000 * viv.PATIENCE)


if __name__ == "__main__":
    unittest.main(verbosity=2)
