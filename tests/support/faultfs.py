"""A file system that shows a directory and does wrong on demand: FUSE in front of real files.

``python -m tests.support.faultfs BACKING MOUNTPOINT FAULTS`` serves it until it is unmounted; :func:`faulty`
does that for a test. Which faults there are stands in a JSON file that may change at any time (:class:`Faults`). Beside
faults it can fold names as other systems do: ``case`` finds a file under any case, ``nfc`` under any Unicode normal
form, and ``nfd`` moreover decomposes every name that it is given, as HFS+ does.

It exchanges nothing (``renameat2`` with flags is EINVAL), like any file system that knows no more than POSIX.
"""

import ctypes.util
import errno
import json
import os
import signal
import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.support.faults.privileges import unmount
from tests.support.running.waiting import until

FOLDS: dict[str, Callable[[str], str]] = {
    "none": lambda name: name,
    "case": str.casefold,
    "nfc": lambda name: unicodedata.normalize("NFC", name),
    "nfd": lambda name: unicodedata.normalize("NFC", name),
}


@dataclass
class Faults:
    """What goes wrong. Paths are those whose last component contains ``only``."""

    only: str = ""
    error: str = "EIO"
    """What the failing calls answer."""
    write_limit: int = -1
    """Bytes of a file after which a write fails; -1: none."""
    read_limit: int = -1
    """Bytes of a file after which a read fails."""
    short: int = 0
    """A write takes at most this many bytes at once; 0: all."""
    dropped_after: int = -1
    """A write from this byte of a file on answers that it was done, and is not."""
    failing: tuple[str, ...] = ()
    """Operations that fail: ``fsync``, ``fsyncdir``, ``rename``, ``unlink``, ``mkdir``, ..."""


