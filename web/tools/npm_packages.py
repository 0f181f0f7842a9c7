#!/usr/bin/env python3
"""Packages of npm that the page is made with, in the cache; prints the folder, which has one for each by its plain name.

Promises: versions are pinned, and what is fetched has the pinned content or is refused; nothing of a package is run. A second run needs no network.
"""

import argparse
import base64
import hashlib
import pathlib
import shutil
import subprocess
import sys
import tarfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "guests" / "tools"))
import cache  # noqa: E402

# Folder: package, version, integrity as npm tells it.
PACKAGES = {
    "xterm": ("@xterm/xterm", "6.0.0",
              "sha512-TQwDdQGtwwDt+2cgKDLn0IRaSxYu1tSUjgKarSDkUM0ZNiSRXFpjxEsvc/Zgc5kq5omJ+V0a8/kIM2WD3sMOYg=="),
    "addon-fit": ("@xterm/addon-fit", "0.11.0",
                  "sha512-jYcgT6xtVYhnhgxh3QgYDnnNMYTcf8ElbxxFzX0IZo+vabQqSPAjC3c1wJrKB5E19VwQei89QCiZZP86DCPF7g=="),
    # Clients of the relay, and what our tabs are measured against.
    "wisp-js": ("@mercuryworkshop/wisp-js", "0.5.0",
                "sha512-YIPnONZdMYRXLdttL/zQM2PwjHQw3LfNPWTP54Lqhehs79lcORY8rwv5j7bGnuz9S31rZIh1OEzldubE9dtnoA=="),
    "v86": ("v86", "0.5.462", "sha512-aKPX7DdzqAKFRv2omDkqSju0uEzlOxzo+II82J5UT7+tZNsboA6kyaNq9NKAnxvo9hzpJ8dQj7vcvcz0J7I2QA=="),
    "typescript": ("typescript", "5.6.3",
                   "sha512-hjcS1mhfuyi4WW8IWtjP7brDrG2cuDZukyrYrSauoXGNgx0S7zceP07adYkJycEr56BOUTNPzbInooiN3fn1qw=="),
}


def fetch(folder: pathlib.Path, name: str) -> None:
    package, version, integrity = PACKAGES[name]
    npm = shutil.which("npm")
    if npm is None:
        raise cache.UserError(f"{package}: npm fetches it and is not there; install it")
    done = subprocess.run([npm, "pack", "--silent", "--pack-destination", str(folder), f"{package}@{version}"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise cache.UserError(f"{package}: npm cannot fetch version {version}; is there a network?")
    archive = folder / done.stdout.split()[-1]
    found = "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != integrity:
        raise cache.UserError(f"{package}: version {version} has other content than the pinned one: {found}")
    with tarfile.open(archive) as packed:
        packed.extractall(folder / f"{name}.unpacked", filter="data")
    (folder / f"{name}.unpacked" / "package").rename(folder / name)
    (folder / f"{name}.unpacked").rmdir()
    archive.unlink()


def folder_with(names: list[str]) -> pathlib.Path:
    """A folder of the cache with these packages, fetched if they are missing."""
    steps = cache.Steps("npm_packages")
    wanted = [PACKAGES[name] for name in names]
    link = cache.directory("web", "npm") / cache.key_of(*map("@".join, wanted))
    with cache.lock("npm", steps):
        if link.exists():
            return link
        with cache.scratch() as scratch, steps.step(f"fetching {', '.join(package for package, _, _ in wanted)}"):
            made = scratch / "packages"
            made.mkdir()
            for name in names:
                fetch(made, name)
            made.rename(link)
    return link


def main() -> int:
    parser = argparse.ArgumentParser(description="Fetch packages of npm into the cache and print their folder.")
    parser.add_argument("names", nargs="+", choices=PACKAGES, help="which")
    print(folder_with(parser.parse_args().names))
    return 0


if __name__ == "__main__":
    cache.command_line(main)
