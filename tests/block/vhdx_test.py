#!/usr/bin/env python3
"""VHDX images of ours and of qemu-img, each read, changed, checked and compared by the other; logs made by hand, carried out
by both."""
import json
import shutil
import struct
import unittest
import uuid

from image_tools import *  # noqa: F403 - all of them are wanted

MIB = 1 << 20
PAGE = 4096
SIZE = 37 * MIB + 512
HEADERS, REGIONS = (64 << 10, 128 << 10), (192 << 10, 256 << 10)
LOG, METADATA, TABLE = MIB, 2 * MIB, 3 * MIB  # of ours
MARKS = uuid.UUID("12345678-9abc-4def-8123-456789abcdef").bytes_le
STRANGE = uuid.UUID("0badcafe-0000-4000-8000-00000000beef").bytes_le


def crc32c_table():
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        yield value


CRC32C = list(crc32c_table())


def signed(data):
    """With the checksum that its bytes have, in bytes 4 to 7."""
    data = bytearray(data)
    data[4:8] = bytes(4)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ CRC32C[(crc ^ byte) & 0xFF]
    data[4:8] = struct.pack("<I", crc ^ 0xFFFFFFFF)
    return bytes(data)


def log_entry(sequence, tail, changes, *, size, marks=MARKS):
    """Of changes (offset, page's content) and (offset, length of zeroes)."""
    descriptors, pages = b"", b""
    for offset, what in changes:
        if isinstance(what, int):
            descriptors += struct.pack("<4sIQQQ", b"zero", 0, what, offset, sequence)
        else:
            descriptors += struct.pack("<4s4s8sQQ", b"desc", what[-4:], what[:8], offset, sequence)
            pages += b"data" + struct.pack("<I", sequence >> 32) + what[8:-4] + struct.pack("<I", sequence & 0xFFFFFFFF)
    head = bytearray(64) + descriptors
    head += bytes(-len(head) % PAGE)
    struct.pack_into("<4sIIIQII16sQQ", head, 0, b"loge", 0, len(head) + len(pages), tail, sequence, len(changes), 0, marks, size, size)
    return signed(head + pages)


