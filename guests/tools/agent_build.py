"""Compiles the guest agent for a guest's architecture: one static program, the same bytes for the same compiler."""

import pathlib
import subprocess

import cache

SOURCES = pathlib.Path(__file__).resolve().parents[1] / "agent"

# Debian architecture -> prefix of the cross compiler (packages gcc-<prefix> and libc6-dev-<architecture>-cross).
COMPILERS = {
    "riscv64": "riscv64-linux-gnu",
    "arm64": "aarch64-linux-gnu",
    "armhf": "arm-linux-gnueabihf",
    "amd64": "x86_64-linux-gnu",
    "i386": "i686-linux-gnu",
    "ppc64el": "powerpc64le-linux-gnu",
    "s390x": "s390x-linux-gnu",
    "sparc64": "sparc64-linux-gnu",
}


def strip_program(architecture: str) -> str:
    return f"{COMPILERS[architecture]}-strip"


def build(architecture: str, folder: pathlib.Path) -> bytes:
    """Compiles in `folder`, a scratch folder of the caller."""
    prefix = COMPILERS.get(architecture)
    if prefix is None:
        raise cache.UserError(f"no cross compiler is known for {architecture}; known are {', '.join(COMPILERS)}")
    program = folder / "vivarium-agent"
    command = [f"{prefix}-gcc", "-std=c11", "-Os", "-static", "-ffunction-sections", "-fdata-sections",
               "-Wl,--gc-sections,--build-id=none,-s", "-o", str(program), *sorted(map(str, SOURCES.glob("*.c")))]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise cache.UserError(f"{prefix}-gcc: not installed; apt-get install gcc-{prefix} "
                              f"libc6-dev-{architecture}-cross") from error
    if done.returncode != 0:
        raise cache.UserError(f"the guest agent does not compile: {done.stderr.strip().splitlines()[0]}")
    return program.read_bytes()
