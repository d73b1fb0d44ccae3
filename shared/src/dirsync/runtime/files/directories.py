"""The directories that settings name: whether one lies in another, and whether we can use them.

A service checks them first, because a mount with the wrong owner is the most common failure of a deployment. The error
is one line with the setting, the path, our user id, the kernel's reason, and what to do. Problems that permissions do
not show (a link, a missing directory, a file system that fails later) are reported when the directory is opened.
"""

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path

from dirsync.errors import UsageError
from dirsync.tree.path import escape

_READ = os.R_OK | os.X_OK
_WRITE = os.R_OK | os.W_OK | os.X_OK


def is_named_within(inner: Path, outer: Path) -> bool:
    """Whether ``inner`` is ``outer`` or below it by their names alone: no file system is asked, so this never waits."""
    return Path(os.path.abspath(inner)).is_relative_to(os.path.abspath(outer))


def lies_within(inner: Path, outer: Path) -> bool:
    """Whether ``inner`` is ``outer`` or below it, links resolved as far as they exist."""
    return Path(os.path.realpath(inner)).is_relative_to(os.path.realpath(outer))


def require_readable(path: Path, setting: str) -> None:
    """Check that we can list a directory and enter it, if it is there.

    Raises:
        UsageError: we may not.
    """
    if denial := _denial(path, _READ):
        raise _unusable(setting, path, "cannot be read", denial, f"chmod a+rx {_shown(_nearest(path)[0])}")


def make_writable(path: Path, setting: str) -> None:
    """Make a directory if it is missing, and check that we can work in it.

    Raises:
        UsageError: it cannot be made, or we may not.
    """
    _make(path, setting, 0o777)
    if denial := _denial(path, _WRITE):
        raise _unusable(setting, path, "cannot be written", denial, _chown(path))


def prepare_state_directory(path: Path, setting: str, names: Iterable[str] = ()) -> Path:
    """Make the directory if it is missing, and check that we can write in it.

    ``names`` are those that the service will use in it: files that another user's run has left must be usable too.

    Returns:
        Its absolute path.

    Raises:
        UsageError: naming the setting, the path, the user id and what to do.
    """
    _make(path, setting, 0o700)
    try:
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise _unusable(setting, path, "cannot be written", error, _chown(path)) from None
    for below in map(path.joinpath, names):
        if denial := _denial(below, _WRITE if below.is_dir() else os.R_OK | os.W_OK):
            raise _unusable(setting, path, "cannot be used", denial, f"{_chown(path, '-R ')}, or empty it", at=below)
    return path.resolve()


def own_logs_within(path: Path) -> list[Path]:
    """Files in a directory that our own stdout and stderr are."""
    found: list[Path] = []
    for descriptor in (1, 2):
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                continue
            log = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        except OSError:
            continue  # not Linux, or closed
        if lies_within(log, path) and log not in found:
            found.append(log)
    return found


def unusable(setting: str, path: Path, error: OSError) -> UsageError:
    """The error for a directory that has the right permissions and still failed when it was used."""
    return _unusable(setting, path, "cannot be used", error, _chown(path))


def _make(path: Path, setting: str, mode: int) -> None:
    try:
        path.mkdir(mode=mode, parents=True, exist_ok=True)
    except OSError as error:
        fix = f"install -d -o {os.geteuid()} {_shown(path)}"
        raise _unusable(setting, path, "cannot be made", error, fix) from None


def _denial(path: Path, mode: int) -> OSError | None:
    """Why the kernel does not let us do this; None where it does, or where nothing is there."""
    if os.access(path, mode):
        return None
    try:
        flags = os.statvfs(path).f_flag
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return error
    read_only = flags & os.ST_RDONLY and os.access(path, mode & ~os.W_OK)
    code = errno.EROFS if read_only else errno.EACCES
    return OSError(code, os.strerror(code))


def _unusable(setting: str, path: Path, lack: str, error: OSError, fix: str, *, at: Path | None = None) -> UsageError:
    """The error; ``fix`` is the advice if the owner or mode is wrong, ``at`` is the path that the kernel refused."""
    reason = error.strerror or str(error)
    match error.errno:
        case errno.EACCES | errno.EPERM:
            seen, status = _nearest(at or path)
            owner = f"owner {status.st_uid}:{status.st_gid}, mode {stat.S_IMODE(status.st_mode):04o}"
            reason += f" ({owner})" if seen == path else f" ({_shown(seen)}: {owner})"
            remedy = f"{fix}, or run as uid {status.st_uid}"
            if status.st_uid == os.geteuid():
                remedy = f"chmod u+rwx {_shown(seen)}"
        case errno.EROFS:
            remedy = f"mount it writable, or set {setting} to another"
        case errno.EEXIST | errno.ENOTDIR:
            remedy = f"set {setting} to a directory"
        case _:
            remedy = f"set {setting} to another"
    return UsageError(f"{setting}={_shown(path)}: {lack} by uid {os.geteuid()}: {reason}; {remedy}")


def _nearest(path: Path) -> tuple[Path, os.stat_result]:
    """The path, or the nearest directory above it that we can see."""
    for seen in (path, *path.absolute().parents):
        with contextlib.suppress(OSError):
            return seen, seen.stat()
    return Path("/"), os.stat("/")


def _chown(path: Path, how: str = "") -> str:
    return f"chown {how}{os.geteuid()} {_shown(path)}"


def _shown(path: Path) -> str:
    return escape(os.fsencode(path))
