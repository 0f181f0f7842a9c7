"""A Debian system as it stands after `dpkg --unpack` and before `dpkg --configure`, written without running dpkg.

Promises: one tar archive with all files of the packages, in their places and with their owners, and dpkg's database
that says so: the state "install ok unpacked" for each package, its scripts and file lists, the triggers it waits for.
The guest then runs the scripts itself; unpacking on this side saves it most of the work of an installation.
Formats: deb-control(5), deb-triggers(5), deb-conffiles(5); dpkg's database, info/format 1.
"""

import hashlib
import io
import pathlib
import re
import subprocess
import tarfile

import cache
import debian_archive

DATABASE = "var/lib/dpkg"


def control_files(package: debian_archive.Package) -> dict[str, bytes]:
    done = subprocess.run(["dpkg-deb", "--ctrl-tarfile", str(package.path)], capture_output=True, check=False)
    if done.returncode != 0:
        raise cache.UserError(f"{package.path}: not a Debian package")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        return {member.name.removeprefix("./"): archive.extractfile(member).read()
                for member in archive if member.isfile()}


class Writer:
    """The archive in the making; a path that several packages have (folders, mostly) is stored once."""

    def __init__(self, path: pathlib.Path):
        self.archive = tarfile.open(path, "w", format=tarfile.GNU_FORMAT)
        self.seen: set[str] = set()
        self.status: list[str] = []
        self.file_triggers: list[str] = []
        self.named_triggers: dict[str, list[str]] = {}

    def member(self, entry: tarfile.TarInfo, reader) -> None:
        if entry.name in self.seen:
            return
        self.seen.add(entry.name)
        # By number: the names are those of another system.
        entry.uname = entry.gname = ""
        self.archive.addfile(entry, reader)

    def file(self, name: str, data: bytes, mode: int = 0o644) -> None:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(data), mode
        self.member(entry, io.BytesIO(data))

    def folder(self, name: str) -> None:
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
        self.member(entry, None)

    def package(self, package: debian_archive.Package) -> None:
        control = control_files(package)
        fields = control["control"].decode().strip()
        same = re.search(r"^Multi-Arch: same$", fields, re.MULTILINE)
        # dpkg's name of the files of a package that may be there for two architectures at once.
        full_name = f"{package.name}:{package.architecture}" if same else package.name
        conffiles = [line.strip() for line in control.get("conffiles", b"").decode().splitlines()
                     if line.startswith("/")]
        paths, sums = [], {}
        with debian_archive.Contents(package) as contents:
            for member, reader in contents:
                name = member.name.rstrip("/")
                paths.append("/." if name in ("", ".") else f"/{name}")
                if name in ("", "."):
                    continue
                if f"/{name}" in conffiles and reader:
                    data = reader.read()
                    sums[f"/{name}"] = hashlib.md5(data, usedforsecurity=False).hexdigest()
                    reader = io.BytesIO(data)
                if member.islnk():
                    member.linkname = member.linkname.removeprefix("./")
                member.name = name
                self.member(member, reader)
        self.file(f"{DATABASE}/info/{full_name}.list", ("\n".join(paths) + "\n").encode())
        for name, data in control.items():
            if name != "control":
                executable = name in ("preinst", "postinst", "prerm", "postrm", "config")
                self.file(f"{DATABASE}/info/{full_name}.{name}", data, 0o755 if executable else 0o644)
        for kind, trigger in re.findall(r"^(interest\S*)\s+(\S+)", control.get("triggers", b"").decode(), re.MULTILINE):
            who = full_name + ("/noawait" if kind == "interest-noawait" else "")
            if trigger.startswith("/"):
                self.file_triggers.append(f"{trigger} {who}\n")
            else:
                self.named_triggers.setdefault(trigger, []).append(f"{who}\n")
        head, _, rest = fields.partition("\n")
        stanza = [head, "Status: install ok unpacked", rest]
        if sums:
            stanza.append("Conffiles:\n" + "\n".join(f" {path} {sums[path]}" for path in conffiles if path in sums))
        self.status.append("\n".join(stanza) + "\n")

    def finish(self) -> None:
        for folder in ("updates", "parts"):
            self.folder(f"{DATABASE}/{folder}")
        self.file(f"{DATABASE}/info/format", b"1\n")
        self.file(f"{DATABASE}/available", b"")
        self.file(f"{DATABASE}/status", "\n".join(self.status).encode())
        self.file(f"{DATABASE}/triggers/File", "".join(self.file_triggers).encode())
        for trigger, who in self.named_triggers.items():
            self.file(f"{DATABASE}/triggers/{trigger}", "".join(who).encode())
        self.archive.close()


def write(path: pathlib.Path, packages: list[debian_archive.Package], steps: cache.Steps) -> None:
    writer = Writer(path)
    # base-files first: it brings the links /bin, /lib and /sbin that the others' files may go through.
    ordered = sorted(packages, key=lambda package: (package.name != "base-files", package.name))
    for number, package in enumerate(ordered):
        steps.percent("unpacking", 100 * number / len(packages))
        writer.package(package)
    steps.clear()
    writer.finish()
