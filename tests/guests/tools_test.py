"""The tools that build guests, without a network: the initramfs writer, modules, recipes, the cache, messages.

Promises: runs in any checkout on any machine with Python 3.11 and cpio; nothing is written outside a temporary cache.
"""

import contextlib
import errno
import hashlib
import io
import os
import pathlib
import signal
import struct
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import unittest

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "guests" / "tools"
sys.path.insert(0, str(TOOLS))

import busybox_initramfs  # noqa: E402
import cache  # noqa: E402
import debian_archive  # noqa: E402
import dpkg_database  # noqa: E402
import guest  # noqa: E402
import initramfs  # noqa: E402
import kernel_package  # noqa: E402
import program_disk  # noqa: E402
import recipe  # noqa: E402


class InTemporaryCache(unittest.TestCase):
    def setUp(self):
        self.home = tempfile.TemporaryDirectory()
        self.addCleanup(self.home.cleanup)
        before = os.environ.get("XDG_CACHE_HOME")
        os.environ["XDG_CACHE_HOME"] = self.home.name

        def restore():
            if before is None:
                del os.environ["XDG_CACHE_HOME"]
            else:
                os.environ["XDG_CACHE_HOME"] = before

        self.addCleanup(restore)
        self.steps = cache.Steps("test")


def quiet():
    return contextlib.redirect_stderr(io.StringIO())


class Cache(InTemporaryCache):
    def make(self, text):
        with cache.scratch() as folder:
            (folder / "new").mkdir()
            (folder / "new" / "file").write_text(text)
            return cache.publish(folder / "new", cache.directory("things") / "thing", cache.key_of(text))

    def test_publish_replaces_as_a_whole(self):
        first = self.make("one")
        link = cache.root() / "things" / "thing"
        self.assertEqual((link / "file").read_text(), "one")
        self.make("two")
        self.assertEqual((link / "file").read_text(), "two")
        self.assertFalse(first.exists())
        self.assertTrue(link.is_symlink())
        self.assertEqual(list((cache.root() / "partial").iterdir()), [])

    def test_publish_keeps_things_with_a_similar_name(self):
        self.make("one")
        with cache.scratch() as folder:
            (folder / "new").mkdir()
            cache.publish(folder / "new", cache.root() / "things" / "thing-more", "key")
        self.make("two")
        self.assertTrue((cache.root() / "things" / "thing-more").is_dir())

    def test_scratch_of_a_killed_run_is_removed(self):
        child = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
        stale = cache.directory("partial") / f"{int(child.stdout)}-left"
        stale.mkdir()
        with cache.scratch() as folder:
            self.assertFalse(stale.exists())
            self.assertTrue(folder.is_dir())
        self.assertFalse(folder.exists())

    def test_lock_makes_the_second_wait(self):
        code = ("import sys; sys.path.insert(0, sys.argv[1]); import cache\n"
                "with cache.lock('it', cache.Steps('child')): print('inside', flush=True)")
        with cache.lock("it", self.steps):
            child = subprocess.Popen([sys.executable, "-c", code, str(TOOLS)], stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE, text=True)
            self.assertIn(f"waiting for process {os.getpid()}", child.stderr.readline())
            self.assertIsNone(child.poll())
        out, _ = child.communicate(timeout=20)
        self.assertEqual(out, "inside\n")

    def test_interruption_leaves_nothing(self):
        code = ("import sys; sys.path.insert(0, sys.argv[1]); import cache, signal\n"
                "def main():\n"
                "    with cache.scratch() as folder:\n"
                "        (folder / 'half').write_text('x'); print('ready', flush=True); signal.pause()\n"
                "cache.command_line(main)")
        for number in (signal.SIGINT, signal.SIGTERM):
            child = subprocess.Popen([sys.executable, "-c", code, str(TOOLS)], stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE, text=True)
            child.stdout.readline()
            child.send_signal(number)
            _, errors = child.communicate(timeout=20)
            self.assertEqual(child.returncode, 130)
            self.assertEqual(len(errors.splitlines()), 1)
            self.assertEqual(list((cache.root() / "partial").iterdir()), [])

    def test_full_disk_is_one_line(self):
        def main():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/some/file")

        text = io.StringIO()
        handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
        try:
            with contextlib.redirect_stderr(text), self.assertRaises(SystemExit) as ended:
                cache.command_line(main)
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        self.assertEqual(ended.exception.code, 1)
        self.assertEqual(len(text.getvalue().splitlines()), 1)
        self.assertIn("/some/file: No space left on device; free some space", text.getvalue())


