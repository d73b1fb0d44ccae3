"""Where content is: the paths of a replica's files by their digest, so that it can be copied instead of sent.

It is a hint and never an answer: a path from it is compared with the tree first, and the content itself while it is
copied. So it may forget, and it may be wrong; what is found to be wrong is dropped. One for each replica: what one
tenant has is never found by another.

Digests are kept shortened to 56 bits, which is what a small number of Python holds: a million files cost some 150 bytes
each. Two contents that share those bits by accident or by design are two candidates of which one is refused.
"""

from collections.abc import Iterable

from dirsync.limits import LIMITS
from dirsync.tree.directory import files
from dirsync.tree.entry import Kind, Record, digest_of, is_known, size_of
from dirsync.tree.path import RelPath
from dirsync.tree.tree import Tree

_KEY_BYTES = 7
_FILE = int(Kind.FILE)


class ContentIndex:
    """The content of one replica. Guarded by the data lock of :mod:`dirsync.endpoint.replica_state`."""

    def __init__(self, limit: int = LIMITS.max_contents) -> None:
        self.limit = limit
        """Digests that are taken at most."""
        self._paths: dict[int, RelPath | tuple[RelPath, ...]] = {}

    def __len__(self) -> int:
        """How many digests are known, those that nothing has any more included."""
        return len(self._paths)

    @property
    def is_full(self) -> bool:
        """Whether no further digest is taken."""
        return len(self._paths) >= self.limit

    def fill(self, tree: Tree) -> None:
        """Start again with what ``tree`` has."""
        self._paths = {}
        for path, record in files(tree.root):
            self.add(path, record)

    def find(self, digest: bytes) -> tuple[RelPath, ...]:
        """Paths that may have this content, the last one known first."""
        return _all(self._paths.get(_key(digest), ()))[::-1]

    def add(self, path: RelPath, record: Record) -> None:
        """``record`` is at ``path`` now. What is no file, is empty, or was never read does not count."""
        key = _key_of(record)
        if key is not None:
            self._add(path, key)

    def add_all(self, records: Iterable[tuple[RelPath, Record]]) -> None:
        """These are at their paths now; as :meth:`add`, for many."""
        paths = self._paths
        for path, record in records:
            key = _key_of(record)
            if key is not None:
                if key in paths or self.is_full:
                    self._add(path, key)
                else:
                    paths[key] = path

    def remove(self, path: RelPath, record: Record) -> None:
        """``record`` is not at ``path`` any more."""
        key = _key_of(record)
        if key is not None:
            self._drop(path, key)

    def rename(self, old: RelPath, new: RelPath, record: Record) -> None:
        """``record``, which was at ``old``, is at ``new`` now."""
        key = _key_of(record)
        if key is None:
            return
        if self._paths.get(key) == old:
            self._paths[key] = new
        else:
            self._drop(old, key)
            self._add(new, key)

    def drop(self, path: RelPath, digest: bytes) -> None:
        """The content of this digest was not at ``path``."""
        self._drop(path, _key(digest))

    def _add(self, path: RelPath, key: int) -> None:
        kept = self._paths.get(key)
        if kept is None:
            if not self.is_full:
                self._paths[key] = path
            return
        paths = _all(kept)
        if path not in paths:
            # The newest is the likeliest to be there still.
            self._paths[key] = (*paths[1 - LIMITS.max_content_paths :], path)

    def _drop(self, path: RelPath, key: int) -> None:
        kept = self._paths.get(key)
        if kept == path:
            del self._paths[key]
        elif isinstance(kept, tuple):
            left = tuple(other for other in kept if other != path)
            self._paths[key] = left if len(left) > 1 else left[0]


def _all(kept: RelPath | tuple[RelPath, ...]) -> tuple[RelPath, ...]:
    return kept if isinstance(kept, tuple) else (kept,)


def _key(digest: bytes) -> int:
    return int.from_bytes(digest[:_KEY_BYTES], "little")


def _key_of(record: Record) -> int | None:
    if record[0] != _FILE or not size_of(record):
        return None
    digest = digest_of(record)
    return _key(digest) if is_known(digest) else None
