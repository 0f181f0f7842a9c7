"""Machines published for web servers: opened by URL, what the guest touches is fetched and no more; the next time what it
touched the last time comes beforehand; damaged and missing chunks end the machine with a message."""

import functools
import http.server
import pathlib
import re
import subprocess
import tempfile
import threading
import time
import unittest

import viv_process as viv

GUEST = "linux-riscv64"
PROMPT = r"~ # "


class Server:
    """Files of a folder, with parts of them, over connections that stay open; counts what it gives."""

    def __init__(self, folder):
        counts = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 1 << 17  # an answer is one write

            def __init__(self, *arguments):
                super().__init__(*arguments, directory=str(folder))

            def log_message(self, *_):
                pass

            def do_GET(self):
                path = pathlib.Path(self.translate_path(self.path))
                if not path.is_file():
                    return self.send_error(404)
                data, part = path.read_bytes(), re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
                first, last = (int(part[1]), min(int(part[2]), len(data) - 1)) if part else (0, len(data) - 1)
                self.send_response(206 if part else 200)
                if part:
                    self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
                self.send_header("Content-Length", str(last + 1 - first))
                self.end_headers()
                self.wfile.write(data[first:last + 1])
                with counts.lock:
                    counts.requests += 1
                    counts.bytes += last + 1 - first

        self.lock = threading.Lock()
        self.requests = self.bytes = 0
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"

    def taken(self):
        with self.lock:
            found, self.requests, self.bytes = (self.requests, self.bytes), 0, 0
        return found

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Plain(http.server.SimpleHTTPRequestHandler):
    """Python's own, which does not know of ranges."""

    def log_message(self, *_):
        pass


class Published(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        viv.guest(GUEST)
        with viv.Session("run", GUEST, "--memory", "512M", "--net", "none", "--qmp", f"unix:{cls.folder}/qmp") as session:
            session.expect(PROMPT)
            cls.saved = cls.folder / "saved"
            done = viv.run("save", "--from", f"unix:{cls.folder}/qmp", str(cls.saved))
            assert done.returncode == 0, done.stderr
        done = viv.run("publish", str(cls.saved), str(cls.folder / "public"))
        assert done.returncode == 0, done.stderr
        cls.report = done.stdout

    def setUp(self):
        self.server = Server(self.folder / "public")
        self.addCleanup(self.server.close)

    def opened(self, where, *options):
        session = viv.Session("run", "--restore", where, *options)
        self.addCleanup(session.__exit__)
        return session

    def answer(self, where):
        """Seconds to the answer to what is typed."""
        start = time.monotonic()
        session = self.opened(where)
        session.type("echo $((40+2))answer\n")
        session.expect("42answer")
        took = time.monotonic() - start
        session.type("exit\n")
        session.wait()
        return took

    def test_what_is_touched_is_fetched(self):
        chunks = re.search(r"(\d+) chunks", self.report)
        self.assertEqual(int(chunks[1]), sum(path.is_file() for path in (self.folder / "public" / "chunks").rglob("*")))
        whole = sum(path.stat().st_size for path in (self.folder / "public").rglob("*") if path.is_file())
        session = self.opened(self.server.url)
        session.type("echo $((40+2))answer\n")
        session.expect("42answer")
        requests, fetched = self.server.taken()
        print(f"fetched {fetched / 1e6:.2f} MB of {whole / 1e6:.1f} MB, which stand for 512 MiB, in {requests} requests")
        self.assertLess(fetched, whole * 0.2)
        # All of it is there when it is wanted.
        session.type("cat /proc/kallsyms | md5sum; find / -xdev -type f | wc -l; echo do''ne\n")
        session.expect("\ndone")

    def test_the_folder_itself_opens(self):
        self.answer(str(self.folder / "public"))

    def test_the_order_of_arrival_is_kept(self):
        self.answer(self.server.url)
        self.server.taken()
        session = self.opened(self.server.url, "--paused")
        # Nothing runs, and yet what will be wanted comes.
        end = time.monotonic() + 60 * viv.PATIENCE
        requests = 0
        while requests < 100 and time.monotonic() < end:
            requests += self.server.taken()[0]
        self.assertGreaterEqual(requests, 100)
        session.process.terminate()

    def test_a_file_is_read_by_parts(self):
        (self.folder / "public" / "whole.viv").write_bytes(self.saved.read_bytes())
        self.answer(self.server.url + "whole.viv")
        self.assertLess(self.server.taken()[1], self.saved.stat().st_size * 0.5)

    def test_a_server_that_knows_no_parts(self):
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Plain, directory=str(self.folder / "public"))) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                url = f"http://127.0.0.1:{server.server_address[1]}/"
                self.answer(url)
                (self.folder / "public" / "whole.viv").write_bytes(self.saved.read_bytes())
                done = viv.run("run", "--restore", url + "whole.viv")
                self.assertEqual(done.returncode, 2)
                self.assertIn("the server gives files only as a whole", done.stderr)
            finally:
                server.shutdown()
                thread.join()

    def test_machines_share_chunks(self):
        done = viv.run("publish", "--name", "other", str(self.saved), str(self.folder / "public"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("new of these 0, 0.0 MB", done.stdout)
        self.answer(self.server.url + "other.viv")

    def test_a_damaged_chunk_ends_the_machine(self):
        copy = self.folder / "damaged"
        subprocess.run(["cp", "-r", str(self.folder / "public"), str(copy)], check=True)
        for path in (copy / "chunks").rglob("*"):
            if path.is_file():
                data = bytearray(path.read_bytes())
                data[len(data) // 2] ^= 1
                path.write_bytes(data)
        server = Server(copy)
        self.addCleanup(server.close)
        session = self.opened(server.url)
        session.expect("fails its check")
        self.assertNotEqual(session.wait(), 0)

    def test_what_is_not_there_is_said(self):
        for where, said in ((self.server.url + "no/", "the server answers 404"), ("http://127.0.0.1:1/", "127.0.0.1"),
                            (str(self.folder / "public" / "chunks"), "machine.viv")):
            done = viv.run("run", "--restore", where)
            self.assertEqual(done.returncode, 2)
            self.assertIn(said, done.stderr)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)


if __name__ == "__main__":
    unittest.main()
