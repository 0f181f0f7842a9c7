"""The guest agent, compiled for this machine with sanitizers, driven over a socket pair and over a terminal device.

Promises: every frame type, both directions of flow control, and frames that no honest host would send; memory errors
and leaks of the agent fail the test that causes them. Specification: guests/agent/PROTOCOL.md.
"""

import os
import pathlib
import pty
import random
import re
import select
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import tty
import unittest

HERE = pathlib.Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[2] / "guests" / "tools"))

import agent_client as agent  # noqa: E402

SOURCES = HERE.parents[2] / "guests" / "agent"
MEBIBYTE = 1 << 20


def setUpModule():
    global FOLDER, PROGRAM
    FOLDER = tempfile.TemporaryDirectory(prefix="agent-test-")
    PROGRAM = os.path.join(FOLDER.name, "agent")
    subprocess.run([os.environ.get("CC", "cc"), "-std=c11", "-g", "-O1", "-fsanitize=address,undefined",
                    "-fno-sanitize-recover=all", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow",
                    "-Wno-sign-conversion", "-Werror", "-o", PROGRAM,
                    *map(str, sorted(SOURCES.glob("*.c")))], check=True)


def tearDownModule():
    FOLDER.cleanup()


def wait_until_gone(pid: int) -> bool:
    """True once the process has ended; false if it has not within ten seconds."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], 10)[0])
    finally:
        os.close(handle)


class AgentTest(unittest.TestCase):
    options: list[str] = []

    def setUp(self):
        self.work = pathlib.Path(tempfile.mkdtemp(dir=FOLDER.name))
        self.start()

    def start(self):
        ours, theirs = socket.socketpair()
        self.process = subprocess.Popen([PROGRAM, "--port", f"fd:{theirs.fileno()}", *self.options],
                                        pass_fds=[theirs.fileno()], cwd=self.work, stdin=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE)
        theirs.close()
        self.stream = ours
        self.client = agent.Client(ours, timeout=20)
        self.client.hello()

    def tearDown(self):
        self.stream.close()
        try:
            _, errors = self.process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            _, errors = self.process.communicate()
            self.fail("the agent does not end when its stream does")
        self.assertEqual(self.process.returncode, 0, errors.decode("utf-8", "replace"))

    def frames_until(self, kind, channel):
        frames = []
        while True:
            frame = self.client.receive()
            if frame.channel == channel:
                frames.append(frame)
                if frame.type in (kind, agent.ERROR):
                    return frames

    def assert_refused(self, channel, text):
        frame = self.frames_until(agent.ERROR, channel)[-1]
        self.assertEqual(frame.type, agent.ERROR)
        self.assertIn(text, agent.unpack_string(frame.payload, 4)[0])

    def assert_alive(self):
        self.assertEqual(self.client.run(["echo", "alive"]).stdout, b"alive\n")


class Session(AgentTest):
    def test_hello_tells_the_machine(self):
        self.assertEqual(self.client.machine, os.uname().machine)
        self.assertEqual(self.client.release, os.uname().release)
        self.assertGreaterEqual(self.client.window, 65536)

    def test_other_version_is_refused(self):
        self.client.send(agent.HELLO, 0, struct.pack("<IHHII", agent.MAGIC, 2, 0, 7, agent.WINDOW))
        self.assert_refused(0, "speaks version 1")

    def test_malformed_hello_is_refused(self):
        good = (agent.MAGIC, 1, 0, 7, agent.WINDOW)
        for bad in ((1, 1, 0, 7, agent.WINDOW), (agent.MAGIC, 1, 0, 0, agent.WINDOW), (agent.MAGIC, 1, 0, 7, 65535),
                    (agent.MAGIC, 1, 0, 7, 0x80000000)):
            self.client.send(agent.HELLO, 0, struct.pack("<IHHII", *bad))
            self.assert_refused(0, "malformed HELLO")
        self.client.send(agent.HELLO, 0, struct.pack("<IHHII", *good)[:-1])
        self.assert_refused(0, "malformed HELLO")
        self.assert_alive()

    def test_new_session_ends_the_old_ones_processes(self):
        self.client.send(agent.EXEC, 9, agent.exec_payload(["sh", "-c", "echo $$; exec sleep 1000"]))
        pid = int(self.frames_until(agent.STDOUT, 9)[-1].payload)
        self.client.hello()
        self.assertTrue(wait_until_gone(pid))
        self.assert_alive()

    def test_end_of_stream_ends_processes(self):
        self.client.send(agent.EXEC, 9, agent.exec_payload(["sh", "-c", "echo $$; exec sleep 1000"]))
        pid = int(self.frames_until(agent.STDOUT, 9)[-1].payload)
        self.stream.close()
        self.assertTrue(wait_until_gone(pid))

    def test_power_off_is_not_for_an_agent_under_test(self):
        self.client.power_off()
        self.assert_refused(0, "halts nothing by itself")


class BeforeHello(AgentTest):
    def start(self):
        super().start()
        self.client.buffer.clear()

    def test_work_needs_a_session(self):
        ours, theirs = socket.socketpair()
        command = [PROGRAM, "--port", f"fd:{theirs.fileno()}"]
        with ours, subprocess.Popen(command, pass_fds=[theirs.fileno()]) as process:
            theirs.close()
            client = agent.Client(ours)
            self.assertEqual(client.receive().type, agent.HELLO)
            client.send(agent.EXEC, 1, agent.exec_payload(["touch", str(self.work / "made")]))
            frame = client.receive()
            self.assertEqual((frame.type, frame.channel), (agent.ERROR, 0))
            ours.shutdown(socket.SHUT_RDWR)
            self.assertEqual(process.wait(20), 0)
        self.assertFalse((self.work / "made").exists())


class Halting(AgentTest):
    def setUp(self):
        self.asked = pathlib.Path(tempfile.mkdtemp(dir=FOLDER.name))
        os.mkfifo(self.asked / "pipe")
        script = self.asked / "halt"
        script.write_text(f"#!/bin/sh\nexec echo \"$@\" > {self.asked}/pipe\n")
        script.chmod(0o755)
        self.options = ["--halt-with", str(script)]
        super().setUp()

    def test_power_off_and_restart_run_the_program(self):
        for restart, word in ((False, "poweroff\n"), (True, "reboot\n")):
            self.client.power_off(restart)
            with open(self.asked / "pipe", encoding="ascii") as pipe:
                self.assertEqual(pipe.read(), word)
        self.client.send(agent.POWER_OFF, 0, b"\x02")
        self.assert_refused(0, "malformed POWER_OFF")


class Programs(AgentTest):
    def test_streams_are_apart_and_the_code_comes_back(self):
        result = self.client.run(["sh", "-c", "echo out; echo err >&2; exit 7"])
        self.assertEqual(result, agent.Result(7, b"out\n", b"err\n"))

    def test_input_reaches_the_program_and_ends(self):
        data = random.Random(1).randbytes(3 * MEBIBYTE + 17)
        result = self.client.run(["cat"], stdin=data)
        self.assertEqual(result.code, 0)
        self.assertEqual(result.stdout, data)

    def test_program_that_reads_no_input(self):
        result = self.client.run(["sh", "-c", "exec <&-; echo done"], stdin=bytes(2 * MEBIBYTE))
        self.assertEqual((result.code, result.stdout), (0, b"done\n"))

    def test_death_by_signal(self):
        self.assertEqual(self.client.run(["sh", "-c", "kill -TERM $$"]).code, 128 + 15)

    def test_program_that_is_not_there_or_cannot_be_run(self):
        result = self.client.run(["no-such-program"])
        self.assertEqual((result.code, result.stderr), (127, b"vivarium-agent: no-such-program: not found\n"))
        (self.work / "data").write_text("text")
        result = self.client.run(["./data"], folder=str(self.work))
        self.assertEqual(result.code, 126)
        self.assertIn(b"Permission denied", result.stderr)
        self.assertEqual(self.client.run(["/"]).code, 126)
        self.assertEqual(self.client.run(["true"], folder="/no/such/folder").code, 126)

    def test_environment_and_folder(self):
        result = self.client.run(["sh", "-c", "echo $ANSWER $PWD; test -n \"$PATH\""],
                                 environment={"ANSWER": "a=b c"}, folder=str(self.work))
        self.assertEqual((result.code, result.stdout), (0, f"a=b c {self.work}\n".encode()))

    def test_children_have_no_descriptor_of_the_agent(self):
        result = self.client.run(["sh", "-c", "ls /proc/self/fd"])
        self.assertEqual(result.stdout.split(), [b"0", b"1", b"2", b"3"])  # 3 is ls's own folder

    def test_background_process_does_not_hold_the_end_back(self):
        result = self.client.run(["sh", "-c", "sleep 1000 & echo $!"])
        self.assertEqual(result.code, 0)
        os.kill(int(result.stdout), 9)

    def test_adopted_orphans_are_reaped(self):
        result = self.client.run(["sh", "-c", "sleep 1000 & echo $!"])
        orphan = int(result.stdout)
        handle = os.pidfd_open(orphan)
        os.kill(orphan, 9)
        self.assertTrue(select.select([handle], [], [], 10)[0])
        os.close(handle)
        self.assert_alive()  # it reaps before it takes new frames
        self.assertFalse(os.path.exists(f"/proc/{orphan}"))

    def test_terminal(self):
        result = self.client.run(["sh", "-c", "stty size; test -t 0 && test -t 2 && ps -o tpgid= -p $$ | tr -d ' ' "
                                  "| grep -qx $(ps -o pgid= -p $$ | tr -d ' ') && echo foreground"], terminal=(43, 132))
        self.assertEqual(result.stdout, b"43 132\r\nforeground\r\n")

    def test_terminal_resize_signal_and_end_of_input(self):
        program = """
