#!/usr/bin/env python3
"""qcow2 images with their data in another file, of ours and of qemu-img, each read, changed, checked and compared by the other."""
import json
import os
import struct
import unittest

from image_tools import *  # noqa: F403 - all of them are wanted

SIZE = (9 << 20) + 512
CLUSTER = 64 << 10
VARIANTS = ["data_file=data", "data_file=data,data_file_raw=on", "data_file=data,cluster_size=4096", "data_file=data,lazy_refcounts=on,data_file_raw=on"]


class DataFile(ImageTest):
    def setUp(self):
        super().setUp()
        # qemu-img makes the file, and looks for it, where it is started.
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.folder)

    def info(self, image, tool=viv_img):
        return json.loads(tool("info", "--output", "json", image).stdout)

    def raw_is(self, options, content):
        """A raw data file is the disk, without the image; qemu-img fills its last cluster."""
        if "raw" in options:
            data = self.path("data").read_bytes()
            self.assertEqual(data[: len(content)], content)
            self.assertLess(len(data), len(content) + CLUSTER)
            self.assertFalse(any(data[len(content) :]))

    def test_both_ways(self):
        raw = self.random_raw("raw", SIZE)
        for options in VARIANTS:
            for tool in (viv_img, qemu_img):
                with self.subTest(options=options, tool=tool.__name__):
                    tool("convert", "-O", "qcow2", "-o", options, raw, "image")
                    self.good("image")
                    self.same("image", "qcow2", raw)
                    self.raw_is(options, raw.read_bytes())
                    if "raw" in options and tool is viv_img:
                        self.assertEqual(self.path("data").stat().st_size, SIZE)
                    ours, theirs = self.info("image"), self.info("image", qemu_img)
                    for key in ("virtual-size", "cluster-size", "format", "dirty-flag", "format-specific"):
                        self.assertEqual(ours[key], theirs[key])
                    viv_img("convert", "-O", "raw", "image", "back")
                    self.assertEqual(self.path("back").read_bytes(), raw.read_bytes())

    def test_random_requests(self):
        for options in VARIANTS:
            for tool in (viv_img, qemu_img):
                with self.subTest(options=options, tool=tool.__name__):
                    tool("create", "-q", "-f", "qcow2", "-o", options, "image", SIZE)
                    model = Model(SIZE)
                    for _ in range(3):
                        with Requests("image", "qcow2") as io:
                            for tag in range(1, 60):
                                kind, offset, length = random_request(self.random, SIZE)
                                io("f" if tag % 9 == 0 else f"{kind} {offset} {length} {tag}" if kind == "w" else f"{kind} {offset} {length}")
                                if tag % 9 != 0:
                                    model.apply(kind, offset, length, tag)
                            io.close()
                        offset = self.random.randrange(SIZE // SECTOR) * SECTOR
                        run("qemu-io", "-f", "qcow2", "-c", f"write -P 0 {offset} 512", "image")
                        model.apply("z", offset, 512)
                    self.good("image")
                    for reader in (viv_img, qemu_img):
                        reader("convert", "-f", "qcow2", "-O", "raw", "image", "flat")
                        self.assertIsNone(model.check("flat"))
                    self.raw_is(options, self.path("flat").read_bytes())

    def test_resized(self):
        for options in VARIANTS:
            with self.subTest(options=options):
                viv_img("create", "-q", "-f", "qcow2", "-o", options, "image", SIZE)
                model = Model(SIZE)
                for number, size in enumerate((SIZE // 1024 * 512, SIZE, 3 * SIZE, 512, 2 << 20)):
                    now = len(model.sectors) * SECTOR
                    with Requests("image", "qcow2") as io:
                        io(f"w 0 {min(now, 400 << 10)} {2 * number + 1}")
                        io(f"w {now - 512} 512 {2 * number + 2}")
                        io.close()
                    model.apply("w", 0, min(now, 400 << 10), 2 * number + 1)
                    model.apply("w", now - 512, 512, 2 * number + 2)
                    viv_img("resize", "-q", "--shrink", "image", size)
                    model.resize(size)
                    self.good("image")
                    for reader in (viv_img, qemu_img):
                        reader("convert", "-O", "raw", "image", "flat")
                        self.assertIsNone(model.check("flat"))
                    self.raw_is(options, self.path("flat").read_bytes())

    def test_an_image_below(self):
        base = self.random_raw("base", SIZE, 60)
        viv_img("create", "-q", "-f", "qcow2", "-o", "data_file=data", "-b", "base", "-F", "raw", "image", SIZE)
        expected = bytearray(base.read_bytes())
        with Requests("image", "qcow2") as io:
            for line in ("w 4096 512 7", "z 1048576 262144", "d 2097152 131072", "z 5120 512", f"w {SIZE - 512} 512 9"):
                io(line)
            io.close()
        expected[4096:4608] = sector_bytes(8, 7)
        for start, length in ((1048576, 262144), (2097152, 131072), (5120, 512)):
            expected[start : start + length] = bytes(length)
        expected[SIZE - 512 :] = sector_bytes(SIZE // 512 - 1, 9)
        self.good("image")
        self.path("raw").write_bytes(expected)
        self.same("image", "qcow2", self.path("raw"))
        viv_img("commit", "-q", "image")
        self.assertEqual(base.read_bytes(), expected)
        self.good("image")
        self.same("image", "qcow2", self.path("raw"))
        # And below another one.
        viv_img("create", "-q", "-f", "qcow2", "-b", "image", "-F", "qcow2", "top", SIZE)
        self.same("top", "qcow2", self.path("raw"))

    def test_what_an_image_may_name(self):
        viv_img("create", "-q", "-f", "qcow2", "-o", "data_file=data", "image", "1M")
        self.path("other").mkdir()
        self.path("other/data").write_bytes(bytes(1 << 20))
        os.symlink("data", "link")
        good = self.path("image").read_bytes()
        place = good.index(struct.pack(">II", 0x44415441, 4)) + 4

        def named(name):
            # In place of the names of features, which come last.
            bad = bytearray(good)
            bad[place : place + 300] = struct.pack(">I", len(name)) + name.encode() + bytes(296 - len(name))
            self.path("image").write_bytes(bad)

        for name in ("other/data", "../" + self.folder.name + "/other/data", "/etc/hostname", "link", ".", "..", "", "a\0b"):
            with self.subTest(name=name):
                named(name)
                words = "does not say which" if not name else "must be a file in the image's folder"
                self.assertIn(words, viv_img("info", "image", code=1).stderr)
        named("image")
        self.assertIn("twice", viv_img("info", "image", code=1).stderr)
        named("nothing")
        self.assertIn("nothing", viv_img("info", "image", code=1).stderr)
        # The folder by another name, as qemu-img may have written it.
        for name in (str(self.folder / "data"), "other/../data", "./data"):
            named(name)
            self.good("image")
        for options in ("data_file=other/data", "data_file=image", "data_file=.", "data_file=data,compat=0.10", "data_file_raw=on"):
            self.assertIn("data_file", viv_img("create", "-f", "qcow2", "-o", options, "image", "1M", code=1).stderr)
        self.assertIn("no such option", viv_img("create", "-f", "vdi", "-o", "data_file=data", "image", "1M", code=1).stderr)
        self.assertIn("no image below", viv_img("create", "-f", "qcow2", "-o", "data_file=data,data_file_raw=on", "-b", "base", "-F", "raw", "-u",
                                                "image", "1M", code=1).stderr)

    def test_tables_that_cannot_be(self):
        raw = self.random_raw("raw", 4 << 20, 40)
        viv_img("convert", "-O", "qcow2", "-o", "data_file=data", raw, "image")
        good = self.path("image").read_bytes()
        l1 = struct.unpack_from(">Q", good, 40)[0]
        l2 = struct.unpack_from(">Q", good, l1)[0] & ~(1 << 63)
        entries = struct.unpack_from(">64Q", good, l2)
        number = next(i for i, entry in enumerate(entries) if entry)
        for value in (1 << 63 | (number + 1) << 16, 1 << 63 | 1 << 50, number << 16 | 1 << 62):
            with self.subTest(value=value):
                bad = bytearray(good)
                struct.pack_into(">Q", bad, l2 + 8 * number, value)
                self.path("image").write_bytes(bad)
                viv_img("check", "image", code=2)
                self.assertIn("cluster", viv_img("convert", "-O", "raw", "image", "flat", code=1).stderr)
        # Without its flag an entry is mended, and nothing is lost.
        bad = bytearray(good)
        struct.pack_into(">Q", bad, l2 + 8 * number, entries[number] & ~(1 << 63) | (0 if number else 1 << 63))
        self.path("image").write_bytes(bad)
        viv_img("check", "image", code=2 if number else 0)
        viv_img("check", "-r", "all", "image")
        self.good("image")
        self.same("image", "qcow2", raw)
        self.assertIn("cannot have snapshots", viv_img("snapshot", "-c", "s", "image", code=1).stderr)
        bad = bytearray(good)
        struct.pack_into(">I", bad, 60, 1)
        self.path("image").write_bytes(bad)
        self.assertIn("has snapshots", viv_img("info", "image", code=1).stderr)


if __name__ == "__main__":
    unittest.main()
