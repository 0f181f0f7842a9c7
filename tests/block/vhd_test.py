#!/usr/bin/env python3
"""VHD images of ours and of qemu-img, each read, changed, checked and compared by the other."""
import json
import os
import struct
import unittest

from image_tools import *  # noqa: F403 - all of them are wanted

SIZE = (9 << 20) + 512
BLOCK = 2 << 20


def signed(data, place=64):
    """With the checksum that its bytes have."""
    data = bytearray(data)
    data[place : place + 4] = bytes(4)
    data[place : place + 4] = struct.pack(">I", ~sum(data) & 0xFFFFFFFF)
    return bytes(data)


class Vhd(ImageTest):
    def good(self, image):
        # qemu-img has no check of them.
        self.assertIn("No errors", viv_img("check", "-f", "vpc", image).stdout)

    def size_of(self, image):
        sizes = [json.loads(tool("info", "-f", "vpc", "--output", "json", image).stdout)["virtual-size"] for tool in (viv_img, qemu_img)]
        self.assertEqual(sizes[0], sizes[1])
        return sizes[0]

    def test_both_ways(self):
        for size in (512, SIZE, 68 << 20):
            raw = self.random_raw("raw", size)
            for options in ("subformat=dynamic", "subformat=fixed", "subformat=fixed,force_size=on", "subformat=dynamic,force_size=on"):
                with self.subTest(options=options, size=size):
                    qemu_img("convert", "-O", "vpc", "-o", options, raw, self.path("theirs"))
                    viv_img("convert", "-O", "vpc", "-o", options, raw, self.path("ours"))
                    self.assertEqual(self.size_of(self.path("ours")), size)
                    theirs = self.size_of(self.path("theirs"))  # rounded up to its geometry
                    self.assertTrue(size <= theirs and ("force" not in options or theirs == size))
                    for image in ("ours", "theirs"):
                        self.good(self.path(image))
                        self.same(self.path(image), "vpc", raw)
                        viv_img("convert", "-f", "vpc", "-O", "raw", self.path(image), self.path("back"))
                        self.assertEqual(self.path("back").read_bytes()[:size], raw.read_bytes())

    def test_large_disks_keep_their_size(self):
        for size in ((127 << 30) + 512, 2040 << 30):
            viv_img("create", "-q", "-f", "vpc", self.path("image"), size)
            self.assertEqual(self.size_of(self.path("image")), size)
        self.assertIn("2040 GiB", viv_img("create", "-f", "vpc", self.path("image"), (2040 << 30) + 512, code=1).stderr)

    def test_random_requests(self):
        for options in ("subformat=dynamic", "subformat=fixed"):
            for tool in (viv_img, qemu_img):
                tool("create", "-q", "-f", "vpc", "-o", options + ",force_size=on", self.path("image"), SIZE)
                model = Model(SIZE)
                for _ in range(3):
                    with Requests(self.path("image"), "vpc") as io:
                        for tag in range(1, 60):
                            kind, offset, length = random_request(self.random, SIZE)
                            io("f" if tag % 9 == 0 else f"{kind} {offset} {length} {tag}" if kind == "w" else f"{kind} {offset} {length}")
                            if tag % 9 != 0:
                                model.apply(kind, offset, length, tag)
                        io.close()
                    # The other program goes on with what is there.
                    offset = self.random.randrange(SIZE // SECTOR) * SECTOR
                    run("qemu-io", "-f", "vpc", "-c", f"write -P 0 {offset} 512", self.path("image"))
                    model.apply("z", offset, 512)
                self.good(self.path("image"))
                for reader in (viv_img, qemu_img):
                    reader("convert", "-f", "vpc", "-O", "raw", self.path("image"), self.path("flat"))
                    self.assertIsNone(model.check(self.path("flat")))

    def test_a_fixed_image_is_asked_about(self):
        viv_img("create", "-q", "-f", "vpc", "-o", "subformat=fixed", self.path("image"), "1M")
        self.assertIn("say format=vpc or format=raw", viv_img("info", self.path("image"), code=1).stderr)
        self.assertEqual(self.size_of(self.path("image")), 1 << 20)
        viv_img("info", "-f", "raw", self.path("image"))
        # What its guest writes to the first sector, the beginning of another image, changes nothing.
        viv_img("create", "-q", "-f", "vpc", self.path("other"), "7M")
        with open(self.path("image"), "r+b") as file:
            file.write(self.path("other").read_bytes())
        info = viv_img("info", "-f", "vpc", "--output", "json", self.path("image")).stdout
        self.assertEqual(json.loads(info)["virtual-size"], 1 << 20)
        # Old programs leave out the footer's last byte.
        os.truncate(self.path("image"), (1 << 20) + 511)
        viv_img("check", "-f", "vpc", self.path("image"))

    def test_sectors_that_a_block_has_not(self):
        """Read as zero, whatever lies there; a write to the block does not bring it back."""
        raw = self.path("raw")
        raw.write_bytes(b"\x77" * (4 << 20))
        viv_img("convert", "-O", "vpc", raw, self.path("image"))
        data = bytearray(self.path("image").read_bytes())
        bitmap = struct.unpack_from(">I", data, 1536)[0] * SECTOR
        data[bitmap : bitmap + 3] = b"\x0f\xff\xf7"  # sectors 0 to 3 and 20 are not there
        self.path("image").write_bytes(data)
        expected = bytearray(raw.read_bytes())
        for sector in (0, 1, 2, 3, 20):
            expected[sector * SECTOR : (sector + 1) * SECTOR] = bytes(SECTOR)
        viv_img("convert", "-O", "raw", self.path("image"), self.path("flat"))
        self.assertEqual(self.path("flat").read_bytes(), expected)
        with Requests(self.path("image"), "vpc") as io:
            io(f"w {SECTOR} {SECTOR} 5")
            io.close()
        expected[SECTOR : 2 * SECTOR] = sector_bytes(1, 5)
        for tool in (viv_img, qemu_img):
            tool("convert", "-f", "vpc", "-O", "raw", self.path("image"), self.path("flat"))
            self.assertEqual(self.path("flat").read_bytes(), expected)

    def test_what_is_mended(self):
        raw = self.random_raw("raw", SIZE)
        for what in ("head", "tail", "leak"):
            with self.subTest(what=what):
                viv_img("convert", "-O", "vpc", raw, self.path("image"))
                length = self.path("image").stat().st_size
                with open(self.path("image"), "r+b") as file:
                    if what == "leak":
                        file.seek(length - SECTOR)
                        footer = file.read()
                        file.seek(length - SECTOR)
                        file.write(b"\x55" * (BLOCK + SECTOR) + footer)
                    else:
                        file.seek(20 if what == "head" else length - 1)
                        file.write(b"\xaa")
                viv_img("check", "-f", "vpc", self.path("image"), code=3 if what == "leak" else 2)
                viv_img("compare", "-f", "vpc", "-F", "raw", self.path("image"), raw)
                viv_img("check", "-f", "vpc", "-r", "leaks" if what == "leak" else "all", self.path("image"))
                self.good(self.path("image"))
                self.same(self.path("image"), "vpc", raw)
                if what == "leak":
                    self.assertEqual(self.path("image").stat().st_size, length)

    def test_space_that_nobody_uses_is_zeroed_before_it_is_used(self):
        viv_img("create", "-q", "-f", "vpc", self.path("image"), SIZE)
        with open(self.path("image"), "r+b") as file:
            file.seek(-SECTOR, os.SEEK_END)
            footer = file.read()
            file.seek(-SECTOR, os.SEEK_END)
            file.write(b"\x55" * (BLOCK + 77 * SECTOR) + footer)
        model = Model(SIZE)
        with Requests(self.path("image"), "vpc") as io:
            for tag in range(1, 4):
                io(f"w {tag * BLOCK + 4096} 4096 {tag}")
                model.apply("w", tag * BLOCK + 4096, 4096, tag)
            io.close()
        self.good(self.path("image"))
        for reader in (viv_img, qemu_img):
            reader("convert", "-f", "vpc", "-O", "raw", self.path("image"), self.path("flat"))
            self.assertIsNone(model.check(self.path("flat")))

    def test_blocks_that_lie_over_others_are_not_written(self):
        viv_img("convert", "-O", "vpc", self.random_raw("raw", SIZE, 60), self.path("image"))
        good = self.path("image").read_bytes()
        first = struct.unpack_from(">I", good, 1536)[0]
        for value, words in ((first, "where block"), (1, "where a table is"), (first + 1, "where block"), (1 << 24, "behind the end")):
            with self.subTest(value=value):
                bad = bytearray(good)
                bad[1540:1544] = struct.pack(">I", value)
                self.path("image").write_bytes(bad)
                self.assertIn(words, viv_img("check", self.path("image"), code=2).stdout)
                self.assertIn("can only be read", run(IMAGE_IO, self.path("image"), "vpc", "rw", code=1, input="").stdout)
                viv_img("check", "-r", "all", self.path("image"), code=2)
                self.assertEqual(self.path("image").read_bytes(), bad)

    def test_headers_that_cannot_be(self):
        viv_img("create", "-q", "-f", "vpc", self.path("image"), "4M")
        good = self.path("image").read_bytes()
        for offset, value, words in ((12, 0x20000, "version 2.0"), (60, 4, "differencing"), (60, 7, "kind 7"), (48, 1 << 20, "which cannot be"),
                                     (48, 1, "too many"), (20, 1 << 30, "header outside")):
            with self.subTest(offset=offset, value=value):
                bad = bytearray(good)
                bad[offset : offset + 4] = struct.pack(">I", value)
                bad[:SECTOR] = bad[-SECTOR:] = signed(bad[:SECTOR])
                self.path("image").write_bytes(bad)
                self.assertIn(words, viv_img("map", self.path("image"), code=1).stderr)
        for offset, value, words in ((24, 2, "version"), (28, 1, "too many"), (28, 1 << 24, "table of blocks"), (28, 1 << 31, "too many"),
                                     (32, 3000, "blocks of 3000"), (32, 512, "blocks of 512"), (16, 1, "table of blocks"), (20, 1 << 30, "table of blocks")):
            with self.subTest(offset=offset, value=value):
                bad = bytearray(good)
                bad[SECTOR + offset : SECTOR + offset + 4] = struct.pack(">I", value)
                bad[SECTOR : 3 * SECTOR] = signed(bad[SECTOR : 3 * SECTOR], 36)
                self.path("image").write_bytes(bad)
                self.assertIn(words, viv_img("map", self.path("image"), code=1).stderr)


if __name__ == "__main__":
    unittest.main()
