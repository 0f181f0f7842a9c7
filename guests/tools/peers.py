#!/usr/bin/env python3
"""The emulators we are measured against, and the firmware we must run, unpacked into the cache.

Promises: Debian's newest QEMU that the archive reaches (sid, else trixie; 10.0 or later) with every library it needs,
run with its own dynamic loader, so that it works on Debian 12 and the system is not touched; OpenSBI and U-Boot of
trixie. Leaves <cache>/peers/bin/{qemu-system-riscv64,qemu-riscv64,...} and <cache>/peers/firmware/..., with the
versions in <cache>/peers/versions.toml. A second run needs no network.
"""

import argparse
import os
import pathlib
import shutil

import cache
import debian_archive

LOADER = "lib64/ld-linux-x86-64.so.2"
LIBRARIES = "usr/lib/x86_64-linux-gnu"
SYSTEM_PACKAGES = ["qemu-system-riscv", "qemu-utils"]
USER_PACKAGES = ["qemu-user"]
PROGRAMS = ["qemu-system-riscv64", "qemu-system-riscv32", "qemu-riscv64", "qemu-riscv32", "qemu-img"]
OLDEST = (10, 0)
FIRMWARE = {
    "opensbi-fw_dynamic.bin": ("opensbi", "usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin"),
    "opensbi-fw_dynamic.elf": ("opensbi", "usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.elf"),
    "opensbi-fw_jump.bin": ("opensbi", "usr/lib/riscv64-linux-gnu/opensbi/generic/fw_jump.bin"),
    "opensbi-fw_jump.elf": ("opensbi", "usr/lib/riscv64-linux-gnu/opensbi/generic/fw_jump.elf"),
    "u-boot-riscv64-smode.bin": ("u-boot-qemu", "usr/lib/u-boot/qemu-riscv64_smode/u-boot.bin"),
    "u-boot-riscv64-smode.elf": ("u-boot-qemu", "usr/lib/u-boot/qemu-riscv64_smode/uboot.elf"),
    "u-boot-riscv64.bin": ("u-boot-qemu", "usr/lib/u-boot/qemu-riscv64/u-boot.bin"),
    "u-boot-riscv64.elf": ("u-boot-qemu", "usr/lib/u-boot/qemu-riscv64/uboot.elf"),
}

# The private loader is called by hand, because the system's own is too old for the libraries.
WRAPPER = """#!/bin/sh
# {program} {version}, with the libraries that it was built for.
here=${{0%/*}}/../tree
[ -d "$here" ] || here=$(dirname -- "$(readlink -f -- "$0")")/../tree
exec "$here/{loader}" --library-path "$here/{libraries}" --argv0 "$0" "$here/usr/bin/{program}" {extra}"$@"
"""


def recipe_key() -> str:
    return cache.key_of(pathlib.Path(__file__).read_bytes())


def fresh() -> bool:
    stamp = cache.root() / "peers" / "key"
    return stamp.exists() and stamp.read_text() == recipe_key()


def qemu_packages(steps: cache.Steps) -> list[debian_archive.Package]:
    """With their closure, from the newest suite whose dependencies can be met today."""
    failures = []
    for suite in ("sid", "trixie"):
        archive = debian_archive.Archive([suite], "amd64", steps)
        try:
            packages = archive.installed([*SYSTEM_PACKAGES, *USER_PACKAGES], closure=True)
        except cache.UserError as error:
            failures.append(f"{suite}: {error}")
            steps.say(f"{suite} does not have it: {error}")
            continue
        version = next(package.version for package in packages if package.name == SYSTEM_PACKAGES[0])
        number = tuple(int(part) for part in version.split(":")[-1].split("+")[0].split(".")[:2])
        if number >= OLDEST:
            return packages
        failures.append(f"{suite}: QEMU {version} is older than {OLDEST[0]}.{OLDEST[1]}")
    raise cache.UserError("; ".join(failures))


def wanted(path: str) -> bool:
    """Programs, the loader, libraries and QEMU's own data; no documentation, no other program."""
    if path.startswith(("usr/bin/", "bin/")):
        return path.rpartition("/")[2] in PROGRAMS
    return path.startswith(("usr/lib/x86_64-linux-gnu/", "lib/x86_64-linux-gnu/", "lib64/", "usr/lib64/",
                            "usr/share/qemu/", "usr/share/opensbi/", "usr/lib/ipxe/",
                            "usr/lib/riscv64-linux-gnu/", "usr/lib/riscv32-linux-gnu/"))


