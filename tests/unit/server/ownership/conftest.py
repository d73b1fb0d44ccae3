"""Servers on one shared volume, in this process, on a clock that is moved by hand."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dirsync_server.ownership.claim import Claim, Taken
from dirsync_server.ownership.volume import DIRECTORY, Volume

LEASE = 8.0
NAMESPACE = "photos.2026"


class Shared:
    """A volume and its servers."""

    def __init__(self, place: Path) -> None:
        self.now = 100.0
        self.place = place
        self.root = place / "replica"
        self.root.mkdir()
        self.volumes: list[Volume] = []

    def clock(self) -> float:
        """Seconds, the same for all."""
        return self.now

    def server(self, lease: float = LEASE) -> Volume:
        """One more server."""
        volume = Volume(self.place / DIRECTORY, lease, self.clock)
        self.volumes.append(volume)
        return volume

    def taken(self, volume: Volume) -> Taken:
        """A server takes the namespace, which it can have at once."""
        taken = Claim(volume, NAMESPACE).attempt()
        assert taken is not None
        return taken

    def taken_from_the_slow(self, volume: Volume) -> Taken:
        """A server takes the namespace from one that shows no life for a whole lease."""
        claim = Claim(volume, NAMESPACE)
        assert claim.attempt() is None
        self.now += LEASE
        taken = claim.attempt()
        assert taken is not None
        return taken

    def kill(self, volume: Volume) -> None:
        """The process of a server ends as by SIGKILL: the kernel drops its lock, and nothing is written."""
        os.close(volume._life)
        self.volumes.remove(volume)


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Shared]:
    """The volume of a test."""
    shared = Shared(tmp_path)
    yield shared
    for volume in shared.volumes:
        volume.close()
