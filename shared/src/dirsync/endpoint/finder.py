"""Finding content that the replica has, by its digest, under whatever name.

What the content cache says is compared with the tree, and what the tree says with the file as it is: a file that was
touched since its digest was known is no candidate, and is scanned again. That leaves what shows only when it is read:
the caller who reads the content compares its digest, and calls :meth:`ContentFinder.report_stale` if it is another.
"""

from typing import Self

from dirsync.endpoint.observer import Lookup
from dirsync.endpoint.replica import Replica
from dirsync.endpoint.replica_state import has_content
from dirsync.fs.failure import Changing, Unreadable, Vanished
from dirsync.fs.fingerprint import is_untouched
from dirsync.fs.read.stable import StableFile
from dirsync.tree.path import RelPath


class ContentFinder:
    """Finds content in one replica. For one thread, which closes it. A context manager."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._root = replica.root.clone()
        self._state = replica.state
        self._looked_up = replica.observer.content_looked_up

    def close(self) -> None:
        """Let go of the descriptors."""
        self._root.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self, digest: bytes, near: RelPath | None = None) -> StableFile | None:
        """A file of this content, for the caller to close; ``None`` if the replica has none. ``near`` is tried first.

        The caller reports how it went: :meth:`report_hit` or :meth:`report_stale`.
        """
        # A directory that was moved must not be read under its former name through a descriptor that was kept.
        self._root.forget_all()
        for path in self._candidates(digest, near):
            try:
                file = StableFile(self._root, path)
            except (Vanished, Changing):
                self.report_stale(path, digest)
                continue
            except Unreadable:
                continue
            if self._is_proved(path, digest, file):
                return file
            file.close()
            self.report_stale(path, digest)
        self._looked_up(Lookup.MISS)
        return None

    def report_hit(self) -> None:
        """What was opened was what was looked for."""
        self._looked_up(Lookup.HIT)

    def report_stale(self, path: RelPath, digest: bytes) -> None:
        """What is at ``path`` is not this content: it is not looked for there any more, and the tree finds out."""
        self._looked_up(Lookup.STALE)
        self._state.forget_content(path, digest)
        self._replica.scanner.invalidate(path, digest)

    def _candidates(self, digest: bytes, near: RelPath | None) -> list[RelPath]:
        """Paths where the tree has this content. They are found before any is tried: trying may change the tree."""
        found, stale = self._state.paths_of(digest)
        for _ in range(stale):
            self._looked_up(Lookup.STALE)
        if near is None or not has_content(self._state.record(near), digest):
            return found
        return [near, *(path for path in found if path != near)]

    def _is_proved(self, path: RelPath, digest: bytes, file: StableFile) -> bool:
        record = self._state.record(path)
        return record is not None and has_content(record, digest) and is_untouched(record, file.status)
