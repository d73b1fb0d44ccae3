"""How much may still come in on one push stream: the replica's quota and its disk, with what is already on its way."""

from collections.abc import Collection, Mapping
from typing import Protocol

from dirsync.endpoint.quota import Quota, Usage, check_file
from dirsync.endpoint.replica import Replica
from dirsync.errors import DirsyncError
from dirsync.tree.path import RelPath
from dirsync.wire.entries import MAX_SIZE

USAGE_REFRESH_BYTES = 16 * 1024 * 1024
"""After so many admitted bytes the disk is asked again how much is left."""


class Incoming(Protocol):
    """Content that is on its way; sizes in bytes."""

    @property
    def announced(self) -> int:
        """What it will have."""

    @property
    def arrived(self) -> int:
        """What of it is staged by now."""


class SpaceBudget:
    """The space that one stream may still fill in one replica."""

    def __init__(self, replica: Replica, incoming: Mapping[int, Incoming]) -> None:
        """``incoming`` is what is on its way at any time; what has arrived whole is :meth:`take`n."""
        self._replica = replica
        self._incoming = incoming
        self.staged = 0
        """Bytes that arrived whole and are not committed."""
        self.refresh()

    def admit(self, path: RelPath, size: int, staged: int = 0) -> None:
        """Refuse what would not fit; interrupted uploads give way to it.

        Args:
            path: where it will be.
            size: what it will have, in bytes.
            staged: what of it is on the disk already.

        Raises:
            LimitExceeded: it is larger than a file or the replica may be.
            StorageError: the disk would get too full.
        """
        self._admit(self._replica.policy.quota, path, size, staged)

    def admit_files(self, path: RelPath, sizes: Collection[int]) -> None:
        """Refuse the files of a new directory at ``path`` if one is too large, or if they would not fit together.

        Raises:
            LimitExceeded, StorageError: as :meth:`admit`.
        """
        quota, largest = self._replica.policy.quota, max(sizes, default=0)
        if largest > quota.max_file_size:
            self._admit(quota, path, largest)
        self._admit(quota._replace(max_file_size=MAX_SIZE), path, sum(sizes))

    def _admit(self, quota: Quota, path: RelPath, size: int, staged: int = 0) -> None:
        self._admitted += size
        if self._admitted > USAGE_REFRESH_BYTES:
            self.refresh()
        announced = missing = 0
        if self._incoming:
            announced = sum(content.announced for content in self._incoming.values())
            missing = announced - sum(content.arrived for content in self._incoming.values())
        usage = Usage(self._usage.bytes + self.staged + announced, self._usage.free_bytes - missing + staged)
        uploads = self._replica.uploads
        kept = uploads.size if uploads.count else 0
        if kept:
            usage = self._with_kept(quota, usage, kept, path, size)
        self._check(quota, usage, path, size)

    def _with_kept(self, quota: Quota, usage: Usage, kept: int, path: RelPath, size: int) -> Usage:
        """The usage with what is kept of interrupted uploads, which is dropped if only that is in the way."""
        self._check(quota, Usage(usage.bytes, usage.free_bytes + kept), path, size)
        try:
            self._check(quota, Usage(usage.bytes + kept, usage.free_bytes), path, size)
        except DirsyncError:
            self._replica.uploads.drop_all()
            return Usage(usage.bytes, usage.free_bytes + kept)
        return Usage(usage.bytes + kept, usage.free_bytes)

    def _check(self, quota: Quota, usage: Usage, path: RelPath, size: int) -> None:
        check_file(quota, usage, path, size, self._replica.state.size_of(path))

    def take(self, size: int) -> None:
        """Content of ``size`` bytes has arrived whole."""
        self.staged += size

    def committed(self) -> None:
        """What had arrived is a part of the replica, or dropped."""
        self.staged = 0
        self.refresh()

    def refresh(self) -> None:
        """Ask the replica and its disk again."""
        self._usage = self._replica.usage()
        self._admitted = 0
