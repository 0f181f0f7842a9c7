#!/usr/bin/env python3
"""VMDK images of ours and of qemu-img, each read, changed, checked and compared by the other."""
import json
import struct
import unittest

from image_tools import *  # noqa: F403 - all of them are wanted

SIZE = (70 << 20) + 512  # more than one grain table
LARGE = (4100 << 20) + 512  # three files of 2 GiB
SEVERAL = ("monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat")


class Vmdk(ImageTest):
    def test_both_ways(self):
        raw = self.random_raw("raw", SIZE)
        qemu_img("convert", "-O", "vmdk", raw, self.path("theirs"))
        qemu_img("convert", "-O", "vmdk", "-o", "subformat=streamOptimized", raw, self.path("stream"))
        viv_img("convert", "-O", "vmdk", raw, self.path("ours"))
        for image in ("ours", "theirs", "stream"):
            with self.subTest(image=image):
                self.good(self.path(image), "vmdk")
                self.same(self.path(image), "vmdk", raw)
        self.assertIn("can only be read", run(IMAGE_IO, self.path("stream"), "vmdk", "rw", code=1, input="").stdout)

    def test_several_files_both_ways(self):
        raw = self.random_raw("raw", LARGE, 40)
        for subformat in SEVERAL:
            with self.subTest(subformat=subformat):
                for tool, name in ((qemu_img, "theirs"), (viv_img, "ours")):
                    image = self.path(f"{name}-{subformat}.vmdk")
                    tool("convert", "-O", "vmdk", "-o", f"subformat={subformat}", raw, image)
                    self.same(image, "vmdk", raw)
                    viv_img("check", image)
                    if "Sparse" in subformat:
                        self.good(image, "vmdk")
                    info = json.loads(viv_img("info", "--output", "json", image).stdout)
                    self.assertEqual(info["virtual-size"], LARGE)
                    self.assertEqual(info["format-specific"]["data"], {"create-type": subformat, "extents": 1 if "mono" in subformat else 3})
                    viv_img("map", image)
                names = sorted(path.name for path in self.folder.glob(f"*-{subformat}-*"))
                self.assertEqual(len([n for n in names if n.startswith("ours")]), len([n for n in names if n.startswith("theirs")]))
                for path in self.folder.glob(f"*-{subformat}*"):
                    path.unlink()

    def test_random_requests_to_several_files(self):
        # Around the ends of the parts.
        base, size = (2047 << 20) - SIZE // 2 // 512 * 512, 3 << 30
        for subformat in SEVERAL:
            for tool in (viv_img, qemu_img):
                with self.subTest(subformat=subformat, tool=tool.__name__):
                    image = self.path("image.vmdk")
                    tool("create", "-q", "-f", "vmdk", "-o", f"subformat={subformat}", image, size)
                    model = Model(size)
                    model.sectors = {}
                    with Requests(image, "vmdk") as io:
                        for tag in range(1, 120):
                            kind, offset, length = random_request(self.random, SIZE)
                            offset += base
                            io(f"{kind} {offset} {length} {tag}" if kind == "w" else f"{kind} {offset} {length}")
                            for sector in range(offset // SECTOR, (offset + length) // SECTOR):
                                old = model.sectors.get(sector, frozenset((0,)))
                                model.sectors[sector] = frozenset((tag if kind == "w" else 0,)) | (old if kind == "d" else frozenset())
                        io("f")
                        io.close()
                    viv_img("check", image)
                    if "Sparse" in subformat:
                        qemu_img("check", "-f", "vmdk", image)
                    for reader in (viv_img, qemu_img):
                        reader("convert", "-f", "vmdk", "-O", "raw", image, self.path("flat"))
                        with open(self.path("flat"), "rb") as flat:
                            for sector, tags in sorted(model.sectors.items()):
                                flat.seek(sector * SECTOR)
                                got = flat.read(SECTOR)
                                self.assertTrue(any(got == sector_bytes(sector, tag) for tag in tags), (reader.__name__, sector))
                            flat.seek(0)
                            self.assertEqual(flat.read(1 << 20), bytes(1 << 20))

    def test_parts_are_files_of_the_images_folder(self):
        folder = self.path("folder")
        folder.mkdir()
        image = folder / "image.vmdk"
        secret = self.path("secret")
        secret.write_bytes(b"s" * (1 << 20))
        (folder / "link").symlink_to(secret)
        viv_img("create", "-q", "-f", "vmdk", "-o", "subformat=monolithicFlat", image, "1M")
        good = image.read_text()
        for line, words in (('RW 2048 FLAT "../secret" 0', "must be a file in the image's folder"), (f'RW 2048 FLAT "{secret}" 0', "must be a file"),
                            ('RW 2048 FLAT "link" 0', "no link"), ('RW 2048 FLAT ".." 0', "must be a file"), ('RW 2048 FLAT "" 0', "must be a file"),
                            ('RW 1 FLAT "image.vmdk" 0', "twice"), ('RW 2048 FLAT "missing" 0', "No such file"),
                            ('RW 1024 FLAT "image-flat.vmdk" 0\nRW 1024 FLAT "image-flat.vmdk" 1024', "twice"),
                            ('RW 2049 FLAT "image-flat.vmdk" 0', "which has"), ('RW 2048 FLAT "image-flat.vmdk" 1', "which has"),
                            ('RW 2048 FLAT "image-flat.vmdk" 99999999999999999999', "cannot be"), ("RW 0 ZERO", "cannot be"),
                            ("RW 281474976710656 ZERO", "cannot be"), ("RW 140737488355328 ZERO\nRW 140737488355328 ZERO", "cannot be"),
                            ('NOACCESS 2048 FLAT "image-flat.vmdk" 0', "NOACCESS"), ('RW 2048 VMFS "image-flat.vmdk" 0', "kind VMFS"),
                            ('RW 2048 FLAT image-flat.vmdk', "cannot be"), ("", "no extents"), ("RW 1 ZERO\n" * 1025, "more than 1024"),
                            ('RW 2048 SPARSE "image-flat.vmdk"', "no VMDK image")):
            with self.subTest(line=line[:60]):
                image.write_text(good.replace('RW 2048 FLAT "image-flat.vmdk" 0', line))
                self.assertIn(words, viv_img("info", image, code=1).stderr)
        image.write_text(good.replace("ffffffff", "12345678"))
        self.assertIn("another one below", viv_img("info", image, code=1).stderr)
        image.write_text(good.replace("monolithicFlat", "vmfs"))
        self.assertIn("kind vmfs", viv_img("info", image, code=1).stderr)
        image.write_text(good + " " * (64 << 10))
        self.assertIn("descriptor of", viv_img("info", image, code=1).stderr)

    def test_parts_that_are_zeroes_or_only_read(self):
        image = self.path("image.vmdk")
        viv_img("create", "-q", "-f", "vmdk", "-o", "subformat=monolithicFlat", image, "1M")
        self.path("image-flat.vmdk").write_bytes(b"a" * (1 << 20))
        text = image.read_text()
        image.write_text(text.replace("# Extent description", "# Extent description\nRW 8 ZERO"))
        viv_img("convert", "-O", "raw", image, self.path("flat"))
        self.assertEqual(self.path("flat").read_bytes(), bytes(4096) + b"a" * (1 << 20))
        with Requests(image, "vmdk") as io:
            io("w 4096 512 3")
            self.assertRaises(AssertionError, io, "w 0 512 3")
            io.close()
        image.write_text(text.replace("RW 2048", "RDONLY 2048"))
        viv_img("check", image)
        self.assertIn("can only be read", run(IMAGE_IO, image, "vmdk", "rw", code=1, input="").stdout)

    def test_what_fails_is_removed(self):
        self.path("disk-s002.vmdk").mkdir()  # in the way of the second part
        viv_img("create", "-q", "-f", "vmdk", "-o", "subformat=twoGbMaxExtentSparse", self.path("disk.vmdk"), "5G", code=1)
        self.assertEqual([path.name for path in self.folder.iterdir()], ["disk-s002.vmdk"])

    def test_random_requests(self):
        for tool in (viv_img, qemu_img):
            tool("create", "-q", "-f", "vmdk", self.path("image"), SIZE)
            model = Model(SIZE)
            with Requests(self.path("image"), "vmdk") as io:
                for tag in range(1, 120):
                    kind, offset, length = random_request(self.random, SIZE)
                    io(f"{kind} {offset} {length} {tag}" if kind == "w" else f"{kind} {offset} {length}")
                    model.apply(kind, offset, length, tag)
                io.close()
            self.good(self.path("image"), "vmdk")
            for reader in (viv_img, qemu_img):
                reader("convert", "-O", "raw", self.path("image"), self.path("flat"))
                self.assertIsNone(model.check(self.path("flat")))

    def test_what_is_refused(self):
        viv_img("create", "-q", "-f", "vmdk", self.path("image"), "4M")
        good = self.path("image").read_bytes()
        for offset, value, words in ((4, 9, "version"), (12, 1 << 62, "sectors"), (20, 3, "grains"), (44, 0, "grain tables"),
                                     (56, 1 << 40, "directory"), (28, 1 << 40, "descriptor")):
            with self.subTest(offset=offset):
                bad = bytearray(good)
                bad[offset : offset + (4 if offset in (4, 44) else 8)] = struct.pack("<I" if offset in (4, 44) else "<Q", value)
                self.path("image").write_bytes(bad)
                self.assertIn(words, viv_img("map", self.path("image"), code=1).stderr)


if __name__ == "__main__":
    unittest.main()
