#!/usr/bin/env python3
"""Encrypted images (LUKS), raw and in qcow2: those of qemu-img read and changed here, ours read there; passphrases; what a header
must not do."""
import json
import os
import struct
import subprocess
import unittest

from image_tools import *  # noqa: F403 - all of them are wanted

SIZE = (3 << 20) + 512
PASSPHRASE = "correct horse\n\u00e4\n"
METHODS = ["", "cipher-alg=aes-192,hash-alg=sha512", "cipher-alg=aes-128,hash-alg=sha1,ivgen-alg=plain", "cipher-mode=ecb,hash-alg=sha384",
           "cipher-mode=cbc,ivgen-alg=essiv,ivgen-hash-alg=sha256", "cipher-alg=aes-128,cipher-mode=cbc,ivgen-alg=plain,hash-alg=ripemd160", "hash-alg=sha224"]
SLOTS = 208  # of 48 bytes each
# qemu-img times its hashes by a clock that is too coarse for processors with instructions for them, and then gives up.
os.environ["NETTLE_FAT_OVERRIDE"] = "vendor:other"


class Luks(ImageTest):
    def setUp(self):
        super().setUp()
        self.image, self.key = self.path("image"), self.path("key")
        self.key.write_text(PASSPHRASE)
        self.secret = ("--object", f"secret,id=s,file={self.key}")

    def options(self, image_format, text):
        prefix = "encrypt." if image_format == "qcow2" else ""
        words = [prefix + word for word in text.split(",") if word] + [f"{prefix}iter-time=1"]
        return ",".join((["encrypt.format=luks"] if prefix else []) + words)

    def theirs(self, path, image_format):
        return f"driver={image_format},{'encrypt.' if image_format == 'qcow2' else ''}key-secret=s,file.filename={path}"

    def make_theirs(self, image_format, text="", *words, size=SIZE):
        secret = "encrypt.key-secret=s" if image_format == "qcow2" else "key-secret=s"
        qemu_img("create", "-q", *self.secret, "-f", image_format, "-o", f"{self.options(image_format, text)},{secret}", *words, self.image, size)

    def make_ours(self, image_format, text="", *words, size=SIZE):
        viv_img("create", "-q", "-f", image_format, "--key-file", self.key, "-o", self.options(image_format, text), *words, self.image, size)

    def same_there(self, image_format, raw):
        qemu_img("compare", *self.secret, "--image-opts", self.theirs(self.image, image_format), f"driver=raw,file.filename={raw}")

    def same_here(self, image_format, raw, *more):
        viv_img("compare", "-f", image_format, "--key-file", self.key, "-F", "raw", *more, self.image, raw)

    def clean(self, more=""):
        qemu_img("check", *self.secret, "--image-opts", self.theirs(self.image, "qcow2") + more)
        viv_img("check", self.image)

    def test_theirs_are_read_and_written_here(self):
        raw = self.random_raw("raw", SIZE)
        for image_format in ("luks", "qcow2"):
            for method in METHODS:
                with self.subTest(format=image_format, method=method):
                    self.make_theirs(image_format, method)
                    qemu_img("convert", "-n", *self.secret, "-f", "raw", "--target-image-opts", raw, self.theirs(self.image, image_format))
                    self.same_here(image_format, raw)
                    other = self.random_raw("other", SIZE)
                    viv_img("convert", "-n", "-f", "raw", "-O", image_format, "--target-key-file", self.key, other, self.image)
                    self.same_there(image_format, other)
                    if image_format == "qcow2":
                        self.clean()

    def test_ours_are_read_there(self):
        raw = self.random_raw("raw", SIZE)
        for image_format in ("luks", "qcow2"):
            for method in METHODS:
                with self.subTest(format=image_format, method=method):
                    viv_img("convert", "-f", "raw", "-O", image_format, "--target-key-file", self.key, "-o", self.options(image_format, method), raw, self.image)
                    self.same_there(image_format, raw)
                    self.same_here(image_format, raw)
                    if "ecb" not in method:
                        self.assertNotIn(b"same same same", self.image.read_bytes())
                    if image_format == "qcow2":
                        self.clean()
                    ours, theirs = (json.loads(tool("info", "-f", image_format, "--output", "json", self.image).stdout) for tool in (viv_img, qemu_img))
                    for key in ("virtual-size", "format", "encrypted"):
                        self.assertEqual(ours[key], theirs[key])
                    ours, theirs = (info["format-specific"]["data"] for info in (ours, theirs))
                    if image_format == "qcow2":
                        ours, theirs = ours["encrypt"], theirs["encrypt"]
                    self.assertEqual([slot["active"] for slot in theirs.pop("slots")].count(True), ours.pop("active-slots"))
                    self.assertEqual(ours, theirs | ours)
                    self.assertEqual(theirs, ours | theirs)

    def random_requests(self, image_format, model, tags):
        """From here and from there, in turns, with whole and partial clusters."""
        with Requests(self.image, image_format, self.key) as io:
            for tag in tags:
                kind, offset, length = random_request(self.random, SIZE)
                io(f"{kind} {offset} {length} {tag}" if kind == "w" else f"{kind} {offset} {length}")
                model.apply(kind, offset, length, tag)
            io("f")
            io.close()
        commands = []
        for _ in range(30):
            _, offset, length = random_request(self.random, SIZE)
            commands += ["-c", f"write -P 0 {offset} {length}"]
            model.apply("z", offset, length)
        run("qemu-io", *self.secret, *commands, "--image-opts", self.theirs(self.image, image_format))
        qemu_img("convert", *self.secret, "--image-opts", self.theirs(self.image, image_format), "-O", "raw", self.path("flat"))
        self.assertIsNone(model.check(self.path("flat")))
        self.same_here(image_format, self.path("flat"))

    def test_random_requests(self):
        zeroes = self.path("zeroes")
        with open(zeroes, "wb") as file:
            file.truncate(SIZE)
        for image_format, method, options in (("luks", "", ""), ("luks", METHODS[4], ""), ("qcow2", "", ""), ("qcow2", METHODS[4], "cluster_size=512"),
                                              ("qcow2", "", "cluster_size=2M"), ("qcow2", "", "compat=0.10,cluster_size=4096"), ("qcow2", "", "lazy_refcounts=on")):
            with self.subTest(format=image_format, method=method, options=options):
                words = ["-o", self.options(image_format, method) + ("," + options if options else "")]
                if image_format == "luks":
                    viv_img("convert", "-f", "raw", "-O", "luks", "--target-key-file", self.key, *words, zeroes, self.image)
                else:
                    viv_img("create", "-q", "-f", image_format, "--key-file", self.key, *words, self.image, SIZE)
                model = Model(SIZE)
                for turn in range(3):
                    self.random_requests(image_format, model, range(1 + turn * 80, 60 + turn * 80))
                    if image_format == "qcow2":
                        self.clean()

    def test_snapshots_and_sizes(self):
        viv_img("create", "-q", "-f", "qcow2", "--key-file", self.key, "-o", "cluster_size=4096," + self.options("qcow2", ""), self.image, SIZE)
        model = Model(SIZE)
        self.random_requests("qcow2", model, range(1, 60))
        viv_img("snapshot", "-c", "s", self.image)
        before = model.copy()
        self.random_requests("qcow2", model, range(100, 160))
        self.clean()
        for tool, image in ((viv_img, ("--key-file", self.key, self.image)), (qemu_img, (*self.secret, "--image-opts", self.theirs(self.image, "qcow2")))):
            tool("convert", "-l", "s", "-O", "raw", *image, self.path("flat"))
            self.assertIsNone(before.check(self.path("flat")))
        viv_img("snapshot", "-a", "s", self.image)
        self.random_requests("qcow2", before, range(200, 260))
        viv_img("snapshot", "-d", "s", self.image)
        self.clean()
        for image_format, size in (("qcow2", SIZE + (1 << 20)), ("qcow2", 1 << 20), ("luks", 5 << 20)):
            if image_format == "luks":
                self.make_ours("luks")
            viv_img("resize", "-f", image_format, "--shrink", "--key-file", self.key, self.image, size)
            info = qemu_img("info", "-f", image_format, "--output", "json", self.image).stdout
            self.assertEqual(json.loads(info)["virtual-size"], size)
        self.assertEqual(viv_img("check", "-f", "luks", self.image, code=63).stdout, "")

    def test_chains(self):
        raw = self.random_raw("raw", SIZE)
        viv_img("convert", "-f", "raw", "-O", "luks", "--target-key-file", self.key, "-o", "iter-time=1", raw, self.path("base"))
        self.make_ours("qcow2", "", "-b", self.path("base"), "-F", "luks")
        self.same_here("qcow2", raw)
        with Requests(self.image, "qcow2", self.key) as io:
            io("w 70144 512 5")
            io.close()
        expected = bytearray(raw.read_bytes())
        expected[70144 : 70144 + 512] = sector_bytes(70144 // SECTOR, 5)
        raw.write_bytes(expected)
        self.same_here("qcow2", raw)
        viv_img("rebase", "--key-file", self.key, "-b", "", self.image)
        self.same_here("qcow2", raw)
        self.same_there("qcow2", raw)
        viv_img("rebase", "-u", "-b", self.path("base"), "-F", "luks", self.image)
        viv_img("commit", "--key-file", self.key, self.image)
        viv_img("compare", "-f", "luks", "--key-file", self.key, "-F", "raw", self.path("base"), raw)
        self.clean(",backing.key-secret=s")

    def refused(self, *words):
        result = viv_img(*words, code=(1, 2))
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        return result.stderr

    def test_passphrases(self):
        for image_format in ("luks", "qcow2"):
            self.make_ours(image_format)
            words = ("convert", "-f", image_format, "-O", "raw")
            read, write = os.pipe()
            os.write(write, PASSPHRASE.encode())
            os.close(write)
            command = [VIV_IMG, *words, "--key-file", f"fd:{read}", self.image, self.path("out")]
            self.assertEqual(subprocess.run(command, pass_fds=[read], capture_output=True, check=False).returncode, 0)
            os.close(read)
            self.assertIn("opens with its passphrase only", self.refused(*words, self.image, self.path("out")))
            for text, said in ((PASSPHRASE[:-1], "is not opened by this passphrase"), ("", "it is empty")):
                self.key.write_text(text)
                self.assertIn(said, self.refused(*words, "--key-file", self.key, self.image, self.path("out")))
            self.key.write_text(PASSPHRASE)
            for name, said in (("nothing", "No such file"), ("fd:", "a descriptor's number"), ("fd:-1", "a descriptor's number"), ("fd:999", "Bad file descriptor")):
                self.assertIn(said, self.refused(*words, "--key-file", name, self.image, self.path("out")))
        # Who gives one means that there is something to open: never read as it is.
        viv_img("create", "-q", "-f", "qcow2", self.path("plain"), "1M")
        self.make_ours("luks")
        for path in (self.path("plain"), self.image):
            self.assertIn("needs no passphrase", self.refused("convert", "--key-file", self.key, "-O", "raw", path, self.path("out")))
        self.assertIn("no passphrase is given", self.refused("create", "-f", "luks", self.path("new"), "1M"))
        self.assertIn("no passphrase is given", self.refused("create", "-f", "qcow2", "-o", "encrypt.format=luks", self.path("new"), "1M"))
        self.assertIn("it is not encrypted", self.refused("create", "-f", "qcow2", "--key-file", self.key, self.path("new"), "1M"))
        self.assertIn("comes from --key-file", self.refused("create", "-f", "luks", "-o", "key-secret=x", self.path("new"), "1M"))
        self.assertIn("cannot hold compressed data", self.refused("convert", "-c", "-O", "qcow2", "-o", "encrypt.format=luks", "--target-key-file", self.key, self.path("plain"), self.path("new")))
        self.assertFalse(self.path("new").exists())

    def test_another_slot(self):
        self.path("second").write_text("another")
        for image_format in ("luks", "qcow2"):
            self.make_ours(image_format)
            prefix = "encrypt." if image_format == "qcow2" else ""
            slot = ",".join(prefix + word for word in ("state=active", "new-secret=n", "iter-time=1", "keyslot=5"))
            qemu_img("amend", *self.secret, "--object", f"secret,id=n,file={self.path('second')}", "--image-opts", "-o",
                     slot, self.theirs(self.image, image_format))
            for key in (self.key, self.path("second")):
                viv_img("convert", "-f", image_format, "--key-file", key, "-O", "raw", self.image, self.path("out"))

    def test_what_is_refused_by_name(self):
        self.make_ours("luks")
        good = self.image.read_bytes()
        for offset, value, said in ((0, 0, "no LUKS image"), (6, 0x00020000, "version 2"), (8, 0x78000000, "encrypted by x"), (40, 0x6C727700, "encrypted by aes-lrw"),
                                    (72, 0x6D643500, "hash md5"), (104, 1, "where its header is"), (104, 1 << 31, "ends before its data"),
                                    (108, 40, "key of 40"), (108, 1 << 31, "key of"), (164, 0, "no iterations"), (164, 1 << 31, "iterations"),
                                    (SLOTS, 7, "slot 0 that is damaged"), (SLOTS + 4, 0xFFFFFFFF, "iterations"), (SLOTS + 4, 0, "no iterations"),
                                    (SLOTS + 40, 1 << 31, "outside its header"), (SLOTS + 40, 0, "outside its header"), (SLOTS + 44, 0, "0 stripes"), (SLOTS + 44, 1 << 30, "stripes")):
            with self.subTest(offset=offset, value=value):
                bad = bytearray(good)
                bad[offset : offset + 4] = struct.pack(">I", value)
                self.image.write_bytes(bad)
                self.assertIn(said, self.refused("compare", "-f", "luks", "--key-file", self.key, self.image, self.image))
                self.assertIn(said, run(IMAGE_IO, self.image, "luks", "rw", self.key, code=1, input="").stdout)
                self.assertEqual(self.image.read_bytes(), bad)
        for offset in (112, 140, SLOTS + 8, struct.unpack_from(">I", good, SLOTS + 40)[0] * SECTOR + 1000):
            bad = bytearray(good)
            bad[offset] ^= 1
            self.image.write_bytes(bad)
            self.assertIn("not opened by this passphrase", self.refused("compare", "-f", "luks", "--key-file", self.key, self.image, self.image))

    def test_what_a_qcow2_header_must_not_say(self):
        self.make_ours("qcow2")
        good = self.image.read_bytes()
        place = good.index(struct.pack(">II", 0x0537BE77, 16))
        for offset, value, said in ((32, struct.pack(">I", 1), "in the old way"), (32, struct.pack(">I", 3), "in a way that is not known"), (place, b"\0\0\0\1", "does not say where"),
                                    (place + 8, bytes(8), "where it cannot be"), (place + 8, struct.pack(">Q", 512), "where it cannot be"), (place + 8, b"\xff" * 6 + bytes(2), "where it cannot be"),
                                    (place + 16, bytes(8), "where it cannot be"), (place + 16, b"\xff" * 8, "where it cannot be"), (place + 16, struct.pack(">Q", 8), "too little room")):
            with self.subTest(offset=offset, value=value):
                bad = bytearray(good)
                bad[offset : offset + len(value)] = value
                self.image.write_bytes(bad)
                self.assertIn(said, self.refused("compare", "--key-file", self.key, self.image, self.image))


if __name__ == "__main__":
    unittest.main()