class Vhdx(ImageTest):
    def good(self, image, image_format="vhdx"):
        qemu_img("check", "-f", image_format, image)
        self.assertIn("No errors", viv_img("check", "-f", image_format, image).stdout)

    def put(self, offset, data):
        with open(self.path("image"), "r+b") as file:
            file.seek(offset)
            file.write(data)

    def at(self, offset, length):
        with open(self.path("image"), "rb") as file:
            file.seek(offset)
            return file.read(length)

    def put_log(self, place, entries, *, marks=MARKS):
        """Into the ring, and its name into both headers."""
        log = bytearray(self.at(LOG, MIB))
        for entry in entries:
            for page in range(0, len(entry), PAGE):
                log[place % MIB : place % MIB + PAGE] = entry[page : page + PAGE]
                place += PAGE
        self.put(LOG, log)
        for header in HEADERS:
            data = bytearray(self.at(header, PAGE))
            data[48:64] = marks
            self.put(header, signed(data))

    def test_both_ways(self):
        for size in (512, SIZE, 70 * MIB):
            raw = self.random_raw("raw", size)
            for options in ("subformat=dynamic", "subformat=fixed", "block_size=1M", "block_size=256M"):
                with self.subTest(options=options, size=size):
                    qemu_img("convert", "-O", "vhdx", "-o", options, raw, self.path("theirs"))
                    viv_img("convert", "-O", "vhdx", "-o", options, raw, self.path("ours"))
                    for image in ("ours", "theirs"):
                        for tool in (viv_img, qemu_img):
                            self.assertEqual(json.loads(tool("info", "--output", "json", self.path(image)).stdout)["virtual-size"], size)
                        self.good(self.path(image))
                        self.same(self.path(image), "vhdx", raw)
                        viv_img("convert", "-O", "raw", self.path(image), self.path("back"))
                        self.assertEqual(self.path("back").read_bytes(), raw.read_bytes())

    def test_sizes(self):
        for size, options in ((64 << 40, "subformat=dynamic"), ((5 << 40) + 512, "block_size=32M"), (3 << 30, "subformat=fixed")):
            viv_img("create", "-q", "-f", "vhdx", "-o", options, self.path("image"), size)
            self.good(self.path("image"))
            for number in (0, size // 1024 // 512 * 512, size - 512):
                run("qemu-io", "-f", "vhdx", "-c", f"write -P 7 {number} 512", self.path("image"))
                with Requests(self.path("image"), "vhdx") as io:
                    io(f"w {number - 512 if number else 512} 512 9")
                    io.close()
            self.good(self.path("image"))
            self.assertEqual(run("qemu-io", "-f", "vhdx", "-c", f"read -P 7 {size - 512} 512", self.path("image")).stdout.count("failed"), 0)
        for size, options, words in (((64 << 40) + 512, "subformat=dynamic", "64 TiB"), (MIB, "block_size=3M", "power of two"),
                                     (MIB, "block_size=512K", "1 MiB to 256"), (64 << 40, "block_size=1M", "too small")):
            self.assertIn(words, viv_img("create", "-f", "vhdx", "-o", options, self.path("image"), size, code=1).stderr)

    def test_random_requests(self):
        for options in ("subformat=dynamic", "subformat=fixed", "block_size=1M"):
            for tool in (viv_img, qemu_img):
                tool("create", "-q", "-f", "vhdx", "-o", options, self.path("image"), SIZE)
                model = Model(SIZE)
                for _ in range(3):
                    with Requests(self.path("image"), "vhdx") as io:
                        for tag in range(1, 60):
                            kind, offset, length = random_request(self.random, SIZE)
                            io("f" if tag % 9 == 0 else f"{kind} {offset} {length} {tag}" if kind == "w" else f"{kind} {offset} {length}")
                            if tag % 9 != 0:
                                model.apply(kind, offset, length, tag)
                        io.close()
                    # The other program goes on with what is there.
                    offset = self.random.randrange(SIZE // SECTOR) * SECTOR
                    run("qemu-io", "-f", "vhdx", "-c", f"write -P 0 {offset} 512", self.path("image"))
                    model.apply("z", offset, 512)
                self.good(self.path("image"))
                for reader in (viv_img, qemu_img):
                    reader("convert", "-f", "vhdx", "-O", "raw", self.path("image"), self.path("flat"))
                    self.assertIsNone(model.check(self.path("flat")))

    def test_a_table_larger_than_a_log_entry(self):
        """A write to every page of the table between two flushes."""
        size, step = 160 * 512 * MIB, 511 * MIB
        viv_img("create", "-q", "-f", "vhdx", "-o", "block_size=1M", self.path("image"), size)
        with Requests(self.path("image"), "vhdx") as io:
            for number in range(size // step):
                io(f"w {number * step} 512 {number + 1}")
            io("f")
            io.close()
        self.good(self.path("image"))
        commands = [word for number in range(size // step) for word in ("-c", f"read -v {number * step} 16")]
        lines = [line for line in run("qemu-io", "-r", "-f", "vhdx", *commands, self.path("image")).stdout.splitlines() if ":  " in line]
        self.assertEqual(len(lines), size // step)
        for number, line in enumerate(lines):
            self.assertEqual(bytes.fromhex(line.split(":", 1)[1][:50].replace(" ", "")), sector_bytes(number * step // SECTOR, number + 1)[:16])

    def logged_image(self, name, place=0):
        """An image whose log has three changes to carry out, and older entries, torn ones and those of other logs; its content afterwards."""
        raw = self.random_raw("raw", SIZE)
        with open(raw, "r+b") as file:
            file.write(self.random.randbytes(2 * MIB))
        viv_img("convert", "-O", "vhdx", "-o", "block_size=1M", raw, self.path("image"))
        page = bytearray(self.at(TABLE, PAGE))
        first, second = page[:8], page[8:16]
        expected = bytearray(raw.read_bytes())
        self.assertEqual((first[0] & 7, second[0] & 7), (6, 6))
        page[:16] = second + first
        expected[: 2 * MIB] = expected[MIB : 2 * MIB] + expected[:MIB]
        size = self.path("image").stat().st_size
        stale = bytes(TABLE // PAGE % 256 for _ in range(PAGE))
        data = struct.unpack("<Q", second)[0] & ~(MIB - 1)  # of block 0 from now on
        content = self.random.randbytes(PAGE)
        expected[8 * PAGE : 9 * PAGE] = content
        expected[16 * PAGE : 18 * PAGE] = bytes(2 * PAGE)
        where = lambda offset: (place + offset) % MIB  # noqa: E731
        grown = size + MIB
        # Behind the tail's predecessor; then what counts; then one that is torn, one of another log, and one out of order.
        entries = [log_entry(7, where(0), [(TABLE, stale)], size=size),
                   log_entry(8, where(2 * PAGE), [(data + 8 * PAGE, stale), (data + 16 * PAGE, stale), (data + 16 * PAGE, 2 * PAGE)], size=size),
                   log_entry(9, where(2 * PAGE), [(TABLE, bytes(page)), (data + 8 * PAGE, content)], size=size)]
        entries[2] = bytearray(entries[2])
        struct.pack_into("<Q", entries[2], 56, grown)
        entries[2] = signed(entries[2])
        torn = bytearray(log_entry(10, where(2 * PAGE), [(TABLE, stale)], size=size))
        torn[-100] ^= 1
        entries += [bytes(torn), log_entry(11, where(0), [(TABLE, stale)], size=size, marks=STRANGE),
                    log_entry(5, where(12 * PAGE), [(TABLE, stale)], size=size)]
        self.put_log(place, entries)
        self.path(name).write_bytes(expected)
        return grown

    def test_logs(self):
        for place in (0, 40 * PAGE, MIB - PAGE, MIB - 4 * PAGE):
            with self.subTest(place=place):
                grown = self.logged_image("expected", place)
                shutil.copy(self.path("image"), self.path("theirs"))
                before = self.path("image").read_bytes()
                # Shown as it will be, and not touched.
                viv_img("compare", "-f", "vhdx", "-F", "raw", self.path("image"), self.path("expected"))
                self.assertIn("No errors", viv_img("check", self.path("image")).stdout)
                self.assertTrue(json.loads(viv_img("info", "--output", "json", self.path("image")).stdout)["dirty-flag"])
                self.assertEqual(self.path("image").read_bytes(), before)
                # Whoever opens it for writing carries it out.
                viv_img("check", "-r", "all", self.path("image"))
                qemu_img("check", "-r", "all", self.path("theirs"))
                # Of entries that go round the log's end qemu-img carries out only those behind it, whatever the tail says.
                for image in ("image",) if place == MIB - 4 * PAGE else ("image", "theirs"):
                    self.good(self.path(image))
                    self.same(self.path(image), "vhdx", self.path("expected"))
                self.assertEqual(self.path("image").stat().st_size, grown)
                self.assertEqual(self.at(TABLE, PAGE), self.path("theirs").read_bytes()[TABLE : TABLE + PAGE])

    def test_a_log_that_is_lost(self):
        raw = self.random_raw("raw", SIZE)
        viv_img("convert", "-O", "vhdx", raw, self.path("image"))
        self.put_log(0, [log_entry(1, PAGE, [(TABLE, bytes(PAGE))], size=MIB)])  # its tail is no entry
        bad = self.path("image").read_bytes()
        self.assertIn("log without a whole entry", run(IMAGE_IO, self.path("image"), "vhdx", "rw", code=1, input="").stdout)
        self.assertIn("no entry of it is whole", viv_img("check", self.path("image"), code=2).stdout)
        viv_img("compare", "-F", "raw", self.path("image"), raw)
        self.assertEqual(self.path("image").read_bytes(), bad)
        viv_img("check", "-r", "all", self.path("image"))
        self.good(self.path("image"))
        self.same(self.path("image"), "vhdx", raw)

    def test_logs_that_cannot_be(self):
        viv_img("create", "-q", "-f", "vhdx", self.path("image"), SIZE)
        good = self.path("image").read_bytes()
        for entry, words in ((log_entry(1, 0, [(TABLE, bytes(PAGE))], size=1 << 40), "when its log was written"),
                             (log_entry(1, 0, [(1 << 50, PAGE)], size=MIB), "a log that changes"),
                             (log_entry(1, 0, [(TABLE, (1 << 64) - PAGE)], size=MIB), "a log that changes")):
            with self.subTest(words=words):
                self.path("image").write_bytes(good)
                self.put_log(0, [entry])
                bad = self.path("image").read_bytes()
                for access in ("rw", "ro"):
                    self.assertIn(words, run(IMAGE_IO, self.path("image"), "vhdx", access, code=1, input="").stdout)
                self.assertEqual(self.path("image").read_bytes(), bad)

    def test_what_is_mended(self):
        raw = self.random_raw("raw", SIZE)
        viv_img("convert", "-O", "vhdx", raw, self.path("image"))
        good = self.path("image").read_bytes()
        for places, words in (((HEADERS[0],), "header 1"), ((HEADERS[1],), "header 2"), ((REGIONS[0],), "regions 1"), ((REGIONS[1],), "regions 2"),
                              ((HEADERS[0], REGIONS[1]), "header 1")):
            with self.subTest(words=words):
                self.path("image").write_bytes(good)
                for place in places:
                    self.put(place + 30, b"\xaa")
                self.assertIn(words, viv_img("check", self.path("image"), code=2).stdout)
                viv_img("compare", "-F", "raw", self.path("image"), raw)
                viv_img("check", "-r", "all", self.path("image"))
                self.good(self.path("image"))
                self.same(self.path("image"), "vhdx", raw)
        self.path("image").write_bytes(good)
        for place in HEADERS:
            self.put(place + 30, b"\xaa")
        self.assertIn("both of its headers", viv_img("check", self.path("image"), code=1).stderr)

    def test_every_opening_that_changes_an_image_marks_it(self):
        """What differs from an image by its marks has other content, and reading changes nothing."""
        viv_img("create", "-q", "-f", "vhdx", self.path("image"), SIZE)

        def marks():
            newest = max((self.at(place, PAGE) for place in HEADERS), key=lambda data: struct.unpack_from("<Q", data, 8))
            self.assertEqual(newest[48:64], bytes(16))  # the log is empty
            return newest[16:32], newest[32:48]

        seen = [marks()]
        for line in ("w 0 512 1", "w 512 512 2", "z 0 512"):
            with Requests(self.path("image"), "vhdx") as io:
                io(line)
                io.close()
            seen.append(marks())
            viv_img("check", self.path("image"))
            run(IMAGE_IO, self.path("image"), "vhdx", "rw", input="f")
            self.assertEqual(marks(), seen[-1])
        for part in zip(*seen):
            self.assertEqual(len(set(part)), len(seen))

    def test_space_that_nobody_uses_is_zeroed_before_it_is_used(self):
        viv_img("create", "-q", "-f", "vhdx", "-o", "block_size=1M", self.path("image"), SIZE)
        with open(self.path("image"), "ab") as file:
            file.write(b"\x55" * (2 * MIB + 77 * SECTOR))
        model = Model(SIZE)
        with Requests(self.path("image"), "vhdx") as io:
            for tag in range(1, 5):
                io(f"w {tag * 2 * MIB + 4096} 4096 {tag}")
                model.apply("w", tag * 2 * MIB + 4096, 4096, tag)
            io.close()
        self.good(self.path("image"))
        for reader in (viv_img, qemu_img):
            reader("convert", "-f", "vhdx", "-O", "raw", self.path("image"), self.path("flat"))
            self.assertIsNone(model.check(self.path("flat")))

    def test_blocks_that_lie_over_others_are_not_written(self):
        viv_img("convert", "-O", "vhdx", self.random_raw("raw", SIZE, 60), self.path("image"))
        good = self.path("image").read_bytes()
        first = struct.unpack_from("<Q", good, TABLE)[0]
        for value, words in ((first, "where block"), (6, "where the headers"), (TABLE | 6, "where the table of blocks"), (METADATA | 6, "where the metadata"),
                             (LOG | 6, "where the log"), (first + MIB, "where block"), (1 << 50 | 6, "behind the end"), (1, None), (4, "state 4"), (7, "state 7")):
            with self.subTest(value=value):
                bad = bytearray(good)
                bad[TABLE + 8 : TABLE + 16] = struct.pack("<Q", value)
                self.path("image").write_bytes(bad)
                if words is None:
                    self.good(self.path("image"))
                    continue
                self.assertIn(words, viv_img("check", self.path("image"), code=2).stdout)
                self.assertIn("can only be read", run(IMAGE_IO, self.path("image"), "vhdx", "rw", code=1, input="").stdout)
                viv_img("check", "-r", "all", self.path("image"), code=2)
                self.assertEqual(self.path("image").read_bytes(), bad)

    def test_headers_that_cannot_be(self):
        viv_img("create", "-q", "-f", "vhdx", self.path("image"), "4M")
        good = self.path("image").read_bytes()

        def refused(change, words):
            bad = bytearray(good)
            change(bad)
            self.path("image").write_bytes(bad)
            self.assertIn(words, viv_img("map", "-f", "vhdx", self.path("image"), code=1).stderr)

        def header(offset, form, value):
            def change(bad):
                for place in HEADERS:
                    struct.pack_into(form, bad, place + offset, value)
                    bad[place : place + PAGE] = signed(bad[place : place + PAGE])
            return change

        def regions(offset, form, value):
            def change(bad):
                for place in REGIONS:
                    struct.pack_into(form, bad, place + offset, value)
                    bad[place : place + (64 << 10)] = signed(bad[place : place + (64 << 10)])
            return change

        def metadata(offset, form, value):
            return lambda bad: struct.pack_into(form, bad, METADATA + offset, value)

        values = METADATA + (64 << 10)  # block size, flags, disk's size, name, sectors

        def value(offset, form, number):
            return lambda bad: struct.pack_into(form, bad, values + offset, number)

        for change, words in (
                (lambda bad: bad.__setitem__(slice(0, 8), b"vhdxfull"), "is no VHDX image"),
                (header(66, "<H", 2), "version 2"), (header(68, "<I", 4096), "log where it cannot be"), (header(72, "<Q", 512), "log where it cannot be"),
                (header(72, "<Q", 1 << 60), "log where it cannot be"), (header(72, "<Q", 3 * MIB), "where"), (header(68, "<I", 2 * MIB), "where"),
                (regions(8, "<I", 3000), "3000 regions"), (regions(8, "<I", 1), "no metadata"), (regions(32, "<Q", 512), "where it cannot be"),
                (regions(32, "<Q", 1 << 62), "behind the end"), (regions(40, "<I", 0), "where it cannot be"), (regions(32, "<Q", 2 * MIB), "is"),
                (regions(16, "16s", STRANGE), "0badcafe-0000-4000-8000-00000000beef, which is not supported"),
                (metadata(0, "8s", b"metaDATA"), "metadata that is damaged"), (metadata(10, "<H", 5000), "metadata that is damaged"), (metadata(10, "<H", 1), "no sizes"),
                (metadata(32, "16s", STRANGE), "0badcafe-0000-4000-8000-00000000beef, which is not supported"),
                (metadata(32 + 16, "<I", 512), "outside its region"), (metadata(32 + 16, "<I", MIB - 4), "outside its region"),
                (metadata(32 + 20, "<I", 4), "outside its region"), (lambda bad: bad.__setitem__(slice(METADATA + 64, METADATA + 80), bad[METADATA + 32 : METADATA + 48]), "twice"),
                (value(0, "<I", 3 * MIB), "blocks of 3145728"), (value(0, "<I", 4096), "blocks of 4096"), (value(0, "<I", 1 << 29), "blocks of 536870912"),
                (value(4, "<I", 2), "differencing"), (value(8, "<Q", 0), "disk of 0"), (value(8, "<Q", 1 << 50), "which cannot be"), (value(8, "<Q", 513), "which cannot be"),
                (value(8, "<Q", 60 << 40), "too many for its table"), (value(32, "<I", 1024), "sectors of 1024")):
            with self.subTest(words=words):
                refused(change, words)
        # A region that nobody must know is left where it is.
        def strange_region(bad):
            for place in REGIONS:
                struct.pack_into("<I", bad, place + 8, 3)
                struct.pack_into("<16sQII", bad, place + 80, STRANGE, 4 * MIB, MIB, 0)
                bad[place : place + (64 << 10)] = signed(bad[place : place + (64 << 10)])
            bad += b"\x66" * MIB
        bad = bytearray(good)
        strange_region(bad)
        self.path("image").write_bytes(bad)
        with Requests(self.path("image"), "vhdx") as io:
            io("w 0 512 1")
            io.close()
        self.good(self.path("image"))
        self.assertEqual(self.at(4 * MIB, MIB), b"\x66" * MIB)


if __name__ == "__main__":
    unittest.main()
