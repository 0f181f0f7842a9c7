#!/usr/bin/env python3
"""VDI images of ours and of qemu-img, each read, changed, checked and compared by the other."""
import struct
import unittest

from image_tools import *  # noqa: F403 - all of them are wanted

SIZE = (9 << 20) + 512


class Vdi(ImageTest):
    def test_both_ways(self):
        raw = self.random_raw("raw", SIZE)
        for options in ("static=off", "static=on"):
            with self.subTest(options=options):
                qemu_img("convert", "-O", "vdi", "-o", options, raw, self.path("theirs"))
                viv_img("convert", "-O", "vdi", "-o", options, raw, self.path("ours"))
                for image in ("ours", "theirs"):
                    self.good(self.path(image), "vdi")
                    self.same(self.path(image), "vdi", raw)
                    viv_img("convert", "-O", "raw", self.path(image), self.path("back"))
                    self.assertEqual(self.path("back").read_bytes(), raw.read_bytes())

    def test_random_requests(self):
        for tool in (viv_img, qemu_img):
            tool("create", "-q", "-f", "vdi", self.path("image"), SIZE)
            model = Model(SIZE)
            with Requests(self.path("image"), "vdi") as io:
                for tag in range(1, 120):
                    kind, offset, length = random_request(self.random, SIZE)
                    io(f"{kind} {offset} {length} {tag}" if kind == "w" else f"{kind} {offset} {length}")
                    model.apply(kind, offset, length, tag)
                io.close()
            self.good(self.path("image"), "vdi")
            for reader in (viv_img, qemu_img):
                reader("convert", "-O", "raw", self.path("image"), self.path("flat"))
                self.assertIsNone(model.check(self.path("flat")))

    def test_a_wrong_count_is_mended(self):
        viv_img("convert", "-O", "vdi", self.random_raw("raw", SIZE), self.path("image"))
        with open(self.path("image"), "r+b") as file:
            file.seek(0x184)
            file.write(struct.pack("<I", 77))
        viv_img("check", self.path("image"), code=2)
        viv_img("check", "-r", "all", self.path("image"))
        self.good(self.path("image"), "vdi")

    def test_headers_that_cannot_be(self):
        viv_img("create", "-q", "-f", "vdi", self.path("image"), "4M")
        good = self.path("image").read_bytes()
        for offset, value, words in ((0x44, 2, "version"), (0x4C, 4, "differencing"), (0x1A8, 1, "linked"), (0x154, 1 << 30, "map"),
                                     (0x170, 1 << 31, "too many"), (0x178, 3, "blocks of 3"), (0x180, 1 << 28, "map")):
            with self.subTest(offset=offset):
                bad = bytearray(good)
                bad[offset : offset + 4] = struct.pack("<I", value)
                self.path("image").write_bytes(bad)
                self.assertIn(words, viv_img("map", self.path("image"), code=1).stderr)


if __name__ == "__main__":
    unittest.main()