import os, signal, sys
os.system("stty -echo")
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGWINCH, signal.SIGINT])
print("ready", flush=True)
signal.sigwait([signal.SIGWINCH])
print(*reversed(os.get_terminal_size()), flush=True)
print("got", sys.stdin.readline().strip(), flush=True)
signal.sigwait([signal.SIGINT])
print("int", flush=True)
print("rest", repr(sys.stdin.read()))
"""
        self.client.send(agent.EXEC, 5, agent.exec_payload([sys.executable, "-c", program], rows=24, columns=80),
                         agent.EXEC_TERMINAL)
        seen = b""

        def wait_for(text):
            nonlocal seen
            while text not in seen:
                frame = self.client.receive()
                self.assertEqual(frame.type, agent.STDOUT)
                seen += frame.payload

        wait_for(b"ready\r\n")
        self.client.send(agent.RESIZE, 5, struct.pack("<HH", 50, 100))
        wait_for(b"50 100\r\n")
        self.client.send(agent.STDIN, 5, b"hello\n")
        wait_for(b"got hello\r\n")
        self.client.send(agent.STDIN, 5, b"\x03")
        wait_for(b"int\r\n")
        self.client.send(agent.STDIN_END, 5)
        wait_for(b"rest ''\r\n")
        self.assertEqual(self.frames_until(agent.EXITED, 5)[-1].payload, struct.pack("<II", 0, 0))

    def test_signal_and_cancel(self):
        for channel, kind, payload, signal in ((1, agent.SIGNAL, struct.pack("<I", 15), 15), (2, agent.CANCEL, b"", 9)):
            self.client.send(agent.EXEC, channel, agent.exec_payload(["sh", "-c", "echo ready; exec sleep 1000"]))
            self.frames_until(agent.STDOUT, channel)
            self.client.send(kind, channel, payload)
            self.assertEqual(self.frames_until(agent.EXITED, channel)[-1].payload, struct.pack("<II", 1, signal))
        self.client.send(agent.EXEC, 3, agent.exec_payload(["cat"]))
        self.client.send(agent.SIGNAL, 3, struct.pack("<I", 65))
        self.assert_refused(3, "number that is none")

    def test_slow_reader_stops_the_program_and_nothing_else(self):
        window = agent.WINDOW
        self.client.send(agent.EXEC, 1, agent.exec_payload(["head", "-c", str(16 * MEBIBYTE), "/dev/zero"]))
        received = 0
        while received < window:
            frame = self.client.receive()
            self.assertEqual((frame.type, frame.channel), (agent.STDOUT, 1))
            received += len(frame.payload)
        self.assertEqual(received, window)
        # No credit, so nothing more of channel 1 comes between the frames of another channel.
        self.client.send(agent.EXEC, 2, agent.exec_payload(["echo", "other"]))
        frames = [self.client.receive(), self.client.receive()]
        self.assertEqual([(frame.channel, frame.type) for frame in frames], [(2, agent.STDOUT), (2, agent.EXITED)])
        with open(f"/proc/{self.process.pid}/smaps_rollup", encoding="ascii") as file:
            before = int(re.search(r"^Rss:\s+(\d+)", file.read(), re.MULTILINE)[1])
        self.client.send(agent.WINDOW_MORE, 1, struct.pack("<I", 64 * MEBIBYTE))
        for frame in self.frames_until(agent.EXITED, 1)[:-1]:
            received += len(frame.payload)
        self.assertEqual(received, 16 * MEBIBYTE)
        with open(f"/proc/{self.process.pid}/smaps_rollup", encoding="ascii") as file:
            after = int(re.search(r"^Rss:\s+(\d+)", file.read(), re.MULTILINE)[1])
        self.assertLess(after - before, 1024, "KiB")

    def test_output_that_waits_for_credit_survives_the_program(self):
        # The program ends while its last output is still in the pipe and the credit is used up.
        size = agent.WINDOW + 5000
        self.client.send(agent.EXEC, 100, agent.exec_payload(["head", "-c", str(size), "/dev/zero"]))
        received = 0
        while received < agent.WINDOW:
            received += len(self.client.receive().payload)
        self.assert_alive()
        self.client.send(agent.WINDOW_MORE, 100, struct.pack("<I", 65536))
        frames = self.frames_until(agent.EXITED, 100)
        self.assertEqual(received + sum(len(frame.payload) for frame in frames[:-1]), size)

    def test_many_at_once(self):
        for channel in range(1, 33):
            self.client.send(agent.EXEC, channel, agent.exec_payload(["sh", "-c", f"read x; echo $x {channel}"]))
        self.client.send(agent.EXEC, 40, agent.exec_payload(["true"]))
        self.assert_refused(40, "at most 32")
        for channel in range(32, 0, -1):
            self.client.send(agent.STDIN, channel, b"word\n")
            frames = self.frames_until(agent.EXITED, channel)
            self.assertEqual(b"".join(frame.payload for frame in frames[:-1]), f"word {channel}\n".encode())

    def test_slow_host_socket(self):
        """The port itself is full: the agent keeps its output, and goes on when the host reads."""
        self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for channel in range(1, 9):
            self.client.send(agent.EXEC, channel, agent.exec_payload(["head", "-c", "200000", "/dev/zero"]))
        deadline = agent.time.monotonic() + 20
        while self.client.outgoing:
            self.client.pump(deadline)
        totals, ended = {}, 0
        while ended < 8:
            frame = self.client.receive()
            if frame.type == agent.EXITED:
                ended += 1
            else:
                totals[frame.channel] = totals.get(frame.channel, 0) + len(frame.payload)
        self.assertEqual(totals, {channel: 200000 for channel in range(1, 9)})


class Copies(AgentTest):
    def make_tree(self):
        tree = self.work / "tree"
        (tree / "deep" / "er").mkdir(parents=True)
        (tree / "empty").mkdir()
        (tree / "a file").write_bytes(random.Random(2).randbytes(MEBIBYTE))
        (tree / "deep" / "er" / "script").write_text("#!/bin/sh\necho ran\n")
        (tree / "deep" / "er" / "script").chmod(0o755)
        (tree / "deep" / "nothing").touch()
        (tree / "link").symlink_to("deep/er/script")
        (tree / "dangling").symlink_to("/no/where")
        return tree

    def assert_same(self, left, right):
        names = sorted(str(path.relative_to(left)) for path in left.rglob("*"))
        self.assertEqual(names, sorted(str(path.relative_to(right)) for path in right.rglob("*")))
        for name in names:
            one, two = left / name, right / name
            self.assertEqual(one.is_symlink(), two.is_symlink(), name)
            if one.is_symlink():
                self.assertEqual(os.readlink(one), os.readlink(two))
            elif one.is_file():
                self.assertEqual(one.read_bytes(), two.read_bytes(), name)
                self.assertEqual(one.stat().st_mode, two.stat().st_mode, name)

    def test_tree_in_and_out(self):
        tree = self.make_tree()
        self.client.put(tree, str(self.work / "new" / "place"))
        self.assert_same(tree, self.work / "new" / "place")
        self.assertEqual((tree / "a file").stat().st_mtime_ns,
                         (self.work / "new" / "place" / "a file").stat().st_mtime_ns)
        self.assertEqual(self.client.get(str(self.work / "new" / "place"), self.work / "back"), "")
        self.assert_same(tree, self.work / "back")

    def test_destination_folder_takes_the_name(self):
        tree = self.make_tree()
        (self.work / "into").mkdir()
        self.client.put(tree / "a file", str(self.work / "into"))
        self.client.put(tree / "a file", str(self.work / "made") + "/")
        self.client.put(tree / "a file", str(self.work / "plain"))
        for path in ("into/a file", "made/a file", "plain"):
            self.assertEqual((self.work / path).read_bytes(), (tree / "a file").read_bytes())

    def test_a_running_program_is_replaced(self):
        shutil.copy(shutil.which("sleep"), self.work / "program")
        self.client.send(agent.EXEC, 9, agent.exec_payload(["sh", "-c", "echo; exec ./program 1000"],
                                                           folder=str(self.work)))
        self.frames_until(agent.STDOUT, 9)
        (self.work / "other").write_text("new")
        self.client.put(self.work / "other", str(self.work / "program"))
        self.assertEqual((self.work / "program").read_text(), "new")

    def test_file_without_a_size(self):
        self.client.get("/proc/self/status", self.work / "status")
        self.assertIn("Name:\tagent", (self.work / "status").read_text())

    def test_top_link_is_followed_and_odd_things_are_named(self):
        tree = self.make_tree()
        os.mkfifo(tree / "pipe")
        (self.work / "link").symlink_to(tree)
        warnings = self.client.get(str(self.work / "link"), self.work / "back")
        self.assertEqual(warnings, "pipe: neither a file nor a folder nor a link\n")
        self.assertTrue((self.work / "back" / "dangling").is_symlink())

    def test_failures_are_named(self):
        for path, text in (("/no/such", "No such file"), ("/dev/null", "neither a file nor a folder")):
            with self.assertRaisesRegex(agent.AgentError, text):
                self.client.get(path, self.work / "out")
        (self.work / "file").touch()
        with self.assertRaisesRegex(agent.AgentError, "Not a directory"):
            self.client.put(self.work / "file", str(self.work / "file" / "below"))
        (self.work / "folder").mkdir()
        self.client.send(agent.PUT, 7, agent.string(str(self.work / "x")) + agent.string("x"))
        self.client.send(agent.ENTRY, 7, agent.entry_payload(agent.FOLDER, 0o755, ""))
        self.client.send(agent.ENTRY, 7, agent.entry_payload(agent.FILE, 0o644, "missing/file"))
        self.assert_refused(7, "No such file")
        self.assert_alive()

    def test_abandoned_copy_leaves_nothing(self):
        for end in ("cancel", "hello"):
            target = self.work / "unfinished"
            self.client.send(agent.PUT, 7, agent.string(str(target)) + agent.string("x"))
            self.client.send(agent.ENTRY, 7, agent.entry_payload(agent.FILE, 0o644, ""))
            self.client.send(agent.DATA, 7, bytes(1000))
            if end == "cancel":
                self.client.send(agent.CANCEL, 7)
                self.assert_refused(7, "cancelled")
            else:
                self.client.hello()
            self.assertEqual(list(self.work.iterdir()), [])

    def test_slow_reader_stops_a_copy(self):
        (self.work / "big").write_bytes(bytes(8 * MEBIBYTE))
        self.client.send(agent.GET, 1, agent.string(str(self.work / "big")))
        self.client.send(agent.EXEC, 2, agent.exec_payload(["sh", "-c", "read x; echo other"]))
        received = 0
        while received + 32768 <= agent.WINDOW:
            frame = self.client.receive()
            self.assertEqual(frame.channel, 1)
            received += len(frame.payload)
        self.client.send(agent.STDIN_END, 2)
        frames = [self.client.receive(), self.client.receive()]
        self.assertEqual([(frame.channel, frame.type) for frame in frames], [(2, agent.STDOUT), (2, agent.EXITED)])
        self.client.send(agent.CANCEL, 1)
        self.assert_refused(1, "cancelled")


class HostileFrames(AgentTest):
    def test_paths_that_lead_out(self):
        outside = self.work / "outside"
        for number, path in enumerate(("../outside", "/outside", "a/../../outside", ".", "a//b", "a/", "./a", "..")):
            self.client.send(agent.PUT, 100 + number, agent.string(str(self.work / "tree")) + agent.string("tree"))
            self.client.send(agent.ENTRY, 100 + number, agent.entry_payload(agent.FOLDER, 0o755, ""))
            self.client.send(agent.ENTRY, 100 + number, agent.entry_payload(agent.FILE, 0o644, path))
            self.assert_refused(100 + number, "malformed ENTRY")
        self.client.send(agent.PUT, 1, agent.string(str(self.work)) + agent.string("../outside"))
        self.assert_refused(1, "malformed PUT")
        self.assertFalse(outside.exists())

    def test_malformed_requests(self):
        word = agent.string("true")
        cases = [
            (agent.EXEC, b"", "malformed EXEC"),
            (agent.EXEC, struct.pack("<HHHH", 0, 0, 0, 0) + agent.string(""), "malformed EXEC"),
            (agent.EXEC, struct.pack("<HHHH", 65535, 65535, 0, 0) + agent.string("") + word, "malformed EXEC"),
            (agent.EXEC, struct.pack("<HHHH", 1, 0, 0, 0) + agent.string("") + struct.pack("<I", 0xFFFFFFFF),
             "malformed EXEC"),
            (agent.EXEC, struct.pack("<HHHH", 1, 0, 0, 0) + agent.string("") + agent.string(b"tr\0ue"),
             "malformed EXEC"),
            (agent.EXEC, struct.pack("<HHHH", 1, 1, 0, 0) + agent.string("") + word + agent.string("NAME"),
             "malformed EXEC"),
            (agent.EXEC, struct.pack("<HHHH", 1, 1, 0, 0) + agent.string("") + word + agent.string("=x"),
             "malformed EXEC"),
            (agent.EXEC, agent.exec_payload(["true"]) + b"x", "malformed EXEC"),
            (agent.EXEC, agent.exec_payload(["true"], folder="x" * 5000), "malformed EXEC"),
            (agent.PUT, agent.string(""), "malformed PUT"),
            (agent.PUT, agent.string("") + agent.string("x"), "malformed PUT"),
            (agent.GET, agent.string(""), "malformed GET"),
            (agent.GET, struct.pack("<I", 100) + b"short", "malformed GET"),
        ]
        for channel, (kind, payload, text) in enumerate(cases, start=1):
            self.client.send(kind, channel, payload)
            self.assert_refused(channel, text)
        self.assert_alive()

    def test_frames_of_the_wrong_kind_or_place(self):
        self.client.send(0xEE, 0)
        self.assert_refused(0, "0xee")
        self.client.send(agent.EXEC, 1, agent.exec_payload(["cat"]))
        self.client.send(agent.ENTRY, 1, agent.entry_payload(agent.FILE, 0o644, "x"))
        self.assert_refused(1, "takes no frame of type 0x43")
        self.client.send(agent.PUT, 1, agent.string(str(self.work / "f")) + agent.string("f"))
        self.client.send(agent.DATA, 1, b"x")
        self.assert_refused(1, "DATA without a file")
        self.client.send(agent.PUT, 1, agent.string(str(self.work / "f")) + agent.string("f"))
        self.client.send(agent.STDIN_END, 1)
        self.assert_refused(1, "takes no frame of type 0x11")
        self.client.send(agent.EXEC, 1, agent.exec_payload(["cat"]))
        self.client.send(agent.EXEC, 1, agent.exec_payload(["cat"]))
        self.assert_refused(1, "in use")
        self.client.send(agent.STDIN, 77, b"to nobody")
        self.client.send(agent.WINDOW_MORE, 77, struct.pack("<I", 1))
        self.assert_alive()

    def test_more_input_than_credit(self):
        self.client.send(agent.EXEC, 1, agent.exec_payload(["sleep", "1000"]))
        for _ in range(self.client.window // 65536 + 2):  # a pipe holds one more
            self.client.send(agent.STDIN, 1, bytes(65536))
        self.assert_refused(1, "more data than there was credit for")
        self.client.send(agent.EXEC, 1, agent.exec_payload(["cat"]))
        self.client.send(agent.WINDOW_MORE, 1, struct.pack("<I", 0x7FFFFFFF))
        self.assert_refused(1, "WINDOW without measure")
        self.assert_alive()

    def test_stream_that_is_no_frame(self):
        self.client.outgoing += struct.pack("<IBBH", 65537, 0, 0, 0)
        self.assert_refused(0, "more than 65536 bytes")
        self.assertEqual(self.process.wait(20), 0)

    def test_random_frames(self):
        """What decodes, is decoded; what does not, is refused; the sanitizers watch."""
        chance = random.Random(20)
        valid = [
            (agent.EXEC, agent.exec_payload(["true", "x"], {"N": "v"})),
            (agent.PUT, agent.string("xyz") + agent.string("xx")),
            (agent.ENTRY, agent.entry_payload(agent.FILE, 0o600, "xx")),
            (agent.ENTRY, agent.entry_payload(agent.LINK, 0o600, "xx", "yy")),
            (agent.ENTRY, agent.entry_payload(agent.FOLDER, 0o700, "")),
            (agent.DATA, bytes(100)), (agent.END, bytes(8)), (agent.GET, agent.string("xyz")),
            (agent.STDIN, b"text"), (agent.STDIN_END, b""), (agent.RESIZE, bytes(4)), (agent.CANCEL, b""),
            (agent.WINDOW_MORE, struct.pack("<I", 100)),
        ]
        stop = threading.Event()

        def drain():
            while not stop.is_set():
                if select.select([self.stream], [], [], 0.2)[0]:
                    self.stream.recv(1 << 20)

        self.stream.setblocking(True)
        reader = threading.Thread(target=drain)
        reader.start()
        try:
            for _ in range(4000):
                kind, payload = chance.choice(valid)
                payload = bytearray(payload)
                for _ in range(chance.choice((0, 0, 1, 1, 2))):
                    if payload:
                        # Only numbers are damaged: a damaged name could be a path that matters on this machine.
                        places = [at for at, byte in enumerate(payload) if byte < 0x20]
                        if places:
                            payload[chance.choice(places)] = chance.choice((0, 1, 2, 3, 4, 7, 8, 0x1F, 0x80, 0xFF))
                if chance.random() < 0.1:
                    payload = payload[:chance.randrange(len(payload) + 1)]
                self.stream.sendall(agent.frame_bytes(kind, chance.randrange(1, 6), bytes(payload),
                                                      chance.choice((0, 0, 0, 1, 2))))
        finally:
            stop.set()
            reader.join()
        self.client = agent.Client(self.stream, timeout=20)
        # The reader may have taken the first half of a frame: a new stream position is found by the answer's own bytes.
        self.stream.setblocking(True)
        self.stream.settimeout(20)
        hello = struct.pack("<IHHII", agent.MAGIC, 1, 0, 0x1234567, 65536)
        self.stream.sendall(agent.frame_bytes(agent.HELLO, 0, hello))
        seen = b""
        while struct.pack("<I", 0x1234567) not in seen:
            seen += self.stream.recv(65536)


class Terminal(unittest.TestCase):
    """A character device as the port, as in a guest: it is opened by name, in pieces, and opened again."""

    def setUp(self):
        self.master, slave = pty.openpty()
        tty.setraw(slave)
        self.process = subprocess.Popen([PROGRAM, "--port", os.ttyname(slave)], stdin=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE)
        os.set_blocking(self.master, False)
        self.slave = slave

    def tearDown(self):
        self.process.kill()
        self.process.communicate()
        os.close(self.master)
        os.close(self.slave)

    def read(self, size):
        data = b""
        while len(data) < size:
            self.assertTrue(select.select([self.master], [], [], 20)[0], "the agent is silent")
            data += os.read(self.master, size - len(data))
        return data

    def frame(self):
        length, kind, _, channel = struct.unpack("<IBBH", self.read(8))
        return agent.Frame(kind, channel, self.read(length))

    def write(self, data, piece):
        for at in range(0, len(data), piece):
            self.assertTrue(select.select([], [self.master], [], 20)[1])
            os.write(self.master, data[at:at + piece])

    def test_pieces_all_bytes_and_a_fresh_start(self):
        hello = agent.frame_bytes(agent.HELLO, 0, struct.pack("<IHHII", agent.MAGIC, 1, 0, 99, 65536))
        first = self.frame()
        self.assertEqual((first.type, first.payload[8:12]), (agent.HELLO, bytes(4)))
        self.write(hello, 1)
        self.assertEqual(self.frame().payload[8:12], struct.pack("<I", 99))
        self.write(agent.frame_bytes(agent.EXEC, 1, agent.exec_payload(["cat"])), 3)
        every = bytes(range(256))
        self.write(agent.frame_bytes(agent.STDIN, 1, every), 7)
        frame = self.frame()
        self.assertEqual((frame.type, frame.payload), (agent.STDOUT, every))
        # Garbage: an error, and the port is opened again.
        self.write(struct.pack("<IBBH", 0xFFFFFFFF, 0, 0, 0), 8)
        self.assertEqual(self.frame().type, agent.ERROR)
        again = self.frame()
        self.assertEqual((again.type, again.payload[8:12]), (agent.HELLO, bytes(4)))
        self.write(hello, 5)
        self.assertEqual(self.frame().payload[8:12], struct.pack("<I", 99))


class Options(unittest.TestCase):
    def test_bad_options_are_named(self):
        for arguments, code, text in ((["--prt", "x"], 2, "--prt: unknown"), (["--port", "fd:99"], 1, "fd:99"),
                                      (["--port", "/no/such"], 1, "/no/such: No such file")):
            done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=20, check=False)
            self.assertEqual(done.returncode, code)
            self.assertIn(text, done.stderr)


class HostSide(unittest.TestCase):
    """A guest that lies must not make the host write elsewhere."""

    def test_paths_of_a_hostile_guest(self):
        with tempfile.TemporaryDirectory(dir=FOLDER.name) as folder:
            target = pathlib.Path(folder) / "target"
            made = set()
            agent.Client.store(agent.entry_payload(agent.FOLDER, 0o755, ""), target, made)
            agent.Client.store(agent.entry_payload(agent.LINK, 0o777, "out", folder), target, made)
            for path in ("../x", "/x", "out/x", "a/b", "a//b"):
                with self.assertRaises(agent.AgentError):
                    agent.Client.store(agent.entry_payload(agent.FILE, 0o644, path), target, made)
            with self.assertRaises(OSError):
                agent.Client.store(agent.entry_payload(agent.FILE, 0o644, "out"), target, made)
            self.assertEqual(os.listdir(folder), ["target"])


if __name__ == "__main__":
    unittest.main()