class ArchiveMessages(InTemporaryCache):
    def test_each_failure_has_one_line(self):
        cases = {
            "E: Unable to locate package busybox-statik\n": "busybox-statik: no such package",
            "Err:1 http://x y\n  Could not resolve 'x'\nE: Failed to fetch http://x": "no network",
            "E: The repository 'x nonesuch Release' does not have a Release file.": "no such suite",
            "W: GPG error: x InRelease: NO_PUBKEY 6ED0E7B82643E131\nE: The repository 'x' is not signed.": "signature",
            "E: write error - write (28: No space left on device)": "no space left",
            "E: You don't have enough free space in /x/.": "no space left",
            "E: Unable to correct problems\n x : Depends: y but it is not installable\nunmet dependencies": "y",
            "E: something else entirely\n": "apt-get failed: something else entirely",
        }
        for output, expected in cases.items():
            line = debian_archive.one_line(output, "apt-get")
            self.assertIn(expected, line)
            self.assertNotIn("\n", line)

    def test_names_that_are_no_names(self):
        for suite, architecture in (("../etc", "riscv64"), ("trixie", "risc v"), ("trixie main", "riscv64"),
                                    ("", "arm64")):
            with self.assertRaisesRegex(cache.UserError, "not the name of a Debian suite or architecture"):
                debian_archive.Archive([suite], architecture, self.steps)

    def test_system_state_is_not_named_in_the_private_configuration(self):
        archive = debian_archive.Archive(["trixie"], "riscv64", self.steps)
        os.environ["VIVARIUM_DEBIAN_MIRROR"] = "http://127.0.0.1:9/debian"
        self.addCleanup(os.environ.pop, "VIVARIUM_DEBIAN_MIRROR")
        archive.configured()
        environment = {**os.environ, "APT_CONFIG": str(archive.state / "apt.conf")}
        dump = subprocess.run(["apt-config", "shell", "LISTS", "Dir::State::lists/d", "STATUS", "Dir::State::status/f",
                               "CACHE", "Dir::Cache/d", "PARTS", "Dir::Etc::sourceparts/d", "HOOKS",
                               "APT::Update::Post-Invoke", "ARCH", "APT::Architecture"],
                              env=environment, capture_output=True, text=True, check=True).stdout
        inside = dict(line.split("=", 1) for line in dump.splitlines())
        for name in ("LISTS", "STATUS", "CACHE"):
            self.assertTrue(inside[name].strip("'").startswith(str(cache.root())), dump)
        self.assertEqual(inside["ARCH"], "'riscv64'")
        self.assertNotIn("HOOKS", inside)
        # Nothing listens there: one line, and no lists.
        with quiet(), self.assertRaisesRegex(cache.UserError, "^no network"):
            archive.update()


class Initramfs(unittest.TestCase):
    def image(self, order):
        image = initramfs.Initramfs()
        steps = [lambda: image.file("init", b"#!/bin/sh\n", 0o755), lambda: image.directory("tmp", 0o1777),
                 lambda: image.link("bin/sh", "busybox"), lambda: image.file("bin/busybox", bytes(range(256)), 0o755),
                 lambda: image.character_device("dev/console", 5, 1), lambda: image.file("a/b/c/deep", b"x")]
        for index in order:
            steps[index]()
        return image

    def test_same_bytes_in_any_order(self):
        self.assertEqual(self.image(range(6)).archive(), self.image(reversed(range(6))).archive())
        self.assertEqual(self.image(range(6)).compressed("gzip"), self.image(reversed(range(6))).compressed("gzip"))

    def test_cpio_reads_it(self):
        listing = subprocess.run(["cpio", "-itv", "--quiet", "--numeric-uid-gid"], input=self.image(range(6)).archive(),
                                 capture_output=True, check=True).stdout.decode().splitlines()
        rows = {}
        for line in listing:
            rows[line.split()[-1] if line.startswith("c") else line.split(maxsplit=8)[8]] = line.split()[0]
        self.assertEqual(rows, {"a": "drwxr-xr-x", "a/b": "drwxr-xr-x", "a/b/c": "drwxr-xr-x",
                                "a/b/c/deep": "-rw-r--r--", "bin": "drwxr-xr-x", "bin/busybox": "-rwxr-xr-x",
                                "bin/sh -> busybox": "lrwxrwxrwx",
                                "dev": "drwxr-xr-x", "dev/console": "crw-------", "init": "-rwxr-xr-x",
                                "tmp": "drwxrwxrwt"})
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["cpio", "-id", "--quiet", "bin/busybox"], input=self.image(range(6)).archive(), cwd=folder,
                           check=True)
            self.assertEqual(pathlib.Path(folder, "bin/busybox").read_bytes(), bytes(range(256)))

    def test_unknown_compression(self):
        with self.assertRaisesRegex(cache.UserError, "'lzma' is not a compression"):
            self.image([0]).compressed("lzma")


