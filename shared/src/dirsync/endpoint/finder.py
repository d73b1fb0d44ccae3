"""Finding content that the replica has, by its digest, under whatever name.

What the content cache says is compared with the tree, and what the tree says with the file as it is: a file that was
touched since its digest was known is no candidate, and is looked at again. That leaves what nobody can see without
reading: whoever reads the content compares its digest, and tells :meth:`Finder.refute` if it is another.
"""

from collections.abc import Iterator
from typing import Self

from dirsync.endpoint.replica import Replica
from dirsync.fs.failure import Changing, Unreadable, Vanished
from dirsync.fs.fingerprint import is_untouched
from dirsync.fs.read.stable import StableFile
from dirsync.runtime.metrics.metrics import Metrics
from dirsync.tree.entry import Kind, Record, digest_of
from dirsync.tree.path import RelPath


class Finder:
    """Finds content in one replica. For one thread, which does not hold the replica's lock for long. Closed by it."""

    def __init__(self, replica: Replica, metrics: Metrics) -> None:
        self._replica = replica
        self._root = replica.root.clone()
        lookups = metrics.family("dirsync_cache_lookups_total")
        self._hits, self._misses, self._stale = (lookups["content", result] for result in ("hit", "miss", "stale"))

    def close(self) -> None:
        """Let go of the descriptors."""
        self._root.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self, digest: bytes, near: RelPath | None = None) -> StableFile | None:
        """A file of this content, for the caller to close; ``None`` if nobody has it. ``near`` is tried first.

        The caller says how it went: :meth:`confirm` or :meth:`refute`.
        """
        # A directory that was moved must not be read under its former name through a descriptor that was kept.
        self._root.forget_all()
        for path in self._candidates(digest, near):
            try:
                file = StableFile(self._root, path)
            except (Vanished, Changing):
                self.refute(path, digest)
                continue
            except Unreadable:
                continue
            if self._is_proved(path, digest, file):
                return file
            file.close()
            self.refute(path, digest)
        self._misses.inc()
        return None

    def confirm(self) -> None:
        """What was opened was what was looked for."""
        self._hits.inc()

    def refute(self, path: RelPath, digest: bytes) -> None:
        """What is at ``path`` is not this content: it is not looked for there any more, and the tree finds out."""
        self._stale.inc()
        with self._replica.lock:
            self._replica.holdings.contents.drop(path, digest)
        self._replica.look.doubt(path, digest)

    def _candidates(self, digest: bytes, near: RelPath | None) -> Iterator[RelPath]:
        """Paths where the tree has this content. They are found before any is tried: trying may change the tree."""
        found: list[RelPath] = []
        with self._replica.lock:
            holdings = self._replica.holdings
            if near is not None and _has(holdings.tree.record(near), digest):
                found.append(near)
            for path in holdings.contents.find(digest):
                if path in found:
                    continue
                if _has(holdings.tree.record(path), digest):
                    found.append(path)
                else:
                    holdings.contents.drop(path, digest)
                    self._stale.inc()
        return iter(found)

    def _is_proved(self, path: RelPath, digest: bytes, file: StableFile) -> bool:
        with self._replica.lock:
            record = self._replica.tree.record(path)
        return record is not None and _has(record, digest) and is_untouched(record, file.status)


def _has(record: Record | None, digest: bytes) -> bool:
    return record is not None and record[0] == Kind.FILE and digest_of(record) == digest
