"""Checkpoints of the SHA-256 of large files, by the digest of their content, in memory."""

import threading
from collections import OrderedDict
from collections.abc import Sequence

from dirsync.fs.read.content_hash import Checkpoint
from dirsync.limits import LIMITS


class KnownHashes:
    """The contents that were used last. Thread-safe.

    What is kept of some content is true whatever happens to the files that have it.
    """

    def __init__(self, most: int = LIMITS.hash_checkpoints) -> None:
        """At most so many checkpoints, of all contents together."""
        self._most = most
        self._lock = threading.Lock()
        self._known: OrderedDict[bytes, tuple[Checkpoint, ...]] = OrderedDict()
        self._count = 0

    def get(self, digest: bytes) -> Sequence[Checkpoint]:
        """The checkpoints of the content with this SHA-256, if they are kept."""
        with self._lock:
            known = self._known.get(digest, ())
            if known:
                self._known.move_to_end(digest)
            return known

    def remember(self, digest: bytes, checkpoints: Sequence[Checkpoint]) -> None:
        """Keep these, instead of those of the content that was not asked for longest; a content with too many none."""
        if not checkpoints or len(checkpoints) > self._most:
            return
        with self._lock:
            self._count += len(checkpoints) - len(self._known.pop(digest, ()))
            self._known[digest] = tuple(checkpoints)
            while self._count > self._most:
                self._count -= len(self._known.popitem(last=False)[1])
