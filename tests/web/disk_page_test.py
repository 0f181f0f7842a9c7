"""Disks by URL in headless Chromium: Debian's disk guest from its published chunks, again with what the browser has kept of them, with
what it wrote before a reload; wrong and missing chunks, a machine that goes on while bytes travel, overlays that fit nothing.

Run by ./dev web test, as page_test.py.
"""

import functools
import hashlib
import http.server
import json
import pathlib
import random
import shutil
import subprocess
import tempfile
import threading
import time
import unittest

from saved_page_test import SITE, Counting, browser, viv

GUEST = "linux-riscv64"
CHUNK = 64 << 10
VIV_IMG = str(pathlib.Path(viv.VIV).with_name("viv-img"))

START = """async (options) => {
    const { Vivarium } = await import("./vivarium/index.mjs");
    const decoder = new TextDecoder();
    window.seen = "";
    window.vm = await Vivarium.start({ jit: "full", ...options, onSerial: (bytes) => (seen += decoder.decode(bytes, { stream: true })) });
    window.run = async (line) => {
        const { stdout, stderr, code } = await vm.exec(line);
        return `${stdout}${stderr}${code}`;
    };
}"""
# Until the browser has kept something of the disk behind this URL.
KEPT = ("import('/vivarium/kept.mjs').then(async (kept) => {{ while (!((await kept.get('arrivals', '{0}'))?.about.count >= {1}))"
        "await new Promise((done) => setTimeout(done, 50)); }})")


class Changing(Counting):
    """Chunks are what server.change makes of them, None: not there; they wait at server.gate."""

    def do_GET(self):
        name = self.path.rpartition("/")[2]
        if len(name) != 32:
            return super().do_GET()
        self.server.held.set()
        self.server.gate.wait()
        data = self.server.change(name, pathlib.Path(self.translate_path(self.path)).read_bytes())
        if data is None:
            return self.send_error(404)
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        with self.server.lock:
            self.server.requests += 1
            self.server.bytes += len(data)


