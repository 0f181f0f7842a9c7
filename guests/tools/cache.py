"""The download and build cache outside the tree: where it is, and how things get into it whole or not at all.

Promises: everything is made under a temporary name in the same file system and renamed when it is complete, so an
interrupted run leaves nothing half-written; two runs that want the same thing wait for one another; every step is
announced on standard error; failures that a user can mend are UserError, one line each.
The root is $XDG_CACHE_HOME/vivarium, or ~/.cache/vivarium (XDG Base Directory Specification 0.8).
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time


class UserError(Exception):
    """A failure of the host or of the user's input: one line that says what is wrong and what would be right."""


def root() -> pathlib.Path:
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):
        base = os.path.join(os.path.expanduser("~"), ".cache")
    return pathlib.Path(base) / "vivarium"


def directory(*parts: str) -> pathlib.Path:
    """A folder of the cache, made if it is missing."""
    path = root().joinpath(*parts)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{path}: cannot make the cache folder: {error.strerror}; set XDG_CACHE_HOME to one that can "
                        "be written") from error
    return path


class Steps:
    """Progress on standard error: one line a step, with its time when it is done."""

    def __init__(self, subject: str):
        self.subject = subject
        self.live = sys.stderr.isatty()

    def say(self, text: str) -> None:
        print(f"{self.subject}: {text}", file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def step(self, text: str):
        self.say(f"{text} ...")
        start = time.monotonic()
        yield
        self.say(f"{text}: done in {time.monotonic() - start:.1f} s")

    def percent(self, text: str, value: float) -> None:
        """A line that is overwritten in place; only a terminal gets it."""
        if self.live:
            print(f"\r{self.subject}: {text} {value:3.0f} %\x1b[K", end="\r", file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self.live:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


@contextlib.contextmanager
def lock(name: str, steps: Steps):
    """Held while the block runs. The kernel drops it with the process, so a killed run leaves no stale lock."""
    path = directory("locks") / f"{name}.lock"
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            holder = os.read(handle, 32).decode("ascii", "replace").strip() or "unknown"
            steps.say(f"waiting for process {holder}, which is busy with the same ({name})")
            fcntl.flock(handle, fcntl.LOCK_EX)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def scratch():
    """A temporary folder inside the cache (so that a rename out of it is atomic), removed at the end."""
    parent = directory("partial")
    remove_stale(parent)
    path = pathlib.Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=parent))
    try:
        yield path
    finally:
        remove_tree(path)


def remove_stale(parent: pathlib.Path) -> None:
    """What a run that was killed without a chance to clean up has left behind."""
    for entry in parent.iterdir():
        owner = entry.name.split("-")[0]
        if owner.isdigit() and not pathlib.Path("/proc", owner).exists():
            remove_tree(entry)


def remove_tree(path: pathlib.Path) -> None:
    """Also folders that are not writable, as unpacked packages may contain."""
    if not path.is_symlink() and path.is_dir():
        for folder, _, _ in os.walk(path):
            with contextlib.suppress(OSError):
                os.chmod(folder, 0o755)
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


def publish(complete: pathlib.Path, link: pathlib.Path, key: str) -> pathlib.Path:
    """Makes the finished folder `complete` known as `link`, in one atomic step, and drops what `link` meant before.

    The link points to a sibling folder named after `key`; readers see the old one or the new one, never a mixture.
    """
    store = link.parent / ".store"
    store.mkdir(parents=True, exist_ok=True)
    final = store / f"{link.name}-{key}"
    if final.exists():
        remove_tree(final)
    os.rename(complete, final)
    temporary = store / f".{link.name}-{os.getpid()}"
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    os.symlink(os.path.relpath(final, link.parent), temporary)
    if link.is_dir() and not link.is_symlink():
        remove_tree(link)
    os.replace(temporary, link)
    for other in store.iterdir():
        name, _, suffix = other.name.rpartition("-")
        if name == link.name and suffix != key:
            remove_tree(other)
    return final


def write_atomically(path: pathlib.Path, data: bytes, mode: int = 0o644) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(data)
        temporary.chmod(mode)
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


def sha256_of(path: pathlib.Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def key_of(*parts: object) -> str:
    """A short name for a set of inputs; strings and bytes, in an order that the caller keeps."""
    digest = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode()
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()[:16]


def command_line(main) -> None:
    """Runs `main()` as a program: user errors are one line and exit code 1, an interruption is 130, both clean."""
    program = os.path.basename(sys.argv[0])

    def interrupted(_number, _frame):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupted)
    signal.signal(signal.SIGHUP, interrupted)
    try:
        code = main()
        sys.stdout.flush()
    except KeyboardInterrupt:
        print(f"{program}: interrupted, nothing half-written is left", file=sys.stderr)
        code = 130
    except UserError as error:
        print(f"{program}: {error}", file=sys.stderr)
        code = 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM):
            raise
        where = error.filename or root()
        advice = "free some space there or set XDG_CACHE_HOME to another disk"
        print(f"{program}: {where}: {error.strerror}; {advice}", file=sys.stderr)
        code = 1
    sys.exit(code)
