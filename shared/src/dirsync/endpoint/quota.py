"""How much a replica may hold, decided before anything is written. Pure."""

from typing import NamedTuple

from dirsync.errors import LimitExceeded, StorageError
from dirsync.tree.path import RelPath, escape


class Quota(NamedTuple):
    """Bounds of one replica. Each refusal names the setting that made it, and no zero switches one off."""

    max_file_size: int
    """Bytes of one file."""
    max_bytes: int
    """Bytes of all files together."""
    max_entries: int
    """Files, directories and links."""
    min_free_bytes: int
    """Bytes of the disk that stay free."""


class Usage(NamedTuple):
    """What a replica holds, with what is on its way there, and what its disk has left."""

    bytes: int
    free_bytes: int


def check_file(quota: Quota, usage: Usage, path: RelPath, size: int, replaced: int = 0) -> None:
    """Whether a file of ``size`` bytes may be staged in place of one of ``replaced`` bytes.

    Raises:
        LimitExceeded: it is larger than a file or the replica may be.
        StorageError: the disk would get too full.
    """
    if size > quota.max_file_size:
        msg = f"{escape(path)} has {size} bytes; MAX_FILE_SIZE allows {quota.max_file_size}"
        raise LimitExceeded("max_file_size", msg)
    if usage.bytes + size - replaced > quota.max_bytes:
        msg = f"{escape(path)} would bring the replica over QUOTA_BYTES ({quota.max_bytes})"
        raise LimitExceeded("quota_bytes", msg)
    if usage.free_bytes - size < quota.min_free_bytes:
        msg = f"{escape(path)} does not fit: the replica's disk has {usage.free_bytes} bytes left, "
        msg += f"of which MIN_FREE_BYTES keeps {quota.min_free_bytes}; free some space"
        raise StorageError(msg, reason="MIN_FREE_BYTES")


def check_entry(quota: Quota, entries: int, path: RelPath) -> None:
    """Whether one more entry may be made beside ``entries``.

    Raises:
        LimitExceeded: the replica has as many as it may.
    """
    if entries >= quota.max_entries:
        msg = f"{escape(path)} would bring the replica over QUOTA_ENTRIES ({quota.max_entries})"
        raise LimitExceeded("quota_entries", msg)
