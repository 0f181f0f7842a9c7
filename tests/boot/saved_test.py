"""Machines that are saved while they run and opened again: a guest at work goes on, files are small, and two machines
opened from one file have the right time and other random numbers."""

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
# The answer begins a line of its own; the echo of what was typed does not.
ANSWER = r"(?:^|\n)"


class SavedMachines(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        viv.guest(GUEST)

    def start(self, *options):
        session = viv.Session("run", GUEST, "--net", "none", "--qmp", f"unix:{self.folder}/qmp", *options)
        self.addCleanup(session.__exit__)
        session.expect(PROMPT)
        return session

    def save(self, name="saved"):
        path = self.folder / name
        done = subprocess.run([viv.VIV, "save", "--from", f"unix:{self.folder}/qmp", str(path)], capture_output=True, text=True,
                              timeout=120 * viv.PATIENCE)
        self.assertEqual(done.returncode, 0, done.stderr)
        return path

    def opened(self, path, *options):
        session = viv.Session("run", "--restore", str(path), *options)
        self.addCleanup(session.__exit__)
        return session

    def test_a_guest_at_work_is_saved_and_goes_on(self):
        session = self.start()
        # Numbers, none of which may be missing, and a file that grows, until somebody says stop.
        session.type("(i=0; while [ ! -e /tmp/stop ]; do i=$((i+1)); echo n$i; echo $i >> /tmp/all; done; echo do''ne) &\n")
        session.expect("n500\r\n")
        path = self.save()
        opened = self.opened(path)
        opened.expect(r"n\d+\r\n")
        for machine, least in ((session, 1), (opened, 400)):
            machine.type("touch /tmp/stop; wait; seq $(wc -l < /tmp/all) | cmp - /tmp/all && echo al''l\n")
            machine.expect(r"all\r\n")
            numbers = [int(n) for n in re.findall(r"n(\d+)\r", machine.seen)]
            self.assertGreaterEqual(numbers[0], least)
            self.assertGreater(numbers[-1], 500)
            self.assertEqual(numbers, list(range(numbers[0], numbers[-1] + 1)))

    def test_harts_on_threads(self):
        session = self.start("--harts", "parallel", "--cpus", "2")
        session.type("(while :; do :; done) & (while :; do :; done) &\n")
        session.expect(PROMPT)
        path = self.save()
        session.type("echo still he''re\n")
        session.expect("still here")
        opened = self.opened(path)
        opened.type("nproc; kill %1 %2; echo by''e\n")
        opened.expect(ANSWER + r"2\r\n")
        opened.expect("bye")

    def test_the_file_is_small(self):
        self.start()
        size = self.save().stat().st_size
        print(f"saved at the prompt: {size / 1e6:.1f} MB")
        self.assertLess(size, 40e6)

    def test_two_from_one_file_have_the_time_and_other_random_numbers(self):
        self.start()
        path = self.save()
        time.sleep(2)
        found = []
        for _ in range(2):
            session = self.opened(path)
            # The generator's output, by getrandom: od waits for nothing.
            session.type("sleep 2; date +=%s; head -c 16 /dev/random | od -An -tx1 | tr -d ' \\n'; echo =\n")
            now = int(session.expect(ANSWER + r"=(\d+)\r")[1])
            self.assertLess(abs(now - time.time()), 1)
            found.append(session.expect(r"([0-9a-f]{32})=")[1])
        self.assertNotEqual(found[0], found[1])

    def test_a_temporary_disk_is_in_the_file(self):
        disk = self.folder / "disk.raw"
        disk.write_bytes(b"first" + bytes((1 << 20) - 5))
        given = ("--disk", f"file={disk},format=raw,snapshot=on")
        show = "echo 3 > /proc/sys/vm/drop_caches; head -c 10 /dev/vda; echo\n"
        session = self.start(*given)
        session.type("printf second > /dev/vda; " + show)
        session.expect(ANSWER + "second")
        path = self.save()
        session.type("printf thirds > /dev/vda; " + show)
        session.expect(ANSWER + "thirds")
        opened = self.opened(path, *given)
        opened.type(show)
        opened.expect(ANSWER + "second")
        self.assertEqual(disk.read_bytes()[:5], b"first")

        done = viv.run("run", "--restore", str(path), "--disk", f"file={disk},format=raw,readonly=on")
        self.assertEqual(done.returncode, 2)
        self.assertIn("has a temporary disk (snapshot=on), this one's has none", done.stderr)

    def test_a_client_that_goes_does_not_end_the_saving(self):
        session = self.start()
        path = self.folder / "saved"
        client = subprocess.Popen([viv.VIV, "save", "--from", f"unix:{self.folder}/qmp", str(path)], stderr=subprocess.DEVNULL)
        threading.Timer(0.02, client.kill).start()
        client.wait()
        session.type("echo still he''re\n")
        session.expect("still here")
        # What it asked for has been begun, or not: then it never comes.
        done = subprocess.run([viv.VIV, "save", "--from", f"unix:{self.folder}/qmp", str(self.folder / "other")], capture_output=True,
                              text=True, timeout=120 * viv.PATIENCE)
        if done.returncode != 0:
            self.assertIn("is being saved already", done.stderr)
            while not path.exists():
                time.sleep(0.01)
            self.save("other")

    def test_saving_is_refused_where_it_cannot_be_whole(self):
        self.start()
        done = subprocess.run([viv.VIV, "save", "--from", f"unix:{self.folder}/qmp", "/proc/saved"], capture_output=True, text=True,
                              timeout=60 * viv.PATIENCE)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("/proc/saved", done.stderr)


if __name__ == "__main__":
    unittest.main()
