#!/usr/bin/env python3
"""A disk with Debian's programs for a guest of any architecture, entered by chroot: work for benchmarks and stress.

    program_disk.py [--architecture NAME] [--refresh]    builds it if it is missing or stale; prints its folder

Promises: the packages come verified from the archive and are unpacked here, not installed: their scripts do not run, so
no emulator is needed, and what works without them is all that the disk is for. <cache>/disks/NAME is always whole:
disk.raw (ext4, raw), packages.toml. The recipe is guests/payloads/programs/disk.toml, described in guests/README.md.
"""

import argparse
import pathlib
import shutil
import tomllib

import cache
import debian_archive
import disk_image
import recipe as recipes

SOURCE = recipes.GUESTS / "payloads" / "programs"
COMPILED = recipes.GUESTS / "payloads" / "bench"  # what the compiler on the disk is given to do
FIELDS = {"suite": str, "label": str, "free": str, "packages": list}
TEXT_SIZE = 3 << 20
BUILD = 1  # raised when this file makes the disk differently


def read_recipe() -> dict:
    path = SOURCE / "disk.toml"
    try:
        recipe = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise cache.UserError(f"{path}: {error}") from error
    recipes.check(recipe, FIELDS, f"{path}: ")
    return recipe


def key_of(architecture: str) -> str:
    files = [path for path in sorted(SOURCE.rglob("*")) if path.is_file()] + sorted(COMPILED.glob("*.[ch]"))
    parts: list[object] = [BUILD, architecture]
    for path in files:
        parts += [path.relative_to(recipes.GUESTS), path.stat().st_mode & 0o111, path.read_bytes()]
    return cache.key_of(*parts)


def folder_of(architecture: str) -> pathlib.Path:
    return cache.root() / "disks" / f"programs-{architecture}"


def is_fresh(architecture: str) -> bool:
    try:
        known = tomllib.loads((folder_of(architecture) / "packages.toml").read_text(encoding="utf-8"))["key"]
    except (OSError, tomllib.TOMLDecodeError, KeyError):
        return False
    return known == key_of(architecture) and (folder_of(architecture) / "disk.raw").exists()


def sample_text(tree: pathlib.Path) -> bytes:
    """Text to compress, search and hash: sources in Python, of which the disk has plenty."""
    text = b""
    for path in sorted((tree / "usr" / "lib").glob("python3*/*.py")):
        text += path.read_bytes()
        if len(text) >= TEXT_SIZE:
            return text[:TEXT_SIZE]
    raise cache.UserError(f"{SOURCE / 'disk.toml'}: the packages hold less text than the programs work on")


def fill(tree: pathlib.Path) -> None:
    """What the disk has beside its packages: the work, the sources to compile, places for the kernel's file systems."""
    work = tree / "work"
    shutil.copytree(SOURCE / "work", work)
    (work / "source").mkdir()
    for path in sorted(COMPILED.glob("*.[ch]")):
        shutil.copy(path, work / "source")
    (work / "text").write_bytes(sample_text(tree))
    for place in ("proc", "sys", "dev", "tmp"):
        (tree / place).mkdir(exist_ok=True)
    # Whatever the umask of whoever builds it: the guest's users may read all of it.
    for path in [work, *work.rglob("*")]:
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)


def build(architecture: str, refresh: bool = False) -> pathlib.Path:
    """The folder with disk.raw, made if it is missing or stale."""
    recipe = read_recipe()
    link = folder_of(architecture)
    if not refresh and is_fresh(architecture):
        return link
    steps = cache.Steps(link.name)
    with cache.lock(f"disk-{link.name}", steps):
        if not refresh and is_fresh(architecture):
            return link
        key = key_of(architecture)
        archive = debian_archive.Archive([recipe["suite"]], architecture, steps)
        if refresh:
            archive.update()
        packages = archive.installed(recipe["packages"], closure=True)
        with cache.scratch() as folder:
            tree, complete = folder / "tree", folder / "complete"
            complete.mkdir()
            with steps.step(f"unpacking {len(packages)} packages"):
                debian_archive.unpack(packages, tree, steps)
            with steps.step("making the file system"):
                fill(tree)
                used = sum((path.lstat().st_size + 4095) // 4096 * 4096 + 512 for path in tree.rglob("*"))
                size = used + used // 20 + disk_image.size_in_bytes(recipe["free"])
                size = (size + (1 << 20) - 1) >> 20 << 20
                disk_image.make_file_system(complete / "disk.raw", size, recipe["label"], key, tree)
            text = "# Made by guests/tools/program_disk.py.\n" + recipes.table_text("", {"key": key})
            text += "".join(map(recipes.package_text, packages))
            (complete / "packages.toml").write_text(text, encoding="utf-8")
            link.parent.mkdir(exist_ok=True)
            cache.publish(complete, link, key)
        return link


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the disk with Debian's programs, and print its folder.")
    parser.add_argument("--architecture", default="riscv64", help="Debian's name (default riscv64)")
    parser.add_argument("--refresh", action="store_true", help="look for newer packages, and build anew")
    options = parser.parse_args()
    print(build(options.architecture, options.refresh))
    return 0


if __name__ == "__main__":
    cache.command_line(main)
