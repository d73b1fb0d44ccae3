"""A tree of entries whose root digest proves equality, kept up to date change by change.

A directory's digest is SHA-256 over the number of its children and the sum, modulo 2^256, of its children's record
hashes (AdHash: Bellare and Micciancio, "A New Paradigm for Collision-free Hashing", 1997). A sum can be corrected for
one child without looking at its siblings, so a change costs the depth of the path and not the width of the directories
on it. The construction guards against accidents: whoever could forge a collision would fool only himself.

    record hash = SHA-256(kind u8 | mode u16 | size u64 | mtime_ns i64 | digest 32 bytes | name), little-endian
    directory digest = SHA-256(child count u64 | sum of record hashes mod 2^256 as 32 bytes), little-endian

Attributes that a session does not preserve count as zero. The root's own mode is no part of any digest: it belongs to
whoever mounted it. Digests are brought up to date when somebody asks, so a bulk load pays for each directory once.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from dirsync.tree.entry import (
    DIGEST_AT,
    DIGEST_SIZE,
    UNKNOWN,
    Entry,
    Kind,
    Record,
    covered,
    directory_entry,
    pack,
    unpack,
)
from dirsync.tree.path import ROOT, RelPath, components, escape, is_within, join, split

_MODULUS_MASK = (1 << 256) - 1
_DIRECTORY_BYTE = bytes([Kind.DIRECTORY])
_ROOT_RECORD = pack(directory_entry(0))


@dataclass(frozen=True, slots=True)
class Attributes:
    """Which metadata count as part of the tree: those that the session agreed to preserve."""

    mode: bool = True
    mtime: bool = True

    def normalize(self, entry: Entry) -> Entry:
        """The entry with everything zero that does not count."""
        if not self.mode and entry.mode:
            entry = entry._replace(mode=0)
        if not self.mtime and entry.mtime_ns:
            entry = entry._replace(mtime_ns=0)
        return entry


class Directory:
    """One directory of a :class:`Tree`. Only the tree changes it."""

    __slots__ = ("cached", "children", "contribution", "entries", "record", "stale", "total")

    def __init__(self, record: Record) -> None:
        self.record = record
        self.children: dict[bytes, Record | Directory] = {}
        self.entries = 0
        """Entries below this directory, at any depth."""
        self.total = 0
        self.contribution = 0
        """The record hash of this directory that its parent's total includes at present."""
        self.stale: set[bytes] | None = None
        """Subdirectories whose contribution is out of date. Invariant: a directory whose digest is out of date is named
        here in its parent, and so on up to the root."""
        self.cached: bytes | None = None


class _Way(NamedTuple):
    """The directories from the root to one of them, and the names that lead there."""

    path: RelPath
    names: list[bytes]
    chain: list[Directory]


