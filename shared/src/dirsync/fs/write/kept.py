"""Staged content that outlives the stream it came on: found, opened again, and removed, by the id of its upload.

The name of such a file is all that is known of it after a restart. What it holds is known by reading it: a crash may
have left anything in there, so its content counts for nothing until it was compared by digest (A14).
"""

import contextlib
import os
import re
import stat
from typing import Final, NamedTuple

from dirsync.fs.failure import StorageFailed, shown, writing_failure
from dirsync.fs.write.access import set_mode_at
from dirsync.fs.write.staged import StagedFile
from dirsync.fs.write.staging import KEPT_PREFIX, Staging
from dirsync.tree.path import RelPath

_NAME: Final = re.compile(KEPT_PREFIX + rb"([0-9a-f]{32})")
_OPEN: Final = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
_PRIVATE: Final = 0o600


class KeptFile(NamedTuple):
    """A file in the staging directory that holds the beginning of an upload."""

    id: bytes
    size: int
    """In bytes."""
    changed_ns: int
    """When it was last changed, by the clock of the file system: no upload can set that."""


def kept_name(upload_id: bytes) -> bytes:
    """The name of an upload's file in the staging directory."""
    return KEPT_PREFIX + upload_id.hex().encode()


def kept_files(staging: Staging) -> list[KeptFile]:
    """What is kept in the staging directory; anything that is no file of ours is left out."""
    found: list[KeptFile] = []
    for name in staging.names():
        match = _NAME.fullmatch(name)
        if match is None:
            continue
        with contextlib.suppress(OSError):
            status = os.stat(name, dir_fd=staging.descriptor, follow_symlinks=False)
            if stat.S_ISREG(status.st_mode):
                found.append(KeptFile(bytes.fromhex(match[1].decode()), status.st_size, status.st_ctime_ns))
    return found


def open_kept(staging: Staging, upload_id: bytes, path: RelPath, size: int) -> StagedFile:
    """The staged file of an upload with its first ``size`` bytes, to be continued.

    Raises:
        PathFailure: StorageFailed if it is gone, or shorter.
    """
    name = kept_name(upload_id)
    try:
        directory = staging.descriptor
        set_mode_at(directory, name, _PRIVATE)
        descriptor = os.open(name, _OPEN, dir_fd=directory)
    except OSError as error:
        raise writing_failure(path, "continue", error) from error
    staged = StagedFile(staging, name, path, descriptor)
    try:
        staged.size = _cut_to(descriptor, size)
    except OSError as error:
        staged.release()
        raise writing_failure(path, "continue", error) from error
    if staged.size < size:
        staged.release()
        raise StorageFailed(
            path, f"cannot continue {shown(path)}: of {size} bytes that were kept {staged.size} are there"
        )
    return staged


def _cut_to(descriptor: int, size: int) -> int:
    """Have the file end at ``size``, and go there; returns its size, which may be less."""
    there = os.fstat(descriptor).st_size
    if there > size:
        os.ftruncate(descriptor, size)
    return os.lseek(descriptor, min(size, there), os.SEEK_SET)
