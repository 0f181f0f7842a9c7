"""A guest under the peer QEMU, for tests of guests: its console as text, its agent's port as a socket.

Promises: whatever happens, the emulator has ended when the block has; every wait has an end.
"""

import os
import pathlib
import re
import select
import socket
import subprocess
import sys
import tempfile
import time
import tomllib

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "guests" / "tools"
sys.path.insert(0, str(TOOLS))

import agent_client  # noqa: E402
import cache  # noqa: E402
import guest  # noqa: E402
import peers  # noqa: E402


class Machine:
    def __init__(self, name: str, append: str = "", options: list[str] | None = None, firmware: str = "default",
                 cpus: int = 1, seconds: float = 240, port: str = "", serial: str = "virtio-serial-pci"):
        folder = guest.build(name)
        qemu = peers.build(cache.Steps("peers")) / "bin" / "qemu-system-riscv64"
        self.ready = tomllib.loads((folder / "ready.toml").read_text(encoding="utf-8"))
        self.deadline = time.monotonic() + seconds
        self.console = ""
        self.folder = tempfile.TemporaryDirectory(prefix="guest-test-")
        self.port_path = os.path.join(self.folder.name, "agent")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.port_path)
        self.listener.listen(1)
        self.listener.settimeout(30)
        self.seconds_allowed = seconds
        self.port: socket.socket | None = None
        boot = self.ready["boot"]
        command = [str(qemu), "-M", "virt", "-bios", firmware, "-m", self.ready["machine"]["memory"], "-smp", str(cpus),
                   "-display", "none", "-nodefaults", "-no-reboot", "-serial", "stdio", "-kernel", boot["kernel"],
                   "-append", f"{boot['append']} {append}".strip(),
                   "-device", serial,
                   "-chardev", f"socket,id=agent,path={self.port_path},reconnect-ms=100",
                   "-device", f"virtserialport,chardev=agent,name={port or self.ready['exec']['port']}"]
        if "initrd" in boot:
            command += ["-initrd", boot["initrd"]]
        for number, disk in enumerate(self.ready.get("disk", [])):
            command += ["-drive", f"if=none,id=disk{number},format={disk['format']},file={disk['file']},snapshot=on",
                        "-device", f"virtio-blk-pci,drive=disk{number}"]
        self.start = time.monotonic()
        self.process = subprocess.Popen([*command, *(options or [])], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT)
        try:
            self.connect()
        except OSError:
            self.__exit__()
            raise

    def connect(self) -> None:
        """Takes the place of the host at the agent's port; a connection that was there ends first."""
        if self.port:
            self.port.close()
        self.port, _ = self.listener.accept()
        self.agent = agent_client.Client(self.port, timeout=self.seconds_allowed)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()
        if self.port:
            self.port.close()
        self.listener.close()
        self.folder.cleanup()

    def read(self) -> bool:
        left = self.deadline - time.monotonic()
        if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
            raise AssertionError(f"the guest is too slow or silent; its console ends with:\n{self.console[-2000:]}")
        data = os.read(self.process.stdout.fileno(), 65536)
        self.console += data.decode("utf-8", "replace")
        return bool(data)

    def expect(self, pattern: str) -> str:
        """Waits for it on the console, and forgets the console up to its end. Returns what matched."""
        while not (found := re.search(pattern, self.console)):
            if not self.read():
                raise AssertionError(f"the guest ended without {pattern!r}; its console:\n{self.console[-2000:]}")
        self.console = self.console[found.end():]
        return found[0]

    def type(self, text: str) -> None:
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def wait(self) -> int:
        """For the machine to power off."""
        while self.read():
            pass
        return self.process.wait(max(1.0, self.deadline - time.monotonic()))

    def seconds(self) -> float:
        return time.monotonic() - self.start
