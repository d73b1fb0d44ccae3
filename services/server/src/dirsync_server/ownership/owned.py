"""A namespace that this server owns: the fence in front of each commit.

Publishing happens under the lock of the owner's record, which a server that takes over needs too, and only while the
record says that nobody has taken over. So the two exclude each other, however slow either is. Where the owner is
stopped in the middle, with the lock in its hands, the other one takes over without the lock when the lease is over;
then the deadline of the lease ends what the owner had begun: it is asked before each operation.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from dirsync.errors import Unavailable
from dirsync_server.ownership.record import STATE_BYTES, Standing
from dirsync_server.ownership.volume import Volume

_POLL_SECONDS: Final = 0.005


def _tell_nobody(_namespace: str) -> None:
    """Nobody closes it."""


class OwnedNamespace:
    """The right to publish into one replica, from the claim to :meth:`release`."""

    def __init__(self, volume: Volume, namespace: str, number: int, descriptor: int, state: Path) -> None:
        """Takes over ``descriptor``, that of our record."""
        self.on_lost: Callable[[str], object] = _tell_nobody
        """Told the namespace where another server turns out to have taken over."""
        self.namespace = namespace
        self.number = number
        """The fencing number: higher than that of any owner before."""
        self.state_directory = state
        self._volume = volume
        self._record = descriptor

    @contextmanager
    def publishing(self) -> Iterator[Callable[[], None]]:
        """While this lasts nobody else takes over, unless our lease ends. Yields what is called before each change.

        Both raise:
            Unavailable: another server has taken over, or may have. Nothing may be published.
        """
        self._lock()
        try:
            lapses = self._volume.lease.lapses
            self.require_owner()

            def require_lease() -> None:
                if not self._volume.lease.holds(lapses):
                    raise self._lost("its lease on the namespace is over")

            require_lease()
            yield require_lease
        finally:
            fcntl.flock(self._record, fcntl.LOCK_UN)

    def _lock(self) -> None:
        """Lock our record, which another server has for the moment in which it takes over."""
        until = self._volume.now() + self._volume.lease_seconds
        while True:
            try:
                fcntl.flock(self._record, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if self._volume.now() >= until:
                    raise self._lost("another server is about to take it over") from None
                time.sleep(_POLL_SECONDS)
            else:
                return

    def require_owner(self) -> None:
        """Raise Unavailable if another server has taken over."""
        if not self.is_owner:
            self.on_lost(self.namespace)
            raise self._lost("another server has taken over the namespace")

    @property
    def is_owner(self) -> bool:
        """Whether the record says so still."""
        try:
            return os.pread(self._record, STATE_BYTES, 0) == Standing.OWNER.value
        except OSError:
            return False  # the volume does not answer, or the record is gone: it is an old one

    def release(self) -> None:
        """Let go: the next owner need not wait."""
        with contextlib.suppress(OSError):
            fcntl.flock(self._record, fcntl.LOCK_EX)
            if self.is_owner:
                os.pwrite(self._record, Standing.RELEASED.value, 0)
                os.fsync(self._record)
        os.close(self._record)

    def _lost(self, why: str) -> Unavailable:
        msg = f"this server may not write {self.namespace!r} any more: {why}; connect again"
        return Unavailable(msg, reason="OWNERSHIP_LOST")