def elf(strings: list[str], bits: int = 64, order: str = "<") -> bytes:
    """A minimal ELF file with a .modinfo section."""
    names = b"\0.modinfo\0.shstrtab\0"
    information = b"".join(text.encode() + b"\0" for text in strings)
    header_size, entry = (64, 64) if bits == 64 else (52, 40)
    table = header_size + len(information) + len(names)
    ident = b"\x7fELF" + bytes([2 if bits == 64 else 1, 1 if order == "<" else 2, 1]) + bytes(9)
    word = "Q" if bits == 64 else "I"
    header = ident + struct.pack(f"{order}HHI{word}{word}{word}IHHHHHH", 1, 243, 1, 0, 0, table, 0, header_size, 0, 0,
                                 entry, 3, 2)

    def section(name, kind, offset, size):
        fields = f"{order}II{word}{word}{word}{word}II{word}{word}"
        return struct.pack(fields, name, kind, 0, 0, offset, size, 0, 0, 1, 0)

    return (header + information + names + section(0, 0, 0, 0) + section(1, 1, header_size, len(information)) +
            section(10, 3, header_size + len(information), len(names)))


class Modules(unittest.TestCase):
    def contents(self, **modules):
        packed = {name: (f"kernel/x/{name}.ko", elf(strings)) for name, strings in modules.items()}
        package = debian_archive.Package("linux-image-1", "1", "riscv64", "linux-image-1_1_riscv64.deb", 0, "")
        return kernel_package.Contents(package, "1-test", b"image", packed, {"builtin_thing"})

    def test_information_of_every_kind_of_elf(self):
        for bits in (64, 32):
            for order in "<>":
                found = kernel_package.module_information(elf(["alias=a", "alias=b", "depends=x,y"], bits, order), "m")
                self.assertEqual(found, {"alias": ["a", "b"], "depends": ["x,y"]})

    def test_what_is_no_module(self):
        for data in (b"", b"\x7fELF", elf(["a=b"])[:100], b"MZ" + bytes(100), elf(["a=b"])[:-40]):
            with self.assertRaisesRegex(cache.UserError, "x.ko: not a kernel module"):
                kernel_package.module_information(data, "x.ko")

    def test_dependencies_come_first(self):
        contents = self.contents(top=["depends=middle,other-one"], middle=["depends=bottom"], bottom=["depends="],
                                 other_one=["depends=bottom"], unrelated=[])
        kernel = kernel_package.choose(contents, ["top"])
        self.assertEqual([module.name for module in kernel.modules], ["bottom", "middle", "other_one", "top"])
        self.assertIn("top.ko: other_one.ko middle.ko bottom.ko", kernel.dep_file(flat=True).decode().splitlines())
        self.assertIn("kernel/x/bottom.ko:", kernel.dep_file(flat=False).decode().splitlines())

    def test_soft_dependencies_need_an_answer(self):
        contents = self.contents(fs=["softdep=pre: crypto-sum builtin_thing post: later"], sum=["alias=crypto-sum"])
        with self.assertRaisesRegex(cache.UserError, "fs wants crypto_sum"):
            kernel_package.choose(contents, ["fs"])
        kernel = kernel_package.choose(contents, ["fs", "sum"])
        self.assertEqual(kernel.alias_file(), b"alias crypto-sum sum\n")

    def test_patterns_cycles_and_misspellings(self):
        contents = self.contents(a=["depends=b"], b=["depends=a"])
        self.assertEqual(len(kernel_package.choose(contents, ["kernel/x/*"]).modules), 2)
        with self.assertRaisesRegex(cache.UserError, "has no module 'virtio_blkk'"):
            kernel_package.choose(contents, ["virtio_blkk"])
        with self.assertRaisesRegex(cache.UserError, "needs missing"):
            kernel_package.choose(self.contents(a=["depends=missing"]), ["a"])