class Tree:
    """A root directory and everything in it.

    Paths are :data:`RelPath`; a path whose parent is no directory of the tree is a programming error and raises
    ``KeyError``.
    """

    def __init__(self, attributes: Attributes | None = None) -> None:
        self.attributes = attributes or Attributes()
        self._plain = self.attributes == Attributes()
        self.root = Directory(_ROOT_RECORD)
        self._last_way = _Way(ROOT, [], [self.root])

    def __len__(self) -> int:
        """Entries below the root."""
        return self.root.entries

    def __contains__(self, path: RelPath) -> bool:
        return self._find(path) is not None

    def get(self, path: RelPath) -> Entry | None:
        """The entry at ``path``, a directory's with its digest, or ``None``."""
        found = self._find(path)
        if found is None:
            return None
        if isinstance(found, Directory):
            return unpack(found.record)._replace(digest=self._digest_of(found))
        return unpack(found)

    def record(self, path: RelPath) -> Record | None:
        """The record at ``path`` (a directory's without its digest), or ``None``."""
        found = self._find(path)
        return found.record if isinstance(found, Directory) else found

    def directory(self, path: RelPath) -> Directory | None:
        """The directory at ``path``, or ``None`` if there is something else or nothing."""
        found = self._find(path)
        return found if isinstance(found, Directory) else None

    def digest(self, path: RelPath = ROOT) -> bytes:
        """The Merkle digest of the directory at ``path``.

        Raises:
            KeyError: there is no directory.
        """
        found = self.directory(path)
        if found is None:
            raise KeyError(escape(path))
        return self._digest_of(found)

    def digest_of(self, directory: Directory) -> bytes:
        """The Merkle digest of a directory of this tree."""
        return self._digest_of(directory)

    def children(self, path: RelPath = ROOT) -> Iterator[tuple[bytes, Entry]]:
        """Names and entries in the directory at ``path``, in byte order of the names."""
        directory = self.directory(path)
        if directory is None:
            raise KeyError(escape(path))
        for name in sorted(directory.children):
            child = directory.children[name]
            if isinstance(child, Directory):
                yield name, unpack(child.record)._replace(digest=self._digest_of(child))
            else:
                yield name, unpack(child)

    def walk(self, path: RelPath = ROOT) -> Iterator[tuple[RelPath, Record]]:
        """Every path below ``path`` with its record, parents before children, siblings in byte order."""
        start = self.directory(path)
        if start is None:
            raise KeyError(escape(path))
        stack = [(path, start, iter(sorted(start.children)))]
        while stack:
            parent, directory, names = stack[-1]
            name = next(names, None)
            if name is None:
                stack.pop()
                continue
            child = directory.children[name]
            child_path = join(parent, name)
            if isinstance(child, Directory):
                yield child_path, child.record
                stack.append((child_path, child, iter(sorted(child.children))))
            else:
                yield child_path, child

    def entries(self) -> Iterator[tuple[RelPath, Entry]]:
        """Every path with its entry, directories with their digests, in the order of :meth:`walk`."""
        for path, record in self.walk():
            entry = unpack(record)
            yield path, entry._replace(digest=self.digest(path)) if entry.is_directory else entry

    def put(self, path: RelPath, record: Record) -> None:
        """Set what is at ``path``. A directory keeps its children; any other change of kind drops them.

        Raises:
            KeyError: the parent is no directory of this tree, or the path is the root.
        """
        parent, name = _place(path)
        way = self._way_or_error(parent)
        old = way.chain[-1].children.get(name)
        if record[:1] != _DIRECTORY_BYTE:
            self._set(way, name, old, record)
        elif isinstance(old, Directory):
            old.record = record
            _mark(way.chain[-1], name)
            self._changed(way, 0)
        else:
            self._set(way, name, old, Directory(record))

    def remove(self, path: RelPath) -> None:
        """Drop what is at ``path`` and below it; nothing happens if nothing is there.

        Raises:
            KeyError: the path is the root.
        """
        self.take(path)

    def take(self, path: RelPath) -> Record | Directory | None:
        """Detach what is at ``path``, a directory with everything below it; ``None`` if nothing is there.

        The node belongs to the caller until it is grafted, once. Nothing in it is looked at, so this costs the depth of
        the path.

        Raises:
            KeyError: the path is the root.
        """
        parent, name = _place(path)
        way = self._way(parent)
        if way is None:
            return None
        holder = way.chain[-1]
        node = holder.children.pop(name, None)
        if node is not None:
            self._forget(holder, name, node)
            self._changed(way, -_entries(node))
        return node

    def graft(self, path: RelPath, node: Record | Directory) -> None:
        """Put a node that was taken, from this tree or one with the same attributes, in place of what is at ``path``.

        Raises:
            KeyError: the parent is no directory of this tree, or the path is the root.
        """
        parent, name = _place(path)
        way = self._way_or_error(parent)
        self._set(way, name, way.chain[-1].children.get(name), node)

    def move(self, source: RelPath, path: RelPath) -> None:
        """Give what is at ``source`` the path ``path``, in place of what is there; digests below it are kept.

        Raises:
            KeyError: nothing is at ``source``, or the parent of ``path`` is no directory of this tree.
            ValueError: one path is, or lies within, the other. Nothing has changed after either error.
        """
        require_apart(source, path)
        self._way_or_error(_place(path)[0])
        self.graft(path, self._take_or_error(source))

    def exchange(self, first: RelPath, second: RelPath) -> None:
        """Let two nodes change places.

        Raises:
            KeyError: nothing is at one of the paths.
            ValueError: one path is, or lies within, the other. Nothing has changed after either error.
        """
        require_apart(first, second)
        if second not in self:
            raise KeyError(escape(second))
        node = self._take_or_error(first)
        self.graft(first, self._take_or_error(second))
        self.graft(second, node)

    def copy(self, attributes: Attributes | None = None) -> "Tree":
        """A tree of its own that shares the (immutable) records, optionally under other attributes."""
        twin = Tree(attributes or self.attributes)
        same = twin.attributes == self.attributes
        stack = [(self.root, twin.root)]
        while stack:
            source, target = stack.pop()
            target.entries = source.entries
            if same:
                target.total, target.contribution = source.total, source.contribution
                target.stale = set(source.stale) if source.stale else None
                target.cached = source.cached
            for name, child in source.children.items():
                if isinstance(child, Directory):
                    target.children[name] = copied = Directory(child.record)
                    stack.append((child, copied))
                    if not same:
                        _mark(target, name)
                else:
                    target.children[name] = child
                    if not same:
                        target.total += twin._hash(name, child)
        return twin

    def _find(self, path: RelPath) -> Record | Directory | None:
        if not path:
            return self.root
        parent, _, name = path.rpartition(b"/")
        way = self._way(RelPath(parent))
        return None if way is None else way.chain[-1].children.get(name)

    def _way(self, path: RelPath) -> _Way | None:
        """The way to the directory at ``path``; paths come by directory, so the last one asked for is kept."""
        if self._last_way.path == path:
            return self._last_way
        names = components(path)
        chain = [self.root]
        for name in names:
            child = chain[-1].children.get(name)
            if not isinstance(child, Directory):
                return None
            chain.append(child)
        self._last_way = _Way(path, names, chain)
        return self._last_way

    def _way_or_error(self, path: RelPath) -> _Way:
        way = self._way(path)
        if way is None:
            raise KeyError(escape(path))
        return way

    def _take_or_error(self, path: RelPath) -> Record | Directory:
        node = self.take(path)
        if node is None:
            raise KeyError(escape(path))
        return node

    def _set(self, way: _Way, name: bytes, old: Record | Directory | None, node: Record | Directory) -> None:
        """Put ``node`` in place of ``old`` in the directory at the end of ``way``."""
        holder = way.chain[-1]
        before = _entries(old)
        if old is not None:
            self._forget(holder, name, old)
        holder.children[name] = node
        if isinstance(node, Directory):
            _mark(holder, name)
        else:
            holder.total += self._hash(name, node)
        self._changed(way, _entries(node) - before)

    def _forget(self, holder: Directory, name: bytes, old: Record | Directory) -> None:
        """Take what leaves ``holder`` out of its total."""
        if isinstance(old, Directory):
            # The last way may lead through the directory that leaves.
            self._last_way = _Way(ROOT, [], [self.root])
            holder.total -= old.contribution
            old.contribution = 0
            if holder.stale:
                holder.stale.discard(name)
        else:
            holder.total -= self._hash(name, old)

    @staticmethod
    def _changed(way: _Way, entries: int) -> None:
        _, names, chain = way
        if entries:
            for directory in chain:
                directory.entries += entries
        chain[-1].cached = None
        for depth in range(len(names), 0, -1):
            holder, name = chain[depth - 1], names[depth - 1]
            if holder.stale and name in holder.stale:
                break
            _mark(holder, name)

    def _hash(self, name: bytes, record: Record) -> int:
        if record[DIGEST_AT] == UNKNOWN and record[0] == Kind.FILE:
            # Such a tree equals none that is known, so its digest need not tell more; first scans save the hashing.
            return 0
        if not self._plain:
            record = pack(self.attributes.normalize(unpack(record)))
        return int.from_bytes(hashlib.sha256(covered(record) + name).digest(), "little")

    def _digest_of(self, directory: Directory) -> bytes:
        stack = [directory]
        while stack:
            current = stack[-1]
            if current.cached is not None and not current.stale:
                stack.pop()
                continue
            below = [current.children[name] for name in current.stale or ()]
            pending = [child for child in below if isinstance(child, Directory) and child.cached is None]
            if pending:
                stack.extend(pending)
                continue
            for name in current.stale or ():
                child = current.children[name]
                assert isinstance(child, Directory)
                assert child.cached is not None
                record = Record(covered(child.record)[:-DIGEST_SIZE] + child.cached + b"\0\0")
                contribution = self._hash(name, record)
                current.total += contribution - child.contribution
                child.contribution = contribution
            current.stale = None
            current.total &= _MODULUS_MASK
            count = len(current.children).to_bytes(8, "little")
            current.cached = hashlib.sha256(count + current.total.to_bytes(DIGEST_SIZE, "little")).digest()
        assert directory.cached is not None
        return directory.cached


def require_apart(first: RelPath, second: RelPath) -> None:
    """Refuse two paths that cannot change places, because one is, or lies within, the other.

    Raises:
        ValueError: so it is.
    """
    if is_within(first, second) or is_within(second, first):
        msg = f"{escape(first)!r} and {escape(second)!r}: one is, or lies within, the other"
        raise ValueError(msg)


def _place(path: RelPath) -> tuple[RelPath, bytes]:
    if path == ROOT:
        msg = "the root"
        raise KeyError(msg)
    return split(path)


def _entries(child: Record | Directory | None) -> int:
    if child is None:
        return 0
    return 1 + child.entries if isinstance(child, Directory) else 1


def _mark(holder: Directory, name: bytes) -> None:
    if holder.stale is None:
        holder.stale = set()
    holder.stale.add(name)
    holder.cached = None
