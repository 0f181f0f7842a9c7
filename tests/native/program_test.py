"""The program viv from outside, with a firmware that echoes: bad input, exit codes, serial ports, monitor and debugger,
the terminal and signals, saving and restoring, repeatable runs."""

import fcntl
import json
import os
import pathlib
import pty
import resource
import select
import signal
import socket
import struct
import struct
import subprocess
import sys
import tempfile
import termios
import unittest

HERE = pathlib.Path(__file__).resolve()
sys.path.insert(0, str(HERE.parent))

import echo_firmware  # noqa: E402

VIV = os.environ.get("VIV", str(HERE.parents[2] / "build" / "release" / "bin" / "viv"))
TIME = 60 * float(os.environ.get("VIV_PATIENCE", "1"))


class ProgramTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="viv-program-test-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.bios = str(self.folder / "echo.bin")
        pathlib.Path(self.bios).write_bytes(echo_firmware.image())
        self.busy_bios = str(self.folder / "busy.bin")
        pathlib.Path(self.busy_bios).write_bytes(echo_firmware.image(busy=True))

    def viv(self, *arguments, **options):
        return subprocess.run([VIV, *arguments], capture_output=True, text=True, timeout=TIME, cwd=self.folder,
                              stdin=options.pop("stdin", subprocess.DEVNULL), **options)

    def run_args(self, *options, busy=False):
        return "run", "--bios", self.busy_bios if busy else self.bios, *options

    def refused(self, message, *arguments, env=None):
        before = sorted(self.folder.rglob("*"))
        result = self.viv(*arguments, env=env)
        self.assertEqual(result.stdout, "")
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        self.assertIn(message, result.stderr)
        self.assertTrue(result.stderr.startswith("viv: "))
        self.assertEqual(result.returncode, 2)
        self.assertEqual(sorted(self.folder.rglob("*")), before)

    def start(self, *arguments, **options):
        process = subprocess.Popen([VIV, *arguments], cwd=self.folder, **options)

        def stop():
            if process.poll() is None:
                process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream:
                    stream.close()
        self.addCleanup(stop)
        return process

    def start_listening(self, *options, **how):
        """viv with its prompt on standard streams: when that shows, every socket of its options listens."""
        process = self.start(*self.run_args(), "--monitor", "stdio", *options, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, **how)
        self.read_until(process.stdout.fileno(), b"(viv)")
        return process

    def connect(self, path):
        client = socket.socket(socket.AF_UNIX)
        self.addCleanup(client.close)
        client.settimeout(TIME)
        client.connect(str(self.folder / path))
        return client

    def read_until(self, source, text):
        seen = b""
        while text not in seen:
            data = source.recv(65536) if isinstance(source, socket.socket) else os.read(source, 65536)
            self.assertTrue(data, f"no {text!r} in {seen!r}")
            seen += data
        return seen


