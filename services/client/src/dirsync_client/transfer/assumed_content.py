"""Content that is on its way: from where it is sent on in the stream, it counts as what the replica has."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable

from dirsync.tree.entry import Entry, digest_of, size_of
from dirsync.tree.plan import BuildDirectory
from dirsync_client.reconcile.commands import Sent

HasContent = Callable[[bytes], bool]
"""Whether the replica has content with this digest, as far as is settled. Asked from the sender's thread."""


class AssumedContent:
    """What the sender has sent and the reconciler has not taken over yet. Thread-safe."""

    def __init__(self, known: HasContent) -> None:
        self._known = known
        self._lock = threading.Lock()
        self._assumed: Counter[bytes] = Counter()

    def has(self, digest: bytes) -> bool:
        """Whether the replica has content with this digest, or will have it before what is sent from now on."""
        return self._known(digest) or digest in self._assumed

    def assume(self, entry: Entry) -> None:
        """A file like this was sent."""
        if entry.size:
            self.assume_content(entry.digest)

    def assume_content(self, digest: bytes) -> None:
        """A file with content of this digest was sent."""
        with self._lock:
            self._assumed[digest] += 1

    def release(self, settled: Iterable[Sent]) -> None:
        """These are settled, and the reconciler knows it: what was applied is known content now."""
        with self._lock:
            for sent in settled:
                if not sent.content_assumed or sent.record is None:
                    continue
                if isinstance(sent.operation, BuildDirectory):
                    for _, record in sent.operation.below:
                        if size_of(record):
                            self._release(digest_of(record))
                else:
                    self._release(sent.content_digest)

    def _release(self, digest: bytes) -> None:
        if self._assumed[digest] > 1:
            self._assumed[digest] -= 1
        else:
            del self._assumed[digest]