class Recipes(InTemporaryCache):
    def test_every_recipe_of_the_tree_is_sound(self):
        self.assertIn("linux-riscv64", recipe.names())
        for name in recipe.names():
            self.assertEqual(recipe.read(name)["format"], 1)
            self.assertEqual(guest.state_of(name, recipe.read(name)), "missing")

    def test_mistakes_are_named(self):
        with self.assertRaisesRegex(cache.UserError, "'linux-riscv46' is not a guest; there are: .*linux-riscv64"):
            recipe.read("linux-riscv46")
        with self.assertRaisesRegex(cache.UserError, "is not a guest"):
            recipe.read("../guests/linux-riscv64")
        good = (recipe.GUESTS / "linux-riscv64" / "guest.toml").read_text(encoding="utf-8")
        cases = [("format = 1", "format = 2", "format is 2"), ("cpus = 1", "cpus = true", "cpus is of the wrong kind"),
                 ("memory =", "memroy =", "memroy is unknown; known are board, memory, cpus"),
                 ('ready = "~ # "', "", "ready is missing"), ("[machine]", "[machine", "guest.toml"),
                 ("agent = true", 'agent = "yes"', "agent is of the wrong kind")]
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "sample", "guest.toml")
            path.parent.mkdir()
            real, recipe.GUESTS = recipe.GUESTS, pathlib.Path(folder)
            try:
                path.write_text(good, encoding="utf-8")
                recipe.read("sample")
                for old, new, expected in cases:
                    self.assertIn(old, good)
                    path.write_text(good.replace(old, new), encoding="utf-8")
                    with self.assertRaisesRegex(cache.UserError, expected):
                        recipe.read("sample")
            finally:
                recipe.GUESTS = real

    def test_recorded_version_with_other_bytes_is_refused(self):
        package = debian_archive.Package("p", "1", "all", "p_1_all.deb", 1, "a" * 64)
        known, recipe.recorded = recipe.recorded, lambda name: {("p", "all"): ("1", "b" * 64)}
        try:
            with self.assertRaisesRegex(cache.UserError, "p_1_all.deb: SHA-256 is a.*has b"):
                recipe.compare("sample", [package], self.steps)
            with quiet() as told:
                newer = debian_archive.Package("p", "2", "all", "p_2_all.deb", 1, "c" * 64)
                recipe.compare("sample", [newer], self.steps)
            self.assertIn("p 2 (was 1)", told.getvalue())
        finally:
            recipe.recorded = known

    def test_values_are_written_so_that_toml_reads_them(self):
        odd = {"text": 'a "quoted" \\ line\n\t\x7f é', "number": 7, "truth": True}
        self.assertEqual(tomllib.loads(recipe.table_text("[t]", odd))["t"], odd)


class Applets(unittest.TestCase):
    def test_names_are_found_and_checked(self):
        self.assertEqual(busybox_initramfs.applets(b"\x99[\0[[\0ar\0busybox\0sh\0xz\0\0rest"),
                         ["[", "[[", "ar", "busybox", "sh", "xz"])
        for data in (b"nothing", b"[\0[[\0zz\0sh\0\0", b"[\0[[\0ar\0\0"):
            with self.assertRaises(cache.UserError):
                busybox_initramfs.applets(data)


