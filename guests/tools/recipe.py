"""Reading a guest's recipe (guest.toml) and writing what a built guest says of itself (ready.toml).

Promises: an unknown or missing field, a value of the wrong kind or an unknown format is one line that names the file
and the field. The formats are described in guests/README.md.
"""

import json
import pathlib
import re
import tomllib

import cache

GUESTS = pathlib.Path(__file__).resolve().parents[1]
FORMAT = 1

# Table -> field -> kind; a '?' marks those that may be missing.
FIELDS = {
    "": {"format": int, "title": str},
    "machine": {"board": str, "memory": str, "cpus": int},
    "boot": {"kernel": str, "initrd?": str, "append": str},
    "console": {"ready": str},
    "exec": {"port": str, "append": str},
    "disk": {"file": str, "format": str, "device": str, "writes": str},
    "build": {"suite": str, "architecture": str, "kernel": str},
    "build.initramfs": {"agent": bool, "compression": str, "modules": list},
    "build.disk": {"size": str, "packages": list, "modules": list, "emulator_memory": str, "emulator_cpus": int},
}
TABLES = {"machine", "boot", "console", "exec", "disk?", "build"}


def names() -> list[str]:
    return sorted(path.parent.name for path in GUESTS.glob("*/guest.toml"))


def read(name: str) -> dict:
    path = GUESTS / name / "guest.toml"
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name) or not path.exists():
        raise cache.UserError(f"'{name}' is not a guest; there are: {', '.join(names())}")
    try:
        recipe = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise cache.UserError(f"{path}: {error}") from error
    check(recipe, FIELDS[""] | dict.fromkeys(TABLES, object), f"{path}: ")
    if recipe["format"] != FORMAT:
        raise cache.UserError(f"{path}: format is {recipe['format']}; this version reads {FORMAT}")
    for table in ("machine", "boot", "console", "exec"):
        check(recipe[table], FIELDS[table], f"{path}: [{table}] ")
    for disk in recipe.setdefault("disk", []):
        check(disk, FIELDS["disk"], f"{path}: [[disk]] ")
        if disk["writes"] not in ("discard", "keep"):
            raise cache.UserError(f"{path}: [[disk]] writes is '{disk['writes']}'; it may be 'discard' or 'keep'")
    build = recipe["build"]
    check(build, FIELDS["build"] | {"initramfs": dict, "disk?": dict}, f"{path}: [build] ")
    check(build["initramfs"], FIELDS["build.initramfs"], f"{path}: [build.initramfs] ")
    if "disk" in build:
        check(build["disk"], FIELDS["build.disk"], f"{path}: [build.disk] ")
    return recipe


def check(table: object, fields: dict, where: str) -> None:
    if not isinstance(table, dict):
        raise cache.UserError(f"{where}is not a table")
    known = {field.rstrip("?"): kind for field, kind in fields.items()}
    for field in table:
        if field not in known:
            raise cache.UserError(f"{where}{field} is unknown; known are {', '.join(known)}")
    for field, kind in fields.items():
        name = field.rstrip("?")
        if name not in table:
            if field.endswith("?"):
                continue
            raise cache.UserError(f"{where}{name} is missing")
        wrong = not isinstance(table[name], kind) or (kind is int and isinstance(table[name], bool))
        if wrong or (kind is list and not all(isinstance(item, str) for item in table[name])):
            raise cache.UserError(f"{where}{name} is of the wrong kind")


def value_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    # JSON's escapes are a subset of those of a TOML basic string, except for DEL, which JSON leaves as it is.
    return json.dumps(str(value)).replace("\x7f", "\\u007f")


def table_text(header: str, table: dict) -> str:
    rows = [f"{key} = {value_text(value)}" for key, value in table.items()]
    return "\n".join([header, *rows] if header else rows) + "\n\n"


def ready_text(name: str, recipe: dict, key: str, folder: pathlib.Path, packages: list) -> str:
    """What viv reads: the recipe's defaults with absolute paths, and what the guest was made of."""
    boot = {field: str(folder / value) if field in ("kernel", "initrd") else value
            for field, value in recipe["boot"].items()}
    text = "# Made by guests/tools/guest.py; described in guests/README.md.\n"
    text += table_text("", {"format": FORMAT, "name": name, "title": recipe["title"], "key": key})
    text += table_text("[machine]", recipe["machine"]) + table_text("[boot]", boot)
    text += table_text("[console]", recipe["console"]) + table_text("[exec]", recipe["exec"])
    for disk in recipe["disk"]:
        text += table_text("[[disk]]", {**disk, "file": str(folder / disk["file"])})
    return text + "".join(package_text(package) for package in packages)


def package_text(package) -> str:
    return table_text("[[package]]", {"name": package.name, "version": package.version,
                                      "architecture": package.architecture, "sha256": package.sha256})


def recorded(name: str) -> dict[tuple[str, str], tuple[str, str]]:
    """checksums.toml: (name, architecture) -> (version, SHA-256) as the guest was last tested with."""
    path = GUESTS / name / "checksums.toml"
    if not path.exists():
        return {}
    try:
        rows = tomllib.loads(path.read_text(encoding="utf-8")).get("package", [])
        return {(row["name"], row["architecture"]): (row["version"], row["sha256"]) for row in rows}
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise cache.UserError(f"{path}: not a list of packages: {error}; 'guest.py record {name}' writes it") from error


def compare(name: str, packages: list, steps: cache.Steps) -> None:
    """A recorded version with other bytes is refused; newer versions are signed by the archive, and only told of."""
    known = recorded(name)
    moved = []
    for package in packages:
        version, sha256 = known.get((package.name, package.architecture), ("", ""))
        if version == package.version and sha256 != package.sha256:
            raise cache.UserError(f"{package.file_name}: SHA-256 is {package.sha256}, but guests/{name}/checksums.toml "
                                  f"has {sha256}; do not use this mirror")
        if version != package.version:
            moved.append(f"{package.name} {package.version}" + (f" (was {version})" if version else ""))
    if moved and known:
        shown = ", ".join(moved[:3]) + (f" and {len(moved) - 3} more" if len(moved) > 3 else "")
        steps.say(f"the archive has newer packages than those recorded, signed by it: {shown}")
