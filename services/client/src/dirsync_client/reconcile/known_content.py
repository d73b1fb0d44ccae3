"""What content the replica has, as far as the client knows, so that none of it is uploaded twice.

Digests are kept shortened to 64 bits, because a tree of a million files has a million of them. An error is cheap either
way: content that the server turns out not to have is sent after all, and content that was overlooked is sent once more.

The sender reads :meth:`KnownContent.has` from another thread. That is one look-up in a dictionary, which the
interpreter does as a whole; an answer that is a moment old is an error of the cheap kind.
"""

from dirsync.limits import LIMITS
from dirsync.tree.directory import Directory
from dirsync.tree.entry import Entry, Kind, Record, digest_of, is_known, size_of
from dirsync.tree.tree import Tree


class KnownContent:
    """The content of one replica's files, counted by digest, and large files by size."""

    def __init__(self) -> None:
        self._digests: dict[int, int] = {}
        self._sizes: dict[int, int] = {}
        """How many large files have a size: only those are worth being read before they are sent."""
        self._filled = False

    def fill(self, replica: Tree) -> None:
        """Count what ``replica`` holds, once. Before that nothing is known.

        Left until something is to be sent: a sync that finds nothing to do does not pay for it.
        """
        if self._filled:
            return
        self._filled = True
        stack = [replica.root]
        while stack:
            for child in stack.pop().children.values():
                if isinstance(child, Directory):
                    stack.append(child)
                elif child[0] == Kind.FILE:
                    self._count(digest_of(child), size_of(child), 1)

    def clear(self) -> None:
        """Forget everything: the replica is not what it was taken for."""
        self._digests.clear()
        self._sizes.clear()
        self._filled = False

    def has(self, digest: bytes) -> bool:
        """Whether the replica has this content."""
        return _key(digest) in self._digests

    @property
    def any_large(self) -> bool:
        """Whether the replica has any large file."""
        return bool(self._sizes)

    def of_size(self, size: int) -> int:
        """How many large files of the replica have this size in bytes."""
        return self._sizes.get(size, 0)

    def put(self, entry: Entry) -> None:
        """The replica has one more file like this. An entry that is no file does not count."""
        if entry.kind is Kind.FILE:
            self._count(entry.digest, entry.size, 1)

    def count(self, record: Record) -> None:
        """The replica has one more file, which this record describes."""
        self._count(digest_of(record), size_of(record), 1)

    def remove(self, entry: Entry) -> None:
        """It has one less."""
        if entry.kind is Kind.FILE:
            self._count(entry.digest, entry.size, -1)

    def refute(self, digest: bytes) -> None:
        """The server says that it does not have this content."""
        self._digests.pop(_key(digest), None)

    def _count(self, digest: bytes, size: int, change: int) -> None:
        if not is_known(digest):
            return  # the server cannot read it, so it can make nothing of it
        if size:
            _add(self._digests, _key(digest), change)
        if size > LIMITS.inline_file_bytes:
            _add(self._sizes, size, change)


def _key(digest: bytes) -> int:
    return int.from_bytes(digest[:8], "little")


def _add(counts: dict[int, int], key: int, change: int) -> None:
    count = counts.get(key, 0) + change
    if count > 0:
        counts[key] = count
    else:
        counts.pop(key, None)
