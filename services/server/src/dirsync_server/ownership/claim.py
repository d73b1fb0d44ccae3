"""How a server becomes the owner of a namespace: the next fencing number, which only one can take.

A number is taken by a hard link, which two cannot make under one name. Before that the record of the owner so far is
marked, so whoever comes to be the owner, none before may publish:

1. lock the record of the highest number, which waits for what its owner is publishing; where the owner is stopped in
   the middle and its lease is over, go on without the lock;
2. mark it as superseded;
3. link a record of our own under the next number, and see that there is no higher one.

If we die between two steps, the next one that comes does the same. Records of old numbers are kept for a while, so that
a server that was stopped in the middle of this finds its number taken when it goes on.
"""

import contextlib
import fcntl
import os
import shutil
import socket
import time
from pathlib import Path
from typing import Final, NamedTuple

from dirsync.endpoint.replica import index_name
from dirsync_server.ownership.lease import BEATS, Rival
from dirsync_server.ownership.owned import OwnedNamespace
from dirsync_server.ownership.record import (
    Record,
    Standing,
    decode_record,
    encode_record,
    number_in,
    record_name,
    state_name,
)
from dirsync_server.ownership.volume import Volume

KEPT_RECORDS: Final = 8
"""Records of former owners that are kept."""
_POLL_SECONDS: Final = 0.02
_SUFFIXES: Final = ("", "-wal")
"""The files of an index."""


class Taken(NamedTuple):
    """A namespace that is ours now."""

    owned: OwnedNamespace
    cause: str
    """What became of the owner before: ``none``, ``released``, ``gone`` (its process has ended), or ``slow``."""


class Claim:
    """The attempts of this server to become the owner of one namespace; one thread."""

    def __init__(self, volume: Volume, namespace: str) -> None:
        self._volume = volume
        self._namespace = namespace
        self._rival: Rival | None = None
        self._asked = ""
        """The owner that knows that we are asked for its namespace."""

    def attempt(self) -> Taken | None:
        """Become the owner if nobody is; otherwise tell the owner that we are asked, and return ``None``.

        Raises:
            OSError: the volume fails.
        """
        number = max(self._numbers(), default=0)
        if not number:
            return self._take(0, "none")
        try:
            record = decode_record(self._volume.read(record_name(self._namespace, number)))
        except FileNotFoundError:
            return None  # somebody is faster
        cause = self._cause(record)
        if cause is None:
            self._ask(record.server)
            return None
        return self._take_over(number, record, cause)

    def close(self) -> None:
        """Give up, or have it: nobody is to be told any more."""
        if self._asked:
            self._volume.unwant(self._asked, self._namespace)
            self._asked = ""

    def _cause(self, record: Record) -> str | None:
        """Why we may take over; ``None`` if we may not."""
        if record.standing is Standing.RELEASED or record.server == self._volume.server:
            return "released"  # what is ours we have let go of, or it could not be opened
        if self._volume.is_gone(record.server):
            return "gone"
        found = self._volume.beat_of(record.server)
        if found is None:
            return "gone"
        if record.standing is Standing.SUPERSEDED and self._publishes_nothing():
            return "slow"  # whoever was about to take over has not gone on
        beat, seconds = found
        if self._rival is None:
            self._rival = Rival(max(seconds, self._volume.lease_seconds), self._volume.now)
        return "slow" if self._rival.is_over(record.server.encode() + b" " + beat) else None

    def _publishes_nothing(self) -> bool:
        """Whether the owner of the highest number, which may begin nothing more, has nothing under way either."""
        try:
            descriptor = self._open_newest()
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(descriptor)
        return True

    def _open_newest(self) -> int:
        name = record_name(self._namespace, max(self._numbers(), default=0))
        return os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._volume.descriptor)

    def _ask(self, server: str) -> None:
        if self._asked != server:
            self.close()
            self._asked = server
        self._volume.want(server, self._namespace)

    def _take_over(self, number: int, record: Record, cause: str) -> Taken | None:
        name = record_name(self._namespace, number)
        try:
            previous = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._volume.descriptor)
        except FileNotFoundError:
            return None
        try:
            if cause == "slow":
                self._lock(previous)  # in vain if it was stopped while it published; then the end of its lease stops it
            os.pwrite(previous, Standing.SUPERSEDED.value, 0)
            os.fsync(previous)
            taken = self._take(number, cause)
        finally:
            os.close(previous)
        if taken is not None and cause == "gone":
            self._volume.forget(record.server)
        return taken

    def _lock(self, descriptor: int) -> None:
        """Lock a record, which its owner has for as long as it publishes, or give up."""
        until = time.monotonic() + self._volume.lease_seconds / BEATS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= until:
                    return
                time.sleep(_POLL_SECONDS)
            else:
                return

    def _take(self, number: int, cause: str) -> Taken | None:
        """Take the number after ``number``, whose record is marked."""
        volume, fresh = self._volume, number + 1
        temporary, name = f"new-{volume.server}.{self._namespace}", record_name(self._namespace, fresh)
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, 0o600, dir_fd=volume.descriptor)
        try:
            os.pwrite(descriptor, encode_record(volume.server, socket.gethostname(), os.getpid()), 0)
            os.fsync(descriptor)
            os.link(temporary, name, src_dir_fd=volume.descriptor, dst_dir_fd=volume.descriptor)
            os.fsync(volume.descriptor)
        except FileExistsError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=volume.descriptor)
        if max(self._numbers(), default=0) > fresh:
            # Our number was free because it is long over: we were stopped meanwhile.
            os.unlink(name, dir_fd=volume.descriptor)
            os.close(descriptor)
            return None
        state = self._take_state(fresh)
        self._remove_old(fresh)
        return Taken(OwnedNamespace(volume, self._namespace, fresh, descriptor, state), cause)

    def _numbers(self) -> list[int]:
        names = os.listdir(self._volume.descriptor)
        return [number for name in names if (number := number_in(name, self._namespace)) is not None]

    def _take_state(self, number: int) -> Path:
        """A directory for our index, with a copy of what the owner before has remembered.

        The copy may be torn if that one still writes. An index is only a cache whose every row is checked, so the worst
        is that files are read again.
        """
        state = self._volume.path / state_name(self._namespace, number)
        state.mkdir(mode=0o700, exist_ok=True)
        for earlier in sorted(self._states(), reverse=True):
            if earlier < number:
                source = self._volume.path / state_name(self._namespace, earlier)
                for file in (f"{index_name(self._namespace)}{suffix}" for suffix in _SUFFIXES):
                    with contextlib.suppress(OSError):
                        shutil.copyfile(source / file, state / file)
                break
        return state

    def _states(self) -> list[int]:
        prefix = state_name(self._namespace, 0)[:-1]
        rests = [name.removeprefix(prefix) for name in os.listdir(self._volume.descriptor) if name.startswith(prefix)]
        return [int(rest) for rest in rests if rest.isdecimal()]

    def _remove_old(self, number: int) -> None:
        for old in self._states():
            if old < number:
                shutil.rmtree(self._volume.path / state_name(self._namespace, old), ignore_errors=True)
        for old in self._numbers():
            if old < number - KEPT_RECORDS:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(record_name(self._namespace, old), dir_fd=self._volume.descriptor)
