"""A Debian kernel package: its kernel image, and a chosen set of its modules with all that they need.

Promises: the package is read once, as a stream, and nothing else of it is kept; the order of dependencies comes from
the modules themselves (the .modinfo section of each ELF file: depends=, softdep=, alias=), in the formats that
modprobe reads (modules.dep(5), modules.alias). Paths and results are the same for the same package and choice.
"""

import dataclasses
import fnmatch
import lzma
import re
import struct

import cache
import debian_archive


@dataclasses.dataclass(frozen=True)
class Module:
    name: str                    # as the kernel calls it: '_' for '-'
    path: str                    # below /lib/modules/<release>/, without the compression suffix
    data: bytes                  # the ELF file, uncompressed
    packed: bytes                # as the package has it
    packed_path: str
    depends: tuple[str, ...]
    aliases: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Kernel:
    package: debian_archive.Package
    release: str
    image: bytes
    modules: tuple[Module, ...]  # each after those that it needs

    def dep_file(self, flat: bool) -> bytes:
        """modules.dep: what to load before a module, nearest first, as depmod writes it."""
        by_name = {module.name: module for module in self.modules}

        def closure(module: Module, seen: list[str]) -> list[str]:
            for name in module.depends:
                if name in by_name and name not in seen:
                    seen.append(name)
                    closure(by_name[name], seen)
            return seen

        lines = []
        for module in self.modules:
            needed = sorted(closure(module, []), key=list(by_name).index, reverse=True)
            lines.append(f"{place(module, flat)}: {' '.join(place(by_name[name], flat) for name in needed)}".rstrip())
        return ("\n".join(lines) + "\n").encode()

    def alias_file(self) -> bytes:
        lines = [f"alias {alias} {module.name}" for module in self.modules for alias in module.aliases]
        return ("\n".join(lines) + "\n").encode()


def place(module: Module, flat: bool) -> str:
    return module.path.rpartition("/")[2] if flat else module.path


def module_information(data: bytes, what: str) -> dict[str, list[str]]:
    """The key=value strings of an ELF file's .modinfo section (ELF-64 and ELF-32, either byte order)."""
    try:
        if data[:4] != b"\x7fELF":
            raise ValueError("no ELF file")
        order = {1: "<", 2: ">"}[data[5]]
        if data[4] == 2:
            table, = struct.unpack_from(f"{order}Q", data, 0x28)
            entry_size, count, names_index = struct.unpack_from(f"{order}HHH", data, 0x3A)
            fields = f"{order}IIQQQQ"
        else:
            table, = struct.unpack_from(f"{order}I", data, 0x20)
            entry_size, count, names_index = struct.unpack_from(f"{order}HHH", data, 0x2E)
            fields = f"{order}IIIIII"
        headers = [struct.unpack_from(fields, data, table + entry_size * index) for index in range(count)]
        names_offset = headers[names_index][4]
        found: dict[str, list[str]] = {}
        for header in headers:
            start = names_offset + header[0]
            if data[start:data.index(b"\0", start)] != b".modinfo":
                continue
            for item in data[header[4]:header[4] + header[5]].split(b"\0"):
                key, _, value = item.decode("utf-8", "replace").partition("=")
                if key:
                    found.setdefault(key, []).append(value)
        return found
    except (struct.error, ValueError, KeyError, IndexError) as error:
        raise cache.UserError(f"{what}: not a kernel module: {error}") from error


def canonical(name: str) -> str:
    return name.replace("-", "_")


@dataclasses.dataclass(frozen=True)
class Contents:
    package: debian_archive.Package
    release: str
    image: bytes
    packed: dict[str, tuple[str, bytes]]    # module -> path and file, as the package has them
    built_in: set[str]


def read(package: debian_archive.Package) -> Contents:
    release = ""
    image = b""
    packed: dict[str, tuple[str, bytes]] = {}
    built_in: set[str] = set()
    with debian_archive.Contents(package) as contents:
        for member, reader in contents:
            if not member.isfile():
                continue
            if found := re.fullmatch(r"boot/(?:vmlinuz|vmlinux)-(\S+)", member.name):
                release = found[1]
                image = reader.read()
            elif found := re.fullmatch(r"(?:usr/)?lib/modules/[^/]+/(\S+/([^/]+)\.ko(?:\.xz)?)", member.name):
                packed[canonical(found[2])] = (found[1], reader.read())
            elif re.fullmatch(r"(?:usr/)?lib/modules/[^/]+/modules\.builtin\.modinfo", member.name):
                strings = reader.read().decode("utf-8", "replace").split("\0")
                built_in = {canonical(found[2]) for text in strings
                            if (found := re.fullmatch(r"([^.]+)\.alias=(.*)", text))}
                built_in |= {canonical(text.partition(".")[0]) for text in strings if text}
    if not image:
        raise cache.UserError(f"{package.file_name}: has no kernel in /boot; name a linux-image package")
    return Contents(package, release, image, packed, built_in)


def choose(contents: Contents, wanted: list[str]) -> Kernel:
    """`wanted`: modules by name ("virtio_blk") or by path pattern ("kernel/fs/ext4/*"); all must exist."""
    package, packed = contents.package, contents.packed
    chosen: list[str] = []
    for want in wanted:
        matches = [name for name, (path, _) in sorted(packed.items())
                   if name == canonical(want) or fnmatch.fnmatchcase(path.removesuffix(".xz"), want)]
        if not matches:
            raise cache.UserError(f"{package.file_name}: has no module '{want}'; correct the recipe's list")
        chosen += matches

    modules: dict[str, Module] = {}
    visiting: set[str] = set()

    def add(name: str) -> None:
        # Two modules that name each other softly are loaded in the order in which they are met.
        if name in modules or name in visiting or name not in packed:
            return
        visiting.add(name)
        path, content = packed[name]
        data = lzma.decompress(content) if path.endswith(".xz") else content
        information = module_information(data, path)
        hard = [canonical(word) for word in information.get("depends", [""])[0].split(",") if word]
        soft = [canonical(word) for line in information.get("softdep", [])
                for word in line.partition("pre:")[2].partition("post:")[0].split()]
        for needed in [*hard, *soft]:
            add(needed)
        missing = [needed for needed in hard if needed not in modules and needed not in visiting]
        if missing:
            raise cache.UserError(f"{package.file_name}: {name} needs {missing[0]}, which the package does not have")
        modules[name] = Module(name, path.removesuffix(".xz"), data, content, path,
                               tuple(word for word in [*hard, *soft] if word in packed),
                               tuple(information.get("alias", [])))
        softly.update({word: name for word in soft if word not in packed})

    softly: dict[str, str] = {}
    for name in chosen:
        add(name)
    # A soft dependency may name what several modules can do ("crc32c"): which of them is the recipe's choice.
    aliases = {canonical(alias) for module in modules.values() for alias in module.aliases}
    for word, name in softly.items():
        if word not in contents.built_in and word not in aliases:
            raise cache.UserError(f"{package.file_name}: {name} wants {word}, which is neither built in nor done by a "
                                  "module of the recipe's list")
    return Kernel(package, contents.release, contents.image, tuple(modules.values()))
