#!/usr/bin/env python3
"""Packages of any Debian suite and architecture, and source packages, fetched into the cache with a private apt state.

Promises: every package is verified by the archive's signatures (apt checks the index with the Debian archive keyring,
and the package with the index's SHA-256); the system's own package lists, sources and status are neither read nor
altered; what has been fetched once needs no network again; nothing incomplete ever carries a final name.
The mirror and the way to it (proxies, credentials) are the machine's own apt configuration; see apt.conf(5),
apt-get(8) "indextargets", sources.list(5). VIVARIUM_DEBIAN_MIRROR names another mirror.
"""

import argparse
import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
import tarfile
import urllib.parse

import cache

KEYRING = pathlib.Path("/usr/share/keyrings/debian-archive-keyring.gpg")


@dataclasses.dataclass(frozen=True)
class Package:
    name: str
    version: str
    architecture: str
    file_name: str
    size: int
    sha256: str

    @property
    def path(self) -> pathlib.Path:
        """Where the verified package is, once Archive.fetch has returned."""
        return cache.root() / "debian" / "pool" / self.file_name


def machine_mirror() -> str:
    """The URL of a Debian mirror, from the environment or from the machine's own apt configuration."""
    chosen = os.environ.get("VIVARIUM_DEBIAN_MIRROR", "")
    if chosen:
        return chosen.rstrip("/") + "/"

    def rows(*options: str) -> list[list[str]]:
        printed = run_quietly(["apt-get", "indextargets", *options, "--format", "$(REPO_URI)|$(ORIGIN)|$(LABEL)",
                               "Created-By: Packages"])
        return [line.split("|") for line in printed.splitlines() if line.count("|") == 2]

    for uri, origin, label in rows():
        if origin == "Debian" and label == "Debian":
            return uri
    # Without lists on this machine apt knows the addresses but not yet whose archives they are, and tells only if asked so.
    for uri, _, _ in rows("--no-release-info"):
        if urllib.parse.urlsplit(uri).path.rstrip("/").endswith("/debian"):
            return uri
    raise cache.UserError("no Debian mirror in this machine's apt configuration; set VIVARIUM_DEBIAN_MIRROR to the URL "
                          "of one")


def run_quietly(command: list[str], **options) -> str:
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, **options)
    except FileNotFoundError as error:
        raise cache.UserError(f"{command[0]}: not installed; apt, dpkg and the Debian archive keyring are needed "
                              "(apt-get install apt dpkg debian-archive-keyring)") from error
    if done.returncode != 0:
        raise cache.UserError(one_line(done.stdout + done.stderr, command[0]))
    return done.stdout


def one_line(output: str, program: str) -> str:
    """The one line a user needs, out of all that apt has printed."""
    if re.search(r"No space left on device|don't have enough free space|write error", output):
        return f"{cache.root()}: no space left; free some or set XDG_CACHE_HOME to another disk"
    if found := re.search(r"(?:Unable to locate package|No candidate version found for|"
                          r"Can't find a source to download version .* of) '?([^\s']+)", output):
        return f"{found[1]}: no such package in this suite and architecture; check the spelling and the suite"
    if found := re.search(r"Version '([^']+)' for '([^']+)' was not found", output):
        return f"{found[2]}: the archive has no version {found[1]}"
    if re.search(r"does not have a Release file|404 +Not Found.*Release", output):
        return "the mirror has no such suite or architecture; check the suite's name"
    if re.search(r"NO_PUBKEY|isn't signed|is not signed|invalid signature|BADSIG|EXPKEYSIG", output):
        return f"the archive's signature could not be verified with {KEYRING}; upgrade debian-archive-keyring"
    if re.search(r"Could not resolve|Temporary failure resolving|Could not connect|Connection (?:timed out|refused)|"
                 r"Network is unreachable|Unable to connect|Cannot initiate the connection", output):
        return "no network: the Debian mirror of this machine's apt configuration cannot be reached"
    if re.search(r"unmet dependencies|not installable", output):
        missing = re.findall(r"(?:Depends|PreDepends): (\S+).*not installable", output)
        return "the archive's dependencies cannot be met at the moment" + (f": {', '.join(missing)}" if missing else "")
    errors = [line[2:].strip() for line in output.splitlines() if line.startswith("E:")]
    last = output.strip().splitlines()[-1:] or ["no message"]
    return f"{program} failed: {(errors or last)[0]}"


