#!/usr/bin/env python3
"""viv-img as scripts use it: exit codes, JSON, one line for each error, what an interrupted copy leaves."""
import json
import os
import pty
import signal
import subprocess
import unittest

from image_tools import *  # noqa: F403 - all of them are wanted


class VivImg(ImageTest):
    def refused(self, message, *words, code=1):
        result = viv_img(*words, code=code, cwd=self.folder)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        self.assertTrue(result.stderr.startswith("viv-img: "), result.stderr)
        self.assertIn(message, result.stderr)

    def test_errors_are_one_line(self):
        self.path("odd").write_bytes(b"KDMV" + bytes(4096))
        self.refused("is no verb", "cretae", "x")
        self.refused("a size is needed", "create", "-f", "qcow2", "x")
        self.refused("format qcow3 is not known", "create", "-f", "qcow3", "x", "1M")
        self.refused("-o cluster_sise: is no option of a qcow2 image; did you mean cluster_size?", "create", "-f", "qcow2", "-o",
                     "cluster_sise=1k", "x", "1M")
        self.refused("a power of two from 512 to 2M", "create", "-f", "qcow2", "-o", "cluster_size=1000", "x", "1M")
        self.refused("a raw image has no such option", "create", "-o", "cluster_size=1k", "x", "1M")
        self.refused("is no size", "create", "x", "1Q")
        self.refused("No such file", "info", "missing")
        self.refused("unknown option --what", "info", "--what", "odd")
        self.refused("--shrink", "resize", self.raw("r"), "512")
        self.refused("keeps no snapshots; qcow2 does", "snapshot", "-c", "s", self.raw("r"))
        self.refused("has no snapshot 7", "snapshot", "-d", "7", self.qcow2("q"))
        self.refused("cannot hold compressed", "convert", "-c", "-O", "raw", "r", "t")
        self.refused("-b r: say its format with -F; it looks like raw", "create", "-f", "qcow2", "-b", "r", "x")
        self.assertEqual(sorted(p.name for p in self.folder.iterdir()), ["odd", "q", "r"])

    def raw(self, name):
        self.path(name).write_bytes(bytes(4096) + b"x" * 4096)
        return name

    def qcow2(self, name):
        viv_img("create", "-q", "-f", "qcow2", self.path(name), "1M")
        return name

    def test_exit_codes(self):
        self.raw("a")
        self.path("b").write_bytes(self.path("a").read_bytes() + bytes(512))
        self.path("c").write_bytes(b"y" + self.path("a").read_bytes()[1:])
        for strict, second, code in (([], "a", 0), ([], "b", 0), (["-s"], "b", 1), ([], "c", 1), ([], "missing", 2)):
            self.assertEqual(viv_img("compare", *strict, "a", second, code=(0, 1, 2), cwd=self.folder).returncode, code)
            self.assertEqual(qemu_img("compare", *strict, "-f", "raw", "-F", "raw", "a", second, code=(0, 1, 2),
                                      cwd=self.folder).returncode, code)
        viv_img("check", self.path("a"), code=63)
        self.assertEqual(qemu_img("check", "-f", "raw", self.path("a"), code=63).returncode, 63)

    def test_measure_and_resize_as_qemu_img(self):
        raw = self.random_raw("raw", 30 << 20)
        for words in (["--size", "10G"], ["--size", "1T", "-o", "cluster_size=4k"], [raw], [raw, "-o", "cluster_size=512"],
                      [raw, "-O", "raw"]):
            words = ([] if "-O" in words else ["-O", "qcow2"]) + words
            ours, theirs = (json.loads(tool("measure", "--output", "json", *words).stdout) for tool in (viv_img, qemu_img))
            self.assertEqual(ours["fully-allocated"], theirs["fully-allocated"], words)
            if "--size" in words:
                self.assertEqual(ours["required"], theirs["required"], words)
        for tool, path in ((viv_img, self.path("a")), (qemu_img, self.path("b"))):
            tool("create", "-q", "-f", "qcow2", path, "1M")
            for size in ("+1M", "5M", "1536k"):
                tool("resize", *(["--shrink"] if size == "1536k" else []), path, size)
            tool("resize", "--shrink", path, "-512k") if tool is viv_img else tool("resize", "--shrink", "-f", "qcow2", path, "--", "-512k")
            self.assertEqual(json.loads(viv_img("info", "--output", "json", path).stdout)["virtual-size"], 1 << 20)

    def test_an_interrupted_copy_is_removed(self):
        source = self.path("big")
        with open(source, "wb") as file:
            for _ in range(48):
                file.write(self.random.randbytes(1 << 20))
        for made in (True, False):
            target = self.path("target")
            if made:
                target.unlink(missing_ok=True)
            screen, terminal = pty.openpty()
            process = subprocess.Popen([VIV_IMG, "convert", "-p", "-c", "-O", "qcow2", source, target], stderr=terminal)
            os.close(terminal)
            said = b""
            while said.count(b"%") < 3:  # it is under way
                said += os.read(screen, 4096)
            process.send_signal(signal.SIGINT)
            try:
                while part := os.read(screen, 4096):
                    said += part
            except OSError:
                pass  # the other end is closed
            os.close(screen)
            self.assertEqual(process.wait(60), 128 + signal.SIGINT)
            message = said.decode().rpartition("\033[K")[2]
            self.assertEqual(message.count("\n"), 1, message)
            self.assertIn("is removed" if made else "half-written", message)
            self.assertEqual(target.exists(), not made)
            target.write_bytes(b"something")

    def test_several_sources_and_a_target_that_is_there(self):
        one, two = self.random_raw("one", 1 << 20), self.random_raw("two", (1 << 20) + 512)
        both = self.path("both")
        both.write_bytes(one.read_bytes() + two.read_bytes())
        viv_img("convert", "-O", "qcow2", one, two, self.path("q"))
        self.same(self.path("q"), "qcow2", both)
        filled = self.path("filled")
        viv_img("create", "-q", "-f", "qcow2", filled, both.stat().st_size)
        run("qemu-io", "-c", f"write -P 1 0 {both.stat().st_size}", filled)
        viv_img("convert", "-n", "-O", "qcow2", one, two, filled)
        self.same(filled, "qcow2", both)

    def test_a_copy_that_shares_what_is_below(self):
        base = self.random_raw("base", 2 << 20)
        viv_img("create", "-q", "-f", "qcow2", "-b", base, "-F", "raw", self.path("top"))
        run("qemu-io", "-c", "write -P 9 100k 300k", "-c", "write -z 1M 64k", self.path("top"))
        viv_img("convert", "-O", "qcow2", "-B", base, "-F", "raw", self.path("top"), self.path("copy"))
        self.good(self.path("copy"))
        qemu_img("compare", self.path("top"), self.path("copy"))
        self.assertLess(self.path("copy").stat().st_size, 1 << 20)


if __name__ == "__main__":
    unittest.main()
