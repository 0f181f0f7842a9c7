"""Makes a guest's root file system on a disk image, without root: the guest itself installs its packages.

Promises: packages come verified from the archive; they are unpacked here and configured by their own scripts inside
the very kernel that will boot them, under the peer QEMU, so that nothing of this machine gets into the image; a step's
failure is reported with the last lines it printed; the file system is checked before it is handed out. The format is
ext4 on the whole disk (raw).
"""

import contextlib
import io
import pathlib
import re
import socket
import subprocess
import tarfile
import tempfile
import urllib.parse
import uuid

import agent_client
import cache
import debian_archive
import dpkg_database
import kernel_package
import peers
import recipe as recipes

# The step of the guest's install script, what it does, and its limit in seconds: generous, for a busy machine.
STEPS = [("unpack", "unpacking the system in the guest", 900), ("first", "setting up the first packages", 900),
         ("configure", "configuring all packages", 3600), ("finish", "finishing the image", 900)]


def build(name: str, recipe: dict, complete: pathlib.Path, folder: pathlib.Path, kernel: kernel_package.Kernel,
          agent: bytes, key: str, steps: cache.Steps) -> list[debian_archive.Package]:
    """Writes the recipe's first disk into `complete`, which has the kernel and initrd. Returns the packages on it."""
    wanted = recipe["build"]["disk"]
    archive = debian_archive.Archive([recipe["build"]["suite"]], recipe["build"]["architecture"], steps)
    packages = archive.installed(wanted["packages"], closure=True)
    recipes.compare(name, packages, steps)
    source = recipes.GUESTS / name
    with steps.step(f"unpacking {len(packages)} packages for the guest"):
        tree = folder / "media"
        tree.mkdir()
        dpkg_database.write(tree / "system.tar", packages, steps)
        write_files(tree / "files.tar", source / "files", kernel, agent, recipe["build"]["suite"])
        size = sum(path.stat().st_size for path in tree.rglob("*") if path.is_file())
        make_file_system(folder / "media.raw", size + size // 10 + (32 << 20), "media", key, tree)
        disk = complete / recipe["disk"][0]["file"]
        make_file_system(disk, size_in_bytes(wanted["size"]), "root", key, None)
    install(source / "install", recipe, complete, disk, folder / "media.raw", steps)
    with steps.step("checking the file system"):
        check = subprocess.run(["/sbin/e2fsck", "-f", "-n", str(disk)], capture_output=True, text=True, check=False)
        if check.returncode != 0:
            raise cache.UserError(f"{name}: the finished file system has errors: {check.stdout.strip()[-300:]}")
    return packages


def size_in_bytes(text: str) -> int:
    found = re.fullmatch(r"(\d+)([MG])", text)
    if not found:
        raise cache.UserError(f"'{text}' is not a size; it may be 512M or 4G")
    return int(found[1]) << {"M": 20, "G": 30}[found[2]]


def machine_sources(suite: str) -> bytes:
    """sources.list.d/debian.sources, with the mirrors that this machine uses."""
    mirror = debian_archive.machine_mirror().rstrip("/")
    text = (f"Types: deb\nURIs: {mirror}\nSuites: {suite} {suite}-updates\nComponents: main\n"
            f"Signed-By: {debian_archive.KEYRING}\n")
    parts = urllib.parse.urlsplit(mirror)
    if parts.path.endswith("/debian"):
        security = urllib.parse.urlunsplit(parts._replace(path=parts.path + "-security"))
        text += (f"\nTypes: deb\nURIs: {security}\nSuites: {suite}-security\nComponents: main\n"
                 f"Signed-By: {debian_archive.KEYRING}\n")
    return text.encode()


def write_files(path: pathlib.Path, source: pathlib.Path, kernel: kernel_package.Kernel, agent: bytes,
                suite: str) -> None:
    """What the image has beyond its packages: the recipe's files, the agent, the kernel's modules, the mirrors."""
    files = {str(file.relative_to(source)): (file.read_bytes(), 0o644) for file in source.rglob("*") if file.is_file()}
    files["usr/local/sbin/vivarium-agent"] = (agent, 0o755)
    files["etc/apt/sources.list.d/debian.sources"] = (machine_sources(suite), 0o644)
    for module in kernel.modules:
        files[f"usr/lib/modules/{kernel.release}/{module.packed_path}"] = (module.packed, 0o644)
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        seen: set[str] = set()
        for name, (data, mode) in sorted(files.items()):
            for parent in list(pathlib.PurePosixPath(name).parents)[-2::-1]:
                if str(parent) not in seen and str(parent).startswith(f"usr/lib/modules/{kernel.release}"):
                    seen.add(str(parent))
                    entry = tarfile.TarInfo(str(parent))
                    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                    archive.addfile(entry)
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), mode
            archive.addfile(entry, io.BytesIO(data))