class Archive:
    """One view of the archive: an architecture, and the suites whose newest packages count."""

    LINE = "deb [signed-by={keyring} arch={architecture}] {mirror} {suite} main\n"

    def __init__(self, suites: list[str], architecture: str, steps: cache.Steps):
        for word in [*suites, architecture]:
            if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", word):
                raise cache.UserError(f"'{word}' is not the name of a Debian suite or architecture (such as trixie, "
                                      "riscv64)")
        self.suites = suites
        self.architecture = architecture
        self.steps = steps
        self.name = f"{'+'.join(suites)}-{architecture}"
        self.state = cache.root() / "debian" / "state" / self.name
        self.current = False

    def configured(self) -> None:
        """Writes the private configuration. Of the machine's only its way to the network (Acquire::) stays."""
        if not KEYRING.exists():
            raise cache.UserError(f"{KEYRING}: missing; apt-get install debian-archive-keyring")
        state = cache.directory("debian", "state", self.name)
        for folder in ("lists/partial", "cache/archives/partial", "etc"):
            (state / folder).mkdir(parents=True, exist_ok=True)
        (state / "status").touch()
        mirror = machine_mirror()
        sources = "".join(self.LINE.format(keyring=KEYRING, architecture=self.architecture, mirror=mirror, suite=suite)
                          for suite in self.suites)
        cache.write_atomically(state / "sources.list", sources.encode())
        machine = [line for line in run_quietly(["apt-config", "dump"]).splitlines()
                   if line.startswith("Acquire::") and not line.startswith("Acquire::IndexTargets")]
        private = [
            'Dir::Etc::main "/dev/null";', 'Dir::Etc::parts "/dev/null";', 'Dir::Etc::sourceparts "/dev/null";',
            'Dir::Etc::preferences "/dev/null";', 'Dir::Etc::preferencesparts "/dev/null";',
            'Dir::Etc::trusted "/dev/null";', 'Dir::Etc::trustedparts "/dev/null";',
            f'Dir::Etc::sourcelist "{state}/sources.list";',
            f'Dir::State "{state}";', f'Dir::State::lists "{state}/lists";', f'Dir::State::status "{state}/status";',
            f'Dir::Cache "{state}/cache";', f'Dir::Log "{state}";',
            f'APT::Architecture "{self.architecture}";', f'APT::Architectures "{self.architecture}";',
            'APT::Install-Recommends "false";', 'APT::Install-Suggests "false";', 'APT::Get::Assume-Yes "true";',
            'Acquire::Languages "none";', 'Acquire::ForceHash "SHA256";', 'Acquire::Retries "3";',
            'Acquire::AllowInsecureRepositories "false";', 'APT::Get::AllowUnauthenticated "false";',
            # The cache is the user's own: apt's download user could not write there.
            f'APT::Sandbox::User "{"root" if os.geteuid() == 0 else "_apt"}";',
        ]
        cache.write_atomically(state / "apt.conf", ("\n".join([*machine, *private]) + "\n").encode())

    def apt(self, arguments: list[str], folder: pathlib.Path | None = None) -> str:
        environment = {**os.environ, "APT_CONFIG": str(self.state / "apt.conf"), "LC_ALL": "C.UTF-8"}
        return run_quietly(["apt-get", *arguments], cwd=folder, env=environment)

    def update(self, if_missing: bool = False) -> None:
        """Fetches the index, or its newer version. The network is needed."""
        with cache.lock(f"debian-{self.name}", self.steps):
            if if_missing and (self.state / "updated").exists():
                return
            self.configured()
            with self.steps.step(f"fetching the package index of {self.name}"):
                self.apt(["-q", "update", "--error-on=any"])
            (self.state / "updated").touch()
            self.current = True

    def uris(self, command: list[str]) -> str:
        """What apt-get would download for this; if it refuses by an older index, by a new one."""
        command = ["-qq", "--print-uris", *command]
        try:
            return self.apt(command)
        except cache.UserError as refused:
            if self.current:
                raise
            try:
                self.update()
            except cache.UserError:
                raise refused from None
            return self.apt(command)

    def resolve(self, names: list[str], closure: bool) -> list[Package]:
        """The named packages ("name" or "name=version"), with all they depend on if `closure`."""
        if not (self.state / "updated").exists():
            self.update(if_missing=True)
        for name in names:
            if not re.fullmatch(r"[a-z0-9?][A-Za-z0-9.+:~=?()-]*", name):
                raise cache.UserError(f"'{name}' is not the name of a Debian package")
        verb = ["install"] if closure else ["download"]
        printed = self.uris([*verb, *names])
        packages = []
        for line in printed.splitlines():
            found = re.fullmatch(r"'(\S+)' (\S+_\S+_\S+\.deb) (\d+) SHA256:([0-9a-f]{64})", line.strip())
            if found:
                name, version, architecture = found[2].removesuffix(".deb").split("_")
                packages.append(Package(name, urllib.parse.unquote(version), architecture, found[2], int(found[3]),
                                        found[4]))
        if not packages:
            raise cache.UserError(f"apt named no package for {' '.join(names)}")
        return sorted(packages, key=lambda package: package.name)

    def fetch(self, packages: list[Package]) -> None:
        """Brings the packages into the pool, verified. Those that are there already are verified again."""
        pool = cache.directory("debian", "pool")
        with cache.lock(f"debian-{self.name}", self.steps):
            missing = [package for package in packages
                       if not package.path.exists() or cache.sha256_of(package.path) != package.sha256]
            if not missing:
                return
            total = sum(package.size for package in missing)
            free = shutil.disk_usage(pool).free
            if free < total + (64 << 20):
                raise cache.UserError(f"{pool}: {total >> 20} MiB to fetch and only {free >> 20} MiB free; set "
                                      "XDG_CACHE_HOME to another disk")
            what = missing[0].name if len(missing) == 1 else f"{len(missing)} packages"
            with self.steps.step(f"fetching {what} ({total / (1 << 20):.1f} MiB)"), cache.scratch() as folder:
                self.configured()
                self.download(missing, folder)
                for package in missing:
                    file = folder / package.file_name
                    if not file.exists() or cache.sha256_of(file) != package.sha256:
                        raise cache.UserError(f"{package.file_name}: not what the archive's index promises; try again")
                    os.replace(file, package.path)

    def download(self, packages: list[Package], folder: pathlib.Path) -> None:
        environment = {**os.environ, "APT_CONFIG": str(self.state / "apt.conf"), "LC_ALL": "C.UTF-8"}
        names = [f"{package.name}={package.version}" for package in packages]
        reader, writer = os.pipe()
        process = None
        try:
            process = subprocess.Popen(["apt-get", "-q", "-o", f"APT::Status-Fd={writer}", "download", *names],
                                       cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.PIPE, text=True, pass_fds=[writer])
            os.close(writer)
            writer = -1
            with os.fdopen(reader, "r", encoding="utf-8", errors="replace") as status:
                reader = -1
                for line in status:
                    fields = line.split(":")
                    if fields[0] == "dlstatus" and len(fields) > 2:
                        self.steps.percent("fetching", float(fields[2]))
            self.steps.clear()
            errors = process.stderr.read()
            if process.wait() != 0:
                raise cache.UserError(one_line(errors, "apt-get"))
        finally:
            for handle in (reader, writer):
                if handle >= 0:
                    os.close(handle)
            if process:
                if process.poll() is None:
                    process.terminate()
                    process.wait()
                process.stderr.close()

    def installed(self, names: list[str], closure: bool) -> list[Package]:
        """resolve and fetch in one; the packages are in the pool afterwards."""
        packages = self.resolve(names, closure)
        try:
            self.fetch(packages)
        except cache.UserError:
            # The archive may have moved on since the index was fetched, and dropped what the index still names.
            if self.current:
                raise
            self.update()
            newer = self.resolve(names, closure)
            if newer == packages:
                raise
            self.fetch(newer)
            return newer
        return packages


