"""Calls of the kernel that Python does not wrap. Each reports if the kernel does not have it.

ctypes is loaded at the first use, because that costs milliseconds and many programs never need it.
"""

import errno
import fcntl
import functools
import os
import platform
import struct
from collections.abc import Callable
from typing import Any, Final

_EXCHANGE: Final = 2
"""``RENAME_EXCHANGE`` of Linux's renameat2 and ``RENAME_SWAP`` of macOS's renameatx_np."""

_SYNCFS_REPORTS_ERRORS: Final = (5, 8)
"""From this version of Linux on, syncfs reports a failed write-back; before, only fsync did."""

_FICLONERANGE: Final = 0x4020940D
"""Of Linux's ``linux/fs.h``. Elsewhere the number means nothing, and is refused."""
_CLONE_RANGE: Final = struct.Struct("=qQQQ")
"""``struct file_clone_range``: source, its offset, length, offset in the target."""

_NO_FOLLOW: Final = 0x100
"""``AT_SYMLINK_NOFOLLOW``."""
_BIRTH: Final = 0x800
"""``STATX_BTIME``."""
_STATX_SIZE: Final = 256
_STATX: Final = struct.Struct("<I28xQ40xqI")
"""Of ``struct statx``: the mask of what is valid, the inode, and the time of birth in seconds and nanoseconds."""


def exchange(first_directory: int, first: bytes, second_directory: int, second: bytes) -> bool:
    """Swap two entries of any kind atomically, each a name in an open directory; ``False`` if the system cannot.

    Raises:
        OSError: as rename(2).
    """
    call = _function("renameat2") or _function("renameatx_np")
    if call is None:
        return False
    number = call(first_directory, first, second_directory, second, _EXCHANGE)
    if number in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        return False
    if number:
        raise OSError(number, os.strerror(number))
    return True


def share_range(source: int, target: int, offset: int, length: int, at: int) -> bool:
    """Let a file have a range of another one as the same blocks of the disk; ``False`` if that is not possible.

    It is not on most file systems, and of none for ranges that are no whole blocks. Whatever else is wrong shows when
    the range is copied instead.

    Args:
        source: the file that has the range, open for reading.
        target: the file that gets it, open for writing.
        offset: of the range in the one, in bytes.
        length: of the range, in bytes.
        at: where it will be in the other, in bytes.
    """
    try:
        fcntl.ioctl(target, _FICLONERANGE, _CLONE_RANGE.pack(source, offset, length, at))
    except OSError:
        return False
    return True


def sync_file_system(descriptor: int) -> bool:
    """Make everything durable on the file system that holds ``descriptor``; ``False`` where that is not reliable.

    Raises:
        OSError: a write-back failed.
    """
    call = _syncfs()
    if call is None:
        return False
    number = call(descriptor)
    if number:
        raise OSError(number, os.strerror(number))
    return True


def can_sync_file_system() -> bool:
    """Whether :func:`sync_file_system` is reliable here."""
    return _syncfs() is not None


def _syncfs() -> Callable[..., int] | None:
    return _function("syncfs") if _kernel() >= _SYNCFS_REPORTS_ERRORS else None


def birth_time(directory: int, name: bytes) -> tuple[int, int] | None:
    """The inode of an entry of an open directory, and when it was made, in nanoseconds since the epoch.

    ``None`` if the entry is gone, or if the kernel, its file system or this system does not know.
    """
    call = _function("statx")
    if call is None:
        return None
    answer = bytearray(_STATX_SIZE)
    if call(directory, name, _NO_FOLLOW, _BIRTH, _buffer(answer)):
        return None
    mask, inode, seconds, nanoseconds = _STATX.unpack_from(answer)
    return (inode, seconds * 1_000_000_000 + nanoseconds) if mask & _BIRTH else None


def _buffer(memory: bytearray) -> Any:
    """Memory that a function of the C library writes to."""
    import ctypes  # noqa: PLC0415  see the module

    return (ctypes.c_char * len(memory)).from_buffer(memory)


@functools.cache
def _function(name: str) -> Callable[..., int] | None:
    """A function of the C library that answers 0 or an error number."""
    import ctypes  # noqa: PLC0415  see the module

    function: Any = getattr(ctypes.CDLL(None, use_errno=True), name, None)
    if function is None:
        return None

    def call(*arguments: Any) -> int:
        return ctypes.get_errno() if function(*arguments) else 0

    return call


@functools.cache
def _kernel() -> tuple[int, ...]:
    if platform.system() != "Linux":
        return (0,)
    major, minor = os.uname().release.split(".")[:2]
    return int(major), int("".join(c for c in minor if c.isdigit()) or 0)