def make_file_system(path: pathlib.Path, size: int, label: str, key: str, tree: pathlib.Path | None) -> None:
    with open(path, "wb") as file:
        file.truncate(size)
    identity = uuid.uuid5(uuid.NAMESPACE_OID, f"{label}-{key}")
    command = ["/sbin/mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-L", label, "-U", str(identity),
               "-E", f"hash_seed={identity},lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0"]
    if tree:
        command += ["-d", str(tree)]
    debian_archive.run_quietly([*command, str(path)])


@contextlib.contextmanager
def emulator(recipe: dict, complete: pathlib.Path, disks: list[str], log: pathlib.Path, steps: cache.Steps):
    """The guest's kernel and initrd under the peer QEMU, without a shell; yields a client of its agent."""
    qemu = peers.build(steps) / "bin" / "qemu-system-riscv64"
    wanted = recipe["build"]["disk"]
    port = recipe["exec"]["port"]
    # Not in the cache: the path of a socket may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="viv-") as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/agent")
        listener.listen(1)
        listener.settimeout(60)
        command = [str(qemu), "-M", "virt", "-m", wanted["emulator_memory"], "-smp", str(wanted["emulator_cpus"]),
                   "-display", "none", "-nodefaults", "-no-reboot", "-serial", f"file:{log}",
                   "-kernel", str(complete / recipe["boot"]["kernel"]),
                   "-initrd", str(complete / recipe["boot"]["initrd"]),
                   "-append", "console=ttyS0 viv.exec=1", "-device", "virtio-serial-pci",
                   "-chardev", f"socket,id=agent,path={folder}/agent",
                   "-device", f"virtserialport,chardev=agent,name={port}"]
        for number, disk in enumerate(disks):
            command += ["-drive", f"if=none,id=disk{number},format=raw,discard=unmap,cache=unsafe,{disk}",
                        "-device", f"virtio-blk-pci,drive=disk{number}"]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, start_new_session=True)
        try:
            stream, _ = listener.accept()
            with stream:
                client = agent_client.Client(stream, timeout=300)
                client.hello()
                yield client
                client.power_off()
            process.wait(60)
        except (OSError, agent_client.AgentError, subprocess.TimeoutExpired) as error:
            process.kill()
            said = process.stderr.read().decode("utf-8", "replace").strip()[-300:]
            raise cache.UserError(f"the emulator that installs the guest has failed: {error}; {said or log}") from error
        finally:
            process.kill()
            process.wait()
            process.stderr.close()


def install(script: pathlib.Path, recipe: dict, complete: pathlib.Path, disk: pathlib.Path, media: pathlib.Path,
            steps: cache.Steps) -> None:
    log = cache.directory("logs") / f"{script.parent.name}-install.log"
    disks = [f"file={quoted(disk)}", f"file={quoted(media)},read-only=on"]
    with emulator(recipe, complete, disks, media.with_name("console.log"), steps) as client, open(log, "wb") as record:
        client.put(script, "/install")
        for step, what, seconds in STEPS:
            with steps.step(what):
                result = client.run(["/install", step], timeout=seconds)
            record.write(b"== " + step.encode() + b"\n" + result.stdout + result.stderr)
            record.flush()
            if result.code != 0:
                tail = " | ".join((result.stdout + result.stderr).decode("utf-8", "replace").strip().splitlines()[-3:])
                raise cache.UserError(f"{what} has failed with code {result.code}: {tail}; all of it is in {log}")


def quoted(path: pathlib.Path) -> str:
    """A comma in a value of a QEMU option is written twice."""
    return str(path).replace(",", ",,")
