"""The display by VNC: what a viewer sees is what the guest's frame buffer holds, what it types arrives, and a viewer that somebody
else wrote sees the same."""

import hashlib
import re
import socket
import subprocess
import tempfile
import unittest

import viv_process
from vnc_client import Viewer, snapshot

GUEST = "linux-riscv64"
# A shell on the display's first console, and a cursor that keeps still.
SHELL = "echo 0 > /sys/class/graphics/fbcon/cursor_blink; setsid sh -c 'exec sh -i </dev/tty1 >/dev/tty1 2>&1' &\n"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Vnc(unittest.TestCase):
    def setUp(self):
        viv_process.guest(GUEST)
        self.port = free_port()

    def frame_buffer(self, viv):
        viv.type("sha256sum < /dev/fb0\n")
        return viv.expect(r"([0-9a-f]{64})").group(1)

    def test_pictures_and_keys(self):
        with viv_process.Session("run", GUEST, "--vnc", f":{self.port}") as viv:
            viv.expect("~ # ")
            viv.type(SHELL)
            with Viewer(self.port) as viewer:
                self.assertEqual((viewer.width, viewer.height, viewer.name), (1280, 800, GUEST))
                viewer.type('X=7; echo "$((6 * X))!" > /tmp/typed; seq 30\n')
                viv.type("until grep . /tmp/typed 2>/dev/null; do usleep 10000; done\n")
                viv.expect(r"\n42!")
                # Until what the shell has written is there: the guest draws later than it writes.
                before = None
                while (picture := viewer.picture()) != before or hashlib.sha256(picture).hexdigest() != self.frame_buffer(viv):
                    before = picture
                self.assertGreater(len(set(picture[at:at + 4] for at in range(0, len(picture), 4))), 1)
            # The same to others, after that one has gone.
            width, height, data = snapshot(self.port)
            self.assertEqual((width, height), (1280, 800))
            light = [at for at in range(0, len(picture), 4) if picture[at] > 128]
            self.assertGreater(len(light), 1000)
            self.assertTrue(all(data[at // 4 * 3] > 64 for at in light))
            viv.type("poweroff -f\n")
            self.assertEqual(viv.wait(), 0)

    def test_a_saved_machine_is_seen_again(self):
        with tempfile.TemporaryDirectory() as folder:
            monitor, saved = f"unix:{folder}/qmp", f"{folder}/machine.viv"
            with viv_process.Session("run", GUEST, "--net", "none", "--vnc", f":{self.port}", "--qmp", monitor) as viv:
                viv.expect("~ # ")
                viv.type(SHELL)
                with Viewer(self.port) as viewer:
                    viewer.type("seq 40\n")
                    before = None
                    while (picture := viewer.picture()) != before or hashlib.sha256(picture).hexdigest() != self.frame_buffer(viv):
                        before = picture
                done = subprocess.run([viv_process.VIV, "save", "--from", monitor, saved], capture_output=True, text=True, check=False)
                self.assertEqual(done.returncode, 0, done.stderr)
            with viv_process.Session("run", "--restore", saved, "--vnc", f":{self.port}") as viv:
                viv.type("\n")
                viv.expect("~ # ")
                with Viewer(self.port) as viewer:
                    self.assertEqual(viewer.picture(), picture)

    def test_what_is_wrong(self):
        done = viv_process.run("run", GUEST, "--vnc", "stdio")
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr, re.escape("--vnc stdio: [tcp:]HOST:PORT or unix:PATH is needed"))


if __name__ == "__main__":
    unittest.main()