@dataclass
class FaultyFs:
    """A mounted one."""

    path: Path
    _file: Path
    server: "subprocess.Popen[bytes]"

    def hang(self) -> None:
        """From now on nothing is answered."""
        self.server.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Answer everything that waits, and what comes."""
        self.server.send_signal(signal.SIGCONT)

    def set(self, faults: Faults) -> None:
        """From now on these go wrong."""
        self.write(self._file, faults)

    @staticmethod
    def write(file: Path, faults: Faults) -> None:
        """Put them into the file that the server reads."""
        beside = file.with_suffix(".new")
        beside.write_text(json.dumps(asdict(faults)))
        beside.replace(file)


@contextmanager
def faulty(place: Path, *, fold: str = "none") -> Iterator[FaultyFs]:
    """Mount one at ``place / "faulty"``, which shows ``place / "backing"``. Needs the capability ``fuse``."""
    backing, path, file = place / "backing", place / "faulty", place / "faults.json"
    backing.mkdir(exist_ok=True)
    path.mkdir()
    FaultyFs.write(file, Faults())
    library = ctypes.util.find_library("fuse3") or ""
    command = [sys.executable, "-m", "tests.support.faultfs", str(backing), str(path), str(file), fold]
    server = subprocess.Popen(command, env={**os.environ, "FUSE_LIBRARY_PATH": library})
    try:
        until(lambda: os.path.ismount(path), "the faulty file system to be mounted")
        yield FaultyFs(path, file, server)
    finally:
        server.send_signal(signal.SIGCONT)
        unmount(path)  # then the server ends, once it is no longer used
        with suppress(subprocess.TimeoutExpired):
            server.wait(10)
        server.kill()
        server.wait()


def serve(backing: str, mountpoint: str, file: str, fold: str) -> None:
    """Serve until unmounted."""
    import mfusepy  # type: ignore[import-untyped]  # noqa: PLC0415  loads libfuse, which only this process needs

    class Strict(mfusepy.FUSE):  # type: ignore[misc]
        """Refuses what the library would silently take for a plain rename."""

        def rename_fuse_3(self, old: bytes, new: bytes, flags: int) -> int:
            return -errno.EINVAL if flags else self.rename_fuse_2(old, new) or 0

    options = {
        "use_ino": True,
        "attr_timeout": 0,
        "entry_timeout": 0,
        "negative_timeout": 0,
        "default_permissions": True,
    }
    Strict(
        _operations(mfusepy, backing, Path(file), fold),
        mountpoint,
        foreground=True,
        nothreads=True,
        allow_other=True,
        encoding="utf-8",
        **options,
    )


def _operations(mfusepy: Any, backing: str, file: Path, fold: str) -> Any:  # noqa: C901  # a class: the library is optional
    """The operations, as the library wants them."""

    class Operations(mfusepy.Operations):  # type: ignore[misc]
        use_ns = True

        def __init__(self) -> None:
            self._folded = FOLDS[fold]

        # What goes wrong.

        def _faults(self) -> Faults:
            return Faults(**json.loads(file.read_text()))

        def _fail(self, operation: str, path: str) -> None:
            faults = self._faults()
            if operation in faults.failing and faults.only in os.path.basename(path):
                raise mfusepy.FuseOSError(getattr(errno, faults.error))

        # Names.

        def _at(self, path: str) -> str:
            """Where the backing directory has it: under the name given, or one that folds to the same."""
            at = backing
            for name in path.strip("/").split("/"):
                at = os.path.join(at, self._name(at, name)) if name else at
            return at

        def _name(self, directory: str, name: str) -> str:
            stored = unicodedata.normalize("NFD", name) if fold == "nfd" else name
            if os.path.lexists(os.path.join(directory, stored)) or fold == "none":
                return stored
            try:
                names = os.listdir(directory)
            except OSError:
                return stored
            return next((other for other in names if self._folded(other) == self._folded(name)), stored)

        # Looking.

        def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:
            status = os.lstat(self._at(path)) if fh is None else os.fstat(fh)
            keys = ("st_mode", "st_ino", "st_nlink", "st_uid", "st_gid", "st_size", "st_blocks")
            found = {key: getattr(status, key) for key in keys}
            return {**found, **{f"st_{t}time": getattr(status, f"st_{t}time_ns") for t in "amc"}}

        def readdir(self, path: str, fh: int) -> list[tuple[str, dict[str, int], int]]:
            at = self._at(path)
            return [(name, self.getattr(os.path.join(path, name)), 0) for name in os.listdir(at)]

        def readlink(self, path: str) -> str:
            return os.readlink(self._at(path))

        def statfs(self, path: str) -> dict[str, int]:
            status = os.statvfs(self._at(path))
            return {
                key: getattr(status, key)
                for key in ("f_bsize", "f_frsize", "f_blocks", "f_bfree", "f_bavail", "f_files", "f_ffree", "f_namemax")
            }

        # Files.

        def open(self, path: str, flags: int) -> int:
            self._fail("open", path)
            return os.open(self._at(path), flags & ~os.O_NOFOLLOW)

        def create(self, path: str, mode: int, fi: Any = None) -> int:
            self._fail("create", path)
            return os.open(self._at(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)

        def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
            faults = self._faults()
            if 0 <= faults.read_limit < offset + size and faults.only in os.path.basename(path):
                raise mfusepy.FuseOSError(getattr(errno, faults.error))
            return os.pread(fh, size, offset)

        def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
            faults = self._faults()
            if 0 <= faults.write_limit < offset + len(data):
                raise mfusepy.FuseOSError(getattr(errno, faults.error))
            if 0 <= faults.dropped_after <= offset:
                return len(data)
            return os.pwrite(fh, data[: faults.short] if faults.short else data, offset)

        def truncate(self, path: str, length: int, fh: int | None = None) -> None:
            os.truncate(self._at(path) if fh is None else fh, length)

        def release(self, path: str, fh: int) -> None:
            os.close(fh)

        def fsync(self, path: str, datasync: int, fh: int) -> None:
            self._fail("fsync", path)
            os.fsync(fh)

        def fsyncdir(self, path: str, datasync: int, fh: int) -> None:
            self._fail("fsyncdir", path)

        # Names and metadata.

        def mkdir(self, path: str, mode: int) -> None:
            self._fail("mkdir", path)
            os.mkdir(self._at(path), mode)

        def rmdir(self, path: str) -> None:
            self._fail("rmdir", path)
            os.rmdir(self._at(path))

        def unlink(self, path: str) -> None:
            self._fail("unlink", path)
            os.unlink(self._at(path))

        def symlink(self, target: str, source: str) -> None:
            self._fail("symlink", target)
            os.symlink(source, self._at(target))

        def rename(self, old: str, new: str) -> None:
            self._fail("rename", new)
            os.rename(self._at(old), self._at(new))

        def chmod(self, path: str, mode: int) -> None:
            self._fail("chmod", path)
            os.chmod(self._at(path), mode)

        def chown(self, path: str, uid: int, gid: int) -> None:
            os.chown(self._at(path), uid, gid, follow_symlinks=False)

        def utimens(self, path: str, times: tuple[int, int] | None = None) -> None:
            self._fail("utimens", path)
            now = time.time_ns()
            os.utime(self._at(path), ns=times or (now, now), follow_symlinks=False)

    return Operations()


if __name__ == "__main__":
    serve(*sys.argv[1:])