class Database(InTemporaryCache):
    """Against dpkg itself: what the archive holds is what dpkg's own unpacking would have left."""

    def package(self, name, fields="", files=None, control=None, architecture="all"):
        tree = pathlib.Path(self.home.name, name)
        (tree / "DEBIAN").mkdir(parents=True)
        (tree / "DEBIAN" / "control").write_text(
            f"Package: {name}\nVersion: 1:2-3\nArchitecture: {architecture}\n{fields}"
            "Maintainer: Nobody <n@example.org>\nDescription: a test\n of a package\n")
        for path, text in (control or {}).items():
            (tree / "DEBIAN" / path).write_text(text)
            (tree / "DEBIAN" / path).chmod(0o755 if path.endswith("inst") else 0o644)
        for path, text in (files or {}).items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_text(text)
        pool = cache.directory("debian", "pool")
        file_name = f"{name}_1%3a2-3_{architecture}.deb"
        subprocess.run(["dpkg-deb", "--root-owner-group", "-b", str(tree), str(pool / file_name)], check=True,
                       capture_output=True)
        return debian_archive.Package(name, "1:2-3", architecture, file_name, 1, "")

    def test_state_scripts_conffiles_and_triggers(self):
        native = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True,
                                check=True).stdout.strip()
        one = self.package("one", "Multi-Arch: same\n", {"etc/one.conf": "setting\n", "usr/share/one/file": "x"},
                           {"conffiles": "/etc/one.conf\n", "postinst": "#!/bin/sh\ntrue\n",
                            "triggers": "interest-noawait /usr/lib/things\ninterest ready\n"
                                        "activate-noawait ldconfig\n"},
                           native)
        two = self.package("two", "Multi-Arch: foreign\n", {"usr/share/two": "y"})
        path = pathlib.Path(self.home.name, "system.tar")
        dpkg_database.write(path, [two, one], self.steps)
        target = pathlib.Path(self.home.name, "target")
        with tarfile.open(path) as archive:
            self.assertEqual(len(archive.getnames()), len(set(archive.getnames())))
            self.assertTrue(all(member.uid == 0 and member.uname == "" for member in archive))
            archive.extractall(target)
        database = target / "var/lib/dpkg"
        query = subprocess.run(["dpkg-query", f"--admindir={database}", "-W",
                                "-f", "${Package} ${Version} ${Status}${Conffiles}\n"],
                               capture_output=True, text=True, check=True).stdout
        digest = hashlib.md5(b"setting\n", usedforsecurity=False).hexdigest()
        self.assertEqual(query, f"one 1:2-3 install ok unpacked /etc/one.conf {digest}\n"
                                "two 1:2-3 install ok unpacked\n")
        listed = subprocess.run(["dpkg-query", f"--admindir={database}", "-L", "one"], capture_output=True, text=True,
                                check=True).stdout
        self.assertEqual(listed, "/.\n/etc\n/etc/one.conf\n/usr\n/usr/share\n/usr/share/one\n/usr/share/one/file\n")
        self.assertTrue(os.access(database / f"info/one:{native}.postinst", os.X_OK))
        self.assertEqual((database / "triggers/File").read_text(), f"/usr/lib/things one:{native}/noawait\n")
        self.assertEqual((database / "triggers/ready").read_text(), f"one:{native}\n")
        self.assertEqual((target / "etc/one.conf").read_text(), "setting\n")


class ProgramDisk(InTemporaryCache):
    def tree(self, text: bytes) -> pathlib.Path:
        tree = pathlib.Path(self.home.name) / "tree"
        library = tree / "usr" / "lib" / "python3.99"
        library.mkdir(parents=True)
        (library / "a.py").write_bytes(text)
        (library / "b.py").write_bytes(text)
        return tree

    def test_its_recipe_names_what_the_work_needs(self):
        packages = program_disk.read_recipe()["packages"]
        for name in ("gzip", "xz-utils", "sqlite3", "python3", "gcc", "openssl", "stress-ng"):
            self.assertIn(name, packages)

    def test_the_key_is_of_the_architecture_and_the_work(self):
        self.assertEqual(program_disk.key_of("one"), program_disk.key_of("one"))
        self.assertNotEqual(program_disk.key_of("one"), program_disk.key_of("two"))
        self.assertFalse(program_disk.is_fresh("one"))

    def test_the_work_is_on_it_for_everybody_to_read(self):
        before = os.umask(0o077)
        try:
            tree = self.tree(bytes(program_disk.TEXT_SIZE - 1))
            program_disk.fill(tree)
        finally:
            os.umask(before)
        work = tree / "work"
        self.assertEqual((work / "text").stat().st_size, program_disk.TEXT_SIZE)
        self.assertEqual((work / "run").stat().st_mode & 0o777, 0o755)
        self.assertEqual((work / "queries.sql").stat().st_mode & 0o777, 0o644)
        self.assertEqual((work / "source").stat().st_mode & 0o777, 0o755)
        self.assertIn(b"qsort", (work / "source" / "integer.c").read_bytes())
        self.assertTrue((tree / "proc").is_dir())

    def test_too_little_text_is_told(self):
        with self.assertRaisesRegex(cache.UserError, "hold less text than"):
            program_disk.fill(self.tree(b"x"))

    def test_the_script_has_work_for_each_of_its_programs(self):
        script = program_disk.SOURCE / "work" / "run"
        listed = subprocess.run(["bash", str(script), "list"], capture_output=True, text=True, check=True).stdout
        text = script.read_text(encoding="utf-8")
        for line in listed.splitlines():
            name, group = line.split()
            self.assertIn(group, ("first", "real"))
            self.assertIn(f"work_{name.removesuffix('-first')}() {{", text)
        done = subprocess.run(["bash", str(script), "nothing"], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout), (1, ""))


if __name__ == "__main__":
    unittest.main()
