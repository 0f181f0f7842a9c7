#!/usr/bin/env python3
"""A process that is killed at any moment under load leaves an image that qemu-img does not call corrupt, with all that was
flushed. VIV_KILLS says how often (36)."""
import itertools
import os
import shutil
import signal
import subprocess
import unittest

from image_tools import *  # noqa: F403 - all of them are wanted

KILLS = int(os.environ.get("VIV_KILLS", "36"))
SIZE = 24 << 20
LEAKS = 3  # qemu-img check's exit code if clusters are lost and nothing else is wrong
OPTIONS = ["", "cluster_size=512", "cluster_size=4096", "compat=0.10", "lazy_refcounts=on", "cluster_size=2M",
           "refcount_bits=64,cluster_size=1024", "snapshot", "backed", "compat=0.10 backed", "cluster_size=4096 snapshot backed",
           "data_file=data", "data_file=data,data_file_raw=on,cluster_size=4096", "data_file=data backed", "encrypt.format=luks", "encrypt.format=luks,cluster_size=4096 snapshot backed"]
OTHERS = [("vpc", "subformat=dynamic"), ("vmdk", "subformat=monolithicSparse"), ("vmdk", "subformat=twoGbMaxExtentSparse"), ("vhdx", "block_size=1M"), ("vhdx", "subformat=dynamic")]


class Killed(ImageTest):
    def setUp(self):
        super().setUp()
        # qemu-img looks for data files where it is started.
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.folder)

    def test_under_load(self):
        totals = {"writes": 0, "flushes": 0, "leaks": 0}
        for number, options in zip(range(KILLS), itertools.cycle(OPTIONS)):
            with self.subTest(number=number, options=options):
                self.once(number, options.split(), totals)
        self.assertGreater(totals["writes"], KILLS * 10)
        self.assertGreater(totals["flushes"], KILLS)
        print(f"\n{KILLS} kills: {totals['writes']} requests, {totals['flushes']} flushes, {totals['leaks']} images with leaks")

    def test_other_formats_under_load(self):
        totals = {"writes": 0, "flushes": 0, "leaks": 0}
        for number, (image_format, options) in zip(range(max(KILLS // 2, 3)), itertools.cycle(OTHERS)):
            with self.subTest(number=number, format=image_format, options=options):
                image, model = self.path("image"), Model(SIZE)
                viv_img("create", "-q", "-f", image_format, "-o", options, image, SIZE)
                self.load(image, image_format, number, model, totals)
                theirs = image
                if image_format == "vhdx":  # it must write to carry out a log, and the image shall still have that one for us
                    theirs = self.path("theirs")
                    shutil.copy(image, theirs)
                if image_format != "vpc":  # it has no check of these
                    qemu_img("check", "-f", image_format, *(["-r", "all"] if theirs != image else []), theirs)
                totals["leaks"] += viv_img("check", "-f", image_format, image, code=(0, LEAKS)).returncode == LEAKS
                for tool, what in ((qemu_img, theirs), (viv_img, image)):
                    tool("convert", "-f", image_format, "-O", "raw", what, self.path("flat"))
                    self.assertIsNone(model.check(self.path("flat")))
                viv_img("check", "-f", image_format, "-r", "all", image)
                self.assertIn("No errors", viv_img("check", "-f", image_format, image).stdout)
                viv_img("compare", "-f", image_format, "-F", "raw", image, self.path("flat"))
                if image_format != "vpc":
                    qemu_img("check", "-f", image_format, image)
        self.assertGreater(totals["flushes"], 0)
        print(f"\n{totals}")

    def once(self, number, words, totals):
        image, model = self.path("image"), Model(SIZE)
        options = next((word for word in words if "=" in word), "")
        key, ours, theirs = self.path("key"), [], [image]
        if "encrypt" in options:
            key.write_text("a passphrase")
            options, ours = options + ",encrypt.iter-time=1", ["--key-file", key]
            theirs = ["--object", f"secret,id=s,file={key}", "--image-opts", f"driver=qcow2,encrypt.key-secret=s,file.filename={image}"]
        below = []
        if "backed" in words:
            with open(self.path("base"), "wb") as base:
                for sector in range(SIZE // SECTOR):
                    base.write(sector_bytes(sector, 1 << 40))
            model.sectors = [frozenset((1 << 40,))] * (SIZE // SECTOR)
            below = ["-b", self.path("base"), "-F", "raw"]
        viv_img("create", "-q", "-f", "qcow2", *(["-o", options] if options else []), *below, *ours, image, SIZE)
        snapshot = None
        with Requests(image, "qcow2", *ours[1:]) as io:
            for tag in range(40):
                kind, offset, length = random_request(self.random, SIZE)
                io(f"{kind} {offset} {length} {tag + 1}" if kind == "w" else f"{kind} {offset} {length}")
                model.apply(kind, offset, length, tag + 1)
            io.close()
        if "snapshot" in words:
            viv_img("snapshot", "-c", "s", image)
            snapshot = model.copy()

        self.load(image, "qcow2", number, model, totals, *ours[1:])
        lazy = "lazy" in options
        code = qemu_img("check", *theirs, code=(0, LEAKS, 2) if lazy else (0, LEAKS)).returncode
        totals["leaks"] += code == LEAKS
        if lazy and code == 2:
            # Counts are written late, and the image says so: whoever opens it to write counts anew.
            self.assertTrue(qemu_img("info", image).stdout.count("cleanly shut down: no") == 1)
            with Requests(image, "qcow2") as io:
                io("f")
                io.close()
            qemu_img("check", image)
        self.assertEqual(viv_img("check", image, code=(0, LEAKS)).returncode, 0 if lazy and code == 2 else code)
        for tool, what in ((qemu_img, theirs), (viv_img, [*ours, image])):
            tool("convert", "-O", "raw", *what, self.path("flat"))
            self.assertIsNone(model.check(self.path("flat")))
        if snapshot:
            qemu_img("convert", "-l", "s", "-O", "raw", *theirs, self.path("flat"))
            self.assertIsNone(snapshot.check(self.path("flat")))
        viv_img("check", "-r", "all", image)
        qemu_img("check", *theirs)

    def load(self, image, image_format, seed, model, totals, *key):
        process = subprocess.Popen([IMAGE_IO, image, image_format, "rw", *key], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        process.stdin.write(f"load {seed} {512 << 10}\n".encode())
        process.stdin.flush()
        # The kill comes after so many lines and is aimed at nothing: the process goes on meanwhile.
        lines = []
        for _ in range(self.random.randrange(30, 400)):
            lines.append(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
        process.stdin.close()
        process.stdout.close()
        self.assertEqual(process.wait(), -signal.SIGKILL)
        # What was asked since the last flush that was answered may be there or not.
        lines = [line.decode().split() for line in lines if line.endswith(b"\n")]
        last = max((i for i, line in enumerate(lines) if line == ["f"]), default=-1)
        for number, line in enumerate(lines):
            if line == ["f"]:
                totals["flushes"] += 1
                continue
            kind, (offset, length, tag) = line[0], map(int, line[1:])
            # Tags of this load are told from those of before.
            model.apply(kind, offset, length, tag, flushed=number < last)
            totals["writes"] += 1


if __name__ == "__main__":
    unittest.main()
