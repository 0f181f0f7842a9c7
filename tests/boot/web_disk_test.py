"""Disks by URL: the Debian disk guest from its published chunks, again with what was kept of them; a machine that goes on while bytes
travel, is saved, reset and restored meanwhile; wrong and missing chunks, a server that goes away; writes that last."""

import hashlib
import json
import os
import pathlib
import random
import re
import socket
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
CHUNK = 64 << 10
VIV_IMG = str(pathlib.Path(viv.VIV).with_name("viv-img"))


def viv_img(*words):
    done = subprocess.run([VIV_IMG, *map(str, words)], capture_output=True, text=True, timeout=300 * viv.PATIENCE)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Gate:
    """Chunks wait at it while it is closed."""

    def __init__(self):
        self.opened, self.held = threading.Event(), threading.Event()
        self.opened.set()

    def __call__(self, name, data):
        if len(name) == 32 and not self.opened.is_set():
            self.held.set()
            self.opened.wait()
        return data


class Scratch(unittest.TestCase):
    """A folder, and caches of its own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        guests = pathlib.Path(viv.guest(GUEST)).parent
        cache = self.folder / "cache" / "vivarium"
        cache.mkdir(parents=True)
        (cache / "guests").symlink_to(guests)
        changed = unittest.mock.patch.dict(os.environ, XDG_CACHE_HOME=str(cache.parent))
        changed.start()
        self.addCleanup(changed.stop)
        self.kept = cache / "disks"

    def serve(self, *arguments, **how):
        server = Server(self.folder / "public", *arguments, **how)
        self.addCleanup(server.close)
        return server

    def session(self, *arguments):
        session = viv.Session("run", *arguments)
        self.addCleanup(session.__exit__)
        return session


class Debian(Scratch):
    def test_login_by_url(self):
        guest = pathlib.Path(viv.guest("debian-riscv64"))
        published = viv_img("publish", guest / "disk.raw", self.folder / "public", "--name", "debian")
        whole = float(re.search(r"([\d.]+) MB;", published)[1]) * 1e6
        server = self.serve()

        def login(title, *more):
            start = time.monotonic()
            session = self.session("--memory", "1G", "--kernel", str(guest / "kernel"), "--initrd", str(guest / "initrd"), "--append",
                                   "console=ttyS0 root=/dev/vda quiet net.ifnames=0", "--disk", f"{server.url}debian.disk,{more[0]}")
            session.expect(r"login: ", timeout=400)
            took = time.monotonic() - start
            requests, fetched = server.taken()
            print(f"{title}: login after {took:.1f} s, {fetched / 1e6:.1f} MB of {whole / 1e6:.1f} MB in {requests} requests")
            session.type("root\n")
            session.expect(r"# ", timeout=120)
            return session, fetched

        session, first = login("nothing kept", "snapshot=on")
        self.assertLess(first, whole / 2)
        session.type("echo kept >/root/note; cat /root/note; systemctl poweroff\n")
        self.assertEqual(session.wait(300), 0)
        server.taken()

        session, second = login("chunks kept", f"overlay={self.folder}/over.qcow2")
        self.assertLess(second, first / 5)
        session.type("ls /root; echo la''sts >/root/note; sync; systemctl poweroff\n")
        self.assertEqual(session.wait(300), 0)
        self.assertNotIn("note", session.seen.partition("ls /root")[2].partition("sts")[0])
        viv_img("check", self.folder / "over.qcow2")

        session, _ = login("its overlay", f"overlay={self.folder}/over.qcow2")
        session.type("cat /root/note\n")
        session.expect("lasts")


class Small(Scratch):
    def setUp(self):
        super().setUp()
        self.data = random.Random(5).randbytes(6 << 20)
        (self.folder / "disk.raw").write_bytes(self.data)
        viv_img("publish", "-q", self.folder / "disk.raw", self.folder / "public")

    def read(self, first, count):
        """A command, and what it says."""
        return (f"dd if=/dev/vda bs=64k skip={first} count={count} 2>/dev/null | md5sum",
                hashlib.md5(self.data[first * CHUNK:(first + count) * CHUNK]).hexdigest())

    def name_of(self, number):
        """The file of a chunk; random bytes are stored as they are."""
        wanted = self.data[number * CHUNK:(number + 1) * CHUNK]
        (found,) = (path for path in (self.folder / "public" / "chunks").rglob("*") if path.is_file() and path.read_bytes() == wanted)
        return found.name

    def ready(self, url, *options, disk="readonly=on"):
        session = self.session(GUEST, "--net", "none", "--disk", f"{url},{disk}", *options)
        session.expect(PROMPT)
        return session

    def same(self, session, first, count):
        command, said = self.read(first, count)
        session.type(command + "\n")
        session.expect(r"\n([0-9a-f]{32})")
        self.assertIn(said, session.seen)

    def asked(self, path, command):
        with socket.socket(socket.AF_UNIX) as qmp:
            qmp.settimeout(60 * viv.PATIENCE)
            qmp.connect(str(path))
            lines = qmp.makefile("r", encoding="utf-8")
            lines.readline()
            for each in ("qmp_capabilities", command):
                qmp.sendall(json.dumps({"execute": each}).encode())
                while "return" not in json.loads(lines.readline()):
                    pass

    def test_the_machine_goes_on_is_saved_and_reset_while_bytes_travel(self):
        gate = Gate()
        self.addCleanup(gate.opened.set)
        server = self.serve(gate)
        url, qmp, saved = server.url + "disk.disk", self.folder / "qmp", self.folder / "saved"
        session = self.ready(url, "--qmp", f"unix:{qmp}")
        gate.opened.clear()
        command, said = self.read(40, 20)
        session.type(f"({command} >/tmp/sum) & echo beg''un\n")
        session.expect("begun")
        self.assertTrue(gate.held.wait(60 * viv.PATIENCE))
        session.type("echo $((40+2))answer\n")
        session.expect("42answer")
        done = viv.run("save", "--from", f"unix:{qmp}", str(saved))
        self.assertEqual(done.returncode, 0, done.stderr)
        session.type("cat /tmp/sum; echo no''thing\n")
        session.expect("nothing")
        self.assertNotIn(said, session.seen)

        self.asked(qmp, "system_reset")
        session.expect("built-in commands")
        session.expect(PROMPT)
        gate.opened.set()
        self.same(session, 40, 20)
        self.same(session, 0, 96)
        session.type("exit\n")
        session.wait()

        restored = self.session("--restore", str(saved), "--disk", f"{url},readonly=on")
        restored.type("wait; cat /tmp/sum\n")
        restored.expect(said)

    def test_wrong_and_missing_chunks_are_errors_of_the_guest(self):
        changes = {self.name_of(30): lambda data: data[:-1] + bytes([data[-1] ^ 1]), self.name_of(60): lambda data: None}
        server = self.serve(lambda name, data: changes.get(name, lambda same: same)(data))
        session = self.ready(server.url + "disk.disk")
        for number, said in ((30, "fails its check"), (60, "the server answers 404")):
            session.type(f"dd if=/dev/vda bs=64k skip={number} count=1 iflag=direct of=/tmp/x; ls -l /tmp/x; echo do''ne\n")
            session.expect(said + "; the guest gets an I/O error")
            session.expect(r"I/O error[\s\S]*done")
        self.same(session, 31, 20)
        self.same(session, 61, 20)
        # What is right again is read.
        changes.clear()
        self.same(session, 25, 40)

    def test_a_server_that_goes_away(self):
        server = self.serve()
        session = self.ready(server.url + "disk.disk")
        self.same(session, 10, 4)
        server.close()
        session.type("dd if=/dev/vda bs=64k skip=50 count=1 of=/tmp/x; echo do''ne\n")
        session.expect("the guest gets an I/O error")
        session.expect(r"I/O error[\s\S]*done")
        self.same(session, 10, 4)

    def test_what_is_kept_needs_no_server_and_is_checked(self):
        server = self.serve()
        session = self.ready(server.url + "disk.disk")
        self.same(session, 0, 96)
        session.type("exit\n")
        session.wait()
        server.taken()
        damaged = next(path for path in self.kept.rglob("*") if path.name == self.name_of(70))
        damaged.write_bytes(bytes(CHUNK))
        session = self.ready(server.url + "disk.disk")
        self.same(session, 0, 96)
        self.assertEqual(server.taken()[0], 2, "the index and one chunk")

    def test_other_images_by_their_parts(self):
        viv_img("convert", "-c", "-O", "qcow2", self.folder / "disk.raw", self.folder / "public" / "disk.qcow2")
        (self.folder / "public" / "disk.raw").write_bytes(self.data)
        server = self.serve()
        for name in ("disk.raw", "disk.qcow2"):
            session = self.ready(server.url + name, disk="snapshot=on")
            session.type("echo new >/dev/vda; sync; echo 3 >/proc/sys/vm/drop_caches; head -n 1 /dev/vda\n")
            session.expect(r"\nnew")
            self.same(session, 1, 90)
            session.type("exit\n")
            session.wait()

    def test_writes_last_in_an_overlay(self):
        server, over = self.serve(), self.folder / "over.qcow2"
        url = server.url + "disk.disk"
        for number in range(2):
            session = self.ready(url, disk=f"overlay={over}")
            if number == 1:
                session.type("dd if=/dev/vda bs=1k skip=1000 count=1 2>/dev/null | head -n 1\n")
                session.expect(r"\nround 0")
            # In the middle of a cluster that nobody has read.
            session.type(f"echo round {number} | dd of=/dev/vda bs=1k seek={1000 + number} conv=notrunc 2>/dev/null; sync; poweroff -f\n")
            self.assertEqual(session.wait(), 0)
        viv_img("check", over)
        self.assertIn(f"backing file: {url}#", viv_img("info", over))
        viv_img("convert", "--web", "-O", "raw", over, self.folder / "flat")
        flat = bytearray(self.data)
        for number in range(2):
            said = f"round {number}\n".encode()
            flat[(1000 + number) * 1024:(1000 + number) * 1024 + len(said)] = said
        got = (self.folder / "flat").read_bytes()
        # dd fills nothing up, and the guest's page cache has read the rest of what it wrote.
        self.assertEqual(hashlib.md5(got).hexdigest(), hashlib.md5(flat).hexdigest())

        done = viv.run("run", GUEST, "--disk", str(over))
        self.assertEqual(done.returncode, 2)
        self.assertIn("is behind a URL, which an image may not name by itself; backing=web", done.stderr)
        session = self.session(GUEST, "--net", "none", "--disk", f"{over},backing=web")
        session.expect(PROMPT)
        self.same(session, 40, 20)
        session.type("exit\n")
        session.wait()
        (self.folder / "disk.raw").write_bytes(self.data[::-1])
        viv_img("publish", "-q", self.folder / "disk.raw", self.folder / "public")
        done = viv.run("run", GUEST, "--disk", f"{url},overlay={over}")
        self.assertEqual(done.returncode, 2)
        self.assertIn("was put over another version of " + url, done.stderr)

    def test_what_cannot_be_is_said(self):
        server = self.serve()
        for option, said in ((server.url + "disk.disk", "can only be read; add overlay=FILE to keep what is written, snapshot=on"),
                             (server.url + "no.disk,snapshot=on", "the server answers 404"),
                             ("http://127.0.0.1:1/x,snapshot=on", "127.0.0.1"),
                             (str(self.folder / "public" / "disk.disk"), "which can only be read")):
            done = viv.run("run", GUEST, "--disk", option)
            self.assertEqual((done.returncode, done.stderr.count("\n")), (2, 1), done.stderr)
            self.assertIn(said, done.stderr)

    def test_a_repeatable_machine_waits(self):
        server = self.serve()
        sums = set()
        for _ in range(2):
            done = viv.run("lockstep", GUEST, "--disk", f"{server.url}disk.disk,readonly=on", "--max-instructions", "30000000")
            self.assertEqual(done.returncode, 0, done.stderr)
            sums.add(done.stdout)
        self.assertEqual(len(sums), 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
