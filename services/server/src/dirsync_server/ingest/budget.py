"""How much may still come in on one push stream: the replica's quota and its disk, with what is already on its way."""

from collections.abc import Mapping
from typing import Protocol

from dirsync.endpoint.quota import Usage, check_file
from dirsync.endpoint.replica import Replica
from dirsync.tree.path import RelPath

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

    def admit(self, path: RelPath, size: int) -> None:
        """Refuse what would not fit.

        Raises:
            LimitExceeded: it is larger than a file or the replica may be.
            StorageError: the disk would get too full.
        """
        self._admitted += size
        if self._admitted > USAGE_REFRESH_BYTES:
            self.refresh()
        announced = sum(content.announced for content in self._incoming.values())
        missing = sum(content.announced - content.arrived for content in self._incoming.values())
        usage = Usage(self._usage.bytes + self.staged + announced, self._usage.free_bytes - missing)
        check_file(self._replica.policy.quota, usage, path, size, self._replica.state.size_of(path))

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