class Sources(Archive):
    """The source packages of a suite: what their authors published, and what Debian adds to it."""

    LINE = "deb-src [signed-by={keyring}] {mirror} {suite} main\n"

    def __init__(self, suite: str, steps: cache.Steps):
        super().__init__([suite], "amd64", steps)
        self.name = f"{suite}-source"
        self.state = cache.root() / "debian" / "state" / self.name

    def resolve(self, names: list[str], closure: bool = False) -> list[Package]:
        """The files of the named source packages, each as a Package of architecture 'source'."""
        if not (self.state / "updated").exists():
            self.update(if_missing=True)
        files = []
        for name in names:
            if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", name):
                raise cache.UserError(f"'{name}' is not the name of a Debian source package")
            printed = self.uris(["--only-source", "source", name])
            rows = [re.fullmatch(r"'(\S+)' (\S+) (\d+) SHA256:([0-9a-f]{64})", line.strip())
                    for line in printed.splitlines()]
            description = next((row for row in rows if row and row[2].endswith(".dsc")), None)
            if not description:
                raise cache.UserError(f"apt named no files for the source package {name}")
            version = urllib.parse.unquote(description[2].removesuffix(".dsc").partition("_")[2])
            files += [Package(name, version, "source", row[2], int(row[3]), row[4]) for row in rows if row]
        return files

    def download(self, packages: list[Package], folder: pathlib.Path) -> None:
        for name, version in sorted({(package.name, package.version) for package in packages}):
            # apt checks each file with the index, which the archive has signed.
            self.apt(["-q", "--download-only", "--only-source", "source", name], folder)
            if not any(folder.glob(f"{name}_*.dsc")):
                raise cache.UserError(f"{name}: the archive has no source of version {version}")

    def unpacked(self, name: str, folder: pathlib.Path) -> str:
        """Unpacks the source package, Debian's changes made, into `folder`, which must not exist; returns its version."""
        files = self.installed([name], closure=False)
        description = next(file for file in files if file.file_name.endswith(".dsc"))
        # The files were compared with the signed index; the maintainer's own signature needs no second look.
        folder.parent.mkdir(parents=True, exist_ok=True)
        run_quietly(["dpkg-source", "--no-check", "--no-copy", "-x", str(description.path), str(folder)])
        return description.version


