"""Points of a running Linux with a qcow2 disk: memory and disk go back together, the tree is kept, and QEMU's programs
find the images clean, with the snapshots in them. A client speaks QEMU's job protocol as scripts do."""

import json
import pathlib
import shutil
import socket
import subprocess
import tempfile
import unittest

import viv_process as viv

GUEST = "linux-riscv64"
PROMPT = r"~ # "
ANSWER = r"(?:^|\n)"
DISK = "virtio-blk-pci.0"


class Qmp:
    """A client that keeps events apart, as those of QEMU's own tests do."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60 * viv.PATIENCE)
        self.socket.connect(str(path))
        self.lines = self.socket.makefile("r", encoding="utf-8")
        self.events = []
        assert "QMP" in json.loads(self.lines.readline())
        self.ask("qmp_capabilities")

    def close(self):
        self.lines.close()
        self.socket.close()

    def message(self):
        line = self.lines.readline()
        if not line:
            raise AssertionError("the connection was closed")
        return json.loads(line)

    def ask(self, command, **arguments):
        request = {"execute": command, "arguments": {name.replace("_", "-"): value for name, value in arguments.items()}}
        self.socket.sendall(json.dumps(request).encode())
        while True:
            message = self.message()
            if "event" not in message:
                return message
            self.events.append(message)

    def get(self, command, **arguments):
        message = self.ask(command, **arguments)
        if "return" not in message:
            raise AssertionError(f"{command}: {message}")
        return message["return"]

    def job(self, command, name, **arguments):
        """Runs a job to its end and dismisses it: its states, and its error."""
        self.get(command, job_id=name, **arguments)
        states = []
        while "concluded" not in states:
            if not self.events:
                self.events.append(self.message())
            event = self.events.pop(0)
            if event["event"] == "JOB_STATUS_CHANGE" and event["data"]["id"] == name:
                states.append(event["data"]["status"])
        [found] = [job for job in self.get("query-jobs") if job["id"] == name]
        self.get("job-dismiss", id=name)
        assert self.events.pop()["data"] == {"id": name, "status": "null"}
        assert found["type"] == command and found["current-progress"] == found["total-progress"]
        return states, found.get("error")


@unittest.skipUnless(shutil.which("qemu-img") and shutil.which("e2fsck"), "qemu-utils or e2fsprogs is not installed")
class Points(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        self.disk = self.folder / "disk.qcow2"
        self.points = self.folder / "points"
        self.tool("qemu-img", "create", "-q", "-f", "qcow2", self.disk, "256M")
        viv.guest(GUEST)

    def tool(self, *words):
        done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=120 * viv.PATIENCE)
        self.assertEqual(done.returncode, 0, f"{words}: {done.stdout} {done.stderr}")
        return done.stdout

    def viv(self, *words):
        return self.tool(viv.VIV, *words)

    def snapshot(self, what, *words):
        return self.viv("snapshot", what, "--from", f"unix:{self.folder}/qmp", *words)

    def refused(self, expected, *words):
        done = viv.run("snapshot", *words, timeout=60)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(expected, done.stderr)

    def start(self, *options, disk=None):
        session = viv.Session("run", "--net", "none", "--qmp", f"unix:{self.folder}/qmp", "--disk", f"{disk or self.disk}",
                              "--snapshots", str(self.points), *options)
        self.addCleanup(session.__exit__)
        return session

    def booted(self, *options, disk=None):
        session = self.start(GUEST, *options, disk=disk)
        session.expect(PROMPT)
        return session

    def mounted(self, *options):
        session = self.booted(*options)
        session.type("mke2fs -q /dev/vda && mkdir /d && mount -t ext4 /dev/vda /d && echo mou''nted\n")
        session.expect("mounted")
        session.expect(PROMPT)
        return session

    def end(self, session):
        session.process.terminate()
        session.wait()

    def seen(self, session, command, expected):
        """The guest's shell answers the command so; the first newline ends what was being typed in a machine put back."""
        session.type(f"\necho =be''gin; {command}; echo =e''nd\n")
        found = session.expect(r"(?s)=begin\r\n(.*?)=end\r\n")[1].replace("\r", "")
        session.expect(PROMPT)
        self.assertEqual(found, expected)

    def check_file_system(self, disk=None):
        """What the image holds now, of a machine that may run but has unmounted it."""
        flat = self.folder / "flat"
        self.tool("qemu-img", "convert", "-U", "-O", "raw", disk or self.disk, flat)
        self.tool("e2fsck", "-fn", flat)

    def snapshots_in_disk(self, disk=None):
        rows = self.tool("qemu-img", "snapshot", "-l", disk or self.disk).splitlines()
        return [row.split()[1] for row in rows[2:]]

    def test_memory_and_disk_go_back_together(self):
        session = self.mounted()
        # In memory only, on the disk only, and in the page cache on its way there.
        write = "echo {0} >/tmp/memory; echo {0} >/d/disk; seq 1 200000 >/d/numbers-{0}; sync; echo {0} >/d/unsynced; echo wri''tten\n"
        look = "cat /tmp/memory /d/disk /d/unsynced; ls /d | grep -c numbers; tail -n 1 /d/numbers-first"
        session.type(write.format("first"))
        session.expect("written")
        session.expect(PROMPT)
        self.snapshot("create", "a")
        session.type(write.format("second"))
        session.expect("written")
        session.expect(PROMPT)
        self.snapshot("create", "b")
        self.seen(session, look, "second\nsecond\nsecond\n2\n200000\n")
        self.snapshot("restore", "a")
        self.seen(session, look, "first\nfirst\nfirst\n1\n200000\n")
        # Another branch, which overwrites what b has written.
        session.type(write.format("third"))
        session.expect("written")
        session.expect(PROMPT)
        self.snapshot("create", "c")
        listed = self.snapshot("list")
        self.assertRegex(listed, r"\n  a .*\n    b .*\n\*   c ")
        points = {point["name"]: point for point in json.loads(self.snapshot("list", "--json"))}
        self.assertEqual({name: point.get("parent") for name, point in points.items()}, {"a": None, "b": "a", "c": "a"})
        self.assertTrue(points["c"]["present"])
        self.assertEqual(points["a"]["disks"], [DISK])
        self.snapshot("restore", "b")
        self.seen(session, look, "second\nsecond\nsecond\n2\n200000\n")
        self.refused("'x'", "restore", "--from", f"unix:{self.folder}/qmp", "x")
        self.snapshot("delete", "a")
        self.assertRegex(self.snapshot("list"), r"\n\* b .*\n  c ")
        # Made again, of another moment.
        self.snapshot("create", "b")
        self.end(session)
        self.assertEqual(self.snapshots_in_disk(), ["c", "b"])
        self.tool("qemu-img", "check", self.disk)
        self.assertEqual(len(list(self.points.glob("*.viv"))), 2)

        # Described as it was, and by the point alone.
        for options in ([GUEST, "--loadvm", "c"], ["--loadvm", "c"]):
            session = self.start(*options)
            self.seen(session, look, "third\nthird\nthird\n2\n200000\n")
            self.seen(session, "echo later >/d/later; umount /d", "")
            self.check_file_system()
            self.assertRegex(self.snapshot("list"), r"\n\* c ")
            self.end(session)
        self.tool("qemu-img", "check", self.disk)
        # And QEMU's own way back leads to the same disk.
        self.tool("qemu-img", "snapshot", "-a", "b", self.disk)
        self.assertIn("keep a snapshot 'b'", self.viv("snapshot", "delete", "--in", str(self.points), "b"))
        self.viv("snapshot", "delete", "--in", str(self.points), "c", "--disk", str(self.disk))
        self.assertEqual(self.snapshots_in_disk(), ["b"])
        self.assertEqual(json.loads(self.viv("snapshot", "list", "--in", str(self.points), "--json")), [])
        self.assertEqual([path.name for path in self.points.iterdir()], ["points.json"])

    def test_a_temporary_disk_goes_back_too(self):
        raw = self.folder / "raw"
        raw.write_bytes(bytes(1 << 20))
        given = ("--disk", f"file={raw},format=raw,snapshot=on")
        session = self.booted(*given)
        self.seen(session, "printf first. >/dev/vdb; sync", "")
        self.snapshot("create", "a")
        look = "echo 3 >/proc/sys/vm/drop_caches; head -c 6 /dev/vdb; echo"
        self.seen(session, "printf second >/dev/vdb; " + look, "second\n")
        self.snapshot("restore", "a")
        self.seen(session, look, "first.\n")
        self.end(session)
        self.assertEqual(raw.read_bytes(), bytes(1 << 20))
        session = self.start("--loadvm", "a", *given)
        self.seen(session, look, "first.\n")
        self.end(session)

    def test_a_guest_that_writes_is_caught_in_one_moment(self):
        session = self.mounted()
        session.type("i=0; while :; do i=$((i+1)); echo $i >/d/f$((i % 50)); sync; echo $i >/tmp/last; done & echo st''arted\n")
        session.expect("started")
        session.expect(PROMPT)
        for name in ("a", "b"):
            self.snapshot("create", name)
        for name in ("a", "b", "a"):
            self.snapshot("restore", name)
            # What memory knows to be on the disk is there, and the file system is whole.
            self.seen(session, "kill %1; wait; umount /d; mount -t ext4 /dev/vda /d; i=$(cat /tmp/last); "
                      "[ $(cat /d/f$((i % 50))) -ge $i ] && echo go''od; dmesg | grep -c 'EXT4-fs error'; umount /d", "good\n0\n")
            self.check_file_system()
        self.end(session)
        self.tool("qemu-img", "check", self.disk)

    def test_jobs_as_scripts_use_them(self):
        session = self.booted("--harts", "parallel", "--cpus", "2")
        client = Qmp(self.folder / "qmp")
        self.addCleanup(client.close)
        [node] = [row["inserted"]["node-name"] for row in client.get("query-block") if not row["inserted"]["ro"]]
        good = ["created", "running", "waiting", "pending", "concluded"]
        bad = ["created", "running", "aborting", "concluded"]
        session.type("echo before >/tmp/when; head -c 4096 /dev/urandom >/dev/vda; sync; md5sum /dev/vda >/tmp/sum; echo se''t\n")
        session.expect("set")
        session.expect(PROMPT)
        self.assertEqual(client.job("snapshot-save", "s0", tag="one", vmstate=node, devices=[node]), (good, None))
        states, error = client.job("snapshot-save", "s0", tag="one", vmstate=node, devices=[node])
        self.assertEqual(states, bad)
        self.assertIn("'one' already", error)
        states, error = client.job("snapshot-save", "s1", tag="two", vmstate=node, devices=[])
        self.assertEqual(states, bad)
        self.assertIn(DISK, error)
        session.type("echo after >/tmp/when; head -c 4096 /dev/urandom >/dev/vda; sync; echo chan''ged\n")
        session.expect("changed")
        session.expect(PROMPT)
        client.events.clear()
        client.get("snapshot-load", job_id="l0", tag="one", vmstate=node, devices=[node])
        names = []
        while not names or names[-1] != "concluded":
            event = client.events.pop(0) if client.events else client.message()
            names.append(event["data"]["status"] if event["event"] == "JOB_STATUS_CHANGE" else event["event"])
        self.assertEqual(names, ["created", "running", "STOP", "RESUME", "waiting", "pending", "concluded"])
        self.seen(session, "cat /tmp/when; md5sum /dev/vda | cmp - /tmp/sum && echo sa''me", "before\nsame\n")
        self.assertEqual(client.job("snapshot-delete", "d0", tag="one", devices=[node]), (good, None))
        self.assertEqual(client.job("snapshot-delete", "d0", tag="one", devices=[node]), (good, None))
        self.assertIn("no point 'one'", client.job("snapshot-load", "l1", tag="one", vmstate=node, devices=[node])[1])
        self.assertEqual(client.get("viv-query-snapshots"), [])
        self.end(session)
        self.assertEqual(self.snapshots_in_disk(), [])
        self.tool("qemu-img", "check", self.disk)

    def test_an_overlay_over_a_running_machine(self):
        session = self.mounted()
        session.type("echo below >/d/file; sync; echo do''ne\n")
        session.expect("done")
        overlay = self.folder / "over.qcow2"
        client = Qmp(self.folder / "qmp")
        self.assertIn("error", client.ask("blockdev-snapshot-sync", device="nix", snapshot_file=str(overlay)))
        self.assertFalse(overlay.exists())
        client.get("blockdev-snapshot-sync", device=DISK, snapshot_file=str(overlay), format="qcow2")
        [row] = [row for row in client.get("query-block") if row["device"] == DISK]
        self.assertEqual(row["inserted"]["file"], str(overlay))
        client.close()
        below = self.disk.read_bytes()
        session.type("echo above >/d/file; seq 1 100000 >/d/numbers; sync; echo wri''tten\n")
        session.expect("written")
        self.snapshot("create", "over")
        self.seen(session, "echo lost >/d/file; sync; cat /d/file", "lost\n")
        self.snapshot("restore", "over")
        self.seen(session, "cat /d/file; umount /d", "above\n")
        self.check_file_system(overlay)
        self.end(session)
        self.assertEqual(self.disk.read_bytes(), below)
        for image in (self.disk, overlay):
            self.tool("qemu-img", "check", image)
        chain = json.loads(self.tool("qemu-img", "info", "--backing-chain", "--output", "json", overlay))
        self.assertEqual([pathlib.Path(image["filename"]).name for image in chain], ["over.qcow2", "disk.qcow2"])
        ours = json.loads(self.tool(pathlib.Path(viv.VIV).with_name("viv-img"), "info", "--backing-chain", "--output", "json", overlay))
        self.assertEqual([image["filename"] for image in ours], [image["filename"] for image in chain])
        self.assertEqual(self.snapshots_in_disk(overlay), ["over"])
        # The machine's disk is the overlay from now on.
        session = self.start("--loadvm", "over", disk=overlay)
        self.seen(session, "cat /d/file", "above\n")
        self.end(session)
        done = viv.run("run", "--snapshots", str(self.points), "--loadvm", "over", "--disk", str(self.disk), timeout=60)
        self.assertEqual(done.returncode, 2)
        self.assertIn("has no snapshot 'over'", done.stderr)

    def test_refusals_leave_everything_as_it_was(self):
        raw = self.folder / "raw"
        raw.write_bytes(bytes(1 << 20))
        session = self.booted("--disk", f"{raw},format=raw")
        where = f"unix:{self.folder}/qmp"
        self.refused("keeps no snapshots; qcow2 does", "create", "--from", where, "a")
        self.assertEqual(self.snapshots_in_disk_of_running(), [])
        self.refused("is in use by another viv", "delete", "--in", str(self.points), "a")
        self.end(session)
        session = self.booted("--disk", f"{raw},format=raw,readonly=on")
        self.snapshot("create", "a")
        self.end(session)
        # Without its machine file, or its disk's snapshot, a point is refused, and what runs goes on.
        session = self.start(GUEST, "--disk", f"{raw},format=raw,readonly=on", "--loadvm", "a")
        self.seen(session, "echo here", "here\n")
        [file] = self.points.glob("*.viv")
        # Another file in its place: the machine that runs may still read this one.
        kept = file.rename(self.folder / "kept")
        file.write_bytes(kept.read_bytes()[:-1])
        self.refused("snapshot restore: ", "restore", "--from", where, "a")
        self.seen(session, "echo still here", "still here\n")
        kept.rename(file)
        self.snapshot("restore", "a")
        self.seen(session, "echo again", "again\n")
        self.end(session)
        self.tool("qemu-img", "check", self.disk)
        done = viv.run("run", GUEST, "--snapshots", str(self.points), "--loadvm", "none", timeout=60)
        self.assertEqual(done.returncode, 2)
        self.assertIn("no such point", done.stderr)
        plain = viv.Session("run", GUEST, "--net", "none", "--qmp", where)
        self.addCleanup(plain.__exit__)
        plain.expect(PROMPT)
        self.refused("--snapshots DIR", "create", "--from", where, "a")

    def snapshots_in_disk_of_running(self):
        rows = self.tool("qemu-img", "snapshot", "-U", "-l", self.disk).splitlines()
        return [row.split()[1] for row in rows[2:]]


if __name__ == "__main__":
    unittest.main()
