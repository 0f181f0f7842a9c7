#!/usr/bin/env python3
"""viv-img publish: every format and chain comes back from its chunks, disks in one folder share them, a run that is killed leaves
what was published before, and damaged chunks are errors."""
import json
import os
import subprocess
import unittest

from image_tools import *  # noqa: F403 - all of them are wanted

SIZE = (9 << 20) + 512
CHUNK = 64 << 10


class Publish(ImageTest):
    def publish(self, image, *words, name="disk"):
        viv_img("publish", "-q", "--name", name, *words, image, self.path("public"))
        return self.path("public") / f"{name}.disk"

    def chunks(self):
        return sorted(path for path in (self.path("public") / "chunks").rglob("*") if path.is_file())

    def test_every_format_and_a_chain(self):
        raw = self.random_raw("raw", SIZE, 20)
        first = self.publish(raw)
        self.same_disk(first, raw)
        stored = self.chunks()
        for image_format in ("qcow2", "vmdk", "vdi", "vpc"):
            image = self.path(f"image.{image_format}")
            viv_img("convert", "-O", image_format, raw, image)
            index = self.publish(image, "-f", image_format, name=image_format)
            self.same_disk(index, image)
            if image_format != "vpc":  # whose disk is a little larger
                self.assertEqual(self.chunks(), stored)
        viv_img("create", "-q", "-f", "qcow2", "-b", raw, "-F", "raw", self.path("over"))
        with Requests(self.path("over"), "qcow2") as io:
            io(f"w {CHUNK * 3} 4096 77")
        viv_img("compare", self.path("over"), self.publish(self.path("over"), name="over"))
        viv_img("compare", raw, self.path("public") / "over.disk", code=1)

    def same_disk(self, index, image):
        viv_img("compare", index, image)
        viv_img("convert", "-O", "raw", index, self.path("flat"))
        viv_img("compare", self.path("flat"), image)

    def test_folders_are_shared(self):
        raw = self.random_raw("raw", SIZE, 20)
        self.publish(raw)
        before = {path: path.stat().st_mtime_ns for path in self.chunks()}
        with open(raw, "r+b") as file:
            file.seek(CHUNK * 5)
            file.write(os.urandom(CHUNK))
        report = viv_img("publish", raw, self.path("public"), "--name", "changed").stdout
        self.assertRegex(report, r"changed\.disk: \d+ chunks, [\d.]+ MB; new of these 1, 0\.1 MB\n$")
        after = {path: path.stat().st_mtime_ns for path in self.chunks()}
        self.assertEqual(len(after), len(before) + 1)
        self.assertEqual({path: after[path] for path in before}, before)

    def test_chunks_are_called_by_their_hash_and_zeroes_are_not_stored(self):
        with open(self.path("raw"), "wb") as file:
            file.truncate(1 << 30)
            for at in (0, 7, 100):
                file.seek(at * CHUNK)
                file.write(b"\x01" * CHUNK)
        index = self.publish(self.path("raw"))
        (chunk,) = self.chunks()
        self.assertEqual(chunk.parent.name, chunk.name[:2])
        tool = shutil.which("xxhsum")
        if tool:
            self.assertEqual(run(tool, "-H2", chunk).stdout.split()[0], chunk.name)
        self.assertLess(index.stat().st_size, 1000)
        info = json.loads(viv_img("info", "--output", "json", index).stdout)
        self.assertEqual((info["format"], info["virtual-size"], info["cluster-size"]), ("published", 1 << 30, CHUNK))
        self.assertEqual(info["format-specific"]["data"]["chunks"], 1)
        rows = json.loads(viv_img("map", "--output", "json", index).stdout)
        self.assertEqual([(row["start"], row["length"]) for row in rows if row["data"]], [(at * CHUNK, CHUNK) for at in (0, 7, 100)])

    def test_chunks_have_the_size_that_is_said(self):
        raw = self.random_raw("raw", SIZE)
        for size in ("4k", "1M"):
            self.same_disk(self.publish(raw, "--chunk-size", size, name=size), raw)
        for size in ("2k", "2M", "5k", "0"):
            result = viv_img("publish", raw, self.path("public"), "--chunk-size", size, code=1)
            self.assertIn("a power of two from 4k to 1M is needed", result.stderr)

    def test_killed_at_any_moment(self):
        raw = self.random_raw("raw", SIZE, 40)
        self.publish(raw)
        old, index = self.path("old"), self.path("public") / "disk.disk"
        os.link(raw, old)
        killed = 0
        for number in range(12):
            new = self.random_raw(f"new{number}", SIZE, 40)
            there = len(self.chunks())
            process = subprocess.Popen([VIV_IMG, "publish", "-q", "--name", "disk", new, self.path("public")])
            while process.poll() is None and len(self.chunks()) < there + 1 + number * 8:
                pass
            process.kill()
            killed += process.wait() != 0
            shown = viv_img("compare", "-q", index, new, code=(0, 1)).returncode
            if shown == 0:
                old = new
            viv_img("compare", index, old)
        self.assertGreater(killed, 0)

    def test_damage_is_an_error(self):
        raw = self.random_raw("raw", SIZE, 20)
        index = self.publish(raw)
        chunk = self.chunks()[3]
        good = bytearray(chunk.read_bytes())
        bad = bytearray(good)
        bad[len(bad) // 2] ^= 1
        for data in (bad, good[:-1], good + b"\0", b"", None):
            if data is None:
                chunk.unlink()
            else:
                chunk.write_bytes(data)
            result = viv_img("convert", index, self.path("copy"), code=1)
            self.assertIn(chunk.name, result.stderr)
            self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        chunk.write_bytes(good)
        self.same_disk(index, raw)

    def test_it_is_not_written(self):
        index = self.publish(self.random_raw("raw", SIZE))
        self.assertIn("can only be read", viv_img("resize", index, "20M", code=1).stderr)
        self.assertIn("cannot be made", viv_img("create", "-f", "published", self.path("new"), "1M", code=1).stderr)
        self.assertIn("is needed", viv_img("publish", "--name", "a/b", self.path("raw"), self.path("public"), code=1).stderr)


if __name__ == "__main__":
    unittest.main()
