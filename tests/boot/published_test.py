"""Machines published for web servers: opened by URL, what the guest touches is fetched and no more; the next time what it
touched the last time is at hand, and the first time already what a rehearsal found; damaged and missing chunks end the machine
with a message."""

import functools
import http.server
import os
import pathlib
import re
import subprocess
import tempfile
import threading
import time
import unittest
import unittest.mock

import viv_process as viv
from file_server import Server

GUEST = "linux-riscv64"
PROMPT = r"~ # "


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
        cls.guests = pathlib.Path(viv.guest(GUEST)).parent
        with viv.Session("run", GUEST, "--memory", "512M", "--net", "none", "--qmp", f"unix:{cls.folder}/qmp") as session:
            session.expect(PROMPT)
            cls.saved = cls.folder / "saved"
            done = viv.run("save", "--from", f"unix:{cls.folder}/qmp", str(cls.saved))
            assert done.returncode == 0, done.stderr
        done = viv.run("publish", "--no-rehearsal", str(cls.saved), str(cls.folder / "public"))
        assert done.returncode == 0, done.stderr
        cls.report = done.stdout

    def setUp(self):
        self.server = Server(self.folder / "public")
        self.addCleanup(self.server.close)
        # Nothing has been opened before, and what is kept here is not this user's.
        cache = tempfile.TemporaryDirectory()
        self.addCleanup(cache.cleanup)
        self.cache = pathlib.Path(cache.name) / "vivarium"
        self.cache.mkdir()
        (self.cache / "guests").symlink_to(self.guests)
        changed = unittest.mock.patch.dict(os.environ, XDG_CACHE_HOME=cache.name)
        changed.start()
        self.addCleanup(changed.stop)

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

    def test_the_guest_need_not_be_here(self):
        (self.cache / "guests").unlink()
        self.answer(self.server.url)

    def test_the_folder_itself_opens(self):
        self.answer(str(self.folder / "public"))

    def test_what_has_arrived_is_kept(self):
        first = self.answer(self.server.url)
        requests, fetched = self.server.taken()
        second = self.answer(self.server.url)
        again, fetched_again = self.server.taken()
        print(f"first {first:.3f} s, {requests} requests, {fetched / 1e6:.2f} MB; "
              f"then {second:.3f} s, {again} requests, {fetched_again / 1e6:.2f} MB")
        self.assertGreater(requests, 100)
        self.assertLess(again, requests / 3)
        # What does not fit its hash is fetched.
        file, = (self.cache / "arrivals").glob("*")
        data = bytearray(file.read_bytes())
        data[60] ^= 1
        file.write_bytes(data)
        self.answer(self.server.url)
        self.assertGreater(self.server.taken()[0], requests / 3)

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
        done = viv.run("publish", "--no-rehearsal", "--name", "other", str(self.saved), str(self.folder / "public"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("new of these 0, 0.0 MB", done.stdout)
        self.answer(self.server.url + "other.viv")

    def test_what_was_waited_for_is_published(self):
        self.answer(self.server.url)
        done = viv.run("publish", "--no-rehearsal", "--name", "again", str(self.saved), str(self.folder / "public"))
        self.assertEqual(done.returncode, 0, done.stderr)
        count = int(re.search(r"; (\d+) come first\n", done.stdout)[1])
        self.assertGreater(count, 100)
        pack, found, at = (self.folder / "public" / "again.first").read_bytes(), 0, 8
        self.assertEqual(pack[:at], b"VIVCHNK1")
        while at < len(pack):
            name, size = pack[at:at + 16][::-1].hex(), int.from_bytes(pack[at + 16:at + 20], "little")
            chunk = (self.folder / "public" / "chunks" / name[:2] / name).read_bytes()
            self.assertEqual(pack[at + 20:at + 20 + size], chunk)
            found, at = found + 1, at + 20 + size
        self.assertEqual(found, count)

    def rehearsed(self, name, *options):
        """How many chunks come first, and in how many bytes."""
        done = viv.run("publish", "--name", name, *options, str(self.saved), str(self.folder / "public"))
        self.assertEqual(done.returncode, 0, done.stderr)
        count = int(re.search(r"; (\d+) come first\n", done.stdout)[1])
        return count, (self.folder / "public" / f"{name}.first").stat().st_size

    def test_a_rehearsal_finds_what_comes_first(self):
        self.server.taken()
        self.answer(self.server.url)
        requests, _ = self.server.taken()
        count, _ = self.rehearsed("rehearsed")
        self.assertGreater(count, requests // 2)
        self.assertEqual(list((self.cache / "arrivals").iterdir()), [self.kept()])
        self.kept().unlink()
        self.answer(self.server.url + "rehearsed.viv")
        self.assertLess(self.server.taken()[0], requests // 4)
        # And what has come in the pack is kept, too.
        self.answer(self.server.url + "rehearsed.viv")
        self.assertLess(self.server.taken()[0], requests // 4)

    def kept(self):
        """What is kept of the one machine that was opened here."""
        (found,) = (self.cache / "arrivals").iterdir()
        return found

    def test_a_rehearsal_types_what_it_is_told(self):
        _, less = self.rehearsed("enter")
        _, more = self.rehearsed("reader", "--type", "sha256sum /bin/busybox")
        self.assertGreater(more, less + 200_000)

    def test_a_machine_with_a_disk_is_not_rehearsed(self):
        disk, saved = self.folder / "disk.raw", self.folder / "with-disk"
        disk.write_bytes(bytes(1 << 20))
        done = viv.run("run", GUEST, "--disk", f"file={disk},format=raw", "--max-instructions", "1000000", "--save-at-end", str(saved))
        self.assertEqual(done.returncode, 0, done.stderr)
        done = viv.run("publish", str(saved), str(self.folder / "with-disk-public"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"; not rehearsed: the saved machine has a disk \(virtio-blk[a-z0-9.-]*\), which a rehearsal "
                                      r"cannot give it\n$")
        self.assertFalse((self.folder / "with-disk-public" / "machine.first").exists())

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
