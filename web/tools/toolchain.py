#!/usr/bin/env python3
"""Emscripten and the sources of the libraries that the web build needs, in the cache; prints the folder.

Promises: an emcc on PATH that is new enough is used as it is; else Debian trixie's is unpacked into a folder of its own
with the libraries and the loader that it was built for, so that it works on Debian 12 and the system is not touched.
Libraries are Debian's source packages, Debian's changes made, compiled by our build. A second run needs no network.
Leaves <cache>/web/toolchain.cmake, which CMake is given, versions.toml, sources/NAME and headers/usr/include.
"""

import argparse
import os
import pathlib
import re
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "guests" / "tools"))
import cache  # noqa: E402
import debian_archive  # noqa: E402

SUITE = "trixie"
OLDEST = (3, 1, 69)

# emscripten and what its programs load; the closure that apt would name also has compilers for the machine itself.
PACKAGES = ["emscripten", "binaryen", "clang-19", "lld-19", "llvm-19", "llvm-19-linker-tools", "libclang-common-19-dev",
            "node-acorn", "libclang-cpp19", "libllvm19", "libz3-4", "libxml2", "libicu76", "libedit2", "libtinfo6",
            "libbsd0", "libmd0", "libffi8", "libzstd1", "zlib1g", "liblzma5", "libgmp10", "libstdc++6", "libgcc-s1",
            "libc6"]
# Variants of the libraries that no build of ours asks for: they are two thirds of the whole.
WITHOUT = ["usr/share/doc/*", "usr/share/man/*", "usr/share/locale/*", "usr/share/emscripten/test/*",
           "usr/share/emscripten/docs/*", "usr/share/emscripten/media/*",
           "usr/share/emscripten/cache/sysroot/lib/wasm32-emscripten/lto/*",
           "usr/share/emscripten/cache/sysroot/lib/wasm32-emscripten/thinlto/*",
           "usr/share/emscripten/cache/sysroot/lib/wasm32-emscripten/pic/*",
           "usr/share/emscripten/cache/sysroot/lib/wasm64-emscripten/*"]
SOURCES = ["fmtlib", "xxhash", "libzstd", "zlib", "mbedtls"]
# Libraries that are headers alone: the binary package is the source.
HEADERS = ["nlohmann-json3-dev"]

LIBRARIES = "usr/lib/x86_64-linux-gnu"
LOADER = f"{LIBRARIES}/ld-linux-x86-64.so.2"
SCRIPTS = "usr/share/emscripten"

CONFIGURATION = """# Emscripten's configuration (tools/config.py there).
LLVM_ROOT = '{prefix}/usr/bin'
BINARYEN_ROOT = '{prefix}/usr'
NODE_JS = '{node}'
LLVM_ADD_VERSION = '19'
CLANG_ADD_VERSION = '19'
FROZEN_CACHE = True
CACHE = '{prefix}/{scripts}/cache'
"""

TOOLCHAIN = """# How CMake is to compile for the web, and where the sources of the libraries are. Written by web/tools/toolchain.py.
set(VIV_WEB_LIBRARIES "{folder}")
include("{scripts}/cmake/Modules/Platform/Emscripten.cmake")
"""


def found_on_path() -> pathlib.Path | None:
    """The scripts of an emcc on PATH that is new enough."""
    program = shutil.which("emcc")
    if not program:
        return None
    printed = debian_archive.run_quietly([program, "--version"])
    number = re.search(r"(\d+)\.(\d+)\.(\d+)", printed)
    if not number or tuple(int(part) for part in number.groups()) < OLDEST:
        return None
    scripts = pathlib.Path(debian_archive.run_quietly([shutil.which("em-config") or "em-config",
                                                       "EMSCRIPTEN_ROOT"]).strip())
    return scripts if (scripts / "cmake/Modules/Platform/Emscripten.cmake").exists() else None


def is_program(path: pathlib.Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"


def node() -> str:
    program = shutil.which("node") or shutil.which("nodejs")
    if not program:
        raise cache.UserError("node: not installed; apt-get install nodejs")
    return program


def unpack(prefix: pathlib.Path, final: pathlib.Path, steps: cache.Steps) -> list[debian_archive.Package]:
    """Debian's emscripten in `prefix`, made to run at `final`."""
    packages = debian_archive.Archive([SUITE], "amd64", steps).installed(PACKAGES, closure=False)
    with steps.step(f"unpacking {len(packages)} packages"):
        debian_archive.unpack(packages, prefix, steps, WITHOUT)
        programs = [path for folder in ("usr/bin", "usr/lib/llvm-19/bin") for path in (prefix / folder).iterdir()
                    if is_program(path)]
        for number, program in enumerate(programs):
            steps.percent("making programs find their libraries", 100 * number / len(programs))
            debian_archive.run_quietly(["patchelf", "--set-interpreter", str(final / LOADER), "--force-rpath", "--set-rpath",
                                        f"{final / LIBRARIES}:{final / 'usr/lib/llvm-19/lib'}", str(program)])
        steps.clear()
        (prefix / "usr/share/node_modules").symlink_to("nodejs")
        (prefix / SCRIPTS / ".emscripten").write_text(CONFIGURATION.format(prefix=final, node=node(), scripts=SCRIPTS))
    return packages


def key_of(scripts: pathlib.Path | None) -> str:
    return cache.key_of(pathlib.Path(__file__).read_bytes(), cache.root(), scripts, node())


def build(steps: cache.Steps) -> pathlib.Path:
    """The folder of the toolchain, made if it is missing or its recipe has changed."""
    link = cache.root() / "web"
    ours = found_on_path()
    key = key_of(ours)

    def fresh() -> bool:
        return (link / "key").exists() and (link / "key").read_text() == key

    if fresh():
        return link
    with cache.lock("web", steps):
        if fresh():
            return link
        final = cache.root() / ".store" / f"{link.name}-{key}"
        sources = debian_archive.Sources(SUITE, steps)
        with cache.scratch() as folder:
            complete = folder / "web"
            complete.mkdir()
            versions = []
            for name in SOURCES:
                version = sources.unpacked(name, complete / "sources" / name)
                versions.append(f'"source:{name}" = "{version}"\n')
            with_headers = debian_archive.Archive([SUITE], "amd64", steps).installed(HEADERS, closure=False)
            debian_archive.unpack(with_headers, complete / "headers", steps)
            versions += [f'"{package.name}" = "{package.version}"\n' for package in with_headers]
            scripts = ours
            if not ours:
                packages = unpack(complete / "prefix", final / "prefix", steps)
                versions += [f'"{package.name}" = "{package.version}"\n' for package in packages]
                scripts = final / "prefix" / SCRIPTS
            (complete / "versions.toml").write_text("".join(versions))
            (complete / "toolchain.cmake").write_text(TOOLCHAIN.format(folder=final, scripts=scripts))
            (complete / "scripts").symlink_to(scripts)
            cache.publish(complete, link, key)
            try:
                debian_archive.run_quietly([str(scripts / "emcc"), "--version"])
            except cache.UserError:
                link.unlink()
                raise
            (final / "key").write_text(key)
    return link


def main() -> int:
    parser = argparse.ArgumentParser(description="Unpack Emscripten and the sources of libraries into the cache; prints "
                                                 "the folder.")
    parser.parse_args()
    print(build(cache.Steps("web")))
    return 0


if __name__ == "__main__":
    cache.command_line(main)
