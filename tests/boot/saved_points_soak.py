#!/usr/bin/env python3
"""Saves a deterministic machine at random points of a boot and of a `stress-ng` run, opens each file with another tier or
another program, and compares where it ends with the machine that was never interrupted. Not run by ctest: 100 points take
about half an hour. `saved_points_soak.py --points 100 [--other VIV]`; $VIV is the program under test."""

import argparse
import pathlib
import random
import re
import subprocess
import sys
import tempfile

import viv_process

GUEST = "linux-riscv64"
BOOT_END = 900_000_000
LOAD_START, LOAD_END = 2_000_000_000, 3_000_000_000  # behind the typing, which is not in the file
STRESS = "mkdir /m; modprobe ext4; mount -t ext4 -o ro /dev/vda /m && /m/work/enter stress-ng --temp-path /tmp --cpu 1 --fork 1 --mmap 1 --vm 1 --vm-bytes 16M -t 1h\n"
TIERS = ("off", "quick", "full")


def state(viv, *arguments, text=None):
    done = subprocess.run([viv, "run", "--net", "none", "--print-hash", *arguments] if "--restore" not in arguments else
                          [viv, "run", "--print-hash", *arguments], input=text, capture_output=True, text=True, errors="replace",
                          timeout=1200)
    found = re.search(r"state ([0-9a-f]{32}) after (\d+) instructions", done.stdout + done.stderr)
    if not found:
        raise SystemExit(f"{arguments}: no state; the output ends with: {(done.stdout + done.stderr)[-1500:]}")
    return found[1], int(found[2])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=100)
    parser.add_argument("--other", default=viv_process.VIV, help="another build, which opens every other file")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options = parser.parse_args()
    viv_process.guest(GUEST)
    import program_disk
    disk = pathlib.Path(program_disk.build("riscv64")) / "disk.raw"
    print(f"seed {options.seed}", flush=True)
    chance = random.Random(options.seed)
    differ = 0
    loads = {
        "boot": ([], None, 1, BOOT_END),
        "stress-ng": (["--memory", "512M", "--disk", f"file={disk},format=raw,readonly=on"], STRESS, LOAD_START, LOAD_END),
    }
    for name, (machine, text, start, end) in loads.items():
        whole = state(viv_process.VIV, GUEST, "--deterministic", *machine, "--max-instructions", str(end), text=text)
        print(f"{name}: {whole[0]} after {whole[1]} instructions", flush=True)
        for number in range(options.points // len(loads)):
            at, tiers = chance.randrange(start, end), (chance.choice(TIERS), chance.choice(TIERS))
            opener = options.other if number % 2 else viv_process.VIV
            with tempfile.TemporaryDirectory() as folder:
                saved = str(pathlib.Path(folder) / "saved")
                state(viv_process.VIV, GUEST, "--deterministic", *machine, "--jit", tiers[0], "--max-instructions", str(at),
                      "--save-at-end", saved, text=text)
                disks = machine[2:]
                ended = state(opener, "--restore", saved, *disks, "--jit", tiers[1], "--max-instructions", str(end))
            same = ended == whole
            differ += not same
            print(f"{name} {number}: saved after {at} by {tiers[0]}, opened by {tiers[1]}{' of the other' if number % 2 else ''}: "
                  f"{'same' if same else f'DIFFERS: {ended}'}", flush=True)
    print(f"{options.points // len(loads) * len(loads)} points, {differ} differ")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