class Contents:
    """The files of a package as a stream of (TarInfo, reader); paths have no leading './'."""

    def __init__(self, package: Package):
        self.package = package
        self.process: subprocess.Popen | None = None
        self.stream: tarfile.TarFile | None = None

    def __enter__(self):
        self.process = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(self.package.path)],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            self.stream = tarfile.open(fileobj=self.process.stdout, mode="r|", bufsize=1 << 20)
        except tarfile.TarError as error:
            self.__exit__(None, None, None)
            raise cache.UserError(f"{self.package.path}: not a Debian package: {error}") from error
        return self

    def __iter__(self):
        for member in self.stream:
            member.name = member.name.removeprefix("./")
            yield member, (self.stream.extractfile(member) if member.isfile() else None)

    def __exit__(self, *_):
        if self.stream:
            self.stream.close()
        self.process.stdout.close()
        self.process.terminate()
        self.process.wait()


def read_files(package: Package, wanted) -> dict[str, bytes]:
    """The regular files of a package whose path `wanted(path)` accepts, links inside the package resolved."""
    files: dict[str, bytes] = {}
    links: dict[str, str] = {}
    with Contents(package) as contents:
        for member, reader in contents:
            if member.isfile() and wanted(member.name):
                files[member.name] = reader.read()
            elif member.issym() and wanted(member.name):
                folder = "" if member.linkname.startswith("/") else os.path.dirname(member.name)
                links[member.name] = os.path.normpath(os.path.join(folder, member.linkname.lstrip("/")))
            elif member.islnk() and wanted(member.name):
                links[member.name] = member.linkname.removeprefix("./")
    for name, target in links.items():
        if target in files:
            files[name] = files[target]
    return files


def unpack(packages: list[Package], target: pathlib.Path, steps: cache.Steps, without: list[str] | None = None) -> None:
    """The files of the packages under `target`, a folder of the caller's scratch; `without`: patterns of tar(1) for
    paths to leave out."""
    target.mkdir(parents=True, exist_ok=True)
    leave_out = [f"--exclude=./{pattern}" for pattern in without or []]
    for number, package in enumerate(packages):
        steps.percent("unpacking", 100 * number / len(packages))
        if not leave_out:
            run_quietly(["dpkg-deb", "-x", str(package.path), str(target)])
            continue
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(package.path)], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as stream:
            tar = subprocess.run(["tar", "-x", "-C", str(target), "--anchored", *leave_out], stdin=stream.stdout,
                                 capture_output=True, text=True, check=False)
        if stream.returncode != 0 or tar.returncode != 0:
            raise cache.UserError(f"{package.path}: cannot be unpacked: {one_line(tar.stderr, 'tar')}")
    steps.clear()


def main() -> int:
    parser = argparse.ArgumentParser(description="Fetch Debian packages into the cache, without touching the system's "
                                                 "package lists.")
    parser.add_argument("--suite", action="append", default=[], help="a suite (default trixie); several: newest wins")
    parser.add_argument("--architecture", default="riscv64", help="a Debian architecture (default riscv64)")
    parser.add_argument("--closure", action="store_true", help="also all packages that the named ones depend on")
    parser.add_argument("--unpack", metavar="FOLDER", type=pathlib.Path, help="unpack them there; it must not exist")
    parser.add_argument("--refresh", action="store_true", help="fetch a new package index first")
    parser.add_argument("packages", nargs="+", metavar="PACKAGE", help="a name, or name=version")
    options = parser.parse_args()
    steps = cache.Steps("debian")
    archive = Archive(options.suite or ["trixie"], options.architecture, steps)
    if options.unpack and options.unpack.exists():
        raise cache.UserError(f"{options.unpack}: exists already; name a folder that does not")
    if options.refresh:
        archive.update()
    packages = archive.installed(options.packages, options.closure)
    if options.unpack:
        with cache.scratch() as folder, steps.step(f"unpacking {len(packages)} packages"):
            unpack(packages, folder / "tree", steps)
            shutil.move(folder / "tree", options.unpack)
    for package in packages:
        print(package.path)
    return 0


if __name__ == "__main__":
    cache.command_line(main)
