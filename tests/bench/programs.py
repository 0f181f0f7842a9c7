"""The benchmark's programs, compiled from guests/payloads with the same options for the guest and for this machine: `bench`,
which computes, and `net` and `disk`, which measure a network and a disk.

Promises: compiled once into the cache, anew when a source, an option or a compiler changes; the list of programs is
what the program itself says.
"""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "guests" / "tools"))

import agent_build  # noqa: E402
import cache  # noqa: E402

SOURCES = ROOT / "guests" / "payloads"
OPTIONS = ["-std=gnu11", "-O2", "-ffp-contract=off", "-static"]
# Of these alone: floating point as the others have it, not x87's.
MORE_OPTIONS = {"i386": ["-msse2", "-mfpmath=sse"]}
HOST = "host"


def compiler(architecture: str) -> str:
    return "gcc" if architecture == HOST else f"{agent_build.COMPILERS[architecture]}-gcc"


def compiler_version(architecture: str) -> str:
    try:
        done = subprocess.run([compiler(architecture), "--version"], capture_output=True, text=True, check=True)
    except FileNotFoundError as error:
        package = "gcc" if architecture == HOST else f"gcc-{agent_build.COMPILERS[architecture]}"
        raise cache.UserError(f"{compiler(architecture)}: not installed; apt-get install {package}") from error
    return done.stdout.splitlines()[0]


def build(architecture: str, name: str = "bench") -> pathlib.Path:
    """`architecture`: Debian's name of the guest's, or HOST. Returns the program's path in the cache."""
    files = sorted((SOURCES / name).glob("*.[ch]"))
    chosen = [*OPTIONS, *MORE_OPTIONS.get(architecture, [])]
    key = cache.key_of(architecture, compiler_version(architecture), *chosen, *(path.read_bytes() for path in files))
    program = cache.directory("bench") / f"{name}-{architecture}-{key}"
    if program.exists():
        return program
    steps = cache.Steps("bench")
    with cache.scratch() as folder, steps.step(f"compiling the programs with {compiler(architecture)}"):
        made = folder / name
        command = [compiler(architecture), *chosen, "-o", str(made), *(str(path) for path in files if path.suffix == ".c")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise cache.UserError(f"{name} does not compile: {done.stderr.strip().splitlines()[0]}")
        for old in program.parent.glob(f"{name}-{architecture}-*"):
            old.unlink()
        made.rename(program)
    return program


def names(host_program: pathlib.Path) -> list[tuple[str, str]]:
    """(program, group), in the program's order."""
    done = subprocess.run([str(host_program), "list"], capture_output=True, text=True, check=True)
    rows = [line.split() for line in done.stdout.splitlines()]
    return [(name, group) for name, group in rows]
