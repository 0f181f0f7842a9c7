#!/usr/bin/env python3
"""Builds the guests into the cache, and tells where they are: what ./dev calls, and what viv's catalogue is made of.

    guest.py build NAME...     builds them if they are missing or their recipes have changed; quick if they are fresh
    guest.py list              one line a guest: name, "ready", "stale" or "missing", title, with tabs between
    guest.py path NAME         the folder of a built guest, with ready.toml, kernel, initrd, disk.raw
    guest.py record NAME       writes guests/NAME/checksums.toml from the built guest

Promises: <cache>/guests/NAME is always a whole guest; a fresh one costs no network and no building.
"""

import argparse
import pathlib
import re
import tomllib

import agent_build
import busybox_initramfs
import cache
import debian_archive
import disk_image
import kernel_package
import recipe as recipes

TOOLS = pathlib.Path(__file__).resolve().parent
# What shapes a guest: a change of any of them makes it stale. Raise BUILD when this file builds them differently.
SOURCES = ["agent_build.py", "busybox_initramfs.py", "initramfs.py", "kernel_package.py"]
DISK_SOURCES = ["disk_image.py", "dpkg_database.py"]
BUILD = 1


def folder_of(name: str) -> pathlib.Path:
    return cache.root() / "guests" / name


def recipe_key(name: str, recipe: dict) -> str:
    """Over the recipe, the shared files and the tools; not over checksums.toml, which only records."""
    folders = (recipes.GUESTS / name, busybox_initramfs.SHARED, agent_build.SOURCES)
    files = [path for folder in folders for path in folder.rglob("*")
             if path.is_file() and path.name != "checksums.toml" and path.suffix not in (".md", ".pyc")]
    files += [TOOLS / source for source in SOURCES + (DISK_SOURCES if "disk" in recipe["build"] else [])]
    parts: list[object] = [BUILD]
    for path in sorted(files):
        parts += [path.relative_to(recipes.GUESTS), path.stat().st_mode & 0o111, path.read_bytes()]
    return cache.key_of(*parts)


def state_of(name: str, recipe: dict) -> str:
    try:
        ready = tomllib.loads((folder_of(name) / "ready.toml").read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError):
        return "missing"
    wanted = [ready["boot"]["kernel"], ready["boot"].get("initrd"), *(disk["file"] for disk in ready.get("disk", []))]
    if not all(pathlib.Path(path).exists() for path in wanted if path):
        return "missing"
    return "ready" if ready["key"] == recipe_key(name, recipe) else "stale"


def fetch(recipe: dict, steps: cache.Steps, refresh: bool) -> tuple[debian_archive.Package, debian_archive.Package]:
    """The kernel's own package (behind the one that always names the newest) and BusyBox."""
    build = recipe["build"]
    archive = debian_archive.Archive([build["suite"]], build["architecture"], steps)
    if refresh:
        archive.update()
    kernels = [package for package in archive.resolve([build["kernel"]], closure=True)
               if re.fullmatch(r"linux-image-\d\S*", package.name) and package.name != build["kernel"]]
    if len(kernels) != 1:
        raise cache.UserError(f"{build['kernel']}: names no kernel, or more than one")
    kernel, = archive.installed([f"{kernels[0].name}={kernels[0].version}"], closure=False)
    busybox, = archive.installed(["busybox-static"], closure=False)
    return kernel, busybox


def build(name: str, refresh: bool = False) -> pathlib.Path:
    """The folder of the guest, made if it is missing or stale."""
    recipe = recipes.read(name)
    link = folder_of(name)
    if not refresh and state_of(name, recipe) == "ready":
        return link
    steps = cache.Steps(name)
    with cache.lock(f"guest-{name}", steps):
        if not refresh and state_of(name, recipe) == "ready":
            return link
        key = recipe_key(name, recipe)
        architecture = recipe["build"]["architecture"]
        kernel_deb, busybox_deb = fetch(recipe, steps, refresh)
        packages = [kernel_deb, busybox_deb]
        recipes.compare(name, packages, steps)
        wanted = recipe["build"]["initramfs"]
        on_disk = recipe["build"].get("disk", {}).get("modules", [])
        with cache.scratch() as folder:
            complete = folder / "guest"
            complete.mkdir()
            with steps.step("taking the kernel and its modules out of the package"):
                contents = kernel_package.read(kernel_deb)
                kernel = kernel_package.choose(contents, wanted["modules"])
                full = kernel_package.choose(contents, on_disk) if on_disk else None
                (complete / recipe["boot"]["kernel"]).write_bytes(kernel.image)
            with steps.step("making the initramfs"):
                agent = agent_build.build(architecture, folder)
                busybox = debian_archive.read_files(busybox_deb, lambda path: path == "usr/bin/busybox")
                if not busybox:
                    raise cache.UserError(f"{busybox_deb.file_name}: has no usr/bin/busybox")
                image = busybox_initramfs.make(kernel, busybox["usr/bin/busybox"], agent if wanted["agent"] else None,
                                               architecture, folder)
                (complete / recipe["boot"]["initrd"]).write_bytes(image.compressed(wanted["compression"]))
            if full:
                packages += disk_image.build(name, recipe, complete, folder, full, agent, key, steps)
            ready = recipes.ready_text(name, recipe, key, link, packages)
            (complete / "ready.toml").write_text(ready, encoding="utf-8")
            cache.publish(complete, link, key)
        return link


def record(name: str) -> None:
    recipes.read(name)
    try:
        ready = tomllib.loads((folder_of(name) / "ready.toml").read_text(encoding="utf-8"))
    except OSError as error:
        raise cache.UserError(f"{name}: not built; 'guest.py build {name}' builds it") from error
    text = (f"# What {name} was last built and tested with; 'guest.py record {name}' writes this file.\n"
            "# Newer packages are taken when the archive signs them; these versions with other bytes are refused.\n\n")
    rows = sorted(ready["package"], key=lambda row: (row["name"], row["architecture"]))
    text += "".join(recipes.table_text("[[package]]", row) for row in rows)
    cache.write_atomically(recipes.GUESTS / name / "checksums.toml", (text.rstrip() + "\n").encode())


def main() -> int:
    parser = argparse.ArgumentParser(description="Build guests into the cache and tell where they are.")
    commands = parser.add_subparsers(dest="command", required=True)
    builder = commands.add_parser("build", help="build guests, if they are not fresh")
    builder.add_argument("names", nargs="+", metavar="NAME")
    builder.add_argument("--refresh", action="store_true", help="look for newer packages, and build anew")
    commands.add_parser("list", help="name, state and title of every guest")
    commands.add_parser("path", help="the folder of a built guest").add_argument("name", metavar="NAME")
    commands.add_parser("record", help="write the checksums of a built guest").add_argument("name", metavar="NAME")
    options = parser.parse_args()
    if options.command == "build":
        for name in options.names:
            recipes.read(name)
        for name in options.names:
            print(build(name, options.refresh))
    elif options.command == "list":
        for name in recipes.names():
            recipe = recipes.read(name)
            print(name, state_of(name, recipe), recipe["title"], sep="\t")
    elif options.command == "path":
        if state_of(options.name, recipes.read(options.name)) == "missing":
            raise cache.UserError(f"{options.name}: not built; 'guest.py build {options.name}' builds it")
        print(folder_of(options.name))
    else:
        record(options.name)
    return 0


if __name__ == "__main__":
    cache.command_line(main)