class Disks(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.site = pathlib.Path(folder.name) / "site"
        shutil.copytree(SITE, self.site)
        viv.guest(GUEST)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Changing, directory=str(self.site), isolated=False, quiet=True))
        server.daemon_threads = True
        server.lock, server.gate, server.held = threading.Lock(), threading.Event(), threading.Event()
        server.requests = server.bytes = 0
        server.change = lambda name, data: data
        server.gate.set()
        self.server = server
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.addCleanup(server.gate.set)
        self.address = f"http://127.0.0.1:{server.server_address[1]}/"

    def taken(self):
        with self.server.lock:
            found, self.server.requests, self.server.bytes = (self.server.requests, self.server.bytes), 0, 0
        return found

    def publish(self, image, name):
        done = subprocess.run([VIV_IMG, "publish", "-q", "--name", name, str(image), str(self.site / "public")], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return f"{self.address}public/{name}.disk"

    def starts(self, page, **options):
        page.evaluate(f"({START})({json.dumps(options)})")

    def refused(self, page, **options):
        return page.evaluate(f"({START})({json.dumps(options)}).then(() => '', (error) => error.message)")

    def test_debian_by_url_and_what_it_writes(self):
        guest = pathlib.Path(viv.guest("debian-riscv64"))
        (self.site / "debian").mkdir()
        for file in ("kernel", "initrd"):
            shutil.copy(guest / file, self.site / "debian" / file)
        url = self.publish(guest / "disk.raw", "debian")
        whole = sum(path.stat().st_size for path in (self.site / "public").rglob("*") if path.is_file())
        options = {"kernel": "debian/kernel", "initrd": "debian/initrd", "append": "console=ttyS0 root=/dev/vda quiet net.ifnames=0",
                   "memory": 1 << 30, "agent": "", "disks": [{"url": url, "overlay": "debian"}]}
        with browser.Page(self.address, viv.PATIENCE) as page:
            def login(title):
                start = time.monotonic()
                self.starts(page, **options)
                page.wait_for("seen.includes('login: ')", 300)
                took = time.monotonic() - start
                requests, fetched = self.taken()
                print(f"{title}: login after {took:.1f} s, {fetched / 1e6:.1f} MB of {whole / 1e6:.1f} MB in {requests} requests")
                page.evaluate("vm.serial.write('root\\n')")
                page.wait_for("/# $/.test(seen.replace(/\\x1b\\[[^a-zA-Z]*[a-zA-Z]/g, ''))", 120)
                return requests, fetched

            requests, first = login("nothing kept")
            self.assertLess(first, whole / 2)
            page.evaluate("vm.serial.write('echo la\\'\\'sts >/root/note; sync; echo do\\'\\'ne\\n')")
            page.wait_for("seen.includes('done')", 60)
            page.evaluate(KEPT.format(url, requests * 3 // 4))
            self.taken()
            page.go(self.address)
            _, second = login("chunks kept, after a reload")
            self.assertLess(second, first / 3)
            page.evaluate("vm.serial.write('cat /root/note; mount | grep vda\\n')")
            page.wait_for("/lasts[^]*vda on . type ext4 .rw/.test(seen)", 60)
            self.assertEqual(page.messages, [])

    def small(self, name="small"):
        self.data = random.Random(7).randbytes(6 << 20)
        image = self.site.parent / name
        image.write_bytes(self.data)
        return self.publish(image, name)

    def sum_of(self, first, count):
        return hashlib.md5(self.data[first * CHUNK:(first + count) * CHUNK]).hexdigest()

    def test_requests_wait_alone_and_errors_are_the_guests(self):
        url = self.small()

        def name_of(number):
            wanted = self.data[number * CHUNK:(number + 1) * CHUNK]
            (found,) = (path.name for path in (self.site / "public" / "chunks").rglob("*") if path.is_file() and path.read_bytes() == wanted)
            return found

        with browser.Page(self.address, viv.PATIENCE) as page:
            self.starts(page, guest=GUEST, memory=256 << 20, disks=[{"url": url}, {"url": url, "readOnly": True}])
            page.wait_for("seen.includes('~ # ')", 120)
            self.server.gate.clear()
            self.server.held.clear()
            page.evaluate("vm.serial.write('dd if=/dev/vda bs=64k skip=40 count=20 2>/dev/null | md5sum &\\n')")
            self.assertTrue(self.server.held.wait(60 * viv.PATIENCE))
            page.evaluate("vm.serial.write('echo $((40+2))answer\\n')")
            page.wait_for("seen.includes('42answer')", 60)
            self.assertNotIn(self.sum_of(40, 20), page.evaluate("seen"))
            self.server.gate.set()
            page.wait_for(f"seen.includes('{self.sum_of(40, 20)}')", 60)

            # Where nothing has been read, nor fetched ahead.
            changes = {name_of(10): lambda data: data[:-1] + bytes([data[-1] ^ 1]), name_of(20): lambda data: None}
            self.server.change = lambda name, data: changes.get(name, lambda same: same)(data)
            for number in (10, 20):
                self.assertIn("Input/output error", page.evaluate(f"run('dd if=/dev/vda bs=64k skip={number} count=1 iflag=direct of=/tmp/x')"))
            self.assertIn(self.sum_of(11, 8), page.evaluate("run('dd if=/dev/vda bs=64k skip=11 count=8 2>/dev/null | md5sum')"))
            changes.clear()
            self.assertIn(self.sum_of(0, 96), page.evaluate("run('md5sum /dev/vda')"))
            self.assertIn(self.sum_of(0, 96), page.evaluate("run('md5sum /dev/vdb')"))
            # Writes of a disk without an overlay are forgotten, those to a read-only one errors.
            self.assertEqual(page.evaluate("run('echo new >/dev/vda; sync; echo 3 >/proc/sys/vm/drop_caches; head -n 1 /dev/vda')"), "new\n0")
            self.assertNotEqual(page.evaluate("run('echo new >/dev/vdb')")[-2:], "\n0")

    def test_overlays(self):
        url = self.small()
        options = {"guest": GUEST, "memory": 256 << 20, "disks": [{"url": url, "overlay": "mine"}]}
        with browser.Page(self.address, viv.PATIENCE) as page:
            for number in range(2):
                self.starts(page, **options)
                if number == 1:
                    self.assertEqual(page.evaluate("run('dd if=/dev/vda bs=1k skip=1000 count=1 2>/dev/null | head -n 1')"), "round 0\n0")
                page.evaluate(f"run('echo round {number} | dd of=/dev/vda bs=1k seek={1000 + number} conv=notrunc,fsync')")
                self.assertIn("another page is using it", self.refused(page, **options))
                page.go(self.address)
            (self.site.parent / "other").write_bytes(self.data[::-1])
            self.publish(self.site.parent / "other", "small")
            self.assertIn("belongs to another version of the disk", self.refused(page, **options))
            page.go(self.address)
            (self.site / "public" / "wrong.disk").write_bytes(bytes(1000))
            for disk, said in (({"url": f"{self.address}public/none.disk"}, "404"), ({"url": f"{self.address}public/wrong.disk"}, "is not a published disk"),
                               ({"url": url, "overlay": "a/b"}, "overlay a/b: the browser does not open it")):
                self.assertIn(said, self.refused(page, **{**options, "disks": [disk]}))


if __name__ == "__main__":
    unittest.main(verbosity=2)