def unpack(package: debian_archive.Package, tree: pathlib.Path) -> None:
    with debian_archive.Contents(package) as contents:
        for member, reader in contents:
            # One folder for libraries, whether or not the package knows of the merged /usr.
            name = member.name if member.name.startswith("usr/") else f"usr/{member.name}"
            if not wanted(member.name) or ".." in name.split("/"):
                continue
            target = tree / name
            if member.isdir():
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            if member.issym():
                link = member.linkname
                if link.startswith("/"):
                    inside = link.lstrip("/")
                    inside = inside if inside.startswith("usr/") else f"usr/{inside}"
                    link = os.path.relpath(tree / inside, target.parent)
                target.unlink(missing_ok=True)
                target.symlink_to(link)
            elif member.islnk():
                target.unlink(missing_ok=True)
                os.link(tree / member.linkname.removeprefix("./"), target)
            elif reader:
                with open(target, "wb") as file:
                    shutil.copyfileobj(reader, file, 1 << 20)
                target.chmod(member.mode & 0o777)


def write_wrappers(folder: pathlib.Path, version: str) -> None:
    (folder / "bin").mkdir()
    for program in PROGRAMS:
        if not (folder / "tree/usr/bin" / program).exists():
            raise cache.UserError(f"{program}: not in Debian's QEMU {version}; peers.py must name the package it is in")
        extra = '-L "$here/usr/share/qemu" ' if program.startswith("qemu-system-") else ""
        text = WRAPPER.format(program=program, version=version, loader=f"usr/{LOADER}", libraries=LIBRARIES,
                              extra=extra)
        path = folder / "bin" / program
        path.write_text(text)
        path.chmod(0o755)
        debian_archive.run_quietly([str(path), "--version"])


def build(steps: cache.Steps, refresh: bool = False) -> pathlib.Path:
    """The folder of the peers, made if it is missing or its recipe has changed."""
    link = cache.root() / "peers"
    if fresh() and not refresh:
        return link
    with cache.lock("peers", steps):
        if fresh() and not refresh:
            return link
        if refresh:
            for suite, architecture in (("sid", "amd64"), ("trixie", "amd64"), ("trixie", "riscv64")):
                debian_archive.Archive([suite], architecture, steps).update()
        qemu = qemu_packages(steps)
        firmware = debian_archive.Archive(["trixie"], "riscv64", steps).installed(["opensbi", "u-boot-qemu"],
                                                                                  closure=False)
        version = next(package.version for package in qemu if package.name == SYSTEM_PACKAGES[0])
        with cache.scratch() as folder, steps.step(f"unpacking QEMU {version} and {len(qemu)} packages it needs"):
            complete = folder / "peers"
            tree = complete / "tree"
            for number, package in enumerate(qemu):
                steps.percent("unpacking", 100 * number / len(qemu))
                unpack(package, tree)
            steps.clear()
            write_wrappers(complete, version)
            (complete / "firmware").mkdir()
            for name, (owner, path) in FIRMWARE.items():
                package = next(package for package in firmware if package.name == owner)
                files = debian_archive.read_files(package, lambda candidate, path=path: candidate == path)
                if path not in files:
                    raise cache.UserError(f"{package.file_name}: has no {path}; peers.py must say where it is now")
                (complete / "firmware" / name).write_bytes(files[path])
            lines = [f'"{package.name}" = {{ version = "{package.version}", sha256 = "{package.sha256}" }}\n'
                     for package in [*qemu, *firmware]]
            (complete / "versions.toml").write_text("".join(lines))
            (complete / "key").write_text(recipe_key())
            cache.publish(complete, link, recipe_key())
        return link


def main() -> int:
    parser = argparse.ArgumentParser(description="Unpack QEMU, OpenSBI and U-Boot into the cache; prints the folder.")
    parser.add_argument("--refresh", action="store_true", help="look for newer versions")
    options = parser.parse_args()
    print(build(cache.Steps("peers"), options.refresh))
    return 0


if __name__ == "__main__":
    cache.command_line(main)