class BadInputTest(ProgramTest):
    def test_options(self):
        self.refused("a command is missing")
        self.refused("rum: is no command; there are run, exec, lockstep, save, snapshot, publish, lab, list, info, version, help; did you mean run?",
                     "rum")
        self.refused("run: unknown option --memroy; did you mean --memory?", "run", "--memroy", "1G")
        self.refused("--memory 1: a size needs a unit", *self.run_args(), "--memory", "1")
        self.refused("--memory 100T: this host has", *self.run_args(), "--memory", "100T")
        self.refused("--memory 1M is too small", *self.run_args(), "--memory", "1M")
        self.refused("--cpus 99: riscv-virt has at most 8 CPUs", *self.run_args(), "--cpus", "99")
        self.refused("--cpu rv46: no such CPU", *self.run_args(), "--cpu", "rv46")
        self.refused("(did you mean riscv-virt?)", *self.run_args(), "--machine", "riscv-vrit")
        self.refused("(did you mean virtio-blk-pci?)", *self.run_args(), "--device", "virtio-blk-pcu")
        self.refused("--device ns16550a: is part of the board", *self.run_args(), "--device", "ns16550a")
        self.refused("virtio-net-pci: property 'mac' is '1:2', but wants six bytes as in 52:54:00:12:34:56",
                     *self.run_args(), "--device", "virtio-net-pci,net=null,mac=1:2")
        self.refused("e1000e: unknown property 'queue-size' (it has mac=ADDRESS, addr=SLOT)",
                     *self.run_args(), "--net", "null,model=e1000e,queue-size=64")
        self.refused("--net null,model=e1000: there is no device 'e1000'", *self.run_args(), "--net", "null,model=e1000")
        self.refused("emmc: no disk is connected to it; use file=FILE", *self.run_args(), "--device", "emmc")
        self.refused("emmc: unknown property 'rpmb' (it has serial=N, boot-size-mult=N, rpmb-size-mult=N, addr=SLOT)",
                     *self.run_args(), "--device", "emmc,rpmb=1")
        self.refused("e1000e: no network is connected to it", *self.run_args(), "--device", "e1000e")
        self.refused("virtio-rng-pci", *self.run_args(), "--device", "virtio-rng-pci,perod=1")
        self.refused("nothing to boot", "run", "--memory", "1G")
        self.refused("has 1 serial port", *self.run_args(), "--serial", "null", "--serial", "file:out")

    def test_kernels_and_firmware(self):
        (self.folder / "empty").touch()
        (self.folder / "short.elf").write_bytes(b"\x7fELF\x02\x01\x01" + bytes(20))
        self.refused("--kernel missing: cannot open: No such file or directory", "run", "--kernel", "missing")
        self.refused("--kernel empty: is empty", "run", "--kernel", "empty")
        self.refused("--kernel .: is a directory", "run", "--kernel", ".")
        self.refused("--bios missing: cannot open", "run", "--bios", "missing")
        self.refused("--initrd missing: cannot open", *self.run_args(), "--initrd", "missing")
        for name in ("short.elf", os.path.realpath(sys.executable)):
            self.refused(name, "run", "--kernel", name)

    def test_guests(self):
        recipes = self.folder / "recipes" / "tiny"
        recipes.mkdir(parents=True)
        (recipes / "guest.toml").write_text('title = "x"\n')
        environment = dict(os.environ, VIVARIUM_GUESTS=str(recipes.parent), XDG_CACHE_HOME=str(self.folder / "cache"))
        self.refused("tinny: is no guest; there are tiny; did you mean tiny?", "run", "tinny", env=environment)
        self.refused("tinny: is no guest", "exec", "tinny", "--", "true", env=environment)
        # It is known, but cannot be built: that is no bad input any more.
        result = self.viv("run", "tiny", env=environment)
        self.assertEqual((result.returncode, result.stderr.count("\n")), (1, 1))
        self.assertIn("tiny: is not built", result.stderr)

    def test_disks_and_shares(self):
        (self.folder / "odd").write_bytes(bytes(1000))
        (self.folder / "image").write_bytes(b"QFI\xfb\0\0\0\1" + bytes(1 << 16))
        (self.folder / "disk").write_bytes(bytes(1 << 16))
        run = self.run_args("--serial", "null")
        self.refused("--disk missing: cannot open: No such file or directory", *run, "--disk", "missing")
        self.refused("odd", *run, "--disk", "odd")
        self.refused("--disk image: is a qcow image, and that format cannot be opened by this version", *run, "--disk",
                     "image")
        self.refused("--disk image: is a qcow2 image of version 1; there are 2 and 3", *run, "--disk", "image,format=qcow2")
        self.refused("--disk .: is a directory", *run, "--disk", ".")
        self.refused("missing", *run, "--share", "missing:tag")
        with open(self.folder / "disk", "r+b") as held:
            lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            fcntl.fcntl(held, fcntl.F_OFD_SETLK, lock)
            self.refused("--disk disk: is in use by another program", *run, "--disk", "disk")

    def test_endpoints(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            # The log file that is named first must not be there afterwards either.
            self.refused(f"--gdb :{port}: the port is in use", *self.run_args(), "--serial", "file:log", "--gdb",
                         f":{port}")
        self.refused("--serial unix:nobody: ", *self.run_args(), "--serial", "unix:nobody")
        self.refused("--serial file:no/log: the folder no: No such file or directory", *self.run_args(), "--serial",
                     "file:no/log")
        self.refused("--qmp unix:no/s: the folder no", *self.run_args(), "--qmp", "unix:no/s")
        self.refused("--save-at-end no/f: the folder no", *self.run_args(), "--save-at-end", "no/f")

    def test_saved_machines(self):
        (self.folder / "noise").write_bytes(bytes(range(256)) * 64)
        self.refused("--restore missing: cannot open", "run", "--restore", "missing")
        self.refused("--restore noise: ", "run", "--restore", "noise")

    def test_exec(self):
        self.refused("exec: the command is missing", "exec", "linux-riscv64")
        self.refused("--copy-in missing: No such file or directory", "exec", "linux-riscv64", "--copy-in",
                     "missing:/x", "--", "true")
        self.refused("the folder no: No such file or directory", "exec", "linux-riscv64", "--copy-out", "/x:no/x",
                     "--", "true")


class RunTest(ProgramTest):
    def test_exit_codes_are_the_guests(self):
        for typed, code in ((b"abcq", 0), (b"f", 3)):
            process = self.start(*self.run_args(), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self.read_until(process.stdout.fileno(), b"ready\n")
            os.write(process.stdin.fileno(), typed)
            self.assertEqual(process.stdout.read(), typed)
            self.assertEqual(process.wait(TIME), code)

    def test_timeout(self):
        result = self.viv(*self.run_args(), "--serial", "null", "--timeout", "0.2")
        self.assertEqual((result.returncode, result.stderr), (124, "viv: run: --timeout: 0.2 seconds are over\n"))

    def test_a_reader_that_leaves_ends_it_quietly(self):
        process = self.start(*self.run_args(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.read_until(process.stdout.fileno(), b"ready\n")
        process.stdout.close()
        os.write(process.stdin.fileno(), b"x")
        self.assertEqual(process.wait(TIME), 141)
        self.assertEqual(process.stderr.read(), b"")
        process.stdout = None

    def test_standard_descriptors_may_be_closed(self):
        result = subprocess.run(["sh", "-c", f'"{VIV}" run --bios "{self.bios}" --timeout 0.3 <&- >&-'],
                                capture_output=True, timeout=TIME)
        self.assertEqual(result.returncode, 124)

    def test_a_reset_starts_it_again(self):
        process = self.start_listening("--serial", "unix:s,server")
        client = self.connect("s")
        client.sendall(b"R")
        self.read_until(client, b"Rready\n")
        client.sendall(b"q")
        self.assertEqual(process.wait(TIME), 0)

    def test_a_reset_ends_it_if_that_is_wanted(self):
        process = self.start_listening("--serial", "unix:s,server", "--no-reboot")
        client = self.connect("s")
        client.sendall(b"R")
        self.assertEqual(process.wait(TIME), 0)
        received = b""
        while data := client.recv(65536):
            received += data
        self.assertTrue(received.endswith(b"R"), received)

    def test_it_may_open_as_many_files_as_the_system_lets_it(self):
        def limits(process):
            with open(f"/proc/{process.pid}/limits") as file:
                return next(line.split()[3:5] for line in file if line.startswith("Max open files"))

        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        process = self.start(*self.run_args(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard)))
        self.read_until(process.stdout.fileno(), b"ready\n")
        soft_now, hard_now = limits(process)
        self.assertEqual(soft_now, hard_now)

        # What it starts keeps the old limit: here the tool that builds a guest, in an environment of ours.
        recipes = self.folder / "recipes"
        (recipes / "tools").mkdir(parents=True)
        (recipes / "tiny").mkdir()
        (recipes / "tiny" / "guest.toml").write_text('title = "x"\n')
        (recipes / "tools" / "guest.py").write_text(
            "import resource\nprint(resource.getrlimit(resource.RLIMIT_NOFILE)[0])\nraise SystemExit(1)\n")
        environment = dict(os.environ, VIVARIUM_GUESTS=str(recipes), XDG_CACHE_HOME=str(self.folder / "cache"))
        result = self.viv("run", "tiny", env=environment,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard)))
        self.assertEqual(result.stderr.splitlines()[0], "64")

    def test_serial_to_a_file(self):
        self.viv(*self.run_args(busy=True), "--serial", "file:log", "--max-instructions", "100000", check=True)
        self.assertEqual((self.folder / "log").read_bytes(), b"ready\n")

    def test_serial_to_a_socket_with_much_data(self):
        process = self.start_listening("--serial", "unix:s,server")
        client = self.connect("s")
        sent = bytes(97 + i % 10 for i in range(50_000)).replace(b"f", b"F")
        sender = os.fork()
        if sender == 0:
            client.sendall(sent)
            os._exit(0)
        received = b""
        while sent[:100] not in received or len(received[received.index(sent[:100]):]) < len(sent):
            received += client.recv(65536)
        os.waitpid(sender, 0)
        self.assertTrue(received.endswith(sent))
        client.sendall(b"q")
        self.assertEqual(process.wait(TIME), 0)
        self.assertFalse((self.folder / "s").exists())

    def test_serial_over_tcp_to_a_listener(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(TIME)
            process = self.start(*self.run_args(), "--serial", f"tcp:127.0.0.1:{server.getsockname()[1]}")
            client, _ = server.accept()
            with client:
                client.settimeout(TIME)
                self.read_until(client, b"ready\n")
                client.sendall(b"xq")
                self.read_until(client, b"xq")
                self.assertEqual(process.wait(TIME), 0)

    def test_an_idle_machine_sleeps(self):
        process = self.start(*self.run_args(), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.read_until(process.stdout.fileno(), b"ready\n")

        def times():
            fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
            return int(fields[11]) + int(fields[12]), fields[0]
        # This measures what happens while nothing does: a moment for its last words, then not one tick, and asleep.
        select.select([], [], [], 0.2)
        before, _ = times()
        select.select([], [], [], 0.5)
        after, state = times()
        self.assertLessEqual(after - before, 1)
        self.assertEqual(state, "S")

    def test_signals_end_it_as_signals_do(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            process = self.start(*self.run_args(), "--qmp", "unix:q", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self.read_until(process.stdout.fileno(), b"ready\n")
            process.send_signal(number)
            self.assertEqual(process.wait(TIME), -number)
            self.assertFalse((self.folder / "q").exists())


class ControlTest(ProgramTest):
    def qmp(self, client, command, **arguments):
        client.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while True:
            while b"\n" not in self.pending:
                data = client.recv(65536)
                self.assertTrue(data)
                self.pending += data
            line, self.pending = self.pending.split(b"\n", 1)
            message = json.loads(line)
            if "return" in message or "error" in message:
                return message

    def open_qmp(self):
        client = self.connect("q")
        self.pending = self.read_until(client, b"\n").split(b"\n", 1)[1]
        self.assertEqual(self.qmp(client, "qmp_capabilities"), {"return": {}})
        return client

    def test_qmp(self):
        process = self.start_listening("--serial", "null", "--qmp", "unix:q", "--paused")
        client = self.open_qmp()
        self.assertEqual(self.qmp(client, "query-status")["return"]["status"], "paused")
        self.assertEqual(self.qmp(client, "cont"), {"return": {}})
        self.assertTrue(self.qmp(client, "query-status")["return"]["running"])
        self.assertEqual([cpu["thread-id"] for cpu in self.qmp(client, "query-cpus-fast")["return"]], [process.pid])
        self.assertEqual(self.qmp(client, "query-block"), {"return": []})
        self.assertEqual(self.qmp(client, "quit"), {"return": {}})
        self.assertEqual(process.wait(TIME), 0)
        self.assertFalse((self.folder / "q").exists())

    def test_qmp_names_threads_and_disks(self):
        for name in ("one", "two"):
            (self.folder / name).write_bytes(bytes(1 << 16))
        process = self.start_listening("--serial", "null", "--qmp", "unix:q", "--cpus", "2", "--harts", "parallel",
                                       "--disk", "one", "--disk", "file=two,snapshot=on")
        client = self.open_qmp()
        ids = [cpu["thread-id"] for cpu in self.qmp(client, "query-cpus-fast")["return"]]
        tasks = pathlib.Path(f"/proc/{process.pid}/task")
        self.assertEqual([(tasks / str(thread) / "comm").read_text() for thread in ids], ["hart 0\n", "hart 1\n"])
        disks = [disk["inserted"] for disk in self.qmp(client, "query-block")["return"]]
        self.assertEqual([(disk["file"], disk["drv"], disk["image"]["virtual-size"]) for disk in disks],
                         [("one", "raw", 1 << 16), ("two", "raw", 1 << 16)])
        self.assertEqual(self.qmp(client, "quit"), {"return": {}})
        self.assertEqual(process.wait(TIME), 0)

    def test_encrypted_disks(self):
        (self.folder / "key").write_text("a passphrase")
        (self.folder / "wrong").write_text("another")
        image_tool = pathlib.Path(VIV).with_name("viv-img")
        for name, words in (("raw", ("-f", "luks", "-o", "iter-time=1")), ("cow", ("-f", "qcow2", "-o", "encrypt.format=luks,encrypt.iter-time=1")),
                            ("plain", ("-f", "qcow2"))):
            key = () if name == "plain" else ("--key-file", "key")
            subprocess.run([image_tool, "create", "-q", *words, *key, name, "64k"], cwd=self.folder, check=True)
        self.refused("--disk cow: is encrypted, and opens with its passphrase only", *self.run_args(), "--disk", "cow")
        self.refused("--disk cow: is not opened by this passphrase", *self.run_args(), "--disk", "cow,key-file=wrong")
        self.refused("--disk plain: is not encrypted", *self.run_args(), "--disk", "plain,key-file=key")
        self.refused("--disk nothing: cannot read a passphrase", *self.run_args(), "--disk", "cow,key-file=nothing")
        for disk, kind in (("raw,format=luks", "luks"), ("cow", "qcow2"), ("cow,snapshot=on", "qcow2"), ("raw,format=luks,overlay=over", "qcow2")):
            with self.subTest(disk=disk):
                source, sink = os.pipe()
                os.write(sink, b"a passphrase")
                os.close(sink)
                process = self.start_listening("--serial", "null", "--qmp", "unix:q", "--disk", f"{disk},key-file=fd:{source}", pass_fds=[source])
                os.close(source)
                client = self.open_qmp()
                found = self.qmp(client, "query-block")["return"][0]
                self.assertEqual((found["inserted"]["drv"], found["inserted"]["image"]["virtual-size"]), (kind, 1 << 16))
                if "," not in disk:
                    answer = self.qmp(client, "blockdev-snapshot-sync", **{"device": found["device"], "snapshot-file": str(self.folder / "new")})
                    self.assertIn("an overlay would hold in the clear", answer["error"]["desc"])
                    self.assertFalse((self.folder / "new").exists())
                self.qmp(client, "quit")
                self.assertEqual(process.wait(TIME), 0)
        info = subprocess.run([image_tool, "info", "over"], cwd=self.folder, check=True, capture_output=True, text=True)
        self.assertIn("encrypted: yes", info.stdout)
        (self.folder / "over").unlink()
        subprocess.run([image_tool, "create", "-q", "-f", "qcow2", "-b", "raw", "-F", "luks", "over"], cwd=self.folder, check=True)
        self.refused("--disk over: is not encrypted, and would hold in the clear", *self.run_args(), "--disk", "raw,format=luks,overlay=over,key-file=key")

    def test_qmp_on_standard_streams(self):
        process = self.start(*self.run_args(), "--qmp", "stdio", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.assertIn(b"QMP", self.read_until(process.stdout.fileno(), b"\n"))
        process.stdin.write(b'{"execute":"qmp_capabilities"}{"execute":"quit"}\n')
        process.stdin.flush()
        self.assertIn(b'"return"', process.stdout.read())
        self.assertEqual(process.wait(TIME), 0)

    def test_the_prompt_on_a_socket(self):
        process = self.start(*self.run_args(), "--monitor", "unix:m", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.read_until(process.stdout.fileno(), b"ready\n")
        client = self.connect("m")
        client.sendall(b"info cpus\nquit\n")
        self.read_until(client, b"CPU 0")
        self.assertEqual(process.wait(TIME), 0)

    def test_gdb(self):
        process = self.start_listening("--serial", "null", "--gdb", "unix:g")
        client = self.connect("g")
        client.sendall(b"+$?#3f")
        self.assertIn(b"$T05", self.read_until(client, b"#"))
        client.sendall(b"+$k#6b")
        self.assertEqual(process.wait(TIME), 0)

    def test_vnc(self):
        process = self.start_listening("--serial", "null", "--vnc", "unix:v", "--qmp", "unix:q")
        for hello, expected in ((b"RFB 003.008\n\1\1", b"vivarium"), (b"GET / HTTP/1.1\r\n\r\n", None), (b"RFB 003.008\n\1\1", b"vivarium")):
            client = self.connect("v")
            self.assertEqual(self.read_until(client, b"\n"), b"RFB 003.008\n")
            client.sendall(hello)
            if expected:
                self.assertIn(struct.pack(">HH", 640, 480), self.read_until(client, struct.pack(">HH", 640, 480)))
            else:
                self.assertEqual(client.recv(100), b"")  # no viewer
            client.close()
        client = self.connect("q")
        client.sendall(b'{"execute":"qmp_capabilities"}{"execute":"quit"}')
        self.assertEqual(process.wait(TIME), 0)

    def test_save_and_restore(self):
        run = (*self.run_args(busy=True), "--memory", "64M", "--deterministic", "--serial", "null", "--print-hash")
        straight = self.viv(*run, "--max-instructions", "3000000", check=True).stdout
        self.assertRegex(straight, r"^state [0-9a-f]{32} after 3000000 instructions\n$")
        self.assertEqual(self.viv(*run, "--max-instructions", "3000000", check=True).stdout, straight)
        self.viv(*run, "--max-instructions", "1234567", "--save-at-end", "saved", check=True)
        self.assertEqual((self.folder / "saved").stat().st_mode & 0o777, 0o600)
        resumed = self.viv("run", "--restore", "saved", "--serial", "null", "--max-instructions", "3000000",
                           "--print-hash", check=True).stdout
        self.assertEqual(resumed, straight)
        other = self.viv(*run, "--seed", "2", "--max-instructions", "3000000", check=True).stdout
        self.assertNotEqual(other, straight)

    def test_saving_a_running_machine(self):
        (self.folder / "disk").write_bytes(bytes(1 << 16))
        process = self.start_listening("--serial", "null", "--qmp", "unix:q", "--disk", "disk,serial=s1",
                                       "--memory", "64M")
        self.assertEqual(self.viv("save", "--from", "unix:q", "vm.saved").returncode, 0)
        refused = self.viv("save", "--from", "unix:q", "no/vm.saved")
        self.assertEqual((refused.returncode, refused.stderr.count("\n")), (2, 1))
        process.terminate()
        process.wait()
        # The disk is not in it, and is not opened by what a file says.
        result = self.viv("run", "--restore", "vm.saved")
        self.assertEqual((result.returncode, result.stderr),
                         (2,
                          "viv: --restore vm.saved: the same devices are needed as when it was saved: "
                          "--disk file=disk,serial=s1\n"))
        result = self.viv("run", "--restore", "vm.saved", "--disk", "disk,serial=s1", "--serial", "null", "--timeout",
                          "0.3")
        self.assertEqual(result.returncode, 124, result.stderr)
        cut = (self.folder / "vm.saved").read_bytes()
        (self.folder / "vm.saved").write_bytes(cut[:-100])
        result = self.viv("run", "--restore", "vm.saved", "--disk", "disk,serial=s1")
        self.assertEqual((result.returncode, result.stderr.count("\n")), (2, 1))

    def test_info_of_translated_code(self):
        process = self.start(*self.run_args(), "--qmp", "unix:q", "--monitor", "unix:m", "--jit", "off",
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.read_until(process.stdout.fileno(), b"ready\n")
        off = self.viv("info", "jit", "--from", "unix:q")
        self.assertEqual((off.returncode, off.stderr), (0, ""))
        self.assertEqual(off.stdout, "nothing is translated, the interpreter does it all: --jit off\n")
        raw = self.viv("info", "jit", "--from", "unix:q", "--json", check=True).stdout
        self.assertEqual((json.loads(raw), raw.count("\n")), ({"jit": "off", "cpus": []}, 1))
        for endpoint, problem in (("unix:m", "does not speak QMP; give the --qmp of a running viv"),
                                  ("unix:none", "No such file or directory; start the machine with it, as in viv run "
                                                "GUEST --qmp unix:none"),
                                  (f"unix:{self.bios}", "Connection refused; start the machine with it, as in viv run "
                                                        f"GUEST --qmp unix:{self.bios}")):
            result = self.viv("info", "jit", "--from", endpoint)
            self.assertEqual((result.returncode, result.stdout, result.stderr),
                             (2, "", f"viv: --from {endpoint}: {problem}\n"))

    def test_input_of_deterministic_runs_is_read_ahead(self):
        def once(text):
            return subprocess.run([VIV, *self.run_args(), "--memory", "64M", "--deterministic", "--print-hash"],
                                  input=text,
                                  capture_output=True, timeout=TIME)
        first = once(b"one\nq")
        self.assertEqual(first.returncode, 0)
        self.assertIn(b"ready\none\nq\nstate ", first.stdout)
        self.assertEqual(once(b"one\nq").stdout, first.stdout)


class TerminalTest(ProgramTest):
    def open_terminal(self, *arguments):
        outer, self.inner = pty.openpty()
        self.addCleanup(os.close, outer)
        self.addCleanup(os.close, self.inner)
        fcntl.ioctl(self.inner, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 101, 0, 0))
        self.before = termios.tcgetattr(self.inner)
        process = self.start(*self.run_args(), *arguments, stdin=self.inner, stdout=self.inner, stderr=self.inner,
                             start_new_session=True)
        self.read_until(outer, b"ready\n")
        return process, outer

    def restored(self):
        return termios.tcgetattr(self.inner) == self.before

    def test_keys(self):
        process, outer = self.open_terminal()
        self.assertFalse(self.restored())
        os.write(outer, b"\x03\x04\x1aabc\x01\x01")
        self.read_until(outer, b"\x03\x04\x1aabc\x01")
        os.write(outer, b"\x01h")
        self.read_until(outer, b"Ctrl-A x")
        os.write(outer, b"\x01c")
        self.read_until(outer, b"(viv)")
        os.write(outer, b"info cpus\r")
        self.read_until(outer, b"CPU 0")
        os.write(outer, b"\x01cxyz")
        self.read_until(outer, b"xyz")
        os.write(outer, b"\x01x")
        self.assertEqual(process.wait(TIME), 0)
        self.assertTrue(self.restored())

    def test_it_is_restored_when_the_guest_powers_off(self):
        process, outer = self.open_terminal()
        os.write(outer, b"f")
        self.assertEqual(process.wait(TIME), 3)
        self.assertTrue(self.restored())

    def test_it_is_restored_whatever_signal_ends_viv(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGSEGV, signal.SIGABRT,
                       signal.SIGFPE):
            process, _ = self.open_terminal()
            process.send_signal(number)
            code = process.wait(TIME)
            # A sanitizer reports a crash in its own way.
            self.assertNotEqual(code, 0)
            self.assertTrue(self.restored(), signal.Signals(number).name)

    def test_it_is_restored_while_viv_is_stopped(self):
        process, outer = self.open_terminal()
        process.send_signal(signal.SIGTSTP)
        os.waitpid(process.pid, os.WUNTRACED)
        self.assertTrue(self.restored())
        process.send_signal(signal.SIGCONT)
        # The kernel would echo letters by itself; this answer comes from viv, when it has the keyboard again.
        os.write(outer, b"\x01h")
        self.read_until(outer, b"Ctrl-A x")
        self.assertFalse(self.restored())

    def test_a_terminal_that_hangs_up_ends_it(self):
        outer, inner = pty.openpty()
        process = self.start(*self.run_args(), stdin=inner, stdout=inner, stderr=inner, start_new_session=True)
        self.read_until(outer, b"ready\n")
        os.close(inner)
        os.close(outer)
        process.wait(TIME)


if __name__ == "__main__":
    unittest.main()
