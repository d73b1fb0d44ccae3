"""SHA-256 of content that comes in parts, continued from what an earlier version of it has in common.

Whoever has hashed a version can keep its *checkpoints*: a fast checksum of each part, and the state that SHA-256 had
behind it. As long as the parts of another version have the same checksums, they are not hashed again; at the first one
that differs, SHA-256 goes on from the state before it. So an append costs what was appended, and an edit what is behind
it (docs/adr/0025-sha-256-goes-on-from-a-proved-prefix.md).
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from dirsync.limits import LIMITS

if TYPE_CHECKING:
    from hashlib import _Hash


class Checkpoint(NamedTuple):
    """The end of a part."""

    end: int
    """Bytes from the start of the content."""
    checksum: bytes
    """XXH3, with 128 bits, of the part between the checkpoint before and this one."""
    state: "_Hash"
    """SHA-256 of everything up to here; never updated."""


Reread = Callable[[int, int], bytes]
"""Reads what came before once more, by offset and length in bytes."""


class ContentHash:
    """SHA-256 of everything that it is updated with."""

    def __init__(self) -> None:
        self._size = 0
        self._hash = hashlib.sha256()
        """Of everything, unless former checkpoints are followed."""
        self._former: Sequence[Checkpoint] = ()
        self._passed = 0
        """Checkpoints of it whose parts came again."""
        self._is_following = False
        self._reread: Reread | None = None
        self._checkpoints: list[Checkpoint] = []
        self._part: Any = None
        """XXH3 of what has come since the last checkpoint, if checkpoints are made."""
        self._part_start = 0

    @classmethod
    def continued(cls, state: "_Hash", size: int) -> Self:
        """One that goes on behind ``size`` bytes that had this state."""
        continued = cls()
        continued._hash, continued._size = state.copy(), size
        return continued

    def make_checkpoints(self, reread: Reread, former: Sequence[Checkpoint] = ()) -> None:
        """Make checkpoints from here on, and follow those of an earlier version. Before the first update.

        At most a part is reread, and only where the two versions differ.

        Raises:
            ValueError: there was an update.
        """
        if self._size:
            raise ValueError("checkpoints are of all of the content")
        # Loaded here, because small files need no checkpoints.
        import xxhash  # noqa: PLC0415

        self._part = xxhash.xxh3_128()
        self._reread = reread
        self._former = former
        self._is_following = bool(former)

    def update(self, data: bytes | memoryview) -> None:
        """Take the next bytes."""
        if self._is_following:
            data = memoryview(data)
            while data and self._is_following:
                data = data[self._follow(data) :]
        if data:
            self._take(data)

    def stop_following(self) -> None:
        """From now on everything is hashed, and nothing is reread: what was read may be closed."""
        if self._is_following:
            self._stop_following()

    def digest(self) -> bytes:
        """SHA-256 of everything so far."""
        return self._state().digest()

    def copy(self) -> "_Hash":
        """The state of SHA-256, to go on from it elsewhere."""
        return self._state().copy()

    @property
    def checkpoints(self) -> list[Checkpoint]:
        """Those of the content so far."""
        return [*self._former[: self._passed], *self._checkpoints]

    def _follow(self, data: memoryview) -> int:
        """Compare the next bytes with what the earlier version has; returns how many of them were taken."""
        if self._passed == len(self._former):
            self._stop_following()
            return 0
        checkpoint = self._former[self._passed]
        part = data[: checkpoint.end - self._size]
        self._part.update(part)
        self._size += len(part)
        if self._size == checkpoint.end:
            if self._part.digest() == checkpoint.checksum:
                self._passed += 1
                self._part.reset()
                self._part_start = self._size
            else:
                self._stop_following()
        return len(part)

    def _stop_following(self) -> None:
        """Go on from the last checkpoint that was passed."""
        self._hash, behind = self._last_passed()
        self._is_following = False
        self._size = self._part_start
        self._part.reset()
        if behind:
            self._take(behind)

    def _last_passed(self) -> tuple["_Hash", bytes]:
        """A copy of the state there, and what has come since."""
        state = self._former[self._passed - 1].state.copy() if self._passed else hashlib.sha256()
        length = self._size - self._part_start
        assert self._reread is not None
        return state, self._reread(self._part_start, length) if length else b""

    def _state(self) -> "_Hash":
        if not self._is_following:
            return self._hash
        state, behind = self._last_passed()
        state.update(behind)
        return state

    def _take(self, data: bytes | memoryview) -> None:
        self._hash.update(data)
        self._size += len(data)
        if self._part is not None:
            self._part.update(data)
            if self._size - self._part_start >= LIMITS.min_hash_part_bytes:
                self._checkpoint()

    def _checkpoint(self) -> None:
        self._checkpoints.append(Checkpoint(self._size, self._part.digest(), self._hash.copy()))
        self._part.reset()
        self._part_start = self._size
        if self._passed + len(self._checkpoints) >= LIMITS.hash_checkpoints:
            self._part = None  # what is known of the beginning is of use, too
