#!/usr/bin/env python3
"""VMDK images of ours and of qemu-img, each read, changed, checked and compared by the other."""
import struct
import unittest

from image_tools import *  # noqa: F403 - all of them are wanted

SIZE = (70 << 20) + 512  # more than one grain table


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
        qemu_img("create", "-q", "-f", "vmdk", "-o", "subformat=twoGbMaxExtentSparse", self.path("several"), "4M")
        self.assertIn("several files", viv_img("info", self.path("several"), code=1).stderr)
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
