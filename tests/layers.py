#!/usr/bin/env python3
"""Checks the include arrows between the rooms: each may include only what the table allows. Exits 1 and names every offence."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# room -> rooms that it may include besides itself (what those include is not inherited).
BELOW = {"lang"}
ALLOWED = {
    "engine/lang": set(),
    "engine/host": {"lang"},
    "engine/state": {"lang", "host"},
    "engine/time": {"lang", "host", "state"},
    "engine/mem": {"lang", "host", "state"},
    "engine/ir": {"lang", "host", "state", "time", "mem", "float"},
    "engine/float": {"lang"},
    "engine/exec": {"lang", "host", "state", "time", "mem", "ir", "float"},
    "engine/jit": {"lang", "host", "state", "time", "mem", "ir", "float", "exec"},
    "engine/block": {"lang", "host", "state", "time", "mem"},
    "engine/net": {"lang", "host", "state", "time", "mem"},
    "engine/dev": {"lang", "host", "state", "time", "mem", "block", "net"},
    "engine/isa": {"lang", "host", "state", "time", "mem", "ir", "float", "exec"},
    "engine/firmware": {"lang", "host", "state", "time", "mem", "dev"},
    "engine/board": {"lang", "host", "state", "time", "mem", "isa", "dev", "firmware", "block", "net", "jit"},
    "engine/control": {"lang", "host", "state", "time", "mem", "isa", "dev", "firmware", "block", "net", "board"},
    "engine/console": {"lang", "control"},
    "native": {"lang", "host", "state", "time", "mem", "isa", "dev", "firmware", "block", "net", "board", "control", "console"},
    "web": {"lang", "host", "state", "time", "mem", "isa", "dev", "firmware", "block", "net", "board", "control", "console"},
    "netbridge": {"lang", "net"},
}
# Headers that a room may include although its arrow does not allow the whole room.
EXCEPTIONS = {("engine/isa", "engine/dev/pin.h")}
# Within dev, devices do not see one another; these folders hold families that do.
DEVICE_FAMILIES = {"pci", "virtio", "display", "input", "scsi"}
SYSTEM = re.compile(r"#include\s*<(sys/|unistd|pthread|thread|mutex|condition_variable|future|fcntl|poll|netinet|arpa|windows|emscripten|iostream|fstream|filesystem|chrono|ctime|time\.h|signal)")
INCLUDE = re.compile(r'#include\s*"([^"]+)"')


def room_of(path):
    parts = path.split("/")
    return "/".join(parts[:2]) if parts[0] == "engine" else parts[0]


def offences():
    files = [p for top in ("engine", "native", "web", "netbridge") for p in (ROOT / top).rglob("*") if p.suffix in {".h", ".cpp", ".def"}]
    for path in sorted(files):
        name = path.relative_to(ROOT).as_posix()
        room = room_of(name)
        for number, line in enumerate(path.read_text().splitlines(), 1):
            where = f"{name}:{number}"
            if room.startswith("engine/") and SYSTEM.search(line):
                yield f"{where}: a host header in the engine: {line.strip()}"
            found = INCLUDE.match(line.strip())
            if not found:
                continue
            target = found.group(1)
            if not (ROOT / target).is_file():
                yield f"{where}: '{target}' is not a path from the repository's root"
                continue
            other = room_of(target)
            if other == room:
                if room == "engine/dev":
                    a, b = name.split("/")[2], target.split("/")[2]
                    if a != b and "." not in a and "." not in b and b not in DEVICE_FAMILIES:
                        yield f"{where}: device {a} includes device {b}"
                continue
            if (room, target) in EXCEPTIONS:
                continue
            if other.removeprefix("engine/") not in ALLOWED.get(room, BELOW) or not other.startswith("engine/"):
                yield f"{where}: {room} must not include {other}"


def main():
    found = list(offences())
    for line in found:
        print(line)
    if found:
        print(f"{len(found)} include(s) against the arrows of CONTRIBUTING.md")
        return 1
    print("layers: every include follows the arrows")
    return 0


if __name__ == "__main__":
    sys.exit(main())
