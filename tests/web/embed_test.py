"""The elements and the API on a plain static page in headless Chromium, under the policy that the guide tells; in an iframe, too.

Run by ./dev web test, which sets VIV_WEB_SITE to the built site.
"""

import functools
import http.server
import os
import pathlib
import re
import shutil
import sys
import tempfile
import threading
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "web" / "tools"))
import browser  # noqa: E402
import serve  # noqa: E402

SITE = pathlib.Path(os.environ.get("VIV_WEB_SITE", ROOT / "build" / "web" / "site"))
PATIENCE = float(os.environ.get("VIV_PATIENCE", "1"))
POLICY = "default-src 'self' 'wasm-unsafe-eval'"
PAGE = """<!doctype html><html lang="en"><title>A page</title><link rel=icon href="data:,">
<script type="module" src="vivarium/elements.mjs"></script>
<vivarium-machine id="one" guest="linux-riscv64" jit="full" memory="256M" cmd="echo by $((40 + 2)) attribute"></vivarium-machine>
<vivarium-run id="first" guest="linux-riscv64" jit="full" memory="256M" label="First">
echo kept > /tmp/mine
uname -m
</vivarium-run>
<vivarium-run id="second" guest="linux-riscv64" jit="full" memory="256M" command="sh -">cat /tmp/mine; echo wrong &gt;&amp;2; exit 3</vivarium-run>
<vivarium-run id="absent" guest="nonesuch">true</vivarium-run>
"""
ONE, FIRST, SECOND, ABSENT = (f"document.querySelector('#{name}')" for name in ("one", "first", "second", "absent"))


class Plain(serve.Handler):
    """A static server with the policy and nothing else that is special; counts what is fetched."""

    def send_header(self, name: str, value: str) -> None:
        super().send_header(name, POLICY if name == "Content-Security-Policy" else value)

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        super().do_GET()


class Embedding(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        root = pathlib.Path(folder.name)
        shutil.copytree(SITE / "vivarium", root / "vivarium")
        (root / "index.html").write_text(PAGE)
        (root / "frame.html").write_text("<!doctype html><title>A frame</title><link rel=icon href='data:,'><iframe src='index.html'></iframe>")
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Plain, directory=folder.name, isolated=False, quiet=True))
        self.server.daemon_threads = True
        self.server.asked = []
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}/"

    def test_elements_on_a_plain_page(self):
        with browser.Page(self.address, PATIENCE) as page:
            page.evaluate("customElements.whenDefined('vivarium-run').then(() => { window.refused = [];"
                          "addEventListener('securitypolicyviolation', (event) => refused.push(event.violatedDirective + ' ' + event.blockedURI)); })")
            # Nothing is loaded before somebody asks for it.
            self.assertEqual([path for path in self.server.asked if re.search("wasm|xterm|index.mjs|guests", path)], [])
            page.evaluate(f"void {FIRST}.run(); void {SECOND}.run(); void {ONE}.start()")
            page.wait_for(f"{FIRST}.status.textContent === 'ended with code 0'", 180)
            self.assertEqual(page.evaluate(f"{FIRST}.output.textContent"), "riscv64\n")
            page.wait_for(f"{SECOND}.status.textContent === 'ended with code 3'", 60)
            # The blocks share a machine, and it is not that of the terminal.
            page.evaluate(f"{SECOND}.run()")
            self.assertEqual(page.evaluate(f"{SECOND}.output.textContent.split('\\n').sort().join()"), ",kept,wrong")
            page.wait_for(f"{ONE}.text.includes('by 42 attribute')", 180)
            self.assertEqual(page.evaluate(f"{ONE}.vm.exec('cat /tmp/mine').then(({{code}}) => code)"), 1)
            # What is typed and pasted gets there.
            page.evaluate(f"{ONE}.shadowRoot.querySelector('textarea').focus()")
            page.type("echo typed $((6 * 7))\n")
            page.wait_for(f"/^typed 42$/m.test({ONE}.text)", 30)
            page.evaluate("(() => { const clipboardData = new DataTransfer(); clipboardData.setData('text/plain', 'echo pasted $((6 * 8))\\n');"
                          f"{ONE}.shadowRoot.querySelector('textarea').dispatchEvent(new ClipboardEvent('paste', {{clipboardData, bubbles: true}})); }})()")
            page.wait_for(f"/^pasted 48$/m.test({ONE}.text)", 30)
            # A block can be edited, and stopped.
            page.evaluate(f"{FIRST}.editor.value = 'echo up; sleep 1000'; void {FIRST}.run()")
            page.wait_for(f"{FIRST}.output.textContent === 'up\\n'", 30)
            page.evaluate(f"{FIRST}.button.click()")
            page.wait_for(f"{FIRST}.status.textContent === 'stopped'", 30)
            if "VIV_WEB_PICTURES" in os.environ:
                page.picture(pathlib.Path(os.environ["VIV_WEB_PICTURES"]) / "elements.png")
            page.evaluate(f"{ABSENT}.run()")
            self.assertRegex(page.evaluate(f"{ABSENT}.status.textContent"), "^nonesuch: .* cannot be fetched: the server says 404$")
            self.assertEqual(page.evaluate("refused"), [])
            self.assertEqual(page.messages, [])

            # The API on the same page: files in and out, saved, and opened again after the page was loaded anew.
            self.assertEqual(page.evaluate("(async () => { const vm = document.querySelector('#one').vm;"
                                           "await vm.writeFile('/tmp/data', 'by the page'); const blob = await vm.save();"
                                           "await (await import('./vivarium/kept.mjs')).put('machines', 'test', blob);"
                                           "return new TextDecoder().decode(await vm.readFile('/tmp/data')); })()"), "by the page")
            page.go(self.address)
            self.assertEqual(page.evaluate("(async () => { const {Vivarium} = await import('./vivarium/index.mjs');"
                                           "const blob = await (await (await import('./vivarium/kept.mjs')).get('machines', 'test')).blob();"
                                           "const vm = await Vivarium.start({restore: blob}); const {stdout} = await vm.exec('cat /tmp/data');"
                                           "vm.stop(); return stdout; })()"), "by the page")

    def test_a_block_runs_in_an_iframe(self):
        with browser.Page(self.address + "frame.html", PATIENCE) as page:
            inside = SECOND.replace("document", "document.querySelector('iframe').contentDocument")
            page.wait_for(f"{inside}?.shadowRoot?.querySelector('button')", 20)
            page.evaluate(f"{inside}.button.click()")
            page.wait_for(f"/^ended with code 3$/.test({inside}.status.textContent)", 180)

    def test_what_goes_wrong_is_said_in_the_element(self):
        (pathlib.Path(self.server.RequestHandlerClass.keywords["directory"]) / "vivarium" / "vivarium.wasm").unlink()
        with browser.Page(self.address, PATIENCE) as page:
            page.evaluate(f"{ONE}.start()")
            self.assertRegex(page.evaluate(f"{ONE}.status.textContent"), "the engine has stopped: .*")
            self.assertTrue(page.evaluate(f"{ONE}.status.classList.contains('error')"))
            self.assertEqual(page.evaluate(f"{ONE}.button.textContent"), "Start")


if __name__ == "__main__":
    unittest.main(verbosity=2)
